//! The edge box: access units, cameras' own pictures, signals, role links. GStreamer and WebRTC are not needed to read them, so these files stand
//! here as they stand there.

use farhand_ledger::picture;
use pass::{Coded, Pass, Way};
use std::time::{Duration, Instant};

#[allow(dead_code, unreachable_pub, reason = "another crate's file, of which some is asked for")]
#[path = "../../../edge/video/src/annexb.rs"]
mod annexb;
#[allow(dead_code, unreachable_pub, reason = "another crate's file, of which some is asked for")]
#[path = "../../../edge/video/src/pass.rs"]
mod pass;
#[allow(dead_code, unreachable_pub, reason = "another crate's file, of which some is asked for")]
#[path = "../../../edge/agent/src/peer/role_link.rs"]
mod role_link;
#[allow(dead_code, unreachable_pub, reason = "another crate's file, of which some is asked for")]
#[path = "../../../edge/agent/src/signal.rs"]
mod signals;

/// An encoder's access unit: edge box and verifier see the same in it, and what is stripped of it changes no hash.
pub(crate) fn annexb(bytes: &[u8]) {
    let units: Vec<&[u8]> = annexb::NalUnits::new(bytes).collect();
    assert!(units.iter().all(|unit| unit.last().is_some_and(|last| *last != 0)));
    assert_eq!(
        picture::nal_units(bytes).collect::<Vec<_>>(),
        units,
        "edge box and verifier split differently"
    );
    let joined = annexb::join(units.iter().copied());
    assert_eq!(annexb::NalUnits::new(&joined).collect::<Vec<_>>(), units);
    let Ok(seen) = annexb::inspect(bytes) else { return };
    let hashes = picture::hashes(bytes);
    assert_eq!((seen.au_hash, seen.picture_hash), (hashes.au_hash.0, hashes.picture_hash.0));
    let stripped = annexb::inspect(&annexb::strip(bytes)).expect("it still holds its picture");
    assert!(stripped.clean);
    assert_eq!((stripped.au_hash, stripped.picture_hash), (seen.au_hash, seen.picture_hash));
}

/// What a camera sends, picture after picture: its own goes on from a key frame with parameters on, within what the line carries,
/// and never after a loss, before a receiver took what was before it, or while an encoder is asked for something.
pub(crate) fn camera(bytes: &[u8]) {
    const CARRIED_KBIT_S: u32 = 400;
    let (mut pass, mut came) = (Pass::new(false, false, CARRIED_KBIT_S), Instant::now());
    let mut rest = bytes;
    while let [doing, passed, long, after @ ..] = rest {
        let (stream, others) = after.split_at(after.len().min(usize::from(*long)));
        came += Duration::from_millis(u64::from(*passed) * 8);
        let [lost, free, asks, reshaped] = [1, 2, 4, 8].map(|bit| doing & bit != 0);
        pass.set_reshaped(reshaped);
        let before = pass.way();
        let asked = asks && !pass.ask_key();
        assert!(!asked || before == Way::AsItCame, "an encoder at work makes the key frame");
        if pass.next(Coded { stream, came, after_loss: lost }, free) == Way::AsItCame {
            assert!(free && !reshaped && pass.in_order(), "an encoder was needed");
            let holds = |wanted| annexb::NalUnits::new(stream).any(|unit| annexb::nal_type(unit) == wanted);
            let begins =
                [annexb::NalType::SPS, annexb::NalType::PPS, annexb::NalType::IDR].into_iter().all(holds);
            assert!(begins || (before == Way::AsItCame && !lost && !asked), "it goes on from nothing");
        }
        rest = others;
    }
}

/// Signals, the certificate that an SDP names, and role links.
pub(crate) fn signal(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(signal) = signals::Signal::read(text)
        && signal != signals::Signal::Unknown
    {
        assert_eq!(signals::Signal::read(&signal.to_text()), Ok(signal));
    }
    if let Ok(certificate) = signals::fingerprint(text) {
        let line =
            |certificate: [u8; 32]| format!("\r\na=fingerprint:sha-256 {}\r\n", hex::encode(certificate));
        assert_eq!(signals::fingerprint(&line(certificate)), Ok(certificate));
        let mut other = certificate;
        other[0] ^= 1;
        assert!(signals::fingerprint(&format!("{text}{}", line(other))).is_err(), "two certificates");
    }
    let _ = text.parse::<role_link::RoleLink>();
}

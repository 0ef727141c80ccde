//! The edge box: access units, signals, role links. GStreamer and WebRTC are not needed to read them, so these files stand
//! here as they stand there.

use farhand_ledger::picture;

#[allow(dead_code, unreachable_pub, reason = "another crate's file, of which some is asked for")]
#[path = "../../../edge/video/src/annexb.rs"]
mod annex_b;
#[allow(dead_code, unreachable_pub, reason = "another crate's file, of which some is asked for")]
#[path = "../../../edge/agent/src/peer/role_link.rs"]
mod role_link;
#[allow(dead_code, unreachable_pub, reason = "another crate's file, of which some is asked for")]
#[path = "../../../edge/agent/src/signal.rs"]
mod signals;

/// An encoder's access unit: edge box and verifier see the same in it, and what is stripped of it changes no hash.
pub(crate) fn annexb(bytes: &[u8]) {
    let units: Vec<&[u8]> = annex_b::NalUnits::new(bytes).collect();
    assert!(units.iter().all(|unit| unit.last().is_some_and(|last| *last != 0)));
    assert_eq!(
        picture::nal_units(bytes).collect::<Vec<_>>(),
        units,
        "edge box and verifier split differently"
    );
    let joined = annex_b::join(units.iter().copied());
    assert_eq!(annex_b::NalUnits::new(&joined).collect::<Vec<_>>(), units);
    let Ok(seen) = annex_b::inspect(bytes) else { return };
    let hashes = picture::hashes(bytes);
    assert_eq!((seen.au_hash, seen.picture_hash), (hashes.au_hash.0, hashes.picture_hash.0));
    let stripped = annex_b::inspect(&annex_b::strip(bytes)).expect("it still holds its picture");
    assert!(stripped.clean);
    assert_eq!((stripped.au_hash, stripped.picture_hash), (seen.au_hash, seen.picture_hash));
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

//! Bytes and messages that no honest aircraft sends: nothing panics, nothing runs on.

#![allow(clippy::unwrap_used)]

use farhand_flight::{Companion, FlightLimits, Frames, Peer, Received};
use farhand_mission::Mission;
use mavlink::MavlinkVersion;
use mavlink::Message;
use mavlink::dialects::common::MavMessage;
use proptest::prelude::*;

/// The messages the companion listens to, and a few it does not.
const KINDS: [u32; 14] = [0, 1, 11, 24, 33, 40, 42, 44, 47, 51, 76, 77, 245, 253];

fn any_message() -> impl Strategy<Value = Option<MavMessage>> {
    (prop::sample::select(&KINDS[..]), prop::collection::vec(any::<u8>(), 0..255))
        .prop_map(|(id, payload)| MavMessage::parse(MavlinkVersion::V2, id, &payload).ok())
}

proptest! {
    /// Goal: no datagram whatever makes the codec panic.
    #[test]
    fn any_datagram_is_read_or_left(bytes in prop::collection::vec(any::<u8>(), 0..2_048)) {
        let _ = Frames::new(None).decode(&bytes);
        let _ = Frames::new(Some([9; 32])).decode(&bytes);
    }

    /// Goal: a good datagram with a byte changed, cut short or prefixed by noise is read or left; and one
    /// that was changed is not read as if it had been signed.
    #[test]
    fn a_spoiled_datagram_is_read_or_left(
        message in any_message(), at: prop::sample::Index, to: u8, noise in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let Some(message) = message else { return Ok(()) };
        let good = Frames::new(Some([9; 32])).encode(&message);
        let mut spoiled = good.clone();
        let at = at.index(good.len());
        spoiled[at] = to;
        let _ = Frames::new(None).decode(&spoiled);
        let _ = Frames::new(None).decode(&good[..at]);
        if spoiled != good {
            prop_assert!(Frames::new(Some([9; 32])).decode(&spoiled).is_empty());
        }
        let _ = Frames::new(Some([9; 32])).decode(&[noise, good].concat());
    }

    /// Goal: whatever well-formed messages arrive, from whomever, the companion neither panics nor goes on for ever.
    #[test]
    fn any_messages_leave_the_companion_bounded(
        messages in prop::collection::vec((any_message(), 0u8..3, 0u64..3_000_000), 1..60),
    ) {
        let mut companion = Companion::new(Mission::trial(), FlightLimits::default());
        let (mut now_us, mut ended) = (0, 0);
        for (message, system, gap_us) in messages {
            now_us += gap_us;
            let from = Peer { system, component: 1 };
            let inbox: Vec<_> = message.map(|message| Received { from, message }).into_iter().collect();
            let out = companion.step(now_us, &inbox);
            prop_assert!(out.messages.len() < 20 && out.events.len() < 5);
            ended += u32::from(out.end.is_some());
        }
        for _ in 0..3_000 {
            now_us += 1_000_000;
            ended += u32::from(companion.step(now_us, &[]).end.is_some());
        }
        prop_assert_eq!(ended, 1);
    }
}

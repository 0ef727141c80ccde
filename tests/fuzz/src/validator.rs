//! What clients and validators send each other.

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use farhand_ledger::{Batch, Cbor, Hash, Header};
use farhand_submit::frames::{Answer, Ask, FRAME_BYTES_MAX, Parts, parts};
use farhand_validator::{frames::PeerFrame, gate::Gate, history::Answers, payload::Payload};
use hotstuff_rs::networking::messages::Message;

use crate::stage::{pieces, trust};

/// A frame in its parts, and what it asks or answers.
pub(crate) fn client_frames(bytes: &[u8]) {
    let mut whole = Parts::default();
    for (_, part) in pieces(bytes) {
        let Ok(taken) = whole.take(part) else { return };
        let Some(frame) = taken else { continue };
        assert!(frame.len() <= FRAME_BYTES_MAX);
        let mut again = Parts::default();
        let arrived = parts(&frame).find_map(|part| again.take(&part).ok().flatten());
        assert_eq!(arrived.as_ref(), Some(&frame), "it does not arrive as it was sent");
        if let Ok((number, ask)) = Ask::read(&frame) {
            assert_eq!(ask.to_bytes(number), frame);
        }
        if let Ok((number, answer)) = Answer::read(&frame)
            && !matches!(answer, Answer::Refused(_) | Answer::NotYet(_))
        {
            assert_eq!(answer.to_bytes(number), frame);
        }
    }
}

/// A frame of another validator.
pub(crate) fn peer_frames(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(frame) = PeerFrame::read(&bytes) else { return };
    assert_eq!(frame.to_bytes(), bytes);
    if let PeerFrame::Batch(body) = frame
        && let Ok(payload) = Payload::read(body.to_vec())
    {
        assert_eq!((payload.batch.root(), payload.batch.to_bytes()), (payload.root, body.to_vec()));
        assert_eq!(Batch::read(&payload.bytes).map(|batch| batch.root()), Ok(payload.root));
    }
}

/// Headers that a peer gives, to the question that they might answer and to any other.
pub(crate) fn headers(bytes: &[u8]) {
    assert!(Answers::default().offer(bytes).is_err(), "nobody asked");
    assert!(Answers::to(Hash::ZERO).offer(bytes).is_err(), "of no block");
    let Ok(headers) = minicbor::decode::<Vec<Header>>(bytes) else { return };
    let Some(first) = headers.first() else { return };
    let follow = headers.windows(2).all(|pair| pair[0].justify.block == pair[1].hash());
    assert_eq!(Answers::to(first.hash()).offer(bytes).is_ok(), follow);
}

/// A message of the replica, after the view that it finds: what the gate lets through is let through again as it is.
pub(crate) fn consensus(bytes: &[u8]) {
    const ASKED_MAX: u32 = 16;
    let Some((view, body)) = bytes.split_first_chunk::<8>() else { return };
    let (view, gate) = (u64::from_le_bytes(*view), Gate::new(trust().newest().clone(), ASKED_MAX));
    let Ok(message) = Message::try_from_slice(body) else { return };
    let Ok(told) = gate.admit(message, view) else { return };
    assert!(told.len() <= 2);
    for message in told {
        let bytes = message.try_to_vec().expect("memory takes every byte");
        let again = gate.admit(message, view).expect("what was admitted is admitted again");
        let again: Vec<_> =
            again.iter().map(|message| message.try_to_vec().expect("memory takes it")).collect();
        assert_eq!(again, [bytes]);
    }
}

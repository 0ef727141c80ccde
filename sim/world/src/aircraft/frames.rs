//! Between datagrams and messages, signed when there is a key.
//!
//! Written apart from the companion's: two ends that share code would agree on the same mistake.

use mavlink::dialects::common::MavMessage;
use mavlink::{MAVLinkV2MessageRaw, MavHeader, MavlinkReader, SigningConfig, SigningData};

use super::{COMPONENT_ID, Peer, Received, SYSTEM_ID};

/// The most messages taken from one datagram.
const MESSAGES_PER_DATAGRAM_MAX: usize = 64;

/// One end of a MAVLink 2 link.
pub(super) struct Frames {
    signing: Option<SigningData>,
    sequence: u8,
}

impl Frames {
    /// With a key every message is signed, and an unsigned or wrongly signed one is not taken.
    pub(super) fn new(key: Option<[u8; 32]>, link_id: u8) -> Self {
        let signing = key.map(|key| SigningData::from_config(SigningConfig::new(key, link_id, true, false)));
        Self { signing, sequence: 0 }
    }

    pub(super) fn encode(&mut self, message: &MavMessage) -> Vec<u8> {
        let header = MavHeader {
            system_id: u32::from(SYSTEM_ID),
            component_id: COMPONENT_ID,
            sequence: self.sequence,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let mut raw = MAVLinkV2MessageRaw::new();
        match &self.signing {
            Some(signing) => {
                raw.serialize_message_for_signing(header, message);
                signing.sign_message(&mut raw);
            }
            None => raw.serialize_message(header, message),
        }
        raw.raw_bytes().to_vec()
    }

    /// The messages in a datagram; what is malformed, unknown or not rightly signed is left out.
    pub(super) fn decode(&self, datagram: &[u8]) -> Vec<Received> {
        let mut reader = MavlinkReader::new(datagram);
        let mut messages = Vec::new();
        for _ in 0..MESSAGES_PER_DATAGRAM_MAX {
            let read = reader.read_any_message_signed(self.signing.as_ref());
            match read {
                Ok((header, message)) => messages.extend(received(header, message)),
                Err(mavlink::error::MessageReadError::Io(_)) => break,
                Err(mavlink::error::MessageReadError::Parse(_)) => {}
            }
        }
        messages
    }
}

fn received(header: MavHeader, message: MavMessage) -> Option<Received> {
    let system = u8::try_from(header.system_id).ok()?;
    Some(Received { from: Peer { system, component: header.component_id }, message })
}

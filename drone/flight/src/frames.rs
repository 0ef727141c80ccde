//! Between datagrams and messages, signed when there is a key.
//!
//! Source: the MAVLink guide, "MAVLink 2 Message Signing". Time stamps come from the
//! system's clock inside the codec, which is why it belongs to the driver.

use mavlink::dialects::common::MavMessage;
use mavlink::error::MessageReadError;
use mavlink::{MAVLinkV2MessageRaw, MavHeader, MavlinkReader, MavlinkVersion, SigningConfig, SigningData};

use crate::companion::{COMPONENT_ID, SYSTEM_ID};
use crate::{Peer, Received};

/// The most messages taken from one datagram.
const MESSAGES_PER_DATAGRAM_MAX: usize = 64;
/// This end's link id in signatures.
const LINK_ID: u8 = 2;

/// One end of a MAVLink 2 link.
pub struct Frames {
    signing: Option<SigningData>,
    sequence: u8,
}

impl std::fmt::Debug for Frames {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").field("signed", &self.signing.is_some()).finish_non_exhaustive()
    }
}

impl Frames {
    /// With a key every message is signed, and an unsigned or wrongly signed one is not taken.
    pub fn new(key: Option<[u8; 32]>) -> Self {
        let config = |key| SigningConfig::new(key, LINK_ID, true, false);
        Self { signing: key.map(|key| SigningData::from_config(config(key))), sequence: 0 }
    }

    /// One message as one datagram.
    pub fn encode(&mut self, message: &MavMessage) -> Vec<u8> {
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
    pub fn decode(&self, datagram: &[u8]) -> Vec<Received> {
        let mut reader = MavlinkReader::new(datagram);
        let mut messages = Vec::new();
        for _ in 0..MESSAGES_PER_DATAGRAM_MAX {
            match reader.read_message_signed(MavlinkVersion::V2, self.signing.as_ref()) {
                Ok((header, message)) => messages.extend(received(header, message)),
                Err(MessageReadError::Io(_)) => break, // the datagram's end
                Err(MessageReadError::Parse(_)) => {}
            }
        }
        messages
    }
}

fn received(header: MavHeader, message: MavMessage) -> Option<Received> {
    let system = u8::try_from(header.system_id).ok()?;
    Some(Received { from: Peer { system, component: header.component_id }, message })
}

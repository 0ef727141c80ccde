//! Messages within a stream: length (u32 little endian), then so many bytes.
//!
//! **Invariant (local):** nothing is allocated for a length that was only announced; a message grows as its bytes arrive.

use bytes::{Bytes, BytesMut};

use crate::MessageError;

/// No message is longer.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
pub(crate) const HEADER_BYTES: usize = 4;

/// What goes before a message of `bytes` bytes.
pub(crate) fn header(bytes: usize) -> Result<[u8; HEADER_BYTES], MessageError> {
    match u32::try_from(bytes) {
        Ok(length) if bytes <= MESSAGE_BYTES_MAX => Ok(length.to_le_bytes()),
        _ => Err(MessageError::TooLarge { bytes, max: MESSAGE_BYTES_MAX }),
    }
}

/// Puts messages together from whatever pieces a stream comes in. Ask [`Assembler::wants`], give at most that.
#[derive(Debug)]
pub(crate) enum Assembler {
    Header { held: [u8; HEADER_BYTES], filled: usize },
    Body { held: BytesMut, bytes: usize },
}

impl Assembler {
    pub(crate) fn new() -> Self {
        Self::Header { held: [0; HEADER_BYTES], filled: 0 }
    }

    /// How many bytes complete the part at hand: at least 1, at most [`MESSAGE_BYTES_MAX`].
    pub(crate) fn wants(&self) -> usize {
        match self {
            Self::Header { filled, .. } => HEADER_BYTES - filled,
            Self::Body { held, bytes } => bytes - held.len(),
        }
    }

    /// Takes the next piece, and gives the message if that was its last.
    ///
    /// # Errors
    /// [`MessageError::TooLarge`] for an announced length over the limit; the stream can't be read further.
    pub(crate) fn take(&mut self, piece: Bytes) -> Result<Option<Bytes>, MessageError> {
        debug_assert!(!piece.is_empty() && piece.len() <= self.wants());
        match self {
            Self::Header { held, filled } => {
                held[*filled..*filled + piece.len()].copy_from_slice(&piece);
                *filled += piece.len();
                if *filled < HEADER_BYTES { Ok(None) } else { self.announced() }
            }
            Self::Body { held, bytes } => {
                let whole = held.is_empty() && piece.len() == *bytes;
                if whole { Ok(Some(self.complete(piece))) } else { Ok(self.append(&piece)) }
            }
        }
    }

    /// Whether the stream may end here.
    ///
    /// # Errors
    /// [`MessageError::Truncated`] within a message.
    pub(crate) fn end(&self) -> Result<(), MessageError> {
        match self {
            Self::Header { filled: 0, .. } => Ok(()),
            Self::Header { filled, .. } => {
                Err(MessageError::Truncated { bytes: *filled, wanted: HEADER_BYTES })
            }
            Self::Body { held, bytes } => Err(MessageError::Truncated { bytes: held.len(), wanted: *bytes }),
        }
    }

    fn announced(&mut self) -> Result<Option<Bytes>, MessageError> {
        let Self::Header { held, .. } = self else { return Ok(None) };
        let bytes = u32::from_le_bytes(*held) as usize;
        if bytes > MESSAGE_BYTES_MAX {
            return Err(MessageError::TooLarge { bytes, max: MESSAGE_BYTES_MAX });
        }
        if bytes == 0 {
            return Ok(Some(self.complete(Bytes::new())));
        }
        *self = Self::Body { held: BytesMut::new(), bytes };
        Ok(None)
    }

    fn append(&mut self, piece: &[u8]) -> Option<Bytes> {
        let Self::Body { held, bytes } = self else { return None };
        held.extend_from_slice(piece);
        if held.len() < *bytes {
            return None;
        }
        let message = held.split().freeze();
        Some(self.complete(message))
    }

    fn complete(&mut self, message: Bytes) -> Bytes {
        *self = Self::new();
        message
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held_bytes(assembler: &Assembler) -> usize {
        match assembler {
            Assembler::Header { .. } => 0,
            Assembler::Body { held, .. } => held.capacity(),
        }
    }

    fn feed(assembler: &mut Assembler, mut stream: &[u8], piece_max: usize) -> Vec<Bytes> {
        let mut messages = Vec::new();
        while !stream.is_empty() {
            let bytes = assembler.wants().min(piece_max).min(stream.len());
            let piece = Bytes::copy_from_slice(&stream[..bytes]);
            stream = &stream[bytes..];
            messages.extend(assembler.take(piece).unwrap());
        }
        messages
    }

    proptest! {
        /// Goal: messages come out as they went in, however the stream is cut, and its end lies between messages.
        #[test]
        fn messages_survive_any_cutting(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
            piece_max in 1usize..400,
        ) {
            let stream: Vec<u8> =
                messages.iter().flat_map(|m| [&header(m.len()).unwrap()[..], m].concat()).collect();
            let mut assembler = Assembler::new();
            prop_assert_eq!(feed(&mut assembler, &stream, piece_max), messages);
            prop_assert!(assembler.end().is_ok());
        }

        /// Goal: any announced length over the limit is refused with nothing allocated.
        #[test]
        fn an_oversized_length_is_refused_before_anything_is_held(bytes in MESSAGE_BYTES_MAX as u32 + 1..) {
            let mut assembler = Assembler::new();
            let answer = assembler.take(Bytes::copy_from_slice(&bytes.to_le_bytes()));
            prop_assert_eq!(answer, Err(MessageError::TooLarge { bytes: bytes as usize, max: MESSAGE_BYTES_MAX }));
            prop_assert_eq!(held_bytes(&assembler), 0);
        }
    }

    /// Goal: a peer that announces the largest message and sends little of it makes this side hold little.
    #[test]
    fn a_message_grows_with_what_arrived_not_with_what_was_announced() {
        let mut assembler = Assembler::new();
        feed(&mut assembler, &header(MESSAGE_BYTES_MAX).unwrap(), 4);
        assert_eq!(held_bytes(&assembler), 0);
        feed(&mut assembler, &[7; 100], 100);
        assert!(held_bytes(&assembler) <= 256, "{}", held_bytes(&assembler));
        let cut = assembler.end();
        assert_eq!(cut, Err(MessageError::Truncated { bytes: 100, wanted: MESSAGE_BYTES_MAX }));
    }
}

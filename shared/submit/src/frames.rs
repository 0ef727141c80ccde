//! What goes over the connection between a validator and a client, and how frames travel as messages.
//!
//! A frame is a kind and a body. Bodies are the evidence format's; nothing here is
//! decoded but lengths and kinds. A frame longer than the link's messages goes in parts, each with a byte that says
//! whether more follow.

use bytes::{BufMut, Bytes, BytesMut};
use farhand_ledger::{BATCH_BYTES_MAX, Hash, TRANSACTION_BYTES_MAX, TRUST_BYTES_MAX};
use farhand_link::{Connection, MESSAGE_BYTES_MAX, MessageError};
use thiserror::Error;

/// No frame is longer: a batch and its kind.
pub const FRAME_BYTES_MAX: usize = BATCH_BYTES_MAX + 64;
/// No text in an answer is longer.
const TEXT_BYTES_MAX: usize = 1024;
const PART_BYTES_MAX: usize = MESSAGE_BYTES_MAX - 1;
const LAST: u8 = 1;
const MORE: u8 = 0;

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadFrame {
    #[error("a frame of {bytes} bytes, at most {max} are allowed")]
    TooLong { bytes: usize, max: usize },
    #[error("a frame of kind {kind} is not known to this version")]
    UnknownKind { kind: u8 },
    #[error("a frame of kind {kind} has {bytes} bytes, which it can't have")]
    Length { kind: u8, bytes: usize },
    #[error("a part marked {mark}, which is neither the last nor one of more")]
    Mark { mark: u8 },
    #[error("an empty frame")]
    Empty,
}

/// The messages that carry a frame.
pub fn parts(frame: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    let count = frame.len().div_ceil(PART_BYTES_MAX).max(1);
    (0..count).map(move |at| {
        let piece = &frame[at * PART_BYTES_MAX..frame.len().min((at + 1) * PART_BYTES_MAX)];
        let mut part = BytesMut::with_capacity(piece.len() + 1);
        part.put_u8(if at + 1 == count { LAST } else { MORE });
        part.put_slice(piece);
        part.freeze()
    })
}

/// Sends one frame in its parts; no other frame may be sent over this connection meanwhile.
///
/// # Errors
/// [`MessageError`] if the connection is gone.
pub async fn send(connection: &Connection, frame: &Bytes) -> Result<(), MessageError> {
    for part in parts(frame) {
        connection.send_message(part).await?;
    }
    Ok(())
}

/// Puts frames together again. Bounded by [`FRAME_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct Parts(BytesMut);

impl Parts {
    /// Takes the next message; the frame, if it is complete.
    ///
    /// # Errors
    /// [`BadFrame`] if the frame grows too long or the mark is unknown; the connection is of no use then.
    pub fn take(&mut self, part: &[u8]) -> Result<Option<Bytes>, BadFrame> {
        let (&mark, piece) = part.split_first().ok_or(BadFrame::Empty)?;
        let bytes = self.0.len() + piece.len();
        if bytes > FRAME_BYTES_MAX {
            return Err(BadFrame::TooLong { bytes, max: FRAME_BYTES_MAX });
        }
        self.0.put_slice(piece);
        match mark {
            LAST => Ok(Some(std::mem::take(&mut self.0).freeze())),
            MORE => Ok(None),
            mark => Err(BadFrame::Mark { mark }),
        }
    }
}

/// From a client: a number of its own, and what it asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Put this signed transaction onto the ledger.
    Submit(Bytes),
    /// Prove that this transaction is committed, as soon as it is, within `wait_ms`.
    Proof { hash: Hash, wait_ms: u32 },
    /// How far are you?
    Height,
    /// Tell me of every height from now on.
    Watch,
    /// Which epochs do you know?
    Trust,
}

/// To a client: the number of its question, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The transaction waits for a block, under this hash.
    Taken(Hash),
    /// It was not taken, and why, in words.
    Refused(String),
    /// A transaction proof, in the evidence format.
    Proof(Bytes),
    /// Not committed yet; why not, in words, as far as this validator can tell.
    NotYet(String),
    /// The height of the newest committed block; `None` before the first.
    Height(Option<u64>),
    /// A trust root, in the evidence format.
    Trust(Bytes),
}

impl Ask {
    #[must_use]
    pub fn to_bytes(&self, number: u64) -> Bytes {
        let number = &number.to_le_bytes();
        match self {
            Self::Submit(body) => frame(1, &[number, body]),
            Self::Proof { hash, wait_ms } => frame(2, &[number, &wait_ms.to_le_bytes(), &hash.0]),
            Self::Height => frame(3, &[number]),
            Self::Watch => frame(4, &[number]),
            Self::Trust => frame(5, &[number]),
        }
    }

    /// # Errors
    /// [`BadFrame`], with the kind and the size.
    pub fn read(bytes: &Bytes) -> Result<(u64, Self), BadFrame> {
        let (kind, number, body) = numbered(bytes)?;
        let ask = match kind {
            1 => Self::Submit(at_most(body, TRANSACTION_BYTES_MAX)?),
            2 => {
                let (wait_ms, hash) =
                    body.split_first_chunk().ok_or(BadFrame::Length { kind, bytes: body.len() })?;
                Self::Proof { hash: Hash(exactly(kind, hash)?), wait_ms: u32::from_le_bytes(*wait_ms) }
            }
            3 => exactly(kind, &body).map(|[]: [u8; 0]| Self::Height)?,
            4 => exactly(kind, &body).map(|[]: [u8; 0]| Self::Watch)?,
            5 => exactly(kind, &body).map(|[]: [u8; 0]| Self::Trust)?,
            kind => return Err(BadFrame::UnknownKind { kind }),
        };
        Ok((number, ask))
    }
}

impl Answer {
    #[must_use]
    pub fn to_bytes(&self, number: u64) -> Bytes {
        let number = &number.to_le_bytes();
        match self {
            Self::Taken(hash) => frame(1, &[number, &hash.0]),
            Self::Refused(text) => frame(2, &[number, cut(text)]),
            Self::Proof(body) => frame(3, &[number, body]),
            Self::NotYet(text) => frame(4, &[number, cut(text)]),
            Self::Height(None) => frame(5, &[number]),
            Self::Height(Some(height)) => frame(6, &[number, &height.to_le_bytes()]),
            Self::Trust(body) => frame(7, &[number, body]),
        }
    }

    /// # Errors
    /// [`BadFrame`], with the kind and the size.
    pub fn read(bytes: &Bytes) -> Result<(u64, Self), BadFrame> {
        let (kind, number, body) = numbered(bytes)?;
        let answer = match kind {
            1 => Self::Taken(Hash(exactly(kind, &body)?)),
            2 => Self::Refused(String::from_utf8_lossy(cut_bytes(&body)).into_owned()),
            3 => Self::Proof(body),
            4 => Self::NotYet(String::from_utf8_lossy(cut_bytes(&body)).into_owned()),
            5 => exactly(kind, &body).map(|[]: [u8; 0]| Self::Height(None))?,
            6 => Self::Height(Some(u64::from_le_bytes(exactly(kind, &body)?))),
            7 => Self::Trust(at_most(body, TRUST_BYTES_MAX)?),
            kind => return Err(BadFrame::UnknownKind { kind }),
        };
        Ok((number, answer))
    }
}

/// A frame: its kind, then the pieces of its body.
#[must_use]
pub fn frame(kind: u8, body: &[&[u8]]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(1 + body.iter().map(|piece| piece.len()).sum::<usize>());
    bytes.put_u8(kind);
    body.iter().for_each(|piece| bytes.put_slice(piece));
    bytes.freeze()
}

/// A frame's kind and body.
///
/// # Errors
/// [`BadFrame::Empty`].
pub fn kind_of(bytes: &Bytes) -> Result<(u8, Bytes), BadFrame> {
    let kind = *bytes.first().ok_or(BadFrame::Empty)?;
    Ok((kind, bytes.slice(1..)))
}

fn numbered(bytes: &Bytes) -> Result<(u8, u64, Bytes), BadFrame> {
    let (kind, rest) = kind_of(bytes)?;
    let (number, _) = rest.split_first_chunk().ok_or(BadFrame::Length { kind, bytes: rest.len() })?;
    Ok((kind, u64::from_le_bytes(*number), rest.slice(8..)))
}

/// A body that is not too long.
///
/// # Errors
/// [`BadFrame::TooLong`].
pub fn at_most(body: Bytes, max: usize) -> Result<Bytes, BadFrame> {
    if body.len() <= max { Ok(body) } else { Err(BadFrame::TooLong { bytes: body.len(), max }) }
}

/// A body of exactly `N` bytes.
///
/// # Errors
/// [`BadFrame::Length`].
pub fn exactly<const N: usize>(kind: u8, body: &[u8]) -> Result<[u8; N], BadFrame> {
    body.try_into().map_err(|_| BadFrame::Length { kind, bytes: body.len() })
}

fn cut(text: &str) -> &[u8] {
    cut_bytes(text.as_bytes())
}

fn cut_bytes(text: &[u8]) -> &[u8] {
    &text[..text.len().min(TEXT_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(frame: &Bytes) -> (usize, Bytes) {
        let mut whole = Parts::default();
        let mut count = 0;
        for part in parts(frame) {
            assert!(part.len() <= MESSAGE_BYTES_MAX);
            count += 1;
            if let Some(frame) = whole.take(&part).unwrap() {
                return (count, frame);
            }
        }
        unreachable!("{count} parts and no end")
    }

    /// Goal: a frame of any size arrives as it was sent.
    #[test]
    fn a_frame_arrives_whole_in_however_many_parts() {
        for bytes in [0, 1, PART_BYTES_MAX, PART_BYTES_MAX + 1, FRAME_BYTES_MAX] {
            let frame = Bytes::from(vec![7; bytes]);
            assert_eq!(carried(&frame), (bytes.div_ceil(PART_BYTES_MAX).max(1), frame));
        }
    }

    /// Goal: a peer that never ends its frame is stopped at the limit, and a wrong mark ends it at once.
    #[test]
    fn a_frame_without_end_is_refused_at_the_limit() {
        let mut whole = Parts::default();
        let part = vec![MORE; MESSAGE_BYTES_MAX];
        let refused = (0..100).find_map(|_| whole.take(&part).err());
        assert!(matches!(refused, Some(BadFrame::TooLong { max: FRAME_BYTES_MAX, .. })));
        assert_eq!(Parts::default().take(&[9, 1]), Err(BadFrame::Mark { mark: 9 }));
        assert_eq!(Parts::default().take(&[]), Err(BadFrame::Empty));
    }

    /// Goal: whatever is said is understood as it was meant, and anything cut or unknown is refused.
    #[test]
    fn frames_say_the_same_on_the_other_side() {
        let body = Bytes::from_static(b"body");
        for ask in [
            Ask::Submit(body.clone()),
            Ask::Proof { hash: Hash([4; 32]), wait_ms: 5 },
            Ask::Height,
            Ask::Watch,
            Ask::Trust,
        ] {
            assert_eq!(Ask::read(&ask.to_bytes(6)), Ok((6, ask)));
        }
        for answer in [
            Answer::Taken(Hash([5; 32])),
            Answer::Refused("no".to_owned()),
            Answer::Proof(body.clone()),
            Answer::Trust(body),
            Answer::NotYet("wait".to_owned()),
            Answer::Height(None),
            Answer::Height(Some(7)),
        ] {
            assert_eq!(Answer::read(&answer.to_bytes(8)), Ok((8, answer)));
        }
        let height = Ask::Height.to_bytes(1);
        assert!(Ask::read(&height.slice(..8)).is_err());
        let oversized = Bytes::from([vec![1], vec![0; 8 + TRANSACTION_BYTES_MAX + 1]].concat());
        assert!(matches!(Ask::read(&oversized), Err(BadFrame::TooLong { .. })));
        let unknown = Bytes::from([vec![99], vec![0; 8]].concat());
        assert_eq!(Ask::read(&unknown), Err(BadFrame::UnknownKind { kind: 99 }));
    }
}

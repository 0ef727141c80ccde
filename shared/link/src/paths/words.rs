//! What is said on a path's stream, and what goes before each datagram. Little endian.

use bytes::{BufMut, Bytes, BytesMut};

use crate::MESSAGE_BYTES_MAX;

/// Before the content of a message: what it is, and its number.
const MESSAGE_HEADER_BYTES: usize = 1 + NUMBER_BYTES;
const NUMBER_BYTES: usize = 8;
const RUN_BYTES: usize = 16;
const HELLO_BYTES: usize = 1 + RUN_BYTES + NUMBER_BYTES + 2;

/// No message over several paths is longer.
pub const PATHS_MESSAGE_BYTES_MAX: usize = MESSAGE_BYTES_MAX - MESSAGE_HEADER_BYTES;

mod kind {
    pub(super) const HELLO: u8 = 0;
    pub(super) const WELCOME: u8 = 1;
    pub(super) const MESSAGE: u8 = 2;
    pub(super) const HEARD: u8 = 3;
    pub(super) const APART: u8 = 4;
}

/// Which bond a path belongs to: the connecting device's run, drawn at its start, and its count of bonds in that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BondName {
    pub run: [u8; RUN_BYTES],
    pub number: u64,
}

/// One thing that is said on a path's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// First, by the connecting end. `begins`: the bond has no path yet.
    Hello {
        bond: BondName,
        path: u8,
        begins: bool,
    },
    /// The answer.
    Welcome,
    Message {
        number: u64,
        content: Bytes,
    },
    /// So many messages, from the first on, have been taken.
    Heard {
        count: u64,
    },
    /// That bond is not known here, where a connection can't be closed with a reason ([`crate::CloseReason::Over`] says it over
    /// QUIC).
    Apart,
}

impl Word {
    /// As it travels.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HELLO_BYTES);
        match self {
            Self::Hello { bond, path, begins } => {
                bytes.put_u8(kind::HELLO);
                bytes.put_slice(&bond.run);
                bytes.put_u64_le(bond.number);
                bytes.put_u8(*path);
                bytes.put_u8(u8::from(*begins));
            }
            Self::Welcome => bytes.put_u8(kind::WELCOME),
            Self::Apart => bytes.put_u8(kind::APART),
            Self::Message { number, content } => {
                bytes.put_u8(kind::MESSAGE);
                bytes.put_u64_le(*number);
                bytes.put_slice(content);
            }
            Self::Heard { count } => {
                bytes.put_u8(kind::HEARD);
                bytes.put_u64_le(*count);
            }
        }
        bytes.freeze()
    }

    /// The word in `bytes`; `None` if it is none.
    #[must_use]
    pub fn read(bytes: &Bytes) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match *kind {
            kind::HELLO => hello(rest),
            kind::WELCOME => rest.is_empty().then_some(Self::Welcome),
            kind::APART => rest.is_empty().then_some(Self::Apart),
            kind::MESSAGE => {
                let (number, _) = rest.split_first_chunk()?;
                let content = bytes.slice(MESSAGE_HEADER_BYTES..);
                Some(Self::Message { number: u64::from_le_bytes(*number), content })
            }
            kind::HEARD => Some(Self::Heard { count: u64::from_le_bytes(rest.try_into().ok()?) }),
            _ => None,
        }
    }
}

fn hello(rest: &[u8]) -> Option<Word> {
    let (run, rest) = rest.split_first_chunk::<RUN_BYTES>()?;
    let (number, rest) = rest.split_first_chunk()?;
    let [path, begins] = <[u8; 2]>::try_from(rest).ok()?;
    let bond = BondName { run: *run, number: u64::from_le_bytes(*number) };
    (begins <= 1).then_some(Word::Hello { bond, path, begins: begins == 1 })
}

/// A datagram under its number.
pub(crate) fn datagram(number: u64, content: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(NUMBER_BYTES + content.len());
    bytes.put_u64_le(number);
    bytes.put_slice(content);
    bytes.freeze()
}

/// What fits a datagram beside its number.
pub(crate) fn datagram_content_max(datagram_bytes_max: usize) -> usize {
    datagram_bytes_max.saturating_sub(NUMBER_BYTES)
}

/// Number and content; `None` if it is too short.
pub(crate) fn read_datagram(bytes: &Bytes) -> Option<(u64, Bytes)> {
    let (number, _) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), bytes.slice(NUMBER_BYTES..)))
}

/// A run's name: nobody has to keep it secret, two runs must not share it.
pub(crate) fn new_run() -> Result<[u8; RUN_BYTES], getrandom::Error> {
    let mut run = [0; RUN_BYTES];
    getrandom::fill(&mut run).map(|()| run)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words() -> impl Strategy<Value = Word> {
        let hello = (any::<[u8; 16]>(), any::<u64>(), any::<u8>(), any::<bool>());
        prop_oneof![
            hello.prop_map(|(run, number, path, begins)| Word::Hello {
                bond: BondName { run, number },
                path,
                begins
            }),
            Just(Word::Welcome),
            Just(Word::Apart),
            (any::<u64>(), proptest::collection::vec(any::<u8>(), 0..64))
                .prop_map(|(number, content)| Word::Message { number, content: content.into() }),
            any::<u64>().prop_map(|count| Word::Heard { count }),
        ]
    }

    proptest! {
        /// Goal: what one end says is what the other reads.
        #[test]
        fn a_word_reads_back(word in words()) {
            prop_assert_eq!(Word::read(&word.to_bytes()), Some(word));
        }

        /// Goal: whatever a peer sends is a word in its one form, or none.
        #[test]
        fn bytes_are_a_word_in_one_form_only(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let bytes = Bytes::from(bytes);
            if let Some(word) = Word::read(&bytes) {
                prop_assert_eq!(word.to_bytes(), bytes);
            }
        }

        #[test]
        fn a_datagram_reads_back(number: u64, content in proptest::collection::vec(any::<u8>(), 0..64)) {
            let read = read_datagram(&datagram(number, &content));
            prop_assert_eq!(read, Some((number, Bytes::from(content))));
        }
    }

    /// Goal: the longest message still fits the stream's own limit.
    #[test]
    fn the_longest_message_fits() {
        let content = Bytes::from(vec![0; PATHS_MESSAGE_BYTES_MAX]);
        assert_eq!(Word::Message { number: 1, content }.to_bytes().len(), MESSAGE_BYTES_MAX);
    }
}

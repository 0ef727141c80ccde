//! ROS 2's bytes: plain CDR after four bytes that say which (OMG DDSI-RTPS 2.5, 10.2).

use byteorder::{BigEndian, LittleEndian};
use thiserror::Error;

use crate::messages::Message;

/// No message that is taken in is longer: a joint state has a few hundred bytes.
pub const BYTES_MAX: usize = 4096;
const LITTLE_ENDIAN: [u8; 4] = [0, 1, 0, 0];
const BIG_ENDIAN: [u8; 2] = [0, 0];
/// After a message that does not fill its last four bytes.
const PADDING_MAX: usize = 3;

/// Why bytes are not a message.
#[derive(Debug, Error)]
pub enum CdrError {
    #[error("the message has {seen} bytes, at most {max} are allowed")]
    TooLong { seen: usize, max: usize },
    #[error("the message begins with {seen:?}, which is not plain CDR")]
    Encapsulation { seen: Vec<u8> },
    #[error("{left} bytes are left over")]
    LeftOver { left: usize },
    #[error(transparent)]
    Cdr(#[from] cdr_encoding::Error),
}

/// The message in little-endian CDR.
///
/// # Errors
/// [`CdrError::Cdr`] for a sequence longer than CDR can say.
pub fn encode(message: &impl Message) -> Result<Vec<u8>, CdrError> {
    let mut bytes = LITTLE_ENDIAN.to_vec();
    cdr_encoding::to_writer::<_, LittleEndian, _>(&mut bytes, message)?;
    Ok(bytes)
}

/// The message in these bytes, in either byte order.
///
/// # Errors
/// [`CdrError`] for anything else than one whole message.
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M, CdrError> {
    if bytes.len() > BYTES_MAX {
        return Err(CdrError::TooLong { seen: bytes.len(), max: BYTES_MAX });
    }
    let wrong = || CdrError::Encapsulation { seen: bytes.iter().copied().take(4).collect() };
    let (head, body) = bytes.split_first_chunk::<4>().ok_or_else(wrong)?;
    let (message, read) = match [head[0], head[1]] {
        order if order == LITTLE_ENDIAN[..2] => cdr_encoding::from_bytes::<M, LittleEndian>(body)?,
        order if order == BIG_ENDIAN => cdr_encoding::from_bytes::<M, BigEndian>(body)?,
        _ => return Err(wrong()),
    };
    match body.len() - read {
        0..=PADDING_MAX => Ok(message),
        left => Err(CdrError::LeftOver { left }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::messages::{Header, JointState, PoseStamped, StringStamped, Time};

    /// Goal: the bytes are those of the standard: alignment counts from after the four bytes, strings end with a zero. Written
    /// down by hand.
    #[test]
    fn a_string_has_the_standards_bytes() {
        let stamp = Time { sec: 1, nanosec: 2 };
        let header = Header { stamp, frame_id: "b".to_owned() };
        let message = StringStamped { header, string: "enable".to_owned() };
        let expected = [
            &[0, 1, 0, 0][..],
            &[1, 0, 0, 0, 2, 0, 0, 0],
            &[2, 0, 0, 0, b'b', 0, 0, 0],
            &[7, 0, 0, 0, b'e', b'n', b'a', b'b', b'l', b'e', 0],
        ]
        .concat();
        assert_eq!(encode(&message).unwrap(), expected);
        assert_eq!(decode::<StringStamped>(&expected).unwrap(), message);
        let big = [&[0, 0, 0, 0][..], &[0, 0, 0, 1, 0, 0, 0, 2], &[0, 0, 0, 1, 0, 0, 0, 0], &[0, 0, 0, 1, 0]];
        assert_eq!(decode::<StringStamped>(&big.concat()).unwrap().header.stamp, stamp);
    }

    #[test]
    fn what_is_not_one_whole_message_is_refused() {
        let whole = encode(&PoseStamped::default()).unwrap();
        assert!(decode::<PoseStamped>(&whole[..whole.len() - 1]).is_err());
        assert!(matches!(
            decode::<PoseStamped>(&[&whole[..], &[0; 4]].concat()),
            Err(CdrError::LeftOver { left: 4 })
        ));
        assert!(matches!(decode::<PoseStamped>(&[1, 2, 3, 4]), Err(CdrError::Encapsulation { .. })));
        assert!(matches!(decode::<PoseStamped>(&[0; BYTES_MAX + 1]), Err(CdrError::TooLong { .. })));
        let endless = [&[0, 1, 0, 0][..], &[0; 8], &[1, 0, 0, 0, 0, 0, 0, 0], &[0xff; 4]].concat();
        assert!(decode::<JointState>(&endless).is_err(), "four thousand million names");
    }

    proptest! {
        /// Goal: no bytes from outside make a parser panic, and what parses is written as one thing.
        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..300), order in 0u8..2) {
            let bytes = [&[0, order, 0, 0][..], &body].concat();
            if let Ok(message) = decode::<JointState>(&bytes) {
                let written = encode(&message).unwrap();
                prop_assert_eq!(encode(&decode::<JointState>(&written).unwrap()).unwrap(), written);
            }
            let _ = decode::<StringStamped>(&bytes);
        }
    }
}

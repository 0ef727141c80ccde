//! Something beside a picture, in its own access unit, so that one never comes without the other: unregistered user data (ITU-T
//! H.264, D.1.6), which decoders pass over and no hash of the picture covers.

use crate::annexb::{NalUnits, join, nal_type};

/// NAL unit header and payload type.
const SEI: [u8; 2] = [6, 5];
/// The stop bit at the end of every payload (7.3.2.11).
const STOP: u8 = 0x80;

/// The access unit with this content before its picture, under a name that tells it from everybody else's.
pub fn with_user_data(stream: &[u8], name: [u8; 16], content: &[u8]) -> Vec<u8> {
    let data = user_data(name, content);
    let units: Vec<&[u8]> = NalUnits::new(stream).collect();
    let first = units.iter().position(|unit| nal_type(unit).is_picture()).unwrap_or(units.len());
    let (before, picture) = units.split_at(first);
    join(before.iter().copied().chain([&data[..]]).chain(picture.iter().copied()))
}

/// The access unit without what it carries under this name, and that content, if it is there and whole.
pub fn split_user_data(stream: &[u8], name: [u8; 16]) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut content = None;
    let rest = join(NalUnits::new(stream).filter(|unit| {
        let found = content_under(unit, name);
        let is_it = found.is_some();
        content = content.take().or(found);
        !is_it
    }));
    (rest, content)
}

fn content_under(unit: &[u8], name: [u8; 16]) -> Option<Vec<u8>> {
    let escaped = unit.strip_prefix(&SEI)?;
    let mut zeros = 0;
    let mut data = Vec::with_capacity(escaped.len());
    for &byte in escaped {
        let inserted = zeros >= 2 && byte == 3;
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        if !inserted {
            data.push(byte);
        }
    }
    let longer = data.iter().take_while(|byte| **byte == 0xff).count();
    let length = 255 * longer + usize::from(*data.get(longer)?);
    let content = data.get(longer + 1..)?.get(..length)?;
    content.strip_prefix(&name).map(<[u8]>::to_vec)
}

fn user_data(name: [u8; 16], content: &[u8]) -> Vec<u8> {
    let length = name.len() + content.len();
    let mut unit = SEI.to_vec();
    unit.extend(std::iter::repeat_n(0xff, length / 255));
    unit.push((length % 255) as u8);
    let mut zeros = 0;
    // No three bytes may look like a start code (7.4.1).
    for byte in name.iter().chain(content).copied().chain([STOP]) {
        if zeros == 2 && byte <= 3 {
            unit.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        unit.push(byte);
    }
    unit
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::annexb::inspect;

    const UNIT: [u8; 12] = [0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x65, 9];

    /// Goal: what a browser's test (`cloud/console/test/wire.test.ts`) reads, by hand from the standard.
    #[test]
    fn it_stands_before_the_picture_as_the_standard_says() {
        let mut expected = vec![0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 6, 5, 23];
        expected.extend([0x11; 16]);
        expected.extend([0, 0, 3, 1, 0, 0, 3, 0, 2, 0x80, 0, 0, 0, 1, 0x65, 9]);
        assert_eq!(with_user_data(&UNIT, [0x11; 16], &[0, 0, 1, 0, 0, 0, 2]), expected);
    }

    proptest! {
        /// Goal: whatever the content, the picture is the same picture, there is one unit more, and it comes out again under its name.
        #[test]
        fn the_picture_stays_what_it_is(content: Vec<u8>, name: [u8; 16]) {
            let with = with_user_data(&UNIT, name, &content);
            prop_assert_eq!(NalUnits::new(&with).count(), 3);
            prop_assert_eq!(inspect(&with).unwrap().picture_hash, inspect(&UNIT).unwrap().picture_hash);
            prop_assert_eq!(split_user_data(&with, name), (UNIT.to_vec(), Some(content)));
            let other = name.map(|byte| byte ^ 1);
            prop_assert_eq!(split_user_data(&with, other), (with, None));
        }

        /// Goal: no bytes make it fail, whoever sent them.
        #[test]
        fn any_bytes_are_survived(stream: Vec<u8>, name: [u8; 16]) {
            let (rest, _) = split_user_data(&[&[0, 0, 1, 6, 5], &stream[..]].concat(), name);
            prop_assert!(rest.len() <= stream.len() + 6 + stream.len() / 3);
        }
    }
}

//! An access unit in its one form, so that its two hashes leave no byte of it unsaid.
//!
//! The hashes of a frame ([`farhand_ledger::picture`]) cover NAL units with their lengths, but neither start codes nor
//! what is dropped before sending: delimiters, filler, zero bytes behind a NAL unit. So a bundle holds each NAL unit
//! that was sent, in order, each behind the start code `00 00 00 01`, and nothing else.

use farhand_ledger::picture::{is_sent, nal_units};

/// Before each NAL unit.
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The access unit in its one form. Takes any Annex B form, its own too.
pub(crate) fn one_form(annex_b: &[u8]) -> Vec<u8> {
    let mut unit = Vec::with_capacity(annex_b.len() + 16);
    for nal in nal_units(annex_b).filter(|nal| is_sent(nal)) {
        unit.extend(START_CODE);
        unit.extend(nal);
    }
    unit
}

/// Whether the access unit is in its one form.
pub(crate) fn is_one_form(unit: &[u8]) -> bool {
    let mut rest = unit;
    for nal in nal_units(unit) {
        let after = rest.strip_prefix(&START_CODE).and_then(|rest| rest.strip_prefix(nal));
        match after {
            Some(after) if is_sent(nal) => rest = after,
            _ => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use farhand_ledger::picture::hashes;

    /// Goal: whatever the start codes, delimiters, filler and zeros, one access unit has one form, of the same hashes.
    #[test]
    fn a_unit_has_one_form() {
        let slice = [0x65, 4, 0, 0, 3, 1];
        let plain = [&START_CODE[..], &[0x67, 1, 2], &START_CODE, &slice].concat();
        let dressed = [
            &[0, 0, 1, 9, 0xf0][..],
            &[0, 0, 1, 0x67, 1, 2, 0, 0],
            &[0, 0, 0, 1, 12, 0xff, 0x80, 0, 0, 1],
            &slice,
            &[0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(one_form(&dressed), plain);
        assert_eq!(one_form(&plain), plain);
        assert!(is_one_form(&plain) && is_one_form(&[]) && !is_one_form(&dressed));
        assert!(!is_one_form(&[&plain[..], &[0]].concat()) && !is_one_form(&plain[1..]));
        assert_eq!(hashes(&dressed), hashes(&plain));
        assert!(one_form(&[1, 2, 3]).is_empty());
    }
}

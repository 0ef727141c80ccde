//! Deterministic CBOR (RFC 8949 §4.2), read strictly.
//!
//! Invariant: **one value, one encoding.** Whatever is read is encoded again and compared, so that two different byte
//! strings never mean the same thing, and a hash over bytes is a hash over the value. Structs are arrays of their
//! fields in order, enums are arrays that begin with the variant's number; there are no maps, no floats, no tags and no
//! nulls. Sizes are checked before anything is decoded.

use minicbor::{Decode, Encode};
use thiserror::Error;

/// A record with one encoding and a bounded size.
pub trait Cbor: Encode<()> + for<'b> Decode<'b, ()> {
    /// What it is, in errors.
    const WHAT: &'static str;
    /// No encoding is longer.
    const BYTES_MAX: usize;

    /// Whether its lists, strings and numbers are within their bounds.
    fn check(&self) -> Result<(), Malformed>;

    /// Its one encoding.
    #[must_use]
    fn to_bytes(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("a vector takes every byte")
    }

    /// The record in `bytes`, which must be its one encoding and within all bounds.
    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        at_most(Self::WHAT, bytes.len(), Self::BYTES_MAX)?;
        let value: Self = minicbor::decode(bytes).map_err(|_| Malformed::Cbor { what: Self::WHAT })?;
        value.check()?;
        if value.to_bytes() == bytes { Ok(value) } else { Err(Malformed::Cbor { what: Self::WHAT }) }
    }
}

/// Why bytes are not a record. Nothing about them is believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    #[error("{what} has {bytes} bytes, at most {max} are allowed")]
    TooLong { what: &'static str, bytes: usize, max: usize },
    #[error("{what} has {bytes} bytes, expected {expected}")]
    Length { what: &'static str, bytes: usize, expected: usize },
    #[error("{what} is not deterministic CBOR of a known shape")]
    Cbor { what: &'static str },
    #[error("{what} is {seen}, allowed are {min} to {max}")]
    Range { what: &'static str, seen: u64, min: u64, max: u64 },
    #[error("{what} of kind {kind} is not known to this version")]
    UnknownKind { what: &'static str, kind: u64 },
}

/// A size within its limit.
pub(crate) fn at_most(what: &'static str, bytes: usize, max: usize) -> Result<(), Malformed> {
    if bytes <= max { Ok(()) } else { Err(Malformed::TooLong { what, bytes, max }) }
}

/// A number within its limits.
pub(crate) fn within(what: &'static str, seen: u64, min: u64, max: u64) -> Result<(), Malformed> {
    if (min..=max).contains(&seen) { Ok(()) } else { Err(Malformed::Range { what, seen, min, max }) }
}

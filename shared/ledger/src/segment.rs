//! Segments: what the surgeon's console, the kit and the console's display say about a stretch of time, each under its
//! own key and each naming the one before, so that neither side can later deny the other's part.
//!
//! All are deterministic CBOR in [`farhand_wire::Signed`] under a domain of their own. Numbers begin at 1; `previous` is
//! SHA-256 of the signed bytes before, and [`Hash::ZERO`] in the first.

use ed25519_dalek::SigningKey;
use farhand_wire::{
    BadSignature, FrameId, KitBootId, KitTick, LeaseToken, PublicKey, Rejection, STATEMENT_BYTES_MAX,
    Sequence, SessionId, Signed,
};
use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::{
    BadTransaction, Cbor, Hash, Malformed,
    cbor::{at_most, within},
};

/// No segment lists more.
pub const SEGMENT_ITEMS_MAX: usize = 256;

/// What all segments have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Link {
    #[n(0)]
    pub session: SessionId,
    /// From 1, one more each segment.
    #[n(1)]
    pub number: u64,
    /// SHA-256 of the signed segment before; zero before the first.
    #[n(2)]
    pub previous: Hash,
}

/// A signed stretch of somebody's log.
pub trait Segment: Cbor {
    /// Covered by the signature before author and body.
    const DOMAIN: &'static [u8];

    /// Its place in its chain.
    fn link(&self) -> Link;

    /// The segment under `key`, as it travels.
    fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, Malformed> {
        self.check()?;
        let signed = Signed::new(Self::DOMAIN, key, self.to_bytes()).to_bytes();
        at_most(Self::WHAT, signed.len(), STATEMENT_BYTES_MAX)?;
        Ok(signed)
    }

    /// Author and segment, if the author signed it.
    fn open(bytes: &[u8]) -> Result<(PublicKey, Self), BadTransaction> {
        let signed = Signed::read(bytes).map_err(BadSignature::from)?;
        signed.check(Self::DOMAIN)?;
        Ok((signed.author, Self::read(&signed.body)?))
    }
}

/// By the surgeon's session key, every 100 ms over a reliable channel: all commands that were sent, lost ones too. A
/// segment is about one lease token; a new token begins a new segment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SurgeonSegment {
    #[n(0)]
    pub link: Link,
    #[n(1)]
    pub token: LeaseToken,
    /// Without holes: the first follows the last of the segment before, or is 1 where the token is new.
    #[n(2)]
    pub sent: Vec<Sent>,
}

/// A command that left the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sent {
    #[n(0)]
    pub sequence: Sequence,
    /// SHA-256 of the whole frame, with its code.
    #[n(1)]
    pub hash: Hash,
}

/// By the kit, every 100 ms: its verdict on every authentic command. The only evidence of verdicts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KitSegment {
    /// Numbers begin anew with each run of the kit's program.
    #[n(0)]
    pub link: Link,
    #[n(1)]
    pub boot: KitBootId,
    /// The stretch: from this tick, inclusive; the end of the segment before.
    #[n(2)]
    pub from: KitTick,
    /// To this tick, exclusive.
    #[n(3)]
    pub to: KitTick,
    #[n(4)]
    pub token: LeaseToken,
    /// Frames in this stretch that were not authentic. They have no verdict.
    #[n(5)]
    pub unauthentic: u64,
    #[n(6)]
    pub verdicts: Vec<KitVerdict>,
}

/// What became of one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KitVerdict {
    #[n(0)]
    pub sequence: Sequence,
    #[n(1)]
    pub tick: KitTick,
    #[n(2)]
    pub outcome: Outcome,
}

/// Taken in, or refused and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Outcome {
    #[n(0)]
    TakenIn,
    /// The numbers of [`Rejection::parts`], in thousandths: there are no floats in evidence.
    #[n(1)]
    Refused {
        #[n(0)]
        code: u32,
        #[n(1)]
        seen_milli: i64,
        #[n(2)]
        limit_milli: i64,
    },
}

impl From<Option<Rejection>> for Outcome {
    fn from(rejection: Option<Rejection>) -> Self {
        let milli = |value: f64| (value * 1000.0).round() as i64;
        rejection.map_or(Self::TakenIn, |rejection| {
            let (code, seen, limit) = rejection.parts();
            Self::Refused { code, seen_milli: milli(seen), limit_milli: milli(limit) }
        })
    }
}

/// By the surgeon's session key: which frames the browser received and showed. It reckons `picture_hash` itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DisplayReport {
    #[n(0)]
    pub link: Link,
    #[n(1)]
    pub shown: Vec<Shown>,
}

/// A frame that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Shown {
    #[n(0)]
    pub frame: FrameId,
    /// Over what the browser received.
    #[n(1)]
    pub picture_hash: Hash,
    /// When, in µs of the console's own clock.
    #[n(2)]
    pub shown_us: u64,
    /// From capture to being shown, in µs, by the console's reckoning.
    #[n(3)]
    pub glass_to_glass_us: u64,
}

macro_rules! segment {
    ($name:ident, $what:literal, $domain:literal, $items:ident) => {
        impl Cbor for $name {
            const WHAT: &'static str = $what;
            const BYTES_MAX: usize = STATEMENT_BYTES_MAX;

            fn check(&self) -> Result<(), Malformed> {
                within("segment number", self.link.number, 1, u64::MAX)?;
                within("items in a segment", self.$items.len() as u64, 0, SEGMENT_ITEMS_MAX as u64)
            }
        }

        impl Segment for $name {
            const DOMAIN: &'static [u8] = $domain;

            fn link(&self) -> Link {
                self.link
            }
        }
    };
}

segment!(SurgeonSegment, "surgeon segment", b"farhand/v1 surgeon segment\0", sent);
segment!(KitSegment, "kit segment", b"farhand/v1 kit segment\0", verdicts);
segment!(DisplayReport, "display report", b"farhand/v1 display report\0", shown);

/// The end of a chain of signed segments. For whoever writes one, and for whoever checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    session: SessionId,
    number: u64,
    newest: Hash,
}

impl Chain {
    /// The chain before its first segment.
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        Self { session, number: 0, newest: Hash::ZERO }
    }

    /// What the next segment must carry.
    #[must_use]
    pub fn next(&self) -> Link {
        Link { session: self.session, number: self.number + 1, previous: self.newest }
    }

    /// Takes a segment that has been signed, whose link it checks.
    pub fn extend(&mut self, link: Link, signed: &[u8]) -> Result<(), BadLink> {
        let expected = self.next();
        if link != expected {
            return Err(BadLink { seen: link, expected });
        }
        self.skip_to(link, signed);
        Ok(())
    }

    /// Goes on from a segment whatever came before it: after a fault that has been reported.
    pub fn skip_to(&mut self, link: Link, signed: &[u8]) {
        self.number = link.number;
        self.newest = Hash::of(signed);
    }
}

/// A segment that does not continue its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "segment {} of session {} after {}, expected {} of {} after {}",
    seen.number, seen.session, seen.previous, expected.number, expected.session, expected.previous
)]
pub struct BadLink {
    pub seen: Link,
    pub expected: Link,
}

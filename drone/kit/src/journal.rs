//! The kit's own log: what became of every command, in signed segments of 100 ms, each naming the one before.
//!
//! Invariants, local: **every verdict of the loop is in exactly one segment**, under its command's token; the segments of
//! one run cover its time without a hole; and what was signed is kept, up to a bound, so that an edge box that comes
//! back gets all of it again.

use std::collections::VecDeque;

use ed25519_dalek::SigningKey;
use farhand_ledger::{Chain, KitSegment, KitVerdict, SEGMENT_ITEMS_MAX, Segment};
use farhand_wire::{Kind, KitBootId, KitTick, LeaseToken, SessionId};

use crate::Judged;

/// Length of a segment.
const SEGMENT_US: u64 = 100_000;
/// Segments kept for an edge box that comes back: five minutes.
const KEPT_MAX: usize = 3_000;
/// And their bytes.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The log of one run of the kit's program.
pub(crate) struct Journal {
    key: SigningKey,
    boot: KitBootId,
    /// None before a session is open: until then there is nothing to judge.
    chain: Option<Chain>,
    from: KitTick,
    token: LeaseToken,
    verdicts: Vec<KitVerdict>,
    unauthentic: u64,
    kept: VecDeque<Vec<u8>>,
    kept_bytes: usize,
    forgotten: u64,
}

impl Journal {
    pub(crate) fn new(key: SigningKey, boot: KitBootId) -> Self {
        Self {
            key,
            boot,
            chain: None,
            from: KitTick(0),
            token: LeaseToken(0),
            verdicts: Vec::with_capacity(SEGMENT_ITEMS_MAX),
            unauthentic: 0,
            kept: VecDeque::new(),
            kept_bytes: 0,
            forgotten: 0,
        }
    }

    /// A session is open. Of the messages that earlier runs left, those with its segments are kept too.
    pub(crate) fn open(&mut self, session: SessionId, past: Vec<Vec<u8>>) {
        self.chain = Some(Chain::new(session));
        let of_session = |message: &Vec<u8>| {
            let signed = Kind::KitSegment.content(message).ok()?;
            Some(KitSegment::open(signed).ok()?.1.link.session == session)
        };
        past.into_iter().filter(|message| of_session(message) == Some(true)).for_each(|old| self.keep(old));
    }

    /// A message was not authentic.
    pub(crate) fn unauthentic(&mut self) {
        self.unauthentic += 1;
    }

    /// Takes a verdict; returns the message of the segment that had to end before it, if one had to.
    pub(crate) fn judged(&mut self, judged: &Judged) -> Option<Vec<u8>> {
        let other = judged.token != self.token;
        let ends = !self.verdicts.is_empty() && (other || self.verdicts.len() == SEGMENT_ITEMS_MAX);
        let last = self.verdicts.last().map_or(self.from, |verdict| verdict.tick);
        let ended = if ends { self.end(after(last)) } else { None };
        self.token = judged.token;
        self.verdicts.push(KitVerdict {
            sequence: judged.verdict.sequence,
            // Where a segment ended within the tick, the rest of that tick counts to the next.
            tick: judged.tick.max(self.from),
            outcome: judged.verdict.rejection.into(),
        });
        ended
    }

    /// The loop's tick was over at `now`, with everything that it judged; the message of a segment, if one is due.
    pub(crate) fn tick(&mut self, now: KitTick, token: LeaseToken) -> Option<Vec<u8>> {
        let due = after(now).us_since(self.from) >= SEGMENT_US;
        if self.verdicts.is_empty() {
            self.token = token;
        }
        if due { self.end(after(now)) } else { None }
    }

    /// Ends the segment before its time: nothing may be left behind.
    pub(crate) fn end_now(&mut self, now: KitTick) -> Option<Vec<u8>> {
        self.end(after(now))
    }

    /// All that is kept, oldest first.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.kept.iter()
    }

    /// Segments that nobody can ask for any more.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Up to `to`, exclusive.
    fn end(&mut self, to: KitTick) -> Option<Vec<u8>> {
        let chain = self.chain.as_mut()?;
        let to = to.max(self.from);
        let segment = KitSegment {
            link: chain.next(),
            boot: self.boot,
            from: self.from,
            to,
            token: self.token,
            unauthentic: std::mem::take(&mut self.unauthentic),
            verdicts: self.verdicts.drain(..).collect(),
        };
        let signed = segment.sign(&self.key).expect("256 verdicts of at most 41 bytes are below 16 KiB");
        chain.skip_to(segment.link, &signed);
        self.from = to;
        let message = Kind::KitSegment.wrap(&signed);
        self.keep(message.clone());
        Some(message)
    }

    fn keep(&mut self, message: Vec<u8>) {
        self.kept_bytes += message.len();
        self.kept.push_back(message);
        while self.kept.len() > KEPT_MAX || self.kept_bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.len();
            self.forgotten += 1;
        }
    }
}

/// The first µs that is no longer that tick's.
fn after(tick: KitTick) -> KitTick {
    KitTick(tick.0 + 1)
}

#[cfg(test)]
mod tests {
    use farhand_wire::{Rejection, Sequence, Verdict};

    use super::*;

    fn journal() -> Journal {
        let mut journal = Journal::new(SigningKey::from_bytes(&[1; 32]), KitBootId([2; 16]));
        journal.open(SessionId([3; 16]), vec![]);
        journal
    }

    fn judged(ms: u64, token: u64, sequence: u64) -> Judged {
        let rejection = Some(Rejection::LeaseExpired { idle_ms: f64::INFINITY, max_ms: f64::MAX });
        let verdict = Verdict { sequence: Sequence(sequence), rejection };
        Judged { tick: KitTick(0).plus_ms(ms), token: LeaseToken(token), verdict }
    }

    fn read(message: &[u8]) -> KitSegment {
        KitSegment::open(Kind::KitSegment.content(message).unwrap()).unwrap().1
    }

    /// Whatever was given is there once, in chained segments without holes in time.
    fn holds(messages: &[Vec<u8>], verdicts: usize) {
        let (mut chain, mut from, mut count) = (Chain::new(SessionId([3; 16])), KitTick(0), 0);
        for message in messages {
            let segment = read(message);
            chain.extend(segment.link, Kind::KitSegment.content(message).unwrap()).unwrap();
            assert_eq!(segment.from, from);
            assert!(segment.verdicts.iter().all(|it| (segment.from..segment.to).contains(&it.tick)));
            (from, count) = (segment.to, count + segment.verdicts.len());
        }
        assert_eq!(count, verdicts);
    }

    /// Goal: a segment each 100 ms, also when nothing came, and none before a session is open.
    #[test]
    fn there_is_a_segment_every_100_ms() {
        let mut journal = journal();
        let segments: Vec<_> =
            (0..=100).filter_map(|n| journal.tick(KitTick(n * 10_000), LeaseToken(1))).collect();
        assert_eq!(segments.len(), 10);
        holds(&segments, 0);
        let mut closed = Journal::new(SigningKey::from_bytes(&[1; 32]), KitBootId([2; 16]));
        assert_eq!(closed.tick(KitTick(900_000), LeaseToken(0)), None);
    }

    /// Goal: a flood within one tick, under tokens that alternate, loses no verdict and breaks no chain; each token's
    /// verdicts stand under it, and the longest possible segment still fits its envelope.
    #[test]
    fn no_flood_loses_a_verdict() {
        let mut journal = journal();
        let mut segments = Vec::new();
        for n in 0..1_000 {
            segments.extend(journal.judged(&judged(5, u64::MAX, u64::MAX - n)));
        }
        for n in 0..100 {
            segments.extend(journal.judged(&judged(5, n % 2, n)));
        }
        segments.extend(journal.tick(KitTick(106_000), LeaseToken(1)));
        holds(&segments, 1_100);
        for segment in segments.iter().map(|message| read(message)) {
            let odd = |it: &KitVerdict| it.sequence.0 % 2 == segment.token.0;
            assert!(segment.token.0 > 1 || segment.verdicts.iter().all(odd));
        }
    }

    /// Goal: what an earlier run left goes before what this run adds, and what belongs to another session goes nowhere.
    #[test]
    fn an_earlier_runs_segments_of_the_session_are_kept() {
        let mut past = journal();
        let old = past.end_now(KitTick(5)).unwrap();
        let mut other = Journal::new(SigningKey::from_bytes(&[1; 32]), KitBootId([2; 16]));
        other.open(SessionId([9; 16]), vec![]);
        let foreign = other.end_now(KitTick(5)).unwrap();
        let mut journal = Journal::new(SigningKey::from_bytes(&[1; 32]), KitBootId([8; 16]));
        journal.open(SessionId([3; 16]), vec![foreign, old.clone(), b"torn".to_vec()]);
        let new = journal.end_now(KitTick(7)).unwrap();
        assert_eq!(journal.kept().collect::<Vec<_>>(), [&old, &new]);
        assert_eq!(read(&new).link.number, 1);
    }

    /// Goal: what is kept is bounded, and what is forgotten is counted.
    #[test]
    fn the_oldest_are_forgotten_and_counted() {
        let mut journal = journal();
        for n in 1..=KEPT_MAX as u64 + 7 {
            journal.tick(KitTick(n * SEGMENT_US * 2), LeaseToken(1));
        }
        assert_eq!((journal.kept().count(), journal.forgotten()), (KEPT_MAX, 7));
    }
}

//! The edge box's recorder as the kit sees it: what was relayed becomes durable after a while, and the kit is told how far;
//! and what the edge box keeps of the kit's own log.

use std::collections::{BTreeMap, VecDeque};

use farhand_ledger::{Cbor, Chain, KitSegment, Segment};
use farhand_wire::{
    Command, Kind, KitBootId, LeaseToken, PublicKey, Said, Sequence, SessionId, Signed, Statement, Watermark,
};
use fastrand::Rng;

/// From being relayed to being on disk, in good days.
const COMMIT_US: u64 = 4_000;
/// The kit is told so often.
const TELL_US: u64 = 10_000;

/// What is wrong with the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// Nothing becomes durable.
    Stalls,
    /// Everything does, this much later.
    Lags { us: u64 },
    /// The kit is not told.
    Vanishes,
    /// It is told of less than was said before, of other leases, or of what is not there yet.
    Lies,
}

/// Knows what is durable.
#[derive(Debug)]
pub struct Recorder {
    pub fault: Option<RecordFault>,
    rng: Rng,
    waiting: VecDeque<(u64, LeaseToken, Sequence)>,
    lists: VecDeque<(u64, PublicKey)>,
    /// Whose each lease is, and how many lists of each surgeon's are durable.
    holders: BTreeMap<LeaseToken, PublicKey>,
    listed: BTreeMap<PublicKey, u64>,
    durable: Watermark,
}

impl Recorder {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let durable = Watermark { token: LeaseToken(0), newest: Sequence(0), segments: 0 };
        Self {
            fault: None,
            rng: Rng::with_seed(seed),
            waiting: VecDeque::new(),
            lists: VecDeque::new(),
            holders: BTreeMap::new(),
            listed: BTreeMap::new(),
            durable,
        }
    }

    /// A command was relayed, and is written.
    pub fn relayed(&mut self, now_us: u64, bytes: &[u8]) {
        if let Ok(command) = Command::read(bytes) {
            self.waiting.push_back((now_us, command.token, command.sequence));
        }
    }

    /// A surgeon's signed list came, and is written.
    pub fn listed(&mut self, now_us: u64, message: &[u8]) {
        if let Ok(signed) = Kind::SurgeonSegment.content(message).and_then(Signed::read) {
            self.lists.push_back((now_us, signed.author));
        }
    }

    /// Somebody signed something: whose lease it is, if it says so.
    pub fn signed(&mut self, message: &[u8]) {
        let Ok(signed) = Signed::read(message) else { return };
        if let Ok(Statement { said: Said::LeaseConfirm { transcript }, .. }) = minicbor::decode(&signed.body)
        {
            self.holders.insert(transcript.token, signed.author);
        }
    }

    /// What the kit is told now, if anything.
    pub fn step(&mut self, now_us: u64) -> Option<Watermark> {
        let commit_us = match self.fault {
            Some(RecordFault::Stalls) => u64::MAX,
            Some(RecordFault::Lags { us }) => us,
            _ => COMMIT_US,
        };
        let due = |at_us: u64| now_us.saturating_sub(at_us) >= commit_us;
        while let Some((_, author)) = self.lists.pop_front_if(|(at_us, _)| due(*at_us)) {
            *self.listed.entry(author).or_default() += 1;
        }
        while let Some((_, token, sequence)) = self.waiting.pop_front_if(|(at_us, ..)| due(*at_us)) {
            if token > self.durable.token {
                self.durable = Watermark { token, newest: sequence, ..self.durable };
            } else if token == self.durable.token {
                self.durable.newest = self.durable.newest.max(sequence);
            }
        }
        let holder = self.holders.get(&self.durable.token);
        self.durable.segments = holder.and_then(|holder| self.listed.get(holder)).copied().unwrap_or(0);
        now_us.is_multiple_of(TELL_US).then(|| self.told()).flatten()
    }

    fn lie(&mut self, truth: Watermark) -> Watermark {
        let back = Sequence(truth.newest.0.saturating_sub(self.rng.u64(100..1_000)));
        let before = LeaseToken(truth.token.0.saturating_sub(1));
        match self.rng.u8(0..10) {
            0..4 => Watermark { newest: back, ..truth },
            4..6 => Watermark { token: before, newest: Sequence(u64::MAX), ..truth },
            6..9 => Watermark { token: truth.token.next(), newest: Sequence(u64::MAX), ..truth },
            _ => Watermark { newest: Sequence(u64::MAX), ..truth },
        }
    }

    fn told(&mut self) -> Option<Watermark> {
        let truth = self.durable;
        match self.fault {
            Some(RecordFault::Vanishes) => None,
            Some(RecordFault::Lies) => Some(self.lie(truth)),
            _ => Some(truth),
        }
    }
}

/// The kit's segments as the edge box has them, each once.
#[derive(Debug)]
pub struct Logbook {
    session: SessionId,
    run: Option<(KitBootId, Chain)>,
    pub segments: u64,
    pub verdicts: u64,
    pub again: u64,
}

impl Logbook {
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        Self { session, run: None, segments: 0, verdicts: 0, again: 0 }
    }

    /// One signature in eight is checked: it is dear, and the same code makes them all.
    fn open(&self, signed: &[u8]) -> Result<KitSegment, String> {
        if self.segments.is_multiple_of(8) {
            return KitSegment::open(signed).map(|(_, segment)| segment).map_err(|error| error.to_string());
        }
        let signed = Signed::read(signed).map_err(|error| error.to_string())?;
        KitSegment::read(&signed.body).map_err(|error| error.to_string())
    }

    /// Takes a segment, or says what is wrong with it. One that is there already is no fault.
    pub fn take(&mut self, message: &[u8]) -> Result<(), String> {
        let signed = Kind::KitSegment.content(message).map_err(|error| error.to_string())?;
        let segment = self.open(signed)?;
        let new_run = self.run.as_ref().is_none_or(|(boot, _)| *boot != segment.boot);
        if new_run {
            self.run = Some((segment.boot, Chain::new(self.session)));
        }
        let Some((_, chain)) = &mut self.run else { return Ok(()) };
        if segment.link.number < chain.next().number {
            self.again += 1;
            return Ok(());
        }
        chain.extend(segment.link, signed).map_err(|error| error.to_string())?;
        self.segments += 1;
        self.verdicts += segment.verdicts.len() as u64;
        Ok(())
    }
}

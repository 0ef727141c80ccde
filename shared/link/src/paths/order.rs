//! Messages over several paths: whole, once, in order, none lost as long as one path stands. Pure.
//!
//! **The one rule (global):** on each path the numbers only rise, and a number is sent there only if the one before it was
//! sent there too, or has been acknowledged. So whoever receives never waits for a number that came over another path:
//! whatever the next path brings is at most one above what it has. What it has already is dropped.

use std::collections::VecDeque;

use bytes::Bytes;

use super::words::Word;

/// Messages that the peer has not acknowledged yet, with their numbers, from 1.
#[derive(Debug)]
pub struct Outbox {
    acknowledged: u64,
    waiting: VecDeque<Bytes>,
    max: usize,
}

/// The peer acknowledged what was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeverSent;

impl Outbox {
    /// At most `max` messages wait.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { acknowledged: 0, waiting: VecDeque::new(), max }
    }

    /// Queues a message, unless as many as may be wait.
    pub fn push(&mut self, content: Bytes) -> bool {
        let room = self.waiting.len() < self.max;
        if room {
            let number = self.acknowledged + self.waiting.len() as u64 + 1;
            self.waiting.push_back(Word::Message { number, content }.to_bytes());
        }
        room
    }

    #[must_use]
    pub fn max(&self) -> usize {
        self.max
    }

    /// The next message on a path whose last was `sent`, and its number, as [`Word::Message`] has it.
    #[must_use]
    pub fn after(&self, sent: u64) -> Option<(u64, Bytes)> {
        let skipped = sent.saturating_sub(self.acknowledged);
        let message = self.waiting.get(usize::try_from(skipped).ok()?)?;
        Some((self.acknowledged + skipped + 1, message.clone()))
    }

    /// The peer has so many.
    ///
    /// # Errors
    /// [`NeverSent`]: more than there were.
    pub fn acknowledge(&mut self, count: u64) -> Result<(), NeverSent> {
        let newly = count.saturating_sub(self.acknowledged);
        if newly > self.waiting.len() as u64 {
            return Err(NeverSent);
        }
        self.waiting.drain(..newly as usize);
        self.acknowledged += newly;
        Ok(())
    }
}

/// Messages taken so far.
#[derive(Debug, Default)]
pub struct Inbox {
    taken: u64,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    Next,
    Again,
    /// The peer broke the rule.
    TooEarly,
}

impl Inbox {
    /// Takes the message under that number.
    pub fn take(&mut self, number: u64) -> Arrived {
        if number <= self.taken {
            return Arrived::Again;
        }
        if number - self.taken > 1 {
            return Arrived::TooEarly;
        }
        self.taken = number;
        Arrived::Next
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }
}

/// How far one path's stream has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Written {
    message: u64,
    acknowledged: u64,
}

impl Written {
    /// What goes out next over this path: what is taken is acknowledged before more is said.
    pub fn next(&mut self, outbox: &Outbox, inbox: &Inbox) -> Option<Bytes> {
        let count = inbox.taken();
        if self.acknowledged < count {
            self.acknowledged = count;
            return Some(Word::Heard { count }.to_bytes());
        }
        let (number, message) = outbox.after(self.message)?;
        self.message = number;
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One path: what is under way on it, each way, and where its sender stands.
    #[derive(Default)]
    struct Path {
        sent: u64,
        under_way: VecDeque<Bytes>,
        acknowledgements: VecDeque<u64>,
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push,
        Send(usize),
        Arrive(usize),
        Acknowledge(usize),
        Hear(usize),
        /// The path dies with all that is under way on it, and another takes its place.
        Die(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let path = 0..3usize;
        let step = prop_oneof![
            2 => Just(Step::Push),
            4 => path.clone().prop_map(Step::Send),
            4 => path.clone().prop_map(Step::Arrive),
            1 => path.clone().prop_map(Step::Acknowledge),
            2 => path.clone().prop_map(Step::Hear),
            1 => path.prop_map(Step::Die),
        ];
        proptest::collection::vec(step, 0..600)
    }

    struct Model {
        outbox: Outbox,
        inbox: Inbox,
        paths: [Path; 3],
        pushed: u64,
        taken: Vec<u64>,
    }

    impl Model {
        fn new() -> Self {
            let (outbox, inbox) = (Outbox::new(1000), Inbox::default());
            Self { outbox, inbox, paths: Default::default(), pushed: 0, taken: Vec::new() }
        }

        fn take(&mut self, step: Step) {
            match step {
                Step::Push => {
                    self.pushed += 1;
                    assert!(self.outbox.push(Bytes::copy_from_slice(&self.pushed.to_le_bytes())));
                }
                Step::Send(at) => {
                    if let Some((number, message)) = self.outbox.after(self.paths[at].sent) {
                        self.paths[at].sent = number;
                        self.paths[at].under_way.push_back(message);
                    }
                }
                Step::Arrive(at) => {
                    if let Some(message) = self.paths[at].under_way.pop_front() {
                        self.arrive(&message);
                    }
                }
                Step::Acknowledge(at) => {
                    let taken = self.inbox.taken();
                    self.paths[at].acknowledgements.push_back(taken);
                }
                Step::Hear(at) => {
                    if let Some(count) = self.paths[at].acknowledgements.pop_front() {
                        self.outbox.acknowledge(count).unwrap();
                    }
                }
                Step::Die(at) => self.paths[at] = Path::default(),
            }
        }

        fn arrive(&mut self, message: &Bytes) {
            let Some(Word::Message { number, content }) = Word::read(message) else { unreachable!() };
            let arrived = self.inbox.take(number);
            assert_ne!(arrived, Arrived::TooEarly, "{number} after {}", self.inbox.taken());
            if arrived == Arrived::Next {
                self.taken.push(u64::from_le_bytes(content.as_ref().try_into().unwrap()));
            }
        }
    }

    proptest! {
        /// Goal: whichever paths die and whenever, messages come once and in order; and all of them, once one path lives
        /// long enough.
        #[test]
        fn paths_may_die_and_no_message_is_lost(steps in steps()) {
            let mut model = Model::new();
            steps.into_iter().for_each(|step| model.take(step));
            for _ in 0..=model.pushed {
                model.take(Step::Send(0));
            }
            while !model.paths[0].under_way.is_empty() {
                model.take(Step::Arrive(0));
            }
            prop_assert_eq!(model.taken, (1..=model.pushed).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_full_outbox_takes_no_more_until_the_peer_has_some() {
        let mut outbox = Outbox::new(2);
        assert!(outbox.push(Bytes::new()) && outbox.push(Bytes::new()) && !outbox.push(Bytes::new()));
        assert_eq!(outbox.acknowledge(3), Err(NeverSent));
        outbox.acknowledge(1).unwrap();
        assert!(outbox.push(Bytes::new()) && !outbox.push(Bytes::new()));
        assert_eq!(outbox.after(1).unwrap().0, 2);
        assert!(outbox.after(3).is_none());
    }

    #[test]
    fn a_message_that_comes_too_early_is_seen() {
        let mut inbox = Inbox::default();
        assert_eq!(
            (inbox.take(2), inbox.take(1), inbox.take(1)),
            (Arrived::TooEarly, Arrived::Next, Arrived::Again)
        );
        assert_eq!((inbox.take(2), inbox.taken()), (Arrived::Next, 2));
    }
}

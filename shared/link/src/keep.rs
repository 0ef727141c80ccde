//! When to look for a peer that is not there: a pure machine.
//!
//! **Invariants (local):** at most `attempts_max` attempts are under way; one that has been answered is the only one;
//! none lives longer than `attempt_ms_max`; between two starts lie at least `retry_ms_min`, whatever the peer does.
//!
//! An attempt that finds nobody sends only at its own start and then ever more rarely, so a peer that comes back is
//! found by the *next* start, not by the running one. A start must therefore not wait until the one before has failed,
//! which on a long path takes a second: attempts overlap, and the first that is answered wins.

use std::collections::VecDeque;

/// How a peer is looked for. Times in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchLimits {
    /// From the first start to the second; doubles from there.
    pub retry_ms_min: u64,
    /// From one start to the next at most: a peer that comes back is found this much later, and a round trip.
    pub retry_ms_max: u64,
    /// An attempt is given up after this.
    pub attempt_ms_max: u64,
    /// Attempts under way; the oldest makes room.
    pub attempts_max: usize,
    /// A connection that lasted less does not count as found: waiting goes on growing.
    pub steady_ms_min: u64,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self {
            retry_ms_min: 25,
            retry_ms_max: 200,
            attempt_ms_max: 3000,
            attempts_max: 16,
            steady_ms_min: 1000,
        }
    }
}

/// Number of an attempt, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Attempt(pub(crate) u64);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The peer answered and proved who it is.
    Answered(Attempt),
    Connected(Attempt),
    Failed(Attempt),
    /// The connection that stood is no more.
    Lost,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Start(Attempt),
    Abandon(Attempt),
    /// The attempt that was answered first may claim its connection.
    Claim(Attempt),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Searching { next_start_ms: u64 },
    Claiming { attempt: Attempt, since_ms: u64, next_start_ms: u64 },
    Connected { since_ms: u64 },
}

/// Looks for one peer. Time is ms since any fixed point, and never goes back.
#[derive(Debug)]
pub(crate) struct Search {
    limits: SearchLimits,
    phase: Phase,
    wait_ms: u64,
    last: Attempt,
    under_way: VecDeque<(Attempt, u64)>,
    outbox: VecDeque<Output>,
}

impl Search {
    /// Searching, with the first start due at once.
    pub(crate) fn new(now_ms: u64, limits: SearchLimits) -> Self {
        Self {
            limits,
            phase: Phase::Searching { next_start_ms: now_ms },
            wait_ms: limits.retry_ms_min,
            last: Attempt(0),
            under_way: VecDeque::new(),
            outbox: VecDeque::new(),
        }
    }

    /// Takes what happened. What concerns an attempt that was abandoned changes nothing.
    pub(crate) fn handle(&mut self, now_ms: u64, input: Input) {
        match input {
            Input::Answered(attempt) => self.answered(now_ms, attempt),
            Input::Connected(attempt) => self.connected(now_ms, attempt),
            Input::Failed(attempt) => self.failed(attempt),
            Input::Lost => self.lost(now_ms),
        }
    }

    /// What to do now, one thing at a time until `None`.
    pub(crate) fn poll(&mut self, now_ms: u64) -> Option<Output> {
        self.give_up_old(now_ms);
        self.start_if_due(now_ms);
        self.outbox.pop_front()
    }

    /// When [`Search::poll`] has something to do next, if nothing happens before.
    pub(crate) fn wake_at_ms(&self) -> Option<u64> {
        let oldest_ends = self.under_way.front().map(|(_, since_ms)| since_ms + self.limits.attempt_ms_max);
        match self.phase {
            Phase::Searching { next_start_ms } => {
                Some(oldest_ends.map_or(next_start_ms, |end| end.min(next_start_ms)))
            }
            Phase::Claiming { since_ms, .. } => Some(since_ms + self.limits.attempt_ms_max),
            Phase::Connected { .. } => None,
        }
    }

    fn answered(&mut self, now_ms: u64, attempt: Attempt) {
        let Phase::Searching { next_start_ms } = self.phase else { return };
        if !self.forget(attempt) {
            return;
        }
        self.abandon_all();
        self.outbox.push_back(Output::Claim(attempt));
        self.phase = Phase::Claiming { attempt, since_ms: now_ms, next_start_ms };
    }

    fn connected(&mut self, now_ms: u64, attempt: Attempt) {
        if matches!(self.phase, Phase::Claiming { attempt: claiming, .. } if claiming == attempt) {
            self.phase = Phase::Connected { since_ms: now_ms };
        }
    }

    fn failed(&mut self, attempt: Attempt) {
        self.forget(attempt);
        if let Phase::Claiming { attempt: claiming, next_start_ms, .. } = self.phase
            && claiming == attempt
        {
            self.phase = Phase::Searching { next_start_ms };
        }
    }

    /// A peer that was steady is looked for at once; one that only flickered, after the wait that was due anyway.
    fn lost(&mut self, now_ms: u64) {
        let Phase::Connected { since_ms } = self.phase else { return };
        let steady = now_ms.saturating_sub(since_ms) >= self.limits.steady_ms_min;
        let next_start_ms = if steady { now_ms } else { now_ms + self.wait_ms };
        if steady {
            self.wait_ms = self.limits.retry_ms_min;
        } else {
            self.lengthen_wait();
        }
        self.phase = Phase::Searching { next_start_ms };
    }

    fn give_up_old(&mut self, now_ms: u64) {
        let old = |since_ms: u64| now_ms.saturating_sub(since_ms) >= self.limits.attempt_ms_max;
        while let Some((attempt, _)) = self.under_way.pop_front_if(|(_, since_ms)| old(*since_ms)) {
            self.outbox.push_back(Output::Abandon(attempt));
        }
        if let Phase::Claiming { attempt, since_ms, next_start_ms } = self.phase
            && old(since_ms)
        {
            self.outbox.push_back(Output::Abandon(attempt));
            self.phase = Phase::Searching { next_start_ms };
        }
    }

    fn start_if_due(&mut self, now_ms: u64) {
        let Phase::Searching { next_start_ms } = self.phase else { return };
        if now_ms < next_start_ms {
            return;
        }
        if self.under_way.len() >= self.limits.attempts_max
            && let Some((oldest, _)) = self.under_way.pop_front()
        {
            self.outbox.push_back(Output::Abandon(oldest));
        }
        self.last = Attempt(self.last.0 + 1);
        self.under_way.push_back((self.last, now_ms));
        self.outbox.push_back(Output::Start(self.last));
        self.phase = Phase::Searching { next_start_ms: now_ms + self.wait_ms };
        self.lengthen_wait();
    }

    fn lengthen_wait(&mut self) {
        self.wait_ms = (self.wait_ms * 2).min(self.limits.retry_ms_max);
    }

    fn abandon_all(&mut self) {
        self.outbox.extend(self.under_way.drain(..).map(|(attempt, _)| Output::Abandon(attempt)));
    }

    /// Whether it was under way.
    fn forget(&mut self, attempt: Attempt) -> bool {
        let before = self.under_way.len();
        self.under_way.retain(|(other, _)| *other != attempt);
        self.under_way.len() < before
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(search: &mut Search, now_ms: u64) -> Vec<Output> {
        std::iter::from_fn(|| search.poll(now_ms)).collect()
    }

    /// Runs an absent peer for `ms` and gives the times of the starts.
    fn starts_within(search: &mut Search, from_ms: u64, ms: u64) -> Vec<u64> {
        let starts = |now_ms| drain(search, now_ms).iter().filter(|o| matches!(o, Output::Start(_))).count();
        let count: Vec<_> = (from_ms..from_ms + ms).map(starts).collect();
        (from_ms..).zip(count).flat_map(|(now_ms, count)| std::iter::repeat_n(now_ms, count)).collect()
    }

    fn connect(search: &mut Search, now_ms: u64) -> Attempt {
        drain(search, now_ms);
        let attempt = search.last;
        search.handle(now_ms, Input::Answered(attempt));
        search.handle(now_ms, Input::Connected(attempt));
        attempt
    }

    /// Goal: however long a peer was away, the next start is never more than 200 ms off.
    #[test]
    fn an_absent_peer_is_tried_quickly_at_first_and_never_rarely() {
        let mut search = Search::new(0, SearchLimits::default());
        let starts = starts_within(&mut search, 0, 60_000);
        assert_eq!(starts[..6], [0, 25, 75, 175, 375, 575]);
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] <= 200));
    }

    /// Goal: the first attempt that is answered is the only one to claim, however many were under way.
    #[test]
    fn the_first_answer_wins_and_the_others_are_abandoned() {
        let mut search = Search::new(0, SearchLimits::default());
        starts_within(&mut search, 0, 100);
        search.handle(100, Input::Answered(Attempt(2)));
        search.handle(100, Input::Answered(Attempt(3)));
        let answer = drain(&mut search, 100);
        assert_eq!(
            answer,
            [Output::Abandon(Attempt(1)), Output::Abandon(Attempt(3)), Output::Claim(Attempt(2))]
        );
        search.handle(110, Input::Connected(Attempt(2)));
        assert_eq!((drain(&mut search, 5000), search.wake_at_ms()), (vec![], None));
    }

    /// Goal: a steady peer that is lost is looked for at once, as if for the first time.
    #[test]
    fn a_steady_peer_that_is_lost_is_looked_for_at_once() {
        let mut search = Search::new(0, SearchLimits::default());
        starts_within(&mut search, 0, 3000);
        connect(&mut search, 3000);
        search.handle(4000, Input::Lost);
        assert_eq!(starts_within(&mut search, 4000, 100), [4000, 4025, 4075]);
    }

    /// Goal: a peer that lets in and drops at once is not hammered.
    #[test]
    fn a_flickering_peer_is_tried_ever_more_slowly() {
        let mut search = Search::new(0, SearchLimits::default());
        let mut starts = 0;
        for now_ms in 0..10_000 {
            if drain(&mut search, now_ms).iter().any(|output| matches!(output, Output::Start(_))) {
                starts += 1;
                connect(&mut search, now_ms);
                search.handle(now_ms, Input::Lost);
            }
        }
        assert!((45..60).contains(&starts), "{starts} starts in 10 s");
    }

    /// Goal: a claim that hangs does not stop the search.
    #[test]
    fn a_claim_that_hangs_is_given_up() {
        let mut search = Search::new(0, SearchLimits::default());
        drain(&mut search, 0);
        search.handle(1, Input::Answered(Attempt(1)));
        assert_eq!(search.wake_at_ms(), Some(3001));
        let after = drain(&mut search, 3001);
        assert_eq!(
            after,
            [Output::Claim(Attempt(1)), Output::Abandon(Attempt(1)), Output::Start(Attempt(2))]
        );
    }

    proptest! {
        /// Goal: whatever a peer and the network do, the invariants in this file's head hold, and an idle search
        /// always says when it goes on.
        #[test]
        fn attempts_stay_bounded_and_the_search_never_stalls(
            events in proptest::collection::vec((0u64..300, 0u8..4, 0u64..8), 1..200)
        ) {
            let limits = SearchLimits::default();
            let mut search = Search::new(0, limits);
            let (mut now_ms, mut live, mut last_start_ms) = (0, std::collections::BTreeSet::new(), None);
            for (after_ms, what, back) in events {
                now_ms += after_ms;
                for output in drain(&mut search, now_ms) {
                    match output {
                        Output::Start(attempt) => {
                            let apart_ms = last_start_ms.map_or(u64::MAX, |last_ms| now_ms - last_ms);
                            prop_assert!(apart_ms >= limits.retry_ms_min);
                            last_start_ms = Some(now_ms);
                            live.insert(attempt.0);
                        }
                        Output::Abandon(attempt) => { live.remove(&attempt.0); }
                        Output::Claim(attempt) => prop_assert_eq!(&live, &[attempt.0].into()),
                    }
                }
                prop_assert!(live.len() <= limits.attempts_max);
                prop_assert!(search.wake_at_ms().is_none_or(|at_ms| at_ms > now_ms));
                let attempt = Attempt(search.last.0.saturating_sub(back));
                let input = [Input::Answered(attempt), Input::Connected(attempt), Input::Failed(attempt), Input::Lost]
                    [usize::from(what)];
                if input == Input::Failed(attempt) { live.remove(&attempt.0); }
                search.handle(now_ms, input);
                if matches!(search.phase, Phase::Connected { .. }) { live.clear(); }
            }
        }
    }
}

//! When a stream of `servo_cp` is a hand on the tool.
//!
//! **Invariant (local): one stream, one engagement.** The dead-man is held while poses come. It lets go when they stop, and
//! whatever else ended the engagement, it takes a new stream to begin another: one that was coming all along moves nothing
//! after a stop was cleared.

use farhand_wire::Pose;
use farhand_world::Lead;

/// Without a pose for so long, the hand lets go: as the guard's own limit for commands (`silence_hold_ms_max`).
const SILENCE_US: u64 = 50_000;
/// A stream that began while the tool could not follow is not followed later, but for this long, in which it comes to rest.
const BEGIN_US: u64 = 500_000;

/// What the hand needs to know of the arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arm {
    /// Held at rest, and in this surgeon's control: an engagement may begin.
    pub(super) ready: bool,
    /// It follows.
    pub(super) engaged: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Silent,
    /// It came, and the tool is not ready yet.
    Waiting {
        since_us: u64,
    },
    /// The hand is on the tool; the kit has not said so yet.
    Beginning {
        since_us: u64,
    },
    Engaged,
    /// Over, though it still comes.
    Spent,
}

/// The stream of poses, and the hand that they are.
#[derive(Debug, Default)]
pub(super) struct Stream {
    phase: Phase,
    newest: Option<(u64, Pose)>,
    jaw_rad: Option<f64>,
}

impl Stream {
    /// A pose came.
    pub(super) fn pose(&mut self, now_us: u64, pose: Pose) {
        if self.is_silent(now_us) {
            self.phase = Phase::Waiting { since_us: now_us };
        }
        self.newest = Some((now_us, pose));
    }

    /// How far the jaws shall be open. Counts for the stream that it comes beside.
    pub(super) fn jaw(&mut self, now_us: u64, jaw_rad: f64) {
        if !self.is_silent(now_us) {
            self.jaw_rad = Some(jaw_rad);
        }
    }

    /// Lets go: what still comes of this stream moves nothing.
    pub(super) fn let_go(&mut self) {
        if self.phase != Phase::Silent {
            self.phase = Phase::Spent;
        }
    }

    /// Where the hand is now, if it is on the tool.
    pub(super) fn step(&mut self, now_us: u64, arm: Arm) -> Option<Lead> {
        self.phase = self.next(now_us, arm);
        if self.phase == Phase::Silent {
            (self.newest, self.jaw_rad) = (None, None);
        }
        let held = matches!(self.phase, Phase::Beginning { .. } | Phase::Engaged);
        let (_, target) = self.newest.filter(|_| held)?;
        Some(Lead { target, jaw_rad: self.jaw_rad })
    }

    fn next(&self, now_us: u64, arm: Arm) -> Phase {
        if self.is_silent(now_us) {
            return Phase::Silent;
        }
        match self.phase {
            Phase::Waiting { .. } if arm.ready => Phase::Beginning { since_us: now_us },
            Phase::Beginning { .. } if arm.engaged => Phase::Engaged,
            Phase::Waiting { since_us } | Phase::Beginning { since_us } if now_us > since_us + BEGIN_US => {
                Phase::Spent
            }
            Phase::Engaged if !arm.engaged => Phase::Spent,
            same => same,
        }
    }

    fn is_silent(&self, now_us: u64) -> bool {
        self.newest.is_none_or(|(at_us, _)| now_us > at_us + SILENCE_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: Arm = Arm { ready: true, engaged: false };
    const FOLLOWS: Arm = Arm { ready: false, engaged: true };
    const STANDS: Arm = Arm { ready: false, engaged: false };

    /// A pose every 10 ms over so many ms from `from_ms` on; whether the hand was on the tool at the end of each.
    fn come(stream: &mut Stream, from_ms: u64, over_ms: u64, arm: Arm) -> Vec<bool> {
        let poses = (from_ms..from_ms + over_ms).step_by(10).map(|ms| ms * 1_000);
        poses
            .map(|now_us| {
                stream.pose(now_us, Pose::default());
                stream.step(now_us, arm).is_some()
            })
            .collect()
    }

    /// Goal: the hand is on the tool while poses come, and off it 50 ms after the last.
    #[test]
    fn silence_lets_go() {
        let mut stream = Stream::default();
        assert!(come(&mut stream, 0, 20, READY).iter().all(|on| *on));
        assert!(come(&mut stream, 20, 100, FOLLOWS).iter().all(|on| *on));
        assert!(stream.step(160_000, FOLLOWS).is_some(), "the last came at 110 ms");
        assert_eq!(stream.step(160_001, FOLLOWS), None);
    }

    /// Goal: whatever ended an engagement, the same stream begins no other; a new one does.
    #[test]
    fn a_stream_that_goes_on_after_its_engagement_moves_nothing() {
        let mut stream = Stream::default();
        come(&mut stream, 0, 20, READY);
        come(&mut stream, 20, 20, FOLLOWS);
        assert!(come(&mut stream, 40, 100, STANDS).iter().all(|on| !on));
        assert!(come(&mut stream, 140, 2_000, READY).iter().all(|on| !on), "a stop was cleared meanwhile");
        stream.step(2_200_000, READY);
        assert!(come(&mut stream, 2_300, 20, READY).iter().all(|on| *on));
    }

    /// Goal: a stream may begin a moment before the tool is at rest, and no earlier.
    #[test]
    fn a_stream_waits_a_moment_for_the_tool() {
        let mut stream = Stream::default();
        assert!(come(&mut stream, 0, 400, STANDS).iter().all(|on| !on));
        assert!(come(&mut stream, 400, 10, READY).iter().all(|on| *on));
        let mut stream = Stream::default();
        assert!(come(&mut stream, 0, 600, STANDS).iter().all(|on| !on));
        assert!(come(&mut stream, 600, 100, READY).iter().all(|on| !on));
    }

    /// Goal: a hand that was told to let go does not come back by itself.
    #[test]
    fn letting_go_ends_the_stream() {
        let mut stream = Stream::default();
        come(&mut stream, 0, 20, READY);
        stream.let_go();
        assert!(come(&mut stream, 20, 100, READY).iter().all(|on| !on));
    }

    /// Goal: the jaw is told beside a stream, and is the tool's own again with the next.
    #[test]
    fn the_jaw_counts_for_its_stream() {
        let mut stream = Stream::default();
        stream.jaw(0, 0.4);
        come(&mut stream, 0, 20, READY);
        assert_eq!(stream.step(20_000, FOLLOWS).unwrap().jaw_rad, None);
        stream.jaw(20_000, 0.4);
        assert_eq!(stream.step(20_000, FOLLOWS).unwrap().jaw_rad, Some(0.4));
        stream.step(200_000, STANDS);
        come(&mut stream, 300, 20, READY);
        assert_eq!(stream.step(310_000, FOLLOWS).unwrap().jaw_rad, None);
    }
}

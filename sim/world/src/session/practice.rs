//! An exercise in a session, in the bead's place: what surgeons see of it, how their hands go, and what came of it.

use std::collections::VecDeque;

use farhand_motion::ArmModel;
use farhand_wire::FrameId;
use nalgebra::{Isometry3, Translation3};

use super::Session;
use crate::exercise::{Attempt, Exercise, Hand, Phase, Place, Report, ScriptedHand, Track};
use crate::{Arm, Console};

/// The board lies in the middle of the workspace, this far below the jaws at home.
const DEEP_M: f64 = 0.024;
/// Longer than any picture is on its way.
const PICTURES_MAX: usize = 512;
/// Who has not moved by then does not begin.
const BEGUN_US: u64 = 60_000_000;

/// The attempt, and two surgeons before it, each with a hand.
#[derive(Debug)]
pub(super) struct Practice {
    attempt: Attempt,
    track: Track,
    /// What comes next, as the pictures show it.
    filmed: VecDeque<(FrameId, Hand)>,
    seats: [(ScriptedHand, Option<Hand>); 2],
}

impl Practice {
    pub(super) fn new(exercise: Exercise, seed: u64, model: &ArmModel) -> Self {
        let home = model.home();
        let start = Hand::of_tip(&model.forward(&home.joints), home.jaw_rad);
        let over = start.base_from_end.translation.vector;
        let base_from_board = Isometry3::translation(over.x, over.y, over.z - DEEP_M);
        Self {
            attempt: Attempt::new(exercise, seed, Place { base_from_board, start }),
            track: Track::default(),
            filmed: VecDeque::new(),
            seats: Default::default(),
        }
    }

    fn step(&mut self, arm: &mut Arm, model: &ArmModel) {
        let hand = Hand::of_tip(&model.forward(&arm.joints()), arm.jaw_rad());
        if let Some(at) = self.attempt.step(&hand) {
            self.track.add(at);
        }
        arm.grasping = self.attempt.holds();
    }

    pub(super) fn film(&mut self, frame: FrameId) {
        if self.filmed.len() == PICTURES_MAX {
            self.filmed.pop_front();
        }
        self.filmed.push_back((frame, self.attempt.standing().next));
    }

    /// A console has this picture now.
    pub(super) fn shown(&mut self, seat: usize, frame: FrameId) {
        if let Some((_, next)) = self.filmed.iter().rev().find(|(filmed, _)| *filmed == frame) {
            self.seats[seat].1 = Some(*next);
        }
    }

    /// Who sees something to do does it.
    pub(super) fn work(&mut self, seat: usize, now_us: u64, console: &mut Console) {
        let (hand, next) = &mut self.seats[seat];
        if let Some(next) = next {
            hand.lead(now_us, console, next);
        }
    }

    /// Where the tip should be next, mm.
    pub(super) fn goal_mm(&self) -> [f64; 3] {
        let Translation3 { vector } = self.attempt.standing().next.base_from_tip().translation;
        (vector * 1e3).into()
    }

    /// Nobody needs to wait for who does not begin.
    pub(super) fn is_over(&self, now_us: u64) -> bool {
        self.attempt.is_over() || self.attempt.phase() == Phase::Waiting && now_us > BEGUN_US
    }

    pub(super) fn report(&self) -> Report {
        self.attempt.standing().report(&self.track)
    }
}

impl Session {
    /// Whether there is an exercise instead of the bead; then a millisecond of it.
    pub(super) fn practise(&mut self) -> bool {
        let Some(practice) = &mut self.practice else { return false };
        practice.step(&mut self.arms[0], &self.rig[0].model);
        true
    }
}

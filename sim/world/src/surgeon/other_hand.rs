//! The other hand: on the second arm and on the endoscope's in turn, under the same pedal as the first.
//!
//! It goes from arm to arm by the clutch, and moves each about where it took hold of it.

use farhand_wire::{ARMS_MAX, Command, EngagementId, HoldNumber, KitState, Pose, state_flags};

use super::{COMMAND_MS, may_engage};

/// It stays with an arm for so long, and then with none.
const ON_US: u64 = 2_500_000;
const OFF_US: u64 = 500_000;
/// An arm that lost it is let go of after so long, to be taken anew.
const PATIENCE_US: u64 = 600_000;
/// It goes round like this, slower than any tool may.
const ROUND_M: f64 = 4e-3;
const ROUND_HZ: f64 = 0.4;

#[derive(Clone, Copy, Debug)]
struct Grip {
    hold: HoldNumber,
    from: Pose,
    jaw_rad: f64,
    since_us: u64,
}

/// The hand, and what it knows of its arms.
#[derive(Debug, Default)]
pub(super) struct OtherHand {
    states: [Option<KitState>; ARMS_MAX],
    engagements: [u64; ARMS_MAX],
    arm: usize,
    grip: Option<Grip>,
    turned_us: u64,
    sent_us: u64,
}

impl OtherHand {
    /// Of another arm than the first.
    pub(super) fn sees(&mut self, state: KitState) {
        let known = &mut self.states[usize::from(state.arm.number)];
        if known.as_ref().is_none_or(|known| known.tick < state.tick) {
            *known = Some(state);
        }
    }

    /// A new lease, or the pedal is up: it has hold of nothing.
    pub(super) fn let_go(&mut self) {
        self.grip = None;
    }

    /// Engagements are counted from the start under each lease.
    pub(super) fn begin_anew(&mut self) {
        *self = Self::default();
    }

    /// One millisecond with the pedal down: what it commands, if it commands something. The rest of the command is the console's.
    pub(super) fn step(&mut self, now_us: u64, command: &Command) -> Option<Command> {
        self.turn(now_us);
        let state = self.states[self.arm].as_ref()?;
        let mine =
            state.flags & state_flags::ENGAGED != 0 && state.engagement.0 == self.engagements[self.arm];
        let away = now_us >= self.turned_us + ON_US;
        self.grip = self.grip.filter(|grip| !away && (mine || now_us < grip.since_us + PATIENCE_US));
        if self.grip.is_none() && may_engage(state) && !away {
            self.engagements[self.arm] += 1;
            let (hold, from, jaw_rad) = (state.hold, state.setpoint, state.jaw_rad);
            self.grip = Some(Grip { hold, from, jaw_rad, since_us: now_us });
        }
        if now_us < self.sent_us + COMMAND_MS * 1_000 {
            return None;
        }
        self.sent_us = now_us;
        Some(Command {
            arm: self.arm as u8,
            engagement: EngagementId(self.engagements[self.arm]),
            clutch: self.grip.is_none(),
            hold: self.grip.map_or(state.hold, |grip| grip.hold),
            target: self.grip.map_or(state.setpoint, |grip| grip.at(now_us)),
            jaw_rad: self.grip.map_or(state.jaw_rad, |grip| grip.jaw_rad),
            ..*command
        })
    }

    /// On to the next arm, if its time is over.
    fn turn(&mut self, now_us: u64) {
        let others = self.states.iter().flatten().next().map_or(0, |state| usize::from(state.arm.arms) - 1);
        if others > 0 && (self.arm == 0 || now_us >= self.turned_us + ON_US + OFF_US) {
            self.arm = self.arm % others + 1;
            (self.turned_us, self.grip) = (now_us, None);
        }
    }
}

impl Grip {
    fn at(&self, now_us: u64) -> Pose {
        let turn = (now_us - self.since_us) as f64 * 1e-6 * ROUND_HZ * std::f64::consts::TAU;
        let mut target = self.from;
        target.position_m[0] += ROUND_M * turn.sin();
        target.position_m[1] += ROUND_M * (1.0 - turn.cos());
        target
    }
}

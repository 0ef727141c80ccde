//! The gripper that holds the kit's case.

/// How long the jaws take, in microseconds of the link's time.
const MOVE_US: u64 = 1_000_000;
const ACTION_RELEASE: u32 = 0;
const ACTION_GRAB: u32 = 1;

/// Closed around the load, open, or on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Gripper {
    open: bool,
    target_open: bool,
    since_us: u64,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grip {
    Done,
    Moving,
    Unknown,
}

impl Gripper {
    /// Orders an action by MAVLink's `GRIPPER_ACTIONS` number.
    pub(super) fn order(&mut self, action: u32) -> Grip {
        match action {
            ACTION_RELEASE => self.target_open = true,
            ACTION_GRAB => self.target_open = false,
            _ => return Grip::Unknown,
        }
        if self.open == self.target_open { Grip::Done } else { Grip::Moving }
    }

    /// Moves on; says once how the order ended: true when the position is reached, false when it jammed.
    pub(super) fn poll(&mut self, now_us: u64, stuck: bool) -> Option<bool> {
        if self.open == self.target_open {
            self.since_us = now_us;
            return None;
        }
        if now_us < self.since_us + MOVE_US {
            return None;
        }
        (self.open, self.target_open) =
            if stuck { (self.open, self.open) } else { (self.target_open, self.target_open) };
        Some(!stuck)
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }
}

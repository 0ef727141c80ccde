//! The aircraft's own failsafes: they stay in charge whoever else is on the link.
//!
//! Invariant (local): in the air the failsafe only becomes more severe, until the
//! aircraft is down or a pilot chooses a mode.

use mavlink::dialects::common::MavSeverity;

use super::mode::Mode;
use super::{Aircraft, fence, params};

/// Shares of the battery at which PX4 warns, returns and lands (`BAT_LOW_THR`, `BAT_CRIT_THR`, `BAT_EMERGEN_THR`).
const BATTERY_LOW: f64 = 0.15;
const BATTERY_CRITICAL: f64 = 0.07;
const BATTERY_EMERGENCY: f64 = 0.05;

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The checks before arming do not pass.
    PrearmCheck,
    /// No satellite position.
    Gps,
    /// The battery is all but empty.
    Battery,
    /// The radio neither sends nor hears.
    Telemetry,
    /// The gripper does not open.
    Gripper,
}

impl Failure {
    const ALL: [Failure; 5] =
        [Failure::PrearmCheck, Failure::Gps, Failure::Battery, Failure::Telemetry, Failure::Gripper];
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Failures {
    present: [bool; Failure::ALL.len()],
}

impl Failures {
    pub(super) fn set(&mut self, failure: Failure, on: bool) {
        for (each, present) in Failure::ALL.iter().zip(&mut self.present) {
            *present = if *each == failure { on } else { *present };
        }
    }

    pub(super) fn has(&self, failure: Failure) -> bool {
        Failure::ALL.iter().zip(self.present).any(|(each, present)| *each == failure && present)
    }
}

/// What the aircraft does about trouble, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Response {
    Return,
    Land,
    Descend,
}

impl Response {
    fn mode(self) -> Mode {
        match self {
            Response::Return => Mode::Return,
            Response::Land => Mode::Land,
            Response::Descend => Mode::Descend,
        }
    }
}

impl Aircraft {
    /// Looks for trouble and, in the air, does the most severe thing that any of it asks for.
    pub(super) fn watch(&mut self, now_us: u64) {
        if !self.armed || self.body.on_ground() {
            self.failsafe = None;
            return;
        }
        self.warn_of_battery();
        let Some((response, reason)) = self.trouble(now_us).into_iter().flatten().max_by_key(|(r, _)| *r)
        else {
            return;
        };
        if self.failsafe.is_some_and(|taken| taken >= response) {
            return;
        }
        self.failsafe = Some(response);
        self.say(MavSeverity::MAV_SEVERITY_CRITICAL, &format!("Failsafe activated: {reason}"));
        self.enter(response.mode());
    }

    /// Why the aircraft may not arm, in PX4's manner of saying it.
    pub(super) fn arming_refusal(&self) -> Option<&'static str> {
        if self.failures.has(Failure::PrearmCheck) {
            return Some("Preflight Fail: Compass needs calibration");
        }
        if self.failures.has(Failure::Gps) {
            return Some("Preflight Fail: No valid global position");
        }
        if self.battery.remaining() < BATTERY_LOW {
            return Some("Preflight Fail: Low battery");
        }
        None
    }

    fn trouble(&self, now_us: u64) -> [Option<(Response, &'static str)>; 5] {
        let left = self.battery.remaining();
        let when = |present: bool, response, reason| present.then_some((response, reason));
        [
            when(self.link_is_lost(now_us), Response::Return, "ground link lost"),
            when(self.is_outside_fence(), Response::Return, "geofence breached"),
            when(left < BATTERY_CRITICAL, Response::Return, "battery critical"),
            when(left < BATTERY_EMERGENCY, Response::Land, "battery emergency"),
            when(self.failures.has(Failure::Gps), Response::Descend, "no position"),
        ]
    }

    fn link_is_lost(&self, now_us: u64) -> bool {
        let most_us = (self.params.number(params::LINK_LOSS_S) * 1e6) as u64;
        self.heard_us.is_some_and(|heard_us| now_us.saturating_sub(heard_us) > most_us)
    }

    fn is_outside_fence(&self) -> bool {
        !fence::contains(self.store.fence(), &self.ground, self.body.position)
    }

    fn warn_of_battery(&mut self) {
        if self.battery.remaining() < BATTERY_LOW && !self.battery_warned {
            self.battery_warned = true;
            self.say(MavSeverity::MAV_SEVERITY_WARNING, "Low battery");
        }
    }
}

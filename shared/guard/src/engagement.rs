//! Engagements: one unbroken hold of the dead-man with the clutch up, started from a setpoint that the arm held at rest.

use farhand_wire::{Command, EngagementId, HoldNumber, KitTick, Rejection};

use crate::frames::Frames;

#[cfg(test)]
#[path = "explore/keys/engagement.rs"]
mod explored;

/// Why the dead-man must be seen released before anything moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nothing fresh came for too long.
    Silence,
    /// A stop was cleared, control changed hands, the arm was armed, or the bedside moved it.
    Interruption,
}

/// The engagement that runs, if one does, and what the next one must start from.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Engagements {
    running: Option<(EngagementId, HoldNumber)>,
    newest: EngagementId,
    hold: HoldNumber,
    /// The arm has moved since the hold was numbered.
    moved: bool,
    release_due: Option<(KitTick, Cause)>,
}

impl Engagements {
    pub(crate) fn new() -> Self {
        Self {
            running: None,
            newest: EngagementId(0),
            hold: HoldNumber(1),
            moved: false,
            release_due: Some((KitTick(0), Cause::Interruption)),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) fn newest(&self) -> EngagementId {
        self.newest
    }

    pub(crate) fn hold(&self) -> HoldNumber {
        self.hold
    }

    /// Whether the arm stands at the numbered hold.
    pub(crate) fn is_held(&self) -> bool {
        !self.moved
    }

    pub(crate) fn release_due(&self) -> Option<Cause> {
        self.release_due.map(|(_, cause)| cause)
    }

    /// Engagement numbers start anew with each lease token.
    pub(crate) fn restart(&mut self, now: KitTick) {
        self.newest = EngagementId(0);
        self.interrupt(now, Cause::Interruption);
    }

    pub(crate) fn end(&mut self) {
        self.running = None;
    }

    /// Ends the engagement; the next one needs the dead-man released by someone who knew of this tick.
    pub(crate) fn interrupt(&mut self, now: KitTick, cause: Cause) {
        self.end();
        self.release_due = Some((now, cause));
    }

    /// The dead-man is up. It counts only if the console had seen a kit tick from after the interruption, so that a
    /// release that was on its way before cannot free a pedal that is still held; nobody has seen one from the future.
    pub(crate) fn release(&mut self, now: KitTick, kit_tick_echo: KitTick) {
        self.end();
        if self.release_due.is_some_and(|(since, _)| kit_tick_echo >= since && kit_tick_echo <= now) {
            self.release_due = None;
        }
    }

    /// Goes on with the running engagement, or starts the command's own.
    pub(crate) fn admit(&mut self, command: &Command, speed_mm_s: f64) -> Result<(), Rejection> {
        match self.running {
            Some((id, hold)) => self.go_on(command, id, hold),
            None => self.start(command, speed_mm_s),
        }
    }

    fn go_on(&mut self, command: &Command, id: EngagementId, hold: HoldNumber) -> Result<(), Rejection> {
        if command.engagement != id {
            // The console has begun another: the release between the two was lost, and stops the arm all the same.
            self.end();
            return Err(mismatch(command, id));
        }
        if command.hold == hold { Ok(()) } else { Err(wrong_hold(command, hold)) }
    }

    fn start(&mut self, command: &Command, speed_mm_s: f64) -> Result<(), Rejection> {
        if command.engagement <= self.newest {
            return Err(mismatch(command, self.newest.next()));
        }
        if self.moved {
            return Err(Rejection::NotAtRest { speed_mm_s, max_mm_s: 0.0 });
        }
        if command.hold != self.hold {
            return Err(wrong_hold(command, self.hold));
        }
        self.newest = command.engagement;
        self.running = Some((command.engagement, command.hold));
        Ok(())
    }

    /// The arm moved in this tick, or stands. At rest with nothing running, it holds a new numbered setpoint.
    pub(crate) fn tick(&mut self, moves: bool, at_rest: bool) {
        self.moved |= moves || !at_rest;
        if self.moved && at_rest && !moves && self.running.is_none() {
            self.moved = false;
            self.hold = self.hold.next();
        }
    }
}

fn mismatch(command: &Command, current: EngagementId) -> Rejection {
    Rejection::EngagementMismatch { engagement: command.engagement.0 as f64, current: current.0 as f64 }
}

fn wrong_hold(command: &Command, current: HoldNumber) -> Rejection {
    Rejection::HoldMismatch { hold: command.hold.0 as f64, current: current.0 as f64 }
}

/// The rules about age: neither the command nor the picture it answers may be old, by the kit's clock alone.
pub(crate) fn fresh(
    now: KitTick,
    command: &Command,
    frames: &Frames,
    command_age_ms_max: f64,
    picture_age_ms_max: f64,
) -> Result<(f64, f64), Rejection> {
    let ahead_ms = command.kit_tick_echo.ms_since(now);
    if ahead_ms > 0.0 {
        return Err(Rejection::FutureEcho { ahead_ms, max_ms: 0.0 });
    }
    let command_age_ms = now.ms_since(command.kit_tick_echo);
    if command_age_ms > command_age_ms_max {
        return Err(Rejection::StaleCommand { age_ms: command_age_ms, max_ms: command_age_ms_max });
    }
    let picture_age_ms = frames.age_ms(now, command.frame_seen).ok_or(Rejection::UnknownFrame {
        frame: command.frame_seen.0 as f64,
        newest_frame: frames.newest().0 as f64,
    })?;
    if picture_age_ms > picture_age_ms_max {
        return Err(Rejection::StalePicture { age_ms: picture_age_ms, max_ms: picture_age_ms_max });
    }
    Ok((command_age_ms, picture_age_ms))
}

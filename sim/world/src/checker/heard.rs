//! What reaches the kit, and what follows from it by the promises alone: who is armed, who holds control, what may move the tool.

use std::collections::{BTreeMap, BTreeSet};

use farhand_wire::{
    Action, Command, FrameMark, Kind, LeaseToken, PublicKey, Role, Said, Statement, Watermark,
};

use super::{Basis, COMMAND_AGE_US_MAX, Checker, LEASE_US, happened::Precondition, seen::Seen};

/// The kit tells what changed within so long.
const NOTICE_US_MAX: u64 = 20_000;
const PICTURE_AGE_US_MAX: u64 = 400_000;

impl Checker {
    /// A message reached the kit. `genuine`: by whom it claims, and untouched on the way.
    pub fn delivered(&mut self, now_us: u64, bytes: &[u8], genuine: bool) {
        if !genuine {
            return self.happened(Precondition::Forged);
        }
        match Kind::of(bytes) {
            Ok(Kind::Command) => {
                if let Ok(command) = Command::read(bytes) {
                    self.command(now_us, &command);
                }
            }
            Ok(Kind::FrameMark) => {
                if let Ok(mark) = FrameMark::read(bytes) {
                    self.frames.insert(mark.frame.0, mark.kit_tick_at_capture.0);
                }
            }
            Ok(Kind::Watermark) => {
                if let Ok(mark) = Watermark::read(bytes) {
                    self.watermark(now_us, mark);
                }
            }
            Ok(Kind::Signed) => {
                if let Ok((author, statement)) = Statement::open(bytes) {
                    self.statement(now_us, author, statement.said);
                }
            }
            _ => {}
        }
    }

    pub(super) fn command(&mut self, now_us: u64, command: &Command) {
        let arm = usize::from(command.arm);
        if arm >= self.arms.len() {
            return;
        }
        if command.token < self.highest {
            return;
        }
        if command.token > self.highest {
            self.new_lease(command.token);
        } else if now_us > self.renewed_us + LEASE_US {
            self.over.insert(command.token);
        }
        let moves = self.arms.iter().any(|arm| arm.last.is_some_and(|last| last.action == Action::Move));
        let let_go = self.let_go.get(&command.token).copied().unwrap_or_default();
        let taken = self.taken.get(&(command.token, arm)).copied().unwrap_or_default();
        if !command.dead_man && command.sequence.0 > let_go {
            self.let_go.insert(command.token, command.sequence.0);
            self.released(command);
        }
        if command.sequence.0 <= let_go.max(taken) {
            return;
        }
        self.taken.insert((command.token, arm), command.sequence.0);
        let newest = self.newest.entry(command.token).or_default();
        let lost = moves && command.sequence.0 > *newest + 1;
        // One that was overtaken may not have been before the recorder when the newer one was.
        let overtaken = command.sequence.0 < *newest;
        let recorded_with = if overtaken { *newest + 1 } else { command.sequence.0 };
        *newest = command.sequence.0.max(*newest);
        if let Some(delay_us) = now_us.checked_sub(command.kit_tick_echo.0) {
            let delay_ms = delay_us as f64 / 1000.0;
            let change = self.line.map_or(0.0, |(before_ms, _)| (delay_ms - before_ms).abs());
            let jitter_ms = self.line.map_or(0.0, |(_, jitter_ms)| jitter_ms + (change - jitter_ms) / 16.0);
            self.line = Some((delay_ms, jitter_ms));
        }
        if lost {
            self.happened(Precondition::Lost);
        }
        self.renewed_us = now_us;
        if !command.dead_man {
            if moves {
                self.happened(Precondition::LetGo);
            }
            return;
        }
        if command.clutch {
            let seen = &mut self.arms[arm];
            (seen.basis, seen.moved_us) = (None, None);
            return;
        }
        let echo_us = command.kit_tick_echo.0;
        let command_fresh = echo_us <= now_us && now_us - echo_us <= COMMAND_AGE_US_MAX;
        let picture_fresh = self
            .frames
            .get(&command.frame_seen.0)
            .is_some_and(|captured_us| now_us.saturating_sub(*captured_us) <= PICTURE_AGE_US_MAX);
        if command_fresh && picture_fresh {
            self.check_gap(now_us, arm);
            let target_mm = command.target.position_m.map(|m| m * 1e3);
            let sequence = command.sequence.0;
            self.arms[arm].applicable.insert(sequence, now_us);
            self.arms[arm].basis = Some(Basis {
                at_us: now_us,
                token: command.token,
                sequence,
                recorded_with,
                target_mm,
                target_wxyz: command.target.orientation_wxyz,
            });
        }
    }

    /// There is one dead-man for all arms: up, it stops every one that was not told anything newer.
    fn released(&mut self, command: &Command) {
        let echo_us = command.kit_tick_echo.0;
        for (number, arm) in self.arms.iter_mut().enumerate() {
            if self.taken.get(&(command.token, number)).is_some_and(|taken| *taken > command.sequence.0) {
                continue;
            }
            arm.stop();
            arm.moved_us = None;
            arm.applicable.clear();
            arm.release_after_us = arm.release_after_us.filter(|after_us| echo_us < *after_us);
        }
    }

    /// The kit says that it stopped the tools by itself: whoever goes on has let go since then.
    pub fn found_fault(&mut self, now_us: u64) {
        for arm in &mut self.arms {
            arm.release_after_us.get_or_insert(now_us);
        }
    }

    /// What moved under the lease before is on record no sooner than the new one's first command, and whatever asked for a release
    /// since then, the new one asked for it when it began.
    pub(super) fn new_lease(&mut self, token: LeaseToken) {
        self.happened(Precondition::Lease);
        self.highest = token;
        self.durable = 0;
        let begun_us = self.begun_us.get(&token).copied();
        for arm in &mut self.arms {
            (arm.moved_us, arm.applicable) = (None, BTreeMap::new());
            arm.release_after_us = begun_us.or(arm.release_after_us);
        }
        self.line = None;
        self.speeds.clear();
        let oldest = self.unrecorded.values().min().copied();
        self.unrecorded = oldest.map(|at_us| (1, at_us)).into_iter().collect();
    }

    pub(super) fn watermark(&mut self, now_us: u64, mark: Watermark) {
        // The first mark of a lease says how many there are; a greater one that there is another. A lease begins before its first
        // command comes.
        if mark.token >= self.highest && self.holders.contains_key(&mark.token) {
            let lists = self.lists.entry(mark.token).or_insert(mark.segments);
            if *lists < mark.segments {
                *lists = mark.segments;
                (self.listed_us, self.unlisted_since) = (now_us, None);
            }
        }
        if mark.token == self.highest {
            // Nobody can vouch for a command that has not come.
            let newest = self.newest.get(&mark.token).copied().unwrap_or_default();
            self.durable = self.durable.max(mark.newest.0.min(newest));
            self.unrecorded = self.unrecorded.split_off(&self.durable.saturating_add(1));
        }
    }

    pub(super) fn statement(&mut self, now_us: u64, author: PublicKey, said: Said) {
        if let Said::Endorse { session_key } = said {
            if let Some((member, role)) =
                self.people.get(&author).copied().filter(|(member, _)| *member == author)
            {
                self.people.insert(session_key, (member, role));
            }
            return;
        }
        let Some((member, role)) = self.people.get(&author).copied() else { return };
        match said {
            Said::EStop { press } if !self.cleared.contains(&press) && self.latched.insert(press) => {
                self.happened(Precondition::Press);
                self.stop()
            }
            Said::ClearEStop { challenge } => {
                self.clearing.entry(challenge).or_default().insert(member);
                if !self.latched.is_empty() && self.enough(&self.clearing[&challenge]) {
                    self.cleared.append(&mut self.latched);
                    self.arms.iter_mut().for_each(|arm| arm.release_after_us = Some(now_us));
                    self.begun_us.values_mut().for_each(|begun_us| *begun_us = now_us);
                }
            }
            Said::Arm { challenge } => {
                self.arming.entry(challenge).or_default().insert(member);
                self.armed |= self.enough(&self.arming[&challenge]);
            }
            // A token is granted to one key, and zero is none: a later word for either says nothing.
            Said::LeaseConfirm { transcript }
                if transcript.holder == author && role == Role::Surgeon && transcript.token.0 > 0 =>
            {
                self.holders.entry(transcript.token).or_insert(author);
                self.begun_us.entry(transcript.token).or_insert(now_us);
            }
            Said::HandOver { token, to } if self.holders.get(&token) == Some(&author) => {
                self.over.insert(token);
                self.given.insert(to);
                self.happened(Precondition::HandedOver);
            }
            Said::TakeOver { challenge, to } if !self.is_held(now_us) => {
                self.giving.entry((challenge, to)).or_default().insert(member);
                if self.enough(&self.giving[&(challenge, to)]) {
                    self.given.insert(to);
                    self.happened(Precondition::TakenOver);
                }
            }
            Said::WithdrawConsent {} if matches!(role, Role::Bedside | Role::Hospital) => {
                self.consent_withdrawn = true;
            }
            Said::Forbid { version, regions, .. } => {
                self.told.entry(version).or_insert(regions);
                self.changing_until_us = now_us + NOTICE_US_MAX;
            }
            Said::Close {} if role == Role::Bedside || self.holder() == Some(author) => {
                self.closed = true;
                self.stop();
            }
            Said::Disarm {} if role == Role::Bedside => {
                self.armed = false;
                self.stop();
            }
            _ => {}
        }
    }

    /// By the newest token that somebody confirmed.
    pub(super) fn holder(&self) -> Option<PublicKey> {
        self.holders.last_key_value().map(|(_, holder)| *holder)
    }

    /// Somebody has control, and has been heard within a lease.
    pub(super) fn is_held(&self, now_us: u64) -> bool {
        let newest = self.holders.last_key_value().map(|(token, _)| *token);
        newest.is_some_and(|token| !self.over.contains(&token)) && now_us <= self.renewed_us + LEASE_US
    }

    pub(super) fn stop(&mut self) {
        self.arms.iter_mut().for_each(Seen::stop);
    }

    pub(super) fn enough(&self, signed: &BTreeSet<PublicKey>) -> bool {
        let role = |member: &PublicKey| self.people.get(member).map(|(_, role)| *role);
        signed.len() >= 2 && signed.iter().any(|member| role(member) == Some(Role::Bedside))
    }
}

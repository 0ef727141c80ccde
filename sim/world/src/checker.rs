//! An independent witness of the kit: it sees what was delivered and what was permitted, and knows which messages were
//! forged or damaged, because the world did it. It shares no code with the guard and is written from the promises alone.

mod geometry;
mod happened;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use farhand_motion::{ArmLimits, ArmModel, Joints};
use farhand_wire::{
    Action, ArmSetpoint, Challenge, Command, FrameMark, Kind, LeaseToken, PressId, PublicKey, Region, Role,
    Said, Statement, Watermark,
};

use geometry::{depth_mm, distance};
use happened::{Happened, Precondition};

const TICK_S: f64 = 1e-3;
const COMMAND_AGE_US_MAX: u64 = 300_000;
const PICTURE_AGE_US_MAX: u64 = 400_000;
const SILENCE_US_MAX: u64 = 50_000;
const SILENCE_PAUSE_US_MAX: u64 = 500_000;
const LEASE_US: u64 = 10_000_000;
const LAG_MM_MAX: f64 = 10.0;
const LAG_DEG_MAX: f64 = 15.0;
/// Ticks that the loop may miss in a row.
const MISSED_MAX: u64 = 5;
/// Loop delay and jitter up to which the tool may be as fast as the arm; from there to the greatest age of a command, less.
const SPEED_FULL_MS: f64 = 100.0;
const SPEED_RECOVERY_TICKS: f64 = 2_000.0;
/// In so many ticks a tool that is too fast has slowed down, whatever it was doing.
const SLOWING_TICKS: usize = 100;
/// The kit looks at a message up to a tick after it came.
const SHARE_SLACK: f64 = 0.01;
/// Between two commands, whichever path dies.
const GAP_US_MAX: u64 = 20_000;
const LEAD_HOLD_US_MAX: u64 = 100_000;
const LEAD_PAUSE_US_MAX: u64 = 500_000;
const UNLISTED_US_MAX: u64 = 2_000_000;
/// What P6 grants, and where the closed jaws end, from the tip.
const PENETRATION_MM: f64 = 0.1;
const JAWS_MM: f64 = 10.0;
/// Nearer than this to a region the tool is at it.
const NEAR_MM: f64 = 1.0;
/// The kit tells what changed within so long.
const NOTICE_US_MAX: u64 = 20_000;
/// Rounding, relative.
const ROUNDING: f64 = 1e-6;

/// A promise broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub promise: &'static str,
    pub tick_us: u64,
    pub words: String,
}

/// A command that may move the tool, as far as its own content goes.
#[derive(Clone, Copy, Debug)]
struct Basis {
    at_us: u64,
    token: LeaseToken,
    sequence: u64,
    target_mm: [f64; 3],
    target_wxyz: [f64; 4],
}

/// Watches one kit, across its restarts.
#[derive(Debug)]
pub struct Checker {
    limits: ArmLimits,
    model: ArmModel,
    people: BTreeMap<PublicKey, (PublicKey, Role)>,
    frames: BTreeMap<u64, u64>,
    newest: BTreeMap<LeaseToken, u64>,
    basis: Option<Basis>,
    arming: BTreeMap<Challenge, BTreeSet<PublicKey>>,
    clearing: BTreeMap<Challenge, BTreeSet<PublicKey>>,
    armed: bool,
    /// Nothing arms it again, whoever restarts.
    closed: bool,
    /// Who has confirmed a lease, by its token; and tokens that are over, because they lapsed or were handed on.
    holders: BTreeMap<LeaseToken, PublicKey>,
    over: BTreeSet<LeaseToken>,
    /// To whom else than its last holder control may go.
    given: BTreeSet<PublicKey>,
    giving: BTreeMap<(Challenge, PublicKey), BTreeSet<PublicKey>>,
    /// Commands under which the tool moved, and when they came, that are not known to be durable; and what is.
    unrecorded: BTreeMap<u64, u64>,
    durable: u64,
    /// The surgeon's lists that are durable, as told under this lease; when the newest was; and the first command after it
    /// under which the tool moved.
    lists: Option<u64>,
    listed_us: u64,
    unlisted_since: Option<(u64, u64)>,
    latched: BTreeSet<PressId>,
    cleared: BTreeSet<PressId>,
    /// The tool may not move until the dead-man was seen up by someone who knew of this tick.
    release_after_us: Option<u64>,
    /// The greatest token under which anything was sent, and under which the tool moved.
    highest: LeaseToken,
    token: LeaseToken,
    last: Option<ArmSetpoint>,
    /// Tip and jaws' end at the last setpoint, mm.
    tool_mm: [[f64; 3]; 2],
    /// Regions by version, as they were told; those in force, and how deep the tool may be in them.
    told: BTreeMap<u64, Vec<Region>>,
    forbidden: Vec<Region>,
    in_force: Option<u64>,
    /// Until then the kit may have taken up other regions and not said so yet.
    changing_until_us: u64,
    granted_mm: f64,
    consent_withdrawn: bool,
    /// The tool is being drawn out, and nothing else of it moves any more.
    drawing: bool,
    velocity: [f64; 6],
    /// When the newest command that was applied came, until the dead-man is up; and those that may be, by their sequences.
    moved_us: Option<u64>,
    applicable: BTreeMap<u64, u64>,
    /// When the newest authentic command of the lease came.
    renewed_us: u64,
    /// Whether the arm knows where it is.
    homed: bool,
    /// When the kit last had a tick.
    ticked_us: Option<u64>,
    /// The dead-man is up, or an e-stop came: the tool is stopping, or stands.
    stopping: bool,
    /// Delay of the newest command and its smoothed jitter, ms.
    line: Option<(f64, f64)>,
    /// The tool's direction when its targets began to be turned too far from it.
    turned_from: Option<[f64; 4]>,
    one_path: bool,
    /// Shares of the arm's own tip speed that were allowed in the newest ticks, newest last.
    speeds: VecDeque<f64>,
    violations: Vec<Violation>,
    happened: Happened,
    pub moves: u64,
}

impl Checker {
    /// `people`: link keys and roles, as the roster has them.
    #[must_use]
    pub fn new(model: ArmModel, people: impl IntoIterator<Item = (PublicKey, Role)>) -> Self {
        Self {
            limits: *model.limits(),
            model,
            people: people.into_iter().map(|(key, role)| (key, (key, role))).collect(),
            frames: BTreeMap::new(),
            newest: BTreeMap::new(),
            basis: None,
            arming: BTreeMap::new(),
            clearing: BTreeMap::new(),
            armed: false,
            closed: false,
            holders: BTreeMap::new(),
            over: BTreeSet::new(),
            given: BTreeSet::new(),
            giving: BTreeMap::new(),
            unrecorded: BTreeMap::new(),
            durable: 0,
            lists: None,
            listed_us: 0,
            unlisted_since: None,
            latched: BTreeSet::new(),
            cleared: BTreeSet::new(),
            release_after_us: Some(0),
            highest: LeaseToken(0),
            token: LeaseToken(0),
            last: None,
            tool_mm: [[0.0; 3]; 2],
            told: BTreeMap::new(),
            forbidden: Vec::new(),
            in_force: None,
            changing_until_us: 0,
            granted_mm: PENETRATION_MM,
            consent_withdrawn: false,
            drawing: false,
            velocity: [0.0; 6],
            moved_us: None,
            applicable: BTreeMap::new(),
            renewed_us: 0,
            homed: false,
            ticked_us: None,
            stopping: false,
            line: None,
            turned_from: None,
            one_path: false,
            speeds: VecDeque::new(),
            violations: Vec::new(),
            happened: Happened::default(),
            moves: 0,
        }
    }

    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The kit lost its memory: nobody is armed, endorsed or engaged, and its clock starts anew. The arm stands where its
    /// own brakes stopped it.
    pub fn kit_restarted(&mut self) {
        self.people.retain(|speaker, (member, _)| speaker == member);
        self.frames.clear();
        self.newest.clear();
        (self.basis, self.armed, self.last) = (None, false, None);
        (self.velocity, self.stopping) = ([0.0; 6], false);
        (self.moved_us, self.renewed_us, self.ticked_us) = (None, 0, None);
        self.durable = 0;
        (self.lists, self.listed_us, self.unlisted_since) = (None, 0, None);
        self.holders.clear();
        self.given.clear();
        self.giving.clear();
        self.unrecorded.clear();
        self.applicable.clear();
        self.latched.clear();
        self.cleared.clear();
        self.arming.clear();
        self.clearing.clear();
        self.release_after_us = Some(0);
        self.line = None;
        self.speeds.clear();
        (self.in_force, self.granted_mm, self.changing_until_us) = (None, PENETRATION_MM, 0);
        self.forbidden.clear();
    }

    /// The kit says which regions it keeps out of. Where that came too late, a stop as fast as the arm's is what counts.
    pub fn regions_in_force(&mut self, now_us: u64, version: Option<u64>) {
        if version == self.in_force {
            return;
        }
        self.in_force = version;
        match version.and_then(|version| self.told.get(&version)) {
            Some(regions) => self.forbidden.clone_from(regions),
            None => self.broken("P6", now_us, format!("keeps out of regions {version:?}, which nobody told")),
        }
        self.granted_mm = PENETRATION_MM.max(self.depth_of_a_stop_mm());
        self.happened(Precondition::Regions);
    }

    fn depth_of_a_stop_mm(&self) -> f64 {
        let Some(last) = self.last else { return 0.0 };
        let (mut joints, mut velocity) = (last.joints, self.velocity);
        let mut deepest: f64 = 0.0;
        loop {
            deepest = deepest.max(self.depth_mm(&self.tool_mm(&joints)));
            if velocity == [0.0; 6] {
                return deepest;
            }
            for joint in 0..6 {
                let left = velocity[joint].abs() - self.limits.stop_deceleration_rad_m_s2_max[joint] * TICK_S;
                velocity[joint] = left.max(0.0).copysign(velocity[joint]);
                joints[joint] += velocity[joint] * TICK_S;
            }
        }
    }

    fn depth_mm(&self, tool_mm: &[[f64; 3]; 2]) -> f64 {
        let depths = self.forbidden.iter().flat_map(|region| tool_mm.map(|point| depth_mm(region, point)));
        depths.fold(f64::NEG_INFINITY, f64::max)
    }

    /// Of two paths one is dead, and nothing else is wrong.
    pub fn one_path_is_dead(&mut self, dead: bool) {
        self.one_path = dead;
    }

    /// Between two commands under a held dead-man.
    fn check_gap(&mut self, now_us: u64) {
        let gap_us = self.basis.map_or(0, |basis| now_us - basis.at_us);
        if !self.one_path || gap_us == 0 {
            return;
        }
        self.happened(Precondition::OnePath);
        if gap_us > GAP_US_MAX {
            self.broken(
                "P9",
                now_us,
                format!("{} ms without a command while one path is dead", gap_us / 1000),
            );
        }
    }

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

    fn command(&mut self, now_us: u64, command: &Command) {
        if command.token < self.highest {
            return;
        }
        if command.token > self.highest {
            self.new_lease(command.token);
        } else if now_us > self.renewed_us + LEASE_US {
            self.over.insert(command.token);
        }
        let moves = self.last.is_some_and(|last| last.action == Action::Move);
        let newest = self.newest.entry(command.token).or_default();
        if command.sequence.0 <= *newest {
            return;
        }
        let lost = moves && command.sequence.0 > *newest + 1;
        *newest = command.sequence.0;
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
        self.moved_us = self.moved_us.filter(|_| command.dead_man && !command.clutch);
        if command.clutch {
            self.basis = None;
            return;
        }
        if !command.dead_man {
            if moves {
                self.happened(Precondition::LetGo);
            }
            self.stopping = true;
            self.basis = None;
            self.applicable.clear();
            if self.release_after_us.is_some_and(|after_us| command.kit_tick_echo.0 >= after_us) {
                self.release_after_us = None;
            }
            return;
        }
        let echo_us = command.kit_tick_echo.0;
        let command_fresh = echo_us <= now_us && now_us - echo_us <= COMMAND_AGE_US_MAX;
        let picture_fresh = self
            .frames
            .get(&command.frame_seen.0)
            .is_some_and(|captured_us| now_us.saturating_sub(*captured_us) <= PICTURE_AGE_US_MAX);
        if command_fresh && picture_fresh {
            self.check_gap(now_us);
            let target_mm = command.target.position_m.map(|m| m * 1e3);
            let sequence = command.sequence.0;
            self.applicable.insert(sequence, now_us);
            self.basis = Some(Basis {
                at_us: now_us,
                token: command.token,
                sequence,
                target_mm,
                target_wxyz: command.target.orientation_wxyz,
            });
        }
    }

    /// What moved under the lease before is on record no sooner than the new one's first command.
    fn new_lease(&mut self, token: LeaseToken) {
        self.happened(Precondition::Lease);
        self.highest = token;
        (self.durable, self.lists) = (0, None);
        self.moved_us = None;
        self.applicable.clear();
        self.line = None;
        self.speeds.clear();
        let oldest = self.unrecorded.values().min().copied();
        self.unrecorded = oldest.map(|at_us| (1, at_us)).into_iter().collect();
    }

    fn watermark(&mut self, now_us: u64, mark: Watermark) {
        if mark.token == self.highest {
            if self.lists.is_some_and(|lists| lists < mark.segments) {
                (self.listed_us, self.unlisted_since) = (now_us, None);
            }
            self.lists = self.lists.max(Some(mark.segments));
            // Nobody can vouch for a command that has not come.
            let newest = self.newest.get(&mark.token).copied().unwrap_or_default();
            self.durable = self.durable.max(mark.newest.0.min(newest));
            self.unrecorded = self.unrecorded.split_off(&self.durable.saturating_add(1));
        }
    }

    fn statement(&mut self, now_us: u64, author: PublicKey, said: Said) {
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
                    self.release_after_us = Some(now_us);
                }
            }
            Said::Arm { challenge } => {
                self.arming.entry(challenge).or_default().insert(member);
                self.armed |= self.enough(&self.arming[&challenge]);
            }
            Said::LeaseConfirm { transcript } if transcript.holder == author && role == Role::Surgeon => {
                self.holders.insert(transcript.token, author);
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
    fn holder(&self) -> Option<PublicKey> {
        self.holders.last_key_value().map(|(_, holder)| *holder)
    }

    /// Somebody has control, and has been heard within a lease.
    fn is_held(&self, now_us: u64) -> bool {
        let newest = self.holders.last_key_value().map(|(token, _)| *token);
        newest.is_some_and(|token| !self.over.contains(&token)) && now_us <= self.renewed_us + LEASE_US
    }

    fn stop(&mut self) {
        self.basis = None;
        self.stopping = true;
    }

    fn enough(&self, signed: &BTreeSet<PublicKey>) -> bool {
        let role = |member: &PublicKey| self.people.get(member).map(|(_, role)| *role);
        signed.len() >= 2 && signed.iter().any(|member| role(member) == Some(Role::Bedside))
    }

    /// What the arm last told the kit.
    pub fn arm_is_homed(&mut self, homed: bool) {
        self.homed = homed;
    }

    /// Half a second without a fresh command asks for a release.
    fn take_silence(&mut self, now_us: u64) {
        let Some(at_us) = self.moved_us else { return };
        if now_us > at_us + SILENCE_PAUSE_US_MAX + 1_000 {
            (self.basis, self.moved_us) = (None, None);
            self.release_after_us.get_or_insert(at_us + SILENCE_PAUSE_US_MAX);
        }
    }

    /// A loop that missed its deadlines needs a fresh command.
    fn take_deadlines(&mut self, now_us: u64) {
        let missed = self.ticked_us.map_or(0, |last_us| ((now_us - last_us) / 1_000).saturating_sub(1));
        self.ticked_us = Some(now_us);
        if missed >= MISSED_MAX && self.basis.is_some() {
            self.happened(Precondition::Late);
            self.basis = None;
        }
    }

    /// The kit permitted this in the tick.
    pub fn permitted(&mut self, now_us: u64, setpoint: &ArmSetpoint) {
        self.take_silence(now_us);
        self.take_deadlines(now_us);
        self.speed_allowed();
        let tool_mm = self.tool_mm(&setpoint.joints);
        self.turned_from = self.turned_from.filter(|_| setpoint.action == Action::Move);
        if setpoint.action == Action::Move {
            self.happened(Precondition::Moves);
            self.moves += 1;
            self.check_move(now_us, tool_mm[0]);
        }
        self.check_record(now_us);
        self.check_regions(now_us, setpoint, &tool_mm);
        if let Some(last) = self.last {
            self.check_step(now_us, &last, setpoint, tool_mm[0]);
        }
        (self.last, self.tool_mm) = (Some(*setpoint), tool_mm);
    }

    fn check_regions(&mut self, now_us: u64, setpoint: &ArmSetpoint, tool_mm: &[[f64; 3]; 2]) {
        if self.forbidden.is_empty() || now_us < self.changing_until_us {
            return;
        }
        let depth_mm = self.depth_mm(tool_mm);
        if setpoint.action == Action::Withdraw {
            // Along its own shaft the tool comes out through anything, and where it stops it may stand.
            self.granted_mm = self.granted_mm.max(depth_mm + PENETRATION_MM);
        }
        let follows = matches!(setpoint.action, Action::Move | Action::Home);
        if follows && depth_mm > self.granted_mm + ROUNDING {
            let words = format!("{depth_mm:.3} mm inside a region, {:.3} granted", self.granted_mm);
            self.broken("P6", now_us, words);
        }
        if follows && depth_mm > -NEAR_MM {
            self.happened(Precondition::AtRegion);
        }
        if depth_mm < 0.0 {
            self.granted_mm = PENETRATION_MM;
        }
    }

    fn check_move(&mut self, now_us: u64, tip_mm: [f64; 3]) {
        let Some(basis) = self.basis else {
            return self.broken("P1", now_us, "moves without a fresh command under a held dead-man".into());
        };
        if now_us - basis.at_us > SILENCE_US_MAX + 1_000 {
            self.broken(
                "P3",
                now_us,
                format!("still moves {} ms after the last command", (now_us - basis.at_us) / 1000),
            );
        }
        if !self.armed {
            self.broken("P1", now_us, "moves though two people have not armed it".into());
        }
        if !self.homed {
            self.broken("P1", now_us, "moves though the arm does not know where it is".into());
        }
        let idle_us = now_us - self.renewed_us;
        if idle_us > LEASE_US {
            self.broken("P8", now_us, format!("moves under a lease idle for {} ms", idle_us / 1000));
        }
        self.moved_us = Some(basis.at_us);
        if self.closed {
            self.broken("P1", now_us, "moves though the operation was closed".into());
        }
        if self.consent_withdrawn {
            self.broken("P1", now_us, "moves though consent was withdrawn".into());
        }
        if !self.latched.is_empty() {
            self.broken("P4", now_us, "moves under a latched e-stop".into());
        }
        if self.release_after_us.is_some() {
            self.broken("P3", now_us, "moves though the dead-man was not released since the stop".into());
        }
        self.check_control(now_us, basis.token);
        if basis.sequence > self.durable {
            self.unrecorded.entry(basis.sequence).or_insert(basis.at_us);
        }
        let lead_us = self.lead_us(now_us);
        if lead_us > LEAD_HOLD_US_MAX {
            self.broken("P11", now_us, format!("moves {} ms ahead of its record", lead_us / 1000));
        }
        if basis.at_us > self.listed_us {
            self.unlisted_since.get_or_insert((basis.sequence, basis.at_us));
        }
        let unlisted_us = self.unlisted_us(now_us);
        if unlisted_us > UNLISTED_US_MAX {
            self.broken("P11", now_us, format!("moves {} ms without the surgeon's list", unlisted_us / 1000));
        }
        let lag_mm = distance(tip_mm, basis.target_mm);
        // A tool at a region is beside its target, and is not said to chase what it may not reach.
        let held_off = self.depth_mm(&[basis.target_mm, basis.target_mm]) > -JAWS_MM - NEAR_MM;
        let lag_deg = self.turn_deg(basis.target_wxyz);
        if held_off || lag_deg <= LAG_DEG_MAX + 0.5 {
            self.turned_from = None;
        } else if self.turned_deg() > LAG_DEG_MAX + 0.5 {
            self.broken("P2", now_us, format!("chases a target turned by {lag_deg:.1}°"));
        }
        if !held_off && lag_mm > LAG_MM_MAX + 0.5 {
            self.broken("P2", now_us, format!("chases a target {lag_mm:.1} mm away"));
        }
    }

    /// Of one surgeon at a time, who let go of it in favour of the next, unless that one was gone for a lease and two people
    /// gave it away.
    fn check_control(&mut self, now_us: u64, token: LeaseToken) {
        if token < self.token {
            return self.broken("P8", now_us, format!("follows token {token} after {}", self.token));
        }
        if self.over.contains(&token) {
            return self.broken(
                "P8",
                now_us,
                format!("follows token {token}, which lapsed or was handed on"),
            );
        }
        if token == self.token {
            return;
        }
        let Some(holder) = self.holders.get(&token).copied() else {
            return self.broken(
                "P8",
                now_us,
                format!("follows token {token}, which no surgeon has confirmed"),
            );
        };
        let before = self.holders.get(&self.token).copied();
        if before.is_some_and(|before| before != holder) && !self.given.contains(&holder) {
            self.broken(
                "P8",
                now_us,
                format!("token {token} is another surgeon's, to whom nobody gave control"),
            );
        }
        self.token = token;
        self.given.clear();
        self.giving.clear();
    }

    /// What the kit says it made of a command: if it refused this one, the tool has moved under the one before it.
    pub fn verdict(&mut self, token: LeaseToken, sequence: u64, refused: bool) {
        if token != self.highest {
            return;
        }
        let came_us = self.applicable.remove(&sequence).filter(|_| !refused);
        self.moved_us = self.moved_us.map(|moved_us| came_us.map_or(moved_us, |at_us| at_us.max(moved_us)));
        // The first entry of a lease stands for what moved before it.
        if refused && sequence > 1 {
            self.unrecorded.remove(&sequence);
            self.unlisted_since = self.unlisted_since.filter(|(since, _)| *since != sequence);
        }
    }

    /// From the oldest command that moved the tool and is not durable.
    fn lead_us(&self, now_us: u64) -> u64 {
        self.unrecorded.values().min().map_or(0, |at_us| now_us - at_us)
    }

    fn unlisted_us(&self, now_us: u64) -> u64 {
        self.unlisted_since.map_or(0, |(_, since_us)| now_us - since_us)
    }

    /// A record that lags needs a fresh command, and one that lagged for long a release too, before the tool moves again.
    fn check_record(&mut self, now_us: u64) {
        let lead_us = self.lead_us(now_us);
        let unlisted_us = self.unlisted_us(now_us);
        if lead_us > LEAD_HOLD_US_MAX && self.basis.is_some() {
            self.happened(Precondition::Behind);
        }
        if lead_us > LEAD_HOLD_US_MAX || unlisted_us > UNLISTED_US_MAX {
            self.basis = None;
        }
        if lead_us > LEAD_PAUSE_US_MAX && self.release_after_us.is_none() {
            self.release_after_us = Some(now_us);
        }
    }

    /// The worse the line, the slower, and only slowly faster again.
    fn speed_allowed(&mut self) {
        let age_ms_max = COMMAND_AGE_US_MAX as f64 / 1000.0;
        let share =
            |(delay_ms, jitter_ms)| (age_ms_max - delay_ms - jitter_ms) / (age_ms_max - SPEED_FULL_MS);
        let now = self.line.map_or(0.0, share).clamp(0.0, 1.0);
        let before = self.speeds.back().copied().unwrap_or(0.0);
        self.speeds.push_back(now.min(before + 1.0 / SPEED_RECOVERY_TICKS));
        if self.speeds.len() > SLOWING_TICKS {
            self.speeds.pop_front();
        }
    }

    /// The kit's own log has a hole, or lacks a verdict.
    pub fn log_broken(&mut self, now_us: u64, words: String) {
        self.broken("P11", now_us, words);
    }

    fn check_step(&mut self, now_us: u64, last: &ArmSetpoint, next: &ArmSetpoint, tip_mm: [f64; 3]) {
        for joint in 0..6 {
            let velocity = (next.joints[joint] - last.joints[joint]) / TICK_S;
            self.check_joint(now_us, joint, next.joints[joint], velocity, next.action);
            self.velocity[joint] = velocity;
        }
        let tip_mm_s = distance(self.tool_mm[0], tip_mm) / TICK_S;
        if tip_mm_s > self.limits.tip_speed_mm_s_max * (1.0 + 1e-3) {
            self.broken("P5", now_us, format!("tip at {tip_mm_s:.1} mm/s"));
        }
        if next.action == Action::Move && self.speeds.back().is_some_and(|&share| share < 1.0) {
            self.happened(Precondition::LimitedLine);
        }
        let fastest = self.limits.acceleration_rad_m_s2_max[0] * TICK_S * TICK_S;
        let step = [last, next].map(|setpoint| setpoint.joints[0]);
        if next.action == Action::Move && (step[1] - step[0]).abs() > 3.0 * fastest {
            self.happened(Precondition::Fast);
        }
        if next.action == Action::Withdraw && last.action != Action::Withdraw {
            self.happened(Precondition::Withdrawal);
        }
        let share = self.speeds.iter().copied().fold(0.0, f64::max) + SHARE_SLACK;
        if next.action == Action::Move && tip_mm_s > self.limits.tip_speed_mm_s_max * share {
            let words = format!("tip at {tip_mm_s:.1} mm/s, the line allows a share of {share:.2}");
            self.broken("P7", now_us, words);
        }
        let drawn_out = next.joints[2] <= last.joints[2] + ROUNDING
            && (0..6).all(|joint| joint == 2 || (next.joints[joint] - last.joints[joint]).abs() < ROUNDING);
        // What moved before comes to rest first.
        self.drawing =
            next.action == Action::Withdraw && (self.drawing || next.joints == last.joints || drawn_out);
        if self.drawing && !drawn_out {
            self.broken("P13", now_us, "a withdrawal does more than draw the tool out".into());
        }
        if next.action == Action::Hold && next.joints != last.joints {
            self.broken("P2", now_us, "drifts while holding".into());
        }
        if next.action == Action::Move {
            self.stopping = false;
        }
    }

    fn check_joint(&mut self, now_us: u64, joint: usize, position: f64, velocity: f64, action: Action) {
        let limits = self.limits;
        let (min, max) = (limits.position_rad_m_min[joint], limits.position_rad_m_max[joint]);
        if !(min - ROUNDING..=max + ROUNDING).contains(&position) {
            self.broken("P5", now_us, format!("joint {joint} at {position}, outside {min} to {max}"));
        }
        let fastest = limits.velocity_rad_m_s_max[joint];
        if velocity.abs() > fastest * (1.0 + ROUNDING) + ROUNDING {
            self.broken("P5", now_us, format!("joint {joint} at {velocity} a second, limit {fastest}"));
        }
        let brake = limits.stop_deceleration_rad_m_s2_max[joint];
        let change = (velocity - self.velocity[joint]).abs() / TICK_S;
        if change > brake * (1.0 + ROUNDING) + ROUNDING {
            self.broken("P5", now_us, format!("joint {joint} accelerates at {change}, limit {brake}"));
        }
        let allowed = (self.velocity[joint].abs() - brake * TICK_S).max(0.0);
        let stops = self.stopping && matches!(action, Action::Brake | Action::Hold);
        if stops && velocity.abs() > allowed + ROUNDING {
            let words = format!("joint {joint} still at {velocity} after the stop, {allowed} allowed");
            self.broken("P3", now_us, words);
        }
    }

    /// Since its targets are turned too far: a wrist that cannot turn there may still go to where its range ends, if that is near.
    fn turned_deg(&mut self) -> f64 {
        let Some(last) = self.last else { return 0.0 };
        let now = self.model.forward(&Joints(last.joints)).rotation;
        let from = *self.turned_from.get_or_insert([now.w, now.i, now.j, now.k]);
        self.turn_deg(from)
    }

    /// From the last setpoint's direction to this one, by the smallest turn.
    fn turn_deg(&self, wxyz: [f64; 4]) -> f64 {
        let Some(last) = self.last else { return 0.0 };
        let now = self.model.forward(&Joints(last.joints)).rotation;
        let cosine: f64 = [now.w, now.i, now.j, now.k].iter().zip(wxyz).map(|(a, b)| a * b).sum();
        2.0 * cosine.abs().min(1.0).acos().to_degrees()
    }

    /// Tip, and where the closed jaws end.
    fn tool_mm(&self, joints: &[f64; 6]) -> [[f64; 3]; 2] {
        let pose = self.model.forward(&Joints(*joints));
        let (tip_m, along) = (pose.translation.vector, pose.rotation * nalgebra::Vector3::z());
        [0.0, JAWS_MM].map(|ahead_mm| (tip_m * 1e3 + along * ahead_mm).into())
    }

    fn happened(&mut self, precondition: Precondition) {
        self.happened.note(precondition);
    }

    /// How often there was something to keep a promise against, by words.
    #[must_use]
    pub fn preconditions(&self) -> BTreeMap<&'static str, u64> {
        self.happened.by_words()
    }

    fn broken(&mut self, promise: &'static str, tick_us: u64, words: String) {
        // The first few tell the story; a kit gone wrong breaks a promise in every tick.
        if self.violations.len() < 16 {
            self.violations.push(Violation { promise, tick_us, words });
        }
    }
}

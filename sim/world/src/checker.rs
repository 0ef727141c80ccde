//! An independent witness of the kit: it sees what was delivered and what was permitted, and knows which messages were
//! forged or damaged, because the world did it. It shares no code with the guard and is written from the promises alone.

mod geometry;
mod happened;
mod heard;
mod motion;
mod record;
mod regions;
mod seen;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use farhand_motion::Mounted;
use farhand_wire::{Action, ArmSetpoint, Challenge, LeaseToken, PressId, PublicKey, Region, Role};

use geometry::distance;
use happened::{Happened, Precondition};
use seen::Seen;

const TICK_S: f64 = 1e-3;
const COMMAND_AGE_US_MAX: u64 = 300_000;
const SILENCE_US_MAX: u64 = 50_000;
const SILENCE_PAUSE_US_MAX: u64 = 500_000;
const LEASE_US: u64 = 10_000_000;
const LAG_MM_MAX: f64 = 10.0;
const LAG_DEG_MAX: f64 = 15.0;
/// Ticks that the loop may miss in a row.
const MISSED_MAX: u64 = 5;
/// Between two commands, whichever path dies.
const GAP_US_MAX: u64 = 20_000;
const LEAD_HOLD_US_MAX: u64 = 100_000;
const UNLISTED_US_MAX: u64 = 2_000_000;
/// What P6 grants, and where the closed jaws end, from the tip.
const PENETRATION_MM: f64 = 0.1;
const JAWS_MM: f64 = 10.0;
/// Nearer than this to a region the tool is at it.
const NEAR_MM: f64 = 1.0;
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
    /// The command that is on record no sooner than this one is.
    recorded_with: u64,
    target_mm: [f64; 3],
    target_wxyz: [f64; 4],
}

/// Watches one kit, across its restarts.
#[derive(Debug)]
pub struct Checker {
    arms: Vec<Seen>,
    people: BTreeMap<PublicKey, (PublicKey, Role)>,
    frames: BTreeMap<u64, u64>,
    /// The greatest sequence that came, for any arm and for each; and that of the newest release.
    newest: BTreeMap<LeaseToken, u64>,
    taken: BTreeMap<(LeaseToken, usize), u64>,
    let_go: BTreeMap<LeaseToken, u64>,
    arming: BTreeMap<Challenge, BTreeSet<PublicKey>>,
    clearing: BTreeMap<Challenge, BTreeSet<PublicKey>>,
    armed: bool,
    /// Nothing arms it again, whoever restarts.
    closed: bool,
    /// Who has confirmed a lease, by its token; and tokens that are over, because they lapsed or were handed on.
    holders: BTreeMap<LeaseToken, PublicKey>,
    /// When, or when a stop was cleared since: from then on the dead-man must be seen released.
    begun_us: BTreeMap<LeaseToken, u64>,
    over: BTreeSet<LeaseToken>,
    /// To whom else than its last holder control may go.
    given: BTreeSet<PublicKey>,
    giving: BTreeMap<(Challenge, PublicKey), BTreeSet<PublicKey>>,
    /// Commands under which the tool moved, and when they came, that are not known to be durable; and what is.
    unrecorded: BTreeMap<u64, u64>,
    durable: u64,
    /// The surgeon's lists that are durable, as told under one lease; when the newest was; and the first command after it
    /// under which the tool moved.
    lists: BTreeMap<LeaseToken, u64>,
    listed_us: u64,
    unlisted_since: Option<((LeaseToken, u64), u64)>,
    latched: BTreeSet<PressId>,
    cleared: BTreeSet<PressId>,
    /// The greatest token under which anything was sent, and under which the tool moved.
    highest: LeaseToken,
    token: LeaseToken,
    /// Regions by version, as they were told; and those in force.
    told: BTreeMap<u64, Vec<Region>>,
    forbidden: Vec<Region>,
    in_force: Option<u64>,
    /// Until then the kit may have taken up other regions and not said so yet.
    changing_until_us: u64,
    consent_withdrawn: bool,
    /// When the newest authentic command of the lease came.
    renewed_us: u64,
    /// When the kit last had a tick.
    ticked_us: Option<u64>,
    /// Delay of the newest command and its smoothed jitter, ms.
    line: Option<(f64, f64)>,
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
    pub fn new(arms: &[Mounted], people: impl IntoIterator<Item = (PublicKey, Role)>) -> Self {
        Self {
            arms: arms.iter().cloned().map(Seen::new).collect(),
            people: people.into_iter().map(|(key, role)| (key, (key, role))).collect(),
            frames: BTreeMap::new(),
            newest: BTreeMap::new(),
            taken: BTreeMap::new(),
            let_go: BTreeMap::new(),
            arming: BTreeMap::new(),
            clearing: BTreeMap::new(),
            armed: false,
            closed: false,
            holders: BTreeMap::new(),
            begun_us: BTreeMap::new(),
            over: BTreeSet::new(),
            given: BTreeSet::new(),
            giving: BTreeMap::new(),
            unrecorded: BTreeMap::new(),
            durable: 0,
            lists: BTreeMap::new(),
            listed_us: 0,
            unlisted_since: None,
            latched: BTreeSet::new(),
            cleared: BTreeSet::new(),
            highest: LeaseToken(0),
            token: LeaseToken(0),
            told: BTreeMap::new(),
            forbidden: Vec::new(),
            in_force: None,
            changing_until_us: 0,
            consent_withdrawn: false,
            renewed_us: 0,
            ticked_us: None,
            line: None,
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

    /// The kit lost its memory: nobody is armed, endorsed or engaged, and its clock starts anew.
    pub fn kit_restarted(&mut self) {
        self.arms.iter_mut().for_each(Seen::kit_restarted);
        self.people.retain(|speaker, (member, _)| speaker == member);
        self.frames.clear();
        self.newest.clear();
        self.taken.clear();
        self.let_go.clear();
        self.begun_us.clear();
        (self.armed, self.renewed_us, self.ticked_us) = (false, 0, None);
        self.durable = 0;
        self.lists.clear();
        (self.listed_us, self.unlisted_since) = (0, None);
        self.holders.clear();
        self.given.clear();
        self.giving.clear();
        self.unrecorded.clear();
        self.latched.clear();
        self.cleared.clear();
        self.arming.clear();
        self.clearing.clear();
        self.line = None;
        self.speeds.clear();
        (self.in_force, self.changing_until_us) = (None, 0);
        self.forbidden.clear();
    }

    /// Of two paths one is dead, and nothing else is wrong.
    pub fn one_path_is_dead(&mut self, dead: bool) {
        self.one_path = dead;
    }

    /// Between two commands for an arm under a held dead-man.
    fn check_gap(&mut self, now_us: u64, arm: usize) {
        let gap_us = self.arms[arm].basis.map_or(0, |basis| now_us - basis.at_us);
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

    /// What an arm last told the kit.
    pub fn arm_is_homed(&mut self, arm: usize, homed: bool) {
        self.arms[arm].homed = homed;
    }

    /// Half a second without a fresh command asks for a release.
    fn take_silence(&mut self, now_us: u64) {
        for arm in &mut self.arms {
            let Some(at_us) = arm.moved_us else { continue };
            if now_us > at_us + SILENCE_PAUSE_US_MAX + 1_000 {
                (arm.basis, arm.moved_us) = (None, None);
                arm.release_after_us.get_or_insert(at_us + SILENCE_PAUSE_US_MAX);
            }
        }
    }

    /// A loop that missed its deadlines needs a fresh command.
    fn take_deadlines(&mut self, now_us: u64) {
        let missed = self.ticked_us.map_or(0, |last_us| ((now_us - last_us) / 1_000).saturating_sub(1));
        self.ticked_us = Some(now_us);
        if missed >= MISSED_MAX && self.arms.iter().any(|arm| arm.basis.is_some()) {
            self.happened(Precondition::Late);
            self.arms.iter_mut().for_each(|arm| arm.basis = None);
        }
    }

    /// The kit permitted this arm this in the tick. It permits each arm something, in their order.
    pub fn permitted(&mut self, now_us: u64, arm: usize, setpoint: &ArmSetpoint) {
        if arm == 0 {
            self.take_silence(now_us);
            self.take_deadlines(now_us);
            self.speed_allowed();
        }
        let known = self.violations.len();
        let seen = &mut self.arms[arm];
        let tool_mm = seen.tool_mm(&setpoint.joints);
        seen.turned_from = seen.turned_from.filter(|_| setpoint.action == Action::Move);
        if setpoint.action == Action::Move {
            self.happened(Precondition::Moves);
            self.moves += 1;
            self.check_move(now_us, arm, tool_mm[0]);
        }
        if arm + 1 == self.arms.len() {
            self.check_record(now_us);
        }
        self.check_regions(now_us, arm, setpoint, &tool_mm);
        if let Some(last) = self.arms[arm].last {
            self.check_step(now_us, arm, &last, setpoint, tool_mm[0]);
        }
        let seen = &mut self.arms[arm];
        (seen.last, seen.tool_mm) = (Some(*setpoint), tool_mm);
        if self.arms.len() > 1 {
            for violation in &mut self.violations[known..] {
                violation.words = format!("arm {arm}: {}", violation.words);
            }
        }
    }

    fn check_move(&mut self, now_us: u64, arm: usize, tip_mm: [f64; 3]) {
        let Some(basis) = self.arms[arm].basis else {
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
        if !self.arms[arm].homed {
            self.broken("P1", now_us, "moves though the arm does not know where it is".into());
        }
        let idle_us = now_us - self.renewed_us;
        if idle_us > LEASE_US {
            self.broken("P8", now_us, format!("moves under a lease idle for {} ms", idle_us / 1000));
        }
        self.arms[arm].moved_us = Some(basis.at_us);
        if self.closed {
            self.broken("P1", now_us, "moves though the operation was closed".into());
        }
        if self.consent_withdrawn {
            self.broken("P1", now_us, "moves though consent was withdrawn".into());
        }
        if !self.latched.is_empty() {
            self.broken("P4", now_us, "moves under a latched e-stop".into());
        }
        if self.arms[arm].release_after_us.is_some() {
            self.broken("P3", now_us, "moves though the dead-man was not released since the stop".into());
        }
        self.check_control(now_us, basis.token);
        if basis.recorded_with > self.durable {
            self.unrecorded.entry(basis.recorded_with).or_insert(basis.at_us);
        }
        let lead_us = self.lead_us(now_us);
        if lead_us > LEAD_HOLD_US_MAX {
            self.broken("P11", now_us, format!("moves {} ms ahead of its record", lead_us / 1000));
        }
        if basis.at_us > self.listed_us {
            self.unlisted_since.get_or_insert(((basis.token, basis.sequence), basis.at_us));
        }
        let unlisted_us = self.unlisted_us(now_us);
        if unlisted_us > UNLISTED_US_MAX {
            self.broken("P11", now_us, format!("moves {} ms without the surgeon's list", unlisted_us / 1000));
        }
        // One that is asked out of its workspace goes to the edge, and is measured from there; not at right angles to every face.
        let lag_mm = distance(tip_mm, basis.target_mm) - 2.0 * self.arms[arm].outside_mm(basis.target_mm);
        // A tool at a region is beside its target, and is not said to chase what it may not reach.
        let held_off = self.depth_mm(&[basis.target_mm, basis.target_mm]) > -JAWS_MM - NEAR_MM;
        let seen = &mut self.arms[arm];
        let lag_deg = seen.turn_deg(basis.target_wxyz);
        if held_off || lag_deg <= LAG_DEG_MAX + 0.5 {
            seen.turned_from = None;
        } else if seen.turned_deg() > LAG_DEG_MAX + 0.5 {
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

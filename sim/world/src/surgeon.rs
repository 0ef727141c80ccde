//! A scripted surgeon at a console: takes control, reaches for the target, grasps it, lets go, and starts again.
//!
//! It keeps the console's side of every bargain that a real console keeps: it starts an engagement only from a held
//! setpoint that an authentic state told it, sends absolute targets, and repeats releases.

mod other_hand;

use farhand_ledger::{Chain, Hash, SEGMENT_ITEMS_MAX, Segment, Sent as Listed, SurgeonSegment};
use farhand_wire::{
    Command, EngagementId, FrameId, FrameRecord, HoldNumber, Kind, KitNotice, KitState, KitTick, LeaseKeys,
    LeaseToken, LeaseTranscript, Mode, Pose, PublicKey, Said, Sequence, SessionId, Statement, state_flags,
};
use x25519_dalek::{PublicKey as Point, StaticSecret};

use crate::{Person, Sight};
use other_hand::OtherHand;

/// A command in so many ms while the dead-man is held.
const COMMAND_MS: u64 = 8;
/// The console signs what it sent in so many ms.
const LIST_US: u64 = 100_000;
/// How fast the hand goes, and how far ahead of the tool it gets.
const HAND_MM_S: f64 = 25.0;
const HASTY_MM_S: f64 = 400.0;
const TREMOR_HZ: f64 = 10.0;
const TREMOR_M: f64 = 2e-4;
const LEAD_MM_MAX: f64 = 5.0;
const ARRIVED_MM: f64 = 0.3;
const TWIST_RAD_S: f64 = 20.0;
/// The dead-man is up for so long at least.
const AWAY_US: u64 = 150_000;
/// An engagement that came to nothing is followed by another so soon, by whoever does not let go in between.
const AGAIN_US: u64 = 60_000;
/// And so soon another one in the midst of it.
const IMPATIENT_US: u64 = 280_000;
const CONFUSED_COMMANDS: u64 = 10;
const OPEN_RAD: f64 = 0.6;
const JAW_RAD_S: f64 = 2.0;

/// Something that a console sends.
#[derive(Clone, Debug, PartialEq)]
pub enum Sent {
    Unreliable(Vec<u8>),
    Reliable(Vec<u8>),
}

/// What the hand is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hand {
    /// The dead-man is up, since when.
    Away { since_us: u64 },
    /// It is held, from this held setpoint on.
    Engaged { hold: HoldNumber, since_us: u64 },
}

/// Where a hand shall be that is led from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lead {
    pub target: Pose,
    /// As it is, unless said.
    pub jaw_rad: Option<f64>,
}

/// Who moves the hand.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mover {
    /// The script: reaches, and grasps.
    Itself,
    /// Somebody else, who has it on the tool or off it.
    Another(Option<Lead>),
}

#[derive(Debug)]
struct Control {
    token: LeaseToken,
    keys: LeaseKeys,
}

/// The surgeon and the console, as one pure machine.
pub struct Console {
    pub person: Person,
    session: SessionId,
    kit: PublicKey,
    secret: StaticSecret,
    requests: u8,
    requested_us: u64,
    waiting: Option<(LeaseTranscript, LeaseKeys)>,
    control: Option<Control>,
    notice: Option<KitNotice>,
    /// The first arm's.
    state: Option<KitState>,
    /// The newest of any arm's.
    tick: KitTick,
    other: OtherHand,
    frame: FrameId,
    sequence: u64,
    engagement: u64,
    hand: Hand,
    mover: Mover,
    target: Pose,
    jaw_rad: f64,
    sent_us: u64,
    /// Where the object is, and whether it has been taken: the surgeon sees that.
    goal_mm: [f64; 3],
    done: bool,
    closing: bool,
    /// Goes by what the picture shows and when; without it the hand knows where the tool is as soon as the kit has said it.
    pub sight: Option<Sight>,
    /// The surgeon is to operate; otherwise watches.
    pub wanting: bool,
    /// The surgeon keeps the pedal down whatever happens, as a foot asleep would.
    pub stuck: bool,
    /// Reaches faster than any tool may follow.
    pub hasty: bool,
    /// The console takes leave of its senses: what it sends is authentic, and much of it makes no sense.
    pub confused: bool,
    /// The hand trembles.
    pub trembling: bool,
    /// The wrist turns faster than any tool's.
    pub twisting: bool,
    /// The dead-man is held throughout: whatever ended an engagement, another one begins without a release.
    pub unreleased: bool,
    /// Commands go on under a lease that is another's by now.
    pub obstinate: bool,
    /// Signs whatever would arm or clear, whoever else has signed.
    pub conspiring: bool,
    /// The console's signed lists do not leave it.
    pub unlisting: bool,
    /// What it sent and has not listed.
    unlisted: Vec<(LeaseToken, Listed)>,
    lists: Chain,
    listed_us: u64,
    began: bool,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console")
            .field("hand", &self.hand)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl Console {
    #[must_use]
    pub fn new(person: Person, session: SessionId, kit: PublicKey, seed: u8) -> Self {
        Self {
            person,
            session,
            kit,
            secret: StaticSecret::from([seed; 32]),
            requests: seed,
            requested_us: 0,
            waiting: None,
            control: None,
            notice: None,
            state: None,
            tick: KitTick(0),
            other: OtherHand::default(),
            frame: FrameId(0),
            sequence: 0,
            engagement: 0,
            hand: Hand::Away { since_us: 0 },
            mover: Mover::Itself,
            target: Pose::default(),
            jaw_rad: 0.0,
            sent_us: 0,
            goal_mm: [0.0; 3],
            done: false,
            closing: false,
            sight: None,
            wanting: true,
            stuck: false,
            hasty: false,
            confused: false,
            trembling: false,
            twisting: false,
            unreleased: false,
            obstinate: false,
            conspiring: false,
            unlisting: false,
            unlisted: Vec::new(),
            lists: Chain::new(session),
            listed_us: 0,
            began: false,
        }
    }

    /// What the surgeon is looking for.
    pub fn look_at(&mut self, goal_mm: [f64; 3], done: bool) {
        (self.goal_mm, self.done) = (goal_mm, done);
    }

    /// The operation is over, if this surgeon holds control and so may say it.
    #[must_use]
    pub fn close(&self) -> Option<Vec<u8>> {
        self.control.as_ref().map(|_| self.person.say(Said::Close {}))
    }

    /// Lets go in favour of another surgeon, if this one holds control.
    #[must_use]
    pub fn hand_over(&self, to: PublicKey) -> Option<Vec<u8>> {
        self.control.as_ref().map(|control| self.person.say(Said::HandOver { token: control.token, to }))
    }

    #[must_use]
    pub fn notice(&self) -> Option<&KitNotice> {
        self.notice.as_ref()
    }

    /// The newest authentic state of the first arm.
    #[must_use]
    pub fn state(&self) -> Option<&KitState> {
        self.state.as_ref()
    }

    /// Whether the hand is on the tool.
    #[must_use]
    pub fn is_engaged(&self) -> bool {
        matches!(self.hand, Hand::Engaged { .. })
    }

    /// From now on the hand goes where it is led: onto the tool as soon as that is held at rest, off it when nobody leads.
    pub fn follow(&mut self, lead: Option<Lead>) {
        self.mover = Mover::Another(lead);
    }

    #[must_use]
    pub fn holds_control(&self) -> bool {
        self.control.is_some()
    }

    /// Whether an engagement may begin now.
    #[must_use]
    pub fn is_ready(&self, now_us: u64) -> bool {
        let Hand::Away { since_us } = self.hand else { return false };
        let held = self.state.as_ref().is_some_and(|state| {
            let has = |flag| state.flags & flag != 0;
            state.mode == Mode::Holding && has(state_flags::AT_REST) && !has(state_flags::ENGAGED)
        });
        self.control.is_some() && held && now_us > since_us + AWAY_US
    }

    /// Takes the hand off, as anybody does now and then.
    pub fn let_go(&mut self, now_us: u64) {
        if self.is_engaged() && !self.stuck && !self.unreleased {
            self.hand = Hand::Away { since_us: now_us };
        }
    }

    /// Takes a message in. What is not authentic is not looked at.
    pub fn receive(&mut self, bytes: &[u8], out: &mut Vec<Sent>) {
        match Kind::of(bytes) {
            Ok(Kind::Signed) => self.statement(bytes, out),
            Ok(Kind::KitState) => self.kit_state(bytes),
            Ok(Kind::FrameRecord) => {
                if let Ok(record) = FrameRecord::read(bytes) {
                    self.frame = self.frame.max(record.frame);
                }
            }
            _ => {}
        }
    }

    fn statement(&mut self, bytes: &[u8], out: &mut Vec<Sent>) {
        let Ok((author, statement)) = Statement::open(bytes) else { return };
        if author != self.kit || statement.session != self.session {
            return;
        }
        match statement.said {
            Said::Notice { notice } => self.heed(notice),
            Said::LeaseGrant { transcript } => self.granted(transcript, out),
            _ => {}
        }
    }

    /// A kit that was restarted has forgotten everybody.
    fn heed(&mut self, notice: KitNotice) {
        if self.notice.as_ref().is_some_and(|last| last.boot != notice.boot) {
            (self.control, self.waiting, self.state, self.began) = (None, None, None, false);
            self.other.begin_anew();
            self.hand = Hand::Away { since_us: 0 };
        }
        let anothers = notice.holder.is_some_and(|holder| holder != self.person.keys.speaker());
        let newer = self.control.as_ref().is_some_and(|control| notice.token > control.token);
        if anothers && newer && !self.obstinate {
            (self.control, self.hand) = (None, Hand::Away { since_us: 0 });
        }
        self.notice = Some(notice);
    }

    fn kit_state(&mut self, bytes: &[u8]) {
        let adopted = |keys: &LeaseKeys| KitState::open(bytes, &keys.kit_to_console).ok();
        if let Some(state) = self.control.as_ref().and_then(|control| adopted(&control.keys)) {
            self.tick = self.tick.max(state.tick);
            if state.arm.number > 0 {
                self.other.sees(state);
            } else if self.state.as_ref().is_none_or(|last| last.tick < state.tick) {
                self.state = Some(state);
            }
        } else if let Some((transcript, keys)) = self.waiting.take() {
            match adopted(&keys) {
                Some(state) if state.arm.number == 0 => self.take_control(transcript.token, keys, state),
                _ => self.waiting = Some((transcript, keys)),
            }
        }
    }

    fn take_control(&mut self, token: LeaseToken, keys: LeaseKeys, state: KitState) {
        self.control = Some(Control { token, keys });
        (self.sequence, self.engagement, self.tick) = (0, 0, state.tick);
        self.other.begin_anew();
        self.state = Some(state);
    }

    fn granted(&mut self, transcript: LeaseTranscript, out: &mut Vec<Sent>) {
        let ours = transcript.holder == self.person.keys.speaker()
            && transcript.kit == self.kit
            && transcript.holder_x25519 == PublicKey(Point::from(&self.secret).to_bytes());
        let shared = self.secret.diffie_hellman(&Point::from(transcript.kit_x25519.0));
        let Some(keys) = LeaseKeys::derive(&transcript, &shared).filter(|_| ours) else { return };
        self.control = None;
        self.waiting = Some((transcript, keys));
        out.push(Sent::Reliable(self.person.say(Said::LeaseConfirm { transcript })));
    }

    /// One millisecond of the surgeon's time.
    pub fn step(&mut self, now_us: u64, out: &mut Vec<Sent>) {
        if !self.began && self.notice.is_some() {
            self.began = true;
            out.push(Sent::Reliable(self.person.endorse()));
        }
        self.sign(now_us, out);
        if self.control.is_some() {
            self.move_hand(now_us);
            self.send_command(now_us, out);
        }
        if now_us >= self.listed_us + LIST_US && !self.unlisting {
            self.listed_us = now_us;
            self.list(out);
        }
    }

    /// Signs what was sent, a list for each token. To be called once more at the end.
    pub fn list(&mut self, out: &mut Vec<Sent>) {
        for sent in std::mem::take(&mut self.unlisted).chunk_by(|one, other| one.0 == other.0) {
            for piece in sent.chunks(SEGMENT_ITEMS_MAX) {
                let link = self.lists.next();
                let sent = piece.iter().map(|(_, listed)| *listed).collect();
                let segment = SurgeonSegment { link, token: piece[0].0, sent };
                let Ok(signed) = segment.sign(&self.person.keys.session) else { return };
                if self.lists.extend(link, &signed).is_ok() {
                    out.push(Sent::Reliable(Kind::SurgeonSegment.wrap(&signed)));
                }
            }
        }
    }

    /// Rituals, and asking for control.
    fn sign(&mut self, now_us: u64, out: &mut Vec<Sent>) {
        let Some(notice) = self.notice.clone() else { return };
        let (has, challenge) = (|flag| notice.flags & flag != 0, notice.challenge);
        let signed = if notice.mode == Mode::Stopped as u8 && (self.wanting || self.conspiring) {
            self.person.sign(now_us, "clear", challenge, Said::ClearEStop { challenge })
        } else if !has(state_flags::ARMED) {
            // The surgeon signs second: first whoever sees the patient.
            let first_signed = has(state_flags::HOMED) && !notice.signed_by.is_empty();
            (first_signed && self.wanting || self.conspiring)
                .then(|| self.person.sign(now_us, "arm", challenge, Said::Arm { challenge }))
                .flatten()
        } else if self.wanting
            && (!has(state_flags::LEASED) || notice.holder != Some(self.person.keys.speaker()))
        {
            self.ask(now_us, &notice)
        } else {
            None
        };
        out.extend(signed.map(Sent::Reliable));
    }

    fn ask(&mut self, now_us: u64, notice: &KitNotice) -> Option<Vec<u8>> {
        if now_us < self.requested_us + 700_000 && self.requested_us > 0 {
            return None;
        }
        self.requested_us = now_us;
        self.requests = self.requests.wrapping_add(1);
        self.secret = StaticSecret::from([self.requests; 32]);
        let x25519 = PublicKey(Point::from(&self.secret).to_bytes());
        Some(self.person.say(Said::LeaseRequest { challenge: notice.challenge, x25519 }))
    }

    fn move_hand(&mut self, now_us: u64) {
        let Some(state) = self.state.clone() else { return };
        if let Mover::Another(lead) = self.mover {
            return self.be_led(now_us, lead, &state);
        }
        let has = |flag| state.flags & flag != 0;
        match self.hand {
            Hand::Away { since_us } => {
                if may_engage(&state) && now_us > since_us + AWAY_US {
                    self.engage(now_us, &state);
                }
            }
            Hand::Engaged { since_us, .. } => {
                let lost = !has(state_flags::ENGAGED) || state.engagement != EngagementId(self.engagement);
                let so_soon_us = if lost { AGAIN_US } else { IMPATIENT_US };
                if self.unreleased && now_us > since_us + so_soon_us {
                    self.engage(now_us, &state);
                    return;
                }
                let patience_us = if self.confused { 200_000 } else { 1_200_000 };
                if lost && now_us > since_us + patience_us && !self.stuck {
                    self.hand = Hand::Away { since_us: now_us };
                } else if has(state_flags::ENGAGED) {
                    self.reach(now_us, &state);
                }
            }
        }
    }

    fn be_led(&mut self, now_us: u64, lead: Option<Lead>, state: &KitState) {
        match lead {
            Some(_) if self.is_ready(now_us) => self.engage(now_us, state),
            None if self.is_engaged() => self.hand = Hand::Away { since_us: now_us },
            _ => {}
        }
        if let Some(Lead { target, jaw_rad }) = lead.filter(|_| self.is_engaged()) {
            self.target = target;
            self.jaw_rad = jaw_rad.unwrap_or(self.jaw_rad);
        }
    }

    fn engage(&mut self, now_us: u64, state: &KitState) {
        self.engagement += 1;
        (self.target, self.jaw_rad) = (state.setpoint, state.jaw_rad);
        self.hand = Hand::Engaged { hold: state.hold, since_us: now_us };
        self.sight.iter_mut().for_each(|sight| sight.begin(now_us));
    }

    /// One millisecond of reaching: open jaws towards the goal, then closed.
    fn reach(&mut self, now_us: u64, state: &KitState) {
        let at_mm = self.target.position_m.map(|m| m * 1e3);
        let mut tool_mm = state.setpoint.position_m.map(|m| m * 1e3);
        let away_mm = distance(at_mm, self.goal_mm);
        if let Some(sight) = &mut self.sight {
            if !self.done && !self.closing {
                let free = distance(at_mm, tool_mm) < LEAD_MM_MAX;
                let to_mm = sight.move_hand(now_us, at_mm, self.goal_mm, free);
                self.target.position_m = to_mm.map(|mm| mm / 1e3);
            }
            tool_mm = sight.sees(at_mm).unwrap_or(tool_mm);
        } else if !self.done && away_mm > 1e-6 && distance(at_mm, tool_mm) < LEAD_MM_MAX {
            let hand_mm_s = if self.hasty { HASTY_MM_S } else { HAND_MM_S };
            let step = (hand_mm_s / 1e3).min(away_mm) / away_mm;
            for (axis, goal) in self.goal_mm.iter().enumerate() {
                self.target.position_m[axis] += (goal - at_mm[axis]) * step / 1e3;
            }
        }
        let there = self.sight.is_some() || away_mm < ARRIVED_MM;
        let arrived = there && distance(tool_mm, self.goal_mm) < ARRIVED_MM;
        self.closing = self.done || (arrived && (self.closing || state.jaw_rad > OPEN_RAD - 0.05));
        let wanted = if self.closing { 0.0 } else { OPEN_RAD };
        self.jaw_rad += (wanted - self.jaw_rad).clamp(-JAW_RAD_S / 1e3, JAW_RAD_S / 1e3);
    }

    /// As physiological tremor is: about ten times a second.
    fn with_tremor(&self, now_us: u64) -> Pose {
        let phase = now_us as f64 * 1e-6 * TREMOR_HZ * std::f64::consts::TAU;
        let mut target = self.target;
        target.position_m[0] += TREMOR_M * phase.sin();
        target.position_m[1] += TREMOR_M * (phase * 1.3).cos();
        target
    }

    /// About the tool's own axis, from where the engagement began.
    fn twisted(&self, now_us: u64) -> Pose {
        let Hand::Engaged { since_us, .. } = self.hand else { return self.target };
        let half_rad = (now_us - since_us) as f64 * 1e-6 * TWIST_RAD_S / 2.0;
        let (sine, cosine) = half_rad.sin_cos();
        let [w, x, y, z] = self.target.orientation_wxyz;
        let orientation_wxyz =
            [w * cosine - z * sine, x * cosine + y * sine, y * cosine - x * sine, z * cosine + w * sine];
        Pose { orientation_wxyz, ..self.target }
    }

    fn send_command(&mut self, now_us: u64, out: &mut Vec<Sent>) {
        let every_us = match self.hand {
            Hand::Engaged { .. } => COMMAND_MS * 1_000,
            Hand::Away { since_us } if now_us < since_us + 100_000 => COMMAND_MS * 1_000,
            Hand::Away { .. } => 50_000,
        };
        let (Some(control), Some(state)) = (&self.control, &self.state) else { return };
        let (dead_man, hold) = match self.hand {
            Hand::Engaged { hold, .. } => (true, hold),
            Hand::Away { .. } => (false, state.hold),
        };
        let command = Command {
            session: self.session,
            token: control.token,
            sequence: Sequence(self.sequence),
            kit_tick_echo: self.tick,
            arm: 0,
            dead_man,
            clutch: false,
            engagement: EngagementId(self.engagement),
            hold,
            target: match (self.trembling, self.twisting) {
                (true, _) => self.with_tremor(now_us),
                (false, true) => self.twisted(now_us),
                (false, false) => self.target,
            },
            jaw_rad: self.jaw_rad,
            frame_seen: self.frame,
            frame_age_us: None,
        };
        if now_us >= self.sent_us + every_us {
            self.sent_us = now_us;
            self.send(command, out);
        }
        if !dead_man {
            self.other.let_go();
        } else if let Some(command) = self.other.step(now_us, &command) {
            self.send(command, out);
        }
    }

    fn send(&mut self, command: Command, out: &mut Vec<Sent>) {
        let Some(control) = &self.control else { return };
        self.sequence += 1;
        let mut command = Command { sequence: Sequence(self.sequence), ..command };
        if self.confused {
            confuse(&mut command);
        }
        let frame = command.seal(&control.keys.console_to_kit).to_vec();
        let listed = Listed { sequence: command.sequence, hash: Hash::of(&frame) };
        self.unlisted.push((control.token, listed));
        out.push(Sent::Unreliable(frame));
    }
}

/// The arm stands at a hold that an engagement may begin from.
fn may_engage(state: &KitState) -> bool {
    let has = |flag| state.flags & flag != 0;
    matches!(state.mode, Mode::Holding | Mode::SafeStop)
        && has(state_flags::AT_REST)
        && !has(state_flags::ENGAGED)
}

/// One thing wrong for as long as silence would hold the tool, then another, with some sense between.
fn confuse(command: &mut Command) {
    command.dead_man = true;
    match command.sequence.0 / CONFUSED_COMMANDS % 16 {
        0 => command.arm = u8::MAX,
        1 => command.kit_tick_echo.0 += 60_000_000,
        2 => command.frame_seen.0 += 1_000_000,
        3 => command.token.0 = command.token.0.saturating_sub(1),
        4 => command.hold.0 += 1,
        5 => command.target.orientation_wxyz = [0.0, 1.0, 0.0, 0.0],
        // The first ends the engagement; the next come while the tool still brakes.
        7 | 15 => command.engagement.0 += 1,
        8 => command.target.position_m[0] += 0.05,
        9 => command.kit_tick_echo.0 = command.kit_tick_echo.0.saturating_sub(400_000),
        _ => {}
    }
}

fn distance(from: [f64; 3], to: [f64; 3]) -> f64 {
    from.iter().zip(to).map(|(from, to)| (to - from).powi(2)).sum::<f64>().sqrt()
}

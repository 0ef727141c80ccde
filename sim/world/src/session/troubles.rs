//! Whatever goes wrong, as the story tells it.
//!
//! What is wrong at a moment is a question of what goes on then ([`Session::arrange`]): faults that overlap leave nothing behind.

use farhand_motion::Axis;
use farhand_wire::{Challenge, LeaseTranscript, Mode, Region, Role, Said, region::in_millionths};
use fastrand::Rng;

use super::{CannotBegin, NEAR, SESSION, Session, TICK_US, WIDE};
use crate::{Console, Delivery, Fault, Impairment, Person, RecordFault, people::public, story::Trouble};

/// A clock that drifts runs so much fast in a millisecond.
const DRIFT_US: u64 = 10;
/// Whoever says something that may not be heard says it again after so long.
const AGAIN_US: u64 = 500_000;
const FORGE_US: u64 = 20_000;
const USURP_US: u64 = 30_000;
/// Somebody at the bedside who has not seen the stop signs arming so often.
const ARM_STOPPED_US: u64 = 200_000;
const OVERHEARD_MAX: usize = 64;
/// What a fault leaves behind is over by then.
const SETTLED_US: u64 = 3_000_000;

/// A fault that is going on.
#[derive(Debug)]
pub(super) struct Ongoing {
    trouble: Trouble,
    rng: Rng,
    /// What it does to a line, should it be a line's fault.
    line: Impairment,
    /// Who was to operate when it began.
    seat: usize,
    /// The arm that has it, should it be an arm's fault.
    pub(super) arm: usize,
    record: Option<RecordFault>,
    /// A path that is dead, and on which hop.
    dead: Option<(Hop, usize)>,
}

impl Ongoing {
    pub(super) fn is(&self, fault: Fault) -> bool {
        self.trouble.fault == fault
    }
}

/// Between console and edge box, or between edge box and kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hop {
    Wide,
    Near,
}

impl Session {
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.ongoing.iter().any(|ongoing| ongoing.is(fault))
    }

    fn has_only(&self, fault: Fault) -> bool {
        !self.ongoing.is_empty() && self.ongoing.iter().all(|ongoing| ongoing.is(fault))
    }

    pub(super) fn go_wrong(&mut self) -> Result<(), CannotBegin> {
        let now_us = self.now_us;
        for over in
            self.ongoing.extract_if(.., |ongoing| ongoing.trouble.until_us <= now_us).collect::<Vec<_>>()
        {
            self.is_over(over.trouble.fault);
        }
        while let Some(trouble) =
            self.story.troubles.get(self.told).filter(|it| it.from_us <= now_us).copied()
        {
            self.told += 1;
            self.begin(trouble)?;
        }
        self.kit_extra_us += u64::from(self.has(Fault::KitClock)) * DRIFT_US;
        self.go_on();
        // Where delays are replayed the path that is left has gaps of its own.
        let alone = self.has_only(Fault::PathDies) && self.story.series.is_none();
        self.checker.one_path_is_dead(alone && self.now_us > self.calm_from_us);
        Ok(())
    }

    fn begin(&mut self, trouble: Trouble) -> Result<(), CannotBegin> {
        *self.outcome.faults.entry(trouble.fault.name()).or_default() += 1;
        let mut rng = Rng::with_seed(trouble.dice);
        let arm = (trouble.dice >> 32) as usize % self.arms.len();
        match trouble.fault {
            Fault::EStop => self.press_at_the_bedside(),
            Fault::Unhomed => self.arms[arm].lose_zero(),
            Fault::KitClock => self.kit_extra_us += rng.u64(0..2_000_000),
            Fault::ConsoleRestart => self.reload_console(rng.u8(..)),
            Fault::Disarmed => self.say_at_the_bedside(Said::Disarm {}),
            Fault::Conspiracy if rng.bool() => self.say_at_the_bedside(Said::Disarm {}),
            Fault::Conspiracy => self.press_at_the_bedside(),
            Fault::Restart => self.restart_kit()?,
            Fault::Upset => self.kit.upset(arm, Axis::ALL[rng.usize(0..Axis::ALL.len())], rng.f64() - 0.5),
            Fault::RegionsAppear => self.forbid(&mut rng),
            Fault::RegionsLifted => self.tell_regions(Vec::new()),
            _ => {}
        }
        let ongoing = Ongoing {
            line: line_of(trouble.fault, &mut rng),
            record: record_of(trouble.fault, &mut rng),
            seat: self.operating,
            arm,
            dead: dead_of(trouble.fault, &mut rng),
            trouble,
            rng,
        };
        self.ongoing.push(ongoing);
        match trouble.fault {
            Fault::HandedOver | Fault::Obstinate => self.hand_over(),
            Fault::TakenOver => self.operating ^= 1,
            _ => {}
        }
        self.arrange();
        Ok(())
    }

    fn is_over(&mut self, fault: Fault) {
        self.arrange();
        self.calm_from_us = self.now_us + SETTLED_US;
        if fault == Fault::EdgeRestart {
            self.kit_to_edge.cut();
            self.edge_to_kit.cut();
            self.edge_came = true;
            self.greet_kit();
        }
    }

    /// Everything as it is while these faults go on, and no others.
    pub(super) fn arrange(&mut self) {
        let has = |fault| self.ongoing.iter().any(|ongoing| ongoing.is(fault));
        let dead = |hop| {
            let dead = self.ongoing.iter().filter_map(|ongoing| ongoing.dead);
            dead.filter(|(on, _)| *on == hop).map(|(_, path)| path).next()
        };
        let (operating, conspiracy) = (self.operating, has(Fault::Conspiracy));
        for (number, seat) in self.seats.iter_mut().enumerate() {
            let cut = |it: &Ongoing| {
                matches!(it.trouble.fault, Fault::Away | Fault::TakenOver) && it.seat == number
            };
            let dead = (number == operating).then(|| dead(Hop::Wide)).flatten();
            let ways = self.story.ways.as_ref();
            let usual = ways.map_or([WIDE; 2], |ways| ways.each_ref().map(|it| it.impairment));
            for (trunk, usual) in [&mut seat.to_edge, &mut seat.from_edge].into_iter().zip(usual) {
                let mut line = self.ongoing.iter().fold(usual, |line, ongoing| worse(line, ongoing.line));
                line.partition |= self.ongoing.iter().any(cut);
                trunk.impair(line, dead);
            }
            let console = &mut seat.console;
            console.wanting = number == operating;
            console.conspiring = conspiracy;
            console.obstinate = has(Fault::Obstinate);
            console.stuck = has(Fault::PedalStuck);
            console.hasty = has(Fault::Hasty) || has(Fault::Confused);
            console.unlisting = has(Fault::Unlisting);
            console.unreleased = has(Fault::Unreleased);
            (console.trembling, console.twisting) = (has(Fault::Tremor), has(Fault::Twisting));
            console.confused = has(Fault::Confused);
        }
        for (number, arm) in self.arms.iter_mut().enumerate() {
            let its = self.ongoing.iter().filter(|ongoing| ongoing.arm == number);
            let has = |fault| its.clone().any(|ongoing| ongoing.is(fault));
            (arm.button, arm.way_out) = (has(Fault::ArmButton), has(Fault::WayOut));
            (arm.fault, arm.sluggish, arm.noisy) =
                (has(Fault::Drive), has(Fault::Sluggish), has(Fault::Noise));
        }
        let cut = has(Fault::EdgeRestart) || has(Fault::PartitionAll);
        self.edge_to_kit.impair(Impairment { partition: cut, ..NEAR }, dead(Hop::Near));
        let cut = has(Fault::EdgeRestart);
        self.kit_to_edge.impair(Impairment { partition: cut, ..NEAR }, dead(Hop::Near));
        self.recorder.fault = self.ongoing.iter().find_map(|ongoing| ongoing.record);
    }

    /// What lasts does something now and then.
    fn go_on(&mut self) {
        let mut ongoing = std::mem::take(&mut self.ongoing);
        for Ongoing { trouble, rng, .. } in &mut ongoing {
            let for_us = self.now_us - trouble.from_us;
            let every = |us| (for_us / TICK_US * TICK_US).is_multiple_of(us);
            match trouble.fault {
                Fault::Forger if every(FORGE_US) => self.forge(rng),
                Fault::LoopStalls if rng.u8(..) < 5 => {
                    self.stalled_until_us = self.now_us + rng.u64(1..12) * TICK_US;
                }
                Fault::Usurper if every(USURP_US) => self.usurp(rng),
                Fault::EStop if every(ARM_STOPPED_US) => self.arm_in_spite_of_a_stop(),
                Fault::ClosedAtTheBedside if every(AGAIN_US) => self.say_at_the_bedside(Said::Close {}),
                Fault::ClosedBySurgeon if every(AGAIN_US) => self.close(),
                Fault::ConsentWithdrawn if every(AGAIN_US) => {
                    self.say_at_the_bedside(Said::WithdrawConsent {});
                }
                _ => {}
            }
        }
        self.ongoing = ongoing;
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.now_us < self.stalled_until_us
    }

    // ---- people

    fn say_at_the_bedside(&mut self, said: Said) {
        let said = self.bedside.say(said);
        self.edge_to_kit.send_reliably(self.now_us, &said);
    }

    fn press_at_the_bedside(&mut self) {
        self.bedside.press();
        let press = self.bedside.repeat_press(None);
        press.into_iter().for_each(|bytes| self.edge_to_kit.send_reliably(self.now_us, &bytes));
    }

    fn arm_in_spite_of_a_stop(&mut self) {
        let stopped = self.notice.as_ref().filter(|notice| notice.mode == Mode::Stopped as u8);
        if let Some(challenge) = stopped.map(|notice| notice.challenge) {
            self.say_at_the_bedside(Said::Arm { challenge });
        }
    }

    /// Somebody who may closes the operation, and everybody else goes on as if nothing had been said.
    fn close(&mut self) {
        let close = self.seats[self.operating].console.close();
        close.into_iter().for_each(|bytes| self.edge_to_kit.send_reliably(self.now_us, &bytes));
    }

    fn hand_over(&mut self) {
        let (from, to) = (self.operating, self.operating ^ 1);
        let to_whom = self.seats[to].console.person.keys.speaker();
        let Some(said) = self.seats[from].console.hand_over(to_whom) else { return };
        self.seats[from].to_edge.send_reliably(self.now_us, &said);
        self.operating = to;
    }

    /// A surgeon who has no control says whatever might get it, or do harm.
    fn usurp(&mut self, rng: &mut Rng) {
        let Some(notice) = &self.notice else { return };
        let (challenge, token) = (notice.challenge, notice.token);
        let seat = &mut self.seats[self.operating ^ 1];
        let person = &seat.console.person;
        let to = person.keys.speaker();
        let transcript = LeaseTranscript {
            session: SESSION,
            token,
            boot: notice.boot,
            holder: to,
            kit: public(&self.kit_key),
            holder_x25519: to,
            kit_x25519: to,
        };
        let said = match rng.u8(0..10) {
            0 => Said::HandOver { token, to },
            1 => Said::TakeOver { challenge, to },
            2 => Said::Close {},
            3 => Said::Disarm {},
            4 => Said::Home { challenge },
            5 => Said::Withdraw { challenge },
            6 => Said::WithdrawConsent {},
            7 => Said::Arm { challenge: Challenge([rng.u8(..); 32]) },
            8 => Said::LeaseConfirm { transcript },
            _ => Said::LeaseRequest { challenge, x25519: to },
        };
        let said = person.say(said);
        seat.to_edge.send_reliably(self.now_us, &said);
    }

    fn reload_console(&mut self, seed: u8) {
        let seat = &mut self.seats[self.operating];
        let surgeon = Person::new(seat.console.person.keys.clone(), Role::Surgeon, SESSION);
        seat.console = Console::new(surgeon, SESSION, public(&self.kit_key), seed);
    }

    // ---- regions

    /// Somebody marks regions around where the tool works.
    fn forbid(&mut self, rng: &mut Rng) {
        let arm = rng.usize(0..self.arms.len());
        let tip = self.rig[arm].kit_from_base * self.rig[arm].model.forward(&self.arms[arm].joints());
        let tip_m = tip.translation.vector.into();
        let count = rng.usize(1..5);
        self.tell_regions(Vec::from_iter(std::iter::repeat_with(|| any_region(tip_m, rng)).take(count)));
    }

    fn tell_regions(&mut self, regions: Vec<Region>) {
        let Some(challenge) = self.notice.as_ref().map(|notice| notice.challenge) else { return };
        self.regions += 1;
        self.say_at_the_bedside(Said::Forbid { challenge, version: self.regions, regions });
    }

    // ---- strangers

    /// Whoever sits on the line keeps what passes.
    pub(super) fn overhear(&mut self, heard: &Delivery) {
        if self.overheard.len() < OVERHEARD_MAX {
            self.overheard.push(heard.clone());
        } else {
            let at = self.rng.usize(0..OVERHEARD_MAX);
            self.overheard[at] = heard.clone();
        }
    }

    /// And plays it back, as it was or with a bit turned.
    fn forge(&mut self, rng: &mut Rng) {
        if self.overheard.is_empty() {
            return;
        }
        let Delivery { mut bytes, intact } = self.overheard[rng.usize(0..self.overheard.len())].clone();
        let forged = rng.bool();
        if forged {
            let at = rng.usize(0..bytes.len());
            bytes[at] ^= 1 << rng.u8(0..8);
        }
        self.edge_to_kit.pass_on(self.now_us, &bytes, intact && !forged);
    }
}

fn line_of(fault: Fault, rng: &mut Rng) -> Impairment {
    let (delay_ms, jitter_ms) = (100.0 + 400.0 * rng.f64(), 150.0 * rng.f64());
    let none = Impairment::NONE;
    match fault {
        Fault::Lossy => Impairment { loss: 0.3, duplication: 0.2, corruption: 0.1, jitter_ms: 40.0, ..none },
        Fault::Slow => Impairment { delay_ms, jitter_ms, ..none },
        Fault::Hasty => Impairment { delay_ms: delay_ms / 4.0, jitter_ms: jitter_ms / 4.0, ..none },
        Fault::Partition | Fault::PartitionAll | Fault::WayOut => Impairment { partition: true, ..none },
        _ => none,
    }
}

fn record_of(fault: Fault, rng: &mut Rng) -> Option<RecordFault> {
    match fault {
        Fault::RecordStalls => Some(RecordFault::Stalls),
        Fault::RecordLags => Some(RecordFault::Lags { us: rng.u64(50_000..700_000) }),
        Fault::RecordVanishes => Some(RecordFault::Vanishes),
        Fault::RecordLies => Some(RecordFault::Lies),
        _ => None,
    }
}

fn dead_of(fault: Fault, rng: &mut Rng) -> Option<(Hop, usize)> {
    let hop = if rng.bool() { Hop::Wide } else { Hop::Near };
    (fault == Fault::PathDies).then(|| (hop, rng.usize(0..2)))
}

/// Both at once.
fn worse(one: Impairment, other: Impairment) -> Impairment {
    Impairment {
        delay_ms: one.delay_ms.max(other.delay_ms),
        jitter_ms: one.jitter_ms.max(other.jitter_ms),
        loss: one.loss.max(other.loss),
        duplication: one.duplication.max(other.duplication),
        corruption: one.corruption.max(other.corruption),
        partition: one.partition || other.partition,
        ..one
    }
}

fn any_region([x, y, z]: [f64; 3], rng: &mut Rng) -> Region {
    let mut off = |spread: f64| (rng.f64() - 0.5) * spread;
    let mut place = || [x + off(0.06), y + off(0.06), z - 0.01 + off(0.05)];
    let (at, to) = (place(), place());
    match rng.u8(0..3) {
        0 => Region::Capsule {
            from_um: in_millionths(at),
            to_um: in_millionths(to),
            radius_um: rng.i32(2_000..12_000),
        },
        1 => Region::HalfSpace {
            point_um: in_millionths(at),
            outward_millionths: in_millionths([x - at[0], y - at[1], z - at[2] + 1e-4]),
        },
        _ => Region::Block {
            centre_um: in_millionths(at),
            orientation_wxyz_millionths: [800_000, 600_000, 0, 0],
            half_um: [(); 3].map(|()| rng.i32(1_000..11_000)),
        },
    }
}

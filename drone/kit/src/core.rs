//! The loop's own machine: one step a millisecond.

use arrayvec::ArrayVec;
use farhand_guard::{Actuator, Authentic, Guard, Input, Lag, Limits, Order, Report, Response, Said};
use farhand_motion::{Axis, LimitExceeded, Mounted, REGIONS_MAX, Region};
use farhand_wire::{
    ARMS_MAX, ArmOf, ArmState, Command, FrameMark, KitTick, LeaseToken, PressId, Verdict, Watermark,
    state_flags,
};

use crate::{
    SelfTest,
    arm::{Arm, ArmSnapshot},
};

/// States go out once in so many ticks: 100 a second.
const STATE_TICKS: u64 = 10;
/// Presses told in a snapshot.
const PRESSES_MAX: usize = 16;

/// From the gate to the loop. Fixed in size, so that the queue between them never allocates.
#[derive(Debug)]
pub enum ToCore {
    Command(Authentic<Command>),
    /// One of the regions that an order after it puts in force.
    Region(Stage),
    Order(Authentic<Order>),
    Frame(FrameMark),
    Watermark(Watermark),
    TokenStored(LeaseToken),
    Closed,
    SelfTest,
}

/// A region on its way to being in force: first those of a version, one by one, then the order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    pub version: u64,
    /// Of the version's own, from 0.
    pub number: usize,
    pub region: Region,
}

/// From the loop to the gate. Fixed in size too.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation in the loop")]
pub enum FromCore {
    Response(Response),
    Judged(Judged),
    Snapshot(Snapshot),
    SelfTest(SelfTest),
}

/// What became of one command, when, and under which token it came. None may be lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    pub tick: KitTick,
    pub token: LeaseToken,
    pub verdict: Verdict,
}

/// How the kit and one of its arms stand, a hundred times a second.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub tick: KitTick,
    pub of: ArmOf,
    /// It is told to consoles: the arm moves, or it is its turn. Whoever watches beside the kit hears of every arm each time.
    pub due: bool,
    pub report: Report,
    pub arm: ArmSnapshot,
    pub presses: ArrayVec<PressId, PRESSES_MAX>,
}

/// What a self-test compares with.
#[derive(Debug)]
struct SelfTestLimits {
    arm_silence_ms_max: f64,
    limits_digest: [u8; 32],
    arm_digest: [u8; 32],
}

/// Guard and motion, joined. Makes exactly one permit a step for each arm.
#[derive(Debug)]
pub struct Core {
    guard: Guard,
    arms: ArrayVec<Arm, ARMS_MAX>,
    staged: (u64, ArrayVec<Region, REGIONS_MAX>),
    limits: SelfTestLimits,
    steps: u64,
}

impl Core {
    /// Over one to [`ARMS_MAX`] arms that stand where they say they do; those beyond are left out. An arm that says nothing yet is a
    /// fault until it does. `highest_token` and `seed` as [`Guard::new`] takes them.
    pub fn new(
        limits: Limits,
        arms: &[Mounted],
        measured: &[Option<ArmState>],
        highest_token: LeaseToken,
        seed: [u8; 32],
    ) -> Result<Self, LimitExceeded> {
        let tested = SelfTestLimits {
            arm_silence_ms_max: limits.arm_silence_ms_max,
            limits_digest: limits.digest(),
            arm_digest: Mounted::digest_of(arms),
        };
        let arms = arms.iter().zip(measured).take(ARMS_MAX);
        let arms: ArrayVec<Arm, ARMS_MAX> =
            arms.map(|(arm, measured)| Arm::new(arm, *measured)).collect::<Result<_, _>>()?;
        let guard = Guard::new(limits, arms.iter().map(Arm::start), highest_token, seed);
        Ok(Self { guard, arms, staged: Default::default(), limits: tested, steps: 0 })
    }

    /// One tick. **Call it once a millisecond, on a thread that nothing else can hold up**: takes in what came from the
    /// arms, by their numbers, and through the gate, decides, moves, and hands the actuator a permit for each arm.
    pub fn step(
        &mut self,
        now: KitTick,
        arms: impl IntoIterator<Item = (usize, ArmState)>,
        inbox: impl Iterator<Item = ToCore>,
        actuator: &mut impl Actuator,
        mut out: impl FnMut(FromCore),
    ) {
        for (number, state) in arms {
            if let Some(arm) = self.arms.get_mut(number) {
                if let Some(start) = arm.says(now, state) {
                    self.guard.found(number, start);
                }
                self.guard.take(now, Input::Arm(number, state));
            }
        }
        for input in inbox {
            self.take(now, input, &mut out);
        }
        self.follow_intents(now, actuator);
        if self.steps.is_multiple_of(STATE_TICKS) {
            self.tell(now, &mut out);
        }
        self.steps += 1;
    }

    pub(crate) fn upset(&mut self, arm: usize, axis: Axis, by: f64) {
        self.arms.get_mut(arm).into_iter().for_each(|arm| arm.upset(axis, by));
    }

    fn take(&mut self, now: KitTick, input: ToCore, out: &mut impl FnMut(FromCore)) {
        let input = match input {
            ToCore::Command(command) => return self.judge(now, command, out),
            ToCore::SelfTest => return self.self_test(now, out),
            ToCore::Region(staged) => return self.stage(staged),
            ToCore::Order(order) if !self.is_staged(order.said()) => return,
            ToCore::Order(order) => Input::Order(order),
            ToCore::Frame(mark) => Input::Frame(mark),
            ToCore::Watermark(mark) => Input::Watermark(mark),
            ToCore::TokenStored(token) => Input::TokenStored(token),
            ToCore::Closed => Input::Closed,
        };
        match self.guard.take(now, input) {
            Response::Nothing => {}
            Response::Latched { .. } => self.arms.iter_mut().for_each(|arm| arm.forbid(&self.staged.1)),
            response => out(FromCore::Response(response)),
        }
    }

    fn stage(&mut self, Stage { version, number, region }: Stage) {
        let (staged, regions) = &mut self.staged;
        if number == 0 {
            (*staged, _) = (version, regions.clear());
        }
        if *staged == version && regions.len() == number {
            let _ = regions.try_push(region); // more than there may be are refused at the gate
        }
    }

    /// An order to forbid regions counts if they all came; whoever gave it sees that it did not, and gives it again.
    fn is_staged(&mut self, said: &Said) -> bool {
        let Said::Forbid { version, regions, .. } = said else { return true };
        if *regions == 0 {
            self.staged.1.clear();
            return true;
        }
        self.staged.0 == *version && self.staged.1.len() == *regions
    }

    fn judge(&mut self, now: KitTick, command: Authentic<Command>, out: &mut impl FnMut(FromCore)) {
        let &Command { token, arm, target, jaw_rad, .. } = command.get();
        // Of an arm that is not there the guard asks nothing more.
        let lag = self.arms.get(usize::from(arm)).map_or(Lag::default(), |arm| arm.lag(&target, jaw_rad));
        if let Response::Verdict(verdict) = self.guard.take(now, Input::Command(command, lag)) {
            out(FromCore::Judged(Judged { tick: now, token, verdict }));
        }
    }

    fn self_test(&self, now: KitTick, out: &mut impl FnMut(FromCore)) {
        let SelfTestLimits { arm_silence_ms_max, limits_digest, arm_digest } = self.limits;
        for (number, arm) in self.arms.iter().enumerate() {
            let measured = arm.tested(now, arm_silence_ms_max);
            out(FromCore::SelfTest(SelfTest {
                tick: now,
                of: self.arm_of(number),
                measured,
                limits_digest,
                arm_digest,
            }));
        }
    }

    /// Each arm does as the guard decided; what motion proposes the guard checks once more.
    fn follow_intents(&mut self, now: KitTick, actuator: &mut impl Actuator) {
        let intents = self.guard.decide(now);
        for (number, (arm, intent)) in self.arms.iter_mut().zip(&intents).enumerate() {
            let (proposal, done) = arm.follow(intent);
            if done {
                self.guard.errand_done(number);
            }
            if let Some(permit) = self.guard.permit(now, number, &proposal).filter(|_| arm.found) {
                arm.told(permit.setpoint(), &proposal);
                actuator.actuate(permit);
            }
        }
    }

    /// Arms that move are told each time, the others take turns: one word each time there is, for its tick is what commands
    /// are measured by.
    fn tell(&self, now: KitTick, out: &mut impl FnMut(FromCore)) {
        let turn = (self.steps / STATE_TICKS) as usize % self.arms.len().max(1);
        for (number, arm) in self.arms.iter().enumerate() {
            let Some(mut report) = self.guard.report(now, number) else { continue };
            let stands = state_flags::ENGAGED | state_flags::AT_REST;
            let due = number == turn || report.arm.flags & stands != state_flags::AT_REST;
            let snapshot = arm.snapshot();
            if snapshot.clamped {
                report.arm.flags |= state_flags::CLAMPED;
            }
            let (of, presses) = (self.arm_of(number), newest(self.guard.presses()));
            out(FromCore::Snapshot(Snapshot { tick: now, of, due, report, arm: snapshot, presses }));
        }
    }

    fn arm_of(&self, number: usize) -> ArmOf {
        ArmOf { number: number as u8, arms: self.arms.len() as u8 }
    }
}

fn newest(presses: impl Iterator<Item = PressId>) -> ArrayVec<PressId, PRESSES_MAX> {
    presses.fold(ArrayVec::new(), |mut kept, press| {
        if kept.is_full() {
            kept.remove(0);
        }
        kept.push(press);
        kept
    })
}

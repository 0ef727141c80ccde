//! Whatever goes wrong, at random but from the seed.

use farhand_kit::Past;
use farhand_wire::{KitTick, Region, Role, Said, region::micrometres};

use super::{CannotBegin, SESSION, Session, TICK_US, kit};
use crate::{Console, Impairment, Person, RecordFault, people::public};

/// The operation is closed this long before the session's end.
const CLOSED_US: u64 = 6_000_000;

/// Consent is withdrawn this long before the end.
const WITHDRAWN_US: u64 = 10_000_000;
/// A clock that drifts runs so much fast in a millisecond.
const DRIFT_US: u64 = 10;

/// How a session with faults ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// In the middle of the work.
    Open,
    ClosedBySurgeon,
    ClosedAtTheBedside,
    ConsentWithdrawn,
}

impl Ending {
    pub(super) const ALL: [Ending; 4] =
        [Ending::Open, Ending::ClosedBySurgeon, Ending::ClosedAtTheBedside, Ending::ConsentWithdrawn];
}

/// A fault that is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Lossy,
    Slow,
    Partition,
    Camera,
    PedalStuck,
    Unlisting,
    EStop,
    Restart,
    ArmButton,
    CloggedEdge,
    Forger,
    Disarmed,
    RecordStalls,
    RecordLags,
    RecordVanishes,
    RecordLies,
    EdgeRestart,
    Hasty,
    WayOut,
    LoopStalls,
    ConsoleRestart,
    StoreFails,
    KitClock,
    Tremor,
    Noise,
    Drive,
    Sluggish,
    Unhomed,
    Confused,
    Away,
}

impl Fault {
    const ALL: [Fault; 30] = [
        Fault::Lossy,
        Fault::Slow,
        Fault::Partition,
        Fault::Camera,
        Fault::PedalStuck,
        Fault::Unlisting,
        Fault::EStop,
        Fault::Restart,
        Fault::ArmButton,
        Fault::CloggedEdge,
        Fault::Forger,
        Fault::Disarmed,
        Fault::RecordStalls,
        Fault::RecordLags,
        Fault::RecordVanishes,
        Fault::RecordLies,
        Fault::EdgeRestart,
        Fault::Hasty,
        Fault::WayOut,
        Fault::LoopStalls,
        Fault::ConsoleRestart,
        Fault::StoreFails,
        Fault::KitClock,
        Fault::Tremor,
        Fault::Noise,
        Fault::Drive,
        Fault::Sluggish,
        Fault::Unhomed,
        Fault::Confused,
        Fault::Away,
    ];

    fn name(self) -> &'static str {
        match self {
            Fault::Lossy => "lossy line",
            Fault::Slow => "slow line",
            Fault::Partition => "partition",
            Fault::Camera => "camera stalls",
            Fault::PedalStuck => "dead-man stuck",
            Fault::Unlisting => "surgeon's lists stay away",
            Fault::EStop => "e-stop",
            Fault::Restart => "kit restarts",
            Fault::ArmButton => "arm's button",
            Fault::CloggedEdge => "edge stalls",
            Fault::Forger => "forger and replayer",
            Fault::Disarmed => "disarmed at the bedside",
            Fault::RecordStalls => "record stalls",
            Fault::RecordLags => "record lags",
            Fault::RecordVanishes => "watermark vanishes",
            Fault::RecordLies => "watermark lies",
            Fault::EdgeRestart => "edge restarts",
            Fault::Hasty => "hasty hand on a slow line",
            Fault::WayOut => "way-out switch, and the line is cut",
            Fault::LoopStalls => "kit's loop misses deadlines",
            Fault::ConsoleRestart => "console reloaded",
            Fault::StoreFails => "kit's disk takes no token",
            Fault::KitClock => "kit's clock jumps and drifts",
            Fault::Tremor => "tremor",
            Fault::Noise => "noisy encoders",
            Fault::Drive => "drive fails",
            Fault::Sluggish => "sluggish drives",
            Fault::Unhomed => "arm loses its zero",
            Fault::Confused => "console sends nonsense",
            Fault::Away => "line cut for longer than a lease",
        }
    }
}

impl Session {
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault.is_some_and(|(now, _)| now == fault)
    }

    pub(super) fn faults(&mut self) -> Result<(), CannotBegin> {
        if !self.options.faults {
            return Ok(());
        }
        self.close_near_the_end();
        self.withdraw_consent_near_the_end();
        self.forbid_now_and_then();
        self.kit_extra_us += u64::from(self.has(Fault::KitClock)) * DRIFT_US;
        if let Some((fault, until_us)) = self.fault {
            if self.now_us >= until_us {
                self.end_fault();
            } else if fault == Fault::Forger && self.now_us.is_multiple_of(20_000) {
                self.forge();
            }
        } else if self.now_us >= self.next_fault_us {
            let fault = Fault::ALL[self.rng.usize(0..Fault::ALL.len())];
            self.begin_fault(fault)?;
        }
        Ok(())
    }

    /// Somebody who may closes the operation, and everybody else goes on as if nothing had been said.
    fn close_near_the_end(&mut self) {
        let at_us = (self.options.seconds * 1_000_000).saturating_sub(CLOSED_US);
        let closed = matches!(self.ending, Ending::ClosedBySurgeon | Ending::ClosedAtTheBedside);
        if !closed || self.now_us < at_us || !self.now_us.is_multiple_of(500_000) {
            return;
        }
        let by_surgeon = self.console.close().filter(|_| self.ending == Ending::ClosedBySurgeon);
        let close = by_surgeon.unwrap_or_else(|| self.bedside.say(Said::Close {}));
        self.lines.edge_to_kit.send_reliably(self.now_us, close);
        *self.outcome.faults.entry("closed").or_default() += u64::from(self.now_us == at_us);
    }

    /// The patient's word, through whoever stands there; said again, because a kit may restart.
    fn withdraw_consent_near_the_end(&mut self) {
        let at_us = (self.options.seconds * 1_000_000).saturating_sub(WITHDRAWN_US);
        if self.ending != Ending::ConsentWithdrawn
            || self.now_us < at_us
            || !self.now_us.is_multiple_of(500_000)
        {
            return;
        }
        let said = self.bedside.say(Said::WithdrawConsent {});
        self.lines.edge_to_kit.send_reliably(self.now_us, said);
        *self.outcome.faults.entry("consent withdrawn").or_default() += u64::from(self.now_us == at_us);
    }

    /// Somebody marks regions around where the tool works, or lifts them all.
    fn forbid_now_and_then(&mut self) {
        if self.now_us < self.next_regions_us {
            return;
        }
        self.next_regions_us = self.now_us + self.rng.u64(3_000_000..12_000_000);
        let Some(challenge) = self.console.notice().map(|notice| notice.challenge) else { return };
        self.regions += 1;
        let count = if self.rng.bool() { self.rng.usize(1..5) } else { 0 };
        let regions = (0..count).map(|_| self.any_region()).collect();
        let said = self.bedside.say(Said::Forbid { challenge, version: self.regions, regions });
        self.lines.edge_to_kit.send_reliably(self.now_us, said);
        let name = if count == 0 { "regions lifted" } else { "regions appear" };
        *self.outcome.faults.entry(name).or_default() += 1;
    }

    fn any_region(&mut self) -> Region {
        let [x, y, z] = self.arm.tip_mm().map(|mm| mm * 1e-3);
        let mut off = |spread: f64| (self.rng.f64() - 0.5) * spread;
        let mut place = || [x + off(0.06), y + off(0.06), z - 0.01 + off(0.05)];
        let (at, to) = (place(), place());
        match self.rng.u8(0..3) {
            0 => Region::Capsule {
                from_um: micrometres(at),
                to_um: micrometres(to),
                radius_um: self.rng.i32(2_000..12_000),
            },
            1 => Region::HalfSpace {
                point_um: micrometres(at),
                outward_millionths: micrometres([x - at[0], y - at[1], z - at[2] + 1e-4]),
            },
            _ => Region::Block {
                centre_um: micrometres(at),
                orientation_wxyz_millionths: [800_000, 600_000, 0, 0],
                half_um: [(); 3].map(|()| self.rng.i32(1_000..11_000)),
            },
        }
    }

    fn begin_fault(&mut self, fault: Fault) -> Result<(), CannotBegin> {
        *self.outcome.faults.entry(fault.name()).or_default() += 1;
        self.fault = Some((fault, self.now_us + self.rng.u64(100_000..4_000_000)));
        let (delay_ms, jitter_ms) = (100.0 + 400.0 * self.rng.f64(), 150.0 * self.rng.f64());
        let partition = self.rng.bool();
        for line in [&mut self.lines.console_to_edge, &mut self.lines.edge_to_console] {
            match fault {
                Fault::Lossy => {
                    line.impairment.loss = 0.3;
                    line.impairment.duplication = 0.2;
                    line.impairment.corruption = 0.1;
                    line.impairment.jitter_ms = 40.0;
                }
                Fault::Slow => (line.impairment.delay_ms, line.impairment.jitter_ms) = (delay_ms, jitter_ms),
                Fault::Hasty => {
                    line.impairment.delay_ms = delay_ms / 4.0;
                    line.impairment.jitter_ms = jitter_ms / 4.0;
                }
                Fault::Partition | Fault::WayOut | Fault::Away => line.impairment.partition = true,
                _ => {}
            }
        }
        match fault {
            Fault::Partition if partition => self.lines.edge_to_kit.impairment.partition = true,
            Fault::PedalStuck => self.console.stuck = true,
            Fault::Hasty => self.console.hasty = true,
            Fault::Unlisting => {
                self.console.unlisting = true;
                self.fault = Some((fault, self.now_us + self.rng.u64(1_500_000..6_000_000)));
            }
            Fault::EStop => {
                self.outcome.stops += 1;
                self.bedside.press();
                let press = self.bedside.repeat_press(None);
                press.into_iter().for_each(|bytes| self.lines.edge_to_kit.send_reliably(self.now_us, bytes));
            }
            Fault::ArmButton => self.arm.button = true,
            Fault::WayOut => self.arm.way_out = true,
            Fault::Drive => self.arm.fault = true,
            Fault::Sluggish => self.arm.sluggish = true,
            Fault::Unhomed => self.arm.lose_zero(),
            Fault::Confused => self.console.confused = true,
            Fault::Away => self.fault = Some((fault, self.now_us + self.rng.u64(10_200_000..12_000_000))),
            Fault::Noise => self.arm.noisy = true,
            Fault::Tremor => self.console.trembling = true,
            Fault::KitClock => self.kit_extra_us += self.rng.u64(0..2_000_000),
            Fault::ConsoleRestart => {
                let (keys, boot) = (self.console.person.keys.clone(), self.rng.u8(..));
                let surgeon = Person::new(keys, Role::Surgeon, SESSION);
                self.console = Console::new(surgeon, SESSION, public(&self.kit_key), boot);
            }
            Fault::Disarmed => {
                let disarm = self.bedside.say(Said::Disarm {});
                self.lines.edge_to_kit.send_reliably(self.now_us, disarm);
            }
            Fault::Restart => self.restart_kit()?,
            Fault::RecordStalls => self.recorder.fault = Some(RecordFault::Stalls),
            Fault::RecordLags => {
                let us = self.rng.u64(50_000..700_000);
                self.recorder.fault = Some(RecordFault::Lags { us });
            }
            Fault::RecordVanishes => self.recorder.fault = Some(RecordFault::Vanishes),
            Fault::RecordLies => self.recorder.fault = Some(RecordFault::Lies),
            Fault::EdgeRestart => {
                self.lines.kit_to_edge.impairment.partition = true;
                self.lines.edge_to_kit.impairment.partition = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn end_fault(&mut self) {
        let wide = Impairment { delay_ms: 20.0, jitter_ms: 4.0, ..Impairment::default() };
        self.lines.console_to_edge.impairment = wide;
        self.lines.edge_to_console.impairment = wide;
        self.lines.edge_to_kit.impairment.partition = false;
        self.lines.kit_to_edge.impairment.partition = false;
        if self.has(Fault::EdgeRestart) {
            self.lines.kit_to_edge.cut();
            self.lines.edge_to_kit.cut();
            self.edge_came = true;
            self.greet_kit();
        }
        self.recorder.fault = None;
        self.console.stuck = false;
        self.console.hasty = false;
        self.console.unlisting = false;
        (self.console.trembling, self.console.confused) = (false, false);
        (self.arm.button, self.arm.way_out, self.arm.fault) = (false, false, false);
        (self.arm.sluggish, self.arm.noisy) = (false, false);
        self.fault = None;
        self.next_fault_us = self.now_us + self.rng.u64(2_000_000..9_000_000);
    }

    /// Whoever sits on the line keeps what passes.
    pub(super) fn overhear(&mut self, bytes: &[u8]) {
        if self.overheard.len() < 64 {
            self.overheard.push(bytes.to_vec());
        } else {
            let at = self.rng.usize(0..64);
            self.overheard[at] = bytes.to_vec();
        }
    }

    /// And plays it back, as it was or with a bit turned.
    fn forge(&mut self) {
        if self.overheard.is_empty() {
            return;
        }
        let mut bytes = self.overheard[self.rng.usize(0..self.overheard.len())].clone();
        let forged = self.rng.bool();
        if forged {
            let at = self.rng.usize(0..bytes.len());
            bytes[at] ^= 1 << self.rng.u8(0..8);
        }
        self.lines.edge_to_kit.pass_on(self.now_us, &bytes, !forged);
    }

    fn restart_kit(&mut self) -> Result<(), CannotBegin> {
        self.finish_kit();
        self.boot += 1;
        self.outcome.restarts += 1;
        let past = Past { closed: self.closed.clone(), segments: Vec::new() };
        let (key, token, arm) = (&self.kit_key, self.stored_token, self.arm.state());
        self.kit = kit(key, self.boot, &self.trust, &self.model, arm, token, past)?;
        (self.kit_began_us, self.kit_extra_us) = (self.now_us - TICK_US, 0);
        (self.newest_kit_tick, self.token_due) = (KitTick(0), None);
        self.lines.kit_to_edge.cut();
        self.lines.edge_to_kit.cut();
        self.checker.kit_restarted();
        (self.logged, self.logged_to, self.counted) = (0, KitTick(0), (KitTick(0), 0));
        self.edge_came = true;
        self.greet_kit();
        Ok(())
    }
}

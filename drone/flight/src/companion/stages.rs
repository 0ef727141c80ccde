//! What each stage waits for, and what it does until then.

use farhand_mission::{Condition, Failsafe};
use mavlink::MessageData;
use mavlink::dialects::common::*;

use super::order::Order;
use super::upload::Upload;
use super::{Companion, Next, Outbox, Peer, Stage, Why};
use crate::{Delivered, FlightError, FlightMode, Phase};

const STREAMS_EVERY_US: u64 = 2_000_000;
/// The streams a flight needs, and how often, for autopilots that send nothing unasked.
const STREAMS: [(u32, f32); 5] = [
    (SYS_STATUS_DATA::ID, 1e6),
    (GLOBAL_POSITION_INT_DATA::ID, 2e5),
    (EXTENDED_SYS_STATE_DATA::ID, 2e5),
    (MISSION_CURRENT_DATA::ID, 5e5),
    (HEARTBEAT_DATA::ID, 1e6),
];
const ARM_PAUSE_US: u64 = 1_000_000;
const GRIPPER_INSTANCE: f32 = 1.0;

type Outcome = Result<Next, FlightError>;

impl Companion {
    pub(super) fn decide(&mut self, now_us: u64, out: &mut Outbox) -> Outcome {
        self.watch_link(now_us)?;
        if let Some(next) = self.check_limit(now_us, out)? {
            return Ok(next);
        }
        let Some(aircraft) = self.seen.aircraft else { return Ok(Next::Stay) };
        match self.stage.clone() {
            Stage::Connect => Ok(Next::Go(Stage::Check)),
            Stage::Check => self.check(now_us, aircraft, out),
            Stage::UploadFence => self.upload_fence(now_us, aircraft, out),
            Stage::UploadMission => self.upload_mission(now_us, aircraft, out),
            Stage::Arm => self.arm(now_us, aircraft, out),
            Stage::Start => self.start(now_us, aircraft, out),
            Stage::Fly => self.fly(now_us, aircraft),
            Stage::Release => self.release(now_us, aircraft, out),
            Stage::Disarm => self.disarm(now_us, aircraft, out),
            Stage::Divert(why) => self.divert(now_us, &why, out),
            Stage::Ended => Ok(Next::Stay),
        }
    }

    /// What is still missing before the flight may begin, in words.
    pub(super) fn missing(&self) -> Option<String> {
        if let Some(missing) = self.seen.missing() {
            return Some(missing.to_owned());
        }
        let percent = self.seen.battery_percent.unwrap_or_default();
        let least = self.limits.battery_start_percent_min;
        (percent < least).then(|| format!("battery at {least:.0} %; it is at {percent:.0} %"))
    }

    /// Silence is lost link; from take-off on it is waited for, because the aircraft helps itself.
    fn watch_link(&mut self, now_us: u64) -> Result<(), FlightError> {
        if self.seen.aircraft.is_none() {
            return Ok(());
        }
        let silent_ms = now_us.saturating_sub(self.seen.heard_us) / 1_000;
        let was_lost = std::mem::replace(&mut self.link_lost, silent_ms > self.limits.link_lost_ms);
        if was_lost != self.link_lost {
            tracing::info!(silent_ms, lost = self.link_lost, "link to the aircraft");
        }
        if silent_ms <= self.limits.link_give_up_ms {
            return Ok(());
        }
        self.link_lost = false;
        Err(FlightError::LinkLost { phase: self.phase(), silent_ms, last_seen: self.seen.place() })
    }

    fn check_limit(&mut self, now_us: u64, out: &mut Outbox) -> Result<Option<Next>, FlightError> {
        let waited_ms = now_us.saturating_sub(self.stage_us) / 1_000;
        let max_ms = self.stage_limit_ms();
        if waited_ms <= max_ms {
            return Ok(None);
        }
        let phase = self.phase();
        match self.stage {
            Stage::Connect => Err(FlightError::NoAircraft { waited_ms }),
            Stage::Check => {
                let missing = self.missing().unwrap_or_default();
                Err(FlightError::NotReady { waited_ms, missing })
            }
            // In the air nothing is simply given up: the aircraft is sent home first.
            Stage::Fly => Ok(Some(self.send_home(now_us, Why::TooLong { phase, max_ms }, out))),
            _ => Err(FlightError::TookTooLong { phase, max_ms }),
        }
    }

    fn stage_limit_ms(&self) -> u64 {
        let limits = &self.limits;
        match self.stage {
            Stage::Connect => limits.connect_ms_max,
            Stage::Check => limits.ready_ms_max,
            Stage::UploadFence | Stage::UploadMission => limits.upload_ms_max,
            Stage::Arm => limits.arm_ms_max,
            Stage::Start => limits.start_ms_max,
            Stage::Fly => self.fly_limit_ms(),
            Stage::Release | Stage::Disarm => limits.ground_ms_max,
            Stage::Divert(_) | Stage::Ended => limits.divert_ms_max,
        }
    }

    fn check(&mut self, now_us: u64, aircraft: Peer, out: &mut Outbox) -> Outcome {
        if self.missing().is_some() {
            self.ask_for_streams(now_us, aircraft, out);
            return Ok(Next::Stay);
        }
        if self.seen.armed || self.seen.in_air() {
            return Err(FlightError::NotOnGround);
        }
        let home = self.mission.home().place;
        let seen_m = self.seen.place().map_or(f64::INFINITY, |place| place.distance_m(home));
        if seen_m > self.limits.home_m_max {
            return Err(FlightError::FarFromHome { seen_m, max_m: self.limits.home_m_max });
        }
        Ok(Next::Go(Stage::UploadFence))
    }

    fn ask_for_streams(&mut self, now_us: u64, aircraft: Peer, out: &mut Outbox) {
        if now_us < self.streams_due_us {
            return;
        }
        self.streams_due_us = now_us + STREAMS_EVERY_US;
        out.messages.extend(STREAMS.map(|(id, interval_us)| {
            MavMessage::COMMAND_LONG(COMMAND_LONG_DATA {
                param1: id as f32,
                param2: interval_us,
                command: MavCmd::MAV_CMD_SET_MESSAGE_INTERVAL,
                target_system: aircraft.system,
                target_component: aircraft.component,
                ..Default::default()
            })
        }));
    }

    fn upload_fence(&mut self, now_us: u64, aircraft: Peer, out: &mut Outbox) -> Outcome {
        let Some(fence) = self.mission.fence() else { return Ok(Next::Go(Stage::UploadMission)) };
        let upload = self.upload.get_or_insert_with(|| Upload::of_fence(fence, aircraft, now_us));
        if upload.is_done()? {
            return Ok(Next::Go(Stage::UploadMission));
        }
        out.messages.extend(upload.poll(now_us, &self.limits)?);
        Ok(Next::Stay)
    }

    fn upload_mission(&mut self, now_us: u64, aircraft: Peer, out: &mut Outbox) -> Outcome {
        let mission = &self.mission;
        let upload = self.upload.get_or_insert_with(|| Upload::of_mission(mission, aircraft, now_us));
        if upload.is_done()? && self.mission_is_aboard() {
            return Ok(Next::Go(Stage::Arm));
        }
        let Some(upload) = &mut self.upload else { return Ok(Next::Stay) };
        out.messages.extend(upload.poll(now_us, &self.limits)?);
        Ok(Next::Stay)
    }

    /// The aircraft says so itself, where it says at all.
    fn mission_is_aboard(&self) -> bool {
        let total = usize::from(self.seen.mission_total);
        total == 0 || total == self.mission.items().len()
    }

    fn arm(&mut self, now_us: u64, aircraft: Peer, out: &mut Outbox) -> Outcome {
        if self.seen.armed {
            return Ok(Next::Go(Stage::Start));
        }
        let answer = self.pursue(now_us, out, |due_us| arm_order(aircraft, 1.0, due_us))?;
        match answer {
            None | Some(MavResult::MAV_RESULT_ACCEPTED) => Ok(Next::Stay),
            Some(result) => self.arm_again(now_us, aircraft, result),
        }
    }

    fn arm_again(&mut self, now_us: u64, aircraft: Peer, result: MavResult) -> Outcome {
        self.arm_tries += 1;
        let not_now = result == MavResult::MAV_RESULT_TEMPORARILY_REJECTED;
        if not_now && self.arm_tries < self.limits.arm_tries_max {
            self.order = Some(arm_order(aircraft, 1.0, now_us + ARM_PAUSE_US));
            return Ok(Next::Stay);
        }
        Err(FlightError::ArmRejected { result, tries: self.arm_tries, reason: self.seen.reason() })
    }

    fn start(&mut self, now_us: u64, aircraft: Peer, out: &mut Outbox) -> Outcome {
        // In the air the flight has begun, whatever took over before its mode was heard of.
        if self.seen.armed && (self.seen.mode() == FlightMode::Mission || self.seen.in_air()) {
            return Ok(Next::Go(Stage::Fly));
        }
        let what = "start the mission";
        let order = |due_us| Order::new(what, aircraft, MavCmd::MAV_CMD_MISSION_START, [0.0; 7], due_us);
        let answer = self.pursue(now_us, out, order)?;
        self.refused_unless_accepted(what, answer)?;
        match self.seen.mode() {
            // Begun and called off between two heartbeats.
            mode @ (FlightMode::Return | FlightMode::Land) if answer.is_some() => {
                Ok(Next::Go(Stage::Divert(Why::TookOver { mode })))
            }
            _ => Ok(Next::Stay),
        }
    }

    fn fly(&mut self, now_us: u64, aircraft: Peer) -> Outcome {
        self.airborne |= self.seen.in_air();
        if self.airborne && self.seen.on_ground() {
            return self.touched_down();
        }
        if let Some(mode) = self.foreign_mode() {
            return Ok(Next::Go(Stage::Divert(Why::TookOver { mode })));
        }
        match self.trouble() {
            Some((condition, failsafe)) if failsafe >= Failsafe::Return => {
                self.order = Some(call_off_order(aircraft, failsafe, now_us));
                Ok(Next::Go(Stage::Divert(Why::CalledOff { condition, failsafe })))
            }
            _ => Ok(Next::Stay),
        }
    }

    fn touched_down(&self) -> Outcome {
        let max_m = self.limits.delivery_m_max;
        match self.off_delivery_m() {
            Some((_, off_m)) if off_m <= max_m => Ok(Next::Go(Stage::Release)),
            Some((_, off_m)) => Err(FlightError::LandedElsewhere { off_m, max_m }),
            None => Err(FlightError::LandedElsewhere { off_m: f64::INFINITY, max_m }),
        }
    }

    /// The aircraft or a pilot returns or lands. A hold is a pause, waited for within the flight's limit.
    fn foreign_mode(&self) -> Option<FlightMode> {
        let mode = self.seen.mode();
        (self.airborne && matches!(mode, FlightMode::Return | FlightMode::Land)).then_some(mode)
    }

    /// What the companion itself sees wrong, and what the ladder makes of it.
    fn trouble(&mut self) -> Option<(Condition, Failsafe)> {
        let present = self.conditions();
        let failsafe = self.ladder.update(&present, self.airborne);
        let worst = present.into_iter().max_by_key(|condition| condition.asks_for())?;
        Some((worst, failsafe))
    }

    fn conditions(&self) -> Vec<Condition> {
        let landing = self.phase() == Phase::Landing;
        let low = self.seen.battery_percent.is_some_and(|left| left < self.limits.battery_return_percent);
        let outside =
            self.mission.fence().zip(self.seen.place()).is_some_and(|(fence, place)| !fence.contains(place));
        let present = [
            // Nearly down, going home costs more than it saves.
            (low && !landing, Condition::BatteryLow),
            (outside, Condition::FenceBreached),
            (self.link_lost, Condition::LinkDegraded),
        ];
        present.into_iter().filter(|(is, _)| *is).map(|(_, condition)| condition).collect()
    }

    fn send_home(&mut self, now_us: u64, why: Why, out: &mut Outbox) -> Next {
        if let Some(aircraft) = self.seen.aircraft {
            let mut order = call_off_order(aircraft, Failsafe::Return, now_us);
            out.messages.extend(order.poll(now_us, &self.limits).ok().flatten());
            self.order = Some(order);
        }
        Next::Go(Stage::Divert(why))
    }

    /// Follows until the aircraft is down. An order that is not answered is no reason to stop following.
    fn divert(&mut self, now_us: u64, why: &Why, out: &mut Outbox) -> Outcome {
        match self.order.as_mut().map(|order| order.poll(now_us, &self.limits)) {
            Some(Ok(message)) => out.messages.extend(message),
            Some(Err(_)) => self.order = None,
            None => {}
        }
        if !self.seen.on_ground() {
            return Ok(Next::Stay);
        }
        let (down_at, reason) = (self.seen.place(), self.seen.reason());
        Err(match *why {
            Why::TookOver { mode } => FlightError::TookOver { mode, reason, down_at },
            Why::CalledOff { condition, failsafe } => FlightError::CalledOff { condition, failsafe, down_at },
            Why::TooLong { phase, max_ms } => FlightError::TookTooLong { phase, max_ms },
        })
    }

    fn release(&mut self, now_us: u64, aircraft: Peer, out: &mut Outbox) -> Outcome {
        let what = "open the gripper";
        let release = GripperActions::GRIPPER_ACTION_RELEASE as u32 as f32;
        let p = [GRIPPER_INSTANCE, release, 0.0, 0.0, 0.0, 0.0, 0.0];
        let order = |due_us| Order::new(what, aircraft, MavCmd::MAV_CMD_DO_GRIPPER, p, due_us);
        let answer = self.pursue(now_us, out, order)?;
        self.refused_unless_accepted(what, answer)?;
        Ok(if answer.is_some() { Next::Go(Stage::Disarm) } else { Next::Stay })
    }

    fn disarm(&mut self, now_us: u64, aircraft: Peer, out: &mut Outbox) -> Outcome {
        if !self.seen.armed {
            return Ok(self.delivered(now_us));
        }
        let answer = self.pursue(now_us, out, |due_us| arm_order(aircraft, 0.0, due_us))?;
        self.refused_unless_accepted("disarm", answer)?;
        Ok(Next::Stay)
    }

    fn delivered(&self, now_us: u64) -> Next {
        // Touch-down had a position, and a position once seen stays.
        let Some((place, off_m)) = self.off_delivery_m() else { return Next::Stay };
        let flight_ms = now_us.saturating_sub(self.takeoff_us) / 1_000;
        Next::Done(Delivered { place, off_m, flight_ms, battery_percent: self.seen.battery_percent })
    }

    /// Begins an order unless one is on its way, sends what is due, and gives the answer once there is one.
    fn pursue(
        &mut self,
        now_us: u64,
        out: &mut Outbox,
        order: impl FnOnce(u64) -> Order,
    ) -> Result<Option<MavResult>, FlightError> {
        let order = self.order.get_or_insert_with(|| order(now_us));
        out.messages.extend(order.poll(now_us, &self.limits)?);
        Ok(order.answer())
    }

    fn refused_unless_accepted(
        &self,
        what: &'static str,
        answer: Option<MavResult>,
    ) -> Result<(), FlightError> {
        match answer {
            None | Some(MavResult::MAV_RESULT_ACCEPTED) => Ok(()),
            Some(result) => Err(FlightError::Refused { what, result, reason: self.seen.reason() }),
        }
    }
}

/// 1 arms, 0 disarms.
fn arm_order(aircraft: Peer, arm: f32, due_us: u64) -> Order {
    let what = if arm > 0.0 { "arm" } else { "disarm" };
    let p = [arm, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    Order::new(what, aircraft, MavCmd::MAV_CMD_COMPONENT_ARM_DISARM, p, due_us)
}

fn call_off_order(aircraft: Peer, failsafe: Failsafe, due_us: u64) -> Order {
    let (what, command) = match failsafe {
        Failsafe::Return => ("return", MavCmd::MAV_CMD_NAV_RETURN_TO_LAUNCH),
        _ => ("land", MavCmd::MAV_CMD_NAV_LAND),
    };
    Order::new(what, aircraft, command, [0.0; 7], due_us)
}

//! How the aircraft flies each mode: from mode and mission to a goal for the body.

use mavlink::dialects::common::*;

use super::body::{Goal, Vec3};
use super::mode::Mode;
use super::transfer::{has_place, is_above_sea};
use super::{Aircraft, params};

/// A waypoint is reached within this distance (PX4's `NAV_ACC_RAD` is 10 m; this one is careful).
const REACHED_M: f64 = 2.0;
/// An altitude is reached within this distance.
const ALTITUDE_REACHED_M: f64 = 0.5;
/// Closer to home than this a return does not climb first.
const RETURN_NEAR_M: f64 = 5.0;
/// Commands that take no time are passed over at most this many in one step.
const INSTANT_ITEMS_MAX: usize = 32;

/// Where in the stored mission the aircraft is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Progress {
    /// The item being flown, counted from 0; the number of items once all are done.
    pub(super) current: usize,
    /// World seconds waited at the current item.
    pub(super) waited_s: f64,
    /// Whether any item has been flown since the last upload.
    pub(super) started: bool,
}

/// What a mission item needs next.
enum ItemStep {
    Fly(Goal),
    Done,
    ToReturn,
}

impl Aircraft {
    /// The goal for the next `world_s` seconds, moving through the mission as items are done.
    pub(super) fn goal(&mut self, world_s: f64) -> Goal {
        if !self.armed {
            return Goal::Off;
        }
        match self.mode {
            Mode::Position | Mode::Hold => self.hold(),
            Mode::Takeoff => self.take_off(),
            Mode::Mission => self.fly_mission(world_s),
            Mode::Return => self.fly_home(),
            Mode::Land => Goal::Down { over: Some(*self.land_at.get_or_insert(self.body.position)) },
            Mode::Descend => Goal::Down { over: None },
        }
    }

    /// Changes the mode; the new mode's first step decides its own targets anew.
    pub(super) fn enter(&mut self, mode: Mode) {
        if self.mode == mode {
            return;
        }
        self.mode = mode;
        (self.hold_at, self.land_at, self.return_up_m) = (None, None, None);
    }

    /// Whether the aircraft means to be on the ground.
    pub(super) fn is_landing(&self) -> bool {
        let item_lands = self.mode == Mode::Mission
            && self.current_item().is_some_and(|item| item.command == MavCmd::MAV_CMD_NAV_LAND)
            && self.land_at.is_some();
        item_lands
            || matches!(self.mode, Mode::Land | Mode::Descend)
            || (self.mode == Mode::Return && self.land_at.is_some())
    }

    pub(super) fn is_taking_off(&self) -> bool {
        let item_climbs = self.mode == Mode::Mission
            && self.current_item().is_some_and(|item| item.command == MavCmd::MAV_CMD_NAV_TAKEOFF);
        item_climbs || self.mode == Mode::Takeoff
    }

    pub(super) fn current_item(&self) -> Option<&MISSION_ITEM_INT_DATA> {
        self.store.mission().get(self.progress.current)
    }

    pub(super) fn item_point(&self, item: &MISSION_ITEM_INT_DATA) -> Vec3 {
        let above_m = if is_above_sea(item.frame) { self.config.home_altitude_amsl_m } else { 0.0 };
        let up = (f64::from(item.z) - above_m).max(0.0);
        self.ground.point(f64::from(item.x) * 1e-7, f64::from(item.y) * 1e-7, up)
    }

    fn hold(&mut self) -> Goal {
        if self.body.on_ground() {
            return Goal::Idle;
        }
        let point = *self.hold_at.get_or_insert(self.body.position);
        self.to(point)
    }

    fn take_off(&mut self) -> Goal {
        let up = self.takeoff_up_m;
        let point = *self.hold_at.get_or_insert(Vec3 { up, ..self.body.position });
        if (self.body.position.up - up).abs() < ALTITUDE_REACHED_M {
            self.enter(Mode::Hold);
        }
        self.to(point)
    }

    fn fly_home(&mut self) -> Goal {
        let home = Vec3::default();
        let far = self.body.position.level_distance_m(home) > RETURN_NEAR_M;
        let lowest_up_m = if far { self.params.number(params::RETURN_ALTITUDE_M) } else { 0.0 };
        let up = *self.return_up_m.get_or_insert(self.body.position.up.max(lowest_up_m));
        if !far || self.land_at.is_some() {
            return Goal::Down { over: Some(*self.land_at.get_or_insert(home)) };
        }
        // Up first, so that what stands between here and home is cleared.
        if self.body.position.up < up - ALTITUDE_REACHED_M {
            let here = *self.hold_at.get_or_insert(self.body.position);
            return self.to(Vec3 { up, ..here });
        }
        self.to(Vec3 { up, ..home })
    }

    fn fly_mission(&mut self, world_s: f64) -> Goal {
        self.progress.started = true;
        for _ in 0..INSTANT_ITEMS_MAX {
            let Some(item) = self.current_item().cloned() else { break };
            match self.item_step(&item, world_s) {
                ItemStep::Fly(goal) => return goal,
                ItemStep::ToReturn => {
                    self.finish_item();
                    self.enter(Mode::Return);
                    return self.fly_home();
                }
                ItemStep::Done => self.finish_item(),
            }
        }
        // All done, in the air: wait for orders, as PX4 does.
        self.enter(Mode::Hold);
        self.hold()
    }

    fn finish_item(&mut self) {
        self.say_reached(self.progress.current);
        self.progress.current += 1;
        self.progress.waited_s = 0.0;
        self.hold_at = None;
    }

    fn item_step(&mut self, item: &MISSION_ITEM_INT_DATA, world_s: f64) -> ItemStep {
        use MavCmd::*;
        match item.command {
            MAV_CMD_NAV_TAKEOFF => self.item_take_off(item),
            MAV_CMD_NAV_WAYPOINT | MAV_CMD_NAV_LOITER_TIME => self.item_waypoint(item, world_s),
            MAV_CMD_NAV_LAND => self.item_land(item),
            MAV_CMD_NAV_RETURN_TO_LAUNCH => ItemStep::ToReturn,
            MAV_CMD_NAV_DELAY => self.item_wait(f64::from(item.param1), world_s),
            MAV_CMD_DO_CHANGE_SPEED => {
                self.set_speed(f64::from(item.param2));
                ItemStep::Done
            }
            MAV_CMD_DO_GRIPPER => {
                self.gripper.order(item.param2 as u32);
                ItemStep::Done
            }
            _ => ItemStep::Done,
        }
    }

    fn item_take_off(&mut self, item: &MISSION_ITEM_INT_DATA) -> ItemStep {
        let up = self.item_point(item).up;
        let point = *self.hold_at.get_or_insert(Vec3 { up, ..self.body.position });
        if (self.body.position.up - up).abs() < ALTITUDE_REACHED_M {
            return ItemStep::Done;
        }
        ItemStep::Fly(self.to(point))
    }

    fn item_waypoint(&mut self, item: &MISSION_ITEM_INT_DATA, world_s: f64) -> ItemStep {
        let point = self.item_point(item);
        let near_m = if item.param2 > 0.0 { f64::from(item.param2) } else { REACHED_M };
        let there = self.body.position.level_distance_m(point) < near_m
            && (self.body.position.up - point.up).abs() < near_m;
        if there && matches!(self.item_wait(f64::from(item.param1), world_s), ItemStep::Done) {
            return ItemStep::Done;
        }
        ItemStep::Fly(self.to(point))
    }

    fn item_wait(&mut self, seconds: f64, world_s: f64) -> ItemStep {
        if self.progress.waited_s >= seconds || seconds.is_nan() {
            return ItemStep::Done;
        }
        self.progress.waited_s += world_s;
        ItemStep::Fly(self.hold())
    }

    fn item_land(&mut self, item: &MISSION_ITEM_INT_DATA) -> ItemStep {
        let spot = if has_place(item) && (item.x, item.y) != (0, 0) {
            Vec3 { up: self.body.position.up, ..self.item_point(item) }
        } else {
            self.body.position
        };
        let above = self.body.position.level_distance_m(spot) < REACHED_M;
        if self.land_at.is_none() && !above {
            let up = *self.return_up_m.get_or_insert(self.body.position.up);
            return ItemStep::Fly(self.to(Vec3 { up, ..spot }));
        }
        let over = *self.land_at.get_or_insert(spot);
        if self.body.on_ground() {
            return ItemStep::Done;
        }
        ItemStep::Fly(Goal::Down { over: Some(over) })
    }

    pub(super) fn set_speed(&mut self, speed_m_s: f64) {
        if speed_m_s > 0.0 {
            self.speed_m_s = speed_m_s.min(self.config.performance.cruise_m_s);
        }
    }

    fn to(&self, point: Vec3) -> Goal {
        Goal::To { point, speed_m_s: self.speed_m_s }
    }
}

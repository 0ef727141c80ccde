//! Where the tool may not go: outside the workspace, and into forbidden regions (P5, P6).
//!
//! **A tick is taken only if from where it leads the arm can still brake without crossing a fence.** Braking keeps that
//! true by itself, so there is always a tick that may be taken, and a fence never has to ask for more than the joints can
//! do. Everything else here is for comfort: before it comes to braking, the part of the motion that goes inward is slowed,
//! and what goes along the fence stays.
//!
//! Invariants, local: what comes out is between the fastest braking and what was wanted, with inward motion taken away: a
//! fence makes no motion. A fence that the tool is behind already lets it out, never further in, and never in again.

use nalgebra::{Point3, Vector3};

use crate::TICK_S;
use crate::joints::{AXES, Axes, Axis, JOINTS};
use crate::model::{ArmModel, Chain};
use crate::region::{Clearance, REGIONS_MAX, Region};
use crate::track::{approach_velocity, braked};

/// Faces of the workspace.
pub(crate) const WALLS: usize = 3;
const FENCES: usize = WALLS + REGIONS_MAX;
/// What the tracker keeps clear of. The setpoint is a mean of its positions and may cut a corner of a region by less.
const KEPT_CLEAR_M: f64 = 2.5e-4;
/// Where inward motion ends, so that what goes along the fence need not be braked for it.
const STANDS_OFF_M: f64 = 5e-4;
/// How hard inward motion is slowed: half of what the slowest joint can do at the workspace's least depth.
const APPROACH_M_S2: f64 = 0.4;
/// Of the way that a tool in a region goes, at least so much must lead out of it.
const OUTWARD: f64 = 0.5;
/// Along a region that it has come out of the tool may come so much nearer again.
const BACK_M: f64 = 1e-6;
/// Halvings of the way from braking to what was wanted.
const HALVINGS: usize = 6;
/// Looks on the way of a stop. A stop has fewer ticks; what it does not clear in so many it does not clear.
const LOOKS_MAX: usize = 512;
/// The axes that carry the tool's place.
const CARRYING: usize = 3;

/// The fences in force, and how far the tool is from them.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    regions: [Option<Region>; REGIONS_MAX],
    /// Distances that the tool must keep; less than [`KEPT_CLEAR_M`] of a fence that it was behind.
    kept_m: [f64; FENCES],
    /// So far every point of the tool may travel before it matters.
    clear_m: f64,
    /// Farther than this no point of the tool is from an axis, m; at insertion 1.
    levers: [f64; JOINTS],
}

/// Where the tracker is, and how it goes on.
#[derive(Clone, Copy)]
pub(crate) struct State<'a> {
    pub(crate) position: &'a Axes,
    pub(crate) velocity: &'a Axes,
}

/// What every axis may do in a tick.
pub(crate) struct Bounds<'a> {
    pub(crate) velocity: &'a Axes,
    pub(crate) acceleration_step: &'a Axes,
    pub(crate) acceleration: &'a Axes,
    pub(crate) position_min: &'a Axes,
    pub(crate) position_max: &'a Axes,
}

impl Fence {
    pub(crate) fn new(model: &ArmModel) -> Self {
        let wrist_m = model.link_from_tip.translation.vector.norm() + model.turn_lever_m;
        let bent_m = model.wrist_offset_m() + wrist_m;
        let insertion_m_max = model.limits.position_rad_m_max[Axis::Insertion.index()];
        let whole_m = (insertion_m_max + model.wrist_at_zero_insertion_m()).abs() + bent_m;
        Self {
            regions: [None; REGIONS_MAX],
            kept_m: [KEPT_CLEAR_M; FENCES],
            clear_m: 0.0,
            levers: [whole_m, whole_m, 1.0, bent_m, bent_m, wrist_m],
        }
    }

    /// Other regions, known from now on; whether the tool is out of them, and can brake before it is in.
    pub(crate) fn latch(&mut self, model: &ArmModel, regions: &[Region], state: State, step: &Axes) -> bool {
        self.regions = std::array::from_fn(|i| regions.get(i).copied());
        self.settle(model, state, step);
        self.kept_m[WALLS..].iter().all(|&kept_m| kept_m == KEPT_CLEAR_M)
    }

    /// Takes the distances as they are. Whatever the tool is behind, it may only leave.
    pub(crate) fn settle(&mut self, model: &ArmModel, state: State, step: &Axes) {
        self.kept_m = [f64::NEG_INFINITY; FENCES];
        let least_m = self.least_on_stop(model, state, step);
        self.kept_m = least_m.map(|least_m| least_m.min(KEPT_CLEAR_M));
        self.clear_m = 0.0;
    }

    /// `wanted`, with what the fences forbid taken away, and whether anything was. `walls`: the workspace counts.
    pub(crate) fn restrain(
        &mut self,
        model: &ArmModel,
        state: State,
        wanted: &Axes,
        bounds: &Bounds,
        walls: bool,
    ) -> (Axes, bool) {
        if self.is_far(wanted, bounds.acceleration_step) {
            return (*wanted, false);
        }
        self.clear_m = 0.0;
        let behind = self.is_behind(model, state.position);
        let leaves = !behind || self.leaves(model, state.position, wanted);
        if leaves && self.passes(model, state.position, wanted, bounds, walls) {
            return (*wanted, false);
        }
        let braking: Axes = std::array::from_fn(|i| braked(state.velocity[i], bounds.acceleration[i]));
        if behind {
            return (blend(&braking, wanted, 0.0), true);
        }
        let along = self.without_inward(model, state, wanted, bounds, walls);
        if self.passes(model, state.position, &along, bounds, walls) {
            return (along, true);
        }
        let of_along = self.most_of(model, state, bounds, walls, |_, share| blend(&braking, &along, share));
        let taken = of_along.or_else(|| {
            // At rest, where what leads inward is more than the axes can make up for in a tick: less wanted is less to make up for.
            self.most_of(model, state, bounds, walls, |fence, share| {
                fence.without_inward(model, state, &blend(&braking, wanted, share), bounds, walls)
            })
        });
        (taken.unwrap_or_else(|| blend(&braking, &along, 0.0)), true)
    }

    /// Of what goes from nothing to all, the most that passes.
    fn most_of(
        &mut self,
        model: &ArmModel,
        state: State,
        bounds: &Bounds,
        walls: bool,
        velocity: impl Fn(&Self, f64) -> Axes,
    ) -> Option<Axes> {
        let (mut most, mut too_much) = (0.0, 1.0);
        let mut taken = None;
        for _ in 0..HALVINGS {
            let share = (most + too_much) * 0.5;
            let tried = velocity(self, share);
            if self.passes(model, state.position, &tried, bounds, walls) {
                (most, taken) = (share, Some(tried));
            } else {
                too_much = share;
            }
        }
        taken
    }

    /// Where a hand that asks for this point is taken to, for how far the tool is from it: out of every region.
    pub(crate) fn outside(&self, base_point: Point3<f64>) -> Point3<f64> {
        self.regions.iter().flatten().fold(base_point, |point, region| {
            let Clearance { distance_m, outward } = region.clearance(&point);
            point + outward * (KEPT_CLEAR_M - distance_m).max(0.0)
        })
    }

    /// Whether this velocity leads out of every such region, more than along it, and by the face that the tool
    /// is nearest to: over a ridge the way out leads deeper at first, by less than one tick's length.
    fn leaves(&self, model: &ArmModel, from: &Axes, velocity: &Axes) -> bool {
        let tool = model.chain(from);
        self.entered().map(|region| nearest(region, &tool)).all(|(clearance, point)| {
            let moves: Vector3<f64> = (0..JOINTS).map(|i| tool.moves(i, &point) * velocity[i]).sum();
            clearance.distance_m >= KEPT_CLEAR_M || clearance.outward.dot(&moves) >= OUTWARD * moves.norm()
        })
    }

    /// Whether the tool is in a region, or on its way out not clear of it yet.
    fn is_behind(&self, model: &ArmModel, position: &Axes) -> bool {
        let tool = model.chain(position);
        self.entered().any(|region| nearest(region, &tool).0.distance_m < KEPT_CLEAR_M)
    }

    /// Regions that the tool was in or too near to when they came, and has not been clear of since.
    fn entered(&self) -> impl Iterator<Item = &Region> {
        let regions = self.regions.iter().zip(&self.kept_m[WALLS..]);
        regions.filter(|(_, kept_m)| **kept_m < KEPT_CLEAR_M).filter_map(|(region, _)| region.as_ref())
    }

    /// Whether no fence is as near as the tool can get by this velocity and the braking after it. Forgets as it goes.
    fn is_far(&mut self, velocity: &Axes, step: &Axes) -> bool {
        let tick_m = self.reach(velocity.map(|speed| speed * TICK_S));
        if self.clear_m <= tick_m + self.stop_reach_m(velocity, step) {
            return false;
        }
        self.clear_m -= tick_m;
        true
    }

    /// Whether the arm may go on with this velocity. Fences that the tool is behind follow it out.
    fn passes(
        &mut self,
        model: &ArmModel,
        from: &Axes,
        velocity: &Axes,
        bounds: &Bounds,
        walls: bool,
    ) -> bool {
        let position = std::array::from_fn(|i| from[i] + velocity[i] * TICK_S);
        let state = State { position: &position, velocity };
        let skipped = if walls { 0 } else { WALLS };
        let (clear_m, in_time) = self.brakes_in_time(model, state, bounds.acceleration_step, skipped);
        let passes = in_time && self.keeps_coming_out(model, from, state, bounds.acceleration_step);
        if passes {
            self.follow_out(model, state, bounds.acceleration_step);
            // What is to keep coming out is looked at every tick.
            self.clear_m = if walls && self.entered().next().is_none() { clear_m } else { 0.0 };
        }
        passes
    }

    /// Whether the tool, on its way out of a region that it was in, goes no deeper again in a stop from here: the way out may lead in by
    /// the tool's other end or around a corner.
    fn keeps_coming_out(&self, model: &ArmModel, from: &Axes, state: State, step: &Axes) -> bool {
        if self.entered().next().is_none() {
            return true;
        }
        let (mut position, mut velocity) = (*state.position, *state.velocity);
        let mut farthest_m = self.distances_m(model, from);
        for _ in 0..LOOKS_MAX {
            let next_m = self.distances_m(model, &position);
            for i in WALLS..FENCES {
                let goes_in = next_m[i] < farthest_m[i].min(KEPT_CLEAR_M) - BACK_M;
                if goes_in && self.kept_m[i] < KEPT_CLEAR_M {
                    return false;
                }
                farthest_m[i] = farthest_m[i].max(next_m[i]);
            }
            if velocity[..JOINTS] == [0.0; JOINTS] {
                break;
            }
            for i in 0..AXES {
                (position[i], velocity[i]) = after_braking(position[i], velocity[i], step[i], 1.0);
            }
        }
        true
    }

    fn follow_out(&mut self, model: &ArmModel, state: State, step: &Axes) {
        if self.kept_m.iter().all(|&kept_m| kept_m == KEPT_CLEAR_M) {
            return;
        }
        let least_m = self.least_on_stop(model, state, step);
        for (kept_m, least_m) in self.kept_m.iter_mut().zip(least_m) {
            *kept_m = kept_m.max(least_m.min(KEPT_CLEAR_M));
        }
    }

    /// Room left at the start, and whether a stop from here ends with every distance kept. Looks only as often as the
    /// tool may have used up the room since.
    fn brakes_in_time(&self, model: &ArmModel, state: State, step: &Axes, skipped: usize) -> (f64, bool) {
        let (mut position, mut velocity) = (*state.position, *state.velocity);
        let mut first_m = None;
        for _ in 0..LOOKS_MAX {
            let distances_m = self.distances_m(model, &position);
            let room = distances_m.iter().zip(&self.kept_m).skip(skipped);
            let room_m = room.map(|(distance_m, kept_m)| distance_m - kept_m).fold(f64::INFINITY, f64::min);
            let clear_m = *first_m.get_or_insert(room_m);
            if room_m < 0.0 {
                return (clear_m, false);
            }
            if self.stop_reach_m(&velocity, step) <= room_m {
                return (clear_m, true);
            }
            let tick_m = self.reach(velocity.map(|speed| speed * TICK_S));
            let ticks = (room_m / tick_m).floor().max(1.0);
            for i in 0..AXES {
                (position[i], velocity[i]) = after_braking(position[i], velocity[i], step[i], ticks);
            }
        }
        (0.0, false)
    }

    /// The least distance from each fence on the way to standstill.
    fn least_on_stop(&self, model: &ArmModel, state: State, step: &Axes) -> [f64; FENCES] {
        let (mut position, mut velocity) = (*state.position, *state.velocity);
        let mut least_m = self.distances_m(model, &position);
        for _ in 0..LOOKS_MAX {
            if velocity[..JOINTS] == [0.0; JOINTS] {
                break;
            }
            for i in 0..AXES {
                (position[i], velocity[i]) = after_braking(position[i], velocity[i], step[i], 1.0);
            }
            let next_m = self.distances_m(model, &position);
            least_m = std::array::from_fn(|i| least_m[i].min(next_m[i]));
        }
        least_m
    }

    fn distances_m(&self, model: &ArmModel, position: &Axes) -> [f64; FENCES] {
        let tool = model.chain(position);
        let walls = model.limits.workspace.walls(&tool.tip);
        std::array::from_fn(|i| {
            if i < WALLS {
                walls[i].distance_m
            } else {
                self.regions[i - WALLS].map_or(f64::INFINITY, |region| nearest(&region, &tool).0.distance_m)
            }
        })
    }

    /// Inward motion that could not be slowed in time is taken away by the axes that carry the tool, at right angles to
    /// the fence; the rest stays.
    fn without_inward(
        &self,
        model: &ArmModel,
        state: State,
        wanted: &Axes,
        bounds: &Bounds,
        walls: bool,
    ) -> Axes {
        let tool = model.chain(state.position);
        let mut velocity = *wanted;
        let faces = model.limits.workspace.walls(&tool.tip).map(|face| (face, tool.tip));
        let faces = faces.into_iter().filter(|_| walls);
        let bodies = self.regions.iter().flatten().map(|region| nearest(region, &tool));
        for (Clearance { distance_m, outward }, point) in faces.chain(bodies) {
            let along: [Vector3<f64>; JOINTS] = std::array::from_fn(|i| tool.moves(i, &point));
            let outward_m_s: f64 = (0..JOINTS).map(|i| outward.dot(&along[i]) * velocity[i]).sum();
            let room_m = (distance_m - STANDS_OFF_M).max(0.0);
            let least_m_s = -approach_velocity(room_m, APPROACH_M_S2);
            if outward_m_s >= least_m_s {
                continue;
            }
            // Yaw, pitch and insertion move the tool nearly at right angles, so that this moves it straight outward.
            let share: [f64; CARRYING] =
                std::array::from_fn(|i| outward.dot(&along[i]) / along[i].norm_squared().max(1e-9));
            let gain: f64 = (0..CARRYING).map(|i| share[i] * outward.dot(&along[i])).sum();
            for i in 0..CARRYING {
                velocity[i] += (least_m_s - outward_m_s) * share[i] / gain.max(1e-9);
            }
        }
        std::array::from_fn(|i| {
            let up = approach_velocity(bounds.position_max[i] - state.position[i], bounds.acceleration[i]);
            let down = approach_velocity(bounds.position_min[i] - state.position[i], bounds.acceleration[i]);
            let (now, step) = (state.velocity[i], bounds.acceleration_step[i]);
            if velocity[i] == wanted[i] {
                return wanted[i];
            }
            let (down, up) = (down.min(0.0).max(-bounds.velocity[i]), up.max(0.0).min(bounds.velocity[i]));
            velocity[i].clamp(down, up).clamp(now - step, now + step)
        })
    }

    /// No point of the tool moves farther when the joints move by so much.
    fn reach(&self, joints: Axes) -> f64 {
        self.levers.iter().zip(joints).map(|(lever, by)| lever * by.abs()).sum()
    }

    fn stop_reach_m(&self, velocity: &Axes, step: &Axes) -> f64 {
        self.reach(std::array::from_fn(|i| velocity[i] * velocity[i] / (2.0 * step[i]) * TICK_S))
    }
}

/// The point of the tool that is nearest to the region.
fn nearest(region: &Region, tool: &Chain) -> (Clearance, Point3<f64>) {
    let [tip, jaws] = [tool.tip, tool.jaws].map(|point| (region.clearance(&point), point));
    if tip.0.distance_m <= jaws.0.distance_m { tip } else { jaws }
}

/// Position and velocity of an axis after so many ticks of braking.
fn after_braking(position: f64, velocity: f64, step: f64, ticks: f64) -> (f64, f64) {
    let speed = velocity.abs();
    let moving = ticks.min((speed / step - 1e-9).ceil() - 1.0).max(0.0);
    let ticks_travelled = moving * speed - step * moving * (moving + 1.0) * 0.5;
    let left = speed - step * ticks;
    let left = if left <= step * 1e-9 { 0.0 } else { left };
    (position + (ticks_travelled * TICK_S).copysign(velocity), left.copysign(velocity))
}

/// From braking to wanted; the jaw, which moves no point, as wanted.
fn blend(braking: &Axes, wanted: &Axes, share: f64) -> Axes {
    let mut velocity = std::array::from_fn(|i| braking[i] + share * (wanted[i] - braking[i]));
    velocity[AXES - 1] = wanted[AXES - 1];
    velocity
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: braking reckoned at one stroke is braking tick by tick.
    #[test]
    fn braking_at_one_stroke_is_braking_tick_by_tick() {
        for (velocity, step) in [(1.0, 0.02), (-0.33, 0.02), (0.02, 0.02), (0.05, 0.06), (0.0, 0.1)] {
            let (mut position, mut left) = (0.3, velocity);
            for ticks in 0..60 {
                let (at, speed) = after_braking(0.3, velocity, step, f64::from(ticks));
                assert!((at - position).abs() < 1e-12 && (speed - left).abs() < 1e-12, "{velocity}, {ticks}");
                left = braked(left, step / TICK_S);
                position += left * TICK_S;
            }
        }
    }
}

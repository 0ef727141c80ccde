//! The tracker's promises, tick by tick, from its setpoints alone.

mod hand;

use farhand_motion::{ArmLimits, ArmModel, Clamped, Joints, Motion, Setpoint, TICK_S, Target};
use hand::{Aim, at_home};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};
use proptest::prelude::*;

/// What rounding adds to a difference of positions of a few radians: a few ulps (9e-16), by the tick's length once for
/// velocity, twice for acceleration, three times for jerk. Against limits of 1, 20 and 4000 these are nothing.
const ROUNDING: [f64; 3] = [1e-11, 1e-8, 1e-4];

fn arm() -> ArmModel {
    ArmModel::psm_large_needle_driver()
}

/// Every arm, each with joints from which it has a way to go.
fn every_arm() -> [(ArmModel, Joints, f64); 2] {
    [
        (arm(), Joints([0.6, -0.5, 0.2, 2.0, 0.9, -0.9]), 0.5),
        (ArmModel::ecm_straight_endoscope(), Joints([0.6, -0.5, 0.2, 1.2, 0.0, 0.0]), 0.0),
    ]
}

fn any_arm() -> impl Strategy<Value = ArmModel> {
    prop_oneof![Just(ArmModel::psm_large_needle_driver()), Just(ArmModel::ecm_straight_endoscope())]
}

/// Positions of all seven axes of the last four setpoints, and the limits they must keep.
struct Watch {
    limits: ArmLimits,
    seen: Vec<[f64; 7]>,
}

impl Watch {
    fn new(motion: &Motion) -> Self {
        let start = axes(motion.setpoint());
        Self { limits: *motion.model().limits(), seen: vec![start; 4] }
    }

    /// Asserts range, velocity, acceleration and jerk of the newest setpoint, from positions alone.
    fn check(&mut self, setpoint: &Setpoint) {
        self.check_range(setpoint);
        self.seen.rotate_left(1);
        self.seen[3] = axes(setpoint);
        let [a, b, c, d] = [self.seen[0], self.seen[1], self.seen[2], self.seen[3]];
        let l = &self.limits;
        let velocity = with_jaw(&l.velocity_rad_m_s_max, l.jaw_velocity_rad_s_max);
        let acceleration = with_jaw(&l.acceleration_rad_m_s2_max, l.jaw_acceleration_rad_s2_max);
        let jerk = with_jaw(&l.jerk_rad_m_s3_max, l.jaw_jerk_rad_s3_max);
        for i in 0..7 {
            let rates = [
                (d[i] - c[i]) / TICK_S,
                (d[i] - 2.0 * c[i] + b[i]) / TICK_S.powi(2),
                (d[i] - 3.0 * c[i] + 3.0 * b[i] - a[i]) / TICK_S.powi(3),
            ];
            for (order, max) in [velocity[i], acceleration[i], jerk[i]].into_iter().enumerate() {
                let rate = rates[order].abs();
                assert!(rate <= max + ROUNDING[order], "axis {i}, order {order}: {rate} over {max}");
            }
        }
    }

    fn check_range(&self, setpoint: &Setpoint) {
        self.limits.check_joints(&setpoint.joints).expect("joints within range");
        self.limits.check_jaw(setpoint.jaw_rad).expect("jaw within range");
    }

    /// After a stop, which is bound by its own limit: forget what came before.
    fn restart(&mut self, setpoint: &Setpoint) {
        self.seen = vec![axes(setpoint); 4];
    }
}

/// Nearer than this to a goal is at it, also where nothing may move.
fn same_place(a: &Joints, b: &Joints) -> bool {
    a.0.iter().zip(b.0).all(|(a, b)| (a - b).abs() <= 1e-14)
}

fn axes(setpoint: &Setpoint) -> [f64; 7] {
    with_jaw(&setpoint.joints.0, setpoint.jaw_rad)
}

fn with_jaw(joints: &[f64; 6], jaw: f64) -> [f64; 7] {
    std::array::from_fn(|i| if i < 6 { joints[i] } else { jaw })
}

fn speeds(setpoint: &Setpoint) -> [f64; 7] {
    with_jaw(&setpoint.joint_velocity, setpoint.jaw_velocity_rad_s).map(f64::abs)
}

/// Anywhere, also outside the workspace and the wrist's range; held as long as commands at 60 to 250 Hz are apart.
fn any_aim() -> impl Strategy<Value = Aim> {
    let place = [-0.25_f64..0.25, -0.25_f64..0.25, -0.3_f64..0.05];
    (place, prop::array::uniform3(-1.5_f64..1.5), -1.0_f64..2.0, 4_usize..17)
        .prop_map(|(place, turn, jaw_rad, hold_ticks)| Aim { place, turn, jaw_rad, hold_ticks })
}

/// A hand: small steps from one target to the next, with now and then a leap.
fn any_hand() -> impl Strategy<Value = Vec<Aim>> {
    let step = prop_oneof![9 => 0.0_f64..0.04, 1 => 0.2_f64..1.0];
    (any_aim(), prop::collection::vec((any_aim(), step), 5..60)).prop_map(|(first, aims)| {
        let mut at = first;
        let blend = |a: [f64; 3], b: [f64; 3], s: f64| std::array::from_fn(|i| a[i] + s * (b[i] - a[i]));
        let mut path = vec![at.clone()];
        for (aim, share) in aims {
            at.place = blend(at.place, aim.place, share);
            at.turn = blend(at.turn, aim.turn, share);
            at = Aim { jaw_rad: aim.jaw_rad, hold_ticks: aim.hold_ticks, ..at };
            path.push(at.clone());
        }
        path
    })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(300))]

    /// Goal: whatever the hand does, every setpoint keeps range, velocity, acceleration, jerk and the tip-speed cap; and
    /// when the hand rests, the tool arrives at the target to the last bit and stays there.
    #[test]
    fn following_keeps_every_limit_and_arrives(arm in any_arm(), hand in any_hand(), cap_mm_s in 2.0_f64..250.0) {
        let mut motion = at_home(&arm);
        let mut watch = Watch::new(&motion);
        let cap_met_mm_s = cap_mm_s.min(arm.limits().tip_speed_mm_s_max);
        let mut last = None;
        for aim in &hand {
            for _ in 0..aim.hold_ticks {
                let target = motion.clamp(&aim.target(&arm));
                let setpoint = motion.follow(&target, cap_mm_s);
                watch.check(&setpoint);
                prop_assert!(setpoint.tip_speed_mm_s <= cap_met_mm_s, "{} over {cap_met_mm_s}", setpoint.tip_speed_mm_s);
                last = Some(target);
            }
        }
        let target = last.expect("a hand has targets");
        let mut ticks = 0;
        while !(motion.is_at_rest() && motion.setpoint().joints == *target.joints()) {
            let setpoint = motion.follow(&target, cap_mm_s);
            watch.check(&setpoint);
            prop_assert!(setpoint.tip_speed_mm_s <= cap_met_mm_s);
            ticks += 1;
            prop_assert!(ticks < 700_000, "did not arrive");
        }
        prop_assert_eq!(motion.setpoint().jaw_rad, target.jaw_rad());
        let stays = motion.follow(&target, cap_mm_s);
        prop_assert_eq!(stays.joints, *target.joints());
        let lag = motion.lag(&target);
        prop_assert!(lag.mm < 1e-9 && lag.deg < 1e-5, "{lag:?}");
    }

    /// Goal: the same along the workspace's edge, where what a joint may not do is done by others: a fence speeds none of them
    /// up beyond its limits.
    #[test]
    fn along_the_edge_every_limit_is_kept(arm in any_arm(), aims in prop::collection::vec(any_aim(), 4..12)) {
        let mut motion = at_home(&arm);
        let mut watch = Watch::new(&motion);
        for Aim { place: [x, y, z], turn, hold_ticks, .. } in aims {
            // Shallow, where the joints are fast, and beyond the cap or the cone.
            let aim = Aim { place: [x * 0.4, y * 0.4, z * 0.2], turn, jaw_rad: 0.0, hold_ticks };
            for _ in 0..hold_ticks * 16 {
                let setpoint = motion.follow(&motion.clamp(&aim.target(&arm)), 250.0);
                watch.check(&setpoint);
                prop_assert!(setpoint.tip_speed_mm_s <= arm.limits().tip_speed_mm_s_max);
            }
        }
    }

    /// Goal: a cap that falls smoothly is kept, looking back only over the ticks that the average spans.
    #[test]
    fn a_falling_cap_is_met_within_the_smoothing(arm in any_arm(), hand in any_hand(), fall_mm_s2 in 10.0_f64..400.0) {
        let mut motion = at_home(&arm);
        let mut watch = Watch::new(&motion);
        let mut caps = vec![200.0_f64];
        for aim in hand.iter().cycle().take(120) {
            for _ in 0..aim.hold_ticks {
                let cap_mm_s = (caps[caps.len() - 1] - fall_mm_s2 * TICK_S).max(0.0);
                caps.push(cap_mm_s);
                let setpoint = motion.follow(&motion.clamp(&aim.target(&arm)), cap_mm_s);
                watch.check(&setpoint);
                let back = caps.len().saturating_sub(arm.smoothing_ticks());
                // At a cap of zero the average's own rounding is left: some 1e-15 m a tick.
                let cap_mm_s = caps[back] + 1e-9;
                prop_assert!(setpoint.tip_speed_mm_s <= cap_mm_s, "{} over {cap_mm_s}", setpoint.tip_speed_mm_s);
            }
        }
    }

    /// Goal: letting go is the fastest stop: each axis loses its stop deceleration every tick, is at zero after
    /// ceil(v / (a·dt)) ticks and stays there, within range, the tip within its cap.
    #[test]
    fn a_stop_is_as_fast_as_the_stop_limits_allow(arm in any_arm(), hand in any_hand(), go_ticks in 1_usize..400) {
        let mut motion = at_home(&arm);
        let watch = Watch::new(&motion);
        for aim in hand.iter().flat_map(|aim| std::iter::repeat_n(aim, aim.hold_ticks)).take(go_ticks) {
            motion.follow(&motion.clamp(&aim.target(&arm)), 200.0);
        }
        let limits = arm.limits();
        let stop = with_jaw(&limits.stop_deceleration_rad_m_s2_max, limits.jaw_stop_deceleration_rad_s2_max);
        let start = speeds(motion.setpoint());
        for tick in 1..200_u32 {
            let before = *motion.setpoint();
            let setpoint = motion.stop();
            watch.check_range(&setpoint);
            prop_assert!(setpoint.tip_speed_mm_s <= 200.0);
            for i in 0..7 {
                let step = stop[i] * TICK_S;
                let due = (start[i] - step * f64::from(tick)).max(0.0);
                prop_assert!((speeds(&setpoint)[i] - due).abs() < 1e-9, "axis {i}, tick {tick}");
                if f64::from(tick) >= (start[i] / step - 1e-6).ceil() {
                    prop_assert_eq!(speeds(&setpoint)[i], 0.0);
                }
                let moved = (axes(&setpoint)[i] - axes(&before)[i]) / TICK_S;
                prop_assert!((moved.abs() - speeds(&setpoint)[i]).abs() < ROUNDING[0]);
            }
        }
        prop_assert!(motion.is_at_rest() && !motion.setpoint().braking);
    }

    /// Goal: whatever is asked for in whatever order, ranges hold, a stop once begun is finished first, and what moves
    /// after it keeps every limit.
    #[test]
    fn any_order_of_calls_keeps_the_limits(arm in any_arm(), calls in prop::collection::vec((0_u8..5, any_aim(), 1_usize..60), 1..40)) {
        let mut motion = at_home(&arm);
        let mut watch = Watch::new(&motion);
        for (call, aim, ticks) in calls {
            for _ in 0..ticks {
                let setpoint = match call {
                    0 => motion.stop(),
                    1 => motion.home(),
                    2 => motion.withdraw(None),
                    _ => motion.follow(&motion.clamp(&aim.target(&arm)), 150.0),
                };
                if setpoint.braking {
                    watch.check_range(&setpoint);
                    watch.restart(&setpoint);
                } else {
                    watch.check(&setpoint);
                }
            }
        }
    }
}

/// Follows as the kit does: only targets the guard would chase, 10 mm and 15 degrees away at most.
fn follow_guarded(motion: &mut Motion, target: &Clamped) -> Setpoint {
    let lag = motion.lag(target);
    if lag.mm <= 10.0 && lag.deg <= 15.0 { motion.follow(target, 200.0) } else { motion.stop() }
}

proptest! {
    #![proptest_config(config(200))]

    /// Goal: chasing only what the guard lets it chase, the tip never leaves the workspace, though joints that arrive
    /// one after the other bend its path.
    #[test]
    fn the_tip_stays_in_the_workspace(
        arm in any_arm(),
        pushes in prop::collection::vec((prop::array::uniform3(-0.012_f64..0.012), prop::array::uniform3(-0.2_f64..0.2), 4_usize..40), 50..150),
        outward in prop::array::uniform3(-0.01_f64..0.01),
    ) {
        let mut motion = at_home(&arm);
        let mut moved_ticks = 0;
        for (push, turn, ticks) in pushes {
            // A hand that pushes the same way most of the time, so that it reaches a wall and slides along it.
            let from = motion.setpoint().base_from_tip;
            let shift = Vector3::from(push) * 0.4 + Vector3::from(outward) * 0.7;
            let rotation = UnitQuaternion::from_scaled_axis(Vector3::from(turn)) * from.rotation;
            let pose = Isometry3::from_parts((from.translation.vector + shift).into(), rotation);
            for _ in 0..ticks {
                let target = motion.clamp(&Target { base_from_tip: pose, jaw_rad: 0.0 });
                let setpoint = follow_guarded(&mut motion, &target);
                let outside_m = arm.limits().workspace.outside_m(&setpoint.base_from_tip.translation.vector.into());
                prop_assert!(outside_m == 0.0, "{} mm outside", outside_m * 1e3);
                moved_ticks += usize::from(setpoint.tip_speed_mm_s > 1.0);
            }
        }
        prop_assert!(moved_ticks > 50, "the hand moved the tool for {moved_ticks} ticks only");
    }

    /// Goal: a clamped target is inside the workspace's inset and the joints' ranges, its pose is the one its joints give,
    /// and a target already inside is left as it is.
    #[test]
    fn clamping_gives_what_the_arm_can_do(arm in any_arm(), aim in any_aim(), roll in -1.0_f64..1.0) {
        let mut start = arm.home().joints;
        start.0[3] = roll * arm.limits().position_rad_m_max[3];
        let motion = Motion::new(&arm, start, 0.0).expect("within limits");
        let target = aim.target(&arm);
        let clamped = motion.clamp(&target);
        prop_assert!(arm.limits().check_joints(clamped.joints()).is_ok());
        prop_assert!(arm.limits().check_jaw(clamped.jaw_rad()).is_ok());
        let given = arm.forward(clamped.joints());
        let gap = given.inverse() * clamped.base_from_tip();
        prop_assert!(gap.translation.vector.norm() < 1e-9 && gap.rotation.imag().norm() < 1e-9);
        let place = clamped.base_from_tip().translation.vector;
        let shaft_limited = clamped.clamps().joints[..3].contains(&true);
        if !shaft_limited {
            prop_assert!(arm.limits().workspace.outside_m(&place.into()) == 0.0, "{place:?}");
        }
        if !clamped.clamps().workspace && !shaft_limited {
            let asked = target.base_from_tip.translation.vector;
            prop_assert!((place - asked).norm() < 1e-9, "the wrist's clamp moved the tip");
        }
        if !clamped.clamps().any() {
            prop_assert!(gap.translation.vector.norm() < 1e-9);
            prop_assert!(!arm.has_wrist() || *clamped.base_from_tip() == target.base_from_tip);
        }
    }
}

/// Goal: homing goes slowly, keeps every limit, ends exactly at home, and says so.
#[test]
fn homing_is_slow_and_ends_exactly_at_home() {
    for (arm, mut start, jaw_rad) in every_arm() {
        start.0[2] = 0.0;
        let mut motion = Motion::new(&arm, start, jaw_rad).expect("within limits");
        let mut watch = Watch::new(&motion);
        let mut ticks = 0;
        while !motion.is_home() {
            let setpoint = motion.home();
            watch.check(&setpoint);
            assert!(setpoint.tip_speed_mm_s <= arm.home().tip_speed_mm_s_max);
            ticks += 1;
            assert!(ticks < 30_000, "not home");
        }
        assert_eq!(motion.setpoint().joints, arm.home().joints);
    }
}

/// Goal: a withdrawal only ever draws the shaft out, from whatever bend the wrist has, and ends at its goal.
#[test]
fn a_withdrawal_only_draws_the_shaft_out() {
    for (arm, start, jaw_rad) in every_arm() {
        let mut motion = Motion::new(&arm, start, jaw_rad).expect("within limits");
        let mut ticks = 0;
        while !motion.is_withdrawn() {
            let before = *motion.setpoint();
            let setpoint = motion.withdraw(None);
            assert!(setpoint.joints.insertion_m() <= before.joints.insertion_m());
            assert!(setpoint.tip_speed_mm_s <= 30.0 + 1e-9);
            for i in [0, 1, 3, 4, 5] {
                assert_eq!(setpoint.joints.0[i], before.joints.0[i]);
            }
            ticks += 1;
            assert!(ticks < 20_000, "not withdrawn");
        }
        assert_eq!(motion.setpoint().joints.insertion_m(), 0.0);
    }
}

/// Goal: a target that is not finite moves nothing and is reported; a cap that is not a number is zero.
#[test]
fn what_is_not_finite_moves_nothing() {
    for (arm, ..) in every_arm() {
        let mut motion = at_home(&arm);
        let home = motion.setpoint().base_from_tip;
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let place = Isometry3::from_parts(Translation3::new(bad, 0.0, -0.1), home.rotation);
            for target in
                [Target { base_from_tip: place, jaw_rad: 0.0 }, Target { base_from_tip: home, jaw_rad: bad }]
            {
                let clamped = motion.clamp(&target);
                assert!(clamped.clamps().not_finite);
                assert_eq!(motion.follow(&clamped, 200.0).joints, arm.home().joints);
            }
        }
        let near = Isometry3::from_parts(Translation3::new(0.005, 0.0, -0.11), home.rotation);
        let target = motion.clamp(&Target { base_from_tip: near, jaw_rad: 0.0 });
        assert!(same_place(&motion.follow(&target, f64::NAN).joints, &arm.home().joints));
        assert!(same_place(&motion.follow(&target, -5.0).joints, &arm.home().joints));
    }
}

/// Goal: a direction that the endoscope's arm cannot take, and a jaw that it has not, are neither lag nor taken away: what is
/// left is its place and its roll, and what it has not never moves.
#[test]
fn an_endoscope_takes_what_it_can() {
    let arm = ArmModel::ecm_straight_endoscope();
    let mut motion = at_home(&arm);
    let home = motion.setpoint().base_from_tip;
    let tilt = UnitQuaternion::from_scaled_axis(Vector3::new(0.7, 0.0, 0.0));
    let turn = UnitQuaternion::from_scaled_axis(Vector3::z() * 0.4);
    let tilted = motion.clamp(&Target { base_from_tip: home * tilt, jaw_rad: 0.8 });
    assert!(!tilted.clamps().any() && tilted.jaw_rad() == 0.0, "{:?}", tilted.clamps());
    let lag = motion.lag(&tilted);
    assert!(lag.mm < 1e-9 && lag.deg < 1e-5, "{lag:?}");
    let turned = motion.clamp(&Target { base_from_tip: home * turn * tilt, jaw_rad: 0.8 });
    assert!((motion.lag(&turned).deg - 0.4_f64.to_degrees()).abs() < 1e-6, "{:?}", motion.lag(&turned));
    let aside = Isometry3::from_parts(Translation3::new(0.03, 0.02, -0.12), (home * turn * tilt).rotation);
    for _ in 0..3000 {
        let target = motion.clamp(&Target { base_from_tip: aside, jaw_rad: 0.8 });
        let setpoint = motion.follow(&target, 200.0);
        assert_eq!((setpoint.joints.0[4], setpoint.joints.0[5], setpoint.jaw_rad), (0.0, 0.0, 0.0));
    }
    let setpoint = motion.setpoint();
    assert!((setpoint.base_from_tip.translation.vector - aside.translation.vector).norm() < 1e-9);
    let along = setpoint.base_from_tip.rotation * Vector3::z();
    assert!((along - aside.translation.vector.normalize()).norm() < 1e-9, "it looks along its shaft");
    let on_its_head = home * UnitQuaternion::from_scaled_axis(Vector3::z() * 2.0);
    let mut motion = at_home(&arm);
    let clamped = motion.clamp(&Target { base_from_tip: on_its_head, jaw_rad: 0.0 });
    assert_eq!(clamped.clamps().joints, [false, false, false, true, false, false]);
    assert!((clamped.joints().0[3].abs() - arm.limits().position_rad_m_max[3]).abs() < 1e-12);
    assert!(same_place(&motion.follow(&clamped, 0.0).joints, &arm.home().joints));
}

/// Goal: a start outside the limits is refused with the joint, its value and its range.
#[test]
fn a_start_outside_the_limits_is_refused() {
    let refused = Motion::new(&arm(), Joints([0.0, 0.0, 0.25, 0.0, 0.0, 0.0]), 0.0).expect_err("too deep");
    assert_eq!(refused.to_string(), "insertion is 0.250000 m, allowed is 0 to 0.24 m");
}

/// Goal: at a moderate hand speed the tool keeps up well within the lag that the guard allows.
#[test]
fn the_tool_keeps_up_with_a_brisk_hand() {
    let arm = arm();
    let mut motion = at_home(&arm);
    let centre = motion.setpoint().base_from_tip;
    let mut worst_mm = 0.0_f64;
    // A circle of 30 mm, 0.6 turns a second: 113 mm/s, told every 16 ms.
    for tick in 0..4000_u32 {
        let told = f64::from(tick / 16 * 16) * TICK_S;
        let grow = (told / 0.5).min(1.0);
        let (sin, cos) = (0.6 * std::f64::consts::TAU * told).sin_cos();
        let shift = Vector3::new(0.03 * cos * grow, 0.03 * sin * grow, 0.0);
        let pose = Isometry3::from_parts((centre.translation.vector + shift).into(), centre.rotation);
        let target = motion.clamp(&Target { base_from_tip: pose, jaw_rad: 0.0 });
        worst_mm = worst_mm.max(motion.lag(&target).mm);
        motion.follow(&target, 200.0);
    }
    assert!(worst_mm < 6.0, "{worst_mm} mm behind");
}

/// Goal: of the hand's tremor a fifth at most reaches a tool that goes slowly.
#[test]
fn a_trembling_hand_moves_a_steady_tool() {
    let arm = arm();
    let (mut trembling, mut calm) = (at_home(&arm), at_home(&arm));
    let centre = calm.setpoint().base_from_tip;
    let follow = |motion: &mut Motion, x_m: f64| {
        let place = centre.translation.vector + Vector3::new(x_m, 0.0, 0.0);
        let base_from_tip = Isometry3::from_parts(place.into(), centre.rotation);
        let target = motion.clamp(&Target { base_from_tip, jaw_rad: 0.0 });
        motion.follow(&target, 200.0).base_from_tip.translation.x
    };
    let mut apart_m = 0.0_f64;
    // 0.2 mm at 10 Hz on a hand that goes 10 mm/s, told every 8 ms.
    for tick in 0..3000_u32 {
        let told = f64::from(tick / 8 * 8) * TICK_S;
        let tremor_m = 2e-4 * (10.0 * std::f64::consts::TAU * told).sin();
        let tools_m = [follow(&mut trembling, 0.01 * told + tremor_m), follow(&mut calm, 0.01 * told)];
        if tick > 1000 {
            apart_m = apart_m.max((tools_m[0] - tools_m[1]).abs());
        }
    }
    assert!(apart_m < 4e-5, "{} mm", apart_m * 1e3);
}

//! A kit that begins while one of its arms says nothing.
#![allow(clippy::unwrap_used, reason = "a stage that cannot be set is a failed test")]

use farhand_guard::{Actuator, Limits, Permit};
use farhand_kit::{Core, FromCore, Snapshot};
use farhand_motion::{ArmModel, Mounted};
use farhand_wire::{Action, ArmSetpoint, ArmState, KitTick, LeaseToken, Mode, arm_flags};

/// What each arm was told, newest last.
#[derive(Default)]
struct Told([Vec<ArmSetpoint>; 2]);

impl Actuator for Told {
    fn actuate(&mut self, permit: Permit) {
        self.0[permit.arm()].push(*permit.setpoint());
    }
}

struct Stage {
    core: Core,
    told: Told,
    ms: u64,
    newest: Option<Snapshot>,
}

impl Stage {
    fn begin(first: ArmState) -> Self {
        let arms =
            [ArmModel::psm_large_needle_driver(), ArmModel::psm_large_needle_driver()].map(Mounted::from);
        let core = Core::new(Limits::default(), &arms, &[Some(first), None], LeaseToken(0), [7; 32]).unwrap();
        Self { core, told: Told::default(), ms: 1_000, newest: None }
    }

    fn hear(&mut self, ticks: u64, states: &[(usize, ArmState)]) {
        for _ in 0..ticks {
            self.ms += 1;
            let now = KitTick(self.ms * 1_000);
            self.core.step(now, states.iter().copied(), std::iter::empty(), &mut self.told, |said| {
                if let FromCore::Snapshot(snapshot) = said {
                    self.newest = Some(snapshot);
                }
            });
        }
    }
}

fn standing(insertion_m: f64, flags: u8) -> ArmState {
    let mut joints = ArmModel::psm_large_needle_driver().home().joints.0;
    joints[2] = insertion_m;
    ArmState { setpoint: 77, flags: arm_flags::HOMED | flags, joints, jaw_rad: 0.1 }
}

/// Goal: P13. The switch of an arm that is there works while another says nothing, which is a fault and names that one.
#[test]
fn the_way_out_of_one_arm_waits_for_no_other() {
    let mut stage = Stage::begin(standing(0.12, 0));
    stage.hear(100, &[(0, standing(0.12, 0))]);
    let report = stage.newest.as_ref().unwrap().report;
    assert_eq!((report.kit.mode, report.faulted), (Mode::Stopped, Some(1)));
    stage.hear(100, &[(0, standing(0.12, arm_flags::WAY_OUT))]);
    let last = stage.told.0[0].last().unwrap();
    assert_eq!(last.action, Action::Withdraw);
    assert!(last.joints[2] < 0.12, "{} m deep", last.joints[2]);
    assert!(stage.told.0[1].is_empty(), "nobody knows where it stands");
}

/// Goal: an arm that comes later is told to stay where it stands, from its first setpoint on.
#[test]
fn an_arm_that_comes_later_stays_where_it_stands() {
    let (first, second) = (standing(0.12, 0), standing(0.15, 0));
    let mut stage = Stage::begin(first);
    stage.hear(100, &[(0, first)]);
    stage.hear(100, &[(0, first), (1, second)]);
    let told = &stage.told.0[1];
    assert_eq!(told.len(), 100);
    assert!(told.iter().all(|setpoint| setpoint.joints == second.joints && setpoint.action == Action::Hold));
    assert_eq!(told[0].number, second.setpoint + 1);
}

/// Goal: an arm outside its own limits is not moved.
#[test]
fn an_arm_outside_its_limits_is_told_nothing() {
    let first = standing(0.12, 0);
    let mut stage = Stage::begin(first);
    stage.hear(100, &[(0, first), (1, standing(9.0, 0))]);
    assert!(stage.told.0[1].is_empty());
}

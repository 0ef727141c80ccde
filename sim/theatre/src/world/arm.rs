//! The arms on their cables, and what their jaws may take: the bead, or what an exercise has.
//!
//! Invariant (local): the arms' thread waits for nobody. It shows its state by a lock that it only tries; who looks holds
//! that lock for one copy, and a tick that finds it taken shows nothing, the next one does.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use farhand_motion::{Joints, TICK_S};
use farhand_wire::arm_flags;
use farhand_world::exercise::{Attempt, Hand, Marks, Objects, Standing};
use farhand_world::{Arm, Task, live::CableEnds, live::serve_arms, rig::ECM};
use nalgebra::Point3;

use super::config::ArmEnd;
use super::stage::{Stage, millimetres};

/// The speed that is told is a mean over about this long.
const SPEED_OVER_S: f64 = 0.05;

/// Another arm than the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OtherArm {
    pub(crate) joints: Joints,
    pub(crate) jaw_rad: f64,
}

/// What is so, whatever anybody says. Places are in the kit's frame, mm; what is said of an arm is said of the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ArmTruth {
    pub(crate) joints: Joints,
    /// The second arm, and the endoscope's.
    pub(crate) others: [Option<OtherArm>; 2],
    pub(crate) jaw_rad: f64,
    /// The axis on which the jaws turn: the point that kit and guard call the tip.
    pub(crate) tip_mm: [f64; 3],
    /// Where the closed jaws end: what must meet the target.
    pub(crate) jaw_end_mm: [f64; 3],
    /// The bead's middle; in an exercise, where the jaws' end should be next.
    pub(crate) target_mm: [f64; 3],
    /// From the jaws' end to the target.
    pub(crate) error_mm: f64,
    pub(crate) grasped: bool,
    pub(crate) tip_speed_mm_s: f64,
    pub(crate) homed: bool,
    pub(crate) watchdog: bool,
    pub(crate) fault: bool,
    pub(crate) exercise: Option<Exercised>,
}

/// How an exercise stands, and what of it moves. Base frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exercised {
    pub(crate) standing: Standing,
    pub(crate) objects: Objects,
    pub(crate) marks: Marks,
}

/// The newest truth that the arm showed.
#[derive(Debug)]
pub(crate) struct Shown(Mutex<ArmTruth>);

impl Shown {
    pub(crate) fn new(truth: ArmTruth) -> Self {
        Self(Mutex::new(truth))
    }

    pub(crate) fn look(&self) -> ArmTruth {
        // A copy is whole, whoever panicked.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, truth: ArmTruth) {
        if let Ok(mut shown) = self.0.try_lock() {
            *shown = truth;
        }
    }
}

/// The simulated arms at home, unhomed as any arm that was just switched on.
pub(crate) fn arms_at_home(stage: &Stage, cable_keys: &[[u8; 32]]) -> Vec<Arm> {
    let arms = stage.rig.iter().zip(cable_keys);
    arms.map(|(arm, key)| Arm::new(arm.model.clone(), key, arm.model.home().joints.0)).collect()
}

/// **Serves the arms until `stop`: a thousand ticks a second, each with a look at the bead.**
pub(crate) fn serve(
    arms: Vec<Arm>,
    mut reach: Reach,
    ends: &[ArmEnd],
    shown: &Shown,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let cables: Vec<_> = ends.iter().map(|end| CableEnds { listen: end.listen, kit: end.kit }).collect();
    serve_arms(arms, &cables, stop, |arms| shown.show(reach.tick(arms))).with_context(|| {
        let at: Vec<_> = cables.iter().map(|cable| cable.listen.to_string()).collect();
        format!("cannot open an arm's cable at {}: is another arm running?", at.join(", "))
    })
}

/// What there is to do, beside the arm that does it.
#[derive(Debug)]
pub(crate) struct Reach {
    stage: Stage,
    /// The bead, as each of the hands that may take it has it.
    tasks: [Task; ECM],
    /// Instead of the bead; and who measures the way of the jaws' end.
    exercise: Option<(Attempt, SyncSender<Point3<f64>>)>,
    tip_mm: [f64; 3],
    tip_speed_mm_s: f64,
}

impl Reach {
    pub(crate) fn new(stage: Stage, first: &Arm) -> Self {
        let tasks = [(); ECM].map(|()| Task::at(millimetres(&stage.bead_m)));
        Self { stage, tasks, exercise: None, tip_mm: first.tip_mm(), tip_speed_mm_s: 0.0 }
    }

    /// With this to do instead.
    pub(crate) fn exercising(mut self, attempt: Attempt, measured: SyncSender<Point3<f64>>) -> Self {
        self.exercise = Some((attempt, measured));
        self
    }

    /// One tick: the jaws feel for what there is, and what is in the jaws goes with them.
    pub(crate) fn tick(&mut self, arms: &mut [Arm]) -> ArmTruth {
        let exercise = self.exercise(&arms[0]);
        match exercise {
            Some(Exercised { standing, .. }) => arms[0].grasping = standing.holds,
            None => self.touch(arms),
        }
        let target_mm = exercise.map_or(self.tasks[0].target_mm, |it| {
            millimetres(&it.standing.next.base_from_end.translation.vector.into())
        });
        let other = |number: usize| {
            arms.get(number).map(|arm: &Arm| OtherArm { joints: arm.joints(), jaw_rad: arm.jaw_rad() })
        };
        let others = [1, ECM].map(other);
        let grasped = arms.iter().any(|arm| arm.grasping);
        let arm = &arms[0];
        let jaw_end_mm = millimetres(&self.stage.jaw_end_m(0, &arm.joints()));
        self.measure_speed(arm.tip_mm());
        let flags = arm.state().flags;
        ArmTruth {
            joints: arm.joints(),
            others,
            jaw_rad: arm.jaw_rad(),
            tip_mm: self.tip_mm,
            jaw_end_mm,
            target_mm,
            error_mm: Task::at(target_mm).error_mm(jaw_end_mm),
            grasped,
            tip_speed_mm_s: self.tip_speed_mm_s,
            homed: flags & arm_flags::HOMED != 0,
            watchdog: flags & arm_flags::WATCHDOG != 0,
            fault: flags & arm_flags::FAULT != 0,
            exercise,
        }
    }

    /// Either hand may take the bead, and give it to the other.
    fn touch(&mut self, arms: &mut [Arm]) {
        let mut bead_mm = self.tasks[0].target_mm;
        for (number, (arm, task)) in arms.iter_mut().zip(&mut self.tasks).enumerate() {
            task.target_mm = bead_mm;
            task.touch(millimetres(&self.stage.jaw_end_m(number, &arm.joints())), arm.jaw_rad());
            arm.grasping = task.is_grasped();
            bead_mm = task.target_mm;
        }
        self.tasks.iter_mut().for_each(|task| task.target_mm = bead_mm);
    }

    fn exercise(&mut self, arm: &Arm) -> Option<Exercised> {
        let (attempt, measured) = self.exercise.as_mut()?;
        let hand = Hand::of_tip(&self.stage.model().forward(&arm.joints()), arm.jaw_rad());
        if let Some(at) = attempt.step(&hand) {
            // Who measures is ten thousand ticks late or gone: then nobody reads it.
            let _ = measured.try_send(at);
        }
        let (standing, objects, marks) = (attempt.standing(), attempt.objects(), attempt.marks());
        Some(Exercised { standing, objects, marks })
    }

    fn measure_speed(&mut self, tip_mm: [f64; 3]) {
        let moved_mm =
            tip_mm.iter().zip(self.tip_mm).map(|(now, before)| (now - before).powi(2)).sum::<f64>();
        let now_mm_s = moved_mm.sqrt() / TICK_S;
        self.tip_speed_mm_s += (now_mm_s - self.tip_speed_mm_s) * TICK_S / SPEED_OVER_S;
        self.tip_mm = tip_mm;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farhand_motion::{Motion, Target};
    use farhand_wire::{Action, ArmSetpoint, MacKey};
    use nalgebra::{Isometry3, Translation3};

    const KEY: [u8; 32] = [5; 32];

    /// A kit's only arm, the kit's tracker that leads it, and the time, which only runs here.
    struct Rig {
        arms: Vec<Arm>,
        reach: Reach,
        motion: Motion,
        ticks: u64,
    }

    impl Rig {
        fn new(seed: u64) -> Self {
            let stage = Stage::new(seed, 1).unwrap();
            let home = *stage.model().home();
            let motion = Motion::new(stage.model(), home.joints, home.jaw_rad).unwrap();
            let arms = arms_at_home(&stage, &[KEY]);
            Self { reach: Reach::new(stage, &arms[0]), arms, motion, ticks: 0 }
        }

        /// Leads the jaws' end here and the jaws this far open, for a while.
        fn lead(&mut self, jaw_end_mm: [f64; 3], jaw_rad: f64) -> ArmTruth {
            let at_home = self.motion.model().forward(&self.motion.model().home().joints);
            let end = Translation3::from(jaw_end_mm.map(|mm| mm / 1e3));
            let back = Translation3::new(0.0, 0.0, -farhand_scene::JAW_LENGTH_M);
            let base_from_tip: Isometry3<f64> = end * at_home.rotation * back;
            let target = self.motion.clamp(&Target { base_from_tip, jaw_rad });
            assert!(!target.clamps().any(), "{:?}", target.clamps());
            let mut truth = None;
            for _ in 0..4_000 {
                self.motion.follow(&target, 50.0);
                truth = Some(self.tick());
            }
            truth.unwrap()
        }

        fn tick(&mut self) -> ArmTruth {
            self.ticks += 1;
            let told = self.motion.setpoint();
            let setpoint = ArmSetpoint {
                number: self.ticks,
                action: Action::Move,
                joints: told.joints.0,
                jaw_rad: told.jaw_rad,
            };
            self.arms[0].receive(self.ticks * 1_000, &setpoint.seal(&MacKey::new(&KEY)));
            self.arms[0].step(self.ticks * 1_000);
            self.reach.tick(&mut self.arms)
        }
    }

    /// Goal: for every seed the jaws' end comes to the bead from home within the arm's limits, closing takes the bead,
    /// it goes where the jaws go, the kit feels it, and opening lets it go.
    #[test]
    fn the_jaws_take_the_bead_and_carry_it() {
        for seed in 1..=10 {
            let mut rig = Rig::new(seed);
            let begun = rig.tick();
            assert!(begun.error_mm > 5.0 && !begun.grasped, "seed {seed}: {begun:?}");
            let there = rig.lead(begun.target_mm, 0.6);
            assert!(there.error_mm < 0.1 && !there.grasped, "seed {seed}: {there:?}");
            let held = rig.lead(begun.target_mm, 0.0);
            assert!(
                held.grasped && rig.arms[0].state().flags & arm_flags::GRASPING != 0,
                "seed {seed}: {held:?}"
            );
            let mut up_mm = begun.target_mm;
            up_mm[2] += 15.0;
            let lifted = rig.lead(up_mm, 0.0);
            assert!((lifted.target_mm[2] - up_mm[2]).abs() < 0.1, "seed {seed}: {lifted:?}");
            let let_go = rig.lead(up_mm, 0.6);
            assert!(!let_go.grasped && rig.arms[0].state().flags & arm_flags::GRASPING == 0, "seed {seed}");
        }
    }

    /// Goal: the speed that is told is the tip's own while it goes steadily, and none when it stands.
    #[test]
    fn the_speed_told_is_the_tips() {
        let mut rig = Rig::new(1);
        let mut at_mm = rig.tick().jaw_end_mm;
        at_mm[2] -= 8.0;
        let stood = rig.lead(at_mm, 0.0);
        assert!(stood.tip_speed_mm_s < 0.01, "{stood:?}");
        for tick in 0..1_000 {
            rig.reach.measure_speed([0.03 * f64::from(tick), 0.0, 0.0]);
        }
        assert!((rig.reach.tip_speed_mm_s - 30.0).abs() < 0.1, "{}", rig.reach.tip_speed_mm_s);
    }

    /// Goal: an arm whose truth is being read goes on without waiting, and shows the next tick's.
    #[test]
    fn a_truth_that_is_being_read_does_not_stop_the_arm() {
        let mut rig = Rig::new(1);
        let first = rig.tick();
        let shown = Shown::new(first);
        let later = ArmTruth { jaw_rad: 1.0, ..first };
        let reading = shown.0.lock().unwrap();
        shown.show(later);
        drop(reading);
        assert_eq!(shown.look(), first);
        shown.show(later);
        assert_eq!(shown.look(), later);
    }
}

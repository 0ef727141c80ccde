//! A scene as a model that stateright explores.

use std::sync::atomic::{AtomicU64, Ordering};

use stateright::{Checker, HasDiscoveries, Model, Property};

use super::{
    act::{Act, Echo, Pedal},
    promises::properties,
    stage::Stage,
};
use crate::Limits;

/// Where it begins, by which limits, and what may happen in it.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) limits: Limits,
    /// How many arms the kit has.
    pub(super) arms: usize,
    /// What has happened before.
    pub(super) prologue: Vec<Act>,
    pub(super) acts: Vec<Act>,
    /// Acts in a row, at most; without it all that can happen is explored.
    pub(super) depth: Option<usize>,
}

impl Scene {
    /// The state it begins in.
    pub(super) fn start(&self) -> Stage {
        let echo_us_max = self.acts.iter().filter_map(|act| match act {
            Act::Send(hand) if hand.pedal != Pedal::Down => match hand.echo {
                Echo::Ago(us) => Some(us),
                Echo::Ahead(_) => None,
            },
            _ => None,
        });
        let limits = self.limits.clone();
        let mut stage = Stage::new(limits, self.arms, echo_us_max.max().unwrap_or_default());
        for act in &self.prologue {
            stage.step(*act);
            assert!(stage.broken.is_empty(), "the prologue breaks {:?} at {act:?}", stage.broken);
        }
        stage
    }

    /// Explores it, and fails with a shortest way to a broken promise if there is one.
    pub(super) fn explore(&self) -> Found {
        let checker = self.check(self.depth);
        let shortest = checker.discoveries().into_values().map(|path| path.into_actions().len()).min();
        if let Some(acts) = shortest {
            let checker =
                (1..acts).map(|acts| self.check(Some(acts))).find(|check| !check.discoveries().is_empty());
            story(&checker.unwrap_or_else(|| self.check(Some(acts))));
        }
        let model = checker.model();
        Found {
            states: checker.unique_state_count(),
            steps: checker.state_count(),
            acts: checker.max_depth() - 1,
            refusals: model.refusals.load(Ordering::Relaxed),
            actions: model.actions.load(Ordering::Relaxed),
        }
    }

    fn check(&self, acts: Option<usize>) -> impl Checker<Exploration> + use<> {
        let scene = Scene { depth: acts, ..self.clone() };
        let model = Exploration { scene, refusals: AtomicU64::new(0), actions: AtomicU64::new(0) };
        model.checker().threads(1).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join()
    }
}

/// Tells how a promise was broken.
fn story(checker: &impl Checker<Exploration>) -> ! {
    let stories = checker.discoveries().into_iter().map(|(promise, path)| {
        let acts: Vec<_> = path.into_actions().iter().map(|act| format!("\n  {act:?}")).collect();
        format!("\n{promise}: broken by{}", acts.concat())
    });
    unreachable!("{}", stories.collect::<Vec<_>>().concat());
}

/// What an exploration came across.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) states: usize,
    /// From a state to another, or back to one that was known.
    pub(super) steps: usize,
    /// Acts in a row that the farthest state is away.
    pub(super) acts: usize,
    /// A bit for each reason that a command was refused for.
    pub(super) refusals: u64,
    /// A bit for each action that was permitted.
    pub(super) actions: u64,
}

#[derive(Debug)]
pub(super) struct Exploration {
    scene: Scene,
    refusals: AtomicU64,
    actions: AtomicU64,
}

impl Model for Exploration {
    type State = Stage;
    type Action = Act;

    fn init_states(&self) -> Vec<Stage> {
        vec![self.scene.start()]
    }

    fn actions(&self, stage: &Stage, acts: &mut Vec<Act>) {
        // Beyond a broken promise the facts no longer say what may come.
        let goes_on = self.scene.depth.is_none_or(|depth| stage.acts < depth);
        if goes_on && stage.broken.is_empty() {
            acts.extend(&self.scene.acts);
        }
    }

    fn next_state(&self, stage: &Stage, act: Act) -> Option<Stage> {
        let mut next = stage.clone();
        next.acts += 1;
        let happened = next.step(act);
        self.refusals.fetch_or(next.outcome.refusals, Ordering::Relaxed);
        self.actions.fetch_or(next.outcome.actions.into(), Ordering::Relaxed);
        happened.then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
    }
}

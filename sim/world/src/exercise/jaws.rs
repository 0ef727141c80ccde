//! What the jaws hold: jaws that were open around something take it when they close, and let go when they open.

use nalgebra::Isometry3;

use super::{CLOSED_RAD, Errors, Hand, Mistake, OPEN_RAD};

/// Something between the jaws, by its number, and how it lies in them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) number: usize,
    pub(super) end_from_object: Isometry3<f64>,
}

/// What a step changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    Took(usize),
    LetGo(usize),
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Jaws {
    pub(super) held: Option<Held>,
    /// They have been open since they last closed.
    opened: bool,
    /// What they were open around.
    around: Option<usize>,
}

impl Jaws {
    /// They begin with this between them.
    pub(super) fn holding(held: Held) -> Self {
        Self { held: Some(held), ..Self::default() }
    }

    /// What lies between the jaws now, if anything: its number and pose.
    pub(super) fn step(
        &mut self,
        hand: &Hand,
        between: Option<(usize, Isometry3<f64>)>,
        errors: &mut Errors,
    ) -> Option<Change> {
        if hand.jaw_rad >= OPEN_RAD {
            (self.opened, self.around) = (true, between.map(|(number, _)| number));
            return self.held.take().map(|held| Change::LetGo(held.number));
        }
        if hand.jaw_rad > CLOSED_RAD || !std::mem::take(&mut self.opened) {
            return None;
        }
        let taken = between.filter(|(number, _)| self.around == Some(*number));
        let Some((number, base_from_object)) = taken else {
            errors.note(Mistake::MissedGrasp);
            return None;
        };
        self.held = Some(Held { number, end_from_object: hand.base_from_end.inverse() * base_from_object });
        Some(Change::Took(number))
    }

    /// Closing them takes it.
    pub(super) fn are_around(&self, number: usize) -> bool {
        self.opened && self.around == Some(number)
    }

    /// It is pulled out of them.
    pub(super) fn lose(&mut self) {
        self.held = None;
    }
}

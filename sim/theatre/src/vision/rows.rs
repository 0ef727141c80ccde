//! What a net is judged by on the simulator's pictures: one thing at a time, then two.

use farhand_scene::{Conditions, Factor, SceneState, Severity, Split};

/// Of each factor alone.
const SEVERITIES: [u8; 3] = [1, 3, 5];
/// Of two at once: what is often seen.
const TOGETHER: Severity = Severity::new(3);
/// Wider than any field of view that is learnt from (0.6 to 1.2), in radians.
const WIDE_FROM_RAD: f64 = 1.2;
const WIDER_BY_RAD: f64 = 0.3;

/// Pictures that have something in common.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) split: Split,
    pub(super) change: Change,
}

/// What is made of a drawn state and its conditions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    Nothing,
    /// Nothing wrong but these factors.
    Only([Option<Factor>; 2], Severity),
    /// Another endoscope: a wider field of view, out of focus, dark toward a small round rim, each worse than is learnt from.
    Optics,
    /// The same things, drawn by the other renderer.
    Renderer,
}

/// All of them; the first is like what is learnt from.
pub(super) fn rows() -> Vec<Row> {
    let known = Split::training();
    let row = |what: String, change| Row { what, split: known.clone(), change };
    let mut rows = splits();
    rows.push(row("other optics".to_owned(), Change::Optics));
    rows.push(row("another renderer".to_owned(), Change::Renderer));
    for factor in Factor::ALL {
        for level in SEVERITIES {
            let change = Change::Only([Some(factor), None], Severity::new(level));
            rows.push(row(format!("{} {level}", factor.name()), change));
        }
    }
    for [one, other] in pairs() {
        let what = format!("{} and {}", one.name(), other.name());
        rows.push(row(what, Change::Only([Some(one), Some(other)], TOGETHER)));
    }
    rows
}

fn splits() -> Vec<Row> {
    let (known, unknown) = (Split::training(), Split::held_out());
    let (kinds, finishes) = (unknown.kinds.clone(), unknown.finishes.clone());
    let (palettes, tissues) = (unknown.palettes.clone(), unknown.tissues);
    let splits = [
        ("like those learnt from", known.clone()),
        ("unseen instruments", Split { kinds, finishes, ..known.clone() }),
        ("unseen tissues", Split { palettes, tissues, ..known.clone() }),
        ("nothing of it seen", unknown),
        ("no instrument", Split { kinds: Vec::new(), ..known }),
    ];
    splits.map(|(what, split)| Row { what: what.to_owned(), split, change: Change::Nothing }).into()
}

/// What comes together in an operation: coagulation smokes and bleeds, a dirty lens is blurred, a dark picture is noisy.
fn pairs() -> [[Factor; 2]; 12] {
    use Factor::{
        Blood, Defocus, Droplets, Fat, FieldStop, Gain, Light, Motion, Noise, Smoke, Speculars, Vignette,
        WhiteBalance,
    };
    [
        [Smoke, Blood],
        [Smoke, Droplets],
        [Smoke, Gain],
        [Blood, Defocus],
        [Blood, Fat],
        [Blood, Speculars],
        [Motion, Noise],
        [Motion, Speculars],
        [Gain, Noise],
        [Droplets, Defocus],
        [Light, WhiteBalance],
        [FieldStop, Vignette],
    ]
}

impl Change {
    pub(super) fn apply(self, state: &mut SceneState, conditions: &mut Conditions) {
        match self {
            Self::Nothing | Self::Renderer => {}
            Self::Only(factors, severity) => {
                let none = |conditions: Conditions, factor| conditions.with(factor, Severity::NONE);
                *conditions = Factor::ALL.into_iter().fold(*conditions, none);
                for factor in factors.into_iter().flatten() {
                    *conditions = conditions.with(factor, severity);
                }
            }
            Self::Optics => {
                // From what was drawn, so that the other rows' pictures stay what they are.
                let share = (conditions.seed >> 11) as f64 / (1_u64 << 53) as f64;
                state.camera.fov_y_rad = WIDE_FROM_RAD + WIDER_BY_RAD * share;
                for factor in [Factor::FieldStop, Factor::Vignette, Factor::Defocus] {
                    *conditions = conditions.with(factor, Severity::WORST);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Goal: rows have names of their own, every factor is alone at each severity, and a dozen pairs of two different ones come together.
    #[test]
    fn every_factor_is_alone_and_some_come_together() {
        let rows = rows();
        let names: BTreeSet<&str> = rows.iter().map(|row| row.what.as_str()).collect();
        assert_eq!(names.len(), rows.len());
        assert_eq!(rows.len(), 7 + Factor::ALL.len() * SEVERITIES.len() + 12);
        for row in &rows {
            let (mut state, mut conditions) = farhand_scene::Sampler::new(1, row.split.clone()).draw();
            row.change.apply(&mut state, &mut conditions);
            let wrong = |factor: &Factor| conditions.severity(*factor) > Severity::NONE;
            let wrong: Vec<_> = Factor::ALL.into_iter().filter(wrong).map(Factor::name).collect();
            match row.change {
                Change::Only([Some(_), None], _) => assert_eq!(wrong.len(), 1, "{}", row.what),
                Change::Only(..) => assert_eq!(wrong.len(), 2, "{}", row.what),
                _ => continue,
            }
            assert!(wrong.iter().all(|factor| row.what.contains(factor)), "{}: {wrong:?}", row.what);
        }
    }

    /// Goal: other optics see farther aside than anything that is learnt from, can be drawn, and what else was drawn stays.
    #[test]
    fn other_optics_are_none_that_are_learnt_from() {
        let mut sampler = farhand_scene::Sampler::new(7, Split::training());
        for _ in 0..40 {
            let (drawn, under) = sampler.draw();
            let (mut state, mut conditions) = (drawn.clone(), under);
            Change::Optics.apply(&mut state, &mut conditions);
            assert!(drawn.camera.fov_y_rad <= WIDE_FROM_RAD && state.camera.fov_y_rad > WIDE_FROM_RAD);
            assert!(state.camera.fov_y_rad < WIDE_FROM_RAD + WIDER_BY_RAD && state.check().is_ok());
            assert_eq!((&state.tools, state.seed), (&drawn.tools, drawn.seed));
            let most = Split::training().most;
            for factor in [Factor::FieldStop, Factor::Vignette, Factor::Defocus] {
                assert!(conditions.severity(factor) > most);
            }
            assert_eq!(conditions.severity(Factor::Smoke), under.severity(Factor::Smoke));
        }
    }
}

//! A picture, and what its labels say.

use crate::{baseline::colour_threshold, look::is_instrument};
use crate::{look::Look, metrics::Judge, model::Model, rgb::Rgb};

/// The byte of a pixel whose labels say nothing that is understood here: it does not count.
pub const NOT_LABELLED: u8 = 255;

/// What data sets' classes are taken for, in the order and under the names that models have; the last has no name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Part {
    Tissue = 0,
    Shaft = 1,
    Wrist = 2,
    Jaws = 3,
    Vessel = 4,
    Organ = 5,
    /// Of an instrument, without a word of which part.
    Instrument = 6,
}

impl Part {
    /// Those that a model may have.
    pub const NAMED: [Self; 6] =
        [Self::Tissue, Self::Shaft, Self::Wrist, Self::Jaws, Self::Vessel, Self::Organ];

    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tissue => "background-tissue",
            Self::Shaft => "instrument-shaft",
            Self::Wrist => "instrument-wrist",
            Self::Jaws => "instrument-clasper",
            Self::Vessel => "vessel",
            Self::Organ => "organ-surface",
            Self::Instrument => "instrument",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|part| part.name() == name)
    }
}

/// A picture and what each of its pixels shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    pub name: String,
    /// Of pictures that are judged together: the picture's own name, or its sequence's.
    pub row: String,
    pub picture: Rgb,
    /// A [`Part`]'s byte for each pixel, or [`NOT_LABELLED`].
    pub truth: Vec<u8>,
    /// Whether the picture before this one is the scene a moment before.
    pub follows: bool,
}

/// What was seen of a labelled picture, in the terms of its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// 1 where an instrument is.
    pub instrument: Vec<u8>,
    /// How sure that is, if there is a net that says so.
    sure: Option<Vec<f32>>,
    /// A [`Part`] for each pixel and its share, if there is a net.
    parts: Option<(Vec<u8>, Vec<f32>)>,
}

/// How labelled pictures were seen: instruments taken as one, and the classes that their labels tell apart.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Its only group: instruments.
    pub whole: Judge,
    /// A group for each of the layout's classes.
    pub parts: Judge,
    tells: &'static [Part],
}

impl Labelled {
    /// Where the colour threshold takes pixels for an instrument's.
    #[must_use]
    pub fn baseline(&self) -> Seen {
        let instrument = colour_threshold(&self.picture.bytes).into_iter().map(u8::from).collect();
        Seen { instrument, sure: None, parts: None }
    }

    /// What a net's look says: an instrument is where its parts together have more than half.
    #[must_use]
    pub fn seen(&self, look: Look, model: &Model) -> Seen {
        let instrument: Vec<u8> = look.instrument.iter().map(|share| u8::from(*share > 0.5)).collect();
        let sure = look.instrument.iter().map(|share| share.max(1.0 - share)).collect();
        let names = model.card().classes.iter();
        let parts: Vec<u8> = names.map(|name| Part::named(name).map_or(NOT_LABELLED, Part::id)).collect();
        let classes = look.classes.iter().map(|class| parts[usize::from(*class)]).collect();
        Seen { instrument, sure: Some(sure), parts: Some((classes, look.shares)) }
    }

    /// The picture to look at: green where an instrument is and is seen, red where it should not be, blue where it is missing.
    #[must_use]
    pub fn overlay(&self, seen: &Seen) -> Rgb {
        let mut overlay = self.picture.clone();
        let pixels = overlay.bytes.as_chunks_mut::<3>().0.iter_mut();
        for ((pixel, is), seen) in pixels.zip(self.whole()).zip(&seen.instrument) {
            let tint = match (is, seen) {
                (1, 1) => [60, 220, 90],
                (0, 1) => [240, 60, 50],
                (1, 0) => [60, 110, 250],
                _ => continue,
            };
            pixel.iter_mut().zip(tint).for_each(|(of, tint)| *of = of.midpoint(tint));
        }
        overlay
    }

    /// 1 where an instrument is, 0 where none is.
    fn whole(&self) -> Vec<u8> {
        let tool =
            |part: &u8| Part::NAMED.iter().any(|named| named.id() == *part && is_instrument(named.name()));
        let whole = |part: &u8| match *part {
            NOT_LABELLED => NOT_LABELLED,
            part => u8::from(part == Part::Instrument.id() || tool(&part)),
        };
        self.truth.iter().map(whole).collect()
    }

    /// Each pixel's class where labels tell it: an instrument's without a part does not count.
    fn parts(&self) -> Vec<u8> {
        let told = |part: &u8| if *part == Part::Instrument.id() { NOT_LABELLED } else { *part };
        self.truth.iter().map(told).collect()
    }
}

impl Verdict {
    /// For pictures whose labels tell these classes apart.
    #[must_use]
    pub fn new(tells: &'static [Part]) -> Self {
        let groups = tells.iter().map(|part| vec![usize::from(part.id())]).collect();
        Self { whole: Judge::new(2, vec![vec![1]]), parts: Judge::new(Part::NAMED.len(), groups), tells }
    }

    /// Takes in a picture, and the one before it where that is the scene a moment before.
    pub fn add(&mut self, picture: &Labelled, seen: &Seen, before: Option<(&Labelled, &Seen)>) {
        let whole = picture.whole();
        let before = before.filter(|(before, _)| picture.follows && before.truth.len() == whole.len());
        self.whole.add(&whole, &seen.instrument, picture.picture.width);
        if let Some(sure) = &seen.sure {
            self.whole.sure(&whole, &seen.instrument, sure);
        }
        if let Some((before, was)) = before {
            self.whole.again([&before.whole(), &whole], [&was.instrument, &seen.instrument]);
        }
        let Some((classes, shares)) = seen.parts.as_ref().filter(|_| !self.tells.is_empty()) else { return };
        let (parts, classes) = (picture.parts(), self.told(classes));
        self.parts.add(&parts, &classes, picture.picture.width);
        self.parts.sure(&parts, &classes, shares);
        if let Some((before, was)) = before.and_then(|(before, was)| Some((before, was.parts.as_ref()?))) {
            self.parts.again([&before.parts(), &parts], [&self.told(&was.0), &classes]);
        }
    }

    /// Adds another's pictures of the same layout.
    pub fn merge(&mut self, other: &Self) {
        self.whole.merge(&other.whole);
        self.parts.merge(&other.parts);
    }

    /// Vessels and organs that these labels do not tell from tissue are tissue.
    fn told(&self, seen: &[u8]) -> Vec<u8> {
        let untold = |part: &Part| matches!(part, Part::Vessel | Part::Organ) && !self.tells.contains(part);
        let untold: Vec<u8> = Part::NAMED.into_iter().filter(untold).map(Part::id).collect();
        seen.iter().map(|part| if untold.contains(part) { Part::Tissue.id() } else { *part }).collect()
    }
}

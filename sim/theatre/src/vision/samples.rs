//! Pictures to learn from: the simulator's, from a camera that may be anywhere above the tissue, with no to three instruments,
//! under the conditions of an operation.

use anyhow::Context as _;
use farhand_scene::{Class, Conditions, Instrument, Scene, SceneSettings, SceneState, Split};
use farhand_vision::{Rgb, Shape};

use super::rows::Change;

/// Sides of a picture as the net takes it, and of the picture that is drawn, so that edges are smooth.
pub(super) const HEIGHT: usize = 160;
pub(super) const WIDTH: usize = 256;
const DRAWN: usize = 2;
/// All but what is worked on.
pub(super) const CLASSES: usize = Class::ALL.len() - 1;
/// Scores, and so labels, are half as large.
pub(super) const LABEL: usize = 2;

/// One picture and what is in it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// RGB, 3 bytes a pixel.
    pub(super) rgb: Vec<u8>,
    /// A class for every pixel of the scores.
    pub(super) labels: Vec<u8>,
}

impl Sample {
    /// As the net takes it.
    pub(super) fn planes(&self) -> Vec<f32> {
        let rgb = Rgb { width: WIDTH, height: HEIGHT, bytes: self.rgb.clone() };
        rgb.planes(Shape::new(3, HEIGHT, WIDTH))
    }
}

/// The class with the greatest score, pixel by pixel.
pub(super) fn best(scores: &[f32]) -> Vec<u8> {
    let plane = scores.len() / CLASSES;
    let score = |pixel: usize, class: usize| scores[class * plane + pixel];
    let best = |pixel| (0..CLASSES).max_by(|a, b| score(pixel, *a).total_cmp(&score(pixel, *b)));
    (0..plane).map(|pixel| best(pixel).unwrap_or(0) as u8).collect()
}

/// Draws them, one after the other.
#[derive(Debug)]
pub(super) struct Sampler {
    scene: Scene,
    drawn: farhand_scene::Sampler,
    labels: Vec<u8>,
}

impl Sampler {
    pub(super) fn new(seed: u64, split: Split) -> anyhow::Result<Self> {
        let (width, height) = (u32::try_from(WIDTH * DRAWN)?, u32::try_from(HEIGHT * DRAWN)?);
        let settings = SceneSettings { width, height, ..SceneSettings::default() };
        let scene = Scene::new(settings).context("the simulator's renderer")?;
        let labels = vec![0; WIDTH * HEIGHT * DRAWN * DRAWN];
        Ok(Self { scene, drawn: farhand_scene::Sampler::new(seed, split), labels })
    }

    /// Begins anew, with the same renderer.
    pub(super) fn begin(&mut self, seed: u64, split: Split) {
        self.drawn = farhand_scene::Sampler::new(seed, split);
    }

    pub(super) fn next(&mut self) -> anyhow::Result<Sample> {
        let (state, conditions) = self.drawn.draw();
        self.render(&state, &conditions)
    }

    /// The next one with nothing varied that lies between the scene and its picture, nor any finish or colour.
    pub(super) fn next_plain(&mut self) -> anyhow::Result<Sample> {
        let (state, conditions) = self.drawn.draw();
        self.render(&state, &plain(&conditions))
    }

    /// The next one, changed from what was drawn for it, and the same a frame later: its noise is another, its smoke has drifted,
    /// nothing has moved.
    pub(super) fn next_two(&mut self, change: Change) -> anyhow::Result<[Sample; 2]> {
        let (mut state, mut conditions) = self.drawn.draw();
        change.apply(&mut state, &mut conditions);
        let draw = if change == Change::Renderer { Self::trace } else { Self::render };
        let first = draw(self, &state, &conditions)?;
        conditions.frame = conditions.frame.wrapping_add(1);
        Ok([first, draw(self, &state, &conditions)?])
    }

    /// By rays, with a shading that nothing has learnt from.
    fn trace(&mut self, state: &SceneState, conditions: &Conditions) -> anyhow::Result<Sample> {
        let traced = farhand_scene::trace(self.scene.settings(), state, conditions)?;
        self.labels = traced.labels;
        self.forget_what_is_black(conditions);
        Ok(Sample { rgb: halved(&traced.rgb), labels: voted(&self.labels) })
    }

    fn render(&mut self, state: &SceneState, conditions: &Conditions) -> anyhow::Result<Sample> {
        let rgb = shrunk(self.scene.render_under(state, conditions)?.nv12);
        self.scene.render_labels_under(state, conditions, &mut self.labels)?;
        self.forget_what_is_black(conditions);
        Ok(Sample { rgb, labels: voted(&self.labels) })
    }

    /// Outside the round field of view nothing can be learnt.
    fn forget_what_is_black(&mut self, conditions: &Conditions) {
        let [width, height] = [WIDTH * DRAWN, HEIGHT * DRAWN].map(|side| side as u32);
        for (at, label) in (0_u32..).zip(&mut self.labels) {
            if !conditions.shows([at % width, at / width], width, height) {
                *label = Class::BackgroundTissue.id();
            }
        }
    }
}

/// Only which instruments there are stays.
fn plain(drawn: &Conditions) -> Conditions {
    let kind = |drawn: Instrument| Instrument { kind: drawn.kind, ..Instrument::default() };
    Conditions { seed: drawn.seed, instruments: drawn.instruments.map(kind), ..Conditions::default() }
}

/// The drawn picture (NV12, BT.709, limited range) as RGB in the net's size.
fn shrunk(nv12: &[u8]) -> Vec<u8> {
    let drawn = WIDTH * DRAWN;
    let (luma, chroma) = nv12.split_at(drawn * HEIGHT * DRAWN);
    let mut rgb = Vec::with_capacity(WIDTH * HEIGHT * 3);
    for (y, x) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (y, x))) {
        let at = |dy: usize, dx: usize| f32::from(luma[(y * 2 + dy) * drawn + x * 2 + dx]);
        let bright = ((at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0 - 16.0) * 1.164_383;
        let [u, v] = [0, 1].map(|part| f32::from(chroma[y * drawn + x * 2 + part]) - 128.0);
        let colours =
            [bright + 1.792_741 * v, bright - 0.213_249 * u - 0.532_909 * v, bright + 2.112_402 * u];
        rgb.extend(colours.map(|colour| colour.clamp(0.0, 255.0) as u8));
    }
    rgb
}

/// A traced picture in the net's size.
fn halved(drawn: &[u8]) -> Vec<u8> {
    let at = |y: usize, x: usize, part: usize| u16::from(drawn[(y * WIDTH * DRAWN + x) * 3 + part]);
    let mean = |y: usize, x: usize, part: usize| {
        let [top, low] =
            [y * DRAWN, y * DRAWN + 1].map(|y| at(y, x * DRAWN, part) + at(y, x * DRAWN + 1, part));
        ((top + low + 2) / 4) as u8
    };
    let pixels = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (y, x)));
    pixels.flat_map(|(y, x)| [0, 1, 2].map(|part| mean(y, x, part))).collect()
}

/// For every pixel of the scores the class that most of the drawn pixels in it have.
fn voted(labels: &[u8]) -> Vec<u8> {
    let (step, drawn) = (DRAWN * LABEL, WIDTH * DRAWN);
    let vote = |y: usize, x: usize| {
        let mut votes = [0_u8; Class::ALL.len()];
        for (dy, dx) in (0..step).flat_map(|dy| (0..step).map(move |dx| (dy, dx))) {
            let class = usize::from(labels[(y * step + dy) * drawn + x * step + dx]);
            votes[class.min(votes.len() - 1)] += 1;
        }
        let most = (0..votes.len()).max_by_key(|class| votes[*class]).unwrap_or(0);
        // What is worked on is no class of the net's.
        if most == usize::from(Class::Target.id()) { 0 } else { most as u8 }
    };
    let rows = (0..HEIGHT / LABEL).flat_map(|y| (0..WIDTH / LABEL).map(move |x| (y, x)));
    rows.map(|(y, x)| vote(y, x)).collect()
}

#[cfg(test)]
mod tests {
    use farhand_scene::{Factor, Severity};

    use super::*;

    /// Goal: a picture drawn again a frame later shows the same things in another noise, and nothing else differs where there is none.
    #[test]
    fn a_frame_later_nothing_has_moved() {
        let mut sampler = Sampler::new(3, Split::training()).unwrap();
        let noisy = Change::Only([Some(Factor::Noise), None], Severity::new(3));
        let [first, then] = sampler.next_two(noisy).unwrap();
        assert_eq!(first.labels, then.labels);
        assert_ne!(first.rgb, then.rgb);
        let [first, then] = sampler.next_two(Change::Only([None, None], Severity::NONE)).unwrap();
        assert_eq!((first.rgb, first.labels), (then.rgb, then.labels));
    }

    /// Goal: the other renderer's pictures show the same things, in the same places but for edges and thin vessels, and do not
    /// look the same.
    #[test]
    fn another_renderer_shows_the_same_things_otherwise() {
        let mut sampler = Sampler::new(3, Split::training()).unwrap();
        let [first, _] = sampler.next_two(Change::Nothing).unwrap();
        sampler.begin(3, Split::training());
        let [traced, then] = sampler.next_two(Change::Renderer).unwrap();
        let same = first.labels.iter().zip(&traced.labels).filter(|(a, b)| a == b).count();
        assert!(same * 100 > first.labels.len() * 95, "{same} of {}", first.labels.len());
        let off = first.rgb.iter().zip(&traced.rgb).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
        assert!(off / first.rgb.len() as f64 > 10.0);
        assert_eq!(traced.labels, then.labels);
        assert_ne!(traced.rgb, then.rgb);
    }

    /// Goal: without randomisation nothing is wrong with a picture, and tissue and instruments have the usual looks.
    #[test]
    fn plain_pictures_vary_in_nothing_but_what_they_show() {
        let mut drawn = farhand_scene::Sampler::new(3, Split::training());
        for _ in 0..40 {
            let (_, conditions) = drawn.draw();
            let plain = plain(&conditions);
            assert!(Factor::ALL.iter().all(|factor| plain.severity(*factor) == Severity::NONE));
            assert_eq!(plain.look, farhand_scene::TissueLook::default());
            for (instrument, was) in plain.instruments.iter().zip(conditions.instruments) {
                assert_eq!(*instrument, Instrument { kind: was.kind, ..Instrument::default() });
            }
        }
    }
}

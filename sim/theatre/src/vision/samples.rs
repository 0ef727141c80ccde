//! Pictures to learn from: the simulator's, from a camera that may be anywhere above the tissue, with no to three instruments.

use anyhow::Context as _;
use farhand_scene::{
    Camera, Class, JAW_LENGTH_M, PITCH_TO_JAW_AXIS_M, Scene, SceneSettings, SceneState, TOOLS_MAX, Tool,
};
use nalgebra::{Isometry3, Point3, Translation3, UnitQuaternion, Vector3};

/// Sides of a picture as the net takes it, and of the picture that is drawn, so that edges are smooth.
pub(super) const HEIGHT: usize = 160;
pub(super) const WIDTH: usize = 256;
const DRAWN: usize = 2;
/// Scores, and so labels, are half as large.
const LABEL: usize = 2;
/// Painting another tissue takes as long as drawing a dozen pictures.
const OF_ONE_TISSUE: u64 = 12;
/// The tissue's middle below the first arm's remote centre.
const TISSUE_Z_M: f64 = -0.15;

/// One picture and what is in it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// RGB, 3 bytes a pixel.
    pub(super) rgb: Vec<u8>,
    /// A class for every pixel of the scores.
    pub(super) labels: Vec<u8>,
}

/// Draws them, one after the other.
#[derive(Debug)]
pub(super) struct Sampler {
    scene: Scene,
    random: fastrand::Rng,
    tissue: u64,
    drawn: u64,
    labels: Vec<u8>,
}

impl Sampler {
    pub(super) fn new(seed: u64) -> anyhow::Result<Self> {
        let (width, height) = (u32::try_from(WIDTH * DRAWN)?, u32::try_from(HEIGHT * DRAWN)?);
        let settings = SceneSettings { width, height, ..SceneSettings::default() };
        let scene = Scene::new(settings).context("the simulator's renderer")?;
        let labels = vec![0; WIDTH * HEIGHT * DRAWN * DRAWN];
        Ok(Self { scene, random: fastrand::Rng::with_seed(seed), tissue: 0, drawn: 0, labels })
    }

    pub(super) fn next(&mut self) -> anyhow::Result<Sample> {
        if self.drawn.is_multiple_of(OF_ONE_TISSUE) {
            self.tissue = self.random.u64(..);
        }
        self.drawn += 1;
        let state = self.state();
        let rgb = shrunk(self.scene.render(&state)?.nv12);
        self.scene.render_labels(&state, &mut self.labels)?;
        Ok(Sample { rgb, labels: voted(&self.labels) })
    }

    fn state(&mut self) -> SceneState {
        let looked_at = Point3::new(self.within(0.02), self.within(0.02), TISSUE_Z_M);
        // One frame in eight shows no instrument.
        let tools = [0, 1, 1, 1, 2, 2, 2, TOOLS_MAX][self.random.usize(..8)];
        SceneState {
            camera: self.camera(looked_at),
            tools: (0..tools).map(|_| self.tool(looked_at)).collect(),
            targets: Vec::new(),
            goals: Vec::new(),
            fixtures: Vec::new(),
            seed: self.tissue,
        }
    }

    fn camera(&mut self, looked_at: Point3<f64>) -> Camera {
        let (turn, tilt) = (self.within(std::f64::consts::PI), self.between(0.0, 0.9));
        let direction = Vector3::new(tilt.sin() * turn.cos(), tilt.sin() * turn.sin(), tilt.cos());
        let eye = looked_at + direction * self.between(0.05, 0.13);
        let roll = self.within(std::f64::consts::PI);
        let up = Vector3::new(roll.cos(), roll.sin(), 0.3);
        Camera::looking_at(eye, looked_at, up, self.between(0.6, 1.2))
    }

    /// Its jaws end somewhere near what is looked at; its shaft comes from any side.
    fn tool(&mut self, looked_at: Point3<f64>) -> Tool {
        let turn = self.within(std::f64::consts::PI);
        let far_m = self.between(0.05, 0.14);
        let rcm = looked_at + Vector3::new(turn.cos() * far_m, turn.sin() * far_m, self.between(0.03, 0.14));
        let end = looked_at + Vector3::new(self.within(0.025), self.within(0.025), self.between(0.0, 0.035));
        let bend = [self.within(1.0), self.within(1.0)];
        let (roll, jaw) = (self.within(std::f64::consts::PI), self.between(0.0, 1.2));
        let tool = through_origin(Point3::from(end - rcm), bend, roll, jaw);
        let shift = Translation3::from(rcm.coords);
        Tool { base_from_tip: shift * tool.base_from_tip, rcm_m: rcm, ..tool }
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.random.f64()
    }

    fn within(&mut self, reach: f64) -> f64 {
        self.between(-reach, reach)
    }
}

/// A tool whose shaft goes through the origin and whose closed jaws end at `end_m`, with its wrist bent.
fn through_origin(end_m: Point3<f64>, bend_rad: [f64; 2], roll_rad: f64, jaw_rad: f64) -> Tool {
    let shaft_from_tip: Isometry3<f64> = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), roll_rad)
        * UnitQuaternion::from_axis_angle(&Vector3::y_axis(), bend_rad[0])
        * Translation3::new(0.0, 0.0, PITCH_TO_JAW_AXIS_M)
        * UnitQuaternion::from_axis_angle(&Vector3::x_axis(), bend_rad[1]);
    let end_in_shaft_m = shaft_from_tip * Point3::new(0.0, 0.0, JAW_LENGTH_M);
    let aside_m = end_in_shaft_m.x.hypot(end_in_shaft_m.y);
    let reach_m = (end_m.coords.norm_squared() - aside_m * aside_m).max(0.0).sqrt() - end_in_shaft_m.z;
    let slid = Translation3::new(0.0, 0.0, reach_m);
    let turn = UnitQuaternion::rotation_between(&(slid * end_in_shaft_m).coords, &end_m.coords);
    let turn = turn.unwrap_or_else(UnitQuaternion::identity);
    Tool {
        base_from_tip: turn * slid * shaft_from_tip,
        rcm_m: Point3::origin(),
        shaft_direction: turn * Vector3::z_axis(),
        jaw_rad,
    }
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

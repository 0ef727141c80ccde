//! A second renderer, which shares the scene's shapes and nothing of its shading: rays on the processor in place of shaders.
//!
//! It is there to judge what has learnt from [`Scene`](crate::Scene)'s pictures by the same things drawn otherwise. Two lamps with
//! an area shine from either side of the lens, with soft shadows, and light comes back once from what it met ([`light`]); tissue
//! has the colour of its pigments ([`tissue`]); metal and film are rough mirrors. The exposure is what the picture's own
//! brightness asks for, the tones are a film's, and noise grows with light.
//!
//! Within, everything is in the tissue's frame and in metres.

mod bodies;
mod light;
mod tissue;

use glam::Vec3A;
use nalgebra::{Isometry3, Vector3};

use crate::class::Class;
use crate::conditions::{Conditions, Factor};
use crate::error::SceneError;
use crate::random::SplitMix64;
use crate::scene::{SIDE_PX_MAX, SceneSettings, check_size};
use crate::state::{Camera, SceneState};
use bodies::Bodies;
use light::Light;

/// What the picture's middle brightness becomes, before the film's curve.
const MIDDLE: f32 = 0.12;
/// Variance that a sensor adds to light of 1, without and by the figure of [`Factor::Noise`].
const GRAIN: [f32; 2] = [4e-5, 1.2e-4];

/// A traced picture and its ground truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// Red, green and blue bytes (sRGB) of every pixel, row after row.
    pub rgb: Vec<u8>,
    /// The [`Class`] of what every pixel's middle shows, row after row.
    pub labels: Vec<u8>,
}

/// Traces a state under these conditions, on this thread: one ray a pixel, and what follows from it. The same gives the same
/// bytes, on one machine. 512 x 320 pixels take half a second of one core.
///
/// There are tissue with its organ and vessels, instruments and targets, but no goals and no fixtures. Of the conditions it follows
/// the tissue's look, the instruments, fat, blood, noise and the field of view; the other factors do nothing.
///
/// # Errors
/// Those of [`SceneState::check`] and of [`Conditions::check`], and [`SceneError::BadSize`] as for
/// [`Scene::new`](crate::Scene::new).
pub fn trace(
    settings: &SceneSettings,
    state: &SceneState,
    conditions: &Conditions,
) -> Result<Traced, SceneError> {
    state.check()?;
    conditions.check()?;
    check_size(settings.width, settings.height, SIDE_PX_MAX)?;
    let tissue_from_base = settings.base_from_tissue.inverse();
    let bodies = Bodies::of(state, conditions, &tissue_from_base);
    let eye = Eye::new(&state.camera, &tissue_from_base, settings);
    let light = Light::new(&eye, &bodies);
    let mut random = Random::new(conditions.seed ^ u64::from(conditions.frame).rotate_left(40));
    let mut shot = |pixel: [u32; 2]| {
        let way = eye.through(pixel);
        let hit = bodies.met(eye.place, way, eye.nearest_m);
        let class = hit.as_ref().map_or(Class::BackgroundTissue, |hit| bodies.class(hit));
        let shown = conditions.shows(pixel, settings.width, settings.height);
        (shown.then(|| eye.falling_off(way) * light.seen(hit.as_ref(), way, &mut random)), class.id())
    };
    let pixels = (0..settings.height).flat_map(|y| (0..settings.width).map(move |x| [x, y]));
    let (seen, labels): (Vec<_>, Vec<_>) = pixels.map(&mut shot).unzip();
    Ok(Traced { rgb: developed(&seen, conditions, &mut random), labels })
}

/// The lens.
#[derive(Debug)]
struct Eye {
    place: Vec3A,
    right: Vec3A,
    down: Vec3A,
    forward: Vec3A,
    middle_px: [f32; 2],
    focal_px: f32,
    nearest_m: f32,
}

impl Eye {
    fn new(camera: &Camera, tissue_from_base: &Isometry3<f64>, settings: &SceneSettings) -> Self {
        let pose = tissue_from_base * camera.base_from_camera;
        Self {
            place: vector(&pose.translation.vector),
            right: vector(&(pose * Vector3::x())),
            down: vector(&(pose * Vector3::y())),
            forward: vector(&(pose * Vector3::z())),
            middle_px: [settings.width, settings.height].map(|side| side as f32 / 2.0),
            focal_px: camera.focal_px(settings.height) as f32,
            nearest_m: crate::view::NEAR_M as f32,
        }
    }

    /// The way that a pixel's middle looks, of length 1.
    fn through(&self, pixel: [u32; 2]) -> Vec3A {
        let [x, y] = [0, 1].map(|i| (pixel[i] as f32 + 0.5 - self.middle_px[i]) / self.focal_px);
        (self.forward + self.right * x + self.down * y).normalize()
    }

    /// A lens takes less light from the side: the fourth power of the cosine.
    fn falling_off(&self, way: Vec3A) -> f32 {
        way.dot(self.forward).powi(4)
    }
}

/// Light as a camera's bytes: exposed, with noise, through a film's curve (Narkowicz 2015), encoded as sRGB. No light is black.
fn developed(seen: &[Option<Vec3A>], conditions: &Conditions, random: &mut Random) -> Vec<u8> {
    let bright = |light: &Vec3A| light.dot(Vec3A::new(0.2126, 0.7152, 0.0722));
    let logs: Vec<f32> = seen.iter().flatten().map(|light| (bright(light) + 0.005).ln()).collect();
    let exposure = MIDDLE / (logs.iter().sum::<f32>() / logs.len().max(1) as f32).exp();
    let grain = GRAIN[0] + GRAIN[1] * conditions.figure(Factor::Noise);
    let mut byte = |light: f32| {
        let light = light * exposure;
        let noisy = (light + random.bell() * ((light + 0.05) * grain).sqrt()).max(0.0);
        let toned = noisy * (2.51 * noisy + 0.03) / (noisy * (2.43 * noisy + 0.59) + 0.14);
        (srgb(toned.min(1.0)) * 255.0).round() as u8
    };
    let mut rgb = |light: &Option<Vec3A>| light.map_or([0; 3], |light| light.to_array().map(&mut byte));
    seen.iter().flat_map(&mut rgb).collect()
}

fn srgb(linear: f32) -> f32 {
    if linear < 0.003_130_8 { linear * 12.92 } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

/// Where rays are sent.
struct Random(SplitMix64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    fn unit(&mut self) -> f32 {
        self.0.between(0.0, 1.0) as f32
    }

    /// About normal: deviation 1 around 0.
    fn bell(&mut self) -> f32 {
        2.0 * (self.unit() + self.unit() + self.unit() - 1.5)
    }

    /// Anywhere on the ball of radius 1.
    fn ball(&mut self) -> Vec3A {
        let up = 2.0 * self.unit() - 1.0;
        let (sin, cos) = (std::f32::consts::TAU * self.unit()).sin_cos();
        let aside = (1.0 - up * up).sqrt();
        Vec3A::new(aside * cos, aside * sin, up)
    }
}

fn vector(from: &Vector3<f64>) -> Vec3A {
    Vec3A::new(from.x as f32, from.y as f32, from.z as f32)
}

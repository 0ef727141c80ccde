//! The camera, its light and the tissue's place as the shaders read them. Pure.

use nalgebra::{Isometry3, Matrix4, Point2, Point3, Vector3};

use crate::conditions::{Conditions, Factor, Severity};
use crate::state::Camera;

/// Nearest and farthest distance drawn, in metres along the optical axis.
pub(crate) const NEAR_M: f64 = 0.003;
const FAR_M: f64 = 1.0;

/// Where the lamp's middle is in the camera's frame, in metres: above and to the left of the lens.
///
/// An endoscope's fibres lie around its lens and throw hardly a shadow beside the instrument. The lamp is moved
/// out to where a second port's light would be, because the shadow is what shows the height of the tool.
const LIGHT_IN_CAMERA_M: [f64; 3] = [-0.020, -0.024, -0.002];
/// Radius of the lamp, in metres: what makes a shadow softer the higher the tool is.
const LIGHT_RADIUS_M: f64 = 0.0055;

/// The lamp and what it shows of fluids, as the shaders of tissue and instruments read them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lamp {
    /// 0: where [`LIGHT_IN_CAMERA_M`] has it; 1: at the lens.
    toward_lens: f64,
    /// Additional fall-off, blood, additional highlights, and the seed's bits.
    wet: [f32; 4],
}

impl Lamp {
    pub(crate) fn of(conditions: &Conditions) -> Self {
        let light = conditions.severity(Factor::Light);
        let share = f64::from(light.level()) / f64::from(Severity::WORST.level());
        let figure = |factor| conditions.figure(factor);
        let seed = seed_bits(conditions.seed);
        let wet = [figure(Factor::Light), figure(Factor::Blood), figure(Factor::Speculars), seed];
        // Never quite at the lens: an endoscope's fibres lie beside it.
        Self { toward_lens: share * 0.88, wet }
    }
}

/// A seed as a shader reads its bits: 23 of them, in a float that no driver can take for anything but 1.x.
pub(crate) fn seed_bits(seed: u64) -> f32 {
    let mixed = seed ^ (seed >> 23) ^ (seed >> 46);
    f32::from_bits((mixed as u32 & 0x007f_ffff) | 0x3f80_0000)
}

/// A camera with a picture size, and where the tissue lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) camera: Camera,
    pub(crate) width_px: u32,
    pub(crate) height_px: u32,
    pub(crate) base_from_tissue: Isometry3<f64>,
    pub(crate) lamp: Lamp,
}

/// The shaders' `View`, field by field.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct ViewUniform {
    clip_from_base: [[f32; 4]; 4],
    eye_m: [f32; 4],
    light_m: [f32; 4],
    tissue_x: [f32; 4],
    tissue_y: [f32; 4],
    tissue_up: [f32; 4],
    forward: [f32; 4],
    ray_corner: [f32; 4],
    ray_right: [f32; 4],
    ray_down: [f32; 4],
    size_exposure: [f32; 4],
    wet: [f32; 4],
}

impl View {
    pub(crate) fn light_m(&self) -> Point3<f64> {
        self.camera.base_from_camera
            * Point3::from(LIGHT_IN_CAMERA_M.map(|m| m * (1.0 - self.lamp.toward_lens)))
    }

    pub(crate) fn light_radius_m(&self) -> f64 {
        LIGHT_RADIUS_M
    }

    /// Distance along the optical axis, in metres; negative behind the camera.
    pub(crate) fn depth_m(&self, point_m: &Point3<f64>) -> f64 {
        self.camera.base_from_camera.inverse_transform_point(point_m).z
    }

    /// Pixel of a point in front of the camera.
    pub(crate) fn pixel(&self, point_m: &Point3<f64>) -> Option<Point2<f64>> {
        self.camera.project(point_m, self.width_px, self.height_px)
    }

    /// The place at this distance along the optical axis that is seen at a pixel.
    pub(crate) fn seen_at(&self, pixel: [f64; 2], depth_m: f64) -> Point3<f64> {
        let x = (pixel[0] - f64::from(self.width_px) / 2.0) / self.focal_px();
        let y = (pixel[1] - f64::from(self.height_px) / 2.0) / self.focal_px();
        self.camera.base_from_camera * Point3::new(x * depth_m, y * depth_m, depth_m)
    }

    pub(crate) fn eye_m(&self) -> Point3<f64> {
        self.camera.base_from_camera.translation.vector.into()
    }

    /// The inward directions of the four planes through the eye and the picture's edges.
    pub(crate) fn sides(&self) -> [Vector3<f64>; 4] {
        let focal_px = self.focal_px();
        let (x, y) = (f64::from(self.width_px) / 2.0, f64::from(self.height_px) / 2.0);
        let inward = [[focal_px, 0.0, x], [-focal_px, 0.0, x], [0.0, focal_px, y], [0.0, -focal_px, y]];
        inward.map(|side| self.camera.base_from_camera * Vector3::from(side).normalize())
    }

    pub(crate) fn focal_px(&self) -> f64 {
        self.camera.focal_px(self.height_px)
    }

    pub(crate) fn uniform(&self) -> ViewUniform {
        let base_from_camera = &self.camera.base_from_camera;
        let focal_px = self.focal_px();
        let (width, height) = (f64::from(self.width_px), f64::from(self.height_px));
        let clip_from_base = self.clip_from_camera() * base_from_camera.inverse().to_homogeneous();
        let corner = Vector3::new(-width / 2.0 / focal_px, -height / 2.0 / focal_px, 1.0);
        ViewUniform {
            clip_from_base: clip_from_base.cast::<f32>().into(),
            eye_m: four(self.eye_m().coords, 1.0),
            light_m: four(self.light_m().coords, LIGHT_RADIUS_M),
            tissue_x: four(self.base_from_tissue * Vector3::x(), 0.0),
            tissue_y: four(self.base_from_tissue * Vector3::y(), 0.0),
            tissue_up: four(self.base_from_tissue * Vector3::z(), 0.0),
            forward: four(base_from_camera * Vector3::z(), 0.0),
            ray_corner: four(base_from_camera * corner, 0.0),
            ray_right: four(base_from_camera * Vector3::x() / focal_px, 0.0),
            ray_down: four(base_from_camera * Vector3::y() / focal_px, 0.0),
            size_exposure: [self.width_px as f32, self.height_px as f32, self.lit_distance_m() as f32, 0.0],
            wet: self.lamp.wet,
        }
    }

    /// From the camera's optical frame to clip space, whose y is up and whose depth is 0 to 1.
    fn clip_from_camera(&self) -> Matrix4<f64> {
        let focal_px = self.focal_px();
        let sx = 2.0 * focal_px / f64::from(self.width_px);
        let sy = -2.0 * focal_px / f64::from(self.height_px);
        let deep = FAR_M / (FAR_M - NEAR_M);
        Matrix4::new(
            sx,
            0.0,
            0.0,
            0.0, //
            0.0,
            sy,
            0.0,
            0.0, //
            0.0,
            0.0,
            deep,
            -NEAR_M * deep, //
            0.0,
            0.0,
            1.0,
            0.0,
        )
    }

    /// How far the tissue is in the middle of the picture, in metres: the light's automatic setting.
    fn lit_distance_m(&self) -> f64 {
        let forward = self.camera.base_from_camera * Vector3::z();
        let up = self.base_from_tissue * Vector3::z();
        let above_m = self.base_from_tissue.inverse_transform_point(&self.eye_m()).z;
        let sinking = -forward.dot(&up);
        if sinking > 0.05 { (above_m / sinking).clamp(0.03, 0.25) } else { 0.25 }
    }
}

pub(crate) fn four(v: Vector3<f64>, last: f64) -> [f32; 4] {
    [v.x as f32, v.y as f32, v.z as f32, last as f32]
}

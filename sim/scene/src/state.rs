//! What is in the picture: plain values, in metres and radians, in the kit's frame, here called the base frame.
//!
//! The frame is whatever right-handed metric frame the caller keeps; the camera's pose and
//! [`SceneSettings::base_from_tissue`](crate::SceneSettings::base_from_tissue) tie the picture to it.

use nalgebra::{
    Isometry3, Matrix3, Point2, Point3, Rotation3, Translation3, UnitQuaternion, UnitVector3, Vector3,
};

use crate::error::SceneError;
use crate::instrument::JAW_LENGTH_M;

/// Most instruments that one picture holds.
pub const TOOLS_MAX: usize = 3;
/// Most targets that one picture holds.
pub const TARGETS_MAX: usize = 6;
/// Most goal zones that one picture holds.
pub const GOALS_MAX: usize = 4;
/// Most fixtures that one picture holds, and most points of a fixture's path.
pub const FIXTURES_MAX: usize = 16;
const PATH_MAX: usize = 128;

/// Everything a picture depends on. Two equal states give the same picture, byte for byte, on one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneState {
    /// The endoscope.
    pub camera: Camera,
    /// The instruments in the body, at most [`TOOLS_MAX`].
    pub tools: Vec<Tool>,
    /// Small objects to work on, at most [`TARGETS_MAX`].
    pub targets: Vec<Target>,
    /// Places to bring them to, at most [`GOALS_MAX`].
    pub goals: Vec<Goal>,
    /// What stands in the field and stays where it is, at most [`FIXTURES_MAX`]. Other fixtures are drawn with the tissue, as
    /// for another camera.
    pub fixtures: Vec<Fixture>,
    /// Which tissue. A new seed paints a new one, which takes some hundred milliseconds.
    pub seed: u64,
}

impl SceneState {
    /// Checks what the picture is drawn from.
    ///
    /// # Errors
    /// [`SceneError::TooMany`] for a list beyond its limit, [`SceneError::OutOfRange`] for a number that is
    /// not finite or not drawable.
    pub fn check(&self) -> Result<(), SceneError> {
        at_most("tools", self.tools.len(), TOOLS_MAX)?;
        at_most("targets", self.targets.len(), TARGETS_MAX)?;
        at_most("goal zones", self.goals.len(), GOALS_MAX)?;
        self.camera.check()?;
        self.tools.iter().try_for_each(Tool::check)?;
        self.targets.iter().try_for_each(Target::check)?;
        self.goals.iter().try_for_each(Goal::check)?;
        at_most("fixtures", self.fixtures.len(), FIXTURES_MAX)?;
        self.fixtures.iter().try_for_each(Fixture::check)
    }
}

/// A pinhole camera without distortion, with its light beside the lens.
///
/// The camera's frame is the optical one of OpenCV and of ROS: x to the right of the picture, y down, z into it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Pose of the optical frame in the base frame.
    pub base_from_camera: Isometry3<f64>,
    /// Full vertical angle of view, in radians.
    pub fov_y_rad: f64,
}

impl Camera {
    /// A camera at `eye_m` that has `look_at_m` in the middle of its picture and `up` upward in it.
    ///
    /// `up` must not be parallel to the line of sight: the picture would have no way to stand, and another
    /// upward direction is then chosen.
    #[must_use]
    pub fn looking_at(eye_m: Point3<f64>, look_at_m: Point3<f64>, up: Vector3<f64>, fov_y_rad: f64) -> Self {
        let z = UnitVector3::try_new(look_at_m - eye_m, 1e-9).unwrap_or_else(|| -Vector3::z_axis());
        let x = UnitVector3::try_new(z.cross(&up), 1e-9).unwrap_or_else(|| any_perpendicular(z));
        let y = z.cross(&x);
        let axes =
            Rotation3::from_matrix_unchecked(Matrix3::from_columns(&[x.into_inner(), y, z.into_inner()]));
        let base_from_camera = Isometry3::from_parts(
            Translation3::from(eye_m.coords),
            UnitQuaternion::from_rotation_matrix(&axes),
        );
        Self { base_from_camera, fov_y_rad }
    }

    /// Focal length in pixels for a picture of this height. Pixels are square.
    #[must_use]
    pub fn focal_px(&self, height_px: u32) -> f64 {
        f64::from(height_px) / 2.0 / (self.fov_y_rad / 2.0).tan()
    }

    /// Where a point of the base frame appears, in pixels from the top left corner of a picture of this size
    /// (the first pixel's middle is at 0.5, 0.5), or `None` for a point behind the camera.
    #[must_use]
    pub fn project(&self, base_point_m: &Point3<f64>, width_px: u32, height_px: u32) -> Option<Point2<f64>> {
        let seen = self.base_from_camera.inverse_transform_point(base_point_m);
        let focal_px = self.focal_px(height_px);
        (seen.z > 1e-6).then(|| {
            Point2::new(
                f64::from(width_px) / 2.0 + focal_px * seen.x / seen.z,
                f64::from(height_px) / 2.0 + focal_px * seen.y / seen.z,
            )
        })
    }

    fn check(&self) -> Result<(), SceneError> {
        finite_pose("camera pose (m)", &self.base_from_camera)?;
        within("camera's vertical field of view (rad)", self.fov_y_rad, 0.1, 2.4, "0.1", "2.4")
    }
}

/// The da Vinci large needle driver: an 8 mm shaft through a fixed point, a wrist, two jaws.
///
/// The tip's frame is the one of the dVRK's tool file and of `farhand-motion`: origin on the wrist's yaw axis,
/// where the jaws pivot, z along the closed jaws and out of the instrument, x along the axis on which the jaws
/// turn, y the way they open. The jaws end [`JAW_LENGTH_M`](crate::JAW_LENGTH_M) before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tool {
    /// Pose of the tip in the base frame.
    pub base_from_tip: Isometry3<f64>,
    /// The remote centre, where the shaft passes the body's wall, in the base frame.
    pub rcm_m: Point3<f64>,
    /// Direction of the shaft, from the remote centre into the body.
    pub shaft_direction: UnitVector3<f64>,
    /// Angle between the jaws, in radians; below zero they press and are drawn closed.
    pub jaw_rad: f64,
}

impl Tool {
    /// Where the closed jaws end, in the base frame.
    #[must_use]
    pub fn jaw_end_m(&self) -> Point3<f64> {
        self.base_from_tip * Point3::new(0.0, 0.0, JAW_LENGTH_M)
    }

    fn check(&self) -> Result<(), SceneError> {
        finite_pose("tip pose (m)", &self.base_from_tip)?;
        let numbers = self.rcm_m.coords.iter().chain(self.shaft_direction.iter());
        within("remote centre (m)", worst(numbers), 0.0, 10.0, "-10", "10")?;
        within("jaw angle (rad)", self.jaw_rad, -3.2, 3.2, "-3.2", "3.2")
    }
}

/// The form of a [`Target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetShape {
    /// A bead of the target's radius.
    Sphere,
    /// A ring that lies in the target's xy plane; the radius is to the middle of its tube.
    Ring,
    /// A curved suturing needle: half a circle of the target's radius in the target's xy plane.
    Needle,
}

/// A small object to work on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// Its form.
    pub shape: TargetShape,
    /// Pose of its middle in the base frame.
    pub base_from_target: Isometry3<f64>,
    /// Its size, in metres; see [`TargetShape`].
    pub radius_m: f64,
    /// Whether the jaws hold it; it is drawn a little lighter then.
    pub grasped: bool,
}

impl Target {
    fn check(&self) -> Result<(), SceneError> {
        finite_pose("target pose (m)", &self.base_from_target)?;
        within("target radius (m)", self.radius_m, 0.0005, 0.05, "0.0005", "0.05")
    }
}

/// A place marked on the tissue, as with ink: a circle around `centre_m`, drawn wherever the tissue lies within
/// `radius_m` of it, seen along the tissue's upward direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// Middle of the circle in the base frame.
    pub centre_m: Point3<f64>,
    /// Radius of the circle, in metres.
    pub radius_m: f64,
    /// Whether it is the one to reach now: drawn brighter.
    pub highlighted: bool,
}

impl Goal {
    fn check(&self) -> Result<(), SceneError> {
        within("goal zone's place (m)", worst(self.centre_m.coords.iter()), 0.0, 10.0, "-10", "10")?;
        within("goal zone's radius (m)", self.radius_m, 0.001, 0.05, "0.001", "0.05")
    }
}

/// What a [`Fixture`] looks like; the shader knows the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum FixtureLook {
    /// Dark and matt, and no shadow: what others stand on.
    Board = 0,
    /// Pale plastic.
    Peg = 1,
    /// Bright steel.
    Wire = 2,
}

/// A round rod along a path, flat at both ends: a peg, a wire; a board, if it is thicker than long.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixture {
    /// Places along its middle line, in the base frame.
    pub path_m: Vec<Point3<f64>>,
    /// Radius of the rod, in metres.
    pub radius_m: f64,
    /// What it is made of.
    pub look: FixtureLook,
}

impl Fixture {
    fn check(&self) -> Result<(), SceneError> {
        at_most("points of a fixture", self.path_m.len(), PATH_MAX)?;
        let numbers = self.path_m.iter().flat_map(|at| at.coords.iter());
        within("fixture's place (m)", worst(numbers), 0.0, 10.0, "-10", "10")?;
        within("fixture's radius (m)", self.radius_m, 0.0002, 0.1, "0.0002", "0.1")
    }
}

fn any_perpendicular(axis: UnitVector3<f64>) -> UnitVector3<f64> {
    let other = if axis.x.abs() < 0.9 { Vector3::x() } else { Vector3::y() };
    UnitVector3::new_normalize(axis.cross(&other))
}

fn at_most(what: &'static str, given: usize, max: usize) -> Result<(), SceneError> {
    if given > max { Err(SceneError::TooMany { what, given, max }) } else { Ok(()) }
}

fn finite_pose(what: &'static str, pose: &Isometry3<f64>) -> Result<(), SceneError> {
    let numbers = pose.translation.vector.iter().chain(pose.rotation.coords.iter());
    within(what, worst(numbers), 0.0, 10.0, "-10", "10")
}

/// The largest magnitude, or NaN where one of the numbers is NaN.
fn worst<'a>(numbers: impl Iterator<Item = &'a f64>) -> f64 {
    numbers
        .fold(0.0, |worst: f64, n| if n.is_nan() || worst.is_nan() { f64::NAN } else { worst.max(n.abs()) })
}

/// Written so that a number that is not a number fails.
pub(crate) fn within(
    what: &'static str,
    given: f64,
    low: f64,
    high: f64,
    min: &'static str,
    max: &'static str,
) -> Result<(), SceneError> {
    if given >= low && given <= high {
        Ok(())
    } else {
        Err(SceneError::OutOfRange { what, given: given.to_string(), min, max })
    }
}

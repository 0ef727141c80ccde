//! Reads an arm's file. What passes here is complete, finite, and consistent; nothing later checks again.

use std::f64::consts::{FRAC_PI_2, TAU};
use std::fmt::Display;
use std::ops::RangeInclusive;

use nalgebra::{Isometry3, Matrix3, Matrix4, Rotation3, Translation3, UnitQuaternion};
use serde::Deserialize;

use crate::coupling::Coupling;
use crate::joints::{AXES, Axis, JOINTS, Joints, SHAFT_JOINTS};
use crate::limits::ArmLimits;
use crate::model::{ArmModel, Home, Link, Withdraw, digest_of, smoothing_ticks_for};
use crate::smooth::SMOOTHING_TICKS_MAX;
use crate::tremor::Band;
use crate::workspace::Workspace;

/// Why an arm's file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ArmFileError {
    /// Not TOML, or a field missing, unknown or of another type; the message names the line and the field.
    #[error("arm file: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("arm file: {field} is {value}, allowed is {allowed}")]
    Value { field: String, value: String, allowed: String },
}

pub(crate) fn parse(text: &str) -> Result<ArmModel, ArmFileError> {
    let file: ArmFile = toml::from_str(text)?;
    let has_wrist = file.has_wrist()?;
    let links = file.links()?;
    let limits = file.limits()?;
    let link_from_tip = file.tip.pose(has_wrist)?;
    let model = ArmModel {
        digest: digest_of(text),
        has_wrist,
        links,
        link_from_tip,
        tip_from_link: link_from_tip.inverse(),
        turn_lever_m: within("tip.turn_lever_m", file.tip.turn_lever_m, 0.0..=0.1)?,
        coupling: file.coupling()?,
        limits,
        smoothing_ticks: smoothing_ticks(&limits)?,
        tremor: file.tremor.band()?,
        home: file.home(&limits)?,
        withdraw: file.withdraw(&limits)?,
        name: file.name,
    };
    check_reach(&model)?;
    check_home_in_workspace(&model)?;
    Ok(model)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ArmFile {
    name: String,
    /// Where the numbers come from: every arm's file must say so.
    source: String,
    link: Vec<LinkRow>,
    tip: Tip,
    coupling: Option<CouplingRows>,
    joint: JointTables,
    tip_speed: TipSpeed,
    tremor: TremorTable,
    workspace: WorkspaceTable,
    home: HomeTable,
    withdraw: WithdrawTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkRow {
    name: String,
    alpha_rad: f64,
    a_m: f64,
    theta_offset_rad: f64,
    d_m: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tip {
    link_from_tip: [[f64; 4]; 4],
    turn_lever_m: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CouplingRows {
    joint_from_actuator: [[f64; 4]; 4],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JointTables {
    yaw: Turning,
    pitch: Turning,
    insertion: Sliding,
    roll: Turning,
    wrist_pitch: Option<Turning>,
    wrist_yaw: Option<Turning>,
    jaw: Option<Turning>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Turning {
    position_rad: [f64; 2],
    velocity_rad_s_max: f64,
    acceleration_rad_s2_max: f64,
    stop_deceleration_rad_s2_max: f64,
    jerk_rad_s3_max: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sliding {
    position_m: [f64; 2],
    velocity_m_s_max: f64,
    acceleration_m_s2_max: f64,
    stop_deceleration_m_s2_max: f64,
    jerk_m_s3_max: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TipSpeed {
    tip_speed_mm_s_max: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TremorTable {
    centre_hz: f64,
    quality: f64,
}

impl TremorTable {
    fn band(&self) -> Result<Band, ArmFileError> {
        Ok(Band {
            centre_hz: within("tremor.centre_hz", self.centre_hz, 4.0..=20.0)?,
            quality: within("tremor.quality", self.quality, 0.5..=5.0)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkspaceTable {
    depth_m_min: f64,
    reach_m_max: f64,
    half_angle_rad_max: f64,
    target_inset_m: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HomeTable {
    yaw_rad: f64,
    pitch_rad: f64,
    insertion_m: f64,
    roll_rad: f64,
    wrist_pitch_rad: Option<f64>,
    wrist_yaw_rad: Option<f64>,
    jaw_rad: Option<f64>,
    tip_speed_mm_s_max: f64,
    velocity_fraction_max: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithdrawTable {
    insertion_m: f64,
    insertion_speed_m_s_max: f64,
}

/// One axis's limits with its unit taken out of the names, so that all seven can share their checks.
struct AxisLimits {
    position: [f64; 2],
    velocity: f64,
    acceleration: f64,
    stop: f64,
    jerk: f64,
}

impl ArmFile {
    /// The link table says so; everything else of a wrist and a jaw must then be there, or must not.
    fn has_wrist(&self) -> Result<bool, ArmFileError> {
        let rows = self.link.len();
        let has_wrist = rows == JOINTS;
        let allowed = "6 rows, yaw to wrist_yaw, or 4 rows, yaw to roll";
        check("link", &format!("{rows} rows"), has_wrist || rows == SHAFT_JOINTS, allowed)?;
        let (joint, home) = (&self.joint, &self.home);
        for (field, given) in [
            ("coupling", self.coupling.is_some()),
            ("joint.wrist_pitch", joint.wrist_pitch.is_some()),
            ("joint.wrist_yaw", joint.wrist_yaw.is_some()),
            ("joint.jaw", joint.jaw.is_some()),
            ("home.wrist_pitch_rad", home.wrist_pitch_rad.is_some()),
            ("home.wrist_yaw_rad", home.wrist_yaw_rad.is_some()),
            ("home.jaw_rad", home.jaw_rad.is_some()),
        ] {
            let said = |given| if given { "given" } else { "missing" };
            let allowed = format!("{}, as there are {rows} rows of link", said(has_wrist));
            check(field, &said(given), given == has_wrist, &allowed)?;
        }
        Ok(has_wrist)
    }

    fn links(&self) -> Result<[Link; JOINTS], ArmFileError> {
        check("source", &self.source, !self.source.trim().is_empty(), "where the numbers come from")?;
        self.link.iter().zip(SHAPE).try_for_each(|(row, shape)| row.check(&shape))?;
        Ok(std::array::from_fn(|i| self.link.get(i).map_or(Link::NONE, |row| row.link(SHAPE[i].axis))))
    }

    fn limits(&self) -> Result<ArmLimits, ArmFileError> {
        let axes = self.joint.axes();
        for (axis, limits) in Axis::ALL.into_iter().zip(&axes) {
            limits.iter().try_for_each(|limits| limits.check(axis))?;
        }
        let axes = axes.map(|limits| limits.unwrap_or(AxisLimits::NONE));
        let pick = |value: fn(&AxisLimits) -> f64| Joints::split(&axes.each_ref().map(value));
        let (Joints(position_rad_m_min), jaw_position_rad_min) = pick(|l| l.position[0]);
        let (Joints(position_rad_m_max), jaw_position_rad_max) = pick(|l| l.position[1]);
        let (Joints(velocity_rad_m_s_max), jaw_velocity_rad_s_max) = pick(|l| l.velocity);
        let (Joints(acceleration_rad_m_s2_max), jaw_acceleration_rad_s2_max) = pick(|l| l.acceleration);
        let (Joints(stop_deceleration_rad_m_s2_max), jaw_stop_deceleration_rad_s2_max) = pick(|l| l.stop);
        let (Joints(jerk_rad_m_s3_max), jaw_jerk_rad_s3_max) = pick(|l| l.jerk);
        let speed = self.tip_speed.tip_speed_mm_s_max;
        Ok(ArmLimits {
            position_rad_m_min,
            position_rad_m_max,
            velocity_rad_m_s_max,
            acceleration_rad_m_s2_max,
            stop_deceleration_rad_m_s2_max,
            jerk_rad_m_s3_max,
            jaw_position_rad_min,
            jaw_position_rad_max,
            jaw_velocity_rad_s_max,
            jaw_acceleration_rad_s2_max,
            jaw_stop_deceleration_rad_s2_max,
            jaw_jerk_rad_s3_max,
            tip_speed_mm_s_max: within("tip_speed.tip_speed_mm_s_max", speed, 1.0..=1000.0)?,
            workspace: self.workspace.checked()?,
        })
    }

    fn coupling(&self) -> Result<Option<Coupling>, ArmFileError> {
        let Some(CouplingRows { joint_from_actuator: rows }) = &self.coupling else { return Ok(None) };
        let finite = rows.iter().flatten().all(|value| value.is_finite());
        let allowed = "a finite matrix with an inverse";
        let refuse = || refused("coupling.joint_from_actuator", &format!("{rows:?}"), allowed);
        Coupling::new(rows).filter(|_| finite).ok_or_else(refuse).map(Some)
    }

    fn home(&self, limits: &ArmLimits) -> Result<Home, ArmFileError> {
        let h = &self.home;
        let [wrist_pitch_rad, wrist_yaw_rad, jaw_rad] =
            [h.wrist_pitch_rad, h.wrist_yaw_rad, h.jaw_rad].map(Option::unwrap_or_default);
        let joints =
            Joints([h.yaw_rad, h.pitch_rad, h.insertion_m, h.roll_rad, wrist_pitch_rad, wrist_yaw_rad]);
        limits.check_joints(&joints).and_then(|()| limits.check_jaw(jaw_rad)).map_err(|over| {
            let field = format!("home.{}_{}", over.axis, over.axis.unit());
            refused(&field, &over.value, &format!("{} to {}", over.min, over.max))
        })?;
        Ok(Home {
            joints,
            jaw_rad,
            tip_speed_mm_s_max: within(
                "home.tip_speed_mm_s_max",
                h.tip_speed_mm_s_max,
                1.0..=limits.tip_speed_mm_s_max,
            )?,
            velocity_fraction_max: within("home.velocity_fraction_max", h.velocity_fraction_max, 0.01..=1.0)?,
        })
    }

    fn withdraw(&self, limits: &ArmLimits) -> Result<Withdraw, ArmFileError> {
        let i = Axis::Insertion.index();
        let insertion_m = limits.position_rad_m_min[i]..=limits.position_rad_m_max[i];
        let speed_m_s = self.withdraw.insertion_speed_m_s_max;
        Ok(Withdraw {
            insertion_m: within("withdraw.insertion_m", self.withdraw.insertion_m, insertion_m)?,
            insertion_speed_m_s_max: within(
                "withdraw.insertion_speed_m_s_max",
                speed_m_s,
                1e-3..=limits.velocity_rad_m_s_max[i],
            )?,
        })
    }
}

/// What the closed-form inverse takes for granted of each row.
struct Shape {
    axis: Axis,
    alpha_rad: f64,
    theta_offset_rad: f64,
    a_m: RangeInclusive<f64>,
    d_m: RangeInclusive<f64>,
}

/// Of an axis, rad/s³ or m/s³: above this the average no longer smooths.
const JERK_MAX: f64 = 1e6;

const NONE: RangeInclusive<f64> = 0.0..=0.0;
const SHAFT_M: RangeInclusive<f64> = -2.0..=2.0;

const SHAPE: [Shape; JOINTS] = [
    Shape { axis: Axis::Yaw, alpha_rad: FRAC_PI_2, theta_offset_rad: FRAC_PI_2, a_m: NONE, d_m: NONE },
    Shape { axis: Axis::Pitch, alpha_rad: -FRAC_PI_2, theta_offset_rad: -FRAC_PI_2, a_m: NONE, d_m: NONE },
    Shape { axis: Axis::Insertion, alpha_rad: FRAC_PI_2, theta_offset_rad: 0.0, a_m: NONE, d_m: SHAFT_M },
    Shape { axis: Axis::Roll, alpha_rad: 0.0, theta_offset_rad: 0.0, a_m: NONE, d_m: SHAFT_M },
    Shape {
        axis: Axis::WristPitch,
        alpha_rad: -FRAC_PI_2,
        theta_offset_rad: -FRAC_PI_2,
        a_m: NONE,
        d_m: NONE,
    },
    Shape {
        axis: Axis::WristYaw,
        alpha_rad: -FRAC_PI_2,
        theta_offset_rad: -FRAC_PI_2,
        a_m: 1e-3..=0.05,
        d_m: NONE,
    },
];

impl LinkRow {
    fn check(&self, shape: &Shape) -> Result<(), ArmFileError> {
        let field = |name: &str| format!("link.{}.{name}", shape.axis);
        check(&field("name"), &self.name, self.name == shape.axis.name(), shape.axis.name())?;
        exactly(&field("alpha_rad"), self.alpha_rad, shape.alpha_rad)?;
        exactly(&field("theta_offset_rad"), self.theta_offset_rad, shape.theta_offset_rad)?;
        within(&field("a_m"), self.a_m, shape.a_m.clone())?;
        within(&field("d_m"), self.d_m, shape.d_m.clone())?;
        Ok(())
    }

    fn link(&self, axis: Axis) -> Link {
        Link {
            // Right angles and zero are all that `check` lets pass: rounding makes their sines and cosines exact.
            sin_alpha: self.alpha_rad.sin().round(),
            cos_alpha: self.alpha_rad.cos().round(),
            a_m: self.a_m,
            theta_offset_rad: self.theta_offset_rad,
            d_m: self.d_m,
            prismatic: axis == Axis::Insertion,
        }
    }
}

impl Tip {
    fn pose(&self, has_wrist: bool) -> Result<Isometry3<f64>, ArmFileError> {
        let matrix = Matrix4::from_fn(|row, column| self.link_from_tip[row][column]);
        let rotation: Matrix3<f64> = matrix.fixed_view::<3, 3>(0, 0).into_owned();
        let offset = matrix.fixed_view::<3, 1>(0, 3).into_owned();
        let skew = (rotation.transpose() * rotation - Matrix3::identity()).norm();
        let last_row_good = self.link_from_tip[3] == [0.0, 0.0, 0.0, 1.0];
        let rigid = skew < 1e-9 && rotation.determinant() > 0.0 && offset.norm() <= 0.1 && last_row_good;
        let seen = format!("{:?}", self.link_from_tip);
        check("tip.link_from_tip", &seen, rigid, "a rotation with an offset of at most 0.1 m")?;
        // There the inverse takes the tip for the shaft's end, and its x axis for what the roll turns.
        let on_shaft = offset.norm() == 0.0 && rotation.m31.abs() < 1e-9;
        let allowed = "no offset, and an x axis across the shaft, where there is no wrist";
        check("tip.link_from_tip", &seen, has_wrist || on_shaft, allowed)?;
        let rotation = UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(rotation));
        Ok(Isometry3::from_parts(Translation3::from(offset), rotation))
    }
}

impl JointTables {
    fn axes(&self) -> [Option<AxisLimits>; AXES] {
        [
            Some(self.yaw.axis()),
            Some(self.pitch.axis()),
            Some(self.insertion.axis()),
            Some(self.roll.axis()),
            self.wrist_pitch.as_ref().map(Turning::axis),
            self.wrist_yaw.as_ref().map(Turning::axis),
            self.jaw.as_ref().map(Turning::axis),
        ]
    }
}

impl Turning {
    fn axis(&self) -> AxisLimits {
        AxisLimits {
            position: self.position_rad,
            velocity: self.velocity_rad_s_max,
            acceleration: self.acceleration_rad_s2_max,
            stop: self.stop_deceleration_rad_s2_max,
            jerk: self.jerk_rad_s3_max,
        }
    }
}

impl Sliding {
    fn axis(&self) -> AxisLimits {
        AxisLimits {
            position: self.position_m,
            velocity: self.velocity_m_s_max,
            acceleration: self.acceleration_m_s2_max,
            stop: self.stop_deceleration_m_s2_max,
            jerk: self.jerk_m_s3_max,
        }
    }
}

impl AxisLimits {
    /// Of an axis that the arm has not. Its range keeps it still; its rates are only there to be divided by.
    const NONE: Self =
        Self { position: [0.0, 0.0], velocity: 1.0, acceleration: 1.0, stop: 1.0, jerk: 2.0 / crate::TICK_S };

    fn check(&self, axis: Axis) -> Result<(), ArmFileError> {
        let unit = axis.unit();
        let field = |name: &str| format!("joint.{axis}.{name}");
        let [min, max] = self.position;
        let range = position_range(axis);
        within(&field(&format!("position_{unit}[0]")), min, range.clone())?;
        within(&field(&format!("position_{unit}[1]")), max, (min + 1e-3)..=*range.end())?;
        within(&field(&format!("velocity_{unit}_s_max")), self.velocity, 1e-3..=20.0)?;
        within(&field(&format!("acceleration_{unit}_s2_max")), self.acceleration, 1e-2..=1e3)?;
        // A stop that is gentler than the tracker's own braking could run past a joint limit.
        within(&field(&format!("stop_deceleration_{unit}_s2_max")), self.stop, self.acceleration..=1e4)?;
        Ok(())
    }
}

/// Widest positions the kinematics can work with: short of a right angle where that would open another branch.
fn position_range(axis: Axis) -> RangeInclusive<f64> {
    match axis {
        Axis::Yaw => -3.0..=3.0,
        Axis::Pitch | Axis::WristPitch => -1.5..=1.5,
        Axis::Insertion => 0.0..=1.0,
        Axis::Roll => -TAU..=TAU,
        Axis::WristYaw | Axis::Jaw => -3.0..=3.0,
    }
}

impl WorkspaceTable {
    fn checked(&self) -> Result<Workspace, ArmFileError> {
        let inset_m = within("workspace.target_inset_m", self.target_inset_m, 0.0..=0.02)?;
        let half_angle_rad_max = within("workspace.half_angle_rad_max", self.half_angle_rad_max, 0.1..=1.4)?;
        let depth_m_min = within("workspace.depth_m_min", self.depth_m_min, 0.01..=0.5)?;
        // So far out that a point drawn in to the ball never rises above the least depth.
        let least_m = (depth_m_min + inset_m) / half_angle_rad_max.cos() + inset_m;
        let reach_m_max = within("workspace.reach_m_max", self.reach_m_max, least_m..=1.0)?;
        Ok(Workspace { depth_m_min, reach_m_max, half_angle_rad_max, target_inset_m: inset_m })
    }
}

/// Jerk limits so low that the average would outgrow its buffer are refused.
fn smoothing_ticks(limits: &ArmLimits) -> Result<usize, ArmFileError> {
    let (acceleration, jerk) = (limits.acceleration_max(), limits.jerk_max());
    for (axis, (acceleration, jerk)) in Axis::ALL.into_iter().zip(acceleration.into_iter().zip(jerk)) {
        let least = 2.0 * acceleration / (SMOOTHING_TICKS_MAX as f64 * crate::TICK_S);
        let field = format!("joint.{axis}.jerk_{}_s3_max", axis.unit());
        within(&field, jerk, least..=JERK_MAX)?;
    }
    Ok(smoothing_ticks_for(limits) as usize)
}

/// The workspace must end where the shaft still has some length left, and begin beyond the remote centre.
fn check_reach(model: &ArmModel) -> Result<(), ArmFileError> {
    let workspace = &model.limits.workspace;
    let tip_m = model.link_from_tip.translation.vector.norm();
    let shaft_m =
        model.limits.position_rad_m_max[Axis::Insertion.index()] + model.wrist_at_zero_insertion_m();
    let reach_m_max = shaft_m + workspace.target_inset_m - tip_m;
    within("workspace.reach_m_max", workspace.reach_m_max, 0.0..=reach_m_max)?;
    let depth_m_min = model.wrist_offset_m() + tip_m + 0.01;
    within("workspace.depth_m_min", workspace.depth_m_min, depth_m_min..=1.0)?;
    Ok(())
}

fn check_home_in_workspace(model: &ArmModel) -> Result<(), ArmFileError> {
    let base_from_tip = model.forward(&model.home.joints);
    let outside_m = model.limits.workspace.outside_m(&base_from_tip.translation.vector.into());
    check(
        "home",
        &format!("{outside_m} m outside the workspace"),
        outside_m == 0.0,
        "a tip inside the workspace",
    )
}

fn within(field: &str, value: f64, allowed: RangeInclusive<f64>) -> Result<f64, ArmFileError> {
    // NaN is in no range, infinity in none of ours.
    if allowed.contains(&value) {
        return Ok(value);
    }
    Err(refused(field, &value, &format!("{} to {}", allowed.start(), allowed.end())))
}

fn exactly(field: &str, value: f64, expected: f64) -> Result<(), ArmFileError> {
    check(field, &value, (value - expected).abs() < 1e-12, &expected)
}

fn check(
    field: &str,
    value: &impl Display,
    good: bool,
    allowed: &(impl Display + ?Sized),
) -> Result<(), ArmFileError> {
    if good { Ok(()) } else { Err(refused(field, value, allowed)) }
}

fn refused(field: &str, value: &impl Display, allowed: &(impl Display + ?Sized)) -> ArmFileError {
    ArmFileError::Value { field: field.into(), value: value.to_string(), allowed: allowed.to_string() }
}

//! The patient-side arm: its kinematics, its limits, and the tracker that turns targets into 1 kHz setpoints.
//!
//! Pure: no clock, no I/O, and no allocation once an [`ArmModel`] is read. Time is the tick: each of [`Motion`]'s motion
//! methods is called once every [`TICK_S`].
//!
//! Frames, each named in its transforms:
//! - `base`: the remote centre, where the shaft crosses the body wall; z points out of the body along the shaft at zero
//!   yaw and pitch, so the tool lies at negative z.
//! - `tip`: on the wrist yaw axis, where the jaws pivot; z along the closed jaws. On an endoscope, where the lens is; z the
//!   way it looks along its shaft. `base_from_tip` takes a point written in the tip's frame to the base's.
//! - `kit`: the base frame of a kit's first arm. [`Mounted`] says where each arm's own base lies in it.
//!
//! Lengths are metres and angles radians in poses and joints; speeds of the tip are mm/s.

mod coupling;
mod fence;
mod file;
mod inverse;
mod joints;
mod limits;
mod model;
mod motion;
mod mount;
mod region;
mod smooth;
mod speed;
mod target;
mod track;
mod tremor;
mod workspace;

pub use coupling::Coupling;
pub use file::ArmFileError;
pub use inverse::InverseError;
pub use joints::{Axis, JOINTS, Joints};
pub use limits::{ArmLimits, LimitExceeded};
pub use model::{ArmModel, Home, Withdraw};
pub use motion::{Motion, Setpoint};
pub use mount::Mounted;
pub use region::{REGIONS_MAX, Region, RegionError};
pub use target::{Clamped, Clamps, Lag, Target};
pub use workspace::Workspace;

/// Length of one control tick, s.
pub const TICK_S: f64 = 0.001;

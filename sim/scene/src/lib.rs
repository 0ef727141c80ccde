//! What the endoscope sees: living tissue, the instrument, the objects it works on, drawn without a screen.
//!
//! A [`Scene`] turns a [`SceneState`] into a frame of NV12 (BT.709, limited range), and on request into a picture
//! of [`Class`] ids, the ground truth that vision is trained and scored on. Everything runs on a Vulkan device;
//! without a GPU that is Mesa's renderer on the CPU, lavapipe (Debian: `mesa-vulkan-drivers`).
//!
//! **Cost.** What does not change is not drawn again. The tissue is baked into textures once a seed and drawn once
//! a camera pose; a frame draws the tool and the targets into a layer as large as they need, and writes only the
//! tiles that they, their shadows or a goal's ink touch now or touched in the last frame. A state equal to the
//! last one costs a comparison. Lavapipe works with as many threads as there are cores; the environment variable
//! `LP_NUM_THREADS`, set before the process starts, limits them, and with `LP_NUM_THREADS=1` a frame takes longer
//! but leaves the other cores alone. The example `cost` measures all this on the machine at hand.
//!
//! **Depth.** The lamp stands beside the lens, so the tool throws a shadow on the tissue: sharp and joined to the
//! tool where it touches, softer and farther away the higher it is.
//!
//! **Frames and units.** Metres, radians, and the arm's base frame throughout; `farhand-motion` says where that
//! frame lies.

mod bake;
mod class;
mod compose;
mod cover;
mod error;
mod gpu;
mod ground;
mod instrument;
mod labels;
mod mesh;
mod random;
mod scene;
mod solids;
mod staging;
mod state;
mod tissue;
mod view;

pub use class::Class;
pub use error::SceneError;
pub use instrument::{JAW_LENGTH_M, PITCH_TO_JAW_AXIS_M, SHAFT_RADIUS_M};
pub use scene::{Frame, Scene, SceneSettings};
pub use state::{Camera, GOALS_MAX, Goal, SceneState, TARGETS_MAX, Target, TargetShape, Tool};
pub use tissue::{TISSUE_SIDE_M, Tissue, WORK_HEIGHT_M, WORK_RADIUS_M};

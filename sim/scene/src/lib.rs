//! What the endoscope sees: living tissue, the instruments, the objects they work on, drawn without a screen.
//!
//! A [`Scene`] turns a [`SceneState`] into a frame of NV12 (BT.709, limited range), and on request into a picture
//! of [`Class`] ids, the ground truth that vision is trained and scored on. Everything runs on a Vulkan device;
//! without a GPU that is Mesa's renderer on the CPU, lavapipe (Debian: `mesa-vulkan-drivers`).
//!
//! **Cost.** What does not change is not drawn again. The tissue is baked into textures once a seed and drawn once
//! a camera pose; a frame draws the tool and the targets into a layer as large as they need, and writes only the
//! tiles that they, their shadows or a goal's ink touch now or touched in the last frame. A state equal to the
//! last one costs a comparison. Measured with lavapipe of Mesa 22.3 on two busy cores, read-back included, in
//! milliseconds of processor time over all threads, and the same in per cent of one core at 30 and 25 frames a
//! second; the example `cost` measures it on the machine at hand:
//!
//! | picture | tool moves | at 30 / 25 | camera moves too |
//! |---|---|---|---|
//! | 1280 x 720 | 18 | 53 / 44 | 110 |
//! | 960 x 540 (the default, at 30) | 11 | 34 / 28 | 70 |
//! | 640 x 360 | 6 | 17 / 15 | 38 |
//!
//! A camera that moves is dear on a CPU, because all of the tissue is drawn anew. Under [`Conditions`], all at the worst, on
//! the same cores:
//!
//! | picture | tool moves, fluids alone | tool moves, lens and sensor too | camera moves too |
//! |---|---|---|---|
//! | 1280 x 720 | 24 | 107 | 204 |
//! | 960 x 540 | 14 | 65 | 132 |
//! | 640 x 360 | 9 | 31 | 64 |
//!
//! Lavapipe works with as many threads as there are cores. The environment variable `LP_NUM_THREADS`, set before
//! the process starts, limits them: with `LP_NUM_THREADS=1` a frame costs the same processor time and takes longer,
//! but leaves the other cores alone.
//!
//! **Depth.** The lamp stands beside the lens, so the tool throws a shadow on the tissue: sharp and joined to the
//! tool where it touches, softer and farther away the higher it is.
//!
//! **Conditions.** [`Scene::render_under`] draws the same state as an operation shows it: another light, wetter tissue, fat,
//! blood, smoke, a dirty, blurred or moving lens, a poor sensor, each at a [`Severity`], on tissues of several looks, with
//! several kinds of instruments whose metal mirrors the tissue. A [`Sampler`] draws states and conditions at random, from a
//! [`Split`] that says what is allowed. Plain conditions cost nothing: they have their own shaders.
//!
//! **A second renderer.** [`trace`] draws the same state by rays on the processor, with lamps, surfaces and tones of its own:
//! to judge what has learnt from this one's pictures, not to be looked at while working.
//!
//! **Frames and units.** Metres, radians, and the kit's frame throughout, which is the first arm's base frame and is
//! called `base` here; `farhand-motion` says where it lies.

mod bake;
mod class;
mod compose;
mod conditions;
mod cover;
mod dress;
mod error;
mod fixture;
mod gpu;
mod ground;
mod instrument;
mod kinds;
mod labels;
mod lens;
mod mesh;
mod random;
mod sampler;
mod scene;
mod solids;
mod staging;
mod state;
mod tissue;
mod trace;
mod view;

pub use class::Class;
pub use conditions::{Conditions, Factor, Finish, Instrument, Kind, Palette, Severity, TissueLook};
pub use error::SceneError;
pub use instrument::{JAW_LENGTH_M, PITCH_TO_JAW_AXIS_M, SHAFT_RADIUS_M};
pub use sampler::{Sampler, Split};
pub use scene::{DEFAULT_RATE_HZ, Frame, Scene, SceneSettings};
pub use state::{
    Camera, FIXTURES_MAX, Fixture, FixtureLook, GOALS_MAX, Goal, SceneState, TARGETS_MAX, TOOLS_MAX, Target,
    TargetShape, Tool,
};
pub use tissue::{TISSUE_SIDE_M, Tissue, WORK_HEIGHT_M, WORK_RADIUS_M};
pub use trace::{Traced, trace};

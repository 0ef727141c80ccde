//! What the camera sees, pixel by pixel: a small net, told as a [`Graph`] with its weights in one [`Model`] file, and run by two
//! executors that must agree.
//!
//! Nothing here is on the way from a command to the tool, and nothing delays the surgeon's picture.

mod baseline;
mod contours;
mod doubt;
mod exec;
mod folders;
mod graph;
mod kernels;
mod labelme;
mod look;
mod metrics;
mod model;
mod ops;
mod picture;
mod rgb;
mod segment;
mod train;

pub use baseline::colour_threshold;
pub use doubt::Traits;
pub use exec::{Agreement, CandleExec, Choice, ChoiceError, Executor, GpuError, WgpuExec, agree};
pub use folders::{Folder, FolderError, Labelled, Layout, NOT_LABELLED, Part, Seen, Verdict};
pub use graph::{Architecture, CHANNELS_MAX, Graph, GraphError, Node, NodeId, Op, SIDE_MAX, Shape};
pub use labelme::{LABELME_BYTES_MAX, LabelMe, LabelMeError, Outline};
pub use look::Look;
pub use metrics::{Calibration, Confusion, Figures, Flicker, Judge, boundary_f1};
pub use model::{Card, MODEL_BYTES_MAX, Model, ModelError, Weights};
pub use picture::{FRAME_SIDE_MAX, FrameError, MEAN, Nv12, SPREAD};
pub use rgb::Rgb;
pub use segment::Segmentation;
pub use train::{Batch, Schedule, TrainError, Trainer};

//! What the camera sees, pixel by pixel: a small net, told as a [`Graph`] with its weights in one [`Model`] file, and run by two
//! executors that must agree.
//!
//! Nothing here is on the way from a command to the tool, and nothing delays the surgeon's picture.

mod baseline;
mod contours;
mod doubt;
mod evaluate;
mod exec;
mod graph;
mod kernels;
mod labelme;
mod metrics;
mod model;
mod ops;
mod picture;
mod segment;
mod train;

pub use baseline::colour_threshold;
pub use doubt::Traits;
pub use evaluate::{EvaluateError, Labelled, Rgb, Seen, labelled};
pub use exec::{Agreement, CandleExec, Choice, ChoiceError, Executor, GpuError, WgpuExec, agree};
pub use graph::{Architecture, CHANNELS_MAX, Graph, GraphError, Node, NodeId, Op, SIDE_MAX, Shape};
pub use labelme::{LABELME_BYTES_MAX, LabelMe, LabelMeError, Outline};
pub use metrics::{Confusion, boundary_f1};
pub use model::{Card, MODEL_BYTES_MAX, Model, ModelError, Weights};
pub use picture::{FRAME_SIDE_MAX, FrameError, MEAN, Nv12, SPREAD};
pub use segment::Segmentation;
pub use train::{Batch, Schedule, TrainError, Trainer};

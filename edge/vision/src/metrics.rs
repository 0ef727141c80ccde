//! How well classes were seen: overlap, how well edges lie, how steady it is, and whether it knows when it is wrong.

mod calibration;
mod confusion;
mod edges;
mod flicker;
mod judge;

pub use calibration::Calibration;
pub use confusion::Confusion;
pub use edges::boundary_f1;
pub use flicker::Flicker;
pub use judge::{Figures, Judge};

/// `None` of nothing.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

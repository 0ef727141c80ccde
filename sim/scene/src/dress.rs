//! What a tissue is baked from: its seed and how it looks. Pure.

use crate::conditions::{Conditions, Factor, Palette, TissueLook};

/// Everything that the baked textures depend on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dress {
    pub(crate) seed: u64,
    pub(crate) look: TissueLook,
    /// How far the threshold of fat sinks.
    pub(crate) fat: f32,
}

impl Dress {
    pub(crate) fn of(seed: u64, conditions: &Conditions) -> Self {
        Self { seed, look: conditions.look, fat: conditions.figure(Factor::Fat) }
    }
}

/// Linear colours of tissue, as the baking shader reads them, each from its darker to its lighter end.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Colors {
    flesh: [[f32; 4]; 2],
    veil: [f32; 4],
    fat: [[f32; 4]; 2],
    organ: [[f32; 4]; 2],
}

/// Chosen by eye beside public laparoscopic videos.
pub(crate) fn colors(palette: Palette) -> Colors {
    let of = |r, g, b| [r, g, b, 1.0_f32];
    let fat = [of(0.62, 0.255, 0.070), of(0.74, 0.42, 0.150)];
    match palette {
        Palette::Rose => Colors {
            flesh: [of(0.46, 0.085, 0.065), of(0.66, 0.225, 0.165)],
            veil: of(0.70, 0.37, 0.30),
            fat,
            organ: [of(0.235, 0.040, 0.030), of(0.345, 0.080, 0.055)],
        },
        Palette::Pale => Colors {
            flesh: [of(0.52, 0.18, 0.14), of(0.72, 0.35, 0.29)],
            veil: of(0.78, 0.54, 0.47),
            fat: [of(0.70, 0.40, 0.13), of(0.80, 0.55, 0.24)],
            organ: [of(0.40, 0.12, 0.09), of(0.55, 0.21, 0.16)],
        },
        Palette::Red => Colors {
            flesh: [of(0.29, 0.026, 0.022), of(0.47, 0.080, 0.060)],
            veil: of(0.55, 0.20, 0.16),
            fat,
            organ: [of(0.130, 0.020, 0.018), of(0.22, 0.042, 0.032)],
        },
        Palette::Yellow => Colors {
            flesh: [of(0.44, 0.135, 0.040), of(0.66, 0.32, 0.095)],
            veil: of(0.70, 0.46, 0.25),
            fat: [of(0.60, 0.26, 0.040), of(0.76, 0.43, 0.105)],
            organ: [of(0.30, 0.070, 0.035), of(0.42, 0.13, 0.060)],
        },
        Palette::Brown => Colors {
            flesh: [of(0.24, 0.088, 0.050), of(0.41, 0.18, 0.11)],
            veil: of(0.50, 0.32, 0.25),
            fat: [of(0.50, 0.24, 0.070), of(0.62, 0.36, 0.14)],
            organ: [of(0.145, 0.047, 0.032), of(0.24, 0.090, 0.060)],
        },
        Palette::Violet => Colors {
            flesh: [of(0.24, 0.105, 0.110), of(0.43, 0.245, 0.250)],
            veil: of(0.56, 0.45, 0.45),
            fat,
            organ: [of(0.180, 0.055, 0.060), of(0.31, 0.125, 0.130)],
        },
    }
}

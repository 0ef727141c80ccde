//! What stands between a scene and its picture: light, fluids, smoke, lens and sensor, each at a severity, and which
//! instruments and tissue are looked at. Plain values; the default is a clean picture of the needle driver.

use crate::error::SceneError;
use crate::state::{TOOLS_MAX, within};

/// How bad something is: 0 is absent, 5 the worst that a surgeon would still call a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Severity(u8);

impl Severity {
    /// Absent.
    pub const NONE: Self = Self(0);
    /// The worst.
    pub const WORST: Self = Self(5);

    /// What is above 5 is taken as 5.
    #[must_use]
    pub const fn new(level: u8) -> Self {
        if level > Self::WORST.0 { Self::WORST } else { Self(level) }
    }

    /// 0 to 5.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.0
    }
}

/// What may be wrong, or merely different, in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Factor {
    /// The lamp moves from beside the lens to around it, and its light falls off faster with distance.
    Light,
    /// The lens darkens toward its rim, beyond what it always does.
    Vignette,
    /// Wet highlights on tissue, glints on metal.
    Speculars,
    /// Yellow lobules on the tissue.
    Fat,
    /// Pools and smears on tissue and instruments.
    Blood,
    /// A drifting veil.
    Smoke,
    /// Drops on the lens: discs that bend and blur what is behind them.
    Droplets,
    /// The lens is out of focus.
    Defocus,
    /// The camera moves while the shutter is open.
    Motion,
    /// The camera's gain is off, and drifts.
    Gain,
    /// The white balance is off, and drifts.
    WhiteBalance,
    /// The sensor's noise, another in each frame.
    Noise,
    /// The endoscope's round field of view: black corners.
    FieldStop,
}

impl Factor {
    /// Every factor.
    pub const ALL: [Self; 13] = [
        Self::Light,
        Self::Vignette,
        Self::Speculars,
        Self::Fat,
        Self::Blood,
        Self::Smoke,
        Self::Droplets,
        Self::Defocus,
        Self::Motion,
        Self::Gain,
        Self::WhiteBalance,
        Self::Noise,
        Self::FieldStop,
    ];

    /// A short name, for files and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Vignette => "vignette",
            Self::Speculars => "speculars",
            Self::Fat => "fat",
            Self::Blood => "blood",
            Self::Smoke => "smoke",
            Self::Droplets => "droplets",
            Self::Defocus => "defocus",
            Self::Motion => "motion",
            Self::Gain => "gain",
            Self::WhiteBalance => "white_balance",
            Self::Noise => "noise",
            Self::FieldStop => "field_stop",
        }
    }

    /// Whether it lies between the scene and the bytes, and so leaves tissue and instruments alone.
    #[must_use]
    pub const fn is_of_lens(self) -> bool {
        !matches!(self, Self::Light | Self::Speculars | Self::Fat | Self::Blood)
    }

    /// The figure of each severity. Lengths in pixels are those of a picture 720 high.
    ///
    /// Where a figure has no source it was chosen by eye beside public laparoscopic videos: 3 is often seen, 5 seldom.
    #[must_use]
    pub const fn figures(self) -> [f32; 6] {
        match self {
            // Exponent of (set distance / distance), as a factor on top of the lamp's own fall-off.
            Self::Light => [0.0, 0.35, 0.7, 1.1, 1.5, 2.0],
            // Share of the encoded brightness that the corner loses.
            Self::Vignette => [0.0, 0.15, 0.30, 0.45, 0.60, 0.75],
            // Strength of the additional highlights; 1 is about what the film of fluid already has.
            Self::Speculars => [0.0, 0.6, 1.2, 2.0, 3.2, 5.0],
            // How far the threshold of the lobules' noise sinks: from 34 % of the tissue mostly fat at 0 to 96 % at 5,
            // computed from the noise.
            Self::Fat => [0.0, 0.05, 0.10, 0.16, 0.23, 0.30],
            // The share of tissue that is covered, within 0.06 of it: computed from the noise.
            Self::Blood => [0.0, 0.06, 0.12, 0.20, 0.30, 0.42],
            // Mean opacity of the veil.
            Self::Smoke => [0.0, 0.10, 0.20, 0.32, 0.46, 0.62],
            // How many drops.
            Self::Droplets => [0.0, 1.0, 2.0, 4.0, 6.0, 9.0],
            // Radius of the circle of confusion in pixels.
            Self::Defocus => [0.0, 0.8, 1.5, 2.5, 4.0, 6.0],
            // Length of the smear in pixels: at 5 a picture's width in two seconds with a shutter of 1/27 s.
            Self::Motion => [0.0, 3.0, 6.0, 10.0, 16.0, 24.0],
            // Stops, up or down.
            Self::Gain => [0.0, 0.15, 0.30, 0.50, 0.75, 1.0],
            // Relative change of red against blue.
            Self::WhiteBalance => [0.0, 0.05, 0.10, 0.17, 0.25, 0.35],
            // Standard deviation of luma in steps of eight bits; ImageNet-C (Hendrycks 2019) begins at 20, which no
            // surgeon would accept.
            Self::Noise => [0.0, 1.0, 2.0, 3.5, 5.5, 8.0],
            // Radius of the field in half diagonals; 0 is no stop. A recording of Cholec80 that was measured has 0.86.
            Self::FieldStop => [0.0, 0.96, 0.91, 0.86, 0.78, 0.66],
        }
    }
}

/// What an instrument is. The needle driver, the bipolar grasper and the curved scissors bend at a wrist; the others are
/// straight, as in laparoscopy without a robot: their shaft points from the remote centre to the jaws' axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The large needle driver: short hatched jaws.
    #[default]
    NeedleDriver,
    /// A fenestrated grasper with a wrist: long jaws with a window.
    WindowedGrasper,
    /// Curved scissors with a wrist.
    Scissors,
    /// A straight grasper with long windowed jaws and a steel neck.
    StraightGrasper,
    /// A straight dissector with slender jaws bent to the side.
    Dissector,
    /// A straight monopolar hook in a pale insulator.
    Hook,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::NeedleDriver,
        Self::WindowedGrasper,
        Self::Scissors,
        Self::StraightGrasper,
        Self::Dissector,
        Self::Hook,
    ];

    /// A short name, for files and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NeedleDriver => "needle_driver",
            Self::WindowedGrasper => "windowed_grasper",
            Self::Scissors => "scissors",
            Self::StraightGrasper => "straight_grasper",
            Self::Dissector => "dissector",
            Self::Hook => "hook",
        }
    }
}

/// What a shaft looks like; the shader knows the same numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Finish {
    /// A black composite tube.
    #[default]
    Black = 0,
    /// Bare steel.
    Steel = 1,
    /// Grey with white bands.
    Banded = 2,
    /// A grey plastic sleeve.
    Grey = 3,
}

impl Finish {
    /// Every finish.
    pub const ALL: [Self; 4] = [Self::Black, Self::Steel, Self::Banded, Self::Grey];
}

/// Which instrument a tool is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Instrument {
    /// Its form.
    pub kind: Kind,
    /// Its shaft.
    pub finish: Finish,
    /// How dull its metal is.
    pub wear: Severity,
}

/// The tissue's colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Palette {
    /// Rose, with a red-brown organ.
    #[default]
    Rose,
    /// Pale pink: bowel, peritoneum.
    Pale,
    /// Deep red: muscle, liver.
    Red,
    /// Yellowish: omentum.
    Yellow,
    /// Brown: old blood, a cirrhotic liver.
    Brown,
    /// Greyish violet: a gallbladder.
    Violet,
}

impl Palette {
    /// Every palette.
    pub const ALL: [Self; 6] = [Self::Rose, Self::Pale, Self::Red, Self::Yellow, Self::Brown, Self::Violet];
}

/// What a tissue looks like besides its seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TissueLook {
    /// Its colours.
    pub palette: Palette,
    /// Size of its texture, 0.3 to 3 times the usual.
    pub scale: f64,
    /// How many vessels it has, 0.1 to 2 times the usual.
    pub vessels: f64,
}

impl Default for TissueLook {
    fn default() -> Self {
        Self { palette: Palette::default(), scale: 1.0, vessels: 1.0 }
    }
}

/// Everything a picture depends on besides its [`SceneState`](crate::SceneState). Equal states under equal conditions give
/// the same picture, byte for byte, on one machine.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Conditions {
    /// Where blood, smoke and drops are, which way gain and colours are off.
    pub seed: u64,
    /// The frame's number: noise is another in each, smoke drifts.
    pub frame: u32,
    /// Which way the camera moves while the shutter is open, in radians from the picture's right toward its lower edge.
    pub motion_rad: f64,
    /// The tissue's look.
    pub look: TissueLook,
    /// What the tools are, in the state's order.
    pub instruments: [Instrument; TOOLS_MAX],
    /// How bad every factor is, in the order of [`Factor::ALL`].
    pub severities: [Severity; Factor::ALL.len()],
}

impl Conditions {
    /// These, with one factor at another severity.
    #[must_use]
    pub fn with(mut self, factor: Factor, severity: Severity) -> Self {
        self.severities[factor as usize] = severity;
        self
    }

    /// How bad a factor is.
    #[must_use]
    pub fn severity(&self, factor: Factor) -> Severity {
        self.severities[factor as usize]
    }

    /// The figure of a factor's severity, see [`Factor::figures`].
    #[must_use]
    pub fn figure(&self, factor: Factor) -> f32 {
        factor.figures()[usize::from(self.severity(factor).level())]
    }

    /// Whether the middle of a pixel is inside the round field of view: what is outside is black, whatever its label.
    #[must_use]
    pub fn shows(&self, pixel: [u32; 2], width: u32, height: u32) -> bool {
        let [x, y, radius_px] = crate::lens::field(self, width, height);
        let off = (pixel[0] as f32 + 0.5 - x).hypot(pixel[1] as f32 + 0.5 - y);
        radius_px <= 0.0 || off < radius_px
    }

    /// Checks what the picture is drawn from.
    ///
    /// # Errors
    /// [`SceneError::OutOfRange`] for a number that is not finite or not drawable.
    pub fn check(&self) -> Result<(), SceneError> {
        within("direction of motion (rad)", self.motion_rad, -10.0, 10.0, "-10", "10")?;
        within("size of the tissue's texture", self.look.scale, 0.3, 3.0, "0.3", "3")?;
        within("amount of vessels", self.look.vessels, 0.1, 2.0, "0.1", "2")
    }

    /// Whether the lens' pass has anything to do.
    pub(crate) fn alter_lens(&self) -> bool {
        Factor::ALL.iter().any(|f| f.is_of_lens() && self.severity(*f) > Severity::NONE)
    }

    /// Whether tissue and instruments need the shaders that know light, fluids and finishes.
    pub(crate) fn are_rich(&self) -> bool {
        let wet = [Factor::Light, Factor::Speculars, Factor::Blood];
        wet.iter().any(|f| self.severity(*f) > Severity::NONE)
            || self.instruments != [Instrument::default(); TOOLS_MAX]
    }

    /// Whether the kept picture of the tissue is the same under both.
    pub(crate) fn same_ground(&self, other: &Self) -> bool {
        let same = |factor: &Factor| factor.is_of_lens() || self.severity(*factor) == other.severity(*factor);
        let fluids = self.are_rich() || other.are_rich();
        (!fluids || self.seed == other.seed)
            && self.look == other.look
            && self.are_rich() == other.are_rich()
            && Factor::ALL.iter().all(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every figure grows with its severity and is nothing at 0; a field of view shrinks instead.
    #[test]
    fn figures_grow_with_severity() {
        for factor in Factor::ALL {
            let figures = factor.figures();
            assert_eq!(figures[0], 0.0, "{factor:?}");
            let grows = |pair: &[f32]| {
                if factor == Factor::FieldStop { pair[0] > pair[1] } else { pair[0] < pair[1] }
            };
            assert!(figures[1..].windows(2).all(grows), "{factor:?}");
            assert!(figures[1] > 0.0);
        }
    }

    /// A number beyond 5 is 5, and each factor has its own place.
    #[test]
    fn severities_are_kept_apart_and_bounded() {
        assert_eq!(Severity::new(200), Severity::WORST);
        for factor in Factor::ALL {
            let conditions = Conditions::default().with(factor, Severity::new(3));
            let set = Factor::ALL.into_iter().filter(|f| conditions.severity(*f) == Severity::new(3));
            assert_eq!(set.collect::<Vec<_>>(), [factor]);
        }
    }
}

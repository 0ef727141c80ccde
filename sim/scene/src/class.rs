//! Class ids of the ground truth, one byte a pixel.
//!
//! Instrument parts are named as in the EndoVis 2018 robotic scene segmentation challenge (Allan et al. 2020:
//! instrument-shaft, instrument-wrist, instrument-clasper, background-tissue, suturing-needle and the organ's
//! parenchyma), vessel and organ as CholecSeg8k has them (Hong et al. 2020: hepatic vein, liver).

/// One class of the ground truth; the discriminant is the byte in the picture of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// EndoVis `background-tissue`: whatever is none of the others, ink marks included.
    BackgroundTissue = 0,
    /// EndoVis `instrument-shaft`.
    InstrumentShaft = 1,
    /// EndoVis `instrument-wrist`: everything metal between shaft and jaws.
    InstrumentWrist = 2,
    /// EndoVis `instrument-clasper`: the two jaws.
    InstrumentClasper = 3,
    /// A vessel on the surface; CholecSeg8k's nearest is `Hepatic Vein`.
    Vessel = 4,
    /// The organ's surface; EndoVis `kidney-parenchyma`, CholecSeg8k `Liver`.
    OrganSurface = 5,
    /// The object worked on; for a needle EndoVis `suturing-needle`.
    Target = 6,
}

impl Class {
    /// Every class, in the order of its id.
    pub const ALL: [Self; 7] = [
        Self::BackgroundTissue,
        Self::InstrumentShaft,
        Self::InstrumentWrist,
        Self::InstrumentClasper,
        Self::Vessel,
        Self::OrganSurface,
        Self::Target,
    ];

    /// The byte in the picture of labels.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The class of a byte, or `None` for a byte that no label has.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// The name in the source data set's own spelling.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BackgroundTissue => "background-tissue",
            Self::InstrumentShaft => "instrument-shaft",
            Self::InstrumentWrist => "instrument-wrist",
            Self::InstrumentClasper => "instrument-clasper",
            Self::Vessel => "vessel",
            Self::OrganSurface => "organ-surface",
            Self::Target => "target",
        }
    }
}

//! What the edge box sees in a picture, told beside it.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

use crate::{
    EdgeTick,
    kind::{Kind, Malformed, VERSION},
};

/// Contours in one overlay, and points of all of them together.
pub const CONTOURS_MAX: usize = 64;
pub const CONTOUR_POINTS_MAX: usize = 2048;

/// Edge to a surgeon's console, beside the pictures and never before one: where the net sees what, in the picture of that RTP
/// timestamp; or why it does not trust what it sees there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The picture's. 90 kHz.
    pub rtp_timestamp: u32,
    pub captured: EdgeTick,
    pub seen: Seen,
}

/// What there is to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Contours(Vec<Contour>),
    Doubt(Doubt),
}

/// Why nothing is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Doubt {
    /// The net is not sure of itself.
    Unsure = 1,
    /// The picture has too little light.
    Dark = 2,
    /// The picture has too much.
    Glare = 3,
    /// The picture has no edges: smoke, a covered or fogged lens, out of focus.
    Blurred = 4,
    /// What is seen is not what the net has learnt.
    Strange = 5,
}

/// A closed line around what is of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contour {
    pub class: Class,
    /// From the picture's left and from its top; 65535 is its whole width or height.
    pub points: Vec<[u16; 2]>,
}

/// What a pixel shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    Shaft = 1,
    Wrist = 2,
    Jaws = 3,
    Vessel = 4,
    Organ = 5,
}

impl Doubt {
    pub const ALL: [Doubt; 5] = [Doubt::Unsure, Doubt::Dark, Doubt::Glare, Doubt::Blurred, Doubt::Strange];

    /// In a few words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Doubt::Unsure => "the net is not sure",
            Doubt::Dark => "the picture is dark",
            Doubt::Glare => "the picture is too bright",
            Doubt::Blurred => "the picture is blurred or covered",
            Doubt::Strange => "the picture is not of what the net has learnt",
        }
    }
}

impl Class {
    pub const ALL: [Class; 5] = [Class::Shaft, Class::Wrist, Class::Jaws, Class::Vessel, Class::Organ];

    /// By the name that a model has for it; names are those of EndoVis 2018, and of CholecSeg8k for what that has not.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Class::Shaft => "instrument-shaft",
            Class::Wrist => "instrument-wrist",
            Class::Jaws => "instrument-clasper",
            Class::Vessel => "vessel",
            Class::Organ => "organ-surface",
        }
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Head {
    kind: u8,
    version: u8,
    /// 0: contours follow.
    doubt: u8,
    contours: u8,
    rtp_timestamp: U32,
    captured_us: U64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ContourHead {
    class: u8,
    reserved: u8,
    points: U16,
}

impl Overlay {
    /// As it travels. Contours, and points, beyond what may be are left out.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (doubt, contours) = match &self.seen {
            Seen::Doubt(doubt) => (*doubt as u8, &[][..]),
            Seen::Contours(contours) => (0, fitting(contours)),
        };
        let head = Head {
            kind: Kind::Overlay as u8,
            version: VERSION,
            doubt,
            contours: contours.len() as u8,
            rtp_timestamp: self.rtp_timestamp.into(),
            captured_us: self.captured.0.into(),
        };
        let mut bytes = head.as_bytes().to_vec();
        for Contour { class, points } in contours {
            let head = ContourHead { class: *class as u8, reserved: 0, points: (points.len() as u16).into() };
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend(points.iter().flatten().flat_map(|side| side.to_le_bytes()));
        }
        bytes
    }

    /// # Errors
    /// [`Malformed`] unless every byte of it is as [`Overlay::to_bytes`] has it.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        Kind::Overlay.expect(bytes)?;
        let short = Malformed::Length { bytes: bytes.len(), expected: size_of::<Head>() };
        let (head, mut rest) = Head::read_from_prefix(bytes).map_err(|_| short)?;
        let mut contours = Vec::new();
        let mut left = CONTOUR_POINTS_MAX;
        for _ in 0..head.contours {
            let (contour, after) = read_contour(rest, left)?;
            left -= contour.points.len();
            rest = after;
            contours.push(contour);
        }
        if !rest.is_empty() || contours.len() > CONTOURS_MAX {
            return Err(Malformed::Length { bytes: bytes.len(), expected: bytes.len() - rest.len() });
        }
        let seen = match head.doubt {
            0 => Seen::Contours(contours),
            doubt => Seen::Doubt(doubt_of(doubt, &contours)?),
        };
        let captured = EdgeTick(head.captured_us.get());
        Ok(Self { rtp_timestamp: head.rtp_timestamp.get(), captured, seen })
    }
}

/// The first contours that fit.
fn fitting(contours: &[Contour]) -> &[Contour] {
    let mut points = 0;
    let fits = |contour: &&Contour| {
        points += contour.points.len();
        points <= CONTOUR_POINTS_MAX
    };
    &contours[..contours.iter().take(CONTOURS_MAX).take_while(fits).count()]
}

/// Whoever doubts draws nothing.
fn doubt_of(value: u8, contours: &[Contour]) -> Result<Doubt, Malformed> {
    let known = Doubt::ALL.into_iter().find(|doubt| *doubt as u8 == value);
    known.filter(|_| contours.is_empty()).ok_or(Malformed::Unknown { field: "doubt", value: value.into() })
}

fn read_contour(bytes: &[u8], points_max: usize) -> Result<(Contour, &[u8]), Malformed> {
    let short = |expected| Malformed::Length { bytes: bytes.len(), expected };
    let (head, rest) = ContourHead::read_from_prefix(bytes).map_err(|_| short(size_of::<ContourHead>()))?;
    let unknown = |field, value: u8| Malformed::Unknown { field, value: value.into() };
    let class = Class::ALL.into_iter().find(|class| *class as u8 == head.class);
    let class = class.ok_or(unknown("class", head.class))?;
    if head.reserved != 0 {
        return Err(unknown("reserved byte", head.reserved));
    }
    let count = usize::from(head.points.get());
    if count > points_max {
        return Err(Malformed::TooLong { bytes: count * 4, max: points_max * 4 });
    }
    let (points, after) = rest.split_at_checked(count * 4).ok_or(short(count * 4))?;
    let side = |bytes: [u8; 2]| u16::from_le_bytes(bytes);
    let point = |[a, b, c, d]: &[u8; 4]| [side([*a, *b]), side([*c, *d])];
    Ok((Contour { class, points: points.as_chunks::<4>().0.iter().map(point).collect() }, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contour() -> impl Strategy<Value = Contour> {
        let points = prop::collection::vec(any::<[u16; 2]>(), 0..200);
        (0..Class::ALL.len(), points).prop_map(|(class, points)| Contour { class: Class::ALL[class], points })
    }

    fn overlay() -> impl Strategy<Value = Overlay> {
        let seen = prop_oneof![
            prop::collection::vec(contour(), 0..8).prop_map(Seen::Contours),
            (0..Doubt::ALL.len()).prop_map(|doubt| Seen::Doubt(Doubt::ALL[doubt])),
        ];
        (any::<u32>(), any::<u64>(), seen).prop_map(|(rtp_timestamp, captured, seen)| Overlay {
            rtp_timestamp,
            captured: EdgeTick(captured),
            seen,
        })
    }

    proptest! {
        /// Goal: what is said is read back, and nothing else reads the same.
        #[test]
        fn an_overlay_reads_back(overlay in overlay(), cut in any::<prop::sample::Index>()) {
            let bytes = overlay.to_bytes();
            prop_assert_eq!(Overlay::read(&bytes), Ok(overlay));
            let cut = cut.index(bytes.len());
            prop_assert!(Overlay::read(&bytes[..cut]).is_err());
            prop_assert!(Overlay::read(&[&bytes[..], &[0]].concat()).is_err());
        }

        /// Goal: whatever comes in, nothing panics, and what is taken in is what would be said.
        #[test]
        fn any_bytes_are_read_or_refused(tail in prop::collection::vec(any::<u8>(), 0..400)) {
            let bytes = [&[Kind::Overlay as u8, VERSION], &tail[..]].concat();
            if let Ok(overlay) = Overlay::read(&bytes) {
                prop_assert_eq!(overlay.to_bytes(), bytes);
            }
        }
    }

    /// Goal: what is too much is left out where it is said and refused where it is heard.
    #[test]
    fn there_is_an_end_to_contours() {
        let contour = Contour { class: Class::Shaft, points: vec![[1, 2]; 100] };
        let said =
            Overlay { rtp_timestamp: 1, captured: EdgeTick(2), seen: Seen::Contours(vec![contour; 40]) };
        let mut bytes = said.to_bytes();
        let Ok(Overlay { seen: Seen::Contours(heard), .. }) = Overlay::read(&bytes) else {
            unreachable!("it was said");
        };
        assert_eq!(heard.len(), CONTOUR_POINTS_MAX / 100);
        bytes[3] += 1;
        bytes.extend_from_slice(&[1, 0, 100, 0]);
        bytes.extend_from_slice(&[0; 400]);
        assert!(matches!(Overlay::read(&bytes), Err(Malformed::TooLong { .. })));
    }
}

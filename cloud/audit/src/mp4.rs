//! The smallest video that ends in one picture: a key frame and what follows it, as an MP4 file.
//!
//! Nothing is decoded. Boxes are written by `shiguredo_mp4`: it depends on nothing, does no I/O and is kept up, where
//! `mp4` has had no release since 2023 and `muxide` brings serde and anyhow. What is done here is what lies between the
//! bundle and the boxes: Annex B becomes lengths, parameter sets move to the head, and the picture's size is read there.

use std::num::NonZeroU32;

use farhand_ledger::picture::nal_units;
use shiguredo_mp4::{
    TrackKind, Uint,
    boxes::{Avc1Box, AvccBox, SampleEntry, VisualSampleEntryFields},
    mux::{Mp4FileMuxer, MuxError, Sample},
};
use thiserror::Error;

/// Units of time in a second, as RTP has them for video.
const TIMESCALE: NonZeroU32 = NonZeroU32::new(90_000).expect("it is not zero");
/// How long the last picture stands.
const LAST_TICKS: u32 = 3_000;
/// No picture stands for longer, whatever was recorded in between: ten seconds.
const TICKS_MAX: u32 = 900_000;

const SPS: u8 = 7;
const PPS: u8 = 8;

/// An access unit, Annex B, and when it was captured.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) unit: Vec<u8>,
    pub(crate) captured_us: u64,
}

/// A video, and when its last picture stands.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    pub(crate) bytes: Vec<u8>,
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// A moment in the middle of the last picture, in ms from the beginning.
    pub(crate) last_ms: u64,
}

/// Why pictures make no video.
#[derive(Debug, Error)]
pub(crate) enum NoClip {
    #[error("there is no picture")]
    Empty,
    #[error("the key frame has no parameter sets")]
    NoParameters,
    #[error("profile {profile} is not one whose size is read here")]
    Profile { profile: u8 },
    #[error("the parameter set can't be read")]
    Parameters,
    #[error("the video's head can't be written: {0}")]
    Mux(#[from] MuxError),
}

/// The video of `pictures`, the first of which is a key frame with its parameter sets.
pub(crate) fn clip(pictures: &[Picture]) -> Result<Clip, NoClip> {
    let (entry, width, height) = entry(&pictures.first().ok_or(NoClip::Empty)?.unit)?;
    let mut muxer = Mp4FileMuxer::new()?;
    let mut bytes = muxer.initial_boxes_bytes().to_vec();
    let (mut entry, mut ticks) = (Some(SampleEntry::Avc1(entry)), 0);
    for (index, picture) in pictures.iter().enumerate() {
        let (data_offset, data) = (bytes.len() as u64, with_lengths(&picture.unit));
        bytes.extend(&data);
        let duration = pictures.get(index + 1).map_or(LAST_TICKS, |next| ticks_between(picture, next));
        ticks += u64::from(duration);
        muxer.append_sample(&Sample {
            track_kind: TrackKind::Video,
            sample_entry: entry.take(),
            keyframe: index == 0,
            timescale: TIMESCALE,
            duration,
            composition_time_offset: None,
            data_offset,
            data_size: data.len(),
        })?;
    }
    for (offset, part) in muxer.finalize()?.offset_and_bytes_pairs() {
        put(&mut bytes, offset as usize, part);
    }
    let last_ms = (ticks - u64::from(LAST_TICKS / 2)) / u64::from(TIMESCALE.get() / 1000);
    Ok(Clip { bytes, width, height, last_ms })
}

fn ticks_between(picture: &Picture, next: &Picture) -> u32 {
    let us = next.captured_us.saturating_sub(picture.captured_us);
    u32::try_from(us.saturating_mul(9) / 100).unwrap_or(TICKS_MAX).clamp(1, TICKS_MAX)
}

/// Writes over what is there, and on where it ends.
fn put(bytes: &mut Vec<u8>, offset: usize, part: &[u8]) {
    bytes.resize(bytes.len().max(offset + part.len()), 0);
    bytes[offset..offset + part.len()].copy_from_slice(part);
}

/// The unit's NAL units with their lengths, parameter sets left out: those stand in the head.
fn with_lengths(unit: &[u8]) -> Vec<u8> {
    let pictures = nal_units(unit).filter(|nal| !matches!(kind(nal), SPS | PPS));
    pictures.flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], nal].concat()).collect()
}

fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |first| first & 0x1f)
}

fn entry(key_frame: &[u8]) -> Result<(Avc1Box, u16, u16), NoClip> {
    let find = |wanted| nal_units(key_frame).find(|nal| kind(nal) == wanted).ok_or(NoClip::NoParameters);
    let (sps, pps) = (find(SPS)?, find(PPS)?);
    let (width, height) = size(sps)?;
    let [profile, constraints, level] =
        *sps.get(1..4).and_then(|head| head.first_chunk()).ok_or(NoClip::Parameters)?;
    let visual = VisualSampleEntryFields {
        data_reference_index: VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
        width,
        height,
        horizresolution: VisualSampleEntryFields::DEFAULT_HORIZRESOLUTION,
        vertresolution: VisualSampleEntryFields::DEFAULT_VERTRESOLUTION,
        frame_count: VisualSampleEntryFields::DEFAULT_FRAME_COUNT,
        compressorname: VisualSampleEntryFields::NULL_COMPRESSORNAME,
        depth: VisualSampleEntryFields::DEFAULT_DEPTH,
    };
    let avcc_box = AvccBox {
        avc_profile_indication: profile,
        profile_compatibility: constraints,
        avc_level_indication: level,
        length_size_minus_one: Uint::new(3),
        sps_list: vec![sps.to_vec()],
        pps_list: vec![pps.to_vec()],
        chroma_format: None,
        bit_depth_luma_minus8: None,
        bit_depth_chroma_minus8: None,
        sps_ext_list: Vec::new(),
    };
    Ok((Avc1Box { visual, avcc_box, unknown_boxes: Vec::new() }, width, height))
}

/// Width and height in a sequence parameter set (ITU-T H.264 §7.3.2.1.1) of the baseline, main or extended profile.
fn size(sps: &[u8]) -> Result<(u16, u16), NoClip> {
    let profile = *sps.get(1).ok_or(NoClip::Parameters)?;
    if !matches!(profile, 66 | 77 | 88) {
        return Err(NoClip::Profile { profile });
    }
    read_size(&mut Bits::new(sps.get(4..).unwrap_or_default())).ok_or(NoClip::Parameters)
}

fn read_size(bits: &mut Bits) -> Option<(u16, u16)> {
    let (_id, _frame_number_bits) = (bits.number()?, bits.number()?);
    skip_order_count(bits)?;
    let (_reference_frames, _gaps_allowed) = (bits.number()?, bits.bit()?);
    let (width_mbs, height_maps) = (bits.number()?.checked_add(1)?, bits.number()?.checked_add(1)?);
    let frames_only = bits.bit()?;
    if !frames_only {
        let _adaptive = bits.bit()?;
    }
    let _direct_8x8 = bits.bit()?;
    let mut crop = [0; 4];
    if bits.bit()? {
        for side in &mut crop {
            *side = bits.number()?;
        }
    }
    // Colour has half the width and half the height, so a crop is in steps of two; of four where fields are coded.
    let step = if frames_only { 1 } else { 2 };
    let [left, right, top, bottom] = crop;
    let width = width_mbs.checked_mul(16)?.checked_sub(left.checked_add(right)?.checked_mul(2)?)?;
    let height = height_maps.checked_mul(16 * step)?;
    let height = height.checked_sub(top.checked_add(bottom)?.checked_mul(2 * step)?)?;
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

fn skip_order_count(bits: &mut Bits) -> Option<()> {
    match bits.number()? {
        0 => {
            bits.number()?;
        }
        1 => {
            let (_always_zero, _offsets) = (bits.bit()?, (bits.number()?, bits.number()?));
            for _ in 0..bits.number()?.min(255) {
                bits.number()?;
            }
        }
        _ => {}
    }
    Some(())
}

/// Bits of a NAL unit, bytes that only keep start codes from appearing left out.
struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    fn new(nal: &[u8]) -> Self {
        let mut bytes: Vec<u8> = Vec::with_capacity(nal.len());
        let mut zeros = 0;
        for &byte in nal {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bytes.push(byte);
        }
        Self { bytes, at: 0 }
    }

    fn bit(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Some(bit)
    }

    /// An Exp-Golomb number (§9.1), signed ones as their code.
    fn number(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let mut rest = 0u64;
        for _ in 0..zeros {
            rest = rest << 1 | u64::from(self.bit()?);
        }
        u32::try_from((1u64 << zeros) - 1 + rest).ok()
    }
}

#[cfg(test)]
mod tests {
    use shiguredo_mp4::{Decode, Mp4File, boxes::RootBox};

    use super::*;

    /// Parameter sets of x264's constrained baseline, as they were recorded: 1280 x 720, and 960 x 540, which is cropped.
    const SPS_720: &[u8] = b"\x67\x42\xc0\x1f\xda\x01\x40\x16\xec\x05\xa8\x10\x08\x0a\x00\x00\x03\x00\x02\x00\x00\x03\x00\x65\x1e\x30\x65\x40";
    const SPS_540: &[u8] = b"\x67\x42\xc0\x1f\xda\x03\xc0\x45\xfb\xc0\x5a\x80\x80\x80\xa0\x00\x00\x03\x00\x20\x00\x00\x07\x91\xe3\x06\x54";
    const PPS: &[u8] = b"\x68\xce\x3c\x80";

    fn pictures() -> Vec<Picture> {
        let slice = |first: u8, bytes: usize| [vec![first], vec![0x55; bytes]].concat();
        let unit = |nals: &[&[u8]]| nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect();
        vec![
            Picture { unit: unit(&[SPS_720, PPS, &slice(0x65, 300)]), captured_us: 1_000_000 },
            Picture { unit: unit(&[&slice(0x41, 20), &slice(0x41, 10)]), captured_us: 1_040_000 },
            Picture { unit: unit(&[&slice(0x41, 30)]), captured_us: 1_080_000 },
        ]
    }

    /// Goal: boxes fill the file without a hole, each sample lies where the table says, has its bytes with their lengths
    /// and its time, and only the first is a key frame.
    #[test]
    fn boxes_are_well_formed() {
        let clip = clip(&pictures()).unwrap();
        let (file, size) = Mp4File::<RootBox>::decode(&clip.bytes).unwrap();
        assert_eq!(size, clip.bytes.len());
        let moov = file.boxes.iter().find_map(|one| match one {
            RootBox::Moov(moov) => Some(moov),
            _ => None,
        });
        let track = &moov.unwrap().trak_boxes[0];
        let table = shiguredo_mp4::aux::SampleTableAccessor::new(&track.mdia_box.minf_box.stbl_box).unwrap();
        let samples: Vec<_> = table.samples().collect();
        let seen: Vec<(usize, u32, bool)> = samples
            .iter()
            .map(|sample| (sample.data_size() as usize, sample.duration(), sample.is_sync_sample()))
            .collect();
        assert_eq!(seen, [(305, 3600, true), (40, 3600, false), (35, LAST_TICKS, false)]);
        for (sample, first) in
            samples.iter().zip([[0, 0, 1, 45, 0x65], [0, 0, 0, 21, 0x41], [0, 0, 0, 31, 0x41]])
        {
            let at = sample.data_offset() as usize;
            assert_eq!(clip.bytes[at..at + 5], first);
        }
        assert_eq!((clip.width, clip.height, clip.last_ms), (1280, 720, 96));
        let SampleEntry::Avc1(entry) = samples[0].chunk().sample_entry() else {
            unreachable!("an H.264 entry")
        };
        assert_eq!((&entry.avcc_box.sps_list[0][..], &entry.avcc_box.pps_list[0][..]), (SPS_720, PPS));
    }

    /// Goal: the size is that of the picture, cropping counted; what is not understood is an error.
    #[test]
    fn sizes_are_read() {
        assert_eq!(size(SPS_720).unwrap(), (1280, 720));
        assert_eq!(size(SPS_540).unwrap(), (960, 540));
        assert!(matches!(size(&[0x67, 100, 0, 30, 0xff]), Err(NoClip::Profile { profile: 100 })));
        for end in 0..9 {
            assert!(size(&SPS_720[..end]).is_err(), "{end}");
        }
        assert!(matches!(clip(&[]), Err(NoClip::Empty)));
        assert!(matches!(clip(&pictures()[1..]), Err(NoClip::NoParameters)));
    }
}

//! When a camera's own H.264 goes to the surgeon as it came, and when what is decoded from it is encoded again.
//!
//! It goes as it came while it suits (no reordering, 4:2:0 with 8 bits, whole frames), the line carries its rate, nobody wants other
//! pictures than the camera's, and nothing of it was lost. Whatever is asked of an encoder, a key frame at once or fewer bits, is left to
//! the encoder, from that very picture on; with the camera's next key frame its own pictures go on again. Pure: time is an argument.

use super::annexb::{NalType, NalUnits, nal_type};
use h264_reader::nal::sps::{ChromaFormat, FrameMbsFlags, PicOrderCntType, Profile, SeqParameterSet};
use h264_reader::rbsp::{BitReader, ByteReader};
use std::time::{Duration, Instant};

/// The camera's rate is that of the last whole second.
const MEASURED: Duration = Duration::from_secs(1);
/// Of what the line carries, the share that a camera may take to begin with; all of it to go on. Its rate is not ours to steady.
const BEGINS: f64 = 0.9;

/// A picture as a camera encoded it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coded<'a> {
    /// One access unit, Annex B.
    pub stream: &'a [u8],
    pub came: Instant,
    /// Something before it was lost.
    pub after_loss: bool,
}

/// Where pictures are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As it came.
    AsItCame,
    /// Through the encoder.
    Encoded,
}

#[derive(Debug)]
pub(crate) struct Pass {
    way: Way,
    /// It was a capture's wish that pictures be encoded: a stamp in them, or none lost.
    never: bool,
    /// Smaller or fewer pictures are wanted than the camera's.
    reshaped: bool,
    carried_kbit_s: u32,
    suits: bool,
    key_asked: bool,
    since: Option<Instant>,
    bytes: usize,
    kbit_s: Option<u32>,
}

impl Pass {
    pub(crate) fn new(never: bool, reshaped: bool, carried_kbit_s: u32) -> Self {
        let (suits, key_asked, since, bytes, kbit_s) = (false, false, None, 0, None);
        Self { way: Way::Encoded, never, reshaped, carried_kbit_s, suits, key_asked, since, bytes, kbit_s }
    }

    pub(crate) fn way(&self) -> Way {
        self.way
    }

    /// Pictures come in the order in which they are shown.
    pub(crate) fn in_order(&self) -> bool {
        self.suits
    }

    pub(crate) fn set_carried_kbit_s(&mut self, kbit_s: u32) {
        self.carried_kbit_s = kbit_s;
    }

    pub(crate) fn set_reshaped(&mut self, reshaped: bool) {
        self.reshaped = reshaped;
    }

    /// A receiver wants a key frame; whether the encoder is to make it, for the camera's own comes when it comes.
    pub(crate) fn ask_key(&mut self) -> bool {
        self.key_asked = self.way == Way::AsItCame;
        !self.key_asked
    }

    /// Which way this picture goes. `free`: it could be sent at once, as it came.
    pub(crate) fn next(&mut self, coded: Coded, free: bool) -> Way {
        let key = self.look(coded.stream);
        self.count(coded);
        let share = if self.way == Way::AsItCame { 1.0 } else { BEGINS };
        let carried =
            self.kbit_s.is_some_and(|kbit_s| f64::from(kbit_s) <= f64::from(self.carried_kbit_s) * share);
        let may = !self.never && !self.reshaped && self.suits && carried && free;
        let follows = self.way == Way::AsItCame && !coded.after_loss && !self.key_asked;
        self.way = if may && (key || follows) { Way::AsItCame } else { Way::Encoded };
        self.key_asked = false;
        self.way
    }

    /// Whether it can be begun with; new parameter sets are judged anew.
    fn look(&mut self, stream: &[u8]) -> bool {
        let (mut key, mut sets) = (false, 0);
        for unit in NalUnits::new(stream) {
            match nal_type(unit) {
                NalType::SPS => {
                    self.suits = suits(unit);
                    sets |= 1;
                }
                NalType::PPS => sets |= 2,
                NalType::IDR => key = true,
                _ => {}
            }
        }
        key && sets == 3
    }

    fn count(&mut self, coded: Coded) {
        let since = *self.since.get_or_insert(coded.came);
        let passed = coded.came.saturating_duration_since(since);
        if passed >= MEASURED {
            self.kbit_s = Some((self.bytes as f64 * 8e-3 / passed.as_secs_f64()) as u32);
            (self.since, self.bytes) = (Some(coded.came), 0);
        }
        self.bytes += coded.stream.len();
    }
}

/// Whether what follows these parameters can be shown picture by picture, by every browser.
fn suits(sps: &[u8]) -> bool {
    let bits = BitReader::new(ByteReader::skipping_h264_header(sps));
    let Ok(sps) = SeqParameterSet::from_bits(bits) else { return false };
    let plain = matches!(sps.profile(), Profile::Baseline | Profile::ConstrainedBaseline);
    let usual = plain
        || matches!(
            sps.profile(),
            Profile::Main | Profile::High | Profile::ProgressiveHigh | Profile::ConstrainedHigh
        );
    let chroma = &sps.chroma_info;
    let eight_bits = chroma.bit_depth_luma_minus8 == 0 && chroma.bit_depth_chroma_minus8 == 0;
    let restrictions = sps.vui_parameters.as_ref().and_then(|vui| vui.bitstream_restrictions.as_ref());
    // Baseline has no B slices; the second kind of order is that of decoding; the last is promised.
    let in_order = plain
        || sps.pic_order_cnt == PicOrderCntType::TypeTwo
        || restrictions.is_some_and(|promised| promised.max_num_reorder_frames == 0);
    usual
        && in_order
        && eight_bits
        && chroma.chroma_format == ChromaFormat::YUV420
        && sps.frame_mbs_flags == FrameMbsFlags::Frames
}

#[cfg(test)]
mod tests {
    use super::super::annexb::join;
    use super::*;
    use proptest::prelude::*;

    // As x264 writes them for 320 x 240.
    const BASELINE: &str = "6742c015d90141fb016a0c0c0d4a000003000200000300791e2c5c90";
    const HIGH: &str = "67640014acb20283f602d418181a94000003000400000300f23c50a920";
    const HIGH_WITH_B_FRAMES: &str = "67640014acd94141fb016a0c0c0d4a000003000200000300791e28532c";
    const HIGH_444: &str = "67f4000d919640507ec05a83030320000003002000000791e28549";
    const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
    const FRAME: Duration = Duration::from_millis(40);
    const FRAMES: u32 = 40;

    fn sps(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    fn key(hex: &str) -> Vec<u8> {
        join([&sps(hex)[..], PPS, &[0x65, 0x88]])
    }

    /// A camera with a key frame every tenth picture, of 2 kB a picture else: 362 kbit/s.
    struct Camera {
        pass: Pass,
        start: Instant,
        at: u32,
        key: Vec<u8>,
        other: Vec<u8>,
    }

    impl Camera {
        fn new(hex: &str, carried_kbit_s: u32) -> Self {
            let pass = Pass::new(false, false, carried_kbit_s);
            let other = join([&[&[0x41_u8][..], &[0x9a; 2000]].concat()[..]]);
            Self { pass, start: Instant::now(), at: 0, key: key(hex), other }
        }

        fn picture(&mut self, after_loss: bool) -> (bool, Way) {
            let is_key = self.at.is_multiple_of(10);
            let stream = if is_key { &self.key } else { &self.other };
            let coded = Coded { stream, came: self.start + FRAME * self.at, after_loss };
            self.at += 1;
            (is_key, self.pass.next(coded, true))
        }

        fn ways(&mut self, count: u32) -> Vec<(bool, Way)> {
            (0..count).map(|_| self.picture(false)).collect()
        }
    }

    fn begun(hex: &str) -> Camera {
        let mut camera = Camera::new(hex, 4000);
        assert_eq!(camera.ways(FRAMES).last().unwrap().1, Way::AsItCame);
        camera
    }

    /// Goal: pictures go as they came from a key frame on, once the rate is known, and only those that can be shown one by one.
    #[test]
    fn what_suits_goes_as_it_came_from_a_key_frame_on() {
        for (hex, suits) in [(BASELINE, true), (HIGH, true), (HIGH_WITH_B_FRAMES, false), (HIGH_444, false)] {
            let ways = Camera::new(hex, 4000).ways(FRAMES);
            let first = ways.iter().position(|(_, way)| *way == Way::AsItCame);
            assert_eq!(first.is_some(), suits, "{hex}");
            if let Some(first) = first {
                assert!(
                    ways[first].0
                        && first >= 25
                        && ways[first..].iter().all(|(_, way)| *way == Way::AsItCame)
                );
            }
        }
    }

    /// Goal: a key frame that is asked for comes at once, by the encoder; the camera's own pictures go on with its next one.
    #[test]
    fn a_key_frame_that_is_asked_for_is_made() {
        let mut camera = begun(BASELINE);
        camera.ways(3);
        assert!(!camera.pass.ask_key(), "nothing is encoded yet that could be made a key frame");
        let ways = camera.ways(10);
        let next_key = ways.iter().position(|(key, _)| *key).unwrap();
        assert!(next_key > 0 && ways[..next_key].iter().all(|(_, way)| *way == Way::Encoded));
        assert!(ways[next_key..].iter().all(|(_, way)| *way == Way::AsItCame));
    }

    /// Goal: what refers to something that was lost is not sent.
    #[test]
    fn after_a_loss_nothing_goes_as_it_came_until_a_key_frame() {
        let mut camera = begun(BASELINE);
        camera.ways(3);
        assert_eq!(camera.picture(true).1, Way::Encoded);
        let ways = camera.ways(10);
        let next_key = ways.iter().position(|(key, _)| *key).unwrap();
        assert!(ways[..next_key].iter().all(|(_, way)| *way == Way::Encoded));
        assert!(ways[next_key..].iter().all(|(_, way)| *way == Way::AsItCame));
    }

    /// Goal: a line that carries less, a smaller picture that is wanted and a receiver that is behind end it at once.
    #[test]
    fn whatever_needs_an_encoder_ends_it() {
        let mut camera = begun(BASELINE);
        camera.pass.set_carried_kbit_s(300);
        assert!(camera.ways(20).iter().all(|(_, way)| *way == Way::Encoded));
        // Its 362 kbit/s are more than nine tenths of that.
        camera.pass.set_carried_kbit_s(390);
        assert!(camera.ways(20).iter().all(|(_, way)| *way == Way::Encoded));
        camera.pass.set_carried_kbit_s(1000);
        assert!(camera.ways(20).iter().any(|(_, way)| *way == Way::AsItCame));
        camera.pass.set_reshaped(true);
        assert!(camera.ways(20).iter().all(|(_, way)| *way == Way::Encoded));
        let mut camera = begun(BASELINE);
        let coded = Coded {
            stream: &camera.other.clone(),
            came: camera.start + FRAME * camera.at,
            after_loss: false,
        };
        assert_eq!(camera.pass.next(coded, false), Way::Encoded);
    }

    /// Goal: bytes that are no parameter sets suit nobody, and break nothing.
    #[test]
    fn what_is_no_sps_does_not_suit() {
        assert!(!suits(&[]) && !suits(&[0x67]) && !suits(&[0x67, 0xff, 0xff, 0xff, 0xff]));
        (1..12).for_each(|bytes| assert!(!suits(&sps(BASELINE)[..bytes]), "{bytes}"));
    }

    proptest! {
        /// Goal: whatever a camera sends as parameters is judged, and breaks nothing.
        #[test]
        fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..64), at in 0_usize..28, flip in any::<u8>()) {
            suits(&[&[0x67], &bytes[..]].concat());
            let mut damaged = sps(BASELINE);
            damaged[at] ^= flip;
            suits(&damaged);
        }
    }
}

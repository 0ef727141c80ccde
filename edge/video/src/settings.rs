//! How a capture is to run. Each limit stands beside its value.

use crate::encoder::Encoder;
use crate::error::VideoError;
use crate::gate::DELAY_MS_MAX;
use crate::tap::Tap;
use std::time::Instant;

/// Bitrates that are set, in kbit/s. Below, 720p is no picture; above, no link here carries it.
pub const BITRATE_KBIT_S: std::ops::RangeInclusive<u32> = 100..=50_000;

/// All that a caller may choose. `Settings::default()` suits a live camera.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Take this encoder and no other. Default: the first of [`Encoder::ORDER`] that works.
    pub encoder: Option<Encoder>,
    /// Within [`BITRATE_KBIT_S`].
    pub bitrate_kbit_s: u32,
    /// A key frame at least every so many frames, besides those asked for; 1 to 3600. Each costs several times an
    /// ordinary frame, and a recording can be entered only at one.
    pub key_interval_frames: u32,
    /// Slices encoded at once, 1 to 8. Two take less time for each frame where a core is free for the second; one takes
    /// less of the processor, and its times scatter less where none is (720p30 by x264 on two cores: 14 % of one core and
    /// 5.0 ms with one, 15 % and 4.7 ms with two, in the 95th percentile 6 and 7.3 ms).
    pub encoder_threads: u32,
    /// The picture is made smaller, keeping its shape, until it fits this width and height.
    pub size_max: Option<(u32, u32)>,
    /// Lose no frame: where encoder or consumer are behind, the source waits. Meant for files; a live source
    /// cannot wait and would only fall behind.
    pub every_frame: bool,
    /// Play a file at its own rate. Otherwise as fast as it can be taken; live sources have no choice.
    pub paced: bool,
    /// Draw each frame's capture tick into the picture ([`crate::stamp`]). For tests: it covers the picture's corner.
    pub stamp: bool,
    /// Hold each picture this long between capture and encoding, its capture instant unchanged; at most 500 ms. For tests.
    pub test_delay_ms: u32,
    /// No frame from the source for this long is a stall; at least 50 ms.
    pub stall_ms: u32,
    /// The first frame must come within this time; at least 100 ms.
    pub start_ms_max: u32,
    /// The zero of the edge's clock: ticks, stamps and RTP timestamps count from here. Give a capture that
    /// follows another the same epoch, so that its RTP timestamps go on rising.
    pub epoch: Instant,
    /// The first frame's number. Give a capture that follows another the next one.
    pub first_frame_id: u64,
    /// Encoded frames that wait for the consumer, 1 to 64. What waits is latency.
    pub outputs_waiting_max: usize,
    /// Whoever looks at pictures beside their way.
    pub tap: Option<Tap>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            encoder: None,
            bitrate_kbit_s: 4_000,
            key_interval_frames: 120,
            encoder_threads: 1,
            size_max: None,
            every_frame: false,
            paced: true,
            stamp: false,
            test_delay_ms: 0,
            stall_ms: 500,
            start_ms_max: 5_000,
            epoch: Instant::now(),
            first_frame_id: 1,
            outputs_waiting_max: 2,
            tap: None,
        }
    }
}

impl Settings {
    /// Says which setting is outside its range, if one is.
    pub fn check(&self) -> Result<(), VideoError> {
        let sides = self.size_max.map_or([4096; 2], |(width, height)| [width, height]);
        let rules: [(&'static str, bool, String, &'static str); 8] = [
            (
                "bitrate_kbit_s",
                BITRATE_KBIT_S.contains(&self.bitrate_kbit_s),
                self.bitrate_kbit_s.to_string(),
                "100 to 50000",
            ),
            (
                "key_interval_frames",
                (1..=3600).contains(&self.key_interval_frames),
                self.key_interval_frames.to_string(),
                "1 to 3600",
            ),
            (
                "encoder_threads",
                (1..=8).contains(&self.encoder_threads),
                self.encoder_threads.to_string(),
                "1 to 8",
            ),
            (
                "size_max",
                sides.iter().all(|side| crate::source::SIDE_PX.contains(side)),
                format!("{sides:?}"),
                "16 to 4096 on both sides",
            ),
            (
                "test_delay_ms",
                self.test_delay_ms <= DELAY_MS_MAX,
                self.test_delay_ms.to_string(),
                "at most 500",
            ),
            ("stall_ms", self.stall_ms >= 50, self.stall_ms.to_string(), "at least 50"),
            ("start_ms_max", self.start_ms_max >= 100, self.start_ms_max.to_string(), "at least 100"),
            (
                "outputs_waiting_max",
                (1..=64).contains(&self.outputs_waiting_max),
                self.outputs_waiting_max.to_string(),
                "1 to 64",
            ),
        ];
        match rules.into_iter().find(|(_, holds, _, _)| !holds) {
            Some((name, _, seen, allowed)) => Err(VideoError::BadSetting { name, seen, allowed }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the defaults are inside their own ranges, and a value outside is named with its range.
    #[test]
    fn a_setting_outside_its_range_is_named() {
        assert_eq!(Settings::default().check(), Ok(()));
        let error = Settings { stall_ms: 1, ..Settings::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "the video setting stall_ms is 1, it must be at least 50");
        assert!(Settings { size_max: Some((8, 720)), ..Settings::default() }.check().is_err());
    }
}

//! Which H.264 encoder this machine has, and how each is told the same things: constrained baseline, no
//! B-frames, no look-ahead, constant bitrate with a shallow buffer, key frames on demand.

use crate::error::{VideoError, debian_package};
use crate::settings::Settings;
use gstreamer as gst;
use gstreamer::prelude::*;
use std::fmt::Write;
use std::sync::OnceLock;

/// The name of the encoder element in a pipeline made from [`Encoder::description`].
pub(crate) const ELEMENT_NAME: &str = "encoder";

/// One picture through a hardware encoder takes most of a second when its driver starts.
const TRIAL: gst::ClockTime = gst::ClockTime::from_seconds(5);

/// The encoders known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoder {
    /// NVIDIA's on a graphics card.
    Nvh264,
    /// NVIDIA's on a Jetson.
    Nvv4l2H264,
    /// Intel's and AMD's by VA-API.
    Vah264,
    /// x264, on the processor.
    X264,
    /// Cisco's, on the processor.
    OpenH264,
}

/// An encoder that was tried in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    pub encoder: Encoder,
    /// What it said, and the package to install where that would help.
    pub why: String,
}

impl Encoder {
    /// The order in which they are tried: those that leave the processor free first.
    pub const ORDER: [Self; 5] = [Self::Nvh264, Self::Nvv4l2H264, Self::Vah264, Self::X264, Self::OpenH264];

    /// The name of the GStreamer element.
    pub fn element(self) -> &'static str {
        match self {
            Self::Nvh264 => "nvh264enc",
            Self::Nvv4l2H264 => "nvv4l2h264enc",
            Self::Vah264 => "vah264enc",
            Self::X264 => "x264enc",
            Self::OpenH264 => "openh264enc",
        }
    }

    /// The unit of the element's `bitrate` property, in bit/s.
    fn bitrate_unit(self) -> u32 {
        match self {
            Self::Nvv4l2H264 | Self::OpenH264 => 1,
            Self::Nvh264 | Self::Vah264 | Self::X264 => 1000,
        }
    }

    /// Raw 4:2:0 frames in, one access unit a buffer out, as a pipeline description.
    pub fn description(self, settings: &Settings) -> String {
        let bitrate = self.bitrate(settings.bitrate_kbit_s);
        let (gop, threads) = (settings.key_interval_frames, settings.encoder_threads);
        let options = match self {
            Self::Nvh264 => format!(
                "zerolatency=true bframes=0 aud=false rc-mode=cbr preset=low-latency-hp gop-size={gop}"
            ),
            Self::Nvv4l2H264 => format!(
                "control-rate=1 preset-level=1 maxperf-enable=true insert-sps-pps=true num-B-Frames=0 iframeinterval={gop} \
                 idrinterval={gop}"
            ),
            Self::Vah264 => format!("b-frames=0 aud=false rate-control=cbr target-usage=7 key-int-max={gop}"),
            // The buffer holds 100 ms: a key frame may take three times an ordinary frame's share and no more.
            Self::X264 => format!(
                "tune=zerolatency speed-preset=ultrafast bframes=0 aud=false byte-stream=true vbv-buf-capacity=100 \
                 threads={threads} sliced-threads=true key-int-max={gop}"
            ),
            Self::OpenH264 => format!(
                "usage-type=camera complexity=low rate-control=bitrate enable-frame-skip=false \
                 scene-change-detection=false slice-mode=n-slices num-slices={threads} multi-thread={threads} gop-size={gop}"
            ),
        };
        let mut text = String::from("videoconvert ! ");
        if self == Self::Nvv4l2H264 {
            text.push_str("nvvidconv ! video/x-raw(memory:NVMM),format=NV12 ! ");
        }
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{} name={ELEMENT_NAME} bitrate={bitrate} {options} ! \
             video/x-h264,stream-format=byte-stream,alignment=au,profile=constrained-baseline",
            self.element()
        );
        text
    }

    /// The value of the element's `bitrate` property.
    pub(crate) fn bitrate(self, kbit_s: u32) -> u32 {
        kbit_s.saturating_mul(1000 / self.bitrate_unit())
    }

    /// The first of [`Encoder::ORDER`] that encodes a picture here. Found once a process: a trial can take a second.
    pub fn find() -> Result<Self, VideoError> {
        static FOUND: OnceLock<Encoder> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(*found);
        }
        let found = Self::find_among(&Self::ORDER)?;
        Ok(*FOUND.get_or_init(|| found))
    }

    /// The first of these that encodes a picture here.
    pub fn find_among(order: &[Self]) -> Result<Self, VideoError> {
        crate::init()?;
        let mut tried = Vec::new();
        for &encoder in order {
            match encoder.trial() {
                Ok(()) => return Ok(encoder),
                Err(why) => tried.push(Tried { encoder, why }),
            }
        }
        Err(VideoError::NoEncoder { tried })
    }

    /// Encodes one picture as a capture would, for an element may be there without its device.
    fn trial(self) -> Result<(), String> {
        let element = self.element();
        if gst::ElementFactory::find(element).is_none() {
            return Err(format!("not installed; it is in {}", debian_package(element)));
        }
        let description = format!(
            "videotestsrc num-buffers=1 ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! {} ! fakesink",
            self.description(&Settings::default())
        );
        let pipeline = gst::parse::launch(&description).map_err(|error| error.to_string())?;
        let result = run_to_end(&pipeline);
        // Going to Null cannot fail in a way that would change the answer.
        let _ = pipeline.set_state(gst::State::Null);
        result
    }
}

fn run_to_end(pipeline: &gst::Element) -> Result<(), String> {
    let bus = pipeline.bus().ok_or("it is no pipeline")?;
    let started = pipeline.set_state(gst::State::Playing);
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let timeout = if started.is_ok() { TRIAL } else { gst::ClockTime::ZERO };
    match bus.timed_pop_filtered(timeout, &wanted) {
        Some(message) => match message.view() {
            gst::MessageView::Error(error) => Err(error.error().to_string()),
            _ => Ok(()),
        },
        None if started.is_ok() => Err(format!("a trial picture took more than {TRIAL}")),
        None => Err("it could not be started".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: where no encoder works, the error names each that was tried and the package that would bring it.
    #[test]
    fn a_missing_encoder_is_named_with_its_package() {
        let absent: Vec<Encoder> = [Encoder::Nvh264, Encoder::Nvv4l2H264]
            .into_iter()
            .filter(|encoder| crate::init().is_ok() && gst::ElementFactory::find(encoder.element()).is_none())
            .collect();
        let error = Encoder::find_among(&absent).unwrap_err().to_string();
        for encoder in absent {
            assert!(
                error.contains(encoder.element()) && error.contains(debian_package(encoder.element())),
                "{error}"
            );
        }
    }

    /// Goal: the same rate means the same to encoders that count in bits and in kilobits.
    #[test]
    fn each_encoder_is_told_the_rate_in_its_own_unit() {
        assert_eq!(Encoder::X264.bitrate(4000), 4000);
        assert_eq!(Encoder::OpenH264.bitrate(4000), 4_000_000);
    }
}

//! The pipeline from raw pictures to access units.

use crate::encoder::{ELEMENT_NAME, Encoder};
use crate::error::VideoError;
use crate::hub::{Hub, RawPicture};
use crate::intake::{app_sink, broken, launch, named, running_time};
use crate::note::Notes;
use crate::output::{Ends, Event};
use crate::settings::Settings;
use crate::stamp::{self, Plane};
use crate::timeline::FrameTime;
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

/// A running encoder.
#[derive(Debug)]
pub(crate) struct Encode {
    pipeline: gst::Pipeline,
    element: gst::Element,
    input: gst_app::AppSrc,
    encoder: Encoder,
}

impl Encode {
    /// Builds and starts the pipeline; it waits for its first picture.
    pub(crate) fn start(encoder: Encoder, settings: &Settings, ends: &Ends) -> Result<Self, VideoError> {
        let description = format!(
            "appsrc name=raw is-live=true format=time ! {} ! appsink name=coded",
            encoder.description(settings)
        );
        let pipeline = launch(&description)?;
        let element = named(&pipeline, ELEMENT_NAME)?;
        let input = named(&pipeline, "raw")?.downcast().map_err(|_| broken("raw is no appsrc"))?;
        app_sink(&pipeline, "coded")?.set_callbacks(callbacks(encoder, ends));
        ends.notes.listen_to_encoder(&pipeline, encoder.element())?;
        let failed = |error: gst::StateChangeError| VideoError::Encoder {
            encoder: encoder.element(),
            why: error.to_string(),
        };
        pipeline.set_state(gst::State::Playing).map_err(failed)?;
        Ok(Self { pipeline, element, input, encoder })
    }

    pub(crate) fn encoder(&self) -> Encoder {
        self.encoder
    }

    pub(crate) fn stop(&self) {
        // Going to Null cannot be refused; what remains to be said has been said.
        let _ = self.pipeline.set_state(gst::State::Null);
    }

    /// The next picture that goes in becomes a key frame.
    pub(crate) fn force_key_unit(&self) {
        let event = gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
        if !self.element.static_pad("src").is_some_and(|pad| pad.send_event(event)) {
            tracing::warn!(
                encoder = self.encoder.element(),
                "the encoder did not take the request for a key frame"
            );
        }
    }

    pub(crate) fn set_bitrate_kbit_s(&self, kbit_s: u32) {
        self.element.set_property("bitrate", self.encoder.bitrate(kbit_s));
    }

    /// **Runs until the hub has no further picture: feeds each to the encoder, then the end of the stream.**
    pub(crate) fn feed(&self, hub: &Hub, stamped: bool, notes: &Notes) {
        while let Some((picture, time, begins_anew)) = hub.next_picture() {
            if begins_anew {
                tracing::info!(encoder = self.encoder.element(), "the camera's pictures are encoded anew");
                self.force_key_unit();
            }
            let pushed = prepared(picture, time, stamped).and_then(|sample| {
                self.input
                    .push_sample(&sample)
                    .map_err(|flow| format!("it takes no further picture ({flow})"))
            });
            if let Err(why) = pushed {
                notes.encoder_failed(self.encoder.element(), why);
                return;
            }
        }
        // Refused only while the pipeline is being taken down.
        let _ = self.input.end_of_stream();
    }
}

/// The picture with the presentation time that brings its other times back, and with its stamp.
fn prepared(picture: RawPicture, time: FrameTime, stamped: bool) -> Result<gst::Sample, String> {
    let caps = picture.sample.caps_owned().ok_or("a picture came without its format")?;
    let mut buffer = picture.sample.buffer_owned().ok_or("a picture came without content")?;
    // The sample's own hold on the buffer would force a copy.
    drop(picture);
    let writable = buffer.make_mut();
    writable.set_pts(gst::ClockTime::from_useconds(time.pts_us));
    writable.set_dts(gst::ClockTime::NONE);
    if stamped {
        draw_stamp(writable, &caps, time.capture_us)?;
    }
    Ok(gst::Sample::builder().buffer(&buffer).caps(&caps).build())
}

fn draw_stamp(buffer: &mut gst::BufferRef, caps: &gst::Caps, tick_us: u64) -> Result<(), String> {
    let info = gst_video::VideoInfo::from_caps(caps).map_err(|error| error.to_string())?;
    let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, &info)
        .map_err(|error| error.to_string())?;
    let width = info.width() as usize;
    let bytes_per_sample = if info.format() == gst_video::VideoFormat::Nv12 { 2 } else { 1 };
    for plane in 0..frame.n_planes() {
        let stride = frame.plane_stride()[plane as usize].unsigned_abs() as usize;
        let data = frame.plane_data_mut(plane).map_err(|error| error.to_string())?;
        match plane {
            0 => {
                stamp::draw_luma(Plane { data, stride }, width, tick_us).map_err(|error| error.to_string())?
            }
            _ => stamp::clear_chroma(Plane { data, stride }, width, bytes_per_sample),
        }
    }
    Ok(())
}

fn callbacks(encoder: Encoder, ends: &Ends) -> gst_app::AppSinkCallbacks {
    let (sample_ends, ends) = (ends.clone(), ends.clone());
    gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            deliver(&sample_ends, sample).map_err(|why| {
                sample_ends.notes.encoder_failed(encoder.element(), why);
                gst::FlowError::Error
            })
        })
        .eos(move |_| {
            // Without an end of its own the capture is being stopped, and nobody waits for a last word.
            if let Some(event) = ends.hub.the_end() {
                ends.port.finish(event);
            }
        })
        .build()
}

/// Hands one access unit to the consumer, waiting for it if need be.
fn deliver(ends: &Ends, sample: gst::Sample) -> Result<gst::FlowSuccess, String> {
    let running = running_time(&sample).ok_or("it gave a frame without a time")?;
    let buffer = sample.buffer_owned().ok_or("it gave a frame without content")?;
    let mapped = buffer.into_mapped_buffer_readable().map_err(|_| "its frame could not be read")?;
    let time = ends.hub.deliver(running.useconds()).map_err(|unknown| {
        format!("it gave a frame with a time that no picture had ({} µs)", unknown.pts_us)
    })?;
    let Some(time) = time else { return Ok(gst::FlowSuccess::Ok) };
    let sent = ends.send(Bytes::from_owner(mapped), time);
    ends.hub.delivered();
    sent.map_err(|error| error.to_string())?;
    Ok(gst::FlowSuccess::Ok)
}

impl From<VideoError> for Event {
    fn from(error: VideoError) -> Self {
        Self::Stopped(error)
    }
}

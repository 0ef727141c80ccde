//! GStreamer's `webrtcsink`, given the same pictures and the same encoder as Farhand, so that `farhand bench video` can show one
//! beside the other. `tests/browser/beside.mjs` starts it, and measures both.
//!
//! ```text
//! file → decode → 4:2:0 pictures → paced → stamp → webrtcsink, with the encoder as farhand-video sets it → the browser
//! ```
//!
//! Where there was a choice it is in webrtcsink's favour: there is no rate to be found out; no FEC, though Farhand sends some; and its
//! input does not hold pictures back for 20 ms, as it does where nobody tells it otherwise (`--plain`).

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use farhand_video::stamp::{self, Plane};
use farhand_video::{Encoder, Settings};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

const USAGE: &str = "Usage: farhand-webrtcsink FILE PORT [--plain]
Plays a recording again and again for whoever comes; signalling is on that port of 127.0.0.1.
--plain   its input holds pictures back as long as it does by itself";
const LOOPBACK: &str = "127.0.0.1";
/// As Farhand takes a recording in. Behind `paced` a picture's turn has come.
const PIPELINE: &str = "filesrc name=head ! decodebin ! videoconvert ! videoscale ! \
     video/x-raw,format=I420,pixel-aspect-ratio=1/1 ! clocksync name=paced ! webrtcsink name=sink";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (file, port, plain) = match arguments.as_slice() {
        [file, port] => (file, port, false),
        [file, port, plain] if plain == "--plain" => (file, port, true),
        _ => bail!(USAGE),
    };
    let port: u32 = port.parse().with_context(|| format!("the port {port}"))?;
    gst::init()?;
    gstrswebrtc::plugin_register_static()?;
    let pipeline = gst::parse::launch(PIPELINE)?
        .downcast::<gst::Pipeline>()
        .map_err(|_| anyhow!("the description makes no pipeline"))?;
    named(&pipeline, "head")?.set_property("location", file);
    let sink = named(&pipeline, "sink")?;
    configure(&sink, port)?;
    if !plain {
        let_through_at_once(&sink)?;
    }
    stamp_what_leaves(&named(&pipeline, "paced")?)?;
    play(&pipeline)
}

fn named(pipeline: &gst::Pipeline, name: &str) -> anyhow::Result<gst::Element> {
    pipeline.by_name(name).with_context(|| format!("there is no element {name}"))
}

/// H.264 at Farhand's rate, by Farhand's encoder, over loopback alone.
fn configure(sink: &gst::Element, port: u32) -> anyhow::Result<()> {
    // What `farhand up` has its edge box use.
    let settings = Settings::default();
    sink.set_property("video-caps", gst::Caps::new_empty_simple("video/x-h264"));
    sink.set_property_from_str("congestion-control", "disabled");
    for rate in ["min-bitrate", "start-bitrate", "max-bitrate"] {
        sink.set_property(rate, settings.bitrate_kbit_s * 1_000);
    }
    sink.set_property("do-fec", false);
    sink.set_property("stun-server", None::<&str>);
    sink.set_property("run-signalling-server", true);
    sink.set_property("signalling-server-host", LOOPBACK);
    sink.set_property("signalling-server-port", port);
    use_encoder(sink, Encoder::find()?, &settings)?;
    sink.connect("consumer-added", false, |values| {
        let peer: gst::Element = values.get(2)?.get().ok()?;
        peer.property::<gst::Object>("ice-agent").emit_by_name::<bool>("add-local-ip-address", &[&LOOPBACK]);
        None
    });
    Ok(())
}

/// A sink that waits for the clock gives what is before it 20 ms, and webrtcsink's input has such a sink: every picture is so much
/// later, though nothing needs the time.
fn let_through_at_once(sink: &gst::Element) -> anyhow::Result<()> {
    let bin = sink.downcast_ref::<gst::Bin>().context("webrtcsink is no bin")?;
    let mut inputs = bin.iterate_sinks().into_iter().flatten();
    let input = inputs.next().context("webrtcsink has no input")?;
    input.set_property("processing-deadline", gst::ClockTime::ZERO);
    Ok(())
}

/// Every encoder that webrtcsink makes is Farhand's own choice, and is told what Farhand tells it.
fn use_encoder(sink: &gst::Element, encoder: Encoder, settings: &Settings) -> anyhow::Result<()> {
    let factory = gst::ElementFactory::find(encoder.element()).context("the encoder is gone")?;
    // webrtcsink takes the one with the highest.
    factory.set_rank(gst::Rank::PRIMARY + 1_000);
    let options = options(&encoder.description(settings), encoder.element())?;
    sink.connect("encoder-setup", false, move |values| {
        let encoder: gst::Element = values.get(3)?.get().ok()?;
        if encoder.factory().as_ref() != Some(&factory) {
            gst::element_error!(encoder, gst::LibraryError::Settings, ["this is not Farhand's encoder"]);
        }
        for (name, value) in &options {
            encoder.set_property_from_str(name, value);
        }
        // webrtcsink's own settings are left out.
        Some(true.to_value())
    });
    Ok(())
}

/// What a pipeline's description tells an element, but for its name.
fn options(description: &str, element: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut parts = description.split(" ! ").map(str::split_whitespace);
    let words = parts.find_map(|mut words| (words.next() == Some(element)).then_some(words));
    let pairs = words.with_context(|| format!("there is no {element} in {description}"))?;
    let pairs = pairs.filter_map(|word| word.split_once('=')).filter(|(name, _)| *name != "name");
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn stamp_what_leaves(paced: &gst::Element) -> anyhow::Result<()> {
    let pad = paced.static_pad("src").context("there is no way out of clocksync")?;
    pad.add_probe(gst::PadProbeType::BUFFER, |pad, info| {
        let now = SystemTime::now();
        let Some(buffer) = info.buffer_mut() else { return gst::PadProbeReturn::Ok };
        match stamped(pad, buffer.make_mut(), now) {
            Ok(()) => gst::PadProbeReturn::Ok,
            Err(error) => {
                if let Some(element) = pad.parent_element() {
                    gst::element_error!(element, gst::StreamError::Failed, ["{error:#}"]);
                }
                gst::PadProbeReturn::Drop
            }
        }
    });
    Ok(())
}

/// Draws the moment into the picture as Farhand's capture does; here it is on the system's clock.
fn stamped(pad: &gst::Pad, buffer: &mut gst::BufferRef, now: SystemTime) -> anyhow::Result<()> {
    let tick_us = now.duration_since(UNIX_EPOCH)?.as_micros() as u64;
    let caps = pad.current_caps().context("a picture came without its format")?;
    let info = gst_video::VideoInfo::from_caps(&caps)?;
    let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, &info)?;
    let width = info.width() as usize;
    for plane in 0..frame.n_planes() {
        let stride = frame.plane_stride()[plane as usize].unsigned_abs() as usize;
        let data = frame.plane_data_mut(plane)?;
        match plane {
            0 => stamp::draw_luma(Plane { data, stride }, width, tick_us)?,
            _ => stamp::clear_chroma(Plane { data, stride }, width, 1),
        }
    }
    Ok(())
}

/// **Runs until something fails: plays the recording, and when it has been played, again.**
fn play(pipeline: &gst::Pipeline) -> anyhow::Result<()> {
    let bus = pipeline.bus().context("a pipeline without a bus")?;
    pipeline.set_state(gst::State::Playing)?;
    let mut begun = false;
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            // From here on in segments: their end, unlike the stream's, can be followed by another.
            gst::MessageView::StreamStart(_) if !begun => {
                begun = true;
                pipeline
                    .seek_simple(gst::SeekFlags::FLUSH | gst::SeekFlags::SEGMENT, gst::ClockTime::ZERO)?;
            }
            gst::MessageView::SegmentDone(_) => {
                pipeline.seek_simple(gst::SeekFlags::SEGMENT, gst::ClockTime::ZERO)?;
            }
            gst::MessageView::Error(error) => bail!("{} ({:?})", error.error(), error.debug()),
            gst::MessageView::Eos(_) => bail!("the recording can't be played again"),
            _ => {}
        }
    }
    Ok(())
}

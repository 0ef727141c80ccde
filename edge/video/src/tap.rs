//! Pictures for whoever looks at them beside their way to the surgeon.
//!
//! **Invariant (local):** the way to the encoder never waits here. A picture is left only for somebody who waits for one, so it is
//! the newest there is, and none is kept from its source while nobody looks.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use crate::{VideoError, intake::broken, timeline::FrameTime};

/// Where pictures can be looked at; give it to a capture in [`crate::Settings::tap`]. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Tap(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    wanted: bool,
    picture: Option<Tapped>,
}

/// A picture as it goes to the encoder.
#[derive(Debug)]
pub struct Tapped {
    /// As its access unit will have it.
    pub rtp_timestamp: u32,
    /// µs since the edge's clock began.
    pub capture_us: u64,
    sample: gst::Sample,
}

impl Tap {
    /// The next picture that goes to an encoder, waiting for it so long at most.
    #[must_use]
    pub fn next(&self, within: Duration) -> Option<Tapped> {
        let mut slot = crate::lock(&self.0.slot);
        slot.wanted = true;
        let waited = self.0.changed.wait_timeout_while(slot, within, |slot| slot.picture.is_none());
        slot = waited.unwrap_or_else(PoisonError::into_inner).0;
        slot.wanted = false;
        slot.picture.take()
    }

    pub(crate) fn offer(&self, sample: &gst::Sample, time: FrameTime) {
        let mut slot = crate::lock(&self.0.slot);
        if !std::mem::take(&mut slot.wanted) {
            return;
        }
        let (rtp_timestamp, capture_us) = (time.pts_90khz(), time.capture_us);
        slot.picture = Some(Tapped { rtp_timestamp, capture_us, sample: sample.clone() });
        self.0.changed.notify_all();
    }
}

impl Tapped {
    /// Copies it as NV12 without padding, whichever of both 4:2:0 layouts it has, and gives its width and height. `left`: its left half
    /// alone, which is the left eye's picture. What the source lent goes back to it.
    ///
    /// # Errors
    /// [`VideoError::Pipeline`] if it is no such picture.
    pub fn into_nv12(self, left: bool, nv12: &mut Vec<u8>) -> Result<(usize, usize), VideoError> {
        let broke = |error: gst::glib::BoolError| broken(&error.to_string());
        let caps = self.sample.caps().ok_or_else(|| broken("a picture came without its format"))?;
        let info = gst_video::VideoInfo::from_caps(caps).map_err(broke)?;
        let buffer = self.sample.buffer().ok_or_else(|| broken("a picture came without content"))?;
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).map_err(broke)?;
        let height = info.height() as usize;
        // Even, as 4:2:0 is.
        let width = if left { info.width() as usize / 4 * 2 } else { info.width() as usize };
        nv12.clear();
        copy_rows(&frame, 0, width, height, nv12)?;
        if info.format() == gst_video::VideoFormat::Nv12 {
            copy_rows(&frame, 1, width, height / 2, nv12)?;
        } else {
            interleave(&frame, width / 2, height / 2, nv12)?;
        }
        Ok((width, height))
    }
}

type Readable<'a> = gst_video::VideoFrameRef<&'a gst::BufferRef>;

/// A plane's rows, each from its beginning.
fn rows<'a>(frame: &'a Readable<'_>, plane: u32) -> Result<std::slice::Chunks<'a, u8>, VideoError> {
    let data = frame.plane_data(plane).map_err(|error| broken(&error.to_string()))?;
    let stride = frame.plane_stride().get(plane as usize).map_or(0, |stride| stride.unsigned_abs() as usize);
    if stride == 0 {
        return Err(broken("a picture's rows have no length"));
    }
    Ok(data.chunks(stride))
}

fn copy_rows(
    frame: &Readable<'_>,
    plane: u32,
    bytes: usize,
    count: usize,
    into: &mut Vec<u8>,
) -> Result<(), VideoError> {
    let mut seen = 0;
    for row in rows(frame, plane)?.take(count) {
        into.extend_from_slice(row.get(..bytes).ok_or_else(short)?);
        seen += 1;
    }
    if seen == count { Ok(()) } else { Err(short()) }
}

/// Two planes of colour as pairs.
fn interleave(
    frame: &Readable<'_>,
    width: usize,
    height: usize,
    into: &mut Vec<u8>,
) -> Result<(), VideoError> {
    let mut seen = 0;
    for (blue, red) in rows(frame, 1)?.zip(rows(frame, 2)?).take(height) {
        let pairs = blue.get(..width).zip(red.get(..width)).ok_or_else(short)?;
        into.extend(pairs.0.iter().zip(pairs.1).flat_map(|(blue, red)| [*blue, *red]));
        seen += 1;
    }
    if seen == height { Ok(()) } else { Err(short()) }
}

fn short() -> VideoError {
    broken("a picture is smaller than its format says")
}

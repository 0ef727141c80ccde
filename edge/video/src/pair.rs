//! What two eyes see at one moment, as one picture: the left eye's in its left half.
//!
//! A pair waits for nobody: an eye's picture waits for the other's, and is given up for its own next one. What is late with one eye
//! is told by silence, as of one camera.

use crate::error::VideoError;
use crate::hub::{Closed, Hub, RawPicture};
use crate::intake::broken;
use crate::note::Notes;
use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Pictures of one moment were taken no farther apart: half a frame at 30 a second, which is the most where cameras keep no common
/// time.
const APART_MAX: Duration = Duration::from_millis(17);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eye {
    Left,
    Right,
}

/// Whoever of two comes first waits for the other. Pure: time is an argument.
#[derive(Debug)]
struct Pairing<T> {
    waiting: Option<(Eye, Instant, T)>,
}

impl<T> Pairing<T> {
    /// Both, the left one first, if this one's other is there.
    fn put(&mut self, eye: Eye, taken: Instant, one: T) -> Option<[T; 2]> {
        match self.waiting.take() {
            Some((before, at, other)) if before != eye && apart(at, taken) <= APART_MAX => {
                Some(if eye == Eye::Right { [other, one] } else { [one, other] })
            }
            _ => {
                self.waiting = Some((eye, taken, one));
                None
            }
        }
    }
}

fn apart(one: Instant, other: Instant) -> Duration {
    one.max(other).duration_since(one.min(other))
}

/// Between two sources and the hub.
#[derive(Debug)]
pub(crate) struct Pair {
    hub: Arc<Hub>,
    notes: Notes,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pairing: Pairing<RawPicture>,
    /// The eyes' pictures fitted once: where they do not, one is just changing its size.
    fitted: bool,
}

impl Pair {
    pub(crate) fn new(hub: Arc<Hub>, notes: Notes) -> Self {
        let state = State { pairing: Pairing { waiting: None }, fitted: false };
        Self { hub, notes, state: Mutex::new(state) }
    }

    pub(crate) fn put(&self, eye: Eye, picture: RawPicture) -> Result<(), Closed> {
        let mut state = crate::lock(&self.state);
        let Some([left, right]) = state.pairing.put(eye, picture.capture, picture) else { return Ok(()) };
        match join(&left.sample, &right.sample) {
            Ok(sample) => {
                state.fitted = true;
                // The older: no age is told as less than it is.
                self.hub.put(RawPicture { sample, capture: left.capture.min(right.capture), ..left })
            }
            Err(_) if state.fitted => Ok(()),
            Err(error) => {
                self.notes.source_failed(error);
                Ok(())
            }
        }
    }
}

/// One picture, twice as wide.
fn join(left: &gst::Sample, right: &gst::Sample) -> Result<gst::Sample, VideoError> {
    let broke = |error: gst::glib::BoolError| broken(&error.to_string());
    let info = |sample: &gst::Sample| {
        let caps = sample.caps().ok_or_else(|| broken("a picture came without its format"))?;
        gst_video::VideoInfo::from_caps(caps).map_err(broke)
    };
    let infos = [info(left)?, info(right)?];
    let form = |info: &gst_video::VideoInfo| (info.format(), info.width(), info.height());
    if form(&infos[0]) != form(&infos[1]) {
        let [left, right] = infos.each_ref().map(|info| format!("{} x {}", info.width(), info.height()));
        return Err(VideoError::EyesDiffer { left, right });
    }
    let (format, width, height) = form(&infos[0]);
    let both = gst_video::VideoInfo::builder(format, 2 * width, height)
        .fps(infos[0].fps())
        .colorimetry(&infos[0].colorimetry())
        .build()
        .map_err(broke)?;
    let mut buffer = gst::Buffer::with_size(both.size()).map_err(broke)?;
    {
        let writable = buffer.get_mut().ok_or_else(|| broken("a new picture is somebody else's"))?;
        let mut into = gst_video::VideoFrameRef::from_buffer_ref_writable(writable, &both).map_err(broke)?;
        for (side, (sample, info)) in [left, right].into_iter().zip(&infos).enumerate() {
            let content = sample.buffer().ok_or_else(|| broken("a picture came without content"))?;
            let from = gst_video::VideoFrameRef::from_buffer_ref_readable(content, info).map_err(broke)?;
            copy(&from, &mut into, side)?;
        }
    }
    let caps = both.to_caps().map_err(broke)?;
    Ok(gst::Sample::builder().buffer(&buffer).caps(&caps).build())
}

type Readable<'a> = gst_video::VideoFrameRef<&'a gst::BufferRef>;
type Writable<'a> = gst_video::VideoFrameRef<&'a mut gst::BufferRef>;

/// Rows into their half, plane by plane.
fn copy(from: &Readable<'_>, into: &mut Writable<'_>, side: usize) -> Result<(), VideoError> {
    let broke = |error: gst::glib::BoolError| broken(&error.to_string());
    for plane in 0..from.n_planes() {
        let at = plane as usize;
        let bytes = (from.comp_width(plane) * from.comp_pstride(plane).unsigned_abs()) as usize;
        let (read, write) = (stride(from.plane_stride(), at), stride(into.plane_stride(), at));
        let rows = from.plane_data(plane).map_err(broke)?.chunks(read);
        let halves = into.plane_data_mut(plane).map_err(broke)?.chunks_mut(write);
        for (row, half) in rows.zip(halves).take(from.comp_height(plane) as usize) {
            let half = half.get_mut(side * bytes..(side + 1) * bytes);
            let (half, row) = half.zip(row.get(..bytes)).ok_or_else(short)?;
            half.copy_from_slice(row);
        }
    }
    Ok(())
}

fn short() -> VideoError {
    broken("a picture is smaller than its format says")
}

fn stride(strides: &[i32], plane: usize) -> usize {
    strides.get(plane).map_or(1, |stride| stride.unsigned_abs().max(1) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(steps: &[(Eye, u64)]) -> Vec<[u64; 2]> {
        let start = Instant::now();
        let mut pairing = Pairing { waiting: None };
        steps
            .iter()
            .filter_map(|&(eye, ms)| pairing.put(eye, start + Duration::from_millis(ms), ms))
            .collect()
    }

    /// Goal: of two eyes, whichever comes first, those pictures become one that were taken at about the same time.
    #[test]
    fn pictures_of_one_moment_become_one() {
        use Eye::{Left, Right};
        assert_eq!(paired(&[(Left, 0), (Right, 2), (Right, 33), (Left, 34)]), [[0, 2], [34, 33]]);
        // No common time: each with the nearer one.
        assert_eq!(
            paired(&[(Left, 0), (Right, 20), (Left, 33), (Right, 53), (Left, 66)]),
            [[33, 20], [66, 53]]
        );
    }

    /// Goal: an eye alone makes no picture, and what it left behind is not put to a later one of the other.
    #[test]
    fn an_eye_alone_makes_no_picture() {
        use Eye::{Left, Right};
        assert!(paired(&[(Left, 0), (Left, 33), (Left, 66), (Right, 100)]).is_empty());
    }
}

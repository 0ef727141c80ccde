//! The newest key frame and what followed it: what a decoder needs to show the last of them.

use farhand_ledger::{FrameEntry, picture};

use crate::mp4::Picture;

/// No video is longer: half a minute.
const FRAMES_MAX: usize = 1800;
/// Nor has it more bytes.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Pictures from a key frame on, as long as nothing is missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Following {
    pub(crate) pictures: Vec<Picture>,
    bytes: usize,
    newest: u64,
    /// Whether every picture has the hash that its leaf says.
    pub(crate) matching: bool,
}

impl Following {
    pub(crate) fn take(&mut self, frame: &FrameEntry, unit: Vec<u8>) {
        let matching = picture::hashes(&unit).picture_hash == frame.picture_hash;
        if frame.key_frame {
            *self = Self { matching: true, ..Self::default() };
        } else if self.pictures.is_empty() || frame.frame.0 != self.newest + 1 {
            return self.pictures.clear();
        }
        self.newest = frame.frame.0;
        self.matching &= matching;
        self.bytes += unit.len();
        self.pictures.push(Picture { unit, captured_us: frame.captured.0 });
        if self.pictures.len() > FRAMES_MAX || self.bytes > BYTES_MAX {
            self.pictures.clear();
        }
    }

    /// Whether they end in that frame.
    pub(crate) fn ends_in(&self, frame: u64) -> bool {
        self.newest == frame && !self.pictures.is_empty()
    }
}

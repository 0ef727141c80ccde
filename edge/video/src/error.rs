//! What can go wrong, said so that a person can mend it: what, where, what to do.

use crate::encoder::Tried;
use std::path::PathBuf;

/// Why there is no picture, or no longer one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VideoError {
    /// GStreamer itself could not start.
    #[error("GStreamer could not be started: {why}; install the Debian package libgstreamer1.0-0")]
    NoGstreamer { why: String },
    /// A plugin is not installed.
    #[error("GStreamer has no element '{element}'; install the Debian package {package}")]
    MissingElement { element: String, package: &'static str },
    /// No H.264 encoder works here.
    #[error("no H.264 encoder works on this machine:{}", list(.tried))]
    NoEncoder { tried: Vec<Tried> },
    /// A setting is outside its range.
    #[error("the video setting {name} is {seen}, it must be {allowed}")]
    BadSetting { name: &'static str, seen: String, allowed: &'static str },
    /// The file cannot be opened or read.
    #[error("the video file '{}' cannot be read: {why}", .path.display())]
    Unreadable { path: PathBuf, why: String },
    /// A folder, a device or the like.
    #[error("'{}' is not a file; give the path of a video file", .path.display())]
    NotAFile { path: PathBuf },
    /// Nothing in it.
    #[error("the video file '{}' is empty", .path.display())]
    EmptyFile { path: PathBuf },
    /// Shorter than it says itself.
    #[error("the video file '{}' is cut off: it should have at least {stated_bytes} bytes and has {file_bytes}; \
             copy it again from where it came", .path.display())]
    Truncated { path: PathBuf, stated_bytes: u64, file_bytes: u64 },
    /// The recorder did not finish it.
    #[error("the video file '{}' has no index (no 'moov' box): its recording was never finished", .path.display())]
    NoIndex { path: PathBuf },
    /// It played for a shorter time than it says itself.
    #[error(
        "the video '{source_text}' ended after {played_ms} ms of {stated_ms} ms: it is cut off or damaged; \
             copy it again from where it came"
    )]
    CutShort { source_text: String, played_ms: u64, stated_ms: u64 },
    /// The bytes are no video.
    #[error("'{source_text}' is not a video: {why}")]
    NotAVideo { source_text: String, why: String },
    /// A video that nothing here can decode.
    #[error(
        "'{source_text}' is coded in a way that this machine cannot decode ({codec}); install the Debian package \
             gstreamer1.0-libav, or convert the video to H.264"
    )]
    UnsupportedCodec { source_text: String, codec: String },
    /// It begins as a video and cannot be played.
    #[error(
        "the video '{source_text}' cannot be played: {why}; it is damaged or cut off, copy it again from where it came"
    )]
    Damaged { source_text: String, why: String },
    /// The camera, network sender or simulator is not there.
    #[error(
        "the video source '{source_text}' cannot be opened: {why}; check that it is connected and running"
    )]
    SourceUnavailable { source_text: String, why: String },
    /// It was there and is gone.
    #[error("the video source '{source_text}' stopped: {why}; start it again, then the capture")]
    SourceStopped { source_text: String, why: String },
    /// It is there and sends nothing.
    #[error(
        "the video source '{source_text}' sent no picture within {within_ms} ms; check that it is sending"
    )]
    NoPicture { source_text: String, within_ms: u64 },
    /// Raw frames of another size than agreed.
    #[error(
        "the video source '{source_text}' sent a frame of {seen_bytes} bytes where its width, height and format make \
             {expected_bytes}; give both ends the same"
    )]
    FrameSize { source_text: String, seen_bytes: usize, expected_bytes: usize },
    /// Two eyes that are not of a kind.
    #[error("the left eye's pictures are {left}, the right one's {right}; set both cameras to the same size")]
    EyesDiffer { left: String, right: String },
    /// It cannot be played over and over.
    #[error(
        "'{source_text}' cannot be played in a loop: its format has no way back to the beginning; convert it to MP4"
    )]
    NotLoopable { source_text: String },
    /// Encoding failed.
    #[error("the H.264 encoder {encoder} failed: {why}")]
    Encoder { encoder: &'static str, why: String },
    /// The encoder takes frames and gives none.
    #[error("the H.264 encoder {encoder} has given no frame for {ms} ms")]
    EncoderSilent { encoder: &'static str, ms: u64 },
    /// A pipeline could not be built or run for a reason that none of the others names.
    #[error("the video pipeline failed: {why}")]
    Pipeline { why: String },
}

fn list(tried: &[Tried]) -> String {
    tried.iter().map(|one| format!("\n  {}: {}", one.encoder.element(), one.why)).collect()
}

/// The Debian package that has a GStreamer element used here.
pub(crate) fn debian_package(element: &str) -> &'static str {
    match element {
        "x264enc" => "gstreamer1.0-plugins-ugly",
        "openh264enc" | "nvh264enc" | "vah264enc" | "shmsrc" | "shmsink" | "srtsrc" | "h264parse" => {
            "gstreamer1.0-plugins-bad"
        }
        "rtspsrc" | "v4l2src" | "udpsrc" | "rtph264depay" | "rtpjitterbuffer" | "qtdemux" => {
            "gstreamer1.0-plugins-good"
        }
        "avdec_h264" => "gstreamer1.0-libav",
        "nvv4l2h264enc" | "nvvidconv" => "nvidia-l4t-gstreamer (NVIDIA's, on Jetson only)",
        _ => "gstreamer1.0-plugins-base",
    }
}

//! Where the picture comes from, as people type it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The forms a source is typed in, for help texts.
pub const FORMS: &str = "PATH or file:PATH (both with ?loop), shm:SOCKET?width=W&height=H&fps=F[&format=NV12|I420], \
     test[?width=W&height=H&fps=F], v4l2:DEVICE, rtsp://HOST/…, srt://HOST:PORT…, rtp:PORT (H.264), \
     stereo:LEFT|RIGHT (any two of these), stereo:BOTH (one that has both eyes side by side)";

/// Pixels on a side, least and most. Narrower holds no picture worth operating by, wider no H.264 level up to 5.2.
pub const SIDE_PX: std::ops::RangeInclusive<u32> = 16..=4096;
/// Frames a second, least and most.
pub const FPS: std::ops::RangeInclusive<u32> = 1..=240;

/// A source of pictures. [`FORMS`] lists what is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A recording, played at its own rate: once, or over and over.
    File { path: PathBuf, looped: bool },
    /// Raw frames from GStreamer's `shmsink`, which carries no caps: both ends must agree on them. A buffer is one
    /// frame, progressive, with square pixels, in BT.709 colours of limited range (black 16, white 235).
    Shm { socket: PathBuf, frame: RawFrame },
    /// GStreamer's moving test picture.
    Test { size: FrameSize },
    /// A camera or grabber of this machine.
    V4l2 { device: PathBuf },
    /// A camera on the network that speaks RTSP. Its H.264, like that of the two below, goes on as it came where that can be shown.
    Rtsp { uri: String },
    /// An MPEG transport stream over SRT; the mode is in the URI, as GStreamer's `srtsrc` has it.
    Srt { uri: String },
    /// H.264 in RTP packets of payload type 96, sent to this UDP port.
    Rtp { port: u16 },
    /// What two eyes see, of one size and format: one picture, the left eye's in its left half.
    Pair { left: Box<Source>, right: Box<Source> },
    /// A source whose pictures are such ones already.
    Paired { both: Box<Source> },
}

/// Size and rate of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSize {
    pub width: u32,
    pub height: u32,
    pub fps: u32,
}

/// What a raw frame looks like in memory: planes without padding between rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFrame {
    pub size: FrameSize,
    pub format: RawFormat,
}

/// The raw formats taken over shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawFormat {
    /// A luma plane, then U and V interleaved.
    Nv12,
    /// A luma plane, then U, then V.
    I420,
}

/// Why text names no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceParseError {
    /// Nothing was typed.
    #[error("no video source given; write one of: {FORMS}")]
    Empty,
    /// A scheme without what belongs behind it.
    #[error("'{text}' names no {what}; write one of: {FORMS}")]
    Missing { text: String, what: &'static str },
    /// An option that this source does not have.
    #[error("'{option}' is no option of '{scheme}' sources; write one of: {FORMS}")]
    UnknownOption { scheme: &'static str, option: String },
    /// An option's value is not of its kind or outside its range.
    #[error("{option}={value} must be {allowed}")]
    BadValue { option: &'static str, value: String, allowed: String },
    /// Of a pair: a pair itself, or a recording, which would not keep time with another.
    #[error(
        "'{text}' can't be one eye of two: that is a camera or a sender; write stereo:LEFT|RIGHT with two of these, or stereo:BOTH \
         for a source that has both eyes side by side"
    )]
    NotAnEye { text: String },
    /// 4:2:0 pictures have even sides.
    #[error("{option}={value} must be even: the chroma planes have half the size")]
    Odd { option: &'static str, value: u32 },
}

impl FromStr for Source {
    type Err = SourceParseError;

    fn from_str(text: &str) -> Result<Self, SourceParseError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SourceParseError::Empty);
        }
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        match scheme {
            "file" => parse_file(rest),
            "shm" => parse_shm(rest),
            "v4l2" => Ok(Self::V4l2 { device: some_path(text, rest, "device, such as /dev/video0")? }),
            "rtsp" | "rtsps" => Ok(Self::Rtsp { uri: some_host(text)? }),
            "srt" => Ok(Self::Srt { uri: some_host(text)? }),
            "rtp" => parse_rtp(rest),
            "stereo" => parse_stereo(rest),
            _ if text == "test" => parse_test(""),
            _ => match text.strip_prefix("test?") {
                Some(query) => parse_test(query),
                None => parse_file(text),
            },
        }
    }
}

fn parse_file(rest: &str) -> Result<Source, SourceParseError> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let looped = match query {
        "" => false,
        "loop" => true,
        option => return Err(SourceParseError::UnknownOption { scheme: "file", option: option.to_owned() }),
    };
    Ok(Source::File { path: some_path("file:", path, "file")?, looped })
}

fn parse_shm(rest: &str) -> Result<Source, SourceParseError> {
    let (socket, query) = rest.split_once('?').unwrap_or((rest, ""));
    let socket = some_path("shm:", socket, "socket")?;
    let mut options = Options { scheme: "shm", width: None, height: None, fps: None, format: None };
    options.read(query)?;
    let needed = |value: Option<u32>, what| {
        value.ok_or(SourceParseError::Missing { text: format!("shm:{rest}"), what })
    };
    let size = FrameSize {
        width: needed(options.width, "width=")?,
        height: needed(options.height, "height=")?,
        fps: needed(options.fps, "fps=")?,
    };
    Ok(Source::Shm { socket, frame: RawFrame { size, format: options.format.unwrap_or(RawFormat::Nv12) } })
}

fn parse_test(query: &str) -> Result<Source, SourceParseError> {
    let mut options = Options { scheme: "test", width: None, height: None, fps: None, format: None };
    options.read(query)?;
    let size = FrameSize {
        width: options.width.unwrap_or(1280),
        height: options.height.unwrap_or(720),
        fps: options.fps.unwrap_or(30),
    };
    Ok(Source::Test { size })
}

fn parse_rtp(rest: &str) -> Result<Source, SourceParseError> {
    let allowed = "a UDP port from 1 to 65535".to_owned();
    match rest.parse() {
        Ok(port) if port != 0 => Ok(Source::Rtp { port }),
        _ => Err(SourceParseError::BadValue { option: "port", value: rest.to_owned(), allowed }),
    }
}

fn parse_stereo(rest: &str) -> Result<Source, SourceParseError> {
    let parsed = |text: &str, fits: fn(&Source) -> bool| match text.parse()? {
        source if fits(&source) => Ok(Box::new(source)),
        _ => Err(SourceParseError::NotAnEye { text: text.to_owned() }),
    };
    let is_eye = |source: &Source| source.is_live() && !source.is_stereo();
    match rest.split_once('|') {
        Some((left, right)) => {
            Ok(Source::Pair { left: parsed(left, is_eye)?, right: parsed(right, is_eye)? })
        }
        None => Ok(Source::Paired { both: parsed(rest, |source| !source.is_stereo())? }),
    }
}

fn some_path(text: &str, path: &str, what: &'static str) -> Result<PathBuf, SourceParseError> {
    if path.is_empty() {
        return Err(SourceParseError::Missing { text: text.to_owned(), what });
    }
    Ok(path.into())
}

fn some_host(uri: &str) -> Result<String, SourceParseError> {
    match uri.split_once("://") {
        Some((_, host)) if !host.is_empty() => Ok(uri.to_owned()),
        _ => Err(SourceParseError::Missing { text: uri.to_owned(), what: "host behind ://" }),
    }
}

/// The options behind a question mark, each at most once in effect: the last one counts.
struct Options {
    scheme: &'static str,
    width: Option<u32>,
    height: Option<u32>,
    fps: Option<u32>,
    format: Option<RawFormat>,
}

impl Options {
    fn read(&mut self, query: &str) -> Result<(), SourceParseError> {
        query.split('&').filter(|option| !option.is_empty()).try_for_each(|option| self.read_one(option))
    }

    fn read_one(&mut self, option: &str) -> Result<(), SourceParseError> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "width" => self.width = Some(even("width", number("width", value, &SIDE_PX)?)?),
            "height" => self.height = Some(even("height", number("height", value, &SIDE_PX)?)?),
            "fps" => self.fps = Some(number("fps", value, &FPS)?),
            "format" if self.scheme == "shm" => self.format = Some(raw_format(value)?),
            _ => {
                return Err(SourceParseError::UnknownOption {
                    scheme: self.scheme,
                    option: option.to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn number(
    option: &'static str,
    value: &str,
    range: &std::ops::RangeInclusive<u32>,
) -> Result<u32, SourceParseError> {
    value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| SourceParseError::BadValue {
        option,
        value: value.to_owned(),
        allowed: format!("a whole number from {} to {}", range.start(), range.end()),
    })
}

fn even(option: &'static str, value: u32) -> Result<u32, SourceParseError> {
    if value.is_multiple_of(2) { Ok(value) } else { Err(SourceParseError::Odd { option, value }) }
}

fn raw_format(value: &str) -> Result<RawFormat, SourceParseError> {
    match value {
        "NV12" => Ok(RawFormat::Nv12),
        "I420" => Ok(RawFormat::I420),
        _ => Err(SourceParseError::BadValue {
            option: "format",
            value: value.to_owned(),
            allowed: "NV12 or I420".to_owned(),
        }),
    }
}

impl RawFrame {
    /// Bytes in one frame: 4:2:0 has one and a half a pixel.
    pub fn bytes(&self) -> usize {
        self.size.width as usize * self.size.height as usize * 3 / 2
    }
}

impl fmt::Display for RawFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nv12 => "NV12",
            Self::I420 => "I420",
        })
    }
}

impl fmt::Display for FrameSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "width={}&height={}&fps={}", self.width, self.height, self.fps)
    }
}

/// The text that parses to this source again.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, looped } => {
                write!(f, "file:{}{}", path.display(), if *looped { "?loop" } else { "" })
            }
            Self::Shm { socket, frame } => {
                write!(f, "shm:{}?{}&format={}", socket.display(), frame.size, frame.format)
            }
            Self::Test { size } => write!(f, "test?{size}"),
            Self::V4l2 { device } => write!(f, "v4l2:{}", device.display()),
            Self::Rtsp { uri } | Self::Srt { uri } => f.write_str(uri),
            Self::Rtp { port } => write!(f, "rtp:{port}"),
            Self::Pair { left, right } => write!(f, "stereo:{left}|{right}"),
            Self::Paired { both } => write!(f, "stereo:{both}"),
        }
    }
}

impl Source {
    /// A live source cannot be paused and its frames carry the time at which they were taken.
    pub fn is_live(&self) -> bool {
        match self {
            Self::File { .. } => false,
            Self::Paired { both } => both.is_live(),
            _ => true,
        }
    }

    /// A recording that is shown once: its end is the end.
    pub fn plays_once(&self) -> bool {
        match self {
            Self::File { looped, .. } => !looped,
            Self::Paired { both } => both.plays_once(),
            _ => false,
        }
    }

    /// It may bring H.264 that is sent as it came.
    pub fn may_bring_h264(&self) -> bool {
        match self {
            Self::Rtsp { .. } | Self::Srt { .. } | Self::Rtp { .. } => true,
            Self::Paired { both } => both.may_bring_h264(),
            _ => false,
        }
    }

    /// The left half of its pictures is what the left eye sees, the right half what the right one does.
    pub fn is_stereo(&self) -> bool {
        matches!(self, Self::Pair { .. } | Self::Paired { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Source {
        text.parse().unwrap()
    }

    /// Goal: each form that the help text lists means what it says.
    #[test]
    fn every_form_in_the_help_text_is_parsed() {
        assert_eq!(parsed("a/b c.mp4"), Source::File { path: "a/b c.mp4".into(), looped: false });
        assert_eq!(parsed("file:/x.mp4"), Source::File { path: "/x.mp4".into(), looped: false });
        assert_eq!(parsed("file:/x.mp4?loop"), Source::File { path: "/x.mp4".into(), looped: true });
        assert_eq!(parsed("x.mp4?loop"), Source::File { path: "x.mp4".into(), looped: true });
        assert_eq!(parsed("C:x.mp4"), Source::File { path: "C:x.mp4".into(), looped: false });
        let size = FrameSize { width: 960, height: 540, fps: 25 };
        let frame = RawFrame { size, format: RawFormat::I420 };
        assert_eq!(
            parsed("shm:/run/cam?width=960&height=540&fps=25&format=I420"),
            Source::Shm { socket: "/run/cam".into(), frame }
        );
        assert_eq!(parsed("test"), Source::Test { size: FrameSize { width: 1280, height: 720, fps: 30 } });
        assert_eq!(parsed("test?fps=25&width=960&height=540"), Source::Test { size });
        assert_eq!(parsed("v4l2:/dev/video0"), Source::V4l2 { device: "/dev/video0".into() });
        assert_eq!(parsed("rtsp://cam:554/a?b=c"), Source::Rtsp { uri: "rtsp://cam:554/a?b=c".into() });
        assert_eq!(
            parsed("srt://:7001?mode=listener"),
            Source::Srt { uri: "srt://:7001?mode=listener".into() }
        );
        assert_eq!(parsed("rtp:5004"), Source::Rtp { port: 5004 });
        let [left, right] = [5004, 5006].map(|port| Box::new(Source::Rtp { port }));
        assert_eq!(parsed("stereo:rtp:5004|rtp:5006"), Source::Pair { left: left.clone(), right });
        assert_eq!(parsed("stereo:rtp:5004"), Source::Paired { both: left });
    }

    /// Goal: a mistyped source is refused with what was seen and what would be right.
    #[test]
    fn a_mistyped_source_says_what_is_wrong() {
        for (text, says) in [
            ("  ", "no video source"),
            ("file:", "names no file"),
            ("/x?lop", "'lop' is no option of 'file'"),
            ("shm:/s?width=640&height=480", "names no fps="),
            ("shm:/s?width=641&height=480&fps=30", "width=641 must be even"),
            ("shm:/s?width=99999&height=480&fps=30", "from 16 to 4096"),
            ("shm:/s?width=640&height=480&fps=30&format=RGB", "NV12 or I420"),
            ("test?format=NV12", "is no option of 'test'"),
            ("rtp:0", "from 1 to 65535"),
            ("rtsp:", "names no host"),
            ("v4l2:", "names no device"),
            ("stereo:", "no video source"),
            ("stereo:a.mp4|b.mp4", "'a.mp4' can't be one eye"),
            ("stereo:rtp:5004|stereo:rtp:5006", "can't be one eye"),
            ("stereo:stereo:rtp:5004", "can't be one eye"),
        ] {
            let error = text.parse::<Source>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused_and_what_parses_prints_as_itself(text in "(stereo:)?(file:|shm:|test|rtp:|srt://)?[a-z0-9/?&=:.|]{0,40}") {
            if let Ok(source) = text.parse::<Source>() {
                // A bare path may look like anything; printed, it has its scheme.
                prop_assert_eq!(source.to_string().parse::<Source>(), Ok(source));
            }
        }
    }
}

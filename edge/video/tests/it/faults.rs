//! Bad input: a clear error at once, nothing started, nothing hanging.

use crate::tools::{clip, file, offline, play, run};
use farhand_video::{Capture, Event, Settings, Source, VideoError};
use std::path::Path;

fn refused(source: &Source) -> VideoError {
    Capture::start(source, &Settings { start_ms_max: 20_000, ..offline() }).map(|_| ()).unwrap_err()
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> Source {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    file(&path)
}

/// Goal: what is no video file is refused before anything starts, each with its own reason.
#[test]
fn what_is_no_video_file_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    assert!(matches!(refused(&file(&at.join("nowhere.mp4"))), VideoError::Unreadable { .. }));
    assert!(matches!(refused(&file(at)), VideoError::NotAFile { .. }));
    assert!(matches!(refused(&written(at, "empty.mp4", b"")), VideoError::EmptyFile { .. }));
    let text = "Not a video, but words in lines.\n".repeat(200);
    let error = refused(&written(at, "words.mp4", text.as_bytes()));
    assert!(matches!(error, VideoError::NotAVideo { .. }), "{error:?}");
    let noise: Vec<u8> = (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let error = refused(&written(at, "noise.mp4", &noise));
    assert!(matches!(error, VideoError::NotAVideo { .. }), "{error:?}");
}

/// Goal: a recording that was cut off anywhere is refused before it plays, wherever its index lies.
#[test]
fn a_cut_recording_is_refused_before_it_plays() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let path = clip(at, "mp4");
    assert_eq!(Capture::check_recording(&file(&path)), Ok(()));
    let whole = std::fs::read(path).unwrap();
    for kept in [whole.len() - 1, whole.len() / 2, 100, 9] {
        let error = refused(&written(at, "cut.mp4", &whole[..kept]));
        let is_named = matches!(error, VideoError::Truncated { file_bytes, .. } if file_bytes == kept as u64)
            || matches!(error, VideoError::NoIndex { .. });
        assert!(is_named, "{kept} bytes: {error:?}");
        assert_eq!(Capture::check_recording(&file(&at.join("cut.mp4"))), Err(error));
    }
}

/// Goal: a cut recording of a kind whose outline is not known here is told at its end, not taken for a whole one.
#[test]
fn a_cut_recording_of_another_kind_is_told_at_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(clip(folder.path(), "matroska")).unwrap();
    let cut = written(folder.path(), "cut.mkv", &whole[..whole.len() / 2]);
    let (units, end) = play(&cut, &offline());
    assert!(!units.is_empty());
    let is_told = matches!(end, Event::Stopped(VideoError::CutShort { .. } | VideoError::Damaged { .. }));
    assert!(is_told, "{end:?}");
}

/// Goal: a coding that nothing here decodes is named as that, not as a damaged file.
#[test]
fn an_unknown_coding_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(clip(folder.path(), "mp4")).unwrap();
    let at = bytes.windows(4).position(|four| four == b"avc1" && four != b"ftyp").unwrap();
    let last = bytes.windows(4).rposition(|four| four == b"avc1").unwrap();
    for start in [at, last] {
        bytes[start..start + 4].copy_from_slice(b"zzzz");
    }
    let error = refused(&written(folder.path(), "strange.mp4", &bytes));
    assert!(matches!(error, VideoError::UnsupportedCodec { .. }), "{error:?}");
}

/// Goal: sound alone is no video, and that is said at once.
#[test]
fn sound_alone_is_no_video() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.wav");
    run(&format!("audiotestsrc num-buffers=50 ! wavenc ! filesink location={}", path.display()));
    let error = refused(&file(&path));
    assert!(matches!(error, VideoError::NotAVideo { .. }), "{error:?}");
}

/// Goal: senders and cameras that are not there are named.
#[test]
fn a_source_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("nobody");
    for text in [
        format!("shm:{}?width=640&height=360&fps=30", socket.display()),
        "v4l2:/dev/video-none".to_owned(),
        "rtsp://127.0.0.1:1/none".to_owned(),
    ] {
        let error = refused(&text.parse().unwrap());
        assert!(matches!(error, VideoError::SourceUnavailable { .. }), "{text}: {error:?}");
    }
}

/// Goal: a source that is there and sends nothing is given up after the time that was set.
#[test]
fn a_silent_source_is_given_up() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = Settings { start_ms_max: 200, ..Settings::default() };
    let error = Capture::start(&Source::Rtp { port }, &settings).map(|_| ()).unwrap_err();
    assert!(matches!(error, VideoError::NoPicture { within_ms: 200, .. }), "{error:?}");
}

/// Goal: a stamp that would not fit is refused at the start.
#[test]
fn a_stamp_that_does_not_fit_is_refused() {
    let source = "test?width=128&height=128&fps=30".parse().unwrap();
    let error =
        Capture::start(&source, &Settings { stamp: true, ..Settings::default() }).map(|_| ()).unwrap_err();
    assert!(matches!(error, VideoError::BadSetting { name: "stamp", .. }), "{error:?}");
}

//! Recordings: every frame, in order, with its own times.

use crate::tools::{
    CLIP_FRAMES, assert_sendable, clip, decode, file, laparoscopy, next_unit, offline, play, start, units,
};
use farhand_video::stamp::read_stamp;
use farhand_video::{Encoder, Event, Settings, Source};
use std::time::{Duration, Instant};

/// Goal: all 250 frames of real surgery come out, though the recording has B-frames and three key frames.
#[test]
fn every_frame_of_real_laparoscopy_comes_out() {
    let Some(path) = laparoscopy() else {
        eprintln!("skipped: the sample recordings are not here");
        return;
    };
    let (units, end) = play(&file(&path), &offline());
    assert_eq!((units.len(), end), (250, Event::EndOfStream));
    assert_sendable(&units, 1);
    assert_eq!(decode(&units).len(), 250);
    let steps: Vec<u32> = units.windows(2).map(|pair| pair[1].pts_90khz - pair[0].pts_90khz).collect();
    assert!(
        steps.iter().all(|step| (3599..=3601).contains(step)),
        "25 frames a second are 3600 ticks apart: {steps:?}"
    );
}

/// Goal: the same for a recording made here and for every encoder that runs here, each of which has its own ways.
#[test]
fn every_frame_comes_out_of_every_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "mp4");
    let encoders: Vec<Encoder> =
        Encoder::ORDER.into_iter().filter(|&encoder| Encoder::find_among(&[encoder]).is_ok()).collect();
    assert!(!encoders.is_empty());
    for encoder in encoders {
        let settings =
            Settings { encoder: Some(encoder), first_frame_id: 1001, key_interval_frames: 20, ..offline() };
        let (units, end) = play(&file(&path), &settings);
        assert_eq!((units.len() as u64, end), (CLIP_FRAMES, Event::EndOfStream), "{encoder:?}");
        assert_sendable(&units, 1001);
        assert!(units.iter().filter(|unit| unit.key_frame).count() >= 3, "{encoder:?}");
        assert_eq!(decode(&units).len() as u64, CLIP_FRAMES, "{encoder:?}");
    }
}

/// Goal: a recording keeps its own rate, and each frame is captured when its turn comes, not when it was decoded.
/// Only lower bounds are asserted: a busy machine may be late and never early.
#[test]
fn a_paced_recording_is_captured_at_its_own_rate() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "mp4");
    let before = Instant::now();
    let (units, _) = play(&file(&path), &Settings { every_frame: true, ..Settings::default() });
    for unit in units {
        let due = Duration::from_millis((unit.frame_id - 1) * 40);
        assert!(unit.capture - before >= due, "frame {}", unit.frame_id);
    }
}

/// Goal: what a decoder finds in the pixels is the capture tick of just that frame.
#[test]
fn the_stamp_in_each_decoded_picture_is_its_capture_tick() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "mp4");
    let epoch = Instant::now() - Duration::from_secs(100_000);
    let (units, _) = play(&file(&path), &Settings { stamp: true, bitrate_kbit_s: 500, epoch, ..offline() });
    let ticks: Vec<u64> = units.iter().map(|unit| unit.capture_us).collect();
    let read: Vec<u64> = decode(&units)
        .iter()
        .map(|picture| read_stamp(&picture.luma, picture.stride, picture.width).unwrap())
        .collect();
    assert_eq!(read, ticks);
    assert!(ticks[0] > 100_000_000_000, "a tick that needs more than 32 bits");
    assert!(ticks.is_sorted_by(|a, b| a < b));
}

/// Goal: the delay of the end-to-end test holds the picture back and leaves its capture instant alone.
#[test]
fn a_test_delay_holds_the_picture_and_not_its_instant() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "mp4");
    let settings = Settings { test_delay_ms: 120, every_frame: true, ..Settings::default() };
    let (capture, mut outputs) = start(&file(&path), &settings);
    for _ in 0..20 {
        assert!(next_unit(&mut outputs).capture.elapsed() >= Duration::from_millis(120));
    }
    capture.set_test_delay_ms(200);
    // Seven frames at most were taken under the earlier delay.
    units(&mut outputs, 7);
    for _ in 0..10 {
        assert!(next_unit(&mut outputs).capture.elapsed() >= Duration::from_millis(200));
    }
}

/// Goal: a receiver that lost its way gets a key frame at once: the first frame that is chosen after the
/// request. One frame may wait for the consumer and one be on its way there.
#[test]
fn a_key_frame_comes_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "mp4");
    for encoder in [Encoder::X264, Encoder::OpenH264] {
        let settings = Settings {
            encoder: Some(encoder),
            key_interval_frames: 3600,
            outputs_waiting_max: 1,
            ..offline()
        };
        let (capture, mut outputs) = start(&file(&path), &settings);
        let before = units(&mut outputs, 10);
        assert_eq!(before.iter().filter(|unit| unit.key_frame).count(), 1);
        capture.force_key_unit();
        let after = units(&mut outputs, 2 + 2);
        assert!(after.iter().any(|unit| unit.key_frame), "{encoder:?}");
    }
}

/// Goal: the rate can be lowered while frames flow.
#[test]
fn the_bitrate_follows_live() {
    let source = Source::Test { size: farhand_video::source::FrameSize { width: 640, height: 360, fps: 60 } };
    let (capture, mut outputs) =
        start(&source, &Settings { key_interval_frames: 3600, ..Settings::default() });
    let bytes =
        |units: Vec<farhand_video::AccessUnit>| units.iter().map(|unit| unit.data.len()).sum::<usize>();
    units(&mut outputs, 20);
    let rich = bytes(units(&mut outputs, 30));
    assert_eq!(capture.set_bitrate_kbit_s(200), 200);
    units(&mut outputs, 20);
    let poor = bytes(units(&mut outputs, 30));
    assert!(poor * 3 < rich, "{poor} of {rich} bytes");
    assert_eq!(capture.set_bitrate_kbit_s(1), 100, "brought within the range");
}

/// Goal: the picture can be made smaller while frames flow, and a receiver can follow: its first frame is a key frame.
#[test]
fn the_size_follows_live() {
    let source = Source::Test { size: farhand_video::source::FrameSize { width: 640, height: 360, fps: 60 } };
    let (capture, mut outputs) = start(&source, &Settings::default());
    let mut all = units(&mut outputs, 5);
    capture.set_size_max(Some((320, 1000)));
    all.extend(units(&mut outputs, 20));
    assert_sendable(&all, 1);
    let widths: Vec<usize> = decode(&all).iter().map(|picture| picture.width).collect();
    let first_small = widths.iter().position(|&width| width == 320).expect("the picture became smaller");
    assert_eq!(widths.len(), all.len());
    assert!(
        all[first_small].key_frame && widths[first_small..].iter().all(|&width| width == 320),
        "{widths:?}"
    );
}

/// Goal: fewer pictures a second can be asked for while frames flow, none of them changes its instant, and all come again.
#[test]
fn the_frame_rate_follows_live() {
    let source = Source::Test { size: farhand_video::source::FrameSize { width: 320, height: 240, fps: 60 } };
    let (capture, mut outputs) = start(&source, &Settings::default());
    let closest_us = |units: &[farhand_video::AccessUnit]| {
        units.windows(2).map(|pair| pair[1].capture_us - pair[0].capture_us).min().expect("two at least")
    };
    let mut all = units(&mut outputs, 30);
    capture.set_fps_max(Some(15));
    all.extend(units(&mut outputs, 25));
    capture.set_fps_max(None);
    all.extend(units(&mut outputs, 45));
    assert_sendable(&all, 1);
    // The first after each change were under way before it. A busy machine loses pictures and adds none.
    let (before, fewer, after) = (&all[..30], &all[40..55], &all[70..]);
    assert!(closest_us(before) < 40_000, "{} us apart at the start", closest_us(before));
    assert!(closest_us(fewer) > 45_000, "{} us apart where fewer were asked for", closest_us(fewer));
    assert!(closest_us(after) < 40_000, "{} us apart afterwards", closest_us(after));
}

/// Goal: a looped recording goes on past its end as one stream.
#[test]
fn a_looped_recording_goes_on_past_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::File { path: clip(folder.path(), "mp4"), looped: true };
    let (_capture, mut outputs) = start(&source, &offline());
    let all = units(&mut outputs, CLIP_FRAMES as usize * 3 + 5);
    assert_sendable(&all, 1);
    let steps: Vec<u32> = all.windows(2).map(|pair| pair[1].pts_90khz - pair[0].pts_90khz).collect();
    assert!(steps.iter().all(|step| *step < 4 * 3600), "{steps:?}");
    assert_eq!(decode(&all).len(), all.len());
}

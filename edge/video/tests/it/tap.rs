//! Pictures looked at beside their way.

use std::time::Duration;

use farhand_video::{Settings, Source, Tap};

use crate::tools::{PATIENCE, next_unit, offline, start, units};

fn bars(format: &str) -> Source {
    format!("test?width=320&height=180&fps=30{format}").parse().unwrap()
}

/// Goal: a picture that is looked at is one that is sent, by its timestamp and its capture instant, and is as large as what was
/// captured.
#[test]
fn what_is_looked_at_is_sent() {
    let tap = Tap::default();
    let settings = Settings { tap: Some(tap.clone()), ..Settings::default() };
    let (_capture, mut outputs) = start(&bars(""), &settings);
    let look = std::thread::spawn(move || tap.next(PATIENCE).unwrap());
    let mut sent = units(&mut outputs, 2);
    while !look.is_finished() || sent.len() < 20 {
        sent.push(next_unit(&mut outputs));
    }
    let seen = look.join().unwrap();
    let (timestamp, captured) = (seen.rtp_timestamp, seen.capture_us);
    assert!(sent.iter().any(|unit| (unit.pts_90khz, unit.capture_us) == (timestamp, captured)));
    let mut nv12 = Vec::new();
    assert_eq!(seen.into_nv12(false, &mut nv12).unwrap(), (320, 180));
    assert_eq!(nv12.len(), 320 * 180 * 3 / 2);
    // The first of the bars is grey, the second yellow: little blue, and about as much light.
    let (luma, chroma) = nv12.split_at(320 * 180);
    let blue: Vec<u8> =
        chroma.chunks(320).take(40).map(|row| *row.iter().step_by(2).min().unwrap()).collect();
    assert!(luma[..320].iter().any(|value| *value > 150) && blue.iter().all(|value| *value < 60), "{blue:?}");
}

/// Goal: nobody waits for who looks, and who looks gets nothing where nothing is captured.
#[test]
fn nobody_waits_for_who_looks() {
    let tap = Tap::default();
    assert!(tap.next(Duration::from_millis(1)).is_none());
    let settings = Settings { tap: Some(tap), ..offline() };
    let (_capture, mut outputs) = start(&bars(""), &settings);
    units(&mut outputs, 10);
}

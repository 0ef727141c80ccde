//! What was on the surgeon's screen: the answer, the frame itself, and every disagreement by its name.

use std::{fs, process::Output};

use farhand_bundle::{Reader, redact};
use farhand_ledger::What;
use farhand_wire::KitTick;
use serde_json::Value;

use crate::{
    report::Place,
    sessions::{bundle, frame_of, good, record_frame, theatre::Theatre, unit, work},
};

impl Place {
    fn screen(&self, file: &str, arguments: &[&str]) -> Output {
        self.run(&[&["screen", file, "--trust", "good.trust"], arguments].concat())
    }

    fn answer(&self, file: &str, arguments: &[&str]) -> Value {
        let output = self.screen(file, &[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }

    /// Why there is no answer.
    fn refusal(&self, file: &str, arguments: &[&str]) -> String {
        let output = self.screen(file, arguments);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    }
}

/// Goal: a command is answered with who sent it, the frame that it names, how old that was by either clock, and who confirms
/// it; with no disagreement where there is none.
#[test]
fn the_frame_on_the_screen_is_named() {
    let session = good();
    let place = Place::new(&session);
    let answer = place.answer("good.mcap", &["--command", "7"]);
    let leaf_of = |wanted: &dyn Fn(&What) -> bool| session.find(wanted);
    assert_eq!((&answer["report"]["exit"], &answer["disagreements"]), (&0.into(), &Value::Array(vec![])));
    let command = &answer["command"];
    assert!(command["by"].as_str().unwrap().starts_with("person 1, surgeon"), "{command}");
    assert_eq!((&command["frame_seen"], &command["frame_age_us"]), (&6.into(), &20_000.into()));
    assert_eq!((&command["listed_same"], &command["uncertainty_us"]), (&true.into(), &2000.into()));
    // Shown at 198 ms of its clock, 30 ms after the capture; the frame was 20 ms old when the command was sent.
    assert_eq!(command["console_us"], 188_000);
    assert!(command["kit"][0].as_str().unwrap().starts_with("taken in at 200005 µs"), "{command}");
    let frame = &answer["frame"];
    let at = leaf_of(&|what| matches!(what, What::Frame(frame) if frame.frame.0 == 6));
    assert_eq!(
        (&frame["leaf"], &frame["units"], &frame["picture_matches"]),
        (&at.into(), &6.into(), &true.into())
    );
    assert_eq!(frame["picture_hash"], frame_of(6).picture_hash.to_string());
    assert_eq!(
        (&answer["shown"][0]["same_picture"], &answer["shown"][0]["shown_us"]),
        (&true.into(), &198_000.into())
    );
    let text = String::from_utf8(place.screen("good.mcap", &["--command", "7"]).stdout).unwrap();
    for said in ["HOLDS", "Command 7 under token 3", "20 ms, as the console reported", "tell one story"] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    // The newest command recorded by that moment.
    let utc = command["utc"].as_str().unwrap();
    assert_eq!(place.answer("good.mcap", &["--at", utc])["command"]["sequence"], 7);
}

/// Goal: the frame itself is handed out, from its key frame on and bit for bit, and nothing is overwritten.
#[test]
fn the_frame_itself_is_handed_out() {
    let place = Place::new(&good());
    assert_eq!(place.screen("good.mcap", &["--command", "7", "--out", "seen.h264"]).status.code(), Some(0));
    // As a bundle keeps a picture: no delimiters, and start codes of one length.
    let one_form = |number| -> Vec<u8> {
        let unit = unit(number);
        let nals = farhand_ledger::picture::nal_units(&unit).filter(|nal| nal[0] != 9);
        nals.flat_map(|nal| [&[0, 0, 0, 1], nal].concat()).collect()
    };
    assert_eq!(fs::read(place.path("seen.h264")).unwrap(), (1..=6).flat_map(one_form).collect::<Vec<_>>());
    assert_eq!(place.screen("good.mcap", &["--command", "7", "--out", "seen.mp4"]).status.code(), Some(0));
    let video = fs::read(place.path("seen.mp4")).unwrap();
    assert_eq!(&video[4..8], b"ftyp");
    let last = &unit(6)[unit(6).len() - 40..];
    assert!(video.windows(last.len()).any(|part| part == last));
    assert!(place.refusal("good.mcap", &["--command", "7", "--out", "seen.mp4"]).contains("can't be made"));
    assert_eq!(fs::read(place.path("seen.mp4")).unwrap(), video);
}

/// Goal: what can't be answered is said, not guessed: a command lost on its way, one that never was, a time before all.
#[test]
fn no_answer_is_made_up() {
    let place = Place::new(&good());
    assert!(place.refusal("good.mcap", &["--command", "5"]).contains("is not in the log"));
    assert!(place.refusal("good.mcap", &["--command", "99"]).contains("no command 99"));
    assert!(
        place.refusal("good.mcap", &["--at", "2025-01-01T00:00:00Z"]).contains("no command was recorded")
    );
    assert!(place.refusal("good.mcap", &["--command", "7", "--token", "9"]).contains("no command 7"));
    let reader = Reader::open(bundle(&good())).unwrap();
    let blind = redact(&reader, &"pictures".parse().unwrap(), Vec::new()).unwrap().0;
    place.write("blind.mcap", &blind);
    let answer = place.answer("blind.mcap", &["--command", "7"]);
    assert_eq!((&answer["report"]["exit"], &answer["frame"]["units"]), (&0.into(), &0.into()));
    assert_eq!(answer["no_picture"], "it was taken out of the bundle");
    assert!(place.refusal("blind.mcap", &["--command", "7", "--out", "seen.mp4"]).contains("taken out"));
}

type Case = (fn(&mut Theatre), &'static str);

/// Goal: whoever does not agree about command and frame is named, whatever else is well.
#[test]
fn disagreements_are_named() {
    let cases: &[Case] = &[
        (
            |t| {
                record_frame(t, 4);
                t.odd_command(6, 4, |_| {});
            },
            "no report of the display says that frame 4 was shown",
        ),
        (
            |t| {
                record_frame(t, 4);
                t.odd_command(6, 4, |_| {});
                t.display_reports(&[(4, frame_of(3).picture_hash)]);
            },
            "the display reports another picture as frame 4",
        ),
        (|t| t.odd_command(6, 9, |_| {}), "frame 9, which the command names, is not in the bundle"),
        (|t| t.command(6, 3), "no list of the surgeon's has this command"),
        (
            |t| {
                t.command(6, 2);
                t.surgeon_lists(&[(6, 3)]);
            },
            "has another command under this number",
        ),
        (
            |t| t.odd_command(6, 3, |command| command.frame_age_us = Some(5_000_000)),
            "the console says that the frame was 5 s old",
        ),
        // Frame 3 was shown at 99 ms, frames 4 to 6 until 198 ms, and the command was sent at 369 ms.
        (
            |t| {
                (4..=6).for_each(|number| record_frame(t, number));
                t.display_reports(&[4, 5, 6].map(|number| (number, frame_of(number).picture_hash)));
                t.odd_command(6, 3, |command| command.frame_age_us = Some(300_000));
            },
            "by the console's clock frame 6 was shown before the command was sent",
        ),
        (
            |t| t.odd_command(6, 3, |command| command.kit_tick_echo = KitTick(900_000)),
            "the kit took it in before 900000 µs of its clock",
        ),
    ];
    for (happens, said) in cases {
        let mut theatre = Theatre::open();
        work(&mut theatre, 0);
        happens(&mut theatre);
        let place = Place::new(&theatre.close());
        let answer = place.answer("good.mcap", &["--command", "6"]);
        let disagreements = answer["disagreements"].as_array().unwrap();
        assert!(
            disagreements.iter().any(|one| one.as_str().unwrap().contains(said)),
            "{said}: {disagreements:?}"
        );
    }
}

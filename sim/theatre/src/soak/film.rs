//! A session as an MCAP file, to be looked at in Foxglove or with any other reader.
//!
//! Topics: `/tip` and `/object` (`foxglove.PoseInFrame`, metres, in the arm's base frame), every millisecond and ten times a
//! second; `/kit` (what the kit says of itself, a hundred times a second); `/story` (`foxglove.Log`: what goes wrong and which
//! promise breaks). Times are virtual, from the session's beginning.

use std::{collections::BTreeMap, fs::File, io::BufWriter, path::Path};

use anyhow::Context as _;
use farhand_wire::{KitState, Mode};
use farhand_world::{Moment, Outcome, Session, Story};
use mcap::{WriteOptions, Writer, records::MessageHeader};
use serde_json::{Value, json};

/// Foxglove's levels.
const WARNING: u8 = 3;
const ERROR: u8 = 4;
const STATE_US: u64 = 10_000;
const OBJECT_US: u64 = 100_000;

/// Plays the story, and films it.
pub(super) fn film(story: &Story, path: &Path) -> anyhow::Result<Outcome> {
    let file =
        File::create(path).with_context(|| format!("could not write the film to {}", path.display()))?;
    let mut film = Film::begin(BufWriter::new(file))?;
    let mut filmed = Ok(());
    let outcome = Session::new(story.clone())?.show(|session| {
        if filmed.is_ok() {
            filmed = film.take(&session.moment());
        }
    })?;
    filmed
        .and_then(|()| film.end())
        .with_context(|| format!("could not write the film to {}", path.display()))?;
    Ok(outcome)
}

struct Film {
    mcap: Writer<BufWriter<File>>,
    tip: u16,
    object: u16,
    kit: u16,
    story: u16,
    sequence: u32,
    begun: usize,
    broken: usize,
}

impl Film {
    fn begin(out: BufWriter<File>) -> anyhow::Result<Self> {
        let mut mcap = WriteOptions::new().compression(None).library("farhand").create(out)?;
        let mut channel = |topic: &str, name: &str, schema: Value| {
            let schema = mcap.add_schema(name, "jsonschema", schema.to_string().as_bytes())?;
            mcap.add_channel(schema, topic, "json", &BTreeMap::new())
        };
        let tip = channel("/tip", "foxglove.PoseInFrame", pose_schema())?;
        let object = channel("/object", "foxglove.PoseInFrame", pose_schema())?;
        let kit = channel("/kit", "farhand.Kit", json!({ "type": "object" }))?;
        let story = channel("/story", "foxglove.Log", log_schema())?;
        Ok(Self { mcap, tip, object, kit, story, sequence: 0, begun: 0, broken: 0 })
    }

    fn take(&mut self, moment: &Moment<'_>) -> anyhow::Result<()> {
        let now_us = moment.now_us;
        self.write(self.tip, now_us, &pose(now_us, moment.tip_mm))?;
        if now_us.is_multiple_of(OBJECT_US) {
            self.write(self.object, now_us, &pose(now_us, moment.object_mm))?;
        }
        if let Some(state) = moment.state.filter(|_| now_us.is_multiple_of(STATE_US)) {
            self.write(self.kit, now_us, &kit(state, moment.jaw_rad))?;
        }
        for trouble in moment.begun.iter().skip(self.begun) {
            self.write(self.story, now_us, &log(now_us, WARNING, "fault", &trouble.to_string()))?;
        }
        for broken in moment.violations.iter().skip(self.broken) {
            self.write(self.story, now_us, &log(now_us, ERROR, broken.promise, &broken.words))?;
        }
        (self.begun, self.broken) = (moment.begun.len(), moment.violations.len());
        Ok(())
    }

    fn write(&mut self, channel_id: u16, now_us: u64, message: &Value) -> anyhow::Result<()> {
        self.sequence += 1;
        let (log_time, publish_time) = (now_us * 1000, now_us * 1000);
        let head = MessageHeader { channel_id, sequence: self.sequence, log_time, publish_time };
        Ok(self.mcap.write_to_known_channel(&head, message.to_string().as_bytes())?)
    }

    fn end(mut self) -> anyhow::Result<()> {
        self.mcap.finish()?;
        Ok(())
    }
}

fn time(us: u64) -> Value {
    json!({ "sec": us / 1_000_000, "nsec": us % 1_000_000 * 1_000 })
}

fn pose(now_us: u64, at_mm: [f64; 3]) -> Value {
    let [x, y, z] = at_mm.map(|mm| mm / 1e3);
    let pose = json!({
        "position": { "x": x, "y": y, "z": z },
        "orientation": { "x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0 },
    });
    json!({ "timestamp": time(now_us), "frame_id": "arm_base", "pose": pose })
}

fn log(now_us: u64, level: u8, name: &str, message: &str) -> Value {
    json!({ "timestamp": time(now_us), "level": level, "name": name, "message": message, "file": "", "line": 0 })
}

fn kit(state: &KitState, jaw_rad: f64) -> Value {
    json!({
        "mode": mode(state.mode),
        "reason": state.reason.map(|reason| reason.to_string()),
        "token": state.token.0,
        "engagement": state.engagement.0,
        "applied": state.applied,
        "rejected": state.rejected,
        "command_age_ms": state.command_age_ms,
        "picture_age_ms": state.picture_age_ms,
        "lag_mm": state.lag_mm,
        "speed_limit_mm_s": state.speed_limit_mm_s,
        "jaw_rad": jaw_rad,
    })
}

fn mode(mode: Mode) -> String {
    format!("{mode:?}").to_uppercase()
}

fn pose_schema() -> Value {
    let numbers = |names: &[&str]| {
        let parts = names.iter().map(|name| ((*name).to_owned(), json!({ "type": "number" })));
        json!({ "type": "object", "properties": serde_json::Map::from_iter(parts) })
    };
    let pose = json!({
        "type": "object",
        "properties": { "position": numbers(&["x", "y", "z"]), "orientation": numbers(&["x", "y", "z", "w"]) },
    });
    let properties = json!({ "timestamp": time_schema(), "frame_id": { "type": "string" }, "pose": pose });
    json!({ "type": "object", "properties": properties })
}

fn log_schema() -> Value {
    let (text, number) = (json!({ "type": "string" }), json!({ "type": "integer" }));
    let properties = json!({
        "timestamp": time_schema(), "level": number, "name": text, "message": text, "file": text, "line": number,
    });
    json!({ "type": "object", "properties": properties })
}

fn time_schema() -> Value {
    let part = json!({ "type": "integer" });
    json!({ "type": "object", "title": "time", "properties": { "sec": part, "nsec": part } })
}

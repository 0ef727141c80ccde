//! The mission protocol, the companion's side: hands a list of items over.
//!
//! Source: the MAVLink guide, "Mission Protocol". The aircraft asks for each item; we
//! repeat the count until it asks, and the last item until it acknowledges.

use farhand_mission::{Geofence, Mission, PlanItem};
use mavlink::dialects::common::*;

use super::Peer;
use crate::{FlightError, FlightLimits};

type Item = MISSION_ITEM_INT_DATA;

#[derive(Debug, Clone)]
pub(super) struct Upload {
    what: &'static str,
    kind: MavMissionType,
    to: Peer,
    items: Vec<Item>,
    /// The highest item asked for.
    asked: Option<u16>,
    began_us: u64,
    due_us: u64,
    tries: u32,
    answer: Option<MavMissionResult>,
}

impl Upload {
    pub(super) fn of_mission(mission: &Mission, to: Peer, now_us: u64) -> Self {
        let items =
            mission.items().iter().enumerate().map(|(seq, item)| mission_item(seq, item, to)).collect();
        Self::new("mission", MavMissionType::MAV_MISSION_TYPE_MISSION, items, to, now_us)
    }

    pub(super) fn of_fence(fence: &Geofence, to: Peer, now_us: u64) -> Self {
        let items = fence_items(fence, to);
        Self::new("geofence", MavMissionType::MAV_MISSION_TYPE_FENCE, items, to, now_us)
    }

    /// Answers the aircraft's question for an item.
    #[allow(deprecated)] // MISSION_REQUEST is superseded, and answered in the same way
    pub(super) fn hear(&mut self, now_us: u64, message: &MavMessage) -> Option<MavMessage> {
        match message {
            MavMessage::MISSION_REQUEST_INT(ask) if ask.mission_type == self.kind => {
                self.give(now_us, ask.seq)
            }
            MavMessage::MISSION_REQUEST(ask) if ask.mission_type == self.kind => self.give(now_us, ask.seq),
            MavMessage::MISSION_ACK(ack) if ack.mission_type == self.kind => {
                // "Accepted" before the last item was asked for belongs to an older upload.
                let accepted = ack.mavtype == MavMissionResult::MAV_MISSION_ACCEPTED;
                if !accepted || self.all_given() {
                    self.answer = Some(ack.mavtype);
                }
                None
            }
            _ => None,
        }
    }

    /// True once the aircraft has taken everything.
    pub(super) fn is_done(&self) -> Result<bool, FlightError> {
        match self.answer {
            None => Ok(false),
            Some(MavMissionResult::MAV_MISSION_ACCEPTED) => Ok(true),
            Some(result) => Err(FlightError::UploadRefused { what: self.what, result }),
        }
    }

    /// What to send again, if the aircraft has been silent for too long.
    pub(super) fn poll(
        &mut self,
        now_us: u64,
        limits: &FlightLimits,
    ) -> Result<Option<MavMessage>, FlightError> {
        if self.answer.is_some() || now_us < self.due_us {
            return Ok(None);
        }
        if self.tries >= limits.tries_max {
            let waited_ms = (now_us - self.began_us) / 1_000;
            return Err(FlightError::NoAnswer { what: self.what, tries: self.tries, waited_ms });
        }
        self.tries += 1;
        self.due_us = now_us + limits.repeat_ms * 1_000;
        let last = self.asked.filter(|_| self.all_given()).and_then(|seq| self.item(seq));
        // In between the aircraft repeats its question; only the two ends are ours to repeat.
        Ok(last.or_else(|| self.asked.is_none().then(|| self.count())))
    }

    fn new(what: &'static str, kind: MavMissionType, mut items: Vec<Item>, to: Peer, now_us: u64) -> Self {
        items.iter_mut().for_each(|item| item.mission_type = kind);
        Self { what, kind, to, items, asked: None, began_us: now_us, due_us: now_us, tries: 0, answer: None }
    }

    fn give(&mut self, now_us: u64, seq: u16) -> Option<MavMessage> {
        let item = self.item(seq)?;
        if self.asked.is_none_or(|asked| seq > asked) {
            (self.asked, self.tries) = (Some(seq), 0);
        }
        self.due_us = now_us + 1_000_000; // the aircraft repeats sooner than this
        Some(item)
    }

    fn all_given(&self) -> bool {
        self.asked.is_some_and(|seq| usize::from(seq) + 1 == self.items.len())
    }

    fn item(&self, seq: u16) -> Option<MavMessage> {
        self.items.get(usize::from(seq)).cloned().map(MavMessage::MISSION_ITEM_INT)
    }

    fn count(&self) -> MavMessage {
        MavMessage::MISSION_COUNT(MISSION_COUNT_DATA {
            count: self.items.len() as u16, // at most a hundred and two, or a fence's 64
            target_system: self.to.system,
            target_component: self.to.component,
            mission_type: self.kind,
            opaque_id: 0,
        })
    }
}

fn mission_item(seq: usize, item: &PlanItem, to: Peer) -> Item {
    let command = match item.command {
        22 => MavCmd::MAV_CMD_NAV_TAKEOFF,
        21 => MavCmd::MAV_CMD_NAV_LAND,
        _ => MavCmd::MAV_CMD_NAV_WAYPOINT, // a mission's items are these three
    };
    let frame = match item.frame {
        0 => MavFrame::MAV_FRAME_GLOBAL,
        _ => MavFrame::MAV_FRAME_GLOBAL_RELATIVE_ALT, // and its frames these two
    };
    let p = item.params;
    Item {
        param1: p[0] as f32,
        param2: p[1] as f32,
        param3: p[2] as f32,
        param4: p[3] as f32,
        x: (p[4] * 1e7).round() as i32,
        y: (p[5] * 1e7).round() as i32,
        z: p[6] as f32,
        seq: seq as u16, // at most a hundred and two
        command,
        target_system: to.system,
        target_component: to.component,
        frame,
        current: u8::from(seq == 0),
        autocontinue: u8::from(item.auto_continue),
        mission_type: MavMissionType::MAV_MISSION_TYPE_MISSION,
    }
}

fn fence_items(fence: &Geofence, to: Peer) -> Vec<Item> {
    let count = fence.vertices().len() as f32;
    let item = |(seq, place): (usize, &farhand_mission::Place)| {
        let (x, y) = place.to_e7();
        Item {
            param1: count,
            x,
            y,
            seq: seq as u16, // at most 64
            command: MavCmd::MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION,
            target_system: to.system,
            target_component: to.component,
            frame: MavFrame::MAV_FRAME_GLOBAL,
            ..Default::default()
        }
    };
    fence.vertices().iter().enumerate().map(item).collect()
}

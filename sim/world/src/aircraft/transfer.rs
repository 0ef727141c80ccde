//! The mission protocol, the vehicle's side: upload, download and clear.
//!
//! Source: the MAVLink guide, "Mission Protocol". Invariant (local): a stored list
//! changes only when an upload is complete; a broken upload leaves the old one.

use mavlink::dialects::common::*;

use super::Peer;

/// The most items one list may hold.
pub(super) const ITEMS_MAX: u16 = 250;
/// How long to wait for an item before asking again (the guide's item time-out).
const ITEM_WAIT_US: u64 = 250_000;
/// How often one item is asked for before the upload is given up.
const ITEM_TRIES_MAX: u32 = 24;

type Item = MISSION_ITEM_INT_DATA;

/// The stored lists and the upload in progress.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    mission: Vec<Item>,
    fence: Vec<Item>,
    rally: Vec<Item>,
    upload: Option<Upload>,
    /// Who finished which upload last: a repeated last item means that our answer was lost.
    finished: Option<(Peer, MavMissionType, u16)>,
}

#[derive(Debug, Clone)]
struct Upload {
    from: Peer,
    kind: MavMissionType,
    count: u16,
    items: Vec<Item>,
    asked_us: u64,
    tries: u32,
}

/// What came of one message: answers, and whether the flown mission changed.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) messages: Vec<MavMessage>,
    pub(super) mission_replaced: bool,
}

impl Store {
    pub(super) fn mission(&self) -> &[Item] {
        &self.mission
    }

    pub(super) fn fence(&self) -> &[Item] {
        &self.fence
    }

    /// Answers a message of the protocol; anything else is none of its business.
    pub(super) fn handle(&mut self, now_us: u64, from: Peer, message: &MavMessage) -> Answer {
        match message {
            MavMessage::MISSION_COUNT(count) => self.begin(now_us, from, count.mission_type, count.count),
            MavMessage::MISSION_ITEM_INT(item) => self.take(now_us, from, item),
            MavMessage::MISSION_CLEAR_ALL(clear) => self.clear(from, clear.mission_type),
            MavMessage::MISSION_REQUEST_LIST(ask) => self.tell_count(from, ask.mission_type),
            MavMessage::MISSION_REQUEST_INT(ask) => self.tell_item(from, ask.mission_type, ask.seq),
            MavMessage::MISSION_REQUEST(ask) => self.tell_item(from, ask.mission_type, ask.seq),
            _ => Answer::default(),
        }
    }

    /// Asks again for an item that did not come, and gives up after a bounded number of times.
    pub(super) fn poll(&mut self, now_us: u64) -> Vec<MavMessage> {
        let Some(upload) = &mut self.upload else { return Vec::new() };
        if now_us < upload.asked_us + ITEM_WAIT_US {
            return Vec::new();
        }
        if upload.tries >= ITEM_TRIES_MAX {
            let (from, kind) = (upload.from, upload.kind);
            self.upload = None;
            return vec![ack(from, kind, MavMissionResult::MAV_MISSION_OPERATION_CANCELLED)];
        }
        upload.tries += 1;
        upload.asked_us = now_us;
        vec![upload.request()]
    }

    fn begin(&mut self, now_us: u64, from: Peer, kind: MavMissionType, count: u16) -> Answer {
        if self.list(kind).is_none() {
            return Answer::of(ack(from, kind, MavMissionResult::MAV_MISSION_UNSUPPORTED));
        }
        if count > ITEMS_MAX {
            return Answer::of(ack(from, kind, MavMissionResult::MAV_MISSION_NO_SPACE));
        }
        if count == 0 {
            return self.clear(from, kind);
        }
        let upload = Upload { from, kind, count, items: Vec::new(), asked_us: now_us, tries: 0 };
        let request = upload.request();
        self.upload = Some(upload);
        self.finished = None;
        Answer::of(request)
    }

    fn take(&mut self, now_us: u64, from: Peer, item: &Item) -> Answer {
        if self.finished == Some((from, item.mission_type, item.seq.saturating_add(1))) {
            return Answer::of(ack(from, item.mission_type, MavMissionResult::MAV_MISSION_ACCEPTED));
        }
        let Some(upload) = &mut self.upload else { return Answer::default() };
        let expected = upload.items.len() as u16; // at most ITEMS_MAX
        if upload.from != from || upload.kind != item.mission_type || item.seq != expected {
            return Answer::default(); // a late repeat; `poll` asks for the right one
        }
        if let Err(result) = check_item(item) {
            self.upload = None;
            return Answer::of(ack(from, item.mission_type, result));
        }
        upload.items.push(item.clone());
        (upload.asked_us, upload.tries) = (now_us, 0);
        if upload.items.len() < usize::from(upload.count) {
            return Answer::of(upload.request());
        }
        self.finish()
    }

    fn finish(&mut self) -> Answer {
        let Some(upload) = self.upload.take() else { return Answer::default() };
        let (from, kind, count) = (upload.from, upload.kind, upload.count);
        if let Some(list) = self.list(kind) {
            *list = upload.items;
        }
        self.finished = Some((from, kind, count));
        let accepted = ack(from, kind, MavMissionResult::MAV_MISSION_ACCEPTED);
        Answer {
            messages: vec![accepted],
            mission_replaced: kind == MavMissionType::MAV_MISSION_TYPE_MISSION,
        }
    }

    fn clear(&mut self, from: Peer, kind: MavMissionType) -> Answer {
        use MavMissionType::*;
        let all = kind == MAV_MISSION_TYPE_ALL;
        for each in [MAV_MISSION_TYPE_MISSION, MAV_MISSION_TYPE_FENCE, MAV_MISSION_TYPE_RALLY] {
            if let Some(list) = self.list(each).filter(|_| all || each == kind) {
                list.clear();
            }
        }
        self.upload = None;
        Answer {
            messages: vec![ack(from, kind, MavMissionResult::MAV_MISSION_ACCEPTED)],
            mission_replaced: all || kind == MAV_MISSION_TYPE_MISSION,
        }
    }

    fn tell_count(&mut self, from: Peer, kind: MavMissionType) -> Answer {
        let count = self.list(kind).map_or(0, |list| list.len()) as u16; // at most ITEMS_MAX
        Answer::of(MavMessage::MISSION_COUNT(MISSION_COUNT_DATA {
            count,
            target_system: from.system,
            target_component: from.component,
            mission_type: kind,
            opaque_id: 0,
        }))
    }

    fn tell_item(&mut self, from: Peer, kind: MavMissionType, seq: u16) -> Answer {
        let found = self.list(kind).and_then(|list| list.get(usize::from(seq)).cloned());
        let Some(mut item) = found else {
            return Answer::of(ack(from, kind, MavMissionResult::MAV_MISSION_INVALID_SEQUENCE));
        };
        (item.target_system, item.target_component) = (from.system, from.component);
        Answer::of(MavMessage::MISSION_ITEM_INT(item))
    }

    fn list(&mut self, kind: MavMissionType) -> Option<&mut Vec<Item>> {
        match kind {
            MavMissionType::MAV_MISSION_TYPE_MISSION => Some(&mut self.mission),
            MavMissionType::MAV_MISSION_TYPE_FENCE => Some(&mut self.fence),
            MavMissionType::MAV_MISSION_TYPE_RALLY => Some(&mut self.rally),
            MavMissionType::MAV_MISSION_TYPE_ALL => None,
        }
    }
}

impl Upload {
    fn request(&self) -> MavMessage {
        MavMessage::MISSION_REQUEST_INT(MISSION_REQUEST_INT_DATA {
            seq: self.items.len() as u16, // at most ITEMS_MAX
            target_system: self.from.system,
            target_component: self.from.component,
            mission_type: self.kind,
        })
    }
}

impl Answer {
    fn of(message: MavMessage) -> Self {
        Self { messages: vec![message], mission_replaced: false }
    }
}

fn ack(to: Peer, kind: MavMissionType, result: MavMissionResult) -> MavMessage {
    MavMessage::MISSION_ACK(MISSION_ACK_DATA {
        target_system: to.system,
        target_component: to.component,
        mavtype: result,
        mission_type: kind,
        opaque_id: 0,
    })
}

fn check_item(item: &Item) -> Result<(), MavMissionResult> {
    use MavMissionResult::*;
    if !is_flown(item) {
        return Err(MAV_MISSION_UNSUPPORTED);
    }
    if !has_place(item) {
        return Ok(());
    }
    if !is_known_frame(item.frame) {
        return Err(MAV_MISSION_UNSUPPORTED_FRAME);
    }
    if item.x.unsigned_abs() > 900_000_000 {
        return Err(MAV_MISSION_INVALID_PARAM5_X);
    }
    if item.y.unsigned_abs() > 1_800_000_000 {
        return Err(MAV_MISSION_INVALID_PARAM6_Y);
    }
    if item.z.is_finite() { Ok(()) } else { Err(MAV_MISSION_INVALID_PARAM7) }
}

/// What this aircraft can fly or may pass over (camera and gimbal items, which it has no hardware for).
fn is_flown(item: &Item) -> bool {
    use MavCmd::*;
    let fence = item.mission_type == MavMissionType::MAV_MISSION_TYPE_FENCE;
    let rally = item.mission_type == MavMissionType::MAV_MISSION_TYPE_RALLY;
    match item.command {
        MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION => fence,
        MAV_CMD_NAV_RALLY_POINT => rally,
        MAV_CMD_NAV_WAYPOINT
        | MAV_CMD_NAV_TAKEOFF
        | MAV_CMD_NAV_LAND
        | MAV_CMD_NAV_RETURN_TO_LAUNCH
        | MAV_CMD_NAV_LOITER_TIME
        | MAV_CMD_NAV_DELAY
        | MAV_CMD_DO_CHANGE_SPEED
        | MAV_CMD_DO_GRIPPER
        | MAV_CMD_DO_MOUNT_CONTROL
        | MAV_CMD_DO_GIMBAL_MANAGER_PITCHYAW
        | MAV_CMD_SET_CAMERA_MODE
        | MAV_CMD_IMAGE_START_CAPTURE
        | MAV_CMD_IMAGE_STOP_CAPTURE => !fence && !rally,
        _ => false,
    }
}

/// Whether the item's x, y and z are a place.
pub(super) fn has_place(item: &Item) -> bool {
    use MavCmd::*;
    matches!(
        item.command,
        MAV_CMD_NAV_WAYPOINT
            | MAV_CMD_NAV_TAKEOFF
            | MAV_CMD_NAV_LAND
            | MAV_CMD_NAV_LOITER_TIME
            | MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION
            | MAV_CMD_NAV_RALLY_POINT
    )
}

// The _INT frames are superseded names for the same frames; MAVSDK and MAVProxy still send them.
fn is_known_frame(frame: MavFrame) -> bool {
    use MavFrame::*;
    matches!(
        frame,
        MAV_FRAME_GLOBAL
            | MAV_FRAME_GLOBAL_INT
            | MAV_FRAME_GLOBAL_RELATIVE_ALT
            | MAV_FRAME_GLOBAL_RELATIVE_ALT_INT
    )
}

/// Whether the altitude is above the sea rather than above home.
pub(super) fn is_above_sea(frame: MavFrame) -> bool {
    matches!(frame, MavFrame::MAV_FRAME_GLOBAL | MavFrame::MAV_FRAME_GLOBAL_INT)
}

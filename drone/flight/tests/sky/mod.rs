//! Companion and aircraft joined in virtual time by a link that loses, delays and reorders, from one seed.

use farhand_flight::{Companion, Delivered, FlightError, FlightEvent, FlightLimits, Peer, Phase, Received};
use farhand_mission::Mission;
use farhand_world::aircraft::{self, Aircraft, AircraftConfig, Truth};
use mavlink::dialects::common::{MISSION_COUNT_DATA, MISSION_ITEM_INT_DATA, MavCmd, MavFrame, MavMessage};

const STEP_US: u64 = 10_000;
const COMPANION: aircraft::Peer = aircraft::Peer { system: 1, component: 191 };
const AUTOPILOT: Peer = Peer { system: 1, component: 1 };

/// What the link does to messages, and when it is cut.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkFaults {
    pub seed: u64,
    pub drop_percent: u64,
    pub delay_ms_max: u64,
    /// From, to, in link seconds.
    pub cut_s: Option<(f64, f64)>,
}

pub(crate) struct Sky {
    pub aircraft: Aircraft,
    companion: Companion,
    faults: LinkFaults,
    random: u64,
    now_us: u64,
    up: Vec<(u64, MavMessage)>,
    down: Vec<(u64, MavMessage)>,
    pub events: Vec<FlightEvent>,
    pub sent: u64,
    pub lost: u64,
}

impl Sky {
    pub(crate) fn new(config: AircraftConfig, limits: FlightLimits, faults: LinkFaults) -> Self {
        Self {
            aircraft: Aircraft::new(config).unwrap(),
            companion: Companion::new(Mission::trial(), limits),
            random: faults.seed,
            faults,
            now_us: 0,
            up: Vec::new(),
            down: Vec::new(),
            events: Vec::new(),
            sent: 0,
            lost: 0,
        }
    }

    /// Runs until the companion is done; `meddle` may break things on the way.
    /// The limits' own bounds end it; a thousand link seconds more than any of them is a failure.
    pub(crate) fn run(
        &mut self,
        mut meddle: impl FnMut(f64, &mut Aircraft),
    ) -> Result<Delivered, FlightError> {
        for _ in 0..(3_000_000_000 / STEP_US) {
            meddle(self.now_us as f64 * 1e-6, &mut self.aircraft);
            if let Some(end) = self.step() {
                return end;
            }
        }
        unreachable!("the companion did not end in 3000 s of link time")
    }

    /// Lets the aircraft go on alone.
    pub(crate) fn let_fly(&mut self, seconds: f64) -> Truth {
        for _ in 0..(seconds * 1e6) as u64 / STEP_US {
            self.now_us += STEP_US;
            self.aircraft.step(self.now_us, &[]);
        }
        self.aircraft.truth()
    }

    /// The phases in the order they were first told.
    pub(crate) fn phases(&self) -> Vec<Phase> {
        let mut phases: Vec<Phase> = self.events.iter().map(|event| event.phase).collect();
        phases.dedup();
        phases
    }

    fn step(&mut self) -> Option<Result<Delivered, FlightError>> {
        self.now_us += STEP_US;
        let heard = take_due(&mut self.up, self.now_us);
        let heard: Vec<_> =
            heard.into_iter().map(|message| aircraft::Received { from: COMPANION, message }).collect();
        let said = self.aircraft.step(self.now_us, &heard);
        let said = self.through(said);
        self.down.extend(said);
        let heard = take_due(&mut self.down, self.now_us);
        let heard: Vec<_> = heard.into_iter().map(|message| Received { from: AUTOPILOT, message }).collect();
        let out = self.companion.step(self.now_us, &heard);
        let said = self.through(out.messages);
        self.up.extend(said);
        self.events.extend(out.events);
        out.end
    }

    fn through(&mut self, messages: Vec<MavMessage>) -> Vec<(u64, MavMessage)> {
        messages.into_iter().filter_map(|message| Some((self.arrival_us()?, message))).collect()
    }

    fn arrival_us(&mut self) -> Option<u64> {
        self.sent += 1;
        let now_s = self.now_us as f64 * 1e-6;
        let cut = self.faults.cut_s.is_some_and(|(from, to)| (from..to).contains(&now_s));
        if cut || self.next_random() % 100 < self.faults.drop_percent {
            self.lost += 1;
            return None;
        }
        let delay_us = self.next_random() % (self.faults.delay_ms_max * 1_000 + 1);
        Some(self.now_us + delay_us)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn take_due(queue: &mut Vec<(u64, MavMessage)>, now_us: u64) -> Vec<MavMessage> {
    let (due, later) = std::mem::take(queue).into_iter().partition(|(at_us, _)| *at_us <= now_us);
    *queue = later;
    let due: Vec<(u64, MavMessage)> = due;
    due.into_iter().map(|(_, message)| message).collect()
}

/// A pilot on another link gives the aircraft one item: land 100 m beside home.
pub(crate) fn replace_mission(aircraft: &mut Aircraft, now_us: u64) {
    let (x, y) = Mission::trial().home().place.offset(90.0, 100.0).unwrap().to_e7();
    let frame = MavFrame::MAV_FRAME_GLOBAL_RELATIVE_ALT;
    let land = MISSION_ITEM_INT_DATA { command: MavCmd::MAV_CMD_NAV_LAND, frame, x, y, ..Default::default() };
    let count = MISSION_COUNT_DATA { count: 1, ..Default::default() };
    for message in [MavMessage::MISSION_COUNT(count), MavMessage::MISSION_ITEM_INT(land)] {
        let from = aircraft::Peer { system: 255, component: 190 };
        aircraft.step(now_us, &[aircraft::Received { from, message }]);
    }
}

//! Flight modes, numbered as PX4 does (`src/modules/commander/px4_custom_mode.h`).

use mavlink::dialects::common::MavModeFlag;

/// The modes this aircraft flies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Position,
    Hold,
    Takeoff,
    Mission,
    Return,
    Land,
    /// Coming down without a position. PX4 shows it as Land.
    Descend,
}

const MAIN_POSITION: u32 = 3;
const MAIN_AUTO: u32 = 4;
const AUTO_TAKEOFF: u32 = 2;
const AUTO_HOLD: u32 = 3;
const AUTO_MISSION: u32 = 4;
const AUTO_RETURN: u32 = 5;
const AUTO_LAND: u32 = 6;

impl Mode {
    /// PX4's `custom_mode`: the main mode in bits 16 to 23, the sub-mode above.
    pub(super) fn custom_mode(self) -> u32 {
        let (main, sub) = match self {
            Mode::Position => (MAIN_POSITION, 0),
            Mode::Takeoff => (MAIN_AUTO, AUTO_TAKEOFF),
            Mode::Hold => (MAIN_AUTO, AUTO_HOLD),
            Mode::Mission => (MAIN_AUTO, AUTO_MISSION),
            Mode::Return => (MAIN_AUTO, AUTO_RETURN),
            Mode::Land | Mode::Descend => (MAIN_AUTO, AUTO_LAND),
        };
        main << 16 | sub << 24
    }

    /// The mode that a pilot asks for by main and sub number; none for what is not flown here.
    pub(super) fn from_numbers(main: u32, sub: u32) -> Option<Self> {
        match (main, sub) {
            (MAIN_POSITION, _) => Some(Mode::Position),
            (MAIN_AUTO, AUTO_TAKEOFF) => Some(Mode::Takeoff),
            (MAIN_AUTO, AUTO_HOLD) => Some(Mode::Hold),
            (MAIN_AUTO, AUTO_MISSION) => Some(Mode::Mission),
            (MAIN_AUTO, AUTO_RETURN) => Some(Mode::Return),
            (MAIN_AUTO, AUTO_LAND) => Some(Mode::Land),
            _ => None,
        }
    }

    pub(super) fn from_custom_mode(custom_mode: u32) -> Option<Self> {
        Self::from_numbers(custom_mode >> 16 & 0xff, custom_mode >> 24)
    }

    /// The heartbeat's base mode.
    pub(super) fn base_mode(self, armed: bool) -> MavModeFlag {
        let mut flags = MavModeFlag::MAV_MODE_FLAG_CUSTOM_MODE_ENABLED
            | MavModeFlag::MAV_MODE_FLAG_STABILIZE_ENABLED
            | MavModeFlag::MAV_MODE_FLAG_GUIDED_ENABLED;
        flags.set(MavModeFlag::MAV_MODE_FLAG_AUTO_ENABLED, self != Mode::Position);
        flags.set(MavModeFlag::MAV_MODE_FLAG_SAFETY_ARMED, armed);
        flags
    }
}

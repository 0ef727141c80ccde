//! QGroundControl's `.plan` file, format version 1 with mission version 2, read strictly.
//!
//! Source: the Plan file format page of the QGroundControl developer guide,
//! and MAVLink's `MAV_CMD` and `MAV_FRAME` for the numbers in an item.
//!
//! Invariant (local): nothing in a file is dropped silently if it would change the
//! flight. What Farhand does not fly (complex items, rally points, circles,
//! exclusion areas) is refused by item and field, never skipped.

mod reader;
mod writer;

use thiserror::Error;

use crate::mission::Home;
use crate::{FenceError, Geofence, Place, PlaceError};
use reader::Reader;

/// The largest file that is read.
pub const PLAN_BYTES_MAX: usize = 1 << 20;
/// The most items a plan may have.
pub const PLAN_ITEMS_MAX: usize = 500;

const PLAN_VERSION: i64 = 1;
const MISSION_VERSION: i64 = 2;
const FENCE_VERSION: i64 = 2;
const RALLY_VERSION: i64 = 2;
const SPEED_M_S_MAX: f64 = 100.0;
const ALTITUDE_M_MAX: f64 = 10_000.0;
const PAYLOAD_KG_MAX: f64 = 1_000.0;

/// A `.plan` file's content.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub home: Home,
    pub cruise_speed_m_s: f64,
    pub hover_speed_m_s: f64,
    /// `MAV_AUTOPILOT`: 12 is PX4, 3 ArduPilot.
    pub firmware_type: i64,
    /// `MAV_TYPE`: 2 is a quadrotor.
    pub vehicle_type: i64,
    pub items: Vec<PlanItem>,
    pub fence: Option<Geofence>,
    /// Farhand's own addition, `farhand.payloadMassKg`; QGroundControl neither needs nor writes it.
    pub payload_mass_kg: Option<f64>,
}

/// One simple item: a MAVLink command with its seven parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanItem {
    /// `MAV_CMD`.
    pub command: u16,
    /// `MAV_FRAME`.
    pub frame: u8,
    /// Parameters 1 to 7; a `null` in the file is NaN, "not set". 5 and 6 are latitude and longitude in degrees.
    pub params: [f64; 7],
    pub auto_continue: bool,
}

/// Why a file is not a plan that can be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PlanError {
    #[error("the plan is {seen} bytes long; at most {max} are read")]
    TooLong { seen: usize, max: usize },
    #[error("the plan is not JSON: {reason}")]
    NotJson { reason: String },
    #[error("{}field `{field}`: {problem}", item_words(*.item))]
    Field {
        /// Which mission item, counted from 1 as QGroundControl does; none outside the item list.
        item: Option<usize>,
        /// The field's path, from the top of the file or of the item.
        field: String,
        problem: Problem,
    },
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Problem {
    #[error("is missing")]
    Missing,
    #[error("is {seen}, but must be {expected}")]
    WrongType { seen: &'static str, expected: &'static str },
    #[error("is {seen}, but must be {min} to {max}")]
    OutOfRange { seen: f64, min: f64, max: f64 },
    #[error("has {seen} entries, but must have {min} to {max}")]
    Length { seen: usize, min: usize, max: usize },
    #[error("is {seen}, which is not supported; supported: {supported}")]
    Unsupported { seen: String, supported: &'static str },
    #[error("{0}")]
    Place(PlaceError),
    #[error("{0}")]
    Fence(FenceError),
}

impl Plan {
    /// Reads a plan; the first thing that is wrong is named by item and field.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        if text.len() > PLAN_BYTES_MAX {
            return Err(PlanError::TooLong { seen: text.len(), max: PLAN_BYTES_MAX });
        }
        let value =
            serde_json::from_str(text).map_err(|error| PlanError::NotJson { reason: error.to_string() })?;
        let top = Reader::top(&value)?;
        top.text_is("fileType", "Plan")?;
        top.version_is("version", PLAN_VERSION, "1")?;
        let mission = top.object("mission")?;
        mission.version_is("version", MISSION_VERSION, "2")?;
        refuse_rally_points(&top)?;
        Ok(Self {
            home: read_home(&mission)?,
            cruise_speed_m_s: mission.number_in("cruiseSpeed", 0.0, SPEED_M_S_MAX)?,
            hover_speed_m_s: mission.number_in("hoverSpeed", 0.0, SPEED_M_S_MAX)?,
            firmware_type: mission.integer_in("firmwareType", 0, 255)?,
            vehicle_type: mission.integer_in("vehicleType", 0, 255)?,
            items: read_items(&mission)?,
            fence: read_fence(&top)?,
            payload_mass_kg: read_payload(&top)?,
        })
    }

    /// Writes the plan as QGroundControl does; reading it back gives an equal plan.
    pub fn to_json(&self) -> String {
        writer::write(self)
    }
}

fn read_home(mission: &Reader) -> Result<Home, PlanError> {
    let [lat_deg, lon_deg, altitude_amsl_m] = mission.numbers("plannedHomePosition")?;
    let place = Place::new(lat_deg, lon_deg)
        .map_err(|error| mission.wrong("plannedHomePosition", Problem::Place(error)))?;
    mission.check_range("plannedHomePosition[2]", altitude_amsl_m, -500.0, ALTITUDE_M_MAX)?;
    Ok(Home { place, altitude_amsl_m })
}

fn read_items(mission: &Reader) -> Result<Vec<PlanItem>, PlanError> {
    let values = mission.list("items", 0, PLAN_ITEMS_MAX)?;
    values.iter().enumerate().map(|(index, value)| read_item(&Reader::item(index + 1, value)?)).collect()
}

fn read_item(item: &Reader) -> Result<PlanItem, PlanError> {
    let kind = item.text("type")?;
    if kind != "SimpleItem" {
        // The complex item's own name tells a pilot more than "ComplexItem".
        let seen = item.text("complexItemType").unwrap_or(kind).to_owned();
        return Err(item.wrong("type", Problem::Unsupported { seen, supported: "SimpleItem" }));
    }
    let params = item.numbers_or_null::<7>("params")?;
    Ok(PlanItem {
        command: item.integer_in("command", 0, i64::from(u16::MAX))? as u16, // in range by the line itself
        frame: item.integer_in("frame", 0, 21)? as u8,                       // MAV_FRAME ends at 21
        params,
        auto_continue: item.flag("autoContinue")?,
    })
}

fn read_fence(top: &Reader) -> Result<Option<Geofence>, PlanError> {
    let Some(fence) = top.optional_object("geoFence")? else { return Ok(None) };
    fence.version_is("version", FENCE_VERSION, "2")?;
    fence.must_be_empty("circles", "polygons")?;
    let polygons = fence.list("polygons", 0, 1)?;
    polygons.first().map(|value| read_polygon(&fence.child("polygons[0]", value)?)).transpose()
}

fn read_polygon(polygon: &Reader) -> Result<Geofence, PlanError> {
    if !polygon.flag("inclusion")? {
        let problem = Problem::Unsupported { seen: "an exclusion area".into(), supported: "inclusion" };
        return Err(polygon.wrong("inclusion", problem));
    }
    let vertices = polygon.places("polygon", crate::FENCE_VERTICES_MAX)?;
    Geofence::new(vertices).map_err(|error| polygon.wrong("polygon", Problem::Fence(error)))
}

fn refuse_rally_points(top: &Reader) -> Result<(), PlanError> {
    let Some(rally) = top.optional_object("rallyPoints")? else { return Ok(()) };
    rally.version_is("version", RALLY_VERSION, "2")?;
    rally.must_be_empty("points", "none: the aircraft returns to its home")
}

fn read_payload(top: &Reader) -> Result<Option<f64>, PlanError> {
    let Some(own) = top.optional_object("farhand")? else { return Ok(None) };
    own.number_in("payloadMassKg", 0.0, PAYLOAD_KG_MAX).map(Some)
}

fn item_words(item: Option<usize>) -> String {
    item.map(|number| format!("item {number}, ")).unwrap_or_default()
}

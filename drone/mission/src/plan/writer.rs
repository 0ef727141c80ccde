//! Writes a plan as QGroundControl does.

use serde_json::{Value, json};

use super::{FENCE_VERSION, MISSION_VERSION, PLAN_VERSION, Plan, PlanItem, RALLY_VERSION};
use crate::Geofence;

/// `MAV_FRAME_GLOBAL`, above the sea.
const FRAME_ABOVE_SEA: u8 = 0;
/// `MAV_FRAME_GLOBAL_RELATIVE_ALT`, above home.
const FRAME_ABOVE_HOME: u8 = 3;

pub(super) fn write(plan: &Plan) -> String {
    let home = plan.home;
    let mut file = json!({
        "fileType": "Plan",
        "version": PLAN_VERSION,
        "groundStation": "QGroundControl",
        "geoFence": fence(plan.fence.as_ref()),
        "rallyPoints": { "points": [], "version": RALLY_VERSION },
        "mission": {
            "version": MISSION_VERSION,
            "cruiseSpeed": plan.cruise_speed_m_s,
            "hoverSpeed": plan.hover_speed_m_s,
            "firmwareType": plan.firmware_type,
            "vehicleType": plan.vehicle_type,
            "globalPlanAltitudeMode": 1,
            "plannedHomePosition": [home.place.lat_deg(), home.place.lon_deg(), home.altitude_amsl_m],
            "items": plan.items.iter().enumerate().map(|(index, it)| item(index, it)).collect::<Vec<_>>(),
        },
    });
    if let Some(payload_mass_kg) = plan.payload_mass_kg {
        file["farhand"] = json!({ "payloadMassKg": payload_mass_kg });
    }
    format!("{file:#}\n")
}

fn item(index: usize, item: &PlanItem) -> Value {
    let mut value = json!({
        "type": "SimpleItem",
        "autoContinue": item.auto_continue,
        "command": item.command,
        "doJumpId": index + 1,
        "frame": item.frame,
        "params": item.params.map(number_or_null),
    });
    if let Some(mode) = altitude_mode(item.frame) {
        value["AMSLAltAboveTerrain"] = Value::Null;
        value["Altitude"] = number_or_null(item.params[6]);
        value["AltitudeMode"] = json!(mode);
    }
    value
}

/// QGroundControl's own altitude mode: 1 above home, 2 above the sea; commands have none.
fn altitude_mode(frame: u8) -> Option<u8> {
    match frame {
        FRAME_ABOVE_HOME => Some(1),
        FRAME_ABOVE_SEA => Some(2),
        _ => None,
    }
}

fn fence(fence: Option<&Geofence>) -> Value {
    let polygons: Vec<Value> = fence.iter().map(|fence| polygon(fence)).collect();
    json!({ "circles": [], "polygons": polygons, "version": FENCE_VERSION })
}

fn polygon(fence: &Geofence) -> Value {
    let ring: Vec<_> = fence.vertices().iter().map(|place| [place.lat_deg(), place.lon_deg()]).collect();
    json!({ "inclusion": true, "polygon": ring, "version": 1 })
}

fn number_or_null(number: f64) -> Value {
    if number.is_nan() { Value::Null } else { json!(number) }
}

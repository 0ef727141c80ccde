//! Who may publish and read what, as Zenoh's access list. What is not said here is denied.
//!
//! **Invariant (local): the ROS world commands a simulated arm, or none.** Where the router was not told that the arm is
//! simulated, no rule lets a command in, and none lets it out.

use std::collections::BTreeMap;

use farhand_link::{DeviceId, DeviceRole};
use serde_json::{Value, json};

use crate::{
    MeshError, Topic, crtk,
    topic::{ALL_EVENTS, ALL_HEALTHS, ALL_ORDERS, ALL_STATES},
};

/// No router knows more devices.
pub const DEVICES_MAX: usize = 1024;

/// Zenoh's `access_control` for these devices: a subject, a policy and a few rules for each.
pub(crate) fn access_control(
    devices: &BTreeMap<DeviceId, DeviceRole>,
    simulator: bool,
) -> Result<Value, MeshError> {
    if devices.len() > DEVICES_MAX {
        return Err(MeshError::TooManyDevices { seen: devices.len(), max: DEVICES_MAX });
    }
    let (mut rules, mut subjects, mut policies) = (Vec::new(), Vec::new(), Vec::new());
    for (id, role) in devices {
        let own = rules_of(*id, *role, simulator);
        if own.is_empty() {
            continue;
        }
        let name = id.to_string();
        let ids: Vec<&Value> = own.iter().map(|rule| &rule["id"]).collect();
        policies.push(json!({ "rules": ids, "subjects": [name] }));
        subjects.push(json!({ "id": name, "cert_common_names": [name], "link_protocols": ["quic"] }));
        rules.extend(own);
    }
    Ok(json!({
        "enabled": true,
        "default_permission": "deny",
        "rules": rules,
        "subjects": subjects,
        "policies": policies,
    }))
}

/// Both directions are ruled: what a device may hand in, and what it is handed.
fn rules_of(id: DeviceId, role: DeviceRole, simulator: bool) -> Vec<Value> {
    let (writes, reads) = (writes(id, role, simulator), reads(id, role, simulator));
    // Who listens to all of the arm's topics at once must be known to whoever publishes one of them.
    let wanted = if role == DeviceRole::Observer { crtk::all_keys() } else { writes.clone() };
    let (shows, watches) = match role {
        DeviceRole::Observer => (crtk::graph_keys(), Vec::new()),
        DeviceRole::Ros => (Vec::new(), crtk::graph_keys()),
        _ => Default::default(),
    };
    [
        ("ingress", "put", &writes),
        ("egress", "declare_subscriber", &wanted),
        ("ingress", "declare_subscriber", &reads),
        ("egress", "put", &reads),
        ("ingress", "liveliness_token", &shows),
        ("egress", "declare_liveliness_subscriber", &shows),
        ("egress", "liveliness_query", &shows),
        ("ingress", "declare_liveliness_subscriber", &watches),
        ("ingress", "liveliness_query", &watches),
        ("egress", "liveliness_token", &watches),
    ]
    .into_iter()
    .filter(|(_, _, keys)| !keys.is_empty())
    .map(|(flow, message, keys)| {
        json!({
            "id": format!("{id} {flow} {message}"),
            "permission": "allow",
            "flows": [flow],
            "messages": [message],
            "key_exprs": keys,
        })
    })
    .collect()
}

fn writes(id: DeviceId, role: DeviceRole, simulator: bool) -> Vec<String> {
    match role {
        DeviceRole::Flight => vec![Topic::Event(id).to_string()],
        DeviceRole::Kit => vec![Topic::State(id).to_string()],
        DeviceRole::Edge => vec![Topic::Health(id).to_string()],
        DeviceRole::Cloud => vec![ALL_ORDERS.to_owned()],
        DeviceRole::Observer => crtk::state_keys(),
        DeviceRole::Ros if simulator => crtk::command_keys(),
        DeviceRole::Ros | DeviceRole::Validator => Vec::new(),
    }
}

fn reads(id: DeviceId, role: DeviceRole, simulator: bool) -> Vec<String> {
    match role {
        DeviceRole::Flight => vec![Topic::Order(id).to_string()],
        DeviceRole::Cloud => [ALL_EVENTS, ALL_STATES, ALL_HEALTHS].map(str::to_owned).to_vec(),
        DeviceRole::Observer if simulator => crtk::command_keys(),
        DeviceRole::Ros => crtk::all_keys(),
        DeviceRole::Kit | DeviceRole::Edge | DeviceRole::Validator | DeviceRole::Observer => Vec::new(),
    }
}

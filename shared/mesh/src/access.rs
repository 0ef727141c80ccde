//! Who may publish and read what, as Zenoh's access list. What is not said here is denied.

use std::collections::BTreeMap;

use farhand_link::{DeviceId, DeviceRole};
use serde_json::{Value, json};

use crate::{
    MeshError, Topic,
    topic::{ALL_EVENTS, ALL_HEALTHS, ALL_ORDERS, ALL_STATES},
};

/// No router knows more devices.
pub const DEVICES_MAX: usize = 1024;

/// Zenoh's `access_control` for these devices: a subject, a policy and up to four rules for each.
pub(crate) fn access_control(devices: &BTreeMap<DeviceId, DeviceRole>) -> Result<Value, MeshError> {
    if devices.len() > DEVICES_MAX {
        return Err(MeshError::TooManyDevices { seen: devices.len(), max: DEVICES_MAX });
    }
    let (mut rules, mut subjects, mut policies) = (Vec::new(), Vec::new(), Vec::new());
    for (id, role) in devices {
        let own = rules_of(*id, *role);
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
fn rules_of(id: DeviceId, role: DeviceRole) -> Vec<Value> {
    let rule = |flow: &str, message: &str, keys: &[String]| {
        json!({
            "id": format!("{id} {flow} {message}"),
            "permission": "allow",
            "flows": [flow],
            "messages": [message],
            "key_exprs": keys,
        })
    };
    let (writes, reads) = (writes(id, role), reads(id, role));
    let mut rules = Vec::new();
    if !writes.is_empty() {
        rules.push(rule("ingress", "put", &writes));
        rules.push(rule("egress", "declare_subscriber", &writes));
    }
    if !reads.is_empty() {
        rules.push(rule("ingress", "declare_subscriber", &reads));
        rules.push(rule("egress", "put", &reads));
    }
    rules
}

fn writes(id: DeviceId, role: DeviceRole) -> Vec<String> {
    match role {
        DeviceRole::Flight => vec![Topic::Event(id).to_string()],
        DeviceRole::Kit => vec![Topic::State(id).to_string()],
        DeviceRole::Edge => vec![Topic::Health(id).to_string()],
        DeviceRole::Cloud => vec![ALL_ORDERS.to_owned()],
        DeviceRole::Validator => Vec::new(),
    }
}

fn reads(id: DeviceId, role: DeviceRole) -> Vec<String> {
    match role {
        DeviceRole::Flight => vec![Topic::Order(id).to_string()],
        DeviceRole::Cloud => [ALL_EVENTS, ALL_STATES, ALL_HEALTHS].map(str::to_owned).to_vec(),
        DeviceRole::Kit | DeviceRole::Edge | DeviceRole::Validator => Vec::new(),
    }
}

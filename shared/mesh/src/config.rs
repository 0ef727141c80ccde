//! What a session is opened with, and how that is told to Zenoh.

use std::{collections::BTreeMap, net::SocketAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::pkcs8::{EncodePrivateKey as _, spki::der::pem::LineEnding};
use farhand_link::{DeviceId, DeviceKey, DeviceRole};
use serde_json::{Value, json};

use crate::{Certificate, MESSAGE_BYTES_MAX, MeshError, access::access_control};

/// How a device gets onto the mesh.
#[derive(Clone, Debug)]
pub struct MeshConfig {
    pub key: DeviceKey,
    /// For that key, by [`Authority::admit`](crate::Authority::admit).
    pub certificate: Certificate,
    /// The site's own certificate: only a router under it is believed.
    pub anchor: Certificate,
    pub router: SocketAddr,
    /// How long to try before giving up. Once let in, a device that loses the router looks for it for ever.
    pub open_ms_max: u64,
}

/// What a router needs.
#[derive(Clone, Debug)]
pub struct RouterConfig {
    pub key: DeviceKey,
    /// For that key and this address, by [`Authority::admit_router`](crate::Authority::admit_router).
    pub certificate: Certificate,
    pub anchor: Certificate,
    /// Port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Who may come in, as what. Whoever is not here can connect, under a certificate of the site, and do nothing.
    pub devices: BTreeMap<DeviceId, DeviceRole>,
    /// The arm is a simulated one: the ROS world may command it.
    pub simulator: bool,
}

/// How often a lost router is looked for.
const RETRY_MS_FIRST: u64 = 100;
const RETRY_MS_MAX: u64 = 2_000;
const RETRY_FACTOR: f64 = 2.0;
/// Zenoh's own bytes around a message.
const ENVELOPE_BYTES_MAX: usize = 4 * 1024;

pub(crate) fn of_device(config: &MeshConfig) -> Result<zenoh::Config, MeshError> {
    let (key, certificate) = credentials(&config.key, &config.certificate)?;
    let mut zenoh = common("client")?;
    set(&mut zenoh, "listen/endpoints", &json!([]))?;
    set(&mut zenoh, "connect/endpoints", &json!([format!("quic/{}", config.router)]))?;
    set(&mut zenoh, "connect/timeout_ms", &config.open_ms_max.into())?;
    set(&mut zenoh, "connect/exit_on_failure", &true.into())?;
    let retry = json!({
        "period_init_ms": RETRY_MS_FIRST,
        "period_max_ms": RETRY_MS_MAX,
        "period_increase_factor": RETRY_FACTOR,
    });
    set(&mut zenoh, "connect/retry", &retry)?;
    let tls = json!({
        "root_ca_certificate_base64": STANDARD.encode(config.anchor.pem()),
        "enable_mtls": true,
        "verify_name_on_connect": true,
        "close_link_on_expiration": true,
        "connect_private_key_base64": key,
        "connect_certificate_base64": certificate,
    });
    set(&mut zenoh, "transport/link/tls", &tls)?;
    Ok(zenoh)
}

pub(crate) fn of_router(config: &RouterConfig, listen: SocketAddr) -> Result<zenoh::Config, MeshError> {
    let (key, certificate) = credentials(&config.key, &config.certificate)?;
    let mut zenoh = common("router")?;
    set(&mut zenoh, "listen/endpoints", &json!([format!("quic/{listen}")]))?;
    set(&mut zenoh, "listen/exit_on_failure", &true.into())?;
    set(&mut zenoh, "listen/timeout_ms", &0.into())?;
    set(&mut zenoh, "connect/endpoints", &json!([]))?;
    let tls = json!({
        "root_ca_certificate_base64": STANDARD.encode(config.anchor.pem()),
        "enable_mtls": true,
        "close_link_on_expiration": true,
        "listen_private_key_base64": key,
        "listen_certificate_base64": certificate,
    });
    set(&mut zenoh, "transport/link/tls", &tls)?;
    set(&mut zenoh, "access_control", &access_control(&config.devices, config.simulator)?)?;
    Ok(zenoh)
}

/// Nobody is looked for or told about, nothing but QUIC is spoken, and no message is long.
fn common(mode: &str) -> Result<zenoh::Config, MeshError> {
    let mut zenoh = zenoh::Config::default();
    for (key, value) in [
        ("mode", json!(mode)),
        ("scouting/multicast/enabled", json!(false)),
        ("scouting/gossip/enabled", json!(false)),
        ("adminspace/enabled", json!(false)),
        ("transport/link/protocols", json!(["quic"])),
        ("transport/link/rx/max_message_size", json!(MESSAGE_BYTES_MAX + ENVELOPE_BYTES_MAX)),
    ] {
        set(&mut zenoh, key, &value)?;
    }
    Ok(zenoh)
}

fn set(zenoh: &mut zenoh::Config, key: &'static str, value: &Value) -> Result<(), MeshError> {
    zenoh
        .insert_json5(key, &value.to_string())
        .map_err(|error| MeshError::Config { key, why: error.to_string() })
}

/// Key and certificate as Zenoh takes them: PEM in base64.
fn credentials(key: &DeviceKey, certificate: &Certificate) -> Result<(String, String), MeshError> {
    let pem =
        key.signing_key().to_pkcs8_pem(LineEnding::LF).map_err(|error| MeshError::Key(error.to_string()))?;
    Ok((STANDARD.encode(pem.as_bytes()), STANDARD.encode(certificate.pem())))
}

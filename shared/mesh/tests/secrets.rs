//! What the mesh writes into logs. In a binary of its own: a process has one log.

#![allow(clippy::unwrap_used)]

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::pkcs8::{EncodePrivateKey, spki::der::pem::LineEnding};
use farhand_link::{DeviceKey, DeviceRole};
use farhand_mesh::{Authority, Mesh, MeshConfig, Router, RouterConfig, Topic};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Reads a log as it is written.
#[derive(Clone, Default)]
struct Reader {
    needles: Arc<Vec<String>>,
    lines: Arc<AtomicU64>,
    found: Arc<AtomicU64>,
}

impl io::Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let found = self.needles.iter().any(|needle| text.contains(needle.as_str()));
        self.lines.fetch_add(1, Ordering::Relaxed);
        self.found.fetch_add(u64::from(found), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The private key as it could be written: its PEM's body, that PEM in base64, its seed in hexadecimal.
fn needles(key: &DeviceKey) -> Vec<String> {
    let pem = key.signing_key().to_pkcs8_pem(LineEnding::LF).unwrap();
    let body = pem.lines().nth(1).unwrap()[20..60].to_owned();
    let seed = key.signing_key().to_bytes();
    let hex = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![body, STANDARD.encode(pem.as_bytes())[60..120].to_owned(), hex]
}

/// Goal: no log, however detailed, shows a device's private key: not of the router, not of a device, not when one is refused.
#[tokio::test(flavor = "multi_thread")]
async fn no_log_shows_a_private_key() {
    let key = |number: u8| DeviceKey::from_seed(&std::array::from_fn(|at| number ^ (at as u8 * 7)));
    let (authority, router_key, kit, stranger) = (Authority::new(key(1)), key(2), key(3), key(4));
    let all = [&router_key, &kit, &stranger].map(needles).concat();
    let reader = Reader { needles: Arc::new(all), ..Reader::default() };
    let writer = reader.clone();
    tracing_subscriber::fmt()
        .with_env_filter("trace")
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();

    let now = SystemTime::now();
    let router = Router::open(RouterConfig {
        key: router_key.clone(),
        certificate: authority.admit_router(router_key.id(), &[LOOPBACK], now).unwrap(),
        anchor: authority.anchor(now).unwrap(),
        listen: SocketAddr::new(LOOPBACK, 0),
        devices: [(kit.id(), DeviceRole::Kit)].into(),
        simulator: false,
    })
    .await
    .unwrap();
    let device = |key: &DeviceKey, authority: &Authority, open_ms_max| MeshConfig {
        key: key.clone(),
        certificate: authority.admit(key.id(), now).unwrap(),
        anchor: authority.anchor(now).unwrap(),
        router: router.address(),
        open_ms_max,
    };
    let mesh = Mesh::open(device(&kit, &authority, 30_000)).await.unwrap();
    mesh.publish(Topic::State(kit.id()), "here").await.unwrap();
    assert!(Mesh::open(device(&stranger, &Authority::new(key(5)), 500)).await.is_err());
    mesh.close().await;
    router.close().await;
    assert!(reader.lines.load(Ordering::Relaxed) > 100, "the log was read");
    assert_eq!(reader.found.load(Ordering::Relaxed), 0, "lines of the log show a private key");
}

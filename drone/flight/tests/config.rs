//! The service's configuration file: read whole, or refused by what is wrong in it.

#![allow(clippy::unwrap_used)]

mod depot;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process::Command,
    time::SystemTime,
};

use depot::Depot;
use farhand_flight::{LinkAddress, Routes, ServeConfig};
use farhand_link::DeviceKey;
use farhand_mesh::Authority;
use farhand_mission::Mission;

struct Folder {
    folder: tempfile::TempDir,
    depot: Depot,
    key: DeviceKey,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (depot, authority) = (Depot::new(1), Authority::new(DeviceKey::from_seed(&[1; 32])));
        let path = |name: &str| folder.path().join(name);
        let key = DeviceKey::load_or_create(&path("device.key")).unwrap();
        let now = SystemTime::now();
        std::fs::write(path("genesis.trust"), depot.trust.to_bytes()).unwrap();
        std::fs::write(path("anchor.pem"), authority.anchor(now).unwrap().pem()).unwrap();
        std::fs::write(path("device.pem"), authority.admit(key.id(), now).unwrap().pem()).unwrap();
        std::fs::write(path("trial.plan"), Mission::trial().to_plan().to_json()).unwrap();
        std::fs::write(path("mavlink.key"), "5a".repeat(32)).unwrap();
        Self { folder, depot, key }
    }

    fn text(&self) -> String {
        format!(
            r#"
            key = "device.key"
            genesis = "genesis.trust"
            kits = ["{kit}"]
            routes = ["trial.plan"]
            journal = "flight.json"
            [autopilot]
            link = "udp:127.0.0.1:14540"
            key = "mavlink.key"
            [mesh]
            router = "127.0.0.1:7447"
            certificate = "device.pem"
            anchor = "anchor.pem"
            [[validators]]
            key = "{validator}"
            addr = "127.0.0.1:9000"
            "#,
            kit = self.depot.kit,
            validator = self.depot.trust.validators()[0].key,
        )
    }

    fn write(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("flight.toml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Goal: everything in the file arrives, and its paths start at its folder.
#[test]
fn a_configuration_is_read_whole() {
    let folder = Folder::new();
    let config = ServeConfig::load(&folder.write(&folder.text())).unwrap();
    assert_eq!(config.mesh.key.id(), folder.key.id());
    assert_eq!(config.mesh.router, (IpAddr::V4(Ipv4Addr::LOCALHOST), 7447).into());
    assert_eq!(config.rules.trust, folder.depot.trust);
    assert_eq!(config.rules.kits, [folder.depot.kit]);
    assert_eq!(config.rules.routes, Routes::Only(vec![Mission::trial()]));
    assert_eq!(config.autopilot, "udp:127.0.0.1:14540".parse::<LinkAddress>().unwrap());
    assert_eq!((config.autopilot_key, config.validators.len()), (Some([0x5a; 32]), 1));
    assert_eq!(config.journal, folder.folder.path().join("flight.json"));
}

/// Goal: what can't be used is named; the program says so and exits with 2. Approved routes are never left out by mistake.
#[test]
fn what_cannot_be_used_is_named() {
    let folder = Folder::new();
    let text = folder.text();
    for (from, to, words) in [
        ("routes = [\"trial.plan\"]", "", "any_route"),
        ("routes = [\"trial.plan\"]", "routes = [\"trial.plan\"]\nany_route = true", "any_route"),
        ("routes = [\"trial.plan\"]", "routes = [\"device.pem\"]", "the plan is not JSON"),
        ("genesis = \"genesis.trust\"", "genesis = \"trial.plan\"", "the genesis file"),
        ("certificate = \"device.pem\"", "certificate = \"trial.plan\"", "the certificate"),
        ("key = \"mavlink.key\"", "key = \"trial.plan\"", "64 hexadecimal digits"),
        ("udp:127.0.0.1:14540", "serial:1", "is not a link address"),
        ("key = \"device.key\"", "key = \"none.key\"", "none.key"),
        ("journal", "journals", "journals"),
    ] {
        let path = folder.write(&text.replacen(from, to, 1));
        let error = ServeConfig::load(&path).unwrap_err().to_string();
        assert!(error.contains(words), "{to}: {error}");
    }
    let path = folder.write("");
    let arguments = ["serve", "--config", path.to_str().unwrap()];
    let output = Command::new(env!("CARGO_BIN_EXE_farhand-flight")).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("flight.toml"), "{said}");
}

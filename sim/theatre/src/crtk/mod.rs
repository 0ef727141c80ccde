//! The ROS world in a trial: its bridge, a surgeon's place for it, and what a ROS peer needs to connect.

mod driver;
pub(crate) mod rehearsal;
mod stream;

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use ed25519_dalek::pkcs8::{EncodePrivateKey as _, spki::der::pem::LineEnding};
use farhand_agent::peer::RoleLink;
use farhand_crtk::{Commands, Config, Service};
use farhand_link::{DeviceId, DeviceKey};
use farhand_mesh::Mesh;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::site::write;

/// What the part is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartFile {
    /// The surgeon's role link that the ROS world has.
    pub(crate) surgeon: String,
    pub(crate) bridge: Config,
}

/// **Bridges and drives until the mesh is closed.**
pub(crate) async fn part(path: &Path) -> anyhow::Result<()> {
    let file: PartFile = toml::from_str(&fs::read_to_string(path)?)?;
    let config = file.bridge.relative_to(path.parent().unwrap_or(Path::new(".")));
    let link: RoleLink = file.surgeon.parse()?;
    let mesh = Mesh::open(config.mesh()?).await?;
    let service = Service::open(&config, &mesh).await?;
    let commands = Commands::listen(&config, &mesh).await?;
    tokio::select! {
        ran = service.run() => ran.context("the bridge"),
        drove = driver::drive(link, commands) => drove.context("the ROS world's surgeon"),
    }
}

/// The bridge's key, and that of a ROS peer.
#[derive(Debug)]
pub(crate) struct Keys {
    bridge: DeviceKey,
    ros: DeviceKey,
}

impl Keys {
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let bridge = DeviceKey::load_or_create(&folder.join("bridge.key"))?;
        Ok(Self { bridge, ros: DeviceKey::generate()? })
    }

    /// By their roles on the mesh.
    pub(crate) fn devices(&self) -> [(&'static str, DeviceId); 2] {
        [("observer", self.bridge.id()), ("ros", self.ros.id())]
    }

    /// Writes what a ROS peer needs to connect: its key, its certificate and the site's, from the mesh's folder, and a Zenoh
    /// configuration that names them all.
    pub(crate) fn write_access(&self, folder: &Path, mesh: &Path, router: SocketAddr) -> anyhow::Result<()> {
        let (anchor, certificate) = (folder.join("anchor.pem"), folder.join("ros.pem"));
        fs::copy(mesh.join("anchor.pem"), &anchor)?;
        fs::copy(mesh.join("ros.pem"), &certificate)?;
        let pem = self.ros.signing_key().to_pkcs8_pem(LineEnding::LF).context("the ROS peer's key")?;
        let secret = folder.join("ros.key.pem");
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&secret)?;
        file.write_all(pem.as_bytes())?;
        // As a Zenoh client takes it, and an `rmw_zenoh` node, whose publishers want timestamps.
        let config = json!({
            "mode": "client",
            "connect": { "endpoints": [format!("quic/{router}")] },
            "scouting": { "multicast": { "enabled": false }, "gossip": { "enabled": false } },
            "timestamping": { "enabled": true },
            "transport": { "link": { "tls": {
                "root_ca_certificate": anchor,
                "enable_mtls": true,
                "connect_private_key": secret,
                "connect_certificate": certificate,
                "verify_name_on_connect": true,
            } } },
        });
        Ok(write(&access(folder), serde_json::to_string_pretty(&config)?.as_bytes())?)
    }
}

/// The Zenoh configuration of a ROS peer.
pub(crate) fn access(folder: &Path) -> PathBuf {
    folder.join("zenoh.json5")
}

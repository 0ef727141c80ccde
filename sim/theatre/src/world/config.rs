//! What the world is told before it starts: one TOML file, every path relative to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use farhand_kit::ArmCable;
use farhand_scene::{DEFAULT_RATE_HZ, SceneSettings};
use farhand_world::{exercise::Exercise, rig::ARM_NAMES};
use serde::{Deserialize, Serialize};

/// Pictures a second, most: more than any endoscope gives.
const FPS_MAX: u32 = 120;

/// The simulated world of one seed. What is not named is not there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorldConfig {
    /// Which tissue, and where the bead lies.
    pub(crate) seed: u64,
    /// Where the truth is written, about five times a second, as one JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) truth: Option<PathBuf>,
    /// What is exercised instead of taking the bead, by its name; its result is written beside the truth, as exercise.json.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exercise: Option<String>,
    /// What lies between console and edge box, for that result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<String>,
    /// In the order of [`farhand_world::rig`]: the arm that works, a second one, the endoscope's.
    pub(crate) arms: Vec<ArmEnd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) camera: Option<CameraEnd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aircraft: Option<AircraftEnd>,
}

/// An arm's end of its cable: UDP on the loopback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArmEnd {
    pub(crate) listen: SocketAddr,
    /// The kit's end.
    pub(crate) kit: SocketAddr,
    /// File with the cable's key: 64 hex digits.
    pub(crate) cable_key: PathBuf,
}

/// The endoscope: raw NV12 frames (BT.709, limited range) by GStreamer's `shmsink`, which carries no caps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CameraEnd {
    /// The control socket's path; the edge box reads `shm:SOCKET?width=W&height=H&fps=F`.
    pub(crate) socket: PathBuf,
    #[serde(default = "default_width")]
    pub(crate) width: u32,
    #[serde(default = "default_height")]
    pub(crate) height: u32,
    #[serde(default = "default_fps")]
    pub(crate) fps: u32,
}

/// The aircraft: MAVLink 2 by UDP on the loopback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AircraftEnd {
    /// The companion that it calls.
    pub(crate) remote: SocketAddr,
    /// File with the link's signing key, 64 hex digits. Without it nothing is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signing_key: Option<PathBuf>,
    /// How much faster than the link the aircraft flies, 1 to 200.
    #[serde(default = "default_speedup")]
    pub(crate) speedup: f64,
}

impl WorldConfig {
    /// Reads and checks the file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let config: Self = toml::from_str(&text)
            .with_context(|| format!("{} is not a world's configuration", path.display()))?;
        let config = config.relative_to(path.parent().unwrap_or(Path::new(".")));
        config.check().with_context(|| format!("in {}", path.display()))?;
        Ok(config)
    }

    /// The simulated world stays on this machine, whoever made the configuration.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let companion = self.aircraft.iter().map(|aircraft| ("aircraft.remote", aircraft.remote));
        let arms = self.arms.len();
        ensure!((1..=ARM_NAMES.len()).contains(&arms), "{arms} arms, allowed are 1 to {}", ARM_NAMES.len());
        let ends = self.arms.iter().flat_map(|arm| [("arms.listen", arm.listen), ("arms.kit", arm.kit)]);
        for (name, address) in ends.chain(companion) {
            ensure!(address.ip().is_loopback(), "{name} is {address}, allowed is the loopback, as 127.0.0.1");
        }
        self.exercise()?;
        if let Some(camera) = &self.camera {
            ensure!(
                (1..=FPS_MAX).contains(&camera.fps),
                "camera.fps is {}, allowed is 1 to {FPS_MAX}",
                camera.fps
            );
        }
        Ok(())
    }

    pub(crate) fn exercise(&self) -> anyhow::Result<Option<Exercise>> {
        Ok(self.exercise.as_deref().map(str::parse).transpose()?)
    }

    fn relative_to(mut self, folder: &Path) -> Self {
        let camera = self.camera.iter_mut().map(|camera| &mut camera.socket);
        let aircraft = self.aircraft.iter_mut().filter_map(|aircraft| aircraft.signing_key.as_mut());
        let cables = self.arms.iter_mut().map(|arm| &mut arm.cable_key);
        let paths = self.truth.iter_mut().chain(cables).chain(camera).chain(aircraft);
        paths.for_each(|path| *path = folder.join(&*path));
        self
    }
}

impl ArmEnd {
    /// The key that both ends of the cable hold.
    pub(crate) fn read_key(&self) -> anyhow::Result<[u8; 32]> {
        let cable = ArmCable { listen: self.kit, address: self.listen, key: self.cable_key.clone() };
        cable.read_key().context("the arm has no key for its cable")
    }
}

impl AircraftEnd {
    /// The link's signing key, if it has one.
    pub(crate) fn read_key(&self) -> anyhow::Result<Option<[u8; 32]>> {
        let Some(path) = &self.signing_key else { return Ok(None) };
        let wrong = || {
            format!("the aircraft's signing key {} can't be used: 64 hex digits are expected", path.display())
        };
        let text = std::fs::read_to_string(path).with_context(wrong)?;
        let mut key = [0; 32];
        hex::decode_to_slice(text.trim(), &mut key).with_context(wrong)?;
        Ok(Some(key))
    }
}

fn default_width() -> u32 {
    SceneSettings::default().width
}

fn default_height() -> u32 {
    SceneSettings::default().height
}

fn default_fps() -> u32 {
    DEFAULT_RATE_HZ
}

fn default_speedup() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        seed = 7
        truth = "truth.json"
        exercise = "peg-transfer"
        line = "leo"
        arms = [{ listen = "127.0.0.1:1", kit = "127.0.0.1:2", cable_key = "cable.key" }]
        camera = { socket = "/run/eye" }
        aircraft = { remote = "127.0.0.1:3", signing_key = "link.key", speedup = 5.0 }
    "#;

    fn read(text: &str) -> anyhow::Result<WorldConfig> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("world.toml");
        std::fs::write(&path, text).unwrap();
        WorldConfig::read(&path)
    }

    /// Goal: what a supervisor writes is what the world reads, with the scene's own size where none is named.
    #[test]
    fn what_is_written_is_read_again() {
        let config = read(TEXT).unwrap();
        assert_eq!(read(&toml::to_string(&config).unwrap()).unwrap(), config);
        let camera = config.camera.unwrap();
        assert_eq!((camera.width, camera.height, camera.fps), (960, 540, 30));
        assert_eq!(camera.socket, Path::new("/run/eye"));
        assert!(config.truth.unwrap().is_absolute());
        assert!(config.arms[0].cable_key.ends_with("cable.key"));
    }

    /// Goal: an arm alone is a world; camera, aircraft and truth are there only if named.
    #[test]
    fn an_arm_alone_is_a_world() {
        let text = "seed = 1\narms = [{ listen = \"[::1]:1\", kit = \"127.0.0.1:2\", cable_key = \"k\" }]";
        let config = read(text).unwrap();
        assert!(config.camera.is_none() && config.aircraft.is_none() && config.truth.is_none());
    }

    /// Goal: what cannot be meant is refused by name.
    #[test]
    fn a_wrong_configuration_is_refused_by_name() {
        for (from, to, says) in [
            ("seed = 7", "seed = 7\nspeed = 1", "unknown field `speed`"),
            ("speedup", "speed_up", "unknown field `speed_up`"),
            ("127.0.0.1:1", "192.0.2.1:1", "arms.listen is 192.0.2.1:1"),
            ("arms = [{", "arms = []\n[[arms]]\n#", "arms"),
            ("peg-transfer", "juggling", "there is no exercise \"juggling\""),
            ("127.0.0.1:3", "0.0.0.0:3", "aircraft.remote is 0.0.0.0:3"),
            ("\"/run/eye\"", "\"/run/eye\", fps = 0", "camera.fps is 0, allowed is 1 to 120"),
        ] {
            let error = read(&TEXT.replace(from, to)).unwrap_err();
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
    }
}

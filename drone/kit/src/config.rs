//! What a kit is told before it starts: one TOML file, every path relative to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use farhand_guard::{LimitOutOfRange, Limits};
use farhand_motion::{ArmModel, Mounted};
use farhand_wire::{ARMS_MAX, ArmKind, ArmNotice, region::in_millionths};
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The file's content. Unknown keys are refused: a limit misspelt must not be a limit unset.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The device key's file; made if absent, readable by its owner alone.
    pub key: PathBuf,
    /// Folder for what must outlive a restart.
    pub data: PathBuf,
    /// The trust root that openings are checked against.
    pub trust: PathBuf,
    /// Where the edge box connects to (QUIC).
    pub listen: SocketAddr,
    /// Where else it does, for further paths: an address on each network card. At most three.
    #[serde(default)]
    pub listen_also: Vec<SocketAddr>,
    /// The edge box that this kit is paired with: its device id, hex.
    pub edge: String,
    /// Where to write how the kit fares, once a second, for node_exporter's textfile collector: its mode, what became of
    /// commands, and how late the loop's ticks began (`docs/figures.md`). Nowhere unless it is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<PathBuf>,
    /// One to four; the kit's frame is the first one's base frame.
    pub arms: Vec<ArmConfig>,
    /// Whom on this machine to tell how arm and kit stand, a hundred times a second (`docs/crtk.md`). Nobody unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observer: Option<ObserverCable>,
    #[serde(default)]
    pub limits: Limits,
}

/// One of the kit's arms.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmConfig {
    /// For people, as CRTK names arms: PSM1, ECM.
    pub name: String,
    /// An arm that motion knows, see [`ArmModel::names`].
    pub model: String,
    /// Where it stands; the first arm stands at the origin of the kit's frame.
    #[serde(default, skip_serializing_if = "Mount::is_origin")]
    pub mount: Mount,
    pub cable: ArmCable,
}

/// Pose of an arm's base, that is its remote centre, in the kit's frame: m, and a unit quaternion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    pub position_m: [f64; 3],
    pub orientation_wxyz: [f64; 4],
}

impl Default for Mount {
    fn default() -> Self {
        Self { position_m: [0.0; 3], orientation_wxyz: [1.0, 0.0, 0.0, 0.0] }
    }
}

impl Mount {
    fn is_origin(&self) -> bool {
        *self == Self::default()
    }

    /// No arm stands too far from another, and no turn is anything but a turn.
    fn is_a_place(&self) -> bool {
        let norm = self.orientation_wxyz.iter().map(|part| part * part).sum::<f64>().sqrt();
        self.position_m.iter().all(|part| part.abs() <= MOUNT_M_MAX) && (norm - 1.0).abs() <= MOUNT_NORM_SLACK
    }
}

impl From<Mount> for Isometry3<f64> {
    fn from(Mount { position_m: [x, y, z], orientation_wxyz: [w, i, j, k] }: Mount) -> Self {
        let turn = UnitQuaternion::from_quaternion(Quaternion::new(w, i, j, k));
        Self::from_parts(Translation3::new(x, y, z), turn)
    }
}

/// How far one arm may stand from another, along an axis: what it reaches from there is still within what poses may say.
const MOUNT_M_MAX: f64 = 0.7;
/// A quaternion that is written with six digits is as near to a unit one.
const MOUNT_NORM_SLACK: f64 = 1e-5;
/// Bytes of an arm's name.
const NAME_BYTES_MAX: usize = 16;

/// The cable to an arm.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmCable {
    /// Our end (UDP).
    pub listen: SocketAddr,
    /// The arm's end.
    pub address: SocketAddr,
    /// File with the cable's key: 64 hex digits, the same at both ends.
    pub key: PathBuf,
}

/// The one-way cable to an observer: nothing that comes back is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObserverCable {
    /// Where it listens (UDP), on the loopback.
    pub to: SocketAddr,
    /// File with the cable's key: 64 hex digits, the same at both ends.
    pub key: PathBuf,
}

/// Why a configuration is not used.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read {}: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not a kit's configuration: {source}", .path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("in {}: {source}", .path.display())]
    Limit { path: PathBuf, source: LimitOutOfRange },
    #[error("in {}: {arms} arms, allowed are 1 to {ARMS_MAX}", .path.display())]
    Arms { path: PathBuf, arms: usize },
    #[error("in {}: there is no arm {model:?}; there are {}", .path.display(), .known.join(", "))]
    Model { path: PathBuf, model: String, known: Vec<&'static str> },
    #[error("in {}: the first arm stands at the origin of the kit's frame, and has no mount", .path.display())]
    FirstMount { path: PathBuf },
    #[error("in {}: the mount of {name} is no place within {MOUNT_M_MAX} m, or its orientation no unit quaternion", .path.display())]
    Mount { path: PathBuf, name: String },
    #[error("in {}: an arm's name has 1 to {NAME_BYTES_MAX} bytes and belongs to one arm alone, {name:?} does not", .path.display())]
    Name { path: PathBuf, name: String },
    #[error("in {}: {name} has an address or a key that another arm has", .path.display())]
    SharedCable { path: PathBuf, name: String },
    #[error("{} does not hold a key: 64 hex digits are expected", .path.display())]
    CableKey { path: PathBuf },
    #[error("in {}: the observer {to} is not on this machine", .path.display())]
    ObserverElsewhere { path: PathBuf, to: SocketAddr },
}

impl Config {
    /// Reads and checks the file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Parse { path: path.into(), source: Box::new(source) })?;
        let limits = config
            .limits
            .clone()
            .checked()
            .map_err(|source| ConfigError::Limit { path: path.into(), source })?;
        if let Some(observer) = config.observer.as_ref().filter(|observer| !observer.to.ip().is_loopback()) {
            return Err(ConfigError::ObserverElsewhere { path: path.into(), to: observer.to });
        }
        config.check_arms(path)?;
        Ok(Self { limits, ..config }.relative_to(path.parent().unwrap_or(Path::new("."))))
    }

    fn check_arms(&self, path: &Path) -> Result<(), ConfigError> {
        let (path, arms) = (path.to_path_buf(), self.arms.len());
        if !(1..=ARMS_MAX).contains(&arms) {
            return Err(ConfigError::Arms { path, arms });
        }
        if !self.arms[0].mount.is_origin() {
            return Err(ConfigError::FirstMount { path });
        }
        for (number, arm) in self.arms.iter().enumerate() {
            let name = arm.name.clone();
            let taken = self.arms[..number].iter().any(|other| other.name == name);
            if taken || !(1..=NAME_BYTES_MAX).contains(&name.len()) {
                return Err(ConfigError::Name { path, name });
            }
            let shares = |other: &ArmConfig| {
                other.cable.address == arm.cable.address || other.cable.key == arm.cable.key
            };
            if self.arms[..number].iter().any(shares) {
                return Err(ConfigError::SharedCable { path, name });
            }
            if !arm.mount.is_a_place() {
                return Err(ConfigError::Mount { path, name });
            }
            if arm.mounted().is_none() {
                return Err(ConfigError::Model {
                    path,
                    model: arm.model.clone(),
                    known: ArmModel::names().collect(),
                });
            }
        }
        Ok(())
    }

    /// The arms where they stand, in their order.
    #[must_use]
    pub fn mounted(&self) -> Vec<Mounted> {
        // A model that is not known was refused when the file was read.
        self.arms.iter().filter_map(ArmConfig::mounted).collect()
    }

    fn relative_to(mut self, folder: &Path) -> Self {
        let paths = [&mut self.key, &mut self.data, &mut self.trust];
        let observer = self.observer.as_mut().map(|observer| &mut observer.key);
        let cables = self.arms.iter_mut().map(|arm| &mut arm.cable.key);
        for path in paths.into_iter().chain(cables).chain(&mut self.metrics).chain(observer) {
            *path = folder.join(&*path);
        }
        self
    }
}

impl ArmConfig {
    /// The arm at its place; `None` where there is no such model.
    #[must_use]
    pub fn mounted(&self) -> Option<Mounted> {
        let model = ArmModel::by_name(&self.model)?;
        Some(Mounted { model, kit_from_base: self.mount.into() })
    }

    /// What everybody is told of it. An arm without a wrist is the endoscope's.
    #[must_use]
    pub fn notice(&self) -> ArmNotice {
        let has_wrist = ArmModel::by_name(&self.model).is_some_and(|model| model.has_wrist());
        ArmNotice {
            name: self.name.clone(),
            kind: if has_wrist { ArmKind::Instrument } else { ArmKind::Endoscope },
            position_um: in_millionths(self.mount.position_m),
            orientation_wxyz_millionths: in_millionths(self.mount.orientation_wxyz),
        }
    }
}

impl ArmCable {
    /// The key that both ends hold.
    pub fn read_key(&self) -> Result<[u8; 32], ConfigError> {
        read_key(&self.key)
    }
}

impl ObserverCable {
    /// The key that both ends hold.
    pub fn read_key(&self) -> Result<[u8; 32], ConfigError> {
        read_key(&self.key)
    }
}

fn read_key(path: &Path) -> Result<[u8; 32], ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
    parse_key(text.trim()).ok_or_else(|| ConfigError::CableKey { path: path.into() })
}

fn parse_key(hex: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in key.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        key = "kit.key"
        data = "kit"
        trust = "trust.cbor"
        listen = "127.0.0.1:0"
        edge = "00"
        [[arms]]
        name = "PSM1"
        model = "psm_large_needle_driver"
        cable = { listen = "127.0.0.1:0", address = "127.0.0.1:1", key = "cable.key" }
    "#;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kit.toml");
        fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn limits_not_named_are_the_defaults() {
        assert_eq!(read(TEXT).unwrap().limits, Limits::default());
    }

    /// Goal: the kit does not start with a limit out of range, or with a key that it does not know.
    #[test]
    fn a_limit_out_of_range_or_misspelt_is_refused_by_name() {
        let error = read(&format!("{TEXT}\n[limits]\nlag_mm_max = 500.0")).unwrap_err();
        assert!(error.to_string().ends_with("lag_mm_max is 500, allowed is 1 to 50"), "{error}");
        let error = read(&format!("{TEXT}\n[limits]\nlag_max = 5.0")).unwrap_err();
        assert!(error.to_string().contains("lag_max"), "{error}");
    }

    /// Goal: what the kit tells an observer does not leave the machine.
    #[test]
    fn an_observer_elsewhere_is_refused() {
        let with =
            |to: &str| TEXT.to_owned() + &format!("\n[observer]\nto = \"{to}\"\nkey = \"observer.key\"");
        assert!(read(&with("127.0.0.1:7")).unwrap().observer.unwrap().key.is_absolute());
        let error = read(&with("192.0.2.1:7")).unwrap_err();
        assert!(error.to_string().ends_with("the observer 192.0.2.1:7 is not on this machine"), "{error}");
    }

    /// Goal: a kit does not start with arms that it does not know, or that stand nowhere.
    #[test]
    fn arms_are_checked_by_name() {
        let second = |words: &str| {
            format!(
                "{TEXT}\n[[arms]]\ncable = {{ listen = \"127.0.0.1:0\", address = \"127.0.0.1:2\", key = \"k\" }}\n{words}"
            )
        };
        let psm = r#"model = "psm_large_needle_driver""#;
        let kit = read(&second(&format!("name = \"PSM2\"\n{psm}\nmount.position_m = [0.1, 0.0, 0.0]\nmount.orientation_wxyz = [1.0, 0.0, 0.0, 0.0]"))).unwrap();
        assert_eq!(kit.mounted()[1].kit_from_base.translation.x, 0.1);
        assert!(kit.arms[1].cable.key.is_absolute());
        for (words, ends) in [
            (format!("name = \"PSM1\"\n{psm}"), "\"PSM1\" does not"),
            (format!("name = \"\"\n{psm}"), "\"\" does not"),
            ("name = \"PSM2\"\nmodel = \"hand\"".into(), "psm_large_needle_driver, ecm_straight_endoscope"),
            (
                format!(
                    "name = \"PSM2\"\n{psm}\nmount = {{ position_m = [2.0, 0.0, 0.0], orientation_wxyz = [1.0, 0.0, 0.0, 0.0] }}"
                ),
                "no unit quaternion",
            ),
            (
                format!(
                    "name = \"PSM2\"\n{psm}\nmount = {{ position_m = [0.0, 0.0, 0.0], orientation_wxyz = [0.9, 0.0, 0.0, 0.0] }}"
                ),
                "no unit quaternion",
            ),
        ] {
            let error = read(&second(&words)).unwrap_err();
            assert!(error.to_string().ends_with(ends), "{error}");
        }
        let shared = second(&format!("name = \"PSM2\"\n{psm}")).replace("127.0.0.1:2", "127.0.0.1:1");
        assert!(read(&shared).unwrap_err().to_string().ends_with("that another arm has"));
        let none = TEXT.split("[[arms]]").next().unwrap().to_owned() + "arms = []";
        assert!(read(&none).unwrap_err().to_string().ends_with("0 arms, allowed are 1 to 4"));
        let moved = TEXT.replace(
            "cable =",
            "mount = { position_m = [0.1, 0.0, 0.0], orientation_wxyz = [1.0, 0.0, 0.0, 0.0] }\ncable =",
        );
        assert!(read(&moved).unwrap_err().to_string().ends_with("has no mount"));
    }

    #[test]
    fn a_cable_key_is_64_hex_digits() {
        assert_eq!(parse_key(&"0a".repeat(32)), Some([10; 32]));
        assert_eq!(parse_key(&"0a".repeat(31)), None);
        assert_eq!(parse_key(&"zz".repeat(32)), None);
        assert_eq!(parse_key(&"+a".repeat(32)), None, "a sign is no digit");
    }
}

//! What a kit is told before it starts: one TOML file, every path relative to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use farhand_guard::{LimitOutOfRange, Limits};
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
    pub arm: ArmCable,
    /// Whom on this machine to tell how arm and kit stand, a hundred times a second (`docs/crtk.md`). Nobody unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observer: Option<ObserverCable>,
    #[serde(default)]
    pub limits: Limits,
}

/// The cable to the arm.
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
        Ok(Self { limits, ..config }.relative_to(path.parent().unwrap_or(Path::new("."))))
    }

    fn relative_to(mut self, folder: &Path) -> Self {
        let paths = [&mut self.key, &mut self.data, &mut self.trust, &mut self.arm.key];
        let observer = self.observer.as_mut().map(|observer| &mut observer.key);
        for path in paths.into_iter().chain(&mut self.metrics).chain(observer) {
            *path = folder.join(&*path);
        }
        self
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
        arm = { listen = "127.0.0.1:0", address = "127.0.0.1:1", key = "cable.key" }
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

    #[test]
    fn a_cable_key_is_64_hex_digits() {
        assert_eq!(parse_key(&"0a".repeat(32)), Some([10; 32]));
        assert_eq!(parse_key(&"0a".repeat(31)), None);
        assert_eq!(parse_key(&"zz".repeat(32)), None);
        assert_eq!(parse_key(&"+a".repeat(32)), None, "a sign is no digit");
    }
}

//! What an edge box is told before it starts: one TOML file, every path relative to it.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use farhand_video::{Settings, Source, SourceParseError};
use farhand_wire::{Camera, Malformed, Pose};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::meeting::CONSOLE_PATHS_MAX;

/// The file's content. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The device key's file; made if absent, readable by its owner alone.
    pub device_key: PathBuf,
    /// The trust root that openings are checked against.
    pub trust_root: PathBuf,
    /// Folder for sessions' records and bundles.
    pub record: PathBuf,
    /// Local address that WebRTC uses, and no other; the port is the system's choice.
    #[serde(default = "loopback")]
    pub ice_address: IpAddr,
    /// For a site behind a router that forwards ports to this box. Without it consoles are told `ice_address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<Forwarded>,
    /// Further ways on which consoles reach this box, beside `ice_address`: a console that can uses all of them at once. At
    /// most one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub console_paths: Vec<ConsolePath>,
    /// Local address (UDP) from which cloud and kit are reached; port 0 takes a free one.
    #[serde(default = "any_port")]
    pub bind: SocketAddr,
    pub cloud: Far,
    pub kit: Far,
    /// Further paths to the kit, beside the one from `bind`: commands go over all of them. At most three.
    #[serde(default)]
    pub kit_paths: Vec<PathConfig>,
    /// Where checkpoints go. Without it nothing is anchored, which the record says.
    #[serde(default)]
    pub ledger: Option<LedgerConfig>,
    pub video: VideoConfig,
    /// What looks at the pictures. Without it nothing does.
    #[serde(default)]
    pub vision: Option<VisionConfig>,
    /// What else runs for this session, for the record's manifest: the console's pages, a model.
    #[serde(default)]
    pub software: Vec<SoftwareConfig>,
}

/// What a router forwards to `ice_address`, port for port (UDP). Consoles are told it in place of `ice_address`, those at the
/// bedside excepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forwarded {
    /// The router's outer address.
    pub address: IpAddr,
    /// First and last; each console takes one.
    pub ports: (u16, u16),
}

/// One more way to this box for consoles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsolePath {
    /// Local address that WebRTC uses on that network.
    pub address: IpAddr,
    /// For a router in front of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<Forwarded>,
}

/// A program or its files, by their digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftwareConfig {
    pub name: String,
    /// 32 bytes, hex.
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
}

/// A device that this one connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Far {
    pub address: SocketAddr,
    /// Its device key's public half: 32 bytes, hex.
    #[serde(with = "hex")]
    pub device: [u8; 32],
}

/// One more way to the kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathConfig {
    /// The local address (UDP) of the network card that this path leaves by.
    #[serde(default = "any_port")]
    pub bind: SocketAddr,
    /// Where the kit, or a relay before it, listens on that network.
    pub address: SocketAddr,
}

/// The ledger's validators, tried in turn. They must let this edge box's device key in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    pub validators: Vec<Far>,
}

/// Pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoConfig {
    /// As [`farhand_video::source::FORMS`] lists them. A file's path is taken as it is, not relative to this one.
    pub source: String,
    /// The source starts when the kit is armed, not when the first surgeon looks: for a file that is played once.
    #[serde(default)]
    pub on_arming: bool,
    /// No picture is dropped: the source waits for the consoles. For files.
    #[serde(default)]
    pub every_frame: bool,
    /// A file is played at its own rate.
    #[serde(default = "yes")]
    pub paced: bool,
    #[serde(default = "bitrate")]
    pub bitrate_kbit_s: u32,
    #[serde(default = "key_interval")]
    pub key_interval_frames: u32,
    #[serde(default = "threads")]
    pub encoder_threads: u32,
    /// Width and height that pictures are made to fit.
    #[serde(default)]
    pub size_max: Option<(u32, u32)>,
    /// Draw each picture's capture tick into it. For tests: it covers a corner.
    #[serde(default)]
    pub stamp: bool,
    /// For tests: some time after the capture began, every picture is held back between capture and encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_delay: Option<TestDelay>,
    /// How the endoscope looks at the arms, once that is calibrated. Without it consoles draw nothing over the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<CameraConfig>,
}

/// The net that sees instruments and tissue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionConfig {
    /// Its file, safetensors.
    pub model: PathBuf,
    /// Of the file: 32 bytes, hex. Another file is not used.
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
    /// Pictures looked at in a second, 1 to 60.
    #[serde(default = "looks")]
    pub rate_hz_max: u32,
}

/// A pinhole without distortion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// The arm of the kit that carries it, counted from 0; without one it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<u8>,
    /// Where the eye is: in the frame of that arm's tip, else in the kit's.
    pub position_m: [f64; 3],
    /// How the optical frame (x to the right of the picture, y down, z into it) is turned.
    pub orientation_wxyz: [f64; 4],
    /// Full vertical angle of view.
    pub fov_y_rad: f64,
}

/// A delay that sets in while consoles are watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestDelay {
    /// At most 500.
    pub ms: u32,
    pub after_s: u32,
}

/// Why a configuration is not used.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("could not read the configuration {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the configuration {} is not right: {source}", path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("video.source: {0}")]
    Source(#[from] SourceParseError),
    #[error(
        "ice_address, or a console path's, is {seen}, which is no address of one network card; name one, such as \
         127.0.0.1: with a wildcard the consoles would be told of every card but the loopback"
    )]
    Wildcard { seen: IpAddr },
    #[error("forwarded.address is {seen}, which no console can send to; name the router's outer address")]
    Nowhere { seen: IpAddr },
    #[error("forwarded.ports is {first} to {last}; write the first and the last, such as [50000, 50015]")]
    NoPorts { first: u16, last: u16 },
    #[error("video.camera: {0}")]
    Camera(#[from] Malformed),
    #[error(
        "video.source has two eyes, and video.camera is missing: say where the left one is, or consoles would take both for one"
    )]
    OneEye,
    #[error("console_paths names {seen} more paths for consoles, at most {max} are served")]
    ConsolePaths { seen: usize, max: usize },
}

impl Config {
    /// The configuration in `path`.
    ///
    /// # Errors
    /// [`ConfigError`] if the file can't be read, or holds something else, with the line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Parse { path: path.to_owned(), source: source.into() })?;
        Ok(config.below(path.parent().unwrap_or(Path::new(""))))
    }

    fn below(mut self, folder: &Path) -> Self {
        for path in [&mut self.device_key, &mut self.trust_root, &mut self.record] {
            *path = folder.join(&*path);
        }
        if let Some(vision) = &mut self.vision {
            vision.model = folder.join(&vision.model);
        }
        self
    }

    pub(crate) fn check(&self) -> Result<Source, ConfigError> {
        let (seen, max) = (self.console_paths.len(), CONSOLE_PATHS_MAX - 1);
        if seen > max {
            return Err(ConfigError::ConsolePaths { seen, max });
        }
        for path in self.all_console_paths() {
            path.check()?;
        }
        let source: Source = self.video.source.parse()?;
        if self.video.camera(source.is_stereo())?.is_none() && source.is_stereo() {
            return Err(ConfigError::OneEye);
        }
        Ok(source)
    }
}

impl Config {
    /// Every way on which consoles reach this box, the first of them first.
    pub(crate) fn all_console_paths(&self) -> impl Iterator<Item = ConsolePath> {
        let first = ConsolePath { address: self.ice_address, forwarded: self.forwarded };
        std::iter::once(first).chain(self.console_paths.iter().copied())
    }
}

impl ConsolePath {
    fn check(&self) -> Result<(), ConfigError> {
        if self.address.is_unspecified() {
            return Err(ConfigError::Wildcard { seen: self.address });
        }
        let Some(Forwarded { address, ports: (first, last) }) = self.forwarded else { return Ok(()) };
        if address.is_unspecified() {
            return Err(ConfigError::Nowhere { seen: address });
        }
        if first == 0 || first > last {
            return Err(ConfigError::NoPorts { first, last });
        }
        Ok(())
    }
}

impl VideoConfig {
    /// That source, and the defaults for everything else.
    #[must_use]
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            on_arming: false,
            every_frame: false,
            paced: true,
            bitrate_kbit_s: bitrate(),
            key_interval_frames: key_interval(),
            encoder_threads: threads(),
            size_max: None,
            stamp: false,
            test_delay: None,
            camera: None,
        }
    }

    /// As consoles are told it.
    pub(crate) fn camera(&self, stereo: bool) -> Result<Option<Camera>, ConfigError> {
        let Some(CameraConfig { arm, position_m, orientation_wxyz, fov_y_rad }) = self.camera else {
            return Ok(None);
        };
        let parent_from_camera = Pose { position_m, orientation_wxyz };
        let camera = Camera { arm, parent_from_camera, fov_y_rad, stereo };
        Ok(Some(Camera::read(&camera.to_bytes())?))
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            every_frame: self.every_frame,
            paced: self.paced,
            bitrate_kbit_s: self.bitrate_kbit_s,
            key_interval_frames: self.key_interval_frames,
            encoder_threads: self.encoder_threads,
            size_max: self.size_max,
            stamp: self.stamp,
            ..Settings::default()
        }
    }
}

fn loopback() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn yes() -> bool {
    true
}

fn bitrate() -> u32 {
    Settings::default().bitrate_kbit_s
}

fn looks() -> u32 {
    10
}

fn key_interval() -> u32 {
    Settings::default().key_interval_frames
}

fn threads() -> u32 {
    Settings::default().encoder_threads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let far = |port| Far { address: SocketAddr::from(([127, 0, 0, 1], port)), device: [port as u8; 32] };
        Config {
            device_key: "edge.key".into(),
            trust_root: "genesis.trust".into(),
            record: "record".into(),
            ice_address: loopback(),
            forwarded: Some(Forwarded { address: [203, 0, 113, 7].into(), ports: (50_000, 50_015) }),
            console_paths: vec![ConsolePath { address: [127, 0, 0, 2].into(), forwarded: None }],
            bind: any_port(),
            cloud: far(1),
            kit: far(2),
            kit_paths: vec![PathConfig { bind: any_port(), address: far(4).address }],
            ledger: Some(LedgerConfig { validators: vec![far(3)] }),
            video: VideoConfig::new("test"),
            vision: Some(VisionConfig {
                model: "net.safetensors".into(),
                sha256: [8; 32],
                rate_hz_max: looks(),
            }),
            software: vec![SoftwareConfig { name: "console".into(), sha256: [9; 32] }],
        }
    }

    /// Goal: a configuration written by a program is read back, its paths below the file's folder; a slip is named.
    #[test]
    fn a_configuration_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edge.toml");
        fs::write(&path, toml::to_string(&config()).unwrap()).unwrap();
        assert_eq!(Config::load(&path).unwrap(), config().below(folder.path()));
        fs::write(&path, format!("video_sauce = 1\n{}", toml::to_string(&config()).unwrap())).unwrap();
        assert!(format!("{:#?}", Config::load(&path).unwrap_err()).contains("video_sauce"));
    }

    /// Goal: few lines are enough, and a wildcard or a source that is none is refused with what to write.
    #[test]
    fn what_cannot_work_is_refused_before_anything_starts() {
        let text = "device_key = 'k'\ntrust_root = 't'\nrecord = 'r'\nvideo = { source = 'test' }\n\
             cloud = { address = '127.0.0.1:1', device = 'DEVICE' }\nkit = { address = '127.0.0.1:2', device = 'DEVICE' }"
            .replace("DEVICE", &"0a".repeat(32));
        let config: Config = toml::from_str(&text).unwrap();
        assert!(config.check().is_ok());
        let everywhere = Config { ice_address: IpAddr::from([0, 0, 0, 0]), ..config.clone() };
        assert!(everywhere.check().unwrap_err().to_string().contains("127.0.0.1"));
        let second = ConsolePath { address: IpAddr::from([0, 0, 0, 0]), forwarded: None };
        let too_wide = Config { console_paths: vec![second], ..config.clone() };
        assert!(matches!(too_wide.check(), Err(ConfigError::Wildcard { .. })));
        let too_many = Config { console_paths: vec![second; 2], ..config.clone() };
        assert!(matches!(too_many.check(), Err(ConfigError::ConsolePaths { seen: 2, max: 1 })));
        let forwarded = |address: [u8; 4], ports| {
            let forwarded = Some(Forwarded { address: address.into(), ports });
            Config { forwarded, ..config.clone() }.check().map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(forwarded([203, 0, 113, 7], (50_000, 50_000)), Ok(()));
        assert!(forwarded([203, 0, 113, 7], (50_001, 50_000)).unwrap_err().contains("[50000, 50015]"));
        assert!(forwarded([0, 0, 0, 0], (50_000, 50_001)).unwrap_err().contains("outer address"));
        let blind = Config { video: VideoConfig::new("stereo:test"), ..config.clone() };
        assert!(matches!(blind.check(), Err(ConfigError::OneEye)));
        let nowhere = Config { video: VideoConfig::new(""), ..config };
        assert!(matches!(nowhere.check(), Err(ConfigError::Source(SourceParseError::Empty))));
    }
}

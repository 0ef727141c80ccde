//! One session's folder: its kit, its role links, and a configuration file for every part.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use farhand_agent::{
    CameraConfig, Config as EdgeConfig, ConsolePath, Far, Forwarded, LedgerConfig, SoftwareConfig, TestDelay,
    VideoConfig, VisionConfig,
};
use farhand_crtk::{ArmEntry, ObserveEntry};
use farhand_kit::{ArmCable, ArmConfig, Config as KitConfig, Mount, ObserverCable};
use farhand_ledger::Hash;
use farhand_link::{DeviceId, DeviceKey};
use farhand_mission::Mission;
use farhand_motion::Mounted;
use farhand_server::{Config as CloudConfig, FieldConfig, LinkEntry, LinkRole, MeshEntry, ValidatorEntry};
use farhand_wire::{PublicKey, Role, SessionId};
use farhand_world::{exercise::Exercise, rig};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    crtk,
    desk::{self, utc_now},
    line::{Between, LineConfig, Link},
    site::{LOOPBACK, Site, certify, write},
    world::{
        config::{AircraftEnd, ArmEnd, CameraEnd, WorldConfig},
        stage,
    },
};

/// The simulated camera's width and height in pixels, and pictures a second: what two cores hold beside the rest.
const CAMERA: [u32; 3] = [960, 540, 30];
/// Where the edge box finds the net, beside its configuration.
const MODEL: &str = "segment.safetensors";
/// Pictures that the net looks at in a second: what two cores hold beside the rest.
const LOOKS_HZ: u32 = 10;
/// Where a line listens for consoles.
const FAR_END: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// The edge box's other address for consoles.
const SECOND_PATH: ConsolePath =
    ConsolePath { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)), forwarded: None };
/// On a line at once, those included whose end the edge box has not noticed.
const CONSOLES_MAX: u16 = 16;
/// Below those that the system gives out by itself.
const CONSOLE_PORT_FIRST: u16 = 20_000;
const CONSOLE_PORTS: u16 = 10_000;
const PORTS_TRIES: u32 = 50;
/// A link is opened within a day, or never.
const LINK_S: u64 = 24 * 60 * 60;

/// What whoever starts a session may choose.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where browsers connect to; port 0 takes a free one.
    /// Free when it was looked at, see [`http_address`].
    pub(crate) listen: SocketAddr,
    /// The console as built.
    pub(crate) console: PathBuf,
    /// Of the simulated world.
    pub(crate) seed: u64,
    /// How much faster than real time the aircraft flies.
    pub(crate) speedup: f64,
    /// Another source than the simulator's camera.
    pub(crate) video: Option<String>,
    /// A file is played once, from arming on, and no picture of it is left out.
    pub(crate) video_once: bool,
    /// Each picture carries its capture tick.
    pub(crate) stamp: bool,
    /// What lies between the consoles and the edge box, the bedside's excepted.
    pub(crate) link: Option<Link>,
    /// For tests.
    pub(crate) test_delay: Option<TestDelay>,
    /// The ROS world may watch the arm, and has a surgeon's place.
    pub(crate) crtk: bool,
    /// Two surgeons, who hand control to each other.
    pub(crate) second_surgeon: bool,
    /// What there is to do instead of taking the bead.
    pub(crate) exercise: Option<Exercise>,
    /// How many arms the kit has, one to three: the one that works, a second one, the endoscope's.
    pub(crate) arms: usize,
    /// The net that looks at the pictures, if one does.
    pub(crate) model: Option<Vec<u8>>,
}

/// A session that is about to begin.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) folder: PathBuf,
    pub(crate) http: SocketAddr,
    pub(crate) links: Vec<RoleLink>,
    /// What the consent commits to: the made-up records in the session's vault.
    pub(crate) consent: Hash,
    pub(crate) has_line: bool,
    pub(crate) has_crtk: bool,
    /// What arms the kit has, and where they stand.
    pub(crate) arm_digest: Hash,
    kit: DeviceKey,
}

/// A role for whoever opens the link first.
#[derive(Debug)]
pub(crate) struct RoleLink {
    pub(crate) name: [u8; 16],
    pub(crate) role: Role,
    pub(crate) pseudonym: String,
    key: DeviceKey,
}

/// The router's file, and what is in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouterFile {
    pub(crate) key: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) anchor: PathBuf,
    pub(crate) listen: SocketAddr,
    /// The arms are simulated ones: the ROS world may command them.
    #[serde(default)]
    pub(crate) simulator: bool,
    /// Who may come in, as what: hex and a role.
    pub(crate) devices: BTreeMap<String, String>,
}

/// Ports that are free now, for parts that must know of each other before they start.
struct Ports {
    cloud: SocketAddr,
    kit: SocketAddr,
    /// Both ends of each arm's cable: the arm's and the kit's.
    arms: [[SocketAddr; 2]; 3],
    router: SocketAddr,
    companion: SocketAddr,
    observer: SocketAddr,
}

impl Ports {
    /// None of `taken`, where somebody is yet to listen.
    fn find(taken: &[SocketAddr]) -> std::io::Result<Self> {
        // Held until all are found, so that none is given twice.
        let sockets = std::iter::repeat_with(|| UdpSocket::bind((LOOPBACK, 0)));
        let sockets = sockets.take(11 + taken.len()).collect::<Result<Vec<_>, _>>()?;
        let addresses = sockets.iter().map(UdpSocket::local_addr);
        let mut addresses = addresses.filter(|it| !it.as_ref().is_ok_and(|it| taken.contains(it)));
        let mut next =
            || addresses.next().unwrap_or_else(|| Err(std::io::ErrorKind::AddrNotAvailable.into()));
        Ok(Self {
            cloud: next()?,
            kit: next()?,
            arms: [[next()?, next()?], [next()?, next()?], [next()?, next()?]],
            router: next()?,
            companion: next()?,
            observer: next()?,
        })
    }
}

impl Session {
    /// Makes the folder with all that a session's parts are told.
    pub(crate) fn make(site: &Site, plan: &Plan) -> anyhow::Result<Self> {
        let id = SessionId(random()?);
        let folder = site.path("sessions").join(id.to_string());
        let links =
            [(Role::Surgeon, "S1"), (Role::Bedside, "B1"), (Role::Field, "F1"), (Role::Auditor, "R1")];
        let second = match (plan.crtk, plan.second_surgeon) {
            (true, _) => Some("Whoever commands over ROS"),
            (false, true) => Some("Second surgeon of the trial"),
            (false, false) => None,
        };
        let links = links.into_iter().chain(second.map(|_| (Role::Surgeon, desk::SECOND)));
        let vault = desk::made_up_people(second)?;
        vault.create(&make(&folder)?.join("people.vault"))?;
        let ports = Ports::find(&site.taken).context("no free UDP ports on the loopback")?;
        let kit_arms = kit_arms(plan, &ports);
        let mounted: Vec<_> = kit_arms.iter().filter_map(ArmConfig::mounted).collect();
        let session = Self {
            arm_digest: Hash(Mounted::digest_of(&mounted)),
            http: plan.listen,
            links: links.map(|(role, name)| RoleLink::new(role, name)).collect::<anyhow::Result<_>>()?,
            consent: vault.root(),
            has_line: plan.link.is_some(),
            has_crtk: plan.crtk,
            kit: DeviceKey::load_or_create(&make(&folder)?.join("kit.key"))?,
            id,
            folder,
        };
        session.write_configs(site, plan, &ports)?;
        Ok(session)
    }

    pub(crate) fn kit(&self) -> PublicKey {
        PublicKey(*self.kit.id().as_bytes())
    }

    pub(crate) fn link(&self, role: Role) -> &RoleLink {
        self.links.iter().find(|link| link.role == role).unwrap_or(&self.links[0])
    }

    /// What a person opens.
    pub(crate) fn url(&self, site: &Site, role: Role) -> String {
        self.url_of(site, self.link(role))
    }

    /// What the second surgeon opens, if that is a person.
    pub(crate) fn second_url(&self, site: &Site) -> Option<String> {
        let second = self.links.iter().find(|link| link.pseudonym == desk::SECOND && !self.has_crtk);
        second.map(|link| self.url_of(site, link))
    }

    fn url_of(&self, site: &Site, link: &RoleLink) -> String {
        let seed = URL_SAFE_NO_PAD.encode(link.key.signing_key().to_bytes());
        let trust = URL_SAFE_NO_PAD.encode(site.trust.fingerprint().0);
        format!("http://{}/{}/{}#{seed}.{trust}", self.http, page(link.role), hex::encode(link.name))
    }

    /// What the ROS world needs to connect.
    pub(crate) fn crtk(&self) -> PathBuf {
        self.folder.join("crtk")
    }

    pub(crate) fn custody(&self) -> PathBuf {
        self.folder.join("custody")
    }

    pub(crate) fn claims(&self) -> PathBuf {
        self.folder.join("claims")
    }

    pub(crate) fn opening(&self) -> PathBuf {
        self.folder.join("opening.cbor")
    }

    /// What the simulated world knows and nobody else.
    pub(crate) fn truth(&self) -> PathBuf {
        self.folder.join("truth.json")
    }

    pub(crate) fn config(&self, part: &str) -> PathBuf {
        self.folder.join(part).with_extension("toml")
    }

    fn write_configs(&self, site: &Site, plan: &Plan, ports: &Ports) -> anyhow::Result<()> {
        let keys = &site.keys;
        let mut devices = vec![
            ("edge", keys.edge.id()),
            ("cloud", keys.cloud.id()),
            ("aircraft", keys.aircraft.id()),
            ("kit", self.kit.id()),
        ];
        let crtk = plan.crtk.then(|| crtk::Keys::make(&self.crtk())).transpose()?;
        devices.extend(crtk.iter().flat_map(crtk::Keys::devices));
        certify(site, &self.folder.join("mesh"), &devices)?;
        if let Some(keys) = &crtk {
            keys.write_access(&self.crtk(), &self.folder.join("mesh"), ports.router)?;
            write(&self.folder.join("observer.key"), hex::encode(random::<32>()?).as_bytes())?;
            self.write_toml("crtk", &self.crtk_part(site, plan, ports))?;
        }
        for number in 0..plan.arms {
            write(&self.folder.join(cable_key(number)), hex::encode(random::<32>()?).as_bytes())?;
        }
        write(&self.folder.join("mavlink.key"), hex::encode(random::<32>()?).as_bytes())?;
        write(&self.folder.join("delivery.plan"), Mission::trial().to_plan().to_json().as_bytes())?;
        write(&self.folder.join("limits.txt"), farhand_guard::Limits::default().text().as_bytes())?;
        self.write_toml("mesh", &self.router(site, ports, &devices))?;
        self.write_toml("world", &self.world(plan, ports))?;
        self.write_toml("kit", &self.kit_config(site, plan, ports))?;
        if let Some(model) = &plan.model {
            write(&self.folder.join(MODEL), model)?;
        }
        let far = plan.link.as_ref().map(|link| self.line(link)).transpose()?;
        self.write_toml("edge", &self.edge(site, plan, ports, far))?;
        self.write_toml("cloud", &self.cloud(site, plan, ports))?;
        self.write_toml("flight", &self.flight(site, ports))?;
        Ok(())
    }

    fn write_toml(&self, part: &str, config: &impl Serialize) -> anyhow::Result<()> {
        Ok(write(&self.config(part), toml::to_string(config)?.as_bytes())?)
    }

    fn router(&self, site: &Site, ports: &Ports, devices: &[(&str, DeviceId)]) -> RouterFile {
        RouterFile {
            key: site.path("keys/router.key"),
            certificate: "mesh/router.pem".into(),
            anchor: "mesh/anchor.pem".into(),
            listen: ports.router,
            simulator: self.has_crtk,
            devices: devices.iter().map(|(name, id)| (id.to_string(), (*name).to_owned())).collect(),
        }
    }

    fn crtk_part(&self, site: &Site, plan: &Plan, ports: &Ports) -> crtk::PartFile {
        let surgeon = self.links.iter().find(|link| link.pseudonym == desk::SECOND);
        crtk::PartFile {
            surgeon: surgeon.map(|link| self.url_of(site, link)).unwrap_or_default(),
            bridge: farhand_crtk::Config {
                domain: 0,
                arms: (0..plan.arms).map(arm_entry).collect(),
                observe: ObserveEntry { listen: ports.observer, key: "observer.key".into() },
                mesh: farhand_crtk::MeshEntry {
                    key: "crtk/bridge.key".into(),
                    certificate: "mesh/observer.pem".into(),
                    anchor: "mesh/anchor.pem".into(),
                    router: ports.router,
                },
            },
        }
    }

    fn world(&self, plan: &Plan, ports: &Ports) -> WorldConfig {
        let [width, height, fps] = CAMERA;
        let camera = CameraEnd { socket: "camera.shm".into(), width, height, fps };
        WorldConfig {
            seed: plan.seed,
            arms: arms(plan, ports)
                .map(|(number, [arm, kit])| ArmEnd { listen: arm, kit, cable_key: cable_key(number) })
                .collect(),
            camera: plan.video.is_none().then_some(camera),
            aircraft: Some(AircraftEnd {
                remote: ports.companion,
                signing_key: Some("mavlink.key".into()),
                speedup: plan.speedup,
            }),
            truth: Some("truth.json".into()),
            exercise: plan.exercise.map(|exercise| exercise.name().to_owned()),
            line: plan.link.as_ref().map(|link| link.profile.name().to_owned()),
        }
    }

    fn kit_config(&self, site: &Site, plan: &Plan, ports: &Ports) -> KitConfig {
        let observer = ObserverCable { to: ports.observer, key: "observer.key".into() };
        KitConfig {
            key: "kit.key".into(),
            data: "kit".into(),
            trust: site.genesis(),
            listen: ports.kit,
            listen_also: Vec::new(),
            edge: site.keys.edge.id().to_string(),
            metrics: Some("kit.prom".into()),
            arms: kit_arms(plan, ports),
            observer: plan.crtk.then_some(observer),
            limits: farhand_guard::Limits::default(),
        }
    }

    /// The line's end that consoles are told: port for port the edge box's, on another address of the loopback.
    fn line(&self, link: &Link) -> anyhow::Result<Forwarded> {
        let ports = console_ports()?;
        let between = (ports.0..=ports.1).map(|port| Between {
            listen: SocketAddr::new(FAR_END, port),
            to: SocketAddr::new(LOOPBACK, port),
        });
        let dials = Some("line.dials".into());
        self.write_toml("line", &LineConfig { dials, ..LineConfig::new(link, between.collect()) })?;
        Ok(Forwarded { address: FAR_END, ports })
    }

    fn edge(&self, site: &Site, plan: &Plan, ports: &Ports, forwarded: Option<Forwarded>) -> EdgeConfig {
        let [width, height, fps] = CAMERA;
        let socket = self.folder.join("camera.shm");
        let simulator = format!("shm:{}?width={width}&height={height}&fps={fps}", socket.display());
        let far = |(id, address): &(DeviceId, SocketAddr)| Far { address: *address, device: *id.as_bytes() };
        EdgeConfig {
            device_key: site.path("keys/edge.key"),
            trust_root: site.genesis(),
            record: site.bundles(),
            cloud: Far { address: ports.cloud, device: *site.keys.cloud.id().as_bytes() },
            kit: Far { address: ports.kit, device: *self.kit.id().as_bytes() },
            kit_paths: Vec::new(),
            ledger: Some(LedgerConfig { validators: site.validators.iter().map(far).collect() }),
            ice_address: LOOPBACK,
            // With a line before it, everything goes over that line.
            console_paths: if forwarded.is_some() { Vec::new() } else { vec![SECOND_PATH] },
            forwarded,
            bind: SocketAddr::new(LOOPBACK, 0),
            video: VideoConfig {
                source: plan.video.clone().unwrap_or(simulator),
                on_arming: plan.video_once,
                every_frame: plan.video_once,
                stamp: plan.stamp,
                test_delay: plan.test_delay,
                paced: true,
                bitrate_kbit_s: 4_000,
                key_interval_frames: 120,
                encoder_threads: 1,
                size_max: None,
                // Of another picture nobody knows where it is taken from. Two eyes must say; they are taken to stand where the simulator's does.
                camera: plan
                    .video
                    .as_ref()
                    .is_none_or(|video| video.starts_with("stereo:"))
                    .then(|| endoscope(plan.arms)),
            },
            vision: plan.model.as_ref().map(|model| VisionConfig {
                model: self.folder.join(MODEL),
                sha256: Hash::of(model).0,
                rate_hz_max: LOOKS_HZ,
            }),
            software: console_digest(&plan.console),
        }
    }

    /// As `farhand-flight serve --help` has it.
    fn flight(&self, site: &Site, ports: &Ports) -> serde_json::Value {
        let validators = site.validators.iter();
        let validators = validators.map(|(key, addr)| json!({ "key": key.to_string(), "addr": addr }));
        json!({
            "key": site.path("keys/aircraft.key"),
            "genesis": site.genesis(),
            "kits": [self.kit().to_string()],
            "routes": ["delivery.plan"],
            "journal": "flight.journal",
            "autopilot": { "link": format!("udp:{}", ports.companion), "key": "mavlink.key" },
            "mesh": {
                "certificate": "mesh/aircraft.pem",
                "anchor": "mesh/anchor.pem",
                "router": ports.router,
            },
            "validators": validators.collect::<Vec<_>>(),
        })
    }

    fn cloud(&self, site: &Site, plan: &Plan, ports: &Ports) -> CloudConfig {
        let expires_s = utc_now().us / 1_000_000 + LINK_S;
        let link = |link: &RoleLink| LinkEntry {
            link: link.name,
            key: link.public().0,
            role: link_role(link.role),
            pseudonym: link.pseudonym.clone(),
            expires_s,
        };
        let validator =
            |(id, addr): &(DeviceId, SocketAddr)| ValidatorEntry { key: *id.as_bytes(), addr: *addr };
        CloudConfig {
            session: self.id.0,
            listen: self.http,
            edge_listen: ports.cloud,
            device_key: site.path("keys/cloud.key"),
            edge: *site.keys.edge.id().as_bytes(),
            trust_root: site.genesis(),
            opening: Some("opening.cbor".into()),
            limits: Some("limits.txt".into()),
            console: plan.console.clone(),
            bundles: Some(site.bundles()),
            claims: Some("claims".into()),
            field: Some(FieldConfig {
                kit: self.kit().0,
                aircraft: *site.keys.aircraft.id().as_bytes(),
                plan: "delivery.plan".into(),
                custody: "custody".into(),
                validators: site.validators.iter().map(validator).collect(),
                mesh: MeshEntry {
                    router: ports.router,
                    certificate: "mesh/cloud.pem".into(),
                    anchor: "mesh/anchor.pem".into(),
                },
            }),
            links: self.links.iter().map(link).collect(),
        }
    }
}

impl RoleLink {
    fn new(role: Role, pseudonym: &str) -> anyhow::Result<Self> {
        Ok(Self { name: random()?, role, pseudonym: pseudonym.to_owned(), key: DeviceKey::generate()? })
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey(*self.key.id().as_bytes())
    }
}

/// The kit's arms, and both ends of their cables.
fn arms(plan: &Plan, ports: &Ports) -> impl Iterator<Item = (usize, [SocketAddr; 2])> {
    ports.arms.into_iter().enumerate().take(plan.arms)
}

fn cable_key(number: usize) -> PathBuf {
    format!("cable{number}.key").into()
}

fn kit_arms(plan: &Plan, ports: &Ports) -> Vec<ArmConfig> {
    arms(plan, ports).map(|(number, [arm, kit])| kit_arm(number, arm, kit)).collect()
}

fn kit_arm(number: usize, address: SocketAddr, listen: SocketAddr) -> ArmConfig {
    let Mounted { model, kit_from_base } = rig::arms(number + 1).remove(number);
    let (place, turn) = (kit_from_base.translation, kit_from_base.rotation);
    ArmConfig {
        name: rig::ARM_NAMES[number].to_owned(),
        model: model.name().to_owned(),
        mount: Mount { position_m: place.vector.into(), orientation_wxyz: [turn.w, turn.i, turn.j, turn.k] },
        cable: ArmCable { listen, address, key: cable_key(number) },
    }
}

fn arm_entry(number: usize) -> ArmEntry {
    if number == rig::ECM { ArmEntry::Endoscope } else { ArmEntry::Instrument }
}

/// How the simulator's endoscope looks at the arms: from its own, if the kit has that.
fn endoscope(arms: usize) -> CameraConfig {
    let carried = arms > rig::ECM;
    let parent_from_camera = if carried { rig::tip_from_camera() } else { rig::kit_from_camera() };
    let (place, turn) = (parent_from_camera.translation, parent_from_camera.rotation);
    CameraConfig {
        arm: carried.then_some(rig::ECM as u8),
        position_m: place.vector.into(),
        orientation_wxyz: [turn.w, turn.i, turn.j, turn.k],
        fov_y_rad: stage::camera().fov_y_rad,
    }
}

/// The address that was asked for, with a port that is free where none was named.
pub(crate) fn http_address(listen: SocketAddr) -> anyhow::Result<SocketAddr> {
    let in_use =
        || format!("{listen} can't be used: stop the program that listens there, or give another --listen");
    TcpListener::bind(listen).and_then(|listener| listener.local_addr()).with_context(in_use)
}

/// Ports in a row that are free at both ends of a line.
fn console_ports() -> anyhow::Result<(u16, u16)> {
    for _ in 0..PORTS_TRIES {
        let first = CONSOLE_PORT_FIRST + u16::from_le_bytes(random()?) % (CONSOLE_PORTS - CONSOLES_MAX);
        let ports = first..first + CONSOLES_MAX;
        if ports
            .clone()
            .all(|port| [LOOPBACK, FAR_END].iter().all(|end| UdpSocket::bind((*end, port)).is_ok()))
        {
            return Ok((first, ports.end - 1));
        }
    }
    bail!(
        "no {CONSOLES_MAX} free UDP ports in a row from {CONSOLE_PORT_FIRST} on, on {LOOPBACK} and {FAR_END}"
    )
}

/// What the console is made of goes on record: SHA-256 over its files' names and contents, in order of their names.
fn console_digest(folder: &Path) -> Vec<SoftwareConfig> {
    let mut files = Vec::new();
    walk(folder, &mut files);
    files.sort();
    let mut listed = Vec::new();
    for path in &files {
        let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
        let content = Hash::of(&std::fs::read(path).unwrap_or_default());
        listed.extend([name.as_bytes(), b"\0", &content.0].concat());
    }
    let digest = SoftwareConfig { name: "console".to_owned(), sha256: Hash::of(&listed).0 };
    if files.is_empty() { Vec::new() } else { vec![digest] }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), files),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

fn make(folder: &Path) -> anyhow::Result<&Path> {
    std::fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    Ok(folder)
}

/// Before anything is started: a recording that can't be played is told at once.
pub(crate) async fn check_video(video: Option<&str>) -> anyhow::Result<()> {
    let Some(video) = video else { return Ok(()) };
    let source: farhand_video::Source = video.parse()?;
    tokio::task::spawn_blocking(move || farhand_video::Capture::check_recording(&source)).await??;
    Ok(())
}

/// The console's name for a role's page.
pub(crate) fn page(role: Role) -> &'static str {
    match role {
        Role::Surgeon => "operate",
        Role::Bedside => "bedside",
        Role::Auditor => "audit",
        _ => "field",
    }
}

fn link_role(role: Role) -> LinkRole {
    match role {
        Role::Surgeon => LinkRole::Surgeon,
        Role::Bedside => LinkRole::Bedside,
        Role::Auditor => LinkRole::Auditor,
        _ => LinkRole::Field,
    }
}

pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(bytes)
}

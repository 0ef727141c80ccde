//! A session with everybody in it.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use farhand_agent::{
    Config, ConsolePath, Far, Forwarded, Running, VideoConfig,
    peer::{Peer, PeerError, PeerSettings, RoleLink},
};
use farhand_ledger::{
    Entry, Hash, Member, OpeningEvidence, Records, Utc, What,
    five_keys::{FiveKeys, Plan},
};
use farhand_link::{Bond, DeviceKey, DeviceRole, Endpoint, LinkConfig, Paths, Peers, Protocol};
use farhand_server::{Grant, LinkId};
use farhand_wire::{
    Challenge, KitBootId, KitNotice, KitState, KitTick, LeaseToken, LeaseTranscript, MacKey, PublicKey, Role,
    Said, SessionId, Statement, state_flags,
};
use tempfile::TempDir;
use tokio::{sync::Mutex, time::timeout};

pub(crate) const SESSION: SessionId = SessionId([7; 16]);
pub(crate) const TOKEN: LeaseToken = LeaseToken(3);
/// Longer than anything takes; only a test that fails waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

pub(crate) fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) server: farhand_server::Running,
    pub(crate) edge: Running,
    pub(crate) kit: Kit,
    pub(crate) evidence: OpeningEvidence,
    trust: Hash,
}

/// One run of a kit: its end of the link, and its key.
pub(crate) struct Kit {
    pub(crate) key: DeviceKey,
    endpoint: Endpoint,
    paths: Mutex<Paths>,
    pub(crate) tick: KitTick,
}

pub(crate) fn surgeon_key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

pub(crate) fn bedside_key() -> SigningKey {
    SigningKey::from_bytes(&[4; 32])
}

impl Stage {
    /// Everything runs; the session is open.
    pub(crate) async fn set(video: VideoConfig) -> Self {
        Self::set_before_opening(video).await.opened().await
    }

    pub(crate) async fn opened(self) -> Self {
        let stage = self;
        stage.server.set_opening(&stage.evidence).await.unwrap();
        let mut open = stage.edge.session_open();
        soon("the opening", open.wait_for(|open| *open)).await.unwrap();
        stage
    }

    pub(crate) async fn set_before_opening(video: VideoConfig) -> Self {
        Self::set_behind(None, video).await
    }

    /// With its two paths for consoles behind relays, where there are any; before the opening.
    pub(crate) async fn set_behind(relays: Option<[Forwarded; 2]>, video: VideoConfig) -> Self {
        let folder = TempDir::new().unwrap();
        let mut ledger = FiveKeys::new([9; 32]);
        std::fs::write(folder.path().join("genesis.trust"), ledger.trust().to_bytes()).unwrap();
        let edge_key = DeviceKey::load_or_create(&folder.path().join("edge.key")).unwrap();
        let kit = Kit::start(&edge_key);
        let evidence = opening(&mut ledger, &edge_key, &kit);
        let trust = ledger.trust().fingerprint();
        let server = farhand_server::run(cloud_config(&folder, &edge_key)).await.unwrap();
        for (name, key, role) in [(1, surgeon_key(), Role::Surgeon), (2, bedside_key(), Role::Bedside)] {
            let grant = Grant { key: public(&key), role, pseudonym: "P".into(), expires_ms: u64::MAX };
            server.issue(LinkId([name; 16]), grant).unwrap();
        }
        let cloud = Far { address: server.edge_addr(), device: *server.id().as_bytes() };
        let mut config = edge_config(&folder, cloud, &kit, video);
        if let Some([first, second]) = relays {
            config.forwarded = Some(first);
            config.console_paths = vec![ConsolePath { address: LOOPBACK, forwarded: Some(second) }];
        }
        let edge = farhand_agent::run(config).await.unwrap();
        let stage = Self { folder, server, edge, kit, evidence, trust };
        soon("the cloud", stage.edge.cloud_online().wait_for(|online| *online)).await.unwrap();
        stage
    }

    pub(crate) fn link(&self, page: &str) -> RoleLink {
        let (name, key) = if page == "operate" { (1, surgeon_key()) } else { (2, bedside_key()) };
        let seed = URL_SAFE_NO_PAD.encode(key.to_bytes());
        let (link, trust) = (LinkId([name; 16]), URL_SAFE_NO_PAD.encode(self.trust.0));
        format!("http://{}/{page}/{link}#{seed}.{trust}", self.server.http_addr()).parse().unwrap()
    }

    pub(crate) fn settings() -> PeerSettings {
        PeerSettings { session: Some(SESSION), ..PeerSettings::new(LOOPBACK).unwrap() }
    }

    pub(crate) async fn peer(&self, page: &str) -> Result<Peer, PeerError> {
        Peer::connect(&self.link(page), Self::settings()).await
    }

    /// What is on record so far, as it is on disk.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let log = self.folder.path().join("record").join(SESSION.to_string()).join("log");
        Records::new(&std::fs::read(log).unwrap()).unwrap().map(|(entry, _)| entry).collect()
    }

    /// Waits until there is an entry for which `wanted` holds.
    pub(crate) async fn on_record(&self, what: &str, wanted: impl Fn(&What) -> bool) {
        let search = async {
            while !self.entries().iter().any(|entry| wanted(&entry.what)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon(what, search).await;
    }
}

fn cloud_config(folder: &TempDir, edge: &DeviceKey) -> farhand_server::Config {
    let text = format!(
        "session = \"{SESSION}\"\nlisten = \"127.0.0.1:0\"\nedge_listen = \"127.0.0.1:0\"\ndevice_key = \"cloud.key\"\n\
         edge = \"{}\"\ntrust_root = \"genesis.trust\"\nconsole = \"console\"\n",
        edge.id()
    );
    let path = folder.path().join("cloud.toml");
    std::fs::write(&path, text).unwrap();
    farhand_server::Config::load(&path).unwrap()
}

pub(crate) fn edge_config(folder: &TempDir, cloud: Far, kit: &Kit, video: VideoConfig) -> Config {
    let path = |name: &str| folder.path().join(name);
    Config {
        device_key: path("edge.key"),
        trust_root: path("genesis.trust"),
        record: path("record"),
        ice_address: LOOPBACK,
        forwarded: None,
        console_paths: Vec::new(),
        bind: SocketAddr::new(LOOPBACK, 0),
        cloud,
        kit: Far { address: kit.endpoint.local_addr().unwrap(), device: *kit.key.id().as_bytes() },
        kit_paths: Vec::new(),
        ledger: None,
        video,
        vision: None,
        software: Vec::new(),
    }
}

fn opening(ledger: &mut FiveKeys, edge: &DeviceKey, kit: &Kit) -> OpeningEvidence {
    let member = |key: &SigningKey, role| Member { key: public(key), role, pseudonym: format!("{role:?}") };
    ledger
        .open(Plan {
            session: SESSION,
            roster: vec![member(&surgeon_key(), Role::Surgeon), member(&bedside_key(), Role::Bedside)],
            edge: public(edge.signing_key()),
            kit: kit.key.signing_key(),
            field: &SigningKey::from_bytes(&[22; 32]),
            limits_digest: Hash([0; 32]),
            arm_digest: Hash([0; 32]),
            at: Utc { us: now_us(), uncertainty_us: 1000 },
        })
        .unwrap()
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

impl Kit {
    pub(crate) fn start(edge: &DeviceKey) -> Self {
        let key = DeviceKey::generate().unwrap();
        let peers = Peers::new();
        peers.allow(edge.id(), DeviceRole::Edge).unwrap();
        let any = SocketAddr::new(LOOPBACK, 0);
        let endpoint = Endpoint::bind(any, &key, peers, Protocol::KIT, LinkConfig::default()).unwrap();
        let paths = Paths::accept(vec![endpoint.clone()], edge.id(), 4096).unwrap().into();
        Self { key, endpoint, paths, tick: KitTick(1_000_000) }
    }

    pub(crate) async fn accept(&self) -> Bond {
        soon("the edge box", self.paths.lock().await.bond()).await
    }

    /// A state, as after a restart: under the key that everybody knows.
    pub(crate) fn state(&mut self) -> Bytes {
        self.tick = KitTick(self.tick.0 + 10_000);
        let state = KitState { session: SESSION, tick: self.tick, ..KitState::default() };
        Bytes::copy_from_slice(&state.seal(&MacKey::new(&[0; 32])))
    }

    pub(crate) fn says(&self, said: Said) -> Bytes {
        Statement { session: SESSION, said }.sign(self.key.signing_key()).into()
    }

    pub(crate) fn notice(&self, holder: Option<PublicKey>, armed: bool, closed: bool) -> Bytes {
        let notice = KitNotice {
            boot: KitBootId([1; 16]),
            tick: self.tick,
            challenge: Challenge([2; 32]),
            mode: 2,
            operating_state: 1,
            flags: if armed { state_flags::ARMED } else { 0 },
            arms: Vec::new(),
            token: TOKEN,
            holder,
            signed_by: Vec::new(),
            presses: Vec::new(),
            reason: String::new(),
            closed,
            regions: None,
        };
        self.says(Said::Notice { notice })
    }

    pub(crate) fn grant(&self, holder: PublicKey) -> Bytes {
        let kit = PublicKey(*self.key.id().as_bytes());
        let transcript = LeaseTranscript {
            session: SESSION,
            token: TOKEN,
            boot: KitBootId([1; 16]),
            holder,
            kit,
            holder_x25519: PublicKey([5; 32]),
            kit_x25519: PublicKey([6; 32]),
        };
        self.says(Said::LeaseGrant { transcript })
    }
}

/// The next message of that kind from the edge box, whichever way it comes.
pub(crate) async fn next_of(link: &Bond, kind: farhand_wire::Kind) -> Bytes {
    let search = async {
        loop {
            let message = tokio::select! {
                datagram = link.recv_datagram() => datagram.unwrap(),
                message = link.recv_message() => message.unwrap(),
            };
            if farhand_wire::Kind::of(&message) == Ok(kind) {
                return message;
            }
        }
    };
    soon(&format!("{kind:?}"), search).await
}

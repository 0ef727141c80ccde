//! The drivers: what the kit says goes out, and what the ROS world says comes in.

use std::time::{SystemTime, UNIX_EPOCH};

use farhand_mesh::{
    Mesh, MeshError,
    crtk::{Listener, Presence, Publisher},
};
use farhand_wire::{MacKey, OBSERVATION_BYTES, Observation};
use thiserror::Error;
use tokio::net::UdpSocket;
use tracing::{debug, info, warn};

use crate::{
    Command, Config, ConfigError, Narrator,
    cdr::CdrError,
    command::Topic,
    graph::{Does, Endpoint, Node, attachment, gid},
    narrator::endpoint,
};

/// What the bridge is called among ROS's nodes.
const NODE: &str = "farhand";

/// Why the ROS world hears nothing.
#[derive(Debug, Error)]
pub enum ServiceError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Mesh(#[from] MeshError),
    #[error("the observer's end of the kit's cable: {0}")]
    Cable(std::io::Error),
    #[error(transparent)]
    Cdr(#[from] CdrError),
}

/// Publishes what the kit tells its observer.
#[derive(Debug)]
pub struct Service {
    socket: UdpSocket,
    key: MacKey,
    /// By the arms' numbers.
    arms: Vec<(Narrator, Vec<Outlet>)>,
    _there: Presence,
}

/// One topic, and how often it was published.
#[derive(Debug)]
struct Outlet {
    publisher: Publisher,
    gid: [u8; 16],
    number: i64,
    _there: Presence,
}

impl Service {
    /// # Errors
    /// [`ServiceError`] if the cable can't be opened, or the mesh has no room for this.
    pub async fn open(config: &Config, mesh: &Mesh) -> Result<Self, ServiceError> {
        let key = MacKey::new(&config.cable_key()?);
        let socket = UdpSocket::bind(config.observe.listen).await.map_err(ServiceError::Cable)?;
        let session = mesh.id();
        let node = Node { domain: config.domain, session: &session, name: NODE };
        let there = mesh.be_there(&node.token()).await?;
        let (mut arms, mut number) = (Vec::new(), 0);
        for narrator in Narrator::of_all(&config.arms) {
            let mut outlets = Vec::new();
            for topic in &narrator.endpoints() {
                number += 1;
                outlets.push(Outlet::open(mesh, &node, number, &endpoint(topic)).await?);
            }
            arms.push((narrator, outlets));
        }
        Ok(Self { socket, key, arms, _there: there })
    }

    /// **Publishes until the mesh is closed.**
    ///
    /// # Errors
    /// [`ServiceError::Mesh`] then.
    pub async fn run(mut self) -> Result<(), ServiceError> {
        let mut buffer = [0; OBSERVATION_BYTES + 1]; // what is longer is no observation
        loop {
            let length = match self.socket.recv(&mut buffer).await {
                Ok(length) => length,
                Err(error) => {
                    warn!(%error, "the kit's cable");
                    continue;
                }
            };
            match Observation::open(&buffer[..length], &self.key) {
                Ok(seen) => self.publish(&seen).await?,
                Err(error) => debug!(%error, "not what a kit tells its observer"),
            }
        }
    }

    async fn publish(&mut self, seen: &Observation) -> Result<(), ServiceError> {
        let now_ns = now_ns();
        // An arm that is not configured is not told.
        let Some((narrator, outlets)) = self.arms.get_mut(usize::from(seen.arm.number)) else {
            return Ok(());
        };
        for (number, bytes) in narrator.tell(now_ns, seen)? {
            if let Some(outlet) = outlets.get_mut(number) {
                outlet.put(now_ns, bytes).await?;
            }
        }
        Ok(())
    }
}

impl Outlet {
    async fn open(
        mesh: &Mesh,
        node: &Node<'_>,
        number: usize,
        endpoint: &Endpoint<'_>,
    ) -> Result<Self, MeshError> {
        let token = node.endpoint_token(number, Does::Publishes, endpoint);
        Ok(Self {
            publisher: mesh.publisher(&endpoint.key(node.domain)).await?,
            gid: gid(&token),
            number: 0,
            _there: mesh.be_there(&token).await?,
        })
    }

    async fn put(&mut self, now_ns: u64, bytes: Vec<u8>) -> Result<(), MeshError> {
        self.number += 1;
        let published_ns = i64::try_from(now_ns).unwrap_or(i64::MAX);
        self.publisher.put(bytes, &attachment(self.number, published_ns, &self.gid)).await
    }
}

/// What the ROS world wants of the arm, as far as the router lets it through.
#[derive(Debug)]
pub struct Commands {
    servo_cp: Inlet,
    jaw_servo_jp: Inlet,
    state: Inlet,
    /// Why the last one was not followed: a stream of the like is said once.
    refused: String,
}

#[derive(Debug)]
struct Inlet {
    topic: Topic,
    listener: Listener,
    _there: Presence,
}

impl Commands {
    /// # Errors
    /// [`ServiceError::Mesh`] once the session is closed.
    pub async fn listen(config: &Config, mesh: &Mesh) -> Result<Self, ServiceError> {
        let session = mesh.id();
        let node = Node { domain: config.domain, session: &session, name: NODE };
        let first =
            Narrator::of_all(&config.arms).map(|narrator| narrator.endpoints().len()).sum::<usize>() + 1;
        let inlet = |number, topic| Inlet::open(mesh, &node, first + number, topic);
        let (servo_cp, jaw_servo_jp) = (inlet(0, Topic::ServoCp).await?, inlet(1, Topic::JawServoJp).await?);
        let state = inlet(2, Topic::State).await?;
        info!("listening to the ROS world's commands");
        Ok(Self { servo_cp, jaw_servo_jp, state, refused: String::new() })
    }

    /// The next well-formed command; none once the mesh is closed. Nothing is lost if this is dropped while it waits.
    pub async fn recv(&mut self) -> Option<Command> {
        loop {
            let (topic, heard) = tokio::select! {
                biased; // whoever lets go is heard before whoever goes on
                heard = self.state.listener.recv() => (self.state.topic, heard?),
                heard = self.servo_cp.listener.recv() => (self.servo_cp.topic, heard?),
                heard = self.jaw_servo_jp.listener.recv() => (self.jaw_servo_jp.topic, heard?),
            };
            match topic.read(&heard.bytes) {
                Ok(command) => {
                    self.refused.clear();
                    return Some(command);
                }
                Err(error) => self.refuse(&heard.key, &error.to_string()),
            }
        }
    }
}

impl Commands {
    fn refuse(&mut self, key: &str, why: &str) {
        if self.refused != why {
            warn!(key, why, "a command is not followed");
            why.clone_into(&mut self.refused);
        }
    }
}

impl Inlet {
    async fn open(mesh: &Mesh, node: &Node<'_>, number: usize, topic: Topic) -> Result<Self, MeshError> {
        let endpoint = topic.endpoint();
        Ok(Self {
            topic,
            listener: mesh.listen(&endpoint.key(node.domain)).await?,
            _there: mesh.be_there(&node.endpoint_token(number, Does::Subscribes, &endpoint)).await?,
        })
    }
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

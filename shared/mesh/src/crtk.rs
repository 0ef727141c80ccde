//! The kit's state in CRTK's names, for the ROS world: keys that another system shapes, and what it attaches.
//!
//! What the keys and attachments say is the business of whoever publishes; who may publish and read them, the router's.

use std::fmt;

use bytes::Bytes;
use tokio::sync::broadcast;
use zenoh::{
    liveliness::LivelinessToken,
    qos::CongestionControl,
    sample::{Sample, SampleKind},
};

use crate::{MESSAGE_BYTES_MAX, MESSAGES_QUEUED_MAX, Mesh, MeshError};

/// What arms are called, in the kit's order: in CRTK's topics, the name that they begin with.
pub const ARMS: [&str; 4] = ["arm1", "arm2", "arm3", "arm4"];
/// What a kit's observer publishes, below each of [`ARMS`].
pub const STATES: [&str; 7] = [
    "measured_cp",
    "measured_js",
    "setpoint_cp",
    "setpoint_js",
    "jaw/measured_js",
    "jaw/setpoint_js",
    "operating_state",
];
/// What moves a simulated arm, below the first of [`ARMS`].
pub const COMMANDS: [&str; 3] = ["servo_cp", "jaw/servo_jp", "state_command"];

/// Keys of what a kit's observer publishes, in whatever domain, of whatever type.
pub(crate) fn state_keys() -> Vec<String> {
    let of = |arm| STATES.map(|topic| format!("*/{arm}/{topic}/**"));
    ARMS.into_iter().flat_map(of).collect()
}

/// Keys of what moves a simulated arm.
pub(crate) fn command_keys() -> Vec<String> {
    COMMANDS.map(|topic| format!("*/{}/{topic}/**", ARMS[0])).into()
}

/// Keys of all of the arms' topics.
pub(crate) fn all_keys() -> Vec<String> {
    ARMS.map(|arm| format!("*/{arm}/**")).into()
}

/// Where ROS nodes say that they are there (`rmw_zenoh`, `docs/design.md`).
pub(crate) fn graph_keys() -> Vec<String> {
    vec!["@ros2_lv/**".to_owned()]
}

/// Something under a key that is not Farhand's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Foreign {
    pub key: String,
    pub bytes: Bytes,
    /// Empty where there is none.
    pub attachment: Bytes,
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Foreign({}, {} bytes)", self.key, self.bytes.len())
    }
}

impl Mesh {
    /// The session's id, as Zenoh writes it.
    #[must_use]
    pub fn id(&self) -> String {
        self.session.zid().to_string()
    }

    /// Says for as long as the token lives that whatever `key` stands for is there.
    ///
    /// # Errors
    /// [`MeshError::Session`] if `key` is none, or the session is closed.
    pub async fn be_there(&self, key: &str) -> Result<Presence, MeshError> {
        let declared = self.session.liveliness().declare_token(key).await;
        Ok(Presence(declared.map_err(failed("say that something is there"))?))
    }

    /// What is there under `key`, which may be an expression; as far as this device may see it.
    ///
    /// # Errors
    /// [`MeshError::Session`] if `key` is none, or the session is closed.
    pub async fn who_is_there(&self, key: &str) -> Result<Vec<String>, MeshError> {
        let replies = self.session.liveliness().get(key).await.map_err(failed("ask who is there"))?;
        let mut there = Vec::new();
        while let Ok(reply) = replies.recv_async().await {
            there.extend(reply.result().ok().map(|sample| sample.key_expr().to_string()));
        }
        Ok(there)
    }

    /// # Errors
    /// [`MeshError::Session`] if `key` is none, or the session is closed.
    pub async fn publisher(&self, key: &str) -> Result<Publisher, MeshError> {
        let declared = self.session.declare_publisher(key.to_owned());
        // Of states and commands the next one is soon there; none of them waits for company.
        let declared = declared.congestion_control(CongestionControl::Drop).express(true).await;
        Ok(Publisher(declared.map_err(failed("publish"))?))
    }

    /// Listens under `key`, which may be an expression. What this device may not read does not arrive.
    ///
    /// # Errors
    /// [`MeshError::Session`] if `key` is none, or the session is closed.
    pub async fn listen(&self, key: &str) -> Result<Listener, MeshError> {
        let (sender, receiver) = broadcast::channel(MESSAGES_QUEUED_MAX);
        let take = move |sample: Sample| {
            if let Some(foreign) = read(&sample) {
                let _ = sender.send(foreign); // nobody listens any more: it is being undeclared
            }
        };
        let declared = self.session.declare_subscriber(key.to_owned()).callback(take).await;
        Ok(Listener { receiver, _subscriber: declared.map_err(failed("subscribe"))? })
    }
}

fn failed(what: &'static str) -> impl Fn(zenoh::Error) -> MeshError {
    move |error| MeshError::Session { what, why: error.to_string() }
}

/// Something is there, until this is dropped.
#[derive(Debug)]
pub struct Presence(#[allow(dead_code, reason = "it is its life that counts")] LivelinessToken);

/// Publishes under one key.
#[derive(Debug)]
pub struct Publisher(zenoh::pubsub::Publisher<'static>);

impl Publisher {
    /// Hands it to the router, which drops without a word what this device may not publish.
    ///
    /// # Errors
    /// [`MeshError::Session`] once the session is closed.
    pub async fn put(&self, bytes: Vec<u8>, attachment: &[u8]) -> Result<(), MeshError> {
        self.0.put(bytes).attachment(attachment.to_vec()).await.map_err(failed("publish"))
    }
}

/// What comes under a key, in each publisher's own order. Ends when dropped.
pub struct Listener {
    receiver: broadcast::Receiver<Foreign>,
    _subscriber: zenoh::pubsub::Subscriber<()>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl Listener {
    /// The next; none once the session is closed. Whoever is slow misses the oldest. Nothing is lost if this is dropped while
    /// it waits.
    pub async fn recv(&mut self) -> Option<Foreign> {
        loop {
            match self.receiver.recv().await {
                Ok(foreign) => return Some(foreign),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

fn read(sample: &Sample) -> Option<Foreign> {
    let length = sample.payload().len() + sample.attachment().map_or(0, |attachment| attachment.len());
    if sample.kind() != SampleKind::Put || length > MESSAGE_BYTES_MAX {
        tracing::debug!(key = %sample.key_expr(), length, "not a message");
        return None;
    }
    let bytes = |bytes: &zenoh::bytes::ZBytes| Bytes::from(bytes.to_bytes().into_owned());
    Some(Foreign {
        key: sample.key_expr().as_str().to_owned(),
        bytes: bytes(sample.payload()),
        attachment: sample.attachment().map(bytes).unwrap_or_default(),
    })
}

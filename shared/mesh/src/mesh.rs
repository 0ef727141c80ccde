//! A device's session.

use std::fmt;

use bytes::Bytes;
use tokio::sync::broadcast;
use zenoh::{
    qos::CongestionControl,
    sample::{Sample, SampleKind},
};

use crate::{MeshConfig, MeshError, Subject, Topic, config};

/// No message is longer.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// No subscription holds more messages; the oldest are dropped.
pub const MESSAGES_QUEUED_MAX: usize = 64;

/// A device on the mesh. Clones share the session, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct Mesh {
    pub(crate) session: zenoh::Session,
}

/// What was published.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: Topic,
    pub bytes: Bytes,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}, {} bytes)", self.topic, self.bytes.len())
    }
}

impl Mesh {
    /// Connects to the site's router. From then on the session looks for the router by itself whenever it is lost.
    ///
    /// # Errors
    /// [`MeshError::NoRouter`] if none lets this device in within `open_ms_max`.
    pub async fn open(config: MeshConfig) -> Result<Self, MeshError> {
        post_quantum();
        let session =
            zenoh::open(config::of_device(&config)?).await.map_err(|error| MeshError::NoRouter {
                router: config.router,
                waited_ms: config.open_ms_max,
                why: error.to_string(),
            })?;
        Ok(Self { session })
    }

    /// Hands a message to the router. What this device may not publish is dropped there, without a word, and so is
    /// everything while the router can't be reached. Orders and events wait for room on a busy link; of states and
    /// healths the next one is soon there.
    ///
    /// # Errors
    /// [`MeshError::TooLong`], and [`MeshError::Session`] once the session is closed.
    pub async fn publish(&self, topic: Topic, bytes: impl Into<Vec<u8>>) -> Result<(), MeshError> {
        let bytes = bytes.into();
        let (seen, max) = (bytes.len(), MESSAGE_BYTES_MAX);
        if seen > max {
            return Err(MeshError::TooLong { topic, bytes: seen, max });
        }
        let congestion = match topic {
            Topic::Order(_) | Topic::Event(_) => CongestionControl::Block,
            Topic::State(_) | Topic::Health(_) => CongestionControl::Drop,
        };
        let put = self.session.put(topic.to_string(), bytes).congestion_control(congestion);
        put.await.map_err(|error| MeshError::Session { what: "publish", why: error.to_string() })
    }

    /// Listens to one topic, or to those of a kind. What this device may not read does not arrive.
    ///
    /// # Errors
    /// [`MeshError::Session`] once the session is closed.
    pub async fn subscribe(&self, subject: impl Into<Subject>) -> Result<Subscription, MeshError> {
        let (sender, receiver) = broadcast::channel(MESSAGES_QUEUED_MAX);
        let take = move |sample: Sample| {
            if let Some(message) = read(&sample) {
                let _ = sender.send(message); // nobody listens any more: it is being undeclared
            }
        };
        let declared = self.session.declare_subscriber(subject.into().to_string()).callback(take).await;
        let subscriber =
            declared.map_err(|error| MeshError::Session { what: "subscribe", why: error.to_string() })?;
        Ok(Subscription { receiver, missed: 0, _subscriber: subscriber })
    }

    /// Leaves the mesh, for all clones.
    pub async fn close(&self) {
        if let Err(error) = self.session.close().await {
            tracing::debug!(%error, "the session did not close in order");
        }
    }
}

/// Messages on one subject, in each publisher's own order. Ends when dropped.
pub struct Subscription {
    receiver: broadcast::Receiver<Message>,
    missed: u64,
    _subscriber: zenoh::pubsub::Subscriber<()>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("missed", &self.missed).finish_non_exhaustive()
    }
}

impl Subscription {
    /// The next message; none once the session is closed. Nothing is lost if this is dropped while it waits.
    pub async fn recv(&mut self) -> Option<Message> {
        loop {
            match self.receiver.recv().await {
                Ok(message) => return Some(message),
                Err(broadcast::error::RecvError::Lagged(missed)) => self.missed += missed,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// How many messages were dropped because nobody took them in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// A message on a topic, within its bound. Whoever speaks Zenoh can send other things.
fn read(sample: &Sample) -> Option<Message> {
    let length = sample.payload().len();
    if sample.kind() != SampleKind::Put || length > MESSAGE_BYTES_MAX {
        tracing::debug!(key = %sample.key_expr(), length, "not a message");
        return None;
    }
    let topic = sample.key_expr().as_str().parse().ok()?;
    Some(Message { topic, bytes: Bytes::from(sample.payload().to_bytes().into_owned()) })
}

/// Zenoh takes the process's own cryptography, or installs `ring`'s, which has no post-quantum key exchange. So ours is
/// installed first, unless the process has chosen already.
pub(crate) fn post_quantum() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

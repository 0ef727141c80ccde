//! Zenoh over QUIC with mutual TLS: telemetry, states and orders between devices of one site.
//!
//! **Invariant (local): nothing is let through that no rule allows.** The router admits only devices whose certificate
//! the site's [`Authority`] issued, knows each by the certificate's common name, which is its
//! [`DeviceId`](farhand_link::DeviceId), and lets it publish and read what its role may and nothing else:
//!
//! | device   | publishes                    | reads                             |
//! |----------|------------------------------|-----------------------------------|
//! | aircraft | its own event                | its own order                     |
//! | kit      | its own state                |                                   |
//! | edge box | its own health               |                                   |
//! | cloud    | orders                       | all events, states and healths    |
//! | observer | the kit's state in CRTK, and that it is there | in the simulator CRTK's commands |
//! | ROS      | in the simulator CRTK's commands | the kit's state in CRTK, and who is there |
//!
//! A router's certificate alone is good for being connected to, so no other device can pose as the router. An access list
//! binds a link and not a person: whatever matters (custody, missions) is signed by its author besides.
//!
//! **Bounded (local):** a message has at most [`MESSAGE_BYTES_MAX`] bytes, and a [`Subscription`] holds at most
//! [`MESSAGES_QUEUED_MAX`] of them; when it is full the oldest are dropped and counted.
//!
//! What is published while the router can't be reached is lost; the connection comes back by itself. So a state is
//! published again and again, and whatever must arrive is repeated until it is known to have arrived.
//!
//! Zenoh blocks inside: **sessions need a tokio runtime with more than one worker thread.**

mod access;
mod certificate;
mod config;
pub mod crtk;
mod error;
mod mesh;
mod router;
mod topic;

pub use access::DEVICES_MAX;
pub use certificate::{Authority, Certificate};
pub use config::{MeshConfig, RouterConfig};
pub use error::{CertificateError, MeshError, TopicError};
pub use mesh::{MESSAGE_BYTES_MAX, MESSAGES_QUEUED_MAX, Mesh, Message, Subscription};
pub use router::Router;
pub use topic::{Subject, Topic};

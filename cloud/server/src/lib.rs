//! Farhand's cloud: it introduces consoles and the edge box, and can't stand between them (`docs/signalling.md`).
//!
//! [`Links`] decides who has which role link, [`Rooms`] what goes from whom to whom; both are pure. Around them: `site`
//! (who may ask), `api` and `channel` (HTTP and WebSockets), `edge_link` (the edge box, over QUIC), and `switchboard`, the
//! one task in which they meet. [`run`] starts it all.

mod api;
mod app;
mod audit;
mod channel;
mod claims;
mod config;
mod edge_link;
mod export;
pub mod field;
mod ledger;
mod links;
mod rooms;
mod server;
mod site;
mod switchboard;

pub use config::{Config, ConfigError, FieldConfig, LinkEntry, LinkRole, MeshEntry, ValidatorEntry};
pub use edge_link::SIGNAL_PROTOCOL;
pub use links::{
    COOKIE_MS_MAX, ClaimError, Grant, IssueError, LINKS_MAX, LinkId, Links, PSEUDONYM_BYTES_MAX, Token,
    role_name,
};
pub use rooms::{
    DropEdge, DropPeer, EdgeNumber, Input, OPENING_BYTES_MAX, Output, PEERS_MAX, PEERS_PER_LINK_MAX, PeerId,
    Rooms, SIGNAL_BYTES_MAX,
};
pub use server::{OpeningError, Running, StartError, run};
pub use site::guarded;

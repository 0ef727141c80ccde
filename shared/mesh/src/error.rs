//! What can go wrong, with what was seen.

use std::net::SocketAddr;

use thiserror::Error;

/// Why a certificate could not be made or read.
#[derive(Debug, Error)]
pub enum CertificateError {
    #[error("the certificate could not be made: {0}")]
    Made(#[from] rcgen::Error),
    #[error("not a certificate in PEM of at most {max} bytes; {seen} bytes were given")]
    NotPem { seen: usize, max: usize },
}

/// A text that is no topic.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{seen}\" is not a topic")]
pub struct TopicError {
    pub seen: String,
}

/// Why something could not be done on the mesh.
#[derive(Debug, Error)]
pub enum MeshError {
    #[error("the router {router} did not let this device in within {waited_ms} ms: {why}")]
    NoRouter { router: SocketAddr, waited_ms: u64, why: String },
    #[error("the router can't listen at {listen}: {why}")]
    Listen { listen: SocketAddr, why: String },
    #[error("no free port was found at {listen} in {tries} tries; the last: {why}")]
    NoPort { listen: SocketAddr, tries: u32, why: String },
    #[error("a router knows at most {max} devices, not {seen}")]
    TooManyDevices { seen: usize, max: usize },
    #[error("the device's key can't be written for TLS: {0}")]
    Key(String),
    #[error("zenoh does not take \"{key}\": {why}")]
    Config { key: &'static str, why: String },
    #[error("a message on {topic} has {bytes} bytes, at most {max} are allowed")]
    TooLong { topic: crate::Topic, bytes: usize, max: usize },
    #[error("could not {what}: {why}")]
    Session { what: &'static str, why: String },
}

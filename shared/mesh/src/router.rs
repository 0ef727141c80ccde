//! The site's router, in this process.

use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use crate::{MeshError, RouterConfig, config, mesh::post_quantum};

const PORT_TRIES_MAX: u32 = 16;
/// A closed router's socket lives on until its last connection has been told.
const RELEASE_LOOK: Duration = Duration::from_millis(20);
const RELEASE_LOOKS_MAX: u32 = 500;

/// A running router. It ends when dropped or closed.
#[derive(Debug)]
pub struct Router {
    address: SocketAddr,
    session: zenoh::Session,
}

impl Router {
    /// Opens a router that lets in what `config` says and nothing else.
    ///
    /// # Errors
    /// [`MeshError`] if it can't listen there, or its certificate or key can't be used.
    pub async fn open(config: RouterConfig) -> Result<Self, MeshError> {
        post_quantum();
        if config.listen.port() != 0 {
            let wrong = |why| MeshError::Listen { listen: config.listen, why };
            return Self::listen(&config, config.listen).await?.map_err(wrong);
        }
        let mut why = String::new();
        for _ in 0..PORT_TRIES_MAX {
            // Another process may take the port before Zenoh does; then Zenoh says so, and another port is tried.
            let free = free_port(config.listen);
            let free =
                free.map_err(|error| MeshError::Listen { listen: config.listen, why: error.to_string() })?;
            match Self::listen(&config, free).await? {
                Ok(router) => return Ok(router),
                Err(error) => why = error,
            }
        }
        Err(MeshError::NoPort { listen: config.listen, tries: PORT_TRIES_MAX, why })
    }

    /// Where devices find it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the router and every connection to it, and returns once its port is free again.
    pub async fn close(self) {
        if let Err(error) = self.session.close().await {
            tracing::debug!(%error, "the router did not close in order");
        }
        drop(self.session);
        for _ in 0..RELEASE_LOOKS_MAX {
            if free_port(self.address).is_ok() {
                return;
            }
            tokio::time::sleep(RELEASE_LOOK).await;
        }
        tracing::warn!(address = %self.address, "the router's port is still in use");
    }

    async fn listen(config: &RouterConfig, address: SocketAddr) -> Result<Result<Self, String>, MeshError> {
        let zenoh = config::of_router(config, address)?;
        let opened = zenoh::open(zenoh).await;
        Ok(opened.map(|session| Self { address, session }).map_err(|error| error.to_string()))
    }
}

fn free_port(at: SocketAddr) -> std::io::Result<SocketAddr> {
    UdpSocket::bind(at)?.local_addr()
}

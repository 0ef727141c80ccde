//! The accepting end: it takes every path that the one peer comes over.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{task::JoinSet, time::timeout};

use super::{
    Common, HELLO_MAX, PATHS_MAX,
    bond::Bond,
    words::{BondName, Word},
};
use crate::{CloseReason, Connection, Endpoint};

/// Connections at one endpoint: as many paths as may be, each with the one that it takes the place of.
const CONNECTIONS_MAX: usize = 2 * PATHS_MAX;

pub(crate) struct Listener {
    common: Arc<Common>,
    /// Held while a path is given its bond, so that there is one bond at a time.
    current: Mutex<Option<Bond>>,
}

impl Listener {
    pub(crate) fn new(common: Arc<Common>) -> Self {
        Self { common, current: Mutex::new(None) }
    }

    /// **Serves whatever comes to one endpoint, until the endpoint is closed.**
    pub(crate) async fn run(self: Arc<Self>, endpoint: Endpoint) {
        let mut paths = JoinSet::new();
        while let Some(connection) = endpoint.accept().await {
            while paths.try_join_next().is_some() {}
            if connection.peer() != self.common.peer {
                connection.close(CloseReason::Forbidden);
            } else if paths.len() >= CONNECTIONS_MAX {
                connection.close(CloseReason::Busy);
            } else {
                paths.spawn(self.clone().serve(connection));
            }
        }
    }

    async fn serve(self: Arc<Self>, connection: Connection) {
        let joined = match timeout(HELLO_MAX, hello(&connection)).await {
            Ok(Some((name, path, begins))) => {
                self.join(name, path, begins, &connection).map(|bond| (path, bond))
            }
            _ => Err(CloseReason::Protocol),
        };
        match joined {
            Ok((path, bond)) => {
                // If it does not get through, serving ends at once.
                let _ = connection.send_message(Word::Welcome.to_bytes()).await;
                bond.serve(path, &connection).await;
            }
            Err(reason) => connection.close(reason),
        }
    }

    /// The bond of that name, which a hello that begins makes in place of the one before: the peer was started anew, or had
    /// lost every path, which may not have been noticed here.
    fn join(
        &self,
        name: BondName,
        path: u8,
        begins: bool,
        connection: &Connection,
    ) -> Result<Bond, CloseReason> {
        if usize::from(path) >= PATHS_MAX {
            return Err(CloseReason::Protocol);
        }
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let known = current.as_ref().filter(|bond| bond.name() == name).cloned();
        let is_new = known.is_none();
        let bond = match known {
            Some(bond) => bond,
            None if begins => self.common.bond(name),
            None => return Err(CloseReason::Over),
        };
        if !bond.add(path, connection) {
            return Err(CloseReason::Over);
        }
        if is_new {
            if let Some(before) = current.replace(bond.clone()) {
                before.close(CloseReason::Replaced);
            }
            self.common.publish(bond.clone());
        }
        Ok(bond)
    }
}

async fn hello(connection: &Connection) -> Option<(BondName, u8, bool)> {
    match Word::read(&connection.recv_message().await.ok()??)? {
        Word::Hello { bond, path, begins } => Some((bond, path, begins)),
        _ => None,
    }
}

//! The connecting end: it keeps every path connected, and says which bond each belongs to.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::timeout};

use super::{
    Common, HELLO_MAX,
    bond::Bond,
    words::{BondName, Word},
};
use crate::{CloseReason, Connection, KeepConnected, LinkError};

/// A connection that has just ended may be offered once more before that is noticed.
const AGAIN: Duration = Duration::from_millis(5);

pub(crate) struct Dialler {
    common: Arc<Common>,
    run: [u8; 16],
    /// The number of the last bond that was begun; held while one begins, so that there is one first path.
    begun: Mutex<u64>,
}

impl Dialler {
    pub(crate) fn new(common: Arc<Common>, run: [u8; 16]) -> Self {
        Self { common, run, begun: Mutex::new(0) }
    }

    /// **Serves one connection of this path after the other, without end.**
    pub(crate) async fn keep(self: Arc<Self>, path: u8, keep: KeepConnected) {
        loop {
            let connection = keep.connection().await;
            if connection.end().is_some() {
                tokio::time::sleep(AGAIN).await;
            } else if let Some(bond) = self.join(path, &connection).await {
                bond.serve(path, &connection).await;
            } else {
                connection.close(CloseReason::Protocol);
            }
        }
    }

    /// To the bond that stands, or to a new one.
    async fn join(&self, path: u8, connection: &Connection) -> Option<Bond> {
        if let Some(bond) = self.common.standing() {
            return join_standing(bond, path, connection).await;
        }
        let mut begun = self.begun.lock().await;
        if let Some(bond) = self.common.standing() {
            drop(begun);
            return join_standing(bond, path, connection).await;
        }
        *begun += 1;
        let name = BondName { run: self.run, number: *begun };
        welcomed(connection, Word::Hello { bond: name, path, begins: true }).await?;
        let bond = self.common.bond(name);
        bond.add(path, connection).then(|| self.common.publish(bond.clone()))?;
        Some(bond)
    }
}

/// A peer that does not know the bond any more was started anew, or has given it up: then it is over here, too.
async fn join_standing(bond: Bond, path: u8, connection: &Connection) -> Option<Bond> {
    let hello = Word::Hello { bond: bond.name(), path, begins: false };
    let welcome = welcomed(connection, hello).await;
    if connection.end() == Some(LinkError::ClosedByPeer(CloseReason::Over)) {
        bond.close(CloseReason::Over);
    }
    welcome?;
    bond.add(path, connection).then_some(bond)
}

async fn welcomed(connection: &Connection, hello: Word) -> Option<()> {
    let exchange = async {
        connection.send_message(hello.to_bytes()).await.ok()?;
        let answer = connection.recv_message().await.ok()??;
        (Word::read(&answer)? == Word::Welcome).then_some(())
    };
    timeout(HELLO_MAX, exchange).await.ok()?
}

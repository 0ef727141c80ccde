//! What several paths to one device make together.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};

use super::{
    PATHS_MAX,
    first::FirstHeard,
    order::{Arrived, Inbox, Outbox, Written},
    quality::Tallies,
    words::{self, BondName, PATHS_MESSAGE_BYTES_MAX, Word},
};
use crate::{BondError, CloseReason, Connection, DeviceId, LinkError};

/// Datagrams that wait to be taken; the oldest make room.
const DATAGRAMS_QUEUED_MAX: usize = 256;
/// Messages that wait to be taken; the peer waits for room.
const MESSAGES_QUEUED_MAX: usize = 64;

/// One time together of two devices, over as many paths as stand. Over once no path stands, or when one of them says so;
/// what was not delivered by then is lost. Clones are the same bond. One taker at a time.
#[derive(Clone)]
pub struct Bond(Arc<Shared>);

struct Shared {
    name: BondName,
    peer: DeviceId,
    inner: Mutex<Inner>,
    /// Changes when there is something to write.
    to_write: watch::Sender<()>,
    over: watch::Sender<bool>,
    datagram_came: Notify,
    taken: mpsc::Sender<Bytes>,
    messages: tokio::sync::Mutex<mpsc::Receiver<Bytes>>,
    tallies: Arc<Tallies>,
}

/// Under a lock that is held for microseconds and never across an await.
struct Inner {
    paths: [Option<Connection>; PATHS_MAX],
    over: bool,
    datagrams_sent: u64,
    first: FirstHeard,
    datagrams: VecDeque<Bytes>,
    outbox: Outbox,
    inbox: Inbox,
}

impl Bond {
    pub(crate) fn new(name: BondName, peer: DeviceId, messages_max: usize, tallies: Arc<Tallies>) -> Self {
        let (taken, messages) = mpsc::channel(MESSAGES_QUEUED_MAX);
        let inner = Inner {
            paths: Default::default(),
            over: false,
            datagrams_sent: 0,
            first: FirstHeard::new(),
            datagrams: VecDeque::new(),
            outbox: Outbox::new(messages_max),
            inbox: Inbox::default(),
        };
        Self(Arc::new(Shared {
            name,
            peer,
            inner: inner.into(),
            to_write: watch::Sender::new(()),
            over: watch::Sender::new(false),
            datagram_came: Notify::new(),
            taken,
            messages: messages.into(),
            tallies,
        }))
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> DeviceId {
        self.0.peer
    }

    /// Sends over every path that stands, without waiting; the first to arrive counts, and any may be lost.
    ///
    /// # Errors
    /// [`BondError::TooLarge`], or [`BondError::Over`].
    pub fn send_datagram(&self, content: &[u8]) -> Result<(), BondError> {
        let mut inner = self.lock();
        let max = inner.datagram_bytes_max().ok_or(BondError::Over)?;
        if content.len() > max {
            return Err(BondError::TooLarge { bytes: content.len(), max });
        }
        inner.datagrams_sent += 1;
        let datagram = words::datagram(inner.datagrams_sent, content);
        for path in inner.paths.iter().flatten() {
            // A path that has just ended is seen by its own task; the others carry it.
            let _ = path.send_datagram(datagram.clone());
        }
        Ok(())
    }

    /// The oldest datagram not yet taken; `None` once the bond is over. Nothing is lost if the future is dropped.
    pub async fn recv_datagram(&self) -> Option<Bytes> {
        loop {
            if let Some(datagram) = self.lock().datagrams.pop_front() {
                return Some(datagram);
            }
            tokio::select! {
                () = self.0.datagram_came.notified() => {}
                () = self.over() => return None,
            }
        }
    }

    /// Queues a message. It goes over every path, and arrives whole, once and in order as long as the bond lasts.
    ///
    /// # Errors
    /// [`BondError::TooLarge`] above [`PATHS_MESSAGE_BYTES_MAX`]; [`BondError::Full`] if the peer takes none; or
    /// [`BondError::Over`].
    pub fn send_message(&self, content: Bytes) -> Result<(), BondError> {
        if content.len() > PATHS_MESSAGE_BYTES_MAX {
            return Err(BondError::TooLarge { bytes: content.len(), max: PATHS_MESSAGE_BYTES_MAX });
        }
        let mut inner = self.lock();
        if inner.over {
            return Err(BondError::Over);
        }
        if !inner.outbox.push(content) {
            return Err(BondError::Full { max: inner.outbox.max() });
        }
        drop(inner);
        self.0.to_write.send_replace(());
        Ok(())
    }

    /// The next message; `None` once the bond is over. Nothing is lost if the future is dropped.
    pub async fn recv_message(&self) -> Option<Bytes> {
        let mut messages = self.0.messages.lock().await;
        tokio::select! {
            biased;
            message = messages.recv() => message,
            () = self.over() => None,
        }
    }

    /// Ends every path at once; the peer is told why.
    pub fn close(&self, reason: CloseReason) {
        let mut inner = self.lock();
        inner.over = true;
        let paths = std::mem::take(&mut inner.paths);
        drop(inner);
        paths.iter().flatten().for_each(|path| path.close(reason));
        self.0.over.send_replace(true);
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Waits until it is.
    pub async fn over(&self) {
        let _ = self.0.over.subscribe().wait_for(|over| *over).await; // the sending end is here
    }

    /// Paths that stand.
    #[must_use]
    pub fn paths(&self) -> usize {
        self.lock().paths.iter().flatten().count()
    }

    pub(crate) fn connections(&self) -> [Option<Connection>; PATHS_MAX] {
        self.lock().paths.clone()
    }

    pub(crate) fn name(&self) -> BondName {
        self.0.name
    }

    /// Whether this connection is one of its paths now. A path that was there under the same number makes room: whoever
    /// connects anew has given it up.
    pub(crate) fn add(&self, path: u8, connection: &Connection) -> bool {
        let mut inner = self.lock();
        let over = inner.over;
        let Some(place) = inner.paths.get_mut(usize::from(path)).filter(|_| !over) else { return false };
        let before = place.replace(connection.clone());
        drop(inner);
        if let Some(before) = before {
            before.close(CloseReason::Replaced);
        }
        true
    }

    /// **Serves one path until it ends; the bond is over with its last.**
    pub(crate) async fn serve(&self, path: u8, connection: &Connection) {
        let broken = tokio::select! {
            broken = self.take_datagrams(path, connection) => broken,
            broken = self.take_messages(connection) => broken,
            broken = self.write(connection) => broken,
        };
        connection.close(if broken { CloseReason::Protocol } else { CloseReason::Done });
        if connection.end() == Some(LinkError::ClosedByPeer(CloseReason::Over)) {
            self.close(CloseReason::Over);
        }
        self.remove(path, connection);
    }

    fn remove(&self, path: u8, connection: &Connection) {
        let mut inner = self.lock();
        let place = &mut inner.paths[usize::from(path)];
        if place.as_ref().is_some_and(|other| other.is_same(connection)) {
            *place = None;
        }
        let last = inner.paths.iter().all(Option::is_none);
        drop(inner);
        if last {
            self.close(CloseReason::Over);
        }
    }

    /// Whether the peer broke the protocol; so the two after this.
    async fn take_datagrams(&self, path: u8, connection: &Connection) -> bool {
        while let Ok(datagram) = connection.recv_datagram().await {
            let Some((number, content)) = words::read_datagram(&datagram) else { return true };
            let first = self.lock().take_datagram(number, content);
            if first {
                self.0.datagram_came.notify_one();
            }
            self.0.tallies.heard(path, first);
        }
        false
    }

    async fn take_messages(&self, connection: &Connection) -> bool {
        while let Ok(Some(bytes)) = connection.recv_message().await {
            let as_agreed = match Word::read(&bytes) {
                Some(Word::Message { number, content }) => {
                    // Room first: a message that is acknowledged has been taken.
                    let Ok(room) = self.0.taken.reserve().await else { return false };
                    self.lock().take_message(number, content, room)
                }
                Some(Word::Heard { count }) => self.lock().outbox.acknowledge(count).is_ok(),
                _ => false,
            };
            if !as_agreed {
                return true;
            }
            self.0.to_write.send_replace(());
        }
        false
    }

    /// Says what was taken, and sends what the peer does not have.
    async fn write(&self, connection: &Connection) -> bool {
        let mut to_write = self.0.to_write.subscribe();
        let mut written = Written::default();
        loop {
            to_write.mark_unchanged();
            while let Some(bytes) = self.next_to_write(&mut written) {
                if connection.send_message(bytes).await.is_err() {
                    return false;
                }
            }
            if to_write.changed().await.is_err() {
                return false; // never: the sending end is here
            }
        }
    }

    fn next_to_write(&self, written: &mut Written) -> Option<Bytes> {
        let inner = self.lock();
        written.next(&inner.outbox, &inner.inbox)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What a panicking task left is whole: every change under the lock is one step.
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// `None` if no path stands. All have the same limit.
    fn datagram_bytes_max(&self) -> Option<usize> {
        let path = self.paths.iter().flatten().map(Connection::datagram_bytes_max).max()?;
        Some(words::datagram_content_max(path))
    }

    fn take_datagram(&mut self, number: u64, content: Bytes) -> bool {
        let first = self.first.take(number);
        if first {
            if self.datagrams.len() == DATAGRAMS_QUEUED_MAX {
                self.datagrams.pop_front();
            }
            self.datagrams.push_back(content);
        }
        first
    }

    /// Whether the peer may send that number now.
    fn take_message(&mut self, number: u64, content: Bytes, room: mpsc::Permit<'_, Bytes>) -> bool {
        let arrived = self.inbox.take(number);
        if arrived == Arrived::Next {
            room.send(content);
        }
        arrived != Arrived::TooEarly
    }
}

impl fmt::Debug for Bond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self.connections();
        write!(f, "Bond({} {}, ", self.0.peer.short(), self.0.name.number)?;
        f.debug_list().entries(paths.iter().flatten()).finish()?;
        f.write_str(")")
    }
}

//! A line that can be cut, for tests and benchmarks.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{net::UdpSocket, task::AbortHandle, time::sleep};

const PACKET_BYTES_MAX: usize = 2048;

/// Carries UDP packets between one client and `to`. Cut, it swallows them, as a cable does that is pulled out.
#[derive(Debug)]
pub struct Line {
    addr: SocketAddr,
    cut: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Line {
    /// A line on the loopback with that delay each way. Needs a tokio runtime.
    ///
    /// # Errors
    /// What the system says of its sockets.
    pub async fn to(to: SocketAddr, delay: Duration) -> io::Result<Self> {
        let near = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let far = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        far.connect(to).await?;
        let (addr, cut) = (near.local_addr()?, Arc::new(AtomicBool::new(false)));
        let task = tokio::spawn(carry(near, far, cut.clone(), delay)).abort_handle();
        Ok(Self { addr, cut, task })
    }

    /// Where the client sends to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn cut(&self) {
        self.cut.store(true, Relaxed);
    }

    pub fn mend(&self) {
        self.cut.store(false, Relaxed);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// **Carries until aborted.** The client is whoever sent last.
async fn carry(near: Arc<UdpSocket>, far: Arc<UdpSocket>, cut: Arc<AtomicBool>, delay: Duration) {
    let (mut there, mut back) = ([0; PACKET_BYTES_MAX], [0; PACKET_BYTES_MAX]);
    let mut client = None;
    loop {
        let (packet, to) = tokio::select! {
            Ok((length, from)) = near.recv_from(&mut there) => {
                client = Some(from);
                (&there[..length], None)
            }
            Ok(length) = far.recv(&mut back) => (&back[..length], client),
            else => continue, // a port unreachable: whoever was there is gone for now
        };
        if cut.load(Relaxed) {
            continue;
        }
        let (packet, near, far, cut) = (packet.to_vec(), near.clone(), far.clone(), cut.clone());
        let deliver = async move {
            if !delay.is_zero() {
                sleep(delay).await;
            }
            if cut.load(Relaxed) {
                return;
            }
            // What does not get through is lost, as on any line.
            let _ = match to {
                Some(client) => near.send_to(&packet, client).await,
                None => far.send(&packet).await,
            };
        };
        if delay.is_zero() { deliver.await } else { drop(tokio::spawn(deliver)) }
    }
}

//! The arms as a process of their own: loopback UDP, a plain thread, a thousand times a second.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::Arm;

const TICK: Duration = Duration::from_millis(1);
/// Setpoints read in one tick; the kit sends one.
const SETPOINTS_MAX: usize = 16;

/// Both ends of an arm's cable.
#[derive(Clone, Copy, Debug)]
pub struct CableEnds {
    /// The arm's.
    pub listen: SocketAddr,
    pub kit: SocketAddr,
}

/// Runs the arms until `stop`: each takes setpoints at its end of its cable and tells the kit its state; each tick is shown to
/// `watch`.
pub fn serve_arms(
    mut arms: Vec<Arm>,
    cables: &[CableEnds],
    stop: &AtomicBool,
    mut watch: impl FnMut(&mut [Arm]),
) -> io::Result<()> {
    farhand_kit::before_all_others();
    let sockets = cables.iter().map(|cable| {
        let socket = UdpSocket::bind(cable.listen)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    let sockets = sockets.collect::<io::Result<Vec<_>>>()?;
    let began = Instant::now();
    let mut due = began;
    let mut buffer = [0; 256];
    while !stop.load(Relaxed) {
        let now_us = began.elapsed().as_micros() as u64;
        for (arm, socket) in arms.iter_mut().zip(&sockets) {
            for _ in 0..SETPOINTS_MAX {
                let Ok(length) = socket.recv(&mut buffer) else { break };
                arm.receive(now_us, &buffer[..length]);
            }
            arm.step(now_us);
        }
        watch(&mut arms);
        for ((arm, socket), cable) in arms.iter().zip(&sockets).zip(cables) {
            // A kit that is not there yet hears the next one.
            let _ = socket.send_to(&arm.sealed_state(), cable.kit);
        }
        due = (due + TICK).max(Instant::now() - TICK);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

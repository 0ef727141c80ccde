//! The arm as a process of its own: loopback UDP, a plain thread, a thousand times a second.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::Arm;

const TICK: Duration = Duration::from_millis(1);
/// Setpoints read in one tick; the kit sends one.
const SETPOINTS_MAX: usize = 16;

/// Runs the arm until `stop`: takes setpoints at `listen`, tells `kit` its state, and shows each tick to `watch`.
pub fn serve_arm(
    mut arm: Arm,
    listen: SocketAddr,
    kit: SocketAddr,
    stop: &AtomicBool,
    mut watch: impl FnMut(&mut Arm),
) -> io::Result<()> {
    farhand_kit::before_all_others();
    let socket = UdpSocket::bind(listen)?;
    socket.set_nonblocking(true)?;
    let began = Instant::now();
    let mut due = began;
    let mut buffer = [0; 256];
    while !stop.load(Relaxed) {
        let now_us = began.elapsed().as_micros() as u64;
        for _ in 0..SETPOINTS_MAX {
            let Ok(length) = socket.recv(&mut buffer) else { break };
            arm.receive(now_us, &buffer[..length]);
        }
        arm.step(now_us);
        watch(&mut arm);
        // A kit that is not there yet hears the next one.
        let _ = socket.send_to(&arm.sealed_state(), kit);
        due = (due + TICK).max(Instant::now() - TICK);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

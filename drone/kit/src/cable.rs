//! The cable to an arm: UDP, sealed in both directions under a key that only the two ends hold.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use arrayvec::ArrayVec;
use farhand_guard::{Actuator, Permit};
use farhand_wire::{ARMS_MAX, ArmState, MacKey};

/// States read in one tick at the most; the arm sends one.
const STATES_MAX: usize = 16;

/// The cables of all arms, in their order.
#[derive(Debug)]
pub struct Cables(pub ArrayVec<Cable, ARMS_MAX>);

impl Cables {
    /// What has come from each, if anything has.
    pub fn newest(&mut self) -> ArrayVec<(usize, ArmState), ARMS_MAX> {
        let cables = self.0.iter_mut().enumerate();
        cables.filter_map(|(arm, cable)| Some((arm, cable.newest()?))).collect()
    }
}

impl Actuator for Cables {
    fn actuate(&mut self, permit: Permit) {
        let cable = self.0.get_mut(permit.arm());
        cable.into_iter().for_each(|cable| cable.tell(&permit));
    }
}

/// The kit's end of one arm's cable. Never blocks.
#[derive(Debug)]
pub struct Cable {
    socket: UdpSocket,
    key: MacKey,
    buffer: [u8; 256],
}

impl Cable {
    /// From `listen` to the arm at `arm`; what comes from anywhere else is not even read.
    pub fn connect(listen: SocketAddr, arm: SocketAddr, key: &[u8; 32]) -> io::Result<Self> {
        let socket = UdpSocket::bind(listen)?;
        socket.connect(arm)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, key: MacKey::new(key), buffer: [0; 256] })
    }

    /// The newest authentic state that has come, if one has.
    pub fn newest(&mut self) -> Option<ArmState> {
        let mut newest = None;
        for _ in 0..STATES_MAX {
            match self.socket.recv(&mut self.buffer) {
                Ok(length) => newest = ArmState::open(&self.buffer[..length], &self.key).ok().or(newest),
                // Nothing more for now, or an arm that is not there: its silence is what counts.
                Err(_) => break,
            }
        }
        newest
    }

    fn tell(&mut self, permit: &Permit) {
        // A setpoint that is lost is a tick without a permit, which the arm's own watchdog sees.
        let _ = self.socket.send(&permit.setpoint().seal(&self.key));
    }
}

//! The one-way cable to an observer on this machine: how arm and kit stand, each time the loop says so.

use std::net::{SocketAddr, UdpSocket};

use farhand_wire::{MacKey, Observation};

use crate::{ObserverCable, RunError, Snapshot};

/// The kit's end. Never blocks, and never reads.
#[derive(Debug)]
pub(crate) struct Observer {
    socket: UdpSocket,
    to: SocketAddr,
    key: MacKey,
}

impl Observer {
    pub(crate) fn open(cable: &ObserverCable) -> Result<Self, RunError> {
        let key = MacKey::new(&cable.read_key()?);
        let socket = UdpSocket::bind((cable.to.ip(), 0)).map_err(RunError::Observer)?;
        socket.set_nonblocking(true).map_err(RunError::Observer)?;
        Ok(Self { socket, to: cable.to, key })
    }

    /// An observer that is not there, or slow, misses it: the next one is 10 ms away.
    pub(crate) fn tell(&self, snapshot: &Snapshot) {
        let _ = self.socket.send_to(&observation(snapshot).seal(&self.key), self.to);
    }
}

fn observation(snapshot: &Snapshot) -> Observation {
    let Snapshot { report, arm, .. } = snapshot;
    let joints = &arm.joints;
    Observation {
        tick: snapshot.tick,
        arm: snapshot.of,
        mode: report.arm.mode,
        operating_state: report.arm.operating_state,
        flags: report.arm.flags,
        measured: arm.measured,
        measured_joints: joints.measured,
        measured_jaw_rad: joints.measured_jaw_rad,
        setpoint: arm.setpoint,
        setpoint_joints: joints.setpoint,
        setpoint_velocity: joints.setpoint_velocity,
        setpoint_jaw_rad: arm.jaw_rad,
        setpoint_jaw_velocity_rad_s: joints.setpoint_jaw_velocity_rad_s,
    }
}

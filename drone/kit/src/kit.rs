//! Gate and loop in one step: the whole kit as a function of what came in, for virtual time.

use farhand_guard::{Actuator, Limits};
use farhand_motion::{Axis, LimitExceeded, Mounted};
use farhand_wire::{ArmState, KitTick, LeaseToken, SessionId};

use crate::{Core, FromCore, FromGate, Gate, Identity, ToCore};

/// What comes to the kit.
#[derive(Clone, Debug)]
pub enum KitInput {
    /// By the edge box, over whatever path.
    Message(Vec<u8>),
    /// By the arm of that number, over its cable.
    Arm(usize, ArmState),
    /// The store has the token for good.
    TokenStored(LeaseToken),
    /// The edge box has come, or come back.
    EdgeConnected,
}

/// What leaves the kit, besides the permit.
#[derive(Clone, Debug)]
pub enum KitOutput {
    Datagram(Vec<u8>),
    Reliable(Vec<u8>),
    /// Store this token durably, then say so.
    StoreToken(LeaseToken),
    /// Store durably that this session is over.
    StoreClosed(SessionId),
}

/// The kit as one pure machine.
#[derive(Debug)]
pub struct Kit {
    gate: Gate,
    core: Core,
    to_core: Vec<ToCore>,
    from_core: Vec<FromCore>,
}

impl Kit {
    pub fn new(
        identity: Identity,
        limits: Limits,
        arms: &[Mounted],
        measured: &[Option<ArmState>],
        highest_token: LeaseToken,
    ) -> Result<Self, LimitExceeded> {
        let core = Core::new(limits, arms, measured, highest_token, identity.seed)?;
        Ok(Self { gate: Gate::new(identity), core, to_core: Vec::new(), from_core: Vec::new() })
    }

    /// One tick. **Call it once a millisecond of virtual time.**
    pub fn step(
        &mut self,
        now: KitTick,
        inbox: impl IntoIterator<Item = KitInput>,
        actuator: &mut impl Actuator,
        mut out: impl FnMut(KitOutput),
    ) {
        let Self { gate, core, to_core, from_core } = self;
        let mut arms = Vec::new();
        for input in inbox {
            let pass = |passed| deliver(passed, to_core, &mut out);
            match input {
                // What does not pass is counted by the gate.
                KitInput::Message(bytes) => drop(gate.take(&bytes, pass)),
                KitInput::TokenStored(token) => gate.token_stored(token, pass),
                KitInput::EdgeConnected => gate.edge_connected(),
                KitInput::Arm(number, state) => arms.push((number, state)),
            }
        }
        core.step(now, arms, to_core.drain(..), actuator, |said| from_core.push(said));
        for said in from_core.drain(..) {
            gate.from_core(said, |passed| deliver(passed, to_core, &mut out));
        }
    }

    /// The memory of one arm's motion fails, see [`farhand_motion::Motion::upset`].
    pub fn upset(&mut self, arm: usize, axis: Axis, by: f64) {
        self.core.upset(arm, axis, by);
    }

    /// Messages that went no further, since the start.
    #[must_use]
    pub fn unauthentic(&self) -> u64 {
        self.gate.unauthentic()
    }
}

fn deliver(passed: FromGate, to_core: &mut Vec<ToCore>, out: &mut impl FnMut(KitOutput)) {
    match passed {
        FromGate::Core(input) => to_core.push(input),
        FromGate::Datagram(bytes) => out(KitOutput::Datagram(bytes)),
        FromGate::Reliable(bytes) => out(KitOutput::Reliable(bytes)),
        // In virtual time there is no disk.
        FromGate::Segment(_) => {}
        FromGate::Store(token) => out(KitOutput::StoreToken(token)),
        FromGate::StoreClosed(session) => out(KitOutput::StoreClosed(session)),
    }
}

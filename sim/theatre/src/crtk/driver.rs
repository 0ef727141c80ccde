//! A surgeon whose hand is what comes from the ROS world: sits at a console as others do, signs, takes control, sends sealed
//! commands with the newest picture's number, and lists what was sent. So there is no way around guard, lease, freshness and
//! record.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use farhand_agent::peer::{Peer, PeerSender, PeerSettings, RoleLink};
use farhand_crtk::{Command, Commands, StateCommand};
use farhand_wire::{Kind, Mode, Role, Said, state_flags};
use farhand_world::{Console, Keys, Person, Sent};

use super::stream::{Arm, Stream};
use crate::site::LOOPBACK;

const TICK: Duration = Duration::from_millis(1);
/// After the console did not come about.
const AGAIN: Duration = Duration::from_secs(1);

/// **Drives until the mesh is closed.** Sits down at the first `enable`, and again at the next after the connection was lost.
pub(super) async fn drive(link: RoleLink, mut commands: Commands) -> anyhow::Result<()> {
    let settings = PeerSettings::new(LOOPBACK)?;
    while let Some(command) = commands.recv().await {
        if command != Command::State(StateCommand::Enable) {
            tracing::info!(?command, "not followed: nobody is enabled");
            continue;
        }
        let peer = sit_down(&link, &settings).await;
        match Driver::new(&link, peer)?.operate(&mut commands).await {
            Ok(()) => tracing::info!("the console's connection is over"),
            Err(error) => tracing::warn!(%error, "the console's connection broke"),
        }
    }
    Ok(())
}

/// There is no session before the kit is paired.
async fn sit_down(link: &RoleLink, settings: &PeerSettings) -> Peer {
    loop {
        match Peer::connect(link, settings.clone()).await {
            Ok(peer) => return peer,
            Err(error) => tracing::info!(%error, "no console yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

struct Driver {
    peer: Peer,
    sender: PeerSender,
    console: Console,
    stream: Stream,
    paused: bool,
    began: Instant,
}

impl Driver {
    /// Enabled.
    fn new(link: &RoleLink, peer: Peer) -> anyhow::Result<Self> {
        let (sender, opening) = (peer.sender(), peer.opening());
        let keys = Keys { link: link.key.clone(), session: sender.session_key().clone() };
        let person = Person::new(keys, Role::Surgeon, opening.session());
        let mut seed = [0];
        getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        let mut console = Console::new(person, opening.session(), opening.kit(), seed[0]);
        console.follow(None);
        Ok(Self { sender, console, stream: Stream::default(), paused: false, began: Instant::now(), peer })
    }

    async fn operate(mut self, commands: &mut Commands) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut stepped_us = self.now_us();
        while *self.peer.connected().borrow() {
            let mut out = Vec::new();
            tokio::select! {
                command = commands.recv() => self.follow(command.context("the mesh is closed")?, &mut out),
                _ = tick.tick() => self.receive(&mut out),
            }
            while stepped_us + 1_000 <= self.now_us() {
                stepped_us += 1_000;
                self.step(stepped_us, &mut out);
            }
            self.send(out).await?;
        }
        Ok(())
    }

    /// What the ROS world wants. To permit, to stop, to let go is this surgeon's; to home is for the bedside to sign.
    fn follow(&mut self, command: Command, out: &mut Vec<Sent>) {
        let now_us = self.now_us();
        match command {
            Command::ServoCp(pose) if !self.paused => self.stream.pose(now_us, pose),
            Command::JawServoJp(jaw_rad) if !self.paused => self.stream.jaw(now_us, jaw_rad),
            Command::ServoCp(_) | Command::JawServoJp(_) => {}
            Command::State(said) => {
                tracing::info!(?said, "the ROS world says");
                match said {
                    StateCommand::Enable => (self.console.wanting, self.paused) = (true, false),
                    StateCommand::Disable => self.disable(out),
                    StateCommand::Pause => {
                        self.paused = true;
                        self.stream.let_go();
                    }
                    StateCommand::Resume => self.paused = false,
                    StateCommand::Home | StateCommand::Unhome => {
                        tracing::warn!(?said, "not followed: homing is for the bedside to sign");
                    }
                }
            }
        }
    }

    /// Disarms, where this surgeon may: as the holder of control.
    fn disable(&mut self, out: &mut Vec<Sent>) {
        self.console.wanting = false;
        self.stream.let_go();
        out.push(Sent::Reliable(self.console.person.say(Said::Disarm {})));
    }

    fn receive(&mut self, out: &mut Vec<Sent>) {
        while let Ok(bytes) = self.peer.statements.try_recv() {
            self.console.receive(&bytes, out);
        }
        while let Ok(bytes) = self.peer.control.try_recv() {
            if Kind::of(&bytes) == Ok(Kind::KitState) {
                self.console.receive(&bytes, out);
            }
        }
        while let Ok(record) = self.peer.frames.try_recv() {
            self.console.receive(&record.to_bytes(), out);
        }
        while self.peer.pictures.try_recv().is_ok() {} // nobody looks: what was shown is not reported either
    }

    fn step(&mut self, now_us: u64, out: &mut Vec<Sent>) {
        let has = |flag| self.console.state().is_some_and(|state| state.flags & flag != 0);
        let engaged = has(state_flags::ENGAGED) && self.console.is_engaged();
        // One `enable`, one arming: a stop that comes later is cleared by another.
        let stopped = self.console.state().is_none_or(|state| state.mode == Mode::Stopped);
        if self.console.holds_control() && has(state_flags::ARMED) && has(state_flags::LEASED) && !stopped {
            self.console.wanting = false;
        }
        let lead = self.stream.step(now_us, Arm { ready: self.console.is_ready(now_us), engaged });
        self.console.follow(lead);
        self.console.step(now_us, out);
    }

    async fn send(&self, out: Vec<Sent>) -> anyhow::Result<()> {
        for sent in out {
            match sent {
                // Full: the command is lost, as on any line; the next is 8 ms away.
                Sent::Unreliable(bytes) => drop(self.sender.send_control(&bytes).await),
                Sent::Reliable(bytes) => self.sender.send_statement(&bytes).await?,
            }
        }
        Ok(())
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

//! The assistant at the bedside, scripted: homes the arm, arms it, and clears stops with the surgeon.

use std::time::Duration;

use anyhow::Context as _;
use farhand_agent::peer::{Peer, RoleLink};
use farhand_wire::{KitNotice, Mode, Role, Said, Statement, state_flags};
use farhand_world::{Keys, Person};
use tokio::sync::watch;

use super::clock::Clock;

const LOOK: Duration = Duration::from_millis(50);

/// The kit must say that the operation is closed within this.
const CLOSE: Duration = Duration::from_secs(10);

/// What the assistant does when told to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Leave,
    /// Says that the operation is over, and leaves when the kit says so too.
    Close,
}

/// **Stands by until told to go.**
pub(crate) async fn stand_by(
    mut peer: Peer,
    link: RoleLink,
    mut gone: watch::Receiver<bool>,
    end: End,
) -> anyhow::Result<()> {
    let sender = peer.sender();
    let keys = Keys { link: link.key.clone(), session: sender.session_key().clone() };
    let mut person = Person::new(keys, Role::Bedside, peer.opening().session());
    let (kit, clock) = (peer.opening().kit(), Clock::new());
    sender.send_statement(&person.endorse()).await?;
    let mut look = tokio::time::interval(LOOK);
    let mut notice = None;
    loop {
        tokio::select! {
            _ = gone.changed() => break,
            said = peer.statements.recv() => match said {
                Some(bytes) => notice = heard(&bytes, kit).or(notice),
                None => break,
            },
            _ = peer.control.recv() => {}
            _ = look.tick() => {
                if let Some(signed) = notice.as_ref().and_then(|notice| due(&mut person, clock.now_us(), notice)) {
                    sender.send_statement(&signed).await?;
                }
            }
        }
    }
    if end == End::Close {
        sender.send_statement(&person.say(Said::Close {})).await?;
        let closed = async {
            while let Some(bytes) = peer.statements.recv().await {
                if heard(&bytes, kit).is_some_and(|notice| notice.closed) {
                    return;
                }
            }
        };
        tokio::time::timeout(CLOSE, closed).await.context("the kit did not close")?;
    }
    peer.close().await;
    Ok(())
}

fn heard(bytes: &[u8], kit: farhand_wire::PublicKey) -> Option<KitNotice> {
    match Statement::open(bytes) {
        Ok((author, Statement { said: Said::Notice { notice }, .. })) if author == kit => Some(notice),
        _ => None,
    }
}

/// What the bedside signs now.
fn due(person: &mut Person, now_us: u64, notice: &KitNotice) -> Option<Vec<u8>> {
    let (has, challenge) = (|flag| notice.flags & flag != 0, notice.challenge);
    if notice.closed {
        return None;
    }
    if notice.mode == Mode::Stopped as u8 {
        return person.sign(now_us, "clear", challenge, Said::ClearEStop { challenge });
    }
    if !has(state_flags::HOMED) {
        return person.sign(now_us, "home", challenge, Said::Home { challenge });
    }
    if !has(state_flags::ARMED) {
        return person.sign(now_us, "arm", challenge, Said::Arm { challenge });
    }
    None
}

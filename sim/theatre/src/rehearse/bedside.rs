//! The assistant at the bedside, scripted: homes the arm, arms it, and clears stops with the surgeon.

use std::time::Duration;

use farhand_agent::peer::{Peer, RoleLink};
use farhand_wire::{KitNotice, Mode, Role, Said, Statement, state_flags};
use farhand_world::{Keys, Person};
use tokio::sync::watch;

use super::clock::Clock;

const LOOK: Duration = Duration::from_millis(50);

/// **Stands by until told to go.**
pub(super) async fn stand_by(
    mut peer: Peer,
    link: RoleLink,
    mut gone: watch::Receiver<bool>,
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

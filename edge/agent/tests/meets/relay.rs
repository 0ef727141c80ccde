//! What passes between consoles and kit, and what of it is on record.

use std::time::Duration;

use bytes::Bytes;
use farhand_agent::{Ending, Far, VideoConfig, peer::Peer};
use farhand_ledger::{What, five_keys::FiveKeys};
use farhand_link::{Bond, CloseReason, DeviceKey, DeviceRole, Endpoint, LinkConfig, Peers};
use farhand_wire::{
    ClockPing, ClockPong, Command, EngagementId, FrameId, HoldNumber, Kind, KitTick, MacKey, Pose, PressId,
    Said, Sequence, Statement, Watermark,
};

use tempfile::TempDir;
use tokio::time::timeout;

use crate::stage::{Kit, SESSION, Stage, TOKEN, edge_config, next_of, soon};

pub(crate) fn still() -> VideoConfig {
    VideoConfig::new("test?width=320&height=240&fps=5")
}

pub(crate) fn command(sequence: u64) -> Bytes {
    let command = Command {
        session: SESSION,
        token: TOKEN,
        sequence: Sequence(sequence),
        kit_tick_echo: KitTick(1),
        arm: 0,
        dead_man: true,
        clutch: false,
        engagement: EngagementId(1),
        hold: HoldNumber(1),
        target: Pose::default(),
        jaw_rad: 0.0,
        frame_seen: FrameId(1),
        frame_age_us: None,
    };
    Bytes::copy_from_slice(&command.seal(&MacKey::new(&[8; 32])))
}

/// The next message of that kind on a channel.
async fn hears(channel: &mut tokio::sync::mpsc::Receiver<Bytes>, kind: Kind) -> Bytes {
    let search = async {
        loop {
            let message = channel.recv().await.unwrap();
            if Kind::of(&message) == Ok(kind) {
                return message;
            }
        }
    };
    soon(&format!("{kind:?}"), search).await
}

/// The next statement that a console hears and that introduces nobody.
pub(crate) async fn said(peer: &mut Peer) -> Option<Bytes> {
    loop {
        let bytes = peer.statements.recv().await?;
        let (_, statement) = Statement::open(&bytes).unwrap();
        if !matches!(statement.said, Said::Endorse { .. }) {
            return Some(bytes);
        }
    }
}

/// Puts the lease in the surgeon's hands, and waits until both know.
pub(crate) async fn lease(stage: &Stage, link: &Bond, surgeon: &mut Peer) {
    let grant = stage.kit.grant(surgeon.sender().public_key());
    // The edge box's end of the console's channels may open a little later than the console's own: what is said before that
    // does not come, and a real console asks again.
    let heard = async {
        loop {
            link.send_message(grant.clone()).unwrap();
            match timeout(Duration::from_millis(500), said(surgeon)).await {
                Ok(heard) => return heard.unwrap(),
                Err(_) => continue,
            }
        }
    };
    assert_eq!(soon("the lease", heard).await, grant);
}

/// Goal: a command arrives at the kit byte for byte and is on record byte for byte; kit and console then hear that it is
/// durable; and a ping is answered by the edge box's clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_reaches_kit_and_record_as_it_was_sent() {
    let stage = Stage::set(still()).await;
    let link = stage.kit.accept().await;
    let mut surgeon = stage.peer("operate").await.unwrap();
    lease(&stage, &link, &mut surgeon).await;
    surgeon.sender().send_control(&command(1)).await.unwrap();
    assert_eq!(next_of(&link, Kind::Command).await, command(1));
    stage
        .on_record("the command", |what| matches!(what, What::Command { frame } if *frame == command(1)))
        .await;
    let mark = soon("the kit's watermark", async {
        loop {
            let mark = Watermark::read(&next_of(&link, Kind::Watermark).await).unwrap();
            if mark.newest > Sequence(0) {
                return mark;
            }
        }
    });
    let mark = mark.await;
    assert_eq!((mark.token, mark.newest), (TOKEN, Sequence(1)));
    while Watermark::read(&hears(&mut surgeon.control, Kind::Watermark).await).unwrap() != mark {}
    surgeon.sender().send_control(&ClockPing { sent_us: 77 }.to_bytes()).await.unwrap();
    let pong = ClockPong::read(&hears(&mut surgeon.control, Kind::ClockPong).await).unwrap();
    assert!(pong.sent_us == 77 && pong.edge.0 > 0);
}

/// Goal: an e-stop from the bedside reaches the kit, is on record once however often it was pressed, and the kit's word
/// reaches both consoles.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_e_stop_reaches_the_kit_and_is_recorded_once() {
    let stage = Stage::set(still()).await;
    let link = stage.kit.accept().await;
    let (mut surgeon, mut bedside) =
        (stage.peer("operate").await.unwrap(), stage.peer("bedside").await.unwrap());
    let press = PressId([9; 16]);
    let stop =
        Statement { session: SESSION, said: Said::EStop { press } }.sign(bedside.sender().session_key());
    for _ in 0..3 {
        bedside.sender().send_control(&stop).await.unwrap();
        bedside.sender().send_statement(&stop).await.unwrap();
    }
    let arrives = async { while next_of(&link, Kind::Signed).await != stop {} };
    soon("the e-stop", arrives).await;
    let notice = stage.kit.notice(None, false, false);
    link.send_message(notice.clone()).unwrap();
    assert_eq!(soon("a notice", said(&mut surgeon)).await.unwrap(), notice);
    assert_eq!(soon("a notice", said(&mut bedside)).await.unwrap(), notice);
    stage
        .on_record("the notice", |what| matches!(what, What::Statement { signed } if *signed == notice))
        .await;
    let stops = stage
        .entries()
        .iter()
        .filter(|entry| matches!(&entry.what, What::Statement { signed } if *signed == stop))
        .count();
    assert_eq!(stops, 1);
}

/// Goal: whatever happens to the links, the edge box looks for the other end again: a kit that comes back is shown opening
/// and people anew; and a session under way needs no cloud.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_break_are_made_again() {
    let stage = Stage::set(still()).await;
    let link = stage.kit.accept().await;
    let mut surgeon = stage.peer("operate").await.unwrap();
    lease(&stage, &link, &mut surgeon).await;
    link.close(CloseReason::ShuttingDown);
    let link = stage.kit.accept().await;
    next_of(&link, Kind::Opening).await;
    let endorsement = next_of(&link, Kind::Signed).await;
    assert!(matches!(Statement::open(&endorsement).unwrap().1.said, Said::Endorse { .. }));
    stage.server.stop().await;
    soon("the cloud's end", stage.edge.cloud_online().wait_for(|online| !online)).await.unwrap();
    surgeon.sender().send_control(&command(1)).await.unwrap();
    assert_eq!(next_of(&link, Kind::Command).await, command(1));
    stage.edge.stop().await;
}

/// Goal: custody goes through, unread and before any session is open: the cloud's question to the kit, its answer back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn custody_goes_through() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("genesis.trust"), FiveKeys::new([9; 32]).trust().to_bytes()).unwrap();
    let (edge_key, cloud_key) =
        (DeviceKey::load_or_create(&folder.path().join("edge.key")).unwrap(), DeviceKey::generate().unwrap());
    let kit = Kit::start(&edge_key);
    let peers = Peers::new();
    peers.allow(edge_key.id(), DeviceRole::Edge).unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let cloud =
        Endpoint::bind(any, &cloud_key, peers, farhand_server::SIGNAL_PROTOCOL, LinkConfig::default());
    let cloud = cloud.unwrap();
    let far = Far { address: cloud.local_addr().unwrap(), device: *cloud_key.id().as_bytes() };
    let edge = farhand_agent::run(edge_config(&folder, far, &kit, still())).await.unwrap();
    let (link, cloud) = (kit.accept().await, soon("the edge box", cloud.accept()).await.unwrap());
    soon("the kit", edge.kit_online().wait_for(|online| *online)).await.unwrap();
    cloud.send_message(r#"{"custody_ask":"cHJvb2Zz"}"#.into()).await.unwrap();
    assert_eq!(next_of(&link, Kind::CustodyAsk).await, Kind::CustodyAsk.wrap(b"proofs"));
    link.send_message(Kind::CustodyAnswer.wrap(b"signed").into()).unwrap();
    let answer = soon("the answer", cloud.recv_message()).await.unwrap().unwrap();
    assert_eq!(answer, r#"{"custody_answer":"c2lnbmVk"}"#);
}

/// Goal: the kit's word that the operation is over ends the recording, and nothing but stops passes from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kits_word_ends_the_record() {
    let stage = Stage::set(still()).await;
    let link = stage.kit.accept().await;
    let mut surgeon = stage.peer("operate").await.unwrap();
    lease(&stage, &link, &mut surgeon).await;
    link.send_message(stage.kit.notice(None, false, true)).unwrap();
    let mut ending = stage.edge.ending();
    soon("the sealing", ending.wait_for(|ending| *ending != Ending::Open)).await.unwrap();
    stage.on_record("the closing leaf", |what| matches!(what, What::Closed(_))).await;
    assert!(matches!(stage.entries()[0].what, What::Opened { .. }));
    surgeon.sender().send_control(&command(1)).await.unwrap();
    surgeon.sender().say(Said::EStop { press: PressId([1; 16]) }).await.unwrap();
    let first = loop {
        let message = tokio::select! {
            datagram = link.recv_datagram() => datagram.unwrap(),
            message = link.recv_message() => message.unwrap(),
        };
        match Kind::of(&message).unwrap() {
            Kind::Command => break Kind::Command,
            Kind::Signed if matches!(Statement::open(&message).unwrap().1.said, Said::EStop { .. }) => {
                break Kind::Signed;
            }
            _ => {}
        }
    };
    assert_eq!(first, Kind::Signed);
}

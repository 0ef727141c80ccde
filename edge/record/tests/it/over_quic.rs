//! The same over the ledger's real protocol: mutual TLS over QUIC, submissions, proofs, connections that are lost.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use farhand_ledger::{
    Cbor, Checkpoint, Event, Hash, Transaction, TransactionProof, five_keys::FiveKeys, merkle,
};
use farhand_link::{CloseReason, Connection, DeviceKey, DeviceRole, Endpoint, Peers, Protocol};
use farhand_record::{Ledger, LedgerAccess, Record};
use farhand_submit::{
    Client, ClientError, Validators,
    frames::{Answer, Ask, Parts, send},
    link_config,
};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    five_ledger::FiveLedger,
    sealing::verified,
    theatre::{EDGE, SESSION, Theatre, config, opened, utc_now},
};

/// A validator's door, behind which five keys are in one hand. Closes each connection when it is told to.
async fn serve(endpoint: Endpoint, ledger: Arc<FiveLedger>, hang_up: Arc<Notify>) {
    while let Some(connection) = endpoint.accept().await {
        let (ledger, hang_up) = (Arc::clone(&ledger), Arc::clone(&hang_up));
        tokio::spawn(async move {
            tokio::select! {
                () = answer(&connection, &ledger) => {}
                () = hang_up.notified() => connection.close(CloseReason::Done),
            }
        });
    }
}

async fn answer(connection: &Connection, ledger: &FiveLedger) {
    let (mut parts, mut taken) = (Parts::default(), Vec::<(Hash, Bytes)>::new());
    while let Ok(Some(part)) = connection.recv_message().await {
        let Some(frame) = parts.take(&part).unwrap() else { continue };
        let (number, ask) = Ask::read(&frame).unwrap();
        let answer = match ask {
            Ask::Submit(transaction) => {
                let hash = Hash::of(&transaction);
                let _ = ledger.commit(&transaction, Duration::ZERO).await; // or when it is asked for
                taken.push((hash, transaction));
                Answer::Taken(hash)
            }
            Ask::Proof { hash, .. } => prove(ledger, &taken, hash).await,
            Ask::Height | Ask::Watch => Answer::Height(None),
            Ask::Trust => Answer::Trust(ledger.trust().to_bytes().into()),
        };
        if send(connection, &answer.to_bytes(number)).await.is_err() {
            return;
        }
    }
}

async fn prove(ledger: &FiveLedger, taken: &[(Hash, Bytes)], hash: Hash) -> Answer {
    let Some((_, transaction)) = taken.iter().find(|(one, _)| *one == hash) else {
        return Answer::NotYet("this validator does not know it".to_owned());
    };
    match ledger.commit(transaction, Duration::ZERO).await {
        Ok(proof) => Answer::Proof(TransactionProof::to_bytes(&proof).into()),
        Err(error) => Answer::NotYet(error.to_string()),
    }
}

/// Goal: checkpoints and the seal get onto a ledger behind the real protocol, also when the
/// connection is lost in between and the ledger's epoch ends; the bundle brings that along, so that the genesis file of
/// the first day is enough.
#[tokio::test]
async fn checkpoints_travel_over_quic_and_survive_a_lost_connection() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    let (validator, edge) = (DeviceKey::generate().unwrap(), DeviceKey::from_seed(&[EDGE; 32]));
    let peers = Peers::new();
    peers.allow(edge.id(), DeviceRole::Edge).unwrap();
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let endpoint = Endpoint::bind(here, &validator, peers, Protocol::LEDGER, link_config()).unwrap();
    let addr = endpoint.local_addr().unwrap();
    let hang_up = Arc::new(Notify::new());
    let door = tokio::spawn(serve(endpoint, Arc::clone(&opened.ledger), Arc::clone(&hang_up)));

    let genesis = opened.ledger.trust();
    let mut config = config(folder.path(), genesis.clone());
    config.ledger = Some(LedgerAccess { key: edge, validators: vec![(validator.id(), addr)] });
    let mut theatre = Theatre::over(Record::open(config, SESSION).unwrap(), &opened);
    theatre.begin();
    theatre.work(0);
    theatre.healthy(|health| health.leaves > 10 && health.unanchored() == 0).await;
    opened.ledger.end_epoch();
    hang_up.notify_waiters();
    theatre.work(1);
    theatre.healthy(|health| health.leaves > 25 && health.unanchored() == 0).await;
    let bundle = theatre.record.seal("done").await.unwrap();
    assert_eq!(verified(&bundle, &genesis).report.findings, []);
    door.abort();
}

/// Goal: a validator of another ledger is not taken for one of ours, whatever it would prove.
#[tokio::test]
async fn a_validator_of_another_ledger_is_refused() {
    let (validator, edge) = (DeviceKey::generate().unwrap(), DeviceKey::from_seed(&[EDGE; 32]));
    let peers = Peers::new();
    peers.allow(edge.id(), DeviceRole::Edge).unwrap();
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let endpoint = Endpoint::bind(here, &validator, peers, Protocol::LEDGER, link_config()).unwrap();
    let to = [(validator.id(), endpoint.local_addr().unwrap())];
    let other = Arc::new(FiveLedger::new(FiveKeys::new([77; 32])));
    let door = tokio::spawn(serve(endpoint, Arc::clone(&other), Arc::default()));
    let refused = Client::connect(&edge, opened().ledger.trust(), &to).await;
    assert!(refused.unwrap_err().to_string().contains("keeps another ledger"));
    assert!(Client::connect(&edge, other.trust(), &to).await.is_ok());
    door.abort();
}

/// Goal: a validator that takes transactions and proves none is left for the next; when none proves anything, whoever waits is
/// told so once the patience is over.
#[tokio::test]
async fn a_validator_that_proves_nothing_is_left_for_the_next() {
    let edge = DeviceKey::from_seed(&[EDGE; 32]);
    let ledgers = [opened().ledger, opened().ledger];
    let (mut addresses, mut doors) = (Vec::new(), Vec::new());
    for ledger in &ledgers {
        let (validator, peers) = (DeviceKey::generate().unwrap(), Peers::new());
        peers.allow(edge.id(), DeviceRole::Edge).unwrap();
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let endpoint = Endpoint::bind(here, &validator, peers, Protocol::LEDGER, link_config()).unwrap();
        addresses.push((validator.id(), endpoint.local_addr().unwrap()));
        doors.push(tokio::spawn(serve(endpoint, Arc::clone(ledger), Arc::default())));
    }
    let (ledger, trust) = (ledgers[0].trust().ledger(), ledgers[0].trust());
    let validators = Validators::new(edge.clone(), trust, addresses);
    let checkpoint = |tree_size| {
        let event = Event::Checkpoint(Checkpoint {
            session: SESSION,
            tree_size,
            root: Hash::of(b"root"),
            previous_root: merkle::empty_root(),
            first_sequence: 0,
            last_sequence: tree_size - 1,
        });
        Transaction { ledger, at: utc_now(), event }.sign(edge.signing_key()).unwrap()
    };

    ledgers[0].set_reachable(false);
    let first = checkpoint(1);
    let proof = validators.commit_patiently(&first, Duration::from_secs(60)).await.unwrap();
    assert_eq!(proof.transaction, first);
    assert!(ledgers[0].asked.load(Ordering::SeqCst) > 0, "the first was asked first");

    ledgers[1].set_reachable(false);
    let error = validators.commit_patiently(&checkpoint(2), Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, ClientError::NotYet { .. }), "{error}");
    doors.iter().for_each(JoinHandle::abort);
}

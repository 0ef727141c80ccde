//! Writes the seeds, from the encoders that the parts themselves use. By hand, when a format changes:
//! `cargo test -p farhand-fuzz --test seeds -- --ignored`.
#![allow(clippy::unwrap_used, reason = "a seed that can't be made is a failed test")]

#[path = "../../../shared/bundle/tests/sessions/mod.rs"]
mod sessions;

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use borsh::BorshSerialize;
use farhand_audit::{Record, Vault};
use farhand_bundle::{Reader, Redaction, redact};
use farhand_flight::Frames;
use farhand_fuzz::{BOOT, SESSION, TARGETS, evidence, key, piece, public, trust};
use farhand_ledger::{
    Batch, Cbor, CustodyAnswer, CustodyRequest, DisplayReport, Entry, Event, Grant, KitSegment, KitStep,
    Segment, SurgeonSegment, Transaction, Utc, What, verify::Leaf,
};
use farhand_link::{DeviceKey, fuzzing};
use farhand_mission::Mission;
use farhand_submit::frames::{Answer, Ask, parts};
use farhand_validator::frames::PeerFrame;
use farhand_wire::{
    Action, ArmSetpoint, ArmState, Challenge, ClockPing, FrameId, FrameMark, Kind, KitTick, LeaseToken,
    LeaseTranscript, MacKey, Observation, PressId, Role, Said, Sequence, Signed, Statement, Watermark,
};
use hotstuff_rs::{
    block_sync::messages::BlockSyncRequest,
    hotstuff::{
        messages::{HotStuffMessage, Proposal},
        types::PhaseCertificate,
    },
    networking::messages::Message,
    pacemaker::messages::{AdvanceView, PacemakerMessage, ProgressCertificate, TimeoutVote},
    types::{
        block::Block,
        data_types::{BlockHeight, ChainID, CryptoHash, Data, SignatureBytes, ViewNumber},
    },
};
use mavlink::{MavlinkVersion, Message as _, dialects::common::MavMessage};
use serde_json::json;
use sessions::theatre::{Session, command};

const AT: Utc = Utc { us: 1_760_000_000_000_000, uncertainty_us: 2000 };

/// Seeds are named, so that they stand apart from what the fuzzer finds.
fn put(target: &str, name: &str, bytes: impl AsRef<[u8]>) {
    assert!(TARGETS.iter().any(|(known, _)| *known == target), "{target} is no target");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

fn chosen(which: u8, bytes: &[u8]) -> Vec<u8> {
    [&[which], bytes].concat()
}

#[test]
#[ignore = "writes tests/fuzz/corpus"]
fn write_the_seeds() {
    let session = sessions::small();
    let entries: Vec<Entry> = session.leaves.iter().map(entry).collect();
    wire();
    kit();
    records(&entries);
    segments(&entries);
    bundle(&session);
    disk(&session);
    links();
    frames();
    vault();
    consensus();
    flight();
    edge();
    server();
    config();
}

fn entry(leaf: &Leaf) -> Entry {
    let Leaf::Whole(bytes) = leaf else { unreachable!("a session is not redacted by itself") };
    Entry::read(bytes).unwrap()
}

fn said() -> [(&'static str, Said); 7] {
    let challenge = Challenge([1; 32]);
    let transcript = LeaseTranscript {
        session: SESSION,
        token: LeaseToken(3),
        boot: BOOT,
        holder: public(1),
        kit: public(5),
        holder_x25519: public(6),
        kit_x25519: public(7),
    };
    [
        ("endorse", Said::Endorse { session_key: public(6) }),
        ("e-stop", Said::EStop { press: PressId([2; 16]) }),
        ("arm", Said::Arm { challenge }),
        ("request", Said::LeaseRequest { challenge, x25519: public(6) }),
        ("confirm", Said::LeaseConfirm { transcript }),
        ("take-over", Said::TakeOver { challenge, to: public(2) }),
        ("refused", Said::Refused { to: public(1), why: "no".to_owned() }),
    ]
}

fn wire() {
    let key = MacKey::new(&[1; 32]);
    put("wire", "command", command(1, 1));
    let setpoint = ArmSetpoint { number: 1, action: Action::Move, joints: [0.1; 6], jaw_rad: 0.1 };
    put("wire", "setpoint", setpoint.seal(&key));
    let state = ArmState { setpoint: 1, flags: 1, joints: [0.1; 6], jaw_rad: 0.1 };
    put("wire", "arm", state.seal(&key));
    put("wire", "observation", Observation::default().seal(&key));
    put("wire", "mark", FrameMark { frame: FrameId(1), kit_tick_at_capture: KitTick(2) }.to_bytes());
    let watermark = Watermark { token: LeaseToken(3), newest: Sequence(4), segments: 5 };
    put("wire", "watermark", watermark.to_bytes());
    put("wire", "ping", ClockPing { sent_us: 1 }.to_bytes());
    for (name, said) in said() {
        let signed = Statement { session: SESSION, said }.sign(&farhand_fuzz::key(1));
        put("statement", name, Signed::read(&signed).unwrap().body);
        put("wire", name, signed);
    }
}

fn kit() {
    let opening = Kind::Opening.wrap(&evidence().to_bytes());
    let ask = CustodyRequest {
        ledger: trust().ledger(),
        at: AT,
        step: KitStep::SelfTested,
        edge: public(4),
        proofs: evidence().custody[..5].to_vec(),
    };
    let ask = Kind::CustodyAsk.wrap(&ask.to_bytes());
    let mark = FrameMark { frame: FrameId(1), kit_tick_at_capture: KitTick(2) }.to_bytes();
    put("gate", "custody", piece(0, &ask));
    put("gate", "session", [piece(0, &opening), piece(0, &mark), piece(0, &command(1, 1))].concat());
    let mut orders = vec![piece(1, &command(1, 1))];
    for (name, said) in said() {
        let signed = Statement { session: SESSION, said }.sign(&key(1));
        let body = Signed::read(&signed).unwrap().body;
        put("verifier", name, [piece(2, &body), piece(3, &body), piece(0, &signed)].concat());
        orders.push(piece(2, &body));
    }
    put("verifier", "orders", orders.concat());
    let record = [&3u32.to_le_bytes()[..], b"one"].concat();
    let torn = [&record[..], &[9, 0, 0, 0, 1]].concat();
    let closed = format!("{SESSION}\n").into_bytes();
    put(
        "kit_files",
        "kept",
        [piece(0, b"7\n"), piece(0, &closed), piece(0, &torn), piece(0, &record)].concat(),
    );
}

fn records(entries: &[Entry]) {
    for (number, entry) in entries.iter().enumerate().skip(1) {
        put("records", &format!("entry-{number}"), chosen(0, &entry.to_bytes()));
    }
    let opening = &evidence().opening;
    let grant = Grant { key: public(1), role: Role::Field, pseudonym: "one".to_owned(), until_utc_ms: 1 };
    let transaction = Transaction { ledger: trust().ledger(), at: AT, event: Event::Grant(grant) };
    let signed = transaction.sign(&key(1)).unwrap();
    let batch = Batch::new(trust().ledger(), AT, vec![signed.clone()]).unwrap();
    let answer = CustodyAnswer::Refused { step: KitStep::Paired, why: "no".to_owned() };
    put("records", "manifest", chosen(1, &sessions::small().manifest));
    put("records", "answer", chosen(2, &answer.to_bytes()));
    put("records", "signed-answer", chosen(2, &CustodyAnswer::Signed(signed).to_bytes()));
    put("records", "batch-header", chosen(3, &batch.header().to_bytes()));
    put("records", "batch", chosen(4, &batch.to_bytes()));
    put("records", "grant", chosen(5, &transaction.to_bytes()));
    for (number, proof) in evidence().custody.iter().chain([opening, &evidence().consent]).enumerate() {
        let body = Transaction::open(&proof.transaction).unwrap().transaction.to_bytes();
        put("records", &format!("transaction-{number}"), chosen(5, &body));
    }
    put("records", "trust", chosen(6, &trust().to_bytes()));
    put("records", "block", chosen(7, &opening.commit.headers[0].to_bytes()));
    let mut certificate = opening.commit.certificate.clone();
    certificate.view += 1;
    put("records", "certificate", chosen(7, &certificate.to_bytes()));
    put("proofs", "proof", chosen(0, &opening.to_bytes()));
    put("proofs", "opening", chosen(1, &evidence().to_bytes()));
    let proofs = evidence().custody[..2].to_vec();
    let ask =
        CustodyRequest { ledger: trust().ledger(), at: AT, step: KitStep::Paired, edge: public(4), proofs };
    put("proofs", "ask", chosen(2, &ask.to_bytes()));
}

fn segments(entries: &[Entry]) {
    for entry in entries {
        let (which, body) = match &entry.what {
            What::SurgeonSegment { signed } => (0, SurgeonSegment::open(signed).unwrap().1.to_bytes()),
            What::KitSegment { signed } => (1, KitSegment::open(signed).unwrap().1.to_bytes()),
            What::DisplayReport { signed } => (2, DisplayReport::open(signed).unwrap().1.to_bytes()),
            _ => continue,
        };
        put("segments", ["surgeon", "kit", "display"][usize::from(which)], chosen(which, &body));
    }
}

fn bundle(session: &Session) {
    let good = sessions::bundle(session);
    let reader = Reader::open(good.clone()).unwrap();
    let redaction = "3,5,pictures".parse::<Redaction>().unwrap();
    let redacted = redact(&reader, &redaction, Vec::new()).unwrap().0;
    for target in ["bundle_read", "bundle_verify", "audit"] {
        put(target, "small.mcap", &good);
    }
    put("bundle_verify", "redacted.mcap", redacted);
}

fn disk(session: &Session) {
    put("log", "file", chosen(0, &session.file));
    put("log", "torn", chosen(0, &session.file[..session.file.len() - 3]));
    let leaves: Vec<Vec<u8>> = session.leaves.iter().map(|leaf| piece(0, &entry(leaf).to_bytes())).collect();
    put("log", "leaves", chosen(1, &leaves.concat()));
    let unit = sessions::unit(1);
    let frames = [&(unit.len() as u32).to_le_bytes()[..], &1u64.to_le_bytes(), &unit].concat();
    let proof = &session.checkpoints[0];
    let signed = farhand_ledger::TransactionProof::read(proof).unwrap().transaction;
    let rest = [piece(0, &frames), piece(1, &piece(0, &signed)), piece(1, &piece(0, proof))].concat();
    put("record", "leaves", [piece(1, &leaves.concat()), rest.clone()].concat());
    put("record", "few-leaves", piece(1, &leaves[1..4].concat()));
    put("record", "torn", [piece(0, &session.file[..session.file.len() - 3]), rest].concat());
}

fn links() {
    let device = DeviceKey::from_seed(&[1; 32]);
    put("certificate", "device.der", fuzzing::certificate_of(&device, 1_760_000_000));
    let message = |bytes: &[u8]| [&(bytes.len() as u32).to_le_bytes()[..], bytes].concat();
    put("link", "messages", [&[3][..], &message(b""), &message(b"hello"), &message(&[7; 300])].concat());
    put("link", "too-long", [3, 0, 0, 1, 1]);
    let id = device.id();
    put("mesh", "id", id.to_string());
    for topic in ["aircraft/ID/order", "aircraft/ID/event", "kit/ID/state", "edge/ID/health"] {
        let name = topic.replace("/ID/", "-");
        put("mesh", &name, format!("farhand/{}", topic.replace("ID", &id.to_string())));
    }
    put("mesh", "pem", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
}

fn frames() {
    let hash = farhand_ledger::Hash([4; 32]);
    let body = bytes::Bytes::from_static(b"body");
    let asks =
        [Ask::Submit(body.clone()), Ask::Proof { hash, wait_ms: 5 }, Ask::Height, Ask::Watch, Ask::Trust];
    let answers = [
        Answer::Taken(hash),
        Answer::Refused("no".to_owned()),
        Answer::Proof(body.clone()),
        Answer::NotYet("wait".to_owned()),
        Answer::Height(None),
        Answer::Height(Some(7)),
        Answer::Trust(trust().to_bytes().into()),
    ];
    let frames =
        asks.iter().map(|ask| ask.to_bytes(1)).chain(answers.iter().map(|answer| answer.to_bytes(2)));
    for (number, frame) in frames.enumerate() {
        let pieces: Vec<Vec<u8>> = parts(&frame).map(|part| piece(0, &part)).collect();
        put("submit", &format!("frame-{number}"), pieces.concat());
    }
    let batch = Batch::new(trust().ledger(), AT, vec![vec![1], vec![2]]).unwrap();
    let peers = [
        PeerFrame::Consensus(body.clone()),
        PeerFrame::Transaction(body.clone()),
        PeerFrame::Batch(batch.to_bytes().into()),
        PeerFrame::WantBatch(hash),
        PeerFrame::Entered { epoch: 1, view: 7 },
        PeerFrame::Ended(body.clone()),
        PeerFrame::WantHeaders(hash),
        PeerFrame::Headers(body),
    ];
    for (number, frame) in peers.iter().enumerate() {
        put("validator", &format!("frame-{number}"), frame.to_bytes());
    }
    let headers: Vec<_> = evidence().opening.commit.headers.iter().rev().cloned().collect();
    put("headers", "three", minicbor::to_vec(&headers).unwrap());
    put("headers", "gap", minicbor::to_vec([&headers[0], &headers[2]]).unwrap());
}

fn vault() {
    let mut vault = Vault::default();
    let record = |name: &str| Record {
        name: name.to_owned(),
        role: "surgeon".to_owned(),
        licence: String::new(),
        text: String::new(),
    };
    vault.add("S1", &record("somebody")).unwrap();
    vault.add("B1", &record("another")).unwrap();
    put("vault", "two", vault.to_bytes());
    put("vault", "none", Vault::default().to_bytes());
    for (name, marks) in
        [("each", "12,40-45,kit-state,pictures"), ("backwards", "9-3"), ("many", "1,1,2-2,2")]
    {
        put("marks", name, marks);
    }
}

fn consensus() {
    use borsh::BorshDeserialize;
    let certificate = evidence().opening.commit.certificate.to_bytes();
    let certificate = PhaseCertificate::try_from_slice(&certificate).unwrap();
    let chain_id = ChainID::new(1);
    let signature = SignatureBytes::try_from_slice(&[0; 64]).unwrap();
    let vote = TimeoutVote { chain_id, view: ViewNumber::new(4), signature, highest_tc: None };
    let block =
        Block::new(BlockHeight::new(1), certificate.clone(), CryptoHash::new([0; 32]), Data::new(vec![]));
    let proposal = Proposal { chain_id, view: ViewNumber::new(4), block };
    let progress_certificate = ProgressCertificate::PhaseCertificate(certificate);
    let messages: [(&str, Message); 4] = [
        ("ask", BlockSyncRequest { chain_id, start_height: BlockHeight::new(0), limit: 16 }.into()),
        ("vote", PacemakerMessage::TimeoutVote(vote).into()),
        ("proposal", HotStuffMessage::Proposal(proposal).into()),
        ("advance", PacemakerMessage::AdvanceView(AdvanceView { progress_certificate }).into()),
    ];
    for (name, message) in messages {
        put("consensus", name, [&4u64.to_le_bytes()[..], &message.try_to_vec().unwrap()].concat());
    }
}

fn flight() {
    let plan = include_str!("../../../drone/mission/plans/trial.plan");
    put("plan", "trial", plan);
    put("plan", "written", Mission::trial().to_plan().to_json());
    let custody = &evidence().custody[..2];
    let proofs: Vec<String> = custody.iter().map(|proof| STANDARD.encode(proof.to_bytes())).collect();
    let plan: serde_json::Value = serde_json::from_str(plan).unwrap();
    put("order", "trial", json!({ "plan": plan, "custody": proofs }).to_string());
    // Those that the companion listens to, and a few more.
    let kinds = [0, 1, 11, 24, 33, 40, 42, 44, 47, 51, 76, 77, 245, 253];
    let parsed = kinds.into_iter().filter_map(|id| MavMessage::parse(MavlinkVersion::V2, id, &[1; 32]).ok());
    let datagrams: Vec<Vec<u8>> = parsed.map(|message| Frames::new(None).encode(&message)).collect();
    for (number, datagram) in datagrams.iter().enumerate() {
        put("mavlink", &format!("message-{number}"), piece(1, datagram));
    }
    put("mavlink", "all", datagrams.iter().flat_map(|datagram| piece(50, datagram)).collect::<Vec<u8>>());
    let id = "0a".repeat(32);
    let last = json!({ "kit": id, "loaded": id, "proofs": ["00"] });
    let journal = json!({ "format": 1, "flown": { id.clone(): 2 }, "pending": ["0102"], "last": last });
    put("flight_journal", "flown", journal.to_string());
}

fn edge() {
    for number in [1, 2] {
        put("annexb", &format!("unit-{number}"), sessions::unit(number));
    }
    // As x264 writes them for 320 x 240.
    let sets = [
        ("baseline", "6742c015d90141fb016a0c0c0d4a000003000200000300791e2c5c90"),
        ("high", "67640014acb20283f602d418181a94000003000400000300f23c50a920"),
        ("high-with-b-frames", "67640014acd94141fb016a0c0c0d4a000003000200000300791e28532c"),
        ("high-444", "67f4000d919640507ec05a83030320000003002000000791e28549"),
    ];
    for (name, sps) in sets {
        let sps = hex::decode(sps).unwrap();
        let key =
            [&[0, 0, 0, 1], &sps[..], &[0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 0, 1, 0x65, 0x88]].concat();
        let other = [0, 0, 0, 1, 0x41, 0x9a, 0x80];
        let picture =
            |doing, stream: &[u8]| [&[doing, 64, u8::try_from(stream.len()).unwrap()], stream].concat();
        let (free, free_after_loss, free_key_asked) = (2, 3, 6);
        let pictures = [
            (free, &key[..]),
            (free, &other),
            (free, &key),
            (free, &key),
            (free, &other),
            (free_key_asked, &other),
        ];
        let more = [(free, &key[..]), (free, &other), (free_after_loss, &other), (free, &key)];
        let all = pictures.into_iter().chain(more).flat_map(|(doing, stream)| picture(doing, stream));
        put("camera", name, all.collect::<Vec<_>>());
    }
    let signals = [
        json!({ "type": "hello", "nonce": "AA", "endorsement": "BB" }),
        json!({ "type": "offer", "sdp": "v=0\r\n", "fingerprint": "AA" }),
        json!({ "type": "answer", "sdp": "v=0\r\n", "fingerprint": "AA" }),
        json!({ "type": "error", "code": "no", "message": "why" }),
        json!({ "type": "bye" }),
    ];
    for (number, signal) in signals.iter().enumerate() {
        put("signal", &format!("signal-{number}"), signal.to_string());
    }
    let digits = vec!["0A"; 32].join(":");
    put("signal", "sdp", format!("v=0\r\na=fingerprint:sha-256 {digits}\r\nm=video\r\n"));
    let base64 = "A".repeat(43);
    put("signal", "link", format!("http://127.0.0.1:7000/operate/{}#{base64}.{base64}", "0a".repeat(16)));
}

fn server() {
    let peer = "00".repeat(16);
    let signal = json!({ "peer": peer, "signal": { "type": "bye" } }).to_string();
    let answer = json!({ "custody_answer": "AAAA" }).to_string();
    let sealed = json!({ "sealed": { "bundle": "one.mcap" } }).to_string();
    let said = [(4, r#"{"type":"bye"}"#), (6, &signal), (6, &answer), (6, &sealed)];
    put(
        "rooms",
        "talk",
        said.iter().flat_map(|(who, text)| piece(*who, text.as_bytes())).collect::<Vec<u8>>(),
    );
    put("rooms", "come-and-go", [piece(0x10, b""), piece(1, b""), piece(3, b""), piece(2, b"")].concat());
    put("rooms", "name", &peer);
    let endorse = Statement { session: SESSION, said: Said::Endorse { session_key: public(6) } };
    put("rooms", "claim", endorse.sign(&key(1)));
    let news = json!({
        "order": "00", "phase": "flying", "lat_deg": 47.0, "lon_deg": 8.0, "detail": "on its way", "alt_m": 30.0,
        "progress": 0.5, "custody": { "proof": "AA==" }, "error": null,
    });
    put("field", "news", news.to_string());
    put("field", "signed", &evidence().custody[1].transaction);
}

fn config() {
    put("arm", "psm", include_str!("../../../shared/motion/arms/psm_large_needle_driver.toml"));
    let id = "0a".repeat(32);
    let kit = format!(
        "key = \"kit.key\"\ndata = \"kit\"\ntrust = \"trust\"\nlisten = \"127.0.0.1:0\"\nedge = \"{id}\"\n\
         arm = {{ listen = \"127.0.0.1:0\", address = \"127.0.0.1:1\", key = \"cable.key\" }}\n\
         [limits]\nlag_mm_max = 20.0\n"
    );
    put("config", "kit", chosen(0, kit.as_bytes()));
    let server = format!(
        "session = \"{}\"\ndevice_key = \"key\"\nedge = \"{id}\"\ntrust_root = \"trust\"\nconsole = \"console\"\n",
        "0a".repeat(16)
    );
    put("config", "server", chosen(1, server.as_bytes()));
    let validator = format!(
        "data_dir = \"data\"\ngenesis = \"genesis\"\nkey = \"key\"\npeer_listen = \"127.0.0.1:0\"\n\
         client_listen = \"127.0.0.1:0\"\n[[peers]]\nkey = \"{id}\"\naddr = \"127.0.0.1:1\"\n\
         [[clients]]\nkey = \"{id}\"\nrole = \"edge\"\n"
    );
    put("config", "validator", chosen(2, validator.as_bytes()));
}

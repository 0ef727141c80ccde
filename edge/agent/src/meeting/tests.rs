use farhand_ledger::{
    Hash, Member, TrustRoot, Utc,
    five_keys::{FiveKeys, Plan},
    verify_opening,
};

use super::*;

const SESSION: SessionId = SessionId([7; 16]);
const EDGE_NONCE: Challenge = Challenge([0xed; 32]);
const CONSOLE_NONCE: [u8; 32] = [0xc0; 32];

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

/// 1 surgeon, 2 bedside, 3 auditor; 10 edge box, 11 kit.
pub(crate) fn opening() -> (VerifiedOpening, TrustRoot) {
    let mut ledger = FiveKeys::new([9; 32]);
    let member = |number, role| Member { key: public(&key(number)), role, pseudonym: format!("{role:?}") };
    let plan = Plan {
        session: SESSION,
        roster: vec![member(1, Role::Surgeon), member(2, Role::Bedside), member(3, Role::Auditor)],
        edge: public(&key(10)),
        kit: &key(11),
        field: &key(12),
        limits_digest: Hash([0; 32]),
        arm_digest: Hash([0; 32]),
        at: Utc { us: 0, uncertainty_us: 0 },
    };
    let evidence = ledger.open(plan).unwrap();
    (verify_opening(&evidence, ledger.trust()).unwrap(), ledger.trust().clone())
}

fn open() -> Meetings {
    let mut meetings = Meetings::new(key(10), 2);
    meetings.open(opening().0);
    meetings
}

fn endorse(session: SessionId, by: &SigningKey, session_key: &SigningKey) -> Vec<u8> {
    Statement { session, said: Said::Endorse { session_key: public(session_key) } }.sign(by)
}

fn hello(endorsement: &[u8]) -> String {
    hello_on(0, endorsement)
}

fn hello_on(path: u8, endorsement: &[u8]) -> String {
    let (nonce, endorsement) = (signal::encode(&CONSOLE_NONCE), Some(signal::encode(endorsement)));
    Signal::Hello { path, nonce, endorsement, paths: None }.to_text()
}

fn sdp(certificate: u8) -> String {
    format!("v=0\r\na=fingerprint:sha-256 {}\r\n", vec![format!("{certificate:02X}"); 32].join(":"))
}

fn vouch(session: SessionId, by: &SigningKey, certificate: u8, nonce: Challenge) -> Vec<u8> {
    Statement { session, said: Said::Fingerprint { dtls_sha256: [certificate; 32], nonce } }.sign(by)
}

fn offer(certificate: u8, vouched: &[u8]) -> String {
    offer_on(0, certificate, vouched)
}

fn offer_on(path: u8, certificate: u8, vouched: &[u8]) -> String {
    Signal::Offer { path, sdp: sdp(certificate), fingerprint: signal::encode(vouched) }.to_text()
}

fn say(meetings: &mut Meetings, peer: &str, signal: &str) -> Vec<Output> {
    meetings.handle(peer, Input::Said { signal, nonce: EDGE_NONCE });
    std::iter::from_fn(|| meetings.poll()).collect()
}

/// The code of the only output, an error.
fn refused(outputs: &[Output]) -> String {
    let [Output::Tell { signal, .. }] = outputs else { return format!("{outputs:?}") };
    match Signal::read(signal) {
        Ok(Signal::Error { code, .. }) => code,
        other => format!("{other:?}"),
    }
}

fn told(outputs: &[Output]) -> Signal {
    let told = outputs.iter().find_map(|output| match output {
        Output::Tell { signal, .. } => Some(signal),
        _ => None,
    });
    Signal::read(told.unwrap()).unwrap()
}

/// The session keys of the surgeon and of nobody.
fn keys() -> (SigningKey, SigningKey) {
    (key(21), key(66))
}

/// A surgeon who has been greeted.
fn greeted(meetings: &mut Meetings, peer: &str) {
    let outputs = say(meetings, peer, &hello(&endorse(SESSION, &key(1), &keys().0)));
    let nonce = signal::encode(&EDGE_NONCE.0);
    assert_eq!(told(&outputs), Signal::Hello { path: 0, nonce, endorsement: None, paths: Some(2) });
}

fn wants_answer(outputs: &[Output]) -> bool {
    matches!(outputs, [Output::MakeAnswer { .. }])
}

/// Goal: endorsed, nonces exchanged, both certificates signed over the other's nonce: so they meet, and each knows whom.
#[test]
fn a_surgeon_and_the_edge_box_meet() {
    let mut meetings = open();
    greeted(&mut meetings, "a");
    let outputs = say(&mut meetings, "a", &offer(5, &vouch(SESSION, &keys().0, 5, EDGE_NONCE)));
    let [Output::MakeAnswer { guest, sdp: wanted, .. }] = &outputs[..] else { unreachable!("{outputs:?}") };
    assert_eq!((guest.role, guest.session_key, wanted), (Role::Surgeon, public(&keys().0), &sdp(5)));
    meetings.handle("a", Input::Answered { path: 0, sdp: &sdp(6) });
    let outputs: Vec<_> = std::iter::from_fn(|| meetings.poll()).collect();
    let Signal::Answer { sdp: answer, fingerprint, .. } = told(&outputs) else { unreachable!("{outputs:?}") };
    let vouched = signal::decode("", &fingerprint).unwrap();
    let nonce = Challenge(CONSOLE_NONCE);
    assert_eq!(check_vouched(&vouched, SESSION, public(&key(10)), nonce, &answer), Ok(()));
}

/// Goal: what the cloud could swap on the way to the console is noticed there: the answer's certificate, an older answer,
/// one by another device.
#[test]
fn a_swapped_answer_is_noticed() {
    let nonce = Challenge(CONSOLE_NONCE);
    let check = |by: u8, session, signed_nonce, named| {
        let vouched = vouch(session, &key(by), 6, signed_nonce);
        check_vouched(&vouched, SESSION, public(&key(10)), nonce, &sdp(named))
            .map_err(|refusal| refusal.code())
    };
    assert_eq!(check(10, SESSION, nonce, 6), Ok(()));
    assert_eq!(check(10, SESSION, nonce, 7), Err("fingerprint"));
    assert_eq!(check(10, SESSION, Challenge([1; 32]), 6), Err("fingerprint"));
    assert_eq!(check(10, SessionId([1; 16]), nonce, 6), Err("fingerprint"));
    assert_eq!(check(66, SESSION, nonce, 6), Err("fingerprint"));
}

/// Goal: only an endorsement by the roster, for this session, is greeted; auditors have no console here.
#[test]
fn a_stranger_is_not_greeted() {
    let session_key = keys().0;
    let refusal = |endorsement: &[u8]| refused(&say(&mut open(), "a", &hello(endorsement)));
    assert_eq!(refusal(&endorse(SESSION, &key(66), &session_key)), "endorsement");
    assert_eq!(refusal(&endorse(SessionId([8; 16]), &key(1), &session_key)), "endorsement");
    assert_eq!(refusal(&vouch(SESSION, &key(1), 5, EDGE_NONCE)), "endorsement");
    assert_eq!(refusal(&endorse(SESSION, &key(3), &session_key)), "role");
    let mut altered = endorse(SESSION, &key(1), &session_key);
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(refusal(&altered), "endorsement");
    assert_eq!(refusal(b""), "endorsement");
    let closed = say(&mut Meetings::new(key(10), 2), "a", &hello(&endorse(SESSION, &key(1), &session_key)));
    assert_eq!(refused(&closed), "not-open");
}

/// Goal: an offer is answered only if the greeted session key signed, over our nonce, the one certificate that it names.
#[test]
fn an_offer_that_was_tampered_with_gets_no_answer() {
    let (mine, nobodys) = keys();
    let two = Signal::Offer {
        path: 0,
        sdp: format!("{}{}", sdp(5), sdp(6)),
        fingerprint: signal::encode(&vouch(SESSION, &mine, 5, EDGE_NONCE)),
    };
    let cases = [
        (offer(6, &vouch(SESSION, &mine, 5, EDGE_NONCE)), "fingerprint"),
        (offer(5, &vouch(SESSION, &mine, 5, Challenge([1; 32]))), "fingerprint"),
        (offer(5, &vouch(SESSION, &nobodys, 5, EDGE_NONCE)), "fingerprint"),
        (offer(5, &vouch(SessionId([8; 16]), &mine, 5, EDGE_NONCE)), "fingerprint"),
        (offer(5, &endorse(SESSION, &mine, &mine)), "fingerprint"),
        (two.to_text(), "sdp"),
        (r#"{"type":"offer"}"#.to_owned(), "malformed"),
    ];
    for (offer, code) in cases {
        let mut meetings = open();
        greeted(&mut meetings, "a");
        assert_eq!(refused(&say(&mut meetings, "a", &offer)), code, "{offer}");
    }
}

/// Goal: a second path is met as the first was, for itself: its certificate signed over its own nonce, and by the same key.
/// What was signed for one path does not open the other, and there are no more than the edge box has.
#[test]
fn each_path_is_met_for_itself() {
    let (mine, others) = (keys().0, key(22));
    let endorsement = endorse(SESSION, &key(1), &mine);
    let second_nonce = Challenge([0x2e; 32]);
    let mut meetings = open();
    greeted(&mut meetings, "a");
    meetings.handle("a", Input::Said { signal: &hello_on(1, &endorsement), nonce: second_nonce });
    assert!(matches!(meetings.poll(), Some(Output::Tell { .. })));
    let for_the_first = vouch(SESSION, &mine, 5, EDGE_NONCE);
    assert_eq!(refused(&say(&mut meetings, "a", &offer_on(1, 5, &for_the_first))), "fingerprint");
    meetings.handle("a", Input::Said { signal: &hello_on(1, &endorsement), nonce: second_nonce });
    meetings.poll();
    let by_another = vouch(SESSION, &others, 5, second_nonce);
    assert_eq!(refused(&say(&mut meetings, "a", &offer_on(1, 5, &by_another))), "fingerprint");
    meetings.handle("a", Input::Said { signal: &hello_on(1, &endorsement), nonce: second_nonce });
    meetings.poll();
    let outputs = say(&mut meetings, "a", &offer_on(1, 6, &vouch(SESSION, &mine, 6, second_nonce)));
    assert!(matches!(&outputs[..], [Output::MakeAnswer { path: 1, .. }]), "{outputs:?}");
    assert!(wants_answer(&say(&mut meetings, "a", &offer(5, &for_the_first))));
    assert_eq!(refused(&say(&mut meetings, "a", &hello_on(2, &endorsement))), "path");
    let mut single = Meetings::new(key(10), 1);
    single.open(opening().0);
    assert_eq!(refused(&say(&mut single, "a", &hello_on(1, &endorsement))), "path");
}

/// Goal: an offer is good once and for one peer: replayed, by another or without a hello, it gets no answer.
#[test]
fn a_replayed_offer_gets_no_answer() {
    let good = offer(5, &vouch(SESSION, &keys().0, 5, EDGE_NONCE));
    let mut meetings = open();
    assert_eq!(refused(&say(&mut meetings, "b", &good)), "out-of-turn");
    greeted(&mut meetings, "a");
    assert!(wants_answer(&say(&mut meetings, "a", &good)));
    assert_eq!(refused(&say(&mut meetings, "a", &good)), "out-of-turn");
    meetings.handle(
        "a",
        Input::Said { signal: &hello(&endorse(SESSION, &key(1), &keys().0)), nonce: Challenge([2; 32]) },
    );
    while meetings.poll().is_some() {}
    assert_eq!(refused(&say(&mut meetings, "a", &good)), "fingerprint", "our nonce is a new one");
    greeted(&mut meetings, "c");
    meetings.forget_all();
    assert_eq!(refused(&say(&mut meetings, "c", &good)), "out-of-turn");
}

/// Goal: whoever leaves is forgotten, whoever goes wrong too, and there are never more than there may be.
#[test]
fn peers_are_bounded() {
    let mut meetings = open();
    for number in 0..2 * MEETINGS_MAX {
        greeted(&mut meetings, &number.to_string());
    }
    assert_eq!((meetings.met.len(), meetings.order.len()), (MEETINGS_MAX, MEETINGS_MAX));
    meetings.handle(&(2 * MEETINGS_MAX - 1).to_string(), Input::Gone);
    say(&mut meetings, &(2 * MEETINGS_MAX - 2).to_string(), "{}");
    assert_eq!((meetings.met.len(), meetings.order.len()), (MEETINGS_MAX - 2, MEETINGS_MAX - 2));
    meetings.handle(&"x".repeat(65), Input::Said { signal: "{}", nonce: EDGE_NONCE });
    assert_eq!(meetings.poll(), None);
}

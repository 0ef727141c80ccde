use ed25519_dalek::SigningKey;
use farhand_ledger::{Hash, Link, Sent};
use farhand_wire::{
    Challenge, HoldNumber, KitBootId, KitTick, LeaseTranscript, MacKey, Pose, Sequence, SessionId,
};
use proptest::prelude::*;

use super::*;
use crate::meeting::{Guest, tests::opening};

const SESSION: SessionId = SessionId([7; 16]);
const SURGEON: ConsoleId = ConsoleId(1);
const BEDSIDE: ConsoleId = ConsoleId(2);
const TOKEN: LeaseToken = LeaseToken(3);

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

fn say(by: &SigningKey, said: Said) -> Bytes {
    Statement { session: SESSION, said }.sign(by).into()
}

/// A relay in the middle of a session: kit, a surgeon with session key 21, and the bedside with 22. 11 is the kit.
struct Room {
    relay: Relay,
    now: EdgeTick,
}

impl Room {
    fn empty() -> Self {
        Self { relay: Relay::new(), now: EdgeTick(1_000_000) }
    }

    fn new() -> Self {
        let mut room = Self::empty();
        room.does(Input::KitCame);
        room.does(Input::Opened {
            opening: Box::new(opening().0),
            evidence: Bytes::from_static(b"evidence"),
        });
        room.does(guest(SURGEON, Role::Surgeon, 1, 21));
        room.does(guest(BEDSIDE, Role::Bedside, 2, 22));
        room
    }

    /// The surgeon holds the lease.
    fn leased() -> Self {
        let mut room = Self::new();
        room.does(from_kit(grant(public(&key(21)))));
        room
    }

    fn does(&mut self, input: Input) -> Vec<Output> {
        self.now = self.now.plus_ms(1);
        self.relay.handle(self.now, input);
        std::iter::from_fn(|| self.relay.poll()).collect()
    }

    fn hears_over(
        &mut self,
        path: u8,
        console: ConsoleId,
        channel: Channel,
        message: impl Into<Bytes>,
    ) -> Vec<Output> {
        self.does(Input::FromConsole { console, path, channel, message: message.into() })
    }

    fn hears(&mut self, console: ConsoleId, channel: Channel, message: impl Into<Bytes>) -> Vec<Output> {
        self.hears_over(0, console, channel, message)
    }
}

fn guest(console: ConsoleId, role: Role, link: u8, session_key: u8) -> Input {
    let session_key = public(&key(session_key));
    let endorsement = say(&key(link), Said::Endorse { session_key });
    let guest = Guest { role, pseudonym: "P".into(), session_key, endorsement };
    Input::ConsoleCame { console, guest, vouched: Bytes::from_static(b"vouched") }
}

fn from_kit(message: impl Into<Bytes>) -> Input {
    Input::FromKit { route: Route::Reliable, message: message.into() }
}

fn grant(holder: PublicKey) -> Bytes {
    let transcript = LeaseTranscript {
        session: SESSION,
        token: TOKEN,
        boot: KitBootId([1; 16]),
        holder,
        kit: public(&key(11)),
        holder_x25519: PublicKey([5; 32]),
        kit_x25519: PublicKey([6; 32]),
    };
    say(&key(11), Said::LeaseGrant { transcript })
}

fn command(session: SessionId, token: LeaseToken) -> Bytes {
    numbered(1, session, token)
}

fn numbered(sequence: u64, session: SessionId, token: LeaseToken) -> Bytes {
    let command = Command {
        session,
        token,
        sequence: Sequence(sequence),
        kit_tick_echo: KitTick(5),
        arm: 0,
        dead_man: true,
        clutch: false,
        engagement: farhand_wire::EngagementId(1),
        hold: HoldNumber(1),
        target: Pose::default(),
        jaw_rad: 0.0,
        frame_seen: farhand_wire::FrameId(1),
        frame_age_us: None,
    };
    Bytes::copy_from_slice(&command.seal(&MacKey::new(&[1; 32])))
}

fn notice(armed: bool, closed: bool) -> Bytes {
    notice_with(armed, closed, None)
}

fn notice_with(armed: bool, closed: bool, regions: Option<u64>) -> Bytes {
    let notice = KitNotice {
        boot: KitBootId([1; 16]),
        tick: KitTick(77),
        challenge: Challenge([2; 32]),
        mode: 2,
        operating_state: 1,
        flags: if armed { state_flags::ARMED } else { 0 },
        arms: Vec::new(),
        token: TOKEN,
        holder: None,
        signed_by: Vec::new(),
        presses: Vec::new(),
        reason: String::new(),
        closed,
        regions,
    };
    say(&key(11), Said::Notice { notice })
}

fn state(tick_us: u64) -> Bytes {
    let state = KitState { session: SESSION, tick: KitTick(tick_us), ..KitState::default() };
    Bytes::copy_from_slice(&state.seal(&MacKey::new(&[1; 32])))
}

fn frame(number: u64, captured: EdgeTick) -> Input {
    let entry = FrameEntry {
        frame: farhand_wire::FrameId(number),
        rtp_timestamp: number as u32 * 3000,
        captured,
        kit_tick_at_capture: KitTick(0),
        key_frame: number == 1,
        au_hash: Hash([1; 32]),
        picture_hash: Hash([2; 32]),
        au_bytes: 4,
    };
    Input::Frame { entry, unit: Bytes::from_static(b"unit") }
}

/// What was recorded, by kind.
fn recorded(outputs: &[Output]) -> Vec<&'static str> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Record(passed) => Some(match passed {
                Passed::Opened { .. } => "opened",
                Passed::Command { .. } => "command",
                Passed::KitState { .. } => "state",
                Passed::Statement { .. } => "statement",
                Passed::Frame { .. } => "frame",
                Passed::SurgeonSegment { .. } => "surgeon segment",
                Passed::KitSegment { .. } => "kit segment",
                Passed::DisplayReport { .. } => "display report",
                Passed::Switch { .. } => "switch",
            }),
            _ => None,
        })
        .collect()
}

fn to_kit(outputs: &[Output]) -> Vec<(Route, Bytes)> {
    let sent = |output: &Output| match output {
        Output::ToKit { route, message } => Some((*route, message.clone())),
        _ => None,
    };
    outputs.iter().filter_map(sent).collect()
}

fn to_consoles(outputs: &[Output]) -> Vec<(ConsoleId, Channel, Bytes)> {
    let sent = |output: &Output| match output {
        Output::ToConsole { console, channel, message } => Some((*console, *channel, message.clone())),
        _ => None,
    };
    outputs.iter().filter_map(sent).collect()
}

/// Goal: a command is recorded, then goes on as it came.
#[test]
fn a_command_is_recorded_before_it_goes_on() {
    let mut room = Room::leased();
    let frame = command(SESSION, TOKEN);
    let outputs = room.hears(SURGEON, Channel::Control, frame.clone());
    assert!(matches!(&outputs[0], Output::Record(Passed::Command { frame: recorded }) if *recorded == frame));
    assert_eq!(to_kit(&outputs), [(Route::Datagram, frame)]);
    assert_eq!(outputs.len(), 2);
}

/// Goal: a command by anybody but the holder of that lease, of another session, or over the other channel changes
/// nothing, so that nobody can fill the record with what no kit will judge.
#[test]
fn a_command_by_anybody_else_changes_nothing() {
    let mut room = Room::leased();
    assert!(room.hears(BEDSIDE, Channel::Control, command(SESSION, TOKEN)).is_empty());
    assert!(room.hears(SURGEON, Channel::Control, command(SESSION, LeaseToken(4))).is_empty());
    assert!(room.hears(SURGEON, Channel::Control, command(SessionId([1; 16]), TOKEN)).is_empty());
    assert!(room.hears(SURGEON, Channel::Statements, command(SESSION, TOKEN)).is_empty());
    assert!(room.hears(ConsoleId(9), Channel::Control, command(SESSION, TOKEN)).is_empty());
    let expected = Counters { malformed: 0, misplaced: 2, unauthorised: 2, other_session: 1, copies: 0 };
    assert_eq!(room.relay.counters(), expected);
}

/// Goal: who holds control is also learned from notices, so that an edge box that restarted carries commands on.
#[test]
fn the_holder_is_known_from_a_notice_too() {
    let mut room = Room::new();
    let Ok((_, Statement { said: Said::Notice { mut notice }, .. })) = Statement::open(&notice(true, false))
    else {
        unreachable!("a notice");
    };
    notice.holder = Some(public(&key(21)));
    room.does(from_kit(say(&key(11), Said::Notice { notice })));
    assert_eq!(to_kit(&room.hears(SURGEON, Channel::Control, command(SESSION, TOKEN))).len(), 1);
}

/// Goal: oversized, malformed, unknown and forged messages are counted and change nothing.
#[test]
fn what_is_no_message_of_ours_is_counted() {
    let mut room = Room::leased();
    let huge = vec![Kind::Signed as u8; MESSAGE_BYTES_MAX + 1];
    let forged = Statement { session: SESSION, said: Said::Disarm {} }.sign(&key(66));
    let foreign = Statement { session: SessionId([1; 16]), said: Said::Disarm {} }.sign(&key(21));
    let cases: [(Channel, Vec<u8>); 9] = [
        (Channel::Control, huge),
        (Channel::Control, vec![]),
        (Channel::Control, vec![1, 1]),
        (Channel::Statements, vec![200, 1]),
        (Channel::Statements, vec![16, 2, 0]),
        (Channel::Statements, forged),
        (Channel::Statements, foreign),
        (Channel::Statements, Kind::Opening.wrap(b"x")),
        (Channel::Statements, Kind::KitSegment.wrap(b"x")),
    ];
    for (channel, message) in cases {
        assert!(room.hears(SURGEON, channel, message).is_empty());
    }
    let expected = Counters { malformed: 5, misplaced: 2, unauthorised: 1, other_session: 1, copies: 0 };
    assert_eq!(room.relay.counters(), expected);
}

proptest! {
    /// Goal: no bytes from a console or the kit make the relay do anything unless they are a message of ours.
    #[test]
    fn noise_changes_nothing(noise in proptest::collection::vec(any::<u8>(), 0..600), kind in 0u8..40) {
        let mut room = Room::leased();
        let message = Bytes::from([&[kind, 1], &noise[..]].concat());
        for channel in [Channel::Control, Channel::Statements] {
            let outputs = room.hears(SURGEON, channel, message.clone());
            prop_assert!(recorded(&outputs).is_empty() && to_kit(&outputs).is_empty());
        }
        if kind != Kind::CustodyAnswer as u8 {
            prop_assert!(room.does(from_kit(message.clone())).is_empty());
            let outputs = room.does(Input::FromKit { route: Route::Datagram, message });
            prop_assert!(outputs.is_empty());
        }
    }
}

/// Goal: an e-stop passes both ways at once, from anybody and over either channel; however often it is repeated it is
/// recorded once; and it passes when nothing is recorded any more.
#[test]
fn an_e_stop_always_passes_and_is_recorded_once() {
    let mut room = Room::new();
    let stop = |press| say(&key(22), Said::EStop { press: PressId([press; 16]) });
    let both = |signed: &Bytes| vec![(Route::Datagram, signed.clone()), (Route::Reliable, signed.clone())];
    let first = room.hears(BEDSIDE, Channel::Control, stop(1));
    assert_eq!((recorded(&first), to_kit(&first)), (vec!["statement"], both(&stop(1))));
    let again = room.hears(BEDSIDE, Channel::Statements, stop(1));
    assert_eq!((recorded(&again), to_kit(&again)), (vec![], both(&stop(1))));
    let by_route = room.hears(SURGEON, Channel::Control, stop(2));
    assert_eq!(recorded(&by_route), ["statement"], "valid by whatever route it comes");
    room.does(Input::Sealed);
    let late = room.hears(BEDSIDE, Channel::Control, stop(3));
    assert_eq!((recorded(&late), to_kit(&late)), (vec![], both(&stop(3))));
    assert!(room.hears(BEDSIDE, Channel::Statements, say(&key(22), Said::Disarm {})).is_empty());
}

/// Goal: people's orders pass reliably; what only devices say does not pass from a console, and no order by `control`.
#[test]
fn orders_pass_and_devices_words_do_not() {
    let mut room = Room::new();
    let arm = say(&key(21), Said::Arm { challenge: Challenge([2; 32]) });
    let outputs = room.hears(SURGEON, Channel::Statements, arm.clone());
    assert_eq!(
        (recorded(&outputs), to_kit(&outputs)),
        (vec!["statement"], vec![(Route::Reliable, arm.clone())])
    );
    assert!(room.hears(SURGEON, Channel::Control, arm).is_empty());
    assert!(room.hears(SURGEON, Channel::Statements, notice(true, false)).is_empty());
    let endorse = say(&key(21), Said::Endorse { session_key: PublicKey([9; 32]) });
    assert!(room.hears(SURGEON, Channel::Statements, endorse).is_empty());
}

/// Goal: a new kit is shown opening and endorsements, whichever of session and kit comes first, and a new console's
/// endorsement follows.
#[test]
fn the_kit_is_shown_opening_and_people() {
    let mut room = Room::empty();
    assert!(to_kit(&room.does(Input::KitCame)).is_empty());
    let opened = Input::Opened { opening: Box::new(opening().0), evidence: Bytes::from_static(b"evidence") };
    let outputs = room.does(opened);
    assert_eq!(recorded(&outputs), ["opened", "switch"]);
    let shown = (Route::Reliable, Bytes::from(Kind::Opening.wrap(b"evidence")));
    assert_eq!(to_kit(&outputs), std::slice::from_ref(&shown));
    let endorsed = to_kit(&room.does(guest(SURGEON, Role::Surgeon, 1, 21)));
    assert_eq!(endorsed.len(), 1);
    assert!(to_kit(&room.does(guest(ConsoleId(5), Role::Surgeon, 1, 21))).is_empty(), "known");
    room.does(Input::KitLeft);
    assert_eq!(to_kit(&room.does(Input::KitCame)), [shown, endorsed[0].clone()]);
}

/// Goal: a second connection by the same session key takes the place of the first, and consoles are bounded.
#[test]
fn the_newest_connection_of_a_console_counts() {
    let mut room = Room::new();
    let outputs = room.does(guest(ConsoleId(5), Role::Surgeon, 1, 21));
    assert!(outputs.iter().any(|output| matches!(output, Output::Dismiss { console: SURGEON })));
    for number in 0..40 {
        room.does(guest(ConsoleId(100 + number), Role::Bedside, 2, 100 + number as u8));
    }
    assert_eq!(room.relay.consoles.len(), CONSOLES_MAX);
    for number in 0..=SESSION_KEYS_MAX as u64 {
        room.does(guest(ConsoleId(200 + number), Role::Bedside, 2, number as u8 + 150));
    }
    let one_more = room.does(guest(ConsoleId(999), Role::Bedside, 2, 140));
    assert!(matches!(&one_more[..], [Output::Dismiss { console: ConsoleId(999) }]), "{one_more:?}");
}

/// Goal: the kit's state goes to surgeons, its signed word to all and to whoever comes later; a forged word to nobody.
#[test]
fn what_the_kit_says_reaches_the_consoles() {
    let mut room = Room::new();
    let outputs = room.does(Input::FromKit { route: Route::Datagram, message: state(5) });
    assert_eq!(recorded(&outputs), ["state"]);
    assert_eq!(to_consoles(&outputs), [(SURGEON, Channel::Control, state(5))]);
    let outputs = room.does(from_kit(notice(true, false)));
    assert_eq!(recorded(&outputs), ["statement"]);
    let told: Vec<_> = [SURGEON, BEDSIDE].map(|one| (one, Channel::Statements, notice(true, false))).into();
    assert_eq!(to_consoles(&outputs), told);
    assert!(outputs.iter().any(|output| matches!(output, Output::Armed(true))));
    let heard = to_consoles(&room.does(Input::ConsoleListens { console: BEDSIDE }));
    assert_eq!(heard.last(), told.last());
    let forged = say(&key(12), Said::Refused { to: PublicKey([0; 32]), why: "no".into() });
    assert!(room.does(from_kit(forged)).is_empty());
    assert_eq!(room.relay.counters().unauthorised, 1);
}

/// Goal: everybody is told which forbidden regions are in force once the kit says so, and so is whoever comes later, in the words of
/// whoever forbade them; what the kit refused is told to nobody.
#[test]
fn forbidden_regions_are_told_once_they_are_in_force() {
    let mut room = Room::new();
    let forbid =
        |version| say(&key(21), Said::Forbid { challenge: Challenge([2; 32]), version, regions: Vec::new() });
    assert!(to_consoles(&room.hears(SURGEON, Channel::Statements, forbid(1))).is_empty());
    let outputs = room.does(from_kit(notice_with(true, false, Some(1))));
    let told: Vec<_> = [SURGEON, BEDSIDE].map(|one| (one, Channel::Statements, forbid(1))).into();
    assert_eq!(
        to_consoles(&outputs).iter().filter(|told| told.2 == forbid(1)).cloned().collect::<Vec<_>>(),
        told
    );
    let again = to_consoles(&room.does(from_kit(notice_with(true, false, Some(1)))));
    assert!(again.iter().all(|told| told.2 != forbid(1)));
    let heard = to_consoles(&room.does(Input::ConsoleListens { console: BEDSIDE }));
    assert!(heard.contains(&told[1]));
    room.hears(SURGEON, Channel::Statements, forbid(2));
    room.does(from_kit(say(&key(11), Said::Refused { to: public(&key(21)), why: "no".into() })));
    let outputs = to_consoles(&room.does(from_kit(notice_with(true, false, Some(2)))));
    assert!(outputs.iter().all(|told| told.2 != forbid(2)), "which it was, is not known");
    let heard = to_consoles(&room.does(Input::ConsoleListens { console: BEDSIDE }));
    assert!(heard.iter().all(|told| told.2 != forbid(1) && told.2 != forbid(2)));
}

/// Goal: control is handed to a key, so everybody learns whose each is: those who are here when somebody comes, and whoever comes
/// later; in the person's own words, once.
#[test]
fn people_are_introduced_to_each_other() {
    let mut room = Room::new();
    let endorsement =
        |link, session_key| say(&key(link), Said::Endorse { session_key: public(&key(session_key)) });
    let heard = to_consoles(&room.does(Input::ConsoleListens { console: BEDSIDE }));
    let known: Vec<_> = heard.into_iter().map(|(_, _, message)| message).collect();
    assert_eq!(known, [endorsement(1, 21), endorsement(2, 22)]);
    let third = ConsoleId(7);
    let outputs = room.does(guest(third, Role::Surgeon, 1, 27));
    let told = [SURGEON, BEDSIDE].map(|console| (console, Channel::Statements, endorsement(1, 27)));
    assert_eq!(to_consoles(&outputs), told);
    assert!(to_consoles(&room.does(guest(ConsoleId(8), Role::Surgeon, 1, 27))).is_empty(), "known already");
}

/// Goal: the end of the operation is said once, on the kit's signed word alone.
#[test]
fn the_kits_word_closes_the_session_once() {
    let mut room = Room::new();
    let closes =
        |outputs: &[Output]| outputs.iter().filter(|output| matches!(output, Output::Closed)).count();
    assert_eq!(closes(&room.does(from_kit(notice(false, false)))), 0);
    assert_eq!(closes(&room.hears(SURGEON, Channel::Statements, notice(false, true))), 0);
    assert_eq!(closes(&room.does(from_kit(notice(false, true)))), 1);
    assert_eq!(closes(&room.does(from_kit(notice(false, true)))), 0);
}

/// Goal: once the kit has closed the operation no command goes on or on record, so that lists and verdicts can catch up before
/// the seal; the surgeon's lists still are recorded.
#[test]
fn a_closed_operation_takes_no_commands() {
    let mut room = Room::leased();
    assert_eq!(recorded(&room.hears(SURGEON, Channel::Control, command(SESSION, TOKEN))), ["command"]);
    room.does(from_kit(notice(false, true)));
    assert!(room.hears(SURGEON, Channel::Control, command(SESSION, TOKEN)).is_empty());
    let link = Link { session: SESSION, number: 1, previous: Hash::ZERO };
    let list = SurgeonSegment { link, token: TOKEN, sent: Vec::new() }.sign(&key(21)).unwrap();
    let outputs = room.hears(SURGEON, Channel::Statements, Kind::SurgeonSegment.wrap(&list));
    assert_eq!(recorded(&outputs), ["surgeon segment"]);
}

/// Goal: a frame is recorded with the newest kit tick heard by its capture, marked for the kit, and goes to surgeons;
/// after a new connection to the kit an old tick marks nothing.
#[test]
fn a_frame_is_marked_with_what_had_been_heard() {
    let mut room = Room::new();
    room.does(Input::FromKit { route: Route::Datagram, message: state(500) });
    let captured = room.now;
    room.does(Input::FromKit { route: Route::Datagram, message: state(900) });
    let outputs = room.does(frame(1, captured));
    let Output::Record(Passed::Frame { entry, .. }) = &outputs[0] else { unreachable!("{outputs:?}") };
    assert_eq!(entry.kit_tick_at_capture, KitTick(500));
    let mark = |frame, tick| {
        let mark = FrameMark { frame: farhand_wire::FrameId(frame), kit_tick_at_capture: KitTick(tick) };
        (Route::Datagram, Bytes::copy_from_slice(&mark.to_bytes()))
    };
    assert_eq!(to_kit(&outputs), [mark(1, 500)]);
    assert!(
        matches!(outputs.last(), Some(Output::Picture { console: SURGEON, record }) if record.rtp_timestamp == 3000)
    );
    let now = room.now;
    assert_eq!(to_kit(&room.does(frame(2, now))), [mark(1, 500), mark(2, 900)], "a lost mark comes again");
    room.does(Input::KitCame);
    let now = room.now;
    assert!(to_kit(&room.does(frame(3, now))).is_empty());
}

/// Goal: a surgeon's own segments and reports are recorded as signed; others', or of another session, are not.
#[test]
fn segments_are_recorded_by_their_author_alone() {
    let mut room = Room::new();
    let segment = |session, by: u8| {
        let link = Link { session, number: 1, previous: Hash::ZERO };
        let sent = vec![Sent { sequence: Sequence(1), hash: Hash([3; 32]) }];
        SurgeonSegment { link, token: TOKEN, sent }.sign(&key(by)).unwrap()
    };
    let wrapped = |signed: &[u8]| Kind::SurgeonSegment.wrap(signed);
    let good = segment(SESSION, 21);
    let outputs = room.hears(SURGEON, Channel::Statements, wrapped(&good));
    assert!(matches!(&outputs[..], [Output::Record(Passed::SurgeonSegment { signed })] if *signed == good));
    assert!(room.hears(BEDSIDE, Channel::Statements, wrapped(&good)).is_empty());
    assert!(room.hears(SURGEON, Channel::Statements, wrapped(&segment(SESSION, 66))).is_empty());
    assert!(room.hears(SURGEON, Channel::Statements, wrapped(&segment(SessionId([1; 16]), 21))).is_empty());
    let link = Link { session: SESSION, number: 1, previous: Hash::ZERO };
    let report = DisplayReport { link, shown: Vec::new() }.sign(&key(21)).unwrap();
    let outputs = room.hears(SURGEON, Channel::Statements, Kind::DisplayReport.wrap(&report));
    assert_eq!(recorded(&outputs), ["display report"]);
    let verdicts = KitSegment {
        link,
        boot: KitBootId([1; 16]),
        from: KitTick(0),
        to: KitTick(1),
        token: TOKEN,
        unauthentic: 0,
        verdicts: Vec::new(),
    };
    let by = |number| from_kit(Kind::KitSegment.wrap(&verdicts.sign(&key(number)).unwrap()));
    assert_eq!(recorded(&room.does(by(11))), ["kit segment"]);
    assert!(room.does(by(21)).is_empty());
}

/// Goal: a ping is answered at once with this edge's clock; the watermark goes to kit and all consoles; custody both ways.
#[test]
fn clock_watermark_and_custody() {
    let mut room = Room::new();
    let pong = room.hears(SURGEON, Channel::Control, ClockPing { sent_us: 5 }.to_bytes().to_vec());
    let expected = ClockPong { sent_us: 5, edge: room.now }.to_bytes();
    let [Output::ToPath { console: SURGEON, path: 0, message }] = &pong[..] else { unreachable!("{pong:?}") };
    assert_eq!(message[..], expected);
    let mark = Watermark { token: TOKEN, newest: Sequence(9), segments: 2 };
    for (to_everybody, consoles) in [(true, 2), (false, 0)] {
        let outputs = room.does(Input::Durable { watermark: mark, to_everybody });
        assert_eq!((to_kit(&outputs).len(), to_consoles(&outputs).len()), (1, consoles));
    }
    let ask = to_kit(&room.does(Input::CustodyAsked { ask: Bytes::from_static(b"proofs") }));
    assert_eq!(ask, [(Route::Reliable, Bytes::from(Kind::CustodyAsk.wrap(b"proofs")))]);
    let answer = room.does(from_kit(Kind::CustodyAnswer.wrap(b"signed")));
    assert!(
        matches!(&answer[..], [Output::ToCloud { custody_answer }] if custody_answer == "signed".as_bytes())
    );
}

/// Goal: a command that comes over two paths is relayed and recorded once, whichever is first, late or out of order; its
/// copies are counted as copies, and as nothing else.
#[test]
fn a_command_over_two_paths_counts_once() {
    let mut room = Room::leased();
    let took = |room: &mut Room, path, sequence| {
        let outputs = room.hears_over(path, SURGEON, Channel::Control, numbered(sequence, SESSION, TOKEN));
        (recorded(&outputs).len(), to_kit(&outputs).len())
    };
    let before = room.relay.counters();
    for (path, sequence) in [(0, 1), (1, 2), (1, 1), (0, 2), (0, 4), (0, 3), (1, 4), (1, 3), (1, 5)] {
        let first = [(0, 1), (1, 2), (0, 4), (0, 3), (1, 5)].contains(&(path, sequence));
        let expected = (usize::from(first), usize::from(first));
        assert_eq!(took(&mut room, path, sequence), expected, "{sequence} over path {path}");
    }
    assert_eq!(room.relay.counters(), Counters { copies: 4, ..before });
    room.does(Input::PathCame { console: SURGEON, path: 1, vouched: Bytes::from_static(b"vouched") });
    took(&mut room, 1, 6);
    took(&mut room, 0, 6);
    let left = room.does(Input::PathLeft { console: SURGEON, path: 1, rtt_ms: Some(12.34) });
    let [Output::Record(Passed::Switch { what: "console-path", on: false, reason })] = &left[..] else {
        unreachable!("{left:?}")
    };
    assert!(reason.ends_with(": rtt 12.3 ms, 1 of 1 commands first"), "{reason}");
}

/// Goal: the surgeon's console says over which path its pictures shall come; nobody else does, and nothing is recorded of it.
#[test]
fn a_console_chooses_the_path_of_its_pictures() {
    let mut room = Room::new();
    let via = PicturesVia { path: 1 }.to_bytes().to_vec();
    let outputs = room.hears(SURGEON, Channel::Statements, via.clone());
    assert!(matches!(outputs[..], [Output::PicturesVia { console: SURGEON, path: 1 }]), "{outputs:?}");
    assert!(room.hears(BEDSIDE, Channel::Statements, via.clone()).is_empty());
    assert!(room.hears(SURGEON, Channel::Control, via).is_empty());
}

/// Goal: what the net sees is looked for as long as a surgeon wants it, and each one's wish is on record, once.
#[test]
fn sight_is_wanted_by_surgeons_alone() {
    let mut room = Room::new();
    let says = |wanted| SightWanted { wanted }.to_bytes().to_vec();
    let outputs = room.hears(SURGEON, Channel::Statements, says(false));
    let [Output::Record(Passed::Switch { what: "vision-shown", on: false, .. }), Output::SightWanted(false)] =
        &outputs[..]
    else {
        unreachable!("{outputs:?}")
    };
    assert!(room.hears(SURGEON, Channel::Statements, says(false)).is_empty());
    assert!(room.hears(BEDSIDE, Channel::Statements, says(true)).is_empty());
    assert!(room.hears(SURGEON, Channel::Control, says(true)).is_empty());
    let outputs = room.hears(SURGEON, Channel::Statements, says(true));
    assert!(matches!(outputs[..], [Output::Record(_), Output::SightWanted(true)]), "{outputs:?}");
    let left = room.does(Input::ConsoleLeft { console: SURGEON });
    assert!(matches!(left[..], [Output::Record(_), Output::SightWanted(false)]), "{left:?}");
}

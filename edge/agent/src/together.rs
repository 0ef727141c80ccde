//! Consoles over several connections: which of them are one console, and its statements over all of them. Pure.
//!
//! **Invariants (local).** A connection joins a console only by the key that vouched for its certificate *and* the name that
//! this console gave its bond, inside the connection, where nobody else hears it: so a second path of somebody else's joins
//! nothing. A console has at most one connection under each path's number, the newest. It is gone with its last one.
//!
//! Statements are numbered, acknowledged and sent over every path, after the rule of `farhand_link`'s [`Outbox`]: they come
//! once and in order as long as one path lives.

use std::collections::BTreeMap;

use bytes::Bytes;
use farhand_link::{Arrived, BondName, Inbox, Outbox, Word};
use farhand_wire::PublicKey;

use crate::{meeting::CONSOLE_PATHS_MAX, relay::ConsoleId};

/// Statements waiting for a console's word that it has them: half a minute of notices.
const STATEMENTS_WAITING_MAX: usize = 256;

/// What a connection says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) bond: BondName,
    pub(crate) path: u8,
    pub(crate) begins: bool,
}

impl Hello {
    pub(crate) fn read(message: &Bytes) -> Option<Self> {
        match Word::read(message)? {
            Word::Hello { bond, path, begins } => Some(Self { bond, path, begins }),
            _ => None,
        }
    }
}

/// What became of a connection that said hello.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joined<L> {
    /// It is a console's first.
    Began(ConsoleId),
    /// It is one more of a console's; the one that it takes the place of is to end.
    Came(ConsoleId, Option<L>),
    /// There is no such bond, or no such path: it is to be told so.
    Apart,
}

/// What is left after a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It had been replaced before.
    Nothing,
    /// The console speaks on, over another.
    Path,
    /// It was the console's last.
    Console,
}

/// All consoles that are connected. `L`: how a connection is reached.
#[derive(Debug)]
pub(crate) struct Consoles<L> {
    consoles: BTreeMap<ConsoleId, Console<L>>,
    next: u64,
}

#[derive(Debug)]
pub(crate) struct Console<L> {
    key: PublicKey,
    bond: BondName,
    /// The number of the connection, and how it is reached.
    lines: [Option<(u64, L)>; CONSOLE_PATHS_MAX],
    pub(crate) statements: Statements,
    /// Over which path pictures go.
    pictures: usize,
}

impl<L> Default for Consoles<L> {
    fn default() -> Self {
        Self { consoles: BTreeMap::new(), next: 1 }
    }
}

impl<L> Consoles<L> {
    /// `line`: a number that no other connection has.
    pub(crate) fn join(&mut self, key: PublicKey, hello: Hello, line: u64, how: L) -> Joined<L> {
        let path = usize::from(hello.path);
        if path >= CONSOLE_PATHS_MAX {
            return Joined::Apart;
        }
        if hello.begins {
            return Joined::Began(self.begin(key, hello.bond, path, (line, how)));
        }
        let same = |console: &Console<L>| console.key == key && console.bond == hello.bond;
        match self.consoles.iter_mut().find(|(_, console)| same(console)) {
            Some((id, console)) => {
                let before = console.lines[path].replace((line, how));
                Joined::Came(*id, before.map(|(_, how)| how))
            }
            None => Joined::Apart,
        }
    }

    fn begin(&mut self, key: PublicKey, bond: BondName, path: usize, line: (u64, L)) -> ConsoleId {
        let id = ConsoleId(self.next);
        self.next += 1;
        let mut lines = [const { None }; CONSOLE_PATHS_MAX];
        lines[path] = Some(line);
        let console = Console { key, bond, lines, statements: Statements::default(), pictures: path };
        self.consoles.insert(id, console);
        id
    }

    pub(crate) fn leave(&mut self, id: ConsoleId, path: u8, line: u64) -> Left {
        let Some(console) = self.consoles.get_mut(&id) else { return Left::Nothing };
        let Some(place) = console.lines.get_mut(usize::from(path)) else { return Left::Nothing };
        if place.take_if(|(other, _)| *other == line).is_none() {
            return Left::Nothing;
        }
        match console.lines.iter().position(Option::is_some) {
            Some(other) => {
                if console.pictures == usize::from(path) {
                    console.pictures = other;
                }
                Left::Path
            }
            None => {
                self.consoles.remove(&id);
                Left::Console
            }
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Console<L>> {
        self.consoles.values()
    }

    /// Of those that have such a connection.
    pub(crate) fn ids_where(&self, such: impl Fn(&L) -> bool) -> Vec<ConsoleId> {
        let has = |console: &Console<L>| console.lines().any(&such);
        self.consoles.iter().filter(|(_, console)| has(console)).map(|(id, _)| *id).collect()
    }

    pub(crate) fn get_mut(&mut self, id: ConsoleId) -> Option<&mut Console<L>> {
        self.consoles.get_mut(&id)
    }

    pub(crate) fn get(&self, id: ConsoleId) -> Option<&Console<L>> {
        self.consoles.get(&id)
    }
}

impl<L> Console<L> {
    /// How every path that stands is reached.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &L> {
        self.lines.iter().flatten().map(|(_, how)| how)
    }

    pub(crate) fn line(&self, path: u8) -> Option<&L> {
        self.lines.get(usize::from(path))?.as_ref().map(|(_, how)| how)
    }

    /// Whether pictures go over that path from now on; not over one that does not stand.
    pub(crate) fn pictures_via(&mut self, path: u8) -> bool {
        let stands = self.line(path).is_some();
        if stands {
            self.pictures = usize::from(path);
        }
        stands
    }

    /// The path that pictures go over, while it stands.
    pub(crate) fn pictures(&self) -> Option<&L> {
        self.lines[self.pictures].as_ref().map(|(_, how)| how)
    }
}

/// Both directions of the reliable channel of one console, over all its paths.
#[derive(Debug)]
pub(crate) struct Statements {
    outbox: Outbox,
    inbox: Inbox,
}

/// How far one path has come.
#[derive(Debug, Default)]
pub(crate) struct Written {
    welcomed: bool,
    words: farhand_link::Written,
}

/// What a word brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The next statement.
    Message(Bytes),
    Nothing,
    /// The peer does not keep to the rule: its connection is to end.
    Broken,
}

impl Default for Statements {
    fn default() -> Self {
        Self { outbox: Outbox::new(STATEMENTS_WAITING_MAX), inbox: Inbox::default() }
    }
}

impl Statements {
    /// Queues a statement, unless as many as may be wait.
    pub(crate) fn say(&mut self, content: Bytes) -> bool {
        self.outbox.push(content)
    }

    /// Takes what came over any path, after the first word of each.
    pub(crate) fn take(&mut self, word: &Bytes) -> Taken {
        match Word::read(word) {
            Some(Word::Message { number, content }) => match self.inbox.take(number) {
                Arrived::Next => Taken::Message(content),
                Arrived::Again => Taken::Nothing,
                Arrived::TooEarly => Taken::Broken,
            },
            Some(Word::Heard { count }) => match self.outbox.acknowledge(count) {
                Ok(()) => Taken::Nothing,
                Err(_) => Taken::Broken,
            },
            _ => Taken::Broken,
        }
    }

    /// What goes out next over a path that has come so far, at the accepting end: the welcome first.
    pub(crate) fn next_to_write(&self, written: &mut Written) -> Option<Bytes> {
        if !std::mem::replace(&mut written.welcomed, true) {
            return Some(Word::Welcome.to_bytes());
        }
        self.next(written)
    }

    /// The same at the connecting end, which has been welcomed.
    pub(crate) fn next(&self, written: &mut Written) -> Option<Bytes> {
        written.words.next(&self.outbox, &self.inbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PublicKey = PublicKey([1; 32]);
    const OTHER: PublicKey = PublicKey([2; 32]);

    fn hello(run: u8, path: u8, begins: bool) -> Hello {
        Hello { bond: BondName { run: [run; 16], number: 1 }, path, begins }
    }

    fn began(consoles: &mut Consoles<&'static str>, key: PublicKey, run: u8) -> ConsoleId {
        match consoles.join(key, hello(run, 0, true), 10, "first") {
            Joined::Began(id) => id,
            other => unreachable!("{other:?}"),
        }
    }

    /// Goal: a second path joins the console that it is of, and nobody else's: not by another key under the same name, not
    /// under another name by the same key, not under a path's number that there is not.
    #[test]
    fn a_path_joins_its_own_console_alone() {
        let mut consoles = Consoles::default();
        let console = began(&mut consoles, KEY, 1);
        assert_eq!(consoles.join(OTHER, hello(1, 1, false), 11, "a stranger"), Joined::Apart);
        assert_eq!(consoles.join(KEY, hello(2, 1, false), 12, "an older page"), Joined::Apart);
        assert_eq!(consoles.join(KEY, hello(1, 2, false), 13, "a third"), Joined::Apart);
        assert_eq!(consoles.join(KEY, hello(1, 1, false), 14, "second"), Joined::Came(console, None));
        let reached: Vec<_> = consoles.get(console).unwrap().lines().copied().collect();
        assert_eq!(reached, ["first", "second"]);
    }

    /// Goal: any path may leave and come back; the console is gone with its last one, and a path that was replaced takes
    /// nothing with it when it ends.
    #[test]
    fn a_console_is_gone_with_its_last_path() {
        let mut consoles = Consoles::default();
        let console = began(&mut consoles, KEY, 1);
        consoles.join(KEY, hello(1, 1, false), 11, "second");
        assert_eq!(consoles.leave(console, 0, 10), Left::Path);
        assert_eq!(consoles.join(KEY, hello(1, 1, false), 12, "anew"), Joined::Came(console, Some("second")));
        assert_eq!(consoles.leave(console, 1, 11), Left::Nothing);
        assert_eq!(consoles.leave(console, 1, 12), Left::Console);
        assert_eq!(consoles.leave(console, 1, 12), Left::Nothing);
        assert_eq!(consoles.join(KEY, hello(1, 0, false), 13, "late"), Joined::Apart);
    }

    /// Goal: pictures go over the path that the console asks for, and over another if that one leaves.
    #[test]
    fn pictures_follow_the_console() {
        let mut consoles = Consoles::default();
        let id = began(&mut consoles, KEY, 1);
        assert!(!consoles.get_mut(id).unwrap().pictures_via(1), "there is none yet");
        consoles.join(KEY, hello(1, 1, false), 11, "second");
        assert_eq!(consoles.get(id).unwrap().pictures(), Some(&"first"));
        assert!(
            consoles.get_mut(id).unwrap().pictures_via(1) && !consoles.get_mut(id).unwrap().pictures_via(9)
        );
        assert_eq!(consoles.get(id).unwrap().pictures(), Some(&"second"));
        consoles.leave(id, 1, 11);
        assert_eq!(consoles.get(id).unwrap().pictures(), Some(&"first"));
    }

    /// Goal: what is said to a console goes over both paths, counts once, and what one path lost the other brings; a peer
    /// that breaks the rule is seen.
    #[test]
    fn a_statement_lost_with_its_path_comes_over_the_other() {
        let (mut edge, mut console) = (Statements::default(), Statements::default());
        let (mut dying, mut living) = (Written::default(), Written::default());
        assert_eq!(edge.next_to_write(&mut dying), Some(Word::Welcome.to_bytes()));
        assert_eq!(edge.next_to_write(&mut living), Some(Word::Welcome.to_bytes()));
        assert!(edge.say(Bytes::from_static(b"one")) && edge.say(Bytes::from_static(b"two")));
        let one = edge.next_to_write(&mut dying).unwrap();
        let lost = edge.next_to_write(&mut dying).unwrap();
        assert_eq!(console.take(&one), Taken::Message(Bytes::from_static(b"one")));
        assert_eq!(edge.next_to_write(&mut living).map(|again| console.take(&again)), Some(Taken::Nothing));
        assert_eq!(edge.next_to_write(&mut living), Some(lost.clone()));
        assert_eq!(console.take(&lost), Taken::Message(Bytes::from_static(b"two")));
        let mut way_back = Written::default();
        let heard = console.next(&mut way_back).unwrap();
        assert_eq!((edge.take(&heard), console.next(&mut way_back)), (Taken::Nothing, None));
        assert_eq!(edge.take(&Word::Heard { count: 3 }.to_bytes()), Taken::Broken);
        let too_early = Word::Message { number: 9, content: Bytes::new() }.to_bytes();
        assert_eq!(edge.take(&too_early), Taken::Broken);
        assert_eq!(edge.take(&Bytes::from_static(b"\x07")), Taken::Broken);
    }
}

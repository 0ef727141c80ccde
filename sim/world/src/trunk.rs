//! Several paths at once in one direction, as `farhand_link` uses them: everything goes over each, the first to arrive counts.
//!
//! A real path is authenticated and lets nothing through that was damaged on it. Here the content may be, and its number never
//! is, so that receivers meet what they must not mind.

use farhand_link::{Arrived, FirstHeard, Inbox};
use fastrand::Rng;

use crate::{Delivery, Impairment, Line};

const PATHS: usize = 2;
/// Number, and whether it is one of those that arrive once and in order.
const HEAD_BYTES: usize = 9;

/// Two lines to the same place.
#[derive(Debug)]
pub struct Trunk {
    corruption: f64,
    rng: Rng,
    paths: [Line; PATHS],
    datagrams: u64,
    messages: u64,
    first: FirstHeard,
    inbox: Inbox,
}

impl Trunk {
    #[must_use]
    pub fn new(seed: u64, paths: [Line; PATHS]) -> Self {
        Self {
            corruption: 0.0,
            rng: Rng::with_seed(seed),
            paths,
            datagrams: 0,
            messages: 0,
            first: FirstHeard::new(),
            inbox: Inbox::default(),
        }
    }

    /// The same on every path, but for the one that is dead.
    pub fn impair(&mut self, impairment: Impairment, dead: Option<usize>) {
        self.corruption = impairment.corruption;
        for (number, path) in self.paths.iter_mut().enumerate() {
            path.impairment = Impairment { corruption: 0.0, ..impairment };
            path.impairment.partition |= dead == Some(number);
        }
    }

    /// Sends something that may get lost.
    pub fn send(&mut self, now_us: u64, bytes: &[u8]) {
        self.pass_on(now_us, bytes, true);
    }

    /// Sends on what may have been damaged before.
    pub fn pass_on(&mut self, now_us: u64, bytes: &[u8], intact: bool) {
        self.datagrams += 1;
        let mut numbered = numbered(self.datagrams, false, bytes);
        let damaged = !bytes.is_empty() && self.rng.f64() < self.corruption;
        if damaged {
            numbered[HEAD_BYTES + self.rng.usize(0..bytes.len())] ^= 1 << self.rng.u8(0..8);
        }
        self.paths.iter_mut().for_each(|path| path.pass_on(now_us, &numbered, intact && !damaged));
    }

    /// Sends something that arrives whole, once and in order as soon as one path is whole.
    pub fn send_reliably(&mut self, now_us: u64, bytes: &[u8]) {
        self.messages += 1;
        let numbered = numbered(self.messages, true, bytes);
        self.paths.iter_mut().for_each(|path| path.send_reliably(now_us, numbered.clone()));
    }

    /// The connections end: what was under way is gone, and numbers begin anew.
    pub fn cut(&mut self) {
        self.paths.iter_mut().for_each(Line::cut);
        (self.datagrams, self.messages) = (0, 0);
        (self.first, self.inbox) = (FirstHeard::new(), Inbox::default());
    }

    /// Everything that has arrived by now, and for the first time.
    pub fn receive(&mut self, now_us: u64) -> Vec<Delivery> {
        let mut first = Vec::new();
        for delivery in self.paths.iter_mut().flat_map(|path| path.receive(now_us)) {
            let Some((number, in_order)) = head(&delivery.bytes) else { continue };
            let counts = if in_order {
                matches!(self.inbox.take(number), Arrived::Next)
            } else {
                self.first.take(number)
            };
            if counts {
                first.push(Delivery { bytes: delivery.bytes[HEAD_BYTES..].to_vec(), ..delivery });
            }
        }
        first
    }
}

fn numbered(number: u64, in_order: bool, bytes: &[u8]) -> Vec<u8> {
    [&number.to_le_bytes()[..], &[u8::from(in_order)], bytes].concat()
}

fn head(bytes: &[u8]) -> Option<(u64, bool)> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), *rest.first()? == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: whichever of the two paths dies, and whenever, everything arrives once; messages in order.
    #[test]
    fn either_path_may_die() {
        let near = Impairment { delay_ms: 2.0, jitter_ms: 3.0, ..Impairment::NONE };
        let mut trunk = Trunk::new(1, [1, 2].map(|seed| Line::new(seed, near)));
        let (mut datagrams, mut messages) = (Vec::new(), Vec::new());
        for now_ms in 0..1_000_u64 {
            let dead = [None, Some(0), None, Some(1)][(now_ms / 50 % 4) as usize];
            trunk.impair(near, dead);
            if now_ms < 900 {
                trunk.send(now_ms * 1000, &[&[0], &now_ms.to_le_bytes()[..]].concat());
                trunk.send_reliably(now_ms * 1000, &[&[1], &now_ms.to_le_bytes()[..]].concat());
            }
            for Delivery { bytes, .. } in trunk.receive(now_ms * 1000) {
                let number = u64::from_le_bytes(bytes[1..].try_into().unwrap());
                if bytes[0] == 0 { datagrams.push(number) } else { messages.push(number) }
            }
        }
        datagrams.sort_unstable();
        assert_eq!(datagrams, Vec::from_iter(0..900));
        assert_eq!(messages, Vec::from_iter(0..900));
    }
}

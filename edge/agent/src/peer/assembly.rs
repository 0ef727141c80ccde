//! Access units from RTP packets (RFC 3550, RFC 6184 in packetization modes 0 and 1). Pure.
//!
//! Invariants (local): a unit is given only if every packet of it was there; packets are taken in the order of their
//! sequence numbers, however they come; at most [`PACKETS_WAITING_MAX`] wait for one that is missing, and a unit is at most
//! [`UNIT_BYTES_MAX`] long.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

/// Packets that wait for an older one: half a second of pictures at 4 Mbit/s. Then that one is given up.
pub(crate) const PACKETS_WAITING_MAX: usize = 256;
/// As many as edge/video takes from an encoder.
pub(crate) const UNIT_BYTES_MAX: usize = 8 << 20;
const START_CODE: [u8; 4] = [0, 0, 0, 1];
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const TYPE: u8 = 0x1f;

/// What is read of a packet.
#[derive(Clone, Debug)]
pub(crate) struct RtpPacket {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// The last of its unit.
    pub(crate) marker: bool,
    pub(crate) payload: Bytes,
}

/// A whole access unit, in Annex B form with start codes of four bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) timestamp: u32,
    pub(crate) data: Bytes,
}

/// Puts one stream together.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    /// The number that follows, without the wrap at 2^16.
    next: Option<u64>,
    waiting: BTreeMap<u64, RtpPacket>,
    unit: Partial,
    lost: u64,
}

/// A unit that is being put together.
#[derive(Debug, Default)]
struct Partial {
    timestamp: u32,
    data: BytesMut,
    /// Within a fragmented NAL unit.
    fragment: bool,
    /// Something of it was lost or is not H.264: it is passed over to its end.
    broken: bool,
}

impl Assembly {
    /// Packets that never came, so far.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes a packet; then [`Assembly::poll`] until it has no more.
    pub(crate) fn take(&mut self, packet: RtpPacket) {
        let next = *self.next.get_or_insert(u64::from(packet.sequence) + (1 << 16));
        let number = unwrapped(next, packet.sequence);
        if number >= next {
            self.waiting.insert(number, packet);
        }
    }

    /// The next unit that is whole.
    pub(crate) fn poll(&mut self) -> Option<Unit> {
        loop {
            let next = self.next?;
            let (number, packet) = match self.waiting.remove(&next) {
                Some(packet) => (next, packet),
                None if self.waiting.len() > PACKETS_WAITING_MAX => self.waiting.pop_first()?,
                None => return None,
            };
            if number != next {
                self.lost += number - next;
                self.unit.broken = true;
            }
            self.next = Some(number + 1);
            if let Some(unit) = self.unit.take(&packet) {
                return Some(unit);
            }
        }
    }
}

/// The number nearest to `next` that ends in `sequence`.
fn unwrapped(next: u64, sequence: u16) -> u64 {
    let ahead = sequence.wrapping_sub(next as u16) as i16;
    next.saturating_add_signed(i64::from(ahead))
}

impl Partial {
    fn take(&mut self, packet: &RtpPacket) -> Option<Unit> {
        if packet.timestamp != self.timestamp {
            // The one before lost its end; this may have lost its beginning, and then has no start of a NAL unit.
            *self = Self {
                timestamp: packet.timestamp,
                broken: self.broken && !begins(&packet.payload),
                ..Self::default()
            };
        }
        if !self.broken && (self.payload(&packet.payload).is_none() || self.data.len() > UNIT_BYTES_MAX) {
            self.broken = true;
        }
        if !packet.marker {
            return None;
        }
        let done = std::mem::take(self);
        let whole = !done.broken && !done.fragment && !done.data.is_empty();
        self.timestamp = packet.timestamp.wrapping_sub(1);
        whole.then(|| Unit { timestamp: packet.timestamp, data: done.data.freeze() })
    }

    /// `None` if that is no payload of RFC 6184.
    fn payload(&mut self, payload: &[u8]) -> Option<()> {
        let kind = payload.first()? & TYPE;
        if self.fragment && kind != FU_A {
            return None;
        }
        match kind {
            1..STAP_A => self.nal(payload),
            STAP_A => self.aggregate(&payload[1..])?,
            FU_A => self.fragment(payload)?,
            _ => return None,
        }
        Some(())
    }

    fn nal(&mut self, unit: &[u8]) {
        self.data.extend_from_slice(&START_CODE);
        self.data.extend_from_slice(unit);
    }

    fn aggregate(&mut self, mut rest: &[u8]) -> Option<()> {
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk()?;
            let (unit, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            self.nal(unit);
            rest = after;
        }
        Some(())
    }

    fn fragment(&mut self, payload: &[u8]) -> Option<()> {
        let (&[indicator, header], content) = payload.split_first_chunk()?;
        let (starts, ends) = (header & 0x80 != 0, header & 0x40 != 0);
        if starts == self.fragment {
            return None;
        }
        if starts {
            self.nal(&[indicator & !TYPE | header & TYPE]);
        }
        self.data.extend_from_slice(content);
        self.fragment = !ends;
        Some(())
    }
}

/// Whether a NAL unit begins there.
fn begins(payload: &[u8]) -> bool {
    match payload {
        [first, header, ..] if first & TYPE == FU_A => header & 0x80 != 0,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use farhand_video::annexb;
    use proptest::prelude::*;
    use rtc::rtp::{codec::h264::H264Payloader, packetizer::Payloader};

    use super::*;

    const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f];
    const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

    fn unit(slices: &[Vec<u8>], key: bool) -> Bytes {
        let sets = if key { &[SPS, PPS][..] } else { &[] };
        annexb::join(sets.iter().copied().chain(slices.iter().map(Vec::as_slice))).into()
    }

    /// A slice of that many bytes, without start codes within.
    fn slice(kind: u8, bytes: usize) -> Vec<u8> {
        std::iter::once(kind).chain((0..bytes).map(|at| at as u8 | 1)).collect()
    }

    fn packets(units: &[Bytes], first: u16) -> Vec<RtpPacket> {
        let mut payloader = H264Payloader::default();
        let mut sequence = first;
        let mut all = Vec::new();
        for (number, unit) in units.iter().enumerate() {
            let payloads = payloader.payload(100, unit).unwrap();
            let last = payloads.len() - 1;
            for (at, payload) in payloads.into_iter().enumerate() {
                all.push(RtpPacket {
                    sequence,
                    timestamp: number as u32 * 3000,
                    marker: at == last,
                    payload,
                });
                sequence = sequence.wrapping_add(1);
            }
        }
        all
    }

    fn assemble(packets: impl IntoIterator<Item = RtpPacket>) -> (Vec<Bytes>, Assembly) {
        let mut assembly = Assembly::default();
        let mut units = Vec::new();
        for packet in packets {
            assembly.take(packet);
            units.extend(std::iter::from_fn(|| assembly.poll()).map(|unit| unit.data));
        }
        (units, assembly)
    }

    proptest! {
        /// Goal: what goes into the payloader comes out byte for byte, in parameter sets, single units and fragments,
        /// across the wrap of sequence numbers, and with neighbours swapped or sent twice on the way.
        #[test]
        fn units_come_out_as_they_went_in(
            sizes in proptest::collection::vec((any::<bool>(), proptest::collection::vec(1usize..700, 1..4)), 1..12),
            first in any::<u16>(),
            swaps in proptest::collection::vec(1usize..200, 0..20),
        ) {
            let make = |(key, sizes): &(bool, Vec<usize>)| {
                let slices: Vec<_> = sizes.iter().map(|bytes| slice(if *key { 0x65 } else { 0x41 }, *bytes)).collect();
                unit(&slices, *key)
            };
            let units: Vec<Bytes> = sizes.iter().map(make).collect();
            let mut sent = packets(&units, first);
            for at in swaps {
                if at + 1 < sent.len() {
                    sent.swap(at, at + 1);
                    sent.insert(at + 1, sent[at].clone());
                }
            }
            prop_assert_eq!(assemble(sent).0, units);
        }

        /// Goal: no payload, however damaged, makes it panic or hold without bound.
        #[test]
        fn damaged_payloads_are_passed_over(
            payloads in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..40), any::<bool>(), any::<u16>()), 0..600),
        ) {
            let mut assembly = Assembly::default();
            for (payload, marker, sequence) in payloads {
                assembly.take(RtpPacket { sequence, timestamp: 1, marker, payload: payload.into() });
                while assembly.poll().is_some() {}
                prop_assert!(assembly.waiting.len() <= PACKETS_WAITING_MAX);
            }
        }
    }

    /// Goal: a unit that lost a packet for good is not given; the next one is, and the loss is counted.
    #[test]
    fn a_lost_packet_costs_its_unit_only() {
        let units: Vec<Bytes> = (0..200).map(|_| unit(&[slice(0x41, 250)], false)).collect();
        let mut sent = packets(&units, 7);
        sent.remove(4); // in the middle of the second unit, of three packets each
        let (seen, assembly) = assemble(sent);
        assert_eq!((seen.len() > 100, assembly.lost()), (true, 1));
        assert!(seen.iter().all(|one| *one == units[0]));
    }
}

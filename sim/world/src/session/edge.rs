//! The edge box: relays, films, and keeps the record.

use farhand_wire::{EdgeTick, FrameId, FrameMark, FrameRecord, Kind, KitState, Said, Signed, Statement};

use super::Session;
use crate::Fault;

const FRAME_US: u64 = 33_000;
/// Longer than any picture is on its way.
const PICTURES_MAX: usize = 512;

impl Session {
    pub(super) fn edge(&mut self) {
        if self.has(Fault::CloggedEdge) || self.has(Fault::EdgeRestart) {
            return;
        }
        for seat in 0..self.seats.len() {
            for delivery in self.seats[seat].to_edge.receive(self.now_us) {
                self.overhear(&delivery);
                self.relay(delivery.bytes, delivery.intact);
            }
        }
        for delivery in self.kit_to_edge.receive(self.now_us) {
            self.kit_said(delivery.bytes);
        }
        if let Some(mark) = self.recorder.step(self.now_us) {
            self.edge_to_kit.send(self.now_us, &mark.to_bytes());
        }
        if self.now_us.is_multiple_of(FRAME_US) && !self.has(Fault::Camera) {
            self.film();
        }
    }

    fn relay(&mut self, bytes: Vec<u8>, intact: bool) {
        if Kind::of(&bytes) == Ok(Kind::SurgeonSegment) {
            self.recorder.listed(self.now_us, &bytes);
        } else if Kind::of(&bytes) == Ok(Kind::Signed) {
            self.recorder.signed(&bytes);
            self.edge_to_kit.send_reliably(self.now_us, &bytes);
        } else {
            // A console's DTLS lets nothing through that was damaged: the kit must not mind, the recorder never sees it.
            if intact {
                self.recorder.relayed(self.now_us, &bytes);
            }
            self.edge_to_kit.pass_on(self.now_us, &bytes, intact);
        }
    }

    fn kit_said(&mut self, bytes: Vec<u8>) {
        match Kind::of(&bytes) {
            Ok(Kind::KitState) => {
                if let Ok(state) = KitState::read(&bytes) {
                    self.newest_kit_tick = self.newest_kit_tick.max(state.tick);
                    self.count(&state);
                }
                self.seats.iter_mut().for_each(|seat| seat.from_edge.send(self.now_us, &bytes));
            }
            Ok(Kind::KitSegment) => {
                if let Err(words) = self.logbook.take(&bytes) {
                    self.checker.log_broken(self.now_us, words);
                }
            }
            _ => {
                self.hear(&bytes);
                for seat in &mut self.seats {
                    seat.from_edge.send_reliably(self.now_us, &bytes);
                }
            }
        }
    }

    /// The bedside's page listens, too.
    fn hear(&mut self, bytes: &[u8]) {
        let Ok(signed) = Signed::read(bytes) else { return };
        match minicbor::decode(&signed.body) {
            Ok(Statement { said: Said::Notice { notice }, .. }) => self.notice = Some(notice),
            Ok(Statement { said: Said::Refused { why, .. }, .. }) => {
                *self.outcome.orders_refused.entry(without_numbers(&why)).or_default() += 1;
            }
            _ => {}
        }
    }

    fn count(&mut self, state: &KitState) {
        if let Some(reason) = state.reason {
            *self.outcome.reasons.entry(reason.name()).or_default() += 1;
        }
        for verdict in &state.verdicts {
            match verdict.rejection {
                None => self.outcome.applied += 1,
                Some(rejection) => {
                    *self.outcome.refused.entry(rejection.name()).or_default() += 1;
                    self.outcome.last_refused.insert(rejection.name(), rejection);
                }
            }
        }
    }

    fn film(&mut self) {
        self.frame += 1;
        let frame = FrameId(self.frame);
        if self.pictures.len() == PICTURES_MAX {
            self.pictures.pop_front();
        }
        self.pictures.push_back((frame, self.arms[0].tip_mm()));
        self.practice.iter_mut().for_each(|practice| practice.film(frame));
        let mark = FrameMark { frame, kit_tick_at_capture: self.newest_kit_tick };
        self.edge_to_kit.send(self.now_us, &mark.to_bytes());
        let record = FrameRecord {
            frame,
            rtp_timestamp: (self.now_us * 9 / 100) as u32,
            captured: EdgeTick(self.now_us),
            key_frame: false,
            au_hash: [0; 32],
            picture_hash: [0; 32],
        };
        self.seats.iter_mut().for_each(|seat| seat.from_edge.send(self.now_us, &record.to_bytes()));
    }
}

/// A sentence about any number.
fn without_numbers(words: &str) -> String {
    words.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

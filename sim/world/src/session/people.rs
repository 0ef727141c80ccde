//! Two surgeons at their consoles far away, and whoever stands at the bedside.

use farhand_wire::{FrameRecord, Mode, Said, state_flags};
use fastrand::Rng;

use super::{Session, WIDE};
use crate::{Console, Fault, Line, Series, Trunk, Way, surgeon::Sent};

/// Without control for so long, the one who is to operate is given it by two people.
const PATIENCE_US: u64 = 4_000_000;
/// People at the bedside look up so often.
const LOOK_US: u64 = 50_000;
/// A hand that was taken off comes back; so seldom it is.
const LETS_GO_ONE_IN: u32 = 4_000;

/// A surgeon at a console, and the wide area between it and the edge box: two paths each way.
pub(super) struct Seat {
    pub(super) console: Console,
    pub(super) to_edge: Trunk,
    pub(super) from_edge: Trunk,
}

impl Seat {
    pub(super) fn new(console: Console, rng: &mut Rng, series: Option<&Series>) -> Self {
        let [to_edge, from_edge] = [(); 2].map(|()| {
            let paths = [(); 2].map(|()| match series {
                None => Line::new(rng.u64(..), WIDE),
                Some(series) => {
                    let begin_us = rng.u64(0..series.length_us());
                    Line::new(rng.u64(..), WIDE).with_series(series.clone(), begin_us)
                }
            });
            Trunk::new(rng.u64(..), paths)
        });
        Self { console, to_edge, from_edge }
    }

    /// Both paths go the same way: there is one line.
    pub(super) fn lay(&mut self, ways: &[Way; 2]) {
        for (trunk, way) in [&mut self.to_edge, &mut self.from_edge].into_iter().zip(ways) {
            *trunk = Trunk::new(0, [(); 2].map(|()| Line::along(way.clone())));
        }
    }
}

impl Session {
    pub(super) fn people(&mut self) {
        (0..self.seats.len()).for_each(|seat| self.sit(seat));
        if self.now_us.is_multiple_of(LOOK_US) {
            self.stand_at_the_bedside();
        }
    }

    fn sit(&mut self, number: usize) {
        let lets_go = self.rng.u32(0..LETS_GO_ONE_IN) == 0;
        let (target_mm, grasped) = (self.task.target_mm, self.task.is_grasped());
        let seat = &mut self.seats[number];
        let mut sent = Vec::new();
        // The browser's DTLS lets nothing through that was damaged.
        for delivery in seat.from_edge.receive(self.now_us).into_iter().filter(|it| it.intact) {
            seat.console.receive(&delivery.bytes, &mut sent);
            let shown = FrameRecord::read(&delivery.bytes).ok().map(|record| record.frame);
            if let (Some(practice), Some(frame)) = (&mut self.practice, shown) {
                practice.shown(number, frame);
            }
            let picture = self.pictures.iter().rev().find(|(frame, _)| Some(*frame) == shown);
            if let (Some(sight), Some((_, tool_mm))) = (&mut seat.console.sight, picture) {
                sight.picture(self.now_us, *tool_mm);
            }
        }
        match &mut self.practice {
            Some(practice) => practice.work(number, self.now_us, &mut seat.console),
            None => seat.console.look_at(target_mm, grasped),
        }
        seat.console.step(self.now_us, &mut sent);
        if lets_go && self.practice.is_none() {
            seat.console.let_go(self.now_us);
        }
        for message in sent {
            match message {
                Sent::Reliable(bytes) => seat.to_edge.send_reliably(self.now_us, &bytes),
                Sent::Unreliable(bytes) => {
                    self.outcome.commands += 1;
                    seat.to_edge.send(self.now_us, &bytes);
                }
            }
        }
    }

    /// No wide area in between.
    fn stand_at_the_bedside(&mut self) {
        let Some(notice) = self.notice.clone() else { return };
        let (has, challenge) = (|flag| notice.flags & flag != 0, notice.challenge);
        self.give_control_back(has(state_flags::ARMED) && !has(state_flags::LEASED));
        let mut said = Vec::from_iter(self.bedside.repeat_press(Some(&notice)));
        if self.has(Fault::Conspiracy) {
            // Looks away.
        } else if notice.mode == Mode::Stopped as u8 {
            said.extend(self.bedside.sign(self.now_us, "clear", challenge, Said::ClearEStop { challenge }));
        } else if !has(state_flags::HOMED) && notice.operating_state != 1 {
            said.extend(self.bedside.sign(self.now_us, "home", challenge, Said::Home { challenge }));
        } else if has(state_flags::HOMED) && !has(state_flags::ARMED) && !self.has(Fault::Disarmed) {
            said.extend(self.bedside.sign(self.now_us, "arm", challenge, Said::Arm { challenge }));
        }
        said.into_iter().for_each(|bytes| self.edge_to_kit.send_reliably(self.now_us, &bytes));
    }

    /// Somebody who may not have control operates, or wants to: two people see to it, once its holder has been gone for a lease.
    fn give_control_back(&mut self, free: bool) {
        let Some(notice) = &self.notice else { return };
        let challenge = notice.challenge;
        let to = self.seats[self.operating].console.person.keys.speaker();
        let anothers = free && notice.holder.is_some_and(|holder| holder != to);
        if !anothers {
            self.out_of_reach_us = None;
            return;
        }
        let since_us = *self.out_of_reach_us.get_or_insert(self.now_us);
        if self.has(Fault::TakenOver) || self.now_us > since_us + PATIENCE_US {
            let said = Said::TakeOver { challenge, to };
            let signed = self.bedside.sign(self.now_us, "take over", challenge, said.clone());
            signed.into_iter().for_each(|bytes| self.edge_to_kit.send_reliably(self.now_us, &bytes));
            let seat = &mut self.seats[self.operating];
            let signed = seat.console.person.sign(self.now_us, "take over", challenge, said);
            signed.into_iter().for_each(|bytes| seat.to_edge.send_reliably(self.now_us, &bytes));
        }
    }
}

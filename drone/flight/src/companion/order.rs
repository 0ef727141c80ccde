//! One command on its way: sent, repeated a bounded number of times, answered.

use mavlink::dialects::common::*;

use super::Peer;
use crate::{FlightError, FlightLimits};

/// How long "in progress" keeps us from asking again.
const IN_PROGRESS_US: u64 = 3_000_000;

#[derive(Debug, Clone)]
pub(super) struct Order {
    what: &'static str,
    command: COMMAND_LONG_DATA,
    began_us: u64,
    due_us: u64,
    tries: u32,
    answer: Option<MavResult>,
}

impl Order {
    /// An order that is first sent at `due_us`. Parameters 1 to 7.
    pub(super) fn new(what: &'static str, to: Peer, command: MavCmd, p: [f32; 7], due_us: u64) -> Self {
        let command = COMMAND_LONG_DATA {
            param1: p[0],
            param2: p[1],
            param3: p[2],
            param4: p[3],
            param5: p[4],
            param6: p[5],
            param7: p[6],
            command,
            target_system: to.system,
            target_component: to.component,
            confirmation: 0,
        };
        Self { what, command, began_us: due_us, due_us, tries: 0, answer: None }
    }

    pub(super) fn hear(&mut self, now_us: u64, ack: &COMMAND_ACK_DATA) {
        if ack.command != self.command.command || self.tries == 0 {
            return;
        }
        if ack.result == MavResult::MAV_RESULT_IN_PROGRESS {
            self.due_us = now_us + IN_PROGRESS_US;
        } else {
            self.answer = Some(ack.result);
        }
    }

    pub(super) fn answer(&self) -> Option<MavResult> {
        self.answer
    }

    /// The command if it is time to send it (again); an error once all tries are used up.
    pub(super) fn poll(
        &mut self,
        now_us: u64,
        limits: &FlightLimits,
    ) -> Result<Option<MavMessage>, FlightError> {
        if self.answer.is_some() || now_us < self.due_us {
            return Ok(None);
        }
        if self.tries >= limits.tries_max {
            let waited_ms = (now_us - self.began_us) / 1_000;
            return Err(FlightError::NoAnswer { what: self.what, tries: self.tries, waited_ms });
        }
        let mut command = self.command.clone();
        command.confirmation = self.tries.min(255) as u8;
        self.tries += 1;
        self.due_us = now_us + limits.repeat_ms * 1_000;
        Ok(Some(MavMessage::COMMAND_LONG(command)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: Peer = Peer { system: 1, component: 1 };

    fn ack(result: MavResult) -> COMMAND_ACK_DATA {
        COMMAND_ACK_DATA { command: MavCmd::MAV_CMD_DO_GRIPPER, result, ..Default::default() }
    }

    fn order() -> Order {
        Order::new("open the gripper", TO, MavCmd::MAV_CMD_DO_GRIPPER, [0.0; 7], 0)
    }

    /// Goal: an unanswered order is repeated, counted in the message itself, and given up after its last try.
    #[test]
    fn it_is_repeated_and_given_up() {
        let (mut order, limits) = (order(), FlightLimits::default());
        for tried in 0..limits.tries_max {
            let now_us = u64::from(tried) * limits.repeat_ms * 1_000;
            let sent = order.poll(now_us, &limits).unwrap();
            let seen =
                matches!(&sent, Some(MavMessage::COMMAND_LONG(c)) if u32::from(c.confirmation) == tried);
            assert!(seen, "{tried}: {sent:?}");
            assert_eq!(order.poll(now_us + 1, &limits), Ok(None));
        }
        let end = order.poll(60_000_000, &limits);
        assert!(matches!(end, Err(FlightError::NoAnswer { tries: 15, .. })), "{end:?}");
    }

    /// Goal: "in progress" puts the next try off and is no answer; what follows is.
    #[test]
    fn in_progress_is_waited_for() {
        let (mut order, limits) = (order(), FlightLimits::default());
        order.hear(0, &ack(MavResult::MAV_RESULT_ACCEPTED));
        assert_eq!(order.answer(), None, "nothing was asked yet");
        assert!(order.poll(0, &limits).unwrap().is_some());
        order.hear(100_000, &ack(MavResult::MAV_RESULT_IN_PROGRESS));
        assert_eq!((order.answer(), order.poll(3_000_000, &limits)), (None, Ok(None)));
        assert!(order.poll(3_100_000, &limits).unwrap().is_some());
        order.hear(3_200_000, &ack(MavResult::MAV_RESULT_FAILED));
        assert_eq!(order.answer(), Some(MavResult::MAV_RESULT_FAILED));
    }
}

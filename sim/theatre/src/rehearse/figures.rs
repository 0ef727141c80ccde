//! How the line was, as the kit saw it: from the session's record alone. Pure but for reading it.
//!
//! Each arm is read for itself: one may wait while another moves. Counted is what lies before the e-stop that the script
//! presses: what follows is not the line's doing. A hold is the line's if the hand was on the arm, with the dead-man held and
//! the clutch up, when its tool came to stand.

use std::{collections::BTreeMap, fmt, path::Path};

use farhand_ledger::{KitSegment, Outcome, Segment as _, What};
use farhand_wire::{Command, EngagementId, KitState, KitTick, LeaseToken, Mode, Rejection, Sequence};

use serde_json::json;

use super::compare::each_entry;
use crate::bench::percentile_ms;

/// A session's figures. Times are the kit's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Ages of all commands that were judged, applied or refused, from the kit tick that each echoes; µs, sorted.
    pub(crate) ages_us: Vec<u64>,
    /// Longest time between two commands that were applied to one arm while the hand was on it, pauses included.
    pub(crate) gap_us_max: u64,
    /// A tool came to stand under the hand, and why, by the refusal's name.
    pub(crate) holds: BTreeMap<&'static str, u64>,
    /// Of the line's holds, those that needed release, press and a new engagement.
    pub(crate) pauses: u64,
    /// After a pause a tool moved again, without that: never.
    pub(crate) unritual: u64,
    /// Commands that were applied: they asked for motion.
    pub(crate) applied: u64,
    /// What most commands that asked for motion were refused for, with values in the middle.
    pub(crate) refused: Option<Rejection>,
}

/// What the record says.
#[derive(Debug, Default)]
struct Record {
    commands: BTreeMap<(LeaseToken, Sequence), Hand>,
    verdicts: Vec<(KitTick, LeaseToken, Sequence, Outcome)>,
    /// By arm.
    states: BTreeMap<u8, Vec<Stand>>,
}

/// What it says of one arm, in the kit's order of time.
#[derive(Debug)]
struct Arm {
    /// Its commands, and every release: there is one dead-man.
    judged: Vec<Judged>,
    states: Vec<Stand>,
}

#[derive(Clone, Copy, Debug)]
struct Judged {
    tick: KitTick,
    token: LeaseToken,
    hand: Hand,
    outcome: Outcome,
}

/// A command, as far as it matters here.
#[derive(Clone, Copy, Debug)]
struct Hand {
    echo: KitTick,
    arm: u8,
    dead_man: bool,
    clutch: bool,
    engagement: EngagementId,
}

/// A kit state, as far as it matters here.
#[derive(Clone, Copy, Debug)]
struct Stand {
    tick: KitTick,
    mode: Mode,
    reason: Option<Rejection>,
}

/// The figures of the session in `bundle`.
pub(crate) fn of(bundle: &Path) -> anyhow::Result<Figures> {
    let mut record = Record::default();
    each_entry(bundle, |what| record.take(&what))?;
    Ok(record.figures())
}

impl Figures {
    pub(crate) fn age_ms(&self, share: f64) -> f64 {
        percentile_ms(&self.ages_us, share)
    }

    pub(crate) fn gap_ms_max(&self) -> f64 {
        self.gap_us_max as f64 / 1e3
    }

    /// Those that are the line's doing.
    pub(crate) fn line_holds(&self) -> u64 {
        self.holds.iter().filter(|(why, _)| is_lines(why)).map(|(_, count)| count).sum()
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        json!({
            "command_age_ms_p50": self.age_ms(0.50), "command_age_ms_p99": self.age_ms(0.99),
            "applied_gap_ms_max": self.gap_ms_max(), "applied_held_on": self.applied,
            "holds": self.line_holds(), "holds_by_reason": self.holds, "pauses": self.pauses,
            "resumed_without_ritual": self.unritual, "refused_most": self.refused.map(|why| why.to_string()),
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "commands {:.0} ms old (p50), {:.0} ms (p99); longest gap {:.0} ms; {} holds, {} of them pauses",
            self.age_ms(0.50),
            self.age_ms(0.99),
            self.gap_ms_max(),
            self.line_holds(),
            self.pauses
        )
    }
}

impl Record {
    fn take(&mut self, what: &What) {
        match what {
            What::Command { frame } => {
                if let Ok(Command {
                    token,
                    sequence,
                    kit_tick_echo: echo,
                    arm,
                    dead_man,
                    clutch,
                    engagement,
                    ..
                }) = Command::read(frame)
                {
                    self.commands.insert((token, sequence), Hand { echo, arm, dead_man, clutch, engagement });
                }
            }
            What::KitSegment { signed } => {
                if let Ok((_, segment)) = KitSegment::open(signed) {
                    let verdicts = segment.verdicts.iter();
                    self.verdicts
                        .extend(verdicts.map(|one| (one.tick, segment.token, one.sequence, one.outcome)));
                }
            }
            What::KitState { sealed } => {
                if let Ok(KitState { arm, tick, mode, reason, .. }) = KitState::read(sealed) {
                    self.states.entry(arm.number).or_default().push(Stand { tick, mode, reason });
                }
            }
            _ => {}
        }
    }

    fn figures(mut self) -> Figures {
        self.verdicts.sort_by_key(|(tick, token, sequence, _)| (*tick, *token, *sequence));
        self.states.values_mut().for_each(|states| states.sort_by_key(|state| state.tick));
        let until = self.stopped();
        let before_stop = self.verdicts.iter().filter(|(tick, ..)| *tick < until);
        let judged: Vec<Judged> = before_stop
            .filter_map(|(tick, token, sequence, outcome)| {
                let hand = *self.commands.get(&(*token, *sequence))?;
                Some(Judged { tick: *tick, token: *token, hand, outcome: *outcome })
            })
            .collect();
        let mut ages_us: Vec<u64> =
            judged.iter().map(|one| one.tick.0.saturating_sub(one.hand.echo.0)).collect();
        ages_us.sort_unstable();
        let mut figures = Figures { ages_us, refused: refused_most(&judged), ..Figures::default() };
        for (number, states) in self.states {
            let of_arm = |one: &&Judged| one.hand.arm == number || !one.hand.dead_man;
            let arm = Arm {
                judged: judged.iter().filter(of_arm).copied().collect(),
                states: states.into_iter().filter(|state| state.tick < until).collect(),
            };
            arm.count_commands(&mut figures);
            arm.count_holds(&mut figures);
        }
        figures
    }

    /// When the e-stop was pressed, after a tool had moved.
    fn stopped(&self) -> KitTick {
        let first = |wanted: fn(Mode) -> bool, from: KitTick| {
            let states =
                self.states.values().flatten().filter(|state| state.tick >= from && wanted(state.mode));
            states.map(|state| state.tick).min()
        };
        let moved = first(moves, KitTick(0));
        moved.and_then(|moved| first(|mode| mode == Mode::Stopped, moved)).unwrap_or(KitTick(u64::MAX))
    }
}

impl Arm {
    fn count_commands(&self, figures: &mut Figures) {
        // The newest that was applied, and whether the hand has gone from the arm since without a pause.
        let mut newest: Option<&Judged> = None;
        let mut gone = false;
        for one in &self.judged {
            if one.outcome != Outcome::TakenIn {
                continue;
            }
            let paused = newest.and_then(|newest| self.paused_between(newest.tick, one.tick));
            if !one.hand.moves() {
                gone |= paused.is_none();
                continue;
            }
            figures.applied += 1;
            if let Some(newest) = newest {
                if !gone {
                    figures.gap_us_max = figures.gap_us_max.max(one.tick.0 - newest.tick.0);
                }
                figures.unritual += u64::from(paused.is_some_and(|since| !self.ritual(since, newest, one)));
            }
            (newest, gone) = (Some(one), false);
        }
    }

    /// The last tick at which it was not paused yet, if it was at all.
    fn paused_between(&self, from: KitTick, to: KitTick) -> Option<KitTick> {
        let after = &self.states[self.states.partition_point(|state| state.tick <= from)..];
        let states = &after[..after.partition_point(|state| state.tick < to)];
        let last = states.iter().rposition(|state| state.mode == Mode::Paused)?;
        let before = states[..last].iter().rfind(|state| state.mode != Mode::Paused);
        Some(before.map_or(from, |state| state.tick))
    }

    /// Whether someone who knew of the pause let go of the pedal, and another engagement began.
    fn ritual(&self, paused: KitTick, before: &Judged, after: &Judged) -> bool {
        let released = self.judged.iter().any(|one| {
            !one.hand.dead_man && one.hand.echo > paused && one.tick > paused && one.tick <= after.tick
        });
        released && (before.token, before.hand.engagement) != (after.token, after.hand.engagement)
    }

    fn count_holds(&self, figures: &mut Figures) {
        let mut moving = false;
        let (mut mode, mut why) = (Mode::Holding, "unsaid");
        for state in &self.states {
            let held_on = || self.held_on(state.tick);
            if moving && !moves(state.mode) && held_on() {
                why = state.reason.map_or("unsaid", |reason| reason.name());
                *figures.holds.entry(why).or_default() += 1;
            }
            if state.mode == Mode::Paused && mode != Mode::Paused && held_on() && is_lines(why) {
                figures.pauses += 1;
            }
            (moving, mode) = (moves(state.mode), state.mode);
        }
    }

    /// Whether the newest command that the kit had taken in by then had the hand on it.
    fn held_on(&self, tick: KitTick) -> bool {
        let by_then = self.judged.partition_point(|one| one.tick <= tick);
        let newest = self.judged[..by_then].iter().rfind(|one| one.outcome == Outcome::TakenIn);
        newest.is_some_and(|one| one.hand.moves())
    }
}

impl Hand {
    /// It asks for motion.
    fn moves(&self) -> bool {
        self.dead_man && !self.clutch
    }
}

/// A slow disk at the edge box holds the tool, too (P11).
fn is_lines(why: &str) -> bool {
    !matches!(why, "Unrecorded" | "Unlisted")
}

fn moves(mode: Mode) -> bool {
    matches!(mode, Mode::Free | Mode::Limited)
}

/// The refusal that came most often to what asked for motion, with the value in the middle.
fn refused_most(judged: &[Judged]) -> Option<Rejection> {
    let mut refusals: BTreeMap<u32, Vec<(i64, i64)>> = BTreeMap::new();
    for one in judged.iter().filter(|one| one.hand.moves()) {
        if let Outcome::Refused { code, seen_milli, limit_milli } = one.outcome {
            refusals.entry(code).or_default().push((seen_milli, limit_milli));
        }
    }
    let (code, mut values) = refusals.into_iter().max_by_key(|(_, values)| values.len())?;
    values.sort_unstable();
    let (seen, limit) = values[values.len() / 2];
    Rejection::from_parts(code, seen as f64 / 1e3, limit as f64 / 1e3).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: LeaseToken = LeaseToken(1);

    fn ms(ms: u64) -> KitTick {
        KitTick(ms * 1_000)
    }

    impl Record {
        /// A command for the first arm that was 20 ms old when it was judged.
        fn command(self, at_ms: u64, engagement: u64, dead_man: bool, outcome: Outcome) -> Self {
            self.hand(0, at_ms, engagement, (dead_man, false), outcome)
        }

        /// One for any arm, with the pedals: dead-man and clutch.
        fn hand(
            mut self,
            arm: u8,
            at_ms: u64,
            engagement: u64,
            (dead_man, clutch): (bool, bool),
            outcome: Outcome,
        ) -> Self {
            let sequence = Sequence(self.verdicts.len() as u64 + 1);
            let engagement = EngagementId(engagement);
            let hand = Hand { echo: ms(at_ms - 20), arm, dead_man, clutch, engagement };
            self.commands.insert((TOKEN, sequence), hand);
            self.verdicts.push((ms(at_ms), TOKEN, sequence, outcome));
            self
        }

        fn state(self, at_ms: u64, mode: Mode) -> Self {
            self.stand(0, at_ms, mode)
        }

        fn stand(mut self, arm: u8, at_ms: u64, mode: Mode) -> Self {
            let reason = Some(Rejection::Silent { silent_ms: 51.0, max_ms: 50.0 });
            self.states.entry(arm).or_default().push(Stand { tick: ms(at_ms), mode, reason });
            self
        }
    }

    fn stall() -> Record {
        Record::default()
            .command(100, 1, true, Outcome::TakenIn)
            .state(101, Mode::Free)
            .command(108, 1, true, Outcome::TakenIn)
            .state(170, Mode::Holding)
            .state(700, Mode::Paused)
    }

    /// Goal: a stall is one hold, one pause and one gap; letting go and pressing again is the ritual; what comes after the e-stop
    /// does not count.
    #[test]
    fn a_stall_is_a_hold_a_pause_and_a_ritual() {
        let refused = Outcome::Refused { code: 11, seen_milli: 900_000, limit_milli: 500_000 };
        let figures = stall()
            .command(1_000, 1, true, refused)
            .command(1_100, 1, false, Outcome::TakenIn)
            .state(1_101, Mode::Holding)
            .command(1_300, 2, true, Outcome::TakenIn)
            .state(1_301, Mode::Free)
            .state(1_400, Mode::Stopped)
            .command(9_000, 3, true, Outcome::TakenIn)
            .figures();
        assert_eq!(figures.ages_us, vec![20_000; 5]);
        assert_eq!((figures.gap_us_max, figures.applied), (1_192_000, 3));
        assert_eq!(
            (figures.holds, figures.pauses, figures.unritual),
            (BTreeMap::from([("Silent", 1)]), 1, 0)
        );
        assert_eq!(figures.refused, Some(Rejection::Paused { silent_ms: 900.0, max_ms: 500.0 }));
    }

    /// Goal: motion after a pause without a release, or in the old engagement, is told.
    #[test]
    fn motion_without_the_ritual_is_told() {
        let unritual = |record: Record| record.state(1_301, Mode::Free).figures().unritual;
        assert_eq!(unritual(stall().command(1_300, 2, true, Outcome::TakenIn)), 1);
        let released = stall().command(1_100, 1, false, Outcome::TakenIn);
        assert_eq!(unritual(released.command(1_300, 1, true, Outcome::TakenIn)), 1);
        let unaware = stall().command(175, 1, false, Outcome::TakenIn);
        assert_eq!(unritual(unaware.command(1_300, 2, true, Outcome::TakenIn)), 1);
    }

    /// Goal: an arm that waits is no pause of the one that moves, and what moves one without the ritual is told, whichever arm it is.
    #[test]
    fn each_arm_is_read_for_itself() {
        let both = |arm| {
            let record = stall().stand(1, 101, Mode::Paused).stand(1, 1_200, Mode::Paused);
            let record = record.command(1_100, 1, false, Outcome::TakenIn);
            let record = record.command(1_190, 2, true, Outcome::TakenIn).state(1_191, Mode::Free);
            let record = record.hand(arm, 1_250, 2, (true, false), Outcome::TakenIn);
            record.stand(arm, 1_251, Mode::Free).figures()
        };
        assert_eq!((both(0).unritual, both(0).pauses, both(0).gap_us_max), (0, 1, 1_082_000));
        let second = stall().hand(1, 710, 1, (true, false), Outcome::TakenIn).stand(1, 711, Mode::Free);
        let second = second.stand(1, 800, Mode::Paused).hand(1, 900, 1, (true, false), Outcome::TakenIn);
        assert_eq!(second.figures().unritual, 1);
    }

    /// Goal: a clutched hand moves nothing: it is neither applied nor held on, whatever the line.
    #[test]
    fn a_clutched_hand_is_on_no_arm() {
        let figures = Record::default()
            .hand(1, 100, 1, (true, false), Outcome::TakenIn)
            .stand(1, 100, Mode::Free)
            .hand(1, 100, 1, (true, false), Outcome::TakenIn) // came in the same tick
            .hand(1, 110, 1, (true, true), Outcome::TakenIn)
            .stand(1, 111, Mode::Holding)
            .stand(1, 700, Mode::Paused)
            .hand(1, 900, 1, (true, true), Outcome::TakenIn)
            .hand(1, 900, 1, (true, true), Outcome::TakenIn)
            .hand(0, 910, 1, (false, false), Outcome::TakenIn)
            .hand(1, 950, 2, (true, false), Outcome::TakenIn)
            .figures();
        assert_eq!((figures.applied, figures.gap_us_max, figures.unritual), (3, 0, 0));
        assert_eq!((figures.holds.len(), figures.pauses), (0, 0));
    }

    /// Goal: a hold for the record's sake is told, and is not the line's.
    #[test]
    fn a_slow_disk_is_not_the_line() {
        let mut record = stall();
        let why = Rejection::Unrecorded { lead_ms: 120.0, max_ms: 100.0 };
        record.states.values_mut().flatten().for_each(|state| state.reason = Some(why));
        let figures = record.figures();
        assert_eq!((figures.line_holds(), figures.pauses), (0, 0));
        assert_eq!(figures.holds, BTreeMap::from([("Unrecorded", 1)]));
    }

    /// Goal: a surgeon who lets go makes neither a hold nor a gap.
    #[test]
    fn letting_go_is_not_the_lines_doing() {
        let figures = Record::default()
            .command(100, 1, true, Outcome::TakenIn)
            .state(101, Mode::Free)
            .command(110, 1, false, Outcome::TakenIn)
            .state(111, Mode::Holding)
            .command(900, 2, true, Outcome::TakenIn)
            .figures();
        assert_eq!((figures.gap_us_max, figures.holds.len(), figures.pauses), (0, 0, 0));
    }
}

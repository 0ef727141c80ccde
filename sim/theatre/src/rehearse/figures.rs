//! How the line was, as the kit saw it: from the session's record alone. Pure but for reading it.
//!
//! Counted is what lies before the e-stop that the script presses: what follows is not the line's doing. A hold is the line's
//! if the dead-man was held when the tool came to stand.

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
    /// Longest time between two applied commands while the surgeon held on, pauses included.
    pub(crate) gap_us_max: u64,
    /// The tool came to stand with the dead-man held, and why, by the refusal's name.
    pub(crate) holds: BTreeMap<&'static str, u64>,
    /// Of the line's holds, those that needed release, press and a new engagement.
    pub(crate) pauses: u64,
    /// After a pause the tool moved again, without that: never.
    pub(crate) unritual: u64,
    /// Commands of a held dead-man that were applied.
    pub(crate) applied: u64,
    /// What most commands of a held dead-man were refused for, with values in the middle.
    pub(crate) refused: Option<Rejection>,
}

/// What the record says, in the kit's order of time.
#[derive(Debug, Default)]
struct Record {
    commands: BTreeMap<(LeaseToken, Sequence), Hand>,
    /// By tick, then in order.
    verdicts: Vec<(KitTick, LeaseToken, Sequence, Outcome)>,
    states: Vec<Stand>,
}

/// A command, as far as it matters here.
#[derive(Clone, Copy, Debug)]
struct Hand {
    echo: KitTick,
    dead_man: bool,
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
                if let Ok(Command { token, sequence, kit_tick_echo: echo, dead_man, engagement, .. }) =
                    Command::read(frame)
                {
                    self.commands.insert((token, sequence), Hand { echo, dead_man, engagement });
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
                // The scripted surgeon works with the first arm.
                let state = KitState::read(sealed).ok().filter(|state| state.arm.number == 0);
                if let Some(KitState { tick, mode, reason, .. }) = state {
                    self.states.push(Stand { tick, mode, reason });
                }
            }
            _ => {}
        }
    }

    fn figures(mut self) -> Figures {
        self.verdicts.sort_by_key(|(tick, token, sequence, _)| (*tick, *token, *sequence));
        self.states.sort_by_key(|state| state.tick);
        let until = self.stopped();
        self.states.retain(|state| state.tick < until);
        self.verdicts.retain(|(tick, ..)| *tick < until);
        let mut figures = Figures::default();
        self.count_commands(&mut figures);
        self.count_holds(&mut figures);
        figures.ages_us.sort_unstable();
        figures
    }

    /// When the e-stop was pressed, after the tool had moved.
    fn stopped(&self) -> KitTick {
        let moving = self.states.iter().skip_while(|state| !moves(state.mode));
        moving
            .map(|state| (state.tick, state.mode))
            .find(|(_, mode)| *mode == Mode::Stopped)
            .map_or(KitTick(u64::MAX), |it| it.0)
    }

    fn count_commands(&self, figures: &mut Figures) {
        let mut refusals: BTreeMap<u32, Vec<(i64, i64)>> = BTreeMap::new();
        // The newest that was applied, and whether a release was taken in since.
        let mut newest: Option<(KitTick, LeaseToken, EngagementId)> = None;
        let mut released = false;
        for (tick, token, sequence, outcome) in &self.verdicts {
            let Some(hand) = self.commands.get(&(*token, *sequence)) else { continue };
            figures.ages_us.push(tick.0.saturating_sub(hand.echo.0));
            match outcome {
                Outcome::TakenIn if hand.dead_man => {
                    figures.applied += 1;
                    if let Some((before, of, engagement)) = newest {
                        let same = of == *token && engagement == hand.engagement;
                        let paused = self.paused_between(before, *tick);
                        if same || paused {
                            figures.gap_us_max = figures.gap_us_max.max(tick.0 - before.0);
                        }
                        figures.unritual += u64::from(paused && (same || !released));
                    }
                    newest = Some((*tick, *token, hand.engagement));
                    released = false;
                }
                Outcome::TakenIn => released = true,
                Outcome::Refused { code, seen_milli, limit_milli } if hand.dead_man => {
                    refusals.entry(*code).or_default().push((*seen_milli, *limit_milli));
                }
                Outcome::Refused { .. } => {}
            }
        }
        figures.refused = most(refusals);
    }

    fn paused_between(&self, from: KitTick, to: KitTick) -> bool {
        let first = self.states.partition_point(|state| state.tick <= from);
        self.states[first..]
            .iter()
            .take_while(|state| state.tick < to)
            .any(|state| state.mode == Mode::Paused)
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

    /// Whether the newest command that the kit had taken in by then had the dead-man held.
    fn held_on(&self, tick: KitTick) -> bool {
        let by_then = self.verdicts.partition_point(|(at, ..)| *at <= tick);
        let taken =
            self.verdicts[..by_then].iter().rev().filter(|(.., outcome)| *outcome == Outcome::TakenIn);
        let mut taken = taken.filter_map(|(_, token, sequence, _)| self.commands.get(&(*token, *sequence)));
        taken.next().is_some_and(|hand| hand.dead_man)
    }
}

/// A slow disk at the edge box holds the tool, too (P11).
fn is_lines(why: &str) -> bool {
    !matches!(why, "Unrecorded" | "Unlisted")
}

fn moves(mode: Mode) -> bool {
    matches!(mode, Mode::Free | Mode::Limited)
}

/// The refusal that came most often, with the value in the middle.
fn most(refusals: BTreeMap<u32, Vec<(i64, i64)>>) -> Option<Rejection> {
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
        /// A command that was 20 ms old when it was judged.
        fn command(mut self, at_ms: u64, engagement: u64, dead_man: bool, outcome: Outcome) -> Self {
            let sequence = Sequence(self.verdicts.len() as u64 + 1);
            let hand = Hand { echo: ms(at_ms - 20), dead_man, engagement: EngagementId(engagement) };
            self.commands.insert((TOKEN, sequence), hand);
            self.verdicts.push((ms(at_ms), TOKEN, sequence, outcome));
            self
        }

        fn state(mut self, at_ms: u64, mode: Mode) -> Self {
            let reason = Some(Rejection::Silent { silent_ms: 51.0, max_ms: 50.0 });
            self.states.push(Stand { tick: ms(at_ms), mode, reason });
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
    }

    /// Goal: a hold for the record's sake is told, and is not the line's.
    #[test]
    fn a_slow_disk_is_not_the_line() {
        let mut record = stall();
        let why = Rejection::Unrecorded { lead_ms: 120.0, max_ms: 100.0 };
        record.states.iter_mut().for_each(|state| state.reason = Some(why));
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

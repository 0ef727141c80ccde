//! How each path of a console is, by the commands that came over it.

use crate::meeting::CONSOLE_PATHS_MAX;

/// Counts for each path, since it came.
#[derive(Debug, Default)]
pub(super) struct PathTallies([Tally; CONSOLE_PATHS_MAX]);

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    heard: u64,
    first: u64,
}

impl PathTallies {
    /// A new connection under that number.
    pub(super) fn begin(&mut self, path: u8) {
        if let Some(tally) = self.0.get_mut(usize::from(path)) {
            *tally = Tally::default();
        }
    }

    /// A command came; `first`: over no other path before.
    pub(super) fn heard(&mut self, path: u8, first: bool) {
        if let Some(tally) = self.0.get_mut(usize::from(path)) {
            tally.heard += 1;
            tally.first += u64::from(first);
        }
    }

    /// For the record.
    pub(super) fn in_words(&self, path: u8, rtt_ms: Option<f64>) -> String {
        let Tally { heard, first } = self.0.get(usize::from(path)).copied().unwrap_or_default();
        let rtt = rtt_ms.map(|ms| format!("rtt {ms:.1} ms, ")).unwrap_or_default();
        format!("{rtt}{first} of {heard} commands first")
    }
}

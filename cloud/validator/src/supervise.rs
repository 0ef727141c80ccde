//! Keeps a process running: starts it, kills it when it hangs, starts it again when it ends.
//!
//! [`Restarts`] and [`Pulse`] decide, [`Supervisor`] does as they say. A process ends when its standard input does, so
//! that nothing outlives its supervisor, however that one ends; two of a validator must never run.

use std::{
    fmt, fs, io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::{
    process::{Child, ChildStdin, Command},
    sync::{Notify, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    fault::{EXIT_DISK, EXIT_EPOCH_ENDED, EXIT_RETIRED, EXIT_UNWELL},
    status,
};

/// A disk that failed is tried again after this, without end: somebody has to make room, or to mend it.
const REST_DISK: Duration = Duration::from_secs(30);
/// After a crash, at first; doubled for each that follows soon.
const REST: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(60);
/// Who ran for so long did not die of its start.
const SOON: Duration = Duration::from_secs(10);
/// A process gets this long to end by itself.
const STOP: Duration = Duration::from_secs(8);
/// How often the status file is looked at; a validator writes it as often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks at a status file that stands still, before its process is killed. Looks, not a time: a machine that was
/// suspended woke the supervisor as late as the validator.
const STILL_LOOKS_MAX: u32 = 15;
/// The same before the first status: a large store is repaired after a power cut.
const STARTING_LOOKS_MAX: u32 = 300;

/// Starts one process again and again.
pub struct Supervisor<B> {
    /// What it is called in the log.
    pub name: String,
    /// Starts the process, its standard input piped.
    pub begin: B,
    /// The data folder of a validator, whose status shows that it lives.
    pub data_dir: Option<PathBuf>,
    /// The process now.
    pub pid: watch::Sender<Option<u32>>,
    /// Kills the process, as power that fails would. It is started again like any that died, however often.
    pub kill: Arc<Notify>,
}

impl<B> fmt::Debug for Supervisor<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a process came to its end, or to none.
enum End {
    Exited(io::Result<ExitStatus>),
    Hung,
    Killed,
    NotStarted(io::Error),
}

impl<B: FnMut() -> io::Result<Child> + Send> Supervisor<B> {
    /// **Keeps the process running until `stop` is ready; then ends it and waits for that.**
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        tokio::pin!(stop);
        let mut restarts = Restarts::default();
        loop {
            let began = Instant::now();
            let end = match (self.begin)() {
                Ok(mut child) => {
                    self.pid.send_replace(child.id());
                    let input = child.stdin.take();
                    tokio::select! {
                        end = self.attend(&mut child) => end,
                        () = &mut stop => return finish(child, input).await,
                    }
                }
                Err(error) => End::NotStarted(error),
            };
            self.pid.send_replace(None);
            if end.code() == Some(EXIT_RETIRED.into()) {
                tracing::warn!(name = self.name, "the ledger goes on without it; it is not started again");
                return stop.await;
            }
            let rest = match end {
                End::Killed => REST,
                _ => restarts.rest(end.code(), began.elapsed()),
            };
            self.say(&end, rest);
            tokio::select! {
                () = sleep(rest) => {}
                () = &mut stop => return,
            }
        }
    }

    async fn attend(&self, child: &mut Child) -> End {
        let end = tokio::select! {
            status = child.wait() => return End::Exited(status),
            () = self.hangs() => End::Hung,
            () = self.kill.notified() => End::Killed,
        };
        let _ = child.kill().await; // it may have ended just now
        end
    }

    async fn hangs(&self) {
        let Some(dir) = &self.data_dir else { return std::future::pending().await };
        let mut pulse = Pulse::new(fs::read(status::path(dir)).ok());
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while pulse.beats(fs::read(status::path(dir)).ok()) {
            looks.tick().await;
        }
    }

    fn say(&self, end: &End, rest: Duration) {
        let (name, rest_s) = (&self.name, rest.as_secs());
        match end {
            End::NotStarted(error) => {
                tracing::error!(name, %error, rest_s, "could not be started; will be tried again")
            }
            End::Exited(_) if end.code() == Some(EXIT_DISK.into()) => tracing::error!(
                name,
                rest_s,
                "its disk failed: look at space, errors and permissions; it is started again until that is mended"
            ),
            End::Exited(_) if end.code() == Some(EXIT_EPOCH_ENDED.into()) => {
                tracing::info!(name, rest_s, "its epoch ended; is started again in the next one")
            }
            End::Exited(Ok(status)) => tracing::warn!(name, %status, rest_s, "ended; is started again"),
            End::Exited(Err(error)) => tracing::warn!(name, %error, rest_s, "was lost; is started again"),
            End::Killed => tracing::warn!(name, rest_s, "was killed, as was asked; is started again"),
            End::Hung => tracing::error!(
                name,
                rest_s,
                "wrote no status for {STILL_LOOKS_MAX} s and was killed: it hung, or its folder takes nothing; is started again"
            ),
        }
    }
}

impl End {
    fn code(&self) -> Option<i32> {
        match self {
            Self::Exited(status) => status.as_ref().ok().and_then(ExitStatus::code),
            Self::Hung | Self::Killed | Self::NotStarted(_) => None,
        }
    }
}

/// Its standard input ends, and so does it; or it is made to.
async fn finish(mut child: Child, input: Option<ChildStdin>) {
    drop(input);
    if timeout(STOP, child.wait()).await.is_err() {
        let _ = child.kill().await; // it may have ended just now
    }
}

/// A process as [`Supervisor::begin`] needs it: it ends with its supervisor.
#[must_use]
pub fn attended(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).kill_on_drop(true);
    command
}

/// How long to rest before the next start.
#[derive(Clone, Copy, Debug, Default)]
struct Restarts {
    /// Crashes soon after a start, one after the other.
    soon: u32,
}

impl Restarts {
    /// After a process that ran for `ran` and ended with `code`, if it did so by itself.
    fn rest(&mut self, code: Option<i32>, ran: Duration) -> Duration {
        if code == Some(EXIT_DISK.into()) {
            return REST_DISK;
        }
        self.soon = if ran < SOON { self.soon + 1 } else { 0 };
        let is_mended = [EXIT_UNWELL, EXIT_EPOCH_ENDED].iter().any(|mended| code == Some((*mended).into()));
        if is_mended && self.soon <= 1 {
            return Duration::ZERO;
        }
        (REST * (1 << self.soon.saturating_sub(1).min(6))).min(REST_MAX)
    }
}

/// Whether a status file goes on changing.
#[derive(Debug)]
struct Pulse {
    newest: Option<Vec<u8>>,
    looks_left: u32,
}

impl Pulse {
    /// Before its process wrote anything: `newest` is what an earlier one left.
    fn new(newest: Option<Vec<u8>>) -> Self {
        Self { newest, looks_left: STARTING_LOOKS_MAX }
    }

    fn beats(&mut self, seen: Option<Vec<u8>>) -> bool {
        if seen == self.newest {
            self.looks_left = self.looks_left.saturating_sub(1);
        } else {
            *self = Self { newest: seen, looks_left: STILL_LOOKS_MAX };
        }
        self.looks_left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// Goal: a validator that is not well is started again at once, one whose disk failed every 30 s without end, and
    /// what crashes at its start again and again ever later, but always.
    #[test]
    fn each_end_has_its_rest() {
        let mut restarts = Restarts::default();
        for _ in 0..100 {
            assert_eq!(restarts.rest(Some(75), LONG), Duration::ZERO);
            assert_eq!(restarts.rest(Some(76), LONG), Duration::ZERO);
            assert_eq!(restarts.rest(Some(74), Duration::ZERO), REST_DISK);
            assert_eq!(restarts.rest(Some(0), LONG), REST);
            assert_eq!(restarts.rest(None, LONG), REST);
        }
        let rests: Vec<u64> = (0..9).map(|_| restarts.rest(Some(1), Duration::ZERO).as_secs()).collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(restarts.rest(Some(75), Duration::ZERO), REST_MAX, "no wheel that spins");
        assert_eq!(restarts.rest(Some(75), LONG), Duration::ZERO);
        assert_eq!(restarts.rest(Some(75), Duration::ZERO), Duration::ZERO);
    }

    /// Goal: a status that changes keeps its process alive, whatever an earlier process left; one that stands still does
    /// not, and a start may take longer.
    #[test]
    fn a_status_that_stands_still_is_a_process_that_hangs() {
        let left = Some(vec![0]);
        let mut pulse = Pulse::new(left.clone());
        assert!((1..STARTING_LOOKS_MAX).all(|_| pulse.beats(left.clone())));
        assert!((1..100).all(|at| pulse.beats(Some(vec![at]))));
        assert!((1..STILL_LOOKS_MAX).all(|_| pulse.beats(Some(vec![99]))));
        assert!(!pulse.beats(Some(vec![99])));
    }
}

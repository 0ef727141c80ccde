//! What holds this machine's clock, and how far it is off by that one's word: chrony, or PTP (linuxptp), where they are.
//!
//! They are asked as people ask them, by `chronyc` and `pmc`, off the record's own threads: an answer may take a second, and
//! the newest that came counts until it is old.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use farhand_ledger::{Utc, What};

/// Between two questions.
const ASK: Duration = Duration::from_secs(10);
/// An answer that is older says nothing of now.
const OLD: Duration = Duration::from_secs(60);
/// chronyd without a source but itself, by its reference id.
const CHRONY_ALONE: &str = "7F7F0101";
/// How far the system's clock may be from the PTP clock that it follows: `phc2sys` keeps it within microseconds and does not
/// tell.
const BEHIND_PTP_US: u64 = 1_000;
const SOURCE_BYTES_MAX: usize = 64;

/// The programs that are asked.
#[derive(Clone, Debug)]
pub struct ClockTools {
    pub chronyc: PathBuf,
    pub pmc: PathBuf,
}

impl Default for ClockTools {
    fn default() -> Self {
        Self { chronyc: "chronyc".into(), pmc: "pmc".into() }
    }
}

/// How far the clock is off, by somebody's word.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    source: String,
    offset_us: i64,
    uncertainty_us: u64,
}

/// Asks every ten seconds until it is dropped.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    /// Where nobody says anything.
    uncertainty_us: u64,
    newest: Arc<Mutex<Option<(Held, Instant)>>>,
    _stop: mpsc::Sender<()>,
    _thread: Option<JoinHandle<()>>,
}

impl ClockWatch {
    /// A machine without either, or without a thread to spare, has the clock that was configured.
    pub(crate) fn start(tools: ClockTools, uncertainty_us: u64) -> Self {
        let newest = Arc::new(Mutex::new(None));
        let (stop, stopped) = mpsc::channel();
        let shared = Arc::clone(&newest);
        let ask = move || loop {
            if let Some(held) = tools.ask() {
                *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some((held, Instant::now()));
            }
            if stopped.recv_timeout(ASK) != Err(mpsc::RecvTimeoutError::Timeout) {
                return;
            }
        };
        let thread = thread::Builder::new().name("record-clock".to_owned()).spawn(ask).ok();
        Self { uncertainty_us, newest, _stop: stop, _thread: thread }
    }

    /// Now, as far as this machine knows.
    pub(crate) fn utc(&self) -> Utc {
        utc_now(self.held().map_or(self.uncertainty_us, |held| held.uncertainty_us))
    }

    /// The clock leaf of now.
    pub(crate) fn leaf(&self) -> What {
        self.held().map_or_else(
            || What::unheld_clock(utc_now(self.uncertainty_us)),
            |Held { source, offset_us, uncertainty_us }| What::Clock {
                utc: utc_now(uncertainty_us),
                source,
                offset_us,
            },
        )
    }

    fn held(&self) -> Option<Held> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        newest.filter(|(_, at)| at.elapsed() < OLD).map(|(held, _)| held)
    }
}

impl ClockTools {
    fn ask(&self) -> Option<Held> {
        let chrony = || chrony(&said(Command::new(&self.chronyc).args(["-n", "-c", "tracking"]))?);
        let ptp = || ptp(&said(Command::new(&self.pmc).args(["-u", "-b", "0", "GET TIME_STATUS_NP"]))?);
        chrony().or_else(ptp)
    }
}

fn said(question: &mut Command) -> Option<String> {
    let answer = question.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    answer.status.success().then(|| String::from_utf8(answer.stdout).ok()).flatten()
}

/// `chronyc -c tracking`: fields as in chronyc(1), times in seconds. Off by at most the system's offset, the root dispersion
/// and half the root delay.
fn chrony(line: &str) -> Option<Held> {
    let fields: Vec<&str> = line.trim().split(',').collect();
    let [id, name, stratum, _, offset, _, _, _, _, _, delay, dispersion, _, leap] = fields[..] else {
        return None;
    };
    if leap == "Not synchronised" || id == CHRONY_ALONE {
        return None;
    }
    // Above zero, the system's clock is slow.
    let offset_us = micros(offset)?;
    let uncertainty_us = offset_us.abs() + micros(dispersion)? + micros(delay)? / 2.0;
    held(format!("chrony, stratum {stratum}, {name}"), offset_us, uncertainty_us)
}

/// `pmc -u -b 0 'GET TIME_STATUS_NP'`: the offset from the master in ns; above zero, this clock is fast.
fn ptp(answer: &str) -> Option<Held> {
    let field = |name: &str| {
        let mut fields = answer.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
        fields.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
    };
    if field("gmPresent")? != "true" {
        return None;
    }
    let offset_us = -field("master_offset")?.parse::<f64>().ok()? / 1e3;
    let uncertainty_us = offset_us.abs() + BEHIND_PTP_US as f64;
    held(format!("PTP, {}", field("gmIdentity")?), offset_us, uncertainty_us)
}

fn micros(seconds: &str) -> Option<f64> {
    let seconds: f64 = seconds.parse().ok()?;
    seconds.is_finite().then_some(seconds * 1e6)
}

/// A clock that is off by a day is not held by anything.
fn held(mut source: String, offset_us: f64, uncertainty_us: f64) -> Option<Held> {
    const DAY_US: f64 = 86_400e6;
    source.retain(|char| char.is_ascii_graphic() || char == ' ');
    source.truncate(SOURCE_BYTES_MAX);
    let (offset_us, uncertainty_us) = (offset_us.round(), uncertainty_us.ceil().max(1.0));
    let sane = (0.0..=DAY_US).contains(&offset_us.abs()) && uncertainty_us <= DAY_US;
    sane.then_some(Held { source, offset_us: offset_us as i64, uncertainty_us: uncertainty_us as u64 })
}

/// This machine's clock.
fn utc_now(uncertainty_us: u64) -> Utc {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Utc { us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX), uncertainty_us }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    /// As chrony 4.3 prints it, its numbers changed.
    const TRACKING: &str = "A29FC87B,192.0.2.7,3,1795271596.559420829,-0.000120000,0.000010000,0.000020000,-12.345,0.001,0.02,0.004000000,0.000300000,64.2,Normal\n";
    /// As linuxptp 3.1 prints it.
    const STATUS: &str = "sending: GET TIME_STATUS_NP\n\t001122.fffe.334455-1 seq 0 RESPONSE MANAGEMENT TIME_STATUS_NP\n\t\tmaster_offset              2500\n\t\tgmPresent                  true\n\t\tgmIdentity                 aabbcc.fffe.ddeeff\n";

    /// Goal: what chrony and linuxptp print is understood, sign and bound included; who is not synchronised counts as nobody.
    #[test]
    fn chrony_and_ptp_are_understood() {
        let by_chrony = chrony(TRACKING).unwrap();
        assert_eq!((by_chrony.offset_us, by_chrony.uncertainty_us), (-120, 120 + 300 + 2_000));
        assert_eq!(by_chrony.source, "chrony, stratum 3, 192.0.2.7");
        assert_eq!(chrony(&TRACKING.replace("Normal", "Not synchronised")), None);
        assert_eq!(chrony(&TRACKING.replace("A29FC87B", CHRONY_ALONE)), None);
        assert_eq!(chrony(&TRACKING.replace("0.004000000", "NaN")), None);
        assert_eq!(chrony("506 Cannot talk to daemon"), None);
        let by_ptp = ptp(STATUS).unwrap();
        assert_eq!((by_ptp.offset_us, by_ptp.uncertainty_us), (-3, 3 + 1_000));
        assert_eq!(by_ptp.source, "PTP, aabbcc.fffe.ddeeff");
        assert_eq!(ptp(&STATUS.replace("true", "false")), None);
        assert_eq!(ptp(""), None);
    }

    /// Goal: the leaf says what the programs say, chrony before PTP; without them, what was configured.
    #[test]
    fn a_leaf_says_who_holds_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        let tool = |name: &str, prints: &str| {
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\ncat <<'END'\n{prints}END\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            path
        };
        let (chronyc, pmc, none) =
            (tool("chronyc", TRACKING), tool("pmc", STATUS), folder.path().join("none"));
        let asked = |chronyc: &PathBuf, pmc: &PathBuf| {
            let tools = ClockTools { chronyc: chronyc.clone(), pmc: pmc.clone() };
            let expected = tools.ask().is_some();
            let watch = ClockWatch::start(tools, 100_000);
            while expected && watch.newest.lock().unwrap().is_none() {
                thread::sleep(Duration::from_millis(1));
            }
            match watch.leaf() {
                What::Clock { utc, source, offset_us } => Some((source, offset_us, utc.uncertainty_us)),
                _ => None,
            }
        };
        let said =
            |source: &str, offset_us, uncertainty_us| Some((source.to_owned(), offset_us, uncertainty_us));
        assert_eq!(asked(&chronyc, &pmc), said("chrony, stratum 3, 192.0.2.7", -120, 2_420));
        assert_eq!(asked(&none, &pmc), said("PTP, aabbcc.fffe.ddeeff", -3, 1_003));
        assert_eq!(asked(&none, &none), said("none", 0, 100_000));
    }
}

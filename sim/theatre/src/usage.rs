//! Where the processor's time goes: what each part has used, from `/proc`.

use std::{fs, io::Write as _, time::Duration};

/// The kernel counts in ticks of this many a second (`USER_HZ`, the same on every Linux since 2.6).
const TICKS_A_SECOND: f64 = 100.0;

/// Seconds of one core that each process has used, by name.
pub(crate) fn of(processes: &[(String, Option<u32>)]) -> Vec<(String, f64)> {
    processes.iter().filter_map(|(name, pid)| Some((name.clone(), used_s((*pid)?)?))).collect()
}

/// `proc_pid_stat(5)`: fields 14 and 15, counted after the name in brackets, which may hold spaces.
fn used_s(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    ticks(&stat).map(|ticks| ticks / TICKS_A_SECOND)
}

fn ticks(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some(field(14)? + field(15)?)
}

/// A line a part, in per cent of one core.
pub(crate) fn print(used: &[(String, f64)], over: Duration) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nProcessor time over {} s, in per cent of one core:", over.as_secs())?;
    for (name, seconds) in used {
        writeln!(out, "  {name:<14}{:6.1} %", 100.0 * seconds / over.as_secs_f64())?;
    }
    let all: f64 = used.iter().map(|(_, seconds)| seconds).sum();
    writeln!(out, "  {:<14}{:6.1} %", "together", 100.0 * all / over.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a process's name, whatever is in it, does not shift the fields.
    #[test]
    fn user_and_system_time_are_found_after_any_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 1 0 9 9 9";
        assert_eq!(ticks(stat), Some(200.0));
        assert_eq!(ticks("7 (x) S 1"), None);
    }
}

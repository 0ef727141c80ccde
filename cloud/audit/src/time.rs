//! Times, for people.

use std::time::{Duration, UNIX_EPOCH};

use farhand_ledger::Utc;

/// End of the year 9999 in µs: what RFC 3339 can say.
const UTC_US_MAX: u64 = 253_402_300_799_999_999;

/// A time in µs since 1970 as RFC 3339 has it.
pub(crate) fn rfc3339(us: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_micros(us.min(UTC_US_MAX));
    humantime::format_rfc3339_micros(time).to_string()
}

/// A time with how far it may be off.
pub(crate) fn with_uncertainty(utc: Utc) -> String {
    format!("{} ± {}", rfc3339(utc.us), duration(utc.uncertainty_us))
}

/// A span with the unit that suits it.
pub(crate) fn duration(us: u64) -> String {
    match us {
        0..1000 => format!("{us} µs"),
        1000..1_000_000 => format!("{} ms", thousandths(us)),
        1_000_000..60_000_000 => format!("{} s", thousandths(us / 1000)),
        _ => {
            let s = us / 1_000_000;
            let (h, min, s) = (s / 3600, s / 60 % 60, s % 60);
            if h > 0 { format!("{h} h {min} min {s} s") } else { format!("{min} min {s} s") }
        }
    }
}

fn thousandths(value: u64) -> String {
    let text = format!("{}.{:03}", value / 1000, value % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a span is said with the unit that suits it, and a time that RFC 3339 can't say does no harm.
    #[test]
    fn spans_and_times_read_well() {
        let spans = [(7, "7 µs"), (2000, "2 ms"), (1_250_000, "1.25 s"), (3_725_000_000, "1 h 2 min 5 s")];
        for (us, text) in spans {
            assert_eq!(duration(us), text);
        }
        assert_eq!(rfc3339(1_760_000_000_123_456), "2025-10-09T08:53:20.123456Z");
        assert_eq!(&rfc3339(u64::MAX)[..4], "9999");
    }
}

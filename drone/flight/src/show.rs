//! What the program shows: a bar for people, or a JSON object a line for programs.

use std::io::{IsTerminal, Write};

use farhand_flight::{Delivered, FlightError, FlightEvent, Phase};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

const BAR_STEPS: u64 = 1_000;
const BAR: &str = "{bar:32} {msg}";

/// Where events go.
pub(crate) enum Show {
    Json,
    Bar(ProgressBar),
    /// Not a terminal: a line for each phase.
    Lines {
        told: Option<Phase>,
    },
}

impl Show {
    pub(crate) fn new(json: bool) -> Self {
        if json {
            return Show::Json;
        }
        if !std::io::stderr().is_terminal() {
            return Show::Lines { told: None };
        }
        let bar = ProgressBar::new(BAR_STEPS);
        // The template is a constant; the plain bar would do as well.
        bar.set_style(ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Show::Bar(bar)
    }

    pub(crate) fn event(&mut self, event: &FlightEvent) {
        match self {
            Show::Json => print_json(&event_json(event)),
            Show::Bar(bar) => {
                bar.set_position((event.done * BAR_STEPS as f64) as u64);
                bar.set_message(line(event));
            }
            Show::Lines { told } if *told != Some(event.phase) => {
                *told = Some(event.phase);
                complain(&line(event));
            }
            Show::Lines { .. } => {}
        }
    }

    pub(crate) fn end(&self, end: &Result<Delivered, FlightError>) {
        if let Show::Bar(bar) = self {
            bar.finish();
        }
        match (self, end) {
            (Show::Json, end) => print_json(&end_json(end)),
            (_, Ok(delivered)) => print(&format!(
                "Delivered at {:.6}, {:.6}: {:.1} m from the delivery point, after {:.0} s.",
                delivered.place.lat_deg(),
                delivered.place.lon_deg(),
                delivered.off_m,
                delivered.flight_ms as f64 / 1e3
            )),
            (_, Err(error)) => complain(&format!("Not delivered: {error}.")),
        }
    }

    /// The plan or the key can't be used: nothing was flown.
    pub(crate) fn unusable(&self, error: &anyhow::Error) {
        match self {
            Show::Json => print_json(&json!({ "kind": "error", "error": format!("{error:#}") })),
            _ => complain(&format!("Error: {error:#}.")),
        }
    }
}

fn line(event: &FlightEvent) -> String {
    let number = |value: Option<f64>, unit: &str| value.map(|value| format!("  {value:.0} {unit}"));
    let parts = [
        number(event.altitude_m, "m up"),
        number(event.battery_percent, "% battery"),
        number(event.eta_s, "s to go"),
    ];
    let parts: String = parts.into_iter().flatten().collect();
    format!("{:<12}{parts}  {}", event.phase.name(), event.detail)
}

fn event_json(event: &FlightEvent) -> Value {
    json!({
        "kind": "event",
        "at_us": event.at_us,
        "phase": event.phase.name(),
        "lat_deg": event.position.map(|place| place.lat_deg()),
        "lon_deg": event.position.map(|place| place.lon_deg()),
        "altitude_m": event.altitude_m,
        "battery_percent": event.battery_percent,
        "eta_s": event.eta_s,
        "done": event.done,
        "detail": event.detail,
    })
}

fn end_json(end: &Result<Delivered, FlightError>) -> Value {
    match end {
        Ok(delivered) => json!({
            "kind": "result",
            "delivered": true,
            "lat_deg": delivered.place.lat_deg(),
            "lon_deg": delivered.place.lon_deg(),
            "off_m": delivered.off_m,
            "flight_ms": delivered.flight_ms,
            "battery_percent": delivered.battery_percent,
        }),
        Err(error) => json!({ "kind": "result", "delivered": false, "error": error.to_string() }),
    }
}

// A reader that went away is no reason to leave an aircraft alone.
fn print_json(value: &Value) {
    print(&value.to_string());
}

fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

//! A whole rehearsed session over each line, and what the kit made of it.

use std::io::Write as _;

use anyhow::{bail, ensure};
use farhand_world::Profile;
use serde_json::{Map, Value, json};

use super::machine;
use crate::{
    line::{Choice, Link},
    rehearse::{self, Outcome},
};

/// Seen over one line.
struct Row {
    link: Link,
    outcome: Outcome,
}

/// All of them, one after the other; then the table. What the kit promises of them is checked.
pub(super) fn lines(arguments: &super::Arguments, runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    for profile in Profile::EACH {
        let line = Choice { link: Some(profile), traces: None };
        let outcome = runtime.block_on(rehearse::rehearse(&rehearse::Arguments {
            seed: arguments.seed,
            video: None,
            out: Some(folder.path().join(format!("{profile}.mcap"))),
            data: None,
            line,
            practise: practise_s(profile),
            speedup: 50.0,
            kill_edge: 0,
            crtk: false,
            exercise: None,
            arms: 3,
            json: arguments.json,
        }))?;
        rows.push(Row { link: Link::find(profile, arguments.seed, None)?, outcome });
    }
    tell(arguments, &rows)?;
    rows.iter().try_for_each(Row::check)
}

/// Long enough for every stall of a series to come by.
fn practise_s(profile: Profile) -> u32 {
    match profile {
        Profile::Lan => 30,
        Profile::Urban5g | Profile::Leo => 60,
        Profile::Rural5g => 120,
        Profile::Geo => 0,
    }
}

impl Row {
    fn check(&self) -> anyhow::Result<()> {
        let (profile, figures) = (self.link.profile, &self.outcome.figures);
        ensure!(
            figures.unritual == 0,
            "{profile}: the tool moved {} times after a pause without release and press",
            figures.unritual
        );
        if profile == Profile::Rural5g {
            ensure!(figures.pauses > 0, "{profile}: its stalls of seconds led to no pause");
        }
        if profile == Profile::Geo {
            ensure!(figures.applied == 0, "{profile}: {} commands were applied", figures.applied);
        } else if !self.outcome.surgeon.grasped {
            bail!("{profile}: the bead was not grasped");
        }
        Ok(())
    }

    /// The task, in words, and what the holds were for.
    fn task(&self) -> String {
        let figures = &self.outcome.figures;
        let task = match (self.outcome.grasped_s(), figures.refused) {
            (Some(seconds), _) => format!("done in {seconds:.0} s"),
            (None, Some(why)) if figures.applied == 0 => format!("refused: {why}"),
            (None, _) => "not done".to_owned(),
        };
        let holds = figures.holds.iter().map(|(why, count)| format!("; {why} {count}"));
        holds.fold(task, |words, hold| words + &hold)
    }

    fn metrics(&self, into: &mut Map<String, Value>) {
        let (name, figures) = (self.link.profile, &self.outcome.figures);
        let each = [
            ("command_age_ms_p50", figures.age_ms(0.50)),
            ("command_age_ms_p99", figures.age_ms(0.99)),
            ("applied_gap_ms_max", figures.gap_ms_max()),
            ("holds", figures.line_holds() as f64),
            ("pauses", figures.pauses as f64),
            ("resumed_without_ritual", figures.unritual as f64),
            ("reconnected", f64::from(self.outcome.surgeon.reconnected)),
        ];
        into.extend(each.map(|(what, value)| (format!("{name}_{what}"), json!(value))));
        into.insert(format!("{name}_grasped_s"), json!(self.outcome.grasped_s()));
    }
}

fn tell(arguments: &super::Arguments, rows: &[Row]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let load = "a whole session over each line, everything on; the surgeon reaches, grasps and holds";
    if arguments.json {
        let mut metrics = Map::new();
        rows.iter().for_each(|row| row.metrics(&mut metrics));
        let from: Map<String, Value> =
            rows.iter().map(|row| (row.link.profile.to_string(), json!(row.link.origin()))).collect();
        let object = json!({
            "name": "lines", "machine": machine(), "load": load, "seed": arguments.seed, "from": from,
            "metrics": metrics,
        });
        return Ok(writeln!(out, "{object}")?);
    }
    writeln!(
        out,
        "{:<10}{:<10}{:>10}{:>10}{:>12}{:>7}{:>8}  task",
        "line", "series", "age p50", "age p99", "longest gap", "holds", "pauses"
    )?;
    for row in rows {
        let figures = &row.outcome.figures;
        writeln!(
            out,
            "{:<10}{:<10}{:>7.0} ms{:>7.0} ms{:>9.0} ms{:>7}{:>8}  {}",
            row.link.profile.name(),
            row.link.origin(),
            figures.age_ms(0.50),
            figures.age_ms(0.99),
            figures.gap_ms_max(),
            figures.line_holds(),
            figures.pauses,
            row.task()
        )?;
    }
    Ok(writeln!(out, "{}; {load}", machine())?)
}

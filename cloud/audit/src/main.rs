//! `farhand-audit`: verifies a session's bundle offline, trusting nobody.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that people run in a terminal")]

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use farhand_audit::{
    Asked, Format, Line, Page, Report, Vault, audit_and, export, lines, people, plain, screen, verdict,
    words, write_html,
};
use farhand_bundle::{Reader, Redaction, redact_and};
use farhand_ledger::{TrustRoot, Utc};
use farhand_wire::{LeaseToken, Sequence};
use indicatif::{ProgressBar, ProgressStyle};

/// Verifies the sealed record of a Farhand session, offline, trusting nobody.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit code: 0 it holds, 1 it does not, 2 it could not be read, 3 self-consistent but not trusted."
)]
struct Arguments {
    #[command(subcommand)]
    what: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Checks everything there is to check: leaves, signatures, proofs, pictures, every byte.
    Verify {
        /// The bundle (an MCAP file).
        file: PathBuf,
        /// The ledger's genesis, from somebody other than whoever sent the bundle. Without it the best answer is "not
        /// trusted" (exit code 3).
        #[arg(long, value_name = "GENESIS")]
        trust: Option<PathBuf>,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Checks all that `verify` does, and writes it down for people who were not there: one HTML page that needs nothing
    /// else to be read or printed. It is written whatever the verdict is, and says it first; the exit code is `verify`'s.
    Report {
        /// The bundle (an MCAP file).
        file: PathBuf,
        /// The ledger's genesis, from somebody other than whoever sent the bundle. Without it the page says that nothing
        /// is proven (exit code 3).
        #[arg(long, value_name = "GENESIS")]
        trust: Option<PathBuf>,
        /// Where the page goes. Nothing is overwritten.
        #[arg(long, value_name = "PAGE")]
        out: PathBuf,
        /// At most so many pictures: the first and the last, then those at e-stops, at changes of control and at
        /// refusals.
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(..=64))]
        pictures: u8,
        /// Names the people, too, from this vault; who was erased is said to be. The page then has personal data in it.
        #[arg(long, value_name = "VAULT")]
        keys: Option<PathBuf>,
    },
    /// Checks all that `verify` does, and writes what the bundle holds for other programs. The exit code is `verify`'s.
    Export {
        /// The bundle (an MCAP file).
        file: PathBuf,
        /// csv: commands, frames and events as tables, and the verdict. fhir: AuditEvent and Provenance in FHIR R4, a
        /// resource a line. Neither holds patient data.
        #[arg(long)]
        format: Format,
        /// The folder that the files go into. Nothing is overwritten.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// The ledger's genesis, from somebody other than whoever sent the bundle.
        #[arg(long, value_name = "GENESIS")]
        trust: Option<PathBuf>,
    },
    /// Shows what a bundle says, leaf by leaf, without checking it.
    Show {
        file: PathBuf,
        /// Commands, frames and all else that comes many times a second, too.
        #[arg(long)]
        all: bool,
        /// The first leaf to show.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// The last leaf to show.
        #[arg(long)]
        to: Option<u64>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Answers what was on the surgeon's screen when a command was sent: the frame that it names, its age, who confirms it,
    /// and who disagrees. Checks all that `verify` does; the exit code is `verify`'s.
    Screen {
        /// The bundle (an MCAP file).
        file: PathBuf,
        /// The command's sequence.
        #[arg(long, value_name = "SEQ", required_unless_present = "at", conflicts_with = "at")]
        command: Option<u64>,
        /// Its lease token, where several have that sequence.
        #[arg(long, requires = "command")]
        token: Option<u64>,
        /// The newest command recorded by then, such as 2026-07-13T10:20:30.5Z.
        #[arg(long, value_name = "UTC", value_parser = humantime::parse_rfc3339)]
        at: Option<SystemTime>,
        /// Where the picture goes: a video from its key frame on that ends in it. As MP4, or, if the name ends in .h264, bit
        /// for bit as the bundle keeps it. Nothing is overwritten.
        #[arg(long, value_name = "PICTURE")]
        out: Option<PathBuf>,
        /// The ledger's genesis, from somebody other than whoever sent the bundle.
        #[arg(long, value_name = "GENESIS")]
        trust: Option<PathBuf>,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Names the people behind the pseudonyms, from a vault, where the evidence commits to its records. The exit code is
    /// `verify`'s, and 1 where the vault is not that of this session.
    People {
        /// The bundle (an MCAP file).
        file: PathBuf,
        /// The session's vault, which is no part of the evidence.
        #[arg(long, value_name = "VAULT")]
        keys: PathBuf,
        /// The ledger's genesis, from somebody other than whoever sent the bundle.
        #[arg(long, value_name = "GENESIS")]
        trust: Option<PathBuf>,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Erases a person: destroys the key to the record of that pseudonym, for good. Every proof still verifies.
    Forget {
        /// Whose record.
        pseudonym: String,
        /// The session's vault.
        #[arg(long, value_name = "VAULT")]
        keys: PathBuf,
        /// Why, in words that name nobody. It stays in the vault.
        #[arg(long, value_name = "WORDS")]
        why: String,
    },
    /// Takes leaves or pictures out. What is left can still be verified, and the report lists what was taken out.
    Redact {
        file: PathBuf,
        /// Leaves by number or all of a kind, such as 12,40-45,kit-state. A frame goes with its picture.
        #[arg(long, value_name = "LEAVES", required_unless_present = "pictures")]
        leaves: Option<Redaction>,
        /// All pictures; their hashes stay.
        #[arg(long)]
        pictures: bool,
        /// Where the redacted bundle goes. Nothing is overwritten.
        #[arg(long)]
        out: PathBuf,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
}

/// Exit code for what could not be read or written.
const UNREADABLE: u8 = 2;

fn main() -> ExitCode {
    let done = match Arguments::parse().what {
        Task::Verify { file, trust, json } => verify(&file, trust.as_deref(), json),
        Task::Report { file, trust, out, pictures, keys } => {
            report(&file, trust.as_deref(), &out, pictures, keys.as_deref())
        }
        Task::Export { file, format, out, trust } => hand_out(&file, trust.as_deref(), format, &out),
        Task::Show { file, all, from, to, json } => show(&file, Shown { all, from, to, json }),
        Task::Screen { file, command, token, at, out, trust, json } => asked(command, token, at)
            .and_then(|asked| on_screen(&file, trust.as_deref(), asked, out.as_deref(), json)),
        Task::People { file, keys, trust, json } => who(&file, &keys, trust.as_deref(), json),
        Task::Forget { pseudonym, keys, why } => forget(&pseudonym, &keys, &why),
        Task::Redact { file, leaves, pictures, out, json } => {
            let leaves = leaves.unwrap_or_default();
            take_out(&file, &Redaction { pictures: leaves.pictures || pictures, ..leaves }, &out, json)
        }
    };
    done.map(ExitCode::from).unwrap_or_else(|error| {
        eprintln!("farhand-audit: {error:#}");
        ExitCode::from(UNREADABLE)
    })
}

fn verify(file: &Path, trust: Option<&Path>, json: bool) -> anyhow::Result<u8> {
    let report = match trust.map(read_trust).transpose() {
        Ok(trust) => {
            let mut progress = Progress::new();
            let report = audit_and(file, trust.as_ref(), |at, of| progress.show(at, of));
            progress.clear();
            report
        }
        Err(error) => Report::of_unreadable(format!("{error:#}"), true),
    };
    if json {
        say(&serde_json::to_string(&report)?)?;
    } else {
        say(&format!("{}\n\n{}", file.display(), words(&report).trim_end()))?;
    }
    Ok(report.exit)
}

fn report(
    file: &Path,
    trust: Option<&Path>,
    out: &Path,
    pictures: u8,
    keys: Option<&Path>,
) -> anyhow::Result<u8> {
    let trust = trust.map(read_trust).transpose()?;
    let vault = keys.map(Vault::open).transpose()?;
    let mut progress = Progress::new();
    let page = Page { pictures_max: pictures.into(), vault: vault.as_ref() };
    let written = write_html(file, trust.as_ref(), out, page, |at, of| progress.show(at, of));
    progress.clear();
    let report = written?;
    say(&format!("{}: {}", out.display(), verdict(&report)))?;
    Ok(report.exit)
}

fn hand_out(file: &Path, trust: Option<&Path>, format: Format, out: &Path) -> anyhow::Result<u8> {
    let trust = trust.map(read_trust).transpose()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let mut progress = Progress::new();
    let now_us = now.as_micros() as u64;
    let written = export(file, trust.as_ref(), format, out, now_us, |at, of| progress.show(at, of));
    progress.clear();
    let report = written?;
    say(&format!("{}: {}", out.display(), verdict(&report)))?;
    Ok(report.exit)
}

fn asked(command: Option<u64>, token: Option<u64>, at: Option<SystemTime>) -> anyhow::Result<Asked> {
    if let Some(sequence) = command {
        return Ok(Asked::Command { sequence: Sequence(sequence), token: token.map(LeaseToken) });
    }
    let since = at.unwrap_or(UNIX_EPOCH).duration_since(UNIX_EPOCH).context("no session was before 1970")?;
    Ok(Asked::At { utc_us: u64::try_from(since.as_micros())? })
}

fn on_screen(
    file: &Path,
    trust: Option<&Path>,
    asked: Asked,
    out: Option<&Path>,
    json: bool,
) -> anyhow::Result<u8> {
    let trust = trust.map(read_trust).transpose()?;
    let mut progress = Progress::new();
    let answer = screen(file, trust.as_ref(), asked, |at, of| progress.show(at, of));
    progress.clear();
    let answer = answer.with_context(|| file.display().to_string())?;
    say(&if json { serde_json::to_string(&answer)? } else { answer.words() })?;
    if let Some(out) = out {
        let as_sent = out.extension().is_some_and(|extension| extension == "h264");
        write_new(out, &if as_sent { answer.h264()? } else { answer.mp4()? })?;
    }
    Ok(answer.report.exit)
}

fn who(file: &Path, keys: &Path, trust: Option<&Path>, json: bool) -> anyhow::Result<u8> {
    let (trust, vault) = (trust.map(read_trust).transpose()?, Vault::open(keys)?);
    let mut progress = Progress::new();
    let people = people(file, trust.as_ref(), &vault, |at, of| progress.show(at, of));
    progress.clear();
    let people = people.with_context(|| file.display().to_string())?;
    say(&if json { serde_json::to_string(&people)? } else { people.words().trim_end().to_owned() })?;
    Ok(people.exit())
}

fn forget(pseudonym: &str, keys: &Path, why: &str) -> anyhow::Result<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let at = Utc { us: now.as_micros() as u64, uncertainty_us: 0 };
    Vault::open(keys)?.forget(keys, pseudonym, at, why)?;
    let name = keys.display();
    say(&format!(
        "{name}: the key to {pseudonym} is destroyed. See to copies of this file elsewhere, such as backups."
    ))?;
    Ok(0)
}

fn write_new(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = made.with_context(|| format!("{} can't be made", path.display()))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.with_context(|| format!("{} can't be written", path.display()))
}

fn read_trust(path: &Path) -> anyhow::Result<TrustRoot> {
    let bytes = fs::read(path).with_context(|| format!("the trust root {} can't be read", path.display()))?;
    TrustRoot::read(&bytes).with_context(|| format!("{} is no trust root", path.display()))
}

#[derive(Clone, Copy)]
struct Shown {
    all: bool,
    from: u64,
    to: Option<u64>,
    json: bool,
}

fn show(file: &Path, shown: Shown) -> anyhow::Result<u8> {
    let mut out = io::stdout().lock();
    let mut failed = None;
    if !shown.json {
        writeln!(
            out,
            "What the bundle says. Nothing of it is checked here: `farhand-audit verify` does that.\n"
        )?;
    }
    lines(file, |line| {
        let wanted = line.leaf >= shown.from && (shown.all || !line.stream);
        if shown.to.is_some_and(|to| line.leaf > to) {
            return false;
        }
        failed = wanted.then(|| show_line(&mut out, &line, shown.json)).and_then(Result::err);
        failed.is_none()
    })
    .with_context(|| file.display().to_string())?;
    match failed {
        // Whoever reads has enough.
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        Some(error) => Err(error.into()),
        None => Ok(0),
    }
}

fn show_line(out: &mut impl Write, line: &Line, json: bool) -> io::Result<()> {
    if json {
        return writeln!(out, "{}", serde_json::to_string(line).map_err(io::Error::from)?);
    }
    let by = line.by.as_deref().map(|key| format!("{}: ", &key[..8.min(key.len())])).unwrap_or_default();
    writeln!(out, "{:>9}  {}  {:<14} {by}{}", line.leaf, line.utc, line.kind, plain(&line.what))
}

fn take_out(file: &Path, redaction: &Redaction, out: &Path, json: bool) -> anyhow::Result<u8> {
    let source = File::open(file).with_context(|| format!("{} can't be read", file.display()))?;
    let reader = Reader::open(source).with_context(|| file.display().to_string())?;
    let to = OpenOptions::new().write(true).create_new(true).open(out);
    let to = to.with_context(|| format!("{} can't be made", out.display()))?;
    let mut progress = Progress::new();
    let written = redact_and(&reader, redaction, to, |at, of| progress.show(at, of));
    progress.clear();
    let (to, redacted) = match written {
        Ok(written) => written,
        Err(error) => {
            // It is ours, and it is no bundle.
            let _ = fs::remove_file(out);
            return Err(error).with_context(|| format!("{} was not redacted", file.display()));
        }
    };
    to.sync_all().with_context(|| format!("{} can't be written", out.display()))?;
    if json {
        say(&serde_json::json!({ "leaves": redacted.leaves, "pictures": redacted.pictures }).to_string())?;
    } else {
        let name = out.display();
        say(&format!("{name}: {} leaves and {} pictures taken out", redacted.leaves, redacted.pictures))?;
    }
    Ok(0)
}

/// A line on standard output. That nobody reads it any more is no error.
fn say(text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// A bar on a terminal, once it has taken a while.
struct Progress {
    began: Instant,
    bar: Option<ProgressBar>,
    is_terminal: bool,
    shown: Instant,
}

/// What is done sooner needs no bar.
const QUIET: Duration = Duration::from_secs(2);
const BETWEEN: Duration = Duration::from_millis(100);

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        Self { began: now, bar: None, is_terminal: io::stderr().is_terminal(), shown: now }
    }

    fn show(&mut self, at: u64, of: u64) {
        if !self.is_terminal || self.shown.elapsed() < BETWEEN || self.began.elapsed() < QUIET {
            return;
        }
        self.shown = Instant::now();
        self.bar.get_or_insert_with(|| bar(of)).set_position(at);
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(of: u64) -> ProgressBar {
    let bar = ProgressBar::new(of);
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {bytes} of {total_bytes}, {eta} left");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

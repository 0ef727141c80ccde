//! `farhand-validator epoch`: how the organisations of a ledger agree on who keeps it next.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::Subcommand;
use farhand_ledger::{Cbor as _, Epoch, TrustRoot, Utc};
use farhand_link::DeviceId;
use farhand_submit::{Client, ClientError};
use farhand_validator::{
    ValidatorConfig,
    app::now_us,
    epochs::{self, Change},
};

const COMMIT_WAIT: Duration = Duration::from_secs(60);

#[derive(Debug, Subcommand)]
pub(crate) enum Step {
    /// Write down the next epoch: who comes and who goes. Those who stay must be a quorum of it.
    Propose {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Public key of a validator that comes, as its `join` says it.
        #[arg(long, value_name = "KEY")]
        add: Vec<DeviceId>,
        /// Public key of a validator that goes.
        #[arg(long, value_name = "KEY")]
        remove: Vec<DeviceId>,
        #[arg(long, value_name = "KEY")]
        add_hospital: Vec<DeviceId>,
        #[arg(long, value_name = "KEY")]
        remove_hospital: Vec<DeviceId>,
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign that a proposed epoch may follow, with this validator's key. Says who comes and goes.
    ///
    /// The configuration must say where each of the next epoch's validators is, so that this one finds them.
    Endorse {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The proposed epoch.
        #[arg(long, value_name = "FILE")]
        next: PathBuf,
        /// Where the endorsement goes.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// End this epoch: hands the endorsements of a quorum to this validator, which must run.
    End {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The proposed epoch.
        #[arg(long, value_name = "FILE")]
        next: PathBuf,
        /// Files that `endorse` made.
        #[arg(required = true, value_name = "ENDORSEMENT")]
        endorsements: Vec<PathBuf>,
    },
    /// Write the genesis file with the proof of each epoch's end behind it: what one who joins now needs.
    Trust {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

impl Step {
    pub(crate) fn take(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Propose { config, add, remove, add_hospital, remove_hospital, out } => {
                propose(&config, &Change { add, remove, add_hospital, remove_hospital }, &out)
            }
            Self::Endorse { config, next, out } => endorse(&config, &next, &out),
            Self::End { config, next, endorsements } => end(&config, &next, &endorsements),
            Self::Trust { config, out } => {
                let trust = ValidatorConfig::load(&config)?.trust;
                write(&out, &trust.to_bytes())?;
                say(&format!("{} up to epoch {}", out.display(), trust.newest().number()))
            }
        }
    }
}

fn propose(config: &Path, change: &Change, out: &Path) -> anyhow::Result<ExitCode> {
    let config = ValidatorConfig::load(config)?;
    let next = epochs::propose(&config.trust, change)?;
    write(out, &next.to_bytes())?;
    say(&format!(
        "{}\nSend {} to the others; each endorses it.",
        in_words(&config.trust, &next),
        out.display()
    ))
}

fn endorse(config: &Path, next: &Path, out: &Path) -> anyhow::Result<ExitCode> {
    let config = ValidatorConfig::load(config)?;
    let next = read_epoch(next)?;
    config.reaches(&next)?;
    let endorsement = epochs::endorse(&config.trust, &next, config.key.signing_key())?;
    write(out, &endorsement)?;
    say(&format!("{}\nEndorsed by {}: {}", in_words(&config.trust, &next), config.key.id(), out.display()))
}

fn end(path: &Path, next: &Path, endorsements: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let config = ValidatorConfig::load(path)?;
    let next = read_epoch(next)?;
    let endorsements = endorsements.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    let at = Utc { us: now_us(), uncertainty_us: config.pace.uncertainty_us };
    let end = epochs::end(&config.trust, &next, endorsements, at, config.key.signing_key())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(hand_in(&config, &end))?;
    say(&format!("{}\nEpoch {} has ended.", in_words(&config.trust, &next), config.trust.newest().number()))
}

async fn hand_in(config: &ValidatorConfig, end: &[u8]) -> anyhow::Result<()> {
    let own = [(config.key.id(), config.client_listen)];
    let client = Client::connect(&config.key, config.trust.clone(), &own).await?;
    match client.commit(end, COMMIT_WAIT).await {
        Ok(_) => Ok(()),
        // It may leave for the next epoch before it answers.
        Err(ClientError::Lost) => has_ended(config).await,
        Err(error) => Err(error.into()),
    }
}

async fn has_ended(config: &ValidatorConfig) -> anyhow::Result<()> {
    let before = config.trust.newest().number();
    for _ in 0..COMMIT_WAIT.as_secs() {
        if epochs::known(&config.data_dir, config.trust.clone())?.newest().number() > before {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    anyhow::bail!("the validator was lost; look whether it runs, and hand the same endorsements in again")
}

fn in_words(trust: &TrustRoot, next: &Epoch) -> String {
    let ending = trust.newest();
    let keys = |epoch: &Epoch| epoch.validators().iter().map(|one| one.key).collect::<Vec<_>>();
    let (old, new) = (keys(ending), keys(next));
    let validators = ("validator", [old.as_slice(), new.as_slice()]);
    let hospitals = ("hospital", [ending.hospitals(), next.hospitals()]);
    let mut lines = vec![format!(
        "epoch {} of ledger {}, SHA-256 {}: {} validators, a quorum is {}",
        next.number(),
        next.ledger(),
        next.hash(),
        new.len(),
        next.quorum()
    )];
    for (what, [old, new]) in [validators, hospitals] {
        lines.extend(old.iter().filter(|key| !new.contains(key)).map(|key| format!("  {what} {key} goes")));
        lines.extend(new.iter().filter(|key| !old.contains(key)).map(|key| format!("  {what} {key} comes")));
    }
    lines.join("\n")
}

fn read_epoch(path: &Path) -> anyhow::Result<Epoch> {
    Epoch::read(&read(path)?).with_context(|| path.display().to_string())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| path.display().to_string())
}

fn say(words: &str) -> anyhow::Result<ExitCode> {
    writeln!(io::stdout().lock(), "{words}")?;
    Ok(ExitCode::SUCCESS)
}

//! An hour's bundle, made and verified.

use std::{
    fs::{self, File},
    io::{BufReader, BufWriter, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use farhand_bundle::{Writer, proof_record};
use farhand_ledger::{
    Binding, Cbor, Closing, Event, Hash, Manifest, Salt, Sealing, SessionLog, Utc, What, five_keys::FiveKeys,
};
use farhand_wire::EdgeTick;

use super::{
    Bar, Figure, Measured, Samples,
    made_up::{Cast, frame},
};

/// A thousand commands a second, thirty frames: a surgeon's hardest hour.
const COMMANDS_A_TENTH: u64 = 100;
const FRAMES_A_TENTH: u64 = 3;
/// 4 Mbit/s.
const UNIT_BYTES: usize = 16_600;
const LEAF_HEAD_BYTES: usize = 12;

/// Makes a bundle of that length and verifies it in a process of its own, as anybody would.
pub(super) fn verify(seconds: u64, audit: &Path) -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir()?;
    let (bundle, trust) = (folder.path().join("hour.mcap"), folder.path().join("genesis.trust"));
    let leaves = make(seconds, &bundle, &trust, folder.path())?;
    let began = Instant::now();
    let mut child = std::process::Command::new(audit)
        .args(["verify", "--json", "--trust"])
        .arg(&trust)
        .arg(&bundle)
        .stdout(std::process::Stdio::null())
        .spawn()
        .with_context(|| {
            format!("{} does not start; run ./up or cargo build --workspace", audit.display())
        })?;
    let mut rss_mb: f64 = 0.0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        rss_mb = rss_mb.max(peak_mb(child.id()).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(20));
    };
    let verify_s = began.elapsed().as_secs_f64();
    ensure!(status.success(), "the bundle that was made does not hold: farhand-audit ended with {status}");
    let bytes = fs::metadata(&bundle)?.len();
    Ok(Measured {
        figures: vec![
            Figure {
                name: "verify_s",
                value: verify_s,
                bar: Some(Bar::AtMost(60.0 * seconds as f64 / 3600.0)),
            },
            Figure { name: "rss_mb", value: rss_mb, bar: Some(Bar::AtMost(300.0)) },
        ],
        load: format!(
            "{seconds} s of session: {leaves} leaves, {} commands, {} frames of {UNIT_BYTES} bytes, {} MB",
            seconds * 10 * COMMANDS_A_TENTH,
            seconds * 10 * FRAMES_A_TENTH,
            bytes / 1_000_000
        ),
        samples: Samples::Us(Vec::new()),
    })
}

/// The most memory that the process has had, as Linux counts it.
fn peak_mb(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kb: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kb / 1024.0)
}

struct Maker {
    cast: Cast,
    keys: FiveKeys,
    log: SessionLog,
    writer: Writer<BufWriter<File>>,
    proofs: BufWriter<File>,
    proofs_bytes: u64,
    counts: Closing,
    now_us: u64,
}

fn make(seconds: u64, bundle: &Path, trust: &Path, folder: &Path) -> anyhow::Result<u64> {
    let (mut keys, cast) = (FiveKeys::new([3; 32]), Cast::new(1));
    fs::write(trust, keys.trust().to_bytes())?;
    let evidence = cast.open(&mut keys, utc(0))?;
    let proofs_file = folder.join("proofs");
    let mut maker = Maker {
        log: SessionLog::new(cast.session),
        cast,
        keys,
        writer: Writer::new(BufWriter::with_capacity(1 << 20, File::create_new(bundle)?))?,
        proofs: BufWriter::new(File::create_new(&proofs_file)?),
        proofs_bytes: 0,
        counts: Closing::default(),
        now_us: 0,
    };
    maker.record(What::Opened { evidence }, None)?;
    maker.record(What::unheld_clock(utc(0)), None)?;
    for signed in maker.cast.first_statements() {
        maker.counts.statements += 1;
        maker.record(What::Statement { signed }, None)?;
    }
    let bar = super::progress(seconds * 10, "making an hour's bundle");
    for tenth in 0..seconds * 10 {
        maker.tenth(tenth)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    maker.close(&proofs_file)
}

impl Maker {
    fn record(&mut self, what: What, unit: Option<&[u8]>) -> anyhow::Result<()> {
        let salt = Hash::of(&self.log.size().to_le_bytes()).0;
        let salt = Salt(*salt.first_chunk().context("16 of 32 bytes")?);
        let record = self.log.append(salt, EdgeTick(self.now_us), what)?;
        Ok(self.writer.leaf(&record.bytes[LEAF_HEAD_BYTES..], unit)?)
    }

    fn tenth(&mut self, tenth: u64) -> anyhow::Result<()> {
        self.now_us = tenth * 100_000;
        let mut frames = Vec::new();
        for number in tenth * FRAMES_A_TENTH + 1..=(tenth + 1) * FRAMES_A_TENTH {
            let (entry, unit) = frame(number, EdgeTick(number * 33_333), UNIT_BYTES);
            self.record(What::Frame(entry), Some(&unit))?;
            frames.push(entry);
        }
        let sequences = tenth * COMMANDS_A_TENTH + 1..=(tenth + 1) * COMMANDS_A_TENTH;
        let newest = (tenth + 1) * FRAMES_A_TENTH;
        let commands: Vec<_> =
            sequences.map(|sequence| (sequence, self.cast.command(sequence, newest))).collect();
        for (_, frame) in &commands {
            self.record(What::Command { frame: frame.clone() }, None)?;
        }
        let (lists, verdicts) = (self.cast.lists(&commands)?, self.cast.judges(&commands)?);
        let report = self.cast.reports(&frames)?;
        self.record(What::SurgeonSegment { signed: lists }, None)?;
        self.record(What::KitSegment { signed: verdicts }, None)?;
        self.record(What::DisplayReport { signed: report }, None)?;
        if tenth.is_multiple_of(100) {
            self.record(What::unheld_clock(utc(self.now_us)), None)?;
        }
        self.counts.frames += FRAMES_A_TENTH;
        self.counts.commands += COMMANDS_A_TENTH;
        self.counts.surgeon_segments += 1;
        self.counts.kit_segments += 1;
        self.counts.display_reports += 1;
        self.checkpoint()
    }

    fn checkpoint(&mut self) -> anyhow::Result<()> {
        let checkpoint = self.log.checkpoint().context("a log that has grown has a checkpoint")?;
        let proof = proof_record(&self.commit(Event::Checkpoint(checkpoint))?);
        self.proofs_bytes += proof.len() as u64;
        Ok(self.proofs.write_all(&proof)?)
    }

    fn commit(&mut self, event: Event) -> anyhow::Result<Vec<u8>> {
        let signed = self.keys.sign(&self.cast.edge, utc(self.now_us), event)?;
        let proofs = self.keys.commit(utc(self.now_us), vec![signed])?;
        Ok(proofs.first().context("one transaction has one proof")?.to_bytes())
    }

    fn close(mut self, proofs_file: &Path) -> anyhow::Result<u64> {
        self.record(What::Closed(Closing { reason: "done".to_owned(), ..self.counts.clone() }), None)?;
        self.checkpoint()?;
        let trust = self.keys.trust().to_bytes();
        let manifest = Manifest::new(self.cast.session, trust, Binding::Link, Vec::new()).to_bytes();
        let sealing = Sealing {
            session: self.cast.session,
            tree_size: self.log.size(),
            root: self.log.root(),
            manifest: Hash::of(&manifest),
            commands: self.counts.commands,
            frames: self.counts.frames,
        };
        let seal = self.commit(Event::Sealed(sealing))?;
        self.proofs.flush()?;
        let mut proofs = BufReader::new(File::open(proofs_file)?);
        let leaves = self.writer.leaves();
        self.writer.finish(&manifest, &seal, &mut proofs, self.proofs_bytes)?.flush()?;
        Ok(leaves)
    }
}

fn utc(us: u64) -> Utc {
    Utc { us: 1_760_000_000_000_000 + us, uncertainty_us: 2000 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may fail")]
mod tests {
    use farhand_bundle::Reader;
    use farhand_ledger::{TrustRoot, verify::Verdict};

    use super::*;

    /// Goal: what is timed is a bundle that holds, with every command in it taken in.
    #[test]
    fn the_bundle_that_is_made_holds() {
        let folder = tempfile::tempdir().unwrap();
        let (bundle, trust) = (folder.path().join("b"), folder.path().join("t"));
        make(2, &bundle, &trust, folder.path()).unwrap();
        let reader = Reader::open(File::open(bundle).unwrap()).unwrap();
        let trust = TrustRoot::read(&fs::read(trust).unwrap()).unwrap();
        let verified = farhand_bundle::verify(&reader, Some(&trust)).unwrap();
        assert_eq!((verified.verdict(), verified.report.findings.as_slice()), (Verdict::Holds, &[][..]));
        assert_eq!(verified.report.commands.taken_in, 20 * COMMANDS_A_TENTH);
        assert_eq!(verified.pictures, 20 * FRAMES_A_TENTH);
    }
}

//! The seal, and the bundle.
//!
//! Whatever is signed is on disk first, so that a seal that was interrupted goes on where it was: a session is sealed once.

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
};

use farhand_bundle::{Writer, proof_record};
use farhand_ledger::{Cbor, Event, Hash, Manifest, Sealing, TransactionProof, TrustRoot, What};
use farhand_wire::SessionId;

use crate::{
    anchor::{Signed, Signer},
    machine::Machine,
    record::{RecordError, SealedBundle},
    recover::{LogReader, PICTURE_HEAD_BYTES, picture_head},
    store::{Paths, open, sync_folder, write_whole},
};

/// What is left to be done once the log is closed and durable.
#[derive(Debug)]
pub(crate) struct Seal {
    pub(crate) paths: Paths,
    pub(crate) session: SessionId,
    pub(crate) signer: Signer,
    pub(crate) manifest: Manifest,
}

impl Seal {
    /// The sealing, signed; the one that was signed before, if there is one, for the ledger takes but one.
    pub(crate) fn transaction(
        &self,
        machine: &Machine,
        learnt: Option<TrustRoot>,
    ) -> Result<Vec<u8>, RecordError> {
        let (seal, manifest) = (self.paths.file("seal"), self.paths.file("manifest"));
        if let Some(transaction) = read_if_there(&seal)? {
            return Ok(transaction);
        }
        let mut said = self.manifest.clone();
        if let Some(trust) = learnt {
            said.trust = trust.to_bytes();
        }
        said.check().map_err(RecordError::Manifest)?;
        let said = said.to_bytes();
        let counts = machine.counts();
        let sealing = Sealing {
            session: self.session,
            tree_size: machine.size(),
            root: machine.root(),
            manifest: Hash::of(&said),
            commands: counts.commands,
            frames: counts.frames,
        };
        let transaction = self.signer.sign(Event::Sealed(sealing))?;
        write_whole(&manifest, &said)?;
        write_whole(&seal, &transaction)?;
        Ok(transaction)
    }

    /// Writes the bundle beside the record's folder, leaf by leaf. Blocks.
    pub(crate) fn bundle(
        &self,
        machine: &Machine,
        signed: &Signed,
        seal: &TransactionProof,
    ) -> Result<SealedBundle, RecordError> {
        let (part, path) = (self.paths.bundle_part(), self.paths.bundle());
        let mut writer = Writer::new(File::create(&part)?)?;
        self.leaves(&mut writer)?;
        let manifest = fs::read(self.paths.file("manifest"))?;
        let (mut proofs, bytes) = self.proofs(signed)?;
        let leaves = writer.leaves();
        let file = writer.finish(&manifest, &seal.to_bytes(), &mut proofs, bytes)?;
        file.sync_all()?;
        fs::rename(&part, &path)?;
        path.parent().map_or(Ok(()), sync_folder)?;
        let counts = machine.counts();
        let (commands, frames) = (counts.commands, counts.frames);
        Ok(SealedBundle { bytes: file.metadata()?.len(), path, leaves, commands, frames })
    }

    fn leaves(&self, writer: &mut Writer<File>) -> Result<(), RecordError> {
        let mut pictures = Pictures::new(open(&self.paths.pictures())?)?;
        let log = open(&self.paths.log())?;
        let Some(mut reader) = LogReader::new(log, self.session)? else { return Err(RecordError::Empty) };
        while let Some(found) = reader.next()? {
            let unit = match &found.entry.what {
                What::Frame(frame) => pictures.of(frame.frame.0)?,
                _ => None,
            };
            writer.leaf(&found.bytes, unit.as_deref())?;
        }
        Ok(())
    }

    /// All checkpoints' proofs, as a bundle has them, in a file of their own: there are many.
    fn proofs(&self, signed: &Signed) -> Result<(File, u64), RecordError> {
        let path = self.paths.file("proofs.part");
        let mut file = io::BufWriter::new(
            File::options().read(true).write(true).create(true).truncate(true).open(&path)?,
        );
        let mut failed = Ok(());
        signed.each_proof(|proof| {
            if failed.is_ok() {
                failed = file.write_all(&proof_record(&proof));
            }
        })?;
        failed?;
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        fs::remove_file(&path)?;
        let bytes = file.stream_position()?;
        file.seek(SeekFrom::Start(0))?;
        Ok((file, bytes))
    }
}

/// Access units, in the order of their frames; frames may lack theirs.
struct Pictures {
    file: File,
    at: u64,
    end: u64,
}

impl Pictures {
    fn new(file: File) -> io::Result<Self> {
        let end = file.metadata()?.len();
        Ok(Self { file, at: 0, end })
    }

    fn of(&mut self, frame: u64) -> io::Result<Option<Vec<u8>>> {
        let next = picture_head(&self.file, self.at, self.end)?;
        let Some((_, length)) = next.filter(|(number, _)| *number == frame) else { return Ok(None) };
        let mut unit = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        let behind_head = self.at + PICTURE_HEAD_BYTES as u64;
        self.file.read_exact_at(&mut unit, behind_head)?;
        self.at = behind_head + length;
        Ok(Some(unit))
    }
}

fn read_if_there(path: &std::path::Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

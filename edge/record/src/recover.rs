//! What is on disk already: read leaf by leaf, and cut where a crash tore it.
//!
//! Invariant (global): **what had been acknowledged lies before the cut**, for it was synced, and only what was being written
//! can be torn. Where a checkpoint was signed, the log must contain it.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
};

use farhand_ledger::{
    BadLog, Checkpoint, Entry, Hash, LOG_HEAD_BYTES, Records, SessionLog, Torn, read_record,
};
use farhand_wire::SessionId;

use crate::{machine::Machine, record::RecordError};

const READ_BYTES: usize = 256 * 1024;
/// Before each access unit: length u32 LE, frame u64 LE.
pub(crate) const PICTURE_HEAD_BYTES: usize = 4 + 8;

/// Leaves of a log file, from its front. Holds one piece of it at a time.
#[derive(Debug)]
pub(crate) struct LogReader<R> {
    file: R,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    /// Bytes up to the end of the newest whole record.
    pub(crate) valid_bytes: u64,
    /// Why it ends there, if bytes followed.
    pub(crate) torn: Option<Torn>,
}

/// One leaf of a file: what it says, its hash, and its bytes.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    pub(crate) leaf: Hash,
    pub(crate) bytes: Vec<u8>,
}

impl<R: Read> LogReader<R> {
    /// A reader behind the file's head; `None` if the file is empty or its head is torn.
    ///
    /// # Errors
    /// [`RecordError`] if it is no log, or one of another session.
    pub(crate) fn new(mut file: R, session: SessionId) -> Result<Option<Self>, RecordError> {
        let mut head = Vec::new();
        file.by_ref().take(LOG_HEAD_BYTES as u64).read_to_end(&mut head)?;
        if head.len() < LOG_HEAD_BYTES && SessionLog::new(session).head().starts_with(&head) {
            return Ok(None);
        }
        let (seen, expected) = (Records::new(&head)?.session(), session);
        if seen != expected {
            return Err(BadLog::Session { seen, expected }.into());
        }
        let valid_bytes = LOG_HEAD_BYTES as u64;
        Ok(Some(Self { file, buffer: Vec::new(), at: 0, ended: false, valid_bytes, torn: None }))
    }

    /// The next leaf; `None` at the end, or at the first record that is not whole.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn next(&mut self) -> io::Result<Option<Found>> {
        loop {
            match read_record(&self.buffer[self.at..]) {
                Ok((entry, leaf, length)) => {
                    let record = &self.buffer[self.at..self.at + length];
                    let bytes = record[farhand_ledger::RECORD_HEAD_BYTES..].to_vec();
                    self.at += length;
                    self.valid_bytes += length as u64;
                    return Ok(Some(Found { entry, leaf, bytes }));
                }
                Err(Torn::Short { .. }) if !self.ended => self.fill()?,
                Err(_) if self.at == self.buffer.len() => return Ok(None),
                Err(torn) => {
                    self.torn = Some(torn);
                    return Ok(None);
                }
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let read = self.file.by_ref().take(READ_BYTES as u64).read_to_end(&mut self.buffer)?;
        self.ended = read == 0;
        Ok(())
    }
}

/// Where a record goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lengths {
    pub(crate) log: u64,
    pub(crate) pictures: u64,
}

/// Hands all leaves of the file to the machine, and cuts what a crash tore. `signed` is the newest checkpoint that was signed.
///
/// # Errors
/// [`RecordError`] if the file can't be read, is not this session's, or lacks what was signed.
pub(crate) fn recover_log(
    file: &File,
    session: SessionId,
    machine: &mut Machine,
    signed: Option<&Checkpoint>,
) -> Result<(u64, Option<Torn>), RecordError> {
    let Some(mut reader) = LogReader::new(file, session)? else {
        expect_signed(machine, signed, None)?;
        let head = SessionLog::new(session).head();
        file.write_all_at(&head, 0)?;
        file.set_len(head.len() as u64)?;
        file.sync_all()?;
        return Ok((head.len() as u64, None));
    };
    let mut root = None;
    while let Some(found) = reader.next()? {
        machine.replay(&found.entry, found.leaf)?;
        if signed.is_some_and(|signed| signed.tree_size == machine.size()) {
            root = Some(machine.root());
        }
    }
    expect_signed(machine, signed, root)?;
    if let Some(Torn::Malformed(error)) = reader.torn {
        return Err(RecordError::Unreadable { leaf: machine.size(), error });
    }
    file.set_len(reader.valid_bytes)?;
    file.sync_all()?;
    Ok((reader.valid_bytes, reader.torn))
}

/// Whoever lost leaves that were signed must not go on as if nothing had happened.
fn expect_signed(machine: &Machine, signed: Option<&Checkpoint>, root: Option<Hash>) -> Result<(), BadLog> {
    let Some(signed) = signed else { return Ok(()) };
    let (seen, expected) = (machine.size(), signed.tree_size);
    match root {
        None => Err(BadLog::Lost { seen, expected }),
        Some(seen) if seen != signed.root => Err(BadLog::Root { seen, expected: signed.root }),
        Some(_) => Ok(()),
    }
}

/// Cuts access units whose frames are not in the log, and returns how many bytes are left.
///
/// # Errors
/// What the disk says.
pub(crate) fn recover_pictures(file: &File, newest_frame: u64) -> io::Result<u64> {
    let end = file.metadata()?.len();
    let (mut at, mut before) = (0, 0);
    // A crash may leave zeros where nothing was written yet: those are no frame.
    while let Some((frame, length)) = picture_head(file, at, end)?
        && (before + 1..=newest_frame).contains(&frame)
    {
        at += PICTURE_HEAD_BYTES as u64 + length;
        before = frame;
    }
    file.set_len(at)?;
    file.sync_all()?;
    Ok(at)
}

/// Frame and length of the access unit at that place, if it is there whole.
pub(crate) fn picture_head(file: &File, at: u64, end: u64) -> io::Result<Option<(u64, u64)>> {
    let behind_head = at + PICTURE_HEAD_BYTES as u64;
    if behind_head > end {
        return Ok(None);
    }
    let mut head = [0; PICTURE_HEAD_BYTES];
    file.read_exact_at(&mut head, at)?;
    let (length, frame) = head.split_first_chunk().expect("a head has four bytes and eight");
    let length = u64::from(u32::from_le_bytes(*length));
    let frame = u64::from_le_bytes(*frame.first_chunk().expect("a head has four bytes and eight"));
    Ok((behind_head + length <= end).then_some((frame, length)))
}

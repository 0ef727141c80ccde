//! What is in the file: three tables, and how they are read and written.

use std::{collections::BTreeMap, path::Path};

use hotstuff_rs::block_tree::variables;
use redb::{Database, ReadOnlyTable, ReadableDatabase, TableDefinition, TableError};

use super::{Origin, Staged, StoreError, kv::Changes};

/// The replica's block tree and committed state, in the crate's own keys.
const CONSENSUS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("consensus");
/// Batch root to batch bytes.
const BATCHES: TableDefinition<'static, &[u8; 32], &[u8]> = TableDefinition::new("batches");
/// What the folder belongs to.
const ORIGIN: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("origin");

/// The layout of the tables above; another one is refused.
const FORMAT: &[u8] = b"farhand-validator store 2";

pub(super) type Consensus = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// What an existing folder says it belongs to.
pub(super) struct Found {
    format: Vec<u8>,
    genesis: Vec<u8>,
    epoch: Vec<u8>,
    me: Vec<u8>,
}

impl Found {
    pub(super) fn check(self, dir: &Path, origin: &Origin) -> Result<(), StoreError> {
        let dir = dir.to_owned();
        if self.format != FORMAT {
            return Err(StoreError::OtherFormat { dir });
        }
        if self.genesis != origin.genesis {
            return Err(StoreError::OtherGenesis {
                dir,
                found: self.genesis,
                wanted: origin.genesis.to_vec(),
            });
        }
        if self.epoch != origin.epoch.to_le_bytes() {
            return Err(StoreError::OtherEpoch { dir, wanted: origin.epoch });
        }
        if self.me != origin.me.to_bytes() {
            return Err(StoreError::OtherValidator {
                dir,
                found: self.me,
                wanted: origin.me.to_bytes().to_vec(),
            });
        }
        Ok(())
    }
}

/// `None` if nothing was ever written: only such a store may be initialized.
pub(super) fn read_origin(database: &Database) -> Result<Option<Found>, redb::Error> {
    let table = match database.begin_read()?.open_table(ORIGIN) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        other => other?,
    };
    let row =
        |name| Ok::<_, redb::Error>(table.get(name)?.map(|value| value.value().to_vec()).unwrap_or_default());
    Ok(Some(Found { format: row("format")?, genesis: row("genesis")?, epoch: row("epoch")?, me: row("me")? }))
}

/// Writes all of it or nothing; what is written is on the disk when this returns.
pub(super) fn write(database: &Database, changes: &Changes, staged: &Staged) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?; // `Durability::Immediate` unless said otherwise
    {
        let mut consensus = transaction.open_table(CONSENSUS)?;
        for (key, value) in changes.iter() {
            match value {
                Some(value) => consensus.insert(key, value)?,
                None => consensus.remove(key)?,
            };
        }
        let mut batches = transaction.open_table(BATCHES)?;
        for (root, bytes) in &staged.batches {
            batches.insert(root, bytes.as_slice())?;
        }
    }
    if let Some(origin) = &staged.origin {
        let mut rows = transaction.open_table(ORIGIN)?;
        rows.insert("format", FORMAT)?;
        rows.insert("genesis", origin.genesis.as_slice())?;
        rows.insert("epoch", origin.epoch.to_le_bytes().as_slice())?;
        rows.insert("me", origin.me.to_bytes().as_slice())?;
    }
    transaction.commit()?;
    Ok(())
}

pub(super) fn consensus(database: &Database) -> Result<Consensus, redb::Error> {
    Ok(database.begin_read()?.open_table(CONSENSUS)?)
}

pub(super) fn read(table: &Consensus, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
    Ok(table.get(key)?.map(|value| value.value().to_vec()))
}

pub(super) fn read_batch(database: &Database, root: &[u8; 32]) -> Result<Option<Vec<u8>>, redb::Error> {
    let table = database.begin_read()?.open_table(BATCHES)?;
    Ok(table.get(root)?.map(|value| value.value().to_vec()))
}

/// The replica's variables whose key is one byte.
pub(super) fn read_variables(database: &Database) -> Result<BTreeMap<u8, Vec<u8>>, redb::Error> {
    let table = consensus(database)?;
    let mut found = BTreeMap::new();
    for name in variables::COMMITTED_VALIDATOR_SET[0]..=variables::HIGHEST_VIEW_PHASE_VOTED[0] {
        if let Some(value) = read(&table, &[name])? {
            found.insert(name, value);
        }
    }
    Ok(found)
}

/// The height of the newest committed block.
pub(super) fn read_height(database: &Database) -> Result<Option<u64>, redb::Error> {
    let table = consensus(database)?;
    let Some(block) = read(&table, &variables::HIGHEST_COMMITTED_BLOCK)? else {
        return Ok(None);
    };
    let key = [&variables::BLOCKS[..], &block, &variables::BLOCK_HEIGHT].concat();
    Ok(read(&table, &key)?.and_then(|height| height.try_into().ok()).map(u64::from_le_bytes))
}

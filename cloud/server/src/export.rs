//! Taking a bundle out. **Nothing is handed out whole before the ledger has it: by whom, of which session, with what digest.**
//! The auditor's page signs, this server commits; without a ledger, or when it refuses, there is no export.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use axum::{
    Json,
    extract::{Path as InPath, Query, Request, State, rejection::BytesRejection},
    http::{
        HeaderMap, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use farhand_audit::{BadRedaction, Redaction};
use farhand_ledger::{Cbor as _, Event, Export, Hash, LedgerId, Transaction, TrustRoot};
use farhand_wire::{PublicKey, Role};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{
    api::{ApiError, Which, holder_of},
    app::App,
    audit::{OCTETS, interrupted, sealed, serve},
};

/// Exports that are remembered; who comes after so many records again.
const TAKEN_MAX: usize = 10_000;
/// Copies that lack something lie in this folder beside the bundles.
const COPIES: &str = "copies";
/// So many are kept. One that is gone is made again, the same to the byte.
const COPIES_MAX: usize = 16;

/// An export that the ledger has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Taken {
    by: PublicKey,
    name: String,
    without: Redaction,
}

/// What is asked for: a bundle, whole or without what is marked.
#[derive(Debug, Deserialize)]
pub(crate) struct What {
    /// Marks, as [`Redaction`] has them.
    without: Option<String>,
}

impl What {
    fn redaction(&self) -> Result<Redaction, ApiError> {
        let marks = self.without.as_deref().filter(|marks| !marks.is_empty());
        marks.map_or_else(|| Ok(Redaction::default()), str::parse).map_err(|why| not_marked(&why))
    }
}

/// Session, digest and length of what would be taken out: what the auditor signs.
pub(crate) async fn offer(
    State(app): State<Arc<App>>,
    InPath(name): InPath<String>,
    (Query(which), Query(what)): (Query<Which>, Query<What>),
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    holder_of(&app, &headers, &which, Role::Auditor)?;
    let (_, Export { session, bundle, bytes }) = prepare(&app, &name, &what.redaction()?).await?;
    let offered = json!({ "session": session.to_string(), "sha256": bundle.to_string(), "bytes": bytes });
    Ok(([(CACHE_CONTROL, "no-store")], Json(offered)).into_response())
}

/// Puts the auditor's signed export on the ledger, and answers with the proof of it.
pub(crate) async fn record(
    State(app): State<Arc<App>>,
    InPath(name): InPath<String>,
    (Query(which), Query(what)): (Query<Which>, Query<What>),
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let by = holder_of(&app, &headers, &which, Role::Auditor)?;
    let signed = body.map_err(|rejection| ApiError::body(&rejection))?;
    let without = what.redaction()?;
    let (_, export) = prepare(&app, &name, &without).await?;
    let trust = TrustRoot::read(&app.trust_root).map_err(|_| interrupted())?;
    check(&signed, by, trust.ledger(), export).map_err(|why| {
        ApiError::new(StatusCode::BAD_REQUEST, "malformed", format!("Not recorded: {why}."))
    })?;
    let ledger = app.ledger.as_ref().ok_or_else(|| unrecorded("this server has no ledger"))?;
    let proof = ledger.commit(&signed).await.map_err(|error| unrecorded(&error.to_string()))?;
    let taken = Taken { by, name, without };
    tracing::info!(bundle = taken.name, by = %taken.by, without = %taken.without, "exported");
    remember(&app, taken);
    Ok(([(CONTENT_TYPE, OCTETS), (CACHE_CONTROL, "no-store")], proof.to_bytes()).into_response())
}

/// The file, to whoever has recorded that it is taken out.
pub(crate) async fn download(
    State(app): State<Arc<App>>,
    InPath(name): InPath<String>,
    (Query(which), Query(what)): (Query<Which>, Query<What>),
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let by = holder_of(&app, &headers, &which, Role::Auditor)?;
    let taken = Taken { by, name, without: what.redaction()? };
    if !app.taken().contains(&taken) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "not-recorded",
            "This export is not recorded. Export it first: without the record nothing is handed out.",
        ));
    }
    let (path, _) = prepare(&app, &taken.name, &taken.without).await?;
    serve(path, &taken.name, request).await
}

/// What is signed says just what will be handed out, and nobody signs for another.
fn check(signed: &[u8], by: PublicKey, ledger: LedgerId, export: Export) -> Result<(), String> {
    let authored = Transaction::open(signed).map_err(|error| error.to_string())?;
    match authored.transaction.event {
        _ if authored.author != by => Err("it is signed by another key than this page's".to_owned()),
        _ if authored.transaction.ledger != ledger => Err("it is for another ledger".to_owned()),
        Event::Exported(said) if said == export => Ok(()),
        _ => Err("it is not the export of this bundle, with this digest and length".to_owned()),
    }
}

/// The file that is handed out, and what there is to record of it.
async fn prepare(app: &App, name: &str, without: &Redaction) -> Result<(PathBuf, Export), ApiError> {
    let whole = sealed(app, name)?;
    let without = without.clone();
    let prepared = tokio::task::spawn_blocking(move || -> Result<_, NoFile> {
        let session = farhand_audit::session_of(&whole).map_err(BadRedaction::from)?;
        let path = if without.is_nothing() { whole } else { copy_without(&whole, &without)? };
        let (bundle, bytes) = digest(&path)?;
        Ok((path, Export { session, bundle, bytes }))
    });
    prepared.await.map_err(|_| interrupted())?.map_err(|why| match why {
        NoFile::Bundle(BadRedaction::NoLeaf { .. } | BadRedaction::Needed { .. }) => not_marked(&why),
        NoFile::Bundle(_) | NoFile::Disk(_) | NoFile::Random(_) => interrupted(),
    })
}

/// Why there is no file to hand out.
#[derive(Debug, Error)]
enum NoFile {
    #[error(transparent)]
    Bundle(#[from] BadRedaction),
    #[error(transparent)]
    Disk(#[from] io::Error),
    #[error(transparent)]
    Random(#[from] getrandom::Error),
}

/// Made once; the same bundle without the same makes the same copy.
fn copy_without(whole: &Path, without: &Redaction) -> Result<PathBuf, NoFile> {
    let marks = hex::encode(Sha256::digest(without.to_string()));
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let folder = whole.with_file_name(COPIES);
    let path = folder.join(format!("{marks}-{name}"));
    if !path.is_file() {
        std::fs::create_dir_all(&folder)?;
        make_room(&folder)?;
        // Two may make it at once: each a file of its own, and the last one stays.
        let part = folder.join(format!("{}.part", hex::encode(crate::app::random::<8>()?)));
        let out = File::create_new(&part)?;
        let made = farhand_audit::leave_out(whole, without, out).map_err(NoFile::from);
        let made = made.and_then(|()| Ok(std::fs::rename(&part, &path)?));
        made.inspect_err(|_| drop(std::fs::remove_file(&part)))?; // it is ours, and it is no bundle
    }
    Ok(path)
}

/// The oldest copies make room for one more.
fn make_room(folder: &Path) -> io::Result<()> {
    let made_at =
        |path: &PathBuf| path.metadata().and_then(|it| it.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut copies: Vec<PathBuf> = std::fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    copies.sort_by_cached_key(made_at);
    let many = (copies.len() + 1).saturating_sub(COPIES_MAX);
    copies.iter().take(many).try_for_each(std::fs::remove_file)
}

fn digest(path: &Path) -> io::Result<(Hash, u64)> {
    let mut digest = Sha256::new();
    let bytes = io::copy(&mut File::open(path)?, &mut digest)?;
    Ok((Hash(digest.finalize().into()), bytes))
}

fn remember(app: &App, taken: Taken) {
    let mut all = app.taken();
    if all.len() >= TAKEN_MAX {
        all.pop_first();
    }
    all.insert(taken);
}

fn not_marked(why: &impl std::error::Error) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "marks", format!("That can't be left out: {why}."))
}

fn unrecorded(why: &str) -> ApiError {
    let message = format!("The export could not be recorded, so nothing is handed out: {why}.");
    ApiError::new(StatusCode::BAD_GATEWAY, "ledger", message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may fail")]
mod tests {
    use ed25519_dalek::SigningKey;
    use farhand_ledger::Utc;
    use farhand_wire::SessionId;

    use super::*;

    const LEDGER: LedgerId = LedgerId([1; 16]);
    const EXPORT: Export = Export { session: SessionId([2; 16]), bundle: Hash([3; 32]), bytes: 4 };

    fn signed(key: &SigningKey, ledger: LedgerId, event: Event) -> Vec<u8> {
        Transaction { ledger, at: Utc { us: 1, uncertainty_us: 1 }, event }.sign(key).unwrap()
    }

    /// Goal: marks are read once, and what is none is told what would do.
    #[test]
    fn marks_are_a_redaction_or_refused() {
        let asked = |without: &str| What { without: Some(without.to_owned()) }.redaction();
        assert!(asked("").unwrap().is_nothing() && What { without: None }.redaction().unwrap().is_nothing());
        assert_eq!(asked("pictures,5,kit-state").unwrap().to_string(), "5-5,kit-state,pictures");
        for bad in ["closed", "5-", "1,", "../x"] {
            assert!(asked(bad).is_err(), "{bad}");
        }
    }

    /// Goal: copies don't fill the disk, and the newest stay.
    #[test]
    fn the_oldest_copies_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let copy = |number: usize| folder.path().join(format!("{number}.mcap"));
        for number in 0..COPIES_MAX + 2 {
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            File::create_new(copy(number)).unwrap().set_modified(at).unwrap();
        }
        make_room(folder.path()).unwrap();
        let left: Vec<bool> = (0..COPIES_MAX + 2).map(|number| copy(number).is_file()).collect();
        assert_eq!(left, [vec![false; 3], vec![true; COPIES_MAX - 1]].concat());
    }

    /// Goal: what goes on the ledger is just what is handed out, signed by whoever takes it.
    #[test]
    fn only_the_export_that_is_asked_for_is_recorded() {
        let (key, other) = (SigningKey::from_bytes(&[7; 32]), SigningKey::from_bytes(&[8; 32]));
        let by = PublicKey(key.verifying_key().to_bytes());
        let good = signed(&key, LEDGER, Event::Exported(EXPORT));
        assert_eq!(check(&good, by, LEDGER, EXPORT), Ok(()));
        let bad = [
            signed(&other, LEDGER, Event::Exported(EXPORT)),
            signed(&key, LedgerId([9; 16]), Event::Exported(EXPORT)),
            signed(&key, LEDGER, Event::Exported(Export { session: SessionId([9; 16]), ..EXPORT })),
            signed(&key, LEDGER, Event::Exported(Export { bundle: Hash::ZERO, ..EXPORT })),
            signed(&key, LEDGER, Event::Exported(Export { bytes: 5, ..EXPORT })),
            [&good[..good.len() - 1], &[good[good.len() - 1] ^ 1]].concat(),
        ];
        for signed in bad {
            assert!(check(&signed, by, LEDGER, EXPORT).is_err());
        }
    }
}

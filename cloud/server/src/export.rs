//! Taking a bundle out. **Nothing is handed out whole before the ledger has it: by whom, of which session, with what digest.**
//! The auditor's page signs, this server commits; without a ledger, or when it refuses, there is no export.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
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
use farhand_ledger::{Cbor as _, Event, Export, Hash, LedgerId, Transaction, TrustRoot};
use farhand_wire::{PublicKey, Role};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    api::{ApiError, Which, holder_of},
    app::App,
    audit::{OCTETS, interrupted, sealed, serve},
};

/// Exports that are remembered; who comes after so many records again.
const TAKEN_MAX: usize = 10_000;
/// Copies without pictures lie in this folder beside the bundles.
const WITHOUT_PICTURES: &str = "without-pictures";

/// An export that the ledger has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Taken {
    by: PublicKey,
    name: String,
    without_pictures: bool,
}

/// What is to be taken out.
#[derive(Debug, Deserialize)]
pub(crate) struct What {
    pictures: Option<Pictures>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Pictures {
    With,
    Without,
}

impl What {
    fn without_pictures(&self) -> bool {
        matches!(self.pictures, Some(Pictures::Without))
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
    let (_, Export { session, bundle, bytes }) = prepare(&app, &name, &what).await?;
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
    let (_, export) = prepare(&app, &name, &what).await?;
    let trust = TrustRoot::read(&app.trust_root).map_err(|_| interrupted())?;
    check(&signed, by, trust.ledger(), export).map_err(|why| {
        ApiError::new(StatusCode::BAD_REQUEST, "malformed", format!("Not recorded: {why}."))
    })?;
    let ledger = app.ledger.as_ref().ok_or_else(|| unrecorded("this server has no ledger"))?;
    let proof = ledger.commit(&signed).await.map_err(|error| unrecorded(&error.to_string()))?;
    let taken = Taken { by, name, without_pictures: what.without_pictures() };
    tracing::info!(bundle = taken.name, by = %taken.by, without_pictures = taken.without_pictures, "exported");
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
    let taken = Taken { by, name, without_pictures: what.without_pictures() };
    if !app.taken().contains(&taken) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "not-recorded",
            "This export is not recorded. Export it first: without the record nothing is handed out.",
        ));
    }
    let (path, _) = prepare(&app, &taken.name, &what).await?;
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
async fn prepare(app: &App, name: &str, what: &What) -> Result<(PathBuf, Export), ApiError> {
    let whole = sealed(app, name)?;
    let without_pictures = what.without_pictures();
    let prepared = tokio::task::spawn_blocking(move || {
        let session = farhand_audit::session_of(&whole).ok()?;
        let path = if without_pictures { copy_without_pictures(&whole)? } else { whole };
        let (bundle, bytes) = digest(&path).ok()?;
        Some((path, Export { session, bundle, bytes }))
    });
    prepared.await.ok().flatten().ok_or_else(interrupted)
}

/// Made once; the same bundle makes the same copy.
fn copy_without_pictures(whole: &Path) -> Option<PathBuf> {
    let folder = whole.parent()?.join(WITHOUT_PICTURES);
    let path = folder.join(whole.file_name()?);
    if !path.is_file() {
        std::fs::create_dir_all(&folder).ok()?;
        // Two may make it at once: each a file of its own, and the last one stays.
        let part = folder.join(format!("{}.part", hex::encode(crate::app::random::<8>().ok()?)));
        let made =
            File::create_new(&part).ok().and_then(|out| farhand_audit::leave_pictures_out(whole, out).ok());
        if made.and_then(|()| std::fs::rename(&part, &path).ok()).is_none() {
            let _ = std::fs::remove_file(&part); // it is ours, and it is no bundle
            return None;
        }
    }
    Some(path)
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

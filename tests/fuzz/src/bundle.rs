//! A session's bundle: the container, the verifier, and what a regulator makes of it.

use farhand_audit::{Format, Vault};
use farhand_bundle::{RECORD_BYTES_MAX, Reader, Redaction};
use farhand_ledger::verify::{Leaf, Verdict};

use crate::stage::{canonical, folder, trust};

/// The one bundle of this ledger.
const GOOD: &[u8] = include_bytes!("../corpus/bundle_verify/small.mcap");

/// The container: every part is found or refused, and none is larger than the file has bytes for.
pub(crate) fn read(bytes: &[u8]) {
    let Ok(reader) = Reader::open(bytes) else { return };
    assert!(reader.manifest().len() <= bytes.len());
    let proofs: usize = reader.checkpoints().map(|proof| proof.len()).sum();
    assert!(proofs <= bytes.len());
    assert!(reader.seal().is_ok() || proofs == 0);
    let mut before = 0;
    for content in reader.contents().map_while(Result::ok) {
        let whole = matches!(&content.leaf, Leaf::Whole(leaf) if leaf.len() > RECORD_BYTES_MAX);
        assert!(!whole && content.unit.is_none_or(|unit| unit.len() <= RECORD_BYTES_MAX));
        before += 1;
    }
    assert!(before <= bytes.len());
}

/// The verdict: under the trust root nothing holds but what was recorded, and without one nothing does.
pub(crate) fn verify(bytes: &[u8]) {
    let Ok(reader) = Reader::open(bytes) else { return };
    if let Ok(verified) = farhand_bundle::verify(&reader, Some(trust()))
        && verified.verdict() == Verdict::Holds
    {
        let left_out = verified.report.redacted + verified.pictures_left_out;
        assert!(bytes == GOOD || left_out > 0, "a bundle that was never recorded holds");
    }
    if let Ok(verified) = farhand_bundle::verify(&reader, None) {
        assert_ne!(verified.verdict(), Verdict::Holds, "nobody vouches for its keys");
    }
}

/// What is written of a bundle, whatever the verdict.
pub(crate) fn audit(bytes: &[u8]) {
    let folder = folder(&[("session.mcap", bytes)]);
    let (path, out) = (folder.path().join("session.mcap"), |name| folder.path().join(name));
    let trust = Some(trust());
    let _ = farhand_audit::lines(&path, |_| true);
    let _ = farhand_audit::words(&farhand_audit::audit(&path, trust));
    let _ = farhand_audit::export(&path, trust, Format::Csv, &out("csv"), 0, |_, _| {});
    let _ = farhand_audit::export(&path, trust, Format::Fhir, &out("fhir"), 0, |_, _| {});
    let page = farhand_audit::Page { pictures_max: 4, vault: None };
    let _ = farhand_audit::write_html(&path, trust, &out("page.html"), page, |_, _| {});
    let newest = farhand_audit::Asked::At { utc_us: u64::MAX };
    let _ = farhand_audit::screen(&path, trust, newest, |_, _| {})
        .map(|screen| (screen.words(), screen.mp4().is_ok()));
}

/// The records of a session's people.
pub(crate) fn vault(bytes: &[u8]) {
    let Some(vault) = canonical::<Vault>(bytes) else { return };
    assert!(vault.commitments().count() <= 64);
    let _ = vault.root();
}

/// Marks of what is to be left out: the same ones have the same words, and those mean the same.
pub(crate) fn marks(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(redaction) = text.parse::<Redaction>() else { return };
    let written = redaction.to_string();
    assert_eq!(written.parse().as_ref(), Ok(&redaction));
    assert!(redaction.spans.iter().all(|(first, last)| first <= last));
}

//! Links between devices: messages in a stream, certificates, device ids, the mesh's topics.

use farhand_link::{DeviceId, MESSAGE_BYTES_MAX, fuzzing};
use farhand_mesh::{Certificate, Topic};

/// A stream, cut in pieces of a size that the first byte says: no message over the bound, and the same ones however it is
/// cut.
pub(crate) fn stream(bytes: &[u8]) {
    let Some((&size, stream)) = bytes.split_first() else { return };
    let (cut, cut_end) = fuzzing::messages(stream, usize::from(size).max(1));
    let (whole, whole_end) = fuzzing::messages(stream, usize::MAX);
    assert_eq!((&cut, cut_end), (&whole, whole_end), "it matters how the stream is cut");
    assert!(whole.iter().all(|message| message.len() <= MESSAGE_BYTES_MAX));
    assert!(whole.iter().map(|message| message.len() + 4).sum::<usize>() <= stream.len());
}

/// A certificate names a device only if that device signed these very bytes.
pub(crate) fn certificate(bytes: &[u8]) {
    const GOOD: &[u8] = include_bytes!("../corpus/certificate/device.der");
    let named = fuzzing::certificate(bytes, 1_760_000_000);
    assert!(named.is_err() || bytes == GOOD, "{named:?} never made this");
}

/// Texts that name things: one text each.
pub(crate) fn mesh(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(topic) = text.parse::<Topic>() {
        assert_eq!(topic.to_string(), text);
    }
    if let Ok(id) = text.parse::<DeviceId>() {
        assert_eq!(id.to_string(), text.to_lowercase());
    }
    if let Ok(certificate) = Certificate::from_pem(text) {
        assert_eq!(certificate.pem(), text);
    }
}

//! A device's key in its file: PKCS #8 PEM (RFC 8410, as `openssl pkey` reads it), mode 0600.
//!
//! **Invariant (local):** a key file is either absent or whole, and a key that others could have read is not used.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, KeypairBytes, spki::der::pem::LineEnding},
};
use zeroize::Zeroizing;

use crate::{DeviceKey, KeyError};

const KEY_FILE_BYTES_MAX: u64 = 4096;
const OTHERS_MODE: u32 = 0o077;

impl DeviceKey {
    /// The key in `path`, made there if the file is absent. Two processes that both find it absent get the same key.
    ///
    /// # Errors
    /// [`KeyError`] as of [`DeviceKey::load`], or if the file can't be written. A file that is there is never replaced.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => create(path),
            found => found,
        }
    }

    /// The key in `path`.
    ///
    /// # Errors
    /// [`KeyError`] if the file is absent, not a plain file, readable by others, or holds no Ed25519 key.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let mut file = File::open(path).map_err(io_error("open", path))?;
        let about = file.metadata().map_err(io_error("examine", path))?;
        refuse_unsafe(path, &about)?;
        let pem = read_secret(&mut file, &about).map_err(io_error("read", path))?;
        parse(&pem).map_err(|detail| KeyError::Unreadable { path: path.to_owned(), detail })
    }
}

fn refuse_unsafe(path: &Path, about: &Metadata) -> Result<(), KeyError> {
    let path = || path.to_owned();
    let mode = about.permissions().mode() & 0o7777;
    if !about.is_file() {
        return Err(KeyError::NotAFile { path: path() });
    }
    if mode & OTHERS_MODE != 0 {
        return Err(KeyError::ReadableByOthers { path: path(), mode });
    }
    if about.size() > KEY_FILE_BYTES_MAX {
        return Err(KeyError::TooLarge { path: path(), bytes: about.size(), max: KEY_FILE_BYTES_MAX });
    }
    Ok(())
}

/// Into one buffer of the full size, so that growing leaves no copies behind.
fn read_secret(file: &mut File, about: &Metadata) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; usize::try_from(about.size()).unwrap_or(0)]);
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn parse(pem: &[u8]) -> Result<DeviceKey, String> {
    let text = std::str::from_utf8(pem).map_err(|_| "not text".to_owned())?;
    let key = SigningKey::from_pkcs8_pem(text).map_err(|error| error.to_string())?;
    Ok(DeviceKey::from_seed(key.as_bytes()))
}

/// Written whole under another name, then linked to its own, so that a crash leaves no half key.
fn create(path: &Path) -> Result<DeviceKey, KeyError> {
    let key = DeviceKey::generate()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io_error("create", path))?;
    let pem = encode(&key).map_err(|detail| KeyError::Unreadable { path: path.to_owned(), detail })?;
    file.write_all(pem.as_bytes()).map_err(io_error("write", path))?;
    file.as_file().sync_all().map_err(io_error("write", path))?;
    match file.persist_noclobber(path) {
        Ok(_) => sync_folder(folder).map_err(io_error("write", path)).map(|()| key),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => DeviceKey::load(path),
        Err(error) => Err(io_error("write", path)(error.error)),
    }
}

/// Version 1 of PKCS #8, without the public key: the newer one is not read by OpenSSL 3.0.
fn encode(key: &DeviceKey) -> Result<Zeroizing<String>, String> {
    use ed25519_dalek::pkcs8::EncodePrivateKey;
    let pair = KeypairBytes { secret_key: key.signing_key().to_bytes(), public_key: None };
    pair.to_pkcs8_pem(LineEnding::LF).map_err(|error| error.to_string())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    move |source| KeyError::Io { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    /// Goal: a device keeps its identity over restarts, in a file that only its own user may read.
    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let folder = folder();
        let path = folder.path().join("device.key");
        let made = DeviceKey::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(DeviceKey::load_or_create(&path).unwrap().id(), made.id());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no leftovers");
    }

    /// Goal: many processes starting at once on one absent file end up as one device.
    #[test]
    fn racing_starts_agree_on_one_key() {
        let folder = folder();
        let path = folder.path().join("device.key");
        let ids: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| DeviceKey::load_or_create(&path).unwrap().id())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    /// Goal: a key that others could have read is refused, with what to do; the file stays as it was.
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = folder();
        let path = folder.path().join("device.key");
        let made = DeviceKey::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = DeviceKey::load_or_create(&path).unwrap_err();
        assert!(matches!(error, KeyError::ReadableByOthers { mode: 0o640, .. }), "{error:?}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(DeviceKey::load(&path).unwrap().id(), made.id());
    }

    /// Goal: a damaged, oversized or odd file is an error, never silently a new identity.
    #[test]
    fn a_damaged_key_is_never_replaced() {
        let folder = folder();
        let path = folder.path().join("device.key");
        DeviceKey::load_or_create(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(DeviceKey::load_or_create(&path), Err(KeyError::Unreadable { .. })));
        assert_eq!(fs::read(&path).unwrap(), whole[..whole.len() / 2]);
        fs::write(&path, vec![b'-'; 5000]).unwrap();
        assert!(matches!(DeviceKey::load_or_create(&path), Err(KeyError::TooLarge { bytes: 5000, .. })));
        let error = DeviceKey::load_or_create(folder.path()).unwrap_err();
        assert!(matches!(error, KeyError::NotAFile { .. }), "{error:?}");
    }
}

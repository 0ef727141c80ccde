//! Who belongs to a site: certificates that its authority issues for devices' keys.
//!
//! **Invariant (local): a certificate's common name is the id of the key in it.** The router's access list goes by that
//! name alone, so the name is written here, from the key, and never taken from outside.

use std::{
    fmt,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use ed25519_dalek::{SigningKey, ed25519::signature::Signer as _};
use farhand_link::{DeviceId, DeviceKey};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, PublicKeyData, SanType,
};

use crate::CertificateError;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// For clocks that are off by weeks.
const VALID_BEFORE: Duration = Duration::from_secs(30 * DAY.as_secs());
const VALID_AFTER: Duration = Duration::from_secs(825 * DAY.as_secs());
const PEM_BYTES_MAX: usize = 16 * 1024;
const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const PEM_END: &str = "-----END CERTIFICATE-----";

/// A certificate: of a device, or the site's own, which is what devices trust.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate(String);

impl Certificate {
    /// Takes a certificate in PEM. Whether it is any good is said by whoever it is shown to.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let trimmed = text.trim();
        let whole = trimmed.starts_with(PEM_BEGIN) && trimmed.ends_with(PEM_END);
        if whole && text.len() <= PEM_BYTES_MAX {
            return Ok(Self(text.to_owned()));
        }
        Err(CertificateError::NotPem { seen: text.len(), max: PEM_BYTES_MAX })
    }

    #[must_use]
    pub fn pem(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} bytes of PEM)", self.0.len())
    }
}

/// Says which devices belong to the site: the hospital, by a key of its own. What it signs here is DER, which no other
/// thing signed in Farhand begins like.
#[derive(Clone, Debug)]
pub struct Authority {
    key: DeviceKey,
}

impl Authority {
    #[must_use]
    pub fn new(key: DeviceKey) -> Self {
        Self { key }
    }

    /// The site's own certificate: what its devices trust. Made anew it differs in its dates only, and certificates
    /// issued before hold under the new one too.
    pub fn anchor(&self, now: SystemTime) -> Result<Certificate, CertificateError> {
        let certificate = self.params(now).self_signed(&Key::of(&self.key))?;
        Ok(Certificate(certificate.pem()))
    }

    /// Lets a device into the site: to connect, never to be connected to.
    pub fn admit(&self, device: DeviceId, now: SystemTime) -> Result<Certificate, CertificateError> {
        self.issue(device, ExtendedKeyUsagePurpose::ClientAuth, &[], now)
    }

    /// Makes a device the site's router, found at these addresses.
    pub fn admit_router(
        &self,
        router: DeviceId,
        addresses: &[IpAddr],
        now: SystemTime,
    ) -> Result<Certificate, CertificateError> {
        self.issue(router, ExtendedKeyUsagePurpose::ServerAuth, addresses, now)
    }

    fn issue(
        &self,
        device: DeviceId,
        usage: ExtendedKeyUsagePurpose,
        addresses: &[IpAddr],
        now: SystemTime,
    ) -> Result<Certificate, CertificateError> {
        let mut params = named(device, now);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.subject_alt_names = addresses.iter().map(|address| SanType::IpAddress(*address)).collect();
        let issuer = self.params(now);
        let issuer = Issuer::from_params(&issuer, Key::of(&self.key));
        Ok(Certificate(params.signed_by(&Public(device), &issuer)?.pem()))
    }

    fn params(&self, now: SystemTime) -> CertificateParams {
        let mut params = named(self.key.id(), now);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    }
}

fn named(id: DeviceId, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = (now - VALID_BEFORE).into();
    params.not_after = (now + VALID_AFTER).into();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, id.to_string());
    params
}

/// The key in a certificate.
struct Public(DeviceId);

impl PublicKeyData for Public {
    fn der_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

/// The authority's key, where it is.
struct Key<'a> {
    key: &'a SigningKey,
    public: DeviceId,
}

impl<'a> Key<'a> {
    fn of(key: &'a DeviceKey) -> Self {
        Self { key: key.signing_key(), public: key.id() }
    }
}

impl PublicKeyData for Key<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for Key<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.key.sign(message).to_bytes().to_vec())
    }
}

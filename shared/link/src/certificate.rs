//! A device's certificate: self-signed, made from the device's key at each start. It carries the key into TLS and is
//! believed for nothing else; a validity is there because X.509 has one, wide enough for clocks that are off by weeks.

use std::time::{Duration, SystemTime};

use ed25519_dalek::{SigningKey, ed25519::signature::Signer as _};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, PublicKeyData,
    SerialNumber,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};

use crate::{DeviceId, DeviceKey, Refusal, identity::ID_BYTES};

const DAY: Duration = Duration::from_secs(24 * 3600);
const VALID_BEFORE: Duration = Duration::from_secs(30 * DAY.as_secs());
const VALID_AFTER: Duration = Duration::from_secs(825 * DAY.as_secs());

/// `SubjectPublicKeyInfo` of Ed25519 up to the key itself (RFC 8410 §4), without the outer SEQUENCE.
const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

pub(crate) fn self_signed(key: &DeviceKey, now: SystemTime) -> Result<CertificateDer<'static>, rcgen::Error> {
    let subject = Subject { key: key.signing_key(), public: key.id() };
    let mut params = CertificateParams::default();
    params.not_before = (now - VALID_BEFORE).into();
    params.not_after = (now + VALID_AFTER).into();
    params.serial_number = Some(SerialNumber::from_slice(&[1]));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, key.id().to_string());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params.self_signed(&subject)?.der().clone())
}

struct Subject<'a> {
    key: &'a SigningKey,
    public: DeviceId,
}

impl PublicKeyData for Subject<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for Subject<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.key.sign(message).to_bytes().to_vec())
    }
}

/// Whose certificate this is, once it is shown to be signed by its own key and valid at `now`.
pub(crate) fn check(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<DeviceId, Refusal> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|error| refusal(error, now))?;
    let id = owner(&parsed)?;
    let itself = webpki::anchor_from_trusted_cert(certificate).map_err(|error| refusal(error, now))?;
    parsed
        .verify_for_usage(&[webpki::aws_lc_rs::ED25519], &[itself], &[], now, AnyUsage, None, None)
        .map_err(|error| refusal(error, now))?;
    Ok(id)
}

/// Whose certificate this is, if it was [`check`]ed before.
pub(crate) fn owner_of(certificate: &CertificateDer<'_>) -> Result<DeviceId, Refusal> {
    owner(&EndEntityCert::try_from(certificate).map_err(|error| refusal(error, UnixTime::now()))?)
}

fn owner(certificate: &EndEntityCert<'_>) -> Result<DeviceId, Refusal> {
    let spki = certificate.subject_public_key_info();
    let key = spki.strip_prefix(&ED25519_SPKI_PREFIX).ok_or(Refusal::NotEd25519)?;
    let key = <[u8; ID_BYTES]>::try_from(key).map_err(|_| Refusal::NotEd25519)?;
    DeviceId::try_from(key).map_err(|_| Refusal::NotEd25519)
}

fn refusal(error: webpki::Error, now: UnixTime) -> Refusal {
    let now_s = now.as_secs();
    match error {
        webpki::Error::CertExpired { not_after, .. } => {
            Refusal::Expired { not_after_s: not_after.as_secs(), now_s }
        }
        webpki::Error::CertNotValidYet { not_before, .. } => {
            Refusal::NotYetValid { not_before_s: not_before.as_secs(), now_s }
        }
        webpki::Error::InvalidSignatureForPublicKey => Refusal::Tampered,
        other => Refusal::BadCertificate { detail: other.to_string() },
    }
}

/// A device both connects and accepts; its role comes from the list of peers, not from its certificate.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: SystemTime) -> UnixTime {
        UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap())
    }

    /// Goal: a certificate names exactly the device that made it, while it is valid and not a second longer.
    #[test]
    fn a_certificate_names_its_maker_while_it_is_valid() {
        let key = DeviceKey::generate().unwrap();
        let made = SystemTime::now();
        let certificate = self_signed(&key, made).unwrap();
        for now in [made, made - 29 * DAY, made + 824 * DAY] {
            assert_eq!(check(&certificate, at(now)), Ok(key.id()));
        }
        assert!(matches!(check(&certificate, at(made - 31 * DAY)), Err(Refusal::NotYetValid { .. })));
        assert!(matches!(check(&certificate, at(made + 826 * DAY)), Err(Refusal::Expired { .. })));
    }

    /// Goal: whichever single bit of a certificate is flipped, it is refused or (nowhere) names another device.
    #[test]
    fn no_bit_of_a_certificate_can_be_changed() {
        let key = DeviceKey::generate().unwrap();
        let now = SystemTime::now();
        let whole = self_signed(&key, now).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut altered = whole.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            let answer = check(&CertificateDer::from(altered), at(now));
            assert!(answer.is_err(), "bit {bit} changed nothing: {answer:?}");
        }
    }

    /// Goal: a prefix of a certificate is refused, never read past its end.
    #[test]
    fn a_truncated_certificate_is_refused() {
        let whole = self_signed(&DeviceKey::generate().unwrap(), SystemTime::now()).unwrap();
        for bytes in 0..whole.len() {
            let cut = CertificateDer::from(whole[..bytes].to_vec());
            assert!(matches!(check(&cut, UnixTime::now()), Err(Refusal::BadCertificate { .. })));
        }
    }
}

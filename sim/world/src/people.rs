//! People who sign: the surgeon and whoever stands at the bedside.

use ed25519_dalek::SigningKey;
use farhand_wire::{Challenge, KitNotice, PressId, PublicKey, Role, Said, SessionId, Statement};

const SIGN_AGAIN_US: u64 = 1_000_000;

/// The two keys of a person: the one that the roster names, and the one made for this session.
#[derive(Clone, Debug)]
pub struct Keys {
    pub link: SigningKey,
    pub session: SigningKey,
}

impl Keys {
    /// From a seed, for tests and virtual time.
    #[must_use]
    pub fn from_seed(seed: u8) -> Self {
        Self {
            link: SigningKey::from_bytes(&[seed; 32]),
            session: SigningKey::from_bytes(&[seed ^ 0x80; 32]),
        }
    }

    #[must_use]
    pub fn member(&self) -> PublicKey {
        public(&self.link)
    }

    #[must_use]
    pub fn speaker(&self) -> PublicKey {
        public(&self.session)
    }
}

pub(crate) fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

/// Someone with keys and a role, who signs a challenge once.
#[derive(Debug)]
pub struct Person {
    pub keys: Keys,
    pub role: Role,
    session: SessionId,
    /// The challenge last signed, for what, and when.
    signed: Option<(Challenge, &'static str, u64)>,
    presses: u8,
    /// A press that no notice has listed yet.
    pub pressing: Option<PressId>,
}

impl Person {
    #[must_use]
    pub fn new(keys: Keys, role: Role, session: SessionId) -> Self {
        Self { keys, role, session, signed: None, presses: 0, pressing: None }
    }

    /// The link's key vouches for the session key.
    #[must_use]
    pub fn endorse(&self) -> Vec<u8> {
        let said = Said::Endorse { session_key: self.keys.speaker() };
        Statement { session: self.session, said }.sign(&self.keys.link)
    }

    #[must_use]
    pub fn say(&self, said: Said) -> Vec<u8> {
        Statement { session: self.session, said }.sign(&self.keys.session)
    }

    /// Signs what takes the challenge in force: once for each challenge, and again a second later if that came to nothing.
    pub fn sign(
        &mut self,
        now_us: u64,
        what: &'static str,
        challenge: Challenge,
        said: Said,
    ) -> Option<Vec<u8>> {
        let signed = |(before, before_what, at_us): (Challenge, &str, u64)| {
            before == challenge && before_what == what && now_us < at_us + SIGN_AGAIN_US
        };
        if self.signed.is_some_and(signed) {
            return None;
        }
        self.signed = Some((challenge, what, now_us));
        Some(self.say(said))
    }

    /// Presses the e-stop: to be said again until a notice lists it.
    pub fn press(&mut self) {
        self.presses += 1;
        let mut id = [self.presses; 16];
        id[..8].copy_from_slice(&self.keys.speaker().0[..8]);
        self.pressing = Some(PressId(id));
    }

    /// What the pressed button says, for as long as nobody has heard it.
    pub fn repeat_press(&mut self, notice: Option<&KitNotice>) -> Option<Vec<u8>> {
        let press = self.pressing?;
        if notice.is_some_and(|notice| notice.presses.contains(&press)) {
            self.pressing = None;
            return None;
        }
        Some(self.say(Said::EStop { press }))
    }
}

use super::{Rituals, Signers};
use crate::explore::Key;

impl Rituals {
    /// Who has signed what.
    pub(crate) fn key(&self) -> impl Key + use<> {
        let Self { seed: _, number: _, challenge: _, arm, clear, take_over } = self;
        let of = |signers: &Signers| (signers.people, signers.bedside);
        (of(arm), of(clear), take_over.map(|(to, signers)| (to, signers.people, signers.bedside)))
    }
}

//! What people may order, by the promises.

use farhand_wire::{KitTick, Role};

use super::{
    act::{Sign, Token, Who, Word},
    facts::{ArmFacts, Asked, Control, Errand, Facts, People, Why},
    promises::Promise,
};

impl Facts {
    /// Somebody orders something; what follows from it, or the promise that following it would break.
    pub(super) fn orders(&mut self, now: KitTick, who: Who, word: Word) -> Result<(), Promise> {
        match word {
            Word::Press(press) => self.press(1 << press),
            Word::Clear(sign) => self.clear(now, who, sign)?,
            Word::Arm(sign) => self.arm(now, who, sign)?,
            Word::Disarm => self.disarm(now, who)?,
            Word::Close => {
                self.disarm(now, who)?;
                self.closed = true;
            }
            Word::WithdrawConsent => self.withdraw_consent(now, who)?,
            Word::Forbid(sign, version) => self.forbid(who, sign, version)?,
            Word::Home(sign) => self.sends_home(now, who, sign)?,
            Word::Out(sign) => self.goes(now, who, sign, Errand::Out)?,
            Word::Ask(sign) => self.ask(now, who, sign)?,
            Word::Confirm(token) => self.confirm(now, who, token)?,
            Word::HandOver(to) => self.hand_over(now, who, to)?,
            Word::GiveTo(sign, to) => self.give(now, who, sign, to)?,
        }
        Ok(())
    }

    /// A challenge is used up by what was done under it, and by everything that stops.
    pub(super) fn forget_signatures(&mut self) {
        (self.signed_arm, self.signed_clear) = (People::default(), People::default());
        self.signed_give = None;
    }

    fn press(&mut self, press: u8) {
        if (self.latched | self.cleared) & press == 0 {
            self.latched |= press;
            self.stop();
            self.forget_signatures();
        }
    }

    fn clear(&mut self, now: KitTick, who: Who, sign: Sign) -> Result<(), Promise> {
        if !is_of_the_team(who) || sign != Sign::Now || !self.is_stopped() || self.cause_remains(now) {
            return Err(Promise::Cleared);
        }
        self.signed_clear.add(who);
        if self.signed_clear.are_two_with_the_bedside() {
            self.cleared |= self.latched;
            (self.latched, self.fault) = (0, false);
            self.interrupt(now, Why::Interruption);
            self.forget_signatures();
        }
        Ok(())
    }

    fn arm(&mut self, now: KitTick, who: Who, sign: Sign) -> Result<(), Promise> {
        if self.closed || self.consent_withdrawn {
            return Err(Promise::Ended);
        }
        if !is_of_the_team(who) || sign != Sign::Now || self.is_stopped() {
            return Err(Promise::Armed);
        }
        self.signed_arm.add(who);
        if self.signed_arm.are_two_with_the_bedside() {
            self.armed = true;
            self.interrupt(now, Why::Interruption);
            self.forget_signatures();
        }
        Ok(())
    }

    fn disarm(&mut self, now: KitTick, who: Who) -> Result<(), Promise> {
        if who != Who::Bedside && self.control.is_none_or(|control| control.who != who) {
            return Err(Promise::Armed);
        }
        self.armed = false;
        self.interrupt(now, Why::Interruption);
        self.forget_signatures();
        Ok(())
    }

    fn withdraw_consent(&mut self, now: KitTick, who: Who) -> Result<(), Promise> {
        if !matches!(who.role(), Role::Bedside | Role::Hospital) {
            return Err(Promise::Consent);
        }
        if !self.consent_withdrawn {
            self.consent_withdrawn = true;
            for arm in &mut self.arms {
                arm.errand = arm.errand.filter(|errand| *errand == Errand::Out);
            }
            self.interrupt(now, Why::Interruption);
        }
        Ok(())
    }

    fn forbid(&mut self, who: Who, sign: Sign, version: u64) -> Result<(), Promise> {
        let newer = self.regions.is_none_or(|latched| version > latched);
        if !is_of_the_team(who) || sign != Sign::Now || !newer {
            return Err(Promise::Regions);
        }
        self.regions = Some(version);
        Ok(())
    }

    fn sends_home(&mut self, now: KitTick, who: Who, sign: Sign) -> Result<(), Promise> {
        if self.consent_withdrawn {
            return Err(Promise::Consent);
        }
        if self.arms.iter().any(|arm| arm.engagement.is_some()) {
            return Err(Promise::Errand);
        }
        self.goes(now, who, sign, Errand::Home)
    }

    fn goes(&mut self, now: KitTick, who: Who, sign: Sign, errand: Errand) -> Result<(), Promise> {
        if who != Who::Bedside || sign != Sign::Now || self.is_stopped() {
            return Err(Promise::Errand);
        }
        let all_homed = self.arms.iter().all(ArmFacts::is_homed);
        for arm in &mut self.arms {
            if errand == Errand::Out || all_homed || !arm.is_homed() {
                arm.errand = Some(errand);
            }
        }
        self.interrupt(now, Why::Interruption);
        self.forget_signatures();
        Ok(())
    }

    /// A new token: from now on the old one is dead.
    fn ask(&mut self, now: KitTick, who: Who, sign: Sign) -> Result<(), Promise> {
        let entitled = match (self.heir, self.control) {
            (Some(heir), _) => heir == who,
            (None, Some(control)) => control.who == who,
            (None, None) => true,
        };
        if who.role() != Role::Surgeon || sign != Sign::Now || !self.armed || !entitled {
            return Err(Promise::Control);
        }
        self.issued += 1;
        self.asked = Some(Asked { token: self.issued, who, stored: false });
        self.interrupt(now, Why::Interruption);
        self.forget_signatures();
        Ok(())
    }

    /// Control begins with the word of whom the token was granted to, if nobody else was named since.
    fn confirm(&mut self, now: KitTick, who: Who, token: Token) -> Result<(), Promise> {
        let Some(asked) = self.asked.filter(|asked| token == Token::Mine && asked.who == who) else {
            return Err(Promise::Control);
        };
        if !asked.stored {
            return Err(Promise::Tokens);
        }
        self.control = Some(Control { token: asked.token, who, heard: now });
        (self.asked, self.heir, self.given) = (None, None, false);
        (self.newest, self.let_go, self.lists) = (0, 0, None);
        for arm in &mut self.arms {
            (arm.newest, arm.held, arm.applied, arm.engagements) = (0, None, None, 0);
        }
        self.interrupt(now, Why::Interruption);
        Ok(())
    }

    fn hand_over(&mut self, now: KitTick, who: Who, to: Who) -> Result<(), Promise> {
        let mine = self.control.is_some_and(|control| control.who == who);
        if !mine || self.token().is_none() {
            return Err(Promise::Control);
        }
        self.heir = Some(to);
        self.interrupt(now, Why::Interruption);
        Ok(())
    }

    /// Whoever asked before two people gave control to somebody else has asked in vain.
    fn give(&mut self, now: KitTick, who: Who, sign: Sign, to: Who) -> Result<(), Promise> {
        if !is_of_the_team(who) || sign != Sign::Now || self.is_held(now) {
            return Err(Promise::Control);
        }
        let mut people = self
            .signed_give
            .filter(|(named, _)| *named == to)
            .map_or(People::default(), |(_, people)| people);
        people.add(who);
        self.signed_give = Some((to, people));
        if people.are_two_with_the_bedside() {
            (self.heir, self.given, self.asked) = (Some(to), true, None);
            self.forget_signatures();
        }
        Ok(())
    }
}

fn is_of_the_team(who: Who) -> bool {
    matches!(who.role(), Role::Surgeon | Role::Bedside)
}

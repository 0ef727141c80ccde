//! The guard, explored exhaustively: everything that may happen, in every order, and after each step the promises.
//!
//! # The invariants
//! Each belongs to promises of `SPECIFICATION.md` and is judged by an observer (`facts`, `people`, `judge`) that shares no code with the
//! guard: it keeps what was said as plain facts, and knows from the sentence below what they forbid. "By hand" is what a surgeon's
//! command does; every sentence about the tool is asked of each arm of the kit, and what somebody does or a promise forbids holds for all of
//! them unless it says otherwise; "an interruption" is a stop that was cleared, an arming or disarming, a hand-over, a new token or a request for
//! one, consent withdrawn, an errand of the bedside while it lasts, the way out while it is used, a home position that got lost, a
//! record that is too far behind, and a dead-man held in vain for too long.
//!
//!  1. (P1, P12) By hand the tool moves only after two people, one of them at the bedside, signed the challenge then in force to
//!     arm it, and only until somebody disarms it, closes the session or uses the way out. A signature counts once: not for anything
//!     after what was done under its challenge, and not across a new press.
//!  2. (P12) A session that is closed, or whose consent was withdrawn, is never armed again.
//!  3. (P1) By hand the tool moves only while the arm itself says that it is homed.
//!  4. (P4) From the first decision after a press, a pressed button, a fault, a silent cable or a setpoint that the arm must not
//!     follow, nothing moves but the way out.
//!  5. (P4) A stop is cleared by two people, one at the bedside, who signed it after the last press, and not while its cause remains.
//!  6. (P4) A press not seen before latches, a cleared one never again, and either is acknowledged.
//!  7. (P1) A command is applied only if the tick that it echoes is no older than allowed, and not in the future.
//!  8. (P1) A command is applied only if it names a picture that was announced and is no older than allowed; an announcement from
//!     the future counts for nothing.
//!  9. (P1, P8) By hand the tool moves only under the token in force: leased to its holder, heard of within a lease, not handed
//!     over, not given away by two people, and with no newer one on its way.
//! 10. (P1) Under a token only ever newer commands for an arm of the kit are taken in, applied or not, and none from before a release that
//!     was; nothing else changes anything, but that a release counts for every arm that was not told anything newer.
//! 11. (P3) From the first decision after a command with the dead-man up, however old and for whichever arm, nothing moves by hand; after one
//!     with the clutch down, its arm does not.
//! 12. (P3) Without a command applied for an arm for longer than allowed, that arm does not move by hand until the next one.
//! 13. (P3, P4, P8, P11, P13) After an interruption nothing moves by hand before a command with the dead-man up that echoes a tick
//!     from the interruption or after it, and none from the future.
//! 14. (P3) What was decided to be Paused, or worse, does not move by hand again without a release from after its beginning.
//! 15. (P2, P3) An engagement begins from the numbered hold on which the arm stands, is one unbroken hold of the dead-man, and once
//!     ended never goes on.
//! 16. (P2) The tool is sent to the target of the newest applied command, and nowhere else.
//! 17. (P2) A target farther than allowed is not chased, and ends the engagement.
//! 18. (P11) A command that would move the tool is refused while the oldest unrecorded one is older than allowed, and what moved stops
//!     at the limit until one is applied again. A mark vouches only for what has come, and only under its own token; a new token forgets
//!     no debt.
//! 19. (P11) The same for the surgeon's own lists.
//! 20. (P10) After as many missed ticks in a row as are too many, nothing moves by hand until a command is applied.
//! 21. (P8) Tokens only rise; one is granted when it is durable, begins when it was granted, and is on display while it is in force.
//! 22. (P8) A surgeon gets a token if nobody holds control, or holds it, or was named: by its holder, or, once that one has let go
//!     or was gone for a lease, by two people, one at the bedside. Who was named last is next, and a grant from before is void.
//! 23. (P12, P13) By itself the arm moves only on the bedside's order under the challenge in force, not while a hand is engaged if it goes
//!     home, and not after a stop. An arm that is homed does not go home while another must.
//! 24. (P13) While the arm's own switch is held the tool is drawn out, whatever else there is, except under a pressed button, a fault
//!     or a silent cable; afterwards nobody is armed.
//! 25. (Consent) Once the bedside or the hospital has withdrawn consent the mode is SafeStop or worse, and whatever moves draws out.
//! 26. (Modes) The mode is that of the most severe fact.
//! 27. (P1) A refusal tells the value seen and the limit, and the one lies beyond the other.
//! 28. (P6) Regions are put in force by the team under the challenge in force, and only a newer version replaces one.
//! 29. (P1, P5) A permit is for its tick and names what was decided; a setpoint that the arm must not follow becomes a brake.
//! 30. (All) Nothing is refused, stopped or held for which none of the facts speaks: a guard that always holds is useless.
//!
//! # What was explored
//! Every scene is closed: all states that its acts lead to were seen, to the end, in however many acts it takes. `stateright` tells states
//! apart by a 64-bit hash of their key (see `key`), so that among so many the chance that two were taken for one is below 10⁻⁸.
//!
//! | scene | what may happen, besides time and a hand that presses, goes on and lets go | states | steps | acts to the farthest |
//! |---|---|---|---|---|
//! | hand | good commands and ones with one thing wrong, in every order and at every age; a camera that stops | 64,204 | 1,861,917 | 36 |
//! | stops | presses, a button, a dead cable, wrong setpoints; anybody clears | 596,939 | 10,147,964 | 20 |
//! | arming | anybody arms, disarms, closes; a home that is lost; presses | 31,381 | 637,631 | 19 |
//! | errands | homing, withdrawing, being done; presses, wrong setpoints, clearing | 8,067 | 114,935 | 15 |
//! | way out | the switch, the button, faults, a dead cable; presses, clearing, arming, withdrawing | 320,374 | 4,186,187 | 23 |
//! | consent | withdrawn by anybody; presses, clearing, arming, homing, withdrawing | 43,615 | 760,468 | 19 |
//! | regions | put in force by anybody, again, and older ones | 24 | 241 | 5 |
//! | control | tokens asked for, stored, confirmed, handed over, given away; commands under each | 185,781 | 5,201,869 | 26 |
//! | record | marks that are true, late, premature or of another token; lists; a new token | 45,292 | 588,797 | 26 |
//! | lateness | ticks missed | 3,062 | 18,373 | 16 |
//! | two hands | commands for two arms under one pedal, each with a clutch, some overtaken | 202,265 | 3,033,976 | 26 |
//! | two stop | one arm's button, its dead cable, wrong setpoints; clearing; hands for both | 222,904 | 2,006,137 | 23 |
//! | two leave | one arm's switch, its lost home; homing, done arm by arm; hands for both | 318,631 | 2,523,960 | 20 |
//! | two wait | ticks missed, a record that lags; hands for both, some overtaken | 474,405 | 3,795,241 | 23 |
//!
//! One more takes all acts of all scenes together, any four in a row, to a kit of two arms and a hand that moves one: 360,925 states,
//! 2,703,278 steps.
//!
//! In each, acts come ten milliseconds apart or in the same tick, in any order and number, and every tick between is decided and
//! judged. `hand` has the shortest limits that configuration allows, the others shorter ones. What no scene looks at: the arm's
//! own limits (P5), the shape of regions (P6) and how the speed follows the line (P7), which have tests of their own.

#![allow(clippy::unwrap_used, reason = "a stage that cannot be set is a failed test")]

mod act;
mod facts;
mod judge;
mod key;
mod model;
mod people;
mod promises;
mod scenes;
mod stage;
mod tests;

pub(crate) use key::{Age, Key, Moment};

//! What may happen to a guard: the alphabet that scenes are made of.

use farhand_wire::{PublicKey, Role};

use crate::Lag;

/// Somebody on the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    First,
    Second,
    Bedside,
    Auditor,
    Hospital,
}

impl Who {
    pub(super) fn key(self) -> PublicKey {
        PublicKey([self as u8 + 1; 32])
    }

    pub(super) fn role(self) -> Role {
        match self {
            Who::First | Who::Second => Role::Surgeon,
            Who::Bedside => Role::Bedside,
            Who::Auditor => Role::Auditor,
            Who::Hospital => Role::Hospital,
        }
    }
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    /// So many milliseconds pass, with a tick in each.
    Pass(u64),
    /// So many ticks are missed; then one comes.
    Late(u64),
    Send(Hand),
    Say(Who, Word),
    /// The token issued last is durable, or it is said of one that was never issued.
    Stored {
        issued: bool,
    },
    /// What this arm says in each millisecond from now on; nothing: its cable is silent.
    ArmSays(usize, Option<u8>),
    /// Whether the camera goes on.
    Films(bool),
    /// A frame is announced that is to be captured in a minute.
    FrameFromTheFuture,
    /// Whether the edge box records everything at once, and says so in each millisecond.
    Records(bool),
    /// One word about the record.
    Mark(Mark),
    /// Another list of the surgeon's is durable from now on, and the next mark says so.
    Lists,
    /// Motion proposes what this arm must not do, in the first of ten ticks.
    WrongProposal(usize),
    /// Motion has brought this arm home, or out.
    ErrandDone(usize),
    /// The kit's memory says that the session was closed in an earlier run.
    ClosedBefore,
}

/// A command: how it differs from what a good console sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hand {
    pub(super) pedal: Pedal,
    pub(super) echo: Echo,
    pub(super) picture: Picture,
    pub(super) sequence: Step,
    pub(super) token: Token,
    pub(super) engagement: Step,
    /// The hold on display is named, else the one before.
    pub(super) hold: bool,
    pub(super) lag: Lag,
    pub(super) arm: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pedal {
    Up,
    Clutch,
    Down,
    /// Both: let go, with the clutch pressed.
    UpWithClutch,
}

/// The kit tick that a command echoes, in µs from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    Ago(u64),
    Ahead(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Picture {
    Newest,
    None,
    Unannounced,
}

/// A number, from the newest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Before,
    Same,
    Next,
    Far,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The one leased last.
    Mine,
    Before,
    /// Greater than all that were issued.
    Unissued,
    Zero,
}

/// How much the edge box says is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    All,
    AllButTheNewest,
    /// Also what has not come yet.
    Everything,
    /// All, of another lease.
    OfAnotherToken,
}

/// What a person says. `Sign` names the challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Press(u8),
    Clear(Sign),
    Arm(Sign),
    Disarm,
    Close,
    WithdrawConsent,
    Forbid(Sign, u64),
    Home(Sign),
    Out(Sign),
    Ask(Sign),
    Confirm(Token),
    HandOver(Who),
    GiveTo(Sign, Who),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// The challenge on display.
    Now,
    /// The one before.
    Before,
}

/// A good command of a hand that goes on, with the dead-man held.
pub(super) const DOWN: Hand = Hand {
    pedal: Pedal::Down,
    echo: Echo::Ago(0),
    picture: Picture::Newest,
    sequence: Step::Next,
    token: Token::Mine,
    engagement: Step::Same,
    hold: true,
    lag: Lag { mm: 0.0, deg: 0.0 },
    arm: 0,
};
/// The same with a new engagement.
pub(super) const PRESS: Hand = Hand { engagement: Step::Next, ..DOWN };
pub(super) const UP: Hand = Hand { pedal: Pedal::Up, ..DOWN };
pub(super) const CLUTCH: Hand = Hand { pedal: Pedal::Clutch, ..DOWN };

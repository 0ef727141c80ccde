//! What was done wrong, by name.

use std::fmt;

macro_rules! mistakes {
    ($($(#[$doc:meta])* $name:ident $key:literal $words:literal,)*) => {
        /// Something that can be done wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mistake { $($(#[$doc])* $name,)* }

        impl Mistake {
            pub const EACH: &[Mistake] = &[$(Mistake::$name,)*];

            /// As figures have it.
            #[must_use]
            pub fn key(self) -> &'static str {
                match self { $(Mistake::$name => $key,)* }
            }

            /// In a few words.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Mistake::$name => $words,)* }
            }
        }
    };
}

mistakes! {
    /// Let go, or pulled out of the jaws, where it can be taken up again.
    Dropped "dropped" "dropped",
    /// Let go outside the field: it is lost.
    Lost "lost" "lost outside the field",
    /// The jaws closed beside it.
    MissedGrasp "missed_grasps" "closed on nothing",
    /// The ring touched the wire.
    Touched "touches" "touched the wire",
    /// The needle went in beside its mark.
    MissedEntry "missed_entries" "missed the entry mark",
    /// The needle came out beside its mark.
    MissedExit "missed_exits" "missed the exit mark",
    /// The needle left its own track, and tears.
    OffPath "off_path" "left the needle's path",
}

const KINDS: usize = Mistake::EACH.len();

/// How often each mistake was made, and how long those lasted that last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    counts: [u32; KINDS],
    lasted_ms: [u32; KINDS],
}

impl Errors {
    #[must_use]
    pub fn count(&self, mistake: Mistake) -> u32 {
        self.counts[mistake as usize]
    }

    /// Of all that count together, of mistakes that last: touching, and leaving the path.
    #[must_use]
    pub fn lasted_ms(&self, mistake: Mistake) -> u32 {
        self.lasted_ms[mistake as usize]
    }

    /// Of every kind.
    #[must_use]
    pub fn all(&self) -> u32 {
        self.counts.iter().sum()
    }

    /// It happened once more.
    pub fn note(&mut self, mistake: Mistake) {
        self.counts[mistake as usize] += 1;
    }

    /// It goes on for another millisecond.
    pub fn goes_on(&mut self, mistake: Mistake) {
        self.lasted_ms[mistake as usize] += 1;
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = Mistake::EACH.iter().filter(|it| self.count(**it) > 0);
        let words = Vec::from_iter(made.map(|it| match (self.count(*it), self.lasted_ms(*it)) {
            (1, 0) => it.words().to_owned(),
            (count, 0) => format!("{} {count} times", it.words()),
            (count, ms) => format!("{} {count} times, {:.1} s", it.words(), f64::from(ms) / 1e3),
        }));
        if words.is_empty() { f.write_str("none") } else { f.write_str(&words.join("; ")) }
    }
}

//! A case: one sentence of the contract, and how it is put to the proof.

use std::fmt;
use std::pin::Pin;

use crate::provider::bench::Bench;

/// One sentence of the contract.
#[derive(Clone, Copy)]
pub struct Case {
    /// The name that stands beside the sentence in `docs/specs/provider.md`.
    pub id: &'static str,
    sentence: &'static str,
    pub(crate) run: for<'a> fn(&'a Bench) -> Running<'a>,
}

pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = Held> + 'a>>;

impl Case {
    pub(crate) const fn new(
        id: &'static str,
        sentence: &'static str,
        run: for<'a> fn(&'a Bench) -> Running<'a>,
    ) -> Self {
        Self { id, sentence, run }
    }

    /// Returns the sentence.
    pub fn sentence(&self) -> &'static str {
        self.sentence.trim()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// What came of a case, from within.
pub(crate) type Held<T = ()> = Result<T, Stop>;

/// Why a case ends before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It does not apply.
    Skip(String),
    /// It does not hold.
    Miss(Miss),
}

/// What did not hold.
#[derive(Debug)]
pub(crate) struct Miss {
    pub(crate) did: String,
    pub(crate) expected: String,
    pub(crate) came: String,
}

/// States what was done, what was expected, and what came instead.
pub(crate) fn miss(
    did: impl Into<String>,
    expected: impl Into<String>,
    came: impl Into<String>,
) -> Stop {
    Stop::Miss(Miss {
        did: did.into(),
        expected: expected.into(),
        came: came.into(),
    })
}

/// States that a case does not apply, and why.
pub(crate) fn skip(why: impl Into<String>) -> Stop {
    Stop::Skip(why.into())
}

/// Goes on where this holds.
pub(crate) fn ensure(
    holds: bool,
    did: impl Into<String>,
    expected: impl Into<String>,
    came: impl FnOnce() -> String,
) -> Held {
    if holds {
        Ok(())
    } else {
        Err(miss(did, expected, came()))
    }
}

/// Makes cases of functions: the name is the id, the comment is the sentence.
macro_rules! cases {
    ($($(#[doc = $sentence:literal])+ async fn $id:ident($bench:ident) $body:block)+) => {
        /// The cases of this theme.
        pub(crate) const CASES: &[$crate::provider::case::Case] = &[
            $($crate::provider::case::Case::new(stringify!($id), concat!($($sentence),+), $id)),+
        ];

        $(
            fn $id($bench: &$crate::provider::bench::Bench) -> $crate::provider::case::Running<'_> {
                Box::pin(async move { $body })
            }
        )+
    };
}

pub(crate) use cases;

/// A case that does not hold: all that a stranger needs to mend the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken {
    /// The case.
    pub case: &'static str,
    /// The sentence of the contract.
    pub sentence: &'static str,
    /// The provider's kind.
    pub kind: String,
    /// What the suite did.
    pub did: String,
    /// What the contract wants.
    pub expected: String,
    /// What came instead.
    pub came: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the provider of `{}` does not keep `{}`\n  contract: {}\n  done:     {}\n  expected: {}\n  came:     {}",
            self.kind, self.case, self.sentence, self.did, self.expected, self.came
        )
    }
}

/// What came of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Held,
    /// It does not apply, for this reason.
    Skipped(String),
    /// It does not hold.
    Broken(Box<Broken>),
}

/// What came of all cases, in the order of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Report(pub(crate) Vec<(&'static str, Verdict)>);

impl Report {
    /// Walks the cases and what came of them.
    pub fn verdicts(&self) -> impl Iterator<Item = (&'static str, &Verdict)> {
        self.0.iter().map(|(id, verdict)| (*id, verdict))
    }

    /// Walks what does not hold.
    pub fn broken(&self) -> impl Iterator<Item = &Broken> {
        self.0.iter().filter_map(|(_, verdict)| match verdict {
            Verdict::Broken(broken) => Some(&**broken),
            _ => None,
        })
    }

    /// Walks what does not apply, with the reasons.
    pub fn skipped(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().filter_map(|(id, verdict)| match verdict {
            Verdict::Skipped(why) => Some((*id, why.as_str())),
            _ => None,
        })
    }

    /// Panics with everything that does not hold.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.broken().next().is_none(), "{self}");
    }
}

/// Says what is broken in full, what was skipped and why, and how many hold.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for broken in self.broken() {
            writeln!(f, "{broken}")?;
        }
        for (id, why) in self.skipped() {
            writeln!(f, "skipped `{id}`: {why}")?;
        }
        let (broken, skipped) = (self.broken().count(), self.skipped().count());
        let held = self.0.len() - broken - skipped;
        write!(f, "{held} held, {skipped} skipped, {broken} broken")
    }
}

//! One run of a workflow.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::name::Label;
use crate::problem::Malformed;

/// Identifies one attempt at running a workflow; the key of its event.
///
/// ```
/// use notify_core::Execution;
///
/// let execution = Execution::new("analytics", "production", "nightly-2026-11-20")?.attempt(2);
/// assert_eq!(execution.to_string(), "analytics/production/nightly-2026-11-20#2");
/// # Ok::<(), notify_core::Malformed>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Execution {
    project: Label,
    domain: Label,
    name: Label,
    #[serde(default = "first")]
    attempt: NonZeroU32,
}

const fn first() -> NonZeroU32 {
    NonZeroU32::MIN
}

impl Execution {
    /// Names the first attempt of an execution.
    pub fn new(
        project: impl Into<String>,
        domain: impl Into<String>,
        name: impl Into<String>,
    ) -> Result<Self, Malformed> {
        Ok(Self {
            project: Label::new(project)?,
            domain: Label::new(domain)?,
            name: Label::new(name)?,
            attempt: first(),
        })
    }

    /// Sets which attempt it is, counted from one; zero counts as one.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = NonZeroU32::new(attempt).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Returns the project.
    pub fn project(&self) -> &str {
        self.project.as_str()
    }

    /// Returns the domain: `production`, `staging`.
    pub fn domain(&self) -> &str {
        self.domain.as_str()
    }

    /// Returns the execution's own name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Returns which attempt it is, counted from one.
    pub fn attempt_number(&self) -> u32 {
        self.attempt.get()
    }
}

impl fmt::Display for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.project, self.domain, self.name)?;
        match self.attempt.get() {
            1 => Ok(()),
            attempt => write!(f, "#{attempt}"),
        }
    }
}

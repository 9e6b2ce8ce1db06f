//! Variables of the environment: what `${NAME}` in a text and `{ env = "NAME" }` stand for.

use std::collections::BTreeMap;
use std::env::VarError;
use std::sync::Arc;

/// Where the values of variables come from.
#[derive(Clone, Debug, Default)]
pub struct Variables(Given);

#[derive(Clone, Debug, Default)]
enum Given {
    #[default]
    Process,
    Fixed(Arc<BTreeMap<String, String>>),
}

/// Why a variable has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoValue {
    #[error("it is not set")]
    Unset,
    #[error("it is not UTF-8 text")]
    NotText,
}

impl Variables {
    /// Takes the variables of this process.
    pub const fn of_process() -> Self {
        Self(Given::Process)
    }

    /// Takes these variables and no others.
    pub fn of<N: Into<String>, V: Into<String>>(values: impl IntoIterator<Item = (N, V)>) -> Self {
        let values = values.into_iter();
        let values = values.map(|(name, value)| (name.into(), value.into()));
        Self(Given::Fixed(Arc::new(values.collect())))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where a reference to the environment is followed"
    )]
    pub(crate) fn get(&self, name: &str) -> Result<String, NoValue> {
        match &self.0 {
            Given::Fixed(values) => values.get(name).cloned().ok_or(NoValue::Unset),
            Given::Process => std::env::var(name).map_err(|err| match err {
                VarError::NotPresent => NoValue::Unset,
                // The error holds the value.
                VarError::NotUnicode(_) => NoValue::NotText,
            }),
        }
    }
}

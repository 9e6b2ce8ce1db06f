//! The section of an account, and what is wrong with it.

use notify_core::{Code, Problems, ProviderDescriptor};
use serde_json::Value;

/// Loads the section of an account, and gives its problems.
///
/// # Panics
///
/// When the places and codes of the problems are not those that are expected, in their order, or when
/// one of them repeats the `hunter2` that stands for a secret.
#[track_caller]
pub fn expect(
    descriptor: &ProviderDescriptor,
    account: &str,
    section: &Value,
    expected: &[(&str, Code)],
) -> Problems {
    let loaded = descriptor.load_account(account.parse().unwrap(), section);
    let problems = loaded.err().unwrap_or_default();
    let seen: Vec<_> = problems
        .iter()
        .map(|problem| (problem.path.to_string(), problem.code))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(path, code)| ((*path).to_owned(), *code))
        .collect();
    assert_eq!(seen, expected, "{section}: {problems}");
    assert!(!problems.to_string().contains("hunter2"), "{problems}");
    problems
}

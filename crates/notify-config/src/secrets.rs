//! Secrets from where a process has them: its environment and files.

use std::env::VarError;
use std::path::{Path, PathBuf};

use notify_core::{SecretError, SecretRef, SecretSource};
use secrecy::SecretString;

use crate::source;

/// How many bytes a secret may have.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads environment variables, and files relative to the folder of `notify.toml`.
///
/// A secret is read anew each time, so that one that was replaced is found. No error holds any
/// part of it.
#[derive(Clone, Debug)]
pub struct ProcessSecrets {
    folder: PathBuf,
}

impl ProcessSecrets {
    /// Reads relative paths against this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        let bytes = source::read_within(&self.folder.join(path), MAX_BYTES)
            .map_err(|refusal| refusal.why())?;
        let mut text = String::from_utf8(bytes).map_err(|_| NOT_TEXT.to_owned())?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Ok(text)
    }
}

const NOT_TEXT: &str = "it is not UTF-8 text";

impl SecretSource for ProcessSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let found = match reference {
            SecretRef::Env(name) => variable(name),
            SecretRef::File(path) => self.file(path),
            _ => Err("it is of a kind that this program cannot read".to_owned()),
        };
        let secret = match found {
            Ok(secret) if secret.is_empty() => Err("it is empty".to_owned()),
            other => other,
        };
        secret.map(SecretString::from).map_err(|why| SecretError {
            reference: reference.clone(),
            why,
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a reference to the environment is followed"
)]
fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|err| match err {
        VarError::NotPresent => "it is not set".to_owned(),
        // The error holds the value.
        VarError::NotUnicode(_) => NOT_TEXT.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[track_caller]
    fn check(content: &[u8], expected: Result<&str, &str>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), content).unwrap();
        let secrets = ProcessSecrets::new(folder.path());
        let found = secrets.resolve(&SecretRef::File("secret".into()));
        let found = found
            .map(|secret| secret.expose_secret().to_owned())
            .map_err(|err| err.why);
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn one_line_break_at_the_end_of_a_file_is_not_part_of_the_secret() {
        check(b"hunter2", Ok("hunter2"));
        check(b"hunter2\n", Ok("hunter2"));
        check(b"hunter2\r\n", Ok("hunter2"));
        check(b"hunter2\n\n", Ok("hunter2\n"));
        check(b" hunter2 ", Ok(" hunter2 "));
    }

    #[test]
    fn a_file_that_can_be_no_secret_is_refused_without_its_content() {
        check(b"", Err("it is empty"));
        check(b"\n", Err("it is empty"));
        check(b"hunter2\xff", Err("it is not UTF-8 text"));
        check(&vec![b'x'; 64 * 1024 + 1], Err("it is larger than 64 KiB"));
    }

    #[test]
    fn a_secret_that_is_not_there_is_named_by_its_reference() {
        let secrets = ProcessSecrets::new("/nonexistent");
        let missing = secrets.resolve(&SecretRef::File("x".into())).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "cannot read the secret in file `x`: there is no such file"
        );
        let unset = secrets.resolve(&SecretRef::Env("NOTIFY_NO_SUCH_VARIABLE".into()));
        assert_eq!(unset.unwrap_err().why, "it is not set");
        let directory = secrets.resolve(&SecretRef::File("/".into())).unwrap_err();
        assert_eq!(directory.why, "it is a directory");
    }
}

//! Secrets from where a process has them: its environment, files and commands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify_core::{SecretError, SecretRef, SecretSource};
use secrecy::SecretString;

use crate::command;
use crate::source;
use crate::variables::Variables;

/// Reads environment variables; and files and commands, both from the folder of `notify.toml` on.
///
/// A secret is read anew each time, so that one that was replaced is found. No error holds any
/// part of it. A call waits for a command as long as its timeout says and no longer: whoever must
/// not be held up calls from a thread that may wait.
#[derive(Clone, Debug)]
pub struct ProcessSecrets {
    folder: PathBuf,
    variables: Variables,
    /// The references that show otherwise than they are.
    shown: Arc<BTreeMap<SecretRef, SecretRef>>,
}

impl ProcessSecrets {
    /// Reads relative paths against this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            variables: Variables::of_process(),
            shown: Arc::default(),
        }
    }

    /// Takes the values of variables from elsewhere than the process.
    #[must_use]
    pub fn variables(mut self, variables: Variables) -> Self {
        self.variables = variables;
        self
    }

    /// Shows other references in place of these where a secret cannot be read.
    #[must_use]
    pub(crate) fn shown(mut self, shown: BTreeMap<SecretRef, SecretRef>) -> Self {
        self.shown = Arc::new(shown);
        self
    }

    fn read(&self, reference: &SecretRef) -> Result<String, String> {
        match reference {
            SecretRef::Env(name) => self.variables.get(name).map_err(|why| why.to_string()),
            SecretRef::File(path) => file(&self.folder.join(path)).and_then(text),
            SecretRef::Command(command) => command::run(command, &self.folder).and_then(text),
            _ => Err("it is of a kind that this program cannot read".to_owned()),
        }
    }
}

fn file(path: &Path) -> Result<Vec<u8>, String> {
    source::read_within(path, command::MAX_BYTES as u64).map_err(|refusal| refusal.why())
}

/// Takes the one line break off that editors and commands add.
fn text(bytes: Vec<u8>) -> Result<String, String> {
    let not_text = |_| "it is not UTF-8 text".to_owned();
    let mut text = String::from_utf8(bytes).map_err(not_text)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

impl SecretSource for ProcessSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let secret = match self.read(reference) {
            Ok(secret) if secret.is_empty() => Err("it is empty".to_owned()),
            other => other,
        };
        secret.map(SecretString::from).map_err(|why| SecretError {
            reference: self.shown.get(reference).unwrap_or(reference).clone(),
            why,
        })
    }
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
    fn what_a_secret_holds_is_never_expanded() {
        check(b"a${HOME}$${b}", Ok("a${HOME}$${b}"));
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

    #[test]
    fn variables_can_come_from_elsewhere() {
        let secrets = ProcessSecrets::new("").variables(Variables::of([("TOKEN", "s3cret")]));
        let found = secrets.resolve(&SecretRef::Env("TOKEN".into())).unwrap();
        assert_eq!(found.expose_secret(), "s3cret");
    }
}

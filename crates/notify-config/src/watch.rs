//! What was read and whether it is still the same: by content, so that a swapped link is noticed.
//!
//! Kubernetes replaces a mounted secret by pointing the link `..data` to another folder: name, size
//! and often the time of the file stay. Only its content tells.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::paths;
use crate::source::{self, MAX_BYTES, Refusal, Source};

/// What stood in all files at one moment.
///
/// Two of them can be compared if they are of one [`Installation`](crate::Installation), and tell
/// nothing else: the key of the digest is chosen at random, so it gives no secret away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:016x})", self.0)
    }
}

/// Reads files and remembers what it found in each, readable or not.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    key: RandomState,
    read: RefCell<BTreeMap<PathBuf, u64>>,
}

impl Reader {
    pub(crate) fn new(key: RandomState) -> Self {
        Self {
            key,
            read: RefCell::default(),
        }
    }

    /// Reads the text of a file.
    pub(crate) fn text(&self, path: &Path) -> Result<Source, Diagnostic> {
        let bytes = source::read_within(path, MAX_BYTES);
        self.remember(path, digest(&self.key, &bytes));
        source::understood(path, bytes)
    }

    /// Remembers the content of a file that somebody else will read.
    pub(crate) fn look_at(&self, path: &Path) {
        self.remember(path, look(&self.key, path));
    }

    fn remember(&self, path: &Path, digest: u64) {
        // One that is read twice counts as it was first: if it changed meanwhile, that is a change.
        self.read
            .borrow_mut()
            .entry(path.to_owned())
            .or_insert(digest);
    }

    /// Gives what was read, with the arguments that may come to mean other files.
    pub(crate) fn into_watch(self, definitions: &[PathBuf]) -> Watch {
        Watch {
            definitions: definitions.to_vec(),
            key: self.key,
            read: self.read.into_inner(),
        }
    }
}

/// Everything that a load read: definitions, settings, templates and files with secrets.
///
/// It reads only when it is asked. Variables and commands are not looked at: the ones cannot change
/// and the others are run when an account connects.
#[derive(Clone, Debug)]
pub struct Watch {
    definitions: Vec<PathBuf>,
    key: RandomState,
    read: BTreeMap<PathBuf, u64>,
}

impl Watch {
    /// Returns the fingerprint of what the load read.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(self.key.hash_one(&self.read))
    }

    /// Tells whether another load would read something else: a file of another content, one that
    /// is gone, or one that a pattern matches now.
    pub fn changed(&self) -> bool {
        !self.changes().is_empty()
    }

    /// Lists the files that are not what they were.
    pub fn changes(&self) -> Vec<PathBuf> {
        let new = paths::expand(&self.definitions).0;
        let new = new.into_iter().filter(|path| !self.read.contains_key(path));
        let other = self
            .read
            .iter()
            .filter(|(path, digest)| look(&self.key, path) != **digest);
        new.chain(other.map(|(path, _)| path.clone())).collect()
    }

    /// Lists the files, for programs that let the system tell them of changes.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.read.keys().map(PathBuf::as_path)
    }
}

fn look(key: &RandomState, path: &Path) -> u64 {
    digest(key, &source::read_within(path, MAX_BYTES))
}

fn digest(key: &RandomState, read: &Result<Vec<u8>, Refusal>) -> u64 {
    match read {
        Ok(bytes) => key.hash_one(Ok::<_, String>(bytes)),
        Err(refusal) => key.hash_one(Err::<Vec<u8>, _>(refusal.why())),
    }
}

/// Tells whether others than its owner can read a file.
#[cfg(unix)]
pub(crate) fn is_loose(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    // A directory is refused when it is read, and a device has no rights of its own.
    let is_of_system = ["/dev", "/proc"].iter().any(|top| path.starts_with(top));
    let is_open =
        |found: std::fs::Metadata| found.is_file() && found.permissions().mode() & 0o077 != 0;
    !is_of_system && std::fs::metadata(path).is_ok_and(is_open)
}

/// Rights are another matter here, and nothing is said of them.
#[cfg(not(unix))]
pub(crate) fn is_loose(_path: &Path) -> bool {
    false
}

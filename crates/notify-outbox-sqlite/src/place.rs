//! The file's place, which somebody may change while the file is open.
//!
//! **Invariant.** Once the file is not what is found at its path any more, this process writes
//! nothing to it and acknowledges nothing: what it wrote would be found by nobody.

use std::io;
use std::path::{Path, PathBuf};

use crate::trouble::Trouble;

/// Where the file was opened, and which file that was.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    opened: Option<Identity>,
    gone: bool,
}

impl Place {
    /// Takes note of a file that has just been opened.
    pub(crate) fn new(path: &Path) -> Self {
        // The folder that the process works in may change later.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self {
            opened: identity(&path).ok().flatten(),
            path,
            gone: false,
        }
    }

    /// Tells whether the file is still there. A file that was gone once is never trusted again:
    /// others may have worked without it.
    pub(crate) fn check(&mut self) -> Result<(), Trouble> {
        if self.opened.is_some() && !self.gone {
            let found = identity(&self.path).map_err(|err| {
                let help = "the program must be able to look into its folder";
                Trouble::new(format!("cannot look at the file: {err}"), help)
            })?;
            self.gone = found != self.opened;
        }
        if self.gone {
            return Err(Trouble::gone(format!("`{}`", self.path.display())));
        }
        Ok(())
    }
}

/// What tells a file from every other one that exists: its device and its number there.
type Identity = (u64, u64);

/// Finds which file is at a path, if there is one.
#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Option<Identity>> {
    use std::os::unix::fs::MetadataExt;

    match std::fs::metadata(path) {
        Ok(file) => Ok(Some((file.dev(), file.ino()))),
        Err(err)
            if matches!(
                err.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(err) => Err(err),
    }
}

/// Elsewhere nobody looks.
#[cfg(not(unix))]
fn identity(_path: &Path) -> io::Result<Option<Identity>> {
    Ok(None)
}

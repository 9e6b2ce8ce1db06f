//! The text of a file, read within bounds.
//!
//! A path that comes from a command line can lead to anything: a directory, a device that never
//! ends, a pipe that nobody writes to. None of them may hang or fill the memory.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use notify_core::Code;

use crate::diagnostic::{Diagnostic, Finding};
use crate::mask::Mask;

/// How many bytes a definition or a configuration may have.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// A file's name and its text.
#[derive(Clone, Debug)]
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
}

impl Source {
    /// Takes a text that is in memory already; a byte order mark at its front is dropped.
    pub fn new(name: &str, text: &str) -> Self {
        Self {
            name: name.into(),
            text: text.strip_prefix('\u{feff}').unwrap_or(text).into(),
        }
    }

    /// Returns the name by which the reader knows the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives the text as it can be shown where it holds no secret.
    pub(crate) fn shown(&self) -> Arc<str> {
        Mask::default().apply(&self.text)
    }
}

/// Reads a file.
///
/// # Errors
///
/// When there is no such file, when it is not a regular one, when it cannot be read, is larger
/// than [`MAX_BYTES`] or is not UTF-8.
pub fn read(path: &Path) -> Result<Source, Diagnostic> {
    understood(path, read_within(path, MAX_BYTES))
}

/// Makes a text of what was read.
pub(crate) fn understood(
    path: &Path,
    read: Result<Vec<u8>, Refusal>,
) -> Result<Source, Diagnostic> {
    let name = path.display().to_string();
    decode(&name, read.map_err(|refusal| refusal.about(&name))?)
}

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum Refusal {
    Missing,
    Directory,
    /// A pipe, a socket or a device: opening it can wait for ever.
    NotAFile,
    Io(io::Error),
    TooLarge(u64),
}

impl Refusal {
    /// Says what stands in the way, without the name of the file.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Missing => "there is no such file".to_owned(),
            Self::Directory => "it is a directory".to_owned(),
            Self::NotAFile => "it is not a regular file".to_owned(),
            Self::Io(err) if err.kind() == io::ErrorKind::PermissionDenied => {
                "permission denied".to_owned()
            }
            Self::Io(err) => err.to_string(),
            Self::TooLarge(limit) => format!("it is larger than {} KiB", limit / 1024),
        }
    }

    fn about(&self, name: &str) -> Diagnostic {
        let code = match self {
            Self::TooLarge(_) => Code::TOO_LARGE,
            _ => Code::UNREADABLE,
        };
        let help = match self {
            Self::Missing => Some("check the path; it is relative to the working directory"),
            Self::Directory => {
                Some("name the files in it, one by one or by a pattern: `FOLDER/*.yaml`")
            }
            Self::NotAFile => Some("write it into a file first, and name that"),
            Self::Io(_) => None,
            Self::TooLarge(_) => Some("is it the right file? a definition has a few hundred lines"),
        };
        Diagnostic::without_place(
            code,
            format!("cannot read `{name}`: {}", self.why()),
            help,
            name,
        )
    }
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read_within(path: &Path, limit: u64) -> Result<Vec<u8>, Refusal> {
    let refused = |err: io::Error| match err.kind() {
        io::ErrorKind::NotFound => Refusal::Missing,
        _ => Refusal::Io(err),
    };
    // Looked at before it is opened: opening a pipe waits for somebody to write to it.
    let metadata = fs::metadata(path).map_err(refused)?;
    if metadata.is_dir() {
        return Err(Refusal::Directory);
    }
    if !metadata.is_file() {
        return Err(Refusal::NotAFile);
    }
    if metadata.len() > limit {
        return Err(Refusal::TooLarge(limit));
    }
    take_within(File::open(path).map_err(refused)?, limit)
}

/// Reads at most one byte more than `limit`: a file can grow, and some have no length.
fn take_within(reader: impl Read, limit: u64) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let read = reader
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(Refusal::Io)?;
    if u64::try_from(read).is_ok_and(|read| read <= limit) {
        Ok(bytes)
    } else {
        Err(Refusal::TooLarge(limit))
    }
}

fn decode(name: &str, bytes: Vec<u8>) -> Result<Source, Diagnostic> {
    let err = match String::from_utf8(bytes) {
        Ok(text) => return Ok(Source::new(name, &text)),
        Err(err) => err,
    };
    let at = err.utf8_error().valid_up_to();
    let (before, rest) = err.as_bytes().split_at_checked(at).unwrap_or_default();
    let before = String::from_utf8_lossy(before);
    let line = before.matches('\n').count() + 1;
    let byte = rest.first().copied().unwrap_or_default();
    let message = format!("byte {at} in line {line} is not UTF-8 text: 0x{byte:02x}");
    let help = "save the file as UTF-8";
    // A file with a zero byte is no text at all, and its lines are nothing to look at.
    if err.as_bytes().contains(&0) {
        let message = format!("`{name}` is not a text file: {message}");
        return Err(Diagnostic::without_place(
            Code::SYNTAX,
            message,
            Some(help),
            name,
        ));
    }
    let text = Source::new(name, &String::from_utf8_lossy(err.as_bytes()));
    let start = before.trim_start_matches('\u{feff}').len();
    let place = start..start + char::REPLACEMENT_CHARACTER.len_utf8();
    let extension = Path::new(name).extension().and_then(OsStr::to_str);
    let mut mask = match extension {
        Some("yaml" | "yml" | "json" | "md") => Mask::default(),
        // It may have become `notify.toml`, so only the place itself is shown.
        _ => Mask::of_broken_toml(BTreeSet::new()),
    };
    mask.open.push(place.clone());
    Err(Finding::new(Code::SYNTAX, message, place)
        .help(help)
        .shown_in(&text, &mask.apply(text.text())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never ends, and counts what was taken from it.
    struct Endless(u64);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(b'#');
            self.0 += buffer.len() as u64;
            Ok(buffer.len())
        }
    }

    #[test]
    fn an_endless_input_is_read_up_to_the_limit_and_no_further() {
        let mut endless = Endless(0);
        let refusal = take_within(&mut endless, MAX_BYTES).unwrap_err();
        assert!(matches!(refusal, Refusal::TooLarge(MAX_BYTES)));
        assert_eq!(endless.0, MAX_BYTES + 1);
    }

    #[test]
    fn a_file_of_exactly_the_limit_is_read() {
        let bytes = take_within(&[b'#'; 8][..], 8).unwrap();
        assert_eq!(bytes.len(), 8);
    }
}

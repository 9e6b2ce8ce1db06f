//! From what a command line names to files: paths as they are, patterns as what they match.
//!
//! A pattern goes through folders that somebody else fills, so the way is bounded: links to
//! folders are not followed below `**`, and only so many entries are looked at.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use notify_core::Code;
use notify_core::rule::Pattern;

use crate::diagnostic::Diagnostic;

/// How many entries of folders are looked at for one pattern.
const MAX_ENTRIES: usize = 100_000;

/// How many folders deep `**` goes.
const MAX_DEPTH: usize = 64;

/// Finds the files that are meant, each once, in the order of the arguments and then of names.
pub(crate) fn expand(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<Diagnostic>) {
    let (mut files, mut found) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for path in paths {
        let matched = match parts(path) {
            // Whatever it looks like, it is a file if there is one of this name.
            Some(parts) if !path.exists() => matches(path, &parts),
            _ => Ok(vec![path.clone()]),
        };
        match matched {
            Ok(matched) => {
                let new = |file: &PathBuf| {
                    // Two names of one file are one file.
                    let file = fs::canonicalize(file).unwrap_or_else(|_| file.clone());
                    seen.insert(file)
                };
                files.extend(matched.into_iter().filter(new));
            }
            Err(problem) => found.push(problem),
        }
    }
    (files, found)
}

/// One step of a pattern.
enum Part {
    /// Exactly this name.
    Name(PathBuf),
    /// Names of this form.
    Like(Pattern),
    /// Any number of folders.
    Folders,
}

/// Takes a pattern apart; `None` where it is a path.
fn parts(path: &Path) -> Option<Vec<Part>> {
    let text = path.to_str()?;
    if !text.contains(['*', '?']) {
        return None;
    }
    let part = |component: Component<'_>| {
        let name = component.as_os_str().to_str()?;
        Some(match name {
            "**" => Part::Folders,
            name if name.contains(['*', '?']) => Part::Like(Pattern::new(name).ok()?),
            name => Part::Name(name.into()),
        })
    };
    let mut parts: Vec<Part> = path.components().map(part).collect::<Option<_>>()?;
    if let Some(Part::Folders) = parts.last() {
        // At the end it stands for every file below.
        parts.push(Part::Like(Pattern::new("*").ok()?));
    }
    Some(parts)
}

fn matches(path: &Path, parts: &[Part]) -> Result<Vec<PathBuf>, Diagnostic> {
    let mut walk = Walk::default();
    let pattern = path.display();
    let problem = |code, message: String, help: &str| {
        Diagnostic::without_place(code, message, Some(help), &pattern.to_string())
    };
    match walk.go(&PathBuf::new(), parts, 0) {
        Ok(()) if walk.files.is_empty() => Err(problem(
            Code::NO_MATCH,
            format!("`{pattern}` matches no file"),
            "`*` and `?` stand for letters of one name, `**` for any folders; names that begin with \
             a dot are left out; the path is relative to the working directory",
        )),
        Ok(()) => Ok(walk.files.into_iter().collect()),
        Err(Stopped::TooMuch) => Err(problem(
            Code::TOO_LARGE,
            format!("`{pattern}` leads through more than {MAX_ENTRIES} files and folders"),
            "begin it with the folder that holds the definitions: `workflows/**/*.yaml`",
        )),
        Err(Stopped::Unreadable(folder, err)) => Err(problem(
            Code::UNREADABLE,
            format!("cannot read the folder `{}`: {err}", folder.display()),
            "name a folder that this user may read",
        )),
    }
}

enum Stopped {
    TooMuch,
    Unreadable(PathBuf, io::Error),
}

#[derive(Default)]
struct Walk {
    files: BTreeSet<PathBuf>,
    entries: usize,
}

impl Walk {
    fn go(&mut self, folder: &Path, parts: &[Part], depth: usize) -> Result<(), Stopped> {
        let Some((part, rest)) = parts.split_first() else {
            return Ok(());
        };
        match part {
            Part::Name(name) => self.step(&folder.join(name), rest, depth),
            Part::Like(pattern) => {
                for (path, name) in self.entries(folder)? {
                    if pattern.matches(&name)
                        && (pattern.as_str().starts_with('.') || !hidden(&name))
                    {
                        self.step(&path, rest, depth)?;
                    }
                }
                Ok(())
            }
            Part::Folders => {
                self.go(folder, rest, depth)?;
                if depth >= MAX_DEPTH {
                    return Ok(());
                }
                for (path, name) in self.entries(folder)? {
                    let is_folder = fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
                    if is_folder && !hidden(&name) {
                        self.go(&path, parts, depth + 1)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Takes a path that fits so far.
    fn step(&mut self, path: &Path, rest: &[Part], depth: usize) -> Result<(), Stopped> {
        let is_folder = path.is_dir();
        if !rest.is_empty() {
            return if is_folder {
                self.go(path, rest, depth)
            } else {
                Ok(())
            };
        }
        // What is no file is refused when it is read, with its reason; nothing is passed over.
        if !is_folder && fs::symlink_metadata(path).is_ok() {
            self.files.insert(path.to_owned());
        }
        Ok(())
    }

    /// Lists a folder.
    fn entries(&mut self, folder: &Path) -> Result<Vec<(PathBuf, String)>, Stopped> {
        let here = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let stopped = |err| Stopped::Unreadable(here.to_owned(), err);
        let mut entries = Vec::new();
        for entry in fs::read_dir(here).map_err(stopped)? {
            let name = entry.map_err(stopped)?.file_name();
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(Stopped::TooMuch);
            }
            entries.push((folder.join(&name), name.to_string_lossy().into_owned()));
        }
        Ok(entries)
    }
}

/// Editors' and Kubernetes' own files: `.nightly.yaml.swp`, `..data`.
fn hidden(name: &str) -> bool {
    name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn of(files: &[&str]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for file in files {
                let path = folder.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            Self(folder)
        }

        fn expand(&self, patterns: &[&str]) -> (Vec<String>, Vec<Diagnostic>) {
            let paths: Vec<_> = patterns.iter().map(|one| self.0.path().join(one)).collect();
            let (files, found) = expand(&paths);
            let short = |file: PathBuf| {
                let file = file.strip_prefix(self.0.path()).unwrap();
                file.display().to_string()
            };
            (files.into_iter().map(short).collect(), found)
        }

        #[track_caller]
        fn check(&self, patterns: &[&str], expected: &[&str]) {
            let (files, found) = self.expand(patterns);
            assert_eq!(files, expected, "{patterns:?} {found:?}");
        }
    }

    #[test]
    fn patterns_match_within_names_and_through_folders() {
        let tree = Tree::of(&[
            "b.yaml",
            "a.yaml",
            "a.json",
            ".hidden.yaml",
            "x/c.yaml",
            "x/y/d.yaml",
            "x/.z/e.yaml",
            "[q].yaml",
        ]);
        tree.check(&["*.yaml"], &["[q].yaml", "a.yaml", "b.yaml"]);
        tree.check(&["?.*"], &["a.json", "a.yaml", "b.yaml"]);
        tree.check(&["**/d.yaml"], &["x/y/d.yaml"]);
        tree.check(&["x/**/*.yaml"], &["x/c.yaml", "x/y/d.yaml"]);
        tree.check(&["x/**"], &["x/c.yaml", "x/y/d.yaml"]);
        tree.check(&["*/c.yaml"], &["x/c.yaml"]);
        tree.check(&[".*.yaml"], &[".hidden.yaml"]);
        tree.check(&["x/../b*"], &["x/../b.yaml"]);
        tree.check(&["[q].yaml"], &["[q].yaml"]);
        tree.check(
            &["b.yaml", "*.yaml", "a.yaml"],
            &["b.yaml", "[q].yaml", "a.yaml"],
        );
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_a_problem_and_a_path_is_kept() {
        let tree = Tree::of(&["a.yaml"]);
        let (files, found) = tree.expand(&["*.yml", "missing.yaml"]);
        assert_eq!(files, ["missing.yaml"]);
        assert_eq!(found[0].code(), Code::NO_MATCH);
        let (_, found) = tree.expand(&["missing/*.yaml"]);
        assert_eq!(found[0].code(), Code::NO_MATCH);
    }

    #[cfg(unix)]
    #[test]
    fn loops_of_links_end() {
        use std::os::unix::fs::symlink;

        let tree = Tree::of(&["x/a.yaml"]);
        let at = |name: &str| tree.0.path().join(name);
        symlink(at("x"), at("x/one")).unwrap();
        symlink(at("x"), at("x/two")).unwrap();
        symlink(at("loop.yaml"), at("loop.yaml")).unwrap();
        symlink(at("x/a.yaml"), at("same.yaml")).unwrap();
        tree.check(&["**/*.yaml"], &["loop.yaml", "same.yaml"]);
        tree.check(&["x/**/*.yaml"], &["x/a.yaml"]);
        // A link in the pattern's own place is followed: somebody wrote it down.
        tree.check(&["x/*/a.yaml"], &["x/one/a.yaml"]);
    }
}

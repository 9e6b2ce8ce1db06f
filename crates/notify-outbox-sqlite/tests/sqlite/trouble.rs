//! Places that cannot be an outbox.

use std::fs;

use crate::file::{File, open, refusal};

/// A whole ledger with one event in it.
fn good() -> Vec<u8> {
    let file = File::new();
    drop(file.bench());
    let other = file.connect();
    other
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    fs::read(file.path()).unwrap()
}

#[track_caller]
fn is_refused_untouched(bytes: &[u8], wanted: &str) {
    let file = File::new();
    fs::write(file.path(), bytes).unwrap();
    let before = file.bytes();
    let said = refusal(&file.path());
    let place = format!("cannot open the outbox `{}`: ", file.path().display());
    assert!(said.starts_with(&place), "{said}");
    assert!(said.contains(wanted), "{said}");
    assert!(file.bytes() == before, "the file is another than before");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let wanted = "name another file, or move this one away";
    for bytes in [
        b"a note".as_slice(),
        b"[outbox]\nurl = \"sqlite:notify.db\"\n"
            .repeat(100)
            .as_slice(),
        [0_u8; 5000].as_slice(),
    ] {
        is_refused_untouched(bytes, wanted);
    }
}

#[test]
fn a_damaged_file_is_refused_and_left_as_it_is() {
    let whole = good();
    let wanted = "the file is damaged: put a copy in its place, or move it away";
    for length in [4096, 3 * 4096, whole.len() - 4096, whole.len() / 2 + 100] {
        is_refused_untouched(&whole[..length], wanted);
    }
    let mut scribbled = whole.clone();
    scribbled[100..4000].fill(0xff);
    is_refused_untouched(&scribbled, wanted);
    // Not even a whole page: SQLite calls that no database.
    is_refused_untouched(&whole[..1000], "move");
}

#[test]
fn an_empty_file_is_where_an_outbox_begins() {
    let file = File::new();
    fs::write(file.path(), b"").unwrap();
    assert!(open(&file.path()).is_ok());
}

#[test]
fn a_folder_is_no_outbox() {
    let file = File::new();
    fs::create_dir(file.path()).unwrap();
    let said = refusal(&file.path());
    assert!(
        said.ends_with("it is a folder (name a file in it)"),
        "{said}"
    );
    assert_eq!(fs::read_dir(file.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let file = File::new();
    let missing = file.path().join("of/notify.db");
    let said = refusal(&missing);
    let folder = format!("there is no folder `{}`", file.path().join("of").display());
    assert!(said.contains(&folder), "{said}");
    assert!(said.contains("make it first"), "{said}");
    assert!(file.bytes().is_empty());
}

#[test]
fn a_name_is_a_name_whatever_it_means_to_sqlite() {
    let file = File::new();
    for name in [":memory:", "file:notify.db?mode=memory"] {
        let path = file.path().with_file_name(name);
        assert!(open(&path).unwrap().durable());
        assert!(path.is_file(), "{name}");
    }
    let said = refusal("".as_ref());
    assert!(said.contains("name a file"), "{said}");
}

/// Nobody can make a file in there, not even an administrator.
#[cfg(target_os = "linux")]
#[test]
fn a_place_where_no_file_can_be_made_is_refused() {
    let said = refusal("/proc/notify.db".as_ref());
    assert!(said.contains("owner and permissions"), "{said}");
}

#[cfg(unix)]
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn what_can_only_be_read_is_refused_and_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt;

    let file = File::new();
    fs::write(file.path(), good()).unwrap();
    let folder = file.path().with_file_name(".");
    let allow = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(&file.path(), 0o444);
    allow(&folder, 0o555);
    let may_all_the_same = fs::File::create(file.path().with_file_name("probe")).is_ok();
    let before = file.bytes();
    if may_all_the_same {
        eprintln!("skipped: this user may write what can only be read");
    } else {
        let said = refusal(&file.path());
        assert!(said.contains("permissions"), "{said}");
        assert!(file.bytes() == before);
    }
    allow(&folder, 0o755);
}

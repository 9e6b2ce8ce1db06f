//! What does not compile, and what the compiler says about it.
//!
//! `trybuild` runs `cargo check`, so nothing here depends on code being generated. The list of the
//! guarantees is in `docs/reference/compile-time-guarantees.md`.

use std::fs;
use std::path::Path;

#[test]
fn what_must_not_compile_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/core/compile_fail/*.rs");
}

#[test]
fn every_guarantee_is_in_the_page_and_every_row_of_the_page_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = root.join("../../docs/reference/compile-time-guarantees.md");
    let page = fs::read_to_string(page).unwrap();
    let mut listed: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .filter_map(|line| line.rsplit('`').nth(1))
        .collect();
    listed.sort_unstable();
    let mut tested: Vec<String> = fs::read_dir(root.join("tests/core/compile_fail"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned()))
        .collect();
    tested.sort_unstable();
    assert_eq!(listed, tested);
}

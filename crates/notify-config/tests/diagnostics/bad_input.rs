//! Files that nobody meant: huge, deep, binary, of odd kinds.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use notify_config::{Definitions, Diagnostic, Document, Settings, Source, definitions, load};
use notify_core::Code;

use crate::providers::registry;
use crate::{ACCOUNTS, Files, definition, draw, settings, with};

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..8 {
        let before = format!("*a{}", level - 1);
        let list = vec![before; 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{list}]").unwrap();
    }
    let found = definition(&bomb).unwrap_err();
    assert!(
        found.iter().all(|found| found.code() == Code::TOO_LARGE),
        "{found}"
    );
}

#[test]
fn deep_nesting_is_refused() {
    for text in [
        format!("a: {}{}\n", "[".repeat(100_000), "]".repeat(100_000)),
        "- ".repeat(100_000),
        "{a: ".repeat(100_000),
    ] {
        let found = definition(&text).unwrap_err();
        assert!(
            found.iter().all(|found| found.code() == Code::TOO_LARGE),
            "{found}"
        );
    }
}

#[test]
fn deep_nesting_in_toml_is_refused() {
    for text in [
        format!("a = {}{}\n", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{}a = 1\n", "a.".repeat(400_000)),
        format!("[{}a]\n", "a.".repeat(400_000)),
        format!("a = {}\n", "{ a = ".repeat(100_000)),
    ] {
        settings(&text).unwrap_err();
    }
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
    let text = with("  - phases: [running]\n    email: me@example.com\n");
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let (unix, windows) = (
        definition(&text).unwrap_err(),
        definition(&windows).unwrap_err(),
    );
    assert_eq!(draw(&unix), draw(&windows).replace('\r', ""));
    assert_eq!(unix.to_string(), windows.to_string());
    for text in [
        ACCOUNTS.to_owned(),
        format!("\u{feff}{}", ACCOUNTS.replace('\n', "\r\n")),
    ] {
        settings(&text).unwrap();
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let files = Files::new();
    let paths = [
        files.0.path().join("missing.yaml"),
        files.0.path().join("folder.yaml"),
    ];
    std::fs::create_dir(&paths[1]).unwrap();
    insta::assert_snapshot!(files.draw(&definitions(&registry(), &paths).unwrap_err()));
}

#[test]
fn a_device_is_refused_without_being_opened() {
    let found = definitions(&registry(), &["/dev/zero".into()]).unwrap_err();
    assert!(
        found.iter().all(|found| found.code() == Code::UNREADABLE),
        "{found}"
    );
}

#[test]
fn a_huge_file_is_refused_without_being_read() {
    let files = Files::new();
    let path = files.write("huge.yaml", "");
    // A sparse file of a size that no memory holds: reading it would show.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(1 << 42).unwrap();
    insta::assert_snapshot!(files.draw(&definitions(&registry(), &[path]).unwrap_err()));
}

#[test]
fn a_binary_file_is_refused_and_not_shown() {
    let files = Files::new();
    let path = files.write("a.out", b"\x7fELF\x02\x01\x01\0\0\xff\xfe\n");
    insta::assert_snapshot!(files.draw(&definitions(&registry(), &[path]).unwrap_err()));
    let path = files.write("a.out", b"\0\0\0\0");
    let found = definitions(&registry(), &[path]).unwrap_err();
    assert!(
        found.iter().all(|found| found.code() == Code::SYNTAX),
        "{found}"
    );
}

#[test]
fn a_text_in_another_encoding_is_refused_at_its_byte() {
    let files = Files::new();
    let path = files.write("a.yaml", b"workflow: nightly\n# f\xfcr M\xe4rz\n");
    insta::assert_snapshot!(files.draw(&definitions(&registry(), &[path]).unwrap_err()));
}

/// More than a reading takes on a busy machine and in a build that is not optimized; what grows with
/// the square of a file's size takes far longer.
const PATIENCE: Duration = Duration::from_secs(10);

#[expect(
    clippy::disallowed_methods,
    reason = "how long it takes is what is tested"
)]
#[track_caller]
fn check_time<T>(what: &str, read: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let value = read();
    let taken = begun.elapsed();
    assert!(taken < PATIENCE, "{what}: {taken:?}");
    value
}

/// Repeats a text up to the size of the largest file.
fn full(part: &str) -> String {
    part.repeat(1024 * 1024 / part.len())
}

/// Writes many lines, each with a number of its own.
fn numbered(count: usize, line: fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

#[test]
fn the_largest_definitions_are_refused_in_time() {
    let one = |body: &str| with(&format!("  - phases: failed\n    {body}\n"));
    let long = "k".repeat(1_000_000);
    let texts = [
        ("letters", full("x")),
        (
            "problems",
            with(&full("  - phases: faild\n    emial: [x, y]\n")),
        ),
        (
            "unknown keys",
            numbered(90_000, |number| format!("k{number}: 1\n")),
        ),
        ("one line of nothing", format!("{{{}}}", full("a,"))),
        ("a list of nothing", format!("workflow: [{}]", full(","))),
        ("empty values", format!("[{}]", full("{a: },"))),
        ("lists", full("- []\n")),
        ("comments", full("# x\n")),
        ("long comments", full("- [ # x\n  ]\n")),
        ("line breaks", full("\n")),
        ("carriage returns", full("\r")),
        ("spaces", full(" ")),
        ("tabs", full("\t")),
        ("dashes", full("- ")),
        ("documents", full("---\na\n")),
        ("quotes", full("\"")),
        ("brackets", full("[")),
        ("anchors", full("- &a x\n")),
        ("one long key", format!("{long}: 1")),
        (
            "one long text",
            format!("workflow: {long}\nnotifications: []\n"),
        ),
        ("one long recipient", one(&format!("email: [{long}]"))),
        (
            "one long phase",
            one(&format!("email: [a@example.com]\n    phases: {long}")),
        ),
        ("one long kind", one(&format!("{long}: x"))),
        ("recipients", one(&format!("email: [{}]", full("x, ")))),
        ("variables", format!("workflow: '{}'", full("${A}"))),
        ("combining marks", format!("workflow: {}", full("\u{301}"))),
        ("control characters", full("\u{1}")),
        (
            "a template",
            one(&format!(
                "email: {{to: a@b.c, template: '{}'}}",
                full("{{ x }}")
            )),
        ),
        (
            "templates",
            with(&full(
                "  - {phases: failed, email: {to: a@b.c, template: '{{ x }}'}}\n",
            )),
        ),
        (
            "workflows",
            "workflows:\n".to_owned() + &full("  - {workflow: a}\n"),
        ),
    ];
    for (what, text) in texts {
        let found = check_time(what, || definition(&text)).unwrap_err();
        assert!(found.iter().count() <= 101, "{what}");
    }
}

#[test]
fn the_largest_settings_are_refused_in_time() {
    let long = "k".repeat(1_000_000);
    let texts = [
        ("letters", full("x")),
        (
            "rules",
            full("[[rules]]\nphases = 'faild'\nntfy = ['#o ps']\n"),
        ),
        (
            "accounts",
            numbered(20_000, |number| {
                format!("[accounts.ntfy.a{number}]\ntoken = 'x'\n")
            }),
        ),
        (
            "unknown keys",
            numbered(90_000, |number| format!("k{number}=1\n")),
        ),
        ("comments", full("# token = x\n") + "x"),
        ("quotes", full("\"")),
        ("quotes of several lines", full("'''")),
        ("brackets", full("[")),
        ("equals", full("=")),
        ("one long key", format!("{long}=1")),
        ("one long kind", format!("accounts.{long}.a=1")),
        ("a list", format!("engine=[{}]", full("1,"))),
        ("tables", full("[a]\n")),
        ("dotted keys", format!("{}=1", full("a."))),
        ("a template", format!("templates.a='{}'", full("{{ x }}"))),
        (
            "variables",
            format!("accounts.ntfy.a.topics='{}'", full("${A}")),
        ),
    ];
    for (what, text) in texts {
        let found = check_time(what, || settings(&text)).unwrap_err();
        assert!(found.iter().count() <= 101, "{what}");
    }
}

#[test]
fn of_more_problems_than_anybody_reads_the_first_are_told_and_then_that_there_are_more() {
    let wrong = "  - {phases: faild, email: a@example.com}\n";
    let keys = numbered(200, |number| format!("k{number}: 1\n"));
    for text in [with(&wrong.repeat(250)), with(wrong) + &keys] {
        let found = definition(&text).unwrap_err();
        let lines: Vec<_> = found.iter().map(Diagnostic::position).collect();
        let in_order: Vec<_> = (3..103).map(Some).collect();
        let (last, told) = lines.split_last().unwrap();
        let told: Vec<_> = told
            .iter()
            .map(|place| place.map(|(line, _)| line))
            .collect();
        assert_eq!((told, *last), (in_order, None), "{found}");
        let rest = found.iter().next_back().unwrap();
        assert_eq!(
            rest.to_string(),
            "`nightly-etl.yaml` has more problems than these 100"
        );
    }
}

#[test]
fn a_hundred_problems_of_a_template_are_told_whichever_file_it_is_in() {
    let files = Files::new();
    let wrong = "{{ x }}".repeat(9_000);
    files.write("tpl.md", &wrong);
    let elsewhere = files.write("t.toml", "[templates]\na = { file = \"tpl.md\" }\n");
    let here = files.write(
        "here.toml",
        format!("[templates]\na = '{wrong}'\nb = '{wrong}'\n"),
    );
    for path in [elsewhere, here] {
        let found = Settings::read(&registry(), &path).unwrap_err();
        let told = found.iter().filter(|one| one.code() == Code::TEMPLATE);
        assert_eq!((told.count(), found.iter().count()), (100, 101));
    }
}

#[test]
fn both_readings_of_a_file_tell_a_hundred_problems_together() {
    let unreachable = "  - {phases: failed, ntfy: \"#opps\"}\n".repeat(80);
    let unknown = "  - {phases: faild, ntfy: \"#ops\"}\n".repeat(80);
    let files = Files::new();
    let definition = files.write("a.yaml", with(&(unreachable + &unknown)));
    let settings = files.write("notify.toml", ACCOUNTS);
    let found = load(&registry(), &[definition], &settings).unwrap_err();
    assert_eq!(found.iter().count(), 101);
    let last = found.iter().next_back().unwrap();
    assert!(last.position().is_none(), "{last}");
}

#[test]
fn a_key_of_an_account_that_nothing_reads_is_told_however_many_there_are() {
    let keys = numbered(90, |number| format!("k{number} = 1\n"));
    let text = format!("[accounts.ntfy.a]\ntoken = {{ env = \"A\" }}\n{keys}");
    let found = settings(&text).unwrap_err();
    assert_eq!(found.iter().count(), 90);
}

#[test]
fn a_file_without_aliases_is_not_told_of_aliases() {
    let text = with(&format!(
        "  - phases: failed\n    email: [{}]\n",
        "x, ".repeat(110_000)
    ));
    let found = definition(&text).unwrap_err().to_string();
    assert!(
        found.ends_with("there are more than 100000 values in one file"),
        "{found}"
    );
}

#[test]
fn lines_end_at_a_carriage_return_alone_too() {
    let found = definition("workflow: a\rnotifications:\r  - phases: faild\r    email: a@b.c\r");
    let found = found.unwrap_err();
    let place = found.iter().next().unwrap().position();
    assert_eq!(place, Some((3, 13)));
}

#[test]
fn a_file_of_fifty_megabytes_is_refused_in_time() {
    let files = Files::new();
    let path = files.write("huge.yaml", vec![b'#'; 50 * 1024 * 1024]);
    let read = || definitions(&registry(), &[path]);
    let found = check_time("fifty megabytes", read).unwrap_err();
    assert!(
        found.iter().all(|found| found.code() == Code::TOO_LARGE),
        "{found}"
    );
}

#[cfg(unix)]
#[test]
fn a_pipe_that_nobody_writes_to_is_refused_and_a_loop_of_links_too() {
    let files = Files::new();
    let pipe = files.0.path().join("pipe.yaml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let (one, two) = (
        files.0.path().join("one.yaml"),
        files.0.path().join("two.yaml"),
    );
    std::os::unix::fs::symlink(&one, &two).unwrap();
    std::os::unix::fs::symlink(&two, &one).unwrap();
    let by_pattern = files.0.path().join("*.yaml");
    let found = definitions(&registry(), &[by_pattern]).unwrap_err();
    insta::assert_snapshot!(files.draw(&found));
}

#[test]
fn a_pattern_that_matches_nothing_is_refused() {
    let files = Files::new();
    files.write("a.yml", "");
    let pattern = files.0.path().join("**/*.yaml");
    let found = definitions(&registry(), &[pattern]).unwrap_err();
    insta::assert_snapshot!(files.draw(&found));
}

#[test]
fn patterns_and_paths_name_each_file_once() {
    let files = Files::new();
    for name in ["b.yaml", "a.json"] {
        files.write(
            name,
            format!("{{\"workflow\": \"{name}\", \"notifications\": []}}"),
        );
    }
    let at = |name: &str| files.0.path().join(name);
    let paths = [at("b.yaml"), at("*.yaml"), at("?.json"), at("./a.json")];
    let read = definitions(&registry(), &paths).unwrap();
    let names: Vec<&str> = read.workflows().map(|one| one.name().as_str()).collect();
    assert_eq!(names, ["b.yaml", "a.json"]);
}

#[test]
fn a_file_holds_one_definition_or_a_list_or_several_documents() {
    let one = |name: &str| format!("workflow: {name}\nnotifications: []\n");
    let listed =
        "workflows:\n  - {workflow: a, notifications: []}\n  - {workflow: b, notifications: []}\n";
    let table = [
        (one("a"), "a"),
        (listed.to_owned(), "a b"),
        (format!("---\n{}---\n{}...\n", one("a"), one("b")), "a b"),
        (format!("{}---\n{listed}", one("c")), "c a b"),
        (format!("---\n# nothing\n---\n{}---\n", one("a")), "a"),
    ];
    for (text, expected) in table {
        let read = definition(&text).unwrap();
        let names: Vec<&str> = read.workflows().map(|one| one.name().as_str()).collect();
        assert_eq!(names.join(" "), expected, "{text}");
    }
}

#[test]
fn letters_with_marks_keep_carets_and_names_apart() {
    let composed = Source::new("a.yaml", "workflow: caf\u{e9}\nnotifications: []\n");
    let decomposed = Source::new("b.yaml", "workflow: cafe\u{301}\nnotifications: []\n");
    let read = Definitions::parse(&registry(), [composed, decomposed]).unwrap();
    assert_eq!(read.workflows().count(), 2);
    let document = Document::yaml(&Source::new("a.yaml", "e\u{301}: [x]\n")).unwrap();
    assert_eq!(document.to_value()["e\u{301}"][0], "x");
}

//! What a failed command said, as far as it can be shown.

use notify_core::secret::secrets_in;

use super::attend::Attended;

/// How many characters of its last line are shown.
const SHOWN: usize = 200;

/// What stands in place of what may be a secret.
const HIDDEN: &str = "[secret]";

/// What stands in the names of secrets, which follow them.
const NAMES: [&str; 8] = [
    "pass",
    "secret",
    "token",
    "key",
    "credential",
    "auth",
    "login",
    "pwd",
];

/// Gives the last line of what a command said, without what may be the secret or an argument.
///
/// Where a word of what it printed is in the line, nothing of the line is shown: more of the secret
/// can be in it, in another form.
pub(super) fn last_line(attended: &Attended, arguments: &[String]) -> Option<String> {
    let said = String::from_utf8_lossy(&attended.said);
    let line = said.lines().rev().find(|line| !line.trim().is_empty())?;
    let printed = String::from_utf8_lossy(&attended.printed);
    if printed.split_whitespace().any(|word| line.contains(word)) {
        return None;
    }
    let mut line = line.to_owned();
    for part in parts(arguments) {
        line = line.replace(part, "[argument]");
    }
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        let (shown, goes_on) = fit(word);
        words.push(shown);
        if !goes_on {
            break;
        }
    }
    let line = words.join(" ");
    let line = line.chars().filter(|letter| !letter.is_control());
    Some(line.take(SHOWN).collect())
}

/// Gives a word as it can be shown, and whether what follows it can be shown too.
fn fit(word: &str) -> (String, bool) {
    if let Some((name, value)) = word.split_once(':') {
        let name = name.to_lowercase();
        if NAMES.iter().any(|known| name.contains(known)) && !value.starts_with("//") {
            let (name, _) = word.split_once(':').unwrap_or_default();
            return (format!("{name}: {HIDDEN}"), false);
        }
    }
    match word.split_once('=') {
        Some((name, value)) if !value.is_empty() => (format!("{name}={HIDDEN}"), true),
        _ if secrets_in(word).next().is_some() => (HIDDEN.to_owned(), true),
        _ => (word.to_owned(), true),
    }
}

/// Lists what arguments can be recognized by: longest first, so that no part is left of one.
fn parts(arguments: &[String]) -> Vec<&str> {
    let mut parts = Vec::new();
    for argument in arguments {
        parts.push(argument.as_str());
        if argument.contains(char::is_whitespace) {
            // Most of a script are words of everybody.
            let words =
                argument.split(|letter: char| letter.is_whitespace() || "'\"".contains(letter));
            let odd = |word: &&str| word.contains(|letter: char| letter.is_ascii_digit());
            parts.extend(words.filter(odd));
        } else {
            parts.extend(argument.split([':', '=', '@']));
        }
    }
    parts.retain(|part| part.len() >= 4);
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(printed: &str, said: &str, expected: Option<&str>) {
        let attended = Attended {
            printed: printed.into(),
            said: said.into(),
            ended: None,
        };
        let arguments = ["-u", "admin:hunter2", "show", "sh -c 'get hunter3 now'"];
        let found = last_line(&attended, &arguments.map(str::to_owned));
        assert_eq!(found.as_deref(), expected, "{said}");
    }

    #[test]
    fn a_line_is_shown_without_what_may_be_a_secret() {
        check(
            "",
            "first\nvault is sealed now\n \n",
            Some("vault is sealed now"),
        );
        check("", "no xoxb-1-2 there", Some("no [secret] there"));
        check(
            "",
            "password=hunter2 is wrong",
            Some("password=[secret] is wrong"),
        );
        check("", "Password: hunter 2", Some("Password: [secret]"));
        check(
            "",
            "{\"api_key\":\"hunter2\"} x",
            Some("{\"api_key\": [secret]"),
        );
        check("", "at https://u:hunter2@h/x", Some("at [secret]"));
        check("", "a\u{1b}[31mb", Some("a[31mb"));
    }

    #[test]
    fn a_line_with_anything_that_was_printed_is_not_shown() {
        check("hunter2\n", "got hunter2", None);
        check("ab", "got ab", None);
        check("user hunter2", "no user", None);
        check("other", "got hunter4", Some("got hunter4"));
    }

    #[test]
    fn no_argument_is_shown() {
        check(
            "",
            "login denied for admin:hunter2",
            Some("login denied for [argument]"),
        );
        check(
            "",
            "hunter2 is no password",
            Some("[argument] is no password"),
        );
        check(
            "",
            "sh: get hunter3: not found",
            Some("sh: get [argument]: not found"),
        );
    }
}

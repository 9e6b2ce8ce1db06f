//! Regular expressions that say what the readers take, in the words that all dialects share.
//!
//! They are searched for in ECMAScript, Python and Rust, so they have no classes with names and no
//! flags. Where a reader's rule is finer than an expression can be, the expression takes more.

/// The spaces of [`char::is_whitespace`] that are no controls.
const SPACE: &str = r"\x20\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";

/// Control characters, C0 and C1.
const CONTROL: &str = r"\x00-\x1f\x7f-\x9f";

/// What nobody sees, wherever it stands; those beyond the basic plane are left to the reader.
const INVISIBLE: &str = r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb";

/// A name in keys: account, kind, template.
pub fn identifier() -> String {
    "^[A-Za-z0-9_-]{1,64}$".to_owned()
}

/// The name of an environment variable.
pub fn variable() -> String {
    "^[A-Za-z_][A-Za-z0-9_]*$".to_owned()
}

/// A text without the character NUL, of one character at least: what the system takes as a path.
pub fn argument() -> String {
    r"^[^\x00]+$".to_owned()
}

/// A name that people choose freely.
pub(crate) fn plain_name() -> String {
    let inner = format!("{CONTROL}{INVISIBLE}");
    format!("^[^{SPACE}{inner}](?:[^{inner}]{{0,253}}[^{SPACE}{inner}])?$")
}

/// What names look like, with `*` and `?`.
pub(crate) fn glob() -> String {
    format!("^[^{CONTROL}{INVISIBLE}]{{1,255}}$")
}

/// The names and numbers of ends in any case.
pub(crate) fn phase() -> String {
    let any_case = |word: &str| -> String {
        let letter = |letter: char| match letter {
            '_' => "[_-]".to_owned(),
            _ => format!("[{letter}{}]", letter.to_ascii_uppercase()),
        };
        word.chars().map(letter).collect()
    };
    let names = ["succeeded", "failed", "aborted", "timed_out"].map(any_case);
    format!(r"^\s*(?:{}|[4678])\s*$", names.join("|"))
}

/// A duration as people write it, or as ISO 8601 does.
pub(crate) fn span() -> String {
    let number = r"[0-9]+(?:[.,][0-9]{0,9})?";
    let units = [
        "h|hrs?|hours?",
        "m|mins?|minutes?",
        "s|secs?|seconds?",
        "ms|msecs?|millis?|milliseconds?",
        "us|µs|μs|usecs?|µsecs?|μsecs?|micros?|microseconds?",
        "ns|nsecs?|nanos?|nanoseconds?",
    ]
    .join("|");
    let friendly = format!(r"{number}\s*(?:{units})(?:\s*,?\s*{number}\s*(?:{units}))*");
    let clock = r"[0-9]+:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?";
    let iso = format!("[Pp][Tt](?:{number}[HhMmSs])+");
    format!(r"^\s*\+?\s*(?:{friendly}|{clock}|{iso})\s*$")
}

/// A mail address, and nothing around it but spaces.
pub fn mail_address() -> String {
    format!("^ *{} *$", bare_mail_address())
}

/// A mail address to be put into another expression.
pub fn bare_mail_address() -> String {
    let outside = format!("{SPACE}{CONTROL}{INVISIBLE}");
    let local = format!(r#"[^{outside}.@<>"(),:;\[\\\]]+"#);
    // Letters, digits and what is not ASCII; a hyphen but at the edges.
    let other = format!(r"\x21-\x2c\x2e\x2f\x3a-\x40\x5b-\x60\x7b-\x7e{outside}");
    let edge = format!("[^-{other}]");
    let label = format!("{edge}(?:[^{other}]*{edge})?");
    format!(r"{local}(?:\.{local})*@{label}(?:\.{label})+")
}

/// A Slack channel with its `#`.
pub(crate) fn channel() -> String {
    let outside = format!("{SPACE}{CONTROL}{INVISIBLE}");
    format!(r#"^ *#[^{outside}A-Z#@,.:;<>"'`/\\!?&*()\[\]{{}}|]{{1,80}} *$"#)
}

/// The id of a Slack channel or of a person.
pub(crate) fn slack_id() -> String {
    "^ *[CDGUW](?=[A-Z]*[0-9])[A-Z0-9]{8,23} *$".to_owned()
}

/// The name of a PagerDuty service, which is neither an address nor a key.
pub fn service() -> String {
    let inner = format!("@{CONTROL}{INVISIBLE}");
    let secret = r"(?!xox|xapp-|xwfp-)(?![^ ]*://)(?!(?=[^0-9]*[0-9])[A-Za-z0-9+/=_]{24,} *$)";
    format!("^ *(?!#){secret}[^{SPACE}{inner}](?:[^{inner}]{{0,98}}[^{SPACE}{inner}])? *$")
}

/// An address of the web that a client of this machine may call.
pub fn base_url() -> String {
    r"^\s*(?![A-Za-z]+:[/\\]*[^/\\?#]*@)(?:[Hh][Tt][Tt][Pp][Ss]:|[Hh][Tt][Tt][Pp]:[/\\]*(?:[^/\\]*\.)?(?:[Ll][Oo][Cc][Aa][Ll][Hh][Oo][Ss][Tt]|[0-9.]+|\[[0-9A-Fa-f:.]+\])\.?(?:[:/\\]|\s*$))[^?#]*$".to_owned()
}

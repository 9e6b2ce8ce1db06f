//! The last words of a command, in bounded memory.

use std::collections::VecDeque;

use workflow_notify::core::{Secrets, fit};

/// How many bytes are remembered. Far more than is shown, so that a secret which the bound cuts in
/// two is not among what is shown.
const REMEMBERED: usize = 64 * 1024;

/// How many characters are shown.
const SHOWN: usize = 4_000;

/// How many lines are shown.
const LINES: usize = 30;

/// The last bytes of a stream.
#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<u8>);

impl Tail {
    /// Adds what came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let kept = bytes
            .get(bytes.len().saturating_sub(REMEMBERED)..)
            .unwrap_or(bytes);
        let surplus = (self.0.len() + kept.len()).saturating_sub(REMEMBERED);
        self.0.drain(..surplus.min(self.0.len()));
        self.0.extend(kept);
    }

    /// Gives the last lines as plain text: secrets masked, no colours, no progress bars.
    pub(crate) fn message(&self, secrets: &Secrets) -> String {
        let bytes: Vec<u8> = self.0.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        // Colours first: a colour in the middle of a secret would hide it from the mask.
        let plain = anstream::adapter::strip_str(&text).to_string();
        let plain = secrets.mask(&plain);
        let mut lines: Vec<&str> = plain.lines().map(last_draft).rev().take(LINES).collect();
        lines.reverse();
        let text = lines.join("\n");
        fit::shorten_front(text.trim(), SHOWN, |text| text.chars().count()).into_owned()
    }
}

/// Takes what a line showed in the end, when it drew itself anew with carriage returns.
fn last_draft(line: &str) -> &str {
    let drafts = line.trim_end_matches('\r').rsplit('\r');
    drafts.into_iter().next().unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use workflow_notify::core::{SecretError, SecretRef, SecretSource};

    use super::*;

    #[derive(Debug)]
    struct Fixed(&'static str);

    impl SecretSource for Fixed {
        fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
            Ok(self.0.into())
        }
    }

    fn message(pushed: &[&[u8]], secret: &'static str) -> String {
        let mut tail = Tail::default();
        for bytes in pushed {
            tail.push(bytes);
        }
        assert!(tail.0.len() <= REMEMBERED);
        let reference = SecretRef::Env("TOKEN".to_owned());
        tail.message(&Secrets::resolve([&reference], &Fixed(secret)))
    }

    #[test]
    fn the_last_lines_are_kept_however_much_came_before() {
        let noise = "noise\n".repeat(100_000);
        let message = message(&[noise.as_bytes(), b"row 4: ", b"bad amount\n"], "none");
        assert!(message.ends_with("noise\nrow 4: bad amount"));
        assert_eq!(message.lines().count(), LINES);
    }

    #[test]
    fn one_endless_line_is_cut_at_the_front() {
        let message = message(&[&vec![b'x'; 1_000_000], b"the end"], "none");
        assert!(message.ends_with("the end") && message.chars().count() <= SHOWN);
    }

    #[test]
    fn secrets_colours_and_progress_bars_do_not_get_into_the_message() {
        let pushed: &[u8] =
            b"10%\r50%\r100%\n\x1b[31merror\x1b[0m: token xoxb-\x1b[1mhunter2 refused \xff\r\n";
        let message = message(&[pushed], "xoxb-hunter2");
        assert_eq!(message, "100%\nerror: token [secret] refused \u{fffd}");
    }

    #[test]
    fn a_secret_across_the_bound_is_not_shown_in_part() {
        let secret = "xoxb-hunter2-hunter2";
        let mut text = format!("{secret}{}", "x".repeat(REMEMBERED - 10)).into_bytes();
        text.extend(b"\nthe end\n");
        assert!(!message(&[&text], "xoxb-hunter2-hunter2").contains("hunter2"));
    }
}

//! Mails in the words of Flyte's templates.
//!
//! **Invariant.** A value is text wherever it stands: escaped in the body, one visible line in the
//! subject. What stands in the template itself is its author's HTML.

use notify_core::WorkflowEnded;
use notify_core::email::{FlyteKey, FlyteMail, FlyteTemplate};
use notify_core::fit::{printable, shorten_front};

use crate::body::escape_html;
use crate::plain;

/// The most bytes of the body, escaped, as far as shorter errors can bring it there.
const MAX_BODY: usize = 128 * 1024;

/// How many bytes of an error are kept at least.
const LEAST_ERROR: usize = 256;

/// A mail's three texts.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

/// Fills subject and body with the facts of an event.
pub(crate) fn render(mail: &FlyteMail, event: &WorkflowEnded) -> Rendered {
    let mut room = MAX_BODY / 4;
    let mut html = body(&mail.body, |key| value(key, event, room));
    while html.len() > MAX_BODY && room > LEAST_ERROR {
        room /= 2;
        html = body(&mail.body, |key| value(key, event, room));
    }
    Rendered {
        subject: mail.subject.render(|key| value(key, event, LEAST_ERROR)),
        text: printable(&plain::text(&html)).trim().to_owned() + "\n",
        html,
    }
}

fn body(template: &FlyteTemplate, value: impl Fn(FlyteKey) -> String) -> String {
    let html = template.render(|key| escape_html(&printable(&value(key))));
    printable(&html).into_owned()
}

fn value(key: FlyteKey, event: &WorkflowEnded, room: usize) -> String {
    match (key, &event.failure) {
        (FlyteKey::Error, Some(failure)) => {
            let escaped = |text: &str| escape_html(text).len();
            let end = shorten_front(&failure.message, room, escaped);
            FlyteKey::sentence(Some(&end))
        }
        _ => key.value(event),
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf};

    use notify_core::{Execution, Failure, TerminalPhase, WorkflowName};
    use serde_json::Value;

    use super::*;

    fn event(phase: TerminalPhase) -> WorkflowEnded {
        WorkflowEnded::new(
            WorkflowName::new("nightly-etl").unwrap(),
            Execution::new("analytics", "production", "run-17").unwrap(),
            phase,
        )
        .version("v3")
    }

    #[test]
    fn every_key_has_its_fact() {
        let names = FlyteKey::ALL
            .map(|key| format!("{{{{ {} }}}}", key.name()))
            .join("|");
        let mail = FlyteMail::new("{{ phase }}", &names).unwrap();
        let event = event(TerminalPhase::TimedOut).failure(Failure::new("row 4"));
        let rendered = render(&mail, &event);
        assert_eq!(
            rendered.html,
            "analytics|production|run-17|analytics|production|nightly-etl|v3|analytics|production|\
             nightly-etl|v3|timed_out| The execution failed with error: [row 4]."
        );
        assert_eq!(rendered.subject, "timed_out");
    }

    #[test]
    fn a_value_is_text_and_is_never_read_as_a_template() {
        let hostile = "<script>x</script> {{ name }} \u{1b}[31m\"'&";
        let mail = FlyteMail::new("{{ error }}", "<p>{{ error }}</p><p>bye</p>").unwrap();
        let rendered = render(
            &mail,
            &event(TerminalPhase::Failed).failure(Failure::new(hostile)),
        );
        assert!(
            rendered
                .html
                .contains("&lt;script&gt;x&lt;/script&gt; {{ name }} [31m&quot;&#39;&amp;")
        );
        assert!(
            rendered
                .text
                .contains("[<script>x</script> {{ name }} [31m\"'&]"),
            "{}",
            rendered.text
        );
        assert!(rendered.text.ends_with("]\n\nbye\n") || rendered.text.ends_with("].\n\nbye\n"));
    }

    #[test]
    fn a_long_error_keeps_its_end_within_the_bound() {
        let mail = FlyteMail::new("x", &"{{ error }}\n".repeat(9)).unwrap();
        let error = format!("{}the last line", "<noise>\n".repeat(8_000));
        let rendered = render(
            &mail,
            &event(TerminalPhase::Failed).failure(Failure::new(error)),
        );
        assert!(rendered.html.len() <= MAX_BODY && rendered.html.contains("the last line"));
    }

    /// What is different on purpose: the cases that Flyte leaves as they are written.
    const REFUSED: [&str; 5] = [
        "unknown_kept",
        "half_spaced_right",
        "two_spaces",
        "case_sensitive",
        "go_style_not_supported",
    ];

    #[test]
    fn every_case_of_flyte_comes_out_as_there_but_for_what_is_different_on_purpose() {
        let Some(folder) = env::var_os("NOTIFY_GOLDEN_DIR").map(PathBuf::from) else {
            #[expect(clippy::print_stderr, reason = "a skipped test says so")]
            {
                eprintln!("skipped: NOTIFY_GOLDEN_DIR is not set");
            }
            return;
        };
        let golden = fs::read_to_string(folder.join("flyte/template_cases.json")).unwrap();
        let golden: Value = serde_json::from_str(&golden).unwrap();
        let single_pass = &golden["clean_single_pass_expected_for"];
        let mut refused = Vec::new();
        for case in golden["cases"].as_array().unwrap() {
            let id = case["id"].as_str().unwrap();
            let Ok(template) = FlyteTemplate::parse(case["template"].as_str().unwrap()) else {
                refused.push(id);
                continue;
            };
            let value = |key: FlyteKey| match key {
                FlyteKey::Phase => case["phase"].as_str().unwrap().to_lowercase(),
                FlyteKey::Error => FlyteKey::sentence(case["error_message"].as_str()),
                key => golden["values"][key.name()].as_str().unwrap().to_owned(),
            };
            let expected = case["expected"]
                .as_str()
                .or(single_pass[id].as_str())
                .unwrap();
            assert_eq!(template.render(value), expected, "{id}");
            // In a mail, the values are escaped besides.
            let html = body(&template, value);
            assert!(!html.contains("<b>"), "{id}: {html}");
        }
        assert_eq!(refused, REFUSED);
        let page = include_str!("../../../docs/providers/email.md");
        for id in REFUSED {
            assert!(page.contains(&format!("`{id}`")), "{id} is not on the page");
        }
    }

    #[test]
    fn flytes_own_mail_comes_out_the_same() {
        let subject = "Notice: Execution \"{{ name }}\" has {{ phase }} in \"{{ domain }}\".";
        let mail = FlyteMail::new(
            subject,
            "Execution \"{{ name }}\" has {{ phase }}.{{ error }}",
        );
        let rendered = render(&mail.unwrap(), &event(TerminalPhase::Succeeded));
        assert_eq!(
            rendered.subject,
            "Notice: Execution \"run-17\" has succeeded in \"production\"."
        );
        assert_eq!(rendered.text, "Execution \"run-17\" has succeeded.\n");
    }
}

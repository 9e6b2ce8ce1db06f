//! What a mail says, in plain text and in HTML; each reads alone.
//!
//! **Invariant.** Every text goes through [`printable`], and into HTML only through
//! [`escape_html`]. The HTML loads nothing from anywhere.

use notify_core::Message;
use notify_core::content::{Action, Block, Severity};
use notify_core::fit::{shorten, shorten_front};

/// The most bytes of one text. Programs can print without end; a mail that nobody can load helps nobody.
const MAX_TEXT: usize = 64 * 1024;

/// Lowers a message to plain text with `\n` at line ends.
pub(crate) fn text(message: &Message) -> String {
    let mut parts = vec![prose(&message.headline)];
    for block in &message.blocks {
        parts.push(match block {
            Block::Paragraph(paragraph) => prose(paragraph),
            Block::List(items) => {
                lines(items, |item| format!("- {}", indented(&prose(item), "  ")))
            }
            Block::Fields(fields) => lines(fields, |field| {
                format!(
                    "{}: {}",
                    prose(&field.label),
                    indented(&prose(&field.value), "  ")
                )
            }),
            Block::Code(code) => format!("    {}", indented(&output(code), "    ")),
            _ => continue,
        });
    }
    if !message.actions.is_empty() {
        parts.push(lines(&message.actions, |action| {
            format!("{}: {}", prose(&action.label), prose(&action.url))
        }));
    }
    // RFC 3676 4.3: readers' programs know this line as the start of a signature.
    let footer = message
        .footer
        .iter()
        .map(|footer| format!("-- \n{}", prose(footer)));
    parts.extend(footer);
    parts.join("\n\n") + "\n"
}

/// Writes one line for each item.
fn lines<T>(items: &[T], line: impl Fn(&T) -> String) -> String {
    items.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Moves every line but the first to the right.
fn indented(text: &str, indent: &str) -> String {
    text.replace('\n', &format!("\n{indent}"))
}

/// Prepares running text.
fn prose(text: &str) -> String {
    shorten(&printable(text), MAX_TEXT, str::len).into_owned()
}

/// Prepares what a program printed, of which the end matters most.
fn output(text: &str) -> String {
    let text = printable(text);
    shorten_front(text.trim_end_matches('\n'), MAX_TEXT, str::len).into_owned()
}

/// Drops control characters and makes every line end a `\n`.
///
/// RFC 5322 2.3: CR and LF stand in a body only together; NUL stands nowhere.
fn printable(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .chars()
        .filter(|letter| matches!(letter, '\n' | '\t') || !letter.is_control())
        .collect()
}

/// Escapes a text for HTML, in elements and in quoted attributes.
pub(crate) fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Escapes running text and keeps its line breaks.
fn inline(text: &str) -> String {
    escape_html(&prose(text)).replace('\n', "<br>\n")
}

/// Lowers a message to one HTML document.
pub(crate) fn html(message: &Message) -> String {
    let mut parts = Vec::new();
    for block in &message.blocks {
        parts.push(match block {
            Block::Paragraph(paragraph) => format!("<p {PARAGRAPH}>{}</p>", inline(paragraph)),
            Block::List(items) => {
                let items = lines(items, |item| format!("<li {ITEM}>{}</li>", inline(item)));
                format!("<ul {LIST}>\n{items}\n</ul>")
            }
            Block::Fields(fields) => {
                let rows = lines(fields, |field| {
                    let (label, value) = (inline(&field.label), inline(&field.value));
                    format!("<tr><th {LABEL}>{label}</th><td {VALUE}>{value}</td></tr>")
                });
                format!("<table {TABLE}>\n{rows}\n</table>")
            }
            Block::Code(code) => format!("<pre {CODE}>{}</pre>", escape_html(&output(code))),
            _ => continue,
        });
    }
    if !message.actions.is_empty() {
        parts.push(format!(
            "<p {ACTIONS}>\n{}\n</p>",
            lines(&message.actions, button)
        ));
    }
    if let Some(footer) = &message.footer {
        parts.push(format!("<p {FOOTER}>{}</p>", inline(footer)));
    }
    let title = escape_html(&prose(&message.headline));
    let headline = inline(&message.headline);
    let colour = colour(message.severity);
    let parts = parts.join("\n");
    format!(
        "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"color-scheme\" content=\"light dark\">
<meta name=\"supported-color-schemes\" content=\"light dark\">
<title>{title}</title>
<style>
{DARK}
</style>
</head>
<body class=\"page\" style=\"margin:0;padding:0;background:#f6f8fa\">
<div {PAGE}>
<div class=\"card\" style=\"border-top:4px solid {colour};{CARD}\">
<h1 {HEADLINE}>{headline}</h1>
{parts}
</div>
</div>
</body>
</html>
"
    )
}

/// Makes a button of a web address, and text of any other.
fn button(action: &Action) -> String {
    let label = inline(&action.label);
    if action.is_web() {
        let url = escape_html(&action.url);
        format!("<a href=\"{url}\" {BUTTON}>{label}</a>")
    } else {
        format!("<span>{label}: {}</span><br>", inline(&action.url))
    }
}

/// For the programs that know dark mode. What the others show stands in `style` attributes below,
/// which all of them honour.
const DARK: &str = "\
@media (prefers-color-scheme: dark) {
  .page { background: #0d1117 !important; }
  .card { background: #161b22 !important; color: #e6edf3 !important; }
  .muted { color: #9da7b3 !important; }
  .code { background: #0d1117 !important; color: #e6edf3 !important; border-color: #30363d !important; }
}";

const PAGE: &str = r#"class="page" style="padding:16px 8px;background:#f6f8fa""#;
const CARD: &str = "max-width:640px;margin:0 auto;padding:20px;border-radius:6px;\
    background:#ffffff;color:#1f2328;overflow-wrap:anywhere;font-size:15px;line-height:22px;\
    font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const HEADLINE: &str = r#"dir="auto" style="margin:0 0 16px;font-size:20px;line-height:26px""#;
const PARAGRAPH: &str = r#"dir="auto" style="margin:0 0 16px""#;
const LIST: &str = r#"style="margin:0 0 16px;padding:0 0 0 24px""#;
const ITEM: &str = r#"dir="auto" style="margin:0 0 4px""#;
// Tables take neither size nor colour from around them where the document is read in quirks mode.
const TABLE: &str = "cellpadding=\"0\" cellspacing=\"0\" \
    style=\"margin:0 0 10px;border-collapse:collapse;font-size:15px;line-height:22px;color:inherit\"";
const LABEL: &str = "scope=\"row\" align=\"left\" valign=\"top\" class=\"muted\" \
    style=\"padding:0 16px 6px 0;font-weight:400;color:#57606a;overflow-wrap:break-word\"";
const VALUE: &str = "dir=\"auto\" valign=\"top\" style=\"padding:0 0 6px;overflow-wrap:anywhere\"";
const CODE: &str = "class=\"code\" style=\"margin:0 0 16px;padding:12px;border:1px solid #d0d7de;\
    border-radius:6px;background:#f6f8fa;color:#1f2328;font-size:13px;line-height:19px;\
    font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;\
    white-space:pre-wrap;overflow-wrap:anywhere\"";
const ACTIONS: &str = r#"style="margin:0 0 8px""#;
const BUTTON: &str = "style=\"display:inline-block;margin:0 8px 8px 0;padding:9px 16px;\
    border-radius:6px;background:#0b57d0;color:#ffffff;font-weight:600;text-decoration:none\"";
const FOOTER: &str = "dir=\"auto\" class=\"muted\" \
    style=\"margin:8px 0 0;font-size:13px;line-height:18px;color:#57606a\"";

/// Colours the bar above the headline; the words say the same without it.
const fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "#1a7f37",
        Severity::Warning => "#bf8700",
        Severity::Error => "#cf222e",
        Severity::Critical => "#82071e",
    }
}

#[cfg(test)]
mod tests {
    use notify_core::content::Field;

    use super::*;

    fn sample() -> Message {
        Message::new("nightly-etl failed", Severity::Error)
            .block(Block::Paragraph("It ran for 2h 5m.".to_owned()))
            .block(Block::Fields(vec![Field {
                label: "Run".to_owned(),
                value: "analytics/production/run-17".to_owned(),
            }]))
            .block(Block::List(vec![
                "load: failed\nat row 4".to_owned(),
                "extract".to_owned(),
            ]))
            .block(Block::Code("line 1\r\n\tline 2\rline 3\n".to_owned()))
            .action("Open the run", "https://flows.example.com/run-17?a=1&b=2")
            .footer("Sent by Workflow Notify")
    }

    #[test]
    fn plain_text_reads_alone() {
        let expected = "nightly-etl failed\n\n\
            It ran for 2h 5m.\n\n\
            Run: analytics/production/run-17\n\n\
            - load: failed\n  at row 4\n- extract\n\n    \
            line 1\n    \tline 2\n    line 3\n\n\
            Open the run: https://flows.example.com/run-17?a=1&b=2\n\n\
            -- \nSent by Workflow Notify\n";
        assert_eq!(text(&sample()), expected);
    }

    #[test]
    fn html_says_the_same_and_loads_nothing() {
        let html = html(&sample());
        for part in [
            "nightly-etl failed",
            "2h 5m",
            "analytics/production/run-17",
            "at row 4",
            "line 3",
            "Sent by",
        ] {
            assert!(html.contains(part), "{part}");
        }
        assert!(html.contains("href=\"https://flows.example.com/run-17?a=1&amp;b=2\""));
        for remote in ["src=", "url(", "@import", "<link", "<script", "<img"] {
            assert!(!html.contains(remote), "{remote}");
        }
    }

    #[test]
    fn hostile_text_stays_text_in_every_place() {
        let hostile = "<script>alert('x')</script>\"&\u{0}\u{1b}[31m";
        let message = Message::new(hostile, Severity::Critical)
            .block(Block::Paragraph(hostile.to_owned()))
            .block(Block::List(vec![hostile.to_owned()]))
            .block(Block::Fields(vec![Field {
                label: hostile.to_owned(),
                value: hostile.to_owned(),
            }]))
            .block(Block::Code(hostile.to_owned()))
            .action(hostile, format!("https://x.example/\"{hostile}"))
            .action("run", "javascript:alert(1)")
            .action("run", format!("https://x.example/\"onclick=\"{}", "<b>"))
            .footer(hostile);
        let html = html(&message);
        assert!(!html.contains("<script") && !html.contains("<b>") && !html.contains("\"onclick"));
        assert!(!html.contains("href=\"javascript"));
        for rendered in [html, text(&message)] {
            assert!(!rendered.contains(|letter: char| letter.is_control() && letter != '\n'));
        }
    }

    #[test]
    fn long_output_keeps_its_end() {
        let code = format!("{}the last line", "noise\n".repeat(50_000));
        let message = Message::new("x", Severity::Info).block(Block::Code(code));
        for rendered in [text(&message), html(&message)] {
            assert!(rendered.contains("the last line"));
            assert!(rendered.contains("characters omitted"));
            assert!(rendered.len() < 2 * MAX_TEXT);
        }
    }

    #[test]
    fn html_escapes_are_complete() {
        assert_eq!(escape_html("a<b>&\"'é"), "a&lt;b&gt;&amp;&quot;&#39;é");
    }
}

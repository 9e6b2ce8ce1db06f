//! What a mail says, in plain text and in HTML; each reads alone.
//!
//! **Invariant.** Every text comes from [`fitted`], and into HTML only through [`escape_html`]. The
//! HTML loads nothing from anywhere.

use std::borrow::Cow;

use notify_core::Message;
use notify_core::content::{Action, Block, Inline, Severity, Style, is_link};
use notify_core::fit::{fit, shorten};

/// The most bytes of both parts. Programs can print without end; a mail that nobody can load helps
/// nobody.
const MAX_BODY: usize = 128 * 1024;

/// The most bytes of the headline, which is never cut for the sake of the rest.
const MAX_HEADLINE: usize = 4 * 1024;

/// Gives the message as a mail can carry it.
pub(crate) fn fitted(message: &Message) -> Message {
    fit(message, MAX_BODY, |message| {
        text(message).len() + html(message).len()
    })
}

/// Lowers a fitted message to plain text with `\n` at line ends.
pub(crate) fn text(message: &Message) -> String {
    let mut parts = vec![headline(message).into_owned()];
    for block in &message.blocks {
        parts.push(match block {
            Block::Code(code) => Block::Code(printed(code).to_owned()).plain_text(),
            block => block.plain_text(),
        });
    }
    if !message.actions.is_empty() {
        parts.push(lines(&message.actions, |Action { label, url }| {
            format!("{label}: {url}")
        }));
    }
    // RFC 3676 4.3: readers' programs know this line as the start of a signature.
    let footer = message.footer.iter();
    parts.extend(footer.map(|footer| format!("-- \n{footer}")));
    parts.join("\n\n") + "\n"
}

fn headline(message: &Message) -> Cow<'_, str> {
    shorten(&message.headline, MAX_HEADLINE, str::len)
}

/// Takes the empty lines off the end of an output.
fn printed(code: &str) -> &str {
    code.trim_end_matches('\n')
}

/// Writes one line for each item.
fn lines<T>(items: &[T], line: impl Fn(&T) -> String) -> String {
    items.iter().map(line).collect::<Vec<_>>().join("\n")
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
fn prose(text: &str) -> String {
    escape_html(text).replace('\n', "<br>\n")
}

/// Lowers a run of inlines.
fn inlines(inlines: &[Inline]) -> String {
    let inline = |inline: &Inline| match inline {
        Inline::Text { text, style } => styled(prose(text), *style),
        Inline::Link { text, url, style } if is_link(url) => {
            let text = if text.is_empty() { url } else { text };
            let (text, url) = (styled(prose(text), *style), escape_html(url));
            format!("<a href=\"{url}\" {LINK}>{text}</a>")
        }
        Inline::Link { style, .. } => styled(prose(&inline.plain_text()), *style),
        // Mentions, and what is newer than this provider.
        other => prose(&other.plain_text()),
    };
    inlines.iter().map(inline).collect()
}

/// Puts a style around what is HTML already.
fn styled(html: String, style: Style) -> String {
    let tags = [
        (style.code, INLINE_CODE, "code"),
        (style.strike, "s", "s"),
        (style.emphasis, "em", "em"),
        (style.strong, "strong", "strong"),
    ];
    let set = tags.into_iter().filter(|(is_set, ..)| *is_set);
    set.fold(html, |html, (_, tag, name)| {
        format!("<{tag}>{html}</{name}>")
    })
}

fn block(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("<p {PARAGRAPH}>{}</p>", inlines(text)),
        Block::Heading(text) => format!("<h2 {HEADING}>{}</h2>", inlines(text)),
        Block::Items { ordered, items } => {
            let tag = if *ordered { "ol" } else { "ul" };
            let items = lines(items, |item| format!("<li {ITEM}>{}</li>", inlines(item)));
            format!("<{tag} {LIST}>\n{items}\n</{tag}>")
        }
        Block::Fields(fields) => {
            let rows = lines(fields, |field| {
                let (label, value) = (prose(&field.label), prose(&field.value));
                format!("<tr><th {LABEL}>{label}</th><td {VALUE}>{value}</td></tr>")
            });
            format!("<table {TABLE}>\n{rows}\n</table>")
        }
        // HTML drops a line break right after the tag, so there is one to drop.
        Block::Code(code) => format!("<pre {CODE}>\n{}</pre>", escape_html(printed(code))),
        // A part that is newer than this provider.
        other => format!("<p {PARAGRAPH}>{}</p>", prose(&other.plain_text())),
    }
}

/// Lowers a fitted message to one HTML document.
pub(crate) fn html(message: &Message) -> String {
    let mut parts: Vec<_> = message.blocks.iter().map(block).collect();
    if !message.actions.is_empty() {
        parts.push(format!(
            "<p {ACTIONS}>\n{}\n</p>",
            lines(&message.actions, button)
        ));
    }
    if let Some(footer) = &message.footer {
        parts.push(format!("<p {FOOTER}>{}</p>", escape_html(footer)));
    }
    let headline = escape_html(&headline(message));
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
<title>{headline}</title>
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
    let label = escape_html(&action.label);
    if action.is_web() {
        let url = escape_html(&action.url);
        format!("<a href=\"{url}\" {BUTTON}>{label}</a>")
    } else {
        format!("<span>{label}: {}</span><br>", escape_html(&action.url))
    }
}

/// For the programs that know dark mode. What the others show stands in `style` attributes below,
/// which all of them honour.
const DARK: &str = "\
@media (prefers-color-scheme: dark) {
  .page { background: #0d1117 !important; }
  .card { background: #161b22 !important; color: #e6edf3 !important; }
  .muted { color: #9da7b3 !important; }
  .link { color: #6cb0ff !important; }
  .code { background: #0d1117 !important; color: #e6edf3 !important; border-color: #30363d !important; }
}";

const PAGE: &str = r#"class="page" style="padding:16px 8px;background:#f6f8fa""#;
const CARD: &str = "max-width:640px;margin:0 auto;padding:20px;border-radius:6px;\
    background:#ffffff;color:#1f2328;overflow-wrap:anywhere;font-size:15px;line-height:22px;\
    font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const HEADLINE: &str = r#"dir="auto" style="margin:0 0 16px;font-size:20px;line-height:26px""#;
const PARAGRAPH: &str = r#"dir="auto" style="margin:0 0 16px""#;
const HEADING: &str = r#"dir="auto" style="margin:20px 0 8px;font-size:16px;line-height:22px""#;
const LIST: &str = r#"style="margin:0 0 16px;padding:0 0 0 24px""#;
const ITEM: &str = r#"dir="auto" style="margin:0 0 4px""#;
// Tables take neither size nor colour from around them where the document is read in quirks mode.
const TABLE: &str = "cellpadding=\"0\" cellspacing=\"0\" \
    style=\"margin:0 0 10px;border-collapse:collapse;font-size:15px;line-height:22px;color:inherit\"";
const LABEL: &str = "scope=\"row\" align=\"left\" valign=\"top\" class=\"muted\" \
    style=\"min-width:96px;padding:0 16px 6px 0;font-weight:400;color:#57606a;overflow-wrap:anywhere\"";
const VALUE: &str = "dir=\"auto\" valign=\"top\" style=\"padding:0 0 6px;overflow-wrap:anywhere\"";
const CODE: &str = "class=\"code\" style=\"margin:0 0 16px;padding:12px;border:1px solid #d0d7de;\
    border-radius:6px;background:#f6f8fa;color:#1f2328;font-size:13px;line-height:19px;\
    font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;\
    white-space:pre-wrap;overflow-wrap:anywhere\"";
const INLINE_CODE: &str = "code class=\"code\" style=\"padding:1px 4px;border-radius:4px;\
    background:#f6f8fa;color:#1f2328;font-size:13px;\
    font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace\"";
const LINK: &str = r#"rel="noopener noreferrer" class="link" style="color:#0b57d0""#;
const ACTIONS: &str = r#"style="margin:0 0 8px""#;
const BUTTON: &str = "rel=\"noopener noreferrer\" style=\"display:inline-block;margin:0 8px 8px 0;padding:9px 16px;\
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
    use notify_core::content::{Field, Mention};

    use super::*;

    fn link(text: &str, url: &str) -> Inline {
        let (text, url) = (text.to_owned(), url.to_owned());
        let style = Style::default();
        Inline::Link { text, url, style }
    }

    fn styled(text: &str, set: impl Fn(&mut Style)) -> Inline {
        let mut style = Style::default();
        set(&mut style);
        let text = text.to_owned();
        Inline::Text { text, style }
    }

    fn sample() -> Message {
        Message::new("nightly-etl failed", Severity::Error)
            .block(Block::Text(vec![
                Inline::plain("It ran for 2h 5m; ask "),
                link("jane", "mailto:jane@example.com"),
                Inline::plain(" or "),
                Inline::Mention(Mention::Group("data".to_owned())),
            ]))
            .block(Block::Heading(vec![styled("Steps", |style| {
                style.emphasis = true;
            })]))
            .block(Block::Fields(vec![Field {
                label: "Run".to_owned(),
                value: "analytics/production/run-17".to_owned(),
            }]))
            .block(Block::Items {
                ordered: true,
                items: vec![
                    vec![Inline::plain("load: failed\nat row 4")],
                    vec![styled("extract", |style| {
                        style.code = true;
                        style.strong = true;
                    })],
                ],
            })
            .block(Block::Code("line 1\r\n\tline 2\rline 3\n".to_owned()))
            .action("Open the run", "https://flows.example.com/run-17?a=1&b=2")
            .footer("Sent by Workflow Notify")
    }

    #[test]
    fn plain_text_reads_alone() {
        let expected = "nightly-etl failed\n\n\
            It ran for 2h 5m; ask jane (mailto:jane@example.com) or @data\n\n\
            Steps\n\n\
            Run: analytics/production/run-17\n\n\
            1. load: failed\n   at row 4\n2. extract\n\n    \
            line 1\n    \tline 2\n    line 3\n\n\
            Open the run: https://flows.example.com/run-17?a=1&b=2\n\n\
            -- \nSent by Workflow Notify\n";
        assert_eq!(text(&fitted(&sample())), expected);
    }

    #[test]
    fn html_says_the_same_and_loads_nothing() {
        let html = html(&fitted(&sample()));
        for part in [
            "nightly-etl failed",
            "2h 5m",
            "analytics/production/run-17",
            "at row 4",
            "line 3",
            "Sent by",
            "<em>Steps</em></h2>",
            "<strong><code ",
            "<ol ",
            "href=\"mailto:jane@example.com\" rel=\"noopener noreferrer\"",
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
            .block(Block::text(hostile))
            .block(Block::Items {
                ordered: false,
                items: vec![vec![
                    link(hostile, hostile),
                    link("run", &format!("https://x.example/\"{hostile}")),
                    link("run", "javascript:alert(1)"),
                ]],
            })
            .block(Block::Fields(vec![Field {
                label: hostile.to_owned(),
                value: hostile.to_owned(),
            }]))
            .block(Block::Code(hostile.to_owned()))
            .action(hostile, format!("https://x.example/\"{hostile}"))
            .action("run", "javascript:alert(1)")
            .action("run", format!("https://x.example/\"onclick=\"{}", "<b>"))
            .footer(hostile);
        let message = fitted(&message);
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
        let message = fitted(&Message::new("x", Severity::Info).block(Block::Code(code)));
        for rendered in [text(&message), html(&message)] {
            assert!(rendered.contains("the last line"));
            assert!(rendered.contains("characters omitted"));
            assert!(rendered.len() < MAX_BODY);
        }
    }

    #[test]
    fn html_escapes_are_complete() {
        assert_eq!(escape_html("a<b>&\"'é"), "a&lt;b&gt;&amp;&quot;&#39;é");
    }
}

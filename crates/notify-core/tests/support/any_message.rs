//! Any message, made of what has hurt somebody before, and what it means that a text is shown.
//!
//! The laws of `fit` and those of the providers share this file.

#![allow(
    dead_code,
    reason = "every crate that includes this file uses a part of it"
)]

use notify_core::Message;
use notify_core::content::{Block, Field, Inline, Mention, Severity, Style};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::select;
use unicode_segmentation::GraphemeCursor;

/// Markup, injections, controls, and letters that are not what they seem.
const HOSTILE: [&str; 32] = [
    "<!channel> <!here> <@U12345678> <#C12345678> <!subteam^S12345678> <https://evil.example|here>",
    "*bold* _it_ ~no~ `code` ```fence``` > quote :skull: @here #general",
    "&amp; &lt;!channel&gt; &#39; &",
    "<>&\"'\\/",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "</pre></p></body><!--",
    "]]><![CDATA[",
    "\r\nBcc: evil@example.com\r\n\r\nbody",
    "\n.\r\nMAIL FROM:<evil@example.com>\r\n",
    "=?utf-8?q?=0D=0ABcc=3A_evil=40example.com?=",
    "--=_ntf_00000000000000000000000000000007--\r\nContent-Type: text/html\r\n\r\n",
    "=3D=0D=0A=",
    "{\"type\": \"mrkdwn\"}",
    "\",\"routing_key\":\"\\",
    "{{ failure.message }} ${HOME} %s %n",
    "\u{1b}[31mred\u{1b}[0m",
    "\u{1b}]0;title\u{7}",
    "\u{0}\u{8}\u{7f}\u{85}\u{9b}",
    "\r",
    "\r\n",
    "\n",
    "\t ",
    "\u{202e}txet\u{2066}\u{200f}",
    "\u{e000}\u{f8ff}\u{10ffff}\u{fffe}",
    "\u{2028}\u{2029}\u{a0}\u{feff}\u{200b}",
    "👨‍👩‍👧‍👦🏳️‍🌈👍🏽",
    "🇩🇪🇫🇷🇯🇵",
    "e\u{301}\u{302}\u{303}\u{304} ﷽ क्षि",
    "夜間バッチ 배치",
    "… 17 characters omitted",
    "17 characters omitted …\n",
];

/// Gives 1,000 cases for a law, or as many as `PROPTEST_CASES` says.
pub(crate) fn laws() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 1_000;
    }
    config.failure_persistence = None;
    config
}

/// Gives any text: most are short, some are far beyond every limit.
pub(crate) fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        40 => short_text(),
        1 => (short_text(), 1..600_usize).prop_map(|(text, times)| text.repeat(times)),
    ]
}

fn short_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => select(&HOSTILE).prop_map(str::to_owned),
        2 => "[a-z ]{0,12}",
        1 => vec(any::<char>(), 0..6).prop_map(String::from_iter),
    ];
    vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// Gives any message.
pub(crate) fn any_message() -> impl Strategy<Value = Message> {
    let severity = select(&[
        Severity::Info,
        Severity::Warning,
        Severity::Error,
        Severity::Critical,
    ]);
    let blocks = prop_oneof![
        12 => vec(any_block(), 0..6),
        1 => vec(any_block(), 0..80),
    ];
    let actions = prop_oneof![
        12 => vec((short_text(), any_url()), 0..3),
        1 => vec((short_text(), any_url()), 0..40),
    ];
    let footer = proptest::option::of(any_text());
    (any_text(), severity, blocks, actions, footer).prop_map(
        |(headline, severity, blocks, actions, footer)| {
            let mut message = Message::new(headline, severity);
            message.blocks = blocks;
            message.footer = footer;
            actions
                .into_iter()
                .fold(message, |message, (label, url)| message.action(label, url))
        },
    )
}

fn any_block() -> impl Strategy<Value = Block> {
    let items = prop_oneof![
        12 => vec(any_inlines(), 0..4),
        1 => vec(any_inlines(), 0..60),
    ];
    let field = || (any_text(), any_text()).prop_map(|(label, value)| Field { label, value });
    let fields = prop_oneof![12 => vec(field(), 0..4), 1 => vec(field(), 0..40)];
    prop_oneof![
        3 => any_inlines().prop_map(Block::Text),
        1 => any_inlines().prop_map(Block::Heading),
        2 => (any::<bool>(), items).prop_map(|(ordered, items)| Block::Items { ordered, items }),
        2 => fields.prop_map(Block::Fields),
        3 => any_text().prop_map(Block::Code),
    ]
}

fn any_inlines() -> impl Strategy<Value = Vec<Inline>> {
    let text = (any_text(), any_style()).prop_map(|(text, style)| Inline::Text { text, style });
    let link = (short_text(), any_url(), any_style()).prop_map(|(text, url, style)| Inline::Link {
        text,
        url,
        style,
    });
    let mention = any_mention().prop_map(Inline::Mention);
    vec(prop_oneof![4 => text, 2 => link, 1 => mention], 0..4)
}

fn any_style() -> impl Strategy<Value = Style> {
    any::<[bool; 4]>().prop_map(|[strong, emphasis, strike, code]| {
        let mut style = Style::default();
        (style.strong, style.emphasis) = (strong, emphasis);
        (style.strike, style.code) = (strike, code);
        style
    })
}

fn any_mention() -> impl Strategy<Value = Mention> {
    let name = || prop_oneof![Just("jane".to_owned()), "[USW][A-Z0-9]{8,10}", short_text()];
    prop_oneof![
        Just(Mention::Here),
        Just(Mention::Channel),
        name().prop_map(Mention::User),
        name().prop_map(Mention::Group),
    ]
}

fn any_url() -> impl Strategy<Value = String> {
    let start = select(&[
        "https://example.com/",
        "http://example.com/?a=",
        "https://example.com/#",
        "mailto:jane@example.com",
        "mailto:",
        "javascript:alert(1)//",
        "data:text/html,",
        "HTTPS://EXAMPLE.COM/",
        "//example.com/",
        "https:",
    ]);
    prop_oneof![
        4 => (start, "[a-z0-9/?&=|<>\"']{0,20}").prop_map(|(start, rest)| format!("{start}{rest}")),
        2 => (start_of_web(), any_text()).prop_map(|(start, rest)| format!("{start}{rest}")),
        1 => any_text(),
        1 => (20..4_000_usize).prop_map(|length| format!("https://e.example/{}", "x".repeat(length))),
    ]
}

fn start_of_web() -> impl Strategy<Value = &'static str> {
    select(&["https://example.com/", "https://", "mailto:"])
}

/// Tells whether a text is shown whole, or cut with a right count at its end.
pub(crate) fn is_shown(full: &str, shown: &str) -> bool {
    if full == shown {
        return true;
    }
    let Some((kept, omitted)) = marked(shown) else {
        return false;
    };
    // A text that was cut before has one marker, with the sum.
    let (full, before) = marked(full).unwrap_or((full, 0));
    full.strip_prefix(kept)
        .is_some_and(|rest| rest.chars().count() + before == omitted)
        && is_boundary(full, kept.len())
}

/// Splits the mark of a cut off the end of a text.
pub(crate) fn marked(text: &str) -> Option<(&str, usize)> {
    let (kept, count) = text
        .strip_suffix(" characters omitted")?
        .rsplit_once("… ")?;
    Some((kept, count.parse().ok()?))
}

/// Splits the mark of a cut off the start of a text.
pub(crate) fn front_marked(text: &str) -> Option<(usize, &str)> {
    let (count, kept) = text.split_once(" characters omitted …\n")?;
    Some((count.parse().ok()?, kept))
}

/// Tells whether no grapheme spans this place.
pub(crate) fn is_boundary(text: &str, at: usize) -> bool {
    GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0) == Ok(true)
}

/// Leaves the letters alone: layout adds and drops white space.
pub(crate) fn letters(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_whitespace())
        .collect()
}

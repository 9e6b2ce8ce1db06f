//! The content tree: what a message says, before any provider decides how it looks.
//!
//! **Invariant.** Every string in the tree is plain text. A provider escapes it for its own sink,
//! so nothing a workflow prints can become markup, a mention, a header or a link.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad the news is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good news, or news without weight.
    Info,
    /// Somebody should look at it some time.
    Warning,
    /// Somebody should look at it soon.
    Error,
    /// Somebody should look at it now.
    Critical,
}

impl Severity {
    /// Returns the name in files and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// A message for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// One line that says it all: `nightly-etl failed`.
    pub headline: String,
    /// How bad the news is.
    pub severity: Severity,
    /// The parts, from top to bottom.
    pub blocks: Vec<Block>,
    /// What the reader can open.
    pub actions: Vec<Action>,
    /// One small line at the end.
    pub footer: Option<String>,
}

impl Message {
    /// Begins a message.
    pub fn new(headline: impl Into<String>, severity: Severity) -> Self {
        Self {
            headline: headline.into(),
            severity,
            blocks: Vec::new(),
            actions: Vec::new(),
            footer: None,
        }
    }

    /// Adds a part.
    #[must_use]
    pub fn block(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }

    /// Adds something the reader can open.
    #[must_use]
    pub fn action(mut self, label: impl Into<String>, url: impl Into<String>) -> Self {
        self.actions.push(Action {
            label: label.into(),
            url: url.into(),
        });
        self
    }

    /// Sets the last line.
    #[must_use]
    pub fn footer(mut self, footer: impl Into<String>) -> Self {
        self.footer = Some(footer.into());
        self
    }

    /// Writes everything below the headline for a reader of plain text.
    ///
    /// ```
    /// use notify_core::Message;
    /// use notify_core::content::{Block, Severity};
    ///
    /// let message = Message::new("nightly-etl failed", Severity::Error)
    ///     .block(Block::text("It ran for 2h 5m."))
    ///     .action("Open run", "https://example.com/17");
    /// let text = "It ran for 2h 5m.\n\nOpen run: https://example.com/17";
    /// assert_eq!(message.plain_text(), text);
    /// ```
    pub fn plain_text(&self) -> String {
        let blocks = self.blocks.iter().map(Block::plain_text);
        let actions = self.actions.iter();
        let actions = lines(actions.map(|Action { label, url }| format!("{label}: {url}")));
        let parts = blocks.chain([actions]).chain(self.footer.clone());
        let parts: Vec<String> = parts.filter(|part| !part.trim().is_empty()).collect();
        parts.join("\n\n")
    }
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Block {
    /// Running text.
    Text(Vec<Inline>),
    /// A line above what follows.
    Heading(Vec<Inline>),
    /// Items, one below the other.
    Items {
        /// Whether they are counted.
        ordered: bool,
        /// The items.
        items: Vec<Vec<Inline>>,
    },
    /// Short facts with their names.
    Fields(Vec<Field>),
    /// Text whose line breaks and spaces matter: output of a program.
    Code(String),
}

impl Block {
    /// Gives running text without a style.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(vec![Inline::plain(text)])
    }

    /// Writes the part for a reader of plain text.
    ///
    /// ```
    /// use notify_core::content::{Block, Inline};
    ///
    /// let items = vec![vec![Inline::plain("load")], vec![Inline::plain("clean")]];
    /// let steps = Block::Items { ordered: true, items };
    /// assert_eq!(steps.plain_text(), "1. load\n2. clean");
    /// ```
    pub fn plain_text(&self) -> String {
        match self {
            Self::Text(inlines) | Self::Heading(inlines) => plain_text(inlines),
            Self::Items { ordered, items } => {
                lines(items.iter().enumerate().map(|(index, item)| {
                    let bullet = if *ordered {
                        format!("{}. ", index + 1)
                    } else {
                        "- ".to_owned()
                    };
                    let indent = " ".repeat(bullet.len());
                    format!("{bullet}{}", indented(&plain_text(item), &indent))
                }))
            }
            Self::Fields(fields) => lines(
                fields
                    .iter()
                    .map(|Field { label, value }| format!("{label}: {}", indented(value, "  "))),
            ),
            Self::Code(code) => format!("    {}", indented(code, "    ")),
        }
    }
}

/// Writes a run of inlines for a reader of plain text.
pub fn plain_text(inlines: &[Inline]) -> String {
    inlines.iter().map(Inline::plain_text).collect()
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// Moves every line but the first to the right.
fn indented(text: &str, indent: &str) -> String {
    text.replace('\n', &format!("\n{indent}"))
}

/// A run of text within a line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inline {
    /// Text in one style.
    Text {
        /// The text.
        text: String,
        /// How it looks.
        style: Style,
    },
    /// Text that leads somewhere.
    Link {
        /// The text.
        text: String,
        /// Where it leads; shown as text where [`is_link`] says no.
        url: String,
        /// How it looks.
        style: Style,
    },
    /// Somebody whom the author of the notification wants to call. Never made from a value.
    Mention(Mention),
}

impl Inline {
    /// Gives text without a style.
    pub fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        let style = Style::default();
        Self::Text { text, style }
    }

    /// Returns what a reader without styles, links and mentions sees.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text { text, .. } | Self::Link { text, .. } => Cow::Borrowed(text),
            Self::Mention(mention) => Cow::Owned(format!("@{mention}")),
        }
    }

    /// Returns the same with the address of a link, for where nothing can be opened.
    ///
    /// ```
    /// use notify_core::content::{Inline, Style};
    ///
    /// let text = "the run".to_owned();
    /// let url = "https://example.com/17".to_owned();
    /// let link = Inline::Link { text, url, style: Style::default() };
    /// assert_eq!(link.plain_text(), "the run (https://example.com/17)");
    /// ```
    pub fn plain_text(&self) -> Cow<'_, str> {
        match self {
            Self::Link { text, url, .. } if text.is_empty() => Cow::Borrowed(url),
            Self::Link { text, url, .. } if !url.is_empty() && !says(text, url) => {
                Cow::Owned(format!("{text} ({url})"))
            }
            other => other.text(),
        }
    }
}

/// Tells whether a link's text already is its address.
fn says(text: &str, url: &str) -> bool {
    text == url || url.strip_prefix("mailto:") == Some(text)
}

/// Tells whether an address may be made clickable: http, https or mailto, and nothing odd in it.
pub fn is_link(url: &str) -> bool {
    has_scheme(url, &["https://", "http://", "mailto:"])
}

/// Tells whether an address has one of these schemes, in any case of letters, and no spaces.
fn has_scheme(url: &str, schemes: &[&str]) -> bool {
    let begins = |scheme: &&str| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let odd = |letter: char| letter.is_control() || letter.is_whitespace();
    schemes.iter().any(begins) && !url.contains(odd)
}

/// How a run of text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Style {
    /// Heavy.
    pub strong: bool,
    /// Slanted.
    pub emphasis: bool,
    /// Struck through.
    pub strike: bool,
    /// With letters of one width.
    pub code: bool,
}

/// Whom a message calls beside its recipient.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mention {
    /// Everybody who is there now.
    Here,
    /// Everybody in the channel.
    Channel,
    /// One person, by the name or id that the vendor knows.
    User(String),
    /// A group, by the name or id that the vendor knows.
    Group(String),
}

impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Here => "here",
            Self::Channel => "channel",
            Self::User(name) | Self::Group(name) => name,
        })
    }
}

/// A short fact with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What the fact is about.
    pub label: String,
    /// The fact.
    pub value: String,
}

/// Something the reader can open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// What the button says.
    pub label: String,
    /// Where it leads; only http and https are shown as links.
    pub url: String,
}

impl Action {
    /// Tells whether the address may be made clickable.
    pub fn is_web(&self) -> bool {
        has_scheme(&self.url, &["https://", "http://"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(text: &str, url: &str) -> Inline {
        let (text, url) = (text.to_owned(), url.to_owned());
        let style = Style::default();
        Inline::Link { text, url, style }
    }

    #[test]
    fn plain_text_shows_everything_once() {
        let table = [
            (
                link("the run", "https://x.example/1"),
                "the run (https://x.example/1)",
            ),
            (
                link("https://x.example/1", "https://x.example/1"),
                "https://x.example/1",
            ),
            (
                link("jane@x.example", "mailto:jane@x.example"),
                "jane@x.example",
            ),
            (link("", "https://x.example/1"), "https://x.example/1"),
            (link("nowhere", ""), "nowhere"),
            (Inline::Mention(Mention::Here), "@here"),
            (Inline::Mention(Mention::Group("data".to_owned())), "@data"),
        ];
        for (inline, expected) in table {
            assert_eq!(inline.plain_text(), expected);
        }
        let item = |text: &str| vec![Inline::plain(text)];
        let items = vec![item("load\nat row 4"), item("clean")];
        let field = Field {
            label: "Run".to_owned(),
            value: "a\nb".to_owned(),
        };
        let table = [
            (Block::Heading(item("Steps")), "Steps"),
            (
                Block::Items {
                    ordered: false,
                    items: items.clone(),
                },
                "- load\n  at row 4\n- clean",
            ),
            (
                Block::Items {
                    ordered: true,
                    items,
                },
                "1. load\n   at row 4\n2. clean",
            ),
            (
                Block::Fields(vec![field.clone(), field]),
                "Run: a\n  b\nRun: a\n  b",
            ),
            (Block::Code("a\n b".to_owned()), "    a\n     b"),
        ];
        for (block, expected) in table {
            assert_eq!(block.plain_text(), expected);
        }
    }

    #[test]
    fn only_web_and_mail_addresses_are_links() {
        let table = [
            ("https://x.example/", true),
            ("HTTP://x.example/", true),
            ("mailto:jane@x.example", true),
            ("javascript:alert(1)", false),
            (" https://x.example/", false),
            ("https://x.example/a b", false),
            ("https://x.example/\u{1b}", false),
            ("//x.example/", false),
            ("https:x.example", false),
            ("é", false),
            ("", false),
        ];
        for (url, expected) in table {
            assert_eq!(is_link(url), expected, "{url}");
        }
    }
}

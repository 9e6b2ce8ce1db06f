//! The content tree: what a message says, before any provider decides how it looks.
//!
//! **Invariant.** Every string in the tree is plain text. A provider escapes it for its own sink,
//! so nothing a workflow prints can become markup, a mention, a header or a link.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad the news is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Block {
    /// Running text.
    Paragraph(String),
    /// Items, one below the other.
    List(Vec<String>),
    /// Short facts with their names.
    Fields(Vec<Field>),
    /// Text whose line breaks and spaces matter: output of a program.
    Code(String),
    /// Running text with styles, links and mentions.
    Text(Vec<Inline>),
    /// A line above what follows.
    Heading(Vec<Inline>),
    /// Items with styles, one below the other.
    Items {
        /// Whether they are counted.
        ordered: bool,
        /// The items.
        items: Vec<Vec<Inline>>,
    },
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
        /// An http, https or mailto address.
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
        let lower = self.url.to_ascii_lowercase();
        (lower.starts_with("https://") || lower.starts_with("http://"))
            && !self
                .url
                .contains(|letter: char| letter.is_control() || letter.is_whitespace())
    }
}

//! Markdown to a draft: the content tree with tokens where the values will be.
//!
//! A token is one private-use character, so to Markdown every value is one and the same letter: what
//! becomes a heading, a list or a link is settled before any value is seen.

use std::borrow::Cow;
use std::ops::Range;

use minijinja::machinery::ast::Stmt;
use notify_core::content::Style;
use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::link::{self, Piece};
use crate::problem::Problems;
use crate::scan::bytes;

/// How many values one message may have.
pub(crate) const MOST_TOKENS: usize = 10_000;
/// How many lists and quotes one line may open.
const MOST_NESTED: usize = 16;
const FIRST_TOKEN: u32 = 0xf_0000;

/// Gives the character that stands for a value.
pub(crate) fn token(index: usize) -> char {
    let code = u32::try_from(index.min(MOST_TOKENS)).unwrap_or(0) + FIRST_TOKEN;
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn index_of(letter: char) -> Option<usize> {
    let index = usize::try_from(u32::from(letter).checked_sub(FIRST_TOKEN)?).ok()?;
    (index < MOST_TOKENS).then_some(index)
}

/// A message whose values are still missing.
#[derive(Debug, Default)]
pub(crate) struct Draft<'m> {
    pub(crate) parts: Vec<Part<'m>>,
    /// Tokens that Markdown left nowhere to be seen.
    pub(crate) unplaced: Vec<usize>,
}

#[derive(Debug)]
pub(crate) enum Part<'m> {
    Text(Vec<Step<'m>>),
    Heading(Vec<Step<'m>>),
    Items(bool, Vec<Vec<Step<'m>>>),
    Code(Vec<Step<'m>>),
    Fields(Vec<(Vec<Step<'m>>, Vec<Step<'m>>)>),
}

/// One step along a line.
#[derive(Clone, Debug)]
pub(crate) enum Step<'m> {
    Text(Cow<'m, str>, Style),
    Token(usize, Style),
    /// What follows leads somewhere, until [`Step::Close`].
    Open(Vec<Segment<'m>>),
    Close,
}

/// A piece of a link's destination.
#[derive(Clone, Debug)]
pub(crate) enum Segment<'m> {
    Text(Cow<'m, str>),
    Token(usize),
}

impl Draft<'_> {
    /// Makes the draft independent of the Markdown it came from.
    pub(crate) fn into_static(self) -> Draft<'static> {
        let parts = self.parts.into_iter().map(|part| match part {
            Part::Text(line) => Part::Text(owned(line)),
            Part::Heading(line) => Part::Heading(owned(line)),
            Part::Items(ordered, items) => {
                Part::Items(ordered, items.into_iter().map(owned).collect())
            }
            Part::Code(line) => Part::Code(owned(line)),
            Part::Fields(fields) => {
                let fields = fields.into_iter();
                Part::Fields(
                    fields
                        .map(|(label, value)| (owned(label), owned(value)))
                        .collect(),
                )
            }
        });
        Draft {
            parts: parts.collect(),
            unplaced: self.unplaced,
        }
    }
}

fn owned(line: Vec<Step<'_>>) -> Vec<Step<'static>> {
    let text = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    let step = |step| match step {
        Step::Text(part, style) => Step::Text(text(part), style),
        Step::Token(index, style) => Step::Token(index, style),
        Step::Open(to) => Step::Open(
            to.into_iter()
                .map(|segment| match segment {
                    Segment::Text(part) => Segment::Text(text(part)),
                    Segment::Token(index) => Segment::Token(index),
                })
                .collect(),
        ),
        Step::Close => Step::Close,
    };
    line.into_iter().map(step).collect()
}

fn options() -> Options {
    Options::ENABLE_STRIKETHROUGH | Options::ENABLE_DEFINITION_LIST
}

/// Finds the beginning of a line that opens more than [`MOST_NESTED`] lists or quotes.
///
/// The parser's work grows with the cube of that number.
fn too_deep(markdown: &str) -> Option<Range<usize>> {
    let mut start = 0;
    for line in markdown.split_inclusive(['\n', '\r']) {
        let mut rest = line;
        let mut nested = 0;
        loop {
            rest = rest.trim_start_matches([' ', '\t']);
            let digits = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
            let after = if let Some(after) = rest.strip_prefix('>') {
                after
            } else if let Some(after) = rest.strip_prefix(['-', '+', '*', ':']) {
                after
            } else if let Some(after) = digits.strip_prefix(['.', ')']) {
                after
            } else {
                break;
            };
            if !rest.starts_with('>') && !after.starts_with([' ', '\t']) {
                break;
            }
            rest = after;
            nested += 1;
            if nested > MOST_NESTED {
                return Some(start..start + line.len() - rest.len());
            }
        }
        start += line.len();
    }
    None
}

/// Reads Markdown that holds the tokens below `tokens`.
pub(crate) fn draft(markdown: &str, tokens: usize) -> Draft<'_> {
    let mut builder = Builder {
        placed: vec![false; tokens],
        ..Builder::default()
    };
    if too_deep(markdown).is_some() {
        // It was loops that made it so: the checker refuses such a source.
        builder.plain(Cow::Borrowed(markdown));
    } else {
        Parser::new_ext(markdown, options()).for_each(|event| builder.event(event));
    }
    builder.flush();
    let placed = builder.placed.iter().enumerate();
    let unplaced = placed
        .filter(|(_, placed)| !**placed)
        .map(|(index, _)| index)
        .collect();
    Draft {
        parts: builder.parts,
        unplaced,
    }
}

/// Where a block began that is not a line of its own.
#[derive(Debug)]
enum Frame {
    List,
    Definitions,
}

#[derive(Debug, Default)]
struct Builder<'m> {
    parts: Vec<Part<'m>>,
    line: Vec<Step<'m>>,
    frames: Vec<Frame>,
    ordered: bool,
    items: Vec<Vec<Step<'m>>>,
    label: Vec<Step<'m>>,
    fields: Vec<(Vec<Step<'m>>, Vec<Step<'m>>)>,
    strong: usize,
    emphasis: usize,
    strike: usize,
    in_code: bool,
    images: Vec<Cow<'m, str>>,
    placed: Vec<bool>,
}

impl<'m> Builder<'m> {
    fn event(&mut self, event: Event<'m>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Code(text) => {
                let style = self.style(true);
                self.text(text.into(), style);
            }
            Event::SoftBreak | Event::HardBreak => self.plain(Cow::Borrowed("\n")),
            Event::Rule => {}
            // Raw HTML that only came together at run time is shown as what it is: text.
            Event::Text(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => self.plain(text.into()),
            Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'m>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.separate(),
            Tag::Heading { .. } => {
                self.separate();
                // Within a list there is no heading, only a heavy line.
                self.strong += usize::from(!self.frames.is_empty());
            }
            Tag::CodeBlock(_) => {
                self.separate();
                self.in_code = true;
            }
            Tag::BlockQuote(_) => self.emphasis += 1,
            Tag::List(start) => {
                if self.frames.is_empty() {
                    self.flush();
                    self.ordered = start.is_some();
                }
                self.frames.push(Frame::List);
            }
            Tag::Item => {
                if let Some(Frame::Definitions) = self.frames.first() {
                    self.separate();
                } else {
                    self.item();
                }
                for _ in 1..self.frames.len() {
                    self.plain(Cow::Borrowed("– "));
                }
            }
            Tag::DefinitionList => {
                if self.frames.is_empty() {
                    self.flush();
                }
                self.frames.push(Frame::Definitions);
            }
            Tag::DefinitionListTitle | Tag::DefinitionListDefinition => self.separate(),
            Tag::Emphasis => self.emphasis += 1,
            Tag::Strong => self.strong += 1,
            Tag::Strikethrough => self.strike += 1,
            Tag::Link {
                link_type,
                dest_url,
                ..
            } => {
                let mut to = Vec::new();
                if link_type == LinkType::Email {
                    to.push(Segment::Text(Cow::Borrowed("mailto:")));
                }
                self.segments(dest_url.into(), &mut to);
                self.line.push(Step::Open(to));
            }
            Tag::Image { dest_url, .. } => self.images.push(dest_url.into()),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        let alone = self.frames.is_empty();
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock if alone => self.flush(),
            TagEnd::Heading(_) if alone => {
                let line = std::mem::take(&mut self.line);
                self.parts.push(Part::Heading(line));
            }
            TagEnd::Heading(_) => self.strong = self.strong.saturating_sub(1),
            TagEnd::CodeBlock => {
                self.in_code = false;
                self.trim_newline();
                if alone {
                    let line = std::mem::take(&mut self.line);
                    self.parts.push(Part::Code(line));
                }
            }
            TagEnd::BlockQuote(_) | TagEnd::Emphasis => {
                self.emphasis = self.emphasis.saturating_sub(1);
            }
            TagEnd::Strong => self.strong = self.strong.saturating_sub(1),
            TagEnd::Strikethrough => self.strike = self.strike.saturating_sub(1),
            TagEnd::Item if matches!(self.frames.first(), Some(Frame::List)) => self.item(),
            TagEnd::DefinitionListTitle if self.frames.len() == 1 => {
                self.label = std::mem::take(&mut self.line);
            }
            TagEnd::DefinitionListDefinition if self.frames.len() == 1 => {
                let label = std::mem::take(&mut self.label);
                self.fields.push((label, std::mem::take(&mut self.line)));
            }
            TagEnd::List(_) | TagEnd::DefinitionList => {
                self.frames.pop();
                if self.frames.is_empty() {
                    self.close_frame();
                }
            }
            TagEnd::Link => self.line.push(Step::Close),
            TagEnd::Image => {
                // There are no images in messages; the reader sees where one was.
                let to = self.images.pop().unwrap_or_default();
                self.plain(Cow::Borrowed(" ("));
                self.plain(to);
                self.plain(Cow::Borrowed(")"));
            }
            _ => {}
        }
    }

    fn close_frame(&mut self) {
        self.item();
        let items = std::mem::take(&mut self.items);
        if !items.is_empty() {
            self.parts.push(Part::Items(self.ordered, items));
        }
        let label = std::mem::take(&mut self.label);
        if !label.is_empty() {
            self.fields.push((label, Vec::new()));
        }
        let fields = std::mem::take(&mut self.fields);
        if !fields.is_empty() {
            self.parts.push(Part::Fields(fields));
        }
    }

    /// Ends an item, if one was begun.
    fn item(&mut self) {
        if !self.line.is_empty() {
            self.items.push(std::mem::take(&mut self.line));
        }
    }

    /// Ends a paragraph, if one was begun.
    fn flush(&mut self) {
        if !self.line.is_empty() {
            self.parts.push(Part::Text(std::mem::take(&mut self.line)));
        }
    }

    /// Begins a new line within an item, or a new paragraph outside of one.
    fn separate(&mut self) {
        if self.frames.is_empty() {
            self.flush();
        } else if !self.line.is_empty() {
            let at_mark = matches!(self.line.last(), Some(Step::Text(text, _)) if text == "– ");
            if !at_mark {
                self.line
                    .push(Step::Text(Cow::Borrowed("\n"), Style::default()));
            }
        }
    }

    /// Takes away the line end that Markdown counts to the content of a code block.
    fn trim_newline(&mut self) {
        if let Some(Step::Text(text, _)) = self.line.last_mut()
            && let Some(shorter) = text.strip_suffix('\n')
        {
            if shorter.is_empty() {
                self.line.pop();
            } else {
                *text = Cow::Owned(shorter.to_owned());
            }
        }
    }

    fn style(&self, code: bool) -> Style {
        let mut style = Style::default();
        style.strong = self.strong > 0;
        style.emphasis = self.emphasis > 0;
        style.strike = self.strike > 0;
        style.code = code;
        style
    }

    fn plain(&mut self, text: Cow<'m, str>) {
        let code_in_item = self.in_code && !self.frames.is_empty();
        let style = self.style(code_in_item);
        self.text(text, style);
    }

    fn text(&mut self, text: Cow<'m, str>, style: Style) {
        let mut segments = Vec::new();
        self.segments(text, &mut segments);
        self.line
            .extend(segments.into_iter().map(|segment| match segment {
                Segment::Text(text) => Step::Text(text, style),
                Segment::Token(index) => Step::Token(index, style),
            }));
    }

    /// Tells the tokens from the text between them.
    fn segments(&mut self, text: Cow<'m, str>, out: &mut Vec<Segment<'m>>) {
        let mut begin = 0;
        let mut cuts = Vec::new();
        for (at, letter) in text.char_indices() {
            if let Some(index) = index_of(letter) {
                cuts.push((begin..at, Some(index)));
                begin = at + letter.len_utf8();
            }
        }
        if cuts.is_empty() {
            if !text.is_empty() {
                out.push(Segment::Text(text));
            }
            return;
        }
        cuts.push((begin..text.len(), None));
        for (range, index) in cuts {
            if !range.is_empty() {
                out.push(Segment::Text(part(&text, range)));
            }
            if let Some(index) = index {
                if let Some(placed) = self.placed.get_mut(index) {
                    *placed = true;
                }
                out.push(Segment::Token(index));
            }
        }
    }
}

fn part<'m>(text: &Cow<'m, str>, range: Range<usize>) -> Cow<'m, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(range).unwrap_or("")),
        Cow::Owned(text) => Cow::Owned(text.get(range).unwrap_or("").to_owned()),
    }
}

/// The Markdown of a template with every branch in it once, and where each piece stands.
#[derive(Debug, Default)]
pub(crate) struct Skeleton {
    pub(crate) markdown: String,
    /// Start in the Markdown and range in the source.
    places: Vec<(usize, Range<usize>)>,
    /// The source of every token.
    pub(crate) tokens: Vec<Range<usize>>,
}

impl Skeleton {
    pub(crate) fn of(statements: &[Stmt<'_>]) -> Self {
        let mut skeleton = Self::default();
        skeleton.add(statements);
        skeleton
    }

    fn add(&mut self, statements: &[Stmt<'_>]) {
        for statement in statements {
            match statement {
                Stmt::EmitRaw(raw) => {
                    self.places.push((self.markdown.len(), bytes(raw.span())));
                    self.markdown.push_str(raw.raw);
                }
                Stmt::EmitExpr(emit) => {
                    self.places.push((self.markdown.len(), bytes(emit.span())));
                    self.markdown.push(token(self.tokens.len()));
                    self.tokens.push(bytes(emit.span()));
                }
                Stmt::ForLoop(each) => {
                    self.add(&each.body);
                    self.add(&each.else_body);
                }
                Stmt::IfCond(branch) => {
                    self.add(&branch.true_body);
                    self.add(&branch.false_body);
                }
                Stmt::WithBlock(with) => self.add(&with.body),
                _ => {}
            }
        }
    }

    /// Finds the source of a range of the Markdown.
    fn source(&self, range: Range<usize>) -> Range<usize> {
        let find = |at: usize| {
            let after = self.places.partition_point(|(start, _)| *start <= at);
            let (start, span) = self.places.get(after.checked_sub(1)?)?;
            Some((span.start + (at - start)).min(span.end))
        };
        let start = find(range.start).unwrap_or(0);
        let last = find(range.end.saturating_sub(1)).unwrap_or(start);
        start..(last + 1).max(start + 1)
    }

    /// Reports what a message cannot have, and values that Markdown would swallow.
    pub(crate) fn check(&self, problems: &mut Problems<'_>) {
        if let Some(range) = too_deep(&self.markdown) {
            let message = format!("more than {MOST_NESTED} lists and quotes in one another");
            return problems.push(self.source(range), message);
        }
        for (event, range) in Parser::new_ext(&self.markdown, options()).into_offset_iter() {
            let range = self.source(range);
            match event {
                Event::Html(_) | Event::InlineHtml(_) => problems.push_with_help(
                    range,
                    "raw HTML is not for messages",
                    "write Markdown; to show `<`, write `\\<` or put it between backticks",
                ),
                Event::Start(Tag::Image { .. }) => problems.push_with_help(
                    range,
                    "an image is not for messages",
                    "link to it: `[name](https://…)`",
                ),
                Event::Start(Tag::Link {
                    link_type,
                    dest_url,
                    ..
                }) => {
                    check_link(link_type, &dest_url, range, problems);
                }
                _ => {}
            }
        }
        for index in draft(&self.markdown, self.tokens.len()).unplaced {
            problems.push_with_help(
                self.tokens.get(index).cloned().unwrap_or(0..0),
                "the value is shown nowhere: Markdown reads this place as the title of a link, \
                 the language of a code block or the definition of a link",
                "move it into the text; a line that begins with `[` begins with `\\[` then",
            );
        }
    }
}

fn check_link(link_type: LinkType, to: &str, range: Range<usize>, problems: &mut Problems<'_>) {
    let mut builder = Builder::default();
    let mut segments = Vec::new();
    if link_type == LinkType::Email {
        segments.push(Segment::Text(Cow::Borrowed("mailto:")));
    }
    builder.segments(Cow::Borrowed(to), &mut segments);
    let pieces: Vec<Piece<'_>> = segments
        .iter()
        .map(|segment| match segment {
            Segment::Text(text) => Piece::Literal(text),
            Segment::Token(_) => Piece::Value("x"),
        })
        .collect();
    if link::can_be_address(&pieces) {
        return;
    }
    if pieces.iter().any(|piece| matches!(piece, Piece::Value(_))) {
        problems.push_with_help(
            range,
            "a value may be a whole address, or stand after the host of one",
            "write `({{ url }})` or `(https://example.com/run/{{ execution.name }})`",
        );
    } else {
        problems.push(range, "a link leads to an http, https or mailto address");
    }
}

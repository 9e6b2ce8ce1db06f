//! Everything that is checked on the flat stream of tokens, before anything recursive sees the source.
//!
//! The parser recurses for every bracket, operator and open block, in places without a bound of its
//! own; the bounds here keep it, and everything that walks its tree, within a small stack.

use std::ops::Range;

use minijinja::machinery::{Span, Token, ast, parse, tokenize};
use minijinja::syntax::SyntaxConfig;
use notify_core::problem::nearest;

use crate::problem::Problems;

/// The largest source of a template.
const SOURCE_BYTES: usize = 64 * 1024;
/// How many tokens one `{{ … }}` or `{% … %}` may have.
const TAG_TOKENS: usize = 200;
/// How many brackets may be open in one tag.
const BRACKETS: usize = 16;
/// How many blocks may be open, every `elif` counted as one.
const BLOCKS: usize = 32;
/// After so many syntax errors the rest is not worth reading.
const SYNTAX_ERRORS: usize = 20;

/// Gives the bytes that a node covers.
pub(crate) fn bytes(span: Span) -> Range<usize> {
    span.start_offset as usize..span.end_offset as usize
}

/// Tells whether a character is for private use: tokens are, so templates cannot hold one.
pub(crate) const fn is_private(letter: char) -> bool {
    matches!(letter, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

fn syntax() -> SyntaxConfig {
    // Lines that hold only a tag vanish, or each would end a Markdown paragraph.
    let mut builder = SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true);
    builder.build().unwrap_or_default()
}

/// Looks at the source as a whole.
pub(crate) fn scan(problems: &mut Problems<'_>) {
    let source = problems.source();
    if source.len() > SOURCE_BYTES {
        let message = format!(
            "a template has at most {SOURCE_BYTES} bytes, this one {}",
            source.len()
        );
        problems.push(0..0, message);
        return;
    }
    for (at, letter) in source
        .char_indices()
        .filter(|(_, letter)| is_private(*letter))
    {
        problems.push_with_help(
            at..at + letter.len_utf8(),
            format!("the private-use character U+{:04X}", letter as u32),
            "such characters have no meaning that all readers share; leave it out",
        );
    }
}

/// A block that waits for its end.
struct Open<'s> {
    name: &'s str,
    span: Range<usize>,
    branches: usize,
}

/// Tells whether the source is safe to parse and its blocks are closed.
fn blocks(source: &str, problems: &mut Problems<'_>) -> bool {
    let before = problems.len();
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut tag = Tag::default();
    for token in tokenize(source, false, syntax()) {
        // The parser meets the same error and says where.
        let Ok((token, span)) = token else {
            return problems.len() == before;
        };
        match token {
            Token::VariableStart | Token::BlockStart => {
                tag = Tag::default();
                tag.is_open = true;
                tag.is_block = matches!(token, Token::BlockStart);
                tag.start = bytes(span).start;
            }
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => tag.brackets += 1,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                tag.brackets = tag.brackets.saturating_sub(1);
            }
            Token::Assign if tag.brackets == 0 => tag.assigns = true,
            Token::Ident(name) if tag.is_block && tag.tokens == 1 => {
                tag.name = Some((name, bytes(span)));
            }
            Token::VariableEnd => tag.is_open = false,
            Token::BlockEnd => {
                tag.is_open = false;
                if let Some((name, span)) = tag.name.take() {
                    statement(name, span, tag.assigns, &mut open, problems);
                }
            }
            _ => {}
        }
        tag.tokens += 1;
        if tag.tokens > TAG_TOKENS || tag.brackets > BRACKETS {
            problems.push_with_help(
                tag.start..bytes(span).end,
                "one tag does too much",
                "split it with `{% set … %}`",
            );
            return false;
        }
        let depth: usize = open.iter().map(|block| block.branches).sum();
        if let Some(block) = open.last().filter(|_| depth > BLOCKS) {
            problems.push(
                block.span.clone(),
                format!("more than {BLOCKS} blocks in one another"),
            );
            return false;
        }
    }
    // Where a tag is never closed it swallowed the ends of the blocks; the parser says which tag.
    for block in open.into_iter().filter(|_| !tag.is_open) {
        problems.push_with_help(
            block.span,
            format!("`{{% {} %}}` is never closed", block.name),
            format!("close it with `{{% end{} %}}`", block.name),
        );
    }
    problems.len() == before
}

#[derive(Default)]
struct Tag<'s> {
    start: usize,
    is_open: bool,
    is_block: bool,
    tokens: usize,
    brackets: usize,
    assigns: bool,
    name: Option<(&'s str, Range<usize>)>,
}

fn statement<'s>(
    name: &'s str,
    span: Range<usize>,
    assigns: bool,
    open: &mut Vec<Open<'s>>,
    problems: &mut Problems<'_>,
) {
    const BLOCK: [&str; 8] = [
        "for",
        "if",
        "with",
        "filter",
        "autoescape",
        "block",
        "macro",
        "call",
    ];
    if BLOCK.contains(&name) || (name == "set" && !assigns) {
        let branches = 1;
        open.push(Open {
            name,
            span,
            branches,
        });
    } else if let (true, Some(block)) = (name == "elif", open.last_mut()) {
        block.branches += 1;
    } else if let Some(ended) = name.strip_prefix("end") {
        match open.last() {
            Some(block) if block.name == ended => {
                open.pop();
            }
            Some(block) => problems.push_with_help(
                span,
                format!("`{name}` while `{}` is open", block.name),
                format!("`{{% end{} %}}` comes first", block.name),
            ),
            None => problems.push(span, format!("`{name}` closes nothing")),
        }
    }
}

/// Parses the source and hands its statements on.
///
/// A `{{ … }}` with bad syntax is reported, blanked out and passed over, so that one slip does not
/// hide the next. A bad `{% … %}` ends the reading: nobody knows what it would have opened.
pub(crate) fn with_syntax_tree(
    problems: &mut Problems<'_>,
    look: impl FnOnce(&[ast::Stmt<'_>], &mut Problems<'_>),
) {
    let mut source = problems.source().to_owned();
    for _ in 0..SYNTAX_ERRORS {
        if !blocks(&source, problems) {
            return;
        }
        let bad = match parse(&source, "template", syntax()) {
            Ok(ast::Stmt::Template(template)) => return look(&template.children, problems),
            Ok(_) => return,
            Err(error) => {
                let end = source.len();
                let span = error.range().unwrap_or(end..end);
                report(&error, span.clone(), problems);
                span
            }
        };
        let Some(tag) = expression_around(&source, bad.start) else {
            return;
        };
        let blank = " ".repeat(tag.len());
        source.replace_range(tag, &blank);
    }
}

fn report(error: &minijinja::Error, span: Range<usize>, problems: &mut Problems<'_>) {
    let detail = error.detail().unwrap_or("bad syntax");
    match detail.strip_prefix("unknown statement ") {
        Some(name) => problems.push_with_help(
            span,
            format!("unknown statement `{name}`"),
            match nearest(
                name,
                [
                    "for", "if", "elif", "else", "set", "with", "endfor", "endif",
                ],
            ) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "the statements are `for`, `if`, `set` and `with`".to_owned(),
            },
        ),
        None => problems.push(span, detail.to_owned()),
    }
}

/// Finds the `{{ … }}` that a place lies in.
fn expression_around(source: &str, at: usize) -> Option<Range<usize>> {
    let before = source.get(..source.ceil_char_boundary(at + 2))?;
    let start = before.rfind("{{")?;
    if before.rfind("{%").is_some_and(|block| block > start) {
        return None;
    }
    let length = source.get(start..)?.find("}}")? + 2;
    Some(start..start + length)
}

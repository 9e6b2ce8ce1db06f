//! A template: read and checked once, rendered for every event.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use notify_core::content::{Block, Inline, Style};
use notify_core::{Execution, Failure, Past, TerminalPhase, WorkflowEnded, WorkflowName};

use crate::check::check;
use crate::facts::Facts;
use crate::fill::fill;
use crate::markdown::{Draft, Skeleton, draft};
use crate::problem::{Problems, TemplateProblem};
use crate::program::Node;
use crate::run::{Piece, Run};
use crate::scan::{scan, with_syntax_tree};

/// A template that was checked: rendering it cannot fail.
///
/// Cloning is cheap; clones share what was compiled.
#[derive(Clone)]
pub struct Template(Arc<Compiled>);

struct Compiled {
    source: String,
    nodes: Vec<Node>,
    slots: usize,
    /// The draft of a template without branches: its Markdown is the same for every event.
    fixed: Option<Draft<'static>>,
    /// Drafts of a template with branches: events that take the same ones have the same Markdown.
    drafts: Mutex<VecDeque<Arc<Drafted>>>,
}

struct Drafted {
    markdown: String,
    draft: Draft<'static>,
}

/// How many drafts are kept, and of which size.
const KEPT_DRAFTS: usize = 4;
const KEPT_BYTES: usize = 4 * 1024;

impl Compiled {
    fn filled(&self, markdown: String, pieces: &[Piece<'_>]) -> Vec<Block> {
        if markdown.len() > KEPT_BYTES {
            return fill(&draft(&markdown, pieces.len()), pieces);
        }
        let kept = |drafts: &VecDeque<Arc<Drafted>>| {
            let found = drafts.iter().find(|drafted| drafted.markdown == markdown);
            found.cloned()
        };
        // Nothing panics while the lock is held, and a draft is valid in any case.
        let known = kept(&self.drafts.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(known) = known {
            return fill(&known.draft, pieces);
        }
        let draft = draft(&markdown, pieces.len()).into_static();
        let drafted = Arc::new(Drafted { markdown, draft });
        let mut drafts = self.drafts.lock().unwrap_or_else(PoisonError::into_inner);
        drafts.truncate(KEPT_DRAFTS - 1);
        drafts.push_front(Arc::clone(&drafted));
        drop(drafts);
        fill(&drafted.draft, pieces)
    }
}

impl Template {
    /// Reads and checks a template.
    ///
    /// # Errors
    ///
    /// Gives everything that is wrong with the source, in its order.
    pub fn parse(source: &str) -> Result<Self, Vec<TemplateProblem>> {
        let mut problems = Problems::of(source);
        scan(&mut problems);
        if !problems.is_empty() {
            return Err(problems.into_vec());
        }
        let mut compiled = None;
        with_syntax_tree(&mut problems, |statements, problems| {
            let (nodes, slots) = check(statements, problems);
            let skeleton = Skeleton::of(statements);
            skeleton.check(problems);
            let branches = |node: &Node| matches!(node, Node::If { .. } | Node::For { .. });
            let fixed = (!nodes.iter().any(branches))
                .then(|| draft(&skeleton.markdown, skeleton.tokens.len()).into_static());
            compiled = Some((nodes, slots, fixed));
        });
        match compiled {
            Some((nodes, slots, fixed)) if problems.is_empty() => {
                let source = source.to_owned();
                Ok(Self(Arc::new(Compiled {
                    source,
                    nodes,
                    slots,
                    fixed,
                    drafts: Mutex::default(),
                })))
            }
            _ => Err(problems.into_vec()),
        }
    }

    /// Returns the text that the template was read from.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Renders the template.
    ///
    /// There is always something to send: what does not fit the bounds is left out, with a line
    /// that says so.
    pub fn render(&self, facts: &Facts<'_>) -> Rendered {
        let compiled = &*self.0;
        let mut run = Run::new(*facts, compiled.slots, compiled.fixed.is_none());
        let stopped = run.block(&compiled.nodes).err();
        let mut blocks = match (&compiled.fixed, run.markdown.take()) {
            (Some(draft), _) => fill(draft, &run.pieces),
            (None, Some(markdown)) => compiled.filled(markdown, &run.pieces),
            (None, None) => Vec::new(),
        };
        let mut notes = run.notes;
        if let Some(stop) = stopped {
            let mut style = Style::default();
            style.emphasis = true;
            let text = format!("… the rest was left out: {}", stop.0);
            notes.push(format!("the message is not complete: {}", stop.0));
            blocks.push(Block::Text(vec![Inline::Text { text, style }]));
        }
        Rendered { blocks, notes }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source()).finish()
    }
}

/// What a template says about an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rendered {
    /// The parts of the message.
    pub blocks: Vec<Block>,
    /// What was missing or left out, for the record of the delivery.
    pub notes: Vec<String>,
}

impl Rendered {
    /// Gives the bare text on one line, for a subject or a headline.
    pub fn one_line(&self) -> String {
        let mut words = String::new();
        for block in &self.blocks {
            let text: String = match block {
                Block::Text(line) | Block::Heading(line) => line.iter().map(Inline::text).collect(),
                Block::Items { items, .. } => {
                    let items = items
                        .iter()
                        .map(|line| line.iter().map(Inline::text).collect());
                    items.collect::<Vec<String>>().join(", ")
                }
                Block::Fields(fields) => {
                    let fields = fields
                        .iter()
                        .map(|field| format!("{}: {}", field.label, field.value));
                    fields.collect::<Vec<String>>().join(", ")
                }
                Block::Code(text) => text.clone(),
                _ => String::new(),
            };
            for word in text.split_whitespace() {
                if !words.is_empty() {
                    words.push(' ');
                }
                words.push_str(word);
            }
        }
        words
    }
}

/// Reads a template and renders it with one value everywhere, for fuzzing.
pub fn fuzz(template: &str, value: &str) -> Option<Rendered> {
    let template = Template::parse(template).ok()?;
    let name = WorkflowName::new("workflow").ok()?;
    let execution = Execution::new("project", "domain", "name").ok()?;
    let mut event = WorkflowEnded::new(name, execution, TerminalPhase::Failed)
        .failure(Failure::new(value).code(value))
        .url(value)
        .label("team", value);
    event.principal = Some(value.to_owned());
    event.version = Some(value.to_owned());
    event.outputs.insert("text".to_owned(), value.into());
    event
        .outputs
        .insert("list".to_owned(), vec![value; 3].into());
    let past = Past {
        previous: TerminalPhase::Succeeded,
        streak: 1,
        since: None,
    };
    Some(template.render(&Facts::new(&event, &past)))
}

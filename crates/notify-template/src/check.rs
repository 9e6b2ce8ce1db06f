//! From the syntax tree to a program: every name resolved, every mistake reported with its place.
//!
//! The checker walks all branches, dead ones included, and goes on after a mistake, so one run finds
//! everything. What it gives is only used where it found nothing.

mod call;
mod expr;

use std::ops::Range;

use minijinja::machinery::ast::{self, CallArg, Stmt};
use minijinja::value::ValueKind;
use notify_core::content::Mention;

use crate::facts::{Field, Shape};
use crate::problem::Problems;
use crate::program::{Expr, Node, Target};
use crate::scan::bytes;
use crate::types::{Known, Type};

/// A name that the template gave.
#[derive(Debug)]
struct Local {
    name: String,
    slot: usize,
    kind: Type,
    /// Whether a branch that was not taken can have left it without a value.
    maybe: bool,
}

/// Turns the statements of a template into a program and gives how many variables it has.
pub(crate) fn check(statements: &[Stmt<'_>], problems: &mut Problems<'_>) -> (Vec<Node>, usize) {
    let mut checker = Checker {
        problems,
        scopes: vec![Vec::new()],
        slots: 0,
        loops: 0,
    };
    let nodes = checker.block(statements);
    (nodes, checker.slots)
}

struct Checker<'p, 's> {
    problems: &'p mut Problems<'s>,
    scopes: Vec<Vec<Local>>,
    slots: usize,
    loops: usize,
}

impl Checker<'_, '_> {
    fn block(&mut self, statements: &[Stmt<'_>]) -> Vec<Node> {
        statements
            .iter()
            .filter_map(|statement| self.statement(statement))
            .collect()
    }

    fn scoped(&mut self, statements: &[Stmt<'_>]) -> Vec<Node> {
        self.scopes.push(Vec::new());
        let nodes = self.block(statements);
        self.scopes.pop();
        nodes
    }

    fn statement(&mut self, statement: &Stmt<'_>) -> Option<Node> {
        match statement {
            Stmt::EmitRaw(raw) => Some(Node::Text(raw.raw.into())),
            Stmt::EmitExpr(emit) => self.print(&emit.expr),
            Stmt::IfCond(branch) => {
                let (condition, _) = self.expr(&branch.expr);
                let then = self.block(&branch.true_body);
                let otherwise = self.block(&branch.false_body);
                Some(Node::If {
                    condition,
                    then,
                    otherwise,
                })
            }
            Stmt::ForLoop(each) => self.for_loop(each),
            Stmt::Set(set) => {
                let (value, kind) = self.expr(&set.expr);
                let target = self.target(&set.target, &kind, true)?;
                Some(Node::Set(target, value))
            }
            Stmt::WithBlock(with) => {
                self.scopes.push(Vec::new());
                let mut nodes = Vec::new();
                for (target, value) in &with.assignments {
                    let (value, kind) = self.expr(value);
                    let target = self.target(target, &kind, false);
                    nodes.extend(target.map(|target| Node::Set(target, value)));
                }
                nodes.extend(self.block(&with.body));
                self.scopes.pop();
                // The names are gone already; only the order of the statements is left to keep.
                let condition = Expr::Bool(true);
                Some(Node::If {
                    condition,
                    then: nodes,
                    otherwise: Vec::new(),
                })
            }
            other => self.forbidden(other),
        }
    }

    fn forbidden(&mut self, statement: &Stmt<'_>) -> Option<Node> {
        let (name, span, body): (_, _, &[Stmt<'_>]) = match statement {
            Stmt::SetBlock(node) => ("set` without `=", node.span(), &node.body),
            Stmt::AutoEscape(node) => ("autoescape", node.span(), &node.body),
            Stmt::FilterBlock(node) => ("filter", node.span(), &node.body),
            Stmt::Block(node) => ("block", node.span(), &node.body),
            Stmt::Import(node) => ("import", node.span(), &[]),
            Stmt::FromImport(node) => ("from", node.span(), &[]),
            Stmt::Extends(node) => ("extends", node.span(), &[]),
            Stmt::Include(node) => ("include", node.span(), &[]),
            Stmt::Macro(node) => ("macro", node.span(), &[]),
            Stmt::CallBlock(node) => ("call", node.span(), &[]),
            Stmt::Do(node) => ("do", node.span(), &[]),
            _ => return None,
        };
        self.problems.push_with_help(
            self.first_word(bytes(span)),
            format!("`{name}` is not for messages"),
            "a template is one text with `{{ … }}`, `for`, `if`, `set` and `with`",
        );
        self.scoped(body);
        None
    }

    /// A tag's name, which its span begins with.
    fn first_word(&self, span: Range<usize>) -> Range<usize> {
        let text = self.problems.source().get(span.clone()).unwrap_or("");
        let word = text
            .find(|letter: char| !letter.is_alphanumeric())
            .unwrap_or(text.len());
        span.start..span.start + word
    }

    fn print(&mut self, expr: &ast::Expr<'_>) -> Option<Node> {
        if let ast::Expr::Call(call) = expr
            && let ast::Expr::Var(function) = &call.expr
            && (function.id == "mention" || function.id == "mention_group")
        {
            return self.mention(function.id, call).map(Node::Mention);
        }
        let (value, kind) = self.expr(expr);
        match kind {
            Type::Of(Known(Shape::Struct(fields))) => self.problems.push_with_help(
                bytes(expr.span()),
                "a group of facts has no text of its own",
                format!(
                    "name one of its facts: `{}`",
                    names(fields).collect::<Vec<_>>().join("`, `")
                ),
            ),
            Type::List(item) if matches!(*item, Type::Of(Known(Shape::Struct(_)))) => {
                self.problems.push_with_help(
                    bytes(expr.span()),
                    "a list of groups has no text of its own",
                    "go through it: `{% for task in tasks %}- {{ task.name }}`",
                );
            }
            _ => {}
        }
        Some(Node::Print(value))
    }

    fn mention(&mut self, function: &str, call: &ast::Spanned<ast::Call<'_>>) -> Option<Mention> {
        const LONGEST: usize = 80;
        let text = match call.args.as_slice() {
            [CallArg::Pos(ast::Expr::Const(text))] if text.value.kind() == ValueKind::String => {
                text.value.as_str().unwrap_or("").to_owned()
            }
            _ => {
                self.problems.push_with_help(
                    bytes(call.span()),
                    format!("`{function}` takes one literal text"),
                    "who is called is the author's choice, never a value's: `mention(\"@here\")`",
                );
                return None;
            }
        };
        let name = text.strip_prefix('@').unwrap_or(&text);
        let good = |letter: char| letter.is_alphanumeric() || "._-+@".contains(letter);
        if name.is_empty() || name.len() > LONGEST || !name.chars().all(good) {
            self.problems.push_with_help(
                bytes(call.span()),
                format!("`{text}` names nobody"),
                "write `mention(\"@here\")`, `mention(\"@channel\")` or `mention(\"@jane\")`",
            );
            return None;
        }
        Some(match (function, name) {
            ("mention_group", name) => Mention::Group(name.to_owned()),
            (_, "here") => Mention::Here,
            (_, "channel") => Mention::Channel,
            (_, name) => Mention::User(name.to_owned()),
        })
    }

    fn for_loop(&mut self, each: &ast::Spanned<ast::ForLoop<'_>>) -> Option<Node> {
        if each.recursive {
            self.problems.push(
                self.first_word(bytes(each.span())),
                "a loop cannot be `recursive`",
            );
        }
        let (items, kind) = self.expr(&each.iter);
        let item = match kind {
            Type::Any => Type::Any,
            Type::List(item) => *item,
            Type::Map(_) => Type::TEXT,
            other => {
                let message = format!("{} cannot be gone through", other.name());
                self.problems.push(bytes(each.iter.span()), message);
                Type::Any
            }
        };
        let first = self.slots;
        self.scopes.push(Vec::new());
        let target = self.target(&each.target, &item, false);
        let filter = each.filter_expr.as_ref().map(|filter| self.expr(filter).0);
        self.loops += 1;
        let body = self.block(&each.body);
        self.loops -= 1;
        self.scopes.pop();
        let slots = first..self.slots;
        let otherwise = self.scoped(&each.else_body);
        Some(Node::For {
            target: target?,
            items,
            filter,
            slots,
            body,
            otherwise,
        })
    }

    /// Declares the names on the left side of a loop or an assignment.
    fn target(&mut self, target: &ast::Expr<'_>, kind: &Type, maybe: bool) -> Option<Target> {
        match target {
            ast::Expr::Var(name) => {
                let known = self
                    .scopes
                    .last_mut()?
                    .iter_mut()
                    .find(|local| local.name == name.id);
                if let Some(local) = known {
                    local.kind = local.kind.clone().or(kind.clone());
                    return Some(Target::One(local.slot));
                }
                let slot = self.slots;
                self.slots += 1;
                let local = Local {
                    name: name.id.to_owned(),
                    slot,
                    kind: kind.clone(),
                    maybe,
                };
                self.scopes.last_mut()?.push(local);
                Some(Target::One(slot))
            }
            ast::Expr::List(list) => {
                let parts: Vec<Type> = match kind {
                    Type::Pair(value) => vec![Type::TEXT, (**value).clone()],
                    Type::List(item) => vec![(**item).clone(); list.items.len()],
                    Type::Any => vec![Type::Any; list.items.len()],
                    other => {
                        self.problems.push_with_help(
                            bytes(target.span()),
                            format!("{} is one value, not {}", other.name(), list.items.len()),
                            "keys with their values: `{% for key, value in labels|items %}`",
                        );
                        vec![Type::Any; list.items.len()]
                    }
                };
                if matches!(kind, Type::Pair(_)) && list.items.len() != parts.len() {
                    let message = "a key and a value are two names".to_owned();
                    self.problems.push(bytes(target.span()), message);
                }
                let parts = parts.iter().chain(std::iter::repeat(&Type::Any));
                let parts = list.items.iter().zip(parts);
                let targets: Vec<Option<Target>> = parts
                    .map(|(part, kind)| self.target(part, kind, maybe))
                    .collect();
                targets.into_iter().collect::<Option<_>>().map(Target::Many)
            }
            other => {
                self.problems
                    .push(bytes(other.span()), "only a name can get a value");
                None
            }
        }
    }
}

fn names(fields: &'static [Field]) -> impl Iterator<Item = &'static str> + Clone {
    fields.iter().map(|field| field.name)
}

/// Writes an access as the author would: `labels.team`.
fn path(expr: &ast::Expr<'_>) -> Option<String> {
    match expr {
        ast::Expr::Var(name) => Some(name.id.to_owned()),
        ast::Expr::GetAttr(access) => Some(format!("{}.{}", path(&access.expr)?, access.name)),
        ast::Expr::GetItem(access) => match &access.subscript_expr {
            ast::Expr::Const(key) if key.value.is_integer() => {
                Some(format!("{}[{}]", path(&access.expr)?, key.value))
            }
            ast::Expr::Const(key) => Some(format!("{}.{}", path(&access.expr)?, key.value)),
            _ => None,
        },
        _ => None,
    }
}

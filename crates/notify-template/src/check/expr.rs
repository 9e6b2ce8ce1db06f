//! Expressions: names, parts, items and operators.

use std::ops::Range;

use minijinja::machinery::ast::{self, BinOpKind, CompareOpKind, UnaryOpKind};
use minijinja::value::ValueKind;

use super::{Checker, names, path};
use crate::facts::{FIELDS, Shape};
use crate::filters::Takes;
use crate::problem::instead;
use crate::program::{Compare, Expr, LoopPart, Math};
use crate::scan::bytes;
use crate::types::{Known, TYPE_DEPTH, Type};

impl Checker<'_, '_> {
    pub(super) fn boxed(&mut self, expr: &ast::Expr<'_>) -> (Box<Expr>, Type) {
        let (expr, kind) = self.expr(expr);
        (Box::new(expr), kind)
    }

    pub(super) fn expr(&mut self, expr: &ast::Expr<'_>) -> (Expr, Type) {
        match expr {
            ast::Expr::Var(name) => self.name(name.id, bytes(name.span()), self.scopes.len()),
            ast::Expr::Const(literal) => self.literal(literal),
            ast::Expr::List(list) => self.list(&list.items),
            ast::Expr::Tuple(tuple) => self.list(&tuple.items),
            ast::Expr::Map(map) => {
                self.problems
                    .push(bytes(map.span()), "a template cannot make a map");
                (Expr::None, Type::Any)
            }
            ast::Expr::UnaryOp(operation) => {
                let (inner, kind) = self.boxed(&operation.expr);
                match operation.op {
                    UnaryOpKind::Not => (Expr::Not(inner), Type::BOOL),
                    UnaryOpKind::Neg => {
                        self.number("-", &kind, bytes(operation.expr.span()));
                        (Expr::Neg(inner), Type::NUMBER)
                    }
                }
            }
            ast::Expr::BinOp(operation) => self.binary(operation),
            ast::Expr::Compare(compare) => {
                let (first, mut left) = self.boxed(&compare.expr);
                let mut links = Vec::new();
                let mut left_expr = &compare.expr;
                for link in &compare.ops {
                    let (right, kind) = self.expr(&link.expr);
                    let operator = match link.op {
                        CompareOpKind::Eq => Compare::Eq,
                        CompareOpKind::Ne => Compare::Ne,
                        CompareOpKind::Lt => Compare::Lt,
                        CompareOpKind::Lte => Compare::Le,
                        CompareOpKind::Gt => Compare::Gt,
                        CompareOpKind::Gte => Compare::Ge,
                        CompareOpKind::In => Compare::In,
                        CompareOpKind::NotIn => Compare::NotIn,
                    };
                    self.compared(operator, (left_expr, &left), (&link.expr, &kind));
                    (left, left_expr) = (kind, &link.expr);
                    links.push((operator, right));
                }
                (Expr::Compare(first, links), Type::BOOL)
            }
            ast::Expr::IfExpr(choice) => {
                let (test, _) = self.boxed(&choice.test_expr);
                let (then, mut kind) = self.boxed(&choice.true_expr);
                let otherwise = choice.false_expr.as_ref().map(|expr| {
                    let (otherwise, other) = self.boxed(expr);
                    kind = std::mem::replace(&mut kind, Type::Any).or(other);
                    otherwise
                });
                (Expr::If(test, then, otherwise), kind)
            }
            ast::Expr::GetAttr(access) => {
                let end = bytes(access.span()).end;
                self.part(
                    expr,
                    &access.expr,
                    access.name,
                    end - access.name.len()..end,
                )
            }
            ast::Expr::GetItem(access) => self.item(expr, access),
            ast::Expr::Slice(slice) => {
                let (inner, kind) = self.boxed(&slice.expr);
                if !(kind.is_text() || matches!(kind, Type::Any | Type::List(_))) {
                    let message = format!("{} cannot be sliced", kind.name());
                    self.problems.push(bytes(slice.expr.span()), message);
                }
                if let Some(step) = &slice.step {
                    self.problems
                        .push(bytes(step.span()), "a slice has no step");
                }
                let mut bound = |expr: &Option<ast::Expr<'_>>| {
                    expr.as_ref().map(|expr| {
                        let (bound, kind) = self.boxed(expr);
                        self.number("[:]", &kind, bytes(expr.span()));
                        bound
                    })
                };
                let (start, stop) = (bound(&slice.start), bound(&slice.stop));
                (Expr::Slice(inner, start, stop), kind)
            }
            ast::Expr::Filter(filter) => self.filter(filter),
            ast::Expr::Test(test) => self.test(test),
            ast::Expr::Call(call) => self.call(call),
        }
    }

    fn literal(&mut self, literal: &ast::Spanned<ast::Const>) -> (Expr, Type) {
        let value = &literal.value;
        match value.kind() {
            ValueKind::None | ValueKind::Undefined => (Expr::None, Type::Any),
            ValueKind::Bool => (Expr::Bool(value.is_true()), Type::BOOL),
            ValueKind::String => (Expr::Text(value.as_str().unwrap_or("").into()), Type::TEXT),
            ValueKind::Number => match i128::try_from(value.clone()) {
                Ok(int) if value.is_integer() => (Expr::Int(int), Type::NUMBER),
                _ => {
                    let float = f64::try_from(value.clone()).unwrap_or(f64::NAN);
                    (Expr::Float(float), Type::NUMBER)
                }
            },
            _ => {
                self.problems
                    .push(bytes(literal.span()), "not a value that a message can have");
                (Expr::None, Type::Any)
            }
        }
    }

    fn list(&mut self, items: &[ast::Expr<'_>]) -> (Expr, Type) {
        let mut kinds: Option<Type> = None;
        let items = items
            .iter()
            .map(|item| {
                let (item, kind) = self.expr(item);
                kinds = Some(match kinds.take() {
                    Some(kinds) => kinds.or(kind),
                    None => kind,
                });
                item
            })
            .collect();
        let kind = kinds
            .filter(|kind| kind.depth() < TYPE_DEPTH)
            .unwrap_or(Type::Any);
        (Expr::List(items), Type::List(Box::new(kind)))
    }

    /// Resolves a name in the innermost `scopes` scopes, then in the table of facts.
    fn name(&mut self, name: &str, span: Range<usize>, scopes: usize) -> (Expr, Type) {
        let found = self
            .scopes
            .iter()
            .take(scopes)
            .enumerate()
            .rev()
            .find_map(|(depth, scope)| {
                let local = scope.iter().find(|local| local.name == name)?;
                Some((depth, local.slot, local.kind.clone(), local.maybe))
            });
        if let Some((depth, slot, kind, maybe)) = found {
            let outer = maybe && self.is_known(name, depth);
            if !outer {
                return (Expr::Local(slot, None), kind);
            }
            let (outer, other) = self.name(name, span, depth);
            return (Expr::Local(slot, Some(Box::new(outer))), kind.or(other));
        }
        if let Some(field) = FIELDS.iter().find(|field| field.name == name) {
            return (Expr::Field(field), Type::of(field.shape));
        }
        let (message, help) = if name == "loop" && self.loops > 0 {
            let parts = LoopPart::NAMES.map(|(name, _)| name).join("`, `");
            (
                "`loop` has no text of its own".to_owned(),
                format!("its parts: `{parts}`"),
            )
        } else {
            let locals = self
                .scopes
                .iter()
                .flatten()
                .map(|local| local.name.as_str());
            let known: Vec<&str> = FIELDS
                .iter()
                .map(|field| field.name)
                .chain(locals)
                .collect();
            (
                format!("unknown field `{name}`"),
                instead(name, known.iter().copied()),
            )
        };
        self.problems.push_with_help(span, message, help);
        (Expr::None, Type::Any)
    }

    fn is_known(&self, name: &str, scopes: usize) -> bool {
        let mut locals = self.scopes.iter().take(scopes).flatten();
        locals.any(|local| local.name == name) || names(FIELDS).any(|field| field == name)
    }

    /// `whole` is `of.name`, or `of["name"]`.
    pub(super) fn part(
        &mut self,
        whole: &ast::Expr<'_>,
        of: &ast::Expr<'_>,
        name: &str,
        span: Range<usize>,
    ) -> (Expr, Type) {
        if let ast::Expr::Var(var) = of
            && var.id == "loop"
            && self.loops > 0
        {
            return match LoopPart::NAMES.iter().find(|(known, _)| *known == name) {
                Some((_, part @ (LoopPart::First | LoopPart::Last))) => {
                    (Expr::Loop(*part), Type::BOOL)
                }
                Some((_, part)) => (Expr::Loop(*part), Type::NUMBER),
                None => {
                    let known = LoopPart::NAMES.iter().map(|(known, _)| *known);
                    let help = instead(name, known);
                    self.problems
                        .push_with_help(span, format!("`loop` has no `{name}`"), help);
                    (Expr::None, Type::Any)
                }
            };
        }
        let (inner, kind) = self.boxed(of);
        match kind {
            Type::Of(Known(Shape::Struct(fields))) => {
                if let Some(field) = fields.iter().find(|field| field.name == name) {
                    return (Expr::Part(inner, field), Type::of(field.shape));
                }
                let owner = path(of).unwrap_or_else(|| "this group".to_owned());
                let message = format!("`{owner}` has no `{name}`");
                self.problems
                    .push_with_help(span, message, instead(name, names(fields)));
                (Expr::None, Type::Any)
            }
            Type::Any | Type::Map(_) => {
                let missing = path(whole).unwrap_or_else(|| name.to_owned());
                let kind = match kind {
                    Type::Map(value) => *value,
                    _ => Type::Any,
                };
                (Expr::Key(inner, name.into(), missing.into()), kind)
            }
            other @ (Type::Of(_) | Type::List(_) | Type::Pair(_)) => {
                let message = format!("{} has no `{name}`", other.name());
                match other {
                    Type::List(_) => self.problems.push_with_help(
                        span,
                        message,
                        "name one item: `[0]`, `|first`, `|last`; or go through them with `for`",
                    ),
                    _ => self.problems.push(span, message),
                }
                (Expr::None, Type::Any)
            }
        }
    }

    fn item(
        &mut self,
        whole: &ast::Expr<'_>,
        access: &ast::Spanned<ast::GetItem<'_>>,
    ) -> (Expr, Type) {
        let subscript = &access.subscript_expr;
        let span = bytes(subscript.span());
        if let ast::Expr::Const(literal) = subscript
            && let Some(name) = literal.value.as_str()
        {
            return self.part(whole, &access.expr, name, span);
        }
        let (inner, kind) = self.boxed(&access.expr);
        let (index, index_kind) = self.boxed(subscript);
        let result = match kind {
            Type::Any => Type::Any,
            Type::List(item) => {
                self.number("[]", &index_kind, span);
                *item
            }
            Type::Pair(value) => Type::TEXT.or(*value),
            Type::Map(value) => {
                if !index_kind.fits(Takes::Text) {
                    let message = format!("{} is not a key", index_kind.name());
                    self.problems.push(span, message);
                }
                *value
            }
            Type::Of(Known(Shape::Struct(fields))) => {
                self.problems.push_with_help(
                    span,
                    "a fact is named by a literal",
                    format!(
                        "known here: `{}`",
                        names(fields).collect::<Vec<_>>().join("`, `")
                    ),
                );
                Type::Any
            }
            other @ Type::Of(_) => {
                let message = format!("{} has no items", other.name());
                self.problems.push(bytes(access.expr.span()), message);
                Type::Any
            }
        };
        (Expr::Item(inner, index), result)
    }

    fn number(&mut self, sign: &str, kind: &Type, span: Range<usize>) {
        if !kind.fits(Takes::Number) {
            let help = match (sign, kind) {
                ("+", kind) if kind.is_text() => Some("texts are put together with `~`"),
                (_, Type::Of(Known(Shape::Duration))) => Some("as a number: `duration|seconds`"),
                _ => None,
            };
            let message = format!("`{sign}` takes numbers, and this is {}", kind.name());
            match help {
                Some(help) => self.problems.push_with_help(span, message, help),
                None => self.problems.push(span, message),
            }
        }
    }

    fn binary(&mut self, operation: &ast::Spanned<ast::BinOp<'_>>) -> (Expr, Type) {
        let (left, left_kind) = self.boxed(&operation.left);
        let (right, right_kind) = self.boxed(&operation.right);
        let spans = (bytes(operation.left.span()), bytes(operation.right.span()));
        let compare = match operation.op {
            BinOpKind::ScAnd => return (Expr::And(left, right), left_kind.or(right_kind)),
            BinOpKind::ScOr => return (Expr::Or(left, right), left_kind.or(right_kind)),
            BinOpKind::Concat => {
                for (kind, span) in [(&left_kind, spans.0), (&right_kind, spans.1)] {
                    if !kind.fits(Takes::Text) {
                        self.problems.push(
                            span,
                            format!("`~` takes texts, and this is {}", kind.name()),
                        );
                    }
                }
                return (Expr::Concat(left, right), Type::TEXT);
            }
            BinOpKind::Pow => {
                let span = spans.0.start..spans.1.end;
                self.problems.push(span, "`**` is not for messages");
                return (Expr::None, Type::NUMBER);
            }
            BinOpKind::Add => Err(Math::Add),
            BinOpKind::Sub => Err(Math::Sub),
            BinOpKind::Mul => Err(Math::Mul),
            BinOpKind::Div => Err(Math::Div),
            BinOpKind::FloorDiv => Err(Math::FloorDiv),
            BinOpKind::Rem => Err(Math::Rem),
            BinOpKind::Eq => Ok(Compare::Eq),
            BinOpKind::Ne => Ok(Compare::Ne),
            BinOpKind::Lt => Ok(Compare::Lt),
            BinOpKind::Lte => Ok(Compare::Le),
            BinOpKind::Gt => Ok(Compare::Gt),
            BinOpKind::Gte => Ok(Compare::Ge),
            BinOpKind::In => Ok(Compare::In),
        };
        match compare {
            Ok(compare) => {
                let sides = (
                    (&operation.left, &left_kind),
                    (&operation.right, &right_kind),
                );
                self.compared(compare, sides.0, sides.1);
                (Expr::Compare(left, vec![(compare, *right)]), Type::BOOL)
            }
            Err(math) => {
                self.number(math.sign(), &left_kind, spans.0);
                self.number(math.sign(), &right_kind, spans.1);
                (Expr::Math(math, left, right), Type::NUMBER)
            }
        }
    }

    /// Finds comparisons that can only come out one way.
    fn compared(
        &mut self,
        operator: Compare,
        (left, left_kind): (&ast::Expr<'_>, &Type),
        (right, right_kind): (&ast::Expr<'_>, &Type),
    ) {
        if matches!(operator, Compare::In | Compare::NotIn) {
            if !right_kind.fits(Takes::Many) {
                let message = format!(
                    "`in` takes a list, a map or text, and this is {}",
                    right_kind.name()
                );
                self.problems.push(bytes(right.span()), message);
            }
            let items: &[ast::Expr<'_>] = match right {
                ast::Expr::List(list) => &list.items,
                ast::Expr::Tuple(tuple) => &tuple.items,
                _ => &[],
            };
            if let Some(words) = left_kind.words() {
                for item in items {
                    self.word(words, left, item);
                }
            }
            return;
        }
        if let Some(words) = left_kind.words() {
            self.word(words, left, right);
        }
        if let Some(words) = right_kind.words() {
            self.word(words, right, left);
        }
        let kind = |kind: &Type| match kind {
            Type::Of(Known(Shape::Word(_))) => "text",
            other => other.name(),
        };
        let either_any = [left_kind, right_kind].contains(&&Type::Any);
        if !either_any && kind(left_kind) != kind(right_kind) {
            let message = format!(
                "{} is compared with {}",
                left_kind.name(),
                right_kind.name()
            );
            let span = bytes(left.span()).start..bytes(right.span()).end;
            if [left_kind, right_kind].contains(&&Type::Of(Known(Shape::Duration))) {
                self.problems
                    .push_with_help(span, message, "write `duration|seconds`");
            } else {
                self.problems.push(span, message);
            }
        }
    }

    pub(super) fn word(
        &mut self,
        words: &[&'static str],
        of: &ast::Expr<'_>,
        literal: &ast::Expr<'_>,
    ) {
        if let ast::Expr::Const(text) = literal
            && let Some(text_value) = text.value.as_str()
            && !words.contains(&text_value)
        {
            let name = path(of).unwrap_or_else(|| "this word".to_owned());
            self.problems.push_with_help(
                bytes(text.span()),
                format!("`{name}` is never `{text_value}`"),
                instead(text_value, words.iter().copied()),
            );
        }
    }
}

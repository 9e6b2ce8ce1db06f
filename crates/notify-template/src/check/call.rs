//! Filters, tests and calls.

use std::ops::Range;

use minijinja::machinery::ast::{self, CallArg};

use super::Checker;
use crate::filters::{FILTERS, Gives, TESTS, Takes};
use crate::problem::instead;
use crate::program::Expr;
use crate::scan::bytes;
use crate::types::{Type, said};

impl Checker<'_, '_> {
    pub(super) fn filter(&mut self, node: &ast::Spanned<ast::Filter<'_>>) -> (Expr, Type) {
        let start = bytes(node.span()).start;
        let span = start..start + node.name.len();
        let (inner, kind) = match &node.expr {
            Some(inner) => self.boxed(inner),
            None => (Box::new(Expr::None), Type::Any),
        };
        let Some(filter) = FILTERS.iter().find(|filter| filter.name == node.name) else {
            let known = FILTERS.iter().map(|filter| filter.name);
            let help = match node.name {
                "safe" | "e" | "escape" | "tojson" | "urlencode" => {
                    "a value is always shown as its plain text; no filter is needed".to_owned()
                }
                name => instead(name, known),
            };
            self.problems
                .push_with_help(span, format!("unknown filter `{}`", node.name), help);
            self.arguments(node.name, &node.args, None, 0, start);
            return (Expr::None, Type::Any);
        };
        if !kind.fits(filter.takes) {
            let message = format!(
                "`{}` takes {}, and this is {}",
                filter.name,
                said(filter.takes),
                kind.name()
            );
            self.problems.push(span, message);
        }
        let arguments = self.arguments(
            filter.name,
            &node.args,
            Some(filter.arguments),
            filter.required,
            start,
        );
        let first = arguments.first().map(|(_, kind)| kind.clone());
        let result = match (filter.gives, kind) {
            (Gives::Text, _) => Type::TEXT,
            (Gives::Number, _) => Type::NUMBER,
            (Gives::Either, kind) => kind.or(first.unwrap_or(Type::Any)),
            (Gives::Item, Type::List(item)) => *item,
            (Gives::Item, Type::Map(_)) => Type::TEXT,
            (Gives::Item, kind) if kind.is_text() => Type::TEXT,
            (Gives::Pairs, Type::Map(value)) => Type::List(Box::new(Type::Pair(value))),
            (Gives::Pairs, _) => Type::List(Box::new(Type::Pair(Box::new(Type::Any)))),
            (Gives::Item, _) => Type::Any,
        };
        let arguments = arguments.into_iter().map(|(expr, _)| expr).collect();
        (Expr::Filter(filter, inner, arguments), result)
    }

    pub(super) fn test(&mut self, node: &ast::Spanned<ast::Test<'_>>) -> (Expr, Type) {
        let start = bytes(node.span()).start;
        let span = start..start + node.name.len();
        let (inner, kind) = self.boxed(&node.expr);
        let Some(test) = TESTS.iter().find(|test| test.name == node.name) else {
            let help = instead(node.name, TESTS.iter().map(|test| test.name));
            self.problems
                .push_with_help(span, format!("unknown test `{}`", node.name), help);
            self.arguments(node.name, &node.args, None, 0, start);
            return (Expr::None, Type::BOOL);
        };
        if !kind.fits(test.takes) {
            let message = format!(
                "`{}` takes {}, and this is {}",
                test.name,
                said(test.takes),
                kind.name()
            );
            self.problems.push(span, message);
        }
        let required = test.arguments.len();
        let arguments =
            self.arguments(test.name, &node.args, Some(test.arguments), required, start);
        if let (Some(words), [CallArg::Pos(literal)], "eq" | "ne") =
            (kind.words(), node.args.as_slice(), test.name)
        {
            self.word(words, &node.expr, literal);
        }
        let arguments = arguments.into_iter().map(|(expr, _)| expr).collect();
        (Expr::Test(test, inner, arguments), Type::BOOL)
    }

    /// Checks the arguments of a filter or test; `takes` is `None` where that is unknown.
    fn arguments(
        &mut self,
        name: &str,
        arguments: &[CallArg<'_>],
        takes: Option<&[Takes]>,
        required: usize,
        start: usize,
    ) -> Vec<(Expr, Type)> {
        let mut out = Vec::new();
        for argument in arguments {
            let (CallArg::Pos(expr)
            | CallArg::Kwarg(_, expr)
            | CallArg::PosSplat(expr)
            | CallArg::KwargSplat(expr)) = argument;
            if takes.is_some() && !matches!(argument, CallArg::Pos(_)) {
                let message = format!("the arguments of `{name}` have no names");
                self.problems.push(bytes(expr.span()), message);
            }
            let (value, kind) = self.expr(expr);
            if let Some(takes) = takes.and_then(|takes| takes.get(out.len()))
                && !kind.fits(*takes)
            {
                let message = format!(
                    "`{name}` takes {} here, and this is {}",
                    said(*takes),
                    kind.name()
                );
                self.problems.push(bytes(expr.span()), message);
            }
            out.push((value, kind));
        }
        if let Some(takes) = takes
            && !(required..=takes.len()).contains(&out.len())
        {
            let wanted = match (required, takes.len()) {
                (0, 0) => "no argument".to_owned(),
                (1, 1) => "one argument".to_owned(),
                (least, most) if least == most => format!("{most} arguments"),
                (least, most) => format!("{least} to {most} arguments"),
            };
            let message = format!("`{name}` takes {wanted}");
            self.problems.push(start..start + name.len(), message);
        }
        out
    }

    pub(super) fn call(&mut self, call: &ast::Spanned<ast::Call<'_>>) -> (Expr, Type) {
        match &call.expr {
            ast::Expr::Var(function) if function.id.starts_with("mention") => {
                if function.id == "mention" || function.id == "mention_group" {
                    self.problems.push_with_help(
                        bytes(call.span()),
                        format!("`{}` stands alone", function.id),
                        "write `{{ mention(\"@here\") }}`, between `{% if … %}` and `{% endif %}`",
                    );
                } else {
                    self.unknown_function(function.id, bytes(function.span()));
                }
            }
            ast::Expr::Var(function) => {
                self.unknown_function(function.id, bytes(function.span()));
            }
            ast::Expr::GetAttr(method) => {
                let end = bytes(method.span()).end;
                let known = FILTERS.iter().any(|filter| filter.name == method.name);
                let message = "a value has no functions".to_owned();
                let span = end - method.name.len()..end;
                if known {
                    let help = format!("write `|{}`", method.name);
                    self.problems.push_with_help(span, message, help);
                } else {
                    self.problems.push(span, message);
                }
                self.expr(&method.expr);
            }
            other => {
                self.problems
                    .push(bytes(other.span()), "a value cannot be called");
                self.expr(other);
            }
        }
        if !matches!(&call.expr, ast::Expr::Var(function) if function.id.starts_with("mention")) {
            self.arguments("", &call.args, None, 0, bytes(call.span()).start);
        }
        (Expr::None, Type::Any)
    }

    fn unknown_function(&mut self, name: &str, span: Range<usize>) {
        let help = instead(name, ["mention", "mention_group"]);
        self.problems
            .push_with_help(span, format!("unknown function `{name}`"), help);
    }
}

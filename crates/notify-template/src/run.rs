//! Runs a checked program: Markdown with tokens on one side, the values behind them on the other.
//!
//! **Invariant.** A run always ends and always gives what it has so far: every step, byte, round and
//! token is counted against a bound, and what cannot be computed is a value that says so.

use notify_core::content::Mention;

use crate::facts::Facts;
use crate::filters::contains;
use crate::markdown::{MOST_TOKENS, token};
use crate::program::{Compare, Expr, LoopPart, Math, Node, Target};
use crate::value::{Stop, Text, Value, Work};

/// How many rounds one loop makes; a reader has stopped long before.
const ROUNDS: usize = 1000;
/// How much Markdown, without values, a template may write.
const MARKDOWN_BYTES: usize = 64 * 1024;
/// What most messages need at once.
const USUAL_MARKDOWN: usize = 1024;
const USUAL_PIECES: usize = 16;
/// How much text all values of a message may have together.
const VALUE_BYTES: usize = 512 * 1024;
/// How deep lists of the template's own making may lie in one another.
const LIST_DEPTH: usize = 8;

/// What a token stands for.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    Text(Text<'a>),
    Mention(&'a Mention),
}

/// One rendering.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    facts: Facts<'a>,
    slots: Vec<Option<Value<'a>>>,
    loops: Vec<Round>,
    work: Work,
    /// Where Markdown is written; `None` where it is known already.
    pub(crate) markdown: Option<String>,
    pub(crate) pieces: Vec<Piece<'a>>,
    pub(crate) notes: Vec<String>,
    value_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Round {
    index: usize,
    length: usize,
}

impl<'a> Run<'a> {
    pub(crate) fn new(facts: Facts<'a>, slots: usize, writes_markdown: bool) -> Self {
        Self {
            facts,
            slots: vec![None; slots],
            loops: Vec::new(),
            work: Work::new(),
            markdown: writes_markdown.then(|| String::with_capacity(USUAL_MARKDOWN)),
            pieces: Vec::with_capacity(USUAL_PIECES),
            notes: Vec::new(),
            value_bytes: 0,
        }
    }

    pub(crate) fn block(&mut self, nodes: &'a [Node]) -> Result<(), Stop> {
        nodes.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &'a Node) -> Result<(), Stop> {
        self.work.step()?;
        match node {
            Node::Text(text) => self.write(text),
            Node::Mention(mention) => self.emit(Piece::Mention(mention)),
            Node::Print(expr) => {
                let value = self.eval(expr)?;
                if let Value::Gap(missing) = &value {
                    self.note(format!("`{missing}` is not there"));
                }
                let text = value.print(&mut self.work)?;
                self.emit(Piece::Text(text))
            }
            Node::Set(target, expr) => {
                let value = self.eval(expr)?;
                self.assign(target, value);
                Ok(())
            }
            Node::If {
                condition,
                then,
                otherwise,
            } => {
                let chosen = if self.eval(condition)?.is_true() {
                    then
                } else {
                    otherwise
                };
                self.block(chosen)
            }
            Node::For {
                target,
                items,
                filter,
                slots,
                body,
                otherwise,
            } => {
                let value = self.eval(items)?;
                let mut rounds = Vec::new();
                let mut complete = true;
                for item in value.items() {
                    self.work.step()?;
                    let item = item.accounted(&mut self.work)?;
                    if let Some(filter) = filter {
                        self.assign(target, item.clone());
                        if !self.eval(filter)?.is_true() {
                            continue;
                        }
                    }
                    if rounds.len() == ROUNDS {
                        complete = false;
                        break;
                    }
                    rounds.push(item);
                }
                if rounds.is_empty() {
                    return self.block(otherwise);
                }
                let length = rounds.len();
                for (index, item) in rounds.into_iter().enumerate() {
                    for slot in self.slots.get_mut(slots.clone()).into_iter().flatten() {
                        *slot = None;
                    }
                    self.assign(target, item);
                    self.loops.push(Round { index, length });
                    let result = self.block(body);
                    self.loops.pop();
                    result?;
                }
                if complete { Ok(()) } else { self.cut_loop() }
            }
        }
    }

    fn cut_loop(&mut self) -> Result<(), Stop> {
        self.note(format!("a loop ended after {ROUNDS} items"));
        self.write("\n\n")?;
        self.emit(Piece::Text(Text::Borrowed("… more items were left out")))?;
        self.write("\n\n")
    }

    fn note(&mut self, note: String) {
        const MOST: usize = 20;
        if self.notes.len() < MOST && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Stop> {
        let Some(markdown) = &mut self.markdown else {
            return Ok(());
        };
        if markdown.len() + text.len() > MARKDOWN_BYTES {
            return Err(Stop("the template writes too much"));
        }
        markdown.push_str(text);
        Ok(())
    }

    fn emit(&mut self, piece: Piece<'a>) -> Result<(), Stop> {
        let index = self.pieces.len();
        if let Piece::Text(text) = &piece {
            self.value_bytes += text.as_str().len();
        }
        if self.value_bytes > VALUE_BYTES {
            return Err(Stop("the values are too large"));
        }
        if index >= MOST_TOKENS {
            return Err(Stop("the template prints too many values"));
        }
        if let Some(markdown) = &mut self.markdown {
            markdown.push(token(index));
        }
        self.pieces.push(piece);
        Ok(())
    }

    fn assign(&mut self, target: &'a Target, value: Value<'a>) {
        match target {
            Target::One(slot) => {
                if let Some(slot) = self.slots.get_mut(*slot) {
                    *slot = Some(value);
                }
            }
            Target::Many(targets) => {
                let items: Vec<Value<'a>> = value.items().take(targets.len()).collect();
                let items = items.into_iter().chain(std::iter::repeat(Value::Absent));
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item);
                }
            }
        }
    }

    fn eval(&mut self, expr: &'a Expr) -> Result<Value<'a>, Stop> {
        self.work.step()?;
        Ok(match expr {
            Expr::None => Value::Absent,
            Expr::Bool(value) => Value::Bool(*value),
            Expr::Int(value) => Value::Int(*value),
            Expr::Float(value) => Value::Float(*value),
            Expr::Text(text) => Value::text(text),
            Expr::Field(field) => (field.read)(self.facts.root()).accounted(&mut self.work)?,
            Expr::Local(slot, outer) => match (self.slots.get(*slot), outer) {
                (Some(Some(value)), _) => value.clone(),
                (_, Some(outer)) => self.eval(outer)?,
                _ => Value::Absent,
            },
            Expr::Loop(part) => self.round(*part),
            Expr::Part(inner, field) => match self.eval(inner)? {
                Value::Struct(_, place) => (field.read)(place).accounted(&mut self.work)?,
                gap @ Value::Gap(_) => gap,
                _ => Value::Absent,
            },
            Expr::Key(inner, key, missing) => {
                let found = match self.eval(inner)? {
                    Value::Struct(fields, place) => {
                        let field = fields.iter().find(|field| *field.name == **key);
                        field.map(|field| (field.read)(place))
                    }
                    map => map.get(key),
                };
                found
                    .unwrap_or_else(|| Value::gap(missing))
                    .accounted(&mut self.work)?
            }
            Expr::Item(inner, index) => {
                let (inner, index) = (self.eval(inner)?, self.eval(index)?);
                item(&inner, &index).accounted(&mut self.work)?
            }
            Expr::Slice(inner, start, stop) => {
                let inner = self.eval(inner)?;
                let start = self.bound(start.as_deref())?.unwrap_or(0);
                let stop = self.bound(stop.as_deref())?;
                self.slice(&inner, start, stop)?
            }
            Expr::List(items) => {
                let items: Result<Vec<Value<'a>>, Stop> =
                    items.iter().map(|item| self.eval(item)).collect();
                let list = Value::List(items?.into());
                match list.depth() {
                    depth if depth > LIST_DEPTH => Value::gap("list this deep"),
                    _ => list,
                }
            }
            Expr::Not(inner) => Value::Bool(!self.eval(inner)?.is_true()),
            Expr::Neg(inner) => match self.eval(inner)? {
                Value::Int(value) => Value::Int(value.saturating_neg()),
                Value::Float(value) => Value::Float(-value),
                missing if missing.is_missing() => missing,
                _ => no_number("-"),
            },
            Expr::And(left, right) => match self.eval(left)? {
                left if left.is_true() => self.eval(right)?,
                left => left,
            },
            Expr::Or(left, right) => match self.eval(left)? {
                left if left.is_true() => left,
                _ => self.eval(right)?,
            },
            Expr::Concat(left, right) => {
                let (left, right) = (self.eval(left)?, self.eval(right)?);
                let (left, right) = (left.print(&mut self.work)?, right.print(&mut self.work)?);
                let both = [left.as_str(), right.as_str()].concat();
                self.work.touch(both.len())?;
                Value::made(&both)
            }
            Expr::Math(math, left, right) => {
                let (left, right) = (self.eval(left)?, self.eval(right)?);
                calculate(*math, &left, &right)
            }
            Expr::Compare(first, links) => {
                let mut left = self.eval(first)?;
                for (operator, right) in links {
                    let right = self.eval(right)?;
                    if !self.compare(*operator, &left, &right)? {
                        return Ok(Value::Bool(false));
                    }
                    left = right;
                }
                Value::Bool(true)
            }
            Expr::If(test, then, otherwise) => match (self.eval(test)?.is_true(), otherwise) {
                (true, _) => self.eval(then)?,
                (false, Some(otherwise)) => self.eval(otherwise)?,
                (false, None) => Value::Absent,
            },
            Expr::Filter(filter, inner, arguments) => {
                let value = self.eval(inner)?;
                if value.is_missing() && !filter.sees_missing {
                    return Ok(value);
                }
                let arguments = self.all(arguments)?;
                (filter.run)(&mut self.work, &value, &arguments)?
            }
            Expr::Test(test, inner, arguments) => {
                let value = self.eval(inner)?;
                let arguments = self.all(arguments)?;
                Value::Bool((test.holds)(&mut self.work, &value, &arguments)?)
            }
        })
    }

    fn all(&mut self, exprs: &'a [Expr]) -> Result<Vec<Value<'a>>, Stop> {
        exprs.iter().map(|expr| self.eval(expr)).collect()
    }

    fn round(&self, part: LoopPart) -> Value<'a> {
        let Some(Round { index, length }) = self.loops.last().copied() else {
            return Value::Absent;
        };
        let count = match part {
            LoopPart::First => return Value::Bool(index == 0),
            LoopPart::Last => return Value::Bool(index + 1 == length),
            LoopPart::Index => index + 1,
            LoopPart::Index0 => index,
            LoopPart::Left => length - index,
            LoopPart::Left0 => length - index - 1,
            LoopPart::Length => length,
        };
        Value::Int(i128::try_from(count).unwrap_or(i128::MAX))
    }

    fn bound(&mut self, expr: Option<&'a Expr>) -> Result<Option<i128>, Stop> {
        match expr {
            Some(expr) => Ok(self.eval(expr)?.as_int()),
            None => Ok(None),
        }
    }

    fn slice(
        &mut self,
        value: &Value<'a>,
        start: i128,
        stop: Option<i128>,
    ) -> Result<Value<'a>, Stop> {
        if let Value::Text(text) = value {
            self.work.touch(text.as_str().len())?;
        }
        let Some(length) = value.len().filter(|_| !value.is_map()) else {
            return Ok(if value.is_missing() {
                value.clone()
            } else {
                Value::gap("list to slice")
            });
        };
        let clamp = |bound: i128| {
            let length = i128::try_from(length).unwrap_or(i128::MAX);
            let bound = if bound < 0 {
                bound.saturating_add(length)
            } else {
                bound
            };
            usize::try_from(bound.clamp(0, length)).unwrap_or(0)
        };
        let (start, stop) = (clamp(start), stop.map_or(length, clamp));
        let taken = stop.saturating_sub(start);
        if let Value::Text(text) = value {
            let text: String = text.as_str().chars().skip(start).take(taken).collect();
            return Ok(Value::made(&text));
        }
        let mut items = Vec::new();
        for item in value.items().skip(start).take(taken) {
            self.work.step()?;
            items.push(item.accounted(&mut self.work)?);
        }
        Ok(Value::List(items.into()))
    }

    fn compare(
        &mut self,
        operator: Compare,
        left: &Value<'a>,
        right: &Value<'a>,
    ) -> Result<bool, Stop> {
        if matches!(operator, Compare::In | Compare::NotIn) {
            let found = contains(&mut self.work, right, left)?;
            return Ok(found == (operator == Compare::In));
        }
        let order = left.order(right, &mut self.work)?;
        Ok(match (operator, order) {
            (Compare::Ne, order) => order.is_none_or(std::cmp::Ordering::is_ne),
            (_, None) => false,
            (Compare::Lt, Some(order)) => order.is_lt(),
            (Compare::Le, Some(order)) => order.is_le(),
            (Compare::Gt, Some(order)) => order.is_gt(),
            (Compare::Ge, Some(order)) => order.is_ge(),
            (_, Some(order)) => order.is_eq(),
        })
    }
}

/// Looks up an item of a list or a key of a map.
fn item<'a>(many: &Value<'a>, index: &Value<'a>) -> Value<'a> {
    match index {
        Value::Text(key) => {
            let found = match many {
                Value::Struct(fields, place) => {
                    let field = fields.iter().find(|field| field.name == key.as_str());
                    field.map(|field| (field.read)(*place))
                }
                map => map.get(key.as_str()),
            };
            found.unwrap_or_else(|| {
                const SHOWN: usize = 64;
                let key = key.as_str();
                Value::gap(key.get(..key.floor_char_boundary(SHOWN)).unwrap_or(""))
            })
        }
        Value::Int(index) if many.is_list() => {
            let length = many.len().unwrap_or(0);
            let found = place(*index, length).and_then(|at| many.items().nth(at));
            found.unwrap_or_else(|| Value::gap(format!("item {index}")))
        }
        _ if many.is_missing() => many.clone(),
        _ => Value::gap("such item"),
    }
}

/// Finds the place that an index means; negative ones count from the end.
fn place(index: i128, length: usize) -> Option<usize> {
    let from_end = if index < 0 {
        i128::try_from(length).ok()?
    } else {
        0
    };
    usize::try_from(index.checked_add(from_end)?).ok()
}

fn no_number(sign: &str) -> Value<'static> {
    Value::gap(format!("number for `{sign}`"))
}

fn calculate<'a>(math: Math, left: &Value<'a>, right: &Value<'a>) -> Value<'a> {
    for side in [left, right] {
        if side.is_missing() {
            return side.clone();
        }
    }
    if let (Value::Int(left), Value::Int(right)) = (left, right) {
        let (left, right) = (*left, *right);
        let result = match math {
            Math::Add => left.checked_add(right),
            Math::Sub => left.checked_sub(right),
            Math::Mul => left.checked_mul(right),
            Math::Rem => left.checked_rem(right).map(|rest| {
                // As in Jinja the remainder has the sign of the divisor.
                if rest != 0 && (rest < 0) != (right < 0) {
                    rest + right
                } else {
                    rest
                }
            }),
            Math::FloorDiv => left.checked_div(right).map(|quotient| {
                let inexact = left % right != 0;
                if inexact && (left < 0) != (right < 0) {
                    quotient - 1
                } else {
                    quotient
                }
            }),
            Math::Div => None,
        };
        if let Some(result) = result {
            return Value::Int(result);
        }
    }
    let (Some(left), Some(right)) = (left.as_number(), right.as_number()) else {
        return no_number(math.sign());
    };
    let result = match math {
        Math::Add => left + right,
        Math::Sub => left - right,
        Math::Mul => left * right,
        Math::Div => left / right,
        Math::FloorDiv => (left / right).floor(),
        Math::Rem => left - right * (left / right).floor(),
    };
    if result.is_finite() {
        Value::Float(result)
    } else {
        Value::gap(format!("result for `{}`", math.sign()))
    }
}

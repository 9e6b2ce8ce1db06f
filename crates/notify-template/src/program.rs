//! A checked template: names resolved, nothing left that could fail.

use notify_core::content::Mention;

use crate::facts::Field;
use crate::filters::{Filter, Test};

/// One statement.
#[derive(Debug)]
pub(crate) enum Node {
    /// Markdown as the author wrote it.
    Text(Box<str>),
    /// A value, which becomes a token.
    Print(Expr),
    /// Somebody whom the author calls.
    Mention(Mention),
    /// A variable gets its value.
    Set(Target, Expr),
    If {
        condition: Expr,
        then: Vec<Self>,
        otherwise: Vec<Self>,
    },
    For {
        target: Target,
        items: Expr,
        filter: Option<Expr>,
        /// Variables of the body, which every round begins without.
        slots: std::ops::Range<usize>,
        body: Vec<Self>,
        otherwise: Vec<Self>,
    },
}

/// Where a value is put.
#[derive(Debug)]
pub(crate) enum Target {
    One(usize),
    Many(Vec<Self>),
}

#[derive(Debug)]
pub(crate) enum Expr {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Box<str>),
    Field(&'static Field),
    /// A variable, and what the name means as long as the variable has no value.
    Local(usize, Option<Box<Self>>),
    Loop(LoopPart),
    /// A field of a struct; the value can still be absent.
    Part(Box<Self>, &'static Field),
    /// A key of a map, with the words for its absence.
    Key(Box<Self>, Box<str>, Box<str>),
    Item(Box<Self>, Box<Self>),
    Slice(Box<Self>, Option<Box<Self>>, Option<Box<Self>>),
    List(Vec<Self>),
    Not(Box<Self>),
    Neg(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Concat(Box<Self>, Box<Self>),
    Math(Math, Box<Self>, Box<Self>),
    /// `a < b <= c`: holds where every neighbour compares.
    Compare(Box<Self>, Vec<(Compare, Self)>),
    If(Box<Self>, Box<Self>, Option<Box<Self>>),
    Filter(&'static Filter, Box<Self>, Vec<Self>),
    Test(&'static Test, Box<Self>, Vec<Self>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum LoopPart {
    Index,
    Index0,
    Left,
    Left0,
    First,
    Last,
    Length,
}

impl LoopPart {
    pub(crate) const NAMES: [(&'static str, Self); 7] = [
        ("index", Self::Index),
        ("index0", Self::Index0),
        ("revindex", Self::Left),
        ("revindex0", Self::Left0),
        ("first", Self::First),
        ("last", Self::Last),
        ("length", Self::Length),
    ];
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Math {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
}

impl Math {
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::FloorDiv => "//",
            Self::Rem => "%",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

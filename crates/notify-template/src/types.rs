//! What is known about a value before there is an event.

use crate::facts::Shape;
use crate::filters::Takes;

/// Lists in lists deeper than this are not followed.
pub(crate) const TYPE_DEPTH: usize = 8;

/// What is known about a value at load.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    /// Anything: it comes from JSON, or several kinds meet.
    Any,
    Of(Known),
    List(Box<Self>),
    Map(Box<Self>),
    /// A key and a value.
    Pair(Box<Self>),
}

/// A shape of the table; compared by name and, for structs, by identity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known(pub(crate) Shape);

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        match (self.0, other.0) {
            (Shape::Struct(left), Shape::Struct(right)) => std::ptr::eq(left, right),
            (Shape::Word(left), Shape::Word(right)) => left == right,
            (left, right) => left.name() == right.name(),
        }
    }
}

impl Type {
    pub(crate) fn of(shape: Shape) -> Self {
        match shape {
            Shape::Json => Self::Any,
            Shape::Map(inner) => Self::Map(Box::new(Self::of(*inner))),
            Shape::List(inner) => Self::List(Box::new(Self::of(*inner))),
            other => Self::Of(Known(other)),
        }
    }

    pub(crate) const TEXT: Self = Self::Of(Known(Shape::Text));
    pub(crate) const NUMBER: Self = Self::Of(Known(Shape::Number));
    pub(crate) const BOOL: Self = Self::Of(Known(Shape::Bool));

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Any => "a JSON value",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Pair(_) => "a key with its value",
            Self::Of(Known(shape)) => match shape {
                Shape::Text => "text",
                Shape::Word(_) => "a word",
                Shape::Number => "a number",
                Shape::Bool => "a yes or no",
                Shape::Time => "an instant",
                Shape::Duration => "a duration",
                _ => "a group of facts",
            },
        }
    }

    pub(crate) fn fits(&self, takes: Takes) -> bool {
        use Shape::{Bool, Duration, Number, Text, Time, Word};
        let shape = match self {
            Self::Any => return true,
            Self::List(_) | Self::Pair(_) => return matches!(takes, Takes::Any | Takes::Many),
            Self::Map(_) => return matches!(takes, Takes::Any | Takes::Many | Takes::Map),
            Self::Of(Known(shape)) => *shape,
        };
        match takes {
            Takes::Any => true,
            Takes::Text => matches!(shape, Text | Word(_) | Number | Bool | Time | Duration),
            Takes::Number => matches!(shape, Number),
            Takes::Many => matches!(shape, Text | Word(_)),
            Takes::Map => false,
            Takes::Time => matches!(shape, Time),
            Takes::Duration => matches!(shape, Duration),
        }
    }

    /// What both kinds have in common.
    pub(crate) fn or(self, other: Self) -> Self {
        if self == other {
            return self;
        }
        match (self, other) {
            (Self::List(left), Self::List(right)) => Self::List(Box::new(left.or(*right))),
            (Self::Of(left), Self::Of(right))
                if Self::Of(left).is_text() && Self::Of(right).is_text() =>
            {
                Self::TEXT
            }
            _ => Self::Any,
        }
    }

    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::List(inner) | Self::Map(inner) | Self::Pair(inner) => 1 + inner.depth(),
            Self::Any | Self::Of(_) => 0,
        }
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Of(Known(Shape::Text | Shape::Word(_))))
    }

    pub(crate) fn words(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Of(Known(Shape::Word(words))) => Some(words),
            _ => None,
        }
    }
}

pub(crate) const fn said(takes: Takes) -> &'static str {
    match takes {
        Takes::Any => "anything",
        Takes::Text => "text",
        Takes::Number => "a number",
        Takes::Many => "a list, a map or text",
        Takes::Map => "a map",
        Takes::Time => "an instant",
        Takes::Duration => "a duration",
    }
}

//! The lines around a problem, cut to the width of a terminal.

use std::ops::Range;

use miette::{Diagnostic as _, SourceSpan};
use unicode_width::UnicodeWidthChar;
use workflow_notify::files::Diagnostic;

/// A line that begins or ends before or behind what is shown of it.
const CUT: char = '…';

/// How many columns a tab goes on at most, as the problems are drawn.
const TAB: usize = 4;

/// How many bytes of a line are looked at on each side of what is wrong: a line can be a whole file.
const NEAR: usize = 1024;

/// The line of a problem with the one before it and the one behind it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The lines, each with its end.
    pub(crate) text: String,
    /// The number of the first of them, counted from zero.
    pub(crate) first_line: usize,
    /// What the problem is about, in bytes of the text.
    pub(crate) label: Range<usize>,
}

impl Excerpt {
    /// Takes the lines around a problem, none wider than fits beside its number.
    pub(crate) fn of(diagnostic: &Diagnostic, width: usize) -> Option<Self> {
        let span = diagnostic.span()?;
        let (line, _) = diagnostic.position()?;
        let source = diagnostic.source_code()?;
        let read = source
            .read_span(&SourceSpan::from(span.clone()), 1, 1)
            .ok()?;
        let lines = std::str::from_utf8(read.data()).ok()?;
        let start = span.start.checked_sub(read.span().offset())?;
        Some(Self::cut(lines, line - 1, start..start + span.len(), width))
    }

    /// Cuts lines around a label; `line` is the number of the one that the label is in.
    fn cut(lines: &str, line: usize, label: Range<usize>, width: usize) -> Self {
        let mut rows: Vec<Row<'_>> = Vec::new();
        let mut start = 0;
        for row in Row::split(lines) {
            rows.push(Row { start, text: row });
            start += row.len();
        }
        let labelled = rows.iter().rposition(|row| row.start <= label.start);
        let labelled = labelled.unwrap_or(0);
        let of_row = rows.get(labelled).map_or(0, |row| label.start - row.start);
        for row in &mut rows {
            row.keep_near(of_row);
        }
        let first_line = line.saturating_sub(labelled);
        let digits = (first_line + rows.len()).to_string().len();
        // ` 12 │ ` stands before each line.
        let width = width.saturating_sub(digits + 4);
        let shift = rows.get(labelled).map_or(0, |row| row.shift(&label, width));
        let mut excerpt = Self {
            text: String::new(),
            first_line,
            label: 0..0,
        };
        for (index, row) in rows.iter().enumerate() {
            let from = |byte: usize| byte.saturating_sub(row.start);
            let label = (index == labelled).then(|| from(label.start)..from(label.end));
            row.write(shift, width, label, &mut excerpt);
        }
        excerpt
    }
}

struct Row<'a> {
    start: usize,
    /// The line with its end.
    text: &'a str,
}

impl Row<'_> {
    /// Splits a text into lines with their ends: `\n`, `\r\n`, or a `\r` alone.
    fn split(text: &str) -> impl Iterator<Item = &str> {
        text.split_inclusive('\n').flat_map(|line| {
            let (body, end) = match line.strip_suffix("\r\n") {
                Some(body) => (body, 2),
                None => (line, 0),
            };
            let mut rest = line;
            let mut left = body.len() + end;
            std::iter::from_fn(move || {
                if rest.is_empty() {
                    return None;
                }
                let within = rest.get(..left.saturating_sub(end)).unwrap_or(rest);
                let length = within.find('\r').map_or(rest.len(), |at| at + 1);
                let (row, others) = rest.split_at_checked(length)?;
                rest = others;
                left -= length.min(left);
                Some(row)
            })
        })
    }

    /// Forgets what is far from a byte of the line.
    fn keep_near(&mut self, byte: usize) {
        let from = self.text.floor_char_boundary(byte.saturating_sub(NEAR));
        let to = self.text.ceil_char_boundary(byte.saturating_add(NEAR));
        self.start += from;
        self.text = self.text.get(from..to).unwrap_or_default();
    }

    fn body(&self) -> &str {
        self.text.trim_end_matches(['\r', '\n'])
    }

    /// Gives each character with its first column and the one behind it.
    fn columns(&self) -> impl Iterator<Item = (usize, char, Range<usize>)> {
        let mut column = 0;
        self.body().char_indices().map(move |(at, letter)| {
            let begin = column;
            column += match letter {
                '\t' => TAB - column % TAB,
                _ => letter.width().unwrap_or(0),
            };
            (at, letter, begin..column)
        })
    }

    fn width(&self) -> usize {
        self.columns()
            .last()
            .map_or(0, |(_, _, columns)| columns.end)
    }

    /// Finds the first column to be shown, so that the label is among them.
    fn shift(&self, label: &Range<usize>, width: usize) -> usize {
        let column_of = |byte: usize| {
            let byte = byte.saturating_sub(self.start);
            let found = self.columns().find(|(at, _, _)| *at >= byte);
            found.map_or_else(|| self.width(), |(_, _, columns)| columns.start)
        };
        let (begin, end) = (column_of(label.start), column_of(label.end));
        if self.width() <= width || end + 1 < width {
            return 0;
        }
        // A third of the width stands before the label, or more where the label is short.
        let length = (end - begin).min(width * 2 / 3);
        let shift = begin.saturating_sub(width.saturating_sub(length + 2).min(width / 3));
        shift.min(self.width() - width)
    }

    /// Writes the columns that are shown, and where the label is in them.
    fn write(&self, shift: usize, width: usize, label: Option<Range<usize>>, to: &mut Excerpt) {
        let is_cut = shift > 0 || self.width() > width;
        let start = to.text.len();
        if !is_cut {
            to.text.push_str(self.body());
            to.text.push('\n');
            if let Some(label) = label {
                let end = to.text.len();
                to.label = (start + label.start).min(end)..(start + label.end).min(end);
            }
            return;
        }
        // One column at each end is for the sign that something is left out.
        let first = if shift > 0 { shift + 1 } else { 0 };
        let whole = self.width() <= shift + width;
        let last = if whole {
            shift + width
        } else {
            shift + width - 1
        };
        if shift > 0 && !self.text.is_empty() {
            to.text.push(CUT);
        }
        let (mut from, mut until) = (None, None);
        for (at, letter, columns) in self.columns() {
            if columns.start < first || columns.end > last {
                continue;
            }
            if label.as_ref().is_some_and(|label| label.start <= at) {
                from = from.or(Some(to.text.len()));
            }
            if label.as_ref().is_some_and(|label| label.end <= at) {
                until = until.or(Some(to.text.len()));
            }
            match letter {
                // The columns of what is cut are not those of the line.
                '\t' => to.text.extend(std::iter::repeat_n(' ', columns.len())),
                _ => to.text.push(letter),
            }
        }
        let end = to.text.len();
        if !whole {
            to.text.push(CUT);
        }
        to.text.push('\n');
        if label.is_some() {
            let from = from.unwrap_or(end);
            to.label = from..until.unwrap_or(end).max(from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts lines to 24 columns, of which 19 are for the text.
    #[track_caller]
    fn check(lines: &str, label: &str, expected: &str, labelled: &str) {
        let start = lines.find(label).unwrap();
        let line = lines[..start].matches('\n').count();
        let excerpt = Excerpt::cut(lines, line, start..start + label.len(), 24);
        assert_eq!(excerpt.text, expected);
        assert_eq!(&excerpt.text[excerpt.label.clone()], labelled);
        assert_eq!(excerpt.first_line, 0);
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        check("a: 1\n\tb: 2\n", "b", "a: 1\n\tb: 2\n", "b");
        check("a: 1", "1", "a: 1\n", "1");
        check("a: 1\r\nb: 2\r\n", "b", "a: 1\nb: 2\n", "b");
        check("0123456789abcdefghi\n", "i", "0123456789abcdefghi\n", "i");
    }

    #[test]
    fn what_is_too_long_is_cut_on_both_sides_of_what_is_wrong() {
        let line = "0123456789abcdefghijklmnopqrstuvwxyz\n";
        check(line, "12", "0123456789abcdefgh…\n", "12");
        check(line, "op", "…ijklmnopqrstuvwxyz\n", "op");
        check(line, "kl", "…fghijklmnopqrstuv…\n", "kl");
        check(
            line,
            "abcdefghijklmnopqrst",
            "…6789abcdefghijklm…\n",
            "abcdefghijklm",
        );
        check(
            "short\n0123456789abcdefghijklmnopqrstuvwxyz\n",
            "kl",
            "…\n…fghijklmnopqrstuv…\n",
            "kl",
        );
    }

    #[test]
    fn wide_letters_and_tabs_take_the_columns_that_they_are_drawn_in() {
        let wide = "\u{4e2d}".repeat(20);
        let cut = format!("…{}x\n", "\u{4e2d}".repeat(8));
        check(&format!("{wide}x\n"), "x", &cut, "x");
        check("\t\t\t\t\t\tx\n", "x", "…                x\n", "x");
    }
}

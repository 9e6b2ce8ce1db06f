//! Events on their way in: from JSON text to events, one at a time and in bounded memory.
//!
//! An input is lines, each with one event, or one document over many lines: an event, several, or
//! a list of them. Its first two lines tell which.

use std::io::{self, BufRead, Read};

use serde::de::IgnoredAny;
use serde_json::{Deserializer, Value, json};
use workflow_notify::core::event::wire;
use workflow_notify::core::{Code, Path, Problem, Problems, Registry, WorkflowEnded};

/// The most bytes of a line, or of a document. Far more than is kept of any event.
pub(crate) const MOST: usize = 32 * 1024 * 1024;

/// What stands at one place of the input.
#[derive(Debug)]
pub(crate) struct Found {
    /// The line on which it begins, counted from one.
    pub(crate) line: u64,
    /// How many bytes were read for it.
    pub(crate) bytes: usize,
    /// The event, or everything that is wrong with it.
    pub(crate) event: Result<WorkflowEnded, Problems>,
}

/// Reads an input to its end, or until nobody takes more.
pub(crate) fn read(
    from: impl BufRead,
    registry: &Registry,
    take: impl FnMut(Found) -> bool,
) -> io::Result<()> {
    let mut lines = Lines { from, number: 0 };
    let mut reader = Reader {
        registry,
        take,
        wanted: true,
    };
    if let Some(first) = lines.next_with_text()? {
        if first.is_unfinished() {
            reader.document_or_lines(&mut lines, first)?;
        } else {
            reader.line(&first);
        }
    }
    while reader.wanted {
        match lines.next()? {
            Some(line) => reader.line(&line),
            None => break,
        }
    }
    Ok(())
}

/// A line with its number. One that is too long has no text.
struct Line {
    number: u64,
    text: Option<Vec<u8>>,
}

impl Line {
    fn is_blank(&self) -> bool {
        let text = self.text.as_deref();
        text.is_some_and(|text| text.trim_ascii().is_empty())
    }

    /// Tells whether this is JSON that goes on in the next line.
    fn is_unfinished(&self) -> bool {
        let text = self.text.as_deref().unwrap_or_default();
        serde_json::from_slice::<IgnoredAny>(text).is_err_and(|err| err.is_eof())
    }

    fn is_list(&self) -> bool {
        let text = self.text.as_deref().unwrap_or_default();
        text.trim_ascii_start().starts_with(b"[")
    }

    /// Tells whether this is an object that begins where a line of its own begins.
    fn stands_alone(&self) -> bool {
        let text = self.text.as_deref().unwrap_or_default();
        text.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(text).is_ok()
    }
}

struct Lines<R> {
    from: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Gives the next line with its end, as far as it has one.
    fn next(&mut self) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        let bound = u64::try_from(MOST).unwrap_or(u64::MAX);
        let read = self
            .from
            .by_ref()
            .take(bound.saturating_add(1))
            .read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let number = self.number;
        if text.len() > MOST && !text.ends_with(b"\n") {
            drop(text);
            self.from.skip_until(b'\n')?;
            return Ok(Some(Line { number, text: None }));
        }
        if number == 1 && text.starts_with(b"\xef\xbb\xbf") {
            // The mark that some editors put before UTF-8.
            text.drain(..3);
        }
        let text = Some(text);
        Ok(Some(Line { number, text }))
    }

    fn next_with_text(&mut self) -> io::Result<Option<Line>> {
        loop {
            match self.next()? {
                Some(line) if line.is_blank() => {}
                line => return Ok(line),
            }
        }
    }

    /// Adds the rest of the input to a text, and tells whether it had room.
    fn rest(&mut self, text: &mut Vec<u8>) -> io::Result<bool> {
        let room = (MOST + 1).saturating_sub(text.len());
        let room = u64::try_from(room).unwrap_or(u64::MAX);
        self.from.by_ref().take(room).read_to_end(text)?;
        Ok(text.len() <= MOST)
    }
}

struct Reader<'a, F> {
    registry: &'a Registry,
    take: F,
    /// Whether somebody takes more.
    wanted: bool,
}

impl<F: FnMut(Found) -> bool> Reader<'_, F> {
    /// Goes on after a first line that ends within a value: the beginning of a document, or a line
    /// that was cut off before others that are whole.
    fn document_or_lines<R: BufRead>(
        &mut self,
        lines: &mut Lines<R>,
        first: Line,
    ) -> io::Result<()> {
        let mut blank = Vec::new();
        let second = loop {
            match lines.next()? {
                Some(line) if line.is_blank() => blank.extend(line.text.unwrap_or_default()),
                line => break line,
            }
        };
        let Some(second) = second else {
            self.line(&first);
            return Ok(());
        };
        if second.text.is_none() || (second.stands_alone() && !first.is_list()) {
            self.line(&first);
            self.line(&second);
            return Ok(());
        }
        let mut text = first.text.unwrap_or_default();
        text.append(&mut blank);
        text.extend(second.text.unwrap_or_default());
        if lines.rest(&mut text)? {
            self.document(first.number, &text);
        } else {
            self.too_long(first.number);
            self.wanted = false;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line) {
        let Some(text) = &line.text else {
            return self.too_long(line.number);
        };
        if line.is_blank() {
            return;
        }
        match serde_json::from_slice(text) {
            Ok(value) => self.value(line.number, text.len(), value),
            Err(err) => self.no_json(line.number, text.len(), &err),
        }
    }

    fn document(&mut self, first: u64, text: &[u8]) {
        let mut values = Deserializer::from_slice(text).into_iter::<Value>();
        let mut lines = LineOf::new(first, text);
        while self.wanted {
            let before = values.byte_offset();
            let Some(value) = values.next() else {
                return;
            };
            let bytes = values.byte_offset() - before;
            match value {
                Ok(value) => self.value(lines.of(before), bytes, value),
                Err(err) => {
                    let line = u64::try_from(err.line()).unwrap_or(0);
                    let line = first + line.saturating_sub(1);
                    return self.no_json(line, text.len() - before, &err);
                }
            }
        }
    }

    /// Takes an event, or each of a list.
    fn value(&mut self, line: u64, bytes: usize, value: Value) {
        let Value::Array(events) = value else {
            return self.event(line, bytes, &Path::root(), value);
        };
        let share = bytes / events.len().max(1);
        for (index, event) in events.into_iter().enumerate() {
            if self.wanted {
                self.event(line, share, &Path::root().then(index), event);
            }
        }
    }

    fn event(&mut self, line: u64, bytes: usize, place: &Path, mut value: Value) {
        if let Value::Object(event) = &mut value {
            // Who writes events by hand means the first version.
            event.entry("version").or_insert(json!(1));
        }
        let event = wire::WorkflowEnded::read(value).and_then(|event| event.load(self.registry));
        let mut problems = Problems::none();
        let event = match problems.absorb(place, event) {
            Some(event) => Ok(event),
            None => Err(problems),
        };
        self.give(Found { line, bytes, event });
    }

    fn no_json(&mut self, line: u64, bytes: usize, err: &serde_json::Error) {
        let place = format!(" at line {} column {}", err.line(), err.column());
        let what = err.to_string().replace(&place, "");
        let column = match err.column() {
            _ if err.is_eof() => String::new(),
            column => format!(" at column {column}"),
        };
        let message = format!("this does not read as JSON: {what}{column}");
        let help = "write one event a line, as `{\"workflow\": …, \"execution\": …, \"phase\": …}`";
        let problem = Problem::new(Code::SYNTAX, Path::root(), message).help(help);
        self.give(Found {
            line,
            bytes,
            event: Err(problem.into()),
        });
    }

    fn too_long(&mut self, line: u64) {
        let most = MOST / 1024 / 1024;
        let message = format!("this is longer than {most} MiB");
        let help = "write one event a line, and leave out what nobody reads in a message";
        let problem = Problem::new(Code::TOO_LARGE, Path::root(), message).help(help);
        self.give(Found {
            line,
            bytes: 0,
            event: Err(problem.into()),
        });
    }

    fn give(&mut self, found: Found) {
        self.wanted = self.wanted && (self.take)(found);
    }
}

/// Finds the lines on which values of a document begin, in one walk.
struct LineOf<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> LineOf<'a> {
    fn new(line: u64, text: &'a [u8]) -> Self {
        Self { text, at: 0, line }
    }

    /// Gives the line of the value that begins at or after a place behind the last one.
    fn of(&mut self, place: usize) -> u64 {
        let rest = self.text.get(place..).unwrap_or_default();
        let blank = rest.len() - rest.trim_ascii_start().len();
        let begin = place + blank;
        let passed = self.text.get(self.at..begin).unwrap_or_default();
        let breaks = passed.split(|byte| *byte == b'\n').count() - 1;
        self.line += u64::try_from(breaks).unwrap_or(0);
        self.at = begin;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"workflow":"etl","execution":{"project":"p","domain":"d","name":"n"},"phase":"failed"}"#;

    /// The lines of what was found, with the places of what is wrong there.
    fn found(input: &[u8]) -> Vec<(u64, Vec<String>)> {
        let registry = Registry::discover().unwrap();
        let mut all = Vec::new();
        let take = |found: Found| {
            let problems = match found.event {
                Ok(event) => {
                    assert_eq!(event.workflow.as_str(), "etl");
                    Vec::new()
                }
                Err(problems) => problems.iter().map(ToString::to_string).collect(),
            };
            all.push((found.line, problems));
            true
        };
        read(input, &registry, take).unwrap();
        all
    }

    fn good(lines: &[u64]) -> Vec<(u64, Vec<String>)> {
        lines.iter().map(|line| (*line, Vec::new())).collect()
    }

    fn pretty() -> String {
        serde_json::to_string_pretty(&serde_json::from_str::<Value>(EVENT).unwrap()).unwrap()
    }

    #[test]
    fn every_form_of_input_is_read() {
        let pretty = pretty();
        let height = u64::try_from(pretty.lines().count()).unwrap();
        let table = [
            (String::new(), vec![]),
            ("\n \r\n".to_owned(), vec![]),
            (EVENT.to_owned(), vec![1]),
            (format!("{EVENT}\r\n\n{EVENT}\n"), vec![1, 3]),
            (format!("\u{feff}{EVENT}\n{EVENT}"), vec![1, 2]),
            (pretty.clone(), vec![1]),
            (format!("\n\n{pretty}\n\n{pretty}\n"), vec![3, 4 + height]),
            (format!("[{EVENT},{EVENT}]"), vec![1, 1]),
            (format!("[\n{EVENT}\n]"), vec![1]),
            (format!("[\n{EVENT},\n{EVENT}\n]\n"), vec![1, 1]),
            (format!("[{pretty},{pretty}]"), vec![1, 1]),
            ("[]".to_owned(), vec![]),
        ];
        for (input, lines) in table {
            assert_eq!(found(input.as_bytes()), good(&lines), "{input}");
        }
    }

    #[test]
    fn what_does_not_read_is_refused_at_its_line_and_the_rest_is_read() {
        let cut = &EVENT[..40];
        let input = format!("{cut}\n{EVENT}\nno\n[1]\n\0\u{fffd}\n{EVENT}\n{cut}");
        let all = found(input.as_bytes());
        let lines: Vec<u64> = all.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7]);
        for (line, problems) in &all {
            assert_eq!(problems.is_empty(), matches!(line, 2 | 6), "{line}");
        }
        assert!(
            all[2].1[0].contains("JSON: expected ident at column 2"),
            "{all:?}"
        );
        assert!(all[3].1[0].starts_with("[0]: an event is a map"), "{all:?}");
    }

    #[test]
    fn a_broken_document_is_refused_where_it_breaks() {
        let broken = pretty().replace("\"phase\"", "phase");
        let line = broken
            .lines()
            .position(|line| line.contains("phase"))
            .unwrap();
        let all = found(format!("{broken}\n").as_bytes());
        let [(found, problems)] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert_eq!(*found, u64::try_from(line + 1).unwrap());
        assert!(problems[0].contains("key must be a string"), "{problems:?}");
    }

    #[test]
    fn what_is_too_long_is_refused_without_being_kept_and_the_rest_is_read() {
        let endless = || io::repeat(b'x').take(3 * u64::try_from(MOST).unwrap());
        let rest = format!("\n{EVENT}\n");
        let input = io::BufReader::new(endless().chain(rest.as_bytes()));
        let mut lines = Vec::new();
        let registry = Registry::discover().unwrap();
        let take = |found: Found| {
            lines.push((found.line, found.event.is_ok()));
            true
        };
        read(input, &registry, take).unwrap();
        assert_eq!(lines, [(1, false), (2, true)]);

        let document = io::BufReader::new("{\n\"a\":\n".as_bytes().chain(endless()));
        let mut refused = Vec::new();
        let take = |found: Found| {
            refused.push(found.event.unwrap_err().to_string());
            true
        };
        read(document, &registry, take).unwrap();
        assert!(refused[0].contains("longer than 32 MiB"), "{refused:?}");
    }

    #[test]
    fn nothing_is_read_that_nobody_takes() {
        let input = format!("{EVENT}\n").repeat(3);
        let mut taken = 0;
        let take = |_| {
            taken += 1;
            taken < 2
        };
        read(input.as_bytes(), &Registry::discover().unwrap(), take).unwrap();
        assert_eq!(taken, 2);
    }
}

//! Problems with files as people read them: place, line, caret, help.

use std::fmt;
use std::io::Write;

use miette::{
    Diagnostic as _, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError,
    MietteSpanContents, Severity, SourceCode, SourceSpan, SpanContents, ThemeCharacters,
    ThemeStyles,
};
use workflow_notify::files::Diagnostic;

/// How wide a terminal may be taken to be.
const WIDTH: usize = 80;

/// Draws problems on standard error.
pub(crate) fn draw<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) {
    let theme = GraphicalTheme {
        characters: ThemeCharacters::unicode(),
        styles: ThemeStyles::ansi(),
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH);
    let mut text = String::new();
    for diagnostic in diagnostics {
        // Writing into a string cannot fail.
        handler.render_report(&mut text, &Drawn(diagnostic)).ok();
        text.push('\n');
    }
    // The stream takes the colours out where nobody would see them.
    anstream::stderr().write_all(text.as_bytes()).ok();
}

/// A problem whose column is counted in characters, as editors do, and not in bytes.
#[derive(Debug)]
struct Drawn<'a>(&'a Diagnostic);

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        miette::Diagnostic::code(self.0)
    }

    fn severity(&self) -> Option<Severity> {
        self.0.severity()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        miette::Diagnostic::help(self.0)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.source_code().map(|_| self as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.0.labels()
    }
}

impl SourceCode for Drawn<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let source = self.0.source_code().ok_or(MietteError::OutOfBounds)?;
        let read = source.read_span(span, lines_before, lines_after)?;
        let column = match self.0.position() {
            Some((line, column)) if line == read.line() + 1 && lines_before == 0 => column - 1,
            _ => read.column(),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.0.file().to_owned(),
            read.data(),
            *read.span(),
            read.line(),
            column,
            read.line_count(),
        )))
    }
}

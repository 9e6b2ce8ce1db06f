//! Problems with files as people read them: place, line, caret, help.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, Severity,
    SourceCode, SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};
use workflow_notify::files::Diagnostic;

use crate::excerpt::Excerpt;
use crate::report::inert;

/// How wide a terminal may be taken to be.
const WIDTH: usize = 80;

/// Draws problems on standard error.
pub(crate) fn draw<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) {
    let theme = GraphicalTheme {
        characters: ThemeCharacters::unicode(),
        styles: ThemeStyles::ansi(),
    };
    let text = drawn(theme, diagnostics);
    // The stream takes the colours out where nobody would see them.
    anstream::stderr().write_all(text.as_bytes()).ok();
}

fn drawn<'a>(
    theme: GraphicalTheme,
    diagnostics: impl IntoIterator<Item = &'a Diagnostic>,
) -> String {
    let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH);
    let mut text = String::new();
    for diagnostic in diagnostics {
        let drawn = Drawn {
            diagnostic,
            excerpt: Excerpt::of(diagnostic, WIDTH),
        };
        // Writing into a string cannot fail.
        handler.render_report(&mut text, &drawn).ok();
        text.push('\n');
    }
    text
}

/// Makes one line of a text: a name of a file that is quoted can break lines too.
fn line(text: &str) -> String {
    inert(text).replace('\n', "\\n")
}

/// A problem whose column is counted in characters, as editors do, and not in bytes, with as much of
/// its lines as fits.
#[derive(Debug)]
struct Drawn<'a> {
    diagnostic: &'a Diagnostic,
    excerpt: Option<Excerpt>,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(self.diagnostic.message()))
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        miette::Diagnostic::code(self.diagnostic)
    }

    fn severity(&self) -> Option<Severity> {
        self.diagnostic.severity()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help: Cow<'a, str> = inert(self.diagnostic.help()?);
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt.as_ref().map(|_| self as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = self.excerpt.as_ref()?.label.clone();
        Some(Box::new(std::iter::once(LabeledSpan::underline(label))))
    }
}

impl SourceCode for Drawn<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let excerpt = self.excerpt.as_ref().ok_or(MietteError::OutOfBounds)?;
        let read = excerpt.text.read_span(span, lines_before, lines_after)?;
        let column = match self.diagnostic.position() {
            Some((_, column)) if lines_before == 0 => column - 1,
            _ => read.column(),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            line(self.diagnostic.file()),
            read.data(),
            *read.span(),
            excerpt.first_line + read.line(),
            column,
            read.line_count(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use workflow_notify::core::Registry;
    use workflow_notify::files::{Definitions, Source};

    use super::*;

    /// Draws what is wrong with a definition, without colours.
    fn check(name: &str, text: &str) -> String {
        let registry = Registry::discover().unwrap();
        let found = Definitions::parse(&registry, [Source::new(name, text)]).unwrap_err();
        drawn(GraphicalTheme::unicode_nocolor(), &found)
    }

    #[test]
    fn of_a_long_line_as_much_is_shown_as_a_terminal_has_columns() {
        let long = "x".repeat(100);
        let flow = format!(
            "{{workflow: {long}, notifications: [{{phases: faild, email: me@example.com}}], y: {long}}}\n"
        );
        insta::assert_snapshot!(check("a.yaml", &format!("# {long}\n{flow}# short\n")));
    }

    #[test]
    fn the_name_of_a_file_steers_no_terminal() {
        let text = check("g/\u{1b}[31mred\n\u{202e}.yaml", "workflow: a\n");
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text:?}"
        );
        assert!(text.contains("g/\\u{1b}[31mred\\n\\u{202e}.yaml"), "{text}");
    }
}

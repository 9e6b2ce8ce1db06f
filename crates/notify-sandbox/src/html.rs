//! HTML that untrusted text cannot become part of.
//!
//! INVARIANT: markup is written in this program; every other string goes through
//! [`Html::text`] and is escaped.

/// A piece of HTML under construction.
#[derive(Debug, Default)]
pub(crate) struct Html(String);

impl Html {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds markup; being `'static`, it cannot come from a message.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, fit for element content and quoted attribute values alike.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    pub(crate) fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        self.0.push_str(&number.into().to_string());
        self
    }

    /// Adds a link, or only its text where the target is not one to follow.
    pub(crate) fn link(&mut self, target: &str, label: &str) -> &mut Self {
        let scheme = target
            .split_once(':')
            .map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("http" | "https" | "mailto")) {
            return self.text(label);
        }
        self.raw("<a target=\"_blank\" rel=\"noopener noreferrer\" href=\"")
            .text(target)
            .raw("\">")
            .text(label)
            .raw("</a>")
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let mut html = Html::new();
        html.raw("<p title=\"").text("\"><script>'&").raw("\">");
        assert_eq!(
            html.into_string(),
            "<p title=\"&quot;&gt;&lt;script&gt;&#39;&amp;\">"
        );
    }

    #[test]
    fn only_web_and_mail_links_are_links() {
        for target in [
            "javascript:alert(1)",
            "data:text/html,x",
            "//x",
            "JAVASCRIPT:1",
            "",
        ] {
            let mut html = Html::new();
            html.link(target, "label");
            assert_eq!(html.into_string(), "label", "{target}");
        }
        let mut html = Html::new();
        html.link("HTTPS://example.com/\"x", "label");
        assert!(
            html.into_string()
                .contains("href=\"HTTPS://example.com/&quot;x\"")
        );
    }
}

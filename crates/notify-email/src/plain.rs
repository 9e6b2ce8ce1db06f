//! HTML of an author as plain text that reads alone.
//!
//! It knows of HTML what mails are made of. Whatever else there is loses its tags and keeps its
//! text.

use notify_core::content::is_link;

/// Elements whose content nobody sees.
const UNSEEN: [&str; 5] = ["head", "script", "style", "template", "title"];

/// Elements that stand on lines of their own.
const BLOCKS: [&str; 16] = [
    "address", "article", "br", "center", "dd", "div", "dt", "footer", "header", "hr", "li",
    "main", "ol", "section", "tr", "ul",
];

/// Elements with an empty line before and after them.
const APART: [&str; 11] = [
    "blockquote",
    "dl",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "p",
    "pre",
    "table",
];

/// The entities that people write by name.
const ENTITIES: [(&str, &str); 29] = [
    ("Auml", "Ä"),
    ("Ouml", "Ö"),
    ("Uuml", "Ü"),
    ("amp", "&"),
    ("apos", "'"),
    ("auml", "ä"),
    ("bull", "•"),
    ("copy", "©"),
    ("eacute", "é"),
    ("egrave", "è"),
    ("euro", "€"),
    ("gt", ">"),
    ("hellip", "…"),
    ("laquo", "«"),
    ("ldquo", "“"),
    ("lsquo", "‘"),
    ("lt", "<"),
    ("mdash", "—"),
    ("middot", "·"),
    ("nbsp", "\u{a0}"),
    ("ndash", "–"),
    ("ouml", "ö"),
    ("quot", "\""),
    ("raquo", "»"),
    ("rarr", "→"),
    ("rdquo", "”"),
    ("rsquo", "’"),
    ("szlig", "ß"),
    ("uuml", "ü"),
];

/// Writes what a reader of the HTML reads, with the addresses of its links.
pub(crate) fn text(html: &str) -> String {
    let mut page = Page::default();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        page.say(before);
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
        } else if after
            .starts_with(|letter: char| letter.is_ascii_alphabetic() || "/!?".contains(letter))
        {
            let (tag, after) = after.split_at(end_of_tag(after));
            page.pass(tag);
            rest = after.strip_prefix('>').unwrap_or(after);
        } else {
            page.say("<");
            rest = after;
        }
    }
    page.say(rest);
    page.text.trim_matches([' ', '\n']).to_owned()
}

/// Finds the end of a tag; a `>` between quotes is none.
fn end_of_tag(tag: &str) -> usize {
    let mut quote = None;
    let end = tag.char_indices().find(|(_, letter)| {
        match quote {
            Some(open) if *letter == open => quote = None,
            None if matches!(letter, '"' | '\'') => quote = Some(*letter),
            _ => {}
        }
        quote.is_none() && *letter == '>'
    });
    end.map_or(tag.len(), |(at, _)| at)
}

#[derive(Debug, Default)]
struct Page {
    text: String,
    /// The element whose content is not seen.
    unseen: Option<&'static str>,
    /// Whether spaces and line breaks stand as they are.
    is_set: bool,
    /// The address of the link that is open, and where its text begins.
    link: Option<(String, usize)>,
}

impl Page {
    /// Takes what stands between tags.
    fn say(&mut self, html: &str) {
        if self.unseen.is_some() {
            return;
        }
        let said = decoded(html);
        if self.is_set {
            self.text.push_str(&said);
            return;
        }
        for letter in said.chars() {
            let is_space = matches!(letter, ' ' | '\t' | '\n' | '\r' | '\u{c}');
            if !is_space {
                self.text.push(letter);
            } else if !self.text.ends_with([' ', '\n']) && !self.text.is_empty() {
                self.text.push(' ');
            }
        }
    }

    /// Takes a tag, without what it stands between.
    fn pass(&mut self, tag: &str) {
        let (ends, inner) = tag
            .strip_prefix('/')
            .map_or((false, tag), |inner| (true, inner));
        let name = inner
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .next();
        let name = name.unwrap_or_default().to_ascii_lowercase();
        let name = name.as_str();
        match self.unseen {
            Some(unseen) if ends && unseen == name => self.unseen = None,
            Some(_) => {}
            None if !ends => {
                self.unseen = UNSEEN.into_iter().find(|unseen| *unseen == name);
            }
            None => {}
        }
        if self.unseen.is_some() {
            return;
        }
        if APART.contains(&name) {
            self.end_line(2);
            self.is_set = name == "pre" && !ends;
        } else if name == "br" {
            self.text.truncate(self.text.trim_end_matches(' ').len());
            self.text.push('\n');
        } else if BLOCKS.contains(&name) {
            self.end_line(1);
        } else if matches!(name, "td" | "th") && !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
        match (name, ends) {
            ("li", false) => self.text.push_str("- "),
            ("a", false) => self.link = href(inner).map(|url| (url, self.text.len())),
            ("a", true) => self.end_link(),
            _ => {}
        }
    }

    /// Ends the line that is begun, and leaves so many line breaks.
    fn end_line(&mut self, breaks: usize) {
        let said = self.text.trim_end_matches(' ').len();
        self.text.truncate(said);
        if said == 0 {
            return;
        }
        let there = said - self.text.trim_end_matches('\n').len();
        self.text
            .extend(std::iter::repeat_n('\n', breaks.saturating_sub(there)));
    }

    /// Writes a link's address behind its text, unless that is the address already.
    fn end_link(&mut self) {
        let Some((url, begin)) = self.link.take() else {
            return;
        };
        let said = self.text.get(begin..).unwrap_or_default().trim();
        let plain = url.strip_prefix("mailto:").unwrap_or(&url);
        if is_link(&url) && said != url && said != plain {
            let url = if said.is_empty() {
                url
            } else {
                format!(" ({url})")
            };
            self.text.push_str(&url);
        }
    }
}

/// Reads the address out of the tag of a link.
fn href(tag: &str) -> Option<String> {
    let lower = tag.to_ascii_lowercase();
    let at = lower.find("href")?;
    let value = tag
        .get(at + 4..)?
        .trim_start()
        .strip_prefix('=')?
        .trim_start();
    let quoted = |quote: char| value.strip_prefix(quote)?.split(quote).next();
    let bare = || value.split_ascii_whitespace().next();
    let url = quoted('"').or_else(|| quoted('\'')).or_else(bare)?;
    Some(decoded(url).trim().to_owned())
}

/// Undoes the entities; what is none that is known stays as it is written.
fn decoded(html: &str) -> String {
    let mut pieces = html.split('&');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let known = piece
            .split_once(';')
            .and_then(|(name, rest)| Some((entity(name)?, rest)));
        let Some((letters, rest)) = known else {
            text.push('&');
            text.push_str(piece);
            continue;
        };
        text.push_str(&letters);
        text.push_str(rest);
    }
    text
}

fn entity(name: &str) -> Option<String> {
    if let Some(number) = name.strip_prefix('#') {
        let number = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => number.parse().ok(),
        };
        return number.and_then(char::from_u32).map(String::from);
    }
    let known = ENTITIES.into_iter().find(|(known, _)| *known == name);
    known.map(|(_, letters)| letters.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;
    use crate::body::escape_html;

    #[test]
    fn what_mails_are_made_of_reads_alone() {
        let table = [
            ("plain &amp; simple", "plain & simple"),
            (
                "<h1>nightly-etl</h1><p>See the run.</p>",
                "nightly-etl\n\nSee the run.",
            ),
            ("<p>a</p>\n  <p>b<br>c</p>", "a\n\nb\nc"),
            ("<div>a</div><div>b</div>", "a\nb"),
            (
                "one<ul>\n<li>a</li>\n<li><b>b</b></li></ul>",
                "one\n- a\n- b",
            ),
            (
                "<table><tr><th>Run</th><td>17</td></tr><tr><td>Phase</td> <td>failed</td></tr></table>",
                "Run 17\nPhase failed",
            ),
            ("<pre>a\n  b</pre>c   d", "a\n  b\n\nc d"),
            (
                "View it <a class=x href=\"https://x.example/?a=1&amp;b=2\">here</a>.",
                "View it here (https://x.example/?a=1&b=2).",
            ),
            (
                "<a href='https://x.example/'>https://x.example/</a>",
                "https://x.example/",
            ),
            ("<a href=mailto:a@b.example>a@b.example</a>", "a@b.example"),
            ("<a href=\"javascript:x\">go</a>", "go"),
            (
                "<a href=\"https://x.example/a>b\"><img src=y></a>",
                "https://x.example/a>b",
            ),
            (
                "<html><head><title>t</title><style>p > a { x: y }</style></head><body>a<!-- <p>no --> b</body>",
                "a b",
            ),
            (
                "1 < 2 & 3 &nosuch; &#8211; &#x41;&uuml;",
                "1 < 2 & 3 &nosuch; – Aü",
            ),
            ("a<p", "a"),
            ("", ""),
        ];
        for (html, expected) in table {
            assert_eq!(text(html), expected, "{html}");
        }
    }

    proptest! {
        #[test]
        fn a_value_in_it_is_read_as_it_is(value in "[^ \\t\\r\\n\\x0c]{1,60}") {
            let read = text(&format!("<p>a {} b</p>", escape_html(&value)));
            prop_assert!(read == format!("a {value} b"), "{read}");
        }

        #[test]
        fn anything_at_all_is_read(html in "(?:\\PC|[<>&;/\"'= ]|<a href=|<pre>|</a>|&#){0,80}") {
            text(&html);
        }
    }
}

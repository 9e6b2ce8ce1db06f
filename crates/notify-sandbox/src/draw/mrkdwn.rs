//! Slack's own markup: code, links, mentions, quotes, bold, italic, strike.

use crate::draw::emoji::{emoji, known_emoji};
use crate::draw::{Slate, unescaped};
use crate::html::Html;

/// Draws text with markup.
pub(super) fn mrkdwn(slate: &mut Slate<'_>, text: &str) {
    let mut rest = text;
    let mut is_line_start = true;
    while let Some(start) = rest.find("```") {
        let (before, marked) = rest.split_at(start);
        let Some((inside, after)) = between(marked, "```", "```") else {
            break;
        };
        lines(slate, before, is_line_start);
        slate
            .html
            .raw("<pre>")
            .text(unescaped(inside).trim_matches('\n'))
            .raw("</pre>");
        rest = after;
        is_line_start = false;
    }
    lines(slate, rest, is_line_start);
}

/// Draws text outside code, in which a line that begins with `>` is quoted.
///
/// The vendor takes the escaped sign for one too.
fn lines(slate: &mut Slate<'_>, text: &str, is_line_start: bool) {
    let mut plain = String::new();
    let mut quoted = String::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let mark = ["&gt;", ">"]
            .into_iter()
            .find_map(|mark| line.strip_prefix(mark));
        if let Some(line) = mark.filter(|_| is_line_start || index > 0) {
            inline(slate, &std::mem::take(&mut plain));
            quoted.push_str(line.strip_prefix(' ').unwrap_or(line));
        } else {
            quote(slate, &mut quoted);
            plain.push_str(line);
        }
    }
    quote(slate, &mut quoted);
    inline(slate, &plain);
}

fn quote(slate: &mut Slate<'_>, quoted: &mut String) {
    if !quoted.is_empty() {
        slate.html.raw("<blockquote>");
        inline(slate, quoted.trim_end_matches('\n'));
        slate.html.raw("</blockquote>");
        quoted.clear();
    }
}

fn inline(slate: &mut Slate<'_>, text: &str) {
    let mut rest = text;
    let mut before = ' ';
    while let Some(start) = rest.find(['`', '<', '*', '_', '~']) {
        let (unmarked, marked) = rest.split_at(start);
        plain(slate.html, &unescaped(unmarked));
        before = unmarked.chars().next_back().unwrap_or(before);
        let mark = marked.chars().next().unwrap_or_default();
        if let Some((inside, after)) = between(marked, "`", "`")
            && !inside.contains('\n')
        {
            slate
                .html
                .raw("<code>")
                .text(&unescaped(inside))
                .raw("</code>");
            rest = after;
        } else if let Some((inside, after)) = between(marked, "<", ">") {
            control(slate, inside);
            rest = after;
        } else if let Some((inside, after)) = emphasis(marked, before) {
            let (open, close) = match mark {
                '*' => ("<b>", "</b>"),
                '_' => ("<i>", "</i>"),
                _ => ("<s>", "</s>"),
            };
            slate.html.raw(open);
            emphasised(slate, inside);
            slate.html.raw(close);
            rest = after;
        } else {
            let (mark, after) = marked.split_at(mark.len_utf8());
            slate.html.text(mark);
            rest = after;
        }
        before = mark;
    }
    plain(slate.html, &unescaped(rest));
}

/// Markup inside emphasis: links and mentions, no deeper emphasis.
fn emphasised(slate: &mut Slate<'_>, text: &str) {
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (unmarked, marked) = rest.split_at(start);
        plain(slate.html, &unescaped(unmarked));
        let Some((inside, after)) = between(marked, "<", ">") else {
            slate.html.text(&unescaped(marked));
            return;
        };
        control(slate, inside);
        rest = after;
    }
    plain(slate.html, &unescaped(rest));
}

/// What stands between two marks at the start of `text`, and what follows.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    let (inside, after) = text.strip_prefix(open)?.split_once(close)?;
    (!inside.is_empty()).then_some((inside, after))
}

/// Emphasis runs from mark to mark on one line, and only between words.
fn emphasis(marked: &str, before: char) -> Option<(&str, &str)> {
    let mark = marked
        .chars()
        .next()
        .filter(|mark| matches!(mark, '*' | '_' | '~'))?;
    let (inside, after) = marked.strip_prefix(mark)?.split_once(mark)?;
    let is_tight = !inside.is_empty()
        && !inside.starts_with(char::is_whitespace)
        && !inside.ends_with(char::is_whitespace)
        && !inside.contains('\n');
    let is_word = before.is_alphanumeric() || after.starts_with(char::is_alphanumeric);
    (is_tight && !is_word).then_some((inside, after))
}

/// Draws `<…>`: a mention, a date or a link.
fn control(slate: &mut Slate<'_>, inside: &str) {
    let (target, label) = inside.split_once('|').unwrap_or((inside, ""));
    let label = Some(label).filter(|label| !label.is_empty());
    if let Some(user) = target.strip_prefix('@') {
        mention(slate, "@", user, label);
    } else if let Some(channel) = target.strip_prefix('#') {
        mention(slate, "#", channel, label);
    } else if target.starts_with("!date^") {
        slate.html.text(&unescaped(label.unwrap_or(target)));
    } else if let Some(group) = target.strip_prefix("!subteam^") {
        mention(slate, "@", group, label);
    } else if let Some(special) = target.strip_prefix('!') {
        mention(slate, "@", special, label);
    } else {
        let label = label.unwrap_or(target);
        slate.html.link(&unescaped(target), &unescaped(label));
    }
}

/// Draws a mention; one that pings everybody stands out.
pub(super) fn mention(slate: &mut Slate<'_>, sign: &'static str, id: &str, label: Option<&str>) {
    let name = match label {
        // Labels of user groups come with their sign.
        Some(label) => unescaped(label.strip_prefix(sign).unwrap_or(label)),
        None => slate.workspace.mentioned(id),
    };
    slate
        .html
        .raw(if matches!(id, "here" | "channel" | "everyone") {
            "<span class=\"mention all\">"
        } else {
            "<span class=\"mention\">"
        })
        .raw(sign)
        .text(&name)
        .raw("</span>");
}

/// Draws text with its `:name:` emoji.
pub(super) fn plain(html: &mut Html, text: &str) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(':') {
        html.text(before);
        match after.split_once(':') {
            Some((name, after)) if known_emoji(name).is_some() => {
                emoji(html, name);
                rest = after;
            }
            _ => {
                html.raw(":");
                rest = after;
            }
        }
    }
    html.text(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slack::Workspace;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut html = Html::new();
        let workspace = Workspace::default();
        let mut slate = Slate {
            html: &mut html,
            workspace: &workspace,
        };
        mrkdwn(&mut slate, text);
        assert_eq!(html.into_string(), expected);
    }

    #[test]
    fn mrkdwn_is_drawn() {
        check(
            "*bold* _it_ ~no~ `co<de`",
            "<b>bold</b> <i>it</i> <s>no</s> <code>co&lt;de</code>",
        );
        check("a ```x\n*y*``` b", "a <pre>x\n*y*</pre> b");
        check(
            "<@U1> <#C1|ops> <!subteam^S1|@dba> <!subteam^S0SANDBOX>",
            concat!(
                "<span class=\"mention\">@U1</span> <span class=\"mention\">#ops</span> ",
                "<span class=\"mention\">@dba</span> <span class=\"mention\">@on-call</span>"
            ),
        );
        check("<!here>", "<span class=\"mention all\">@here</span>");
        check(":bell: 12:30:45 :nope:", "🔔 12:30:45 :nope:");
    }

    #[test]
    fn quoted_lines_stand_together() {
        check(
            "said:\n&gt; *one*\n>two\nend",
            "said:\n<blockquote><b>one</b>\ntwo</blockquote>end",
        );
        check("a ```b```> c", "a <pre>b</pre>&gt; c");
        check("5 > 4", "5 &gt; 4");
    }

    #[test]
    fn what_only_looks_like_markup_stays_text() {
        check("snake_case_name 2*3*4 * a *", "snake_case_name 2*3*4 * a *");
        check("&lt;script&gt; &amp;amp;", "&lt;script&gt; &amp;amp;");
        check("a < b `", "a &lt; b `");
        check("<javascript:alert(1)|x>", "x");
        check("``` open", "``` open");
    }
}

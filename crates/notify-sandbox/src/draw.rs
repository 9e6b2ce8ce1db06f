//! Draws a Slack message roughly as Slack does, to judge it by eye.

use serde_json::Value;

use crate::html::Html;

/// Draws the body of a `chat.postMessage` or of a webhook.
pub(crate) fn slack(html: &mut Html, payload: &Value) {
    let author = string(payload, "username").unwrap_or("workflows");
    html.raw("<div class=\"slack-message\"><div class=\"author\">");
    if let Some(icon) = string(payload, "icon_emoji") {
        emoji(html, icon.trim_matches(':'));
        html.raw(" ");
    }
    html.text(author)
        .raw(" <span class=\"app\">APP</span></div>");
    let text = string(payload, "text").unwrap_or_default();
    let blocks = list(payload, "blocks");
    if !blocks.is_empty() {
        draw_blocks(html, blocks);
    } else if payload.get("mrkdwn") == Some(&Value::Bool(false)) {
        html.raw("<p>").text(&unescaped(text)).raw("</p>");
    } else if !text.is_empty() {
        html.raw("<p>");
        mrkdwn(html, text);
        html.raw("</p>");
    } else if let Some(markdown) = string(payload, "markdown_text") {
        html.raw("<pre class=\"markdown\">")
            .text(markdown)
            .raw("</pre>");
    }
    for attachment in list(payload, "attachments") {
        draw_attachment(html, attachment);
    }
    if !blocks.is_empty() && !text.is_empty() {
        html.raw("<p class=\"fallback\"><b>Notification text:</b> ")
            .text(&unescaped(text))
            .raw("</p>");
    }
    html.raw("</div>");
}

fn draw_blocks(html: &mut Html, blocks: &[Value]) {
    for block in blocks {
        draw_block(html, block);
    }
}

fn draw_block(html: &mut Html, block: &Value) {
    match string(block, "type").unwrap_or_default() {
        "header" => {
            html.raw("<div class=\"header\">");
            text_object(html, block.get("text"));
            html.raw("</div>");
        }
        "section" => {
            html.raw("<div class=\"section\">");
            if block.get("text").is_some() {
                html.raw("<p>");
                text_object(html, block.get("text"));
                html.raw("</p>");
            }
            if let Some(accessory) = block.get("accessory") {
                element(html, accessory);
            }
            let fields = list(block, "fields");
            if !fields.is_empty() {
                html.raw("<div class=\"fields\">");
                for field in fields {
                    html.raw("<div>");
                    text_object(html, Some(field));
                    html.raw("</div>");
                }
                html.raw("</div>");
            }
            html.raw("</div>");
        }
        "context" => {
            html.raw("<div class=\"context\">");
            for item in list(block, "elements") {
                html.raw("<span>");
                if string(item, "type") == Some("image") {
                    image(html, item);
                } else {
                    text_object(html, Some(item));
                }
                html.raw("</span> ");
            }
            html.raw("</div>");
        }
        "actions" | "context_actions" => {
            html.raw("<div class=\"actions\">");
            for item in list(block, "elements") {
                element(html, item);
            }
            html.raw("</div>");
        }
        "rich_text" => {
            for item in list(block, "elements") {
                rich_text(html, item);
            }
        }
        "divider" => {
            html.raw("<hr>");
        }
        "image" => image(html, block),
        "markdown" => {
            let text = string(block, "text").unwrap_or_default();
            html.raw("<pre class=\"markdown\">")
                .text(text)
                .raw("</pre>");
        }
        kind => {
            html.raw("<p class=\"fallback\">[")
                .text(kind)
                .raw(" block]</p>");
        }
    }
}

fn draw_attachment(html: &mut Html, attachment: &Value) {
    if let Some(pretext) = string(attachment, "pretext") {
        html.raw("<p>");
        mrkdwn(html, pretext);
        html.raw("</p>");
    }
    html.raw("<div class=\"attachment\"");
    if let Some(color) = string(attachment, "color").and_then(color) {
        html.raw(" style=\"border-left-color: ")
            .text(&color)
            .raw("\"");
    }
    html.raw(">");
    if let Some(author) = string(attachment, "author_name") {
        html.raw("<p class=\"fallback\">").text(author).raw("</p>");
    }
    if let Some(title) = string(attachment, "title") {
        html.raw("<p><b>");
        match string(attachment, "title_link") {
            Some(target) => html.link(target, &unescaped(title)),
            None => html.text(&unescaped(title)),
        };
        html.raw("</b></p>");
    }
    if let Some(text) = string(attachment, "text") {
        html.raw("<p>");
        mrkdwn(html, text);
        html.raw("</p>");
    }
    let fields = list(attachment, "fields");
    if !fields.is_empty() {
        html.raw("<div class=\"fields\">");
        for field in fields {
            html.raw("<div><b>")
                .text(string(field, "title").unwrap_or_default())
                .raw("</b><br>");
            mrkdwn(html, string(field, "value").unwrap_or_default());
            html.raw("</div>");
        }
        html.raw("</div>");
    }
    draw_blocks(html, list(attachment, "blocks"));
    let is_bare = ["text", "title", "blocks", "fields"]
        .into_iter()
        .all(|name| attachment.get(name).is_none());
    if is_bare && let Some(fallback) = string(attachment, "fallback") {
        html.raw("<p>").text(&unescaped(fallback)).raw("</p>");
    }
    if let Some(footer) = string(attachment, "footer") {
        html.raw("<div class=\"context\">")
            .text(&unescaped(footer))
            .raw("</div>");
    }
    html.raw("</div>");
}

/// Draws an interactive element; of those other than buttons only what it is.
fn element(html: &mut Html, element: &Value) {
    let label = element.get("text").and_then(|text| string(text, "text"));
    let label = label
        .or_else(|| string(element, "type"))
        .unwrap_or_default();
    html.raw("<span class=\"button");
    match string(element, "style") {
        Some("primary") => html.raw(" primary"),
        Some("danger") => html.raw(" danger"),
        _ => html,
    };
    html.raw("\">");
    match string(element, "url") {
        Some(target) => html.link(target, label),
        None => html.text(label),
    };
    html.raw("</span>");
}

/// Images are named only: the page loads nothing from elsewhere.
fn image(html: &mut Html, image: &Value) {
    let name = string(image, "alt_text").unwrap_or_default();
    html.raw("<span class=\"fallback\">[image: ")
        .text(name)
        .raw("]</span>");
}

fn rich_text(html: &mut Html, part: &Value) {
    let elements = list(part, "elements");
    match string(part, "type").unwrap_or_default() {
        "rich_text_list" => {
            let is_ordered = string(part, "style") == Some("ordered");
            let indent = part
                .get("indent")
                .and_then(Value::as_u64)
                .unwrap_or(0)
                .min(8);
            html.raw(if is_ordered { "<ol" } else { "<ul" });
            html.raw(" style=\"margin-left: ")
                .number(indent * 24)
                .raw("px\">");
            for item in elements {
                html.raw("<li>");
                rich_text_elements(html, list(item, "elements"));
                html.raw("</li>");
            }
            html.raw(if is_ordered { "</ol>" } else { "</ul>" });
        }
        "rich_text_preformatted" => {
            html.raw("<pre>");
            rich_text_elements(html, elements);
            html.raw("</pre>");
        }
        "rich_text_quote" => {
            html.raw("<blockquote>");
            rich_text_elements(html, elements);
            html.raw("</blockquote>");
        }
        _ => {
            html.raw("<p>");
            rich_text_elements(html, elements);
            html.raw("</p>");
        }
    }
}

fn rich_text_elements(html: &mut Html, elements: &[Value]) {
    const STYLES: [(&str, &str, &str); 4] = [
        ("bold", "<b>", "</b>"),
        ("italic", "<i>", "</i>"),
        ("strike", "<s>", "</s>"),
        ("code", "<code>", "</code>"),
    ];
    for element in elements {
        let styles: Vec<_> = STYLES
            .iter()
            .filter(|(name, _, _)| {
                element.get("style").and_then(|style| style.get(name)) == Some(&Value::Bool(true))
            })
            .collect();
        for (_, open, _) in &styles {
            html.raw(open);
        }
        let text = string(element, "text");
        match string(element, "type").unwrap_or_default() {
            "link" => {
                let target = string(element, "url").unwrap_or_default();
                html.link(target, text.unwrap_or(target));
            }
            "user" => mention(html, "@", string(element, "user_id")),
            "usergroup" => mention(html, "@", string(element, "usergroup_id")),
            "channel" => mention(html, "#", string(element, "channel_id")),
            "broadcast" => mention(html, "@", string(element, "range")),
            "emoji" => emoji(html, string(element, "name").unwrap_or_default()),
            "date" => {
                html.text(string(element, "fallback").unwrap_or("(date)"));
            }
            _ => {
                html.text(text.unwrap_or_default());
            }
        }
        for (_, _, close) in styles.iter().rev() {
            html.raw(close);
        }
    }
}

fn text_object(html: &mut Html, object: Option<&Value>) {
    let Some(object) = object else { return };
    let text = string(object, "text").unwrap_or_default();
    if string(object, "type") == Some("mrkdwn") {
        mrkdwn(html, text);
    } else {
        with_emoji(html, text);
    }
}

/// Draws Slack's own markup: code, links, mentions, bold, italic, strike.
fn mrkdwn(html: &mut Html, text: &str) {
    let mut rest = text;
    let mut before = ' ';
    while let Some(start) = rest.find(['`', '<', '*', '_', '~']) {
        let (plain, marked) = rest.split_at(start);
        with_emoji(html, &unescaped(plain));
        before = plain.chars().next_back().unwrap_or(before);
        let mark = marked.chars().next().unwrap_or_default();
        if let Some((inside, after)) = between(marked, "```", "```") {
            html.raw("<pre>")
                .text(unescaped(inside).trim_matches('\n'))
                .raw("</pre>");
            rest = after;
        } else if let Some((inside, after)) = between(marked, "`", "`")
            && !inside.contains('\n')
        {
            html.raw("<code>").text(&unescaped(inside)).raw("</code>");
            rest = after;
        } else if let Some((inside, after)) = between(marked, "<", ">") {
            control(html, inside);
            rest = after;
        } else if let Some((inside, after)) = emphasis(marked, before) {
            let (open, close) = match mark {
                '*' => ("<b>", "</b>"),
                '_' => ("<i>", "</i>"),
                _ => ("<s>", "</s>"),
            };
            html.raw(open);
            mrkdwn_inside(html, inside);
            html.raw(close);
            rest = after;
        } else {
            let (mark, after) = marked.split_at(mark.len_utf8());
            html.text(mark);
            rest = after;
        }
        before = mark;
    }
    with_emoji(html, &unescaped(rest));
}

/// Markup inside emphasis: links and mentions, no deeper emphasis.
fn mrkdwn_inside(html: &mut Html, text: &str) {
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (plain, marked) = rest.split_at(start);
        with_emoji(html, &unescaped(plain));
        let Some((inside, after)) = between(marked, "<", ">") else {
            html.text(&unescaped(marked));
            return;
        };
        control(html, inside);
        rest = after;
    }
    with_emoji(html, &unescaped(rest));
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
fn control(html: &mut Html, inside: &str) {
    let (target, label) = inside.split_once('|').unwrap_or((inside, ""));
    let named = if label.is_empty() { target } else { label };
    if let Some(user) = target.strip_prefix('@') {
        mention(html, "@", Some(if label.is_empty() { user } else { label }));
    } else if let Some(channel) = target.strip_prefix('#') {
        mention(
            html,
            "#",
            Some(if label.is_empty() { channel } else { label }),
        );
    } else if target.starts_with("!date^") {
        html.text(&unescaped(named));
    } else if let Some(special) = target.strip_prefix('!') {
        mention(
            html,
            "@",
            Some(if label.is_empty() { special } else { label }),
        );
    } else {
        html.link(&unescaped(target), &unescaped(named));
    }
}

fn mention(html: &mut Html, sign: &'static str, name: Option<&str>) {
    // Labels of user groups come with their sign.
    let name = name.unwrap_or_default();
    let name = name.strip_prefix(sign).unwrap_or(name);
    html.raw("<span class=\"mention\">")
        .raw(sign)
        .text(name)
        .raw("</span>");
}

/// Draws text with its `:name:` emoji.
fn with_emoji(html: &mut Html, text: &str) {
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

fn emoji(html: &mut Html, name: &str) {
    match known_emoji(name) {
        Some(emoji) => html.raw(emoji),
        None => html.raw(":").text(name).raw(":"),
    };
}

/// The few emoji that notifications use.
fn known_emoji(name: &str) -> Option<&'static str> {
    Some(match name {
        "bell" => "🔔",
        "white_check_mark" | "heavy_check_mark" => "✅",
        "x" => "❌",
        "warning" => "⚠️",
        "rotating_light" => "🚨",
        "red_circle" => "🔴",
        "large_green_circle" => "🟢",
        "large_yellow_circle" => "🟡",
        "large_blue_circle" => "🔵",
        "white_circle" => "⚪",
        "no_entry" => "⛔",
        "octagonal_sign" => "🛑",
        "hourglass" => "⌛",
        "alarm_clock" => "⏰",
        "stopwatch" => "⏱️",
        "information_source" => "ℹ️",
        "robot_face" => "🤖",
        "fire" => "🔥",
        "tada" => "🎉",
        _ => return None,
    })
}

/// A colour that is safe inside a `style` attribute.
fn color(color: &str) -> Option<String> {
    match color {
        "good" => return Some("#2eb886".to_owned()),
        "warning" => return Some("#daa038".to_owned()),
        "danger" => return Some("#a30200".to_owned()),
        _ => {}
    }
    let digits = color.strip_prefix('#').unwrap_or(color);
    (matches!(digits.len(), 3 | 6) && digits.chars().all(|c| c.is_ascii_hexdigit()))
        .then(|| format!("#{digits}"))
}

/// Slack encodes these three characters and no others.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn string<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut html = Html::new();
        mrkdwn(&mut html, text);
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
            "<@U1> <#C1|ops> <!subteam^S1|@here>",
            concat!(
                "<span class=\"mention\">@U1</span> <span class=\"mention\">#ops</span> ",
                "<span class=\"mention\">@here</span>"
            ),
        );
        check(":bell: 12:30:45 :nope:", "🔔 12:30:45 :nope:");
    }

    #[test]
    fn what_only_looks_like_markup_stays_text() {
        check("snake_case_name 2*3*4 * a *", "snake_case_name 2*3*4 * a *");
        check("&lt;script&gt; &amp;amp;", "&lt;script&gt; &amp;amp;");
        check("a < b `", "a &lt; b `");
        check("<javascript:alert(1)|x>", "x");
    }

    #[test]
    fn a_colour_cannot_leave_its_attribute() {
        assert_eq!(color("#36a64f").as_deref(), Some("#36a64f"));
        assert_eq!(color("danger").as_deref(), Some("#a30200"));
        assert_eq!(color("red\"><script>"), None);
        assert_eq!(color("#12345é"), None);
    }
}

//! Messages as calls say them.

use notify_core::content::{Field, Inline};

use super::*;

const HOSTILE: [&str; 10] = [
    "<!channel> <!here> <@U12345678> <#C12345678> <https://evil.example|here>",
    "*bold* _it_ ~no~ `code` ```fence``` > quote :skull: @here #general",
    "&amp; &lt;!channel&gt; <>&\"'\\",
    "\u{0}\u{1b}[31mred\u{7f}\u{9b}\r\nnext\tcolumn",
    "👨‍👩‍👧‍👦 é \u{202e}txet",
    "{\"type\": \"mrkdwn\"}",
    "\n\n  \n",
    "",
    "{{ failure.message }} ${HOME} %s",
    "夜間バッチ",
];

fn message(text: &str) -> Message {
    let mut message = Message::new(text, Severity::Error)
        .block(Block::text(text))
        .block(Block::Items {
            ordered: false,
            items: vec![vec![Inline::plain(text)]; 2],
        })
        .block(Block::Fields(vec![Field {
            label: text.to_owned(),
            value: text.to_owned(),
        }]))
        .block(Block::Code(text.to_owned()))
        .footer(text)
        .action(text, format!("https://example.com/{text}"))
        .action(text, text);
    message.blocks.push(Block::Code(text.to_owned()));
    message
}

/// Lists all blocks of a call from top to bottom.
fn all_blocks(body: &Map<String, Value>) -> Vec<Value> {
    let above = body["blocks"].as_array().unwrap().iter();
    let below = body.get("attachments").map(|bars| &bars[0]["blocks"]);
    let below = below.and_then(Value::as_array).into_iter().flatten();
    above.chain(below).cloned().collect()
}

/// Walks every text of the blocks with the type of the object that holds it.
fn texts<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(map) => {
            if let (Some(Value::String(kind)), Some(Value::String(text))) =
                (map.get("type"), map.get("text"))
            {
                found.push((kind, text));
            }
            map.values().for_each(|item| texts(item, found));
        }
        _ => {}
    }
}

/// Lowers a message and checks what Slack would refuse or, worse, interpret.
#[track_caller]
fn check(message: &Message) -> Map<String, Value> {
    let body = content(message, &Manner::default());
    let text = body["text"].as_str().unwrap();
    assert!(!text.contains(['<', '>']) && text.encode_utf16().count() <= MAX_TEXT);
    let blocks = all_blocks(&body);
    assert!((1..=MAX_BLOCKS).contains(&blocks.len()));
    let size = escaped(&serde_json::to_string(&blocks).unwrap());
    assert!(size <= MAX_ALL, "{size}");
    let mut found = Vec::new();
    for block in &blocks {
        texts(block, &mut found);
    }
    for (kind, text) in found {
        assert!(matches!(kind, "plain_text" | "text" | "link"), "{kind}");
        assert!(!text.is_empty());
        assert!(
            !text.contains(|letter: char| letter.is_control() && letter != '\n' && letter != '\t')
        );
    }
    body
}

#[test]
fn hostile_text_stays_text() {
    for text in HOSTILE {
        check(&message(text));
    }
    let body = check(&message(HOSTILE[0]));
    assert!(
        body["text"]
            .as_str()
            .unwrap()
            .starts_with("&lt;!channel&gt; &lt;!here&gt; &lt;@U12345678&gt;")
    );
}

#[test]
fn long_text_is_cut_within_the_limits_and_says_so() {
    for text in HOSTILE {
        let long = text.repeat(500);
        check(&message(&long));
        let mut code = Message::new("failed", Severity::Error).block(Block::Code(long.clone()));
        check(&code);
        code.blocks = (0..60)
            .flat_map(|_| [Block::Code(long.clone()), Block::text(text)])
            .collect();
        check(&code);
    }
}

#[test]
fn code_keeps_its_end_and_uses_the_room_there_is() {
    let output = format!(
        "{}row 4: amount is not a number",
        "noise <&>\n".repeat(5_000)
    );
    let body = check(
        &Message::new("nightly-etl failed", Severity::Error)
            .block(Block::text("short"))
            .block(Block::Code(output)),
    );
    let mut found = Vec::new();
    let below = all_blocks(&body);
    for block in &below {
        texts(block, &mut found);
    }
    let (_, code) = found.last().unwrap();
    assert!(code.ends_with("row 4: amount is not a number"));
    assert!(code.contains("characters omitted …\n"));
    assert!(escaped(code) > 10_000, "{}", escaped(code));
}

#[test]
fn what_does_not_fit_is_counted() {
    let mut message = Message::new("failed", Severity::Error).footer("end");
    message.blocks = vec![Block::text("x"); 100];
    let body = check(&message);
    let blocks = all_blocks(&body);
    assert_eq!(blocks.len(), MAX_BLOCKS);
    assert_eq!(
        blocks.last().unwrap()["elements"][0]["elements"][0]["text"],
        "… 53 parts omitted"
    );

    let items = (0..2_000).map(|index| vec![Inline::plain(format!("item {index}"))]);
    let items = Block::Items {
        ordered: true,
        items: items.collect(),
    };
    let body = check(&Message::new("failed", Severity::Error).block(items));
    let mut found = Vec::new();
    let below = all_blocks(&body);
    for block in &below {
        texts(block, &mut found);
    }
    let kept = found.len() - 2;
    let (_, last) = found.last().unwrap();
    assert_eq!(*last, format!("… {} parts omitted", 2_000 - kept));
    assert_eq!(all_blocks(&body)[1]["elements"][0]["style"], "ordered");

    let fields = (0..25)
        .map(|index| Field {
            label: format!("label {index}"),
            value: "value".to_owned(),
        })
        .collect();
    let body = check(&Message::new("failed", Severity::Error).block(Block::Fields(fields)));
    let blocks = all_blocks(&body);
    let [_, fields] = blocks.as_slice() else {
        panic!("{blocks:?}");
    };
    let lines = fields["elements"].as_array().unwrap();
    assert_eq!(lines.len(), 25);
    let expected = json!([
        {"type": "text", "text": "label 24: ", "style": {"bold": true}},
        {"type": "text", "text": "value"},
    ]);
    assert_eq!(lines[24]["elements"], expected);
}

#[test]
fn only_web_addresses_become_buttons() {
    let body = check(
        &Message::new("failed", Severity::Error)
            .action("Open run", "https://example.com/run/17?a=<b>|c")
            .action("Script", "javascript:alert(1)")
            .action("Long", format!("https://example.com/{}", "x".repeat(3_000))),
    );
    let blocks = all_blocks(&body);
    let actions: Vec<_> = blocks
        .iter()
        .filter(|block| block["type"] == "actions")
        .collect();
    assert_eq!(actions.len(), 1);
    let elements = actions[0]["elements"].as_array().unwrap();
    assert_eq!(elements.len(), 1);
    assert_eq!(
        elements[0]["url"],
        "https://example.com/run/17?a=%3Cb%3E%7Cc"
    );
    assert_eq!(
        blocks[1]["elements"][0]["elements"][0]["text"],
        "Script: javascript:alert(1)"
    );
}

#[test]
fn the_headline_stands_above_and_the_rest_beside_the_bar() {
    let message = Message::new("nightly-etl <failed>", Severity::Error)
        .block(Block::text("row 4"))
        .action("Open the run", "https://example.com/17");
    let manner = Manner {
        mentions: vec![Mention::Here],
        raw: None,
        colour: "#eb0000",
    };
    let content = content(&message, &manner);
    let kinds = |blocks: &Value| -> Vec<String> {
        let blocks = blocks.as_array().unwrap().iter();
        blocks
            .map(|block| block["type"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(kinds(&content["blocks"]), ["header", "rich_text"]);
    let bar = &content["attachments"][0];
    assert_eq!(kinds(&bar["blocks"]), ["rich_text", "actions"]);
    assert_eq!(bar["color"], "#eb0000");
    assert_eq!(bar["fallback"], "nightly-etl &lt;failed&gt;");
    assert_eq!(
        content["text"],
        "nightly-etl &lt;failed&gt;\nrow 4\nOpen the run: https://example.com/17"
    );
    let bare = Message::new("nightly-etl failed", Severity::Error);
    assert_eq!(super::content(&bare, &manner).get("attachments"), None);
}

#[test]
fn blocks_of_the_author_take_the_place_of_ours_and_the_text_stays() {
    let raw: RawBlocks = serde_json::from_value(json!([{"type": "divider"}])).unwrap();
    let manner = Manner {
        mentions: vec![Mention::Channel],
        raw: Some(&raw),
        colour: "#eb0000",
    };
    let message = Message::new("failed", Severity::Error).block(Block::text("row 4"));
    let content = content(&message, &manner);
    assert_eq!(content["text"], "failed\nrow 4");
    assert_eq!(content["blocks"][1], json!({"type": "divider"}));
    assert_eq!(content["blocks"][0]["type"], "rich_text");
    assert_eq!(content.get("attachments"), None);
}

#[test]
fn each_end_has_its_colour() {
    let table = [
        (TerminalPhase::Succeeded, Severity::Info, "#28a745"),
        (TerminalPhase::Failed, Severity::Error, "#eb0000"),
        (TerminalPhase::Failed, Severity::Critical, "#eb0000"),
        (TerminalPhase::TimedOut, Severity::Error, "#ff4e33"),
        (TerminalPhase::Aborted, Severity::Warning, "#bdbdbd"),
        (TerminalPhase::Aborted, Severity::Error, "#eb0000"),
    ];
    for (phase, severity, expected) in table {
        assert_eq!(colour(phase, severity), expected, "{phase:?} {severity:?}");
    }
}

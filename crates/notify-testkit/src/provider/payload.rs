//! The message in the vendor's form.

use std::collections::BTreeSet;

use notify_core::content::{Block, Field, Inline, Severity};
use notify_core::{Account, Message, Payload};
use serde_json::Value;

use crate::provider::bench::{Bench, MARK, Sample, message, with_words};
use crate::provider::case::{Held, cases, ensure, miss};

/// Texts that are markup somewhere; what is made of `injected` tells that one came alive.
pub(crate) const HOSTILE: [&str; 9] = [
    "\",\"injected\":{\"injected\":\"",
    "\"}],\"injected\":[{\"x\":\"",
    "x\r\nX-Injected: yes\r\n\r\ninjected",
    "x\nX-Injected: yes",
    "\u{0}\u{1b}]0;injected\u{7}\u{9b}31m\u{85}\u{2028}",
    "</p></text><injected x='1'/><script>injected()</script>",
    "{{ injected }} {% injected %} ${injected} $(injected)",
    "\u{202e}detcejni\u{2066}\u{feff}",
    "\r\n.\r\nMAIL FROM:<injected@example.com>\r\n",
];

cases! {
    /// A payload MUST be the same to the byte whenever it is made of the same delivery: a repeat is one.
    async fn payload_is_the_same_on_every_call(bench) {
        let first = lowered(bench, &message(MARK))?;
        for _ in 0..3 {
            let again = lowered(bench, &message(MARK))?;
            ensure(
                again == first,
                "lowered one delivery twice, each time with a new account",
                shown(&first),
                || shown(&again),
            )?;
        }
        Ok(())
    }

    /// A payload MUST be what its content type says, and not empty.
    async fn payload_is_what_it_says(bench) {
        let payload = lowered(bench, &message(MARK))?;
        let did = format!("lowered a message to {}", payload.content_type);
        ensure(
            !payload.body.is_empty() && payload.content_type.contains('/'),
            &did,
            "a media type and a body",
            || shown(&payload),
        )?;
        parsed(&payload, &did).map(|_| ())
    }

    /// A payload MUST hold the headline, in letters that a search finds.
    async fn payload_holds_the_headline(bench) {
        let payload = lowered(bench, &message("headlineword"))?;
        ensure(
            shown(&payload).contains("headlineword"),
            "lowered a message whose headline is `nightly-etl failed headlineword`",
            "a payload with `headlineword`",
            || shown(&payload),
        )
    }

    /// A message without any text MUST still be lowered to what the vendor takes.
    async fn empty_message_is_lowered(bench) {
        let payload = lowered(bench, &Message::new("", Severity::Info))?;
        parsed(&payload, "lowered a message without any text")?;
        within(bench, &payload, "a message without any text")
    }

    /// A part that is well below every limit MUST be whole.
    async fn text_below_the_limits_is_whole(bench) {
        let least = bench.limits()?.iter().map(|limit| limit.most).min();
        let word = "x".repeat(least.unwrap_or_default() / 4);
        // A footer and what leads elsewhere are ornaments; a message without the others says less.
        for (part, message) in parts(&word).into_iter().filter(|(part, _)| *part != "footer") {
            let payload = lowered(bench, &message)?;
            ensure(
                shown(&payload).contains(&word),
                format!("lowered a {part} of {} letters, a quarter of the lowest limit", word.len()),
                "all of its letters",
                || shown(&payload),
            )?;
        }
        Ok(())
    }

    /// A part that is as long as a limit MUST be lowered to a payload within it.
    async fn text_at_a_limit_fits(bench) {
        for limit in bench.limits()? {
            fits(bench, limit.most)?;
        }
        Ok(())
    }

    /// Parts beyond a limit MUST be cut so that the payload is within it, after escaping and in the vendor's unit.
    async fn text_above_a_limit_is_cut(bench) {
        for limit in bench.limits()? {
            fits(bench, limit.most + 1)?;
            // Far beyond, as long as that is quick.
            if limit.most < 50_000 {
                fits(bench, limit.most * 3)?;
            }
        }
        Ok(())
    }

    /// Text of a workflow MUST stay text: it MUST NOT add a key, a header, a line or a tag to the payload.
    async fn hostile_text_stays_text(bench) {
        for text in HOSTILE {
            let message = with_words(text, text);
            let did = format!("lowered a message with {text:?} in every place");
            let payload = lowered_of(bench, &Sample::saying(1, text), &message)?;
            let added = parsed(&payload, &did)?;
            let added: Vec<&String> = added
                .iter()
                .filter(|name| name.to_ascii_lowercase().contains("injected"))
                .collect();
            ensure(added.is_empty(), did, "no key and no header of that name", || {
                format!("{added:?} in {}", shown(&payload))
            })?;
        }
        Ok(())
    }

    /// What the vendor would act on, a mention above all, MUST be inert when it comes from a workflow.
    async fn live_text_is_inert(bench) {
        for live in bench.live()? {
            let message = with_words(&live.text, &live.text);
            let payload = lowered_of(bench, &Sample::saying(1, &live.text), &message)?;
            ensure(
                !(live.alive)(&payload),
                format!("lowered a message with `{}` in every place", live.text),
                "a payload in which the vendor does not act on it",
                || shown(&payload),
            )?;
        }
        Ok(())
    }
}

fn lowered(bench: &Bench, message: &Message) -> Held<Payload> {
    lowered_of(bench, &Sample::numbered(1), message)
}

fn lowered_of(bench: &Bench, sample: &Sample, message: &Message) -> Held<Payload> {
    let account = bench.account(bench.nowhere())?;
    bench.payload(&*account as &dyn Account, sample, message)
}

/// Shows a payload as text; lines that a mail folds are whole again.
fn shown(payload: &Payload) -> String {
    let text = String::from_utf8_lossy(&payload.body);
    text.replace("=\r\n", "")
}

/// Sees that a payload is what it says, and gives the names in it: keys, or headers.
fn parsed(payload: &Payload, did: &str) -> Held<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    if payload.content_type.contains("json") {
        let value: Value = serde_json::from_slice(&payload.body).map_err(|err| {
            let came = format!("{err}: {}", shown(payload));
            miss(did, "JSON, as the content type says", came)
        })?;
        keys(&value, &mut names);
    } else if payload.content_type == "message/rfc822" {
        let text = shown(payload);
        let (head, _) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        for line in head
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']))
        {
            let name = line.split_once(':').map(|(name, _)| name);
            let good =
                name.is_some_and(|name| !name.contains(|letter: char| !letter.is_ascii_graphic()));
            ensure(good, did, "header lines", || format!("{line:?}"))?;
            names.extend(name.map(str::to_owned));
        }
    }
    Ok(names)
}

fn keys(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                names.insert(key.clone());
                keys(inner, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|inner| keys(inner, names)),
        _ => {}
    }
}

/// Lowers messages with one part of so many characters each, and sees that all is within the limits.
fn fits(bench: &Bench, length: usize) -> Held {
    for (name, letter) in [("x", 'x'), ("&", '&'), ("an emoji", '🦀')] {
        let text: String = std::iter::repeat_n(letter, length).collect();
        for (part, message) in parts(&text) {
            let payload = lowered(bench, &message)?;
            within(
                bench,
                &payload,
                &format!("a message with a {part} of {length} times {name}"),
            )?;
        }
    }
    Ok(())
}

/// Sees that the vendor takes a payload: that it is what it wants, within its limits.
fn within(bench: &Bench, payload: &Payload, what: &str) -> Held {
    for wanted in &bench.fixture().accepted {
        ensure(
            (wanted.accepts)(payload),
            format!("lowered {what}"),
            &wanted.what,
            || shown(payload),
        )?;
    }
    for limit in &bench.fixture().limits {
        let measured = (limit.measure)(payload);
        ensure(
            measured <= limit.most,
            format!("lowered {what}"),
            format!("{}: at most {}", limit.what, limit.most),
            || measured.to_string(),
        )?;
    }
    Ok(())
}

fn parts(text: &str) -> [(&'static str, Message); 6] {
    let begun = || Message::new("failed", Severity::Error);
    let item = || vec![Inline::plain(text)];
    let field = Field {
        label: "Value".to_owned(),
        value: text.to_owned(),
    };
    [
        ("headline", Message::new(text, Severity::Error)),
        ("text", begun().block(Block::text(text))),
        ("list", {
            let items = vec![item()];
            begun().block(Block::Items {
                ordered: true,
                items,
            })
        }),
        ("field", begun().block(Block::Fields(vec![field]))),
        ("code block", begun().block(Block::Code(text.to_owned()))),
        (
            "footer",
            begun().footer(text).action(text, "https://example.com/"),
        ),
    ]
}

//! The arguments of calls, under Slack's names. Pure.

use notify_core::{Delivery, DeliveryId};
use serde_json::{Map, Value, json};

use crate::conversation::{Place, Root};
use crate::look::Look;

/// Gives what is posted to a webhook.
pub(crate) fn to_webhook(content: Map<String, Value>) -> Map<String, Value> {
    let mut arguments = content;
    be_quiet(&mut arguments);
    arguments
}

/// Gives the arguments of `chat.postMessage`, or of `chat.update` where they name a `ts`. What goes
/// to the recipient itself has no `channel` yet.
pub(crate) fn to_method(
    content: Map<String, Value>,
    delivery: &Delivery<'_>,
    place: Place<'_>,
    look: &Look,
) -> Map<String, Value> {
    let mut arguments = content;
    arguments.insert("metadata".to_owned(), metadata(delivery));
    match place {
        Place::Edit(Root { channel, ts }) => {
            arguments.insert("channel".to_owned(), channel.into());
            arguments.insert("ts".to_owned(), ts.into());
            // Where nothing is said, an edit keeps the attachments there are, and reads names and
            // addresses in the text: https://docs.slack.dev/reference/methods/chat.update
            arguments
                .entry("attachments")
                .or_insert_with(|| Value::Array(Vec::new()));
            arguments.insert("parse".to_owned(), "none".into());
        }
        Place::Reply(Root { channel, ts }) => {
            arguments.insert("channel".to_owned(), channel.into());
            arguments.insert("thread_ts".to_owned(), ts.into());
            be_a_message(&mut arguments, delivery.id, look);
        }
        Place::Top => be_a_message(&mut arguments, delivery.id, look),
    }
    arguments
}

/// Names the method that takes these arguments.
pub(crate) fn method(arguments: &Map<String, Value>) -> &'static str {
    if continues_by_edit(arguments) {
        "chat.update"
    } else {
        "chat.postMessage"
    }
}

/// Tells whether the arguments continue an earlier message.
pub(crate) fn continues(arguments: &Map<String, Value>) -> bool {
    continues_by_edit(arguments) || arguments.contains_key("thread_ts")
}

fn continues_by_edit(arguments: &Map<String, Value>) -> bool {
    arguments.contains_key("ts")
}

/// Takes the message out of what it continues: it goes into the channel by itself.
pub(crate) fn go_by_itself(arguments: &mut Map<String, Value>, id: DeliveryId, look: &Look) {
    for key in ["thread_ts", "reply_broadcast", "parse"] {
        arguments.remove(key);
    }
    if arguments.remove("ts").is_some() {
        be_a_message(arguments, id, look);
    }
}

/// Tells whether there is more to a message than its text.
pub(crate) fn has_form(arguments: &Map<String, Value>) -> bool {
    let parts = FORM.iter().filter_map(|key| arguments.get(*key));
    let mut lists = parts.filter_map(Value::as_array);
    lists.any(|list| !list.is_empty())
}

/// Leaves the text and nothing that it is laid out in.
pub(crate) fn be_text(arguments: &mut Map<String, Value>) {
    for key in FORM {
        if continues_by_edit(arguments) {
            arguments.insert(key.to_owned(), Value::Array(Vec::new()));
        } else {
            arguments.remove(key);
        }
    }
}

/// The arguments that lay a message out.
const FORM: [&str; 2] = ["blocks", "attachments"];

/// Adds what a new message has and an edit has not.
fn be_a_message(arguments: &mut Map<String, Value>, id: DeliveryId, look: &Look) {
    be_quiet(arguments);
    look.say(arguments);
    // Undocumented, and the only idempotency aid there is: `is_duplicate` in the answer.
    arguments.insert("client_msg_id".to_owned(), json!(id.uuid()));
}

/// Keeps Slack from reading markup in the text and from showing what links lead to.
fn be_quiet(arguments: &mut Map<String, Value>) {
    for key in ["mrkdwn", "unfurl_links", "unfurl_media"] {
        arguments.insert(key.to_owned(), false.into());
    }
}

/// Lets a person or a program find the message of a delivery; everyone can read it.
fn metadata(delivery: &Delivery<'_>) -> Value {
    let id = ("delivery", json!(delivery.id));
    let conversation = delivery.conversation.map(|key| {
        let action = delivery.action.name();
        [("conversation", json!(key)), ("action", json!(action))]
    });
    let payload: Map<String, Value> = [id]
        .into_iter()
        .chain(conversation.into_iter().flatten())
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    json!({"event_type": "workflow_ended", "event_payload": payload})
}

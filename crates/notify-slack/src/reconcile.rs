//! Searching Slack for a message of which nobody knows whether it arrived.

use std::time::Duration;

use notify_core::{DeliveryContext, Prepared, Receipt, Reconciled, SlackRecipient};
use serde_json::{Map, Value};

use crate::arguments;
use crate::conversation::{CHANNEL, THREAD};
use crate::token::{TokenTransport, arguments_of, name};

/// How far back a message is searched for; an attempt whose outcome is unknown is repeated sooner.
const BACK: Duration = Duration::from_hours(24);

/// How many messages are looked at.
const MESSAGES: &str = "50";

/// What is read of them, each with its blocks.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

impl TokenTransport {
    /// Looks for the delivery's metadata among the latest messages.
    ///
    /// Gives `Unknown` where it cannot be searched, and `NotDelivered` where all that was said
    /// since is there and the message is not.
    pub(crate) async fn search(&self, cx: &DeliveryContext<'_>, delivery: &Prepared) -> Reconciled {
        let Ok(call) = arguments_of(delivery) else {
            return Reconciled::Unknown;
        };
        // An edit is the same once or twice.
        if arguments::method(&call) == "chat.update" {
            return Reconciled::Unknown;
        }
        let Some(channel) = self.searched(cx, delivery, &call).await else {
            return Reconciled::Unknown;
        };
        let root = call.get("thread_ts").and_then(Value::as_str);
        let since = cx.clock.now().before(BACK).as_micros().max(0);
        let since = format!("{}.{:06}", since / 1_000_000, since % 1_000_000);
        let mut fields = vec![
            ("channel", channel.as_str()),
            ("oldest", since.as_str()),
            ("include_all_metadata", "true"),
            ("limit", MESSAGES),
        ];
        let method = match root {
            Some(root) => {
                fields.push(("ts", root));
                "conversations.replies"
            }
            None => "conversations.history",
        };
        let Ok(reply) = self.ask(cx, method, &fields, MAX_ANSWER).await else {
            return Reconciled::Unknown;
        };
        let Some(messages) = reply.get("messages").and_then(Value::as_array) else {
            return Reconciled::Unknown;
        };
        let id = delivery.id.to_string();
        let own = messages.iter().find(|message| {
            let found = message.pointer("/metadata/event_payload/delivery");
            found.and_then(Value::as_str) == Some(id.as_str())
        });
        match own.and_then(|message| name(message, "/ts")) {
            Some(ts) => {
                let receipt = Receipt::new(ts).fact(CHANNEL, channel.as_str());
                Reconciled::Delivered(match root {
                    Some(root) => receipt.fact(THREAD, root),
                    None => receipt,
                })
            }
            None if reply.get("has_more") == Some(&Value::Bool(true)) => Reconciled::Unknown,
            None => Reconciled::NotDelivered,
        }
    }

    /// Finds the id to search under: Slack takes no name here, and tells the id of a channel only
    /// when a message went there.
    async fn searched(
        &self,
        cx: &DeliveryContext<'_>,
        delivery: &Prepared,
        call: &Map<String, Value>,
    ) -> Option<String> {
        if let Some(channel) = call.get("channel").and_then(Value::as_str) {
            return Some(channel.to_owned());
        }
        if let Ok(SlackRecipient::Channel(name)) = delivery.recipient.typed() {
            return self.people.channels.name(name.as_str(), cx.clock.now());
        }
        self.channel(cx, delivery, call).await.ok()
    }
}

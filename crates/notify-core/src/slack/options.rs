//! What a Slack notification can say beside phases and recipients.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::notification::NotificationOptions;
use crate::slack::blocks::RawBlocks;
use crate::slack::look::{Emoji, IconUrl, Username};
use crate::slack::mention::{self, SlackMention};

/// What a Slack notification can say beside phases and recipients.
///
/// ```
/// use notify_core::slack::Thread;
/// use notify_core::{Notification, NotificationKind, Slack, channel, phases};
///
/// let etl: Notification = Slack::on(phases![Failed])
///     .to(channel!("#data-alerts"))
///     .options(|options| {
///         options.thread = Some(Thread::Workflow);
///         options.broadcast = true;
///     })
///     .into();
/// assert_eq!(etl.to_value()["slack"]["thread"], "workflow");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SlackOptions {
    /// Who is called: `here`, `channel`, a person's id `U…` or a group's id `S…`.
    #[serde(
        deserialize_with = "mention::one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(schema_with = "mention::schema_of_one_or_more")]
    pub mention: Vec<SlackMention>,
    /// What goes into one thread: all ends of the workflow, or all of one execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<Thread>,
    /// Whether every reply in the thread, each repeat as well as the end, is shown in the channel too.
    #[serde(skip_serializing_if = "is_false")]
    pub broadcast: bool,
    /// Whether the earlier message is edited when the state changes: `recovered after 42m`.
    #[serde(skip_serializing_if = "is_false")]
    pub update: bool,
    /// The name that the message is shown under, instead of the account's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<Username>,
    /// The emoji beside the message, instead of the account's icon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon_emoji: Option<Emoji>,
    /// The address of the picture beside the message, instead of the account's icon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon_url: Option<IconUrl>,
    /// Block Kit of one's own, sent as it is in place of the message's blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<RawBlocks>,
}

impl NotificationOptions for SlackOptions {}

/// What goes into one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Thread {
    /// All ends of the workflow.
    Workflow,
    /// All ends of one execution: its attempts.
    Execution,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::schema;

    fn validator() -> jsonschema::Validator {
        let mut generator = schema::generator();
        let options = generator.root_schema_for::<SlackOptions>();
        jsonschema::validator_for(&json!(options)).unwrap()
    }

    /// Reads options and gives the place of what is wrong with them; the schema says the same.
    #[track_caller]
    fn check(value: &Value, expected: Option<&str>) {
        let read: Result<SlackOptions, _> = serde_path_to_error::deserialize(value);
        let seen = read.as_ref().err().map(|err| err.path().to_string());
        assert_eq!(seen.as_deref(), expected, "{value}: {read:?}");
        let by_schema = validator().is_valid(value);
        // No schema counts the letters of all blocks together.
        let unseen = value.to_string().len() > 11_000;
        assert!(by_schema == expected.is_none() || unseen, "{value}");
        if let Ok(options) = read {
            let written = serde_json::to_value(&options).unwrap();
            assert!(validator().is_valid(&written), "{written}");
            assert_eq!(
                serde_json::from_value::<SlackOptions>(written).unwrap(),
                options
            );
        }
    }

    #[test]
    fn every_option_is_read_and_written_back() {
        check(&json!({}), None);
        check(
            &json!({
                "mention": ["here", "@U0123456789", "S0123456789"],
                "thread": "execution",
                "broadcast": true,
                "update": true,
                "username": "etl-bot",
                "icon_emoji": ":bell:",
                "blocks": [{"type": "divider"}],
            }),
            None,
        );
        check(
            &json!({"mention": "channel", "icon_url": "https://example.com/a.png"}),
            None,
        );
        let said = json!({"thread": "workflow", "broadcast": false});
        let options: SlackOptions = serde_json::from_value(said).unwrap();
        assert_eq!(
            serde_json::to_value(options).unwrap(),
            json!({"thread": "workflow"})
        );
    }

    #[test]
    fn a_mistake_is_told_at_its_place() {
        let long = "x".repeat(11_000);
        let many = vec![json!({"type": "divider"}); 50];
        let table = [
            (json!({"mention": "jane"}), "mention"),
            (json!({"mention": ["here", "@jane"]}), "mention[1]"),
            (json!({"mention": 7}), "mention"),
            (json!({"mention": vec!["here"; 21]}), "mention"),
            (json!({"thread": "channel"}), "thread"),
            (json!({"update": "yes"}), "update"),
            (json!({"username": ""}), "username"),
            (json!({"username": "a\nb"}), "username"),
            (json!({"icon_emoji": "bell"}), "icon_emoji"),
            (json!({"icon_url": "http://example.com/a.png"}), "icon_url"),
            (json!({"blocks": []}), "blocks"),
            (json!({"blocks": many}), "blocks"),
            (
                json!({"blocks": [{"type": "divider"}, {"text": "x"}]}),
                "blocks[1]",
            ),
            (json!({"blocks": [{"type": ""}]}), "blocks[0]"),
            (json!({"blocks": ["divider"]}), "blocks[0]"),
            (json!({"blocks": {"type": "divider"}}), "blocks"),
            (
                json!({"blocks": [{"type": "section", "text": long}]}),
                "blocks",
            ),
            (json!({"threads": "workflow"}), "threads"),
        ];
        for (value, place) in table {
            check(&value, Some(place));
        }
    }
}

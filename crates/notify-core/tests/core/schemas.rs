//! Each schema takes every text that its reader takes, and few that it refuses.

use std::fmt::Debug;
use std::str::FromStr;
use std::sync::LazyLock;

use jsonschema::Validator;
use notify_core::schema::{self, JsonSchema};
use notify_core::time::Span;
use notify_core::{
    AccountName, Condition, EmailAddress, PagerDutyService, Phases, SecretRef, SlackRecipient,
    TerminalPhase, WorkflowName,
};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn validator<T: JsonSchema>() -> Validator {
    let mut generator = schema::generator();
    let root = generator.subschema_for::<T>();
    jsonschema::validator_for(&schema::whole(generator, root)).unwrap()
}

/// Asserts that reader and schema say the same of these texts.
#[track_caller]
fn agree<T: JsonSchema + FromStr>(texts: &[&str]) {
    let validator = validator::<T>();
    for text in texts {
        let read = text.parse::<T>().is_ok();
        assert_eq!(validator.is_valid(&json!(text)), read, "{text:?}");
    }
}

/// Asserts that reader and schema say the same of these values.
#[track_caller]
fn agree_on_values<T: JsonSchema + DeserializeOwned + Debug>(values: &[Value]) {
    let validator = validator::<T>();
    for value in values {
        let read = serde_json::from_value::<T>(value.clone());
        assert_eq!(validator.is_valid(value), read.is_ok(), "{value} {read:?}");
    }
}

#[test]
fn durations() {
    agree::<Span>(&[
        "30s",
        "2h 30m",
        "2h30m",
        "250ms",
        "1h, 2m",
        "90 minutes",
        "1.5h",
        "1 hr 2 mins 3 secs",
        "5µs",
        "5us",
        "10 nanoseconds",
        "01:30:00",
        "PT1H30M",
        "pt5s",
        "PT0.5S",
        " 30s ",
        "+30s",
        "30",
        "soon",
        "",
        "2d",
        "1 week",
        "PT",
        "1h 30",
        "s",
        "P1D",
        "30s!",
        "1h2",
        "30 apples",
    ]);
}

#[test]
fn names() {
    agree::<WorkflowName>(&[
        "nightly-etl",
        "Abrechnung für März",
        "夜間バッチ",
        "a",
        "a b",
        "",
        " a",
        "a ",
        "a\u{85}b",
        "a\u{200b}b",
        "\u{202e}lte",
        "\u{a0}a",
    ]);
    agree::<AccountName>(&["prod-eu_1", "a", "", "a.b", "a b", "ä", &"x".repeat(65)]);
}

#[test]
fn recipients() {
    agree::<EmailAddress>(&[
        "data-oncall@example.com",
        "o'brien+etl@mail.example.co.uk",
        "jürgen@exämple.de",
        "用户@例子.广告",
        " a@b.co ",
        "a@b.co",
        "",
        "example.com",
        "@example.com",
        "a@",
        "a@b",
        "a@b@example.com",
        "a..b@example.com",
        ".a@example.com",
        "a.@example.com",
        "a@example..com",
        "a@-example.com",
        "a@example-.com",
        "a@exa mple.com",
        "a@example.com\r\nBcc: b@example.com",
        "a\u{200b}@example.com",
        "Jane <jane@example.com>",
        "\"a b\"@example.com",
        "a@[127.0.0.1]",
    ]);
    agree::<SlackRecipient>(&[
        "#data-alerts",
        "#données_été",
        "C0123456789",
        "U0123456789",
        "jane@example.com",
        " #a ",
        "T0123456789",
        "data-alerts",
        "@jane",
        "#Data",
        "#",
        "#a b",
        "#<!channel>",
        "#a\u{200b}b",
        "c0123456789",
        "CABCDEFGHIJ",
        "https://hooks.slack.com/services/T/B/x",
        "",
        "  ",
    ]);
    agree::<PagerDutyService>(&[
        "data-platform",
        "Data Platform",
        "données",
        "x",
        "",
        " ",
        "ops@example.com",
        "#data-alerts",
        "a\u{85}b",
        "a\u{200b}b",
        "0123456789abcdef0123456789abcdef",
        "xoxb-1",
        "https://a.b/c",
        "R0123456789abcdef0123456789",
        "a-very-long-name-of-a-service-2",
    ]);
}

#[test]
fn phases() {
    let texts = [
        "succeeded",
        "FAILED",
        "timed-out",
        "Timed_Out",
        "4",
        " 6 ",
        "5",
        "running",
        "",
        "10",
    ];
    agree::<TerminalPhase>(&texts);
    let validator = validator::<Phases>();
    for taken in [
        json!("failed"),
        json!(["failed", "7"]),
        json!([8]),
        json!(6),
    ] {
        assert!(validator.is_valid(&taken), "{taken}");
    }
    for refused in [
        json!([]),
        json!(5),
        json!(null),
        json!(["failed", null]),
        json!({}),
    ] {
        assert!(!validator.is_valid(&refused), "{refused}");
    }
}

#[test]
fn references_to_secrets() {
    agree_on_values::<SecretRef>(&[
        json!({"env": "A_1"}),
        json!({"file": "/run/a"}),
        json!({"command": ["pass", "show", ""]}),
        json!({"command": ["pass"], "timeout": "5s"}),
        json!("xoxb-hunter2"),
        json!(3),
        json!(["a"]),
        json!({}),
        json!({"env": "1A"}),
        json!({"env": "a-b"}),
        json!({"env": 7}),
        json!({"file": ""}),
        json!({"file": "a", "env": "A"}),
        json!({"file": "a", "timeout": "5s"}),
        json!({"command": "pass"}),
        json!({"command": []}),
        json!({"command": [""]}),
        json!({"command": ["a", 3]}),
        json!({"command": ["a", "\u{0}"]}),
        json!({"command": ["a"], "timeout": 7}),
        json!({"value": "a"}),
    ]);
}

#[test]
fn conditions() {
    agree_on_values::<Condition>(&[
        json!("changed"),
        json!("recovered"),
        json!({"streak": 3}),
        json!({"attempt": 1}),
        json!({"longer_than": "2h"}),
        json!({"failure": "user"}),
        json!({"labels": {"a": "b"}}),
        json!({"all": ["changed", {"any": []}, {"not": "recovered"}]}),
        json!("chnged"),
        json!("streak"),
        json!({"streak": 0}),
        json!({"streak": "3"}),
        json!({"attempt": -1}),
        json!({"longer_than": 2}),
        json!({"failure": "both"}),
        json!({"labels": {"a": 1}}),
        json!({"not": ["changed"]}),
        json!({"streak": 3, "attempt": 2}),
        json!({}),
        json!(null),
    ]);
}

static SPAN: LazyLock<Validator> = LazyLock::new(validator::<Span>);
static MAIL: LazyLock<Validator> = LazyLock::new(validator::<EmailAddress>);
static SLACK: LazyLock<Validator> = LazyLock::new(validator::<SlackRecipient>);
static SERVICE: LazyLock<Validator> = LazyLock::new(validator::<PagerDutyService>);

proptest! {
    #[test]
    fn what_is_read_as_a_duration_is_one_to_the_schema(
        text in "[+ ]?([0-9]{1,3}([.,][0-9]{1,2})?[ ]?(h|hours|hrs|m|min|s|sec|ms|millis|us|ns)[ ,]{0,2}){1,3}"
    ) {
        if text.parse::<Span>().is_ok() {
            prop_assert!(SPAN.is_valid(&json!(text)), "{text:?}");
        }
    }

    #[test]
    fn what_is_read_as_a_recipient_is_one_to_the_schema(
        text in "[ ]?#?[a-cA-C0-9é@.:/_+ -]{1,12}(@[a-c1é.-]{1,9})?"
    ) {
        if text.parse::<EmailAddress>().is_ok() {
            prop_assert!(MAIL.is_valid(&json!(text)), "{text:?}");
        }
        if text.parse::<SlackRecipient>().is_ok() {
            prop_assert!(SLACK.is_valid(&json!(text)), "{text:?}");
        }
        if text.parse::<PagerDutyService>().is_ok() {
            prop_assert!(SERVICE.is_valid(&json!(text)), "{text:?}");
        }
    }
}

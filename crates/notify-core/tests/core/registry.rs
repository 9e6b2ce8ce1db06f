//! Which kinds there are, and what is said of those that there are not.

use notify_core::{
    Code, Email, NotificationKind, NotificationOptions, Path, Registry, RegistryError, Slack,
    SlackRecipient,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::providers::{of, registry};

#[test]
fn the_order_does_not_depend_on_who_comes_first() {
    let kinds = |registry: &Registry| registry.kinds().collect::<Vec<_>>();
    assert_eq!(kinds(&registry()), ["email", "pagerduty", "slack"]);
    let turned = Registry::of([of::<Slack>("b"), of::<Email>("a")]).unwrap();
    assert_eq!(kinds(&turned), ["email", "slack"]);
}

#[test]
fn a_kind_that_two_crates_deliver_is_refused_with_both_names() {
    let refused = Registry::of([of::<Slack>("their-slack"), of::<Slack>("our-slack")]).unwrap_err();
    let expected = "the kind `slack` is delivered by both `our-slack` and `their-slack`: link only one of them";
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn an_empty_registry_is_an_error_that_says_what_to_do() {
    assert_eq!(Registry::of([]).unwrap_err(), RegistryError::Empty);
    // Nothing registers itself in this program, so discovery finds nothing.
    let empty = Registry::discover().unwrap_err().to_string();
    for hint in ["use notify_slack as _;", "workflow-notify", "Registry::of"] {
        assert!(empty.contains(hint), "{empty}");
    }
}

#[test]
fn a_kind_whose_name_is_a_key_of_every_notification_is_refused() {
    struct When;
    impl NotificationKind for When {
        const KIND: &'static str = "when";
        type Options = Nothing;
        type Recipient = SlackRecipient;
    }
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Nothing {}
    impl NotificationOptions for Nothing {}

    let refused = Registry::of([of::<When>("odd")]).unwrap_err();
    assert!(matches!(
        refused,
        RegistryError::BadKind { kind: "when", .. }
    ));
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert_eq!(why, "the name is a key of every notification");
}

#[test]
fn an_option_whose_name_is_a_key_of_every_notification_is_refused() {
    struct Push;
    impl NotificationKind for Push {
        const KIND: &'static str = "push";
        type Options = Taken;
        type Recipient = SlackRecipient;
    }
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Taken {
        account: Option<u8>,
    }
    impl NotificationOptions for Taken {}

    let refused = Registry::of([of::<Push>("odd")]).unwrap_err();
    let expected =
        "the crate `odd` has an option `account` of `push`: `account` is every notification's";
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn an_unknown_kind_gets_the_nearest_spelling_and_the_feature_that_would_add_it() {
    let only_email = Registry::of([of::<Email>("notify-email")]).unwrap();
    let table = [
        (
            "slack",
            "the kinds linked in are `email`; `slack` comes with the crate `notify-slack`, which the \
             cargo feature `slack` of `workflow-notify` and of `notify-cli` adds",
        ),
        (
            "pager_duty",
            "did you mean `pagerduty`? the kinds linked in are `email`; `pagerduty` comes with the \
             crate `notify-pagerduty`, which the cargo feature `pagerduty` of `workflow-notify` and \
             of `notify-cli` adds",
        ),
        (
            "emial",
            "did you mean `email`? the kinds linked in are `email`; another comes with its \
             provider's crate",
        ),
        (
            "telegram",
            "the kinds linked in are `email`; another comes with its provider's crate",
        ),
    ];
    for (kind, help) in table {
        let problem = only_email.unknown_kind(Path::root().then(kind), kind);
        assert_eq!(problem.code, Code::UNKNOWN_KIND);
        assert_eq!(problem.help.as_deref(), Some(help), "{kind}");
    }
}

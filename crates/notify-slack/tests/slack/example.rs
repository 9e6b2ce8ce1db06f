//! `examples/slack.yaml`: each form of a message that the page shows, lowered as it would be sent.

use std::path::Path;

use notify_config::{Definitions, Settings, Source, Variables, config};
use notify_core::Workflow;

use super::*;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Lists the notifications of the example, as an account with a token takes them.
fn forms() -> Vec<Notification> {
    let registry = Registry::of([DESCRIPTOR]).unwrap();
    let none = Variables::of([("", ""); 0]);
    let yaml = std::fs::read_to_string(root().join("examples/slack.yaml")).unwrap();
    let source = Source::new("slack.yaml", &yaml);
    let definitions = Definitions::parse_with(&registry, [source], &none).unwrap();
    let toml = "[accounts.slack.prod]\ntoken = { env = \"T\" }\n";
    let settings = Settings::parse_with(&registry, "notify.toml", toml, &none).unwrap();
    let secrets = Arc::new(One(TOKEN.to_owned()));
    let config = config(&definitions, &settings, secrets).unwrap();
    let all = config.workflows().flat_map(Workflow::notifications);
    all.cloned().collect()
}

/// Names what the calls of a failure, of a repeat and of the end have beside a message.
fn said(notification: &Notification) -> [Vec<String>; 3] {
    let account = token_account("https://slack.com/api/");
    let first = Receipt::new("1503435956.000247").fact("channel", "C024BE91L");
    let target = account.target(notification, &notification.recipients()[0]);
    let turns = match target.unwrap().conversation {
        None => [ALONE; 3],
        Some(_) => [
            Turn(Action::Open, None),
            Turn(Action::Open, Some(&first)),
            Turn(Action::Close, Some(&first)),
        ],
    };
    turns.map(|turn| {
        let payload = payload(&*account, notification, turn, &message());
        let call: Value = serde_json::from_slice(&payload.body).unwrap();
        let keys = [
            "thread_ts",
            "reply_broadcast",
            "ts",
            "username",
            "icon_emoji",
        ];
        let calls = call["blocks"].as_array().unwrap().len() > 1;
        let keys = keys.into_iter().filter(|key| call.get(*key).is_some());
        let calls = calls.then_some("mention");
        keys.chain(calls).map(str::to_owned).collect()
    })
}

#[test]
fn every_form_is_sent_as_the_page_says_and_has_its_picture() {
    let reply = &["thread_ts", "reply_broadcast"][..];
    let look = &["username", "icon_emoji", "mention"][..];
    let table: [(&str, [&[&str]; 3]); 6] = [
        ("#failed", [&[]; 3]),
        ("#recovered", [&[]; 3]),
        ("#thread", [&[], reply, reply]),
        ("#update", [&[], &["ts"], &["ts"]]),
        ("#mention", [look; 3]),
        ("#long", [&[]; 3]),
    ];
    let mut forms = forms();
    for (channel, expected) in table {
        let to = |form: &Notification| form.recipients() == [recipient(channel)];
        let form = forms.remove(forms.iter().position(to).unwrap());
        assert_eq!(said(&form), expected, "{channel}");
        let picture = format!("docs/providers/slack/{}.png", &channel[1..]);
        assert!(root().join(&picture).is_file(), "{picture}");
    }
    assert!(forms.is_empty(), "{forms:?}");
}

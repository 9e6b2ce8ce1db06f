//! Recipients that stand elsewhere than in the notification, and what accounts warn of.

use notify_config::{Diagnostic, Installation};

use crate::providers::registry;
use crate::{Files, settings, shown_at, variables, with};

#[test]
fn recipients_that_are_left_to_the_account_or_belong_to_another_kind_are_in_force() {
    let files = Files::new();
    let notifications = "  - {phases: failed, ntfy: {}}
  - phases: failed
    when: changed
    ntfy: {to: [\"#ops\", me@example.com, \"${TEAM}@example.com\"], template: {use: short}, priority: 3}
  - {phases: failed, ntfy: {account: dev}}
";
    let paths = [files.write("a.yaml", with(notifications))];
    let toml = "[accounts.email.default]
smtp = \"smtps://smtp.example.com\"

[accounts.ntfy.prod]
default = true
token = { env = \"NTFY_TOKEN\" }
topic = \"#data-alerts\"

[accounts.ntfy.dev]
token = { env = \"NTFY_TOKEN\" }
topic = \"#${TEAM}\"

[templates]
short = \"{{ workflow }}\"

[[rules]]
phases = \"aborted\"
ntfy = [\"me@example.com\", \"#ops\"]
";
    let toml = files.write("notify.toml", toml);
    let installation = Installation::new(paths, toml).variables(variables());
    let loaded = installation.read(&registry()).loaded.unwrap();
    let folder = format!("{}/", files.0.path().display());
    let list = loaded.effective(&notify_config::EngineSettings::default());
    let lines: Vec<String> = list
        .iter()
        .filter(|one| one.key.starts_with("rules") || one.key.starts_with("workflows"))
        .map(|one| one.to_string().replace(&folder, ""))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_an_account_warns_of_is_told_at_its_key() {
    let text = "[accounts.ntfy.prod]
default = true
enabled = false
token = { env = \"T\" }
unlocked = true

[accounts.ntfy.dev]
token = { env = \"T\" }
unlocked = true
";
    let warnings = settings(text).unwrap().warnings();
    let weights: Vec<_> = warnings.iter().map(Diagnostic::weight).collect();
    assert_eq!(weights, [notify_core::Weight::Warning; 2]);
    let labelled: Vec<String> = warnings.iter().filter_map(shown_at).collect();
    assert_eq!(labelled, ["false", "true"]);
    assert_eq!(warnings[1].position(), Some((9, 12)));
}

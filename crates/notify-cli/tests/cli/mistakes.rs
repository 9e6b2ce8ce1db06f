//! Mistakes that a new user makes, and what a terminal of 80 columns without colours shows of them.
//!
//! Each is mended by what its message says, and by nothing else.

use std::fs;

use crate::bench::{notify, text};

const SETTINGS: &str = "\
[outbox]
url = \"sqlite:notify.db\"

[accounts.slack.prod]
token = { env = \"SLACK_TOKEN\" }

[accounts.pagerduty.default.services]
data-platform = { env = \"PAGERDUTY_DATA_PLATFORM\" }
";

const DEFINITION: &str = "\
workflow: nightly-etl
notifications:
  - phases: [failed, timed_out]
    slack: [\"#data-alerts\"]
  - phases: failed
    pagerduty: data-platform
";

struct Mistake {
    name: &'static str,
    file: &'static str,
    /// What stands in the file, and what was written in its place.
    right: &'static str,
    wrong: &'static str,
    /// What is written after the message was read, and which words of the message ask for it.
    mended: &'static str,
    asked: &'static str,
}

const MISTAKES: [Mistake; 10] = [
    Mistake {
        name: "on_for_phases",
        file: "etl.yaml",
        right: "phases: failed\n",
        wrong: "on: failed\n",
        mended: "phases: failed\n",
        asked: "write `phases:`",
    },
    Mistake {
        name: "a_phase_by_another_name",
        file: "etl.yaml",
        right: "[failed, timed_out]",
        wrong: "[failure, timeout]",
        mended: "[failed, timed_out]",
        asked: "the phases are `succeeded`, `failed`, `aborted` and `timed_out`",
    },
    Mistake {
        name: "a_channel_without_quotes",
        file: "etl.yaml",
        right: "slack: [\"#data-alerts\"]",
        wrong: "slack: #data-alerts",
        mended: "slack: \"#data-alerts\"",
        asked: "put channels in quotes",
    },
    Mistake {
        name: "a_misspelt_kind",
        file: "etl.yaml",
        right: "pagerduty: data-platform",
        wrong: "pager_duty: data-platform",
        mended: "pagerduty: data-platform",
        asked: "did you mean `pagerduty`?",
    },
    Mistake {
        name: "a_service_that_is_not_configured",
        file: "etl.yaml",
        right: "pagerduty: data-platform",
        wrong: "pagerduty: data-platfrom",
        mended: "pagerduty: data-platform",
        asked: "`data-platform`",
    },
    Mistake {
        name: "an_account_that_is_not_there",
        file: "etl.yaml",
        right: "slack: [\"#data-alerts\"]",
        wrong: "slack: {to: \"#data-alerts\", account: production}",
        mended: "slack: {to: \"#data-alerts\", account: prod}",
        asked: "`prod`",
    },
    Mistake {
        name: "a_field_that_no_template_has",
        file: "etl.yaml",
        right: "slack: [\"#data-alerts\"]",
        wrong: "slack: {to: \"#data-alerts\", template: \"{{ failure.error }}\"}",
        mended: "slack: {to: \"#data-alerts\", template: \"{{ failure.message }}\"}",
        asked: "`message`",
    },
    Mistake {
        name: "a_time_in_days",
        file: "notify.toml",
        right: "[outbox]\n",
        wrong: "[engine]\nmax_age = \"2d\"\n\n[outbox]\n",
        mended: "[engine]\nmax_age = \"48h\"\n\n[outbox]\n",
        asked: "`\"48h\"`",
    },
    Mistake {
        name: "a_secret_in_the_file",
        file: "notify.toml",
        right: "token = { env = \"SLACK_TOKEN\" }",
        wrong: "token = \"xoxb-hunter2-hunter2\"",
        mended: "token = { env = \"SLACK_TOKEN\" }",
        asked: "{ env = \"",
    },
    Mistake {
        name: "a_section_for_rules_in_single_brackets",
        file: "notify.toml",
        right: "[outbox]\n",
        wrong: "[rules]\nphases = [\"failed\"]\nslack = \"#ops\"\n\n[outbox]\n",
        mended: "[[rules]]\nphases = [\"failed\"]\nslack = \"#ops\"\n\n[outbox]\n",
        asked: "`[[rules]]`",
    },
];

#[test]
fn ten_mistakes_are_mended_by_what_their_messages_say() {
    for mistake in MISTAKES {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let check = || {
            let mut command = notify();
            command
                .current_dir(folder.path())
                .args(["check", "etl.yaml"]);
            command.env("SLACK_TOKEN", "xoxb-1").env("NO_COLOR", "1");
            command.env("PAGERDUTY_DATA_PLATFORM", "0".repeat(32));
            command.output().unwrap()
        };
        fs::write(path("etl.yaml"), DEFINITION).unwrap();
        fs::write(path("notify.toml"), SETTINGS).unwrap();
        let sound = fs::read_to_string(path(mistake.file)).unwrap();
        assert_eq!(sound.matches(mistake.right).count(), 1, "{}", mistake.name);
        let wrong = sound.replace(mistake.right, mistake.wrong);
        fs::write(path(mistake.file), &wrong).unwrap();

        let output = check();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{}: {stderr}", mistake.name);
        assert!(output.stdout.is_empty());
        assert!(!stderr.contains('\u{1b}') && !stderr.contains("hunter2"));
        for line in stderr.lines() {
            assert!(line.chars().count() <= 80, "{}: {line:?}", mistake.name);
        }
        insta::assert_snapshot!(mistake.name, stderr);
        let said = crate::refusals::flat(&stderr);
        let (name, asked) = (mistake.name, mistake.asked);
        assert!(said.contains(asked), "{name}: {asked:?} is not in {said}");

        let mended = wrong.replace(mistake.wrong, mistake.mended);
        fs::write(path(mistake.file), mended).unwrap();
        let output = check();
        let stderr = text(&output.stderr);
        assert_eq!(
            (output.status.code(), stderr.as_str()),
            (Some(0), ""),
            "{name}"
        );
    }
}

//! Secrets where none belongs: whatever is wrong, nothing that is told holds one.

use notify_config::{Definitions, Installation, Settings, Source, Variables};
use notify_core::Code;

use crate::providers::registry;
use crate::{ACCOUNTS, Files, against, definition, definition_in, draw, refused, settings, with};

fn one(body: &str) -> String {
    with(&format!("  - phases: failed\n    {body}\n"))
}

refused! { secrets_in_yaml, definition =>
    a_token_under_a_key_that_stands_twice "slack;slack" one("slack: xoxb-1234567890-hunter2\n    slack: \"#x\"");
    a_token_before_a_mistake ":" one("ntfy: [\"xoxb-1-hunter2\", x: y: z");
    an_address_before_a_mistake "\"" one("ntfy: https://hooks.slack.com/services/T/B/hunter2\n    email: \"");
    a_token_in_a_comment "faild" with("  - phases: faild #token: xoxb-1-hunter2\n    ntfy: \"#x\"\n");
    a_token_among_words "**********************" one("ntfy: \"token xoxb-1-hunter2\"");
    a_token_in_a_block "*****" one("ntfy: |\n      token\n      xoxb-1-hunter2");
    a_token_with_an_escape "*********************" one("ntfy: \"xoxb-\\x31-hunter2 x\"");
    a_token_in_a_template "*" one("email: {to: a@example.com, template: \"{{ x }} xoxb-1-hunter2\"}");
    a_token_for_a_field "********************************" one("email: {to: a@example.com, template: \"{{ R0hunter20123456789abcdef0123456 }}\"}");
    a_token_for_a_key "**************" one("xoxb-1-hunter2: \"#x\"");
    a_token_for_a_key_that_stands_twice "**************;**************" with("  - phases: failed\n    xoxb-1-hunter2: a\n    xoxb-1-hunter2: b\n    ntfy: \"#x\"\n");
}

refused! { secrets_in_json, |text: &str| definition_in("a.json", text) =>
    a_token_in_what_does_not_end "{" r#"{"workflow": "w", "notifications": [{"phases": "failed", "slack": "xoxb-1-hunter2"}]"#;
    an_address_with_escapes "{" r#"{"workflow": "w", "notifications": [{"phases": "failed", "slack": "https:\/\/h\/hunter2"}]"#;
}

refused! { secrets_against_accounts, |text: &str| against(text, ACCOUNTS) =>
    a_token_for_an_account "**************" one("ntfy: {to: \"#ops\", account: xoxb-1-hunter2}");
    a_token_for_a_template "**************" one("ntfy: {to: \"#ops\", template: {use: xoxb-1-hunter2}}");
}

refused! { secrets_in_toml, settings =>
    a_value_that_ends_as_a_key "" "[accounts.ntfy.prod]\ntoken = hunter2==\n";
    a_value_of_base64 "" "[accounts.ntfy.prod]\ntoken = hunter2+x/y=\n";
    a_value_behind_a_header "" "[accounts.ntfy.prod] token = hunter2\n";
    a_value_over_two_lines "" "[accounts.ntfy.prod]\ntoken = \"hunter2\n hunter2 x\"\n";
    a_line_of_a_shell "" "export NTFY_TOKEN=hunter2=\n";
    a_list_that_looks_like_a_header "" "[accounts.ntfy.prod]\ntoken = [\n[hunter2,\n";
    a_list_of_words "" "[accounts.ntfy.prod]\ntoken = [\nhunter2 x\n";
    a_short_comment "" "# token: hunter2\n[accounts.ntfy.prod] # hunter2\nx # hunter2\n";
    a_comment_of_a_sound_file "300" "# token: hunter2\n[accounts.ntfy.prod] # hunter2\ntoken = { env = \"T\" }\nretries = 300 # hunter2\n";
    a_key_for_the_name_of_a_variable "{ env = ********************************** }" "[accounts.ntfy.prod]\ntoken = { env = \"R0hunter20123456789abcdef0123456\" }\n";
    an_address_for_a_file "{ file = ********************* }" "[accounts.ntfy.prod]\ntoken = { file = \"https://u:hunter2@h\" }\n";
    a_script_for_a_program "{ command = [*********************] }" "[accounts.ntfy.prod]\ntoken = { command = [\"echo xoxb-1-hunter2\"] }\n";
    a_token_for_a_template_in_a_file "****************" "[templates]\na = { file = \"xoxb-1-hunter2\" }\n";
}

/// Draws what is wrong where the variable `E` has this value.
fn with_value(value: &str, notification: &str, toml: &str) -> String {
    let variables = Variables::of([("E", value)]);
    let definition = with(&format!("  - {notification}\n"));
    let source = Source::new("a.yaml", &definition);
    let read = Definitions::parse_with(&registry(), [source], &variables);
    let toml = Settings::parse_with(&registry(), "notify.toml", toml, &variables);
    let found = match (read, toml) {
        (Err(found), _) | (_, Err(found)) => found,
        (Ok(read), Ok(toml)) => notify_config::config(&read, &toml, toml.secrets()).unwrap_err(),
    };
    for found in &found {
        let told = format!("{found} {found:?}");
        assert!(
            value.is_empty() || value.len() < 8 || !told.contains(value),
            "{told}"
        );
    }
    draw(&found)
}

#[test]
fn whatever_a_variable_holds_is_not_told() {
    let jwt = format!("eyJ{}.hunter2{}.hunter2", "0".repeat(60), "x".repeat(60));
    let values = [
        "hunter2 hunter2",
        "#hunter2 hunter2",
        "@hunter2hunter2",
        "hunter2\ttab",
        "{{ hunter2hunter2 }}",
        "hunter2`hunter2`",
        &jwt,
    ];
    let ntfy = "[accounts.ntfy.a]\ntoken = { env = \"T\" }\ntopics = [\"#ops\"]\n";
    let places = [
        ("{phases: failed, email: \"${E}\"}", ntfy),
        ("{phases: failed, email: [\"a ${E} b\"]}", ntfy),
        ("{phases: failed, ntfy: \"${E}\"}", ntfy),
        ("{phases: \"${E}\", ntfy: \"#ops\"}", ntfy),
        ("{phases: [\"${E}\"], ntfy: \"#ops\"}", ntfy),
        ("{phases: failed, when: \"${E}\", ntfy: \"#ops\"}", ntfy),
        (
            "{phases: failed, if_unknown: \"${E}\", ntfy: \"#ops\"}",
            ntfy,
        ),
        (
            "{phases: failed, when: {longer_than: \"${E}\"}, ntfy: \"#ops\"}",
            ntfy,
        ),
        (
            "{phases: failed, ntfy: {to: \"#ops\", account: \"${E}\"}}",
            ntfy,
        ),
        (
            "{phases: failed, ntfy: {to: \"#ops\", priority: \"${E}\"}}",
            ntfy,
        ),
        (
            "{phases: failed, ntfy: {to: \"#ops\", template: {use: \"${E}\"}}}",
            ntfy,
        ),
        (
            "{phases: failed, ntfy: \"#ops\"}",
            "[outbox]\nurl = \"${E}\"\n",
        ),
        (
            "{phases: failed, ntfy: \"#ops\"}",
            "[engine]\nmax_age = \"${E}\"\n",
        ),
        (
            "{phases: failed, ntfy: \"#ops\"}",
            "[templates]\na = { file = \"no/${E}\" }\n",
        ),
        (
            "{phases: failed, ntfy: \"#ops\"}",
            "[accounts.ntfy.a]\ntoken = \"${E}\"\n",
        ),
        (
            "{phases: failed, ntfy: \"#ops\"}",
            "[accounts.ntfy.a]\ntoken = { env = \"a${E}\" }\n",
        ),
        (
            "{phases: failed, ntfy: \"#ops\"}",
            "[accounts.ntfy.a]\nretries = \"${E}\"\n",
        ),
    ];
    for value in values {
        for (notification, toml) in places {
            let drawn = with_value(value, notification, toml);
            assert!(!drawn.contains("hunter2"), "{value}: {drawn}");
            let hidden = toml.contains("a${E}");
            assert!(hidden || drawn.contains("${E}"), "{value}: {drawn}");
        }
    }
}

#[test]
fn a_short_value_does_not_blot_out_the_words_about_it() {
    let told = |value: &str, notification: &str| {
        let drawn = with_value(value, notification, ACCOUNTS);
        drawn.lines().nth(2).unwrap().trim().to_owned()
    };
    let table = [
        (
            "",
            "{phases: failed, email: \"${E}\"}",
            "× `${E}`: the address is empty",
        ),
        (
            "a",
            "{phases: \"${E}\", email: a@example.com}",
            "× `${E}`: unknown phase",
        ),
        (
            "mail",
            "{phases: failed, email: \"${E}\"}",
            "× `${E}`: a mail address has an `@`",
        ),
    ];
    for (value, notification, expected) in table {
        assert_eq!(told(value, notification), expected, "{value}");
    }
}

#[test]
fn a_secret_in_place_of_the_way_to_it_is_not_told() {
    let files = Files::new();
    let references = [
        "{ file = \"${E}\" }",
        "{ env = \"${E}\" }",
        "{ command = [\"${E}\"] }",
    ];
    let definition = files.write("a.yaml", with("  - {phases: failed, ntfy: \"#a\"}\n"));
    let told: Vec<String> = references
        .iter()
        .map(|reference| {
            let text = format!("[accounts.ntfy.a]\ntoken = {reference}\n");
            let toml = files.write("notify.toml", text);
            let installation = Installation::new([definition.clone()], toml)
                .variables(Variables::of([("E", "hunter2")]));
            let loaded = installation.read(&registry()).loaded.unwrap();
            let secrets = loaded.config.resolve_secrets();
            let missing: Vec<String> = secrets.missing().map(ToString::to_string).collect();
            missing.join(";")
        })
        .collect();
    let expected = [
        "cannot read the secret in file `${E}`: there is no such file",
        "cannot read the secret in environment variable `${E}`: it is not set",
        "cannot read the secret in command `${E}`: it cannot be run: No such file or directory (os error 2)",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_value_in_a_template_is_neither_code_nor_told() {
    let files = Files::new();
    let toml = files.write(
        "notify.toml",
        "[accounts.ntfy.a]\ntoken = { env = \"T\" }\n[templates]\nt = \"x ${E} y\"\n",
    );
    let text =
        with("  - {phases: failed, ntfy: {to: \"#a\", template: \"${E}: {{ workflow }}\"}}\n");
    let definition = files.write("a.yaml", text);
    let installation = Installation::new([definition], toml);
    let with = |value: &str| {
        installation
            .clone()
            .variables(Variables::of([("E", value)]))
    };
    for value in [
        "{{ hunter2 }}",
        "{% hunter2",
        "hunter2",
        "**hunter2**\n# \"\\",
    ] {
        let loaded = with(value).read(&registry()).loaded.unwrap();
        let effective: Vec<String> = loaded
            .effective(&notify_config::EngineSettings::default())
            .iter()
            .map(ToString::to_string)
            .collect();
        let effective = effective.join("\n");
        assert!(!effective.contains("hunter2"), "{effective}");
        assert!(effective.contains("\"x ${E} y\""), "{effective}");
    }
    let found = with("hunter2\u{e000}")
        .read(&registry())
        .loaded
        .unwrap_err();
    assert!(!format!("{found:?}").contains("hunter2"));
    assert!(found.iter().all(|one| one.code() == Code::TEMPLATE));
}

#[test]
fn a_token_in_the_file_of_a_template_is_not_shown() {
    let files = Files::new();
    let toml = files.write("notify.toml", "[templates]\na = { file = \"a.md\" }\n");
    files.write("a.md", "{{ nobody }} xoxb-1-hunter2 {{ xoxb-1-hunter2 }}\n");
    let found = Settings::read(&registry(), &toml).unwrap_err();
    assert!(!draw(&found).contains("hunter2"), "{}", draw(&found));
}

#[test]
fn the_file_of_a_template_that_is_no_text_is_named() {
    let files = Files::new();
    let toml = files.write("notify.toml", "[templates]\na = { file = \"a.md\" }\n");
    files.write("a.md", b"abc\n\xfcx\n");
    insta::assert_snapshot!(files.draw(&Settings::read(&registry(), &toml).unwrap_err()));
}

#[cfg(unix)]
#[test]
fn the_way_to_take_a_right_away_is_a_line_for_a_shell() {
    use std::os::unix::fs::PermissionsExt;

    let files = Files::new();
    let toml = files.write(
        "notify.toml",
        "[accounts.ntfy.a]\ntoken = { file = \"my sec;rm 'x\" }\n\
         [accounts.ntfy.b]\ntoken = { file = \"folder\" }\n\
         [accounts.ntfy.c]\ntoken = { file = \"/dev/null\" }\n\
         [accounts.ntfy.d]\ntoken = { file = \"${E}\" }\n",
    );
    let loose = |name| {
        let path = files.write(name, "x");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    };
    loose("my sec;rm 'x");
    loose("hunter2");
    let folder = files.0.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let text = std::fs::read_to_string(&toml).unwrap();
    let name = toml.display().to_string();
    let variables = Variables::of([("E", "hunter2")]);
    let settings = Settings::parse_with(&registry(), &name, &text, &variables).unwrap();
    let warnings = settings.warnings();
    let told: Vec<String> = warnings
        .iter()
        .map(|one| format!("{one}: {}", one.help().unwrap_or_default()))
        .collect();
    let told = told.join("\n");
    insta::assert_snapshot!(told.replace(&format!("{}/", files.0.path().display()), "DIR/"));
}

#[test]
fn what_is_in_force_shows_no_value_of_a_variable_and_no_argument() {
    let files = Files::new();
    let toml = files.write(
        "notify.toml",
        "[accounts.ntfy.a]\ntoken = { file = \"/run/${P}\" }\ntopics = [\"#a\", \"#${E}\"]\n\
         [accounts.email.a]\nsmtp = \"smtps://${E}.example.com\"\n\
         password = { command = [\"curl\", \"-u\", \"admin:hunter2\"] }\n\
         [templates]\nt = \"in ${E}\"\n\
         [[rules]]\nphases = \"failed\"\nntfy = { to = \"#${E}\", template = { use = \"t\" } }\n\
         match = { project = \"${E}\" }\n",
    );
    let text = "workflow: \"w-${E}\"\nnotifications:\n  - {phases: failed, ntfy: \"#${E}\"}\n";
    let definition = files.write("a.yaml", text);
    let variables = Variables::of([("E", "hunter2"), ("P", "hunter2p")]);
    let installation = Installation::new([definition], toml).variables(variables);
    let loaded = installation.read(&registry()).loaded.unwrap();
    let list = loaded.effective(&notify_config::EngineSettings::default());
    assert!(!format!("{list:?}").contains("hunter2"), "{list:#?}");
    let lines: Vec<String> = list.iter().map(ToString::to_string).collect();
    let folder = format!("{}/", files.0.path().display());
    insta::assert_snapshot!(lines.join("\n").replace(&folder, ""));
}

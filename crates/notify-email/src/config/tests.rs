//! What a section may say, and where a mistake in it is.

use notify_core::{AccountId, AccountName, Email, Kind, NotificationKind, Problems, schema};
use serde_json::{Value, json};

use super::*;

#[track_caller]
fn problems(section: &Value) -> Problems {
    let id = AccountId {
        kind: Kind::from_static(Email::KIND),
        name: AccountName::default_name(),
    };
    crate::DESCRIPTOR.load_account(id, section).unwrap_err()
}

#[test]
fn the_schema_agrees_with_the_reader_wherever_it_can() {
    let mut generator = schema::generator();
    let section = crate::DESCRIPTOR.account_schema(&mut generator);
    let whole = schema::whole(generator, section);
    let validator = jsonschema::validator_for(&whole).unwrap();
    let smtp = "smtps://smtp.example.com";
    let from = "Ops <ops@example.com>";
    let table = [
        (json!({"smtp": smtp, "from": from}), true),
        (
            json!({"smtp": "smtp://bücher.example:25", "from": "a@b.c"}),
            true,
        ),
        (
            json!({"smtp": "smtp+plaintext://[::1]:2525", "from": "\"Ops, Team\" <a@b.c>"}),
            true,
        ),
        (
            json!({"smtp": smtp, "from": " Ops<a@b.c> ", "timeout": "2m 30s"}),
            true,
        ),
        (
            json!({"smtp": smtp, "from": from, "username": "u", "password": {"env": "P"}}),
            true,
        ),
        (json!({}), false),
        (json!({"smtp": smtp}), false),
        (json!({"smtp": "smtp.example.com", "from": from}), false),
        (
            json!({"smtp": "smpt://smtp.example.com", "from": from}),
            false,
        ),
        (
            json!({"smtp": "smtps://jane:hunter2@smtp.example.com", "from": from}),
            false,
        ),
        (json!({"smtp": "smtps://host/path", "from": from}), false),
        (json!({"smtp": smtp, "from": "ops"}), false),
        (
            json!({"smtp": smtp, "from": "Ops\n <ops@example.com>"}),
            false,
        ),
        (json!({"smtp": smtp, "from": from, "username": "u"}), false),
        (
            json!({"smtp": smtp, "from": from, "username": "u", "password": "hunter2"}),
            false,
        ),
        (
            json!({"smtp": smtp, "from": from, "timeout": "soon"}),
            false,
        ),
        (json!({"smtp": smtp, "from": from, "port": 25}), false),
        (
            json!({
                "smtp": smtp,
                "from": from,
                "reply_to": "Ops <ops@example.com>",
                "to": ["jane@example.com"],
                "username": "u",
                "token": {"command": ["token"]},
                "auth": "xoauth2",
                "tls": {
                    "ca_file": "/ca.pem",
                    "cert_file": "/cert.pem",
                    "key": {"file": "/key.pem"},
                },
                "hello": "etl.example.com",
                "connections": 16,
                "headers": {"X-Team": "data"},
                "timeout": "5m",
                "timeouts": {"connect": "5s", "message": "4m"},
            }),
            true,
        ),
        (json!({"smtp": smtp, "from": from, "reply_to": "x"}), false),
        (json!({"smtp": smtp, "from": from, "to": ["x"]}), false),
        (
            json!({"smtp": smtp, "from": from, "token": {"env": "T"}}),
            false,
        ),
        (
            json!({"smtp": smtp, "from": from, "username": "u", "token": {"env": "T"}, "password": {"env": "P"}}),
            false,
        ),
        (
            json!({"smtp": smtp, "from": from, "auth": "cram-md5"}),
            false,
        ),
        (json!({"smtp": smtp, "from": from, "hello": "etl"}), false),
        (json!({"smtp": smtp, "from": from, "connections": 0}), false),
        (
            json!({"smtp": smtp, "from": from, "headers": {"X A": "b"}}),
            false,
        ),
        (
            json!({"smtp": smtp, "from": from, "headers": {"X-A": "b\nc"}}),
            false,
        ),
        (
            json!({"smtp": smtp, "from": from, "timeouts": {"quit": "5s"}}),
            false,
        ),
        (
            json!({"smtp": smtp, "from": from, "tls": {"key": {"env": "K"}}}),
            false,
        ),
        (
            json!({"smtp": smtp, "from": from, "tls": {"verify": false}}),
            false,
        ),
    ];
    for (section, taken) in table {
        let id = "email.default".parse().unwrap();
        assert_eq!(
            crate::DESCRIPTOR.load_account(id, &section).is_ok(),
            taken,
            "{section}"
        );
        assert_eq!(validator.is_valid(&section), taken, "{section}");
    }
}

#[test]
fn a_login_in_the_url_is_a_secret_in_a_file_and_never_quoted() {
    for url in [
        "smtps://jane:hunter2@smtp.example.com",
        "jane:hunter2@smtp.example.com",
    ] {
        let found = problems(&json!({"smtp": url, "from": "a@example.com"}));
        let found: Vec<_> = found.iter().collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code, Code::INLINE_SECRET);
        assert!(found[0].sensitive);
        assert!(!found[0].to_string().contains("hunter2"));
    }
}

#[test]
fn all_problems_of_a_section_are_found_at_once() {
    let found = problems(&json!({
        "smtp": "smtp+plaintext://smtp.example.com",
        "from": "Ops\n <ops@example.com>",
        "username": "ops",
        "timeout": "soon",
        "port": 25,
    }));
    let mut places: Vec<String> = found.iter().map(|found| found.path.to_string()).collect();
    places.sort();
    assert_eq!(places, ["from", "port", "timeout"], "{found}");

    let found = problems(&json!({
        "smtp": "smtps://smtp.example.com",
        "from": "ops@example.com",
        "username": "o\u{0}ps",
        "timeout": "11m",
    }));
    let mut places: Vec<String> = found.iter().map(|found| found.path.to_string()).collect();
    places.sort();
    assert_eq!(places, ["timeout", "username", "username"], "{found}");
}

#[test]
fn a_password_never_leaves_the_machine_in_plain_text() {
    let section = |smtp: &str| {
        json!({
            "smtp": smtp,
            "from": "ops@example.com",
            "username": "ops",
            "password": {"env": "SMTP_PASSWORD"},
        })
    };
    for smtp in [
        "smtp+plaintext://smtp.example.com",
        "smtp+plaintext://10.0.0.1:25",
    ] {
        let found = problems(&section(smtp));
        assert_eq!(found.iter().next().unwrap().path.to_string(), "smtp");
        assert!(found.to_string().contains("unencrypted"), "{found}");
    }
    for smtp in [
        "smtp+plaintext://127.0.0.1:2525",
        "smtp+plaintext://[::1]:2525",
        "smtp+plaintext://localhost",
        "smtp://smtp.example.com",
        "smtps://smtp.example.com",
    ] {
        let config: EmailConfig = serde_json::from_value(section(smtp)).unwrap();
        assert!(config.validate().is_ok(), "{smtp}");
    }
}

#[test]
fn a_login_is_a_password_or_a_token_and_goes_by_what_fits() {
    let (password, token) = (json!({"env": "P"}), json!({"env": "T"}));
    let base = json!({"smtp": "smtps://smtp.example.com", "from": "ops@example.com"});
    let section = |more: Value| {
        let mut section = base.clone();
        section
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        section
    };
    let table = [
        (json!({"username": "u"}), "username"),
        (json!({"password": password}), "password"),
        (json!({"token": token}), "token"),
        (json!({"auth": "plain"}), "auth"),
        (
            json!({"username": "u", "password": password, "auth": "xoauth2"}),
            "auth",
        ),
        (
            json!({"username": "u", "token": token, "auth": "login"}),
            "auth",
        ),
        (
            json!({"username": "u", "token": token, "password": password}),
            "token",
        ),
        (json!({"tls": {"cert_file": "/c.pem"}}), "tls.cert_file"),
        (json!({"tls": {"ca_file": "ca.pem"}}), "tls.ca_file"),
        (json!({"timeouts": {"connect": "11m"}}), "timeouts.connect"),
        (json!({"hello": "bare"}), "hello"),
        (json!({"connections": 65}), "connections"),
        (json!({"headers": {"From": "x"}}), "headers.From"),
        (json!({"headers": {"X-A": " "}}), "headers.X-A"),
    ];
    for (more, place) in table {
        let found = problems(&section(more));
        let places: Vec<String> = found.iter().map(|found| found.path.to_string()).collect();
        assert_eq!(places, [place], "{found}");
    }
    let plain = json!({"smtp": "smtp+plaintext://h", "tls": {"insecure_skip_verify": true}});
    assert_eq!(
        problems(&section(plain))
            .iter()
            .next()
            .unwrap()
            .path
            .to_string(),
        "tls"
    );
}

#[test]
fn what_is_unwise_is_warned_about() {
    use notify_core::Account;
    let section = |smtp: &str, more: Value| {
        let mut section = json!({"smtp": smtp, "from": "ops@example.com"});
        section
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let config: EmailConfig = serde_json::from_value(section).unwrap();
        let warnings = config.validate().unwrap().warnings();
        let places: Vec<String> = warnings.iter().map(|one| one.path.to_string()).collect();
        places.join(" ")
    };
    let insecure = json!({"tls": {"insecure_skip_verify": true}});
    assert_eq!(section("smtps://h", insecure), "tls.insecure_skip_verify");
    assert_eq!(section("smtp+plaintext://relay", json!({})), "smtp");
    assert_eq!(section("smtp+plaintext://localhost", json!({})), "");
    let token = |place: Value| json!({"username": "u", "token": place});
    assert_eq!(section("smtps://h", token(json!({"env": "T"}))), "token");
    assert_eq!(section("smtps://h", token(json!({"file": "/t"}))), "");
}

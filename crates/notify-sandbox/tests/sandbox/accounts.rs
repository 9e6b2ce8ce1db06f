//! The configuration that delivers into the sandbox.

use std::fs;

use notify_sandbox::Sandbox;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::client::{Running, usage};

#[tokio::test]
async fn every_used_account_has_exactly_the_agreed_keys() {
    let running = Running::start().await;
    let toml = running
        .sandbox
        .accounts_toml(&[
            usage("slack", "prod", "#data-alerts"),
            usage("slack", "prod", "#other"),
            usage("slack", "second one", "#x"),
            usage("webhook", "default", "hook"),
            usage("pagerduty", "default", "data-platform"),
            usage("pagerduty", "default", "Data \"X\""),
            usage("pagerduty", "default", "team@example.pagerduty.com"),
            usage("email", "default", "a@example.com"),
        ])
        .unwrap();
    let dir = running.dir.display();
    let Running {
        slack,
        pagerduty,
        smtp,
        ..
    } = &running;
    let start = format!(
        "[accounts.slack.prod]\ndefault = true\ntoken = {{ file = \"{dir}/slack_token\" }}\n\
         base_url = \"http://{slack}/api/\"\ntimeout = \"5s\"\n\n\
         [accounts.slack.\"second one\"]\ntoken = {{ file = \"{dir}/slack_token\" }}\n\
         base_url = \"http://{slack}/api/\"\ntimeout = \"5s\"\n\n\
         [accounts.pagerduty.default]\ndefault = true\nbase_url = \"http://{pagerduty}\"\n\
         timeout = \"5s\"\n[accounts.pagerduty.default.services]\n\
         \"data-platform\" = {{ file = \"{dir}/pagerduty_data-platform\" }}\n\
         \"Data \\\"X\\\"\" = {{ file = \"{dir}/pagerduty_data__x_."
    );
    let end = format!(
        "\" }}\n\n[accounts.email.default]\ndefault = true\n\
         smtp = \"smtp+plaintext://{smtp}\"\n\
         from = \"Workflows <workflows@sandbox.example>\"\nusername = \"sandbox\"\n\
         password = {{ file = \"{dir}/smtp_password\" }}\ntimeout = \"5s\"\n"
    );
    assert!(toml.starts_with(&start), "{toml}\n---\n{start}");
    assert!(toml.ends_with(&end), "{toml}\n---\n{end}");
    assert!(!toml.contains("webhook") && !toml.contains("team@"));
}

#[tokio::test]
async fn a_service_keeps_its_routing_key() {
    let running = Running::start().await;
    let first = running.secret("pagerduty_data-platform");
    assert_eq!(first.len(), 32);
    running
        .sandbox
        .accounts_toml(&[usage("pagerduty", "eu", "data-platform")])
        .unwrap();
    assert_eq!(running.secret("pagerduty_data-platform"), first);
}

#[cfg(unix)]
#[tokio::test]
async fn secrets_are_for_the_owner_only_even_over_an_older_file() {
    use std::os::unix::fs::PermissionsExt;

    let running = Running::start().await;
    let file = running.dir.join("slack_token");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let second = Sandbox::start(&running.dir).await.unwrap();
    for file in [
        "slack_token",
        "slack_token_chat_write",
        "slack_webhook_url",
        "smtp_password",
        "pagerduty_data-platform",
    ] {
        let mode = fs::metadata(running.dir.join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    second.shutdown().await;
}

#[tokio::test]
async fn a_sandbox_that_was_shut_down_no_longer_listens() {
    let running = Running::start().await;
    let dir = running.dir.join("second");
    let sandbox = Sandbox::start(&dir).await.unwrap();
    let url = sandbox.inbox_url();
    let address = url
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    drop(TcpStream::connect(&address).await.unwrap());
    sandbox.shutdown().await;
    TcpStream::connect(&address).await.unwrap_err();
}

#[tokio::test]
async fn dropping_a_sandbox_ends_its_open_connections() {
    let running = Running::start().await;
    let mut mail = running.authenticated().await;
    let mut page = BufReader::new(TcpStream::connect(running.inbox()).await.unwrap());
    let request = format!(
        "GET /version.json HTTP/1.1\r\nHost: {}\r\n\r\n",
        running.inbox()
    );
    page.get_mut().write_all(request.as_bytes()).await.unwrap();
    let mut status = String::new();
    page.read_line(&mut status).await.unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK\r\n");

    drop(running);
    assert_eq!(mail.reply().await, "");
    let mut rest = String::new();
    page.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("version"), "{rest}");
}

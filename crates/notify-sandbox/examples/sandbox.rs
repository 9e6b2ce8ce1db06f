//! A sandbox for programs of others: prints where it is as one line of JSON, and ends with its
//! standard input.

use std::io::{Read, Write};
use std::path::PathBuf;

use notify_sandbox::{Sandbox, Use};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let dir = std::env::args_os().nth(1).map(PathBuf::from);
    let dir = dir.ok_or_else(|| std::io::Error::other("usage: sandbox FOLDER"))?;
    let sandbox = Sandbox::start(&dir).await?;
    let uses = [
        ("slack", "#data-alerts"),
        ("email", "data-oncall@example.com"),
        ("pagerduty", "data-platform"),
    ];
    let accounts = sandbox.accounts_toml(&uses.map(|(kind, recipient)| Use {
        kind: kind.to_owned(),
        account: "default".to_owned(),
        recipient: recipient.to_owned(),
    }))?;
    std::fs::write(dir.join("notify.toml"), &accounts)?;
    let api = accounts
        .lines()
        .find_map(|line| line.strip_prefix("base_url = "))
        .map(|url| url.trim_matches('"'));
    let told = json!({"inbox": sandbox.inbox_url(), "slack": api, "dir": dir});
    let mut out = std::io::stdout();
    writeln!(out, "{told}")?;
    out.flush()?;
    // The services run on this thread: reading would hold them up.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()))
        .await
        .map_err(std::io::Error::other)??;
    sandbox.shutdown().await;
    Ok(())
}

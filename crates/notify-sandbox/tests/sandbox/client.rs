//! A running sandbox, and the smallest clients that can talk to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use notify_sandbox::{Sandbox, Use};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A sandbox with a directory of its own, and what its accounts say.
pub(crate) struct Running {
    pub(crate) sandbox: Sandbox,
    pub(crate) dir: PathBuf,
    pub(crate) slack: String,
    pub(crate) pagerduty: String,
    pub(crate) smtp: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|err| panic!("{err}: {}", self.body))
    }
}

pub(crate) fn usage(kind: &str, account: &str, recipient: &str) -> Use {
    Use {
        kind: kind.to_owned(),
        account: account.to_owned(),
        recipient: recipient.to_owned(),
    }
}

impl Running {
    pub(crate) async fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("notify-sandbox-{}-{count}", process::id()));
        let sandbox = Sandbox::start(&dir).await.unwrap();
        let toml = sandbox
            .accounts_toml(&[
                usage("slack", "default", "#x"),
                usage("email", "default", "a@example.com"),
                usage("pagerduty", "default", "data-platform"),
            ])
            .unwrap();
        let address = |section: &str, start: &str| {
            let (_, section) = toml
                .split_once(&format!("[accounts.{section}.default]"))
                .unwrap();
            let (_, rest) = section.split_once(start).unwrap();
            rest.split(['/', '"']).next().unwrap().to_owned()
        };
        Self {
            slack: address("slack", "base_url = \"http://"),
            pagerduty: address("pagerduty", "base_url = \"http://"),
            smtp: address("email", "smtp = \"smtp+plaintext://"),
            dir,
            sandbox,
        }
    }

    pub(crate) fn secret(&self, file: &str) -> String {
        fs::read_to_string(self.dir.join(file)).unwrap()
    }

    pub(crate) fn inbox(&self) -> String {
        let url = self.sandbox.inbox_url();
        url.trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned()
    }

    /// Calls a Slack method with the issued token.
    pub(crate) async fn slack(&self, method: &str, arguments: &Value) -> Value {
        let token = format!("Authorization: Bearer {}", self.secret("slack_token"));
        let headers = [
            token.as_str(),
            "Content-Type: application/json; charset=utf-8",
        ];
        let path = format!("/api/{method}");
        let answer = http(&self.slack, "POST", &path, &headers, &arguments.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Calls a Slack method with form arguments.
    pub(crate) async fn slack_form(&self, method: &str, form: &str) -> Value {
        let token = format!("Authorization: Bearer {}", self.secret("slack_token"));
        let headers = [
            token.as_str(),
            "Content-Type: application/x-www-form-urlencoded",
        ];
        http(
            &self.slack,
            "POST",
            &format!("/api/{method}"),
            &headers,
            form,
        )
        .await
        .json()
    }

    /// The id of the person with a mail address.
    pub(crate) async fn person(&self, address: &str) -> Value {
        let form = format!("email={}", address.replace('@', "%40"));
        let answer = self.slack_form("users.lookupByEmail", &form).await;
        answer["user"]["id"].clone()
    }

    /// Posts a message; its channel and time stamp.
    pub(crate) async fn post(&self, arguments: Value) -> (String, String) {
        let answer = self.slack("chat.postMessage", &arguments).await;
        let of = |name: &str| {
            let text = answer[name].as_str();
            text.unwrap_or_else(|| panic!("{answer}")).to_owned()
        };
        (of("channel"), of("ts"))
    }

    pub(crate) async fn webhook(&self, body: &str) -> Answer {
        let url = self.secret("slack_webhook_url");
        let path = url.strip_prefix(&format!("http://{}", self.slack)).unwrap();
        http(
            &self.slack,
            "POST",
            path,
            &["Content-Type: application/json"],
            body,
        )
        .await
    }

    /// Sends an alert event; a missing routing key is filled in.
    pub(crate) async fn event(&self, mut event: Value) -> Answer {
        if event.get("routing_key").is_none() {
            event["routing_key"] = Value::String(self.secret("pagerduty_data-platform"));
        }
        let headers = ["Content-Type: application/json"];
        http(
            &self.pagerduty,
            "POST",
            "/v2/enqueue",
            &headers,
            &event.to_string(),
        )
        .await
    }

    pub(crate) async fn mail_client(&self) -> MailClient {
        MailClient::connect(&self.smtp).await
    }

    /// A connection that has said EHLO and authenticated.
    pub(crate) async fn authenticated(&self) -> MailClient {
        let mut client = self.mail_client().await;
        client.say("EHLO test").await;
        let plain = base64(format!("\0sandbox\0{}", self.secret("smtp_password")).as_bytes());
        client
            .expect(&format!("AUTH PLAIN {plain}"), "235 2.7.0")
            .await;
        client
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only left behind by a test that failed early.
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// Sends one request on a connection of its own.
pub(crate) async fn http(
    address: &str,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &str,
) -> Answer {
    let length = format!("Content-Length: {}", body.len());
    let mut lines = vec![format!("{method} {path} HTTP/1.1")];
    if !headers.iter().any(|header| header.starts_with("Host:")) {
        lines.push(format!("Host: {address}"));
    }
    lines.extend(headers.iter().map(|header| (*header).to_owned()));
    lines.extend([length, "Connection: close".to_owned(), String::new()]);
    let request = format!("{}\r\n{body}", lines.join("\r\n"));

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Answer {
        status,
        headers,
        body: body.to_owned(),
    }
}

/// An SMTP connection that has read the greeting.
pub(crate) struct MailClient {
    stream: BufReader<TcpStream>,
}

impl MailClient {
    async fn connect(address: &str) -> Self {
        let stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        let mut client = Self { stream };
        assert!(client.reply().await.starts_with("220 "));
        client
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
    }

    /// The next reply with all its lines; empty at the end of the connection.
    pub(crate) async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await.unwrap() == 0 {
                return reply;
            }
            reply += &line;
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
        }
    }

    pub(crate) async fn say(&mut self, command: &str) -> String {
        self.write(format!("{command}\r\n").as_bytes()).await;
        self.reply().await
    }

    pub(crate) async fn expect(&mut self, command: &str, start: &str) {
        let reply = self.say(command).await;
        assert!(reply.starts_with(start), "{command}: {reply}");
    }

    /// Sends one mail to one recipient; returns the last reply.
    pub(crate) async fn send(&mut self, recipient: &str, mail: &str) -> String {
        self.expect("MAIL FROM:<workflows@sandbox.example>", "250 2.1.0")
            .await;
        self.expect(&format!("RCPT TO:<{recipient}>"), "250 2.1.5")
            .await;
        self.expect("DATA", "354 ").await;
        self.write(mail.as_bytes()).await;
        self.say("\r\n.").await
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * index) & 63) as usize];
            text.push(if index > chunk.len() {
                '='
            } else {
                char::from(digit)
            });
        }
    }
    text
}

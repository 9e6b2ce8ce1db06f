//! The provider against a mail server of the world: Exim, with TLS and AUTH, and what it delivered.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use notify_core::content::{Block, Severity};
use notify_core::{DeliveryId, Message, Outcome, Prepared};
use notify_testkit::fake::CERTIFICATE;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::reuse::Client;
use crate::{PASSWORD, Sample, detail, parse, short};

const EXIM: &str = "/usr/sbin/exim4";
const KEY: &str = include_str!("../../../notify-testkit/src/fake/tls/key.pem");

/// An own instance: each connection is a process of its own, as under inetd.
struct Exim {
    folder: TempDir,
}

impl Exim {
    /// Gives an instance where there is one to be had.
    fn start() -> Option<Self> {
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        if !Path::new(EXIM).exists() || !is_root {
            let why = "the Debian package exim4-daemon-light is not installed, or this is not root";
            assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{why}");
            #[expect(clippy::print_stderr, reason = "a skipped test says so")]
            {
                eprintln!("skipped: {why}");
            }
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let exim = Self { folder };
        let at = |name: &str| exim.folder.path().join(name);
        fs::set_permissions(exim.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["spool", "log", "mail"] {
            fs::create_dir(at(name)).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o777)).unwrap();
        }
        fs::write(at("cert.pem"), CERTIFICATE).unwrap();
        fs::write(at("key.pem"), KEY).unwrap();
        let conf = CONF
            .replace("FOLDER", exim.folder.path().to_str().unwrap())
            .replace("PASSWORD", PASSWORD);
        fs::write(at("conf"), conf).unwrap();
        Some(exim)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(EXIM);
        command.arg("-C").arg(self.folder.path().join("conf"));
        command
    }

    /// Serves connections, with TLS from the first byte or with STARTTLS, and gives an account's URL.
    fn listen(&self, scheme: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let conf = self.folder.path().join("conf");
        let implicit = scheme == "smtps";
        // It waits for connections until the program ends.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut command = Command::new(EXIM);
                command.arg("-C").arg(&conf).arg("-bs");
                if implicit {
                    command.arg("-tls-on-connect");
                }
                let input = Stdio::from(OwnedFd::from(stream.try_clone().unwrap()));
                let output = Stdio::from(OwnedFd::from(stream));
                let command = command.stdin(input).stdout(output).stderr(Stdio::null());
                let mut child = command.spawn().unwrap();
                thread::spawn(move || child.wait());
            }
        });
        format!("{scheme}://{address}")
    }

    fn section(&self, url: &str) -> Value {
        let mut section = crate::with_login(url);
        section["timeout"] = json!("30s");
        section["tls"] = json!({"ca_file": self.folder.path().join("cert.pem")});
        section
    }

    /// Has a mail delivered that was taken, and reads it from the mailbox.
    fn delivered(&self, outcome: &Outcome) -> String {
        let Outcome::Delivered(receipt) = outcome else {
            panic!("{outcome:?}\n{}", self.log());
        };
        let (_, id) = receipt.facts["reply"].split_once("id=").unwrap();
        let mut command = self.command();
        let done = command.arg("-M").arg(id).stderr(Stdio::null()).status();
        assert!(done.unwrap().success());
        let files = fs::read_dir(self.folder.path().join("mail/new"));
        let files = files.unwrap_or_else(|err| panic!("{err}: {}", self.log()));
        let mut mails = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
        let mail = mails.find(|mail| mail.contains(&receipt.id)).unwrap();
        assert!(
            mail.contains("Envelope-to: jane@example.org\n"),
            "{mail:.500}"
        );
        mail
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log/main")).unwrap_or_default()
    }
}

const CONF: &str = r"
primary_hostname = mail.example.org
spool_directory = FOLDER/spool
log_file_path = FOLDER/log/%s
keep_environment =
queue_only
tls_advertise_hosts = *
tls_certificate = FOLDER/cert.pem
tls_privatekey = FOLDER/key.pem
auth_advertise_hosts = ${if def:tls_in_cipher {*}}
acl_smtp_mail = check_mail
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept
message_size_limit = 1M
smtputf8_advertise_hosts = *
begin acl
check_mail:
  deny message = 5.7.0 Authentication required
       !authenticated = *
  accept
check_rcpt:
  deny message = 5.7.1 relay not permitted
       !domains = example.org
  deny message = 5.1.1 no such user
       local_parts = nobody
  accept
begin routers
all:
  driver = accept
  transport = keep
begin transports
keep:
  driver = appendfile
  directory = FOLDER/mail
  envelope_to_add
  maildir_format
  create_directory
  user = Debian-exim
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{ops}}{eq{$auth3}{PASSWORD}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{{eq{$auth1}{ops}}{eq{$auth2}{PASSWORD}}}}
  server_set_id = $auth1
";

fn mail(client: &Client, number: u128, message: Message) -> Prepared {
    let mut sample = Sample::new("nightly-etl", "jane@example.org", message);
    sample.id = DeliveryId::from_uuid(Uuid::from_u128(number));
    sample.prepared(&*client.account)
}

#[tokio::test]
async fn mails_arrive_as_they_were_meant() {
    let Some(exim) = Exim::start() else {
        return;
    };
    for (scheme, auth) in [("smtps", "plain"), ("smtp", "login")] {
        let mut section = exim.section(&exim.listen(scheme));
        section["auth"] = json!(auth);
        section["headers"] = json!({"X-Env": "prod"});
        let client = Client::of(&section);
        let number = if scheme == "smtps" { 1 } else { 3 };
        let usual = Message::new("nightly-etl failed", Severity::Error)
            .block(Block::text("größer\r\n.\r\nMAIL FROM:<evil@example.com>"))
            .block(Block::Code(format!(
                "{}the last line",
                "noise\n".repeat(5_000)
            )));
        let batch = [
            mail(&client, number, usual),
            mail(
                &client,
                number + 1,
                Message::new("夜間バッチ failed", Severity::Info),
            ),
        ];
        let outcomes = client.deliver(&batch).await;
        let first = exim.delivered(&outcomes[0]);
        let parsed = parse(first.as_bytes());
        assert_eq!(parsed.subject(), Some("[failed] nightly-etl"));
        assert_eq!(parsed.date().unwrap().to_rfc3339(), "2026-11-20T23:57:46Z");
        assert_eq!(parsed.header_raw("X-Env").map(str::trim), Some("prod"));
        let id = DeliveryId::from_uuid(Uuid::from_u128(number));
        assert_eq!(parsed.message_id(), Some(&*format!("{id}@example.com")));
        let text = parsed.body_text(0).unwrap();
        assert!(
            text.contains("größer\n.\nMAIL FROM:<evil@example.com>\n"),
            "{text}"
        );
        assert!(parsed.body_html(0).unwrap().contains("the last line</pre>"));
        let output = parsed.attachment(0).unwrap();
        assert_eq!(output.text_contents().unwrap().lines().count(), 5_001);
        let second = exim.delivered(&outcomes[1]);
        assert_eq!(
            parse(second.as_bytes()).subject(),
            Some("夜間バッチ failed")
        );
        // One session for both, under TLS.
        assert!(first.contains("with esmtpsa"), "{first:.500}");
    }
    let sessions = exim.log().matches("A=plain:ops").count();
    assert_eq!(sessions, 2, "two mails: {}", exim.log());
}

#[tokio::test]
async fn what_a_server_of_the_world_refuses_comes_to_what_it_is() {
    let Some(exim) = Exim::start() else {
        return;
    };
    let url = exim.listen("smtps");
    let client = Client::of(&exim.section(&url));
    let to = |number, to: &str| client.prepared(number, to);
    let batch = [
        to(1, "nobody@example.org"),
        to(2, "jane@elsewhere.example"),
        to(3, "jane@example.org"),
    ];
    let outcomes = client.deliver(&batch).await;
    assert_eq!(short(&outcomes[0]), "rejected destination");
    assert_eq!(short(&outcomes[1]), "rejected policy");
    assert!(detail(&outcomes[1]).contains("550 5.7.1 relay not permitted"));
    let words = client.account.explain(&outcomes[1]).unwrap();
    assert!(words.contains("does not carry"), "{words}");
    exim.delivered(&outcomes[2]);

    let mut wrong = exim.section(&url);
    wrong["username"] = json!("somebody");
    let outcome = Client::of(&wrong).deliver(&batch[..1]).await.remove(0);
    assert_eq!(short(&outcome), "rejected auth");
    assert!(detail(&outcome).contains("535"), "{outcome:?}");

    let mut nobody = exim.section(&url);
    for key in ["username", "password"] {
        nobody.as_object_mut().unwrap().remove(key);
    }
    let client = Client::of(&nobody);
    let outcome = client.deliver(&batch[..1]).await.remove(0);
    assert!(
        detail(&outcome).contains("5.7.0 Authentication required"),
        "{outcome:?}"
    );
    let words = client.account.explain(&outcome).unwrap();
    assert!(words.contains("wants a login"), "{words}");
}

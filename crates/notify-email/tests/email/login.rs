//! Certificates, logins, and what a check tells of them.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use notify_core::secret::SecretError;
use notify_core::{DeliveryContext, Outcome, SecretRef, SecretSource, Stage, SystemClock};
use notify_testkit::fake::{CERTIFICATE, SmtpFake, SmtpScript};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::reuse::Client;
use crate::{PASSWORD, detail, section, short};

/// `{"status":"401"}`.
const CHALLENGE: &str = "334 eyJzdGF0dXMiOiI0MDEifQ==";
const XOAUTH2: &str = "250-mail.test\r\n250 AUTH XOAUTH2 PLAIN";

fn with_token(smtp: &str) -> Value {
    let mut section = section(smtp);
    section["username"] = json!("ops@example.com");
    section["token"] = json!({"command": ["token"]});
    section
}

fn plaintext(fake: &SmtpFake) -> String {
    format!("smtp+plaintext://{}", fake.address())
}

async fn first(client: &Client) -> Outcome {
    let batch = [client.prepared(1, "jane@example.org")];
    client.deliver(&batch).await.remove(0)
}

#[tokio::test]
async fn a_token_goes_by_xoauth2() {
    let fake = SmtpFake::start(SmtpScript::default().ehlo(XOAUTH2));
    let client = Client::of(&with_token(&plaintext(&fake)));
    assert_eq!(short(&first(&client).await), "delivered");
    // user=ops@example.com^Aauth=Bearer hunter2-and-more^A^A
    let sent = "AUTH XOAUTH2 dXNlcj1vcHNAZXhhbXBsZS5jb20BYXV0aD1CZWFyZXIgaHVudGVyMi1hbmQtbW9yZQEB";
    assert_eq!(fake.mails()[0].commands[1], sent);
}

#[tokio::test]
async fn a_token_that_is_refused_is_a_matter_of_the_login_whatever_way_the_server_says_so() {
    let refusal = "535 5.7.8 bad token hunter2-and-more";
    let scripts = [
        SmtpScript::default().auth(CHALLENGE).auth_again(refusal),
        SmtpScript::default().auth(refusal),
        SmtpScript::default()
            .auth(CHALLENGE)
            .auth_again(notify_testkit::fake::SmtpAct::Close),
        SmtpScript::default().auth("334 ").auth_again("334 "),
    ];
    for script in scripts {
        let fake = SmtpFake::start(script.ehlo(XOAUTH2));
        let client = Client::of(&with_token(&plaintext(&fake)));
        let outcome = first(&client).await;
        assert_eq!(short(&outcome), "rejected auth", "{outcome:?}");
        assert!(!format!("{outcome:?}").contains(PASSWORD));
        let words = client.account.explain(&outcome).unwrap();
        assert!(words.contains("token"), "{words}");
        let heard = fake.mails()[0].commands.clone();
        assert!(
            heard.iter().all(|line| !line.starts_with("MAIL")),
            "{heard:?}"
        );
    }
    // A server that takes passwords alone is not told the token.
    let fake = SmtpFake::start(SmtpScript::default());
    let client = Client::of(&with_token(&plaintext(&fake)));
    let outcome = first(&client).await;
    assert_eq!(short(&outcome), "rejected config");
    assert!(detail(&outcome).contains("AUTH XOAUTH2"), "{outcome:?}");
}

#[tokio::test]
async fn the_account_may_say_how_to_log_in() {
    let fake = SmtpFake::start(
        SmtpScript::default()
            .auth("334 VXNlcm5hbWU6")
            .auth_again("235 ok"),
    );
    let mut section = crate::with_login(&plaintext(&fake));
    section["auth"] = json!("login");
    assert_eq!(short(&first(&Client::of(&section)).await), "delivered");
    assert_eq!(fake.mails()[0].commands[1], "AUTH LOGIN");
}

/// Trusts the fake's certificate.
fn trusting(section: &mut Value, folder: &tempfile::TempDir) {
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, CERTIFICATE).unwrap();
    section["tls"] = json!({"ca_file": file});
}

#[tokio::test]
async fn tls_is_begun_with_whom_the_account_trusts_and_with_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let scripts = [
        ("smtp", SmtpScript::default().with_starttls()),
        ("smtps", SmtpScript::default().with_tls()),
    ];
    for (scheme, script) in scripts {
        let fake = SmtpFake::start(script.clone());
        let url = format!("{scheme}://{}", fake.address());
        let mut trusted = crate::with_login(&url);
        trusting(&mut trusted, &folder);
        // What is under TLS is what counts.
        let fake_offers = trusted.clone();
        let client = Client::of(&fake_offers);
        if scheme == "smtp" {
            let outcome = first(&client).await;
            assert_eq!(short(&outcome), "delivered", "{outcome:?}");
        } else {
            assert_eq!(client.send(1).await, "delivered");
            assert_eq!(client.send(2).await, "delivered");
            assert_eq!(fake.progress().connections, 1);
        }
        assert!(fake.mails()[0].tls);

        let mut anybody = section(&url);
        anybody["tls"] = json!({"insecure_skip_verify": true});
        assert_eq!(Client::of(&anybody).send(1).await, "delivered");

        let outcome = first(&Client::of(&section(&url))).await;
        assert_eq!(short(&outcome), "rejected config", "{outcome:?}");
        let client = Client::of(&section(&url));
        let words = client.account.explain(&outcome).unwrap();
        assert!(words.contains("ca_file"), "{words}");
    }
}

#[tokio::test]
async fn under_tls_a_reply_without_end_is_bounded_too() {
    let folder = tempfile::tempdir().unwrap();
    let endless = SmtpScript::default()
        .with_tls()
        .rcpt(notify_testkit::fake::SmtpAct::Endless);
    let fake = SmtpFake::start(endless);
    let mut section = section(&format!("smtps://{}", fake.address()));
    trusting(&mut section, &folder);
    assert_eq!(Client::of(&section).send(1).await, "not_delivered protocol");
}

/// Takes one connection from a client with a certificate of the authority, and says whether it came.
fn wants_a_certificate(authority: &Path) -> (SocketAddr, thread::JoinHandle<bool>) {
    let read = |name: &str| authority.join(name);
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(read("ca.pem")).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let own = CertificateDer::pem_file_iter(read("server.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            own.map(Result::unwrap).collect(),
            PrivateKeyDer::from_pem_file(read("server.key")).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        stream.write_all(b"554 5.7.1 seen\r\n").ok();
        stream.conn.peer_certificates().is_some()
    });
    (address, served)
}

#[tokio::test]
async fn the_certificate_of_the_account_is_shown_to_who_asks_for_one() {
    let authority = Path::new(env!("CARGO_MANIFEST_DIR")).join("../notify-webhook/tests/fixtures");
    for shows in [true, false] {
        let (address, served) = wants_a_certificate(&authority);
        let mut section = section(&format!("smtps://{address}"));
        section["tls"] = json!({"ca_file": authority.join("ca.pem")});
        if shows {
            section["tls"]["cert_file"] = json!(authority.join("client.pem"));
            section["tls"]["key"] = json!({"env": "CLIENT_KEY"});
        }
        let account = crate::load(&section);
        let secrets = notify_core::Secrets::resolve(account.secrets(), &Keys(authority.clone()));
        let transport = account.connect(&secrets).unwrap();
        let client = Client { account, transport };
        let outcome = first(&client).await;
        let expected = if shows {
            "rejected policy"
        } else {
            "not_delivered"
        };
        assert!(short(&outcome).starts_with(expected), "{outcome:?}");
        assert_eq!(served.join().unwrap(), shows);
        let words = client.account.explain(&outcome).unwrap_or_default();
        assert_eq!(words.contains("`tls.cert_file`"), !shows, "{outcome:?}");
    }
}

#[derive(Debug)]
struct Keys(PathBuf);

impl SecretSource for Keys {
    fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
        Ok(std::fs::read_to_string(self.0.join("client.key"))
            .unwrap()
            .into())
    }
}

#[test]
fn files_that_are_of_no_use_are_said_when_connecting() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.pem");
    std::fs::write(&garbage, "garbage").unwrap();
    let missing = folder.path().join("missing.pem");
    for file in [garbage, missing] {
        let mut section = section("smtps://smtp.example.com");
        section["tls"] = json!({"ca_file": file});
        let account = crate::load(&section);
        let why = account
            .connect(&notify_core::Secrets::default())
            .unwrap_err();
        assert!(why.message.contains(".pem"), "{why}");
    }
}

async fn check(client: &Client) -> Vec<Stage> {
    let clock = SystemClock;
    client
        .transport
        .check(&DeliveryContext::new(1, &clock), &[])
        .await
}

#[tokio::test]
async fn a_check_tells_every_stage_in_the_servers_words_and_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fake = SmtpFake::start(SmtpScript::default().with_tls());
    let mut section = crate::with_login(&format!("smtps://{}", fake.address()));
    trusting(&mut section, &folder);
    let tried = check(&Client::of(&section)).await;
    let names: Vec<&str> = tried.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["connect", "tls", "ehlo", "auth"]);
    assert!(
        tried.iter().all(|stage| stage.outcome.is_none()),
        "{tried:?}"
    );
    assert_eq!(tried[0].said, "220 mail.test ESMTP");
    assert!(tried[1].said.starts_with("TLSv1"), "{tried:?}");
    assert!(tried[2].said.contains("AUTH PLAIN LOGIN"));
    assert_eq!(tried[3].said, "235 2.7.0 welcome");
    let heard = fake.mails().remove(0).commands.join(" ");
    assert!(!heard.contains("MAIL"), "{heard}");
}

#[tokio::test]
async fn a_check_ends_with_the_first_stage_that_fails() {
    let table = [
        (
            SmtpScript::default().greeting("554 no"),
            "connect",
            "554 no",
        ),
        (SmtpScript::default().ehlo("504 no"), "ehlo", "504 no"),
        (
            SmtpScript::default().auth("535 5.7.8 no: hunter2-and-more"),
            "auth",
            "535 5.7.8 no: [secret]",
        ),
        // Cut off, and over two lines.
        (
            SmtpScript::default().auth("500-what is AG9wcwBodW50ZXIyLWFu\r\n500 ZC1tb3Jl"),
            "auth",
            "500 what is [secret] [secret]",
        ),
        (
            SmtpScript::default().auth("what is AUTH PLAIN AG9wcwBodW50ZXIyLWFu"),
            "auth",
            "not a reply: what is AUTH PLAIN [secret]",
        ),
        (
            SmtpScript::default().auth("354 go"),
            "auth",
            "unexpected reply 354 go",
        ),
    ];
    for (script, name, said) in table {
        let fake = SmtpFake::start(script);
        let client = Client::of(&crate::with_login(&plaintext(&fake)));
        let last = check(&client).await.pop().unwrap();
        assert_eq!(last.name, name);
        assert!(
            last.said.ends_with(said) && last.outcome.is_some(),
            "{last:?}"
        );
    }
}

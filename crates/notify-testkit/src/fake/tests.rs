//! The fakes do what their scripts say.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{CERTIFICATE, HttpFake, Refusing, Reply, SmtpAct, SmtpFake, SmtpScript, Step};

/// Asks, and gives what came until the connection ended, and how it ended.
fn ask(fake: &HttpFake) -> (String, bool) {
    let mut stream = TcpStream::connect(fake.address()).unwrap();
    let request = "POST /x HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).unwrap();
    let mut came = Vec::new();
    let ended = stream.read_to_end(&mut came).is_ok();
    (String::from_utf8(came).unwrap(), ended)
}

#[test]
fn each_request_gets_its_step_and_every_further_one_a_500() {
    let fake = HttpFake::start([
        Step::Reply(Reply::new(204)),
        Step::Bytes(b"half".to_vec()),
        Step::Close,
        Step::Echo(400),
    ]);
    assert!(ask(&fake).0.starts_with("HTTP/1.1 204 "));
    assert_eq!(ask(&fake), ("half".to_owned(), true));
    assert_eq!(ask(&fake), (String::new(), true));
    assert!(ask(&fake).0.contains("POST /x HTTP/1.1"));
    assert!(ask(&fake).0.starts_with("HTTP/1.1 500 "));
    assert_eq!(
        (fake.requests().len(), fake.requests()[4].body()),
        (5, "{}")
    );
}

#[test]
fn a_reset_is_no_end() {
    let fake = HttpFake::start([Step::Reset]);
    assert_eq!(ask(&fake), (String::new(), false));
}

#[test]
fn what_drips_comes_as_it_is_let_out() {
    let fake = HttpFake::start([Step::Drip(Reply::new(200))]);
    let mut stream = TcpStream::connect(fake.address()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut some = [0; 4];
    fake.let_out(4);
    stream.read_exact(&mut some).unwrap();
    assert_eq!(&some, b"HTTP");
    fake.let_out(1_000);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.starts_with("/1.1 200 "));
}

#[test]
fn nobody_listens_where_connections_are_refused() {
    let nobody = Refusing::start();
    assert!(TcpStream::connect(nobody.address()).is_err());
}

#[test]
fn mail_goes_over_the_throwaway_certificate() {
    let fake = SmtpFake::start(SmtpScript::default().with_starttls().rcpt("550 5.1.1 no"));
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();

    let mut stream = BufReader::new(TcpStream::connect(fake.address()).unwrap());
    assert!(line(&mut stream).starts_with("220 "));
    say(stream.get_mut(), "EHLO me");
    while line(&mut stream).starts_with("250-") {}
    say(stream.get_mut(), "STARTTLS");
    assert!(line(&mut stream).starts_with("220 "));
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(client, stream.into_inner()));
    say(stream.get_mut(), "EHLO me");
    while line(&mut stream).starts_with("250-") {}
    for (command, reply) in [
        ("MAIL FROM:<a@b.c>", "250"),
        ("RCPT TO:<d@e.f>", "550"),
        ("RSET", "250"),
        ("QUIT", "221"),
    ] {
        say(stream.get_mut(), command);
        assert!(line(&mut stream).starts_with(reply), "{command}");
    }
    let mail = fake.mails().remove(0);
    assert!(mail.tls && mail.wire.is_none());
    assert_eq!(mail.commands[1..3], ["STARTTLS", "EHLO me"]);
}

#[test]
fn the_mail_is_kept_as_it_was_on_the_wire() {
    let fake = SmtpFake::start(SmtpScript::default().message(SmtpAct::Close));
    let mut stream = BufReader::new(TcpStream::connect(fake.address()).unwrap());
    line(&mut stream);
    say(stream.get_mut(), "DATA");
    assert!(line(&mut stream).starts_with("354 "));
    say(stream.get_mut(), "Subject: x\r\n\r\n..\r\n.");
    assert_eq!(line(&mut stream), "");
    let mail = fake.mails().remove(0);
    assert_eq!(mail.wire.as_deref(), Some("Subject: x\r\n\r\n..\r\n"));
}

fn say(stream: &mut impl Write, words: &str) {
    stream.write_all(format!("{words}\r\n").as_bytes()).unwrap();
    stream.flush().unwrap();
}

fn line(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line
}

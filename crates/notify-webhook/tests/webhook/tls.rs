//! Endpoints that want to know who calls, and callers that want to know who answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use notify_core::problem::Weight;
use notify_core::{Code, Outcome, Reason};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::{Fixed, account, class, deliver, vault};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    let file = CertificateDer::pem_file_iter(fixture(name)).unwrap();
    file.map(Result::unwrap).collect()
}

/// Takes one connection from a client with a certificate of our authority, and says who it was.
fn server() -> (SocketAddr, JoinHandle<Option<Vec<CertificateDer<'static>>>>) {
    let mut roots = RootCertStore::empty();
    roots.add(certificates("ca.pem").remove(0)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(certificates("server.pem"), key)
        .unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let read = stream.read(&mut [0; 16_384]).ok()?;
        let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).ok()?;
        stream.flush().ok()?;
        assert!(read > 0);
        let peer = stream.conn.peer_certificates()?;
        Some(peer.iter().map(|one| one.clone().into_owned()).collect())
    });
    (address, thread)
}

/// Takes one connection, says what it is asked for, and hands bytes to and fro.
fn proxy() -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let to = head.split(' ').nth(1).unwrap();
        let mut server = TcpStream::connect(to).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (mut from_client, mut to_server) =
            (client.try_clone().unwrap(), server.try_clone().unwrap());
        let up = thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
        std::io::copy(&mut server, &mut client).ok();
        client.shutdown(std::net::Shutdown::Both).ok();
        up.join().unwrap().ok();
        head
    });
    (address, thread)
}

async fn call(address: SocketAddr, tls: Value) -> Outcome {
    call_through(address, json!({"tls": tls}), "").await
}

async fn call_through(address: SocketAddr, mut endpoint: Value, proxy: &str) -> Outcome {
    endpoint["url"] = format!("https://{address}/hook").into();
    let section = json!({"endpoints": {"ci": endpoint}, "timeout": "5s"});
    let key = std::fs::read_to_string(fixture("client.key")).unwrap();
    let secrets = vault(&[("KEY", &key), ("NO_KEY", "hunter2"), ("PROXY", proxy)]);
    deliver(&*account(&section), "ci", &secrets, &Fixed).await
}

#[tokio::test]
async fn an_endpoint_of_a_private_authority_is_shown_our_certificate() {
    let (address, server) = server();
    let tls = json!({
        "ca_file": fixture("ca.pem"),
        "cert_file": fixture("client.pem"),
        "key": {"env": "KEY"},
    });
    assert_eq!(class(&call(address, tls).await), "delivered");
    assert_eq!(server.join().unwrap(), Some(certificates("client.pem")));
}

#[tokio::test]
async fn without_a_certificate_or_with_a_server_of_nobodys_nothing_is_delivered() {
    let (address, thread) = server();
    let outcome = call(address, json!({"ca_file": fixture("ca.pem")})).await;
    assert!(!matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
    thread.join().unwrap();
    let (address, thread) = server();
    // The client's certificate is no authority, so nobody vouches for the server.
    let outcome = call(address, json!({"ca_file": fixture("client.pem")})).await;
    assert_eq!(class(&outcome), "not_delivered connect");
    assert_eq!(thread.join().unwrap(), None);
}

#[tokio::test]
async fn certificates_that_cannot_be_read_hold_the_endpoint_and_repeat_no_key() {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let (ca, cert) = (fixture("ca.pem"), fixture("client.pem"));
    let table = [
        (
            json!({"ca_file": "/nonexistent/ca.pem"}),
            "cannot read `/nonexistent/ca.pem`",
        ),
        (
            json!({"ca_file": fixture("client.key")}),
            "no certificate in PEM form",
        ),
        (
            json!({"ca_file": ca, "cert_file": cert, "key": {"env": "NO_KEY"}}),
            "no certificate with its private key in PEM form",
        ),
    ];
    for (tls, expected) in table {
        let Outcome::Rejected { reason, detail, .. } = call(nowhere, tls).await else {
            panic!("not rejected");
        };
        assert_eq!(reason, Reason::Config);
        assert!(detail.contains(expected), "{detail}");
    }
}

#[tokio::test]
async fn a_server_of_nobodys_is_taken_where_that_is_said_and_the_account_warns_of_it() {
    let tls = json!({
        "insecure_skip_verify": true,
        "cert_file": fixture("client.pem"),
        "key": {"env": "KEY"},
    });
    let (address, server) = server();
    assert_eq!(class(&call(address, tls.clone()).await), "delivered");
    assert!(server.join().unwrap().is_some());
    let section = json!({"endpoints": {"ci": {"url": "https://ci.example.com/", "tls": tls}}});
    let warnings = account(&section).warnings();
    let seen: Vec<_> = warnings
        .iter()
        .map(|one| (one.code, one.path.to_string(), one.weight))
        .collect();
    let place = "endpoints.ci.tls.insecure_skip_verify".to_owned();
    assert_eq!(seen, [(Code::UNPROTECTED, place, Weight::Warning)]);
}

#[tokio::test]
async fn through_a_proxy_the_endpoint_is_asked_for_and_only_its_host_is_told() {
    let endpoint = |proxy: Value| {
        json!({
            "tls": {"ca_file": fixture("ca.pem"), "cert_file": fixture("client.pem"), "key": {"env": "KEY"}},
            "proxy": proxy,
        })
    };
    let (address, thread) = server();
    let (proxy_address, proxy_thread) = proxy();
    let open = endpoint(format!("http://{proxy_address}").into());
    assert_eq!(class(&call_through(address, open, "").await), "delivered");
    thread.join().unwrap();
    let head = proxy_thread.join().unwrap();
    assert!(
        head.starts_with(&format!("CONNECT {address} HTTP/1.1\r\n")),
        "{head}"
    );
    assert!(!head.to_lowercase().contains("authorization"), "{head}");

    let (address, thread) = server();
    let (proxy_address, proxy_thread) = proxy();
    let secret = format!("http://me:hunter2@{proxy_address}\n");
    let outcome = call_through(address, endpoint(json!({"env": "PROXY"})), &secret).await;
    assert_eq!(class(&outcome), "delivered");
    thread.join().unwrap();
    let head = proxy_thread.join().unwrap().to_lowercase();
    assert!(
        head.contains("proxy-authorization: basic bwu6ahvudgvymg=="),
        "{head}"
    );
}

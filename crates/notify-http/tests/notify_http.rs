//! The client against a scripted server on loopback.

#![cfg(test)]

mod server;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use notify_core::secret::SecretString;
use notify_core::{
    Cause, Clock, Outcome, Reason, SecretError, SecretRef, SecretSource, Secrets, Timestamp,
};
use notify_http::{
    BaseUrl, Header, HttpClient, HttpClientBuilder, Method, Post, ProxyConfig, Resolver, Response,
    SecretUrl, Wire,
};
use serde_json::json;

use crate::server::{Server, Step, refused_url};

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        "2026-11-20T23:57:46Z".parse().unwrap()
    }
}

/// Posts to a webhook-like secret address that ends in `hunter2hunter2`.
async fn post(url: &str) -> Result<Response, Outcome> {
    let url = SecretUrl::new(url).unwrap();
    let client = HttpClient::new(Duration::from_secs(1), url.wire()).unwrap();
    client.send(Post::json_to_secret(&url, "{}"), &Fixed).await
}

async fn against(step: Step) -> Result<Response, Outcome> {
    let server = Server::start(vec![step]);
    let answer = post(&server.url("/hunter2hunter2")).await;
    server.requests().await;
    answer
}

#[track_caller]
fn check_unknown(answer: Result<Response, Outcome>, expected: Cause) {
    match answer {
        Err(Outcome::Unknown { cause, detail }) => {
            assert_eq!(cause, expected, "{detail}");
            assert!(!detail.contains("hunter2"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_carries_its_headers_and_an_answer_its_text() {
    let server = Server::start(vec![
        Step::answer(200, "", "ok"),
        Step::answer(200, "", "ok"),
    ]);
    let base: BaseUrl = server.url("/api").parse().unwrap();
    let client = HttpClient::new(Duration::from_secs(5), base.wire()).unwrap();
    let token = "xoxb-hunter2".into();
    let json = Post::json(base.join("chat.postMessage"), "{\"a\":1}").bearer(&token);
    let form = Post::form(
        base.join("users.lookupByEmail"),
        &[("email", "a+b@example.com")],
    );
    for post in [json, form] {
        let answer = client.send(post, &Fixed).await.unwrap();
        assert_eq!(answer, Response::new(200, None, "ok"));
    }
    let requests = server.requests().await;
    assert!(requests[0].starts_with("POST /api/chat.postMessage HTTP/1.1\r\n"));
    assert!(requests[0].contains("authorization: Bearer xoxb-hunter2\r\n"));
    assert!(requests[0].contains("user-agent: workflow-notify/"));
    assert!(requests[0].contains("content-type: application/json; charset=utf-8\r\n"));
    assert!(requests[0].ends_with("\r\n\r\n{\"a\":1}"));
    assert!(requests[1].contains("content-type: application/x-www-form-urlencoded\r\n"));
    assert!(requests[1].ends_with("\r\n\r\nemail=a%2Bb%40example.com"));
}

#[tokio::test]
async fn an_answer_never_repeats_the_secrets_of_its_request() {
    let page = "no hook at /hunter2hunter2";
    let answer = against(Step::answer(404, "", page)).await.unwrap();
    assert_eq!(answer.body, "no hook at [secret]");

    let echo = "{\"routing_key\":\"hunter2\",\"token\":\"xoxb-hunter3\"}";
    let server = Server::start(vec![Step::answer(400, "", echo)]);
    let base: BaseUrl = server.url("").parse().unwrap();
    let client = HttpClient::new(Duration::from_secs(5), base.wire()).unwrap();
    let (key, token) = ("hunter2".into(), "xoxb-hunter3".into());
    let post = Post::json(base.join(""), "{}").hide(&key).bearer(&token);
    let answer = client.send(post, &Fixed).await.unwrap();
    assert_eq!(
        answer.body,
        "{\"routing_key\":\"[secret]\",\"token\":\"[secret]\"}"
    );
    server.requests().await;
}

#[tokio::test]
async fn a_refused_connection_is_not_delivered() {
    match post(&refused_url("/hunter2hunter2")).await {
        Err(Outcome::NotDelivered { cause, detail, .. }) => {
            assert_eq!(cause, Cause::Connect);
            assert!(detail.contains("refused") && !detail.contains("hunter2"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_not_delivered() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let read = stream.read(&mut [0; 1_024]).unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        read
    });
    let base: BaseUrl = format!("https://{address}").parse().unwrap();
    // Trusts nobody, so it needs no trust store on the machine that runs the test.
    let client = HttpClient::new(Duration::from_secs(1), Wire::Loopback).unwrap();
    let answer = client.send(Post::json(base.join(""), "{}"), &Fixed).await;
    assert!(
        matches!(
            &answer,
            Err(Outcome::NotDelivered {
                cause: Cause::Connect,
                ..
            })
        ),
        "{answer:?}"
    );
    assert!(server.join().unwrap() > 0);
}

#[tokio::test]
async fn a_connection_that_closes_after_the_request_is_unknown() {
    check_unknown(against(Step::Close).await, Cause::Protocol);
}

#[tokio::test]
async fn a_silent_server_is_unknown() {
    check_unknown(against(Step::Silence).await, Cause::Timeout);
}

#[tokio::test]
async fn an_accepted_request_whose_answer_is_cut_off_is_unknown() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"ok\":tr";
    check_unknown(against(Step::Answer(cut.to_owned())).await, Cause::Protocol);
    check_unknown(
        against(Step::answer(200, "", &"x".repeat(70_000))).await,
        Cause::TooLarge,
    );
}

#[tokio::test]
async fn a_refusal_counts_however_its_body_ends() {
    let cut = "HTTP/1.1 400 Bad Request\r\ncontent-length: 50\r\n\r\nno_te";
    let answer = against(Step::Answer(cut.to_owned())).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (400, "no_te"));
    let long = against(Step::answer(500, "", &"x".repeat(70_000))).await;
    assert_eq!(long.unwrap().body.len(), 64 * 1024);
}

#[tokio::test]
async fn a_wait_is_read_from_seconds_and_from_a_date() {
    for header in [
        "retry-after: 30\r\n",
        "retry-after: Fri, 20 Nov 2026 23:58:16 GMT\r\n",
    ] {
        let answer = against(Step::answer(429, header, "")).await.unwrap();
        assert_eq!(answer.retry_after, Some(Duration::from_secs(30)));
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let redirect = Step::answer(302, "location: http://127.0.0.1:1/elsewhere\r\n", "");
    assert_eq!(against(redirect).await.unwrap().status, 302);
}

#[tokio::test]
async fn a_request_has_the_method_the_type_and_the_headers_that_are_asked_for() {
    let server = Server::start(vec![Step::answer(200, "", "ok")]);
    let base: BaseUrl = server.url("/hook").parse().unwrap();
    let client = HttpClient::new(Duration::from_secs(5), base.wire()).unwrap();
    let key = "hunter2".into();
    let post = Post::json(base.join(""), "{}")
        .method(Method::Put)
        .content_type("application/cloudevents+json")
        .header(&Header::new("X-Team", "data").unwrap())
        .header(&Header::secret("x-key", &key).unwrap())
        .header(&Header::new("user-agent", "ours").unwrap());
    client.send(post, &Fixed).await.unwrap();
    let requests = server.requests().await;
    assert!(requests[0].starts_with("PUT /hook/ HTTP/1.1\r\n"));
    for line in [
        "content-type: application/cloudevents+json\r\n",
        "x-team: data\r\n",
        "x-key: hunter2\r\n",
        "user-agent: ours\r\n",
    ] {
        assert_eq!(requests[0].matches(line).count(), 1, "{}", requests[0]);
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_to_its_end_may_be_long_but_not_broken() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nqueued";
    let long = Step::answer(200, "", &"x".repeat(70_000));
    for (step, expected) in [(long, Some(9)), (Step::Answer(cut.to_owned()), None)] {
        let server = Server::start(vec![step]);
        let base: BaseUrl = server.url("").parse().unwrap();
        let client = HttpClient::new(Duration::from_secs(5), base.wire()).unwrap();
        let post = Post::json(base.join(""), "{}").cut_at(9);
        let answer = client.send(post, &Fixed).await;
        let read = answer.as_ref().ok().map(|answer| answer.body.len());
        assert_eq!(read, expected);
        if expected.is_none() {
            check_unknown(answer, Cause::Protocol);
        }
        server.requests().await;
    }
}

/// Gives one answer after the other, as the name server of an attacker does.
#[derive(Debug)]
struct Scripted(Mutex<Vec<&'static [&'static str]>>);

impl Scripted {
    fn answers(answers: &[&'static [&'static str]]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(answers.to_vec())))
    }
}

#[async_trait]
impl Resolver for Scripted {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let answer = self.0.lock().unwrap().remove(0);
        Ok(answer.iter().map(|text| text.parse().unwrap()).collect())
    }
}

#[track_caller]
fn check_refused(answer: &Result<Response, Outcome>, expected: &str) {
    let Err(Outcome::Rejected { reason, detail, .. }) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(*reason, Reason::Destination);
    assert!(detail.contains(expected), "{detail}");
}

#[tokio::test]
async fn a_name_that_was_public_when_it_was_asked_for_is_checked_again_at_the_connection() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let resolver = Scripted::answers(&[
        &["93.184.216.34"],
        &["127.0.0.1"],
        &["93.184.216.34", "127.0.0.1"],
    ]);
    // What a check beforehand would have seen.
    let seen = resolver.resolve("rebind.example.com").await.unwrap();
    assert_eq!(seen, ["93.184.216.34".parse::<IpAddr>().unwrap()]);
    let client = HttpClient::builder(Duration::from_secs(2), Wire::Loopback)
        .public_only_by(resolver)
        .build()
        .unwrap();
    for _ in 0..2 {
        let base: BaseUrl = format!("https://rebind.example.com:{port}")
            .parse()
            .unwrap();
        let answer = client.send(Post::json(base.join(""), "{}"), &Fixed).await;
        check_refused(&answer, "(127.0.0.1)` is a loopback address");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn an_address_in_place_of_a_name_is_checked_as_well() {
    let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    server.set_nonblocking(true).unwrap();
    let port = server.local_addr().unwrap().port();
    let client = HttpClient::builder(Duration::from_secs(2), Wire::Loopback)
        .public_only()
        .build()
        .unwrap();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::1]", "localhost"] {
        let base: BaseUrl = format!("http://{host}:{port}").parse().unwrap();
        let answer = client.send(Post::json(base.join(""), "{}"), &Fixed).await;
        check_refused(&answer, "not of the internet");
    }
    assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn whom_a_client_trusts_and_who_it_is_must_be_readable() {
    let builder = || HttpClient::builder(Duration::from_secs(1), Wire::Tls);
    assert!(builder().trust_only(b"hunter2").is_err());
    let refused = builder().identity(b"", &"hunter2".into()).unwrap_err();
    assert!(refused.sensitive && !format!("{refused:?}").contains("hunter2"));
}

#[tokio::test]
async fn wanted_headers_of_an_answer_are_kept_as_one_masked_line_and_no_others() {
    let headers = format!(
        "X-OAuth-Scopes: chat:write,users:read\r\nx-echo: Bearer xoxb-hunter3\r\nx-long: {}\r\nx-other: a\r\n",
        "x".repeat(5_000)
    );
    let server = Server::start(vec![Step::answer(200, &headers, "ok")]);
    let base: BaseUrl = server.url("").parse().unwrap();
    let client = HttpClient::new(Duration::from_secs(5), base.wire()).unwrap();
    let token = "xoxb-hunter3".into();
    let wanted = ["x-oauth-scopes", "x-echo", "x-long", "x-missing"];
    let post = Post::json(base.join(""), "{}").bearer(&token).keep(&wanted);
    let answer = client.send(post, &Fixed).await.unwrap();
    assert_eq!(
        answer.header("x-oauth-scopes"),
        Some("chat:write,users:read")
    );
    assert_eq!(answer.header("x-echo"), Some("Bearer [secret]"));
    assert!(answer.header("x-long").unwrap().ends_with("xxx…"));
    assert_eq!(
        (answer.header("x-missing"), answer.header("x-other")),
        (None, None)
    );
    server.requests().await;
}

/// Every reference leads to this secret.
#[derive(Debug)]
struct One(String);

impl SecretSource for One {
    fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
        Ok(self.0.as_str().into())
    }
}

/// Makes the builder of a client behind a proxy with credentials.
fn behind(proxy: &str, wire: Wire) -> HttpClientBuilder {
    let config: ProxyConfig = serde_json::from_value(json!({"env": "PROXY"})).unwrap();
    let secrets = Secrets::resolve(config.secret(), &One(proxy.to_owned()));
    HttpClient::builder(Duration::from_secs(5), wire)
        .proxy(Some(&config), &secrets)
        .unwrap()
}

#[tokio::test]
async fn a_proxy_that_refuses_our_name_is_a_wrong_setting_and_its_password_is_not_repeated() {
    let server = Server::start(vec![Step::answer(407, "", "no hunter2")]);
    let proxy = server.url("").replace("http://", "http://me:hunter2@");
    let client = behind(&proxy, Wire::Tls).build().unwrap();
    let base: BaseUrl = "https://vendor.example.com".parse().unwrap();
    let refused = client.send(Post::json(base.join(""), "{}"), &Fixed).await;
    let Err(Outcome::Rejected { reason, detail, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(reason, Reason::Config);
    assert!(
        detail.contains("proxy") && !detail.contains("hunter2"),
        "{detail}"
    );
    let requests = server.requests().await;
    assert!(requests[0].starts_with("CONNECT vendor.example.com:443 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_proxy_that_has_no_way_is_not_delivered() {
    let server = Server::start(vec![Step::answer(502, "", "")]);
    let client = behind(&server.url(""), Wire::Tls).build().unwrap();
    let base: BaseUrl = "https://vendor.example.com".parse().unwrap();
    let answer = client.send(Post::json(base.join(""), "{}"), &Fixed).await;
    assert!(
        matches!(
            answer,
            Err(Outcome::NotDelivered {
                cause: Cause::Connect,
                ..
            })
        ),
        "{answer:?}"
    );
    server.requests().await;
}

#[tokio::test]
async fn no_proxy_gets_what_is_not_encrypted_or_what_a_stranger_names() {
    // Nobody listens there.
    let proxy = refused_url("");
    let server = Server::start(vec![Step::answer(200, "", "ok")]);
    let base: BaseUrl = server.url("").parse().unwrap();
    let client = behind(&proxy, base.wire()).build().unwrap();
    let answer = client.send(Post::json(base.join(""), "{}"), &Fixed).await;
    assert_eq!(answer, Ok(Response::new(200, None, "ok")));
    server.requests().await;

    let client = behind(&proxy, Wire::Tls)
        .public_only_by(Arc::new(Private))
        .build()
        .unwrap();
    let base: BaseUrl = "https://vendor.example.com".parse().unwrap();
    let answer = client.send(Post::json(base.join(""), "{}"), &Fixed).await;
    assert!(
        matches!(
            answer,
            Err(Outcome::Rejected {
                reason: Reason::Destination,
                ..
            })
        ),
        "{answer:?}"
    );
}

/// Leads every name into the network at home.
#[derive(Debug)]
struct Private;

#[async_trait]
impl Resolver for Private {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![[10, 0, 0, 7].into()])
    }
}

//! What the mail server takes, refuses and shows as one.

use notify_sandbox::{Failure, Service};

use crate::client::{Running, base64};

const MAIL: &str = "From: Workflows <workflows@sandbox.example>\r\n\
    To: data-oncall@example.com\r\n\
    Subject: =?utf-8?q?nightly-etl_failed_=E2=9C=97?=\r\n\
    Message-ID: <delivery-1@sandbox.example>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/alternative; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain text\r\n..dotted\r\n\
    --b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>html text</p>\r\n--b--";

#[tokio::test]
async fn a_mail_is_taken_apart_and_shown() {
    let running = Running::start().await;
    let mut client = running.authenticated().await;
    let reply = client.send("data-oncall@example.com", MAIL).await;
    assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
    client.expect("QUIT", "221 2.0.0").await;
    assert_eq!(client.reply().await, "");

    let [message] = running.sandbox.messages().try_into().unwrap();
    assert_eq!(
        (message.service, message.to.as_str()),
        (Service::Email, "data-oncall@example.com")
    );
    assert_eq!(message.headline, "nightly-etl failed ✗");
    assert_eq!(message.text, "plain text\r\n.dotted");
    assert_eq!(message.html.as_deref(), Some("<p>html text</p>"));
    assert!(message.raw.starts_with("From: Workflows"));
    let from = "Workflows <workflows@sandbox.example>".to_owned();
    assert!(message.details.contains(&("from".to_owned(), from)));
}

#[tokio::test]
async fn the_offered_extensions_are_those_that_work() {
    let running = Running::start().await;
    let mut client = running.mail_client().await;
    let reply = client.say("EHLO [127.0.0.1]").await;
    for extension in [
        "PIPELINING",
        "SIZE 10485760",
        "AUTH PLAIN LOGIN XOAUTH2",
        "ENHANCEDSTATUSCODES",
        "8BITMIME",
        "SMTPUTF8",
    ] {
        assert!(
            reply.lines().any(|line| line.get(4..) == Some(extension)),
            "{extension}: {reply}"
        );
    }
    client.expect("HELO test", "250 sandbox.example").await;
}

#[tokio::test]
async fn every_mechanism_authenticates_with_and_without_initial_response() {
    let running = Running::start().await;
    let password = running.secret("smtp_password");
    let plain = base64(format!("\0sandbox\0{password}").as_bytes());
    let token = format!("user=sandbox\u{1}auth=Bearer {password}\u{1}\u{1}");
    let token = base64(token.as_bytes());
    let (username, password) = (base64(b"sandbox"), base64(password.as_bytes()));
    for (lines, challenges) in [
        (vec![format!("AUTH XOAUTH2 {token}")], vec![]),
        (vec!["AUTH XOAUTH2".to_owned(), token], vec!["334 \r\n"]),
        (vec![format!("AUTH PLAIN {plain}")], vec![]),
        (vec!["auth plain".to_owned(), plain], vec!["334 \r\n"]),
        (
            vec!["AUTH LOGIN".to_owned(), username.clone(), password.clone()],
            vec!["334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n"],
        ),
        (
            vec![format!("AUTH LOGIN {username}"), password],
            vec!["334 UGFzc3dvcmQ6\r\n"],
        ),
    ] {
        let mut client = running.mail_client().await;
        client.say("EHLO test").await;
        for (index, line) in lines.iter().enumerate() {
            let expected = challenges.get(index).copied().unwrap_or("235 2.7.0");
            client.expect(line, expected).await;
        }
        client.expect("AUTH PLAIN", "503 5.5.1").await;
    }
}

#[tokio::test]
async fn wrong_credentials_are_refused_and_no_mail_passes_without() {
    let running = Running::start().await;
    let mut client = running.mail_client().await;
    client.expect("MAIL FROM:<a@b.example>", "503 5.5.1").await;
    client.say("EHLO test").await;
    client.expect("MAIL FROM:<a@b.example>", "530 5.7.0").await;
    let wrong = base64(b"\0sandbox\0wrong");
    client
        .expect(&format!("AUTH PLAIN {wrong}"), "535 5.7.8")
        .await;
    client.expect("AUTH PLAIN =", "501 5.5.2").await;
    client.expect("AUTH PLAIN ????", "501 5.5.2").await;
    client.expect("AUTH LOGIN", "334 ").await;
    client.expect("*", "501 5.5.2").await;
    client.expect("AUTH CRAM-MD5", "504 5.5.4").await;
    let wrong = base64(b"user=sandbox\x01auth=Bearer old\x01\x01");
    let why = base64(br#"{"status":"401","schemes":"bearer","scope":"mail"}"#);
    let reply = client.say(&format!("AUTH XOAUTH2 {wrong}")).await;
    assert_eq!(reply, format!("334 {why}\r\n"));
    client.expect("", "535 5.7.8").await;
    let rubbish = format!("AUTH XOAUTH2 {}", base64(b"user=sandbox"));
    client.expect(&rubbish, "501 5.5.2").await;
    client.expect("MAIL FROM:<a@b.example>", "530 5.7.0").await;
}

#[tokio::test]
async fn commands_out_of_order_or_malformed_are_refused() {
    let running = Running::start().await;
    let mut client = running.authenticated().await;
    for (command, reply) in [
        ("RCPT TO:<a@b.example>", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
        ("MAIL TO:<a@b.example>", "501 5.5.4"),
        ("MAIL FROM:<a b@c.example>", "553 5.1.7"),
        ("MAIL FROM:<ä@b.example>", "553 5.6.7"),
        ("MAIL FROM:<a@b.example> NONSENSE=1", "555 5.5.4"),
        ("MAIL FROM:<a@b.example> SIZE=10485761", "552 5.3.4"),
        (
            "MAIL FROM:<ä@b.example> SMTPUTF8 BODY=8BITMIME SIZE=10",
            "250 2.1.0",
        ),
        ("MAIL FROM:<a@b.example>", "503 5.5.1"),
        ("DATA", "554 5.5.1"),
        ("RCPT TO:<nobody>", "553 5.1.3"),
        ("RCPT TO:<ä@b.example>", "250 2.1.5"),
        ("RSET", "250 2.0.0"),
        ("DATA", "503 5.5.1"),
        ("NOOP", "250 2.0.0"),
        ("", "500 5.5.2"),
        ("\u{0}\u{7f}", "500 5.5.2"),
        ("STARTTLS", "502 5.5.1"),
    ] {
        client.expect(command, reply).await;
    }
    client.write(b"MAIL \xff\xfe\r\n").await;
    assert!(client.reply().await.starts_with("500 5.5.2"));
}

#[tokio::test]
async fn a_line_without_end_is_refused_and_the_next_is_read() {
    let running = Running::start().await;
    let mut client = running.authenticated().await;
    client.expect(&"x".repeat(100_000), "500 5.5.2").await;
    client.expect("NOOP", "250 2.0.0").await;
}

#[tokio::test]
async fn a_message_over_the_announced_size_is_refused() {
    let running = Running::start().await;
    let mut client = running.authenticated().await;
    let line = format!("{}\r\n", "x".repeat(998));
    let reply = client.send("a@example.com", &line.repeat(10_600)).await;
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    assert!(running.sandbox.messages().is_empty());
    assert!(
        client
            .send("a@example.com", "Subject: x\r\n\r\ny")
            .await
            .starts_with("250 ")
    );
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let running = Running::start().await;
    let mut client = running.authenticated().await;
    client
        .write(
            b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<bad>\r\n\
              RCPT TO:<e@f.example>\r\nDATA\r\n",
        )
        .await;
    for start in ["250 2.1.0", "250 2.1.5", "553 5.1.3", "250 2.1.5", "354 "] {
        let reply = client.reply().await;
        assert!(reply.starts_with(start), "{start}: {reply}");
    }
    client
        .write(b"Subject: two\r\n\r\nx\r\n.\r\nQUIT\r\n")
        .await;
    assert!(client.reply().await.starts_with("250 2.0.0"));
    assert!(client.reply().await.starts_with("221 2.0.0"));
    let to: Vec<_> = running
        .sandbox
        .messages()
        .into_iter()
        .map(|message| message.to)
        .collect();
    assert_eq!(to, ["c@d.example", "e@f.example"]);
}

#[tokio::test]
async fn only_a_lone_dot_between_full_line_ends_ends_a_mail() {
    let running = Running::start().await;
    let mut client = running.authenticated().await;
    let long = "y".repeat(2_047);
    let mail = format!("Subject: x\r\n\r\na\n.\nb\r\n.\nc\n.\r\n{long}\r\n.. d");
    assert!(
        client
            .send("a@example.com", &mail)
            .await
            .starts_with("250 ")
    );
    let [message] = running.sandbox.messages().try_into().unwrap();
    assert_eq!(
        message.raw,
        format!("Subject: x\r\n\r\na\n.\nb\r\n\nc\n.\r\n{long}\r\n. d\r\n")
    );
}

#[tokio::test]
async fn a_repeated_message_id_is_one_mail_with_a_count_per_recipient() {
    let running = Running::start().await;
    let mut client = running.authenticated().await;
    for recipient in ["a@example.com", "a@example.com", "b@example.com"] {
        assert!(client.send(recipient, MAIL).await.starts_with("250 "));
    }
    for _ in 0..2 {
        client
            .send("c@example.com", "Subject: no id\r\n\r\nx")
            .await;
    }
    let repeats: Vec<_> = running
        .sandbox
        .messages()
        .into_iter()
        .map(|message| (message.to, message.repeats))
        .collect();
    let expected = [
        ("a@example.com", 1),
        ("b@example.com", 0),
        ("c@example.com", 0),
        ("c@example.com", 0),
    ];
    assert_eq!(
        repeats,
        expected.map(|(to, repeats)| (to.to_owned(), repeats))
    );
}

#[tokio::test]
async fn rubbish_for_a_mail_is_kept_as_it_is() {
    let running = Running::start().await;
    let mut client = running.authenticated().await;
    for rubbish in [
        "",
        "\u{0}\u{1}:::\r\n\r\n",
        "Content-Type: multipart/x; boundary=\r\n\r\n--",
    ] {
        assert!(
            client
                .send("a@example.com", rubbish)
                .await
                .starts_with("250 ")
        );
    }
    assert_eq!(running.sandbox.messages().len(), 3);
    assert_eq!(running.sandbox.messages()[0].headline, "(no subject)");
}

#[tokio::test]
async fn a_fault_is_answered_to_mail_from() {
    let running = Running::start().await;
    let mut client = running.authenticated().await;
    running.sandbox.fail(
        Service::Email,
        Some(Failure {
            status: 451,
            times: Some(1),
        }),
    );
    client.expect("MAIL FROM:<a@b.example>", "451 4.3.0").await;
    client.expect("MAIL FROM:<a@b.example>", "250 2.1.0").await;
    client.expect("RSET", "250").await;
    running.sandbox.fail(
        Service::Email,
        Some(Failure {
            status: 421,
            times: None,
        }),
    );
    client.expect("MAIL FROM:<a@b.example>", "421 4.3.0").await;
    assert_eq!(client.reply().await, "");
}

#[tokio::test]
async fn an_address_can_ask_to_be_refused() {
    let running = Running::start().await;
    let mut client = running.authenticated().await;
    client.expect("MAIL FROM:<a@b.example>", "250 2.1.0").await;
    for (recipient, reply) in [
        ("ops+550@example.com", "550 5.1.1"),
        ("ops@example.com", "250 2.1.5"),
        ("ops+451@example.com", "451 4.7.1"),
        ("ops+oncall@example.com", "250 2.1.5"),
    ] {
        client
            .expect(&format!("RCPT TO:<{recipient}>"), reply)
            .await;
    }
    client.expect("DATA", "354 ").await;
    client.expect("Subject: x\r\n\r\ny\r\n.", "250 2.0.0").await;
    assert_eq!(running.sandbox.messages().len(), 2);
}

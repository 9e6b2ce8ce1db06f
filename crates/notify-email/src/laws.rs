//! Laws: whatever a message says, a reader of the mail gets that text and nothing else.
//!
//! What cutting leaves of a message is under laws of its own, next to `fit`; here what is left is
//! held against the mail, as a reader's program takes it apart.

#[path = "../../notify-core/tests/support/any_message.rs"]
mod any_message;
mod page;

use std::sync::LazyLock;

use mail_parser::{HeaderForm, Message as Parsed, MessageParser};
use notify_core::content::{Action, Block, Field, Inline, Mention, Severity, Style, is_link};
use notify_core::email::FlyteMail;
use notify_core::{
    Delivery, DeliveryId, Email, EmailAddress, Execution, Failure, Message, Notification,
    NotificationKind, Recipient, TerminalPhase, WorkflowEnded, WorkflowName, email, phases,
};
use proptest::prelude::any;
use proptest::{prop_assert, prop_assert_eq, prop_assume, proptest};
use serde_json::json;

use self::any_message::{any_message, is_shown, laws, letters};
use self::page::{Page, page};
use crate::account::EmailAccount;
use crate::attachment::split;
use crate::body::fitted;
use crate::config::EmailConfig;
use crate::message::compose;
use crate::smtp::data_block;

const TO: EmailAddress = email!("jane@example.org");

/// Gives the whole mail.
fn mail(message: &Message) -> String {
    mail_of(&account(), message)
}

fn mail_of(account: &EmailAccount, message: &Message) -> String {
    let event = WorkflowEnded::new(
        WorkflowName::new("nightly-etl").unwrap(),
        Execution::new("analytics", "production", "run-17").unwrap(),
        TerminalPhase::Failed,
    );
    let notification: Notification = Email::on(phases![Failed]).to(TO).into();
    let to = Recipient::of(&TO);
    let id: DeliveryId = "ntf_00000000000000000000000000000007".parse().unwrap();
    let at = "2026-11-20T23:57:46Z".parse().unwrap();
    let delivery = Delivery::new(id, &event, &notification, &to, at);
    String::from_utf8(compose(account, &delivery, message)).unwrap()
}

/// Gives the name that a sender's text has between the quotes.
fn shown(name: &str) -> &str {
    let name = name.trim();
    let inner = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'));
    inner.unwrap_or(name)
}

fn account() -> EmailAccount {
    let section = json!({
        "smtp": "smtps://smtp.example.com",
        "from": "Workflows <workflows@example.com>",
    });
    let config: EmailConfig = serde_json::from_value(section).unwrap();
    config.validate().unwrap()
}

fn parse(mail: &str) -> Parsed<'_> {
    MessageParser::default().parse(mail.as_bytes()).unwrap()
}

fn part(mail: &str, html: bool) -> String {
    let parsed = parse(mail);
    let attached = parsed.attachments().count();
    // With attachments, there is a part round all.
    assert_eq!(parsed.parts.len(), 3 + attached + usize::from(attached > 0));
    let body = if html {
        parsed.body_html(0)
    } else {
        parsed.body_text(0)
    };
    body.unwrap().replace("\r\n", "\n")
}

/// Writes a fitted message as the text part should have it.
fn plain(message: &Message) -> String {
    let mut parts = vec![message.headline.clone()];
    parts.extend(message.blocks.iter().map(|block| match block {
        Block::Code(code) => Block::Code(code.trim_end_matches('\n').to_owned()).plain_text(),
        block => block.plain_text(),
    }));
    let actions: Vec<_> = message
        .actions
        .iter()
        .map(|Action { label, url }| format!("{label}: {url}"))
        .collect();
    if !actions.is_empty() {
        parts.push(actions.join("\n"));
    }
    parts.extend(message.footer.iter().map(|footer| format!("-- \n{footer}")));
    parts.join("\n\n") + "\n"
}

/// Lists what a reader of the HTML reads, without what layout adds.
fn told(message: &Message) -> String {
    let line = |inlines: &[Inline]| -> String {
        let text = |inline: &Inline| match inline {
            Inline::Link { text, url, .. } if is_link(url) && !text.is_empty() => text.clone(),
            other => other.plain_text().into_owned(),
        };
        inlines.iter().map(text).collect()
    };
    let mut told = message.headline.clone();
    for block in &message.blocks {
        match block {
            Block::Text(inlines) | Block::Heading(inlines) => told += &line(inlines),
            Block::Items { items, .. } => items.iter().for_each(|item| told += &line(item)),
            Block::Fields(fields) => {
                for Field { label, value } in fields {
                    told += label;
                    told += value;
                }
            }
            Block::Code(code) => told += code,
            other => panic!("{other:?}"),
        }
    }
    for action in &message.actions {
        told += &action.label;
        if !action.is_web() {
            told += ": ";
            told += &action.url;
        }
    }
    told.extend(message.footer.clone());
    letters(&told)
}

/// Everything that a mail can look like, said by harmless words.
static HARMLESS: LazyLock<Vec<Page>> = LazyLock::new(|| {
    let mut inlines = vec![
        Inline::Mention(Mention::Here),
        Inline::Link {
            text: "run".to_owned(),
            url: "https://example.com/".to_owned(),
            style: Style::default(),
        },
        Inline::plain("a\nb"),
    ];
    for index in 0..4 {
        let mut style = Style::default();
        let flags = [
            &mut style.strong,
            &mut style.emphasis,
            &mut style.strike,
            &mut style.code,
        ];
        *flags.into_iter().nth(index).unwrap() = true;
        let text = "text".to_owned();
        inlines.push(Inline::Text { text, style });
    }
    let items = |ordered| Block::Items {
        ordered,
        items: vec![inlines.clone()],
    };
    let field = Field {
        label: "label".to_owned(),
        value: "value".to_owned(),
    };
    let severities = [
        Severity::Info,
        Severity::Warning,
        Severity::Error,
        Severity::Critical,
    ];
    let page_of = |severity| {
        let message = Message::new("headline", severity)
            .block(Block::Text(inlines.clone()))
            .block(Block::Heading(inlines.clone()))
            .block(items(true))
            .block(items(false))
            .block(Block::Fields(vec![field.clone()]))
            .block(Block::Code("code".to_owned()))
            .action("Open", "https://example.com/")
            .action("Odd", "odd")
            .footer("footer");
        page(&part(&mail(&message), true))
    };
    severities.into_iter().map(page_of).collect()
});

proptest! {
    #![proptest_config(laws())]

    #[test]
    fn a_reader_of_either_part_is_told_the_message_and_nothing_else(message in any_message()) {
        let mail = mail(&message);
        let (message, attachments) = split(&message);
        for (number, attachment) in (0..).zip(&attachments) {
            let parsed = parse(&mail);
            let part = parsed.attachment(number).unwrap();
            prop_assert_eq!(part.text_contents().unwrap().replace("\r\n", "\n"), &*attachment.text);
        }
        let mut message = fitted(&message);
        let html = part(&mail, true);
        prop_assert!(html.len() <= 128 * 1024);
        let page = page(&html);
        prop_assert!(page.title.len() <= 4_096 && is_shown(&message.headline, &page.title));
        message.headline.clone_from(&page.title);
        prop_assert_eq!(part(&mail, false), plain(&message));

        let harmless = &HARMLESS[message.severity as usize];
        for tag in &page.tags {
            prop_assert!(harmless.tags.contains(tag), "{tag}");
        }
        prop_assert_eq!(&page.style, &harmless.style);
        prop_assert_eq!(letters(&page.text), told(&message));

        let inlines = message.blocks.iter().flat_map(|block| match block {
            Block::Text(inlines) | Block::Heading(inlines) => inlines.clone(),
            Block::Items { items, .. } => items.concat(),
            _ => Vec::new(),
        });
        let links = inlines.filter_map(|inline| match inline {
            Inline::Link { url, .. } if is_link(&url) => Some(url),
            _ => None,
        });
        let actions = message.actions.iter().filter(|action| action.is_web());
        let links = links.chain(actions.map(|action| action.url.clone())).collect();
        prop_assert_eq!(page.hrefs, links);
    }

    #[test]
    fn a_mail_has_our_headers_and_lines_that_every_server_takes(message in any_message()) {
        let (mail, again) = (mail(&message), mail(&message));
        prop_assert_eq!(&mail, &again);
        for line in mail.split("\r\n") {
            prop_assert!(!line.replace('\t', "").contains(char::is_control), "{line:?}");
            prop_assert!(line.len() <= 998 && line.is_ascii(), "{line:?}");
        }
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        let names: Vec<_> = head
            .split("\r\n")
            .filter(|line| !line.starts_with(' '))
            .map(|line| line.split(':').next().unwrap())
            .collect();
        let expected = [
            "Content-Type",
            "MIME-Version",
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "In-Reply-To",
            "References",
            "List-Id",
            "Auto-Submitted",
            "X-Auto-Response-Suppress",
        ];
        prop_assert_eq!(names, expected);
        let parsed = parse(&mail);
        let to = parsed.to().unwrap();
        prop_assert_eq!(to.iter().count(), 1);
        prop_assert_eq!(to.first().unwrap().address(), Some("jane@example.org"));
        let subject = parsed.subject().unwrap_or_default();
        prop_assert!(subject.chars().count() <= 300, "{subject}");
        let subject = letters(&subject.replace('\u{2060}', ""));
        let headline = letters(&fitted(&split(&message).0).headline);
        let kept = subject.rsplit_once('…').map_or("", |(kept, _)| kept);
        prop_assert!(
            headline == subject || !kept.is_empty() && headline.starts_with(kept),
            "{headline}\n{subject}"
        );
    }

    #[test]
    fn a_sender_and_a_header_are_read_as_they_were_written_whatever_is_in_them(
        name in "(?:\\PC|[\\\\()@,;:.=?_' -]){0,60}",
        header in "(?:\\PC|=\\?|[ ]){1,600}",
    ) {
        let section = json!({
            "smtp": "smtps://smtp.example.com",
            "from": format!("{name} <workflows@example.com>"),
            "reply_to": format!("{name} <answers@example.com>"),
        });
        let Ok(config) = serde_json::from_value::<EmailConfig>(section) else {
            return Ok(());
        };
        let mut account = config.validate().unwrap();
        let is_set = account.headers.set("X-Own", &header).is_ok();
        let mail = mail_of(&account, &Message::new("nightly-etl failed", Severity::Error));
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        for line in head.split("\r\n") {
            prop_assert!(!line.contains(char::is_control), "{line:?}");
            prop_assert!(line.len() <= 998 && line.is_ascii(), "{line:?}");
        }
        let parsed = parse(&mail);
        let of_one = [
            (parsed.from().unwrap(), "workflows@example.com"),
            (parsed.reply_to().unwrap(), "answers@example.com"),
        ];
        for (addresses, address) in of_one {
            prop_assert_eq!(addresses.iter().count(), 1, "{}", head);
            let one = addresses.first().unwrap();
            prop_assert_eq!(one.address(), Some(address), "{}", head);
            prop_assert_eq!(letters(one.name().unwrap_or_default()), letters(shown(&name)), "{}", head);
        }
        if is_set {
            let read = parsed.header_as("X-Own", HeaderForm::Text).remove(0);
            prop_assert_eq!(letters(read.as_text().unwrap_or_default()), letters(&header), "{}", head);
        }
    }

    #[test]
    fn whatever_an_event_and_an_author_say_a_mail_is_lines_of_visible_characters(
        workflow in "\\PC{1,40}",
        version in any::<String>(),
        error in any::<String>(),
        source in any::<String>(),
        header in any::<String>(),
        together: bool,
    ) {
        let workflow = WorkflowName::new(workflow);
        prop_assume!(workflow.is_ok());
        let run = Execution::new("analytics", "production", "run-17").unwrap();
        let event = WorkflowEnded::new(workflow.unwrap(), run, TerminalPhase::Failed)
            .version(version)
            .failure(Failure::new(error));
        let body = format!("{{{{ error }}}}{source}{{{{ workflow.version }}}}");
        let notification: Notification = Email::on(phases![Failed])
            .to(TO)
            .options(|options| {
                options.together = together;
                options.flyte = FlyteMail::new("{{ error }} {{ workflow.name }}", &body).ok();
                options.headers.set("X-Own", &header).ok();
            })
            .into();
        let to = Recipient::of(&TO);
        let id: DeliveryId = "ntf_00000000000000000000000000000007".parse().unwrap();
        let at = "2026-11-20T23:57:46Z".parse().unwrap();
        let delivery = Delivery::new(id, &event, &notification, &to, at);
        let message = Message::new(format!("{} failed", event.workflow), Severity::Error);
        let mail = String::from_utf8(compose(&account(), &delivery, &message)).unwrap();
        // As it goes over the wire: lines of visible characters, and one final dot.
        let block = data_block(&mail);
        let lines: Vec<&str> = block.split("\r\n").collect();
        for line in &lines {
            prop_assert!(!line.contains(char::is_control), "{line:?}");
            prop_assert!(line.len() <= 998 && line.is_ascii(), "{line:?}");
        }
        let dots = lines.iter().filter(|line| **line == ".").count();
        prop_assert_eq!((dots, lines.last()), (1, Some(&"")));
        let parsed = parse(&mail);
        prop_assert_eq!(parsed.parts.len(), 3);
        prop_assert_eq!(parsed.to().unwrap().iter().count(), 1);
        prop_assert!(parsed.cc().is_none() && parsed.bcc().is_none());
    }
}

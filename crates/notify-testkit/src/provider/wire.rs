//! What the vendor does in a case: scenes, and the wires that can play them.

use std::fmt;
use std::net::SocketAddr;

use async_trait::async_trait;

use crate::fake::{HttpFake, Mail, Progress, Reply, Request, SmtpAct, SmtpFake, SmtpScript, Step};
use crate::provider::expected::Expected;

/// What the vendor does with every delivery of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scene {
    /// Takes it.
    Takes,
    /// Takes it, unless its request holds this text: then it gives that documented answer.
    TakesAllBut(String, usize),
    /// Gives the documented answer of this number.
    Answers(usize),
    /// Wants to be left alone, in these words: the value of `Retry-After`.
    Throttles(String),
    /// Refuses it for good, in these words.
    Refuses(String),
    /// Refuses it for good, and repeats all that it was told.
    Echoes,
    /// Hears it and says nothing more.
    FallsSilent,
    /// Hears it and resets the connection.
    Resets,
    /// Begins the answer of a success, and hangs up in the middle.
    BreaksOff,
    /// Begins the answer of a success, and says no more.
    Stalls,
    /// Gives the answer of a success so slowly that nobody waits for its end.
    Drips,
    /// Gives an answer without end.
    NeverStops,
    /// Answers with bytes that are not the protocol.
    Garbles,
    /// Has trouble of its own, and says so with a page for people.
    ShowsErrorPage,
    /// Lets something else answer: a page for people, with the status of a success.
    ShowsLoginPage,
    /// Sends the client to this address.
    Redirects(String),
}

/// An answer that the vendor documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documented {
    /// The answer, for people.
    pub answer: String,
    /// What it means.
    pub expected: Expected,
}

/// The vendor's side of a protocol: plays scenes on a fake.
pub trait Wire: fmt::Debug + Send + Sync {
    /// Lists the answers that the vendor documents.
    fn documented(&self) -> Vec<Documented>;

    /// Returns how many requests one delivery takes.
    fn calls(&self) -> usize {
        1
    }

    /// Starts the vendor; `None` where the protocol, or this vendor, knows no such scene.
    fn play(&self, scene: &Scene) -> Option<Box<dyn Vendor>>;
}

/// What is waited for.
pub type Wanted<'a> = dyn Fn(&Progress) -> bool + Sync + 'a;

/// A vendor that plays a scene. It ends when it is dropped.
#[async_trait]
pub trait Vendor: Send + Sync {
    /// Returns where it listens.
    fn address(&self) -> SocketAddr;

    /// Returns what it was asked, one request for each call that sends something.
    fn requests(&self) -> Vec<Request>;

    /// Returns what it has seen and done so far.
    fn progress(&self) -> Progress;

    /// Waits until it has seen or done what is wanted.
    async fn until(&self, wanted: &Wanted<'_>) -> Progress;

    /// Lets out so many bytes of what drips.
    fn let_out(&self, bytes: usize);
}

const PAGE: &str = "<!doctype html>\r\n<html><head><title>Please log in</title></head>\r\n<body><h1>Oh no</h1></body></html>\r\n";

const GARBAGE: &[u8] = b"\x16\x03\x01\x00\x00 not a protocol \xff\xfe\x00\r\n\r\n";

/// A vendor that speaks HTTP.
///
/// ```
/// use notify_testkit::fake::Reply;
/// use notify_testkit::provider::Http;
/// use serde_json::json;
///
/// let wire = Http::delivered(Reply::json(200, &json!({"id": "m1"})))
///     .answer(Reply::new(401), "rejected auth")
///     .answer(Reply::new(429).header("retry-after", "17"), "not_delivered throttled 17s");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Http {
    before: Vec<Reply>,
    beside: Vec<(String, Reply)>,
    delivered: Reply,
    answers: Vec<(Reply, Expected)>,
    formless: bool,
}

impl Http {
    /// Says how a success looks.
    pub const fn delivered(reply: Reply) -> Self {
        Self {
            before: Vec::new(),
            beside: Vec::new(),
            delivered: reply,
            answers: Vec::new(),
            formless: false,
        }
    }

    /// Adds the answer to a call that goes before the one that delivers: a look-up.
    pub fn before(mut self, reply: Reply) -> Self {
        self.before.push(reply);
        self
    }

    /// Adds the answer to calls whose path ends so: what is asked now and then, and not with every
    /// delivery.
    pub fn beside(mut self, path: &str, reply: Reply) -> Self {
        self.beside.push((path.to_owned(), reply));
        self
    }

    /// Adds an answer that the vendor documents, and the outcome that it means.
    pub fn answer(mut self, reply: Reply, expected: impl Into<Expected>) -> Self {
        self.answers.push((reply, expected.into()));
        self
    }

    /// Says that the vendor's success is a status and no more, so that nobody can tell it from
    /// another's.
    pub fn any_body(mut self) -> Self {
        self.formless = true;
        self
    }

    /// Finds what the vendor does with one request of a scene.
    fn step(&self, scene: &Scene, request: &Request) -> Step {
        let delivered = || self.delivered.clone();
        let answer = |index: usize| Step::Reply(self.answers[index].0.clone());
        match scene {
            Scene::Takes => Step::Reply(delivered()),
            Scene::TakesAllBut(mark, index) if request.text().contains(mark) => answer(*index),
            Scene::TakesAllBut(..) => Step::Reply(delivered()),
            Scene::Answers(index) => answer(*index),
            Scene::Throttles(wait) => Reply::new(429).header("retry-after", wait).into(),
            Scene::Refuses(words) => Reply::new(400).body(words).into(),
            Scene::Echoes => Step::Echo(400),
            Scene::FallsSilent => Step::Silence,
            Scene::Resets => Step::Reset,
            Scene::BreaksOff => {
                let padded = format!("{} ", self.delivered.body);
                let bytes = delivered().body(padded).to_bytes();
                Step::Bytes(bytes[..bytes.len() - 1].to_vec())
            }
            Scene::Stalls => Step::Stall(delivered().body(format!("{} ", self.delivered.body))),
            Scene::Drips => Step::Drip(delivered()),
            Scene::NeverStops => Step::Endless(delivered()),
            Scene::Garbles => Step::Bytes(GARBAGE.to_vec()),
            Scene::ShowsErrorPage => page(502),
            Scene::ShowsLoginPage => page(200),
            Scene::Redirects(to) => Reply::new(302).header("location", to).into(),
        }
    }
}

fn page(status: u16) -> Step {
    let reply = Reply::new(status).header("content-type", "text/html");
    reply.body(PAGE).into()
}

impl Wire for Http {
    fn documented(&self) -> Vec<Documented> {
        let documented = |(reply, expected): &(Reply, Expected)| {
            let headers = reply.headers.iter();
            let headers: Vec<String> = headers
                .filter(|(name, _)| name != "content-type")
                .map(|(name, value)| format!("{name}: {value};"))
                .collect();
            let headers = headers.join(" ");
            Documented {
                answer: format!("HTTP {} {headers} {}", reply.status, reply.body),
                expected: expected.clone(),
            }
        };
        self.answers.iter().map(documented).collect()
    }

    fn calls(&self) -> usize {
        self.before.len() + self.beside.len() + 1
    }

    fn play(&self, scene: &Scene) -> Option<Box<dyn Vendor>> {
        if *scene == Scene::ShowsLoginPage && self.formless {
            return None;
        }
        let (wire, scene) = (self.clone(), scene.clone());
        let mut calls = 0;
        let fake = HttpFake::answering(move |request, _| {
            let mut beside = wire.beside.iter();
            if let Some((_, reply)) = beside.find(|(path, _)| request.path().ends_with(path)) {
                return Step::Reply(reply.clone());
            }
            let index = calls % (wire.before.len() + 1);
            calls += 1;
            match wire.before.get(index) {
                Some(reply) => Step::Reply(reply.clone()),
                None => wire.step(&scene, request),
            }
        });
        Some(Box::new(fake))
    }
}

#[async_trait]
impl Vendor for HttpFake {
    fn address(&self) -> SocketAddr {
        self.address()
    }

    fn requests(&self) -> Vec<Request> {
        self.requests()
    }

    fn progress(&self) -> Progress {
        self.progress()
    }

    async fn until(&self, wanted: &Wanted<'_>) -> Progress {
        Self::until(self, |seen| wanted(seen)).await
    }

    fn let_out(&self, bytes: usize) {
        self.let_out(bytes);
    }
}

/// A server that takes mail.
///
/// What the vendor does with a delivery, it does once it has the whole mail.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Smtp {
    answers: Vec<(SmtpScript, Expected)>,
}

impl Smtp {
    /// Adds a dialogue, and the outcome that it means.
    pub fn answer(mut self, script: SmtpScript, expected: impl Into<Expected>) -> Self {
        self.answers.push((script, expected.into()));
        self
    }

    fn script(&self, scene: &Scene) -> Option<SmtpScript> {
        let taken = "250 2.0.0 Ok: queued as 4XyZ";
        let after = |act: SmtpAct| Some(SmtpScript::default().message(act));
        match scene {
            Scene::Takes => Some(SmtpScript::default()),
            Scene::Answers(index) => Some(self.answers.get(*index)?.0.clone()),
            Scene::Refuses(words) => after(SmtpAct::Say(format!("554 5.6.0 {words}"))),
            Scene::FallsSilent => after(SmtpAct::Silence),
            Scene::Resets => after(SmtpAct::Reset),
            Scene::BreaksOff => after(SmtpAct::Close),
            Scene::Drips => after(SmtpAct::Drip(taken.to_owned())),
            Scene::NeverStops => after(SmtpAct::Endless),
            Scene::Garbles => after(SmtpAct::Last(PAGE.trim_end().to_owned())),
            _ => None,
        }
    }
}

impl Wire for Smtp {
    fn documented(&self) -> Vec<Documented> {
        let documented = |(script, expected): &(SmtpScript, Expected)| Documented {
            answer: format!("{script:?}"),
            expected: expected.clone(),
        };
        self.answers.iter().map(documented).collect()
    }

    fn play(&self, scene: &Scene) -> Option<Box<dyn Vendor>> {
        if let Scene::TakesAllBut(mark, index) = scene {
            // Nobody knows before the mail is there which one it is, so the reply decides.
            let mail = &self.answers.get(*index)?.0.message;
            let script = SmtpScript::default().message_for(mark, mail.clone());
            return Some(Box::new(SmtpFake::start(script)));
        }
        if *scene == Scene::Echoes {
            let script = SmtpScript::default().message_for("", SmtpAct::Echo);
            return Some(Box::new(SmtpFake::start(script)));
        }
        Some(Box::new(SmtpFake::start(self.script(scene)?)))
    }
}

#[async_trait]
impl Vendor for SmtpFake {
    fn address(&self) -> SocketAddr {
        self.address()
    }

    /// Gives the mails: the commands in the first line, then the mail as it was on the wire.
    fn requests(&self) -> Vec<Request> {
        let request = |mail: &Mail| {
            let wire = mail.wire.clone().unwrap_or_default();
            Request::new(format!("{}\r\n{wire}", mail.commands.join("; ")))
        };
        self.mails().iter().map(request).collect()
    }

    fn progress(&self) -> Progress {
        self.progress()
    }

    async fn until(&self, wanted: &Wanted<'_>) -> Progress {
        Self::until(self, |seen| wanted(seen)).await
    }

    fn let_out(&self, bytes: usize) {
        self.let_out(bytes);
    }
}

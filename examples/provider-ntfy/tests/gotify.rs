//! A second provider, for Gotify, with what the first has no use for: a secret for each recipient, in
//! a header of the service's own, a section that is checked, a service that refuses an empty text.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use notify_core::fit::{fit, shorten};
use notify_core::function::NoOptions;
use notify_core::problem::nearest;
use notify_core::schemars::JsonSchema;
use notify_core::*;
use notify_http::{BaseUrl, Header, HttpClient, Post, Response, Timeout};
use notify_testkit::fake::Reply;
use notify_testkit::provider::{Fixture, Http};
use serde::Deserialize;
use serde_json::{Value, json};

const DESCRIPTOR: ProviderDescriptor = ProviderDescriptor::of::<Gotify>(env!("CARGO_PKG_NAME"));
register_provider!(DESCRIPTOR);

struct Gotify;

impl NotificationKind for Gotify {
    const KIND: &'static str = "gotify";
    type Options = NoOptions;
    type Recipient = FreeName;
}

impl Provider for Gotify {
    type Kind = Self;
    type Config = GotifyAccount;
    const SUMMARY: &'static str = "messages of an application of a Gotify server";

    fn account(_: AccountId, config: GotifyAccount) -> Result<Arc<dyn Account>, Problems> {
        let mut problems = Problems::none();
        let place = Path::root().then("applications");
        if config.applications.is_empty() {
            let none = Problem::new(Code::MISSING_KEY, place.clone(), "there is no application");
            problems.push(none.help("write `alerts = { env = \"GOTIFY_ALERTS\" }`"));
        }
        for name in config.applications.keys() {
            if let Err(why) = name.parse::<FreeName>() {
                let place = place.then(name.as_str());
                problems.push(Problem::malformed(Code::WRONG_VALUE, place, why).at_key());
            }
        }
        problems.or_value(Arc::new(config))
    }
}

/// The section `[accounts.gotify.NAME]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GotifyAccount {
    /// Where the server is.
    server: BaseUrl,
    /// The applications by name, each with its token.
    #[schemars(extend("minProperties" = 1))]
    applications: BTreeMap<String, SecretRef>,
}

/// The most of a title and of a message, in bytes: Gotify sets no limit, and no phone shows more.
const MAX_TITLE: usize = 250;
const MAX_MESSAGE: usize = 16 * 1024;

impl Account for GotifyAccount {
    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        let name = to.as_str();
        if self.applications.contains_key(name) {
            return Ok(Target::lane(name));
        }
        let why = "the account has no such application";
        let problem = Problem::new(Code::UNREACHABLE_RECIPIENT, Path::root(), why);
        let known = self.applications.keys().map(String::as_str);
        Err(match nearest(name, known) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        })
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        let message = fit(message, MAX_MESSAGE, |message| message.plain_text().len());
        let title = shorten(&message.headline, MAX_TITLE, str::len);
        let text = message.plain_text();
        // Gotify refuses an empty message.
        let texts = [text.as_str(), &title, delivery.event.workflow.as_str()];
        let text = texts.into_iter().find(|text| !text.is_empty());
        Payload::json(&json!({"title": title, "message": text}))
    }

    fn deadline(&self) -> Duration {
        Timeout::default().deadline()
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        self.applications.values().collect()
    }

    fn connect(&self, secrets: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        // A token that is missing or malformed concerns its own application and no other.
        let key = |(name, token): (&String, &SecretRef)| {
            let token = secrets.get(token);
            let key = token.and_then(|token| Header::secret("X-Gotify-Key", token));
            (name.clone(), key)
        };
        Ok(Arc::new(GotifyTransport {
            client: HttpClient::new(Timeout::default().request(), self.server.wire())?,
            server: self.server.clone(),
            keys: self.applications.iter().map(key).collect(),
        }))
    }
}

#[derive(Debug)]
struct GotifyTransport {
    client: HttpClient,
    server: BaseUrl,
    keys: BTreeMap<String, Result<Header, Malformed>>,
}

impl GotifyTransport {
    async fn attempt(&self, cx: &DeliveryContext<'_>, prepared: &Prepared) -> Outcome {
        let key = match self.keys.get(prepared.recipient.as_str()) {
            Some(Ok(key)) => key,
            Some(Err(why)) => return Outcome::rejected(Reason::Auth, why.to_string()).in_lane(),
            // It was there when the delivery was recorded.
            None => return Outcome::rejected(Reason::Config, "no such application").in_lane(),
        };
        let post = Post::json(self.server.join("message"), prepared.payload.body.clone());
        match self.client.send(post.header(key), cx.clock).await {
            Ok(response) => answer(&response),
            Err(outcome) => outcome,
        }
    }
}

#[async_trait]
impl Transport for GotifyTransport {
    async fn deliver(&self, cx: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for prepared in batch {
            outcomes.push(self.attempt(cx, prepared).await);
        }
        outcomes
    }
}

/// Says what an answer means: <https://gotify.net/api-docs>
fn answer(response: &Response) -> Outcome {
    let json: Value = serde_json::from_str(&response.body).unwrap_or_default();
    match (response.status, json.get("id").and_then(Value::as_u64)) {
        (200, Some(id)) => Outcome::Delivered(Receipt::new(id.to_string())),
        // A token is one application's.
        (401 | 403, _) => response.outcome().in_lane(),
        (404, _) => Outcome::rejected(Reason::Config, "no Gotify server: HTTP 404"),
        _ => response.outcome(),
    }
}

/// Counts the bytes of one text that is sent.
fn bytes(payload: &Payload, key: &str) -> usize {
    let body: Value = serde_json::from_slice(&payload.body).unwrap();
    body[key].as_str().unwrap().len()
}

fn fixture() -> Fixture {
    let tokens = json!({"alerts": {"env": "ALERTS"}, "night shift": {"env": "NIGHT"}});
    Fixture::new(DESCRIPTOR)
        .account(move |at| json!({"server": at.url("/"), "applications": tokens}))
        .wrong_account(
            json!({"server": 7, "applications": []}),
            &["server", "applications"],
        )
        .secret("ALERTS", "AhunterAhunter2")
        .secret("NIGHT", "NhunterNhunter2")
        .notification(json!(["alerts", "night shift"]))
        .wire(
            Http::delivered(Reply::json(200, &json!({"id": 25})))
                .answer(Reply::new(400), "rejected payload")
                .answer(Reply::new(401), "rejected auth lane")
                .answer(Reply::new(404), "rejected config account")
                .answer(Reply::new(500), "not_delivered unavailable"),
        )
        .recipient(|request| request.header("x-gotify-key").map(str::to_owned))
        .accepts("a message that is not empty", |payload| {
            bytes(payload, "message") > 0
        })
        .limit("bytes of `title`", MAX_TITLE, |payload| {
            bytes(payload, "title")
        })
        .limit("bytes of `message`", MAX_MESSAGE, |payload| {
            bytes(payload, "message")
        })
}

notify_testkit::conformance!(fixture());

#[test]
fn an_application_that_cannot_be_named_is_a_problem_at_its_key() {
    let broken = json!({
        "server": "https://gotify.example.com",
        "applications": {" alerts": {"env": "ALERTS"}},
    });
    let found = DESCRIPTOR.load_account("gotify.default".parse().unwrap(), &broken);
    let found = found.unwrap_err();
    let seen: Vec<_> = found.iter().map(|one| (one.code, one.place)).collect();
    assert_eq!(seen, [(Code::WRONG_VALUE, Place::Key)]);
}

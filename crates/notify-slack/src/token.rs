//! Through the Web API: the calls of one attempt in their order.

use async_trait::async_trait;
use notify_core::secret::SecretString;
use notify_core::{
    Cause, DeliveryContext, Outcome, Prepared, Reason, Receipt, Recipient, Reconciled,
    SlackRecipient, Stage, Transport,
};
use notify_http::{BaseUrl, HttpClient, Post, Response};
use serde_json::{Map, Value, json};

use crate::answer::{Refusal, answer};
use crate::arguments;
use crate::codes::{is_channel_gone, is_form_refused, is_root_gone};
use crate::conversation::{CHANNEL, THREAD};
use crate::look::Look;
use crate::people::{Known, People, UNKNOWN_FOR};
use crate::permalink::Home;

/// `chat.postMessage` answers with the whole message, each character in up to six bytes and more.
const MAX_ANSWER: usize = 1024 * 1024;

/// A connected account with a token.
#[derive(Debug)]
pub(crate) struct TokenTransport {
    client: HttpClient,
    base_url: BaseUrl,
    token: SecretString,
    look: Look,
    pub(crate) people: People,
    home: Home,
}

impl TokenTransport {
    pub(crate) fn new(
        client: HttpClient,
        base_url: BaseUrl,
        token: SecretString,
        look: Look,
    ) -> Self {
        Self {
            client,
            base_url,
            token,
            look,
            people: People::default(),
            home: Home::default(),
        }
    }

    async fn attempt(
        &self,
        cx: &DeliveryContext<'_>,
        prepared: &Prepared,
    ) -> Result<Receipt, Outcome> {
        let mut call = arguments_of(prepared)?;
        // Whatever cuts this short, no message was posted yet.
        let channel = self.channel(cx, prepared, &call).await;
        let channel = channel.map_err(|refusal| not_posted(refusal.outcome))?;
        call.insert("channel".to_owned(), channel.into());
        self.learn_home(cx).await;
        let mut detours = Vec::new();
        loop {
            let method = arguments::method(&call);
            let refusal = match self.call(cx, method, &call).await {
                Ok(reply) => return Ok(self.receipt(cx, prepared, &call, &reply, detours)),
                Err(refusal) => refusal,
            };
            // Each detour is taken once: it takes away what it looks for.
            let code = refusal.code.clone().unwrap_or_default();
            if arguments::continues(&call) && refusal.is(is_root_gone) {
                arguments::go_by_itself(&mut call, prepared.id, &self.look);
                detours.push(("posted_anew", code));
            } else if arguments::continues(&call) && refusal.is(is_channel_gone) {
                // The recipient may be in another channel by now, under the same name.
                self.forget(&refusal, &call);
                arguments::go_by_itself(&mut call, prepared.id, &self.look);
                call.remove("channel");
                let channel = self.channel(cx, prepared, &call).await;
                let channel = channel.map_err(|refusal| not_posted(refusal.outcome))?;
                call.insert("channel".to_owned(), channel.into());
                detours.push(("posted_anew", code));
            } else if arguments::has_form(&call) && refusal.is(is_form_refused) {
                arguments::be_text(&mut call);
                detours.push(("degraded", code));
            } else {
                self.forget(&refusal, &call);
                return Err(refusal.outcome);
            }
        }
    }

    /// Writes down what Slack calls the message.
    fn receipt(
        &self,
        cx: &DeliveryContext<'_>,
        prepared: &Prepared,
        call: &Map<String, Value>,
        reply: &Value,
        detours: Vec<(&'static str, String)>,
    ) -> Receipt {
        // A repeat that Slack recognised answers `is_duplicate` and is delivered all the same.
        let id = name(reply, "/ts").unwrap_or_else(|| prepared.id.to_string());
        let mut receipt = Receipt::new(id);
        if let Some(channel) = name(reply, "/channel") {
            let recipient = prepared.recipient.as_str();
            if recipient.starts_with('#') {
                let channels = &self.people.channels;
                channels.put(recipient, Some(&channel), cx.clock.now());
            }
            receipt = receipt.fact(CHANNEL, channel);
        }
        if let Some(root) = call.get("thread_ts").and_then(Value::as_str) {
            receipt = receipt.fact(THREAD, root);
        }
        if let Some(permalink) = self.home.permalink(&receipt) {
            receipt = receipt.fact("permalink", permalink);
        }
        let with = |receipt: Receipt, (name, code): (&str, String)| receipt.fact(name, code);
        detours.into_iter().fold(receipt, with)
    }

    /// Forgets a conversation that is not there any more.
    fn forget(&self, refusal: &Refusal, call: &Map<String, Value>) {
        let gone = matches!(
            refusal.outcome,
            Outcome::Rejected {
                reason: Reason::Destination,
                ..
            }
        );
        if let Some(channel) = call.get("channel").and_then(Value::as_str).filter(|_| gone) {
            self.people.conversations.forget(channel);
            self.people.channels.forget(channel);
        }
    }

    /// Finds out what to name as `channel`: what the message continues, or the recipient.
    pub(crate) async fn channel(
        &self,
        cx: &DeliveryContext<'_>,
        prepared: &Prepared,
        call: &Map<String, Value>,
    ) -> Result<String, Refusal> {
        if let Some(channel) = call.get("channel").and_then(Value::as_str) {
            return Ok(channel.to_owned());
        }
        match prepared.recipient.typed::<SlackRecipient>() {
            Ok(SlackRecipient::Channel(name)) => Ok(name.as_str().to_owned()),
            Ok(SlackRecipient::ChannelId(id)) => Ok(id.as_str().to_owned()),
            Ok(SlackRecipient::User(id)) => self.conversation(cx, id.as_str()).await,
            Ok(SlackRecipient::Mail(address)) => {
                let user = self.user(cx, address.as_str()).await?;
                self.conversation(cx, &user).await
            }
            Ok(_) => {
                let detail = "a form of recipient that this provider does not know";
                Err(Outcome::rejected(Reason::Destination, detail).into())
            }
            Err(err) => Err(Outcome::rejected(Reason::Destination, err.to_string()).into()),
        }
    }

    /// Finds a person by mail address.
    async fn user(&self, cx: &DeliveryContext<'_>, address: &str) -> Result<String, Refusal> {
        let method = "users.lookupByEmail";
        let users = &self.people.users;
        match users.get(address, cx.clock.now()) {
            Some(Known::As(user)) => return Ok(user.into()),
            Some(Known::Nobody) => {
                let minutes = UNKNOWN_FOR.as_secs() / 60;
                let detail =
                    format!("{method}: users_not_found; asked within the last {minutes} minutes");
                return Err(Outcome::rejected(Reason::Destination, detail).into());
            }
            None => {}
        }
        // One of the methods that take no JSON.
        let fields = [("email", address)];
        let post = Post::form(self.base_url.join(method), &fields);
        let reply = match self.send(cx, method, post).await {
            Ok(reply) => reply,
            Err(refusal) => {
                if refusal.is(|code| code == "users_not_found") {
                    users.put(address, None, cx.clock.now());
                }
                return Err(refusal);
            }
        };
        let user = required(&reply, method, "/user/id")?;
        users.put(address, Some(&user), cx.clock.now());
        Ok(user)
    }

    /// Opens the direct conversation with a person, or finds the one that is open.
    ///
    /// A person's id would post as well, but only the conversation's id can be updated later.
    async fn conversation(&self, cx: &DeliveryContext<'_>, user: &str) -> Result<String, Refusal> {
        let conversations = &self.people.conversations;
        if let Some(channel) = conversations.name(user, cx.clock.now()) {
            return Ok(channel);
        }
        let method = "conversations.open";
        let post = Post::json(
            self.base_url.join(method),
            json!({"users": user}).to_string(),
        );
        let reply = self.send(cx, method, post).await?;
        let channel = required(&reply, method, "/channel/id")?;
        conversations.put(user, Some(&channel), cx.clock.now());
        Ok(channel)
    }

    /// Asks where the workspace is, for the addresses of messages.
    ///
    /// It is asked before anything is posted, and no answer is an answer: a message that was
    /// delivered is never in doubt for it.
    async fn learn_home(&self, cx: &DeliveryContext<'_>) {
        if !self.home.is_wanted(cx.clock.now()) {
            return;
        }
        let answered = self.auth_test(cx).await;
        let reply = answered.ok().map(|(reply, _)| reply);
        let url = reply.and_then(|reply| text(&reply, "/url"));
        self.home.learn(url.as_deref(), cx.clock.now());
    }

    /// Asks whose token it is; gives the answer and the token's scopes, where Slack named them.
    async fn auth_test(
        &self,
        cx: &DeliveryContext<'_>,
    ) -> Result<(Value, Option<String>), Refusal> {
        let method = "auth.test";
        let post = Post::json(self.base_url.join(method), "{}").keep(&[SCOPES]);
        let response = self.respond(cx, post).await?;
        let scopes = response.header(SCOPES).map(str::to_owned);
        Ok((answer(method, &response)?, scopes))
    }

    async fn call(
        &self,
        cx: &DeliveryContext<'_>,
        method: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Value, Refusal> {
        let body = serde_json::to_vec(arguments)
            .map_err(|err| Outcome::rejected(Reason::Payload, err.to_string()))?;
        let post = Post::json(self.base_url.join(method), body);
        self.send(cx, method, post).await
    }

    async fn send(
        &self,
        cx: &DeliveryContext<'_>,
        method: &str,
        post: Post<'_>,
    ) -> Result<Value, Refusal> {
        let response = self.respond(cx, post.read_up_to(MAX_ANSWER)).await?;
        answer(method, &response)
    }

    async fn respond(&self, cx: &DeliveryContext<'_>, post: Post<'_>) -> Result<Response, Outcome> {
        self.client.send(post.bearer(&self.token), cx.clock).await
    }

    /// Calls a method that takes a form.
    pub(crate) async fn ask(
        &self,
        cx: &DeliveryContext<'_>,
        method: &str,
        fields: &[(&str, &str)],
        most: usize,
    ) -> Result<Value, Refusal> {
        let post = Post::form(self.base_url.join(method), fields).read_up_to(most);
        let response = self.respond(cx, post).await?;
        answer(method, &response)
    }
}

/// The header that lists what a token may do.
const SCOPES: &str = "x-oauth-scopes";

#[async_trait]
impl Transport for TokenTransport {
    async fn deliver(&self, cx: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for prepared in batch {
            let result = self.attempt(cx, prepared).await;
            outcomes.push(result.map_or_else(|outcome| outcome, Outcome::Delivered));
        }
        outcomes
    }

    async fn reconcile(&self, cx: &DeliveryContext<'_>, delivery: &Prepared) -> Reconciled {
        self.search(cx, delivery).await
    }

    async fn check(&self, cx: &DeliveryContext<'_>, _: &[Recipient]) -> Vec<Stage> {
        let host = self.base_url.join("").to_string();
        let (reply, scopes) = match self.auth_test(cx).await {
            Ok(answered) => answered,
            Err(Refusal { outcome, .. }) => {
                if let Outcome::NotDelivered {
                    cause: Cause::Connect,
                    ..
                } = outcome
                {
                    return vec![Stage::failed("connect", outcome)];
                }
                let outcome = not_posted(outcome);
                return vec![
                    Stage::passed("connect", host),
                    Stage::failed("auth.test", outcome),
                ];
            }
        };
        let said = |pointer| text(&reply, pointer).unwrap_or_else(|| "?".to_owned());
        let who = format!(
            "`{}` in `{}`, {}",
            said("/user"),
            said("/team"),
            said("/url")
        );
        let mut stages = vec![
            Stage::passed("connect", host),
            Stage::passed("auth.test", who),
        ];
        stages.extend(scopes.map(|scopes| self.check_scopes(&scopes)));
        stages
    }
}

impl TokenTransport {
    /// Says what the token may do, and what of it messages of this account need.
    fn check_scopes(&self, scopes: &str) -> Stage {
        let has = |wanted: &str| scopes.split(',').any(|scope| scope.trim() == wanted);
        if !has("chat:write") {
            let detail =
                format!("auth.test: missing_scope; needed scope chat:write; provided {scopes}");
            return Stage::failed("scopes", Outcome::rejected(Reason::Auth, detail));
        }
        let mut said = scopes.to_owned();
        let wanted = [
            ("im:write", true, "no messages to people"),
            ("users:read.email", true, "no mail addresses"),
            (
                "chat:write.customize",
                !self.look.is_plain(),
                "no name and no icon of the account's own",
            ),
        ];
        for (scope, is_used, without) in wanted {
            if is_used && !has(scope) {
                said.extend(["; without ", scope, " ", without]);
            }
        }
        Stage::passed("scopes", said)
    }
}

/// Reads the payload back.
pub(crate) fn arguments_of(prepared: &Prepared) -> Result<Map<String, Value>, Outcome> {
    serde_json::from_slice(&prepared.payload.body)
        .map_err(|err| Outcome::rejected(Reason::Payload, err.to_string()))
}

/// Turns an outcome of a call that posts nothing into one that leaves no doubt.
fn not_posted(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unknown { cause, detail } => Outcome::not_delivered(cause, detail),
        other => other,
    }
}

/// Returns a name that Slack gave something, if it looks like one.
pub(crate) fn name(reply: &Value, pointer: &str) -> Option<String> {
    let is_name = |name: &String| {
        (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
    };
    text(reply, pointer).filter(is_name)
}

fn text(reply: &Value, pointer: &str) -> Option<String> {
    reply.pointer(pointer)?.as_str().map(str::to_owned)
}

fn required(reply: &Value, method: &str, pointer: &str) -> Result<String, Refusal> {
    name(reply, pointer).ok_or_else(|| {
        let detail = format!("{method}: the answer has no `{pointer}`");
        Outcome::not_delivered(Cause::Protocol, detail).into()
    })
}

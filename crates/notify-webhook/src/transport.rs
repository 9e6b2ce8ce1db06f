//! One attempt: one request for each delivery.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use notify_core::secret::{ExposeSecret, SecretString};
use notify_core::{
    DeliveryContext, Malformed, Outcome, Prepared, Reason, SecretRef, Secrets, Transport,
};
use notify_http::{Header, HttpClient, Method, OpenUrl, Post, Response, SecretUrl, Wire};

use crate::account::WebhookAccount;
use crate::answer::answer;
use crate::endpoint::{Address, Body, Endpoint, Login, Mode, Text};
use crate::event;
use crate::recipient::{EndpointName, WebhookRecipient};
use crate::signature::{ID, SIGNATURE, SigningKey, TIMESTAMP, signature};

/// The most bytes that are read of an answer: enough to see what it is about.
const MAX_ANSWER: usize = 4 * 1024;

/// A connected account.
#[derive(Debug)]
pub(crate) struct WebhookTransport {
    endpoints: BTreeMap<String, Result<Connected, Malformed>>,
    urls: Option<Urls>,
}

/// An endpoint with its secrets. What is missing or malformed concerns this one and no other.
#[derive(Debug)]
struct Connected {
    client: HttpClient,
    url: SecretUrl,
    method: Method,
    headers: Vec<Header>,
    /// What an answer must not repeat.
    hidden: Vec<SecretString>,
    keys: Vec<SigningKey>,
    mode: Mode,
}

/// How addresses that a notification names are reached.
#[derive(Debug)]
struct Urls {
    web: Result<HttpClient, Malformed>,
    /// Where this machine is allowed.
    loopback: Option<Result<HttpClient, Malformed>>,
}

impl WebhookTransport {
    pub(crate) fn new(account: &WebhookAccount, secrets: &Secrets) -> Self {
        let mut clients = Clients::new(account.timeout);
        let connect = |(name, endpoint): (&String, &Endpoint)| {
            let connected = connect(endpoint, secrets, &mut clients);
            (name.clone(), connected)
        };
        let endpoints = account.endpoints.iter().map(connect).collect();
        let builder = |wire| HttpClient::builder(account.timeout, wire);
        let urls = account.allow_urls.then(|| {
            if account.allow_private {
                Urls {
                    web: builder(Wire::Tls).build(),
                    loopback: Some(builder(Wire::Loopback).build()),
                }
            } else {
                Urls {
                    web: builder(Wire::Tls).public_only().build(),
                    loopback: None,
                }
            }
        });
        Self { endpoints, urls }
    }

    async fn attempt(&self, cx: &DeliveryContext<'_>, prepared: &Prepared) -> Outcome {
        let recipient: WebhookRecipient = match prepared.recipient.typed() {
            Ok(recipient) => recipient,
            Err(why) => return Outcome::rejected(Reason::Destination, why.to_string()),
        };
        let (answered, named) = match &recipient {
            WebhookRecipient::Endpoint(name) => (self.to_endpoint(cx, prepared, name).await, true),
            WebhookRecipient::Url(url) => (self.to_url(cx, prepared, url).await, false),
        };
        match answered {
            Ok(response) => answer(&response, prepared.id, named),
            Err(outcome) => outcome,
        }
    }

    async fn to_endpoint(
        &self,
        cx: &DeliveryContext<'_>,
        prepared: &Prepared,
        name: &EndpointName,
    ) -> Result<Response, Outcome> {
        match self.endpoints.get(name.as_str()) {
            Some(Ok(endpoint)) => endpoint.send(cx, prepared).await,
            Some(Err(why)) => Err(Outcome::rejected(Reason::Config, why.to_string()).in_lane()),
            None => {
                // It was there when the delivery was recorded.
                let detail = format!("the account has no endpoint `{name}`");
                Err(Outcome::rejected(Reason::Config, detail).in_lane())
            }
        }
    }

    async fn to_url(
        &self,
        cx: &DeliveryContext<'_>,
        prepared: &Prepared,
        url: &OpenUrl,
    ) -> Result<Response, Outcome> {
        let url = url.secret();
        let client = match (&self.urls, url.wire()) {
            (Some(urls), Wire::Tls) => Some(&urls.web),
            (Some(urls), Wire::Loopback) => urls.loopback.as_ref(),
            (None, _) => None,
        };
        let client = match client {
            Some(Ok(client)) => client,
            Some(Err(why)) => return Err(Outcome::rejected(Reason::Config, why.to_string())),
            None => {
                let why = "the account takes no such address as a recipient";
                return Err(Outcome::rejected(Reason::Config, why).in_lane());
            }
        };
        let post = Post::json_to_secret(&url, prepared.payload.body.clone())
            .content_type(prepared.payload.content_type);
        send(client, identified(post, cx, prepared), cx).await
    }
}

impl Connected {
    async fn send(
        &self,
        cx: &DeliveryContext<'_>,
        prepared: &Prepared,
    ) -> Result<Response, Outcome> {
        let payload = &prepared.payload;
        let event = payload.content_type == event::STRUCTURED;
        let (more, body) = match self.mode {
            Mode::Binary if event => match event::binary(&payload.body) {
                Ok((headers, data)) => (headers, data.into()),
                Err(why) => return Err(Outcome::rejected(Reason::Payload, why.to_string())),
            },
            _ => (Vec::new(), payload.body.clone()),
        };
        let content_type = if more.is_empty() {
            payload.content_type
        } else {
            event::JSON
        };
        let signed = self.signature(cx, prepared, &body);
        let mut post = Post::json_to_secret(&self.url, body)
            .method(self.method)
            .content_type(content_type);
        for header in self.headers.iter().chain(&more) {
            post = post.header(header);
        }
        post = identified(post, cx, prepared);
        if let Some(signed) = signed {
            post = post.header(&signed);
        }
        for secret in &self.hidden {
            post = post.hide(secret);
        }
        send(&self.client, post, cx).await
    }

    fn signature(
        &self,
        cx: &DeliveryContext<'_>,
        prepared: &Prepared,
        body: &[u8],
    ) -> Option<Header> {
        if self.keys.is_empty() {
            return None;
        }
        let id = prepared.id.to_string();
        let signed = signature(&self.keys, &id, seconds(cx), body);
        Header::new(SIGNATURE, &signed).ok()
    }
}

/// Adds which delivery it is and when the attempt is made, by which a receiver tells repeats.
fn identified<'a>(post: Post<'a>, cx: &DeliveryContext<'_>, prepared: &Prepared) -> Post<'a> {
    let id = Header::new(ID, &prepared.id.to_string());
    let timestamp = Header::new(TIMESTAMP, &seconds(cx).to_string());
    [id, timestamp].iter().flatten().fold(post, Post::header)
}

fn seconds(cx: &DeliveryContext<'_>) -> i64 {
    cx.clock.now().as_micros().div_euclid(1_000_000)
}

async fn send(
    client: &HttpClient,
    post: Post<'_>,
    cx: &DeliveryContext<'_>,
) -> Result<Response, Outcome> {
    let post = post.cut_at(MAX_ANSWER);
    client.send(post, cx.clock).await
}

#[async_trait]
impl Transport for WebhookTransport {
    async fn deliver(&self, cx: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for prepared in batch {
            outcomes.push(self.attempt(cx, prepared).await);
        }
        outcomes
    }
}

/// Clients of endpoints without certificates and proxies of their own, which share one for each wire.
struct Clients {
    timeout: Duration,
    shared: Vec<(Wire, Result<HttpClient, Malformed>)>,
}

impl Clients {
    fn new(timeout: Duration) -> Self {
        let shared = Vec::new();
        Self { timeout, shared }
    }

    fn get(&mut self, wire: Wire) -> Result<HttpClient, Malformed> {
        if let Some((_, client)) = self.shared.iter().find(|(other, _)| *other == wire) {
            return client.clone();
        }
        let client = HttpClient::new(self.timeout, wire);
        self.shared.push((wire, client.clone()));
        client
    }

    /// Makes the client of an endpoint with certificates or a proxy of its own.
    fn own(
        &self,
        wire: Wire,
        endpoint: &Endpoint,
        secrets: &Secrets,
    ) -> Result<HttpClient, Malformed> {
        HttpClient::builder(self.timeout, wire)
            .tls(endpoint.tls.as_ref(), secrets)?
            .proxy(endpoint.proxy.as_ref(), secrets)?
            .build()
    }
}

fn connect(
    endpoint: &Endpoint,
    secrets: &Secrets,
    clients: &mut Clients,
) -> Result<Connected, Malformed> {
    let mut hidden = Vec::new();
    let mut hide = |reference: &SecretRef| -> Result<SecretString, Malformed> {
        let secret = secrets.get(reference)?;
        hidden.push(secret.clone());
        Ok(secret.clone())
    };
    let url = match &endpoint.url {
        Address::Open(url) => url.secret(),
        Address::Secret(reference) => {
            SecretUrl::new(secrets.get(reference)?.expose_secret().trim())?
        }
    };
    let mut headers = Vec::new();
    for (name, text) in &endpoint.headers {
        headers.push(match text {
            Text::Plain(value) => Header::new(name, value)?,
            Text::Secret(reference) => Header::secret(name, &hide(reference)?)?,
        });
    }
    match &endpoint.login {
        Some(Login::Bearer(token)) => {
            let value = format!("Bearer {}", hide(token)?.expose_secret());
            headers.push(Header::secret("authorization", &value.into())?);
        }
        Some(Login::Basic(basic)) => {
            let password = hide(&basic.password)?;
            let pair = format!("{}:{}", basic.username, password.expose_secret());
            let encoded: SecretString = STANDARD.encode(pair).into();
            let value = format!("Basic {}", encoded.expose_secret());
            headers.push(Header::secret("authorization", &value.into())?);
            hidden.push(encoded);
        }
        None => {}
    }
    let key = |reference| SigningKey::new(secrets.get(reference)?);
    let keys = endpoint
        .signing_keys
        .iter()
        .map(key)
        .collect::<Result<_, _>>()?;
    let client = if endpoint.tls.is_some() || endpoint.proxy.is_some() {
        clients.own(url.wire(), endpoint, secrets)?
    } else {
        clients.get(url.wire())?
    };
    let mode = match &endpoint.body {
        Body::Event(mode) => *mode,
        Body::Own(_) => Mode::default(),
    };
    Ok(Connected {
        client,
        url,
        method: endpoint.method,
        headers,
        hidden,
        keys,
        mode,
    })
}

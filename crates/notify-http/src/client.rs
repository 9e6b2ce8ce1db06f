//! One request, one answer or one outcome.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use notify_core::outcome::clean;
use notify_core::secret::{ExposeSecret, SecretString};
use notify_core::{Cause, Clock, Malformed, Outcome, Reason};
use reqwest::header::{self, HeaderMap};
use url::Url;

use crate::address::{SecretUrl, Wire};
use crate::builder::HttpClientBuilder;
use crate::guard::{NotPublic, check_host};
use crate::header::{Header, Method};
use crate::retry_after::retry_after;
use crate::status::status_outcome;

/// The most that is read of an answer unless the caller says otherwise.
const MAX_BODY: usize = 64 * 1024;

/// The most characters of an answer that go into a detail.
const MAX_EXCERPT: usize = 400;

/// A client for one account: its own connections, its own timeouts.
#[derive(Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    public_only: bool,
    /// What no message may repeat, whatever the request.
    hidden: Arc<[SecretString]>,
}

impl HttpClient {
    /// Makes a client whose requests take at most `timeout` each, the answer included.
    ///
    /// # Errors
    ///
    /// When the system's trust store is empty or cannot be read; [`Wire::Loopback`] needs none.
    pub fn new(timeout: Duration, wire: Wire) -> Result<Self, Malformed> {
        Self::builder(timeout, wire).build()
    }

    /// Begins a client that needs more than a time limit.
    pub fn builder(timeout: Duration, wire: Wire) -> HttpClientBuilder {
        HttpClientBuilder::new(timeout, wire)
    }

    pub(crate) fn of(
        client: reqwest::Client,
        public_only: bool,
        hidden: Vec<SecretString>,
    ) -> Self {
        Self {
            client,
            public_only,
            hidden: hidden.into(),
        }
    }

    /// Sends one request and reads the answer, whatever its status. No redirect, no retry.
    ///
    /// # Errors
    ///
    /// The outcome, where there is no whole answer to look at.
    pub async fn send(&self, mut post: Post<'_>, clock: &dyn Clock) -> Result<Response, Outcome> {
        let hidden = self.hidden.iter().map(ExposeSecret::expose_secret);
        post.secrets.extend(hidden);
        // Where the host is an address, no resolver is asked.
        if self.public_only {
            check_host(post.url.host().as_ref()).map_err(|why| refused(&why))?;
        }
        let mut request = self
            .client
            .request(post.method.into(), post.url.clone())
            .header(header::CONTENT_TYPE, post.content_type)
            .headers(post.headers.clone())
            .body(post.body.clone());
        if let Some(token) = post.bearer {
            request = request.bearer_auth(token.expose_secret());
        }
        let mut answer = request.send().await.map_err(|err| post.failure(err))?;
        let status = answer.status();
        let retry_after = answer
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after(value, clock.now()));
        let headers = post.kept(answer.headers());
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                // The status of a refusal says enough without the rest of its body.
                Err(_) if !status.is_success() => break,
                Err(err) => return Err(post.failure(err)),
            }
            if body.len() > post.limit {
                if status.is_success() && !post.cut {
                    let detail = format!("the answer has more than {} bytes", post.limit);
                    return Err(Outcome::unknown(Cause::TooLarge, detail));
                }
                body.truncate(post.limit);
                break;
            }
        }
        Ok(Response {
            status: status.as_u16(),
            retry_after,
            body: post.mask(&String::from_utf8_lossy(&body)),
            headers,
        })
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

/// A request. It has no text form: its address or its body may be a secret.
pub struct Post<'a> {
    url: Url,
    method: Method,
    content_type: &'static str,
    headers: HeaderMap,
    body: Bytes,
    bearer: Option<&'a SecretString>,
    secrets: Vec<&'a str>,
    kept: &'a [&'static str],
    limit: usize,
    cut: bool,
}

impl<'a> Post<'a> {
    /// Posts JSON.
    pub fn json(url: Url, body: impl Into<Bytes>) -> Self {
        Self {
            url,
            method: Method::Post,
            content_type: "application/json; charset=utf-8",
            headers: HeaderMap::new(),
            body: body.into(),
            bearer: None,
            secrets: Vec::new(),
            kept: &[],
            limit: MAX_BODY,
            cut: false,
        }
    }

    /// Posts JSON to an address that is a secret.
    pub fn json_to_secret(url: &'a SecretUrl, body: impl Into<Bytes>) -> Self {
        Self {
            secrets: url.parts().collect(),
            ..Self::json(url.expose().clone(), body)
        }
    }

    /// Posts a form.
    pub fn form(url: Url, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        Self {
            content_type: "application/x-www-form-urlencoded",
            ..Self::json(url, body)
        }
    }

    /// Sends with another method than `POST`.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Names another media type than that of JSON.
    #[must_use]
    pub fn content_type(mut self, media_type: &'static str) -> Self {
        self.content_type = media_type;
        self
    }

    /// Adds a header, in place of one of the same name.
    #[must_use]
    pub fn header(mut self, header: &Header) -> Self {
        let (name, value) = header.parts();
        self.headers.insert(name, value);
        self
    }

    /// Presents a token.
    #[must_use]
    pub fn bearer(mut self, token: &'a SecretString) -> Self {
        self.bearer = Some(token);
        self.hide(token)
    }

    /// Masks a secret that the body holds, should the answer repeat it; those of
    /// [`Post::bearer`], of [`Header::secret`] and of a [`SecretUrl`] need no such word.
    #[must_use]
    pub fn hide(mut self, secret: &'a SecretString) -> Self {
        self.secrets.push(secret.expose_secret());
        self
    }

    /// Keeps these headers of the answer, by their names in small letters: see [`Response::header`].
    #[must_use]
    pub fn keep(mut self, headers: &'a [&'static str]) -> Self {
        self.kept = headers;
        self
    }

    /// Reads an answer of up to so many bytes, instead of 64 KiB.
    #[must_use]
    pub fn read_up_to(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Reads so many bytes of an answer and lets the rest be, of a success too.
    ///
    /// For receivers whose answers have no body that means anything.
    #[must_use]
    pub fn cut_at(mut self, bytes: usize) -> Self {
        self.cut = true;
        self.read_up_to(bytes)
    }

    /// Takes the wanted ones among the headers of an answer, each as one bounded line.
    fn kept(&self, headers: &HeaderMap) -> BTreeMap<&'static str, String> {
        let value = |name: &&'static str| {
            let value = String::from_utf8_lossy(headers.get(*name)?.as_bytes()).into_owned();
            Some((*name, clean(&self.mask(&value))))
        };
        self.kept.iter().filter_map(value).collect()
    }

    fn mask(&self, text: &str) -> String {
        let mut secrets = self.secrets.clone();
        secrets.extend(self.secret_headers());
        // The longest first, so that no part of a longer one is left.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
            .into_iter()
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| {
                text.replace(secret, "[secret]")
            })
    }

    /// Lists what of the headers must not be repeated: each value that is a secret, and what follows
    /// a scheme in it.
    fn secret_headers(&self) -> impl Iterator<Item = &str> {
        let secret = self.headers.values().filter(|value| value.is_sensitive());
        secret
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| {
                let rest = value.split_once(' ').map(|(_, rest)| rest);
                [Some(value), rest].into_iter().flatten()
            })
    }

    /// Says what it means that there is no answer.
    fn failure(&self, err: reqwest::Error) -> Outcome {
        if let Some(why) = cause_of::<NotPublic>(&err) {
            return refused(why);
        }
        let err = err.without_url();
        let detail = self.mask(&chain(&err));
        // A proxy that wants a name and a password, or others.
        let no_way = detail.contains("proxy authorization required");
        if err.is_builder() || no_way {
            Outcome::rejected(Reason::Config, detail)
        } else if err.is_connect() {
            Outcome::not_delivered(Cause::Connect, detail)
        } else if err.is_timeout() {
            // The connection stood, so the request may have arrived.
            Outcome::unknown(Cause::Timeout, detail)
        } else {
            Outcome::unknown(Cause::Protocol, detail)
        }
    }
}

/// An answer, without any secret that went out with the request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The status.
    pub status: u16,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
    /// The body as text.
    pub body: String,
    headers: BTreeMap<&'static str, String>,
}

impl Response {
    /// Puts an answer together, for tests of a vendor's table.
    pub fn new(status: u16, retry_after: Option<Duration>, body: impl Into<String>) -> Self {
        Self {
            status,
            retry_after,
            body: body.into(),
            headers: BTreeMap::new(),
        }
    }

    /// Adds a header that was kept, for tests.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.insert(name, value.into());
        self
    }

    /// Returns a header that [`Post::keep`] asked for, as one cleaned and bounded line.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Returns what of the body is worth keeping: one bounded line; of a page for people its title
    /// or its heading, or nothing.
    pub fn excerpt(&self) -> String {
        let text = clean(page_words(&self.body).unwrap_or(&self.body));
        bounded(text, MAX_EXCERPT)
    }

    /// Classes the answer by its status alone.
    pub fn outcome(&self) -> Outcome {
        status_outcome(self.status, self.retry_after, &self.excerpt())
    }
}

/// Cuts a text to so many characters.
fn bounded(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text,
    }
}

/// Finds the title of a page for people, or else its first heading; `None` where it is no page.
///
/// A proxy or a login page answers so, and what of its markup is quoted tells nobody anything.
fn page_words(body: &str) -> Option<&str> {
    let begin =
        body.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
    // Names of elements are ASCII, so that places in the one are places in the other.
    let lower = begin.to_ascii_lowercase();
    let is_page = [
        "<!doctype html",
        "<html",
        "<head",
        "<body",
        "<title",
        "<h1",
        "<!--",
    ]
    .iter()
    .any(|first| lower.starts_with(first));
    if !is_page {
        return None;
    }
    let words = ["title", "h1"].iter().find_map(|name| {
        let open = lower.find(&format!("<{name}"))?;
        let from = open + lower.get(open..)?.find('>')? + 1;
        let length = lower.get(from..)?.find('<')?;
        let words = begin.get(from..from + length)?.trim();
        (!words.is_empty()).then_some(words)
    });
    Some(words.unwrap_or_default())
}

/// Says that the address is no recipient, now or later.
fn refused(why: &NotPublic) -> Outcome {
    Outcome::rejected(Reason::Destination, why.to_string())
}

/// Finds an error of this type among the causes of another.
fn cause_of<'a, E: Error + 'static>(err: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(err);
    while let Some(err) = next {
        if let Some(found) = err.downcast_ref() {
            return Some(found);
        }
        next = err.source();
    }
    None
}

/// Prints an error with its causes, each once.
pub(crate) fn chain(err: &dyn Error) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_secret_address_is_masked() {
        let url = SecretUrl::new(
            "https://hooks.example.com/services/T00000000/B11111111/hunter2hunter2?key=correcthorse",
        )
        .unwrap();
        let post = Post::json_to_secret(&url, "{}");
        let page = "no https://hooks.example.com/services/T00000000/B11111111/hunter2hunter2?key=correcthorse \
             and /services/T00000000/B11111111/hunter2hunter2 or hunter2hunter2, services, correcthorse";
        assert_eq!(
            post.mask(page),
            "no [secret] and [secret] or [secret], services, [secret]"
        );
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        let long = Response::new(502, None, format!("busy\n{}", "é\r\n".repeat(5_000)));
        let excerpt = long.excerpt();
        assert!(excerpt.starts_with("busy é é") && excerpt.ends_with('…'));
        assert_eq!(excerpt.chars().count(), MAX_EXCERPT + 1);
    }

    #[test]
    fn a_page_for_people_is_quoted_by_its_title_or_its_heading() {
        let table = [
            (
                "<html><body><h1>503 from nginx</h1><p>x</p>",
                "503 from nginx",
            ),
            (
                "\u{feff}\r\n<!DOCTYPE html><HTML lang=en><Title>Log\nin</Title><h1>Oh no</h1>",
                "Log in",
            ),
            (
                "<html><title> </title><h1 class=\"é\">Bad <b>Gateway</b></h1>",
                "Bad",
            ),
            ("<html><head><script>alert(1)</script></html>", ""),
            ("<html><title>", ""),
            ("<html><title", ""),
            ("no <title>page</title>", "no <title>page</title>"),
            ("{\"error\": \"<html>\"}", "{\"error\": \"<html>\"}"),
            ("", ""),
        ];
        for (body, expected) in table {
            assert_eq!(Response::new(502, None, body).excerpt(), expected, "{body}");
        }
        let outcome = Response::new(503, None, "<html><p>busy</p></html>").outcome();
        assert_eq!(
            outcome,
            Outcome::not_delivered(Cause::Unavailable, "HTTP 503")
        );
    }

    #[test]
    fn a_secret_of_a_header_is_masked_and_any_other_header_is_not() {
        let url: Url = "https://push.example.com/".parse().unwrap();
        let post = Post::json(url, "{}")
            .header(&Header::secret("x-key", &"hunter2".into()).unwrap())
            .header(&Header::secret("authorization", &"Key correct horse".into()).unwrap())
            .header(&Header::new("x-team", "data").unwrap());
        assert_eq!(
            post.mask("x-key: hunter2; Key correct horse; `correct horse` of data"),
            "x-key: [secret]; [secret]; `[secret]` of data"
        );
    }
}

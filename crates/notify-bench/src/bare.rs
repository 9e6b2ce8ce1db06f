//! The loops that the engine is held against: posts, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use minijinja::{Environment, context};
use reqwest::{Client, header};
use serde_json::json;
use tokio::task::JoinSet;

use crate::Result;
use crate::work::TEMPLATE;

/// Makes a client with the options that `notify-http` has for this machine.
pub(crate) fn client() -> Result<Client> {
    let timeout = Duration::from_secs(10);
    Ok(Client::builder()
        .user_agent(concat!("workflow-notify/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeout / 2)
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .tls_certs_only([])
        .build()?)
}

/// Posts a body and reads the answer.
pub(crate) async fn post(client: &Client, url: &str, body: Bytes) -> Result<()> {
    let answer = client
        .post(url)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .body(body)
        .send()
        .await?;
    match answer.bytes().await?.as_ref() {
        b"ok" => Ok(()),
        _ => Err("the sink did not take a post".into()),
    }
}

/// What each post of a loop holds.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// The same bytes.
    Ready(Bytes),
    /// A template of minijinja, rendered anew.
    Templated(Arc<Environment<'static>>),
}

impl Body {
    /// Compiles a template of about the same message.
    pub(crate) fn templated() -> Result<Self> {
        let mut environment = Environment::new();
        environment.add_template("message", TEMPLATE)?;
        Ok(Self::Templated(Arc::new(environment)))
    }

    fn bytes(&self, number: usize) -> Result<Bytes> {
        match self {
            Self::Ready(body) => Ok(body.clone()),
            Self::Templated(environment) => {
                let text = environment.get_template("message")?.render(context! {
                    workflow => "etl-000",
                    phase_words => "failed",
                    execution => context! {
                        project => "analytics",
                        domain => "production",
                        name => format!("run-{number:08}"),
                    },
                })?;
                let section = |text: &str| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
                let body = json!({
                    "text": "etl-000 failed",
                    "blocks": [
                        {"type": "header", "text": {"type": "plain_text", "text": "etl-000 failed"}},
                        section(&text),
                        {"type": "context", "elements": [{"type": "mrkdwn", "text": "analytics/production"}]},
                    ],
                });
                Ok(serde_json::to_vec(&body)?.into())
            }
        }
    }
}

/// Posts so many times, with so many posts in flight.
pub(crate) async fn posts(
    client: &Client,
    url: &str,
    body: &Body,
    count: usize,
    in_flight: usize,
) -> Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    for _ in 0..in_flight {
        let (client, url, body) = (client.clone(), url.to_owned(), body.clone());
        let next = Arc::clone(&next);
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                post(&client, &url, body.bytes(number)?).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

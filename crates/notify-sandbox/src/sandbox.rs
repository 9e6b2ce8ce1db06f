//! Starting and ending the services.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::accounts::{Accounts, Use};
use crate::inbox::{self, Inbox};
use crate::pagerduty::{self, PagerDuty};
use crate::slack::{self, Slack};
use crate::smtp::{self, Smtp};
use crate::store::{Failure, Received, Service, Store};

/// A running sandbox: it ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    store: Arc<Store>,
    accounts: Accounts,
    inbox: SocketAddr,
    tasks: JoinSet<()>,
    /// Dropping it tells the HTTP connections, which are tasks of their own, to end.
    stop: watch::Sender<()>,
}

impl Sandbox {
    /// Starts all services on free loopback ports.
    ///
    /// The issued secrets are written into `dir`, one file each, readable by the owner only:
    /// `slack_token`, `slack_token_chat_write` (of an app with that scope only),
    /// `slack_webhook_url`, `smtp_password`, and `pagerduty_<service>` for every service that
    /// [`accounts_toml`](Self::accounts_toml) is told of.
    /// The directory is made if it is missing, and left to the caller at the end.
    ///
    /// # Errors
    ///
    /// Fails if no port can be opened or a secret cannot be written.
    pub async fn start(dir: &Path) -> io::Result<Self> {
        let (slack_listener, slack_address) = listen().await?;
        let (pagerduty_listener, pagerduty_address) = listen().await?;
        let (smtp_listener, smtp_address) = listen().await?;
        let (inbox_listener, inbox) = listen().await?;

        let store = Arc::new(Store::default());
        let slack = Arc::new(Slack::new(Arc::clone(&store), format!("http://{inbox}/")));
        let pagerduty = Arc::new(PagerDuty::new(Arc::clone(&store)));
        let smtp = Arc::new(Smtp::new(Arc::clone(&store)));
        let accounts = Accounts::try_new(
            dir,
            (slack_address, &slack),
            (pagerduty_address, &pagerduty),
            (smtp_address, &smtp),
        )?;

        let workspace = slack.workspace();
        let (stop, stopped) = watch::channel(());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_http(
            slack_listener,
            slack::router(slack),
            stopped.clone(),
        ));
        tasks.spawn(serve_http(
            pagerduty_listener,
            pagerduty::router(pagerduty),
            stopped.clone(),
        ));
        tasks.spawn(smtp::serve(smtp_listener, smtp));
        let page = inbox::router(Arc::new(Inbox::new(Arc::clone(&store), workspace, inbox)));
        tasks.spawn(serve_http(inbox_listener, page, stopped));
        Ok(Self {
            store,
            accounts,
            inbox,
            tasks,
            stop,
        })
    }

    /// The address of the inbox page.
    pub fn inbox_url(&self) -> String {
        format!("http://{}/", self.inbox)
    }

    /// The TOML sections `[accounts.<kind>.<name>]` for the accounts that are used.
    ///
    /// Registers the PagerDuty services among the recipients and issues a routing key to each.
    /// Kinds that the sandbox does not play are left out.
    ///
    /// # Errors
    ///
    /// Fails if a routing key cannot be written, or the path of the secrets is not UTF-8.
    pub fn accounts_toml(&self, uses: &[Use]) -> io::Result<String> {
        self.accounts.toml(uses)
    }

    /// The messages accepted so far, oldest first, at most the latest 1,000.
    pub fn messages(&self) -> Vec<Received> {
        self.store.messages()
    }

    /// Lets a service fail from now on, or answer normally again.
    pub fn fail(&self, service: Service, failure: Option<Failure>) {
        self.store.fail(service, failure);
    }

    /// Ends all services and waits until they have ended.
    pub async fn shutdown(self) {
        let Self {
            mut tasks, stop, ..
        } = self;
        drop(stop);
        tasks.shutdown().await;
    }
}

async fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn serve_http(listener: TcpListener, router: Router, mut stopped: watch::Receiver<()>) {
    let ended = async move {
        // The sender never sends: this waits until it is dropped.
        let _ = stopped.changed().await;
    };
    // Serving ends only when it is told to.
    drop(
        axum::serve(listener, router)
            .with_graceful_shutdown(ended)
            .await,
    );
}

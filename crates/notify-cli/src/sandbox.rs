//! The sandbox: `notify sandbox`, and `--sandbox` of `notify run`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use notify_sandbox::{Failure, Sandbox, Service, Use};
use tempfile::TempDir;
use workflow_notify::core::Workflow;

use crate::args::SandboxArgs;
use crate::exit;
use crate::report;
use crate::setup::{self, Refused};
use crate::signals::Signals;

/// A running sandbox and the configuration that delivers into it.
pub(crate) struct Local {
    sandbox: Sandbox,
    /// Its `notify.toml`.
    pub(crate) settings: PathBuf,
    /// Removed with the sandbox.
    _folder: Option<TempDir>,
}

impl Local {
    /// Starts a sandbox that leaves nothing behind.
    pub(crate) async fn start_temporary(uses: Vec<Use>) -> Result<Self, Refused> {
        let folder = tempfile::Builder::new().prefix("notify-sandbox-").tempdir();
        let folder = folder.map_err(|err| cannot_start(&err))?;
        let local = Self::start(folder.path(), uses).await?;
        Ok(Self {
            _folder: Some(folder),
            ..local
        })
    }

    /// Starts a sandbox that keeps its files in a folder.
    async fn start(folder: &Path, uses: Vec<Use>) -> Result<Self, Refused> {
        let start = async {
            std::fs::create_dir_all(folder)?;
            let folder = folder.canonicalize()?;
            let sandbox = Sandbox::start(&folder).await?;
            let settings = folder.join("notify.toml");
            std::fs::write(&settings, sandbox.accounts_toml(&uses)?)?;
            Ok(Self {
                sandbox,
                settings,
                _folder: None,
            })
        };
        start.await.map_err(|err| cannot_start(&err))
    }

    /// Says where the inbox is, and keeps it up for as long as it is wanted.
    pub(crate) async fn finish(self, hold: bool, signals: &mut Signals) {
        if hold {
            report::say(format_args!(
                "inbox: {} (Ctrl-C ends it)",
                self.sandbox.inbox_url()
            ));
            signals.next().await;
        } else {
            report::say("add --hold to look at the messages in the browser");
        }
        self.stop().await;
    }

    /// Ends it.
    pub(crate) async fn stop(self) {
        self.sandbox.shutdown().await;
    }
}

fn cannot_start(err: &std::io::Error) -> Refused {
    Refused::because(&format!("cannot start the sandbox: {err}"))
}

/// Lists what the workflows of these definitions need of the sandbox.
pub(crate) fn uses_of(definitions: &[PathBuf]) -> Result<Vec<Use>, Refused> {
    let registry = setup::registry()?;
    let definitions = setup::definitions(&registry, definitions)?;
    Ok(definitions.workflows().flat_map(uses).collect())
}

/// Lists what a workflow needs of the sandbox.
fn uses(workflow: &Workflow) -> Vec<Use> {
    let of_notification = |notification: &workflow_notify::core::Notification| {
        let kind = notification.kind().to_string();
        let account = notification
            .account()
            .map_or("default".to_owned(), ToString::to_string);
        let mut recipients: Vec<String> = notification
            .recipients()
            .iter()
            .map(ToString::to_string)
            .collect();
        if notification.is_to_default() {
            recipients.push(String::new());
        }
        let uses = recipients.into_iter().map(move |recipient| Use {
            kind: kind.clone(),
            account: account.clone(),
            recipient,
        });
        uses.collect::<Vec<_>>()
    };
    workflow
        .notifications()
        .iter()
        .flat_map(of_notification)
        .collect()
}

/// A service that is to fail, from the command line.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    service: Service,
    failure: Failure,
}

/// Reads `slack=500` or `slack=429:3`.
pub(crate) fn parse_failure(text: &str) -> Result<Fault, String> {
    let form = || "write `slack=500`, or `slack=429:3` for three requests".to_owned();
    let (service, failure) = text.split_once('=').ok_or_else(form)?;
    let (status, times) = match failure.split_once(':') {
        Some((status, times)) => (status, Some(times.parse().map_err(|_| form())?)),
        None => (failure, None),
    };
    let status = status
        .parse()
        .ok()
        .filter(|status| (400..600).contains(status));
    Ok(Fault {
        service: service
            .parse()
            .map_err(|err: notify_sandbox::UnknownService| err.to_string())?,
        failure: Failure {
            status: status.ok_or_else(form)?,
            times,
        },
    })
}

pub(crate) async fn sandbox(args: SandboxArgs) -> ExitCode {
    let begin = async {
        let local = Local::start(&args.dir, uses_of(&args.definitions)?).await?;
        let signals = Signals::listen().map_err(|err| cannot_start(&err))?;
        Ok::<_, Refused>((local, signals))
    };
    let Ok((local, mut signals)) = begin.await else {
        return exit::WRONG_INPUT.into();
    };
    for fault in args.fail {
        local.sandbox.fail(fault.service, Some(fault.failure));
    }
    let mut out = std::io::stdout().lock();
    let told = writeln!(out, "inbox   {}", local.sandbox.inbox_url())
        .and_then(|()| writeln!(out, "config  {}", local.settings.display()))
        .and_then(|()| out.flush());
    drop(out);
    if told.is_ok() {
        report::say("deliver into it with `notify run --config FILE DEF -- CMD`; Ctrl-C ends it");
    }
    signals.next().await;
    local.sandbox.shutdown().await;
    ExitCode::SUCCESS
}

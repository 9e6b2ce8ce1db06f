#![doc = include_str!("../README.md")]

pub use notify_config as files;
pub use notify_core as core;
pub use notify_engine as engine;
pub use notify_outbox as outbox;

#[cfg(feature = "sqlite")]
pub use notify_outbox_sqlite::{INTAKE, SqliteOutbox};

// A provider that is only listed in `Cargo.toml` is not linked, and then not registered.
#[cfg(feature = "email")]
use notify_email as _;
#[cfg(feature = "pagerduty")]
use notify_pagerduty as _;
#[cfg(feature = "slack")]
use notify_slack as _;
#[cfg(feature = "webhook")]
use notify_webhook as _;

/// What a scheduler that tells people about its workflows needs.
pub mod prelude {
    pub use std::sync::Arc;

    pub use notify_config::{Definitions, Installation, Settings, config, definitions};
    pub use notify_core::TerminalPhase::{self, Aborted, Failed, Succeeded, TimedOut};
    pub use notify_core::condition::{changed, recovered};
    pub use notify_core::{
        Config, Email, Execution, Failure, NotificationKind, Outcome, PagerDuty, Receipt, Registry,
        Slack, SystemClock, Workflow, WorkflowEnded, WorkflowName, channel, email, phases,
        provider_fn, service,
    };
    pub use notify_engine::{Engine, Recorder};
    pub use notify_outbox::{Accepted, Outbox};

    #[cfg(feature = "webhook")]
    pub use notify_webhook::{Webhook, WebhookRecipient};

    #[cfg(feature = "sqlite")]
    pub use crate::SqliteOutbox;
}

/// The project's front page, so that its example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;

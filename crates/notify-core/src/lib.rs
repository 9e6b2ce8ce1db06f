#![doc = include_str!("../README.md")]

pub mod account;
pub mod condition;
pub mod config;
pub mod content;
pub mod email;
pub mod event;
pub mod execution;
pub mod fit;
pub mod function;
pub mod name;
pub mod notification;
pub mod outcome;
pub mod pagerduty;
pub mod phase;
pub mod problem;
pub mod provider;
pub mod registry;
pub mod rule;
pub mod schema;
pub mod secret;
pub mod slack;
pub mod time;
pub mod workflow;

mod load;
mod spec;
mod text;

pub use crate::account::{AccountId, Accounts};
pub use crate::condition::{Condition, Past};
pub use crate::config::Config;
pub use crate::content::Message;
pub use crate::email::{Email, EmailAddress};
pub use crate::event::{Failure, FailureKind, RunState, TaskEnded, WorkflowEnded};
pub use crate::execution::Execution;
pub use crate::function::provider_fn;
pub use crate::name::{AccountName, FreeName, Kind, WorkflowName};
pub use crate::notification::{
    Draft, IfUnknown, Notification, NotificationKind, NotificationOptions, Options, Recipient, Spec,
};
pub use crate::outcome::{Cause, Outcome, Reason, Receipt, Scope};
pub use crate::pagerduty::{PagerDuty, PagerDutyService};
pub use crate::phase::{Phases, TerminalPhase};
pub use crate::problem::{Code, Malformed, Path, Place, Problem, Problems, Weight};
pub use crate::provider::{
    Account, Action, Capabilities, Continuity, Delivery, DeliveryContext, DeliveryId, Limits,
    Payload, Prepared, Provider, Rate, Reconciled, Stage, Success, Target, Transport,
};
pub use crate::registry::{ProviderDescriptor, Registry, RegistryError};
pub use crate::rule::Rule;
pub use crate::secret::{SecretError, SecretRef, SecretSource, Secrets};
pub use crate::slack::{Slack, SlackRecipient};
pub use crate::spec::PartialWorkflow;
pub use crate::time::{Clock, SystemClock, Timestamp};
pub use crate::workflow::Workflow;

pub use schemars;

#[doc(hidden)]
pub mod __private {
    pub use inventory;
}

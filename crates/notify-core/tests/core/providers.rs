//! Providers of the three shared kinds that reach whom they are told to and send nothing.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use notify_core::{
    Account, AccountId, AccountName, Accounts, Capabilities, Code, Config, Delivery, Email, Kind,
    Malformed, Message, Notification, NotificationKind, PagerDuty, Path, Payload, Problem,
    Problems, Provider, ProviderDescriptor, Recipient, Registry, SecretError, SecretRef,
    SecretSource, Secrets, Slack, Target, Transport, Workflow,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// A provider of any kind.
struct Idle<K>(PhantomData<K>);

impl<K: NotificationKind> Provider for Idle<K> {
    type Kind = K;
    type Config = IdleConfig;
    const SUMMARY: &'static str = "sends nothing";

    fn account(_: AccountId, config: IdleConfig) -> Result<Arc<dyn Account>, Problems> {
        Ok(Arc::new(config))
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdleConfig {
    /// The one recipient that it cannot reach.
    #[serde(default)]
    unreachable: Option<String>,
    /// Whom it tells where nobody is named.
    #[serde(default)]
    tells: Vec<String>,
    /// Whether it has something to say about itself.
    #[serde(default)]
    loose: bool,
}

impl Account for IdleConfig {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        if self.unreachable.as_deref() == Some(to.as_str()) {
            let message = "out of reach";
            return Err(Problem::new(
                Code::UNREACHABLE_RECIPIENT,
                Path::root(),
                message,
            ));
        }
        Ok(Target::lane(""))
    }

    fn payload(&self, _: &Delivery<'_>, _: &Message) -> Payload {
        Payload::json(&())
    }

    fn default_recipients(&self) -> Vec<Recipient> {
        self.tells.iter().map(Recipient::of).collect()
    }

    fn warnings(&self) -> Vec<Problem> {
        let loose = Problem::new(
            Code::WRONG_VALUE,
            Path::root().then("loose"),
            "this is loose",
        );
        self.loose.then_some(loose).into_iter().collect()
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        Vec::new()
    }

    fn connect(&self, _: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        Err(Malformed::new("nothing to connect to"))
    }
}

pub(crate) fn of<K: NotificationKind>(crate_name: &'static str) -> ProviderDescriptor {
    ProviderDescriptor::of::<Idle<K>>(crate_name)
}

/// Links all three.
pub(crate) fn registry() -> Registry {
    Registry::of([
        of::<Email>("test-email"),
        of::<Slack>("test-slack"),
        of::<PagerDuty>("test-pagerduty").redirects(Email::KIND, |text| text.contains('@')),
    ])
    .unwrap()
}

/// Checks a workflow against one account of each kind, none of which reaches `unreachable`.
pub(crate) fn config(workflow: Workflow, unreachable: &str) -> Result<Config, Problems> {
    let mut accounts = Accounts::default();
    for kind in [Email::KIND, Slack::KIND, PagerDuty::KIND] {
        let id = AccountId {
            kind: Kind::from_static(kind),
            name: AccountName::default_name(),
        };
        let unreachable = Some(unreachable.to_owned());
        let account = IdleConfig {
            unreachable,
            ..IdleConfig::default()
        };
        accounts = accounts.with(id, Arc::new(account));
    }
    Config::new(vec![workflow], accounts, Arc::new(NoSecrets))
}

/// Checks what was read of a definition and a rule against the table `accounts`.
pub(crate) fn fitted(
    definition: &Value,
    rule: &Value,
    accounts: &Value,
) -> Result<Config, Problems> {
    let (partial, problems) = registry().load_workflow_partly(definition);
    assert!(problems.is_empty(), "{problems}");
    let (rule, problems) = registry().load_rule_partly(rule);
    assert!(problems.is_empty(), "{problems}");
    let accounts = Accounts::load(&registry(), accounts).unwrap();
    let workflow = partial.unwrap().workflow;
    Config::new(vec![workflow], accounts, Arc::new(NoSecrets))?.with_rules(vec![rule.unwrap()])
}

#[derive(Debug)]
struct NoSecrets;

impl SecretSource for NoSecrets {
    fn resolve(
        &self,
        reference: &SecretRef,
    ) -> Result<notify_core::secret::SecretString, SecretError> {
        Err(SecretError {
            reference: reference.clone(),
            why: "there is none".to_owned(),
        })
    }
}

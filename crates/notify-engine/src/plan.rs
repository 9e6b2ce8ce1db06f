//! Plan: who is told, on what, and why not the others. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use notify_core::{
    AccountId, Action, Config, Continuity, DeliveryId, IfUnknown, Notification, Past, Recipient,
    Success, Workflow, WorkflowEnded, WorkflowName,
};
use notify_outbox::{
    Conversation, End, EventId, NewDelivery, NewState, Plan, PlanContext, Spec,
    record::{apart, delivery_id},
};
use sha2::{Digest, Sha256};

/// Why an event cannot be planned by this engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unplannable {
    /// The workflow is not declared here, no rule matches, and the event brings no notifications
    /// of its own.
    #[error("no definition of workflow `{0}`")]
    UnknownWorkflow(String),
    /// A notification needs an account that is not configured here.
    #[error("{0}")]
    NoAccount(String),
}

/// A configuration with its notifications frozen once, so that planning an event freezes nothing.
#[derive(Debug)]
pub struct Declared {
    config: Config,
    workflows: BTreeMap<WorkflowName, Vec<Arc<Spec>>>,
    rules: Vec<Vec<Arc<Spec>>>,
}

impl Declared {
    /// Freezes every declared notification.
    pub fn new(config: Config) -> Self {
        let of_workflow = |workflow: &Workflow| {
            let specs = frozen(workflow.notifications());
            (workflow.name().clone(), specs)
        };
        let rules = config.rules().iter();
        Self {
            workflows: config.workflows().map(of_workflow).collect(),
            rules: rules.map(|rule| frozen(rule.notifications())).collect(),
            config,
        }
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Names the workflows whose events can be planned; `None` where a rule may match any.
    pub(crate) fn workflows(&self) -> Option<Vec<WorkflowName>> {
        let declared = || self.workflows.keys().cloned().collect();
        self.config.rules().is_empty().then(declared)
    }

    /// Gives the notifications for an event: its own or else those of its workflow, and those of
    /// the rules that it matches.
    fn of<'a>(
        &'a self,
        event: &'a WorkflowEnded,
    ) -> Result<Vec<(Arc<Spec>, &'a Notification)>, Unplannable> {
        let rules = self.config.rules().iter().zip(&self.rules);
        let of_rules: Vec<_> = rules
            .filter(|(rule, _)| rule.applies(event))
            .flat_map(|(rule, specs)| specs.iter().cloned().zip(rule.notifications()))
            .collect();
        let own = event.notifications.as_deref();
        let workflow = self.config.workflow(&event.workflow);
        let declared = self.workflows.get(&event.workflow).zip(workflow);
        let mut all: Vec<_> = match (own, declared) {
            (Some(own), _) => frozen(own).into_iter().zip(own).collect(),
            (None, Some((specs, workflow))) => specs
                .iter()
                .cloned()
                .zip(workflow.notifications())
                .collect(),
            (None, None) if of_rules.is_empty() => {
                return Err(Unplannable::UnknownWorkflow(event.workflow.to_string()));
            }
            (None, None) => Vec::new(),
        };
        all.extend(of_rules);
        Ok(all)
    }
}

fn frozen(notifications: &[Notification]) -> Vec<Arc<Spec>> {
    let freeze = |one| Arc::new(Spec::freeze(one));
    notifications.iter().map(freeze).collect()
}

/// Decides what one event means, from what is declared and what happened before.
///
/// A notification for another phase gives nothing; one for this phase gives a delivery for each
/// recipient, or a skip with its reason. A success closes what earlier ends opened.
///
/// # Errors
///
/// When another engine has to plan the event, because this one does not know enough.
pub fn plan(
    end: &End,
    event: &WorkflowEnded,
    declared: &Declared,
    context: &PlanContext,
) -> Result<Plan, Unplannable> {
    let id = EventId::from_uuid(end.event);
    let past = context.history.past(end);
    let mut planner = Planner {
        id,
        event,
        config: &declared.config,
        past,
        overtaken: context.history.succeeded_after(end),
        deliveries: closes(end, &declared.config, context),
    };
    for (spec, notification) in declared.of(event)? {
        planner.notification(&spec, notification)?;
    }
    Ok(Plan {
        event: id,
        past,
        deliveries: planner.deliveries,
    })
}

/// Plans the end of everything that earlier ends of the workflow opened, when it succeeds.
fn closes(end: &End, config: &Config, context: &PlanContext) -> Vec<NewDelivery> {
    if !end.phase.is_success() {
        return Vec::new();
    }
    let id = EventId::from_uuid(end.event);
    let close = |conversation: &Conversation| NewDelivery {
        id: delivery_id(id, &conversation.spec.digest, &conversation.recipient),
        spec: Arc::clone(&conversation.spec),
        if_unknown: IfUnknown::Resend,
        account: conversation.account.clone(),
        lane: conversation.lane.clone(),
        recipient: conversation.recipient.clone(),
        action: Action::Close,
        conversation: Some(conversation.key.clone()),
        alone: false,
        state: match config.accounts().get(&conversation.account) {
            Some(account) if account.capabilities().closes => NewState::Pending,
            Some(_) => NewState::Skipped(format!(
                "account `{}` closes nothing any more",
                conversation.account
            )),
            None => NewState::Skipped(format!(
                "no account `{}` is in use here",
                conversation.account
            )),
        },
    };
    context
        .conversations
        .iter()
        .filter(|conversation| conversation.opened < (end.at, id))
        .map(close)
        .collect()
}

struct Planner<'a> {
    id: EventId,
    event: &'a WorkflowEnded,
    config: &'a Config,
    past: Past,
    /// Whether a later end of the workflow is known that succeeded.
    overtaken: bool,
    deliveries: Vec<NewDelivery>,
}

impl Planner<'_> {
    fn notification(
        &mut self,
        spec: &Arc<Spec>,
        notification: &Notification,
    ) -> Result<(), Unplannable> {
        if !notification.phases().contains(self.event.phase) {
            return Ok(());
        }
        let accounts = self.config.accounts();
        let account = accounts
            .resolve(notification.kind(), notification.account())
            .map_err(|problem| Unplannable::NoAccount(problem.to_string()))?;
        let unmet = notification
            .when()
            .filter(|condition| !condition.holds(self.event, &self.past))
            .map(|condition| condition.why_not(&self.past));
        let disabled = accounts
            .is_disabled(&account)
            .then(|| format!("account `{account}` is switched off"));
        let reason = disabled.or(unmet);
        for recipient in notification.everybody() {
            let delivery = self.delivery(notification, spec, &account, &recipient, reason.clone());
            self.add(delivery);
        }
        Ok(())
    }

    fn delivery(
        &self,
        notification: &Notification,
        spec: &Arc<Spec>,
        account: &AccountId,
        recipient: &Recipient,
        reason: Option<String>,
    ) -> NewDelivery {
        let id: DeliveryId = delivery_id(self.id, &spec.digest, recipient);
        let mut delivery = NewDelivery {
            id,
            spec: Arc::clone(spec),
            if_unknown: notification.if_unknown(),
            account: account.clone(),
            lane: String::new(),
            recipient: recipient.clone(),
            action: Action::Send,
            conversation: None,
            alone: false,
            state: reason.map_or(NewState::Pending, NewState::Skipped),
        };
        let Some(configured) = self.config.accounts().get(account) else {
            return delivery;
        };
        let target = match configured.target(notification, recipient) {
            Ok(target) => target,
            Err(problem) => {
                delivery.state = NewState::Skipped(problem.to_string());
                return delivery;
            }
        };
        delivery.lane = target.lane;
        let converses = configured.capabilities().closes;
        let Some(continuity) = target.conversation.filter(|_| converses) else {
            return delivery;
        };
        let key = self.conversation_key(continuity, recipient);
        if self.event.phase.is_success() {
            self.success(delivery, key, target.success)
        } else {
            self.opening(delivery, key)
        }
    }

    /// Opens a conversation, or adds to the open one.
    fn opening(&self, mut delivery: NewDelivery, key: String) -> NewDelivery {
        delivery.action = Action::Open;
        delivery.conversation = Some(key);
        // Held, it would keep what it opened from being closed. Definitions are refused for it; an
        // event's own notification is not.
        delivery.if_unknown = IfUnknown::Resend;
        // Nobody would close what a success that is known already would have closed.
        if self.overtaken && delivery.state == NewState::Pending {
            delivery.state = NewState::Superseded("a later end succeeded already".to_owned());
        }
        delivery
    }

    /// Says what a named success does beside the close of what is open, which is planned already.
    fn success(&self, mut delivery: NewDelivery, key: String, success: Success) -> NewDelivery {
        match success {
            Success::Apart => {
                // The close has the name that it would have.
                delivery.id = apart(delivery.id);
                return delivery;
            }
            Success::Ends if !self.is_closed_here(&delivery.account, &key) => return delivery,
            Success::Ends => delivery.alone = true,
            _ if delivery.state == NewState::Pending => {
                delivery.state = NewState::Skipped("nothing open".to_owned());
            }
            _ => {}
        }
        delivery.action = Action::Close;
        delivery.conversation = Some(key);
        delivery.if_unknown = IfUnknown::Resend;
        delivery
    }

    /// Tells whether the event closes a conversation.
    fn is_closed_here(&self, account: &AccountId, key: &str) -> bool {
        self.deliveries.iter().any(|other| {
            let same = other.account == *account && other.conversation.as_deref() == Some(key);
            same && other.action == Action::Close && other.state == NewState::Pending
        })
    }

    /// Adds a delivery unless the same notification, or the close of its conversation, is there.
    fn add(&mut self, delivery: NewDelivery) {
        let closes = delivery.action == Action::Close;
        let known = self.deliveries.iter_mut().find(|other| {
            other.id == delivery.id
                || (closes
                    && other.account == delivery.account
                    && other.conversation == delivery.conversation)
        });
        match known {
            None => self.deliveries.push(delivery),
            // A close that is not sent says nothing; what the notification names is sent.
            Some(known) if delivery.state == NewState::Pending => {
                if known.state == NewState::Pending {
                    known.alone |= delivery.alone;
                } else if known.id == delivery.id {
                    *known = delivery;
                }
            }
            Some(_) => {}
        }
    }

    /// Names a conversation: readable where it fits into what vendors take, else a digest.
    fn conversation_key(&self, continuity: Continuity, recipient: &Recipient) -> String {
        let execution = &self.event.execution;
        // Names may hold the signs between them, and two workflows must not share a conversation.
        let part = |text: &str| {
            text.replace('%', "%25")
                .replace('/', "%2F")
                .replace('@', "%40")
        };
        let (project, domain) = (part(execution.project()), part(execution.domain()));
        let workflow = part(self.event.workflow.as_str());
        let run = match continuity {
            Continuity::Workflow => String::new(),
            Continuity::Execution => format!("/{}", part(execution.name())),
        };
        let key = format!("{project}/{domain}/{workflow}{run}@{recipient}");
        // PagerDuty takes 255 characters for a `dedup_key`; nobody objects to ASCII.
        if key.len() <= 255 && key.is_ascii() {
            return key;
        }
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        digest.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").ok();
            hex
        })
    }
}

//! Everything that is in force at one moment: definitions, accounts, where secrets are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::Accounts;
use crate::name::WorkflowName;
use crate::notification::{IfUnknown, Notification};
use crate::problem::{Code, Path, Problem, Problems};
use crate::rule::Rule;
use crate::secret::{SecretSource, Secrets};
use crate::workflow::Workflow;

/// One immutable snapshot, checked as a whole.
#[derive(Clone, Debug)]
pub struct Config {
    workflows: BTreeMap<WorkflowName, Workflow>,
    rules: Vec<Rule>,
    accounts: Accounts,
    secrets: Arc<dyn SecretSource>,
}

impl Config {
    /// Checks that every notification has an account which can reach its recipients.
    ///
    /// # Errors
    ///
    /// Everything that does not fit, with paths that begin with the workflow's index.
    pub fn new(
        workflows: Vec<Workflow>,
        accounts: Accounts,
        secrets: Arc<dyn SecretSource>,
    ) -> Result<Self, Problems> {
        let mut problems = Problems::none();
        let mut by_name = BTreeMap::new();
        for (index, workflow) in workflows.into_iter().enumerate() {
            let place = Path::root().then(index);
            for (position, notification) in workflow.notifications().iter().enumerate() {
                let place = place.then("notifications").then(position);
                problems.absorb(&place, check(&accounts, notification));
            }
            let name = workflow.name().clone();
            if by_name.insert(name.clone(), workflow).is_some() {
                let message = format!("the workflow `{name}` is declared twice");
                problems.push(Problem::new(
                    Code::DECLARED_TWICE,
                    place.then("workflow"),
                    message,
                ));
            }
        }
        problems.or_value(Self {
            workflows: by_name,
            rules: Vec::new(),
            accounts,
            secrets,
        })
    }

    /// Adds rules, in the order in which they are asked.
    ///
    /// # Errors
    ///
    /// When a rule's notification has no account that reaches its recipients: everything that does
    /// not fit, with paths that begin with the rule's index.
    pub fn with_rules(mut self, rules: Vec<Rule>) -> Result<Self, Problems> {
        let mut problems = Problems::none();
        for (index, rule) in rules.iter().enumerate() {
            for notification in rule.notifications() {
                let place = Path::root().then(index);
                problems.absorb(&place, check(&self.accounts, notification));
            }
        }
        self.rules.extend(rules);
        problems.or_value(self)
    }

    /// Returns the rules in their declared order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Returns the definition of a workflow.
    pub fn workflow(&self, name: &WorkflowName) -> Option<&Workflow> {
        self.workflows.get(name)
    }

    /// Walks the definitions in the order of their names.
    pub fn workflows(&self) -> impl Iterator<Item = &Workflow> {
        self.workflows.values()
    }

    /// Returns the accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Returns where secrets are read.
    pub fn secret_source(&self) -> &Arc<dyn SecretSource> {
        &self.secrets
    }

    /// Reads every secret of every account.
    pub fn resolve_secrets(&self) -> Secrets {
        let accounts = self.accounts.iter();
        let references = accounts.flat_map(|(_, account)| account.secrets());
        Secrets::resolve(references, &*self.secrets)
    }
}

fn check(accounts: &Accounts, notification: &Notification) -> Result<(), Problems> {
    let place = Path::root().then(notification.kind().as_str());
    let id = accounts
        .resolve(notification.kind(), notification.account())
        .map_err(|problem| match notification.account() {
            Some(_) => problem.under(&place.then("account")),
            None => problem.under(&place).at_key(),
        })?;
    let mut problems = Problems::none();
    let Some(account) = accounts.get(&id) else {
        return Ok(());
    };
    let mut converses = false;
    for (index, recipient) in notification.declared() {
        match account.target(notification, recipient) {
            Ok(target) => converses |= target.conversation.is_some(),
            Err(problem) => problems.push(problem.under(&place.then("to").then(index))),
        }
    }
    for (key, recipient) in notification.copies() {
        if let Err(problem) = account.target(notification, &recipient) {
            problems.push(problem.under(&place.then(key)));
        }
    }
    if converses && notification.if_unknown() == IfUnknown::Hold {
        let why = format!("what `{id}` opens is closed later, and cannot be held");
        problems.push(
            Problem::new(Code::WRONG_VALUE, Path::root().then("if_unknown"), why).help(
                "leave `if_unknown` out: a repeat opens nothing twice, and what is held would keep \
                 the incident from being closed",
            ),
        );
    }
    problems.or_value(())
}

//! Everything that is in force at one moment: definitions, accounts, where secrets are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::{AccountId, Accounts};
use crate::name::WorkflowName;
use crate::notification::{IfUnknown, Notification, Recipient};
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
    /// One that names nobody tells those whom its account
    /// [names](crate::Account::default_recipients).
    ///
    /// # Errors
    ///
    /// Everything that does not fit, with paths that begin with the workflow's index; notifications
    /// have the index that they were [declared](Workflow::declared) at.
    pub fn new(
        workflows: Vec<Workflow>,
        accounts: Accounts,
        secrets: Arc<dyn SecretSource>,
    ) -> Result<Self, Problems> {
        let mut problems = Problems::none();
        let mut by_name = BTreeMap::new();
        for (index, mut workflow) in workflows.into_iter().enumerate() {
            let place = Path::root().then(index);
            for (position, notification) in workflow.declared_mut() {
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
    pub fn with_rules(mut self, mut rules: Vec<Rule>) -> Result<Self, Problems> {
        let mut problems = Problems::none();
        for (index, rule) in rules.iter_mut().enumerate() {
            for notification in &mut rule.notifications {
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

/// Names everybody whom a notification tells, and checks that its account reaches them.
fn check(accounts: &Accounts, notification: &mut Notification) -> Result<(), Problems> {
    let under = notification.declared_under().unwrap_or(notification.kind());
    let place = Path::root().then(under.as_str());
    let redirected = notification.declared_under().is_some();
    let id = accounts
        .resolve(notification.kind(), notification.account())
        .map_err(|problem| match (notification.account(), redirected) {
            (_, true) => match notification.declared().next() {
                Some((index, first)) => {
                    as_redirected(problem, notification, first).under(&place.then("to").then(index))
                }
                None => problem.under(&place),
            },
            (Some(_), _) => problem.under(&place.then("account")),
            (None, _) => problem.under(&place).at_key(),
        })?;
    // Of one whose section is broken nothing can be said.
    let Some(account) = accounts.configured(&id) else {
        return Ok(());
    };
    if notification.is_to_default() && notification.recipients().is_empty() {
        let defaults = account.default_recipients();
        if defaults.is_empty() {
            return Err(nobody(&id).under(&place).into());
        }
        notification.to(defaults);
    }
    if accounts.is_disabled(&id) {
        return Ok(());
    }
    let mut problems = Problems::none();
    let mut converses = false;
    for (index, recipient) in notification.declared() {
        let problem = match account.target(notification, recipient) {
            Ok(target) => {
                converses |= target.conversation.is_some();
                continue;
            }
            Err(problem) if redirected => as_redirected(problem, notification, recipient),
            Err(problem) => problem,
        };
        // What is wrong with an option is wrong for every recipient, and told once.
        let is_of_option = !redirected && problem.path != Path::root();
        let problem = if is_of_option {
            problem.under(&place)
        } else if notification.is_to_default() {
            of_default(&problem, &id).under(&place).at_key()
        } else {
            problem.under(&place.then("to").then(index))
        };
        if !is_of_option || !problems.iter().any(|told| *told == problem) {
            problems.push(problem);
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

/// Says that neither the notification nor its account names a recipient.
fn nobody(account: &AccountId) -> Problem {
    let message = "the notification names no recipient";
    let help = format!(
        "say who is told with `to`, or give the account `{account}` somebody to tell where nothing \
         is said"
    );
    Problem::new(Code::NO_RECIPIENT, Path::root(), message).help(help)
}

/// Adds that a recipient was given to this kind by the one that it is declared under.
fn as_redirected(mut problem: Problem, notification: &Notification, to: &Recipient) -> Problem {
    let kind = notification.kind();
    let plain = problem.plain().map(str::to_owned);
    problem.message = format!("`{to}` is a recipient of `{kind}`: {}", problem.message);
    match plain {
        Some(plain) => problem.plainly(format!("this is a recipient of `{kind}`: {plain}")),
        None => problem,
    }
}

/// Says that an account does not reach somebody whom it names itself.
///
/// Nothing of its section is quoted: the notification stands in another file, and what is shown of
/// that one says nothing of variables in this one.
fn of_default(problem: &Problem, account: &AccountId) -> Problem {
    let why = problem.plain().map(|why| format!(": {why}"));
    let message = format!(
        "`{account}` does not reach whom it names where nobody is named{}",
        why.unwrap_or_default()
    );
    let said = Problem::new(problem.code, Path::root(), message);
    match problem.plain_help() {
        Some(help) => said.help(help.to_owned()),
        None => said,
    }
}

//! Templates from outside: what they say, what the checker finds, and the laws that hold for any value.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests stop the test; the exemption for tests covers only test functions"
)]

mod laws;
mod problems;
mod render;

use notify_core::event::TaskEnded;
use notify_core::{Execution, Failure, FailureKind, Past, Timestamp};
use notify_core::{TerminalPhase, WorkflowEnded, WorkflowName};
use notify_template::{Facts, Rendered, Template};

/// An event in which everything that can be there is there.
fn event(value: &str) -> WorkflowEnded {
    let name = WorkflowName::new("nightly-etl").unwrap();
    let execution = Execution::new("analytics", "production", "run-17")
        .unwrap()
        .attempt(2);
    let mut event = WorkflowEnded::new(name, execution, TerminalPhase::Failed)
        .started_at(Timestamp::from_micros(1_000_000_000_000_000))
        .ended_at(Timestamp::from_micros(1_000_000_125_000_000))
        .failure(Failure::new(value).code("exit 3").kind(FailureKind::User))
        .url("https://example.com/run/17")
        .label("team", "data");
    event.principal = Some(value.to_owned());
    event.outputs.insert("rows".to_owned(), 1234.into());
    event.outputs.insert("value".to_owned(), value.into());
    event
        .outputs
        .insert("files".to_owned(), vec!["a.csv", "b.csv"].into());
    for (name, phase) in [
        ("load", TerminalPhase::Succeeded),
        ("clean", TerminalPhase::TimedOut),
    ] {
        event.tasks.push(TaskEnded::new(name, phase));
    }
    event
}

fn bare() -> WorkflowEnded {
    let name = WorkflowName::new("nightly-etl").unwrap();
    let execution = Execution::new("analytics", "production", "run-17").unwrap();
    WorkflowEnded::new(name, execution, TerminalPhase::Succeeded)
}

fn past() -> Past {
    Past {
        previous: TerminalPhase::Succeeded,
        streak: 3,
        since: Some(Timestamp::from_micros(999_999_000_000_000)),
    }
}

#[track_caller]
fn parse(source: &str) -> Template {
    Template::parse(source).unwrap_or_else(|problems| panic!("{source:?}: {problems:#?}"))
}

#[track_caller]
fn render(source: &str, event: &WorkflowEnded) -> Rendered {
    parse(source).render(&Facts::new(event, &past()))
}

#[test]
fn a_template_is_shared_between_threads() {
    fn shared<T: Clone + Send + Sync>(_: &T) {}
    shared(&parse("{{ workflow }}"));
}

//! Render: from facts to a message. Pure, so the same on every attempt.

use notify_core::content::{Block, Field, Severity};
use notify_core::{Message, Past, TerminalPhase, WorkflowEnded, time};

/// Says in words what an event means, for people.
pub fn message(event: &WorkflowEnded, past: &Past) -> Message {
    let recovered = event.phase.is_success() && !past.previous.is_success();
    let again = if recovered { " again" } else { "" };
    let headline = format!("{} {}{again}", event.workflow, event.phase.words());
    let mut message = Message::new(headline, severity(event.phase));
    if let Some(line) = in_context(event, past) {
        message = message.block(Block::Paragraph(line));
    }
    message = message.block(Block::Fields(fields(event)));
    if let Some(failure) = &event.failure {
        message = message.block(Block::Code(failure.message.clone()));
    }
    let failed: Vec<String> = event
        .tasks
        .iter()
        .filter(|task| !task.phase.is_success())
        .map(|task| format!("{} {}", task.name, task.phase.words()))
        .collect();
    if !failed.is_empty() {
        message = message.block(Block::List(failed));
    }
    if let Some(url) = &event.url {
        message = message.action("Open the run", url);
    }
    message.footer(format!(
        "{}/{}",
        event.execution.project(),
        event.execution.domain()
    ))
}

fn severity(phase: TerminalPhase) -> Severity {
    match phase {
        TerminalPhase::Succeeded => Severity::Info,
        TerminalPhase::Aborted => Severity::Warning,
        TerminalPhase::Failed | TerminalPhase::TimedOut => Severity::Error,
    }
}

/// Says what this end means after the ones before it, where that is worth a line.
fn in_context(event: &WorkflowEnded, past: &Past) -> Option<String> {
    if event.phase.is_success() {
        let down = event
            .ended_at
            .zip(past.since)
            .map(|(end, since)| end.since(since));
        return (!past.previous.is_success()).then(|| match down {
            Some(down) => format!("Recovered after {}.", time::words(down)),
            None => "Recovered.".to_owned(),
        });
    }
    (past.streak > 1).then(|| match past.since {
        Some(since) => format!(
            "{} ends in a row without success, since {}.",
            past.streak,
            since.for_people()
        ),
        None => format!("{} ends in a row without success.", past.streak),
    })
}

fn fields(event: &WorkflowEnded) -> Vec<Field> {
    let execution = &event.execution;
    let took = event
        .started_at
        .zip(event.ended_at)
        .map(|(start, end)| time::words(end.since(start)));
    let attempt = (execution.attempt_number() > 1).then(|| execution.attempt_number().to_string());
    let code = event
        .failure
        .as_ref()
        .and_then(|failure| failure.code.clone());
    let facts = [
        ("Workflow", Some(event.workflow.to_string())),
        ("Version", event.version.clone()),
        ("Execution", Some(execution.name().to_owned())),
        ("Attempt", attempt),
        (
            "Ended",
            event.ended_at.map(notify_core::Timestamp::for_people),
        ),
        ("Duration", took),
        ("Code", code),
        ("Started by", event.principal.clone()),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(label, value)| Some((label.to_owned(), value?)));
    let labels = event
        .labels
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()));
    known
        .chain(labels)
        .map(|(label, value)| Field { label, value })
        .collect()
}

#[cfg(test)]
mod tests {
    use notify_core::{Execution, Failure, Timestamp, WorkflowName};

    use super::*;

    fn event(phase: TerminalPhase) -> WorkflowEnded {
        let name = WorkflowName::new("nightly-etl").unwrap();
        WorkflowEnded::new(name, Execution::new("p", "d", "run-1").unwrap(), phase)
            .started_at(Timestamp::from_micros(0))
            .ended_at(Timestamp::from_micros(3_600_000_000))
    }

    #[test]
    fn a_failure_says_what_failed_and_what_it_said() {
        let past = Past {
            previous: TerminalPhase::Succeeded,
            streak: 1,
            since: None,
        };
        let failure = Failure::new("row 4: amount is not a number").code("exit 1");
        let message = message(&event(TerminalPhase::Failed).failure(failure), &past);
        assert_eq!(message.headline, "nightly-etl failed");
        assert_eq!(message.severity, Severity::Error);
        assert!(
            message
                .blocks
                .contains(&Block::Code("row 4: amount is not a number".to_owned()))
        );
        let Some(Block::Fields(fields)) = message.blocks.first() else {
            panic!("fields come first where there is no context");
        };
        let labels: Vec<&str> = fields.iter().map(|field| field.label.as_str()).collect();
        assert_eq!(
            labels,
            ["Workflow", "Execution", "Ended", "Duration", "Code"]
        );
    }

    #[test]
    fn a_recovery_says_how_long_it_took() {
        let since = Some(Timestamp::from_micros(1_080_000_000));
        let past = Past {
            previous: TerminalPhase::Failed,
            streak: 0,
            since,
        };
        let message = message(&event(TerminalPhase::Succeeded), &past);
        assert_eq!(message.headline, "nightly-etl succeeded again");
        assert_eq!(
            message.blocks.first(),
            Some(&Block::Paragraph("Recovered after 42m.".to_owned()))
        );
    }
}

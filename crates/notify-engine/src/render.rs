//! Render: from facts to a message. Pure, so the same on every attempt.

use notify_core::content::{Block, Field, Inline, Severity};
use notify_core::{Message, Past, TerminalPhase, WorkflowEnded, time};
use notify_outbox::Summary;
use notify_template::{Facts, Template};

/// Says what an event means, in the author's words where there is a template.
pub fn message(event: &WorkflowEnded, past: &Past, template: Option<&Template>) -> Message {
    let mut message = Message::new(headline(event, past), severity(event.phase));
    message.blocks = match template {
        Some(template) => template.render(&Facts::new(event, past)).blocks,
        None => blocks(event, past),
    };
    if let Some(url) = &event.url {
        message = message.action("Open the run", url);
    }
    let execution = &event.execution;
    message.footer(format!("{}/{}", execution.project(), execution.domain()))
}

/// Says in one message what many deliveries to one recipient would have said.
pub fn summary_message(summary: &Summary) -> Message {
    let worst = summary.phases.keys().copied().map(severity).max();
    let headline = format!("{} workflow runs ended", summary.deliveries);
    let mut message = Message::new(headline, worst.unwrap_or(Severity::Info));
    let count = |(phase, count): (&TerminalPhase, &u64)| Field {
        label: phase.words().to_owned(),
        value: count.to_string(),
    };
    let counts = Block::Fields(summary.phases.iter().map(count).collect());
    let (first, last) = summary.between;
    let when = format!("Between {} and {}.", first.for_people(), last.for_people());
    let named = |(workflow, phase): &(_, TerminalPhase)| {
        vec![Inline::plain(format!("{workflow} {}", phase.words()))]
    };
    let (ordered, items) = (false, summary.first.iter().map(named).collect());
    message.blocks = vec![Block::text(when), counts, Block::Items { ordered, items }];
    let named = u64::try_from(summary.first.len()).unwrap_or(u64::MAX);
    let more = summary.deliveries.saturating_sub(named);
    if more > 0 {
        let text = format!("And {more} more: the outbox lists them all.");
        message.blocks.push(Block::text(text));
    }
    message
}

fn headline(event: &WorkflowEnded, past: &Past) -> String {
    let recovered = event.phase.is_success() && !past.previous.is_success();
    let again = if recovered { " again" } else { "" };
    format!("{} {}{again}", event.workflow, event.phase.words())
}

/// Says what happened, where the author left the words to us.
fn blocks(event: &WorkflowEnded, past: &Past) -> Vec<Block> {
    let context = in_context(event, past).map(Block::text);
    let failure = event.failure.as_ref();
    let failure = failure.map(|failure| Block::Code(failure.message.clone()));
    let failed = event.tasks.iter().filter(|task| !task.phase.is_success());
    let items: Vec<_> = failed
        .map(|task| {
            vec![Inline::plain(format!(
                "{} {}",
                task.name,
                task.phase.words()
            ))]
        })
        .collect();
    let ordered = false;
    let failed = (!items.is_empty()).then_some(Block::Items { ordered, items });
    let facts = Some(Block::Fields(fields(event)));
    [context, facts, failure, failed]
        .into_iter()
        .flatten()
        .collect()
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
        // Clocks differ: an end before its start says nothing about the time between.
        .filter(|(start, end)| start <= end)
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
        let message = message(&event(TerminalPhase::Failed).failure(failure), &past, None);
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
        let message = message(&event(TerminalPhase::Succeeded), &past, None);
        assert_eq!(message.headline, "nightly-etl succeeded again");
        assert_eq!(
            message.blocks.first(),
            Some(&Block::text("Recovered after 42m."))
        );
    }
}

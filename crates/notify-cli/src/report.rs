//! What is said to people on standard error.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

pub(crate) use workflow_notify::core::problem::chain;
use workflow_notify::core::time::words;
use workflow_notify::core::{Clock, SystemClock};
use workflow_notify::engine::Left;
use workflow_notify::outbox::{DeliveryRecord, DeliveryState, Release, Status};

/// How many of the deliveries that are left are listed.
const LISTED: usize = 20;

/// Writes one line. Nothing can be done about a standard error that is closed.
pub(crate) fn say(line: impl fmt::Display) {
    writeln!(anstream::stderr(), "notify: {}", inert(&line.to_string())).ok();
}

/// Writes an error that ends the program.
pub(crate) fn error(message: &str) {
    writeln!(anstream::stderr(), "error: {}", inert(message)).ok();
}

/// Writes a warning.
pub(crate) fn warning(message: impl fmt::Display) {
    let message = message.to_string();
    writeln!(anstream::stderr(), "warning: {}", inert(&message)).ok();
}

/// Writes how to go on after an error.
pub(crate) fn hint(help: &str) {
    writeln!(anstream::stderr(), "hint: {}", inert(help)).ok();
}

/// Makes a text that can hold anything safe for a terminal: the name of a file can steer one.
///
/// Line breaks stay. What controls, or changes the direction of writing, is written out.
pub(crate) fn inert(text: &str) -> Cow<'_, str> {
    let steers = |letter: char| {
        letter != '\n' && letter.is_control()
            || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let letter = |letter: char| match letter {
        letter if steers(letter) => format!("\\u{{{:x}}}", u32::from(letter)),
        letter => letter.to_string(),
    };
    Cow::Owned(text.chars().map(letter).collect())
}

/// Says what became of each delivery: those that did not arrive always, the others when asked.
pub(crate) fn deliveries(records: &[DeliveryRecord], everything: bool) {
    for record in records {
        let arrived = matches!(
            record.state,
            DeliveryState::Delivered | DeliveryState::Skipped
        );
        if everything || !arrived {
            say(Line(record));
        }
    }
}

/// Lists what is left, as far as anybody reads a list.
pub(crate) fn left(left: &Left) {
    let listed = left.deliveries.get(..LISTED).unwrap_or(&left.deliveries);
    deliveries(listed, true);
    let Status {
        pending,
        leased,
        held,
        ..
    } = left.status;
    let all = pending + leased + held;
    let more = all.saturating_sub(u64::try_from(listed.len()).unwrap_or(u64::MAX));
    if more > 0 {
        say(format_args!("  and {more} more"));
    }
}

/// Counts what is left.
pub(crate) fn left_over(left: &Status) -> String {
    format!(
        "left in the outbox: {} pending, {} held, {} on the wire, {} events not planned",
        left.pending,
        left.held,
        left.leased,
        left.accepted + left.unplannable,
    )
}

/// Names a delivery's recipient, and where it was declared if that is elsewhere.
pub(crate) fn recipient(record: &DeliveryRecord) -> String {
    match &record.declared_under {
        Some(kind) => format!("{} (declared under {kind})", record.recipient),
        None => record.recipient.to_string(),
    }
}

/// One delivery on one line.
struct Line<'a>(&'a DeliveryRecord);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(record) = self;
        let account = record.account.to_string();
        let recipient = recipient(record);
        write!(f, "  {:<10} {account:<18} {recipient}", record.state)?;
        if let Some(receipt) = &record.receipt {
            write!(f, "  receipt {receipt}")?;
        }
        if let Some(reason) = &record.reason {
            write!(f, "  {reason}")?;
        }
        match record.state {
            DeliveryState::Pending if record.blocked => {
                write!(f, "; waits for what goes before it")
            }
            DeliveryState::Pending => {
                let wait = record.not_before.since(SystemClock.now());
                if wait.is_zero() {
                    write!(f, "; waits for its turn")
                } else {
                    write!(f, "; next try in {}", words(wait))
                }
            }
            DeliveryState::Held if record.release == Some(Release::Replay) => {
                let id = record.id;
                write!(
                    f,
                    "; `notify outbox replay {id}` sends it again, `drop` gives it up"
                )
            }
            DeliveryState::Held => {
                write!(
                    f,
                    "; tried again by the next `notify deliver` or `notify run`"
                )
            }
            _ => Ok(()),
        }
    }
}

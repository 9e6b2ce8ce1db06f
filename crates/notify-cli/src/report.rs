//! What is said to people on standard error.

use std::fmt;
use std::io::Write;

pub(crate) use workflow_notify::core::problem::chain;
use workflow_notify::core::time::words;
use workflow_notify::core::{Clock, SystemClock};
use workflow_notify::outbox::{DeliveryRecord, DeliveryState};

/// Writes one line. Nothing can be done about a standard error that is closed.
pub(crate) fn say(line: impl fmt::Display) {
    writeln!(anstream::stderr(), "notify: {line}").ok();
}

/// Writes an error that ends the program.
pub(crate) fn error(message: &str) {
    writeln!(anstream::stderr(), "error: {message}").ok();
}

/// Writes a warning.
pub(crate) fn warning(message: impl fmt::Display) {
    writeln!(anstream::stderr(), "warning: {message}").ok();
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

/// One delivery on one line.
struct Line<'a>(&'a DeliveryRecord);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(record) = self;
        let account = record.account.to_string();
        write!(
            f,
            "  {:<10} {account:<18} {}",
            record.state, record.recipient
        )?;
        if let Some(receipt) = &record.receipt {
            write!(f, "  receipt {receipt}")?;
        }
        if let Some(reason) = &record.reason {
            write!(f, "  {reason}")?;
        }
        match record.state {
            DeliveryState::Pending => {
                let wait = record.not_before.since(SystemClock.now());
                write!(f, "; next try in {}", words(wait))
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

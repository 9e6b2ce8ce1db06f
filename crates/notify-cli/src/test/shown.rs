//! What a test came to, for people and for programs. The keys are public:
//! `docs/reference/test-json.md` has them.

use serde::Serialize;
use workflow_notify::core::time::words;
use workflow_notify::core::{AccountId, DeliveryId, Outcome, Receipt, Recipient, Secrets, Stage};

use crate::ledger::write;
use crate::report;

/// The whole of it.
#[derive(Debug, Serialize)]
pub(super) struct Tested {
    account: AccountId,
    delivered: bool,
    stages: Vec<Shown>,
    pub(super) deliveries: Vec<Sent>,
    /// How many deliveries were held for the account and are due now; `None` without an outbox.
    pub(super) released: Option<u64>,
}

/// One stage of the way to the vendor.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    name: String,
    passed: bool,
    said: String,
    fix: Option<String>,
}

/// What came of one message.
#[derive(Debug, Serialize)]
pub(super) struct Sent {
    delivery: DeliveryId,
    recipient: String,
    outcome: &'static str,
    receipt: Option<Receipt>,
    said: Option<String>,
    fix: Option<String>,
}

impl Tested {
    pub(super) fn new(account: AccountId) -> Self {
        Self {
            account,
            delivered: false,
            stages: Vec::new(),
            deliveries: Vec::new(),
            released: None,
        }
    }

    pub(super) fn add(&mut self, stage: Shown) {
        self.stages.push(stage);
    }

    /// Tells whether every stage was passed.
    pub(super) fn is_passed(&self) -> bool {
        self.stages.iter().all(|stage| stage.passed)
    }

    /// Tells whether everybody was told.
    pub(super) fn has_arrived(&self) -> bool {
        let mut all = self.deliveries.iter();
        !self.deliveries.is_empty() && all.all(|sent| sent.receipt.is_some())
    }

    /// Prints it; tells whether standard output took all of it.
    pub(super) fn tell(&mut self, as_json: bool) -> bool {
        self.delivered = self.has_arrived();
        if as_json {
            // Every key is a text, and every value has a form in JSON.
            return write([serde_json::to_string_pretty(self).unwrap_or_default()]);
        }
        let is_written = write(self.lines());
        let failed = self.stages.iter().filter(|stage| !stage.passed);
        let failed = failed.map(|stage| (stage.name.as_str(), &stage.said, &stage.fix));
        let unsent = self.deliveries.iter().filter(|sent| sent.receipt.is_none());
        let unsent = unsent.map(|sent| (sent.recipient.as_str(), sent.said(), &sent.fix));
        for (what, said, fix) in failed
            .map(|(what, said, fix)| (what, said.as_str(), fix))
            .chain(unsent)
        {
            report::error(&format!("`{}` failed at {what}: {said}", self.account));
            if let Some(fix) = fix {
                report::hint(fix);
            }
        }
        is_written
    }

    /// One line for each stage and for each message.
    fn lines(&self) -> Vec<String> {
        let stages = self.stages.iter().map(|stage| {
            let passed = if stage.passed { "passed" } else { "failed" };
            (stage.name.as_str(), passed, stage.said.clone())
        });
        let sent = self.deliveries.iter().map(|sent| {
            let said = match &sent.receipt {
                Some(receipt) => format!("{}  receipt {receipt}", sent.recipient),
                None => format!("{}  {}", sent.recipient, sent.said()),
            };
            ("message", sent.outcome, said)
        });
        let released = self.released.filter(|count| *count > 0).map(|count| {
            let deliveries = if count == 1 { "delivery" } else { "deliveries" };
            let said = format!("{count} {deliveries}; `notify deliver` sends what was held");
            ("outbox", "released", said)
        });
        let rows: Vec<_> = stages.chain(sent).chain(released).collect();
        let widest =
            |of: fn(&(&str, &str, String)) -> usize| rows.iter().map(of).max().unwrap_or(0);
        let first = widest(|(name, ..)| name.chars().count());
        let second = widest(|(_, state, _)| state.chars().count());
        let line = |(name, state, said): &(&str, &str, String)| {
            let line = format!("{name:<first$}  {state:<second$}  {said}");
            report::inert(line.trim_end()).into_owned()
        };
        rows.iter().map(line).collect()
    }
}

impl Shown {
    pub(super) fn new(stage: Stage, fix: Option<String>) -> Self {
        Self {
            name: stage.name,
            passed: stage.outcome.is_none(),
            said: stage.said,
            fix,
        }
    }

    /// Takes out what a vendor repeated of our secrets.
    pub(super) fn masked(self, secrets: &Secrets) -> Self {
        let mask = |text: &str| secrets.mask(text).into_owned();
        Self {
            name: mask(&self.name),
            said: mask(&self.said),
            fix: self.fix.as_deref().map(mask),
            ..self
        }
    }
}

impl Sent {
    pub(super) fn new(
        delivery: DeliveryId,
        recipient: &Recipient,
        outcome: &Outcome,
        fix: Option<String>,
    ) -> Self {
        let (receipt, said) = match outcome {
            Outcome::Delivered(receipt) => (Some(receipt.clone()), None),
            Outcome::NotDelivered {
                detail,
                retry_after: Some(wait),
                ..
            } => (
                None,
                Some(format!("{detail}; asks for {} of rest", words(*wait))),
            ),
            Outcome::Unknown { detail, .. } => (
                None,
                Some(format!("{detail}; it may have arrived all the same")),
            ),
            Outcome::NotDelivered { detail, .. } | Outcome::Rejected { detail, .. } => {
                (None, Some(detail.clone()))
            }
            other => (None, Some(other.name().to_owned())),
        };
        Self {
            delivery,
            recipient: recipient.to_string(),
            outcome: outcome.name(),
            receipt,
            said,
            fix,
        }
    }

    fn said(&self) -> &str {
        self.said.as_deref().unwrap_or_default()
    }

    /// Takes out what a vendor repeated of our secrets.
    pub(super) fn masked(self, secrets: &Secrets) -> Self {
        let mask = |text: &str| secrets.mask(text).into_owned();
        let receipt = self.receipt.map(|receipt| {
            let facts = receipt.facts.iter();
            facts.fold(Receipt::new(mask(&receipt.id)), |masked, (name, fact)| {
                masked.fact(name, mask(fact))
            })
        });
        Self {
            receipt,
            said: self.said.as_deref().map(mask),
            fix: self.fix.as_deref().map(mask),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use workflow_notify::core::secret::SecretString;
    use workflow_notify::core::{Reason, SecretError, SecretRef, SecretSource};

    use super::*;

    #[derive(Debug)]
    struct Same;

    impl SecretSource for Same {
        fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
            Ok("xoxb-hunter2-hunter2".into())
        }
    }

    #[test]
    fn what_a_vendor_repeats_of_a_secret_is_masked_wherever_it_stands() {
        let secrets = Secrets::resolve([&SecretRef::Env("T".to_owned())], &Same);
        let said = "no such token: xoxb-hunter2-hunter2";
        let refused = Outcome::rejected(Reason::Auth, said);
        let receipt = Receipt::new(said).fact("token", said);
        let to = Recipient::of(&"#x");
        let id = DeliveryId::from_uuid(
            workflow_notify::outbox::EventId::new(
                workflow_notify::core::Timestamp::from_micros(0),
                [0; 10],
            )
            .uuid(),
        );
        let stage = Stage::failed(said, refused.clone());
        let mut tested = Tested::new("slack.prod".parse().unwrap());
        tested.add(Shown::new(stage, Some(said.to_owned())).masked(&secrets));
        for outcome in [refused, Outcome::Delivered(receipt)] {
            let sent = Sent::new(id, &to, &outcome, Some(said.to_owned()));
            tested.deliveries.push(sent.masked(&secrets));
        }
        let all = serde_json::to_string(&tested).unwrap() + &tested.lines().join("\n");
        assert!(!all.contains("hunter2"), "{all}");
        assert_eq!(all.matches("[secret]").count(), 13, "{all}");
    }
}

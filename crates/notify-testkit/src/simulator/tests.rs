//! The simulator finds what is broken, and nothing where nothing is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use notify_core::{AccountId, DeliveryId, WorkflowName};
use notify_outbox::{
    Accepted, Aside, Claim, DeliveryQuery, DeliveryRecord, EventQuery, EventRecord, Leased,
    MemoryOutbox, NewEvent, Outbox, OutboxError, Recorded, Settled, Settlement, Status, Waiting,
    WorkflowPlan,
};

use super::{Ledgers, Report, simulate, simulate_shown};

/// What a broken ledger does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    ForgetsEvent,
    RecordsTwice,
    DropsSettlement,
    TakesStaleLease,
    LeasesTwice,
    IgnoresRetryAfter,
    CountsThrottled,
    ForgetsUnsure,
    GivesTooMuch,
    IgnoresRate,
    ForgetsLane,
    StatusLies,
    ForgetsReason,
}

impl Flaw {
    const ALL: [Self; 13] = [
        Self::ForgetsEvent,
        Self::RecordsTwice,
        Self::DropsSettlement,
        Self::TakesStaleLease,
        Self::LeasesTwice,
        Self::IgnoresRetryAfter,
        Self::CountsThrottled,
        Self::ForgetsUnsure,
        Self::GivesTooMuch,
        Self::IgnoresRate,
        Self::ForgetsLane,
        Self::StatusLies,
        Self::ForgetsReason,
    ];
}

/// A ledger with one flaw, which shows now and then.
#[derive(Debug)]
struct Flawed {
    ledger: MemoryOutbox,
    flaw: Flaw,
    calls: Arc<AtomicU32>,
}

impl Flawed {
    /// Tells whether the flaw shows in this call.
    fn shows(&self, flaw: Flaw, every: u32) -> bool {
        self.flaw == flaw && self.calls.fetch_add(1, Ordering::SeqCst) % every == every - 1
    }
}

#[async_trait]
impl Outbox for Flawed {
    fn durable(&self) -> bool {
        false
    }

    async fn accept(&self, event: NewEvent) -> Result<Accepted, OutboxError> {
        if self.shows(Flaw::ForgetsEvent, 5) {
            return Ok(Accepted::Recorded(event.id));
        }
        self.ledger.accept(event).await
    }

    async fn waiting(&self, most: usize) -> Result<Waiting, OutboxError> {
        self.ledger.waiting(most).await
    }

    async fn record(&self, plans: Vec<WorkflowPlan>) -> Result<Vec<Recorded>, OutboxError> {
        if self.shows(Flaw::RecordsTwice, 4) {
            // As a store that commits, and then says that another engine was faster.
            self.ledger.record(plans.clone()).await?;
            return Ok(vec![Recorded::LostRace; plans.len()]);
        }
        self.ledger.record(plans).await
    }

    async fn set_aside(&self, events: Vec<Aside>) -> Result<(), OutboxError> {
        self.ledger.set_aside(events).await
    }

    async fn revive(&self, workflows: Option<Vec<WorkflowName>>) -> Result<u64, OutboxError> {
        self.ledger.revive(workflows).await
    }

    async fn claim(&self, mut claim: Claim) -> Result<Vec<Leased>, OutboxError> {
        if self.shows(Flaw::GivesTooMuch, 1) {
            claim.most_per_lane += 2;
        }
        if self.shows(Flaw::IgnoresRate, 1) {
            for serve in &mut claim.serve {
                serve.rate = None;
            }
        }
        let mut leased = self.ledger.claim(claim).await?;
        if self.shows(Flaw::ForgetsUnsure, 1) {
            for one in &mut leased {
                one.unsure = false;
            }
        }
        if !leased.is_empty() && self.shows(Flaw::LeasesTwice, 6) {
            let again = leased.iter().cloned().map(|mut one| {
                one.token += 1;
                one
            });
            leased.extend(again.collect::<Vec<_>>());
        }
        if !leased.is_empty() && self.shows(Flaw::ForgetsLane, 3) {
            leased.pop();
        }
        Ok(leased)
    }

    async fn settle(&self, mut settlement: Settlement) -> Result<Settled, OutboxError> {
        if self.shows(Flaw::DropsSettlement, 5) {
            return Ok(Settled::Done);
        }
        if self.shows(Flaw::IgnoresRetryAfter, 1) {
            settlement.decision.wait = None;
        }
        if self.shows(Flaw::CountsThrottled, 1) {
            settlement.decision.counts = true;
        }
        if self.shows(Flaw::ForgetsReason, 1) {
            settlement.decision.reason = None;
        }
        let settled = self.ledger.settle(settlement).await?;
        if settled == Settled::StaleLease && self.shows(Flaw::TakesStaleLease, 1) {
            return Ok(Settled::Done);
        }
        Ok(settled)
    }

    async fn resume(&self, accounts: Vec<AccountId>) -> Result<u64, OutboxError> {
        self.ledger.resume(accounts).await
    }

    async fn replay(&self, deliveries: Vec<DeliveryId>) -> Result<Vec<DeliveryId>, OutboxError> {
        self.ledger.replay(deliveries).await
    }

    async fn drop(
        &self,
        deliveries: Vec<DeliveryId>,
        reason: String,
    ) -> Result<Vec<DeliveryId>, OutboxError> {
        Outbox::drop(&self.ledger, deliveries, reason).await
    }

    async fn status(&self, accounts: Vec<AccountId>) -> Result<Status, OutboxError> {
        let mut status = self.ledger.status(accounts).await?;
        if self.flaw == Flaw::StatusLies {
            status.conflicts += 1;
        }
        Ok(status)
    }

    async fn deliveries(&self, query: DeliveryQuery) -> Result<Vec<DeliveryRecord>, OutboxError> {
        self.ledger.deliveries(query).await
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<EventRecord>, OutboxError> {
        self.ledger.events(query).await
    }
}

fn flawed(flaw: Flaw) -> Ledgers {
    Ledgers::new("flawed", move |clock| {
        let ledger = MemoryOutbox::new(clock);
        let calls = Arc::new(AtomicU32::new(0));
        Box::new(move || {
            let (ledger, calls) = (ledger.clone(), Arc::clone(&calls));
            Arc::new(Flawed {
                ledger,
                flaw,
                calls,
            })
        })
    })
}

fn first_violation(ledgers: &Ledgers, seeds: u64) -> Option<Report> {
    (1..=seeds)
        .map(|seed| simulate(seed, ledgers))
        .find(|report| !report.violations.is_empty())
}

#[test]
fn a_hundred_and_fifty_seeds_break_no_law() {
    for seed in 1..=150 {
        let report = simulate(seed, &Ledgers::memory());
        assert!(
            report.violations.is_empty(),
            "seed {seed}: {:#?}\n{}",
            report.violations,
            report.last
        );
    }
}

#[test]
fn a_seed_does_the_same_each_time() {
    for seed in 1..=20 {
        let [first, second] = [(); 2].map(|()| simulate(seed, &Ledgers::memory()));
        assert!(first.steps > 20, "seed {seed}: {} steps", first.steps);
        assert_eq!(first.hash, second.hash, "seed {seed}");
    }
    let [one, other] = [1, 2].map(|seed| simulate(seed, &Ledgers::memory()).hash);
    assert_ne!(one, other);
}

#[test]
fn what_can_go_wrong_goes_wrong_in_some_seed() {
    let wanted = [
        "Kill {",
        "Crash { engine: 1, at: \"before a call of the outbox\"",
        "after a call of the outbox",
        "before the vendor takes it",
        "after the vendor took it",
        "Shutdown {",
        "Reload {",
        "Jump { seconds: -",
        "Jump { seconds: 1",
        "Outage {",
        "Refused {",
        "what: \"duplicate\"",
        "what: \"conflict\"",
        "state: \"unmatched\"",
        "LostRace {",
        "Lost {",
        "Stale {",
        "Reconcile {",
        "summary: Some(",
        "action: \"close\"",
        "next: \"held\"",
        "next: \"rejected\"",
        "next: \"expired\"",
        "act: \"throttled\"",
        "act: \"panic\"",
        "act: \"odd\"",
        "Replayed {",
        "Dropped {",
        "engine: 3,",
    ];
    let mut missing = wanted.to_vec();
    for seed in 1..=300 {
        let report = simulate_shown(seed, &Ledgers::memory(), usize::MAX);
        missing.retain(|what| !report.last.contains(what));
    }
    assert_eq!(missing, <[&str; 0]>::default());
}

#[test]
fn every_flaw_of_a_ledger_is_found() {
    let missed: Vec<Flaw> = Flaw::ALL
        .into_iter()
        .filter(|flaw| first_violation(&flawed(*flaw), 400).is_none())
        .collect();
    assert_eq!(missed, []);
}

#[test]
fn a_violation_is_shown_with_what_happened_and_the_way_to_repeat_it() {
    let report = first_violation(&flawed(Flaw::ForgetsEvent), 50).expect("an event is lost");
    let mut out = Vec::new();
    let asked = super::Asked {
        first: report.seed,
        seeds: 1,
        steps: 60,
    };
    let broken = super::command(asked, &flawed(Flaw::ForgetsEvent), &mut out).expect("memory");
    let text = String::from_utf8(out).expect("text");
    assert_eq!(broken, 1, "{text}");
    let seed = report.seed;
    assert!(
        text.starts_with(&format!("seed {seed} violation: ")),
        "{text}"
    );
    assert!(
        text.contains(&format!("cargo xtask simulate --seed {seed}")),
        "{text}"
    );
    assert!(text.ends_with("seeds 1 violations 1\n"), "{text}");
}

//! What holds whatever is done, tried on random sequences of everything that can be done.
//!
//! A walk that breaks a law says so with the step at which it did; the walks are the same every time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use notify_core::{AccountId, DeliveryId, Rate, Scope, Timestamp};
use notify_outbox::DeliveryState::{
    Delivered, Expired, Held, Leased as OnTheWire, Pending, Rejected, Skipped, Superseded,
};
use notify_outbox::{DeliveryRecord, DeliveryState, Leased, Settled};

use crate::outbox::bench::Bench;
use crate::outbox::make::{
    Came, Claiming, ONE, TWO, Told, again, claim, delivered, doubtful, expired, refused, rejected,
    run, secs, to, unknown,
};
use crate::outbox::random::Random;

pub async fn whatever_is_done_the_laws_hold_for_single_deliveries(bench: Bench) {
    Walk::new(bench, Mix::Singles).go().await;
}

pub async fn whatever_is_done_the_laws_hold_in_conversations(bench: Bench) {
    Walk::new(bench, Mix::Conversations).go().await;
}

pub async fn whatever_is_done_the_laws_hold_in_a_storm(bench: Bench) {
    Walk::new(bench, Mix::Storm).go().await;
}

pub async fn whatever_is_done_the_laws_hold_for_all_of_it(bench: Bench) {
    Walk::new(bench, Mix::Everything).go().await;
}

/// How many steps are made before everything has to come to rest.
const STEPS: u32 = 60;

/// How many lanes, recipients and conversations there are to choose from.
const CHOICE: u64 = 3;

/// What a walk is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mix {
    Singles,
    Conversations,
    Storm,
    Everything,
}

/// What a step does to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Tell,
    Claim,
    Settle,
    Resume,
    Replay,
    GiveUp,
    /// Nothing: time passes, the clock is set back, the store is opened anew, a lease is stale.
    Nothing,
}

/// A random walk through a ledger, which checks the laws after every step.
struct Walk {
    bench: Bench,
    mix: Mix,
    random: Random,
    step: u32,
    told: u32,
    /// Leases that are good, with the instant before which nobody else may have one.
    leases: BTreeMap<DeliveryId, (Leased, Timestamp)>,
    /// Leases that were settled or lost.
    stale: Vec<Leased>,
    /// The latest token of each delivery.
    tokens: BTreeMap<DeliveryId, i64>,
    /// What was on record after the step before.
    before: BTreeMap<DeliveryId, DeliveryRecord>,
}

impl Walk {
    fn new(bench: Bench, mix: Mix) -> Self {
        Self {
            bench,
            mix,
            random: Random::new(mix as u64 + 1),
            step: 0,
            told: 0,
            leases: BTreeMap::new(),
            stale: Vec::new(),
            tokens: BTreeMap::new(),
            before: BTreeMap::new(),
        }
    }

    async fn go(mut self) {
        // A durable store takes a while for each step.
        let rounds = if self.bench.outbox().durable() { 4 } else { 12 };
        for _ in 0..rounds {
            for _ in 0..STEPS {
                self.step += 1;
                let step = self.make_a_step().await;
                self.check(step).await;
            }
            self.come_to_rest().await;
        }
    }

    async fn make_a_step(&mut self) -> Step {
        match self.random.below(100) {
            0..25 => self.tell().await,
            25..50 => self.claim().await,
            50..75 => self.settle().await,
            75..78 => self.settle_stale().await,
            78..86 => self.pass(),
            86..88 => self.set_back_or_restart(),
            88..92 => self.resume().await,
            92..96 => self.replay().await,
            _ => self.give_up().await,
        }
    }

    async fn tell(&mut self) -> Step {
        let count = if self.mix == Mix::Storm { 6 } else { 2 };
        let mut events = Vec::new();
        for _ in 0..=self.random.below(count) {
            self.told += 1;
            let ago = secs(self.random.below(30));
            let event = run(self.told).at(self.bench.now().before(ago));
            let mut told: Vec<Told> = Vec::new();
            for _ in 0..=self.random.below(3) {
                let new = self.delivery();
                // Nobody is told the same thing twice.
                if !told.iter().any(|known| known.is_like(&new)) {
                    told.push(new);
                }
            }
            events.push((event, told));
        }
        self.bench.tell_all(events).await;
        Step::Tell
    }

    fn delivery(&mut self) -> Told {
        let choice = self.random.below(CHOICE);
        let account = self.account();
        let talks = match self.mix {
            Mix::Singles | Mix::Storm => 0,
            Mix::Conversations => 90,
            Mix::Everything => 40,
        };
        let told = to(self.random.below(CHOICE)).through(account);
        let told = if self.random.below(100) >= talks {
            // A storm is one in few lanes.
            let lanes = if self.mix == Mix::Storm { 1 } else { CHOICE };
            told.lane(format!("lane {}", choice % lanes))
        } else {
            let told = told.lane(format!("talk {choice}"));
            if self.random.below(3) == 0 {
                told.closes(choice)
            } else {
                told.opens(choice)
            }
        };
        let told = if self.random.below(3) == 0 {
            told.hold_if_unknown()
        } else {
            told
        };
        if self.random.below(20) == 0 {
            told.skipped("not wanted")
        } else {
            told
        }
    }

    async fn claim(&mut self) -> Step {
        let room = 1 + usize::try_from(self.random.below(8)).unwrap();
        let most_per_lane = 1 + usize::try_from(self.random.below(4)).unwrap();
        let max_age = Duration::from_secs(if self.random.below(10) == 0 { 60 } else { 86_400 });
        let wanted = self.all().room(room).most_per_lane(most_per_lane).max_age(max_age);
        let leased = self.take(wanted).await;
        let now = self.bench.now();
        let mut of_account: BTreeMap<AccountId, usize> = BTreeMap::new();
        for one in &leased {
            *of_account.entry(one.account.clone()).or_default() += 1;
            // Those that are over were taken back by this very claim.
            let good = self.leases.values().filter(|(_, until)| *until > now);
            let in_lane = good.filter(|(other, _)| lane(other) == lane(one)).count();
            assert!(in_lane <= most_per_lane, "{self}: {in_lane} are leased in a lane");
        }
        for (account, count) in of_account {
            assert!(count <= room, "{self}: {account} got {count}, more than {room}");
        }
        Step::Claim
    }

    /// Claims for both accounts, in the way of this walk.
    fn all(&self) -> Claiming {
        let all = claim().of(&[ONE, TWO]);
        match self.mix {
            Mix::Singles => all.rate(Rate::new(secs(2), 5)),
            Mix::Storm | Mix::Everything => all.collapse_after(2),
            Mix::Conversations => all,
        }
    }

    /// Claims, and checks that nobody else holds what is leased.
    async fn take(&mut self, wanted: Claiming) -> Vec<Leased> {
        let now = self.bench.now();
        let leased = self.bench.claim(wanted).await;
        for one in &leased {
            if let Some((lost, until)) = self.leases.remove(&one.id) {
                assert!(until <= now, "{self}: {} is leased twice", one.id);
                self.stale.push(lost);
            }
            let token = self.tokens.insert(one.id, one.token);
            assert!(token < Some(one.token), "{self}: the token of {} grows", one.id);
            self.leases.insert(one.id, (one.clone(), now.after(secs(30))));
        }
        leased
    }

    async fn settle(&mut self) -> Step {
        let ids: Vec<DeliveryId> = self.leases.keys().copied().collect();
        let Some(id) = self.random.one_of(&ids) else {
            return Step::Nothing;
        };
        let (leased, _) = self.leases.remove(&id).unwrap();
        let came = self.came();
        self.bench.settle(&leased, came).await;
        self.stale.push(leased);
        Step::Settle
    }

    fn came(&mut self) -> Came {
        let after = secs(self.random.below(20));
        match self.random.below(20) {
            0 => rejected(),
            1 => expired(),
            2 => refused(),
            3 => refused().pause(),
            4 => doubtful(),
            5 => unknown(after),
            6..9 => again(after).silent(),
            9 => again(after).wait(Scope::Lane, secs(30)).uncounted(),
            10 => again(after).wait(Scope::Account, secs(30)).uncounted(),
            11..13 => again(after),
            _ => delivered(),
        }
    }

    async fn settle_stale(&mut self) -> Step {
        if let Some(leased) = self.random.one_of(&self.stale) {
            let came = self.came();
            let settled = self.bench.try_settle(&leased, came).await;
            assert_eq!(settled, Settled::StaleLease, "{self}");
        }
        Step::Nothing
    }

    fn pass(&mut self) -> Step {
        self.bench.pass(secs(self.random.below(40)));
        Step::Nothing
    }

    fn set_back_or_restart(&mut self) -> Step {
        if self.mix == Mix::Everything {
            let by = secs(self.random.below(100));
            self.bench.set_back(by);
            // The leases go back with it.
            for (_, until) in self.leases.values_mut() {
                *until = until.before(by);
            }
        } else {
            self.bench.restart();
        }
        Step::Nothing
    }

    async fn resume(&mut self) -> Step {
        let account = self.account();
        self.bench.resume(&[account]).await;
        Step::Resume
    }

    async fn replay(&mut self) -> Step {
        let some = self.some();
        self.bench.replay(&some).await;
        Step::Replay
    }

    async fn give_up(&mut self) -> Step {
        let some = self.some();
        self.bench.give_up(&some, "given up").await;
        Step::GiveUp
    }

    fn account(&mut self) -> &'static str {
        if self.random.below(2) == 0 { ONE } else { TWO }
    }

    /// Chooses a few of all deliveries.
    fn some(&mut self) -> Vec<DeliveryId> {
        let ids: Vec<DeliveryId> = self.before.keys().copied().collect();
        let some = (0..3).filter_map(|_| self.random.one_of(&ids));
        some.collect()
    }

    async fn check(&mut self, step: Step) {
        let now = self.bench.now();
        let listed = self.bench.deliveries().await;
        let after: BTreeMap<DeliveryId, DeliveryRecord> =
            listed.into_iter().map(|record| (record.id, record)).collect();
        for (id, before) in &self.before {
            let found = after.get(id);
            let state = found.map(|record| record.state);
            let may = state.is_some_and(|state| may(step, before.state, state));
            assert!(may, "{self}: {step:?} made {before:#?} {found:#?}");
        }
        for record in after.values() {
            let silent = record.reason.as_deref().unwrap_or_default().is_empty();
            let needs_none = matches!(record.state, Delivered | Pending | OnTheWire);
            assert!(needs_none || !silent, "{self}: no reason for {record:#?}");
        }
        // What is leased is what this walk leased, and nothing was taken from it before its time.
        let lost: Vec<DeliveryId> = self
            .leases
            .keys()
            .copied()
            .filter(|id| after[id].state != OnTheWire)
            .collect();
        for id in lost {
            let (lost, until) = self.leases.remove(&id).unwrap();
            assert!(step == Step::Claim && until <= now, "{self}: {lost:#?} lost its lease");
            self.stale.push(lost);
        }
        let in_state = |state| after.values().filter(|record| record.state == state).count();
        assert_eq!(in_state(OnTheWire), self.leases.len(), "{self}");
        let status = self.bench.status().await;
        let counted = [status.pending, status.leased, status.held];
        let expected = [Pending, OnTheWire, Held].map(|state| in_state(state) as u64);
        assert_eq!(counted, expected, "{self}: the status counts what is listed");
        self.one_of_each_conversation();
        self.before = after;
    }

    fn one_of_each_conversation(&self) {
        let mut talks = BTreeSet::new();
        for (leased, _) in self.leases.values() {
            if let Some(key) = &leased.conversation {
                let first = talks.insert((&leased.account, key));
                assert!(first, "{self}: two of conversation {key} are leased");
            }
        }
    }

    /// Nothing is stuck: with every account at work and every answer good, all is settled.
    async fn come_to_rest(&mut self) {
        for _ in 0..200 {
            self.step += 1;
            self.bench.resume(&[ONE, TWO]).await;
            let held = self.before.values().filter(|record| record.state == Held);
            let held: Vec<DeliveryId> = held.map(|record| record.id).collect();
            self.bench.replay(&held).await;
            let wanted = self.all().max_age(Duration::from_hours(100_000));
            let none = self.take(wanted).await.is_empty();
            self.check_rest(none).await;
            let leases: Vec<(Leased, Timestamp)> =
                std::mem::take(&mut self.leases).into_values().collect();
            for (leased, _) in leases {
                // A lease may have been lost and held in this very claim.
                self.bench.try_settle(&leased, delivered()).await;
                self.stale.push(leased);
            }
            let listed = self.bench.deliveries().await;
            self.before = listed.into_iter().map(|record| (record.id, record)).collect();
            if self.before.values().all(|record| record.state.is_settled()) {
                let waits = self.bench.status().await;
                assert!(waits.is_idle() && waits.next_due.is_none(), "{self}: {waits:?}");
                return;
            }
            self.bench.pass(secs(7));
        }
        let stuck: Vec<&DeliveryRecord> =
            self.before.values().filter(|record| !record.state.is_settled()).collect();
        panic!("{self}: nothing helps {stuck:#?}");
    }

    /// A claim with room for everything that found nothing is not asked again at once.
    async fn check_rest(&self, none: bool) {
        let due = self.bench.status().await.next_due;
        assert!(!none || due != Some(Duration::ZERO), "{self}: a claim that finds nothing is due");
    }
}

impl std::fmt::Display for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, step {}", self.mix, self.step)
    }
}

fn lane(leased: &Leased) -> (&AccountId, &str) {
    let lane = leased.spec.body["fake"]["lane"].as_str().unwrap();
    (&leased.account, lane)
}

/// Tells whether a step may make one state of the other.
fn may(step: Step, before: DeliveryState, after: DeliveryState) -> bool {
    match (before, after) {
        (before, after) if before == after => true,
        (OnTheWire, _) => matches!(step, Step::Claim | Step::Settle),
        (Pending, OnTheWire) => step == Step::Claim,
        // A summary takes what is in it along.
        (Pending | Held, Delivered | Rejected) | (Held, Expired) => step == Step::Settle,
        (Pending, Expired | Held) => matches!(step, Step::Claim | Step::Settle),
        (Held, Pending) => matches!(step, Step::Resume | Step::Replay),
        (Rejected | Expired, Pending | Superseded | Skipped) => step == Step::Replay,
        // A conversation goes on, or somebody gives up.
        (Pending | Held, Superseded | Skipped) => step != Step::Nothing,
        _ => false,
    }
}

//! What a seed decides before anything runs: who is told, what happens, and what goes wrong when.

use std::sync::Arc;
use std::time::Duration;

use notify_core::{
    AccountId, Accounts, Config, ProviderDescriptor, Rate, Registry, SecretError, SecretRef,
    SecretSource, Success, TerminalPhase, Workflow,
};
use notify_engine::Settings;
use notify_outbox::Policy;
use serde_json::{Value, json};

use super::rng::Rng;
use super::vendor::{Mood, Sim};

/// How many engines may run at once.
pub(crate) const ENGINES: usize = 2;

/// An account that is the same in all configurations, but for being switched on.
#[derive(Clone, Debug)]
pub(crate) struct AccountPlan {
    pub(crate) id: AccountId,
    pub(crate) closes: Option<&'static str>,
    pub(crate) success: Success,
    pub(crate) reconciles: bool,
    pub(crate) deadline: Duration,
    pub(crate) rate: Option<Rate>,
    pub(crate) one_lane: bool,
    pub(crate) collapses: Option<usize>,
}

/// One configuration: what is declared, and which accounts are switched on.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) enabled: Vec<bool>,
    pub(crate) workflows: Vec<(String, Vec<Value>)>,
}

/// One end of a run.
#[derive(Clone, Debug)]
pub(crate) struct Emit {
    pub(crate) workflow: String,
    pub(crate) execution: String,
    pub(crate) attempt: u32,
    pub(crate) phase: TerminalPhase,
    /// How long before it is told of; negative is in the future.
    pub(crate) ended: Option<i64>,
    pub(crate) own: Option<Vec<Value>>,
}

/// Where an engine dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrashAt {
    BeforeCall,
    AfterCall,
    BeforeTaking,
    AfterTaking,
}

impl CrashAt {
    pub(crate) const ALL: [Self; 4] = [
        Self::BeforeCall,
        Self::AfterCall,
        Self::BeforeTaking,
        Self::AfterTaking,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BeforeCall => "before a call of the outbox",
            Self::AfterCall => "after a call of the outbox",
            Self::BeforeTaking => "before the vendor takes it",
            Self::AfterTaking => "after the vendor took it",
        }
    }
}

/// What happens at one moment.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Emit(usize),
    Start(usize),
    Kill(usize),
    Arm(usize, CrashAt, u32),
    Shutdown(usize, Duration),
    Reload(usize, usize),
    Jump(i64),
    Mood(usize, Option<String>, Mood),
    Outage(Duration),
    Replay(u64),
    Drop(u64),
    Settled(usize, u64, Duration, Duration),
    Drain(usize, Duration, Duration),
}

/// Everything that a seed decides.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) accounts: Vec<AccountPlan>,
    pub(crate) recipients: Vec<String>,
    pub(crate) versions: Vec<Version>,
    pub(crate) emits: Vec<Emit>,
    pub(crate) acts: Vec<(Duration, Act)>,
    pub(crate) settings: Settings,
    /// How long calls of the outbox may take at most, in milliseconds; zero for at once.
    pub(crate) latency: u64,
    /// What runs draw from while they run.
    pub(crate) rng: Rng,
}

pub(crate) fn registry() -> Registry {
    Registry::of([ProviderDescriptor::of::<Sim>("notify-testkit")]).expect("one provider")
}

impl Scene {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let collapse_after = rng.chance(35).then(|| rng.index(5) + 2);
        let accounts: Vec<AccountPlan> = (0..rng.between(1, 3))
            .map(|index| account(index, collapse_after, &mut rng))
            .collect();
        let recipients: Vec<String> = (0..rng.between(1, 6))
            .map(|one| format!("r{one}"))
            .collect();
        let workflows: Vec<String> = (0..rng.between(1, 4))
            .map(|one| format!("w{one}"))
            .collect();
        let mut versions = vec![version(&accounts, &recipients, &workflows, &mut rng)];
        for _ in 0..rng.between(0, 2) {
            let last = versions.last().expect("one is there").clone();
            versions.push(changed(last, &accounts, &recipients, &mut rng));
        }
        // In the end everything is switched on and known.
        let mut last = versions.last().expect("one is there").clone();
        last.enabled.fill(true);
        versions.push(last);

        let span = Duration::from_secs(match rng.between(0, 9) {
            0..=3 => 120,
            4..=7 => 1_200,
            _ => 7_200,
        });
        let settings = Settings {
            in_flight: rng.index(8) + 1,
            in_flight_per_lane: rng.index(4) + 1,
            collapse_after,
            policy: Policy {
                first_wait: Duration::from_secs(rng.pick(&[1, 2, 5])),
                longest_wait: Duration::from_secs(rng.pick(&[30, 300, 900])),
                max_age: Duration::from_secs(rng.pick(&[120, 600, 3_600, 86_400])),
                throttled_wait: Duration::from_secs(rng.pick(&[5, 60])),
                longest_retry_after: Duration::from_secs(rng.pick(&[60, 3_600])),
            },
        };
        let emits = emits(&accounts, &recipients, &workflows, &mut rng);
        let mut scene = Self {
            accounts,
            recipients,
            versions,
            emits,
            acts: Vec::new(),
            settings,
            latency: rng.pick(&[0, 0, 5, 80]),
            rng: rng.fork(),
        };
        scene.acts(span, &mut rng);
        scene
    }

    /// The configuration that knows everything.
    pub(crate) fn last_version(&self) -> usize {
        self.versions.len() - 1
    }

    /// Gives a configuration as one engine loads it.
    pub(crate) fn config(&self, version: usize, engine: u32, registry: &Registry) -> Config {
        let version = &self.versions[version];
        let sections: serde_json::Map<String, Value> = self
            .accounts
            .iter()
            .zip(&version.enabled)
            .enumerate()
            .map(|(index, (plan, enabled))| {
                let section = json!({"enabled": enabled, "index": index, "engine": engine});
                (plan.id.name.to_string(), section)
            })
            .collect();
        let accounts =
            Accounts::load(registry, &json!({"sim": sections})).expect("it is well formed");
        let workflow = |(name, notifications): &(String, Vec<Value>)| {
            notifications
                .iter()
                .map(|value| {
                    registry
                        .load_notification(value)
                        .expect("it is well formed")
                })
                .fold(
                    Workflow::new(name.as_str()).expect("a good name"),
                    Workflow::notify,
                )
        };
        let workflows = version.workflows.iter().map(workflow).collect();
        Config::new(workflows, accounts, Arc::new(NoSecrets)).expect("it fits")
    }

    fn acts(&mut self, span: Duration, rng: &mut Rng) {
        let mut acts = Vec::new();
        let millis = u64::try_from(span.as_millis()).expect("a run is short");
        let any = |rng: &mut Rng| rng.millis(0, millis);
        // Storms come at once, other ends whenever they do.
        let storm = rng.chance(30).then(|| any(rng));
        for index in 0..self.emits.len() {
            let at = match storm {
                Some(storm) if rng.chance(70) => storm + rng.millis(0, 2_000),
                _ => any(rng),
            };
            acts.push((at, Act::Emit(index)));
        }
        acts.push((Duration::ZERO, Act::Start(0)));
        if rng.chance(45) {
            acts.push((any(rng), Act::Start(1)));
        }
        let calm = rng.chance(15);
        if !calm {
            self.trouble(&any, &mut acts, rng);
        }
        // A stable sort: what comes at once comes in the order in which it was chosen.
        acts.sort_by_key(|(at, _)| *at);
        self.acts = acts;
    }

    fn trouble(
        &self,
        any: &dyn Fn(&mut Rng) -> Duration,
        acts: &mut Vec<(Duration, Act)>,
        rng: &mut Rng,
    ) {
        for _ in 0..rng.between(0, 6) {
            let account = rng.index(self.accounts.len());
            let lane = rng.chance(50).then(|| rng.pick(&self.recipients));
            let (begin, mood) = (any(rng), rng.pick(&Mood::TROUBLE));
            let end = begin + rng.millis(1_000, 600_000);
            acts.push((begin, Act::Mood(account, lane.clone(), mood)));
            acts.push((end, Act::Mood(account, lane, Mood::Healthy)));
        }
        let crashes = rng.pick(&[0, 0, 1, 2, 5]);
        for _ in 0..crashes {
            let slot = rng.index(ENGINES);
            let at = any(rng);
            let act = if rng.chance(25) {
                Act::Kill(slot)
            } else {
                let calls = u32::try_from(rng.between(0, 12)).expect("small");
                Act::Arm(slot, rng.pick(&CrashAt::ALL), calls)
            };
            acts.push((at, act));
        }
        for _ in 0..rng.pick(&[0, 0, 0, 1, 2]) {
            let forth = i64::try_from(rng.between(2, 7_200)).expect("small");
            let back = i64::try_from(rng.between(1, 3_600)).expect("small");
            let jump = if rng.chance(50) { forth } else { -back };
            acts.push((any(rng), Act::Jump(jump * 1_000_000)));
        }
        for _ in 0..rng.pick(&[0, 0, 1, 3]) {
            let version = rng.index(self.versions.len());
            acts.push((any(rng), Act::Reload(rng.index(ENGINES), version)));
        }
        for _ in 0..rng.pick(&[0, 0, 0, 1]) {
            let grace = rng.millis(0, 3_000);
            acts.push((any(rng), Act::Shutdown(rng.index(ENGINES), grace)));
        }
        for _ in 0..rng.pick(&[0, 0, 0, 1, 2]) {
            acts.push((any(rng), Act::Outage(rng.millis(50, 20_000))));
        }
        for _ in 0..rng.pick(&[0, 0, 0, 2]) {
            let draw = rng.next();
            let act = if rng.chance(60) {
                Act::Replay(draw)
            } else {
                Act::Drop(draw)
            };
            acts.push((any(rng), act));
        }
        waits(acts, rng);
    }
}

/// Somebody waits for what was just told, and mostly loses patience before the engine does.
fn waits(acts: &mut Vec<(Duration, Act)>, rng: &mut Rng) {
    let told: Vec<Duration> = acts
        .iter()
        .filter(|(_, act)| matches!(act, Act::Emit(_)))
        .map(|(at, _)| *at)
        .collect();
    for _ in 0..rng.pick(&[0, 0, 1, 2, 4]) {
        let slot = rng.index(ENGINES);
        let longest = rng.pick(&[0, 50, 1_000, 20_000]);
        let patience = rng.millis(0, longest);
        let given_up = patience + rng.millis(1, 4_000);
        let at = rng.pick(&told) + rng.millis(1, 150);
        let act = if rng.chance(70) {
            Act::Settled(slot, rng.between(0, 2), patience, given_up)
        } else {
            Act::Drain(slot, patience, given_up)
        };
        acts.push((at, act));
    }
}

fn account(index: u64, collapse_after: Option<usize>, rng: &mut Rng) -> AccountPlan {
    let closes = match rng.between(0, 9) {
        0..=2 => Some("workflow"),
        3 => Some("execution"),
        _ => None,
    };
    let deadline = match rng.between(0, 3) {
        0 => rng.millis(20, 100),
        _ => rng.millis(500, 5_000),
    };
    let rate = rng.chance(30).then(|| {
        let burst = u32::try_from(rng.between(1, 3)).expect("small");
        Rate::new(rng.millis(200, 5_000), burst)
    });
    AccountPlan {
        id: format!("sim.a{index}").parse().expect("a good name"),
        closes,
        success: match rng.between(0, 3) {
            0 => Success::Ends,
            1 => Success::Apart,
            _ => Success::Closes,
        },
        reconciles: rng.chance(25),
        deadline,
        rate,
        one_lane: rng.chance(25),
        collapses: collapse_after,
    }
}

fn notification(accounts: &[AccountPlan], recipients: &[String], rng: &mut Rng) -> Value {
    let phases: Vec<&str> = TerminalPhase::ALL
        .into_iter()
        .filter(|_| rng.chance(60))
        .map(TerminalPhase::name)
        .collect();
    let phases = if phases.is_empty() {
        vec!["failed"]
    } else {
        phases
    };
    let to: Vec<&String> = recipients.iter().filter(|_| rng.chance(40)).collect();
    let to = if to.is_empty() {
        vec![&recipients[0]]
    } else {
        to
    };
    let account = &accounts[rng.index(accounts.len())];
    let name = account.id.name.to_string();
    let mut value = json!({"phases": phases, "sim": {"to": to, "account": name}});
    match rng.between(0, 9) {
        0 | 1 => value["when"] = json!("changed"),
        2 => value["when"] = json!("recovered"),
        3 => value["when"] = json!({"streak": rng.between(1, 4)}),
        _ => {}
    }
    if rng.chance(25) && account.closes.is_none() {
        value["if_unknown"] = json!("hold");
    }
    value
}

fn notifications(accounts: &[AccountPlan], recipients: &[String], rng: &mut Rng) -> Vec<Value> {
    (0..rng.between(1, 3))
        .map(|_| notification(accounts, recipients, rng))
        .collect()
}

fn version(
    accounts: &[AccountPlan],
    recipients: &[String],
    workflows: &[String],
    rng: &mut Rng,
) -> Version {
    Version {
        enabled: vec![true; accounts.len()],
        workflows: workflows
            .iter()
            .map(|name| (name.clone(), notifications(accounts, recipients, rng)))
            .collect(),
    }
}

fn changed(
    mut version: Version,
    accounts: &[AccountPlan],
    recipients: &[String],
    rng: &mut Rng,
) -> Version {
    for (_, declared) in &mut version.workflows {
        match rng.between(0, 3) {
            0 => declared.push(notification(accounts, recipients, rng)),
            1 => {
                declared.pop();
            }
            2 => *declared = notifications(accounts, recipients, rng),
            _ => {}
        }
    }
    for enabled in &mut version.enabled {
        *enabled ^= rng.chance(25);
    }
    version
}

fn emits(
    accounts: &[AccountPlan],
    recipients: &[String],
    workflows: &[String],
    rng: &mut Rng,
) -> Vec<Emit> {
    let mut emits: Vec<Emit> = Vec::new();
    for run in 0..rng.between(10, rng.clone().pick(&[20, 40, 80])) {
        if !emits.is_empty() && rng.chance(12) {
            // The same end again, or another end of the same attempt.
            let mut again = rng.pick(&emits);
            if rng.chance(50) {
                again.phase = rng.pick(&TerminalPhase::ALL);
            }
            emits.push(again);
            continue;
        }
        let workflow = if rng.chance(4) {
            "nobody-knows-it".to_owned()
        } else {
            rng.pick(workflows)
        };
        let phase = if rng.chance(45) {
            TerminalPhase::Succeeded
        } else {
            rng.pick(&TerminalPhase::ALL)
        };
        let ended = match rng.between(0, 9) {
            0 | 1 => None,
            2 => Some(-60_000_000),
            3..=5 => Some(i64::try_from(rng.between(0, 900_000_000)).expect("small")),
            _ => Some(0),
        };
        let own = rng
            .chance(12)
            .then(|| notifications(accounts, recipients, rng));
        emits.push(Emit {
            workflow,
            execution: format!("x{}", if rng.chance(80) { run } else { run / 2 }),
            attempt: u32::try_from(rng.between(1, 2)).expect("small"),
            phase,
            ended,
            own,
        });
    }
    emits
}

#[derive(Debug)]
struct NoSecrets;

impl SecretSource for NoSecrets {
    fn resolve(
        &self,
        reference: &SecretRef,
    ) -> Result<notify_core::secret::SecretString, SecretError> {
        let (reference, why) = (reference.clone(), "there are none".to_owned());
        Err(SecretError { reference, why })
    }
}

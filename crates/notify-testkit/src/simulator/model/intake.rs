//! What is accepted once, planned once, and planned from the right past.

use notify_core::{Action, IfUnknown, Past, TerminalPhase, Timestamp, WorkflowName};
use notify_outbox::{
    Accepted, EventId, EventState, NewDelivery, NewEvent, NewState, Plan, Recorded, Release,
    WorkflowKey, WorkflowPlan, settle,
};
use serde_json::Value;

use super::{Event, Key, Known, Model, State};
use crate::simulator::trace::Step;

/// How many ends a history remembers.
const REMEMBERED: usize = 64;

impl Model {
    /// Takes in what came of accepting an event.
    pub(crate) fn accepted(
        &mut self,
        event: &NewEvent,
        accepted: Accepted,
        now: Timestamp,
    ) -> Step {
        let key = Self::key_of(event);
        let (expected, fresh) = match self.keys.get_mut(&key) {
            None => (Accepted::Recorded(event.id), true),
            Some(key) if key.phase == event.phase => (Accepted::Duplicate(key.first), false),
            Some(key) => {
                // What conflicts is on record once, and stamped like any end.
                if key.conflicts.insert(event.phase) && event.ended_at.is_none() {
                    self.stamped = settle::stamp(self.stamped, now);
                }
                (Accepted::Conflict(key.first), false)
            }
        };
        if accepted != expected {
            self.violate(format!(
                "law 1: accepting gave {accepted:?}, not {expected:?}"
            ));
        }
        let known = self.events.get(&accepted.event());
        let mut ended_at = known.map_or(now, |event| event.ended_at);
        if fresh {
            ended_at = event.ended_at.unwrap_or_else(|| {
                self.stamped = settle::stamp(self.stamped, now);
                self.stamped
            });
            let first = Key {
                first: event.id,
                phase: event.phase,
                conflicts: std::collections::BTreeSet::default(),
            };
            self.keys.insert(key, first);
            let number = u32::try_from(self.events.len()).expect("few events");
            let workflow = WorkflowKey {
                project: event.execution.project().to_owned(),
                domain: event.execution.domain().to_owned(),
                workflow: event.workflow.clone(),
            };
            self.events.insert(
                event.id,
                Event {
                    number,
                    state: EventState::Accepted,
                    phase: event.phase,
                    ended_at,
                    workflow,
                    past: None,
                },
            );
        }
        let what = match accepted {
            Accepted::Recorded(_) => "recorded",
            Accepted::Duplicate(_) => "duplicate",
            Accepted::Conflict(_) => "conflict",
        };
        Step::Accepted {
            event: self.event_number(accepted.event()),
            phase: event.phase,
            what,
            back: now.since(ended_at),
        }
    }

    pub(crate) fn event_number(&self, id: EventId) -> u32 {
        self.events.get(&id).map_or(u32::MAX, |event| event.number)
    }

    /// Takes in that an event left planning.
    pub(crate) fn aside(&mut self, id: EventId, state: EventState) -> Step {
        if state == EventState::Malformed {
            self.violate("an event that reads was put aside as malformed");
        }
        if let Some(event) = self.events.get_mut(&id)
            && event.state == EventState::Accepted
        {
            event.state = state;
        }
        Step::Aside {
            event: self.event_number(id),
            state: state.name(),
        }
    }

    /// Looks at events anew that nobody could plan.
    pub(crate) fn revived(&mut self, workflows: Option<&[WorkflowName]>, count: u64) {
        let meant = |event: &Event| {
            let named = |names: &[WorkflowName]| names.contains(&event.workflow.workflow);
            event.state == EventState::Unmatched && workflows.is_none_or(named)
        };
        let mut revived = 0;
        for event in self.events.values_mut().filter(|event| meant(event)) {
            event.state = EventState::Accepted;
            revived += 1;
        }
        if revived != count {
            self.violate("other events were looked at anew than those that were meant");
        }
    }

    /// Takes in what was planned.
    pub(crate) fn recorded(
        &mut self,
        plans: &[WorkflowPlan],
        recorded: &[Recorded],
        now: Timestamp,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        if plans.len() != recorded.len() {
            self.violate("record did not answer for each workflow");
        }
        for (plan, _) in plans
            .iter()
            .zip(recorded)
            .filter(|(_, recorded)| **recorded == Recorded::Done)
        {
            for one in &plan.events {
                self.planned(&plan.workflow, one, now, &mut steps);
            }
        }
        steps
    }

    fn planned(
        &mut self,
        workflow: &WorkflowKey,
        plan: &Plan,
        now: Timestamp,
        steps: &mut Vec<Step>,
    ) {
        let Some(event) = self.events.get_mut(&plan.event) else {
            self.violate("an event was planned that was never accepted");
            return;
        };
        let (number, state) = (event.number, event.state);
        event.state = EventState::Planned;
        event.past = Some(plan.past);
        let (phase, ended_at, same) = (event.phase, event.ended_at, event.workflow == *workflow);
        if state != EventState::Accepted {
            self.violate(format!(
                "law 8: event {number} was planned while it was {state}"
            ));
        }
        if !same {
            self.violate(format!("event {number} was planned for another workflow"));
        }
        self.past(workflow, plan, phase, ended_at, number);
        steps.push(Step::Planned {
            event: number,
            deliveries: plan.deliveries.len(),
            streak: plan.past.streak,
        });
        for delivery in &plan.deliveries {
            if let Some(what) = condition(delivery, phase, &plan.past) {
                self.violate(format!("law 8: event {number}: {what}"));
            }
            self.add(delivery, plan.event, ended_at, now, steps);
        }
    }

    /// Reckons anew what a history says, in the order in which plans were stored.
    fn past(
        &mut self,
        workflow: &WorkflowKey,
        plan: &Plan,
        phase: TerminalPhase,
        ended_at: Timestamp,
        number: u32,
    ) {
        let ends = self.histories.entry(workflow.clone()).or_default();
        let order = (ended_at, plan.event.uuid());
        let known = ends.len() < REMEMBERED;
        let before: Vec<_> = ends.iter().filter(|(at, _)| *at < order).collect();
        let failing = before
            .iter()
            .rev()
            .take_while(|(_, phase)| !phase.is_success())
            .count();
        let first = before.get(before.len() - failing).map(|((at, _), _)| *at);
        let success = phase.is_success();
        let expected = Past {
            previous: before
                .last()
                .map_or(TerminalPhase::Succeeded, |(_, phase)| *phase),
            streak: if success {
                0
            } else {
                u32::try_from(failing + 1).expect("few events")
            },
            since: match (failing, success) {
                (0, true) => None,
                (0, false) => Some(ended_at),
                _ => first,
            },
        };
        let place = before.len();
        ends.insert(place, (order, phase));
        if known && plan.past != expected {
            self.violate(format!(
                "law 8: event {number} was planned on {:?}, not on {expected:?}",
                plan.past
            ));
        }
    }

    fn add(
        &mut self,
        delivery: &NewDelivery,
        event: EventId,
        ended_at: Timestamp,
        now: Timestamp,
        steps: &mut Vec<Step>,
    ) {
        if let Some(known) = self.deliveries.get(&delivery.id) {
            if known.event != event {
                self.violate("a delivery was planned for two events");
            }
            return;
        }
        let account = self.account_of(&delivery.account);
        let lane = self.lane(account, &delivery.lane, now);
        let number = u32::try_from(self.deliveries.len()).expect("few deliveries");
        let skipped = match &delivery.state {
            NewState::Pending => None,
            NewState::Skipped(why) | NewState::Superseded(why) => Some(why.clone()),
        };
        let known = Known {
            number,
            event,
            lane,
            action: delivery.action,
            conversation: delivery.conversation.clone(),
            alone: delivery.alone,
            order: (ended_at, event),
            if_unknown: delivery.if_unknown,
            // From nothing: a settled state, so that the lane's count is right.
            state: match delivery.state {
                NewState::Superseded(_) => State::Superseded,
                _ => State::Skipped,
            },
            tries: 0,
            attempts: 0,
            token: 0,
            unsure: false,
            created: now,
            not_before_min: now,
            not_before_max: now,
            uncertain: false,
            may_be_over: false,
            replays: 0,
            wire: delivery.id,
            summary: None,
            asked: None,
        };
        self.deliveries.insert(delivery.id, known);
        if skipped.is_none() {
            if self.accounts[account].paused || self.lanes[lane].paused {
                self.lanes[lane].may_be_held = true;
                self.change(delivery.id, State::Held(Release::Account));
            } else {
                self.due_at(delivery.id, now);
            }
        }
        steps.push(Step::New {
            delivery: number,
            event: self.event_number(event),
            lane: format!("{account}/{}", delivery.lane),
            action: delivery.action.name(),
            skipped,
        });
    }
}

/// Holds a new delivery against the spec that it was made of.
fn condition(delivery: &NewDelivery, phase: TerminalPhase, past: &Past) -> Option<String> {
    let body = &delivery.spec.body;
    let holds = match &body["when"] {
        Value::Null => Some(true),
        Value::String(word) if word == "changed" => Some(phase != past.previous),
        Value::String(word) if word == "recovered" => {
            Some(phase.is_success() && !past.previous.is_success())
        }
        Value::Object(map) => map
            .get("streak")
            .map(|wanted| wanted.as_u64() == Some(u64::from(past.streak))),
        _ => None,
    };
    let unmet = |why: &str| {
        ["not changed", "not a recovery", "streak is"]
            .iter()
            .any(|begin| why.starts_with(begin))
    };
    let hold = body["if_unknown"] == "hold";
    match (&delivery.state, holds) {
        // What is closed is closed whatever the condition says.
        _ if delivery.action == Action::Close => None,
        _ if hold != (delivery.if_unknown == IfUnknown::Hold) => {
            Some("`if_unknown` was not taken over".to_owned())
        }
        (NewState::Pending, Some(false)) => Some("its condition does not hold".to_owned()),
        (NewState::Skipped(why), Some(true)) if unmet(why) => Some(format!("{why}: it holds")),
        _ => None,
    }
}

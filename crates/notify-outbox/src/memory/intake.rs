//! Events in, one for each attempt of an execution.

use std::collections::BTreeMap;
use std::sync::Arc;

use notify_core::{Timestamp, WorkflowName};

use crate::memory::ledger::Ledger;
use crate::memory::rows::{Event, Seq};
use crate::outbox::OutboxError;
use crate::record::{
    Accepted, Aside, Conversation, EventState, NewEvent, PlanContext, StoredEvent, Waiting,
    WorkflowKey,
};
use crate::settle::stamp;

impl Ledger {
    pub(super) fn accept(
        &mut self,
        now: Timestamp,
        event: NewEvent,
    ) -> Result<Accepted, OutboxError> {
        let ends = self.ends.get(&event.execution);
        let Some(first) = ends.and_then(|ends| ends.first) else {
            let (id, execution) = (event.id, event.execution.clone());
            let seq = self.insert_event(now, event, EventState::Accepted, None)?;
            self.ends.entry(execution).or_default().first = Some(seq);
            return Ok(Accepted::Recorded(id));
        };
        let first = self.events.get(first)?;
        let (id, phase) = (first.stored.id, first.phase);
        if phase == event.phase {
            return Ok(Accepted::Duplicate(id));
        }
        // The same conflict told again is not a second one.
        if !self.is_told(&event)? {
            let reason = format!("the attempt ended `{phase}` before ({id})");
            let execution = event.execution.clone();
            let seq = self.insert_event(now, event, EventState::Conflict, Some(reason))?;
            self.ends.entry(execution).or_default().conflicts.push(seq);
        }
        Ok(Accepted::Conflict(id))
    }

    /// Tells whether the end is stored as a conflict.
    fn is_told(&self, event: &NewEvent) -> Result<bool, OutboxError> {
        let ends = self.ends.get(&event.execution);
        for conflict in ends.into_iter().flat_map(|ends| &ends.conflicts) {
            if self.events.get(*conflict)?.phase == event.phase {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn insert_event(
        &mut self,
        now: Timestamp,
        event: NewEvent,
        state: EventState,
        reason: Option<String>,
    ) -> Result<Seq, OutboxError> {
        if self.event_ids.contains_key(&event.id) {
            return Err(OutboxError::Storage {
                doing: "store an event",
                source: format!("there is another event {}", event.id).into(),
            });
        }
        let ended_at = event.ended_at.unwrap_or_else(|| {
            self.stamped = stamp(self.stamped, now);
            self.stamped
        });
        let stored = StoredEvent {
            id: event.id,
            workflow: WorkflowKey {
                project: event.execution.project().to_owned(),
                domain: event.execution.domain().to_owned(),
                workflow: event.workflow,
            },
            accepted_at: now,
            ended_at,
            body: event.body,
            past: None,
        };
        let seq = self.events.insert(Event {
            stored: Arc::new(stored),
            execution: event.execution,
            phase: event.phase,
            state,
            reason,
            deliveries: Vec::new(),
            unsettled: 0,
            settled: None,
        });
        self.event_ids.insert(event.id, seq);
        self.events_in.entry(state).or_default().insert(seq);
        self.review(seq)?;
        Ok(seq)
    }

    pub(super) fn waiting(&self, now: Timestamp, most: usize) -> Result<Waiting, OutboxError> {
        let accepted = self.events_in.get(&EventState::Accepted);
        let mut events = Vec::new();
        let mut contexts = BTreeMap::new();
        for seq in accepted.into_iter().flatten().take(most) {
            let stored = &self.events.get(*seq)?.stored;
            if !contexts.contains_key(&stored.workflow) {
                contexts.insert(stored.workflow.clone(), self.context(&stored.workflow)?);
            }
            let waited = now.since(stored.accepted_at);
            events.push((StoredEvent::clone(stored), waited));
        }
        Ok(Waiting { events, contexts })
    }

    fn context(&self, workflow: &WorkflowKey) -> Result<PlanContext, OutboxError> {
        let Some(known) = self.workflows.get(workflow) else {
            return Ok(PlanContext::default());
        };
        let conversations = known.conversations.iter().map(|seq| {
            let conversation = self.conversations.get(*seq)?;
            Ok(Conversation {
                account: self.accounts.get(conversation.account)?.id.clone(),
                key: conversation.key.clone(),
                lane: conversation.lane.clone(),
                recipient: conversation.recipient.clone(),
                opened: conversation.opened,
                spec: Arc::clone(&conversation.spec),
            })
        });
        Ok(PlanContext {
            history: known.history.clone(),
            conversations: conversations.collect::<Result<_, OutboxError>>()?,
        })
    }

    pub(super) fn set_aside(&mut self, aside: Aside) -> Result<(), OutboxError> {
        let Aside {
            event,
            state,
            reason,
        } = aside;
        let Some(&seq) = self.event_ids.get(&event) else {
            return Ok(());
        };
        let event = self.events.get(seq)?;
        if event.state != EventState::Accepted {
            return Ok(());
        }
        // What does not read is no end that another one could contradict.
        if state == EventState::Malformed
            && let Some(ends) = self.ends.get_mut(&event.execution)
        {
            ends.first = None;
        }
        self.move_event(seq, state, Some(reason))
    }

    /// Looks at events anew that nobody could plan, and gives how many.
    pub(super) fn revive(
        &mut self,
        workflows: Option<&[WorkflowName]>,
    ) -> Result<u64, OutboxError> {
        let unmatched = self.events_in.get(&EventState::Unmatched);
        let mut revived = 0;
        for seq in unmatched.cloned().unwrap_or_default() {
            let workflow = &self.events.get(seq)?.stored.workflow.workflow;
            if workflows.is_none_or(|names| names.contains(workflow)) {
                self.move_event(seq, EventState::Accepted, None)?;
                revived += 1;
            }
        }
        Ok(revived)
    }
}

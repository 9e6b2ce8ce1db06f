//! Order and supersession within a conversation.

use std::collections::BTreeSet;
use std::sync::Arc;

use notify_core::{Action, Receipt};

use crate::memory::ledger::Ledger;
use crate::memory::rows::{Conversation, Order, Seq};
use crate::outbox::OutboxError;
use crate::record::{ConversationState, DeliveryState, NewDelivery, WorkflowKey};

/// What a new delivery meets in its conversation.
pub(super) struct Joined {
    /// The conversation.
    pub(super) seq: Seq,
    /// Whether a later end closed the conversation before the delivery that opens it came.
    pub(super) late: bool,
}

/// One unsettled delivery of a conversation.
#[derive(Clone, Copy)]
struct Member {
    seq: Seq,
    order: Order,
    action: Action,
    leased: bool,
    unsure: bool,
    blocked: bool,
    alone: bool,
}

impl Member {
    /// Tells whether the delivery may have arrived.
    const fn may_have_arrived(&self) -> bool {
        self.leased || self.unsure
    }
}

impl Ledger {
    /// Puts a new delivery into its conversation, which it makes where there is none.
    pub(super) fn join(
        &mut self,
        workflow: &WorkflowKey,
        account: Seq,
        delivery: &NewDelivery,
        key: &str,
        order: Order,
    ) -> Result<Joined, OutboxError> {
        let known = self.accounts.get(account)?.conversations.get(key).copied();
        let Some(seq) = known else {
            let seq = self.begin(workflow, account, delivery, key, order)?;
            return Ok(Joined { seq, late: false });
        };
        let conversation = self.conversations.get_mut(seq)?;
        let opens = delivery.action == Action::Open;
        let late = conversation.closed.is_some_and(|closed| order < closed);
        if opens && !late {
            conversation.opened = conversation.opened.max(order);
            if conversation.state == ConversationState::Closed {
                conversation.lane.clone_from(&delivery.lane);
                conversation.recipient = delivery.recipient.clone();
                conversation.spec = Arc::clone(&delivery.spec);
                conversation.receipt = None;
                self.move_conversation(seq, ConversationState::Planned)?;
            }
        } else if !opens && !late {
            conversation.closed = Some(order);
        }
        Ok(Joined {
            seq,
            late: opens && late,
        })
    }

    fn begin(
        &mut self,
        workflow: &WorkflowKey,
        account: Seq,
        delivery: &NewDelivery,
        key: &str,
        order: Order,
    ) -> Result<Seq, OutboxError> {
        let seq = self.conversations.insert(Conversation {
            account,
            key: key.to_owned(),
            workflow: workflow.clone(),
            state: ConversationState::Planned,
            lane: delivery.lane.clone(),
            recipient: delivery.recipient.clone(),
            spec: Arc::clone(&delivery.spec),
            opened: order,
            closed: None,
            receipt: None,
            members: BTreeSet::new(),
        });
        let of_account = &mut self.accounts.get_mut(account)?.conversations;
        of_account.insert(key.to_owned(), seq);
        self.move_conversation(seq, ConversationState::Planned)?;
        Ok(seq)
    }

    fn move_conversation(&mut self, seq: Seq, state: ConversationState) -> Result<(), OutboxError> {
        let conversation = self.conversations.get_mut(seq)?;
        conversation.state = state;
        if state == ConversationState::Closed {
            if let Some(workflow) = self.workflows.get_mut(&conversation.workflow) {
                workflow.conversations.remove(&seq);
            }
        } else {
            let workflow = conversation.workflow.clone();
            let workflow = self.workflows.entry(workflow).or_default();
            workflow.conversations.insert(seq);
        }
        Ok(())
    }

    /// Notes that a delivery of the conversation arrived.
    pub(super) fn arrived(
        &mut self,
        conversation: Seq,
        action: Action,
        order: Order,
        receipt: &Receipt,
    ) -> Result<(), OutboxError> {
        let row = self.conversations.get_mut(conversation)?;
        let state = match action {
            // A later opening that waits behind this close will open the conversation anew.
            Action::Close if row.opened > order => ConversationState::Planned,
            Action::Close => ConversationState::Closed,
            _ => ConversationState::Open,
        };
        row.receipt = (state == ConversationState::Open).then(|| receipt.clone());
        self.move_conversation(conversation, state)
    }

    /// Notes that a delivery of unknown outcome may have opened the conversation.
    ///
    /// Whatever becomes of it: what may be open at the vendor has to be closed there.
    pub(super) fn may_be_open(&mut self, seq: Seq) -> Result<(), OutboxError> {
        let row = self.deliveries.get(seq)?;
        match row.conversation {
            Some(conversation) if row.action == Action::Open => {
                self.move_conversation(conversation, ConversationState::Open)
            }
            _ => Ok(()),
        }
    }

    /// Lets the earliest unsettled delivery of a conversation go, and only that one.
    ///
    /// A close supersedes earlier deliveries that did not arrive; one that may have arrived is
    /// waited for. A close with nothing to close is skipped, or goes by
    /// itself where that was planned.
    pub(super) fn advance(&mut self, conversation: Seq) -> Result<(), OutboxError> {
        let members = self.supersede(self.members(conversation)?)?;
        let mut head_found = members.iter().any(|member| member.leased);
        for member in members.into_iter().filter(|member| !member.leased) {
            let closes = member.action == Action::Close;
            if !head_found && closes && !self.is_open(conversation)? {
                if member.alone {
                    self.let_go(member.seq)?;
                } else {
                    self.end(member.seq, DeliveryState::Skipped, "nothing open")?;
                }
                self.end_unopened(conversation, member.order)?;
                continue;
            }
            let blocked = head_found;
            head_found = true;
            if blocked != member.blocked {
                self.change(member.seq, |row| row.blocked = blocked)?;
            }
        }
        Ok(())
    }

    /// Lets a close go by itself, as a message that belongs to no conversation.
    fn let_go(&mut self, seq: Seq) -> Result<(), OutboxError> {
        self.change(seq, |row| {
            row.action = Action::Send;
            row.conversation = None;
            row.blocked = false;
        })
    }

    fn members(&self, conversation: Seq) -> Result<Vec<Member>, OutboxError> {
        let members = &self.conversations.get(conversation)?.members;
        members
            .iter()
            .map(|&(order, seq)| {
                let row = self.deliveries.get(seq)?;
                Ok(Member {
                    seq,
                    order,
                    action: row.action,
                    leased: row.state == DeliveryState::Leased,
                    unsure: row.unsure,
                    blocked: row.blocked,
                    alone: row.alone,
                })
            })
            .collect()
    }

    /// Ends what the last close makes pointless, and gives what is left.
    fn supersede(&mut self, members: Vec<Member>) -> Result<Vec<Member>, OutboxError> {
        let closes = |member: &Member| member.action == Action::Close;
        let close = members.iter().rposition(closes).unwrap_or(0);
        let mut left = Vec::with_capacity(members.len());
        for (place, member) in members.into_iter().enumerate() {
            if place >= close || member.may_have_arrived() {
                left.push(member);
            } else {
                let why = "the workflow succeeded before it was sent";
                self.end(member.seq, DeliveryState::Superseded, why)?;
            }
        }
        Ok(left)
    }

    fn is_open(&self, conversation: Seq) -> Result<bool, OutboxError> {
        let state = self.conversations.get(conversation)?.state;
        Ok(state == ConversationState::Open)
    }

    /// A conversation whose close found nothing open is over, unless a later opening waits.
    fn end_unopened(&mut self, conversation: Seq, close: Order) -> Result<(), OutboxError> {
        let known = self.conversations.get(conversation)?;
        if known.state == ConversationState::Planned && known.opened <= close {
            self.move_conversation(conversation, ConversationState::Closed)?;
        }
        Ok(())
    }
}

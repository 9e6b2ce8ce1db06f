#![doc = include_str!("../README.md")]

pub mod history;
pub mod outbox;
pub mod record;
pub mod settle;

pub use crate::history::{End, History};
pub use crate::outbox::{Claim, Outbox, OutboxError, Serve};
pub use crate::record::{
    Accepted, Conversation, ConversationState, DeliveryRecord, DeliveryState, EventId, EventState,
    Leased, NewDelivery, NewEvent, NewState, Plan, PlanContext, Recorded, Settled, Spec,
    SpecDigest, Status, StoredEvent, WorkflowKey,
};
pub use crate::settle::{Decision, Next, Policy, Settlement, Wait};

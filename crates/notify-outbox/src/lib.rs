#![doc = include_str!("../README.md")]

pub mod history;
mod memory;
pub mod outbox;
pub mod record;
pub mod settle;

pub use crate::history::{End, History};
pub use crate::memory::MemoryOutbox;
pub use crate::outbox::{Claim, Outbox, OutboxError, Serve};
pub use crate::record::{
    Accepted, Aside, Conversation, ConversationState, DeliveryQuery, DeliveryRecord, DeliveryState,
    EventId, EventQuery, EventRecord, EventState, Leased, NewDelivery, NewEvent, NewState, Plan,
    PlanContext, Recorded, Settled, Spec, SpecDigest, Status, StoredEvent, Summary, Waiting,
    WorkflowKey, WorkflowPlan,
};
pub use crate::settle::{Decision, Next, Pause, Policy, Release, Settlement, Wait};

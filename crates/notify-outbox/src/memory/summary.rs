//! Summaries: what goes as one where there is a storm.
//!
//! **Invariant.** A group lives from when it is formed until its leader is settled, or it is
//! dissolved; in between every member names the leader, and all but the leader are blocked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use notify_core::{Recipient, Timestamp};

use crate::memory::ledger::Ledger;
use crate::memory::rows::{Group, Seq};
use crate::outbox::OutboxError;
use crate::record::{DeliveryState, Summary};

impl Ledger {
    /// Makes a group of what is due in a lane for each recipient for whom there is a storm: more
    /// than `above` among the first five times as many. A large storm makes several.
    pub(super) fn collapse(
        &mut self,
        now: Timestamp,
        max_age: Duration,
        lane: Seq,
        above: usize,
    ) -> Result<(), OutboxError> {
        loop {
            let stormy = self.stormy(now, max_age, lane, above)?;
            if stormy.is_empty() {
                return Ok(());
            }
            let mut groups: HashMap<Recipient, Vec<Seq>> = HashMap::new();
            for seq in self.singles(now, max_age, lane)? {
                let recipient = &self.deliveries.get(seq)?.recipient;
                if stormy.contains(recipient) {
                    groups.entry(recipient.clone()).or_default().push(seq);
                }
            }
            for members in groups.into_values() {
                for members in members.chunks(Summary::MOST) {
                    if members.len() > above {
                        self.group(members.to_vec())?;
                    }
                }
            }
        }
    }

    /// Finds the recipients for whom there is a storm.
    fn stormy(
        &self,
        now: Timestamp,
        max_age: Duration,
        lane: Seq,
        above: usize,
    ) -> Result<HashSet<Recipient>, OutboxError> {
        let mut counts: HashMap<&Recipient, usize> = HashMap::new();
        // Most lanes are nowhere near a storm: fewer wait than make one.
        if self.lanes.get(lane)?.single.len() <= above {
            return Ok(HashSet::new());
        }
        let window = above.saturating_mul(5);
        for seq in self.singles(now, max_age, lane)?.take(window) {
            *counts
                .entry(&self.deliveries.get(seq)?.recipient)
                .or_default() += 1;
        }
        let stormy = counts.into_iter().filter(|(_, count)| *count > above);
        Ok(stormy.map(|(recipient, _)| recipient.clone()).collect())
    }

    /// Goes through what is due in a lane and may go into a summary, the first one first.
    fn singles(
        &self,
        now: Timestamp,
        max_age: Duration,
        lane: Seq,
    ) -> Result<impl Iterator<Item = Seq>, OutboxError> {
        let single = self.lanes.get(lane)?.single.range(..=(now, Seq::MAX));
        let young = move |seq: &Seq| {
            let row = self.deliveries.get(*seq);
            row.is_ok_and(|row| now.since(row.created_at) < max_age)
        };
        Ok(single.map(|(_, seq)| *seq).filter(young))
    }

    /// Makes a group, whose first member leads it.
    fn group(&mut self, members: Vec<Seq>) -> Result<(), OutboxError> {
        let Some(&leader) = members.first() else {
            return Ok(());
        };
        let summary = self.summarize(&members)?;
        for member in &members {
            self.change(*member, |row| {
                row.summary = Some(leader);
                row.blocked = row.blocked || *member != leader;
            })?;
        }
        self.groups.insert(leader, Group { members, summary });
        Ok(())
    }

    fn summarize(&self, members: &[Seq]) -> Result<Summary, OutboxError> {
        let mut phases = BTreeMap::new();
        let mut ends = Vec::with_capacity(members.len());
        for member in members {
            let row = self.deliveries.get(*member)?;
            *phases.entry(self.events.get(row.event)?.phase).or_default() += 1;
            ends.push((row.order, *member, row.event));
        }
        ends.sort_unstable();
        let ended_at = |((at, _), ..): &((Timestamp, _), Seq, Seq)| *at;
        let epoch = Timestamp::from_micros(0);
        let first = ends.iter().take(Summary::NAMED).map(|(_, _, event)| {
            let event = self.events.get(*event)?;
            Ok((event.stored.workflow.workflow.clone(), event.phase))
        });
        Ok(Summary {
            deliveries: u64::try_from(members.len()).unwrap_or(u64::MAX),
            phases,
            first: first.collect::<Result<_, OutboxError>>()?,
            between: (
                ends.first().map_or(epoch, ended_at),
                ends.last().map_or(epoch, ended_at),
            ),
        })
    }

    /// Lists the deliveries that a delivery stands for, itself among them.
    pub(super) fn all_of(&self, seq: Seq) -> Result<Vec<Seq>, OutboxError> {
        let leader = self.deliveries.get(seq)?.summary;
        let group = self.groups.get(&seq).filter(|_| leader == Some(seq));
        Ok(group.map_or_else(|| vec![seq], |group| group.members.clone()))
    }

    /// Lets every delivery of a group go by itself again.
    pub(super) fn dissolve(&mut self, member: Seq) -> Result<(), OutboxError> {
        let leader = self.deliveries.get(member)?.summary;
        let Some(group) = leader.and_then(|leader| self.groups.remove(&leader)) else {
            return Ok(());
        };
        for member in group.members {
            self.change(member, |row| {
                row.summary = None;
                row.blocked = false;
            })?;
        }
        Ok(())
    }

    /// Settles the members of a group like its leader, after which there is no group any more.
    pub(super) fn settle_group(&mut self, now: Timestamp, leader: Seq) -> Result<(), OutboxError> {
        let Some(group) = self.groups.remove(&leader) else {
            return Ok(());
        };
        let row = self.deliveries.get(leader)?;
        let (state, receipt) = (row.state, row.receipt.clone());
        let reason = match state {
            DeliveryState::Delivered => {
                let count = group.members.len();
                Some(format!("told in a summary of {count} ({})", row.id))
            }
            _ => row.reason.clone(),
        };
        for member in group.members {
            self.change(member, |row| {
                row.summary = None;
                row.blocked = false;
                if member != leader {
                    row.state = state;
                    row.reason.clone_from(&reason);
                    row.release = None;
                    row.receipt.clone_from(&receipt);
                    row.not_before = now;
                }
            })?;
        }
        Ok(())
    }
}

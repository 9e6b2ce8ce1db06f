//! Channels, people and time stamps of the workspace.
//!
//! Nothing has to be made before it is used: a name has the same id in every run.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::accounts::stable_hash;
use crate::slack::arguments::Refusal;
use crate::store::{cut_chars, unix_micros};

pub(super) const TEAM: &str = "T0SANDBOX";
pub(super) const BOT: &str = "B0SANDBOX";
pub(super) const BOT_USER: &str = "U0SANDBOX";
pub(super) const APP: &str = "A0SANDBOX";
/// A webhook posts as a bot of its own.
pub(super) const WEBHOOK_BOT: &str = "B0WEBHOOK";
/// The one user group.
const USER_GROUP: &str = "S0SANDBOX";

/// Names remembered for ids; a program that makes up more of them sees bare ids.
const MAX_NAMES: usize = 10_000;

/// A channel of such a name, with `-` for `_`, answers with the code.
const REFUSING_CHANNELS: [&str; 8] = [
    "channel_not_found",
    "is_archived",
    "not_in_channel",
    "restricted_action",
    "restricted_action_non_threadable_channel",
    "restricted_action_read_only_channel",
    "restricted_action_thread_locked",
    "restricted_action_thread_only_channel",
];

/// A person whose address begins so, with `-` for `_`, cannot be written to.
const REFUSED_PEOPLE: [&str; 3] = ["user_disabled", "user_not_found", "user_not_visible"];

/// Who and what is in the workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// What people call a channel or user, by id.
    names: BTreeMap<String, String>,
    /// Microseconds of the latest message; time stamps are message ids and never repeat.
    last_ts: u64,
}

/// What somebody wants of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Post,
    Reply,
    Read,
}

/// A channel that may be used.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: String,
    /// What people call it.
    pub(super) name: String,
}

impl Default for Workspace {
    fn default() -> Self {
        let names = [(BOT_USER, "workflows"), (USER_GROUP, "on-call")];
        Self {
            known: Mutex::new(Known {
                names: names
                    .map(|(id, name)| (id.to_owned(), name.to_owned()))
                    .into(),
                last_ts: 0,
            }),
        }
    }
}

impl Workspace {
    /// The channel of this name or id, unless its name says that it refuses.
    pub(super) fn channel(&self, channel: &str, purpose: Purpose) -> Result<Channel, Refusal> {
        let channel = self
            .find(channel, purpose)
            .ok_or_else(|| Refusal::new("channel_not_found"))?;
        match refusal(&channel.name, purpose) {
            Some(code) => Err(Refusal::new(code)),
            None => Ok(channel),
        }
    }

    fn find(&self, channel: &str, purpose: Purpose) -> Option<Channel> {
        if let Some(name) = channel.strip_prefix('#') {
            // 80 is the vendor's limit for a channel name. Reading takes ids only.
            if purpose == Purpose::Read
                || name.is_empty()
                || name.chars().count() > 80
                || name.contains(char::is_whitespace)
            {
                return None;
            }
            let id = channel_id(name);
            self.call(&id, channel);
            return Some(Channel {
                id,
                name: channel.to_owned(),
            });
        }
        let id = if is_id(channel, "UW") && purpose != Purpose::Read {
            self.direct_message(&[channel])
        } else if is_id(channel, "CGD") {
            channel.to_owned()
        } else {
            return None;
        };
        let name = self.name(&id).unwrap_or_else(|| id.clone());
        Some(Channel { id, name })
    }

    /// The conversation with one person or some.
    pub(super) fn direct_message(&self, users: &[&str]) -> String {
        let id = stable_id(if users.len() == 1 { 'D' } else { 'G' }, &users.join(","));
        let name = |user: &&str| self.name(user).unwrap_or_else(|| (*user).to_owned());
        let names = users.iter().map(name).collect::<Vec<_>>().join(", ");
        self.call(&id, &names);
        id
    }

    /// The person with this mail address.
    pub(super) fn person(&self, address: &str) -> String {
        let id = stable_id('U', &address.to_lowercase());
        self.call(&id, address);
        id
    }

    /// The code that a person is refused with, if there is one.
    pub(super) fn refused_person(&self, user: &str) -> Option<&'static str> {
        let name = self.name(user)?;
        marked(name.split('@').next()?, &REFUSED_PEOPLE)
    }

    /// What people call a channel or user.
    fn name(&self, id: &str) -> Option<String> {
        self.known().names.get(id).cloned()
    }

    /// The words of a mention, without its sign; the id where nobody is known by it.
    pub(crate) fn mentioned(&self, id: &str) -> String {
        let name = self.name(id).unwrap_or_else(|| id.to_owned());
        let name = name.strip_prefix('#').unwrap_or(&name);
        name.split('@').next().unwrap_or(name).to_owned()
    }

    fn call(&self, id: &str, name: &str) {
        let mut known = self.known();
        if known.names.len() < MAX_NAMES {
            known.names.insert(id.to_owned(), cut_chars(name, 100));
        }
    }

    /// The time stamp of the next message.
    pub(super) fn next_ts(&self) -> String {
        let mut known = self.known();
        known.last_ts = unix_micros().max(known.last_ts + 1);
        format!(
            "{}.{:06}",
            known.last_ts / 1_000_000,
            known.last_ts % 1_000_000
        )
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of the channel with this name, which has no `#`.
pub(super) fn channel_id(name: &str) -> String {
    stable_id('C', name)
}

fn refusal(name: &str, purpose: Purpose) -> Option<&'static str> {
    let code = marked(name.strip_prefix('#')?, &REFUSING_CHANNELS)?;
    let applies = match code {
        "channel_not_found" | "not_in_channel" => true,
        "restricted_action_non_threadable_channel" | "restricted_action_thread_locked" => {
            purpose == Purpose::Reply
        }
        "restricted_action_thread_only_channel" => purpose == Purpose::Post,
        _ => purpose != Purpose::Read,
    };
    applies.then_some(code)
}

/// The code that a name stands for.
pub(super) fn marked(name: &str, codes: &[&'static str]) -> Option<&'static str> {
    let name = name.replace('-', "_");
    codes.iter().find(|code| **code == name).copied()
}

pub(super) fn is_id(text: &str, prefixes: &str) -> bool {
    text.starts_with(|first| prefixes.contains(first))
        && (3..=32).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// The same id for the same name, in every run.
fn stable_id(prefix: char, name: &str) -> String {
    const DIGITS: [char; 36] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H',
        'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z',
    ];
    let mut rest = stable_hash(name);
    let mut id = String::from(prefix);
    for _ in 0..10 {
        let digit = usize::try_from(rest % 36).unwrap_or_default();
        id.extend(DIGITS.get(digit));
        rest /= 36;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_distinct() {
        assert_eq!(stable_id('C', "data-alerts"), stable_id('C', "data-alerts"));
        assert_ne!(stable_id('C', "data-alerts"), stable_id('C', "data-alert"));
        assert!(is_id(&stable_id('U', "jane@example.com"), "U"));
    }

    #[test]
    fn an_ordinary_word_is_no_id() {
        for text in ["general", "CHANNEL-1", "C", "", "X0123456"] {
            assert!(!is_id(text, "CGDUW"), "{text}");
        }
    }

    #[test]
    fn a_channel_refuses_what_its_name_says() {
        for (name, refused) in [
            ("#is-archived", [true, true, false]),
            ("#not-in-channel", [true, true, true]),
            ("#restricted-action-thread-locked", [false, true, false]),
            (
                "#restricted-action-thread-only-channel",
                [true, false, false],
            ),
            ("#data-alerts", [false, false, false]),
            ("is-archived", [false, false, false]),
        ] {
            let answers = [Purpose::Post, Purpose::Reply, Purpose::Read]
                .map(|purpose| refusal(name, purpose).is_some());
            assert_eq!(answers, refused, "{name}");
        }
    }

    #[test]
    fn a_mention_is_drawn_by_name() {
        let workspace = Workspace::default();
        let jane = workspace.person("Jane@example.com");
        assert_eq!(workspace.mentioned(&jane), "Jane");
        assert_eq!(workspace.mentioned("U404"), "U404");
        assert_eq!(workspace.mentioned(USER_GROUP), "on-call");
    }
}

//! Where a person can look at a message.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use notify_core::{Receipt, Timestamp};
use notify_http::web_url;

use crate::conversation::{CHANNEL, THREAD};

/// How long a workspace that did not tell its address is left alone.
const NOT_AGAIN_FOR: Duration = Duration::from_mins(15);

/// The workspace's own address, which is asked for once.
#[derive(Debug, Default)]
pub(crate) struct Home(Mutex<State>);

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Unasked,
    Silent {
        until: Timestamp,
    },
    Known(Box<str>),
}

impl Home {
    /// Tells whether it is time to ask.
    pub(crate) fn is_wanted(&self, now: Timestamp) -> bool {
        match self.state() {
            State::Unasked => true,
            State::Silent { until } => until <= now,
            State::Known(_) => false,
        }
    }

    /// Remembers what the workspace said of itself.
    pub(crate) fn learn(&self, url: Option<&str>, now: Timestamp) {
        let url = url.and_then(web_url).filter(|url| url.len() <= 255);
        let state = match url {
            Some(url) => State::Known(format!("{}/", url.trim_end_matches('/')).into()),
            None => State::Silent {
                until: now.after(NOT_AGAIN_FOR),
            },
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Gives the address of a message by its receipt, as `chat.getPermalink` does.
    pub(crate) fn permalink(&self, receipt: &Receipt) -> Option<String> {
        let State::Known(home) = self.state() else {
            return None;
        };
        let channel = receipt.facts.get(CHANNEL)?;
        let (seconds, count) = receipt.id.split_once('.')?;
        let message = format!("{home}archives/{channel}/p{seconds}{count}");
        Some(match receipt.facts.get(THREAD) {
            Some(root) => format!("{message}?thread_ts={root}&cid={channel}"),
            None => message,
        })
    }

    fn state(&self) -> State {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    /// The examples of <https://docs.slack.dev/reference/methods/chat.getPermalink>.
    #[test]
    fn a_permalink_is_that_of_slack() {
        let home = Home::default();
        let message = Receipt::new("135854651.500008").fact(CHANNEL, "C1H9RESGA");
        assert_eq!(home.permalink(&message), None);
        home.learn(Some("https://ghostbusters.slack.com/"), at(0));
        let expected = "https://ghostbusters.slack.com/archives/C1H9RESGA/p135854651500008";
        assert_eq!(home.permalink(&message).as_deref(), Some(expected));
        let reply = Receipt::new("135854651.700023")
            .fact(CHANNEL, "C1H9RESGA")
            .fact(THREAD, "135854651.500008");
        let expected = "https://ghostbusters.slack.com/archives/C1H9RESGA/p135854651700023\
                        ?thread_ts=135854651.500008&cid=C1H9RESGA";
        assert_eq!(home.permalink(&reply).as_deref(), Some(expected));
        assert_eq!(
            home.permalink(&Receipt::new("ntf_7").fact(CHANNEL, "C1")),
            None
        );
    }

    #[test]
    fn a_workspace_is_asked_once_and_later_again_where_it_said_nothing() {
        let home = Home::default();
        assert!(home.is_wanted(at(0)));
        for silence in [None, Some("javascript:alert(1)")] {
            home.learn(silence, at(0));
            assert!(!home.is_wanted(at(899)) && home.is_wanted(at(900)));
        }
        home.learn(Some("https://ghostbusters.slack.com"), at(900));
        assert!(!home.is_wanted(at(1_000_000)));
    }
}

//! Under which name and with which icon messages are shown. Pure.

use notify_core::slack::{Emoji, IconUrl, SlackOptions, Username};
use serde_json::{Map, Value};

/// A name and an icon; where there are both an emoji and a picture, Slack shows the emoji.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    pub(crate) username: Option<Username>,
    pub(crate) icon_emoji: Option<Emoji>,
    pub(crate) icon_url: Option<IconUrl>,
}

impl Look {
    /// Tells whether there is nothing to say.
    pub(crate) fn is_plain(&self) -> bool {
        self.username.is_none() && self.icon_emoji.is_none() && self.icon_url.is_none()
    }

    /// Gives the look of one notification, which goes before the account's.
    pub(crate) fn of(&self, options: &SlackOptions) -> Self {
        let own_icon = options.icon_emoji.is_some() || options.icon_url.is_some();
        let (icon_emoji, icon_url) = if own_icon {
            (&options.icon_emoji, &options.icon_url)
        } else {
            (&self.icon_emoji, &self.icon_url)
        };
        Self {
            username: options.username.clone().or_else(|| self.username.clone()),
            icon_emoji: icon_emoji.clone(),
            icon_url: icon_url.clone(),
        }
    }

    /// Adds the look to the arguments of `chat.postMessage`.
    pub(crate) fn say(&self, arguments: &mut Map<String, Value>) {
        let said = [
            ("username", self.username.as_ref().map(Username::as_str)),
            ("icon_emoji", self.icon_emoji.as_ref().map(Emoji::as_str)),
            ("icon_url", self.icon_url.as_ref().map(IconUrl::as_str)),
        ];
        for (key, value) in said {
            if let Some(value) = value {
                arguments.insert(key.to_owned(), value.into());
            }
        }
    }
}

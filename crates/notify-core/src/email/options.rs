//! What an e-mail notification can say beside phases and recipients.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::email::{EmailAddress, FlyteMail, MailHeaders};
use crate::notification::{NotificationOptions, Recipient};

/// What an e-mail notification can say beside phases and recipients.
///
/// ```
/// use notify_core::{email, phases, Email, Notification, NotificationKind};
///
/// let team: Notification = Email::on(phases![Failed])
///     .to(email!("jane@example.com"))
///     .and(email!("john@example.com"))?
///     .options(|mail| {
///         mail.together = true;
///         mail.cc.push(email!("team-leads@example.com"));
///     })
///     .into();
/// assert_eq!(team.everybody().len(), 3);
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EmailOptions {
    /// Whether all recipients get one mail that names them all, instead of one each.
    #[serde(default, skip_serializing_if = "is_false")]
    pub together: bool,
    /// Who gets a copy, and is named in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cc: Vec<EmailAddress>,
    /// Who gets a copy, and is named nowhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bcc: Vec<EmailAddress>,
    /// Further headers by name; they go before those of the account.
    #[serde(default, skip_serializing_if = "MailHeaders::is_empty")]
    pub headers: MailHeaders,
    /// Subject and body in the words of Flyte's templates, instead of a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flyte: Option<FlyteMail>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl NotificationOptions for EmailOptions {
    fn copies(&self) -> Vec<(&'static str, Recipient)> {
        let copies = |key, list: &[EmailAddress]| -> Vec<_> {
            list.iter().map(|to| (key, Recipient::of(to))).collect()
        };
        [copies("cc", &self.cc), copies("bcc", &self.bcc)].concat()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_is_not_stored_and_what_is_said_reads_back() {
        assert_eq!(
            serde_json::to_value(EmailOptions::default()).unwrap(),
            json!({})
        );
        let stored = json!({
            "together": true,
            "cc": ["jane@example.com"],
            "bcc": ["audit@example.com"],
            "headers": {"X-Team": "data"},
            "flyte": {"subject": "{{ name }}", "body": "<p>{{error}}</p>"},
        });
        let options: EmailOptions = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(&options).unwrap(), stored);
        let copies = NotificationOptions::copies(&options);
        let keys: Vec<&str> = copies.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["cc", "bcc"]);
    }
}

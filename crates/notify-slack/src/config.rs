//! The section `[accounts.slack.NAME]`.

use std::time::Duration;

use notify_core::slack::{Emoji, IconUrl, Username};
use notify_core::time::{Span, Timeout};
use notify_core::{AccountId, Code, Path, Problem, Problems, SecretRef, SlackRecipient};
use notify_http::{BaseUrl, ProxyConfig, TlsConfig};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::account::{SlackAccount, Way};
use crate::look::Look;

/// The Web API of slack.com; GovSlack has another.
const BASE_URL: &str = "https://slack.com/api/";

/// An account as it stands in the file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "SlackAccount",
    extend(
        "oneOf" = [
            {"required": ["token"]},
            {
                "required": ["webhook_url"],
                "not": {"anyOf": [
                    {"required": ["base_url"]},
                    {"required": ["username"]},
                    {"required": ["icon_emoji"]},
                    {"required": ["icon_url"]},
                ]},
                "properties": {
                    "channel": {"anyOf": [{"type": "null"}, {"pattern": "^ *#"}]},
                    "reconcile": {"const": false},
                },
            },
        ],
        "not" = {"required": ["icon_emoji", "icon_url"]},
    )
)]
#[non_exhaustive]
pub struct Config {
    /// The bot token.
    pub token: Option<SecretRef>,
    /// The URL of an incoming webhook, instead of a token.
    pub webhook_url: Option<SecretRef>,
    /// Who is told where a notification names nobody.
    pub channel: Option<SlackRecipient>,
    /// The name that messages are shown under, instead of the app's.
    pub username: Option<Username>,
    /// The emoji beside messages, instead of the app's icon.
    pub icon_emoji: Option<Emoji>,
    /// The address of the picture beside messages, instead of the app's icon.
    pub icon_url: Option<IconUrl>,
    /// Whether Slack is searched for a message of which nobody knows whether it arrived.
    #[serde(default)]
    pub reconcile: bool,
    /// Where the Web API is.
    pub base_url: Option<BaseUrl>,
    /// The proxy that requests go through.
    pub proxy: Option<ProxyConfig>,
    /// The certificates of connections.
    pub tls: Option<TlsConfig>,
    /// The longest that one request may take.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

const fn default_timeout() -> Span {
    Span(Duration::from_secs(10))
}

impl Config {
    pub(crate) fn validate(self, id: AccountId) -> Result<SlackAccount, Problems> {
        let mut problems = Problems::none();
        let root = Path::root();
        if let Err(why) = Timeout::checked(self.timeout) {
            let place = root.then("timeout");
            problems.push(Problem::malformed(Code::WRONG_VALUE, place, why));
        }
        if self.icon_emoji.is_some() && self.icon_url.is_some() {
            problems.push(two_icons(root.then("icon_url")));
        }
        if let Some(tls) = &self.tls {
            problems.absorb(&root.then("tls"), tls.validate());
        }
        let way = problems.absorb(&root, self.way());
        let Some(way) = way else {
            return Err(problems);
        };
        let look = Look {
            username: self.username,
            icon_emoji: self.icon_emoji,
            icon_url: self.icon_url,
        };
        problems.or_value(SlackAccount {
            id,
            way,
            look,
            channel: self.channel,
            proxy: self.proxy,
            tls: self.tls,
            timeout: self.timeout.0,
        })
    }

    /// Finds out how the account reaches Slack.
    fn way(&self) -> Result<Way, Problems> {
        let root = Path::root();
        let either = "keep `token` to reach channels and people, \
                      or `webhook_url` to post to the webhook's own channel";
        match (&self.token, &self.webhook_url) {
            (Some(token), None) => {
                let base_url = self.base_url.clone();
                let base_url = base_url
                    .map_or_else(|| BASE_URL.parse(), Ok)
                    .map_err(|why| {
                        Problem::malformed(Code::WRONG_VALUE, root.then("base_url"), why)
                    })?;
                Ok(Way::Token {
                    token: token.clone(),
                    base_url,
                    reconcile: self.reconcile,
                })
            }
            (None, Some(url)) => {
                let problems = self.beyond_a_webhook();
                problems.or_value(Way::Webhook { url: url.clone() })
            }
            (Some(_), Some(_)) => Err(Problem::new(
                Code::WRONG_VALUE,
                root.then("webhook_url"),
                "an account has a token or a webhook, not both",
            )
            .help(either)
            .at_key()
            .into()),
            (None, None) => Err(Problem::new(
                Code::MISSING_KEY,
                root,
                "`token` or `webhook_url` is missing",
            )
            .help("write `token = { env = \"SLACK_TOKEN\" }`")
            .into()),
        }
    }

    /// Lists what is said and a webhook cannot do: Slack would ignore it.
    fn beyond_a_webhook(&self) -> Problems {
        let mut problems = Problems::none();
        let root = Path::root();
        let with_a_token = "remove it, or use a `token`: a webhook has the name, the icon and the \
                            channel that it was made with";
        let said = [
            (
                "base_url",
                self.base_url.is_some(),
                "a webhook's URL is complete and has no base",
                "remove `base_url`",
            ),
            (
                "username",
                self.username.is_some(),
                "Slack shows a webhook's messages under the app's name",
                with_a_token,
            ),
            (
                "icon_emoji",
                self.icon_emoji.is_some(),
                "Slack shows a webhook's messages with the app's icon",
                with_a_token,
            ),
            (
                "icon_url",
                self.icon_url.is_some(),
                "Slack shows a webhook's messages with the app's icon",
                with_a_token,
            ),
            (
                "reconcile",
                self.reconcile,
                "nothing can be searched for through a webhook",
                "remove `reconcile`, or use a `token`",
            ),
        ];
        for (key, is_said, message, help) in said {
            if is_said {
                let problem = Problem::new(Code::WRONG_VALUE, root.then(key), message);
                problems.push(problem.help(help).at_key());
            }
        }
        let own = self.channel.as_ref();
        if own.is_some_and(|to| !matches!(to, SlackRecipient::Channel(_))) {
            let message = "a webhook posts to its own channel only";
            let problem = Problem::new(Code::WRONG_VALUE, root.then("channel"), message);
            problems.push(problem.help("write that channel as `\"#channel\"`, or use a `token`"));
        }
        problems
    }
}

/// Says that an emoji and a picture exclude each other.
pub(crate) fn two_icons(place: Path) -> Problem {
    Problem::new(
        Code::WRONG_VALUE,
        place,
        "a message has one icon: `icon_emoji` or `icon_url`",
    )
    .help("remove one of them")
    .at_key()
}

#[cfg(test)]
mod tests {
    use notify_core::{Code, schema};
    use notify_testkit::section::expect;
    use serde_json::{Value, json};

    use crate::DESCRIPTOR;

    /// Loads a section and gives the places and codes of what is wrong with it.
    #[track_caller]
    fn check(section: &Value, expected: &[(&str, Code)]) {
        expect(&DESCRIPTOR, "slack.prod", section, expected);
        // No schema knows how long a duration is, or where an address leads.
        let unseen = ["timeout", "base_url", "tls.ca_file"];
        let seen = expected.iter().any(|(path, _)| !unseen.contains(path));
        let by_schema = validator().is_valid(section);
        assert!(
            by_schema == expected.is_empty() || (by_schema && !seen),
            "{section}"
        );
    }

    fn validator() -> jsonschema::Validator {
        let mut generator = schema::generator();
        let section = DESCRIPTOR.account_schema(&mut generator);
        jsonschema::validator_for(&schema::whole(generator, section)).unwrap()
    }

    #[test]
    fn a_section_has_a_token_or_a_webhook() {
        let token = json!({"env": "SLACK_TOKEN"});
        check(&json!({"token": token}), &[]);
        check(&json!({"webhook_url": {"file": "/run/hook"}}), &[]);
        check(
            &json!({"token": token, "base_url": "http://127.0.0.1:8080/api/", "timeout": "1s"}),
            &[],
        );
        check(&json!({}), &[("", Code::MISSING_KEY)]);
        check(
            &json!({"token": token, "webhook_url": token}),
            &[("webhook_url", Code::WRONG_VALUE)],
        );
        check(
            &json!({"webhook_url": token, "base_url": "https://slack.com/api/"}),
            &[("base_url", Code::WRONG_VALUE)],
        );
    }

    #[test]
    fn every_problem_of_a_section_is_found_and_no_secret_is_repeated() {
        for timeout in ["999ms", "61s"] {
            check(
                &json!({"timeout": timeout}),
                &[("timeout", Code::WRONG_VALUE), ("", Code::MISSING_KEY)],
            );
        }
        check(
            &json!({"token": "xoxb-hunter2"}),
            &[("token", Code::INLINE_SECRET)],
        );
        check(
            &json!({"token": {"env": "T"}, "base_url": "https://hunter2@slack.com/"}),
            &[("base_url", Code::INLINE_SECRET)],
        );
        check(
            &json!({"token": {"env": "T"}, "base_url": "http://slack.com/api/"}),
            &[("base_url", Code::WRONG_VALUE)],
        );
        check(
            &json!({"token": {"env": "T"}, "webhook": "hunter2"}),
            &[("webhook", Code::UNKNOWN_KEY)],
        );
    }

    #[test]
    fn everything_that_an_account_can_say_is_taken() {
        check(
            &json!({
                "token": {"env": "T"},
                "channel": "jane@example.com",
                "username": "etl-bot",
                "icon_emoji": ":bell:",
                "reconcile": true,
                "proxy": {"env": "PROXY"},
                "tls": {"ca_file": "/etc/ssl/corp.pem"},
            }),
            &[],
        );
        let hook = json!({"env": "HOOK"});
        check(
            &json!({"webhook_url": hook, "channel": "#data", "reconcile": false,
                    "proxy": "http://proxy.example.com:3128"}),
            &[],
        );
    }

    #[test]
    fn what_slack_ignores_at_a_webhook_is_refused_there() {
        check(
            &json!({
                "webhook_url": {"env": "HOOK"},
                "channel": "C0123456789",
                "username": "etl-bot",
                "icon_url": "https://example.com/bell.png",
                "reconcile": true,
            }),
            &[
                ("username", Code::WRONG_VALUE),
                ("icon_url", Code::WRONG_VALUE),
                ("reconcile", Code::WRONG_VALUE),
                ("channel", Code::WRONG_VALUE),
            ],
        );
        let token = json!({"env": "T"});
        let icon = "https://example.com/bell.png";
        check(
            &json!({"token": token, "icon_emoji": ":bell:", "icon_url": icon}),
            &[("icon_url", Code::WRONG_VALUE)],
        );
        check(
            &json!({"token": token, "channel": "data"}),
            &[("channel", Code::WRONG_VALUE)],
        );
        check(
            &json!({"token": token, "icon_emoji": "bell"}),
            &[("icon_emoji", Code::WRONG_VALUE)],
        );
        check(
            &json!({"token": token, "tls": {"ca_file": "corp.pem"}}),
            &[("tls.ca_file", Code::WRONG_VALUE)],
        );
    }
}

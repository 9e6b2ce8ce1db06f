//! The section `[accounts.slack.NAME]`.

use std::time::Duration;

use notify_core::time::Span;
use notify_core::{AccountId, Code, Path, Problem, Problems, SecretRef};
use notify_http::BaseUrl;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::account::{SlackAccount, Way};

/// The Web API of slack.com; GovSlack has another.
const BASE_URL: &str = "https://slack.com/api/";

/// An account as it stands in the file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "SlackAccount",
    extend("oneOf" = [
        {"required": ["token"]},
        {"required": ["webhook_url"], "not": {"required": ["base_url"]}},
    ])
)]
#[non_exhaustive]
pub struct Config {
    /// The bot token.
    pub token: Option<SecretRef>,
    /// The URL of an incoming webhook, instead of a token.
    pub webhook_url: Option<SecretRef>,
    /// Where the Web API is.
    pub base_url: Option<BaseUrl>,
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
        let bounds = Duration::from_secs(1)..=Duration::from_mins(1);
        if !bounds.contains(&self.timeout.0) {
            problems.push(
                Problem::new(Code::WRONG_VALUE, root.then("timeout"), "out of bounds")
                    .help("write a timeout from `1s` to `60s`"),
            );
        }
        let either = "keep `token` to reach channels and people, \
                      or `webhook_url` to post to the webhook's own channel";
        let way = match (self.token, self.webhook_url) {
            (Some(token), None) => self
                .base_url
                .map_or_else(|| BASE_URL.parse(), Ok)
                .map(|base_url| Way::Token { token, base_url })
                .map_err(|why| Problem::malformed(Code::WRONG_VALUE, root.then("base_url"), why)),
            (None, Some(_)) if self.base_url.is_some() => Err(Problem::new(
                Code::WRONG_VALUE,
                root.then("base_url"),
                "a webhook's URL is complete and has no base",
            )
            .help("remove `base_url`")
            .at_key()),
            (None, Some(url)) => Ok(Way::Webhook { url }),
            (Some(_), Some(_)) => Err(Problem::new(
                Code::WRONG_VALUE,
                root.then("webhook_url"),
                "an account has a token or a webhook, not both",
            )
            .help(either)
            .at_key()),
            (None, None) => Err(Problem::new(
                Code::MISSING_KEY,
                root,
                "`token` or `webhook_url` is missing",
            )
            .help("write `token = { env = \"SLACK_TOKEN\" }`")),
        };
        match way {
            Ok(way) => problems.or_value(SlackAccount::new(id, way, self.timeout.0)),
            Err(problem) => {
                problems.push(problem);
                Err(problems)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use notify_core::{Code, schema};
    use serde_json::{Value, json};

    use crate::DESCRIPTOR;

    /// Loads a section and gives the places and codes of what is wrong with it.
    #[track_caller]
    fn check(section: &Value, expected: &[(&str, Code)]) {
        let loaded = DESCRIPTOR.load_account("slack.prod".parse().unwrap(), section);
        let problems = loaded.err().unwrap_or_default();
        let seen: Vec<_> = problems
            .iter()
            .map(|problem| (problem.path.to_string(), problem.code))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(path, code)| ((*path).to_owned(), *code))
            .collect();
        assert_eq!(seen, expected, "{section}: {problems}");
        assert!(!problems.to_string().contains("hunter2"), "{problems}");
        // No schema knows how long a duration is, or where an address leads.
        let unseen = ["timeout", "base_url"];
        let seen = seen
            .iter()
            .any(|(path, _)| !unseen.contains(&path.as_str()));
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
}

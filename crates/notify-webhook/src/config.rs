//! The section `[accounts.webhook.NAME]`.

use std::collections::BTreeMap;
use std::time::Duration;

use notify_core::schema::pattern;
use notify_core::time::{Span, Timeout};
use notify_core::{Code, Path, Problem, Problems};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::account::WebhookAccount;
use crate::endpoint::EndpointConfig;
use crate::recipient::EndpointName;

/// An account as it stands in the file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "WebhookAccount",
    extend(
        "anyOf" = [
            {"required": ["endpoints"], "properties": {"endpoints": {"minProperties": 1}}},
            {"required": ["allow_url_recipients"], "properties": {"allow_url_recipients": {"const": true}}},
        ],
        "examples" = [{
            "endpoints": {
                "ci": {
                    "url": {"env": "CI_HOOK"},
                    "signing_keys": [{"env": "CI_SIGNING_KEY"}],
                },
            },
        }]
    )
)]
#[non_exhaustive]
pub struct Config {
    /// The endpoints by name.
    #[serde(default)]
    #[schemars(extend("propertyNames" = {"pattern": pattern::identifier()}))]
    pub endpoints: BTreeMap<String, EndpointConfig>,
    /// Whether a notification may name an address instead of an endpoint.
    #[serde(default)]
    pub allow_url_recipients: bool,
    /// Whether such an address may be within this machine or its network.
    #[serde(default)]
    pub allow_private: bool,
    /// The longest that one request may take: `1s` to `60s`.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

const fn default_timeout() -> Span {
    Span(Duration::from_secs(15))
}

impl Config {
    pub(crate) fn validate(self) -> Result<WebhookAccount, Problems> {
        let mut problems = Problems::none();
        let root = Path::root();
        if let Err(why) = Timeout::checked(self.timeout) {
            let place = root.then("timeout");
            problems.push(Problem::malformed(Code::WRONG_VALUE, place, why));
        }
        if self.endpoints.is_empty() && !self.allow_url_recipients {
            problems.push(
                Problem::new(Code::MISSING_KEY, root.clone(), "there is no endpoint")
                    .help("write `endpoints.ci = { url = { env = \"CI_HOOK\" } }`"),
            );
        }
        let mut endpoints = BTreeMap::new();
        for (name, endpoint) in self.endpoints {
            let place = root.then("endpoints").then(name.as_str());
            let checked = problems.absorb(&place, endpoint.validate());
            match (name.parse::<EndpointName>(), checked) {
                (Ok(_), Some(endpoint)) => {
                    endpoints.insert(name, endpoint);
                }
                (Ok(_), None) => {}
                (Err(why), _) => {
                    problems.push(Problem::malformed(Code::WRONG_VALUE, place, why).at_key());
                }
            }
        }
        problems.or_value(WebhookAccount {
            endpoints,
            allow_urls: self.allow_url_recipients,
            allow_private: self.allow_private,
            timeout: self.timeout.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use notify_core::{Place, schema};
    use notify_testkit::section::expect;
    use serde_json::{Value, json};

    use super::*;
    use crate::DESCRIPTOR;

    /// Loads a section and gives the places and codes of what is wrong with it.
    #[track_caller]
    fn check(section: &Value, expected: &[(&str, Code)]) -> Problems {
        expect(&DESCRIPTOR, "webhook.default", section, expected)
    }

    /// Checks one endpoint; the paths are those below it.
    #[track_caller]
    fn endpoint(endpoint: &Value, expected: &[(&str, Code)]) -> Problems {
        let section = json!({"endpoints": {"ci": endpoint}});
        let below: Vec<_> = expected
            .iter()
            .map(|(path, code)| (format!("endpoints.ci.{path}"), *code))
            .collect();
        let below: Vec<_> = below
            .iter()
            .map(|(path, code)| (path.as_str(), *code))
            .collect();
        check(&section, &below)
    }

    fn validator() -> jsonschema::Validator {
        let mut generator = schema::generator();
        let section = DESCRIPTOR.account_schema(&mut generator);
        jsonschema::validator_for(&schema::whole(generator, section)).unwrap()
    }

    #[test]
    fn the_example_and_every_key_load_and_the_schema_takes_them() {
        let secret = json!({"env": "A"});
        let example = DESCRIPTOR
            .account_schema(&mut schema::generator())
            .to_value();
        let sections = [
            example["examples"][0].clone(),
            json!({"allow_url_recipients": true}),
            json!({"allow_url_recipients": true, "allow_private": true, "timeout": "60s"}),
            json!({"endpoints": {
                "ci": {
                    "url": "https://ci.example.com/hook?team=data",
                    "method": "PUT",
                    "headers": {"X-Team": "data platform", "x-api-key": secret},
                    "mode": "binary",
                    "signing_keys": [secret, {"file": "/run/old"}],
                    "bearer": secret,
                    "tls": {"ca_file": "/etc/ca.pem", "cert_file": "/etc/ci.pem", "key": secret},
                    "proxy": "http://proxy.example.com:3128",
                },
                "far": {
                    "url": secret,
                    "tls": {"insecure_skip_verify": true},
                    "proxy": secret,
                },
                "chat": {
                    "url": secret,
                    "body": {"content": "{{ headline }}", "n": [1, true, {"a": "{{ event }}"}]},
                    "basic": {"username": "ci", "password": {"command": ["pass", "ci"]}},
                },
            }}),
        ];
        for section in sections {
            check(&section, &[]);
            assert!(validator().is_valid(&section), "{section}");
        }
    }

    #[test]
    fn what_the_section_lacks_or_has_too_much_of_is_found() {
        let table = [
            (json!({}), vec![("", Code::MISSING_KEY)], false),
            (
                json!({"endpoints": {}}),
                vec![("", Code::MISSING_KEY)],
                false,
            ),
            (
                json!({"endpoints": {}, "timeout": "61s"}),
                vec![("timeout", Code::WRONG_VALUE), ("", Code::MISSING_KEY)],
                false,
            ),
            (
                json!({"allow_url_recipients": true, "timeout": "999ms"}),
                vec![("timeout", Code::WRONG_VALUE)],
                true,
            ),
            (
                json!({"allow_url_recipients": true, "alow_private": true}),
                vec![("alow_private", Code::UNKNOWN_KEY)],
                false,
            ),
            (
                json!({"endpoints": {"a b": {"url": {"env": "A"}}}}),
                vec![("endpoints.a b", Code::WRONG_VALUE)],
                false,
            ),
            (
                json!({"endpoints": {"ci": {}}}),
                vec![("endpoints.ci", Code::MISSING_KEY)],
                false,
            ),
        ];
        for (section, expected, by_schema) in table {
            check(&section, &expected);
            assert_eq!(validator().is_valid(&section), by_schema, "{section}");
        }
    }

    #[test]
    fn every_problem_of_an_endpoint_is_found_at_its_place() {
        let url = "https://ci.example.com/";
        let secret = json!({"env": "A"});
        let table = [
            (json!({"url": 7}), vec![("url", Code::WRONG_VALUE)], false),
            (
                json!({"url": {"value": "hunter2"}}),
                vec![("url", Code::INLINE_SECRET)],
                false,
            ),
            (
                json!({"url": url, "methd": "PUT", "method": "GET"}),
                vec![("methd", Code::UNKNOWN_KEY), ("method", Code::WRONG_VALUE)],
                false,
            ),
            (
                json!({"url": url, "mode": "batch"}),
                vec![("mode", Code::WRONG_VALUE)],
                false,
            ),
            (
                json!({"url": url, "mode": "binary", "body": {}}),
                vec![("mode", Code::WRONG_VALUE)],
                false,
            ),
            (
                json!({"url": url, "bearer": secret, "basic": {"username": "a", "password": secret}}),
                vec![("basic", Code::WRONG_VALUE)],
                false,
            ),
            (
                json!({"url": url, "basic": {"username": "a:b", "password": secret}}),
                vec![("basic.username", Code::WRONG_VALUE)],
                false,
            ),
            (
                json!({"url": url, "bearer": "hunter2"}),
                vec![("bearer", Code::INLINE_SECRET)],
                false,
            ),
            (
                json!({"url": url, "signing_keys": ["whsec_hunter2"]}),
                vec![("signing_keys[0]", Code::INLINE_SECRET)],
                false,
            ),
            (
                json!({"url": url, "signing_keys": vec![secret.clone(); 9]}),
                vec![("signing_keys", Code::WRONG_VALUE)],
                false,
            ),
            (
                json!({"url": url, "tls": {"cert_file": "/a.pem"}}),
                vec![("tls.cert_file", Code::MISSING_KEY)],
                false,
            ),
            (
                json!({"url": url, "tls": {"key": secret}}),
                vec![("tls.key", Code::MISSING_KEY)],
                false,
            ),
            (
                json!({"url": url, "tls": {"ca_file": "/a.pem", "insecure_skip_verify": true}}),
                vec![("tls.insecure_skip_verify", Code::WRONG_VALUE)],
                false,
            ),
            (
                json!({"url": url, "proxy": "http://me:hunter2@proxy.example.com:3128"}),
                vec![("proxy", Code::INLINE_SECRET)],
                false,
            ),
            (
                json!({"url": url, "proxy": "proxy.example.com:3128"}),
                vec![("proxy", Code::WRONG_VALUE)],
                false,
            ),
            // What no schema knows: which path is absolute, and what a text is made of.
            (
                json!({"url": url, "tls": {"ca_file": "ca.pem"}}),
                vec![("tls.ca_file", Code::WRONG_VALUE)],
                true,
            ),
            (
                json!({"url": url, "body": {"a": ["x", "{{ headlin }}"], "b": "{{ text"}}),
                vec![("body.a[1]", Code::TEMPLATE), ("body.b", Code::TEMPLATE)],
                true,
            ),
        ];
        for (one, expected, by_schema) in table {
            endpoint(&one, &expected);
            let section = json!({"endpoints": {"ci": one}});
            assert_eq!(validator().is_valid(&section), by_schema, "{section}");
        }
    }

    #[test]
    fn an_address_in_a_file_grants_nothing_and_goes_nowhere_in_the_clear() {
        let table = [
            ("http://ci.example.com/", Code::WRONG_VALUE),
            ("https://2130706433/", Code::WRONG_VALUE),
            ("ci.example.com", Code::INLINE_SECRET),
            ("https://hunter2@ci.example.com/", Code::INLINE_SECRET),
            ("https://ci.example.com/?token=hunter2", Code::INLINE_SECRET),
            (
                "https://hooks.slack.com/services/T0/B0/hunter2hunter2hunter2hunt",
                Code::INLINE_SECRET,
            ),
        ];
        for (url, code) in table {
            endpoint(&json!({"url": url}), &[("url", code)]);
        }
        for url in ["http://127.0.0.1:8080/hook", "https://10.0.0.7/hook"] {
            endpoint(&json!({"url": url}), &[]);
        }
    }

    #[test]
    fn headers_are_the_authors_own_and_their_secrets_references() {
        let secret = json!({"env": "A"});
        let key = true;
        let table = [
            (json!({"x team": "a"}), Code::WRONG_VALUE, key),
            (json!({"x-team": "a\nb"}), Code::WRONG_VALUE, !key),
            (json!({"x-team": ""}), Code::WRONG_VALUE, !key),
            (json!({"Host": "a"}), Code::WRONG_VALUE, key),
            (
                json!({"content-type": "text/plain"}),
                Code::WRONG_VALUE,
                key,
            ),
            (json!({"Webhook-Id": "a"}), Code::WRONG_VALUE, key),
            (json!({"ce-id": secret}), Code::WRONG_VALUE, key),
            (
                json!({"Authorization": "hunter2"}),
                Code::INLINE_SECRET,
                !key,
            ),
            (json!({"X-Api-Key": "hunter2"}), Code::INLINE_SECRET, !key),
            (json!({"x-my-token": "hunter2"}), Code::INLINE_SECRET, !key),
            (
                json!({"x-team": "hunter2hunter2hunter2hunter2"}),
                Code::INLINE_SECRET,
                !key,
            ),
        ];
        for (headers, code, at_key) in table {
            let name = headers.as_object().unwrap().keys().next().unwrap();
            let path = format!("headers.{name}");
            let one = json!({"url": "https://ci.example.com/", "headers": headers});
            let problems = endpoint(&one, &[(&path, code)]);
            let place = problems.iter().next().unwrap().place;
            assert_eq!(place == Place::Key, at_key, "{headers}");
        }
        let url = "https://ci.example.com/";
        let twice = json!({"url": url, "headers": {"X-Team": "a", "x-team": "b"}});
        endpoint(&twice, &[("headers.x-team", Code::WRONG_VALUE)]);
        let login = json!({"url": url, "bearer": secret, "headers": {"authorization": secret}});
        endpoint(&login, &[("headers.authorization", Code::WRONG_VALUE)]);
        let own = json!({"url": url, "headers": {
            "authorization": secret, "x-callback": "https://example.com/", "user-agent": "ours",
        }});
        endpoint(&own, &[]);
    }
}

//! The section `[accounts.pagerduty.NAME]`.

use std::collections::BTreeMap;
use std::time::Duration;

use notify_core::schema::pattern;
use notify_core::time::Span;
use notify_core::{Code, Malformed, PagerDutyService, Path, Problem, Problems, SecretRef};
use notify_http::BaseUrl;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::PagerDutyAccount;

/// An account as it stands in the file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PagerDutyAccount")]
#[non_exhaustive]
pub struct Config {
    /// The services by name, each with its routing key.
    #[schemars(extend(
        "minProperties" = 1,
        "propertyNames" = {"allOf": [
            {"pattern": pattern::service()},
            {"pattern": "^[^ ](?:.*[^ ])?$"},
        ]}
    ))]
    pub services: BTreeMap<String, SecretRef>,
    /// Where the PagerDuty account lives.
    #[serde(default)]
    pub region: Region,
    /// Where the Events API is, instead of the region's address.
    pub base_url: Option<BaseUrl>,
    /// The longest that one request may take.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

/// A service region; the two know nothing of each other's keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "PagerDutyRegion")]
#[non_exhaustive]
pub enum Region {
    /// The United States.
    #[default]
    Us,
    /// The European Union.
    Eu,
}

impl Region {
    const fn base_url(self) -> &'static str {
        match self {
            Self::Us => "https://events.pagerduty.com/",
            Self::Eu => "https://events.eu.pagerduty.com/",
        }
    }
}

const fn default_timeout() -> Span {
    Span(Duration::from_secs(10))
}

impl Config {
    pub(crate) fn validate(self) -> Result<PagerDutyAccount, Problems> {
        let mut problems = Problems::none();
        let root = Path::root();
        let place = root.then("services");
        if self.services.is_empty() {
            problems.push(
                Problem::new(Code::MISSING_KEY, place.clone(), "there is no service")
                    .help("write `data-platform = { env = \"PD_DATA_PLATFORM\" }`"),
            );
        }
        for name in self.services.keys() {
            if let Err(why) = check_name(name) {
                let place = place.then(name.as_str());
                problems.push(Problem::malformed(Code::WRONG_VALUE, place, why).at_key());
            }
        }
        let bounds = Duration::from_secs(1)..=Duration::from_mins(1);
        if !bounds.contains(&self.timeout.0) {
            problems.push(
                Problem::new(Code::WRONG_VALUE, root.then("timeout"), "out of bounds")
                    .help("write a timeout from `1s` to `60s`"),
            );
        }
        let base_url = self
            .base_url
            .map_or_else(|| self.region.base_url().parse(), Ok);
        match base_url {
            Ok(base_url) => problems.or_value(PagerDutyAccount {
                services: self.services,
                base_url,
                timeout: self.timeout.0,
            }),
            Err(why) => {
                let place = root.then("base_url");
                problems.push(Problem::malformed(Code::WRONG_VALUE, place, why));
                Err(problems)
            }
        }
    }
}

/// Checks that a notification can name the service.
fn check_name(name: &str) -> Result<(), Malformed> {
    let service: PagerDutyService = name.parse()?;
    if service.as_str() == name {
        Ok(())
    } else {
        Err(Malformed::new(
            "a service name does not begin or end with a space",
        ))
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
        let loaded = DESCRIPTOR.load_account("pagerduty.default".parse().unwrap(), section);
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
    fn a_section_has_services_and_may_name_a_region_or_an_address() {
        let services =
            json!({"data-platform": {"env": "PD"}, "Data Platform": {"file": "/run/pd"}});
        for section in [
            json!({"services": services}),
            json!({"services": services, "region": "eu", "timeout": "60s"}),
            json!({"services": services, "base_url": "http://127.0.0.1:8080"}),
        ] {
            check(&section, &[]);
        }
    }

    #[test]
    fn every_problem_of_a_section_is_found_and_no_secret_is_repeated() {
        check(&json!({}), &[("", Code::MISSING_KEY)]);
        check(&json!({"services": {}}), &[("services", Code::MISSING_KEY)]);
        check(
            &json!({"services": {"a@b.c": {"env": "A"}, " x": {"env": "B"}}, "timeout": "2m"}),
            &[
                ("services. x", Code::WRONG_VALUE),
                ("services.a@b.c", Code::WRONG_VALUE),
                ("timeout", Code::WRONG_VALUE),
            ],
        );
        check(
            &json!({"services": {"a": "hunter2"}}),
            &[("services.a", Code::INLINE_SECRET)],
        );
        check(
            &json!({"services": {"a": {"env": "A"}}, "region": "uk", "routing_key": "hunter2"}),
            &[
                ("region", Code::WRONG_VALUE),
                ("routing_key", Code::UNKNOWN_KEY),
            ],
        );
    }
}

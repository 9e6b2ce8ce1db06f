//! The section `[accounts.pagerduty.NAME]`.

use std::collections::BTreeMap;
use std::time::Duration;

use notify_core::content::Severity;
use notify_core::pagerduty::{PagerDutyText, PagerDutyUrl};
use notify_core::problem::nearest;
use notify_core::schema::pattern;
use notify_core::time::{Span, Timeout};
use notify_core::{
    Code, Malformed, PagerDutyService, Path, Problem, Problems, SecretRef, TerminalPhase,
};
use notify_http::{BaseUrl, ProxyConfig, TlsConfig, web_url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::PagerDutyAccount;
use crate::message::Look;

/// Who says an incident comes from, where the account says nothing.
const CLIENT: &str = "workflow-notify";

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
    /// The service that is told where a notification names none.
    pub service: Option<PagerDutyService>,
    /// How bad each phase is, where the notification does not say.
    #[serde(default)]
    pub severity: Severities,
    /// Who PagerDuty says an incident comes from.
    pub client: Option<PagerDutyText>,
    /// Where the name of the client leads; where nothing is said, to the run.
    pub client_url: Option<PagerDutyUrl>,
    /// Where the PagerDuty account lives.
    #[serde(default)]
    pub region: Region,
    /// Where the Events API is, instead of the region's address.
    pub base_url: Option<BaseUrl>,
    /// The longest that one request may take.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// Whom to trust, and the certificate to show.
    pub tls: Option<TlsConfig>,
    /// The proxy to go through, instead of the system's.
    pub proxy: Option<ProxyConfig>,
}

/// How bad each phase is; the message says it for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "PagerDutySeverities",
    extend("examples" = [{"failed": "critical", "timed_out": "error", "aborted": "warning"}])
)]
#[non_exhaustive]
pub struct Severities {
    /// Of a workflow that failed.
    pub failed: Option<Severity>,
    /// Of a workflow that ran out of time.
    pub timed_out: Option<Severity>,
    /// Of a workflow that somebody stopped.
    pub aborted: Option<Severity>,
}

impl Severities {
    /// Returns what is said of a phase.
    pub(crate) fn of(self, phase: TerminalPhase) -> Option<Severity> {
        match phase {
            TerminalPhase::Failed => self.failed,
            TerminalPhase::TimedOut => self.timed_out,
            TerminalPhase::Aborted => self.aborted,
            TerminalPhase::Succeeded => None,
        }
    }
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
    /// Returns the other one.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Us => Self::Eu,
            Self::Eu => Self::Us,
        }
    }

    /// Returns the name in the file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }

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
        if let Some(service) = &self.service
            && !self.services.contains_key(service.as_str())
        {
            problems.push(no_service(root.then("service"), service, &self.services));
        }
        let client_url = self.client_url.as_ref().and_then(|url| {
            let checked = web_url(url.as_str());
            if checked.is_none() {
                let place = root.then("client_url");
                let problem = Problem::new(Code::WRONG_VALUE, place, "not an address of the web");
                problems.push(problem.help("write it as `https://host/path`"));
            }
            checked
        });
        if let Some(tls) = &self.tls {
            problems.absorb(&root.then("tls"), tls.validate());
        }
        if let Err(why) = Timeout::checked(self.timeout) {
            let place = root.then("timeout");
            problems.push(Problem::malformed(Code::WRONG_VALUE, place, why));
        }
        let own_url = self.base_url.is_some();
        let base_url = self
            .base_url
            .map_or_else(|| self.region.base_url().parse(), Ok);
        match base_url {
            Ok(base_url) => problems.or_value(PagerDutyAccount {
                services: self.services,
                service: self.service,
                look: Look {
                    severity: self.severity,
                    client: self
                        .client
                        .map_or_else(|| CLIENT.to_owned(), |it| it.to_string()),
                    client_url,
                },
                region: (!own_url).then_some(self.region),
                base_url,
                timeout: self.timeout.0,
                tls: self.tls,
                proxy: self.proxy,
            }),
            Err(why) => {
                let place = root.then("base_url");
                problems.push(Problem::malformed(Code::WRONG_VALUE, place, why));
                Err(problems)
            }
        }
    }
}

/// States that the account has no such service, and which it has.
pub(crate) fn no_service(
    place: Path,
    service: &PagerDutyService,
    services: &BTreeMap<String, SecretRef>,
) -> Problem {
    let name = service.as_str();
    let known: Vec<&str> = services.keys().map(String::as_str).collect();
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "the account has no services".to_owned(),
        None => format!("the account's services are `{}`", known.join("`, `")),
    };
    let message = format!("the account has no service `{name}`");
    Problem::new(Code::UNREACHABLE_RECIPIENT, place, message)
        .plainly("the account has no such service")
        .help(help)
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
    use notify_testkit::section::expect;
    use serde_json::{Value, json};

    use crate::DESCRIPTOR;

    /// Loads a section and gives the places and codes of what is wrong with it.
    #[track_caller]
    fn check(section: &Value, expected: &[(&str, Code)]) {
        expect(&DESCRIPTOR, "pagerduty.default", section, expected);
        // No schema knows how long a duration is, or where an address leads.
        let unseen = [
            "timeout",
            "base_url",
            "service",
            "client_url",
            "tls.ca_file",
        ];
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
    fn a_section_has_services_and_may_name_a_region_or_an_address() {
        let services =
            json!({"data-platform": {"env": "PD"}, "Data Platform": {"file": "/run/pd"}});
        for section in [
            json!({"services": services}),
            json!({"services": services, "region": "eu", "timeout": "60s"}),
            json!({"services": services, "base_url": "http://127.0.0.1:8080"}),
            json!({
                "services": services,
                "service": "Data Platform",
                "severity": {"failed": "critical", "timed_out": "error", "aborted": "warning"},
                "client": "nightly scheduler",
                "client_url": "https://scheduler.example.com/",
                "tls": {"ca_file": "/etc/ssl/corp.pem"},
                "proxy": "http://proxy.example.com:3128",
            }),
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
            &json!({
                "services": {"a": {"env": "A"}},
                "service": "b",
                "client_url": "https://[bad",
                "tls": {"ca_file": "ca.pem"},
            }),
            &[
                ("service", Code::UNREACHABLE_RECIPIENT),
                ("client_url", Code::WRONG_VALUE),
                ("tls.ca_file", Code::WRONG_VALUE),
            ],
        );
        check(
            &json!({
                "services": {"a": {"env": "A"}},
                "service": "a@example.com",
                "severity": {"succeeded": "info", "failed": "bad"},
                "client": "",
                "client_url": "ftp://example.com",
                "proxy": "http://me:hunter2@proxy.example.com",
            }),
            &[
                ("client", Code::WRONG_VALUE),
                ("client_url", Code::WRONG_VALUE),
                ("proxy", Code::INLINE_SECRET),
                ("service", Code::WRONG_VALUE),
                ("severity.failed", Code::WRONG_VALUE),
                ("severity.succeeded", Code::UNKNOWN_KEY),
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

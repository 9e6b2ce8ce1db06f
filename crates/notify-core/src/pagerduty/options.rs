//! What a PagerDuty notification can say beside phases and recipients.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::content::Severity;
use crate::notification::NotificationOptions;
use crate::problem::Malformed;
use crate::text;

/// The most links, and the most images, of a notification.
const MAX_ITEMS: usize = 10;

/// The most details of a notification.
const MAX_DETAILS: usize = 50;

/// The most bytes of a notification's details, as JSON.
const MAX_DETAILS_BYTES: usize = 16_384;

/// What a PagerDuty notification can say beside phases and recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PagerDutyOptions {
    /// How bad it is; where nothing is said, what the account says of the phase, else the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Which ends belong to one incident.
    #[serde(default, skip_serializing_if = "Incident::is_default")]
    pub incident: Incident,
    /// Whether a success that the notification names is recorded as a change event.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub change_events: bool,
    /// The part of the source that is responsible: `mysql`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<PagerDutyText>,
    /// What the service's parts are grouped by: `warehouse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<PagerDutyText>,
    /// The kind of trouble: `late data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<PagerDutyText>,
    /// Further details by name, of any shape: at most 50, and 16,384 bytes as JSON.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "details"
    )]
    #[schemars(extend(
        "maxProperties" = MAX_DETAILS,
        "propertyNames" = {"pattern": PagerDutyText::PATTERN},
        "examples" = [{"team": "data", "owners": ["jane", "joe"]}],
    ))]
    pub details: BTreeMap<String, Value>,
    /// Further links, at most 10: a runbook, a dashboard.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded"
    )]
    #[schemars(extend("maxItems" = MAX_ITEMS))]
    pub links: Vec<PagerDutyLink>,
    /// Images, at most 10.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded"
    )]
    #[schemars(extend("maxItems" = MAX_ITEMS))]
    pub images: Vec<PagerDutyImage>,
}

impl NotificationOptions for PagerDutyOptions {}

/// Which ends belong to one incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PagerDutyIncident")]
#[non_exhaustive]
pub enum Incident {
    /// All ends of the workflow: the next success of any execution resolves it.
    #[default]
    Workflow,
    /// All ends of one execution: a later attempt of it resolves it.
    Execution,
}

impl Incident {
    /// Tells whether it is what holds where nothing is said.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference"
    )]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A link of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PagerDutyLink {
    /// Where it leads.
    pub href: PagerDutyUrl,
    /// What it is called; the address where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<PagerDutyText>,
}

impl PagerDutyLink {
    /// Makes a link that is called by its address.
    pub fn new(href: PagerDutyUrl) -> Self {
        Self { href, text: None }
    }

    /// Says what it is called.
    #[must_use]
    pub fn text(mut self, text: PagerDutyText) -> Self {
        self.text = Some(text);
        self
    }
}

/// An image of an incident: PagerDuty loads it over `https`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PagerDutyImage {
    /// Where it is.
    pub src: PagerDutyImageUrl,
    /// Where a click on it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub href: Option<PagerDutyUrl>,
    /// What it shows, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<PagerDutyText>,
}

impl PagerDutyImage {
    /// Makes an image without words.
    pub fn new(src: PagerDutyImageUrl) -> Self {
        Self {
            src,
            href: None,
            alt: None,
        }
    }
}

/// Declares a text that is checked when it is read.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $pattern:literal, $example:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String")]
        #[schemars(with = "String", extend("pattern" = $pattern, "examples" = [$example]))]
        pub struct $name(String);

        impl $name {
            /// The expression that every one of them matches.
            pub const PATTERN: &'static str = $pattern;

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                let check: fn(&str) -> Result<(), Malformed> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = Cow<'static, str>;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
                    .map_err(|why: Malformed| Cow::Owned(why.in_serde()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text! {
    /// A short text on one line: 1 to 255 characters, no control characters.
    PagerDutyText, r"^[^\x00-\x1f\x7f-\x9f]{1,255}$", "warehouse", one_line
}

checked_text! {
    /// The address of a page: `https` or `http`, without credentials.
    PagerDutyUrl, r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\s\x00-\x1f\x7f-\x9f][^\s\x00-\x1f\x7f-\x9f]*$",
    "https://wiki.example.com/runbook", |text| address(text, &["https://", "http://"])
}

checked_text! {
    /// The address of an image: `https`, without credentials.
    PagerDutyImageUrl, r"^[Hh][Tt][Tt][Pp][Ss]://[^/?#@\s\x00-\x1f\x7f-\x9f][^\s\x00-\x1f\x7f-\x9f]*$",
    "https://charts.example.com/rows.png", |text| address(text, &["https://"])
}

fn one_line(text: &str) -> Result<(), Malformed> {
    if text.is_empty() || text::chars(text) > 255 {
        return Err(Malformed::new("a text here has 1 to 255 characters"));
    }
    if text::has_control(text) {
        return Err(Malformed::new(
            "a text here is one line without control characters",
        ));
    }
    Ok(())
}

/// Checks an address as far as its letters tell; a provider drops nothing that is none after all.
fn address(text: &str, schemes: &[&str]) -> Result<(), Malformed> {
    const LONGEST: usize = 2_048;
    let begin = schemes.iter().find(|scheme| {
        let start = text.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let rest = begin.and_then(|scheme| text.get(scheme.len()..));
    let odd = |letter: char| letter.is_control() || letter.is_whitespace();
    let host = rest.and_then(|rest| rest.split(['/', '\\', '?', '#']).next());
    if host.is_some_and(|host| host.contains('@')) {
        return Err(
            Malformed::new("an address here holds no user name and no password").sensitive(),
        );
    }
    if host.is_none_or(str::is_empty) || text.contains(odd) || text.len() > LONGEST {
        let example = match schemes {
            [_] => "write it as `https://host/path`",
            _ => "write it as `https://host/path` or `http://host/path`",
        };
        return Err(Malformed::new("not an address of the web").help(example));
    }
    Ok(())
}

fn details<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Value>, D::Error> {
    let details = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let refuse = |why: Malformed| de::Error::custom(why.in_serde());
    if details.len() > MAX_DETAILS {
        return Err(refuse(Malformed::new("more than 50 details")));
    }
    if details.keys().any(|name| one_line(name).is_err()) {
        let why = "the name of a detail has 1 to 255 characters, and no control characters";
        return Err(refuse(Malformed::new(why)));
    }
    let bytes = serde_json::to_string(&details).map_or(usize::MAX, |json| json.len());
    if bytes > MAX_DETAILS_BYTES {
        let why = Malformed::new("the details have more than 16,384 bytes");
        return Err(refuse(why.help("link to what is longer")));
    }
    Ok(details)
}

fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let items = Vec::deserialize(deserializer)?;
    if items.len() > MAX_ITEMS {
        let why = Malformed::new("more than 10 of them").help("keep those that help at night");
        return Err(de::Error::custom(why.in_serde()));
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;

    #[test]
    fn what_is_not_said_is_not_written_and_what_is_said_reads_back() {
        assert_eq!(to_value(PagerDutyOptions::default()).unwrap(), json!({}));
        let said = json!({
            "severity": "critical",
            "incident": "execution",
            "change_events": true,
            "component": "mysql",
            "group": "warehouse",
            "class": "late data",
            "details": {"team": "data", "owners": ["jane", {"deep": [1, null]}]},
            "links": [{"href": "https://wiki.example.com/runbook", "text": "Runbook"}],
            "images": [{
                "src": "https://charts.example.com/rows.png",
                "href": "http://charts.example.com",
                "alt": "rows by hour",
            }],
        });
        let options: PagerDutyOptions = from_value(said.clone()).unwrap();
        assert_eq!(to_value(options).unwrap(), said);
    }

    #[test]
    fn texts_addresses_and_numbers_have_their_bounds_and_the_schema_agrees() {
        let link = json!({"href": "https://example.com/"});
        let image = json!({"src": "https://example.com/a.png"});
        let many: Value = (0..51)
            .map(|number| (number.to_string(), json!(1)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let table = [
            (json!({"component": ""}), false),
            (json!({"group": "a\nb"}), false),
            (json!({"class": "é".repeat(256)}), false),
            (json!({"incident": "run"}), false),
            (json!({"links": [{"href": "ftp://example.com/"}]}), false),
            (json!({"links": [{"href": "https://"}]}), false),
            (
                json!({"links": [{"href": "https://example.com/a b"}]}),
                false,
            ),
            (json!({"links": [{"text": "a"}]}), false),
            (json!({"links": vec![link; 11]}), false),
            (
                json!({"images": [{"src": "http://example.com/a.png"}]}),
                false,
            ),
            (json!({"images": vec![image; 11]}), false),
            (json!({"details": many}), false),
            (json!({"details": {"a\n": 1}}), false),
            (json!({"details": []}), false),
            // What no expression counts, and where a host ends.
            (json!({"details": {"a": "x".repeat(16_384)}}), true),
            (
                json!({"links": [{"href": "https://me:hunter2@example.com/"}]}),
                true,
            ),
        ];
        let schema = crate::schema::generator().into_root_schema_for::<PagerDutyOptions>();
        let valid = |value: &Value| jsonschema::is_valid(schema.as_value(), value);
        for (options, by_schema) in table {
            let refused = from_value::<PagerDutyOptions>(options.clone()).unwrap_err();
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
            assert_eq!(valid(&options), by_schema, "{options}");
        }
    }
}

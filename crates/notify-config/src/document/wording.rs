//! The same advice in the language of the file that it is for.
//!
//! The core knows no format and shows its examples in YAML, which most definitions are written in.

use super::Format;

/// Advice as the core words it, and what it is in JSON and in TOML.
const ADVICE: [(&str, &str, &str); 7] = [
    (
        "say when it is sent: `phases: [failed, timed_out]`",
        "say when it is sent: `\"phases\": [\"failed\", \"timed_out\"]`",
        "say when it is sent: `phases = [\"failed\", \"timed_out\"]`",
    ),
    (
        "name the workflow: `workflow: nightly-etl`",
        "name the workflow: `\"workflow\": \"nightly-etl\"`",
        "name the workflow: `workflow = \"nightly-etl\"`",
    ),
    (
        "begin each notification with `- `",
        "write each notification as `{…}` between `[` and `]`",
        "write each notification as a rule of its own: `[[rules]]`",
    ),
    (
        "declare who is told: `notifications: [{phases: failed, email: [me@example.com]}]`",
        "declare who is told: `\"notifications\": [{\"phases\": \"failed\", \"email\": \
         [\"me@example.com\"]}]`",
        "declare who is told by `[[rules]]`",
    ),
    (
        "write `phases:`; YAML 1.1 readers take `on` for `true`",
        "write `phases`",
        "write `phases`",
    ),
    (
        "a `#` after a space begins a comment in YAML: put the recipient in quotes",
        "write who is told instead of `null`",
        "write who is told",
    ),
    (
        "say who is told, in a list; a `#` after a space begins a comment in YAML, so put channels in quotes",
        "say who is told, in a list",
        "say who is told, in a list",
    ),
];

/// Advice of this crate, in YAML and in JSON.
const OF_DEFINITIONS: [(&str, &str); 4] = [
    (
        "begin each workflow with `- workflow: NAME`",
        "write each workflow as `{\"workflow\": \"NAME\", …}`",
    ),
    (
        "begin each workflow with `- workflow: NAME`; a single one needs no list: `workflow: NAME`",
        "write each workflow as `{\"workflow\": \"NAME\", …}` between `[` and `]`; a single one \
         needs no list",
    ),
    (
        "put several workflows under `workflows:`, each as `- workflow: NAME`",
        "put several workflows into a map: `{\"workflows\": […]}`",
    ),
    (
        crate::definitions::MINIMAL,
        "say who is told when which workflow ends:\n
{
  \"workflow\": \"nightly-etl\",
  \"notifications\": [{\"phases\": \"failed\", \"email\": \"me@example.com\"}]
}",
    ),
];

impl Format {
    /// Says advice in this language.
    pub(super) fn word(self, advice: &str) -> String {
        let of_core = ADVICE.iter().find(|(yaml, _, _)| *yaml == advice).map(
            |(yaml, json, toml)| match self {
                Self::Yaml => *yaml,
                Self::Json => *json,
                Self::Toml => *toml,
            },
        );
        let of_definitions = OF_DEFINITIONS
            .iter()
            .find(|(yaml, _)| *yaml == advice && self == Self::Json)
            .map(|(_, json)| *json);
        of_core.or(of_definitions).unwrap_or(advice).to_owned()
    }
}

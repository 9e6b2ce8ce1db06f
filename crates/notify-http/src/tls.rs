//! Whom an account trusts and which certificate it shows: the table `tls` of every HTTP provider.

use std::path::{Path as File, PathBuf};

use notify_core::{Code, Malformed, Path, Problem, Problems, SecretRef, Secrets};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::builder::HttpClientBuilder;

/// The certificates of connections.
///
/// ```
/// use notify_http::TlsConfig;
/// use serde_json::json;
///
/// let tls: TlsConfig = serde_json::from_value(json!({"ca_file": "ca.pem"}))?;
/// let problems = tls.validate().unwrap_err();
/// assert_eq!(problems.to_string(), "ca_file: not an absolute path (write the whole path: `/etc/ssl/ca.pem`)");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "HttpTls",
    extend(
        "dependentRequired" = {"cert_file": ["key"], "key": ["cert_file"]},
        "not" = {
            "required": ["ca_file", "insecure_skip_verify"],
            "properties": {"insecure_skip_verify": {"const": true}},
        },
    )
)]
#[non_exhaustive]
pub struct TlsConfig {
    /// The PEM file of the authorities to trust, instead of those of the system: an absolute path.
    pub ca_file: Option<PathBuf>,
    /// The PEM file of the certificate to show, with those up to its authority: an absolute path.
    pub cert_file: Option<PathBuf>,
    /// Where the certificate's private key is: PEM, without a passphrase.
    pub key: Option<SecretRef>,
    /// Takes whatever certificate the other side shows, so that anybody in between can read along.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

impl TlsConfig {
    /// Checks what the types alone cannot.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, with paths from the table's root.
    pub fn validate(&self) -> Result<(), Problems> {
        let mut problems = Problems::none();
        let root = Path::root();
        let files = [("ca_file", &self.ca_file), ("cert_file", &self.cert_file)];
        for (key, file) in files {
            if file.as_deref().is_some_and(|file| !file.is_absolute()) {
                problems.push(
                    Problem::new(Code::WRONG_VALUE, root.then(key), "not an absolute path")
                        .help("write the whole path: `/etc/ssl/ca.pem`"),
                );
            }
        }
        let lone = match (&self.cert_file, &self.key) {
            (Some(_), None) => Some(("cert_file", "`cert_file` comes with `key`", "add `key`")),
            (None, Some(_)) => Some(("key", "`key` comes with `cert_file`", "add `cert_file`")),
            _ => None,
        };
        if let Some((there, message, help)) = lone {
            let problem = Problem::new(Code::MISSING_KEY, root.then(there), message);
            problems.push(problem.help(help).at_key());
        }
        if self.insecure_skip_verify && self.ca_file.is_some() {
            let message = "`ca_file` names whom to trust, and this trusts everybody";
            let place = root.then("insecure_skip_verify");
            let problem = Problem::new(Code::WRONG_VALUE, place, message);
            problems.push(problem.help("remove `insecure_skip_verify`").at_key());
        }
        problems.or_value(())
    }

    /// Lists what is allowed and unwise, with paths from the table's root.
    pub fn warnings(&self) -> Vec<Problem> {
        if !self.insecure_skip_verify {
            return Vec::new();
        }
        let message =
            "no certificate is checked: whoever is in between can read secrets and answer";
        let problem = Problem::warning(
            Code::UNPROTECTED,
            Path::root().then("insecure_skip_verify"),
            message,
        );
        vec![
            problem
                .help("name the authority that signed the certificate: `ca_file = \"/etc/ssl/ca.pem\"`")
                .at_key(),
        ]
    }

    /// Lists the secrets that [`HttpClientBuilder::tls`] needs.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.key.iter()
    }

    /// Reads the files and gives what they hold to a client.
    pub(crate) fn apply(
        &self,
        mut builder: HttpClientBuilder,
        secrets: &Secrets,
    ) -> Result<HttpClientBuilder, Malformed> {
        if let Some(file) = &self.ca_file {
            builder = builder
                .trust_only(&read(file)?)
                .map_err(|why| Malformed::new(format!("`{}`: {why}", file.display())))?;
        }
        if let (Some(file), Some(key)) = (&self.cert_file, &self.key) {
            builder = builder.identity(&read(file)?, secrets.get(key)?)?;
        }
        if self.insecure_skip_verify {
            builder = builder.trust_everybody();
        }
        Ok(builder)
    }
}

/// Reads a file of certificates.
fn read(file: &File) -> Result<Vec<u8>, Malformed> {
    std::fs::read(file)
        .map_err(|err| Malformed::new(format!("cannot read `{}`: {err}", file.display())))
}

#[cfg(test)]
mod tests {
    use notify_core::problem::Weight;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_a_table_lacks_or_contradicts_is_found_at_its_place() {
        let secret = json!({"env": "KEY"});
        let table = [
            (json!({}), vec![]),
            (
                json!({"ca_file": "/ca.pem", "cert_file": "/a.pem", "key": secret}),
                vec![],
            ),
            (
                json!({"ca_file": "/ca.pem", "insecure_skip_verify": false}),
                vec![],
            ),
            (json!({"insecure_skip_verify": true}), vec![]),
            (
                json!({"ca_file": "ca.pem", "cert_file": "a.pem"}),
                vec![
                    ("ca_file", Code::WRONG_VALUE),
                    ("cert_file", Code::WRONG_VALUE),
                    ("cert_file", Code::MISSING_KEY),
                ],
            ),
            (json!({"key": secret}), vec![("key", Code::MISSING_KEY)]),
            (
                json!({"ca_file": "/ca.pem", "insecure_skip_verify": true}),
                vec![("insecure_skip_verify", Code::WRONG_VALUE)],
            ),
        ];
        for (section, expected) in table {
            let problems = table_of(&section).validate().err().unwrap_or_default();
            let seen: Vec<_> = problems
                .iter()
                .map(|problem| (problem.path.to_string(), problem.code))
                .collect();
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(path, code)| (path.to_owned(), code))
                .collect();
            assert_eq!(seen, expected, "{section}");
        }
    }

    #[test]
    fn trust_in_everybody_is_said_and_warned_about() {
        assert!(
            table_of(&json!({"ca_file": "/ca.pem"}))
                .warnings()
                .is_empty()
        );
        let warnings = table_of(&json!({"insecure_skip_verify": true})).warnings();
        let [warning] = warnings.as_slice() else {
            panic!("{warnings:?}");
        };
        assert_eq!(warning.path.to_string(), "insecure_skip_verify");
        assert_eq!(warning.weight, Weight::Warning);
    }

    fn table_of(section: &Value) -> TlsConfig {
        serde_json::from_value(section.clone()).unwrap()
    }
}

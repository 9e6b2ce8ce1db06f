//! The section `[accounts.email.NAME]`.

use std::path::PathBuf;
use std::time::Duration;

use lettre::transport::smtp::authentication::Mechanism;
use notify_core::email::MailHeaders;
use notify_core::time::Span;
use notify_core::{Code, EmailAddress, Path, Problem, Problems, SecretRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::EmailAccount;
use crate::address::{Mailbox, is_full_name};
use crate::server::{Security, Server};

/// The settings of one account, as they stand in files.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "EmailAccount",
    extend(
        "dependentRequired" = {"password": ["username"], "token": ["username"]},
        "dependentSchemas" = {
            "username": {"anyOf": [{"required": ["password"]}, {"required": ["token"]}]},
            "token": {"not": {"required": ["password"]}},
        },
    )
)]
pub struct EmailConfig {
    /// Where mail is handed in.
    smtp: Server,
    /// Who the mail is from.
    from: Mailbox,
    /// Who gets the answers, if not the sender.
    #[serde(default)]
    reply_to: Option<Mailbox>,
    /// Who is told where a notification names nobody.
    #[serde(default)]
    to: Vec<EmailAddress>,
    /// Who logs in; comes with `password` or `token`.
    #[serde(default)]
    #[schemars(extend("pattern" = r"^[^\x00-\x1f\x7f-\x9f]+$"))]
    username: Option<String>,
    /// Where the password is; comes with `username`.
    #[serde(default)]
    password: Option<SecretRef>,
    /// Where an OAuth 2 access token is, for XOAUTH2; read again once it is refused.
    #[serde(default)]
    token: Option<SecretRef>,
    /// How to log in, where the server's offer should not decide.
    #[serde(default)]
    auth: Option<AuthConfig>,
    /// Whom to trust, and the certificate to show.
    #[serde(default)]
    tls: TlsConfig,
    /// The name that is told to the server; this machine's where nothing is said.
    #[serde(default)]
    #[schemars(extend("pattern" = r"^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+$"))]
    hello: Option<String>,
    /// How many connections there are at once.
    #[serde(default = "default_connections")]
    #[schemars(range(min = 1, max = 64))]
    connections: u32,
    /// Further headers of every mail.
    #[serde(default)]
    headers: MailHeaders,
    /// How long one attempt may take in all.
    #[serde(default = "default_timeout")]
    timeout: Span,
    /// How long each step of it may take.
    #[serde(default)]
    timeouts: TimeoutsConfig,
}

const fn default_connections() -> u32 {
    4
}

const fn default_timeout() -> Span {
    Span(Duration::from_mins(2))
}

/// How to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "EmailAuth")]
#[non_exhaustive]
pub enum AuthConfig {
    /// The password, once.
    Plain,
    /// The password, as some old servers want it.
    Login,
    /// The access token.
    Xoauth2,
}

/// Whom to trust, and the certificate to show.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "EmailTls",
    extend("dependentRequired" = {"cert_file": ["key"], "key": ["cert_file"]})
)]
#[non_exhaustive]
pub struct TlsConfig {
    /// The PEM file of the authorities to trust, instead of the system's: an absolute path.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The PEM file of the certificate to show, with those up to its authority: an absolute path.
    #[serde(default)]
    pub cert_file: Option<PathBuf>,
    /// The certificate's private key: PEM, without a passphrase.
    #[serde(default)]
    pub key: Option<SecretRef>,
    /// Whether anybody is taken for the server.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

impl TlsConfig {
    fn is_said(&self) -> bool {
        let files = self.ca_file.is_some() || self.cert_file.is_some();
        files || self.key.is_some() || self.insecure_skip_verify
    }
}

/// How long each step of an attempt may take.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "EmailTimeouts")]
#[non_exhaustive]
pub struct TimeoutsConfig {
    /// Finding the server's name, and connecting to one of its addresses.
    pub connect: Span,
    /// The server's greeting, and its answer to ours.
    pub greeting: Span,
    /// The TLS handshake.
    pub tls: Span,
    /// Each answer of a login.
    pub auth: Span,
    /// The answer to each command, up to DATA.
    pub command: Span,
    /// The answer to the mail: too short a time here is how mails come twice.
    pub message: Span,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        let seconds = |seconds| Span(Duration::from_secs(seconds));
        Self {
            connect: seconds(10),
            greeting: seconds(30),
            tls: seconds(15),
            auth: seconds(30),
            command: seconds(30),
            message: seconds(120),
        }
    }
}

/// How long each step of a dialogue may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) connect: Duration,
    pub(crate) greeting: Duration,
    pub(crate) tls: Duration,
    pub(crate) auth: Duration,
    pub(crate) command: Duration,
    pub(crate) message: Duration,
    /// With less than this left, no mail is begun: its answer would come too late to be heard, and
    /// the mail twice.
    pub(crate) least: Duration,
}

/// Who logs in, and where the password or the token is.
#[derive(Clone, Debug)]
pub(crate) struct LoginConfig {
    pub(crate) username: String,
    pub(crate) secret: SecretRef,
    /// What may be used, the best first. LOGIN is obsolete, and all that some servers have.
    pub(crate) mechanisms: &'static [Mechanism],
}

impl LoginConfig {
    /// Tells whether the secret is an access token.
    pub(crate) fn is_token(&self) -> bool {
        self.mechanisms.contains(&Mechanism::Xoauth2)
    }
}

fn at(key: &str) -> Path {
    Path::root().then(key)
}

fn wrong(path: Path, message: &'static str) -> Problem {
    Problem::new(Code::WRONG_VALUE, path, message)
}

impl EmailConfig {
    /// Checks what the types alone cannot, and reports all of it.
    pub(crate) fn validate(self) -> Result<EmailAccount, Problems> {
        let mut problems = Problems::none();
        let patience = self.patience(&mut problems);
        if !(1..=64).contains(&self.connections) {
            let problem = wrong(at("connections"), "out of bounds");
            problems.push(problem.help("write a number of connections from 1 to 64"));
        }
        if let Some(username) = &self.username
            && (username.is_empty() || username.contains(char::is_control))
        {
            // RFC 4616 2: the parts of AUTH PLAIN are separated by NUL.
            let message = "the user name is empty or holds a control character";
            problems.push(wrong(at("username"), message));
        }
        if self
            .hello
            .as_deref()
            .is_some_and(|name| !is_full_name(name))
        {
            let problem = wrong(at("hello"), "not the full name of a machine");
            problems.push(problem.help("write a name with a dot: `notify.example.com`"));
        }
        let login = self.login(&mut problems);
        if login.is_some() && self.smtp.security == Security::None && !self.smtp.is_loopback() {
            let message = "the login would cross the network unencrypted";
            problems.push(wrong(at("smtp"), message).help(
                "write `smtps://…` or `smtp://…` (STARTTLS); plain text with a login is for this machine only",
            ));
        }
        check_tls(&self.tls, self.smtp.security, &mut problems);
        problems.or_value(EmailAccount {
            server: self.smtp,
            from: self.from,
            reply_to: self.reply_to,
            to: self.to,
            login,
            tls: self.tls,
            hello: self.hello,
            connections: self.connections as usize,
            headers: self.headers,
            patience,
            timeout: self.timeout.0,
        })
    }

    fn patience(&self, problems: &mut Problems) -> Patience {
        let bounds = Duration::from_secs(1)..=Duration::from_mins(10);
        let of = &self.timeouts;
        let of_steps = [
            ("connect", &of.connect),
            ("greeting", &of.greeting),
            ("tls", &of.tls),
            ("auth", &of.auth),
            ("command", &of.command),
            ("message", &of.message),
        ];
        let of_steps = of_steps.map(|(key, span)| (at("timeouts").then(key), span));
        for (path, span) in of_steps.into_iter().chain([(at("timeout"), &self.timeout)]) {
            if !bounds.contains(&span.0) {
                let problem = wrong(path, "no sensible time limit");
                problems.push(problem.help("write a duration from `1s` to `10m`"));
            }
        }
        Patience {
            connect: of.connect.0,
            greeting: of.greeting.0,
            tls: of.tls.0,
            auth: of.auth.0,
            command: of.command.0,
            message: of.message.0,
            least: of.message.0.min(self.timeout.0) / 4,
        }
    }

    fn login(&self, problems: &mut Problems) -> Option<LoginConfig> {
        let (secret, key) = match (&self.password, &self.token) {
            (Some(_), Some(_)) => {
                let problem = wrong(at("token"), "there are a password and a token").at_key();
                problems.push(problem.help("keep one of `password` and `token`"));
                return None;
            }
            (Some(secret), None) => (secret, "password"),
            (None, Some(secret)) => (secret, "token"),
            (None, None) => {
                if self.username.is_some() {
                    problems.push(lone("username", "`password` or `token`"));
                }
                if self.auth.is_some() {
                    let problem = wrong(at("auth"), "nobody logs in").at_key();
                    problems.push(problem.help("write `username`, and `password` or `token`"));
                }
                return None;
            }
        };
        let mechanisms: &[Mechanism] = match (self.auth, key) {
            (None, "password") => &[Mechanism::Plain, Mechanism::Login],
            (Some(AuthConfig::Plain), "password") => &[Mechanism::Plain],
            (Some(AuthConfig::Login), "password") => &[Mechanism::Login],
            (None | Some(AuthConfig::Xoauth2), "token") => &[Mechanism::Xoauth2],
            (Some(AuthConfig::Xoauth2), _) => {
                let problem = wrong(at("auth"), "XOAUTH2 takes a token, not a password");
                problems.push(problem.help("write `token` instead of `password`"));
                return None;
            }
            _ => {
                let problem = wrong(at("auth"), "a token goes by XOAUTH2");
                problems.push(problem.help("write `auth = \"xoauth2\"`, or leave it out"));
                return None;
            }
        };
        let Some(username) = &self.username else {
            problems.push(lone(key, "`username`"));
            return None;
        };
        Some(LoginConfig {
            username: username.clone(),
            secret: secret.clone(),
            mechanisms,
        })
    }
}

fn check_tls(tls: &TlsConfig, security: Security, problems: &mut Problems) {
    if tls.is_said() && security == Security::None {
        let problem = wrong(at("tls"), "there is no TLS with `smtp+plaintext://`").at_key();
        problems.push(problem.help("write `smtps://…` or `smtp://…` (STARTTLS)"));
    }
    for (key, file) in [("ca_file", &tls.ca_file), ("cert_file", &tls.cert_file)] {
        if file.as_ref().is_some_and(|file| !file.is_absolute()) {
            let problem = wrong(at("tls").then(key), "not an absolute path");
            problems.push(problem.help("begin it with `/`"));
        }
    }
    let (there, missing) = match (&tls.cert_file, &tls.key) {
        (Some(_), None) => ("cert_file", "key"),
        (None, Some(_)) => ("key", "cert_file"),
        _ => ("", ""),
    };
    if !missing.is_empty() {
        let problem = Problem::new(
            Code::MISSING_KEY,
            at("tls").then(there),
            format!("`{missing}` is missing"),
        );
        problems.push(problem.help("`cert_file` and `key` come together").at_key());
    }
    if tls.insecure_skip_verify && tls.ca_file.is_some() {
        let problem = wrong(at("tls").then("ca_file"), "nobody looks at it").at_key();
        problems.push(problem.help("remove `insecure_skip_verify`: this file is the better way"));
    }
}

/// States that one of keys that belong together stands alone.
fn lone(there: &'static str, missing: &str) -> Problem {
    let message = format!("{missing} is missing");
    Problem::new(Code::MISSING_KEY, at(there), message)
        .help("`username` comes with `password` or with `token`")
        .at_key()
}

#[cfg(test)]
mod tests;

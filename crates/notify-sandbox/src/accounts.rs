//! The secrets the sandbox issues, and the account sections that lead a configuration here.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::pagerduty::PagerDuty;
use crate::slack::Slack;
use crate::smtp::{self, Smtp};

const TIMEOUT: &str = "timeout = \"5s\"\n";

/// One recipient that a workflow names, for [`Sandbox::accounts_toml`](crate::Sandbox::accounts_toml).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The kind of account, such as `slack`.
    pub kind: String,
    /// The name of the account, `default` where none is named.
    pub account: String,
    /// The recipient as written, for PagerDuty the name of the service; empty where a notification
    /// leaves it to the account, which then names one.
    pub recipient: String,
}

/// Whom an account of Slack, PagerDuty and e-mail names where nobody is named.
const CHANNEL: &str = "#sandbox";
const SERVICE: &str = "sandbox";
const MAILBOX: &str = "sandbox@sandbox.example";

/// Says whom an account of this kind names where nobody is named.
fn default_recipient(kind: &str) -> String {
    match kind {
        "slack" => format!("channel = {}\n", quoted(CHANNEL)),
        "pagerduty" => format!("service = {}\n", quoted(SERVICE)),
        _ => format!("to = [{}]\n", quoted(MAILBOX)),
    }
}

/// Where the services listen and where their secrets are.
#[derive(Debug)]
pub(crate) struct Accounts {
    dir: PathBuf,
    slack: SocketAddr,
    pagerduty: SocketAddr,
    email: SocketAddr,
    services: Arc<PagerDuty>,
}

impl Accounts {
    /// Writes the secrets of Slack and e-mail into `dir`.
    pub(crate) fn try_new(
        dir: &Path,
        (slack_address, slack): (SocketAddr, &Slack),
        (pagerduty_address, pagerduty): (SocketAddr, &Arc<PagerDuty>),
        (email_address, email): (SocketAddr, &Smtp),
    ) -> io::Result<Self> {
        // The configuration that points here may be read from another working directory.
        let dir = std::path::absolute(dir)?;
        fs::create_dir_all(&dir)?;
        write_secret(&dir.join("slack_token"), slack.token())?;
        write_secret(&dir.join("slack_token_chat_write"), slack.writer_token())?;
        let webhook_url = format!("http://{slack_address}{}", slack.webhook_path());
        write_secret(&dir.join("slack_webhook_url"), &webhook_url)?;
        write_secret(&dir.join("smtp_password"), email.password())?;
        Ok(Self {
            dir,
            slack: slack_address,
            pagerduty: pagerduty_address,
            email: email_address,
            services: Arc::clone(pagerduty),
        })
    }

    pub(crate) fn toml(&self, uses: &[Use]) -> io::Result<String> {
        let mut toml = String::new();
        let mut written = BTreeSet::new();
        let mut kinds = BTreeSet::new();
        for Use { kind, account, .. } in uses {
            let section = match kind.as_str() {
                "slack" => self.slack_section()?,
                "email" => self.email_section()?,
                "pagerduty" => format!("base_url = \"http://{}\"\n{TIMEOUT}", self.pagerduty),
                _ => continue,
            };
            if !written.insert((kind, account)) {
                continue;
            }
            if !toml.is_empty() {
                toml.push('\n');
            }
            let path = format!("accounts.{kind}.{}", key(account));
            toml.extend(["[", &path, "]\n"]);
            if kinds.insert(kind) {
                toml.push_str("default = true\n");
            }
            toml.push_str(&section);
            let of_account = |used: &&Use| used.kind == *kind && used.account == *account;
            let mut of_account = uses.iter().filter(of_account);
            if of_account.any(|used| used.recipient.is_empty()) {
                toml.push_str(&default_recipient(kind));
            }
            if kind == "pagerduty" {
                toml.extend(["[", &path, ".services]\n"]);
                toml.push_str(&self.service_lines(uses, account)?);
            }
        }
        Ok(toml)
    }

    fn slack_section(&self) -> io::Result<String> {
        let token = self.secret("slack_token")?;
        Ok(format!(
            "token = {token}\nbase_url = \"http://{}/api/\"\n{TIMEOUT}",
            self.slack
        ))
    }

    fn email_section(&self) -> io::Result<String> {
        let password = self.secret("smtp_password")?;
        Ok(format!(
            "smtp = \"smtp+plaintext://{}\"\n\
             from = \"Workflows <workflows@sandbox.example>\"\n\
             username = {}\npassword = {password}\n{TIMEOUT}",
            self.email,
            quoted(smtp::USERNAME),
        ))
    }

    /// One line per service that the account is used for, each with its issued routing key.
    fn service_lines(&self, uses: &[Use], account: &str) -> io::Result<String> {
        let mut lines = String::new();
        let mut known = BTreeSet::new();
        for used in uses {
            let service = match used.recipient.as_str() {
                "" => SERVICE,
                service => service,
            };
            // An address is a PagerDuty service reached by mail; it has no routing key.
            if used.kind != "pagerduty"
                || used.account != account
                || service.contains('@')
                || !known.insert(service)
            {
                continue;
            }
            let file = format!("pagerduty_{}", file_name(service));
            write_secret(&self.dir.join(&file), &self.services.routing_key(service))?;
            lines.extend([&quoted(service), " = ", &self.secret(&file)?, "\n"]);
        }
        Ok(lines)
    }

    fn secret(&self, file: &str) -> io::Result<String> {
        let path = self.dir.join(file);
        let path = path.to_str().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the path of the secrets is not UTF-8",
            )
        })?;
        Ok(format!("{{ file = {} }}", quoted(path)))
    }
}

/// Random lower-case hexadecimal digits.
///
/// Good enough for secrets that open nothing but this sandbox on this machine.
pub(crate) fn random_hex(digits: usize) -> String {
    let mut hex = String::new();
    while hex.len() < digits {
        // Every `RandomState` of a process has other keys, seeded by the operating system;
        // writing to a string cannot fail.
        let _ = write!(hex, "{:016x}", RandomState::new().build_hasher().finish());
    }
    hex.truncate(digits);
    hex
}

/// A 64-bit FNV-1a hash: stable ids for names, the same in every run.
pub(crate) fn stable_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Replaces the file, so that neither an old mode nor a link at its place has a say.
fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(secret.as_bytes())
}

/// A file name of harmless characters, different for different services.
fn file_name(service: &str) -> String {
    let is_safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !service.is_empty() && service.len() <= 64 && service.chars().all(is_safe) {
        return service.to_owned();
    }
    let safe: String = service
        .chars()
        .take(48)
        .map(|c| {
            if is_safe(c.to_ascii_lowercase()) {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("{safe}.{:016x}", stable_hash(service))
}

/// A TOML key: bare where TOML allows it.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_keys_are_quoted_for_toml() {
        assert_eq!(quoted("a\"b\\c\n\u{7f}ä"), r#""a\"b\\c\u000A\u007Fä""#);
        assert_eq!(key("prod-1_x"), "prod-1_x");
        assert_eq!(key("a.b"), "\"a.b\"");
        assert_eq!(key(""), "\"\"");
    }

    #[test]
    fn file_names_are_safe_and_distinct() {
        assert_eq!(file_name("data-platform"), "data-platform");
        let names = [
            "../../etc/passwd",
            "Data Platform",
            "data platform",
            "",
            "ä",
        ]
        .map(file_name);
        for name in &names {
            assert!(!name.contains('/') && name.is_ascii(), "{name}");
        }
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn random_secrets_have_the_asked_length_and_differ() {
        assert_eq!(random_hex(32).len(), 32);
        assert_ne!(random_hex(32), random_hex(32));
    }
}

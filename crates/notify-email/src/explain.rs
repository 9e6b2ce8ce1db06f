//! What to do about the outcomes that mail servers are known for.

use notify_core::Outcome;

use crate::account::EmailAccount;

/// Says in words what to do.
pub(crate) fn explain(account: &EmailAccount, outcome: &Outcome) -> Option<String> {
    let (Outcome::NotDelivered { detail, .. }
    | Outcome::Rejected { detail, .. }
    | Outcome::Unknown { detail, .. }) = outcome
    else {
        return None;
    };
    let said = detail.to_ascii_lowercase();
    let (code, status) = answer(&said);
    let is = |codes: &[&str]| codes.iter().any(|one| *one == code || *one == status);
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let logs_in = account.login.as_ref();
    let host = &account.server.host;
    Some(if has(&["does not offer starttls"]) {
        format!(
            "{host}:{} has no STARTTLS. Where it speaks TLS from the first byte, write `smtps://{host}` \
             (port 465); submission with STARTTLS is mostly on port 587.",
            account.server.port
        )
    } else if has(&["must issue a starttls"]) {
        "The server wants TLS first: write `smtp://…` (STARTTLS) or `smtps://…`.".to_owned()
    } else if has(&["certificate is not trusted"]) {
        format!(
            "Name the authority that signed the certificate with `tls.ca_file`; where the certificate \
             is for another name than `{host}`, write that name in `smtp`."
        )
    } else if has(&[
        "fatal alert: certificate",
        "fatal alert: unknownca",
        "fatal alert: badcertificate",
    ]) {
        "The server wants a certificate of ours that it trusts: see `tls.cert_file` and `tls.key`."
            .to_owned()
    } else if has(&["does not speak tls here"]) {
        "`smtps://` is for port 465, `smtp://` (STARTTLS) for 587 and 25: see that scheme and port fit."
            .to_owned()
    } else if is(&["5.7.30"])
        || has(&[
            "basic authentication is disabled",
            "basic authentication is not",
        ])
    {
        "Microsoft 365 takes no password any more: register an application, grant it `SMTP.SendAsApp`, and \
         write `token` instead of `password`."
            .to_owned()
    } else if is(&["5.7.139"]) || has(&["smtpclientauthentication is disabled"]) {
        "Authenticated SMTP is off for this mailbox or tenant: \
         `Set-CASMailbox USER -SmtpClientAuthenticationDisabled $false`."
            .to_owned()
    } else if is(&["534", "5.7.9"]) || has(&["application-specific password"]) {
        "The provider wants a password made for this program (an app password), not the user's own."
            .to_owned()
    } else if is(&["535", "5.7.8"]) || has(&["refuses the access token"]) {
        match logs_in {
            Some(login) if login.is_token() => {
                "The token is refused: see that it is for this mailbox, not expired, and of the scope \
                 for SMTP. It was read again once."
                    .to_owned()
            }
            _ => "User name or password is wrong, or the server wants a password made for programs."
                .to_owned(),
        }
    } else if is(&["5.7.60"])
        || has(&[
            "send as",
            "sendasdenied",
            "not owned by user",
            "sender address rejected",
        ])
    {
        format!(
            "The login may not send as `{}`: change `from`, or allow it on the server.",
            account.from.address()
        )
    } else if is_relay_refusal(code, status) && has(&["relay"]) {
        if logs_in.is_some() {
            "The server does not carry this login's mail to that domain: see what it may send, and to \
             whom."
                .to_owned()
        } else {
            "The server carries mail to other domains only for those who log in or whom it knows: add \
             `username` and `password`, or add this machine's address to its list."
                .to_owned()
        }
    } else if is(&["530"]) || has(&["authentication required", "does not offer auth"]) {
        if logs_in.is_some() {
            "The server offers no login that fits: see the port, `auth`, and whether TLS comes first."
                .to_owned()
        } else {
            "The server wants a login: add `username`, and `password` or `token`.".to_owned()
        }
    } else if is(&["5.7.26"]) || has(&["unauthenticated sender", "unauthenticated email"]) {
        format!(
            "The recipient's server wants proof that `{}` sends this: publish SPF and DKIM for it.",
            account.from.address().domain()
        )
    } else if has(&["name does not exist"]) {
        format!("There is no `{host}` in DNS as this machine sees it: see `smtp`.")
    } else if has(&["smtputf8"]) {
        "Write an address that is ASCII before its `@`, or use a server with SMTPUTF8.".to_owned()
    } else {
        return None;
    })
}

/// Reads reply code and enhanced status code out of a detail, `at RCPT TO: 550 5.1.1 No such user`.
///
/// Anywhere else such numbers are those of machines, mails and seconds.
fn answer(detail: &str) -> (&str, &str) {
    let (_, said) = detail.split_once(": ").unwrap_or_default();
    let mut words = said.split(' ');
    let mut next = || words.next().unwrap_or_default();
    (next(), next())
}

/// Tells whether a reply may be about carrying mail to others: `5.1.1` is about a recipient, however
/// the server calls its tables.
fn is_relay_refusal(code: &str, status: &str) -> bool {
    let has_status = status.starts_with("5.");
    code.starts_with('5') && (!has_status || status.starts_with("5.7."))
}

#[cfg(test)]
mod tests {
    use notify_core::{Cause, Reason};
    use serde_json::json;

    use super::*;
    use crate::config::EmailConfig;

    #[test]
    fn the_usual_refusals_are_explained_and_others_are_not() {
        let section = json!({"smtp": "smtp://mail.example.com", "from": "ops@example.com"});
        let config: EmailConfig = serde_json::from_value(section).unwrap();
        let account = config.validate().unwrap();
        let table = [
            (
                "at AUTH: 535 5.7.8 Username and Password not accepted",
                "wrong",
            ),
            (
                "at MAIL FROM: 530 5.7.0 Authentication required",
                "wants a login",
            ),
            (
                "at AUTH: 550 5.7.30 Basic authentication is not supported",
                "`token`",
            ),
            (
                "at STARTTLS: the server does not offer STARTTLS, which `smtp://` requires",
                "`smtps://mail.example.com`",
            ),
            (
                "in the TLS handshake: the server's certificate is not trusted: invalid peer certificate",
                "`tls.ca_file`",
            ),
            ("at RCPT TO: 550 5.7.1 Relaying denied", "log in"),
            ("at RCPT TO: 550 5.7.1 Unable to relay", "log in"),
            ("at RCPT TO: 550 relay not permitted", "log in"),
            (
                "at AUTH: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled",
                "Set-CASMailbox",
            ),
            (
                "at AUTH: 534 5.7.9 Application-specific password required",
                "app password",
            ),
        ];
        for (detail, expected) in table {
            let outcome = Outcome::rejected(Reason::Config, detail);
            let words = explain(&account, &outcome).unwrap();
            assert!(words.contains(expected), "{detail}: {words}");
        }
        for outcome in [
            Outcome::not_delivered(Cause::Unavailable, "at MAIL FROM: 451 4.3.0 Local error"),
            Outcome::rejected(Reason::Destination, "at RCPT TO: 550 5.1.1 No such user"),
            // Numbers and names that are of something else.
            Outcome::not_delivered(
                Cause::Unavailable,
                "at RCPT TO: 450 4.7.1 Greylisted, try again in 535 seconds",
            ),
            Outcome::not_delivered(
                Cause::Unavailable,
                "on connecting: 421 4.3.2 relay530.example.com is busy",
            ),
            Outcome::rejected(
                Reason::Destination,
                "at RCPT TO: 550 5.1.1 User unknown in relay recipient table",
            ),
        ] {
            assert_eq!(explain(&account, &outcome), None);
        }
    }
}

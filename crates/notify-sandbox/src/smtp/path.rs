//! The addresses in `MAIL` and `RCPT`.

/// The address of `FROM:<address> PARAMETERS` and the parameters.
pub(super) fn path<'a>(argument: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (start, rest) = argument.split_at_checked(keyword.len())?;
    if !start.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let rest = rest.trim_start().strip_prefix('<')?;
    // A quoted local part may contain the closing bracket.
    let mut is_quoted = false;
    let mut is_escaped = false;
    let end = rest.find(|c| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '>' => return !is_quoted,
            _ => {}
        }
        false
    })?;
    let (address, parameters) = rest.split_at(end);
    let parameters = parameters.strip_prefix('>')?;
    (parameters.is_empty() || parameters.starts_with(' ')).then(|| (address, parameters.trim()))
}

/// Whether a text has the form of a mail address.
pub(super) fn is_address(address: &str) -> bool {
    // 256 with its brackets: RFC 5321 section 4.5.3.1.3.
    address.len() <= 254
        && !address.contains(char::is_control)
        && address.rsplit_once('@').is_some_and(|(local, domain)| {
            (1..=64).contains(&local.len())
                && !domain.is_empty()
                && (local.starts_with('"') || !local.contains([' ', '@', '<', '>', ',', ';', '"']))
                && !domain.contains([' ', '@', '<', '>', ',', ';', '"'])
                && domain.split('.').all(|label| !label.is_empty())
        })
}

/// The reply to a recipient whose address asks for it: `ops+550@example.com`.
pub(super) fn asked_refusal(recipient: &str) -> Option<String> {
    let (local, _) = recipient.rsplit_once('@')?;
    let (_, code) = local.rsplit_once('+')?;
    let enhanced = match code {
        "450" => "4.2.1 Mailbox busy",
        "451" => "4.7.1 Try again later",
        "452" => "4.5.3 Too many recipients",
        "550" => "5.1.1 No such mailbox",
        "552" => "5.2.2 Mailbox full",
        "554" => "5.7.1 Delivery not authorised",
        _ => return None,
    };
    Some(format!("{code} {enhanced}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_with_quotes_and_parameters() {
        for (argument, expected) in [
            ("FROM:<a@b.c>", Some(("a@b.c", ""))),
            (
                "from: <a@b.c> SIZE=1 SMTPUTF8",
                Some(("a@b.c", "SIZE=1 SMTPUTF8")),
            ),
            ("FROM:<>", Some(("", ""))),
            ("FROM:<\"a>b\"@c.d> X", Some(("\"a>b\"@c.d", "X"))),
            ("FROM:a@b.c", None),
            ("FROM:<a@b.c", None),
            ("FROM:<a@b.c>X", None),
            ("FRÖM:<a@b.c>", None),
            ("", None),
        ] {
            assert_eq!(path(argument, "FROM:"), expected, "{argument}");
        }
    }

    #[test]
    fn addresses_are_told_from_rubbish() {
        for good in ["a@b", "a.b+c@d.example", "\"a b\"@c.example", "ä@ö.example"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "", "a", "@b", "a@", "a b@c", "a@b..c", "a@b c", "a@b,c@d", "<a@b",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}

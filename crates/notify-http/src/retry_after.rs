//! `Retry-After`, in both forms of RFC 9110, section 10.2.3.

use std::time::Duration;

use notify_core::Timestamp;

/// The longest wait that is obeyed; a vendor that asks for more is asked again after it.
const MAX_WAIT: Duration = Duration::from_hours(1);

/// Reads the header's value: whole seconds, or a date that is compared with `now`.
///
/// Anything else counts as no value. No wait is longer than an hour.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a very long wait, not a malformed one.
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_WAIT));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let date = Timestamp::from_micros(date.as_microsecond());
    Some(date.since(now).min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_waits_of_at_most_an_hour() {
        let now = "2026-11-20T23:57:46Z".parse().unwrap();
        let table = [
            ("0", Some(0)),
            ("17", Some(17)),
            (" 17 ", Some(17)),
            ("3601", Some(3_600)),
            ("99999999999999999999999", Some(3_600)),
            ("Fri, 20 Nov 2026 23:58:16 GMT", Some(30)),
            ("Fri, 20 Nov 2026 23:57:00 GMT", Some(0)),
            ("Sat, 21 Nov 2026 23:57:00 GMT", Some(3_600)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ];
        for (value, expected) in table {
            let wait = retry_after(value, now);
            assert_eq!(wait, expected.map(Duration::from_secs), "{value:?}");
        }
    }
}

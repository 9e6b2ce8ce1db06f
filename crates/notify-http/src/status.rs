//! From an HTTP status to an outcome, where the vendor's own table says nothing else.

use std::time::Duration;

use notify_core::outcome::clean;
use notify_core::{Cause, Outcome, Reason, Scope};

/// Classes an answer by its status alone; `excerpt` is what of its body is worth keeping.
///
/// A success is no failure and still has no place here: an answer with a status that the caller
/// did not expect is not the vendor's protocol, so it is unknown what became of the request.
pub fn status_outcome(status: u16, retry_after: Option<Duration>, excerpt: &str) -> Outcome {
    let detail = match excerpt {
        "" => format!("HTTP {status}"),
        excerpt => format!("HTTP {status}: {excerpt}"),
    };
    let rejected = |reason| Outcome::rejected(reason, &detail);
    match status {
        429 => Outcome::throttled(&detail, retry_after, Scope::Lane),
        // Strictly, a 5xx leaves open what was done; every vendor here says to repeat it.
        408 | 500..=599 => Outcome::NotDelivered {
            cause: Cause::Unavailable,
            detail: clean(&detail),
            retry_after,
            scope: Scope::Lane,
        },
        // No redirect is followed: it would carry the secret to wherever the answer says.
        300..=399 => rejected(Reason::Config),
        401 | 403 => rejected(Reason::Auth),
        404 | 410 => rejected(Reason::Destination),
        // A proxy that wants credentials.
        407 => rejected(Reason::Config),
        400..=499 => rejected(Reason::Payload),
        _ => Outcome::unknown(Cause::Protocol, &detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_class() {
        let table = [
            (429, "not_delivered throttled"),
            (408, "not_delivered unavailable"),
            (500, "not_delivered unavailable"),
            (502, "not_delivered unavailable"),
            (503, "not_delivered unavailable"),
            (599, "not_delivered unavailable"),
            (301, "rejected config"),
            (302, "rejected config"),
            (307, "rejected config"),
            (407, "rejected config"),
            (401, "rejected auth"),
            (403, "rejected auth"),
            (404, "rejected destination"),
            (410, "rejected destination"),
            (400, "rejected payload"),
            (405, "rejected payload"),
            (413, "rejected payload"),
            (422, "rejected payload"),
            (200, "unknown protocol"),
            (204, "unknown protocol"),
            (101, "unknown protocol"),
            (999, "unknown protocol"),
        ];
        for (status, expected) in table {
            let outcome = status_outcome(status, None, "");
            let class = match &outcome {
                Outcome::NotDelivered { cause, .. } | Outcome::Unknown { cause, .. } => {
                    cause.name()
                }
                Outcome::Rejected { reason, .. } => reason.name(),
                _ => "",
            };
            assert_eq!(format!("{} {class}", outcome.name()), expected, "{status}");
        }
    }

    #[test]
    fn the_wait_and_the_words_of_the_answer_are_kept() {
        let wait = Some(Duration::from_secs(7));
        for status in [429, 503] {
            let outcome = status_outcome(status, wait, "<h1>busy\r\n</h1>");
            let Outcome::NotDelivered {
                retry_after,
                detail,
                ..
            } = outcome
            else {
                panic!("{outcome:?}");
            };
            assert_eq!(retry_after, wait);
            assert_eq!(detail, format!("HTTP {status}: <h1>busy </h1>"));
        }
    }
}

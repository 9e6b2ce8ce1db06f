//! What an endpoint's answers mean. Pure.

use notify_core::outcome::clean;
use notify_core::{Cause, DeliveryId, Outcome, Reason, Receipt, Scope};
use notify_http::Response;

/// The most characters of a success that are kept.
const MAX_WORDS: usize = 200;

/// Reads an answer; `named` tells whether the address is one of the account's endpoints.
///
/// An endpoint's trouble concerns its own lane: the account's others may be well.
pub(crate) fn answer(response: &Response, id: DeliveryId, named: bool) -> Outcome {
    let status = response.status;
    if (200..300).contains(&status) {
        return Outcome::Delivered(receipt(response, id));
    }
    let pauses = |why: &str| {
        let detail = format!("{} ({why})", detail(response));
        Outcome::rejected(Reason::Config, detail).in_lane()
    };
    match status {
        // Standard Webhooks: the receiver is gone and wants no more.
        410 => pauses("the receiver wants no more"),
        300..=399 => pauses("a redirect is not followed"),
        404 if named => pauses("the endpoint's address leads to nothing"),
        405 => pauses("the endpoint takes another method"),
        415 => pauses("the endpoint takes another body"),
        // RFC 9110 and RFC 8470: the same request may be sent again.
        421 | 425 => Outcome::NotDelivered {
            cause: Cause::Unavailable,
            detail: clean(&detail(response)),
            retry_after: response.retry_after,
            scope: Scope::Lane,
        },
        _ => response.outcome().in_lane(),
    }
}

fn detail(response: &Response) -> String {
    let said = response.excerpt();
    let separator = if said.is_empty() { "" } else { ": " };
    format!("HTTP {}{separator}{said}", response.status)
}

fn receipt(response: &Response, id: DeliveryId) -> Receipt {
    let receipt = Receipt::new(id.to_string()).fact("status", response.status.to_string());
    let said = response.excerpt();
    match said.char_indices().nth(MAX_WORDS) {
        _ if said.is_empty() => receipt,
        Some((end, _)) => {
            let words = said.get(..end).unwrap_or_default();
            receipt.fact("answer", format!("{words}…"))
        }
        None => receipt.fact("answer", said),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ID: &str = "ntf_00000000000000000000000000000007";

    fn outcome(status: u16, wait: Option<u64>, body: &str, named: bool) -> Outcome {
        let response = Response::new(status, wait.map(Duration::from_secs), body);
        answer(&response, ID.parse().unwrap(), named)
    }

    #[test]
    fn every_answer_has_its_outcome() {
        let table = [
            (200, "delivered"),
            (201, "delivered"),
            (202, "delivered"),
            (204, "delivered"),
            (299, "delivered"),
            (301, "rejected config lane"),
            (302, "rejected config lane"),
            (304, "rejected config lane"),
            (307, "rejected config lane"),
            (308, "rejected config lane"),
            (400, "rejected payload lane"),
            (401, "rejected auth lane"),
            (403, "rejected auth lane"),
            (404, "rejected config lane"),
            (405, "rejected config lane"),
            (407, "rejected config lane"),
            (408, "not_delivered unavailable"),
            (409, "rejected payload lane"),
            (410, "rejected config lane"),
            (413, "rejected payload lane"),
            (415, "rejected config lane"),
            (421, "not_delivered unavailable"),
            (422, "rejected payload lane"),
            (425, "not_delivered unavailable"),
            (429, "not_delivered throttled"),
            (500, "not_delivered unavailable"),
            (501, "not_delivered unavailable"),
            (502, "not_delivered unavailable"),
            (503, "not_delivered unavailable"),
            (504, "not_delivered unavailable"),
            (101, "unknown protocol"),
            (600, "unknown protocol"),
        ];
        for (status, expected) in table {
            let outcome = outcome(status, None, "", true);
            let seen = match &outcome {
                Outcome::Delivered(_) => outcome.name().to_owned(),
                Outcome::Rejected { reason, scope, .. } => {
                    assert_eq!(*scope, Scope::Lane);
                    format!("rejected {} lane", reason.name())
                }
                Outcome::NotDelivered { cause, scope, .. } => {
                    assert_eq!(*scope, Scope::Lane);
                    format!("not_delivered {}", cause.name())
                }
                Outcome::Unknown { cause, .. } => format!("unknown {}", cause.name()),
                other => panic!("{other:?}"),
            };
            assert_eq!(seen, expected, "{status}");
        }
    }

    #[test]
    fn an_address_that_nobody_configured_is_given_up_where_nothing_is() {
        let Outcome::Rejected { reason, .. } = outcome(404, None, "", false) else {
            panic!("not rejected");
        };
        assert_eq!(reason, Reason::Destination);
        assert_eq!(outcome(410, None, "", false), outcome(410, None, "", true));
    }

    #[test]
    fn the_wait_of_a_throttled_or_busy_endpoint_is_kept() {
        for status in [421, 425, 429, 503] {
            let Outcome::NotDelivered { retry_after, .. } = outcome(status, Some(7), "", true)
            else {
                panic!("{status}");
            };
            assert_eq!(retry_after, Some(Duration::from_secs(7)), "{status}");
        }
    }

    #[test]
    fn a_receipt_names_the_delivery_and_what_was_answered_in_one_short_line() {
        let Outcome::Delivered(receipt) = outcome(202, None, "queued\r\nas 17\u{1b}[31m", true)
        else {
            panic!("not delivered");
        };
        assert_eq!(
            receipt.to_string(),
            format!("{ID} (answer queued as 17 [31m, status 202)")
        );
        let Outcome::Delivered(receipt) = outcome(200, None, &"é".repeat(9_000), true) else {
            panic!("not delivered");
        };
        assert_eq!(receipt.facts["answer"].chars().count(), MAX_WORDS + 1);
    }

    #[test]
    fn a_refusal_says_what_the_endpoint_said_and_what_it_means() {
        let Outcome::Rejected { detail, .. } = outcome(410, None, "<h1>gone\n</h1>", true) else {
            panic!("not rejected");
        };
        assert_eq!(detail, "HTTP 410: gone (the receiver wants no more)");
    }
}

//! What PagerDuty's answers mean. Pure.

use std::time::Duration;

use notify_core::{Outcome, Reason, Receipt, Scope};
use notify_http::Response;
use serde_json::Value;

/// The wait after a 429, for which PagerDuty documents no `Retry-After`: its limit of about 120
/// calls for a routing key slides over 60 seconds.
const DEFAULT_WAIT: Duration = Duration::from_mins(1);

/// Reads an answer to an event; `known` is what its receipt is called where the answer says nothing.
pub(crate) fn answer(response: &Response, known: &str) -> Outcome {
    let json: Value = serde_json::from_str(&response.body).unwrap_or_default();
    let rejected = |reason| Outcome::rejected(reason, detail(response, &json));
    match response.status {
        // Queued, which is all that PagerDuty ever says.
        202 => {
            let key = json.get("dedup_key").and_then(Value::as_str);
            Outcome::Delivered(Receipt::new(key.unwrap_or(known)))
        }
        // A key belongs to one service; the account's others may be right.
        400 if names_routing_key(&json) => rejected(Reason::Auth).in_lane(),
        400 => rejected(Reason::Payload),
        429 => {
            let wait = response.retry_after.unwrap_or(DEFAULT_WAIT);
            Outcome::throttled(detail(response, &json), Some(wait), Scope::Lane)
        }
        // The only credentials are the key's, which belongs to one service.
        401 | 403 => rejected(Reason::Auth).in_lane(),
        // There is one address, and no recipient in it: another host answered.
        404 | 405 | 410 => rejected(Reason::Config),
        _ => response.outcome(),
    }
}

/// Tells whether the key is at fault: its length, its letters, or that nobody has it.
fn names_routing_key(json: &Value) -> bool {
    errors(json).any(|error| {
        let error = error.to_ascii_lowercase();
        error.contains("routing_key") || error.contains("routing key")
    })
}

fn errors(json: &Value) -> impl Iterator<Item = &str> {
    let list = json.get("errors").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// Puts together what PagerDuty says about a refusal.
fn detail(response: &Response, json: &Value) -> String {
    let said = ["status", "message"]
        .into_iter()
        .filter_map(|key| json.get(key).and_then(Value::as_str));
    let said: Vec<_> = said.chain(errors(json)).collect();
    let said = match said.as_slice() {
        [] => response.excerpt(),
        said => said.join(": "),
    };
    format!("HTTP {}: {said}", response.status)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: &str) {
        let outcome = answer(&Response::new(status, None, body), "k");
        let seen = match &outcome {
            Outcome::Delivered(receipt) => receipt.id.clone(),
            Outcome::NotDelivered {
                cause,
                retry_after: Some(wait),
                ..
            } => format!("{} {}s", cause.name(), wait.as_secs()),
            Outcome::NotDelivered { cause, .. } | Outcome::Unknown { cause, .. } => {
                cause.name().to_owned()
            }
            Outcome::Rejected { reason, .. } => reason.name().to_owned(),
            other => panic!("{other:?}"),
        };
        let seen = format!("{} {seen}", outcome.name());
        assert_eq!(seen, expected, "{status} {body}");
    }

    #[test]
    fn every_answer_has_its_outcome() {
        let key_length = r#"{"status":"invalid event","message":"Event object is invalid",
            "errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}"#;
        let key_unknown = r#"{"errors":["Invalid routing key"]}"#;
        let summary = r#"{"errors":["'summary' is too long (maximum is 1024 characters)"]}"#;
        let table = [
            (
                202,
                r#"{"status":"success","dedup_key":"d"}"#,
                "delivered d",
            ),
            (202, "", "delivered k"),
            (200, "", "unknown protocol"),
            (400, key_length, "rejected auth"),
            (400, key_unknown, "rejected auth"),
            (400, summary, "rejected payload"),
            (400, "", "rejected payload"),
            (401, "", "rejected auth"),
            (403, "", "rejected auth"),
            (404, "", "rejected config"),
            (405, "", "rejected config"),
            (408, "", "not_delivered unavailable"),
            (413, "", "rejected payload"),
            (415, "", "rejected payload"),
            (302, "", "rejected config"),
            (429, "", "not_delivered throttled 60s"),
            (500, "<html>", "not_delivered unavailable"),
            (503, "", "not_delivered unavailable"),
        ];
        for (status, body, expected) in table {
            check(status, body, expected);
        }
    }

    #[test]
    fn what_pagerduty_says_about_a_refusal_is_kept() {
        let body = r#"{"status":"invalid event","message":"Event object is invalid",
            "errors":["'payload.severity' is invalid","'payload.source' is missing or blank"]}"#;
        let expected = Outcome::rejected(
            Reason::Payload,
            "HTTP 400: invalid event: Event object is invalid: 'payload.severity' is invalid: \
             'payload.source' is missing or blank",
        );
        assert_eq!(answer(&Response::new(400, None, body), "k"), expected);
    }

    #[test]
    #[expect(
        clippy::print_stderr,
        reason = "a test that is skipped says so where people look"
    )]
    fn the_vendors_answers_and_those_that_others_saw_have_their_outcome() {
        let Some(golden) = std::env::var_os("NOTIFY_GOLDEN_DIR") else {
            eprintln!("skipped: NOTIFY_GOLDEN_DIR is not set");
            return;
        };
        let folder = Path::new(&golden).join("pagerduty/responses");
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        check(202, &read("202.default.json"), "delivered srv01/HTTP");
        check(400, &read("400.response.json"), "rejected payload");
        let json: Value = serde_json::from_str(&read("observed_errors.json")).unwrap();
        let cases = json["cases"].as_array().unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
            let body = case["body"].to_string();
            let expected = match status {
                429 => "not_delivered throttled 60s",
                _ if body.contains("routing_key") => "rejected auth",
                _ => "rejected payload",
            };
            check(status, &body, expected);
        }
    }
}

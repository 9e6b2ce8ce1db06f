//! What the vendor's answers mean.

use std::time::Duration;

use notify_core::{Cause, Outcome};

use crate::fake::{HttpFake, Reply};
use crate::provider::case::{Held, cases, ensure, miss};
use crate::provider::wire::Scene;

/// What an endless answer may cost before somebody stops reading it.
const READ: usize = 24 * 1024 * 1024;

/// The longest wait that a vendor may impose.
const DAY: Duration = Duration::from_hours(24);

cases! {
    /// Every answer that the vendor documents MUST have the outcome of the provider's table.
    async fn documented_answers_have_their_outcomes(bench) {
        let mut wrong = Vec::new();
        for (index, answer) in bench.documented()?.into_iter().enumerate() {
            let outcome = bench.stage(&Scene::Answers(index))?.deliver().await?;
            if !answer.expected.matches(&outcome) {
                let line = format!("{} → {}, not {outcome:?}", answer.answer, answer.expected);
                wrong.push(line);
            }
        }
        ensure(
            wrong.is_empty(),
            "delivered to a vendor that gives each documented answer",
            "the outcomes that the fixture names",
            || wrong.join("\n            "),
        )
    }

    /// A wait that is named in seconds MUST be in the outcome, and the outcome be `Throttled`.
    async fn wait_in_seconds_is_kept(bench) {
        waits(&bench.stage(&Scene::Throttles("17".to_owned()))?.deliver().await?, "17", 17)
    }

    /// A wait that is named as a date MUST be counted from the context's clock.
    async fn wait_until_a_date_is_kept(bench) {
        let date = "Fri, 20 Nov 2026 23:58:16 GMT";
        let stage = bench.stage(&Scene::Throttles(date.to_owned()))?;
        waits(&stage.deliver().await?, date, 30)
    }

    /// A wait that is absurd or unreadable MUST be bounded by a day, and MUST NOT change the outcome.
    async fn absurd_wait_is_bounded(bench) {
        let absurd = [
            "99999999999999999999999999",
            "31536000",
            "-1",
            "1.5",
            "soon",
            "",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
        ];
        for wait in absurd {
            let outcome = bench.stage(&Scene::Throttles(wait.to_owned()))?.deliver().await?;
            let bounded = match &outcome {
                Outcome::NotDelivered { cause: Cause::Throttled, retry_after, .. } => {
                    retry_after.is_none_or(|wait| wait <= DAY)
                }
                _ => false,
            };
            ensure(
                bounded,
                format!("delivered to a vendor that answers 429 with `Retry-After: {wait}`"),
                "`NotDelivered`, `Throttled`, with no wait or one of at most a day",
                || format!("{outcome:?}"),
            )?;
        }
        Ok(())
    }

    /// A page for people with the status of the server's own trouble MUST be temporary: not `Rejected`, not `Delivered`.
    async fn error_page_is_temporary(bench) {
        let outcome = bench.stage(&Scene::ShowsErrorPage)?.deliver().await?;
        ensure(
            matches!(outcome, Outcome::NotDelivered { .. } | Outcome::Unknown { .. }),
            "delivered to a vendor that answers 502 with an HTML page",
            "`NotDelivered`",
            || format!("{outcome:?}"),
        )
    }

    /// A page for people with the status of a success MUST NOT be `Delivered`: a proxy asks for a login so.
    async fn login_page_is_no_success(bench) {
        let outcome = bench.stage(&Scene::ShowsLoginPage)?.deliver().await?;
        ensure(
            !matches!(outcome, Outcome::Delivered(_)),
            "delivered to a vendor that answers 200 with an HTML page",
            "anything but `Delivered`",
            || format!("{outcome:?}"),
        )
    }

    /// A redirect MUST NOT be followed, and MUST NOT be `Delivered`: what goes along may be secret.
    async fn redirect_is_not_followed(bench) {
        let elsewhere = HttpFake::start([Reply::new(200)]);
        let scene = Scene::Redirects(elsewhere.url("/elsewhere"));
        let outcome = bench.stage(&scene)?.deliver().await?;
        let followed = elsewhere.progress().connections > 0;
        ensure(
            !followed && !matches!(outcome, Outcome::Delivered(_)),
            "delivered to a vendor that answers 302 with another address",
            "an outcome that is not `Delivered`, and no connection to the other address",
            || format!("{outcome:?}, followed: {followed}"),
        )
    }

    /// An answer that is not the protocol's MUST be `Unknown`: the request may have been understood.
    async fn garbage_is_unknown(bench) {
        let outcome = bench.stage(&Scene::Garbles)?.deliver().await?;
        ensure(
            matches!(outcome, Outcome::Unknown { .. }),
            "delivered to a vendor that answers with bytes that are no answer",
            "`Unknown`",
            || format!("{outcome:?}"),
        )
    }

    /// An answer that breaks off MUST be `Unknown`, even where it began as a success.
    async fn broken_answer_is_unknown(bench) {
        let outcome = bench.stage(&Scene::BreaksOff)?.deliver().await?;
        ensure(
            matches!(outcome, Outcome::Unknown { .. }),
            "delivered to a vendor that hangs up within the answer of a success",
            "`Unknown`",
            || format!("{outcome:?}"),
        )
    }

    /// An answer without end MUST NOT be read without end.
    async fn endless_answer_is_not_read_out(bench) {
        let stage = bench.stage(&Scene::NeverStops)?;
        let outcome = stage.deliver().await?;
        let vendor = stage.vendor()?;
        let closed = bench.patiently(vendor.until(&|seen| seen.open == 0)).await;
        let written = vendor.progress().written;
        ensure(
            closed.is_some() && written < READ,
            "delivered to a vendor whose answer has no end",
            "an outcome after a bounded part of it, and the connection closed",
            || format!("{outcome:?} after {written} bytes"),
        )
    }

    /// A detail MUST be one line without control characters, of at most 2 KiB and a bit.
    async fn detail_is_one_bounded_line(bench) {
        let words = format!("no \u{1b}[31m\tgood {}", "and so on ".repeat(400));
        let outcome = bench.stage(&Scene::Refuses(words))?.deliver().await?;
        let (Outcome::NotDelivered { detail, .. }
        | Outcome::Rejected { detail, .. }
        | Outcome::Unknown { detail, .. }) = &outcome
        else {
            return Err(miss(
                "delivered to a vendor that refuses",
                "anything but `Delivered`",
                format!("{outcome:?}"),
            ));
        };
        ensure(
            detail.len() <= 2_100 && !detail.contains(char::is_control),
            "delivered to a vendor that refuses in 4000 words with control characters",
            "a detail of at most 2 KiB on one line",
            || format!("{} bytes: {detail:?}", detail.len()),
        )
    }
}

fn waits(outcome: &Outcome, header: &str, seconds: u64) -> Held {
    let wait = match outcome {
        Outcome::NotDelivered {
            cause: Cause::Throttled,
            retry_after,
            ..
        } => *retry_after,
        _ => None,
    };
    ensure(
        wait == Some(Duration::from_secs(seconds)),
        format!("delivered to a vendor that answers 429 with `Retry-After: {header}`"),
        format!("`NotDelivered`, `Throttled`, with a wait of {seconds}s"),
        || format!("{outcome:?}"),
    )
}

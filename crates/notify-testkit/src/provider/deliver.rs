//! One attempt and its outcomes.

use notify_core::{DeliveryContext, Outcome, Reconciled};

use crate::fake::Request;
use crate::provider::bench::{MARK, message};
use crate::provider::case::{Held, Stop, cases, ensure, miss, skip};
use crate::provider::payload::HOSTILE;
use crate::provider::wire::Scene;

cases! {
    /// What the vendor took MUST be `Delivered`.
    async fn success_is_delivered(bench) {
        let outcome = bench.stage(&Scene::Takes)?.deliver().await?;
        ensure(
            matches!(outcome, Outcome::Delivered(_)),
            "delivered to a vendor that answers as the fixture's success does",
            "`Delivered`",
            || format!("{outcome:?}"),
        )
    }

    /// A receipt MUST name what was delivered, in at most 1 KiB on one line.
    async fn receipt_can_be_stored(bench) {
        let outcome = bench.stage(&Scene::Takes)?.deliver().await?;
        let Outcome::Delivered(receipt) = outcome else {
            // Another case tells of it.
            return Ok(());
        };
        let line = |text: &str| text.len() <= 1_024 && !text.contains(char::is_control);
        let facts = receipt.facts.iter().all(|(name, fact)| line(name) && line(fact));
        ensure(
            !receipt.id.is_empty() && line(&receipt.id) && facts,
            "delivered to a vendor that takes it, and looked at the receipt",
            "an id, and facts, of at most 1 KiB without a control character",
            || format!("{receipt:?}"),
        )
    }

    /// A delivery MUST go to its own recipient, alone and in a batch.
    async fn delivery_goes_to_its_recipient(bench) {
        let Some(named) = &bench.fixture().recipient else {
            return Err(skip("the fixture does not say how a request tells whom it is for"));
        };
        let notification = bench.notification()?;
        let [first, second, ..] = notification.recipients() else {
            let did = "looked for two recipients in the fixture's notification";
            return Err(miss(did, "two, as there is a `.recipient(…)`", "one"));
        };
        let deliveries = [(first, "alpha"), (second, "bravo")];
        let mut told = Vec::new();
        for (to, mark) in deliveries {
            let stage = bench.stage(&Scene::Takes)?;
            stage.attempt(&[stage.prepared_to(to, 1, &message(mark))?]).await?;
            let requests = stage.vendor()?.requests();
            let did = format!("delivered to {to:?}, and looked in the request whom it is for");
            let name = requests.last().and_then(named);
            told.push(name.ok_or_else(|| miss(did, "a recipient", format!("none in {requests:?}")))?);
        }
        ensure(
            told[0] != told[1] && told[0] != second.as_str() && told[1] != first.as_str(),
            format!("delivered to {first:?}, and to {second:?}"),
            "a request for each of them",
            || format!("requests for {told:?}"),
        )?;
        let stage = bench.stage(&Scene::Takes)?;
        let mut batch = Vec::new();
        for (number, (to, mark)) in deliveries.into_iter().enumerate() {
            batch.push(stage.prepared_to(to, number as u128, &message(mark))?);
        }
        stage.attempt(&batch).await?;
        for request in stage.vendor()?.requests() {
            // A look-up has neither headline, and a request for many has both.
            let is_of = deliveries.map(|(_, mark)| request.text().contains(mark));
            let own = match is_of {
                [true, false] => &told[0],
                [false, true] => &told[1],
                _ => continue,
            };
            ensure(
                named(&request).as_ref() == Some(own),
                format!("delivered to {first:?} and {second:?} in one batch"),
                format!("the request for `{own}` with the headline of its own delivery"),
                || format!("{request:?}"),
            )?;
        }
        Ok(())
    }

    /// A batch MUST have one outcome for each delivery.
    async fn batch_has_an_outcome_for_each(bench) {
        let stage = match bench.wire() {
            Ok(_) => bench.stage(&Scene::Takes)?,
            Err(_) => bench.offstage()?,
        };
        for size in [1, 3] {
            let mut batch = Vec::new();
            for number in 0..size {
                batch.push(stage.prepared(number, &message(MARK))?);
            }
            let outcomes = stage.attempt(&batch).await?.outcomes;
            ensure(
                outcomes.len() == batch.len(),
                format!("delivered a batch of {size}"),
                format!("{size} outcomes"),
                || format!("{outcomes:?}"),
            )?;
        }
        Ok(())
    }

    /// The outcomes of a batch MUST stand in the order of its deliveries.
    async fn outcomes_match_their_deliveries(bench) {
        let refusal = bench.a_rejection()?;
        let scene = Scene::TakesAllBut("charlie".to_owned(), refusal);
        let stage = bench.stage(&scene)?;
        let mut batch = Vec::new();
        for (number, mark) in ["alpha", "bravo", "charlie"].into_iter().enumerate() {
            batch.push(stage.prepared(number as u128, &message(mark))?);
        }
        let outcomes = stage.attempt(&batch).await?.outcomes;
        let names: Vec<&str> = outcomes.iter().map(Outcome::name).collect();
        // How many there are, and what a success is, have cases of their own.
        let matching = match names.as_slice() {
            [first, second, third] => first == second && *second != "rejected" && *third == "rejected",
            _ => true,
        };
        ensure(
            matching,
            "delivered a batch of three, of which the vendor refuses the third",
            "`Delivered`, `Delivered`, `Rejected`",
            || format!("{outcomes:?}"),
        )
    }

    /// A batch of none MUST send nothing and have no outcome.
    async fn empty_batch_sends_nothing(bench) {
        let stage = bench.stage(&Scene::Takes)?;
        let outcomes = stage.attempt(&[]).await?.outcomes;
        let requests = stage.vendor()?.requests();
        ensure(
            outcomes.is_empty() && requests.is_empty(),
            "delivered a batch of none",
            "no outcome and no request",
            || format!("{outcomes:?}, {requests:?}"),
        )
    }

    /// One call MUST be one attempt: the engine repeats, the provider does not.
    async fn one_call_is_one_attempt(bench) {
        let calls = bench.wire()?.calls();
        for scene in [Scene::Takes, Scene::ShowsErrorPage, Scene::Throttles("1".to_owned())] {
            let Some(stage) = staged(bench.stage(&scene))? else {
                continue;
            };
            let outcome = stage.deliver().await?;
            let requests = stage.vendor()?.requests();
            ensure(
                requests.len() <= calls,
                format!("delivered once to a vendor in the scene {scene:?}"),
                format!("at most {calls} requests"),
                || format!("{} requests, and {outcome:?}", requests.len()),
            )?;
        }
        Ok(())
    }

    /// Text of a workflow MUST NOT add a line to what goes over the wire.
    async fn hostile_text_adds_no_line(bench) {
        for text in HOSTILE {
            let stage = bench.stage(&Scene::Takes)?;
            stage.attempt(&[stage.prepared(1, &message(text))?]).await?;
            let requests = stage.vendor()?.requests();
            let added = requests
                .iter()
                .flat_map(Request::headers)
                .find(|(name, _)| name.eq_ignore_ascii_case("x-injected"));
            ensure(
                added.is_none(),
                format!("delivered a message whose headline holds {text:?}"),
                "no header of that name",
                || format!("{added:?} in {requests:?}"),
            )?;
        }
        Ok(())
    }

    /// A vendor that was asked for nothing MUST NOT be asked: `reconcile` of an account that does not announce it is `Unknown`.
    async fn reconcile_is_announced(bench) {
        let stage = match bench.wire() {
            Ok(_) => bench.stage(&Scene::Takes)?,
            Err(_) => bench.offstage()?,
        };
        if stage.account.capabilities().reconciles {
            return Err(skip("the account announces `reconciles`"));
        }
        let prepared = stage.prepared(1, &message(MARK))?;
        let cx = DeliveryContext::new(2, &bench.clock);
        let came = bench.patiently(stage.transport.reconcile(&cx, &prepared)).await;
        let did = "reconciled with an account that does not announce it";
        let came = came.ok_or_else(|| miss(did, "`Unknown`", "nothing in time"))?;
        ensure(came == Reconciled::Unknown, did, "`Unknown`", || format!("{came:?}"))
    }
}

/// Leaves out a scene that the wire does not know.
pub(crate) fn staged<T>(stage: Held<T>) -> Held<Option<T>> {
    match stage {
        Ok(stage) => Ok(Some(stage)),
        Err(Stop::Skip(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

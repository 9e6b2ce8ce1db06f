//! What a provider declares: its kind, its recipients, its options.

use notify_core::registry::RegistryError;
use notify_core::{Registry, schema};
use serde_json::{Value, json};

use crate::provider::case::{Held, cases, ensure, miss, skip};

cases! {
    /// The kind MUST be a name that files can hold: small letters, digits and `_` or `-`, and no key that every notification has.
    async fn kind_is_a_name_that_files_hold(bench) {
        match &bench.fixture().registry {
            Ok(_) | Err(RegistryError::TakenOption { .. }) => Ok(()),
            Err(err @ RegistryError::BadKind { .. }) => Err(miss(
                "put the descriptor into a registry",
                "a kind such as `slack` or `my-hook`",
                err.to_string(),
            )),
            Err(err) => Err(miss(
                "put the descriptor into a registry",
                "a registry",
                err.to_string(),
            )),
        }
    }

    /// The kind MUST be found by every program that links the crate: `register_provider!` sees to it.
    async fn kind_is_discovered(bench) {
        let own = bench.descriptor()?;
        if !bench.fixture().linked {
            return Err(skip("the program puts this kind into its registry by itself"));
        }
        let did = "discovered the kinds that this program links";
        let expected = format!("`{}` of `{}`, by `register_provider!`", own.kind, own.crate_name);
        let discovered = Registry::discover();
        let discovered = discovered.map_err(|err| miss(did, &expected, err.to_string()))?;
        let found = discovered.get(own.kind).map(|found| found.crate_name);
        ensure(found == Some(own.crate_name), did, &expected, || {
            let kinds: Vec<_> = discovered.iter().collect();
            format!("{kinds:?}")
        })
    }

    /// The summary MUST be one line without a full stop that goes on from the kind's name: “a message to a Slack channel or person”.
    async fn summary_is_one_line(bench) {
        let summary = bench.descriptor()?.summary;
        let good = !summary.trim().is_empty()
            && summary.trim() == summary
            && !summary.contains(char::is_control)
            && !summary.ends_with('.');
        ensure(
            good,
            "read the descriptor's summary",
            "one line, neither empty nor with a full stop at its end",
            || format!("{summary:?}"),
        )
    }

    /// The schema of a recipient SHOULD show an example, and the example MUST load.
    async fn example_of_a_recipient_loads(bench) {
        let example = bench.descriptor()?.example_of_recipient();
        let why = "the schema of a recipient has no text under `examples`";
        let example = example.ok_or_else(|| skip(why))?;
        bench.notification_of(&json!([example])).map(|_| ())
    }

    /// A good notification MUST load.
    async fn notification_loads(bench) {
        bench.notification_of(bench.fixture().body()).map(|_| ())
    }

    /// A recipient MUST be written back as a text that loads as the same recipient.
    async fn recipient_reads_back(bench) {
        let notification = bench.notification()?;
        for recipient in notification.recipients() {
            let mut body = notification.to_value()[notification.kind().as_str()].clone();
            body["to"] = json!([recipient.as_str()]);
            let again = bench.notification_of(&body)?;
            let again = again.recipients()[0].as_str();
            ensure(
                again == recipient.as_str(),
                format!("loaded the recipient {recipient:?}, which was written by the provider"),
                format!("{recipient:?}"),
                || format!("{again:?}"),
            )?;
        }
        Ok(())
    }

    /// An empty recipient MUST be refused.
    async fn empty_recipient_is_refused(bench) {
        let declared = bench.fixture().declared(&json!([""]));
        let loaded = bench.registry()?.load_notification(&declared);
        ensure(
            loaded.is_err(),
            format!("loaded the notification {declared}"),
            "a problem at the recipient",
            || "a notification".to_owned(),
        )
    }

    /// A notification's options MUST be written back as a value that loads as the same options.
    async fn options_read_back(bench) {
        let notification = bench.notification()?;
        let written = notification.to_value();
        let did = format!("loaded the notification {written}, which was written by the provider");
        let again = bench.registry()?.load_notification(&written);
        let again = again.map_err(|err| miss(&did, "a notification", err.to_string()))?;
        let mut again = again.to_value();
        // Recipients have a case of their own.
        let kind = notification.kind().as_str();
        again[kind]["to"] = written[kind]["to"].clone();
        ensure(again == written, did, "the same value", || again.to_string())
    }

    /// Options that a notification says MUST be in what is written back.
    async fn options_are_written_back(bench) {
        let body = bench.fixture().body();
        let Value::Object(said) = body else {
            return Err(skip("the fixture's notification is in its short form, without options"));
        };
        let notification = bench.notification()?;
        let written = notification.to_value()[notification.kind().as_str()].clone();
        let said = said.keys().filter(|key| !["to", "account", "template"].contains(&key.as_str()));
        for key in said {
            ensure(
                written.get(key).is_some(),
                format!("wrote the notification {body} back"),
                format!("a value with `{key}`"),
                || written.to_string(),
            )?;
        }
        Ok(())
    }

    /// An option MUST NOT be named like a key of every notification: `to`, `account` or `template`.
    async fn option_keys_are_free(bench) {
        match &bench.fixture().registry {
            Err(err @ RegistryError::TakenOption { .. }) => Err(miss(
                "put the descriptor into a registry",
                "options with names of their own",
                err.to_string(),
            )),
            _ => Ok(()),
        }
    }

    /// An option that nobody reads MUST be refused, at its key.
    async fn unknown_option_is_refused(bench) {
        let notification = bench.notification()?;
        let kind = notification.kind().as_str();
        let mut body = notification.to_value()[kind].clone();
        body["no_such_option"] = json!(7);
        let declared = bench.fixture().declared(&body);
        let loaded = bench.registry()?.load_notification(&declared);
        let place = format!("{kind}.no_such_option");
        refused_at(loaded, &place, &format!("loaded the notification {declared}"))
    }

    /// The options' schema MUST take every notification that loads.
    async fn options_schema_takes_the_notification(bench) {
        let declared = bench.notification()?.to_value();
        let mut generator = schema::generator();
        let root = bench.registry()?.notification_schema(&mut generator);
        takes(&schema::whole(generator, root), &declared, "the notification")
    }

    /// Options that an older version of the provider stored MUST load as long as they are on record.
    async fn older_options_load(bench) {
        if bench.fixture().older.is_empty() {
            return Err(skip("the fixture has no notification of an older version"));
        }
        for body in &bench.fixture().older {
            bench.notification_of(body)?;
        }
        Ok(())
    }
}

/// Sees that a refusal names a place.
pub(crate) fn refused_at<T>(
    loaded: Result<T, notify_core::Problems>,
    place: &str,
    did: &str,
) -> Held {
    let expected = format!("a problem at `{place}`");
    match loaded {
        Ok(_) => Err(miss(did, expected, "no problem")),
        Err(problems) => ensure(
            problems.iter().any(|one| one.path.to_string() == place),
            did,
            expected,
            || problems.to_string(),
        ),
    }
}

/// Sees that a schema takes a value.
pub(crate) fn takes(schema: &Value, value: &Value, what: &str) -> Held {
    let did = format!("validated {what} {value} against the provider's schema");
    let validator = jsonschema::validator_for(schema)
        .map_err(|err| miss(&did, "a valid schema", format!("{err}: {schema}")))?;
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|err| format!("{} at `{}`", err, err.instance_path()))
        .collect();
    ensure(errors.is_empty(), did, "no complaint", || errors.join("; "))
}

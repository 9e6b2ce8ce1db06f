//! How the section of an account is read.

use notify_core::schema;
use serde_json::{Value, json};

use crate::provider::case::{cases, ensure, miss, skip};
use crate::provider::declare::{refused_at, takes};
use crate::provider::fixture::Vault;

cases! {
    /// A good section MUST load, without a look at the network, at the environment or at a secret.
    async fn section_loads(bench) {
        let section = bench.fixture().section(bench.nowhere());
        let loaded = bench.descriptor()?.load_account(bench.account_id()?, &section);
        let did = format!("loaded the fixture's account section {section}");
        match loaded {
            Ok(_) => Ok(()),
            Err(problems) => Err(miss(did, "an account", problems.to_string())),
        }
    }

    /// The section's schema MUST take every section that loads.
    async fn section_schema_takes_the_section(bench) {
        bench.account(bench.nowhere())?;
        let section = bench.fixture().section(bench.nowhere());
        let mut generator = schema::generator();
        let root = bench.descriptor()?.account_schema(&mut generator);
        takes(&schema::whole(generator, root), &section, "the account section")
    }

    /// A setting that nobody reads MUST be refused, at its key.
    async fn unknown_setting_is_refused(bench) {
        let mut section = bench.fixture().section(bench.nowhere());
        section["no_such_setting"] = json!(7);
        let loaded = bench.descriptor()?.load_account(bench.account_id()?, &section);
        let did = format!("loaded the account section {section}");
        refused_at(loaded, "no_such_setting", &did)
    }

    /// All mistakes of a section MUST be reported at once, each at its place.
    async fn all_mistakes_are_reported_at_once(bench) {
        let Some((section, places)) = &bench.fixture().wrong else {
            return Err(skip("the fixture has no section with mistakes"));
        };
        let loaded = bench.descriptor()?.load_account(bench.account_id()?, section);
        let did = format!("loaded the account section {section}");
        let expected = format!("problems at {places:?}");
        let Err(problems) = loaded else {
            return Err(miss(did, expected, "no problem"));
        };
        let mut seen: Vec<String> = problems.iter().map(|one| one.path.to_string()).collect();
        let mut wanted = places.clone();
        seen.sort();
        wanted.sort();
        ensure(seen == wanted, did, expected, || format!("{seen:?}: {problems}"))
    }

    /// A secret that stands in the section itself MUST be refused, and the refusal MUST NOT repeat it.
    async fn inline_secret_is_refused_and_not_repeated(bench) {
        let vault = bench.vault(bench.nowhere())?;
        let mut section = bench.fixture().section(bench.nowhere());
        let did = "loaded the account section with its secrets written out";
        ensure(
            inlined(&mut section, &vault),
            "looked for `{\"env\": NAME}` in the fixture's section, with the names of its secrets",
            "at least one",
            || section.to_string(),
        )?;
        match bench.descriptor()?.load_account(bench.account_id()?, &section) {
            Ok(_) => Err(miss(did, "a problem", "an account")),
            Err(problems) => {
                let said = format!("{problems} {problems:?}");
                ensure(vault.leak(&said).is_none(), did, "a problem without the secret", || said)
            }
        }
    }

    /// The account MUST name every secret that it needs, and no other.
    async fn secrets_are_named(bench) {
        let at = bench.nowhere();
        let vault = bench.fixture().secrets(at);
        let account = bench.account(at)?;
        let mut named: Vec<String> = account.secrets().iter().map(ToString::to_string).collect();
        let name = |(name, _): &(String, String)| format!("environment variable `{name}`");
        let mut wanted: Vec<String> = vault.0.iter().map(name).collect();
        named.sort();
        named.dedup();
        wanted.sort();
        ensure(
            named == wanted,
            "asked the account for its secrets",
            format!("those of the fixture: {wanted:?}"),
            || format!("{named:?}"),
        )
    }
}

/// Writes the vault's secrets where a section refers to them; tells whether there was a place.
fn inlined(value: &mut Value, vault: &Vault) -> bool {
    let found = value.get("env").and_then(Value::as_str).and_then(|name| {
        let mut secrets = vault.0.iter();
        secrets.find(|(known, _)| known == name)
    });
    if let Some((_, secret)) = found {
        *value = json!(secret);
        return true;
    }
    let mut any = false;
    match value {
        Value::Object(map) => {
            for inner in map.values_mut() {
                any |= inlined(inner, vault);
            }
        }
        Value::Array(items) => {
            for inner in items {
                any |= inlined(inner, vault);
            }
        }
        _ => {}
    }
    any
}

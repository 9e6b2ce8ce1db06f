//! From an account and secrets to a transport.

use std::sync::Arc;

use notify_core::{DeliveryContext, Outcome, Prepared, Reason, Secrets, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::yield_now;

use crate::provider::bench::{Bench, MARK, Sample, message};
use crate::provider::case::{Held, cases, ensure, miss, skip};
use crate::provider::fixture::Vault;
use crate::provider::wire::Scene;

/// Ends of secrets that a file or a paste leaves there, and that no header takes.
const ODD: [&str; 4] = ["", "\n", "\r\nX-Injected: yes", "\u{0}é"];

cases! {
    /// Secrets of the right form MUST give a transport.
    async fn good_secrets_connect(bench) {
        let at = bench.nowhere();
        let account = bench.account(at)?;
        match account.connect(&bench.resolved(&*account, at)) {
            Ok(_) => Ok(()),
            Err(why) => Err(miss(
                "connected the fixture's account with the fixture's secrets",
                "a transport",
                why.to_string(),
            )),
        }
    }

    /// Connecting MUST NOT open a connection: the first attempt does.
    async fn connect_opens_no_connection(bench) {
        let stage = bench.stage(&Scene::Takes)?;
        for _ in 0..64 {
            yield_now().await;
        }
        // One of the suite's own is served after any that the provider has opened.
        let vendor = stage.vendor()?;
        let served = async {
            let mut own = TcpStream::connect(vendor.address()).await?;
            own.shutdown().await?;
            own.read_to_end(&mut Vec::new()).await
        };
        let served = bench.patiently(served).await.and_then(Result::ok);
        served.ok_or_else(|| skip("the vendor does not end a connection that its client ends"))?;
        let opened = vendor.progress().connections.saturating_sub(1);
        ensure(opened == 0, "connected the account, and sent nothing", "no connection", || {
            format!("{opened}")
        })
    }

    /// A secret that could not be read MUST be an error of `connect`, or `Rejected` for `Auth` or `Config` when something is sent.
    async fn missing_secret_is_said(bench) {
        let at = bench.nowhere();
        bench.vault(at)?;
        let account = bench.account(at)?;
        let Ok(transport) = account.connect(&Secrets::default()) else {
            return Ok(());
        };
        let outcome = attempt(bench, &transport).await?;
        let said = matches!(
            outcome,
            Outcome::Rejected { reason: Reason::Auth | Reason::Config, .. }
        );
        ensure(
            said,
            "connected without any secret, which was no error, and delivered",
            "`Rejected` for `Auth` or `Config`",
            || format!("{outcome:?}"),
        )
    }

    /// What is said of a malformed secret MUST NOT repeat it.
    async fn malformed_secret_is_not_repeated(bench) {
        let at = bench.nowhere();
        let vault = bench.vault(at)?;
        let account = bench.account(at)?;
        for odd in ODD {
            let odd = |(name, value): &(String, String)| {
                // Half of it, so that the form is wrong too.
                let half: String = value.chars().take(value.chars().count() / 2 + 1).collect();
                (name.clone(), format!("{half}{odd}"))
            };
            let vault = Vault(vault.0.iter().map(odd).collect());
            let secrets = Secrets::resolve(account.secrets(), &vault);
            let said = match account.connect(&secrets) {
                Err(why) => format!("{why} {why:?}"),
                Ok(transport) => format!("{:?}", attempt(bench, &transport).await?),
            };
            ensure(
                vault.leak(&said).is_none(),
                format!("connected with malformed secrets {:?}", vault.0),
                "an error or an outcome without any of them",
                || said,
            )?;
        }
        Ok(())
    }

    /// The `Debug` form of account and transport MUST NOT hold a secret.
    async fn debug_shows_no_secret(bench) {
        let at = bench.nowhere();
        let vault = bench.vault(at)?;
        let stage = bench.offstage()?;
        let said = format!("{:?} {:?}", stage.account, stage.transport);
        ensure(
            vault.leak(&said).is_none(),
            "formatted account and transport with `{:?}`",
            "no secret",
            || said,
        )
    }
}

/// Makes one attempt to where nobody listens.
async fn attempt(bench: &Bench, transport: &Arc<dyn Transport>) -> Held<Outcome> {
    let sample = Sample::numbered(1);
    let account = bench.account(bench.nowhere())?;
    let prepared = Prepared {
        id: sample.id,
        recipient: bench.recipient()?,
        payload: bench.payload(&*account, &sample, &message(MARK))?,
    };
    let cx = DeliveryContext::new(1, &bench.clock);
    let batch = [prepared];
    let outcomes = bench.patiently(transport.deliver(&cx, &batch)).await;
    let mut outcomes = outcomes.ok_or_else(|| {
        miss(
            "delivered to an address where nobody listens",
            "an outcome",
            "none in time",
        )
    })?;
    outcomes
        .pop()
        .ok_or_else(|| miss("delivered a batch of one", "one outcome", "none"))
}

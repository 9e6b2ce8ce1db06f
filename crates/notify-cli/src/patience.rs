//! What may fail for a while, and is tried again.

use std::time::Duration;

use workflow_notify::core::{Clock, SystemClock};

/// How soon an outbox that failed is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// Tries until it succeeds or the patience is over, and gives the last answer.
pub(crate) async fn persist<T, E>(
    patience: Duration,
    attempt: impl AsyncFn() -> Result<T, E>,
) -> Result<T, E> {
    let begun = SystemClock.now();
    loop {
        let result = attempt().await;
        if result.is_ok() || SystemClock.now().since(begun) >= patience {
            return result;
        }
        tokio::time::timeout(AGAIN, std::future::pending::<()>())
            .await
            .ok();
    }
}

//! Waiting for a condition: the only sleep of all tests.

use std::time::{Duration, Instant};

/// How long anything that a test waits for may take.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Asks again and again until `found` finds something; fails the test with `what` when the deadline has passed.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut found: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = found().await {
            return value;
        }
        assert!(
            began.elapsed() < DEADLINE,
            "still not so after {DEADLINE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

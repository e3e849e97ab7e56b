//! Background steps: owned, named, stopped by a token, awaited with a deadline.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    hub::{self, Hub, Step, Swept, Turns},
    model::Timestamp,
};

/// How long the sweep rests at most: `@removed` for what expired comes within 5 s.
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// How long the walk through the store rests after each stretch of rows.
const LOOK_REST: Duration = Duration::from_millis(1);

/// How long broadcasts rest where the store refuses: it is full, or in trouble.
const BROADCAST_PAUSE: Duration = Duration::from_secs(1);

/// A background task of the hub.
#[derive(Debug)]
pub struct Task {
    name: &'static str,
    stop: CancellationToken,
    handle: JoinHandle<()>,
}

impl Task {
    /// Starts `work`, which ends when its token is cancelled.
    pub fn start<F>(name: &'static str, work: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let handle = tokio::spawn(work(stop.clone()));
        Self { name, stop, handle }
    }

    /// Asks it to end and waits for that, at most for `grace`.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.cancel();
        match tokio::time::timeout(grace, &mut self.handle).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(task = self.name, %error, "a task failed"),
            Err(_) => {
                tracing::error!(task = self.name, "a task did not end in time");
                self.handle.abort();
            }
        }
    }
}

/// Ends what is over, in small steps, until `stop`.
pub async fn sweep(hub: Hub, stop: CancellationToken) {
    let mut guarded = 0;
    while !stop.is_cancelled() {
        // What comes due while it sweeps is none of what it could not end.
        let began = hub.now();
        let rest = began.plus(SWEEP_EVERY);
        let next = match sweep_once(&hub).await {
            Ok(swept) => next_sweep(swept, began, rest),
            Err(hub::Error::Store(error)) if error.is_damage() => {
                hub.store().met_damage(&error.to_string());
                rest
            }
            Err(error) => {
                tracing::error!(%error, "what is over cannot be ended; trying again in a moment");
                rest
            }
        };
        if let Err(error) = keep_up(&hub).await {
            tracing::warn!(%error, "the time, the settings or an erasure cannot be kept up with; trying again in a moment");
        }
        let stats = hub.store().stats();
        if (stats.full || stats.commits != guarded)
            && let Err(error) = hub.store().look_for_room().await
        {
            tracing::error!(%error, "the disk's room cannot be looked at");
        }
        guarded = stats.commits;
        // A leap that was undone meanwhile has left `next` in a time that may be years away.
        let next = next.min(hub.now().plus(SWEEP_EVERY));
        tokio::select! {
            () = stop.cancelled() => return,
            () = hub.clock().sleep_until(next) => {}
        }
    }
}

async fn sweep_once(hub: &Hub) -> Result<Swept, hub::Error> {
    let swept = hub.sweep().await?;
    if swept.ended > 0 {
        return Ok(swept);
    }
    let forgotten = hub.forget_for_room().await?;
    if forgotten > 0 {
        tracing::warn!(
            forgotten,
            "the disk is nearly full: the oldest removals are forgotten before their time, to make room. Clients whose cursor is older start over"
        );
    }
    Ok(Swept {
        ended: forgotten,
        next: (forgotten > 0).then(|| hub.now()).or(swept.next),
    })
}

/// Walks the store once, when the hub has started, in stretches with a rest between; says what disagrees.
pub async fn look_over(hub: Hub, stop: CancellationToken) {
    let goes_on = move || {
        std::thread::sleep(LOOK_REST);
        !stop.is_cancelled()
    };
    match hub.look_over(goes_on).await {
        Ok(Some(found)) if !found.is_empty() => tracing::error!(
            "{} rows of the store disagree or cannot be read, the first is of {}; something may be lost. `beckon store verify` names them, `beckon store restore FILE --force` puts the last backup back; `beckon store backup FILE --damaged` keeps what is left",
            found.len(),
            found[0]
        ),
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "the store cannot be looked over"),
    }
}

/// When to sweep again: at once where more is over, but for where none of it could be ended, which was said.
fn next_sweep(swept: Swept, now: Timestamp, rest: Timestamp) -> Timestamp {
    let next = swept.next.filter(|next| swept.ended > 0 || *next > now);
    next.map_or(rest, |next| next.min(rest))
}

/// Tells the store the time; has everybody looked at where it went back, or the settings are others; takes up erasures that
/// broke off.
///
/// # Errors
/// Where the store refuses; it is tried again with the next call.
pub(crate) async fn keep_up(hub: &Hub) -> Result<(), hub::Error> {
    hub.catch_up_with_time().await?;
    hub.catch_up_with_settings().await?;
    hub.tell_time().await?;
    hub.finish_erasures().await
}

/// Works broadcasts off, step by step, until `stop`; those of an earlier run go on where they stood. They let the taps go
/// first that are about to leave: `leaving` says about how many.
pub async fn broadcasts(hub: Hub, leaving: impl Fn() -> usize, stop: CancellationToken) {
    let (mut turns, mut stuck) = (Turns::default(), false);
    while !stop.is_cancelled() {
        let taps = hub.let_taps_go_first(&leaving).await;
        let began = tokio::time::Instant::now();
        let stepped = match taps {
            Ok(()) => hub.step_broadcasts(&mut turns).await,
            Err(error) => Err(error),
        };
        let rest = match stepped {
            Ok(Step::Worked) => {
                if std::mem::take(&mut stuck) {
                    tracing::info!("broadcasts go on");
                }
                // Twice as long as it worked: broadcasts take no more than a third of the committer.
                (began.elapsed() * 2).min(BROADCAST_PAUSE)
            }
            Ok(Step::Idle) => {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = hub.broadcast_posted() => continue,
                }
            }
            Err(error) => {
                // A full disk may last; it is said once.
                if !std::mem::replace(&mut stuck, true) {
                    tracing::error!(%error, "a broadcast cannot go on; trying again until it does");
                }
                BROADCAST_PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_follows_at_once_only_where_it_gets_on() {
        let at = Timestamp::from_millis;
        let check = |ended, next: Option<u64>, expected| {
            let next = next.map(at);
            let found = next_sweep(Swept { ended, next }, at(100), at(120));
            assert_eq!(found, at(expected), "{ended} {next:?}");
        };
        check(3, Some(90), 90);
        check(0, Some(90), 120);
        check(0, Some(110), 110);
        check(3, Some(500), 120);
        check(0, None, 120);
    }
}

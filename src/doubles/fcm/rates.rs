//! How much a device may be sent (Firebase, "Throttling and quotas"). What was spent is forgotten when the doubles stop.
//!
//! Only what was taken counts: a message that is refused, for whatever reason, costs its device nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const MAX_A_MINUTE: usize = 240;
const MAX_AN_HOUR: usize = 5000;
/// Collapsible messages: so many at once, and one more after each of these times.
const BURST: i64 = 20;
const REFILL_MS: i64 = 3 * MINUTE_MS;

/// Which share of a device is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spent {
    /// That of a minute.
    Minute,
    /// That of an hour.
    Hour,
    /// That of collapsible messages.
    Collapsible,
}

impl Spent {
    /// The double's own words for the journal.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Minute => "over 240 messages a minute to one device",
            Self::Hour => "over 5000 messages an hour to one device",
            Self::Collapsible => {
                "over 20 collapsible messages at once to one device, and one in 3 minutes from then on"
            }
        }
    }
}

/// What each device was sent of late, by the double's id of it.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<String, Sent>>);

#[derive(Debug, Default)]
struct Sent {
    /// Of the last hour, oldest first.
    at_ms: VecDeque<i64>,
    /// When all of the burst would be there again.
    whole_at_ms: i64,
}

impl Rates {
    /// What forbids one more message now.
    pub(super) fn spent(&self, device: &str, collapsible: bool, now_ms: i64) -> Option<Spent> {
        let mut devices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        devices.get_mut(device)?.spent(collapsible, now_ms)
    }

    /// Counts one more message, unless something forbids it.
    pub(super) fn count(&self, device: &str, collapsible: bool, now_ms: i64) -> Option<Spent> {
        let mut devices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = devices.entry(device.to_owned()).or_default();
        let spent = sent.spent(collapsible, now_ms);
        if spent.is_none() {
            sent.at_ms.push_back(now_ms);
            if collapsible {
                sent.whole_at_ms = sent.whole_at_ms.max(now_ms) + REFILL_MS;
            }
        }
        spent
    }
}

impl Sent {
    fn spent(&mut self, collapsible: bool, now_ms: i64) -> Option<Spent> {
        // Where the clock was set back, what has not been yet was not sent, and a burst is used up at most.
        self.at_ms
            .retain(|at| *at > now_ms - HOUR_MS && *at <= now_ms);
        self.whole_at_ms = self.whole_at_ms.min(now_ms + BURST * REFILL_MS);
        let of_a_minute = |at: &&i64| **at > now_ms - MINUTE_MS;
        if self.at_ms.iter().rev().take_while(of_a_minute).count() >= MAX_A_MINUTE {
            return Some(Spent::Minute);
        }
        if self.at_ms.len() >= MAX_AN_HOUR {
            return Some(Spent::Hour);
        }
        let none_left = self.whole_at_ms - now_ms > (BURST - 1) * REFILL_MS;
        (collapsible && none_left).then_some(Spent::Collapsible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: i64 = 1_800_000_000_000;

    /// How many of so many messages at this moment are taken.
    fn taken(rates: &Rates, collapsible: bool, count: usize, at_ms: i64) -> usize {
        let taken = |_: &usize| {
            let told = rates.spent("device", collapsible, START_MS + at_ms);
            let counted = rates.count("device", collapsible, START_MS + at_ms);
            assert_eq!(told, counted, "what is told is what happens");
            counted.is_none()
        };
        (0..count).filter(taken).count()
    }

    #[test]
    fn a_minute_and_an_hour_are_those_before_each_message() {
        let rates = Rates::default();
        assert_eq!(taken(&rates, false, 100, 0), 100);
        assert_eq!(taken(&rates, false, 200, MINUTE_MS - 1), 140);
        assert_eq!(taken(&rates, false, 200, MINUTE_MS), 100);
        assert_eq!(rates.count("other", false, START_MS + MINUTE_MS), None);
        let mut all = 340;
        for minute in 2..30 {
            all += taken(&rates, false, 300, minute * MINUTE_MS);
        }
        assert_eq!(all, 5000);
        let late = START_MS + 50 * MINUTE_MS;
        assert_eq!(rates.count("device", false, late), Some(Spent::Hour));
        assert_eq!(taken(&rates, false, 300, HOUR_MS), 100, "the first ones");
    }

    #[test]
    fn collapsible_messages_come_in_a_burst_and_then_one_by_one() {
        let rates = Rates::default();
        assert_eq!(taken(&rates, true, 30, 0), 20);
        assert_eq!(taken(&rates, true, 1, REFILL_MS - 1), 0);
        assert_eq!(taken(&rates, false, 5, REFILL_MS - 1), 5, "others go on");
        assert_eq!(taken(&rates, true, 5, REFILL_MS), 1);
        assert_eq!(taken(&rates, true, 5, 3 * REFILL_MS), 2);
        assert_eq!(taken(&rates, true, 30, 24 * HOUR_MS), 20);
    }

    #[test]
    fn a_clock_that_is_set_back_locks_no_device_out() {
        let rates = Rates::default();
        assert_eq!(taken(&rates, true, 30, 24 * HOUR_MS), 20);
        assert_eq!(taken(&rates, false, 300, 24 * HOUR_MS), 220);
        assert_eq!(taken(&rates, false, 300, 0), 240);
        assert_eq!(taken(&rates, true, 5, 2 * REFILL_MS), 2);
    }
}

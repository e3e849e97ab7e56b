//! When devices pulled last, as far as the store does not say: a pull that finds nothing new writes nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::model::{EndpointId, Subject, Timestamp};

/// How many devices are remembered. Of one that is not, the store knows to the hour when it was there.
const MOST: usize = 10_000;

type Devices = HashMap<Subject, HashMap<EndpointId, Timestamp>>;

/// The latest pulls.
#[derive(Debug, Default)]
pub(super) struct Pulls(Mutex<(usize, Devices)>);

impl Pulls {
    fn all(&self) -> MutexGuard<'_, (usize, Devices)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a pull.
    pub(super) fn note(&self, subject: &Subject, endpoint: &EndpointId, at: Timestamp) {
        let mut all = self.all();
        let (count, devices) = &mut *all;
        if *count >= MOST {
            devices.clear();
            *count = 0;
        }
        let of_one = devices.entry(subject.clone()).or_default();
        if of_one.insert(endpoint.clone(), at).is_none() {
            *count += 1;
        }
    }

    /// When a device pulled last, if that is remembered.
    pub(super) fn last(&self, subject: &Subject, endpoint: &EndpointId) -> Option<Timestamp> {
        self.all().1.get(subject)?.get(endpoint).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppHost, UserId};

    #[test]
    fn the_latest_pull_is_remembered_of_a_bounded_number_of_devices() {
        let pulls = Pulls::default();
        let subject = |nth: usize| Subject {
            app: AppHost::parse("todo.example").unwrap(),
            user: UserId::parse(&nth.to_string()).unwrap(),
        };
        let phone = EndpointId::parse("phone").unwrap();
        for second in [1, 2] {
            pulls.note(&subject(0), &phone, Timestamp::from_millis(second));
        }
        let last = pulls.last(&subject(0), &phone);
        assert_eq!(last, Some(Timestamp::from_millis(2)));
        for nth in 1..=MOST {
            pulls.note(&subject(nth), &phone, Timestamp::from_millis(3));
        }
        assert_eq!(pulls.last(&subject(0), &phone), None);
        assert!(pulls.all().0 <= MOST);
    }
}

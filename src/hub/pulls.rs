//! What is known of pulls that the store does not say: when devices pulled last, since a pull that finds nothing new writes
//! nothing; and which pages have been answered and are not written down as fetched yet.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Hub;
use crate::model::{EndpointId, Subject, Timestamp};

/// How many devices are remembered. Of one that is not, the store knows to the hour when it was there.
const MOST: usize = 10_000;

/// How long a page that is still on its way to the socket is waited for: whoever reads it may be slow.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// How long a fetch is waited for that is to be written down: a disk may be slow.
const WRITTEN_DOWN: Duration = Duration::from_secs(10);

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

    /// Forgets when a device pulled: one of its name is registered anew.
    pub(super) fn forget(&self, subject: &Subject, endpoint: &EndpointId) {
        let mut all = self.all();
        let (count, devices) = &mut *all;
        let Some(of_one) = devices.get_mut(subject) else {
            return;
        };
        *count -= usize::from(of_one.remove(endpoint).is_some());
        if of_one.is_empty() {
            devices.remove(subject);
        }
    }

    /// Forgets when the devices of a person pulled, who is erased.
    pub(super) fn forget_all_of(&self, subject: &Subject) {
        let mut all = self.all();
        let (count, devices) = &mut *all;
        let forgotten = devices.remove(subject);
        *count -= forgotten.map_or(0, |of_one| of_one.len());
    }

    /// When a device pulled last, if that is remembered.
    pub(super) fn last(&self, subject: &Subject, endpoint: &EndpointId) -> Option<Timestamp> {
        self.all().1.get(subject)?.get(endpoint).copied()
    }
}

/// The pages that were answered, by who asked.
#[derive(Debug, Default)]
pub(super) struct Pages(Mutex<ByEndpoint>);

type ByEndpoint = HashMap<(Subject, EndpointId), Vec<Arc<Page>>>;

/// A page that was answered.
#[derive(Debug, Default)]
struct Page {
    handed_over: AtomicBool,
    /// What became of it is known.
    over: CancellationToken,
}

/// A page that was answered, until it is dropped: the fetch is written down then, or the connection broke.
#[derive(Debug)]
pub struct Answered {
    hub: Hub,
    whose: (Subject, EndpointId),
    page: Arc<Page>,
}

impl Answered {
    /// Notes that the socket has all of it: a fetch that is to be written down.
    pub fn handed_over(&self) {
        self.page.handed_over.store(true, Ordering::SeqCst);
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        let mut all = self.hub.pages.all();
        if let Some(pages) = all.get_mut(&self.whose) {
            pages.retain(|page| !Arc::ptr_eq(page, &self.page));
            if pages.is_empty() {
                all.remove(&self.whose);
            }
        }
        drop(all);
        self.page.over.cancel();
    }
}

impl Pages {
    fn all(&self) -> MutexGuard<'_, ByEndpoint> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// Notes that a page is answered to an endpoint.
    pub fn answered(&self, subject: &Subject, endpoint: &EndpointId) -> Answered {
        let whose = (subject.clone(), endpoint.clone());
        let page = Arc::new(Page::default());
        let mut all = self.pages.all();
        all.entry(whose.clone())
            .or_default()
            .push(Arc::clone(&page));
        drop(all);
        Answered {
            hub: self.clone(),
            whose,
            page,
        }
    }

    /// Waits until it is known what became of the pages that an endpoint was answered by now. One that the socket does not
    /// take in a moment is not waited for any longer.
    pub async fn pages_are_known(&self, subject: &Subject, endpoint: &EndpointId) {
        let whose = (subject.clone(), endpoint.clone());
        let pages = self.pages.all().get(&whose).cloned().unwrap_or_default();
        let over = join_all(pages.iter().map(|page| page.over.cancelled()));
        if timeout(ON_ITS_WAY, over).await.is_ok() {
            return;
        }
        let handed_over = pages
            .iter()
            .filter(|page| page.handed_over.load(Ordering::SeqCst));
        let over = join_all(handed_over.map(|page| page.over.cancelled()));
        if timeout(WRITTEN_DOWN, over).await.is_err() {
            tracing::warn!("a fallback waits no longer for fetches that are not written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::{
        clock::Clock,
        config::{Apps, Delivery, Limits},
        model::{AppHost, UserId},
        store::Store,
    };

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

    #[tokio::test(start_paused = true)]
    async fn a_page_that_was_handed_over_is_waited_for_while_its_fetch_is_written_down() {
        let hub = Hub::new(
            Store::in_memory().unwrap(),
            Apps::new(Vec::new()),
            (Delivery::default(), Limits::default()),
            Clock::system(),
        );
        let subject = Subject {
            app: AppHost::parse("todo.example").unwrap(),
            user: UserId::parse("ada").unwrap(),
        };
        let phone = EndpointId::parse("phone").unwrap();
        let known = || hub.pages_are_known(&subject, &phone);
        let began = Instant::now();
        known().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "there was none");
        let pages: Vec<Answered> = (0..9).map(|_| hub.answered(&subject, &phone)).collect();
        known().await;
        let waited = began.elapsed();
        assert_eq!(waited, ON_ITS_WAY, "the socket takes none of them");
        pages[0].handed_over();
        let began = Instant::now();
        known().await;
        let most = ON_ITS_WAY + WRITTEN_DOWN;
        assert_eq!(began.elapsed(), most, "it is not written down");
        let began = Instant::now();
        tokio::join!(known(), async { drop(pages) });
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert!(hub.pages.all().is_empty());
    }
}

//! Looking the whole store over, while it is written to: what disagrees in it, and who is forgotten.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use super::{Error, Hub};
use crate::{
    model::Subject,
    store::{self, Finding, FirstMarkers},
};

/// How many users are read at a time.
const USERS: usize = 200;
/// How often the outbox is walked for single users before it is read anew for all.
const WALKS: usize = 100;

impl Hub {
    /// Walks every row of the store as long as `go_on` says so, and gives what disagrees or cannot be read; none, where it
    /// was stopped.
    ///
    /// # Errors
    /// `Store`, where a part of the file cannot be read at all.
    pub async fn look_over(
        &self,
        go_on: impl Fn() -> bool + Clone + Send + 'static,
    ) -> Result<Option<Vec<Finding>>, Error> {
        let findings = match self.walk(go_on.clone()).await? {
            Some(found) if !found.is_empty() => self.look_again(found, go_on).await?,
            other => other,
        };
        if let Some(found) = &findings {
            self.disagrees.store(!found.is_empty(), Ordering::Relaxed);
        }
        Ok(findings)
    }

    /// Whether rows of the store disagreed when they were looked over last.
    pub fn disagrees(&self) -> bool {
        self.disagrees.load(Ordering::Relaxed)
    }

    async fn walk(
        &self,
        go_on: impl Fn() -> bool + Send + 'static,
    ) -> Result<Option<Vec<Finding>>, Error> {
        self.store
            .ask(move |reader| Ok::<_, Error>(reader.verify_while(go_on)?))
            .await
    }

    /// A walk is no snapshot, and what is written meanwhile can look wrong: once, as far as single rows go. What many rows
    /// of someone come to is counted anew while nothing is done for them.
    async fn look_again(
        &self,
        found: Vec<Finding>,
        go_on: impl Fn() -> bool + Send + 'static,
    ) -> Result<Option<Vec<Finding>>, Error> {
        let (sums, mut rows): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| it.is_sum);
        let mut certain = Vec::new();
        let users: BTreeSet<String> = sums.iter().map(|it| it.user.clone()).collect();
        for user in users {
            match self.count_again(user.clone()).await? {
                Some(found) => certain.extend(found),
                // Who has no row may have been erased behind the walk: what is so the second time is so.
                None => rows.extend(sums.iter().filter(|it| it.user == user).cloned()),
            }
        }
        if rows.is_empty() {
            return Ok(Some(certain));
        }
        let again = self.walk(go_on).await?;
        Ok(again.map(|again| {
            let twice = again.into_iter().filter(|it| rows.contains(it));
            // What they come to follows from single rows that cannot be read.
            twice.chain(certain).collect()
        }))
    }

    /// What someone's rows come to, while nothing is done for them; none, where they have no row of their own.
    async fn count_again(&self, user: String) -> Result<Option<Vec<Finding>>, Error> {
        let subject = self
            .store
            .ask(move |reader| match reader.named(&user) {
                // A row that cannot be read is a finding of its own.
                Err(store::Error::Corrupt(_)) => Ok(None),
                named => Ok::<_, Error>(named?),
            })
            .await?;
        let Some(subject) = subject else {
            return Ok(None);
        };
        let _left_alone = self.locks.lock(&subject).await;
        // What was handed over before is written by then.
        self.store.look_for_room().await?;
        self.store
            .ask(move |reader| Ok::<_, Error>(Some(reader.verify_sums(&subject)?)))
            .await
    }

    /// Whoever is [forgotten](Self::forgotten) of all users of the configured apps, as findings.
    ///
    /// # Errors
    /// `Store`.
    pub async fn forgotten_anywhere(&self) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        let mut known = self.first_markers().await?;
        for app in self.apps().all() {
            let mut after: Option<Subject> = None;
            loop {
                let (host, from) = (app.host.clone(), after.take());
                let users = self
                    .store
                    .ask(move |reader| Ok::<_, Error>(reader.users(&host, from.as_ref(), USERS)?))
                    .await?;
                let Some(last) = users.last() else {
                    break;
                };
                after = Some(last.subject.clone());
                for user in users {
                    known = self.renewed(known).await?;
                    let found = self.forgotten_finding(user.subject, &known).await?;
                    findings.extend(found);
                }
            }
        }
        Ok(findings)
    }

    async fn first_markers(&self) -> Result<Arc<FirstMarkers>, Error> {
        self.store
            .ask(|reader| Ok::<_, Error>(Arc::new(reader.first_markers()?)))
            .await
    }

    /// What is known of markers, read anew once it is too old.
    async fn renewed(&self, known: Arc<FirstMarkers>) -> Result<Arc<FirstMarkers>, Error> {
        if known.walks() < WALKS {
            return Ok(known);
        }
        self.first_markers().await
    }

    async fn forgotten_finding(
        &self,
        subject: Subject,
        known: &Arc<FirstMarkers>,
    ) -> Result<Option<Finding>, Error> {
        let known = Arc::clone(known);
        let forgotten = match self.forgotten_beside(subject.clone(), known).await {
            // Who is written to all the time is looked at all the time.
            Err(Error::Conflict(_)) => return Ok(None),
            other => other?,
        };
        let message = "an endpoint is owed a tap, and nothing in the outbox stands for it";
        Ok((!forgotten.is_empty()).then(|| Finding::of(&subject, message)))
    }
}

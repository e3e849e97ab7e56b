//! Looking the whole store over, while it is written to: what disagrees in it, and who is forgotten.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use tokio::sync::OwnedMutexGuard;

use super::{Error, Hub};
use crate::{model::Subject, store::Finding};

/// How many users are read at a time.
const USERS: usize = 200;

impl Hub {
    /// Walks every row of the store as long as `go_on` says so, and gives what disagrees; none, where it was stopped.
    ///
    /// # Errors
    /// `Store`, where a row cannot be read at all.
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
            .ask(move |reader| Ok::<_, Error>(reader.verify_while(&mut || go_on())?))
            .await
    }

    /// A walk is no snapshot, and what is written meanwhile can look wrong. So those of whom something was found are
    /// left alone for another one; of what is nobody's that counts which is found again.
    async fn look_again(
        &self,
        found: Vec<Finding>,
        go_on: impl Fn() -> bool + Send + 'static,
    ) -> Result<Option<Vec<Finding>>, Error> {
        let suspects: BTreeSet<String> = found.iter().map(|it| it.user.clone()).collect();
        let _left_alone = self.leave_alone(&suspects).await?;
        // What was handed over before they were held is written by then.
        self.store.look_for_room().await?;
        let again = self.walk(go_on).await?;
        Ok(again.map(|again| {
            let counts = |it: &Finding| {
                suspects.contains(&it.user) && (!it.is_of_nobody() || found.contains(it))
            };
            again.into_iter().filter(counts).collect()
        }))
    }

    /// Holds what is done for these users. In the order of their keys, as nobody else holds two at a time.
    async fn leave_alone(
        &self,
        users: &BTreeSet<String>,
    ) -> Result<Vec<OwnedMutexGuard<()>>, Error> {
        let users = users.clone();
        let subjects: Vec<Subject> = self
            .store
            .ask(move |reader| {
                let found = users
                    .iter()
                    .filter_map(|user| reader.named(user).transpose());
                Ok::<_, Error>(found.collect::<Result<_, _>>()?)
            })
            .await?;
        let mut held = Vec::new();
        for subject in &subjects {
            held.push(self.locks.lock(subject).await);
        }
        Ok(held)
    }

    /// Whoever is [forgotten](Self::forgotten) of all users of the configured apps, as findings.
    ///
    /// # Errors
    /// `Store`.
    pub async fn forgotten_anywhere(&self) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
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
                    findings.extend(self.forgotten_finding(user.subject).await?);
                }
            }
        }
        Ok(findings)
    }

    async fn forgotten_finding(&self, subject: Subject) -> Result<Option<Finding>, Error> {
        let forgotten = match self.forgotten(subject.clone()).await {
            // Who is written to all the time is looked at all the time.
            Err(Error::Conflict(_)) => return Ok(None),
            other => other?,
        };
        let message = "an endpoint is owed a tap, and nothing in the outbox stands for it";
        Ok((!forgotten.is_empty()).then(|| Finding::of(&subject, message)))
    }
}

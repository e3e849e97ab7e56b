//! A person's name where it stands among others: in the lists of broadcasts, and in the audit log.

use super::super::{Error, Hub};
use crate::{
    model::{AppHost, BroadcastId, Listed, Subject, UserId, Whom},
    store::{AppRow, Reader, pseudonym},
};

/// How many acts of the audit log are read at once.
const ACTS: usize = 200;

impl Hub {
    /// Has the lists of broadcasts name them by a hash, as those who were there: once they are gone they are passed over.
    pub(super) async fn strike_off_lists(&self, subject: &Subject) -> Result<(), Error> {
        let _lock = self.broadcasts.lock(&subject.app).await;
        let (app, user) = (subject.app.clone(), subject.user.clone());
        let rows = self
            .store
            .ask(move |reader| struck_off(reader, &app, &user))
            .await?;
        // A kill between two lists leaves both good: a hash means whom the name meant.
        self.commit_as_it_fits(rows).await
    }

    /// Has the audit log name them by a hash.
    pub(super) async fn forget_in_acts(&self, subject: &Subject) -> Result<(), Error> {
        let _one_at_a_time = self.audit.lock().await;
        let mut from = Some(0);
        while let Some(at) = from {
            let of = subject.clone();
            let (acts, next) = self
                .store
                .ask(move |reader| Ok::<_, Error>(reader.acts_about(&of, at, ACTS)?))
                .await?;
            let erased = Whom::Erased(pseudonym(&subject.user));
            let rows = acts.into_iter().map(|mut act| {
                act.user = Some(erased.clone());
                act.of = None;
                AppRow::Act(Box::new(act))
            });
            self.commit_as_it_fits(rows.collect()).await?;
            from = next;
        }
        Ok(())
    }
}

/// The rows of all lists that name someone, without their name.
pub(super) fn struck_off(
    reader: &Reader,
    app: &AppHost,
    user: &UserId,
) -> Result<Vec<AppRow>, Error> {
    let hash = pseudonym(user);
    let mut rows = Vec::new();
    // A job that was cancelled may have left its list behind, where the hub ended before it was gone.
    for id in reader.listing()? {
        if reader.broadcast(id)?.is_none_or(|job| job.app != *app) {
            continue;
        }
        for row in reader.listed_rows(id, usize::MAX)? {
            rows.extend(struck_off_row(reader, (id, row), (user, hash))?);
        }
    }
    Ok(rows)
}

fn struck_off_row(
    reader: &Reader,
    (id, row): (BroadcastId, u32),
    (user, hash): (&UserId, [u8; 16]),
) -> Result<Option<AppRow>, Error> {
    let mut people = reader.listed(id, row)?.unwrap_or_default();
    let mut named = false;
    for one in &mut people {
        if matches!(one, Listed::Named(it) if it == user) {
            *one = Listed::Known(hash);
            named = true;
        }
    }
    Ok(named.then_some(AppRow::Struck(id, row, people)))
}

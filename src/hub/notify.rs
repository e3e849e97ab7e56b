//! Posting: create, replace, retract; once for an `Idempotency-Key`.

use std::{ops::ControlFlow, time::Duration};

use super::{
    Asker, Error, Hub,
    changes::{Changes, Posting},
    expiry,
    once::{self, ONCE_KEPT, OnceKey},
};
use crate::{
    model::{
        ActionState, Draft, EndpointId, Notification, NotificationId, Once, OnceAnswer, ReadState,
        Receipt, Removal, Subject, Timestamp,
    },
    store::{Expiring, Reader, Row, Unit},
};

/// How long a notification is kept where the post does not say.
pub const DEFAULT_EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long it may be kept at most.
pub const MAX_EXPIRY: Duration = Duration::from_secs(30 * 24 * 3600);

/// What posting came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Which notification it is.
    pub id: NotificationId,
    /// The notification as stored; none, where the answer to an `Idempotency-Key` outlived it.
    pub notification: Option<Notification>,
    /// Whether it is new, rather than known or replaced.
    pub created: bool,
    /// Whether it was stored by this post: new or replaced, not known already.
    pub stored: bool,
}

impl Posted {
    fn of(notification: Notification, created: bool, stored: bool) -> Self {
        Self {
            id: notification.id,
            notification: Some(notification),
            created,
            stored,
        }
    }
}

impl Hub {
    /// Posts a notification to a person: stored durably, and a marker with it that has every endpoint tapped, where there
    /// is any.
    ///
    /// A second post with the same `appNotificationId` and the same content changes nothing; with other content it
    /// replaces the first.
    ///
    /// # Errors
    /// `Conflict` where the `Idempotency-Key` was used for another request, or its first one still runs; `Limit`
    /// where the person has as many as there may be and none that was dealt with; `Unauthenticated` where the word of
    /// their client, who asks, has ended meanwhile; `Store`.
    pub async fn create(
        &self,
        asker: impl Into<Asker>,
        draft: Draft,
        once: Option<OnceKey>,
    ) -> Result<Posted, Error> {
        let asker: Asker = asker.into();
        let _running = once
            .map(|once| self.running.begin(asker.app(), once))
            .transpose()?;
        let rules = self.posting_rules();
        let posted = self
            .change_little(asker.subject().clone(), move |reader, changes| {
                asker.must_still_be_good(reader)?;
                plan(reader, changes, draft, once, rules)
            })
            .await?;
        self.count_created(u64::from(posted.stored));
        Ok(posted)
    }

    /// What a post to this person with this `Idempotency-Key` was answered with before. Asked before the post is
    /// checked.
    ///
    /// # Errors
    /// `Conflict` where the key was used for another request, or its first one still runs; `Store`.
    pub async fn posted_before(
        &self,
        subject: &Subject,
        once: OnceKey,
    ) -> Result<Option<Posted>, Error> {
        self.running.nobody(&subject.app, once)?;
        let (subject, now) = (subject.clone(), self.now());
        self.store
            .ask(move |reader| answered_before(reader, &subject, once, now))
            .await
    }

    /// What posting goes by, now.
    pub(super) fn posting_rules(&self) -> Rules {
        Rules {
            now: self.now(),
            believed: self.believed(),
            max: self.limits().notifications_per_user,
        }
    }

    /// Takes a notification back: gone from every list, and off the screens. Also one that is over by a time that is
    /// doubted, or it would be back when that turns out wrong.
    ///
    /// # Errors
    /// `NotFound` where the person has no such one; `Store`.
    pub async fn delete(
        &self,
        subject: Subject,
        id: NotificationId,
        by: Option<EndpointId>,
    ) -> Result<(), Error> {
        let Rules { now, believed, max } = self.posting_rules();
        self.change(subject, move |reader, mut changes| {
            let old = live(reader, &changes.user().subject, id, believed)?;
            make_room_for_removal(reader, &mut changes, max)?;
            note_receipts(reader, &mut changes, &old, (by.as_ref(), now))?;
            changes.remove(&old, Removal::Deleted, by.as_ref());
            changes.look(now);
            Ok((changes.into_unit(), ()))
        })
        .await
    }
}

/// Has it kept when each endpoint got what is about to go: a mark remembers some fetches alone, and later ones pass what
/// is gone, too. And by which endpoint it goes, where it is one: the person acted on it there.
fn note_receipts(
    reader: &Reader,
    changes: &mut Changes,
    it: &Notification,
    (by, now): (Option<&EndpointId>, Timestamp),
) -> Result<(), Error> {
    let subject = changes.user().subject.clone();
    for endpoint in reader.endpoints(&subject)? {
        let mark = reader.fetch_mark(&subject, &endpoint.id)?;
        let known = reader.receipt(&subject, it.number, &endpoint.id)?;
        let known = known.of(&endpoint);
        let acts = by == Some(&endpoint.id);
        let receipt = Receipt {
            fetched: known.fetched.or(mark.passed(it.number)),
            acted: known.acted.or(acts.then_some(now)),
            ..known
        };
        if receipt != known {
            changes.also(Row::Receipt(it.number, endpoint.id, receipt));
        }
    }
    Ok(())
}

/// What a plan needs to know beside the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The present moment.
    pub(super) now: Timestamp,
    /// The time as far as it is believed.
    pub(super) believed: Timestamp,
    /// How many notifications a person may have.
    pub(super) max: usize,
}

fn plan(
    reader: &Reader,
    mut changes: Changes,
    draft: Draft,
    once: Option<OnceKey>,
    rules: Rules,
) -> Result<(Unit, Posted), Error> {
    let subject = changes.user().subject.clone();
    if let Some(once) = once
        && let Some(posted) = answered_before(reader, &subject, once, rules.now)?
    {
        return Ok((changes.into_nothing(), posted));
    }
    let expires = draft
        .expires
        .unwrap_or_else(|| rules.now.plus(DEFAULT_EXPIRY));
    let posting = Posting {
        draft,
        expires,
        broadcast: None,
    };
    let posted = place(reader, &mut changes, posting, rules)?;
    if !posted.stored && once.is_none() {
        return Ok((changes.into_nothing(), posted));
    }
    remember(&mut changes, once, &posted, rules.now);
    Ok((changes.into_unit(), posted))
}

/// Posts to a person what is new to them, and replaces what is known by the same name.
pub(super) fn place(
    reader: &Reader,
    changes: &mut Changes,
    posting: Posting,
    rules: Rules,
) -> Result<Posted, Error> {
    let subject = changes.user().subject.clone();
    let known = match &posting.draft.app_id {
        Some(app_id) => named(reader, &subject, app_id)?,
        None => None,
    };
    let known = match known {
        // Over, and not swept yet: it ends here, or its end would take the name from its successor.
        Some(over) if !over.is_live(rules.believed) => {
            let (at, number) = (over.expires, over.number);
            expiry::end_notification(reader, changes, number, (at, rules.max))?;
            None
        }
        other => other,
    };
    Ok(match known {
        // One that is over by a time that is doubted is replaced, not ended.
        Some(known) if known.draft == posting.draft && known.is_live(rules.now) => {
            Posted::of(known, false, false)
        }
        Some(old) => {
            for (endpoint, _) in reader.receipts(&subject, old.number)? {
                changes.also(Row::DropReceipt(old.number, endpoint));
            }
            let notification = changes.replace(&old, posting);
            look(reader, changes, rules.now)?;
            Posted::of(notification, false, true)
        }
        None => {
            make_room(reader, changes, rules)?;
            let id = reader.new_id(&subject, changes.user().head.next())?;
            let notification = changes.post(posting, id);
            look(reader, changes, rules.now)?;
            Posted::of(notification, true, true)
        }
    })
}

/// Has dispatch look at a person who has a device; one that comes later is looked at as it registers.
fn look(reader: &Reader, changes: &mut Changes, now: Timestamp) -> Result<(), Error> {
    if reader.has_endpoints(&changes.user().subject)? {
        changes.look(now);
    }
    Ok(())
}

/// The notification that the app calls `app_id`.
fn named(reader: &Reader, subject: &Subject, app_id: &str) -> Result<Option<Notification>, Error> {
    let Some(number) = reader.number_of_name(subject, app_id)? else {
        return Ok(None);
    };
    Ok(reader.notification(subject, number)?)
}

/// The live notification with this id.
pub(super) fn live(
    reader: &Reader,
    subject: &Subject,
    id: NotificationId,
    now: Timestamp,
) -> Result<Notification, Error> {
    let found = reader.notification_of(subject, id)?;
    let found = found.filter(|it| it.is_live(now));
    found.ok_or(Error::NotFound("notification"))
}

/// Where the person has as many as there may be, ends the oldest that was dealt with, or is over and waits for the sweep.
fn make_room(reader: &Reader, changes: &mut Changes, rules: Rules) -> Result<(), Error> {
    if changes.user().live < rules.max as u64 {
        return Ok(());
    }
    let is_over = |it: &Notification| it.expires <= rules.now.min(rules.believed);
    let mut oldest = None;
    reader.oldest_first(&changes.user().subject.clone(), &mut |it| {
        let handled = it.read == ReadState::Read || it.action == ActionState::Dismissed;
        if it.removed.is_none() && (handled || is_over(&it)) {
            oldest = Some(it);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    let oldest = oldest.ok_or(Error::Limit {
        name: "server.limits.notifications_per_user",
        max: rules.max,
        advice: "let the person read or dismiss some, or retract some, first",
    })?;
    make_room_for_removal(reader, changes, rules.max)?;
    if is_over(&oldest) {
        changes.expire(&oldest);
    } else {
        changes.remove(&oldest, Removal::ExpiredEarly, None);
    }
    Ok(())
}

/// A feed remembers as many removals as it may hold notifications; beyond, the oldest is forgotten.
pub(super) fn make_room_for_removal(
    reader: &Reader,
    changes: &mut Changes,
    max: usize,
) -> Result<(), Error> {
    if changes.user().removals < max as u64 {
        return Ok(());
    }
    let mut after = changes.user().floor;
    loop {
        let page = reader.changes(&changes.user().subject, after, 256)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.position;
        let is_removal = |change: &&crate::model::Change| {
            matches!(change.kind, crate::model::ChangeKind::Removed(_))
        };
        if let Some(removal) = page.iter().find(is_removal) {
            changes.forget(removal);
            return Ok(());
        }
    }
}

fn answered_before(
    reader: &Reader,
    subject: &Subject,
    once: OnceKey,
    now: Timestamp,
) -> Result<Option<Posted>, Error> {
    let Some(known) = once::used_before(reader, &subject.app, once)? else {
        return Ok(None);
    };
    let (created, id) = match known.answer {
        OnceAnswer::Posted {
            subject: of,
            created,
            notification,
        } if of == *subject => (created, notification),
        _ => return Err(once::OTHER_REQUEST),
    };
    let number = reader.number_of(subject, id)?;
    let notification = match number {
        Some(number) => reader.notification(subject, number)?,
        None => None,
    };
    Ok(Some(Posted {
        id,
        notification: notification.filter(|it| it.is_live(now)),
        created,
        stored: false,
    }))
}

fn remember(changes: &mut Changes, once: Option<OnceKey>, posted: &Posted, now: Timestamp) {
    let Some(once) = once else {
        return;
    };
    let subject = changes.user().subject.clone();
    let expires = now.plus(ONCE_KEPT);
    changes.also(Row::Expiry(
        expires,
        Expiring::Once(subject.app.clone(), once.key),
    ));
    changes.also(Row::Once(Once {
        app: subject.app.clone(),
        key: once.key,
        request: once.request,
        answer: OnceAnswer::Posted {
            subject,
            created: posted.created,
            notification: posted.id,
        },
        expires,
    }));
}

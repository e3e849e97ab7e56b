//! Where everyone stands: what a decision about a user's endpoints is made from, read in one go.

use std::{collections::HashMap, sync::Arc};

use super::{
    Error,
    due::{Level, ReadSingly, Step, Verdict},
    lanes::{LaneName, Resumed},
};
use crate::{
    config::{Delivery, apps::App},
    model::{
        Endpoint, EndpointId, FeedPosition, FetchMark, Notification, NotificationId, Subject,
        TapState, Timestamp,
    },
    store::{Reader, Stamp},
};

/// How many changes are read at a time.
const PAGE: usize = 500;
/// Of so many, the newest, the content is kept as well: a backlog may be as long as a feed, and contents are large.
const WHOLE: usize = 1000;

/// What decisions go by.
pub(super) struct Rules<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) delivery: &'a Delivery,
    pub(super) now: Timestamp,
    /// The time as far as it is believed.
    pub(super) believed: Timestamp,
    pub(super) configured: Timestamp,
    /// The lanes that were taken up again of late.
    pub(super) resumed: &'a Resumed,
    /// Whether also of endpoints whose time is over: for reports.
    pub(super) tells_over: bool,
    /// When the store was read.
    pub(super) seen: Stamp,
}

impl Rules<'_> {
    /// The lane of an endpoint, as it is told of.
    pub(super) fn lane_of(&self, endpoint: &Endpoint) -> LaneName {
        LaneName {
            app: self.app.host.clone(),
            service: endpoint.channel.kind(),
            authority: self.app.authority(&endpoint.channel),
        }
    }
}

/// Where each of a user's endpoints stands, and the feed as far back as any of them wants it.
pub(super) struct Levels {
    pub(super) levels: Vec<Level>,
    steps: Vec<Step>,
    /// From which step on the notifications have their content.
    whole: usize,
    pub(super) head: FeedPosition,
    pub(super) unread: u64,
}

impl Levels {
    pub(super) fn read(
        reader: &Reader,
        subject: &Subject,
        listening: &[EndpointId],
        rules: &Rules<'_>,
    ) -> Result<Self, Error> {
        let user = reader.user(subject)?;
        let mut endpoints = reader.endpoints_with_states(subject)?;
        endpoints.retain(|(endpoint, _)| rules.tells_over || endpoint.told_until.is_none());
        let mut marks = reader.fetch_marks(subject, &endpoints)?;
        let mut levels = Vec::new();
        for (endpoint, state) in endpoints {
            let mark = marks.remove(&endpoint.id).unwrap_or_default();
            let stands = (endpoint.at(rules.now), state, mark);
            levels.push(level(reader, subject, stands, (listening, rules))?);
        }
        let from = levels
            .iter()
            .filter(|level| level.is_reachable(rules.now))
            .map(|level| level.wants_from(rules.delivery, rules.now))
            .min();
        let steps = match from {
            Some(from) => steps(reader, subject, from, user.head)?,
            None => Vec::new(),
        };
        for level in levels.iter_mut().filter(|it| it.is_reachable(rules.now)) {
            let from = level.wants_from(rules.delivery, rules.now);
            let from = from.min(level.state.noticed);
            let wanted = steps.partition_point(|step| step.change.position <= from);
            let whose = (&level.endpoint, level.mark.position);
            let wanted = (&steps[wanted..], rules.now);
            level.read_singly = read_singly(reader, subject, whose, wanted)?;
        }
        Ok(Self {
            levels,
            whole: steps.len().saturating_sub(WHOLE),
            steps,
            head: user.head,
            unread: user.unread,
        })
    }

    pub(super) fn decide(&self, level: &Level, rules: &Rules<'_>) -> Verdict {
        level.decide(
            &self.steps,
            self.head,
            (rules.app, rules.delivery, rules.configured),
            rules.now,
        )
    }

    /// The steps whose notifications have their content.
    pub(super) fn whole(&self) -> &[Step] {
        &self.steps[self.whole..]
    }
}

fn level(
    reader: &Reader,
    subject: &Subject,
    (endpoint, mut state, mark): (Endpoint, TapState, FetchMark),
    (listening, rules): (&[EndpointId], &Rules<'_>),
) -> Result<Level, Error> {
    state.forget_what_is_to_come(rules.now);
    let stands = state.stopped.is_some();
    let resumed = stands.then(|| rules.lane_of(&endpoint));
    let resumed = resumed.and_then(|lane| rules.resumed.since(&lane));
    let mut fallbacks = Vec::new();
    for number in &state.fallbacks {
        let unread = reader
            .receipt(subject, *number, &endpoint.id)?
            .of(&endpoint)
            .fetched
            .is_none();
        if unread {
            fallbacks.extend(reader.notification(subject, *number)?);
        }
    }
    let streaming = listening.contains(&endpoint.id);
    Ok(Level {
        endpoint,
        state,
        mark,
        streaming,
        fallbacks,
        read_singly: Vec::new(),
        believed: rules.believed,
        resumed: resumed.unwrap_or_default(),
    })
}

/// What an endpoint has read without pulling the feed, where that counts: a fallback is not sent then, and what becomes of
/// it is told. What is just to be announced is not looked up.
fn read_singly(
    reader: &Reader,
    subject: &Subject,
    (endpoint, held): (&Endpoint, FeedPosition),
    (steps, now): (&[Step], Timestamp),
) -> Result<Vec<ReadSingly>, Error> {
    let mut read = Vec::new();
    for it in steps.iter().filter_map(|step| step.notification.as_ref()) {
        let announced = it.is_open(now) && it.draft.targets(endpoint.platform);
        let counts = it.draft.fallback.is_some() || !announced && it.number > held;
        if counts {
            let receipt = reader.receipt(subject, it.number, &endpoint.id)?;
            let receipt = receipt.of(endpoint);
            read.extend(receipt.fetched.map(|_| ReadSingly {
                number: it.number,
                held: receipt.held,
            }));
        }
    }
    read.sort_by_key(|it| it.number);
    Ok(read)
}

/// All that happened after `from`, however much that is: what an endpoint lacks may stand anywhere in it.
fn steps(
    reader: &Reader,
    subject: &Subject,
    from: FeedPosition,
    head: FeedPosition,
) -> Result<Vec<Step>, Error> {
    let mut after = from;
    let mut steps = Vec::new();
    let feed = reader.feed(subject);
    loop {
        let page = feed.changes(after, PAGE)?;
        let is_last = page.len() < PAGE;
        for told in page {
            after = told.change.position;
            if after > head {
                return Ok(steps);
            }
            steps.push(Step {
                change: told.change.clone(),
                notification: told.notification(&feed)?,
            });
            if let Some(old) = steps.len().checked_sub(WHOLE + 1) {
                steps[old].drop_content();
            }
        }
        if is_last {
            return Ok(steps);
        }
    }
}

/// What the taps of one look show: read once, however many devices show it.
#[derive(Default)]
pub(super) struct Shown(HashMap<NotificationId, Option<Arc<Notification>>>);

impl Shown {
    pub(super) fn find(
        &mut self,
        (reader, subject): (&Reader, &Subject),
        steps: &[Step],
        id: Option<NotificationId>,
    ) -> Result<Option<Arc<Notification>>, Error> {
        let Some(id) = id else {
            return Ok(None);
        };
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let mut of_steps = steps.iter().filter_map(|step| step.notification.as_ref());
        let found = match of_steps.find(|it| it.id == id && it.removed.is_none()) {
            Some(known) => Some(known.clone()),
            None => match reader.number_of(subject, id)? {
                Some(number) => reader.notification(subject, number)?,
                None => None,
            },
        };
        let found = found.map(Arc::new);
        self.0.insert(id, found.clone());
        Ok(found)
    }
}

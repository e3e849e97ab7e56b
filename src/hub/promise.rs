//! The promise that nobody is forgotten, as a check: an endpoint that lacks something has an unanswered tap, a due
//! tap, or a recorded reason why not. What is due now, or will be by time alone, must have a marker.

use std::{sync::Arc, time::Duration};

use super::{Error, Hub, due::Decision, lanes::Resumed, levels, settings};
use crate::{
    model::{EndpointId, Subject, TapRules, Timestamp},
    store::{FirstMarkers, Reader},
};

/// How often a view is read again that was written to meanwhile.
const VIEWS: usize = 1000;
/// How many waits in a row are followed until a tap leaves.
const WAITS: usize = 16;

/// How far ahead dispatch takes markers when it starts, the settings are read anew or a lane is taken up again, and how long
/// it may have those in hand. A tap that failed meanwhile may be due before them; if the hub dies, the next start takes them up as early.
const AHEAD: Duration = Duration::from_secs(91);
const IN_HAND: Duration = Duration::from_secs(180);

impl Hub {
    /// The user's endpoints that are owed a tap, now or later, for which nothing in the outbox stands; none, ever.
    ///
    /// # Errors
    /// `Store`; `Conflict` where the store never stood still for long enough to be looked at.
    pub async fn forgotten(&self, subject: Subject) -> Result<Vec<EndpointId>, Error> {
        self.forgotten_beside(subject, Arc::default()).await
    }

    /// The same, with what is known of markers.
    pub(super) async fn forgotten_beside(
        &self,
        subject: Subject,
        known: Arc<FirstMarkers>,
    ) -> Result<Vec<EndpointId>, Error> {
        let now = self.now();
        let Some(app) = self.app(&subject.app).filter(|_| !self.owes_a_look()) else {
            return Ok(Vec::new());
        };
        let follows = settings::follows(
            self.store.reader(),
            &app.host,
            TapRules::of(self.delivery()),
        );
        if !follows? {
            // Everybody is about to be looked at.
            return Ok(Vec::new());
        }
        let listening = self.listening(&subject);
        let delivery = self.delivery().clone();
        let (configured, resumed) = (self.configured.since(), self.lanes.resumed());
        let (believed, seen) = (self.believed(), self.store.stamp(&subject));
        self.store
            .ask(move |reader| {
                let rules = levels::Rules {
                    app: &app,
                    delivery: &delivery,
                    now,
                    believed,
                    configured,
                    resumed: &resumed,
                    tells_over: false,
                    seen,
                };
                for _ in 0..VIEWS {
                    let before = reader.commits()?;
                    let forgotten = forgotten(reader, &subject, (&listening, &rules), &known)?;
                    if reader.commits()? == before {
                        return Ok(forgotten);
                    }
                }
                Err(Error::Conflict("the store is too busy to be looked at"))
            })
            .await
    }
}

fn forgotten(
    reader: &Reader,
    subject: &Subject,
    (listening, rules): (&[EndpointId], &levels::Rules<'_>),
    known: &FirstMarkers,
) -> Result<Vec<EndpointId>, Error> {
    let anew = rules.configured.max(rules.resumed.latest());
    let in_hand = rules.now < anew.plus(IN_HAND);
    let early = if in_hand { AHEAD } else { Duration::ZERO };
    let mut forgotten = Vec::new();
    for endpoint in reader.endpoints(subject)? {
        // One that has just registered pulls by itself, and one whose stream broke off may come back at once: until
        // the grace is over nobody has to look.
        let grace = endpoint.registered.min(rules.now);
        let grace = grace.plus(rules.delivery.stream_grace);
        let due = due_at(reader, subject, &endpoint.id, (listening, rules))?;
        let streamed = [listening, std::slice::from_ref(&endpoint.id)].concat();
        let held_back = due_at(reader, subject, &endpoint.id, (&streamed, rules))?;
        // What stood still for wrong settings is looked at anew when the hub has started or was configured, or its lane was
        // taken up again: in a moment.
        let before = levels::Rules {
            configured: Timestamp::default(),
            resumed: &Resumed::default(),
            ..*rules
        };
        let stopped = due_at(reader, subject, &endpoint.id, (listening, &before))?;
        let by = due.map(|due| {
            let waits = [grace, held_back.unwrap_or(due), stopped.unwrap_or(due)];
            waits.into_iter().fold(due, Timestamp::max)
        });
        let by = by.map(|by| by.plus(early));
        if let Some(by) = by
            && !reader.has_marker_by(by, subject, known)?
        {
            forgotten.push(endpoint.id);
        }
    }
    Ok(forgotten)
}

/// When a tap will leave for an endpoint if nothing happens but time; none, where none will. A wait may end in
/// another wait.
fn due_at(
    reader: &Reader,
    subject: &Subject,
    endpoint: &EndpointId,
    (listening, rules): (&[EndpointId], &levels::Rules<'_>),
) -> Result<Option<Timestamp>, Error> {
    let mut at = rules.now;
    for _ in 0..WAITS {
        let then = levels::Rules { now: at, ..*rules };
        let levels = levels::Levels::read(reader, subject, listening, &then)?;
        let level = levels.levels.iter().find(|it| it.endpoint.id == *endpoint);
        let Some(verdict) = level.map(|level| levels.decide(level, &then)) else {
            return Ok(None);
        };
        match (verdict.decision, verdict.look) {
            (Decision::Push(_), _) => return Ok(Some(at)),
            (_, None) => return Ok(None),
            (_, Some(look)) => at = look.max(at),
        }
    }
    Ok(Some(at))
}

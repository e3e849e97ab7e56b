//! The promise that nobody is forgotten, as a check: an endpoint that lacks something has an unanswered tap, a due
//! tap, or a recorded reason why not. What is due now, or will be by time alone, must have a marker.

use super::{Error, Hub, deliveries};
use crate::{
    model::{EndpointId, Subject, Timestamp},
    store::Reader,
};

/// How often a view is read again that was written to meanwhile.
const VIEWS: usize = 1000;

impl Hub {
    /// The user's endpoints that are owed a tap, now or later, for which nothing in the outbox stands; none, ever.
    ///
    /// # Errors
    /// `Store`; `Conflict` where the store never stood still for long enough to be looked at.
    pub async fn forgotten(&self, subject: Subject) -> Result<Vec<EndpointId>, Error> {
        let now = self.now();
        let Some(app) = self.app(&subject.app) else {
            return Ok(Vec::new());
        };
        let listening = self.listening(&subject);
        let delivery = self.delivery().clone();
        self.store
            .ask(move |reader| {
                let rules = deliveries::Rules {
                    app: &app,
                    delivery: &delivery,
                    now,
                };
                for _ in 0..VIEWS {
                    let before = reader.commits()?;
                    let forgotten = forgotten(reader, &subject, (&listening, &rules))?;
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
    (listening, rules): (&[EndpointId], &deliveries::Rules<'_>),
) -> Result<Vec<EndpointId>, Error> {
    let levels = deliveries::Levels::read(reader, subject, listening, rules)?;
    let first = reader.first_marker(subject)?;
    let has_marker_by = |by: Timestamp| first.is_some_and(|due| due <= by);
    let mut forgotten = Vec::new();
    for level in &levels.levels {
        let verdict = levels.decide(level, rules);
        let needed_by = match verdict.decision {
            super::due::Decision::Push(_) => Some(rules.now),
            _ => verdict.look,
        };
        if needed_by.is_some_and(|by| !has_marker_by(by)) {
            forgotten.push(level.endpoint.id.clone());
        }
    }
    Ok(forgotten)
}

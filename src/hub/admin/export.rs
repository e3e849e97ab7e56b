//! All that is held about a user, as one JSON object that comes in pieces: whoever puts their texts one behind the other
//! has it. A feed may be long, so no piece is.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    super::{Error, Hub},
    AdminError, audit, show,
};
use crate::model::{
    Delivery, Endpoint, FeedPosition, Notification, Push, Subject, User, UserToken, Whom,
};
use crate::store::ActsOf;

/// How many notifications a piece has at most, each with what became of it on every device.
const NOTIFICATIONS: usize = 50;
/// How many changes are looked through for one.
const CHANGES: usize = 1000;

/// Where a piece begins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Place {
    /// At the user, their endpoints and tokens.
    #[default]
    Start,
    /// At the notifications posted from then on.
    Notifications {
        /// The place in the feed.
        from: u64,
        /// Whether none was shown yet.
        first: bool,
    },
    /// At what was removed after a position of the feed.
    Removed {
        /// The position.
        after: u64,
        /// Whether none was shown yet.
        first: bool,
    },
    /// At the pushes to the next of the endpoints.
    Pushes {
        /// The one before, by whose id the next is found, whatever is registered meanwhile.
        after: Option<String>,
        /// Whether none was shown yet.
        first: bool,
    },
    /// At the administrative acts that name the user, before the one of this number.
    Acts {
        /// The number; none at the newest.
        before: Option<u64>,
        /// Whether none was shown yet.
        first: bool,
    },
}

/// A piece of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// What it adds to the text.
    pub text: String,
    /// Where the next one begins; none after the last.
    pub next: Option<Place>,
}

impl Hub {
    /// The piece of an export that begins at a place; without `content` the payloads are left out.
    ///
    /// # Errors
    /// `NotFound` where nothing is known of the user; `Store`.
    pub async fn export(
        &self,
        subject: Subject,
        content: bool,
        place: Place,
    ) -> Result<Piece, Error> {
        match place {
            Place::Start => self.export_head(subject).await,
            Place::Notifications { from, first } => {
                let from = (FeedPosition(from), first);
                self.export_notifications(subject, content, from).await
            }
            Place::Removed { after, first } => {
                let after = (FeedPosition(after), first);
                self.export_removed(subject, after).await
            }
            Place::Pushes { after, first } => self.export_pushes(subject, (after, first)).await,
            Place::Acts { before, first } => self.export_acts(subject, (before, first)).await,
        }
    }

    async fn export_head(&self, subject: Subject) -> Result<Piece, Error> {
        let (asked, now) = (subject.clone(), self.now());
        let read = move |reader: &crate::store::Reader| {
            let user: User = reader.known_user(&asked)?.ok_or(Error::NotFound("user"))?;
            let endpoints = reader.endpoints(&asked)?;
            let endpoints: Vec<Endpoint> = endpoints.into_iter().map(|it| it.at(now)).collect();
            let tokens: Vec<UserToken> = reader.all_tokens_of(&asked, usize::MAX)?;
            Ok::<_, Error>((user, endpoints, tokens))
        };
        let (user, endpoints, tokens) = self.store().ask(read).await?;
        let endpoints: Vec<Value> = endpoints.iter().map(show::endpoint).collect();
        let tokens: Vec<Value> = tokens.iter().map(show::token).collect();
        let mut head = json!({
            "app": subject.app.as_str(),
            "user": show::user(&user),
            "exportedDateTime": now.to_string(),
            "endpoints": endpoints,
            "tokens": tokens,
        })
        .to_string();
        // Goes on with the other members.
        head.pop();
        head.push_str(",\"notifications\":[");
        Ok(Piece {
            text: head,
            next: Some(Place::Notifications {
                from: 0,
                first: true,
            }),
        })
    }

    async fn export_notifications(
        &self,
        subject: Subject,
        content: bool,
        (from, first): (FeedPosition, bool),
    ) -> Result<Piece, Error> {
        let asked = subject.clone();
        let read = move |reader: &crate::store::Reader| {
            let mut found = Vec::new();
            reader.oldest_first_from(&asked, from, &mut |it| {
                found.push(it);
                match found.len() > NOTIFICATIONS {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            })?;
            Ok::<_, Error>(found)
        };
        let mut found: Vec<Notification> = self.store().ask(read).await?;
        let more = match found.len() > NOTIFICATIONS {
            true => found.pop(),
            false => None,
        };
        let ids = found.iter().map(|it| it.id).collect();
        let deliveries = self.deliveries_of(subject, ids).await?;
        let items: Vec<Value> = found
            .iter()
            .zip(deliveries)
            // Of one whose time is over by now nothing is told any more.
            .map(|(it, deliveries)| notification(it, &deliveries.unwrap_or_default(), content))
            .collect();
        let mut text = listed(&items, first);
        let still_first = first && items.is_empty();
        let next = match more {
            Some(more) => Place::Notifications {
                from: more.number.0,
                first: still_first,
            },
            None => {
                text.push_str("],\"removed\":[");
                Place::Removed {
                    after: 0,
                    first: true,
                }
            }
        };
        let next = Some(next);
        Ok(Piece { text, next })
    }

    async fn export_removed(
        &self,
        subject: Subject,
        (after, first): (FeedPosition, bool),
    ) -> Result<Piece, Error> {
        let read = move |reader: &crate::store::Reader| {
            Ok::<_, Error>(reader.changes(&subject, after, CHANGES)?)
        };
        let changes = self.store().ask(read).await?;
        let items: Vec<Value> = changes.iter().filter_map(show::removed).collect();
        let mut text = listed(&items, first);
        let last = changes.last().filter(|_| changes.len() == CHANGES);
        let next = match last {
            Some(last) => Place::Removed {
                after: last.position.0,
                first: first && items.is_empty(),
            },
            None => {
                text.push_str("],\"pushes\":[");
                Place::Pushes {
                    after: None,
                    first: true,
                }
            }
        };
        let next = Some(next);
        Ok(Piece { text, next })
    }

    async fn export_pushes(
        &self,
        subject: Subject,
        (after, first): (Option<String>, bool),
    ) -> Result<Piece, Error> {
        let read = move |reader: &crate::store::Reader| {
            let mut endpoints = reader.endpoints(&subject)?;
            endpoints.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
            let is_next = |it: &Endpoint| Some(it.id.as_str()) > after.as_deref();
            let Some(endpoint) = endpoints.into_iter().find(is_next) else {
                return Ok(None);
            };
            let pushes: Vec<Push> = reader.pushes_of(&subject, &endpoint.id)?;
            let items = pushes.iter().map(|it| show::push(&endpoint.id, it));
            let items = items.collect::<Vec<Value>>();
            Ok::<_, Error>(Some((endpoint.id.as_str().to_owned(), items)))
        };
        Ok(match self.store().ask(read).await? {
            Some((endpoint, items)) => Piece {
                text: listed(&items, first),
                next: Some(Place::Pushes {
                    after: Some(endpoint),
                    first: first && items.is_empty(),
                }),
            },
            None => Piece {
                text: String::from("],\"acts\":["),
                next: Some(Place::Acts {
                    before: None,
                    first: true,
                }),
            },
        })
    }

    async fn export_acts(
        &self,
        subject: Subject,
        (before, first): (Option<u64>, bool),
    ) -> Result<Piece, Error> {
        let of = ActsOf {
            app: Some(subject.app),
            user: Some(Whom::Named(subject.user)),
            since: None,
            before,
        };
        let read =
            move |reader: &crate::store::Reader| Ok::<_, Error>(reader.acts(&of, audit::MAX_ACTS)?);
        let acts = self.store().ask(read).await?;
        let items: Vec<Value> = acts.iter().map(audit::shown).collect();
        let mut text = listed(&items, first);
        let last = acts.last().filter(|_| acts.len() == audit::MAX_ACTS);
        let next = last.map(|last| Place::Acts {
            before: Some(last.number),
            first: first && items.is_empty(),
        });
        if next.is_none() {
            text.push_str("]}\n");
        }
        Ok(Piece { text, next })
    }

    pub(super) async fn admin_export(
        &self,
        subject: Subject,
        content: bool,
        place: Place,
    ) -> Result<Value, AdminError> {
        let piece = self.export(subject, content, place).await?;
        Ok(json!(piece))
    }
}

/// Items of a list that others may stand before.
fn listed(items: &[Value], first: bool) -> String {
    let mut text = String::new();
    for (nth, item) in items.iter().enumerate() {
        if nth > 0 || !first {
            text.push(',');
        }
        text.push('\n');
        text.push_str(&item.to_string());
    }
    text
}

fn notification(it: &Notification, deliveries: &[Delivery], content: bool) -> Value {
    let mut shown = show::notification(it);
    if it.removed.is_some() {
        shown["status"] = "deleted".into();
    }
    if !content && let Some(members) = shown.as_object_mut() {
        for name in ["payload", "fallbackPolicy"] {
            members.remove(name);
        }
    }
    shown["deliveries"] = deliveries.iter().map(show::delivery).collect();
    shown
}

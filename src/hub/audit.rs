//! The audit log: every administrative act is noted before it is done, and what came of it after.

use super::{Error, Hub, access, kept_acts::KeptActs};
use crate::{
    model::{Act, ActOutcome, Actor, AppHost, Deed, EndpointId, Subject, UserId, Whom},
    store::{AppRow, Batch, Reader, pseudonym},
};

/// How long the id in an entry may be.
const ID_CHARS: usize = 128;

/// What an app's server does to one of its people that is an administrative act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppAct {
    /// Has all that is held about them.
    Export,
    /// Ends their tokens, or those alone that are bound to an endpoint.
    RevokeTokens(Option<EndpointId>),
    /// Signs a device out.
    RemoveEndpoint(EndpointId),
    /// Erases them.
    Erase,
}

impl AppAct {
    fn deed(&self, subject: &Subject) -> Deed {
        let (name, of) = match self {
            Self::Export => ("user export", None),
            Self::Erase => ("user erase", None),
            Self::RevokeTokens(endpoint) => ("token revoke", endpoint.as_ref()),
            Self::RemoveEndpoint(endpoint) => ("endpoint remove", Some(endpoint)),
        };
        Deed {
            name,
            app: Some(subject.app.clone()),
            user: Some(subject.user.clone()),
            of: of.map(|id| id.as_str().to_owned()),
        }
    }

    /// Whether there is anything that it can be done to.
    fn finds(&self, reader: &Reader, subject: &Subject) -> Result<bool, Error> {
        Ok(match self {
            Self::Export | Self::Erase => reader.known_user(subject)?.is_some(),
            Self::RevokeTokens(None) => !reader.all_tokens_of(subject, 1)?.is_empty(),
            Self::RevokeTokens(endpoint) => {
                !reader.tokens_of(subject, endpoint.as_ref())?.is_empty()
            }
            Self::RemoveEndpoint(id) => reader.registered_endpoint(subject, id)?.is_some(),
        })
    }
}

impl Hub {
    /// Does what an app's server asks, by the id of its key. What finds nothing is not noted: it changes nothing, and
    /// whoever holds a key could else push all others out of the log.
    ///
    /// # Errors
    /// Those of the act, and `Store` where it cannot be noted: nothing is done then.
    pub async fn audited_of_app<T>(
        &self,
        key: &str,
        (subject, what): (Subject, AppAct),
        act: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let (by, deed) = (Actor::Key(key.to_owned()), what.deed(&subject));
        let finds = move |reader: &Reader| what.finds(reader, &subject);
        if self.store().ask(finds).await? {
            return self.audited((by, deed), act).await;
        }
        let done = act.await;
        // What it found came in between; it is done, whether that can be noted or not.
        if done.is_ok() {
            match self.begin_act(by, deed).await {
                Ok(noted) => self.end_act(noted, ActOutcome::Done).await,
                Err(error) => {
                    tracing::error!(%error, "an administrative act is not in the audit log")
                }
            }
        }
        done
    }

    /// Does an administrative act, noted before and after.
    ///
    /// # Errors
    /// Those of the act, and `Store` where it cannot be noted: nothing is done then.
    pub(super) async fn audited<T>(
        &self,
        (by, deed): (Actor, Deed),
        act: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let act_noted = self.begin_act(by, deed).await?;
        let done = act.await;
        let outcome = match &done {
            Ok(_) => ActOutcome::Done,
            Err(error) => ActOutcome::Refused(error.code().to_owned()),
        };
        self.end_act(act_noted, outcome).await;
        done
    }

    /// Notes what is about to be done.
    pub(super) async fn begin_act(&self, by: Actor, deed: Deed) -> Result<Act, Error> {
        // One at a time.
        let mut kept = self.audit.lock().await;
        // A key or a token in the place of a name or an id, by mistake.
        let user = deed.user.filter(|id| !access::looks_secret(id.as_str()));
        let app = deed.app.clone();
        let (last, user) = self
            .store()
            .ask(move |reader| Ok::<_, Error>((reader.last_act()?, whom(reader, app, user)?)))
            .await?;
        let of = match user {
            Some(Whom::Erased(_)) => None,
            _ => deed.of.filter(|id| !access::looks_secret(id)),
        };
        let act = Act {
            number: last + 1,
            at: self.now(),
            by,
            deed: deed.name.to_owned(),
            app: deed.app,
            user,
            of: of.map(|id| id.chars().take(ID_CHARS).collect()),
            outcome: ActOutcome::Begun,
        };
        let mut batch = Batch::from(AppRow::Act(Box::new(act.clone())));
        let kept = match &mut *kept {
            Some(kept) => kept,
            unread => unread.insert(self.kept_acts().await?),
        };
        let of_key = match act.by {
            Actor::Key(_) => act.app.clone(),
            Actor::Operator => None,
        };
        let oldest = kept.note(act.number, of_key);
        batch.rows.extend(oldest.map(AppRow::DropAct));
        self.store.commit_batch(batch, Vec::new()).await?;
        Ok(act)
    }

    async fn kept_acts(&self) -> Result<KeptActs, Error> {
        let numbers = self.store().ask(Reader::kept_acts).await?;
        let mut kept = KeptActs::default();
        for (number, of_key) in numbers {
            // One too many goes with the next one.
            kept.note(number, of_key);
        }
        Ok(kept)
    }

    /// Notes what came of it. It is done, or not, whether that can be noted or not.
    pub(super) async fn end_act(&self, act: Act, outcome: ActOutcome) {
        let _one_at_a_time = self.audit.lock().await;
        let ended = self.write_end(Act { outcome, ..act }).await;
        if let Err(error) = ended {
            tracing::error!(%error, "what came of an administrative act could not be noted; the audit log calls it begun");
        }
    }

    /// Writes an act anew; without the name of one who was erased since.
    async fn write_end(&self, mut act: Act) -> Result<(), Error> {
        let number = act.number;
        let stored = self
            .store()
            .ask(move |reader| Ok::<_, Error>(reader.act(number)?))
            .await?;
        if let Some(erased @ Whom::Erased(_)) = stored.and_then(|stored| stored.user) {
            act.user = Some(erased);
            act.of = None;
        }
        Ok(self.store.commit_app(AppRow::Act(Box::new(act))).await?)
    }
}

/// How the log names a user: by a hash, where they are being erased, or were and are not back.
fn whom(
    reader: &Reader,
    app: Option<AppHost>,
    user: Option<UserId>,
) -> Result<Option<Whom>, Error> {
    let (app, user) = match (app, user) {
        (Some(app), Some(user)) => (app, user),
        (_, user) => return Ok(user.map(Whom::Named)),
    };
    let subject = Subject { app, user };
    let erased = match reader.erasure(&subject)? {
        Some(it) => it.under_way.is_some() || reader.known_user(&subject)?.is_none(),
        None => false,
    };
    Ok(Some(match erased {
        true => Whom::Erased(pseudonym(&subject.user)),
        false => Whom::Named(subject.user),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hub::tests::hub, store::ActsOf};

    #[tokio::test]
    async fn the_oldest_act_makes_room_for_another() {
        let hub = hub(10);
        let deed = || Deed {
            name: "key create",
            app: None,
            user: None,
            of: Some("x".repeat(1000)),
        };
        let first = hub.begin_act(Actor::Operator, deed()).await.unwrap();
        assert_eq!((first.number, first.of.unwrap().len()), (1, ID_CHARS));
        let second = hub.begin_act(Actor::Operator, deed()).await.unwrap();
        let numbers = || -> Vec<u64> {
            let acts = hub.store().reader().acts(&ActsOf::default(), 10).unwrap();
            acts.iter().map(|act| act.number).collect()
        };
        assert_eq!(numbers(), [2, 1]);
        *hub.audit.lock().await = Some(KeptActs::at_most(3, 1));
        let key = || Actor::Key(String::from("k"));
        for (by, left) in [
            (Actor::Operator, &[3, 2, 1][..]),
            (key(), &[4, 3, 2, 1]),
            (key(), &[5, 3, 2, 1]),
            (Actor::Operator, &[6, 5, 3, 2, 1]),
            (Actor::Operator, &[7, 6, 5, 2, 1]),
        ] {
            let deed = Deed {
                app: Some(AppHost::parse("todo.example").unwrap()),
                ..deed()
            };
            hub.begin_act(by, deed).await.unwrap();
            assert_eq!(numbers(), left);
        }
        assert_eq!(second.number, 2);
    }

    #[tokio::test]
    async fn a_secret_in_the_place_of_an_id_is_not_written_down() {
        let hub = hub(10);
        for (of, kept) in [
            ("bk_ZirXIcFFTy54_UtFah0123456789", None),
            ("xBK_ZirXIcFFTy54_UtFah0123456789", None),
            ("bu_ZirXIcFFTy54UtFah0123456789", None),
            ("ba_ZirXIcFFTy54UtFah0123456789", None),
            ("eyJhbGciOiJFUzI1NiJ9.eyJ9.x", None),
            ("phone", Some("phone")),
        ] {
            let deed = Deed {
                name: "key revoke",
                app: None,
                user: Some(UserId::parse(of).unwrap()),
                of: Some(of.to_owned()),
            };
            let act = hub.begin_act(Actor::Operator, deed).await.unwrap();
            assert_eq!(act.of.as_deref(), kept, "{of}");
            let named = act.user.map(|_| of);
            assert_eq!(named, kept, "{of}");
        }
    }
}

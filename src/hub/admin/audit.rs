//! Which of the operator's requests are administrative acts, and the log of them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{AdminError, Place, Request, host, show};
use crate::{
    hub::Hub,
    model::{Act, ActOutcome, Actor, AppHost, Deed, Timestamp, UserId, Whom},
    store::{ActsOf, backup::Backup},
};

/// How many acts one answer lists at most.
pub(super) const MAX_ACTS: usize = 1000;

impl Request {
    /// What it does; nothing, where it only looks, or goes on with what was begun.
    pub(super) fn deed(&self) -> Option<Deed> {
        use Request::{
            CreateKey, EndpointImport, EndpointRemove, EndpointRevive, EndpointTest, MintToken,
            RevokeKey, RevokeTokens, Send, SendMany, StoreExpire, UserErase, UserExport,
        };
        let (name, app, user, of) = match self {
            CreateKey { app, .. } => ("key create", Some(app), None, None),
            RevokeKey { id, .. } => ("key revoke", None, None, Some(id)),
            MintToken {
                app,
                user,
                endpoint,
                ..
            } => ("token mint", Some(app), Some(user), endpoint.as_ref()),
            RevokeTokens {
                app,
                user,
                endpoint,
            } => ("token revoke", Some(app), Some(user), endpoint.as_ref()),
            Send { app, user, .. } => ("send", Some(app), Some(user), None),
            SendMany { app, .. } => ("send", Some(app), None, None),
            UserExport {
                app,
                user,
                place: Place::Start,
                ..
            } => ("user export", Some(app), Some(user), None),
            UserErase { app, user } => ("user erase", Some(app), Some(user), None),
            EndpointRemove {
                app,
                user,
                endpoint,
            } => ("endpoint remove", Some(app), Some(user), Some(endpoint)),
            EndpointTest {
                app,
                user,
                endpoint,
            } => ("endpoint test", Some(app), Some(user), Some(endpoint)),
            EndpointRevive {
                app, after: None, ..
            } => ("endpoint revive", Some(app), None, None),
            EndpointImport { app, .. } => ("endpoint import", Some(app), None, None),
            StoreExpire { .. } => ("store expire", None, None, None),
            _ => return None,
        };
        Some(Deed {
            name,
            app: app.and_then(|app| AppHost::parse(app).ok()),
            user: user.and_then(|user| UserId::parse(user).ok()),
            of: of.cloned(),
        })
    }
}

impl Hub {
    /// Notes an act of the operator's before it is done, and what came of it.
    pub(super) async fn admin_audited(
        &self,
        deed: Deed,
        act: impl Future<Output = Result<Value, AdminError>>,
    ) -> Result<Value, AdminError> {
        let mut noted = self.begin_act(Actor::Operator, deed).await?;
        let done = act.await;
        let outcome = match &done {
            Ok(answer) => {
                // What was made has its id only now.
                let made = answer["id"].as_str();
                noted.of = noted.of.or_else(|| made.map(str::to_owned));
                ActOutcome::Done
            }
            Err(error) => ActOutcome::Refused(error.code.clone()),
        };
        self.end_act(noted, outcome).await;
        done
    }

    /// Begins a backup.
    ///
    /// # Errors
    /// Where one is under way, or the store cannot be read.
    pub async fn backup(&self) -> Result<Backup, AdminError> {
        let deed = Deed {
            name: "store backup",
            app: None,
            user: None,
            of: None,
        };
        let backup = async { Ok(self.store().backup(self.now()).await?) };
        Ok(self.audited((Actor::Operator, deed), backup).await?)
    }

    pub(super) async fn admin_audit(
        &self,
        app: Option<&str>,
        since: Option<&str>,
        before: Option<u64>,
    ) -> Result<Value, AdminError> {
        let since = since.map(|text| {
            let since: Result<Timestamp, String> = text.parse();
            since.map_err(|why| AdminError::invalid("--since", why))
        });
        let since = since.transpose()?;
        if since.is_some_and(|since| since > self.now()) {
            return Err(AdminError::invalid(
                "--since",
                "is to come; write a time that is over",
            ));
        }
        let of = ActsOf {
            app: app.map(host).transpose()?,
            user: None,
            since,
            before,
        };
        let acts = self
            .store()
            .ask(move |reader| reader.acts(&of, MAX_ACTS))
            .await?;
        let next = acts.last().filter(|_| acts.len() == MAX_ACTS);
        let next = next.map(|act| act.number);
        let mut page = show::list(acts.iter().map(shown));
        if let Some(next) = next {
            page["next"] = next.into();
        }
        Ok(page)
    }
}

pub(super) fn shown(act: &Act) -> Value {
    let (outcome, reason) = match &act.outcome {
        ActOutcome::Begun => ("begun", None),
        ActOutcome::Done => ("done", None),
        ActOutcome::Refused(code) => ("refused", Some(code)),
    };
    let by = match &act.by {
        Actor::Operator => String::from("operator"),
        Actor::Key(id) => format!("key {id}"),
    };
    show::present([
        ("number", json!(act.number)),
        ("dateTime", json!(act.at.to_string())),
        ("by", json!(by)),
        ("act", json!(act.deed)),
        ("app", json!(act.app.as_ref().map(AppHost::as_str))),
        ("user", json!(act.user.as_ref().map(named))),
        ("of", json!(act.of)),
        ("outcome", json!(outcome)),
        ("reason", json!(reason)),
    ])
}

/// A user by their id; one who was erased by what is kept of it.
fn named(user: &Whom) -> String {
    match user {
        Whom::Named(user) => user.as_str().to_owned(),
        Whom::Erased(hash) => hash.iter().fold(String::from("erased:"), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
    }
}

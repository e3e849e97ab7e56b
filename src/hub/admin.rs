//! What operators ask of a hub: one enum of requests, one answer each. The running hub hears them at its admin
//! socket, and a command does the same in process where no hub runs; neither can tell which.
//!
//! This is a door, so texts come in and JSON goes out (the shapes of the API, lists as `{"value":[…]}`). Faults name
//! the command's flags, since that is what the operator typed. No answer holds a secret but the one just made.

mod audit;
mod care;
mod devices;
mod draft;
mod export;
mod figures;
mod foresight;
mod import;
mod many;
mod request;
mod show;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Error, Filter, Hub};
use crate::{
    model::{AppHost, EndpointId, Fault, Scope, Subject, UserId},
    store,
};

pub use draft::Post;
pub use export::{Piece, Place};
pub use foresight::{Became, Foresight, Looked, Standing, Whose};
pub use import::{Device, ReadRegistration};
pub use request::Request;

/// The socket's file in the data folder.
pub const SOCKET_FILE: &str = "admin.sock";
/// Says where the socket lies, in a data folder whose path is too long for it.
pub const POINTER_FILE: &str = "admin.path";

/// What the socket answers with a backup, byte by byte, rather than with JSON.
pub const BACKUP_PATH: &str = "/backup";

/// How long a user token may live at most, in seconds: a year.
const MAX_TOKEN_SECS: u64 = 365 * 24 * 3600;
/// How many users one answer lists at most.
const MAX_USERS: usize = 1000;
/// How many notifications are shown of a user.
const SHOWN: usize = 20;

/// Why a request was refused: a code of the API, and one line for each fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct AdminError {
    /// One of the API's error codes.
    pub code: String,
    /// What is wrong and what to do; may be several lines.
    pub message: String,
}

impl AdminError {
    /// A refusal.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }

    fn invalid(target: &'static str, message: impl Into<String>) -> Self {
        Error::invalid(target, message).into()
    }
}

impl From<Error> for AdminError {
    fn from(error: Error) -> Self {
        let code = error.code();
        let message = match error {
            Error::Invalid(faults) => lines(&faults),
            other => other.to_string(),
        };
        Self::new(code, message)
    }
}

impl From<store::Error> for AdminError {
    fn from(error: store::Error) -> Self {
        Error::from(error).into()
    }
}

fn lines(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults
        .iter()
        .map(|fault| format!("{} {}", fault.target, fault.message))
        .collect();
    lines.join("\n")
}

impl Hub {
    /// Does what an operator asks; an administrative act is noted in the audit log.
    ///
    /// # Errors
    /// [`AdminError`] with what is wrong, in words for the operator.
    pub async fn admin(&self, request: Request) -> Result<Value, AdminError> {
        match request.deed() {
            // Goes on, and is noted as done, where nobody waits for it.
            Some(deed) if matches!(request, Request::UserErase { .. }) => {
                let hub = self.clone();
                let erasing =
                    async move { hub.admin_audited(deed, hub.admin_answer(request)).await };
                let erased = tokio::spawn(erasing).await;
                erased.map_err(|_| Error::from(store::Error::Closed))?
            }
            Some(deed) => self.admin_audited(deed, self.admin_answer(request)).await,
            None => self.admin_answer(request).await,
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table, one arm for each request")]
    async fn admin_answer(&self, request: Request) -> Result<Value, AdminError> {
        match request {
            Request::CreateKey {
                app,
                name,
                scope,
                ahead,
            } => self.admin_key((&app, ahead), name, &scope).await,
            Request::ListKeys { app } => self.admin_keys(app).await,
            Request::RevokeKey { id, with_tokens } => self.admin_revoke(&id, with_tokens).await,
            Request::MintToken {
                app,
                user,
                endpoint,
                expires_secs,
            } => {
                self.admin_token(self.subject(&app, &user)?, endpoint, expires_secs)
                    .await
            }
            Request::RevokeTokens {
                app,
                user,
                endpoint,
            } => {
                self.admin_revoke_tokens(self.subject(&app, &user)?, endpoint)
                    .await
            }
            Request::Send { app, user, post } => {
                self.admin_send(self.subject(&app, &user)?, *post).await
            }
            Request::SendMany { app, users, post } => {
                self.admin_send_many(&app, users, *post).await
            }
            Request::Broadcast { app, id } => self.admin_broadcast(&app, &id).await,
            Request::UserList { app, after } => self.admin_users(&app, after.as_deref()).await,
            Request::UserShow { app, user } => self.admin_user(self.subject(&app, &user)?).await,
            Request::UserExport {
                app,
                user,
                content,
                place,
            } => {
                let subject = self.subject(&app, &user)?;
                self.admin_export(subject, content, place).await
            }
            Request::UserErase { app, user } => self.admin_erase(self.subject(&app, &user)?).await,
            Request::EndpointList { app, user } => {
                self.admin_endpoints(self.subject(&app, &user)?).await
            }
            Request::EndpointRemove {
                app,
                user,
                endpoint,
            } => {
                self.admin_remove(self.subject(&app, &user)?, &endpoint)
                    .await
            }
            Request::EndpointTest {
                app,
                user,
                endpoint,
            } => self.admin_test(self.subject(&app, &user)?, &endpoint).await,
            Request::EndpointRevive { app, since, after } => {
                self.admin_revive(&app, since.as_deref(), after.as_deref())
                    .await
            }
            Request::EndpointImport {
                app,
                devices,
                overwrite,
            } => self.admin_import(&app, devices, overwrite).await,
            Request::EndpointLook { app, devices } => self.admin_look(&app, devices).await,
            Request::Explain { notification } => self.admin_explain(&notification).await,
            Request::StoreVerify => self.admin_verify().await,
            Request::StoreStats => self.admin_stats().await,
            Request::StoreExpire { now } => self.admin_expire(now).await,
            Request::Audit { app, since, before } => {
                self.admin_audit(app.as_deref(), since.as_deref(), before)
                    .await
            }
            Request::Health => self.admin_health().await,
        }
    }

    async fn admin_keys(&self, app: Option<String>) -> Result<Value, AdminError> {
        let host = app.as_deref().map(host).transpose()?;
        let keys = self.keys(host).await?;
        if let Some(app) = app.filter(|_| keys.is_empty()) {
            // One that was taken out of the config may have keys; one that has neither is a slip.
            self.known(&app)?;
        }
        Ok(show::list(keys.iter().map(show::key)))
    }

    fn known(&self, app: &str) -> Result<AppHost, AdminError> {
        let host = host(app)?;
        if self.app(&host).is_some() {
            return Ok(host);
        }
        let message = format!(
            "there is no app {host} in the config; write an [[app]] for it, and send a running hub SIGHUP"
        );
        Err(AdminError::new("itemNotFound", message))
    }

    fn subject(&self, app: &str, user: &str) -> Result<Subject, AdminError> {
        Ok(Subject {
            app: self.known(app)?,
            user: user_id(user)?,
        })
    }

    async fn admin_key(
        &self,
        (app, ahead): (&str, bool),
        name: Option<String>,
        scope: &str,
    ) -> Result<Value, AdminError> {
        let app = if ahead { host(app)? } else { self.known(app)? };
        let scope = Scope::parse(scope).ok_or_else(|| {
            AdminError::invalid("--scope", "is not known; write send, users or all")
        })?;
        let minted = self.create_key_ahead(&app, name, scope).await?;
        Ok(show::new_key(&minted))
    }

    async fn admin_revoke(&self, id: &str, with_tokens: bool) -> Result<Value, AdminError> {
        self.revoke_key(id, with_tokens).await?;
        Ok(json!({ "id": id }))
    }

    async fn admin_token(
        &self,
        subject: Subject,
        endpoint: Option<String>,
        secs: Option<u64>,
    ) -> Result<Value, AdminError> {
        let endpoint = endpoint.as_deref().map(endpoint_id).transpose()?;
        if secs.is_some_and(|secs| !(1..=MAX_TOKEN_SECS).contains(&secs)) {
            let message = "is out of range; write 1s to 365d";
            return Err(AdminError::invalid("--expires", message));
        }
        let life = secs.map(Duration::from_secs);
        let minted = self.mint_token(subject, endpoint, life, None).await?;
        Ok(show::new_token(&minted))
    }

    async fn admin_revoke_tokens(
        &self,
        subject: Subject,
        endpoint: Option<String>,
    ) -> Result<Value, AdminError> {
        let endpoint = endpoint.as_deref().map(endpoint_id).transpose()?;
        let revoked = self.revoke_tokens(subject, endpoint).await?;
        Ok(json!({ "revoked": revoked }))
    }

    async fn admin_send(&self, subject: Subject, post: Post) -> Result<Value, AdminError> {
        let draft = post.check(self.limits(), self.now())?;
        let posted = self.create(subject, draft, None).await?;
        let it = posted.notification.as_ref();
        Ok(it.map_or(Value::Null, show::notification))
    }

    async fn admin_users(&self, app: &str, after: Option<&str>) -> Result<Value, AdminError> {
        let app = self.known(app)?;
        let after = after.map(user_id).transpose()?.map(|user| Subject {
            app: app.clone(),
            user,
        });
        let users = self
            .store()
            .ask(move |reader| reader.users(&app, after.as_ref(), MAX_USERS))
            .await?;
        let next = users.last().filter(|_| users.len() == MAX_USERS);
        let next = next.map(|user| user.subject.user.as_str().to_owned());
        let mut page = show::list(users.iter().map(show::user));
        if let Some(next) = next {
            page["next"] = next.into();
        }
        Ok(page)
    }

    async fn admin_erase(&self, subject: Subject) -> Result<Value, AdminError> {
        let id = subject.user.clone();
        self.erase_user(subject).await?;
        Ok(json!({ "id": id.as_str() }))
    }

    async fn admin_user(&self, subject: Subject) -> Result<Value, AdminError> {
        let asked = subject.clone();
        let user = self
            .store()
            .ask(move |reader| reader.known_user(&asked))
            .await?
            .ok_or(Error::NotFound("user"))?;
        let endpoints = self.endpoints(subject.clone()).await?;
        let history = self
            .history(subject, Filter::default(), SHOWN, None)
            .await?;
        let mut shown = show::user(&user);
        shown["endpoints"] = endpoints.iter().map(show::endpoint).collect();
        shown["notifications"] = history.items.iter().map(show::notification).collect();
        Ok(shown)
    }
}

fn host(text: &str) -> Result<AppHost, AdminError> {
    AppHost::parse(text).map_err(|why| AdminError::invalid("HOST", why))
}

fn user_id(text: &str) -> Result<UserId, AdminError> {
    UserId::parse(text).map_err(|why| AdminError::invalid("USER", why))
}

fn endpoint_id(text: &str) -> Result<EndpointId, AdminError> {
    EndpointId::parse(text).map_err(|why| AdminError::invalid("ENDPOINT", why))
}

//! What operators ask about devices: what became of a notification on each, and why.

use serde_json::{Value, json};

use super::{super::Hub, AdminError, endpoint_id, show, user_id};
use crate::model::{NotificationId, Subject};

impl Hub {
    /// The devices of a user.
    pub(super) async fn admin_endpoints(&self, subject: Subject) -> Result<Value, AdminError> {
        let endpoints = self.endpoints(subject).await?;
        Ok(show::list(endpoints.iter().map(show::endpoint)))
    }

    /// Signs a device out.
    pub(super) async fn admin_remove(
        &self,
        subject: Subject,
        endpoint: &str,
    ) -> Result<Value, AdminError> {
        self.remove_endpoint(subject, endpoint_id(endpoint)?)
            .await?;
        Ok(json!({ "id": endpoint }))
    }

    /// Whether a device can be reached, by a tap of its own.
    pub(super) async fn admin_test(
        &self,
        subject: Subject,
        endpoint: &str,
    ) -> Result<Value, AdminError> {
        let id = endpoint_id(endpoint)?;
        let tested = self.test_endpoint(subject, id.clone()).await?;
        Ok(show::tested(&id, &tested))
    }

    /// Brings dropped channels back, of some users at a time.
    pub(super) async fn admin_revive(
        &self,
        app: &str,
        since: Option<&str>,
        after: Option<&str>,
    ) -> Result<Value, AdminError> {
        let app = self.known(app)?;
        let since = since.map(str::parse).transpose();
        let since = since.map_err(|why: String| AdminError::invalid("--since", why))?;
        let after = after.map(user_id).transpose()?;
        let revived = self.revive(&app, since, after).await?;
        let mut answer = json!({ "app": app.as_str(), "revived": revived.endpoints });
        if let Some(next) = revived.next {
            answer["next"] = next.as_str().into();
        }
        Ok(answer)
    }

    /// The ladder of a notification, whoever it was posted to.
    pub(super) async fn admin_explain(&self, notification: &str) -> Result<Value, AdminError> {
        let id = NotificationId::parse(notification).ok_or_else(|| {
            let message = "is no notification's id; `beckon user show HOST USER` lists them";
            AdminError::invalid("NOTIFICATION", message)
        })?;
        let subject = self
            .store()
            .ask(move |reader| reader.whose(id))
            .await?
            .ok_or_else(|| {
                let message = format!(
                    "there is no notification {id}, or its time is over; `beckon user show HOST USER` lists those that are there"
                );
                AdminError::new("itemNotFound", message)
            })?;
        self.known(subject.app.as_str())?;
        let lines = self.deliveries(subject, id).await?;
        Ok(show::list(lines.iter().map(show::delivery)))
    }
}

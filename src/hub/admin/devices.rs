//! What operators ask about devices: what became of a notification on each, and why.

use serde_json::Value;

use super::{super::Hub, AdminError, show};
use crate::model::NotificationId;

impl Hub {
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

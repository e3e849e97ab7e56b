//! What operators ask about the store.

use serde_json::{Value, json};

use super::{
    super::{Error, Hub},
    AdminError, show,
};

impl Hub {
    pub(super) async fn admin_verify(&self) -> Result<Value, AdminError> {
        let mut findings = self.look_over(|| true).await?.unwrap_or_default();
        if findings.is_empty() {
            findings = self.forgotten_anywhere().await?;
        }
        Ok(show::list(findings.iter().map(show::finding)))
    }

    pub(super) async fn admin_stats(&self) -> Result<Value, AdminError> {
        let (depth, held) = self
            .store()
            .ask(|reader| Ok::<_, Error>((reader.outbox_depth()?, reader.held()?)))
            .await?;
        Ok(show::stats(self.store().stats(), (depth, held), self.now()))
    }

    pub(super) async fn admin_expire(&self, now: bool) -> Result<Value, AdminError> {
        if now {
            self.clock().trust();
            // What the operator has said holds through a kill.
            self.tell_last_time().await?;
        }
        if let Some(until) = self.doubted_until() {
            return Ok(json!({
                "ended": 0,
                "nowDateTime": self.now().to_string(),
                "heldUntilDateTime": until.to_string(),
            }));
        }
        let mut ended = 0;
        loop {
            let swept = self.sweep().await?;
            ended += swept.ended;
            if swept.ended == 0 {
                return Ok(json!({ "ended": ended }));
            }
        }
    }
}

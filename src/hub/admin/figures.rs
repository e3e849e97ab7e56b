//! What `/readyz` keeps to itself.

use serde_json::Value;

use super::{super::Hub, AdminError, show};

impl Hub {
    /// Apps, their services, the outbox, the lanes that stand still.
    pub(super) async fn admin_health(&self) -> Result<Value, AdminError> {
        let depth = self.store().ask(|reader| reader.outbox_depth()).await?;
        let mut health = show::outbox(depth, self.now());
        health["apps"] = self
            .apps()
            .all()
            .iter()
            .map(|app| show::services(app))
            .collect();
        let lanes = self.lanes_at_rest();
        health["lanes"] = lanes
            .iter()
            .map(|(name, state)| show::lane(name, state))
            .collect();
        health["clockDoubtedUntilDateTime"] =
            self.doubted_until().map(|until| until.to_string()).into();
        health["storeFull"] = self.store().stats().full.into();
        health["storeDamaged"] = self.store().is_damaged().into();
        health["storeDisagrees"] = self.disagrees().into();
        health["streamsOpen"] = self.streams_open().into();
        Ok(health)
    }
}

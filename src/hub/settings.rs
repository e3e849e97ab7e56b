//! Everybody whose taps were planned by other settings is looked at again: their app was not in the config meanwhile,
//! or `[delivery]` was another. The store knows by which settings they were looked at, so that this holds through
//! stops and kills.

use std::sync::Arc;

use super::{Error, Hub};
use crate::{
    config::{Delivery, apps::App},
    model::{AppHost, TapRules},
    store::{AppRow, Reader},
};

impl TapRules {
    /// What of the settings decides when a tap leaves.
    pub(super) fn of(delivery: &Delivery) -> Self {
        let millis = |it: std::time::Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        Self {
            stream_grace_millis: millis(delivery.stream_grace),
            silent_per_hour: u64::from(delivery.silent_per_hour),
            retap_after_millis: millis(delivery.retap_after),
        }
    }
}

impl Hub {
    /// Swaps the apps for those of a config read anew. What stood still for the old settings is tried again.
    ///
    /// # Errors
    /// `Store`, where it cannot be noted that an app is not there any more; the apps stay as they were.
    pub async fn reconfigure(&self, apps: Vec<Arc<App>>) -> Result<(), Error> {
        let _nothing_is_noted_meanwhile = self.settings.lock().await;
        self.note_absent(&apps).await?;
        self.configure(apps);
        Ok(())
    }

    /// Has everybody looked at who was looked at last by other settings.
    ///
    /// # Errors
    /// `Store`; it is tried again with the next call.
    pub async fn catch_up_with_settings(&self) -> Result<(), Error> {
        self.note_settings().await?;
        let rules = TapRules::of(self.delivery());
        for app in self.apps().all() {
            if follows(self.store.reader(), &app.host, rules)? {
                continue;
            }
            self.look_at_all_of(&app.host).await?;
            let _nobody_configures = self.settings.lock().await;
            if self.app(&app.host).is_some() {
                let row = AppRow::Rules(app.host.clone(), rules);
                self.store.commit_app(row).await?;
            }
        }
        Ok(())
    }

    /// Notes which of the apps that the store knows are not in the config.
    ///
    /// # Errors
    /// `Store`.
    pub async fn note_settings(&self) -> Result<(), Error> {
        let _nobody_configures = self.settings.lock().await;
        self.note_absent(&self.apps().all()).await
    }

    /// Notes which apps are not there, before anything is put off by that: once one is back, everybody of it is looked
    /// at.
    async fn note_absent(&self, apps: &[Arc<App>]) -> Result<(), Error> {
        for host in self.store.reader().apps_with_rules()? {
            if !apps.iter().any(|app| app.host == host) {
                self.store.commit_app(AppRow::DropRules(host)).await?;
            }
        }
        Ok(())
    }
}

/// Whether everybody of an app was looked at by these rules.
pub(super) fn follows(reader: &Reader, app: &AppHost, rules: TapRules) -> Result<bool, Error> {
    Ok(reader.rules(app)? == Some(rules))
}

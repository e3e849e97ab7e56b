//! The VAPID keys of the apps: made on first start and kept in the store, unless the operator gives one.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::Context as _;

use crate::{config::apps::App, hub::Hub, model::AppHost, push::web_push::VapidKey};

/// The present key of each app with Web Push, and the older ones that subscriptions may still be bound to.
#[derive(Debug, Clone, Default)]
pub struct VapidKeys(Arc<RwLock<HashMap<AppHost, Keys>>>);

#[derive(Debug, Clone)]
struct Keys {
    present: VapidKey,
    older: Vec<VapidKey>,
}

impl VapidKeys {
    /// Reads the keys of `apps`, and makes those that are missing.
    ///
    /// # Errors
    /// A key that cannot be read, or a store that cannot be written.
    pub async fn load(&self, hub: &Hub, apps: &[Arc<App>]) -> anyhow::Result<()> {
        for app in apps {
            let Some(settings) = &app.web_push else {
                continue;
            };
            let kept = hub.kept_vapid(&app.host)?;
            let kept = kept
                .map(|der| VapidKey::from_pkcs8(&der).map_err(anyhow::Error::msg))
                .transpose()
                .context("the VAPID key in the store cannot be read")?;
            let given = settings
                .key
                .as_ref()
                .map(|pem| VapidKey::from_pem(pem.expose()));
            let given = given
                .transpose()
                .map_err(anyhow::Error::msg)
                .context("app.webpush.key_file")?;
            let keys = match (given, kept) {
                (Some(present), kept) => Keys {
                    present,
                    older: kept.into_iter().collect(),
                },
                (None, Some(present)) => Keys {
                    present,
                    older: Vec::new(),
                },
                (None, None) => Keys {
                    present: make(hub, &app.host).await?,
                    older: Vec::new(),
                },
            };
            self.0
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(app.host.clone(), keys);
        }
        Ok(())
    }

    /// An app's public key, as browsers want it.
    pub fn public(&self, app: &AppHost) -> Option<String> {
        self.public_keys(app).into_iter().next()
    }

    /// All public keys that subscriptions to an app may have been made with, the present one first.
    pub fn public_keys(&self, app: &AppHost) -> Vec<String> {
        let (present, older) = self.of(app).unzip();
        let all = present.into_iter().chain(older.into_iter().flatten());
        all.map(|key| key.public_key_base64url()).collect()
    }

    /// An app's keys: the present one, and older ones.
    pub(super) fn of(&self, app: &AppHost) -> Option<(VapidKey, Vec<VapidKey>)> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(app)
            .map(|keys| (keys.present.clone(), keys.older.clone()))
    }
}

async fn make(hub: &Hub, app: &AppHost) -> anyhow::Result<VapidKey> {
    let der = VapidKey::generate().map_err(anyhow::Error::msg)?;
    let key = VapidKey::from_pkcs8(der.expose()).map_err(anyhow::Error::msg)?;
    hub.keep_vapid(app, der.expose().clone()).await?;
    Ok(key)
}

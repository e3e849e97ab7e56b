//! What the listeners, the API and the tests share.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::apns::certificate::Certificates;
use super::clock::Clock;
use super::device::{Push, Service};
use super::error::Error;
use super::fault::Faults;
use super::fcm::Rates;
use super::folder::Folder;
use super::journal::{HandedOver, Journal};
use super::registry::Registry;
use super::settings::Settings;
use super::tally::Tally;

/// Everything behind the listeners.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) folder: Folder,
    pub(crate) settings: Settings,
    pub(crate) devices: Registry,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) tally: Tally,
    pub(crate) certificates: Certificates,
    pub(crate) fcm_tokens: AccessTokens,
    pub(crate) fcm_rates: Rates,
    pub(crate) wns_tokens: AccessTokens,
    pub(crate) wns_older_tokens: AccessTokens,
    pub(crate) strict: bool,
    pub(crate) stopping: CancellationToken,
}

impl State {
    /// Writes down that a device has a push.
    pub(crate) fn hand_over(&self, service: Service, device: &str, waited: bool, push: Push) {
        let at_ms = self.clock.now_ms();
        self.journal.handed_over(HandedOver {
            seq: 0,
            at_ms,
            service,
            device: device.to_owned(),
            waited,
            push,
        });
    }
}

/// Access tokens given out by one of the token endpoints. They do not outlive the process: the sender gets a 401 and asks anew.
#[derive(Debug, Default)]
pub(crate) struct AccessTokens {
    expiry_secs: Mutex<HashMap<String, i64>>,
}

impl AccessTokens {
    /// Makes a token that is good until then.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub(crate) fn issue(&self, until_secs: i64) -> Result<String, Error> {
        let token = format!("ya29.{}", super::random::token(48)?);
        let mut expiry = self
            .expiry_secs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        expiry.insert(token.clone(), until_secs);
        Ok(token)
    }

    /// Whether the token was given out here and is still good.
    pub(crate) fn holds(&self, token: &str, now_secs: i64) -> bool {
        let expiry = self
            .expiry_secs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        expiry.get(token).is_some_and(|until| *until > now_secs)
    }

    /// Makes all tokens void, as if the account's key had been changed.
    pub(crate) fn revoke(&self) {
        self.expiry_secs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

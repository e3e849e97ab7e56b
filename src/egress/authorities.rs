//! The authorities that a client has had to do with.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::Instant;
use url::Url;

use super::{Failure, authority::Authority};

/// How many are remembered; beyond that the one not asked for longest is forgotten. Names come from outside, so there
/// must be an end to them.
const MAX_AUTHORITIES: usize = 512;

/// By host and port.
#[derive(Default)]
pub(super) struct Authorities(Mutex<HashMap<(String, u16), Known>>);

struct Known {
    authority: Arc<Authority>,
    used: Instant,
}

impl Authorities {
    /// The authority of `url`; a new one where it is not known. What is forgotten meanwhile closes once its last
    /// request is answered.
    pub(super) fn of(&self, url: &Url) -> Result<Arc<Authority>, Failure> {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(Failure::Invalid(String::from("the URL names no host")));
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let key = (host.to_owned(), port);
        if !known.contains_key(&key) && known.len() >= MAX_AUTHORITIES {
            let oldest = known.iter().min_by_key(|(_, known)| known.used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                known.remove(&oldest);
            }
        }
        let known = known.entry(key).or_insert_with(|| Known {
            authority: Arc::new(Authority::new(host, port)),
            used: now,
        });
        known.used = now;
        Ok(Arc::clone(&known.authority))
    }
}

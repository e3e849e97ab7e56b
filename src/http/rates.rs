//! How often one may ask: so many requests from an address, with an app key, of a person's devices
//! (`server.limits.requests_per_…`, `app.limits.requests_per_…`). Nothing is counted where no rate is set.
//!
//! A rate of n in a span lets n come at once, and then one after the other as the span goes by (the generic cell rate
//! algorithm, which the library keeps); so there is no edge at which twice as many pass. What is left is told with each
//! answer, in the fields of the IETF's draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers).

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actix_web::{
    HttpMessage, HttpRequest,
    dev::ServiceResponse,
    http::header::{HeaderName, HeaderValue},
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};

use super::{Error, client::Client};
use crate::{
    config::{App, Limits, Rate},
    model::{AppHost, UserId},
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// After so many requests those are forgotten that have their whole rate again.
const FORGET_EVERY: u32 = 4096;
/// With so many addresses at once, neighbours are counted as one, so that one network of them cannot go on for ever.
const CROWD: usize = 1 << 16;

/// The rates of a listener; cheap to clone.
#[derive(Clone, Default)]
pub struct Rates(Arc<Inner>);

#[derive(Default)]
struct Inner {
    addresses: Option<Limiter<IpAddr>>,
    per_key: Option<Rate>,
    per_user: Option<Rate>,
    apps: RwLock<HashMap<AppHost, Arc<OfApp>>>,
}

/// The rates of one app, as they were set when it was asked for them first.
struct OfApp {
    set: (Option<Rate>, Option<Rate>),
    keys: Option<Limiter<String>>,
    users: Option<Limiter<UserId>>,
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rates")
    }
}

impl Rates {
    /// The rates that the hub's section sets; an app's go before.
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Inner {
            addresses: limits.requests_per_address.map(Limiter::new),
            per_key: limits.requests_per_key,
            per_user: limits.requests_per_user,
            apps: RwLock::default(),
        }))
    }

    /// Counts a request from where it comes.
    ///
    /// # Errors
    /// Too many of them.
    pub(super) fn count_address(&self, request: &HttpRequest) -> Result<(), Error> {
        let address = Client::of(request).and_then(|client| client.address);
        let (Some(limiter), Some(address)) = (&self.0.addresses, address) else {
            return Ok(());
        };
        let place = place(address, limiter.known() >= CROWD);
        let key = "server.limits.requests_per_address";
        count(request, Some(limiter), &place, ("address", key))
    }

    /// Counts a request with an app key.
    ///
    /// # Errors
    /// Too many of them.
    pub(super) fn count_key(
        &self,
        request: &HttpRequest,
        app: &App,
        key: &str,
    ) -> Result<(), Error> {
        let own = app.limits.requests_per_key.is_some();
        let name = if own {
            "app.limits.requests_per_key"
        } else {
            "server.limits.requests_per_key"
        };
        let of_app = self.of(app);
        let limiter = of_app.as_ref().and_then(|it| it.keys.as_ref());
        count(request, limiter, &key.to_owned(), ("key", name))
    }

    /// Counts a request of a user's device.
    ///
    /// # Errors
    /// Too many of them.
    pub(super) fn count_user(
        &self,
        request: &HttpRequest,
        app: &App,
        user: &UserId,
    ) -> Result<(), Error> {
        let own = app.limits.requests_per_user.is_some();
        let name = if own {
            "app.limits.requests_per_user"
        } else {
            "server.limits.requests_per_user"
        };
        let of_app = self.of(app);
        let limiter = of_app.as_ref().and_then(|it| it.users.as_ref());
        count(request, limiter, user, ("user", name))
    }

    /// What an app's rates stand at. They begin anew where a reload has changed them.
    fn of(&self, app: &App) -> Option<Arc<OfApp>> {
        let per_key = app.limits.requests_per_key.or(self.0.per_key);
        let per_user = app.limits.requests_per_user.or(self.0.per_user);
        let set = (per_key, per_user);
        if set == (None, None) {
            return None;
        }
        let apps = self.0.apps.read().unwrap_or_else(PoisonError::into_inner);
        let known = apps.get(&app.host).filter(|known| known.set == set);
        if let Some(known) = known {
            return Some(Arc::clone(known));
        }
        drop(apps);
        let mut apps = self.0.apps.write().unwrap_or_else(PoisonError::into_inner);
        // Another may have been here between the two.
        let known = apps.get(&app.host).filter(|known| known.set == set);
        if let Some(known) = known {
            return Some(Arc::clone(known));
        }
        let fresh = Arc::new(OfApp {
            set,
            keys: per_key.map(Limiter::new),
            users: per_user.map(Limiter::new),
        });
        apps.insert(app.host.clone(), Arc::clone(&fresh));
        Some(fresh)
    }
}

/// What addresses are counted together. Whoever has an IPv6 address has its /64 (RFC 4291, section 2.5.4).
fn place(address: IpAddr, crowded: bool) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let kept = if crowded { 24 } else { 32 };
            Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << (32 - kept))).into()
        }
        IpAddr::V6(address) => {
            let kept = if crowded { 48 } else { 64 };
            Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - kept))).into()
        }
    }
}

type Cells<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// How often each of those with a key may ask.
struct Limiter<K: Hash + Eq + Clone> {
    rate: Rate,
    cells: Cells<K>,
    taken: AtomicU32,
}

/// Where one stands with a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    policy: &'static str,
    rate: Rate,
    left: u32,
}

/// What was answered to who asks.
struct Taken {
    standing: Standing,
    refused: Option<Error>,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn new(rate: Rate) -> Self {
        // Neither is 0, which is all that the library refuses.
        let one = rate.window() / rate.count().get();
        let quota = Quota::with_period(one).unwrap_or(Quota::per_second(rate.count()));
        let quota = quota.allow_burst(rate.count());
        Self {
            rate,
            cells: RateLimiter::keyed(quota).with_middleware(),
            taken: AtomicU32::new(0),
        }
    }

    fn known(&self) -> usize {
        self.cells.len()
    }

    fn take(&self, who: &K, (policy, name): (&'static str, &'static str)) -> Taken {
        if self.taken.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.cells.retain_recent();
            self.cells.shrink_to_fit();
        }
        let rate = self.rate;
        let standing = |left| Standing { policy, rate, left };
        match self.cells.check_key(who) {
            Ok(state) => Taken {
                standing: standing(state.remaining_burst_capacity()),
                refused: None,
            },
            Err(until) => Taken {
                standing: standing(0),
                refused: Some(Error::TooMany {
                    name,
                    rate,
                    wait_secs: whole_secs(until.wait_time_from(self.cells.clock().now())),
                }),
            },
        }
    }
}

/// Counts a request where there is a rate; `policy` and `name` are what the caller and the operator know the rate by.
fn count<K: Hash + Eq + Clone>(
    request: &HttpRequest,
    limiter: Option<&Limiter<K>>,
    who: &K,
    (policy, name): (&'static str, &'static str),
) -> Result<(), Error> {
    limiter.map_or(Ok(()), |it| note(request, it.take(who, (policy, name))))
}

/// Seconds, never fewer than asked for, and at least one: who comes early is refused again.
fn whole_secs(wait: Duration) -> u32 {
    let secs = wait.as_millis().div_ceil(1000);
    u32::try_from(secs).unwrap_or(u32::MAX).max(1)
}

impl Standing {
    /// When all is there again that may come at once.
    fn whole_after(&self) -> u32 {
        let used = self.rate.count().get().saturating_sub(self.left);
        let wait = self.rate.window() * used / self.rate.count().get();
        if used == 0 { 0 } else { whole_secs(wait) }
    }
}

/// Leaves with the request where its caller stands, for [`write()`].
fn note(request: &HttpRequest, taken: Taken) -> Result<(), Error> {
    let mut extensions = request.extensions_mut();
    match extensions.get_mut::<Vec<Standing>>() {
        Some(standings) => standings.push(taken.standing),
        None => {
            extensions.insert(vec![taken.standing]);
        }
    }
    taken.refused.map_or(Ok(()), Err)
}

/// Tells the caller where it stands.
pub(super) fn write<B>(response: &mut ServiceResponse<B>) {
    let standings = response
        .request()
        .extensions_mut()
        .remove::<Vec<Standing>>();
    let Some(standings) = standings else {
        return;
    };
    let list = |item: &dyn Fn(&Standing) -> String| {
        let items: Vec<String> = standings.iter().map(item).collect();
        HeaderValue::from_str(&items.join(", ")).ok()
    };
    let policy = list(&|it| {
        let (count, window) = (it.rate.count(), it.rate.window().as_secs());
        format!("\"{}\";q={count};w={window}", it.policy)
    });
    let standing = list(&|it| format!("\"{}\";r={};t={}", it.policy, it.left, it.whole_after()));
    let headers = response.headers_mut();
    for (name, value) in [(POLICY, policy), (STANDING, standing)] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate: &str) -> Limiter<IpAddr> {
        Limiter::new(Rate::parse(rate).unwrap())
    }

    fn v4(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn a_whole_rate_may_come_at_once_and_then_one_after_the_other() {
        let limiter = limiter("3/h");
        let take = |who| limiter.take(&who, ("address", "the.key"));
        for left in [2, 1, 0] {
            let taken = take(v4(1));
            assert!(taken.refused.is_none());
            assert_eq!(taken.standing.left, left);
        }
        let Some(Error::TooMany { wait_secs, .. }) = take(v4(1)).refused else {
            panic!("a fourth passes");
        };
        assert!((1190..=1200).contains(&wait_secs), "{wait_secs}");
        assert!(take(v4(2)).refused.is_none(), "another is refused for it");
    }

    #[test]
    fn who_has_the_whole_rate_again_is_forgotten() {
        let limiter = limiter("1000000/s");
        for count in 0..3 * FORGET_EVERY {
            let who = IpAddr::from(Ipv4Addr::from_bits(count));
            limiter.take(&who, ("address", "the.key"));
        }
        let known = limiter.known();
        assert!(known <= 2 * FORGET_EVERY as usize, "{known} are remembered");
    }

    #[test]
    fn neighbours_are_one_where_there_is_a_crowd() {
        let at = |text: &str, crowded| place(text.parse().unwrap(), crowded).to_string();
        assert_eq!(at("192.0.2.7", false), "192.0.2.7");
        assert_eq!(at("192.0.2.7", true), "192.0.2.0");
        assert_eq!(at("2001:db8:1:2:3::4", false), "2001:db8:1:2::");
        assert_eq!(at("2001:db8:1:2:3::4", true), "2001:db8:1::");
    }

    #[test]
    fn what_is_left_is_told_with_the_time_until_all_is_there_again() {
        let rate = Rate::parse("60/m").unwrap();
        let after = |left| {
            let policy = "user";
            Standing { policy, rate, left }.whole_after()
        };
        assert_eq!((after(60), after(59), after(30), after(0)), (0, 1, 30, 60));
    }
}

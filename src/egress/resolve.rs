//! From a host to its addresses.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, ToSocketAddrs},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio::sync::watch;

/// How many names one client has looked up at a time.
const MOST: usize = 64;

/// Who answers look-ups of names.
#[derive(Clone, Default)]
pub enum Resolver {
    /// The machine's own resolver, asked anew for every connection.
    #[default]
    System,
    /// A function in its place: a test that moves a name from one address to another, or keeps everyone waiting.
    Function(Arc<LookUp>),
}

/// Answers a name (never an address) with its addresses.
pub type LookUp = dyn Fn(&str) -> Vec<IpAddr> + Send + Sync;

impl Resolver {
    /// Waits for the answer; the machine's resolver takes as long as its name servers let it wait, and cannot be stopped.
    fn ask(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match self {
            Self::System => {
                let found = (name, 0).to_socket_addrs()?;
                Ok(found.map(|socket| socket.ip()).collect())
            }
            Self::Function(look_up) => Ok(look_up(name)),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Function(_) => "Function(…)",
        })
    }
}

type Answer = Result<Vec<IpAddr>, String>;
type UnderWay = Arc<Mutex<HashMap<String, watch::Receiver<Option<Answer>>>>>;

/// The look-ups of one client. Each name is asked for once at a time, on a thread of its own: a name server that does not
/// answer holds up who waits for that name, and nobody else.
#[derive(Debug)]
pub(super) struct LookUps {
    resolver: Resolver,
    under_way: UnderWay,
}

impl LookUps {
    pub(super) fn new(resolver: Resolver) -> Self {
        Self {
            resolver,
            under_way: UnderWay::default(),
        }
    }

    /// The addresses of `host` as a URL writes it: a name, an IPv4 address, or an IPv6 address in brackets. Addresses
    /// are taken as they are.
    ///
    /// # Errors
    /// In words, when the name cannot be looked up; an empty answer is none.
    pub(super) async fn addresses(&self, host: &str) -> Answer {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        let mut answer = self.asked(bare)?;
        let answered = answer.wait_for(Option::is_some).await;
        let found = answered.ok().and_then(|found| found.clone());
        found.unwrap_or_else(|| Err(String::from("the look-up broke off")))
    }

    /// The look-up of a name that is under way, or a new one.
    fn asked(&self, name: &str) -> Result<watch::Receiver<Option<Answer>>, String> {
        let mut under_way = lock(&self.under_way);
        if let Some(answer) = under_way.get(name) {
            return Ok(answer.clone());
        }
        if under_way.len() >= MOST {
            return Err(format!("{MOST} other names are being looked up"));
        }
        let (told, answer) = watch::channel(None);
        let asking = Asking {
            name: name.to_owned(),
            under_way: Arc::clone(&self.under_way),
        };
        let resolver = self.resolver.clone();
        under_way.insert(name.to_owned(), answer.clone());
        // Where there is no thread to be had, what would have run is dropped here, and takes the entry out again.
        drop(under_way);
        thread::Builder::new()
            .name(String::from("look-up"))
            .spawn(move || {
                let found = resolver.ask(&asking.name).map_err(|e| e.to_string());
                // Who asks from now on wants to know anew.
                drop(asking);
                told.send_replace(Some(found));
            })
            .map_err(|e| e.to_string())?;
        Ok(answer)
    }
}

/// A look-up under way; ends with it, however that ends.
struct Asking {
    name: String,
    under_way: UnderWay,
}

impl Drop for Asking {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.name);
    }
}

fn lock(under_way: &UnderWay) -> MutexGuard<'_, HashMap<String, watch::Receiver<Option<Answer>>>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// Begins when it is polled, after those who ask.
    async fn let_go(barrier: Arc<Barrier>) {
        let waiting = tokio::task::spawn_blocking(move || barrier.wait());
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn a_name_is_asked_for_once_at_a_time_and_anew_each_time() {
        let (asked, barrier) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
        let (count, wait) = (Arc::clone(&asked), Arc::clone(&barrier));
        let look_ups = LookUps::new(Resolver::Function(Arc::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            wait.wait();
            vec![IpAddr::from([9, 9, 9, 9])]
        })));
        for round in 1..=2 {
            let both = futures_util::future::join(
                look_ups.addresses("a.example.net"),
                look_ups.addresses("a.example.net"),
            );
            let ((one, other), ()) =
                futures_util::future::join(both, let_go(Arc::clone(&barrier))).await;
            assert_eq!(one, Ok(vec![IpAddr::from([9, 9, 9, 9])]));
            assert_eq!(one, other);
            assert_eq!(asked.load(Ordering::SeqCst), round);
        }
    }

    #[tokio::test]
    async fn names_that_nobody_answers_for_are_bounded_and_break_off_by_themselves() {
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let held = Mutex::new(held);
        let look_ups = Arc::new(LookUps::new(Resolver::Function(Arc::new(move |_| {
            let held = held.lock().unwrap();
            // Ends when the test lets go.
            let _let_go = held.recv();
            panic!("a resolver that fails badly")
        }))));
        let mut waiting = Vec::new();
        for nth in 0..MOST {
            waiting.push(look_ups.asked(&format!("a{nth}.example.net")).unwrap());
        }
        let over = look_ups.addresses("one.more.example.net").await;
        assert_eq!(
            over,
            Err(String::from("64 other names are being looked up"))
        );
        drop(let_go);
        for mut answer in waiting {
            assert!(answer.wait_for(Option::is_some).await.is_err());
        }
        assert!(lock(&look_ups.under_way).is_empty());
    }
}

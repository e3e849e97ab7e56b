//! Which acts the audit log keeps: no app's keys push those of others, or the operator's, out of it.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::model::AppHost;

/// How many acts are kept; the oldest makes room for another.
const MOST: usize = 100_000;
/// How many of them an app's own keys may have.
const MOST_OF_AN_APP: usize = 10_000;

/// The numbers of the acts that are kept.
#[derive(Debug)]
pub(super) struct KeptActs {
    all: BTreeSet<u64>,
    /// Those that were done with keys of these apps, the oldest first.
    of_keys: HashMap<AppHost, VecDeque<u64>>,
    most: usize,
    most_of_an_app: usize,
}

impl Default for KeptActs {
    fn default() -> Self {
        Self::at_most(MOST, MOST_OF_AN_APP)
    }
}

impl KeptActs {
    pub(super) fn at_most(most: usize, most_of_an_app: usize) -> Self {
        Self {
            all: BTreeSet::new(),
            of_keys: HashMap::new(),
            most,
            most_of_an_app,
        }
    }

    /// Takes note of a new act, done with a key of this app where it names one; gives the one that goes for it.
    pub(super) fn note(&mut self, number: u64, of_key: Option<AppHost>) -> Option<u64> {
        self.all.insert(number);
        if let Some(app) = of_key {
            let theirs = self.of_keys.entry(app).or_default();
            theirs.push_back(number);
            if theirs.len() > self.most_of_an_app {
                let oldest = theirs.pop_front()?;
                self.all.remove(&oldest);
                return Some(oldest);
            }
        }
        if self.all.len() <= self.most {
            return None;
        }
        let oldest = self.all.pop_first()?;
        for theirs in self.of_keys.values_mut() {
            theirs.pop_front_if(|it| *it == oldest);
        }
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_pushes_out_its_own_alone() {
        let app = |host: &str| Some(AppHost::parse(host).unwrap());
        let mut kept = KeptActs::at_most(6, 2);
        let mut note = |number: u64, of_key| kept.note(number, of_key);
        assert_eq!(note(1, None), None);
        assert_eq!(note(2, app("a.example")), None);
        assert_eq!(note(3, app("b.example")), None);
        assert_eq!(note(4, app("a.example")), None);
        assert_eq!(note(5, app("a.example")), Some(2));
        assert_eq!(note(6, app("a.example")), Some(4));
        assert_eq!(note(7, app("b.example")), None);
        assert_eq!(note(8, None), None);
        assert_eq!(note(9, None), Some(1), "of all together the oldest");
        assert_eq!(note(10, None), Some(3));
        // What went for others counts no more for its app.
        assert_eq!(note(11, app("b.example")), Some(5));
    }
}

//! A backup read as the store that it would be put back as, row by row out of its file: so that one of any size can be
//! looked over without room for it, in memory or on a disk.
//!
//! The rows of a backup stand in the order of their keys, so each frame of them is a page: all keys from its first on, up
//! to the first of the next. What was changed later takes the place of what stands in a page.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    ops::Bound,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    super::{
        Error,
        engine::{Op, Order, Visit},
    },
    Contents,
    format::{Fault, Frame, ops_of},
    open, walk,
};

/// How many bytes of pages are kept at hand: twice as many at the most.
const AT_HAND_BYTES: usize = 32 << 20;
/// What a row takes in memory beside its own bytes.
const ROW_BYTES: usize = 100;

/// Where something stands in the file.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Place {
    pub(super) at: u64,
    pub(super) bytes: usize,
}

type Page = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug)]
pub(in crate::store) struct View {
    file: File,
    /// The first key of each page, and the frame that it is read from.
    pages: Vec<(Vec<u8>, Place)>,
    /// What was changed later: where it stands; none, where it was taken away.
    changes: BTreeMap<Vec<u8>, Option<Place>>,
    at_hand: Mutex<AtHand>,
}

/// The pages that were asked for last, and those before them.
#[derive(Debug, Default)]
struct AtHand {
    last: HashMap<usize, Arc<Page>>,
    bytes: usize,
    before: HashMap<usize, Arc<Page>>,
}

impl View {
    /// Reads a backup from its first byte to its last, as [`super::check`] does.
    pub(super) fn read(
        file: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(Contents, Self), Error> {
        let mut pages: Vec<(Vec<u8>, Place)> = Vec::new();
        let mut changes = BTreeMap::new();
        let contents = walk(file, progress, &mut |frame, place| match frame {
            Frame::Rows(rows) => {
                let Some(first) = rows.first().map(|op| op.key().to_vec()) else {
                    return Ok(());
                };
                if pages.last().is_some_and(|(before, _)| *before >= first) {
                    return Err(Fault::Damaged(place.at));
                }
                pages.push((first, place));
                Ok(())
            }
            Frame::Changes(ops) => {
                note(&mut changes, ops, place.at);
                Ok(())
            }
            Frame::End(..) => Ok(()),
        })?;
        let view = Self {
            file: open(file)?,
            pages,
            changes,
            at_hand: Mutex::default(),
        };
        Ok((contents, view))
    }

    pub(in crate::store) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.page(self.page_of(key))?.get(key).cloned())
    }

    pub(in crate::store) fn scan(
        &self,
        (from, to): (Bound<Vec<u8>>, Bound<Vec<u8>>),
        order: Order,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        let page_at = |bound: &Bound<Vec<u8>>, open_end: usize| match bound {
            Bound::Included(key) | Bound::Excluded(key) => self.page_of(key),
            Bound::Unbounded => open_end,
        };
        let mut left = page_at(&from, 0)..=page_at(&to, self.pages.len().saturating_sub(1));
        loop {
            let next = match order {
                Order::Ascending => left.next(),
                Order::Descending => left.next_back(),
            };
            let Some(page) = next.map(|number| self.page(number)).transpose()? else {
                return Ok(());
            };
            let mut rows = page.range((from.clone(), to.clone()));
            loop {
                let row = match order {
                    Order::Ascending => rows.next(),
                    Order::Descending => rows.next_back(),
                };
                let Some((key, value)) = row else {
                    break;
                };
                if visit(key, value)?.is_break() {
                    return Ok(());
                }
            }
        }
    }

    pub(in crate::store) fn size_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |file| file.len())
    }

    /// The page that a key belongs to; the first one has all that comes before it, too.
    fn page_of(&self, key: &[u8]) -> usize {
        let after = self.pages.partition_point(|(first, _)| &first[..] <= key);
        after.saturating_sub(1)
    }

    fn page(&self, number: usize) -> Result<Arc<Page>, Error> {
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = at_hand.last.get(&number) {
            return Ok(Arc::clone(page));
        }
        let page = match at_hand.before.remove(&number) {
            Some(page) => page,
            None => Arc::new(self.read_page(number)?),
        };
        at_hand.keep(number, Arc::clone(&page));
        Ok(page)
    }

    fn read_page(&self, number: usize) -> Result<Page, Error> {
        let mut page = Page::new();
        if let Some((_, place)) = self.pages.get(number) {
            for op in ops_of(&self.bytes(*place)?).unwrap_or_default() {
                if let Op::Put(key, value) = op {
                    page.insert(key, value);
                }
            }
        }
        let from = match self.pages.get(number) {
            Some((first, _)) if number > 0 => Bound::Included(first),
            _ => Bound::Unbounded,
        };
        let to = self.pages.get(number + 1);
        let to = to.map_or(Bound::Unbounded, |(first, _)| Bound::Excluded(first));
        for (key, change) in self.changes.range::<Vec<u8>, _>((from, to)) {
            match change {
                Some(place) => page.insert(key.clone(), self.bytes(*place)?),
                None => page.remove(key),
            };
        }
        Ok(page)
    }

    fn bytes(&self, place: Place) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; place.bytes];
        self.file
            .read_exact_at(&mut bytes, place.at)
            .map_err(Error::io("cannot read the backup back"))?;
        Ok(bytes)
    }
}

impl AtHand {
    fn keep(&mut self, number: usize, page: Arc<Page>) {
        let of_row = |(key, value): (&Vec<u8>, &Vec<u8>)| key.len() + value.len() + ROW_BYTES;
        self.bytes += page.iter().map(of_row).sum::<usize>();
        self.last.insert(number, page);
        if self.bytes > AT_HAND_BYTES {
            self.before = std::mem::take(&mut self.last);
            self.bytes = 0;
        }
    }
}

/// Notes where the values of a frame stand whose body begins at `at`.
fn note(changes: &mut BTreeMap<Vec<u8>, Option<Place>>, ops: Vec<Op>, at: u64) {
    let mut at = at;
    for op in ops {
        let (head, own) = (op.head_bytes(), op.bytes());
        match op {
            Op::Put(key, value) => {
                let place = Place {
                    at: at + head + key.len() as u64,
                    bytes: value.len(),
                };
                changes.insert(key, Some(place));
            }
            Op::Remove(key) => {
                changes.insert(key, None);
            }
        }
        at += head + own;
    }
}

impl Op {
    /// How many bytes stand before its key in a frame.
    fn head_bytes(&self) -> u64 {
        match self {
            Self::Put(..) => 9,
            Self::Remove(_) => 5,
        }
    }
}

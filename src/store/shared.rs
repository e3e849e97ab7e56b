//! The content of broadcasts, each stored once: how many share it is counted by the committer as it takes units in, so
//! the count moves in the same batch as what it counts. With the last sharer the content goes.

use std::collections::BTreeMap;

use super::{
    AppRow, Error, Reader, Row, Unit,
    engine::{Engine, Op},
    keys,
    records::{self, Record, StoredHeader},
};
use crate::model::{BroadcastId, Draft};

/// What a unit or a batch does to how many share a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// The broadcast itself, with its content in so many parts.
    Begins(BroadcastId, u16),
    /// One more.
    Joins(BroadcastId),
    /// One less.
    Leaves(BroadcastId),
}

/// What the units and rows of one request do, in order.
pub(super) fn sharing(units: &[Unit], rows: &[AppRow]) -> Result<Vec<Sharing>, Error> {
    let mut found = Vec::new();
    for row in rows {
        match row {
            AppRow::Content(id, draft) => {
                found.push(Sharing::Begins(*id, part_count(draft)?));
            }
            AppRow::DropBroadcast(it) => found.push(Sharing::Leaves(it.id)),
            _ => {}
        }
    }
    for row in units.iter().flat_map(|unit| &unit.rows) {
        match row {
            Row::Content(it) => found.extend(it.broadcast.map(Sharing::Joins)),
            Row::DropNotification(it) => found.extend(it.broadcast.map(Sharing::Leaves)),
            _ => {}
        }
    }
    Ok(found)
}

fn part_count(draft: &Draft) -> Result<u16, Error> {
    let content = records::encode_content(draft)?;
    Ok(records::shared_part_count(content.len()))
}

/// The content of a broadcast, as rows.
pub(super) fn put_content(id: BroadcastId, draft: &Draft, ops: &mut Vec<Op>) -> Result<(), Error> {
    let content = records::encode_content(draft)?;
    for (index, part) in (0u16..).zip(content.chunks(records::PART_BYTES)) {
        ops.push(Op::Put(keys::shared_part(id, index), part.to_vec()));
    }
    Ok(())
}

/// The counts that a group moves.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<BroadcastId, Option<StoredHeader>>);

impl Counts {
    /// Moves the counts; all of them, or none.
    ///
    /// # Errors
    /// `Corrupt` where a content is to be shared that is not there.
    pub(super) fn take_in(&mut self, engine: &Engine, sharing: &[Sharing]) -> Result<(), Error> {
        let mut moved = BTreeMap::new();
        for one in sharing {
            let (Sharing::Begins(id, _) | Sharing::Joins(id) | Sharing::Leaves(id)) = one;
            let header = match (moved.get(id), self.0.get(id)) {
                (Some(header), _) | (None, Some(header)) => *header,
                (None, None) => read(engine, *id)?,
            };
            moved.insert(*id, step(header, *one)?);
        }
        self.0.extend(moved);
        Ok(())
    }

    /// What is to be written for them.
    pub(super) fn into_ops(self) -> Result<Vec<Op>, Error> {
        let mut ops = Vec::new();
        for (id, header) in self.0 {
            let Some(header) = header else {
                continue;
            };
            if header.sharers > 0 {
                ops.push(Op::Put(keys::shared(id), header.encode()?));
                continue;
            }
            ops.push(Op::Remove(keys::shared(id)));
            ops.extend((0..header.parts).map(|part| Op::Remove(keys::shared_part(id, part))));
        }
        Ok(ops)
    }
}

fn read(engine: &Engine, id: BroadcastId) -> Result<Option<StoredHeader>, Error> {
    let row = engine.get(&keys::shared(id))?;
    row.as_deref().map(StoredHeader::decode).transpose()
}

fn step(header: Option<StoredHeader>, sharing: Sharing) -> Result<Option<StoredHeader>, Error> {
    match (sharing, header) {
        (Sharing::Begins(_, parts), _) => Ok(Some(StoredHeader { sharers: 1, parts })),
        (Sharing::Joins(_), Some(header)) if header.sharers > 0 => Ok(Some(StoredHeader {
            sharers: header.sharers + 1,
            ..header
        })),
        (Sharing::Joins(_), _) => Err(keys::broken("the content of a broadcast")),
        (Sharing::Leaves(_), header) => Ok(header.map(|header| StoredHeader {
            sharers: header.sharers.saturating_sub(1),
            ..header
        })),
    }
}

impl Reader {
    /// The content of a broadcast, put together; nothing, where a part is missing.
    pub(super) fn shared_content(
        &self,
        id: [u8; 16],
        parts: u16,
    ) -> Result<Option<Vec<u8>>, Error> {
        let id = BroadcastId::from_bytes(id);
        let mut content = Vec::new();
        for index in 0..parts {
            match self.engine.get(&keys::shared_part(id, index))? {
                Some(part) => content.extend(part),
                None => return Ok(None),
            }
        }
        Ok(Some(content))
    }
}

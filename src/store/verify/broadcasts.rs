//! Broadcasts: each has its list and its content, and nothing of one is there without it.

use super::{Check, keys};
use crate::{
    model::{Broadcast, BroadcastStatus},
    store::{
        Error,
        keys::ExpiryKind,
        records::{self, Record, StoredHeader},
    },
};

impl Check<'_> {
    /// What belongs to nobody is said of a user of zeros.
    fn say_of_apps(&mut self, message: impl Into<String>) {
        self.say(&[0; keys::USER], message);
    }

    pub(super) fn broadcast(&mut self, key: &[u8], _value: &[u8]) -> Result<(), Error> {
        let id = keys::broadcast_at(key, 1)?;
        *self.sharers.entry(id).or_default() += 1;
        let it = match self.reader.broadcast(id) {
            Ok(Some(it)) => it,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.say_of_apps(format!("the broadcast {id} cannot be read: {error}"));
                return Ok(());
            }
        };
        let app = keys::app_hash(&it.app);
        let unfinished = self.reader.engine.get(&keys::unfinished(&app, id))?;
        if unfinished.is_some() != it.status.is_unfinished() {
            self.say_of_apps(format!(
                "the broadcast {id} is {:?} and its place among the unfinished says otherwise",
                it.status
            ));
        }
        let expiry = keys::expiry(it.ends(), ExpiryKind::Broadcast, &[&id.to_bytes()]);
        self.expect(
            &[0; keys::USER],
            &expiry,
            format!("the broadcast {id} never expires"),
        )?;
        if it.status == BroadcastStatus::Running {
            self.whole_list(&it)?;
        }
        Ok(())
    }

    /// Everyone who is still to be looked at is on the list that is left.
    fn whole_list(&mut self, it: &Broadcast) -> Result<(), Error> {
        let mut left = 0;
        for row in it.next.row..it.rows {
            let people = self.reader.listed(it.id, row)?.unwrap_or_default();
            left += people.len() as u64;
        }
        let left = left.saturating_sub(u64::from(it.next.at));
        if left != it.remaining() {
            self.say_of_apps(format!(
                "the broadcast {} has {} people before it, its list {left}",
                it.id,
                it.remaining()
            ));
        }
        Ok(())
    }

    pub(super) fn unfinished(&mut self, key: &[u8], _value: &[u8]) -> Result<(), Error> {
        let (app, id) = keys::unfinished_parts(key)?;
        // One that cannot be read is named by itself.
        match self.reader.broadcast(id) {
            Ok(Some(it)) if keys::app_hash(&it.app) != app => {
                self.say_of_apps(format!("the unfinished broadcast {id} is another app's"));
            }
            Ok(None) => self.say_of_apps(format!("the unfinished broadcast {id} is not there")),
            Ok(Some(_)) | Err(_) => {}
        }
        Ok(())
    }

    pub(super) fn listed(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let id = keys::broadcast_at(key, 1)?;
        records::decode_listed(value)?;
        let row = keys::listed_row(key)?;
        let left = match self.reader.broadcast(id) {
            // How long it becomes is said once all of it is there.
            Ok(Some(it)) if it.status == BroadcastStatus::Accepting => false,
            Ok(Some(it)) => row >= it.rows || row < it.next.row,
            Ok(None) => true,
            // One that cannot be read is named by itself.
            Err(_) => false,
        };
        if left {
            self.say_of_apps(format!("a list of the broadcast {id} is left over"));
        }
        Ok(())
    }

    pub(super) fn shared(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let id = keys::broadcast_at(key, 1)?;
        let Some(part) = keys::shared_part_at(key) else {
            let says = StoredHeader::decode(value)?.sharers;
            let found = self.sharers.remove(&id).unwrap_or_default();
            if says != found {
                self.say_of_apps(format!(
                    "the content of the broadcast {id} says that {says} share it, the rows {found}"
                ));
            }
            return Ok(());
        };
        let header: Option<StoredHeader> = self.reader.record(&keys::shared(id))?;
        if header.is_none_or(|header| part >= header.parts) {
            self.say_of_apps(format!("a part of the broadcast {id} is left over"));
        }
        Ok(())
    }

    /// After all contents: what is shared and is not there.
    pub(super) fn contents_left(&mut self) {
        for (id, sharers) in std::mem::take(&mut self.sharers) {
            self.say_of_apps(format!(
                "{sharers} share the content of the broadcast {id}, which is not counted"
            ));
        }
    }
}

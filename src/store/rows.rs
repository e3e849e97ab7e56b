//! From typed rows to keys and values.

use super::{
    AppRow, Error, Expiring, Row, Unit,
    engine::Op,
    ids::Ids,
    keys::{self, ExpiryKind, UserKey},
    records::{self, Record},
    shared,
};
use crate::model::{AppHost, Broadcast, Change, ChangeKind, Notification, Timestamp};

/// The operations that a unit stands for.
pub(super) fn ops_of(unit: &Unit, ids: &Ids) -> Result<Vec<Op>, Error> {
    let user = keys::user_key(&unit.subject);
    let mut ops = Vec::with_capacity(unit.rows.len());
    for row in &unit.rows {
        match row {
            Row::Change(it) if is_posting(it) => {}
            Row::Id(id, number) | Row::DropId(id, number) if ids.leads(&user, *id, *number) => {}
            Row::Content(it) => put_parts(&user, it, &mut ops)?,
            Row::DropNotification(it) => drop_notification(&user, it, &mut ops)?,
            Row::Token(it) => {
                let index = keys::token_of(&user, it.endpoint.as_ref(), &it.hash);
                ops.push(Op::Put(index, Vec::new()));
                ops.push(Op::Put(keys::token(&it.hash), it.encode()?));
            }
            Row::DropToken(it) => {
                ops.push(Op::Remove(keys::token_of(
                    &user,
                    it.endpoint.as_ref(),
                    &it.hash,
                )));
                ops.push(Op::Remove(keys::token(&it.hash)));
            }
            other => ops.push(op_of(&user, &unit.subject.app, other)?),
        }
    }
    Ok(ops)
}

/// Whether it is what the notification's own row says as well, until something changes.
fn is_posting(change: &Change) -> bool {
    change.kind == ChangeKind::Created && change.position == change.number && change.by.is_none()
}

/// The operations that a row of no user stands for.
pub(super) fn app_ops(row: &AppRow, ops: &mut Vec<Op>) -> Result<(), Error> {
    match row {
        AppRow::Key(key) => ops.push(put(keys::app_key(&key.id), key.encode())?),
        AppRow::Act(act) => ops.push(put(keys::act(act.number), act.encode())?),
        AppRow::DropAct(number) => ops.push(Op::Remove(keys::act(*number))),
        AppRow::DropErasure(at, user) => {
            ops.push(Op::Remove(keys::expiry(*at, ExpiryKind::Erasure, &[user])));
            ops.push(Op::Remove(keys::erasure(user)));
        }
        AppRow::Guard(service, drops) => ops.push(put(keys::guard(service), drops.encode())?),
        AppRow::DropGuard(service) => ops.push(Op::Remove(keys::guard(service))),
        AppRow::Demand(lane, demand) => ops.push(put(keys::demand(lane), demand.encode())?),
        AppRow::DropDemand(lane) => ops.push(Op::Remove(keys::demand(lane))),
        AppRow::Rules(app, rules) => ops.push(put(keys::rules(app), rules.encode())?),
        AppRow::DropRules(app) => ops.push(Op::Remove(keys::rules(app))),
        AppRow::Vapid(app, pkcs8) => ops.push(Op::Put(keys::vapid(app), pkcs8.clone())),
        AppRow::Time(time) => ops.push(moment("time", *time)),
        AppRow::Doubt(until) => ops.push(moment("doubt", *until)),
        AppRow::DropDoubt => ops.push(Op::Remove(keys::meta("doubt"))),
        AppRow::Content(id, draft) => shared::put_content(*id, draft, ops)?,
        AppRow::Broadcast(it) => {
            ops.push(put(keys::broadcast(it.id), records::encode_broadcast(it))?);
            ops.push(Op::Put(broadcast_expiry(it), Vec::new()));
            let unfinished = keys::unfinished(&keys::app_hash(&it.app), it.id);
            ops.push(if it.status.is_unfinished() {
                Op::Put(unfinished, Vec::new())
            } else {
                Op::Remove(unfinished)
            });
        }
        AppRow::DropBroadcast(it) => {
            let unfinished = keys::unfinished(&keys::app_hash(&it.app), it.id);
            let gone = [keys::broadcast(it.id), broadcast_expiry(it), unfinished];
            ops.extend(gone.map(Op::Remove));
        }
        AppRow::Listed(id, row, people) | AppRow::Struck(id, row, people) => {
            ops.push(put(
                keys::listed(*id, *row),
                records::encode_listed(people),
            )?);
        }
        AppRow::DropListed(id, row) => ops.push(Op::Remove(keys::listed(*id, *row))),
        AppRow::Once(it) => {
            let app = keys::app_hash(&it.app);
            let expiry = keys::expiry(it.expires, ExpiryKind::AppOnce, &[&app, &it.key]);
            ops.push(Op::Put(expiry, Vec::new()));
            ops.push(put(keys::once(&it.app, &it.key), records::encode_once(it))?);
        }
        AppRow::DropOnce(at, app, key) => {
            let expiry = keys::expiry(*at, ExpiryKind::AppOnce, &[app, key]);
            ops.push(Op::Remove(expiry));
            ops.push(Op::Remove(keys::once_at(app, key)));
        }
    }
    Ok(())
}

fn broadcast_expiry(it: &Broadcast) -> Vec<u8> {
    keys::expiry(it.ends(), ExpiryKind::Broadcast, &[&it.id.to_bytes()])
}

fn op_of(user: &UserKey, app: &AppHost, row: &Row) -> Result<Op, Error> {
    match row {
        Row::User(it) => put(keys::user(user), it.encode()),
        Row::DropUser => remove(keys::user(user)),
        Row::Erasure(it) => put(keys::erasure(user), it.encode()),
        Row::Notification(it) => put(
            keys::notification(user, it.number),
            records::encode_notification(it),
        ),
        Row::Content(it) | Row::DropNotification(it) => remove(keys::notification(user, it.number)),
        Row::Id(id, number) => Ok(Op::Put(
            keys::id(*id),
            [&user[..], &number.0.to_be_bytes()].concat(),
        )),
        Row::DropId(id, _) => remove(keys::id(*id)),
        Row::Name(name, number) => Ok(Op::Put(
            keys::name(user, name),
            number.0.to_be_bytes().to_vec(),
        )),
        Row::DropName(name) => remove(keys::name(user, name)),
        Row::Change(it) => put(keys::change(user, it.position), it.encode()),
        Row::DropChange(position) => remove(keys::change(user, *position)),
        Row::Expiry(time, what) => Ok(Op::Put(expiry(user, *time, what), Vec::new())),
        Row::DropExpiry(time, what) => remove(expiry(user, *time, what)),
        Row::Marker(it) => put(keys::marker(it), it.subject.encode()),
        Row::DropMarker(it) => remove(keys::marker(it)),
        Row::Once(it) => put(keys::once(&it.app, &it.key), records::encode_once(it)),
        Row::DropOnce(app, key) => remove(keys::once(app, key)),
        other => endpoint_op(user, app, other),
    }
}

fn endpoint_op(user: &UserKey, app: &AppHost, row: &Row) -> Result<Op, Error> {
    match row {
        Row::TapState(id, it) => put(keys::tap_state(user, id), it.encode()),
        Row::DropTapState(id) => remove(keys::tap_state(user, id)),
        Row::FetchMark(id, it) => put(keys::fetch_mark(user, id), it.encode()),
        Row::DropFetchMark(id) => remove(keys::fetch_mark(user, id)),
        Row::Push(id, it) => put(keys::push(user, id, it.covers, it.at), it.encode()),
        Row::DropPush(id, covers, at) => remove(keys::push(user, id, *covers, *at)),
        Row::Receipt(number, id, it) => put(keys::receipt(user, *number, id), it.encode()),
        Row::DropReceipt(number, id) => remove(keys::receipt(user, *number, id)),
        Row::Endpoint(it) => put(keys::endpoint(user, &it.id), it.encode()),
        Row::DropEndpoint(id) => remove(keys::endpoint(user, id)),
        Row::Owners(identity, owners) if owners.is_empty() => remove(keys::channel(app, identity)),
        Row::Owners(identity, owners) => {
            put(keys::channel(app, identity), records::encode_owners(owners))
        }
        Row::Subscription(id, endpoint) => Ok(Op::Put(
            keys::subscription(*id),
            [&user[..], endpoint.as_str().as_bytes()].concat(),
        )),
        Row::DropSubscription(id) => remove(keys::subscription(*id)),
        other => Err(Error::Corrupt(format!("a row has no place: {other:?}"))),
    }
}

/// No value may be longer: the engine moves longer ones to files that nothing syncs.
const MAX_VALUE_BYTES: usize = 4096;

fn put(key: Vec<u8>, value: Result<Vec<u8>, Error>) -> Result<Op, Error> {
    let value = value?;
    if value.len() > MAX_VALUE_BYTES {
        let message = format!("a row of {} bytes is too long to be kept", value.len());
        return Err(Error::Corrupt(message));
    }
    Ok(Op::Put(key, value))
}

fn remove(key: Vec<u8>) -> Result<Op, Error> {
    Ok(Op::Remove(key))
}

/// Content of its own; what is shared stands with its broadcast.
fn put_parts(user: &UserKey, it: &Notification, ops: &mut Vec<Op>) -> Result<(), Error> {
    if it.broadcast.is_some() {
        return Ok(());
    }
    let content = records::encode_content(&it.draft)?;
    if records::part_count(content.len()) == 0 {
        return Ok(());
    }
    for (index, part) in (0u16..).zip(content.chunks(records::PART_BYTES)) {
        ops.push(Op::Put(keys::part(user, it.number, index), part.to_vec()));
    }
    Ok(())
}

fn drop_notification(user: &UserKey, it: &Notification, ops: &mut Vec<Op>) -> Result<(), Error> {
    if it.broadcast.is_none() {
        let content = records::encode_content(&it.draft)?;
        for index in 0..records::part_count(content.len()) {
            ops.push(Op::Remove(keys::part(user, it.number, index)));
        }
    }
    ops.push(Op::Remove(keys::notification(user, it.number)));
    Ok(())
}

fn expiry(user: &UserKey, time: Timestamp, what: &Expiring) -> Vec<u8> {
    match what {
        Expiring::Notification(number) => keys::expiry(
            time,
            ExpiryKind::Notification,
            &[user, &number.0.to_be_bytes()],
        ),
        Expiring::Removal(position) => keys::expiry(
            time,
            ExpiryKind::Removal,
            &[user, &position.0.to_be_bytes()],
        ),
        Expiring::Endpoint(id) => {
            keys::expiry(time, ExpiryKind::Endpoint, &[user, id.as_str().as_bytes()])
        }
        Expiring::Token(hash) => keys::expiry(time, ExpiryKind::Token, &[hash]),
        Expiring::Erasure => keys::expiry(time, ExpiryKind::Erasure, &[user]),
        Expiring::Once(app, key) => {
            keys::expiry(time, ExpiryKind::Once, &[user, &keys::app_hash(app), key])
        }
    }
}

fn moment(name: &str, at: Timestamp) -> Op {
    Op::Put(keys::meta(name), at.as_millis().to_be_bytes().to_vec())
}

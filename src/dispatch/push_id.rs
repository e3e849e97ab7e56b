//! What a push is called in its service's logs.

use aws_lc_rs::digest::{SHA256, digest};
use uuid::{Builder, Uuid};

use crate::hub::DueTap;

/// The same each time a push is sent again, until its service has taken it: so that one whose answer was lost is known to
/// be one (APNs `apns-id`, the base of WNS' `MS-CV`).
pub(super) fn push_id(due: &DueTap) -> Uuid {
    let (endpoint, tap) = (&due.level.endpoint, &due.tap);
    let shows = tap.shows.map(|id| id.to_string()).unwrap_or_default();
    let text = format!(
        "{} {} {} {} {shows} {}",
        endpoint.tap_id,
        endpoint.generation,
        tap.kind.as_str(),
        tap.covers.0,
        due.state.tapped_at.as_millis(),
    );
    let hash = digest(&SHA256, text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    Builder::from_random_bytes(bytes).into_uuid()
}

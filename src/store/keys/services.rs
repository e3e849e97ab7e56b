//! The keys of what is known of push services.

use super::{broken, join};
use crate::{
    model::{AppHost, AppService, ChannelKind, LaneName},
    store::Error,
};

/// Set behind the name of Apple's service.
const SANDBOX: &str = "/sandbox";

pub(in crate::store) fn guard(service: &AppService) -> Vec<u8> {
    let apart = if service.sandbox { SANDBOX } else { "" };
    let kind = service.kind.as_str();
    join(
        b'G',
        &[
            service.app.as_str().as_bytes(),
            &[0],
            kind.as_bytes(),
            apart.as_bytes(),
        ],
    )
}

pub(in crate::store) fn guards() -> Vec<u8> {
    vec![b'G']
}

/// What a guard's key says.
pub(in crate::store) fn guarded(key: &[u8]) -> Result<AppService, Error> {
    let service = two_texts(key).and_then(|(app, name)| {
        let apart = name.strip_suffix(SANDBOX);
        Some(AppService {
            app: AppHost::parse(app).ok()?,
            kind: service_kind(apart.unwrap_or(name))?,
            sandbox: apart.is_some(),
        })
    });
    service.ok_or_else(|| broken("a guard"))
}

pub(in crate::store) fn demand(lane: &LaneName) -> Vec<u8> {
    let (app, kind) = (lane.app.as_str(), lane.service.as_str());
    let authority = lane.authority.as_bytes();
    join(
        b'D',
        &[app.as_bytes(), &[0], kind.as_bytes(), &[0], authority],
    )
}

pub(in crate::store) fn demands() -> Vec<u8> {
    vec![b'D']
}

/// What a demand's key says.
pub(in crate::store) fn demanded(key: &[u8]) -> Result<LaneName, Error> {
    let lane = two_texts(key).and_then(|(app, rest)| {
        let (kind, authority) = rest.split_once('\0')?;
        Some(LaneName {
            app: AppHost::parse(app).ok()?,
            service: service_kind(kind)?,
            authority: authority.to_owned(),
        })
    });
    lane.ok_or_else(|| broken("a demand"))
}

/// What stands before and behind the first zero byte.
fn two_texts(key: &[u8]) -> Option<(&str, &str)> {
    str::from_utf8(key.get(1..)?).ok()?.split_once('\0')
}

fn service_kind(name: &str) -> Option<ChannelKind> {
    let mut kinds = ChannelKind::SERVICES.into_iter();
    kinds.find(|kind| kind.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_is_of_is_read_from_it() {
        let app = AppHost::parse("todo.example").unwrap();
        for kind in ChannelKind::SERVICES {
            for sandbox in [false, true] {
                let app = app.clone();
                let service = AppService { app, kind, sandbox };
                assert_eq!(guarded(&guard(&service)).unwrap(), service);
            }
            for authority in ["", "sandbox", "push.example:8443"] {
                let lane = LaneName {
                    app: app.clone(),
                    service: kind,
                    authority: authority.to_owned(),
                };
                assert_eq!(demanded(&demand(&lane)).unwrap(), lane);
            }
        }
        for broken in [
            &b"G"[..],
            b"Gtodo.example",
            b"Gtodo.example\0mail",
            b"G\xff",
        ] {
            assert!(guarded(broken).is_err(), "{broken:?}");
            assert!(demanded(broken).is_err(), "{broken:?}");
        }
    }
}

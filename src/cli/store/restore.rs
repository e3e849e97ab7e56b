//! `store restore`: puts a backup back, and says what is good again that should not be.

use std::path::Path;

use serde_json::{Value, json};

use super::backup::Shown;
use crate::{
    cli::{
        CommandContext,
        door::{self, Door},
        output,
    },
    clock::Clock,
    store::{self, Restore, Restored, Revived},
};

/// How many of each are named to people; `--json` names all.
const NAMED: usize = 20;

/// Runs `beckon store restore FILE`.
pub(super) async fn run(
    file: &Path,
    (force, new_secrets): (bool, bool),
    context: &CommandContext,
) -> anyhow::Result<()> {
    let config = context.config()?;
    Door::must_be_closed(&config, "restored").await?;
    let asked = Restore {
        file: file.to_owned(),
        into: door::store_options(&config),
        force,
        new_secrets,
        now: Clock::system().now(),
    };
    let output = context.output;
    let work = move || {
        let mut shown = Shown::default();
        store::restore(&asked, &mut |rows| {
            shown.now(|| output.progress(&format!("{rows} rows written")));
        })
    };
    let restored = tokio::task::spawn_blocking(work).await;
    output.progress_ends();
    let it = restored??;
    output.show(&shown(&it), |_| people(&it, new_secrets))
}

fn shown(it: &Restored) -> Value {
    let revived = it.revived.as_ref().map(|revived| {
        let users = revived
            .users
            .iter()
            .map(|subject| json!({ "app": subject.app.as_str(), "user": subject.user.as_str() }));
        let endpoints = revived.endpoints.iter().map(|(subject, id)| {
            json!({
                "app": subject.app.as_str(),
                "user": subject.user.as_str(),
                "endpoint": id.as_str(),
            })
        });
        let broadcasts = revived
            .broadcasts
            .iter()
            .map(|(app, id)| json!({ "app": app.as_str(), "id": id.to_string() }));
        json!({
            "keys": revived.keys,
            "keysLost": revived.keys_lost,
            "tokens": revived.tokens,
            "users": users.collect::<Vec<_>>(),
            "endpoints": endpoints.collect::<Vec<_>>(),
            "notifications": revived.notifications,
            "broadcasts": broadcasts.collect::<Vec<_>>(),
        })
    });
    json!({
        "takenDateTime": it.taken.to_string(),
        "rows": it.rows,
        "findings": it.findings,
        "keptAs": it.kept.as_deref().map(output::path),
        "revived": revived,
    })
}

fn people(it: &Restored, new_secrets: bool) -> String {
    let mut lines = vec![format!(
        "the store is as it was at {}: {} rows. Every device starts over at its next pull",
        it.taken, it.rows
    )];
    if let Some(kept) = &it.kept {
        lines.push(format!(
            "the store that was there is kept in {}; remove it when nothing of it is wanted",
            kept.display()
        ));
    }
    if it.findings > 0 {
        lines.push(format!(
            "{} rows disagree, as they did then; `beckon store verify` names them",
            it.findings
        ));
    }
    match &it.revived {
        Some(revived) => lines.extend([named(revived), counted(revived)].concat()),
        None => lines.push(format!(
            "what ended since {} is back, and cannot be told here: look for keys revoked since (`beckon key list`, `key revoke`), people who are not with the app any more or were erased since (`user list`, `user erase`), devices that signed out since or whose channel went to another device or died, which are tapped again (`endpoint list`, `endpoint remove`), notifications retracted since (`DELETE /v1/users/{{user}}/notifications/{{id}}`), and broadcasts cancelled since, which run on (`DELETE /v1/notifications/{{id}}`)",
            it.taken
        )),
    }
    lines.push(String::from(if new_secrets {
        "all tokens have ended: people's apps sign in again"
    } else {
        "tokens revoked since are good again; where that must not be, restore with --new-secrets, which ends all tokens"
    }));
    lines.join("\n")
}

fn named(revived: &Revived) -> Vec<String> {
    let users: Vec<String> = revived
        .users
        .iter()
        .map(|subject| format!("{} {}", subject.app.as_str(), subject.user.as_str()))
        .collect();
    let endpoints: Vec<String> = revived
        .endpoints
        .iter()
        .map(|(subject, id)| {
            let (app, user) = (subject.app.as_str(), subject.user.as_str());
            format!("{app} {user} {}", id.as_str())
        })
        .collect();
    let broadcasts: Vec<String> = revived
        .broadcasts
        .iter()
        .map(|(app, id)| format!("{} {id}", app.as_str()))
        .collect();
    let mut lines = Vec::new();
    for (what, names) in [
        ("keys revoked since are good again", &revived.keys),
        ("keys made since are gone", &revived.keys_lost),
        (
            "users whom the store that was there did not know, or who were erased since, are back, with all that was theirs (`beckon user erase` takes it away, before the hub starts)",
            &users,
        ),
        (
            "devices that signed out since, or whose channel died, was let go or went to another device, are tapped again (`beckon endpoint remove` before the hub starts)",
            &endpoints,
        ),
        (
            "broadcasts cancelled since run on once the hub starts (`DELETE /v1/notifications/{id}` cancels them)",
            &broadcasts,
        ),
    ] {
        if !names.is_empty() {
            let shown: Vec<String> = names
                .iter()
                .take(NAMED)
                .map(|it| output::plain(it))
                .collect();
            let more = names.len().saturating_sub(NAMED);
            let rest = if more == 0 {
                String::new()
            } else {
                format!(" and {more} more (--json names all)")
            };
            lines.push(format!("{what}: {}{rest}", shown.join(", ")));
        }
    }
    lines
}

/// What is told by its number alone.
fn counted(revived: &Revived) -> Vec<String> {
    let mut lines = Vec::new();
    if revived.notifications > 0 {
        lines.push(format!(
            "{} notifications deleted or retracted since are there again (`DELETE /v1/users/{{user}}/notifications/{{id}}` once the hub runs)",
            revived.notifications
        ));
    }
    if revived.tokens > 0 {
        lines.push(format!(
            "{} tokens ended since are good again",
            revived.tokens
        ));
    }
    lines
}

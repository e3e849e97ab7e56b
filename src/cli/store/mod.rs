//! `store`: figures, whether its rows agree, backups, and what else its care takes.

mod backup;
mod restore;

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use serde_json::json;

use super::{
    CommandContext,
    door::{self, Door},
    output,
};
use crate::{clock::Clock, hub::admin::Request, store};

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Print figures: size, commits, users, what waits in the outbox.
    Stats,
    /// Walk every row and name what disagrees; exit code 1 where something does.
    Verify,
    /// Copy all that is kept into one file, while the hub runs or rests; the file holds keys.
    ///
    /// The copy is the store as it is when the backup ends, and holds all that was acknowledged before it began. It is
    /// read back before it gets its name, and made only where all its rows agree. It holds keys (the VAPID keys, the hashes of app keys and tokens) and all that
    /// was posted: mode 0600, and to be kept as safe as the data folder. No credential of a push service is in it; those
    /// stand in the config's files.
    Backup {
        /// The file, which must not be there yet.
        file: PathBuf,
        /// Keep what is left of a damaged store: make the copy, too, where its rows disagree or cannot be read.
        #[arg(long)]
        damaged: bool,
    },
    /// Put a backup in the store's place; only while no hub runs.
    ///
    /// All of the file is looked at before anything is touched. Every device starts over: cursors of before are
    /// answered 410. What had ended since the backup is back: keys and tokens revoked since, devices that signed out
    /// since or whose channel went to another device, notifications retracted since, broadcasts cancelled since.
    Restore {
        /// The backup.
        file: PathBuf,
        /// Put it in the place of a store that is there, which is kept aside.
        #[arg(long)]
        force: bool,
        /// End all tokens, those revoked since the backup too; people's apps must sign in again.
        #[arg(long)]
        new_secrets: bool,
    },
    /// Copy the store's rows to a new, smaller file; only while no hub runs (or at a start: `serve --compact`).
    Compact,
    /// End what is over, as the hub does by itself.
    Expire {
        /// Even where the clock has leapt: the time is right.
        #[arg(long)]
        now: bool,
    },
}

/// Runs `beckon store …`.
pub(super) async fn run(
    command: StoreCommand,
    context: &CommandContext,
) -> anyhow::Result<ExitCode> {
    // All but restoring is about a store that is there: a mistyped folder must not be called sound.
    if !matches!(command, StoreCommand::Restore { .. }) {
        door::must_exist(&context.config()?.store.path)?;
    }
    match command {
        StoreCommand::Stats => stats(context).await?,
        StoreCommand::Verify => return verify(context).await,
        StoreCommand::Backup { file, damaged } => {
            backup::run(&file, damaged, context).await?;
        }
        StoreCommand::Restore {
            file,
            force,
            new_secrets,
        } => restore::run(&file, (force, new_secrets), context).await?,
        StoreCommand::Compact => compact(context).await?,
        StoreCommand::Expire { now } => expire(now, context).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn stats(context: &CommandContext) -> anyhow::Result<()> {
    let stats = context.ask(Request::StoreStats).await?;
    let names = [
        ("bytes on disk", "/sizeBytes"),
        ("commits", "/commits"),
        ("disk full", "/full"),
        ("users", "/users"),
        ("notifications", "/notifications"),
        ("unread", "/unread"),
        ("endpoints", "/endpoints"),
        ("taps to look at", "/outboxDepth"),
        ("oldest due since", "/outboxOldestDueDateTime"),
    ];
    context
        .output
        .show(&stats, |stats| output::fields(stats, &names))
}

async fn verify(context: &CommandContext) -> anyhow::Result<ExitCode> {
    let findings = context.ask(Request::StoreVerify).await?;
    let columns = [("ROWS OF", "/user"), ("WHAT DISAGREES", "/message")];
    let is_sound = findings["value"].as_array().is_some_and(Vec::is_empty);
    context.output.show(&findings, |findings| {
        let table = output::table(findings, &columns, "the store is sound");
        if is_sound {
            return table;
        }
        format!(
            "{table}\nsomething may be lost: put the last backup back with `beckon store restore FILE --force`; to keep what is left of this store, make a backup of it with --damaged"
        )
    })?;
    Ok(if is_sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn compact(context: &CommandContext) -> anyhow::Result<()> {
    let config = context.config()?;
    Door::must_be_closed(&config, "compacted").await?;
    let options = door::store_options(&config);
    let output = context.output;
    let work = move || {
        let mut shown = backup::Shown::default();
        store::compact(&options, Clock::system().now(), &mut |rows| {
            shown.now(|| output.progress(&format!("{rows} rows copied")));
        })
    };
    let compacted = tokio::task::spawn_blocking(work).await;
    output.progress_ends();
    let it = compacted??;
    let answer = json!({
        "rows": it.rows,
        "sizeBytesBefore": it.bytes_before,
        "sizeBytes": it.bytes_after,
    });
    output.show(&answer, |_| {
        format!(
            "{} rows; {} bytes before, {} now",
            it.rows, it.bytes_before, it.bytes_after
        )
    })
}

async fn expire(now: bool, context: &CommandContext) -> anyhow::Result<()> {
    let answer = context.ask(Request::StoreExpire { now }).await?;
    context.output.show(&answer, |answer| {
        if answer["heldUntilDateTime"].is_null() {
            return format!("{} ended", output::text(answer, "/ended"));
        }
        format!(
            "nothing ended: the clock has leapt, and nothing is deleted for expiry before {}. If it is {} now, `beckon store expire --now` ends the wait; if not, set the clock",
            output::text(answer, "/heldUntilDateTime"),
            output::text(answer, "/nowDateTime")
        )
    })
}

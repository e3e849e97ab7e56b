//! `audit`: who did what to the hub, and when.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{CommandContext, door::Door, output};
use crate::{
    hub::admin::Request,
    model::{AppHost, Timestamp},
};

const COLUMNS: [(&str, &str); 8] = [
    ("WHEN", "/dateTime"),
    ("BY", "/by"),
    ("ACT", "/act"),
    ("APP", "/app"),
    ("USER", "/user"),
    ("OF", "/of"),
    ("OUTCOME", "/outcome"),
    ("REASON", "/reason"),
];
/// How many are printed without `--limit`.
const USUAL: usize = 50;

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Only what concerns this app.
    #[arg(long, value_name = "HOST")]
    app: Option<AppHost>,
    /// Only what was done then or later, for instance 2026-11-24T08:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Print so many at most; else 50, or with --since all of them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Runs `beckon audit`.
pub(super) async fn run(args: AuditArgs, context: &CommandContext) -> anyhow::Result<ExitCode> {
    let usual = if args.since.is_some() {
        usize::MAX
    } else {
        USUAL
    };
    let most = args.limit.map_or(usual, |limit| limit as usize);
    let door = Door::open(&context.config()?).await?;
    let acts = read(&door, &args, most).await;
    door.close().await;
    let acts = json!({ "value": acts? });
    context.output.show(&acts, |acts| {
        output::table(acts, &COLUMNS, "nothing was done")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The newest of them, page by page.
async fn read(door: &Door, args: &AuditArgs, most: usize) -> anyhow::Result<Vec<Value>> {
    let (mut acts, mut before) = (Vec::new(), None);
    loop {
        let request = Request::Audit {
            app: args.app.as_ref().map(ToString::to_string),
            since: args.since.map(|since| since.to_string()),
            before,
        };
        let mut page = door.ask(request).await?;
        if let Value::Array(more) = page["value"].take() {
            acts.extend(more);
        }
        before = page["next"].as_u64();
        if before.is_none() || acts.len() >= most {
            acts.truncate(most);
            return Ok(acts);
        }
    }
}

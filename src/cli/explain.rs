//! `explain`: why each device did or did not get a notification.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{CommandContext, output};
use crate::{hub::admin::Request, model::NotificationId};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The notification's id, as `send` and `user show` print it.
    #[arg(value_parser = id)]
    notification: NotificationId,
}

fn id(text: &str) -> Result<NotificationId, String> {
    NotificationId::parse(text).ok_or_else(|| {
        String::from("is no notification's id; `beckon user show HOST USER` lists them")
    })
}

/// Runs `beckon explain`.
pub(super) async fn run(args: ExplainArgs, context: &CommandContext) -> anyhow::Result<ExitCode> {
    let notification = args.notification.to_string();
    let lines = context.ask(Request::Explain { notification }).await?;
    context.output.show(&lines, told)?;
    Ok(ExitCode::SUCCESS)
}

/// A heading and a sentence for each device.
fn told(lines: &Value) -> String {
    let lines = lines["value"].as_array().map_or(&[][..], Vec::as_slice);
    if lines.is_empty() {
        return String::from(
            "the user has no endpoints. It waits for the day one comes; what was known of one that signed out went with it",
        );
    }
    let told: Vec<String> = lines.iter().map(one).collect();
    told.join("\n\n")
}

fn one(line: &Value) -> String {
    let text = |pointer| output::text(line, pointer);
    format!(
        "{} ({}, {}): {}\n  {}",
        text("/endpointId"),
        text("/platform"),
        text("/channel"),
        text("/status"),
        text("/explanation"),
    )
}

//! `store`: figures, and whether its rows agree.

use std::process::ExitCode;

use clap::Subcommand;

use super::{CommandContext, output};
use crate::hub::admin::Request;

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Print figures: size, commits, what waits in the outbox.
    Stats,
    /// Walk every row and name what disagrees; exit code 1 where something does.
    Verify,
}

/// Runs `beckon store …`.
pub(super) async fn run(
    command: StoreCommand,
    context: &CommandContext,
) -> anyhow::Result<ExitCode> {
    match command {
        StoreCommand::Stats => {
            let stats = context.ask(Request::StoreStats).await?;
            let names = [
                ("bytes on disk", "/sizeBytes"),
                ("commits", "/commits"),
                ("disk full", "/full"),
                ("taps to look at", "/outboxDepth"),
                ("oldest due since", "/outboxOldestDueDateTime"),
            ];
            context
                .output
                .show(&stats, |stats| output::fields(stats, &names))?;
            Ok(ExitCode::SUCCESS)
        }
        StoreCommand::Verify => {
            let findings = context.ask(Request::StoreVerify).await?;
            let columns = [("ROWS OF", "/user"), ("WHAT DISAGREES", "/message")];
            context.output.show(&findings, |findings| {
                output::table(findings, &columns, "the store is sound")
            })?;
            let is_sound = findings["value"].as_array().is_some_and(Vec::is_empty);
            Ok(if is_sound {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}

//! `key` and `token`: credentials, each shown once.

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand, builder::PossibleValuesParser};

use super::{CommandContext, output};
use crate::{
    config::value,
    hub::admin::Request,
    model::{AppHost, EndpointId, UserId},
};

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key for an app's server; it is shown this once.
    Create(CreateArgs),
    /// List the keys, revoked ones too.
    List {
        /// The app; else all.
        host: Option<AppHost>,
    },
    /// End a key at once.
    Revoke {
        /// The key's id, as `key list` shows it.
        id: String,
        /// End the user tokens that it minted, too.
        #[arg(long)]
        with_tokens: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// The app, as the config names it.
    host: AppHost,
    /// What to call it in lists.
    #[arg(long)]
    name: Option<String>,
    /// What it may do: post and retract; tokens and endpoints; or both.
    #[arg(long, default_value = "all", value_parser = PossibleValuesParser::new(["send", "users", "all"]))]
    scope: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Mint a token for an app's client, as its server would; it is shown this once.
    Mint(MintArgs),
    /// End a user's tokens at once, and the streams that they opened.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// The app.
    host: AppHost,
    /// The user, by the app's own id.
    user: UserId,
    /// Those alone that are bound to this endpoint.
    #[arg(long)]
    endpoint: Option<EndpointId>,
}

#[derive(Debug, Args)]
pub(super) struct MintArgs {
    /// The app.
    host: AppHost,
    /// The user, by the app's own id.
    user: UserId,
    /// Bind it to one endpoint; it ends with that.
    #[arg(long)]
    endpoint: Option<EndpointId>,
    /// How long it lives, at most 365d; else 1h, or 90d bound to an endpoint.
    #[arg(long, value_name = "TIME", value_parser = span)]
    expires: Option<Duration>,
}

/// Reads a span of whole seconds, at least one.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let span = value::duration(text)?;
    if span.is_zero() || span.subsec_millis() != 0 {
        return Err(format!("{text:?} is not one or more whole seconds"));
    }
    Ok(span)
}

/// Runs `beckon key …`.
pub(super) async fn key(command: KeyCommand, context: &CommandContext) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::Create(args) => {
            let request = Request::CreateKey {
                app: args.host.to_string(),
                name: args.name,
                scope: args.scope,
                ahead: false,
            };
            let made = context.ask(request).await?;
            let names = [("app", "/app"), ("id", "/id"), ("key", "/key")];
            context
                .output
                .show(&made, |made| output::fields(made, &names))?;
            context
                .output
                .note("the key is shown this once; keep it where the app's server reads it");
        }
        KeyCommand::List { host } => {
            let app = host.map(|host| host.to_string());
            let keys = context.ask(Request::ListKeys { app }).await?;
            let columns = [
                ("ID", "/id"),
                ("APP", "/app"),
                ("NAME", "/name"),
                ("SCOPE", "/scope"),
                ("CREATED", "/createdDateTime"),
                ("REVOKED", "/revokedDateTime"),
            ];
            let nothing = "no keys; make one with: beckon key create HOST";
            context
                .output
                .show(&keys, |keys| output::table(keys, &columns, nothing))?;
        }
        KeyCommand::Revoke { id, with_tokens } => {
            let revoked = context.ask(Request::RevokeKey { id, with_tokens }).await?;
            context.output.show(&revoked, |revoked| {
                format!("revoked {}", output::text(revoked, "/id"))
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `beckon token …`.
pub(super) async fn token(
    command: TokenCommand,
    context: &CommandContext,
) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::Mint(args) => mint(args, context).await?,
        TokenCommand::Revoke(args) => revoke(args, context).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn revoke(args: RevokeArgs, context: &CommandContext) -> anyhow::Result<()> {
    let request = Request::RevokeTokens {
        app: args.host.to_string(),
        user: args.user.as_str().to_owned(),
        endpoint: args.endpoint.map(|id| id.as_str().to_owned()),
    };
    let revoked = context.ask(request).await?;
    context.output.show(&revoked, |revoked| {
        format!("revoked {}", output::text(revoked, "/revoked"))
    })
}

async fn mint(args: MintArgs, context: &CommandContext) -> anyhow::Result<()> {
    let request = Request::MintToken {
        app: args.host.to_string(),
        user: args.user.as_str().to_owned(),
        endpoint: args.endpoint.map(|id| id.as_str().to_owned()),
        expires_secs: args.expires.map(|span| span.as_secs()),
    };
    let minted = context.ask(request).await?;
    let names = [
        ("token", "/token"),
        ("expires", "/expiresDateTime"),
        ("endpoint", "/endpointId"),
    ];
    context
        .output
        .show(&minted, |minted| output::fields(minted, &names))
}

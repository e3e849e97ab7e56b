//! The command line. Each command asks the running hub through its admin socket, or opens the stopped hub's store in
//! process; `door` hides which. What people read and what `--json` prints is the affair of `output`.

mod access;
mod audit;
mod check;
mod door;
mod doubles;
mod explain;
mod help;
mod import;
mod init;
mod output;
mod people;
mod send;
mod serve;
mod store;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{
    config::{self, Config},
    hub::admin::Request,
};

use door::Door;
use output::Output;

/// Runs the command that the process was started with.
///
/// Exit codes: 0 done, 1 failed, 2 not understood.
pub fn run() -> ExitCode {
    let parsed = help::grouped(Cli::command())
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let Cli { common, command } = match parsed {
        Ok(cli) => cli,
        // Help and version come this way too, with code 0.
        Err(error) => error.exit(),
    };
    let context = CommandContext {
        output: Output::new(common.json),
        common,
    };
    match dispatch(command, &context) {
        Ok(code) => code,
        Err(error) => {
            output::failure(&error);
            ExitCode::FAILURE
        }
    }
}

/// Post to a person, tap every device: a self-hosted notification hub.
#[derive(Debug, Parser)]
#[command(name = "beckon", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
struct Common {
    /// The config file; else config.toml if there is one, else the defaults.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "BECKON_CONFIG",
        hide_env_values = true,
        help_heading = "Everywhere"
    )]
    config: Option<PathBuf>,
    /// The data folder, in place of the config's.
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    data: Option<PathBuf>,
    /// Print one JSON value, for programs.
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the hub.
    Serve(serve::ServeArgs),
    /// Run stand-ins of the four push services, for tests without Apple, Google or Microsoft.
    Doubles(doubles::DoublesArgs),
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    #[command(flatten)]
    Maintain(Maintenance),
}

/// What works with the hub running or stopped; `store restore` and `store compact` alone want it stopped.
#[derive(Debug, Subcommand)]
enum Maintenance {
    /// Write a config for one app and make its first key.
    Init(init::InitArgs),
    /// Check the config, the store and the credentials of every push service.
    Check,
    /// Make, list and revoke app keys.
    #[command(subcommand)]
    Key(access::KeyCommand),
    /// Mint user tokens.
    #[command(subcommand)]
    Token(access::TokenCommand),
    /// Send a notification to a user, to many or to all.
    Send(Box<send::SendArgs>),
    /// Tell for each device what became of a notification, and why.
    Explain(explain::ExplainArgs),
    /// List users and show one.
    #[command(subcommand)]
    User(people::UserCommand),
    /// List, test, revive and remove endpoints.
    #[command(subcommand)]
    Endpoint(people::EndpointCommand),
    /// Look at the store.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Tell who did what to the hub, and when.
    Audit(audit::AuditArgs),
}

fn dispatch(command: Command, context: &CommandContext) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(args, context),
        Command::Doubles(args) => doubles::run(args, context),
        Command::Completions { shell } => completions(shell),
        Command::Maintain(command) => runtime()?.block_on(maintain(command, context)),
    }
}

async fn maintain(command: Maintenance, context: &CommandContext) -> anyhow::Result<ExitCode> {
    match command {
        Maintenance::Init(args) => init::run(args, context).await,
        Maintenance::Check => check::run(context).await,
        Maintenance::Key(command) => access::key(command, context).await,
        Maintenance::Token(command) => access::token(command, context).await,
        Maintenance::Send(args) => send::run(*args, context).await,
        Maintenance::Explain(args) => explain::run(args, context).await,
        Maintenance::User(command) => people::user(command, context).await,
        Maintenance::Endpoint(command) => people::endpoint(command, context).await,
        Maintenance::Store(command) => store::run(command, context).await,
        Maintenance::Audit(args) => audit::run(args, context).await,
    }
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "beckon", &mut script);
    output::print(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// A runtime for a command that needs one.
fn runtime() -> anyhow::Result<Runtime> {
    crate::serve::runtime().context("cannot start the threads of the runtime")
}

/// What a command runs with.
#[derive(Debug)]
struct CommandContext {
    common: Common,
    output: Output,
}

impl CommandContext {
    /// The config as file, environment and `--data` say.
    fn config(&self) -> Result<Config, config::Error> {
        let mut config = config::load(self.common.config.as_deref(), environment())?;
        if let Some(data) = &self.common.data {
            config.store.path.clone_from(data);
        }
        Ok(config)
    }

    /// Asks the hub one thing.
    async fn ask(&self, request: Request) -> anyhow::Result<Value> {
        let config = self.config()?;
        let door = match &request {
            // What a newcomer may begin with.
            Request::CreateKey { app, .. } | Request::MintToken { app, .. } => {
                Door::open_or_make(&config, app).await?
            }
            _ => Door::open(&config).await?,
        };
        let answer = door.ask(request).await;
        door.close().await;
        answer
    }
}

/// The variables that are text; any other one is none of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

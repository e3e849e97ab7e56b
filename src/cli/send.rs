//! `send`: a notification from the command line, to a person or to many.

mod many;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{ArgGroup, Args, builder::PossibleValuesParser};

use super::{CommandContext, access::span, door::Door, output};
use crate::{
    hub::admin::{Post, Request},
    model::{AppHost, UserId},
};

#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("to").required(true).args(["user", "all", "users"])),
    // By itself clap puts the group before the app.
    override_usage = "beckon send [OPTIONS] <HOST> <USER|--all|--users <FILE>>"
)]
pub(super) struct SendArgs {
    /// The app.
    host: AppHost,
    /// The user, by the app's own id.
    user: Option<UserId>,
    /// To everyone whom the app has now, in place of USER.
    #[arg(long)]
    all: bool,
    /// To those whom a file names, one user id a line, in place of USER; - reads them from stdin.
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// What people see first.
    #[arg(long, value_name = "TEXT", required_unless_present = "raw")]
    title: Option<String>,
    /// What they see below it.
    #[arg(long, value_name = "TEXT", requires = "title")]
    body: Option<String>,
    /// Data for the app.
    #[arg(long, value_name = "TEXT")]
    raw: Option<String>,
    /// How soon it matters.
    #[arg(long, ignore_case = true, value_parser = PossibleValuesParser::new(["High", "Low", "None"]))]
    priority: Option<String>,
    /// The app's group.
    #[arg(long)]
    group: Option<String>,
    /// The app's own id; sending it again replaces the notification.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Only for this platform; may be given more than once.
    #[arg(long, ignore_case = true, value_parser = PossibleValuesParser::new(["windows", "iOS", "android", "webPush"]))]
    platform: Vec<String>,
    /// How long it is kept, at most 30d; else 7d.
    #[arg(long, value_name = "TIME", value_parser = span)]
    expires: Option<Duration>,
    /// How long it stays on the screen.
    #[arg(long, value_name = "TIME", value_parser = span)]
    display_ttl: Option<Duration>,
}

/// Runs `beckon send`.
pub(super) async fn run(args: SendArgs, context: &CommandContext) -> anyhow::Result<ExitCode> {
    let post = Box::new(Post {
        title: args.title,
        body: args.body,
        raw: args.raw,
        priority: args.priority,
        group: args.group,
        app_notification_id: args.id,
        platforms: args.platform,
        expires_secs: args.expires.map(|span| span.as_secs()),
        display_ttl_secs: args.display_ttl.map(|span| span.as_secs()),
    });
    match (args.user, args.users) {
        (Some(user), _) => send(args.host, user, post, context).await,
        (None, Some(file)) => {
            let users = Some(many::users_of(&file)?);
            many::send(args.host, users, post, context).await
        }
        // One of the three is there.
        (None, None) => many::send(args.host, None, post, context).await,
    }
}

async fn send(
    host: AppHost,
    user: UserId,
    post: Box<Post>,
    context: &CommandContext,
) -> anyhow::Result<ExitCode> {
    let user = user.as_str().to_owned();
    let request = Request::Send {
        app: host.to_string(),
        user: user.clone(),
        post,
    };
    let door = Door::open_or_make(&context.config()?, host.as_str()).await?;
    let waits = !door.is_running();
    let posted = door.ask(request).await;
    door.close().await;
    context.output.show(&posted?, |posted| {
        let (id, expires) = (
            output::text(posted, "/id"),
            output::text(posted, "/expirationDateTime"),
        );
        format!(
            "posted {id} to {}, kept until {expires}",
            output::plain(&user)
        )
    })?;
    if waits {
        context.output.note("the hub is stopped: the notification is stored, and devices are tapped once `beckon serve` runs");
    }
    Ok(ExitCode::SUCCESS)
}

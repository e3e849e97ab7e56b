//! `send`: a notification from the command line.

use std::{process::ExitCode, time::Duration};

use clap::{Args, builder::PossibleValuesParser};

use super::{CommandContext, access::span, door::Door, output};
use crate::{
    hub::admin::{Post, Request},
    model::{AppHost, UserId},
};

#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// The app.
    host: AppHost,
    /// The user, by the app's own id.
    user: UserId,
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
    let user = args.user.as_str().to_owned();
    let request = Request::Send {
        app: args.host.to_string(),
        user: user.clone(),
        post: Box::new(Post {
            title: args.title,
            body: args.body,
            raw: args.raw,
            priority: args.priority,
            group: args.group,
            app_notification_id: args.id,
            platforms: args.platform,
            expires_secs: args.expires.map(|span| span.as_secs()),
            display_ttl_secs: args.display_ttl.map(|span| span.as_secs()),
        }),
    };
    let door = Door::open(&context.config()?).await?;
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

//! `user` and `endpoint`: who there is, and their devices.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    CommandContext,
    door::Door,
    import::{self, ImportArgs},
    output,
};
use crate::{
    hub::admin::{Piece, Place, Request},
    model::{AppHost, EndpointId, Timestamp, UserId},
};

const ENDPOINT_COLUMNS: [(&str, &str); 6] = [
    ("ENDPOINT", "/id"),
    ("PLATFORM", "/platform"),
    ("CHANNEL", "/channel/type"),
    ("NAME", "/displayName"),
    ("LAST SEEN", "/lastSeenDateTime"),
    ("EXPIRES", "/expirationDateTime"),
];
const NO_ENDPOINTS: &str = "no endpoints";

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// List an app's users.
    List {
        /// The app.
        host: AppHost,
    },
    /// Show a user's counts, endpoints and newest notifications.
    Show {
        /// The app.
        host: AppHost,
        /// The user, by the app's own id.
        user: UserId,
    },
    /// Print all that is held about a user, as JSON: endpoints without their secrets, notifications, what became of them,
    /// what left for whom.
    Export {
        /// The app.
        host: AppHost,
        /// The user, by the app's own id.
        user: UserId,
        /// Leave out what was posted.
        #[arg(long)]
        without_content: bool,
    },
    /// Erase a user: all that `export` tells goes, for good, with what waits to be tapped; their tokens and streams end.
    Erase {
        /// The app.
        host: AppHost,
        /// The user, by the app's own id.
        user: UserId,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum EndpointCommand {
    /// List a user's endpoints.
    List {
        /// The app.
        host: AppHost,
        /// The user, by the app's own id.
        user: UserId,
    },
    /// Tap one device now, and tell what its push service said.
    Test {
        /// The app.
        host: AppHost,
        /// The user, by the app's own id.
        user: UserId,
        /// The endpoint's id, as `endpoint list` shows it.
        endpoint: EndpointId,
    },
    /// Give devices their push channels back that were dropped for a wrong setting; what they lack is tapped.
    Revive {
        /// The app.
        host: AppHost,
        /// Only channels dropped then or later, for instance 2026-11-24T08:00:00Z; all of them without it.
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
    },
    /// Register devices from a file: Beckon's own lines, installations of Azure Notification Hubs, or gorush's tokens.
    Import(ImportArgs),
    /// Sign a device out: its tokens and streams end, and it is tapped no more.
    Remove {
        /// The app.
        host: AppHost,
        /// The user, by the app's own id.
        user: UserId,
        /// The endpoint's id, as `endpoint list` shows it.
        endpoint: EndpointId,
    },
}

/// Runs `beckon user …`.
pub(super) async fn user(
    command: UserCommand,
    context: &CommandContext,
) -> anyhow::Result<ExitCode> {
    match command {
        UserCommand::List { host } => {
            let users = users(&host, context).await?;
            let columns = [
                ("USER", "/id"),
                ("NOTIFICATIONS", "/notificationCount"),
                ("UNREAD", "/unreadCount"),
            ];
            context.output.show(&users, |users| {
                output::table(users, &columns, "no users yet")
            })?;
        }
        UserCommand::Show { host, user } => {
            let request = Request::UserShow {
                app: host.to_string(),
                user: user.as_str().to_owned(),
            };
            let shown = context.ask(request).await?;
            context.output.show(&shown, portrait)?;
        }
        UserCommand::Export {
            host,
            user,
            without_content,
        } => {
            let door = Door::open(&context.config()?).await?;
            let exported = export((&host, &user), !without_content, &door).await;
            door.close().await;
            exported?;
        }
        UserCommand::Erase { host, user } => {
            let request = Request::UserErase {
                app: host.to_string(),
                user: user.as_str().to_owned(),
            };
            let erased = context.ask(request).await?;
            context.output.show(&erased, |erased| {
                format!("erased {}", output::text(erased, "/id"))
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints piece by piece, so that nothing long is held.
async fn export(
    (host, user): (&AppHost, &UserId),
    content: bool,
    door: &Door,
) -> anyhow::Result<()> {
    let mut place = Some(Place::Start);
    while let Some(at) = place {
        let request = Request::UserExport {
            app: host.to_string(),
            user: user.as_str().to_owned(),
            content,
            place: at,
        };
        let piece: Piece = serde_json::from_value(door.ask(request).await?)?;
        output::print(piece.text.as_bytes())?;
        place = piece.next;
    }
    Ok(())
}

async fn users(host: &AppHost, context: &CommandContext) -> anyhow::Result<Value> {
    let door = Door::open(&context.config()?).await?;
    let users = all_users(host, &door).await;
    door.close().await;
    users
}

async fn all_users(host: &AppHost, door: &Door) -> anyhow::Result<Value> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let request = Request::UserList {
            app: host.to_string(),
            after: after.take(),
        };
        let mut page = door.ask(request).await?;
        if let Some(users) = page["value"].as_array_mut() {
            all.append(users);
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            return Ok(json!({ "value": all }));
        }
    }
}

fn portrait(user: &Value) -> String {
    let counts = [
        ("user", "/id"),
        ("notifications", "/notificationCount"),
        ("unread", "/unreadCount"),
    ];
    let notifications = [
        ("NOTIFICATION", "/id"),
        ("TITLE", "/payload/visualContent/title"),
        ("PRIORITY", "/priority"),
        ("READ", "/readState"),
        ("ACTION", "/userActionState"),
        ("CREATED", "/createdDateTime"),
    ];
    let list = |name: &str| json!({ "value": user[name] });
    [
        output::fields(user, &counts),
        output::table(&list("endpoints"), &ENDPOINT_COLUMNS, NO_ENDPOINTS),
        output::table(&list("notifications"), &notifications, "no notifications"),
    ]
    .join("\n\n")
}

/// Runs `beckon endpoint …`.
pub(super) async fn endpoint(
    command: EndpointCommand,
    context: &CommandContext,
) -> anyhow::Result<ExitCode> {
    match command {
        EndpointCommand::List { host, user } => {
            let request = Request::EndpointList {
                app: host.to_string(),
                user: user.as_str().to_owned(),
            };
            let endpoints = context.ask(request).await?;
            context.output.show(&endpoints, |endpoints| {
                output::table(endpoints, &ENDPOINT_COLUMNS, NO_ENDPOINTS)
            })?;
        }
        EndpointCommand::Test {
            host,
            user,
            endpoint,
        } => return test(&host, &user, &endpoint, context).await,
        EndpointCommand::Import(args) => return import::run(args, context).await,
        EndpointCommand::Revive { host, since } => revive(&host, since, context).await?,
        EndpointCommand::Remove {
            host,
            user,
            endpoint,
        } => {
            let request = Request::EndpointRemove {
                app: host.to_string(),
                user: user.as_str().to_owned(),
                endpoint: endpoint.as_str().to_owned(),
            };
            let removed = context.ask(request).await?;
            context.output.show(&removed, |removed| {
                format!("removed {}", output::text(removed, "/id"))
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Revives step by step, so that no request is long.
async fn revive(
    host: &AppHost,
    since: Option<Timestamp>,
    context: &CommandContext,
) -> anyhow::Result<()> {
    let door = Door::open(&context.config()?).await?;
    let (mut revived, mut after) = (0, None);
    let done = loop {
        let request = Request::EndpointRevive {
            app: host.to_string(),
            since: since.map(|since| since.to_string()),
            after: after.take(),
        };
        match door.ask(request).await {
            Ok(step) => {
                revived += step["revived"].as_u64().unwrap_or_default();
                after = step["next"].as_str().map(str::to_owned);
                if after.is_none() {
                    break Ok(());
                }
            }
            Err(error) => break Err(error),
        }
    };
    let running = door.is_running();
    door.close().await;
    done?;
    let answer = json!({ "app": host.as_str(), "revived": revived });
    context.output.show(&answer, |_| match (revived, running) {
        (0, _) => "no dropped channels to bring back".to_owned(),
        (_, true) => format!(
            "brought {revived} channels back; what they lack is tapped now, or where their push service stands still, once it is tried again: `beckon check` says when, and SIGHUP has it tried at once"
        ),
        (_, false) => {
            format!("brought {revived} channels back; what they lack is tapped when the hub runs")
        }
    })
}

/// Sends a test; fails where the push service did not take it.
async fn test(
    host: &AppHost,
    user: &UserId,
    endpoint: &EndpointId,
    context: &CommandContext,
) -> anyhow::Result<ExitCode> {
    let request = Request::EndpointTest {
        app: host.to_string(),
        user: user.as_str().to_owned(),
        endpoint: endpoint.as_str().to_owned(),
    };
    let door = Door::open(&context.config()?).await?;
    let tested = door.ask_to_send(request).await;
    door.close().await;
    let tested = tested?;
    context.output.show(&tested, |tested| {
        let text = |pointer| output::text(tested, pointer);
        format!("{}: {}", text("/result"), text("/explanation"))
    })?;
    Ok(match tested["result"].as_str() {
        Some("accepted") => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

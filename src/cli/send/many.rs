//! `send --all` and `send --users`: to many, as a job that the hub works off.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;

use super::{CommandContext, Door, Post, Request, output, output::Output};
use crate::model::AppHost;

/// How often the hub is asked how far it is.
const LOOK: Duration = Duration::from_millis(100);

/// The users whom a file names, one a line; empty lines name nobody.
pub(super) fn users_of(file: &Path) -> anyhow::Result<Vec<String>> {
    let from: Box<dyn Read> = match file {
        stdin if stdin == Path::new("-") => Box::new(io::stdin()),
        file => Box::new(File::open(file).with_context(|| unread(file))?),
    };
    let mut users = Vec::new();
    for line in BufReader::new(from).lines() {
        let line = line.with_context(|| unread(file))?;
        // A file from another system may end its lines otherwise.
        let user = line.strip_suffix('\r').unwrap_or(&line);
        if !user.is_empty() {
            users.push(user.to_owned());
        }
    }
    Ok(users)
}

fn unread(file: &Path) -> String {
    format!("cannot read the users from {}", file.display())
}

/// Posts to many, everyone where nobody is named, and waits until the running hub has done so.
pub(super) async fn send(
    host: AppHost,
    users: Option<Vec<String>>,
    post: Box<Post>,
    context: &CommandContext,
) -> anyhow::Result<ExitCode> {
    let door = Door::open_or_make(&context.config()?, host.as_str()).await?;
    let app = host.to_string();
    let request = Request::SendMany {
        app: app.clone(),
        users,
        post,
    };
    let sent = match door.ask(request).await {
        Ok(job) => worked_off(&door, &app, job, context.output).await,
        Err(error) => Err(error),
    };
    door.close().await;
    let job = sent?;
    context.output.show(&job, told)?;
    if is_running(&job) {
        context
            .output
            .note("the hub is stopped: the job is stored, and begins once `beckon serve` runs");
    }
    Ok(match job["status"].as_str() {
        Some("cancelled") => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

/// The job once the running hub has worked it off; as it is, where no hub runs.
async fn worked_off(
    door: &Door,
    app: &str,
    mut job: Value,
    output: Output,
) -> anyhow::Result<Value> {
    while door.is_running() && is_running(&job) {
        let text = |pointer| output::text(&job, pointer);
        output.progress(&format!(
            "{} of {} people; the hub goes on without this command",
            text("/done"),
            text("/accepted")
        ));
        tokio::time::sleep(LOOK).await;
        let id = text("/id");
        let request = Request::Broadcast {
            app: app.to_owned(),
            id: id.clone(),
        };
        let asked = door.ask(request).await;
        output.progress_ends();
        job = asked.with_context(|| {
            format!(
                "it is not known how far the job {id} is; it is stored, and the hub goes on with it"
            )
        })?;
    }
    Ok(job)
}

fn is_running(job: &Value) -> bool {
    job["status"] == "running"
}

/// What became of a job, in words.
fn told(job: &Value) -> String {
    let text = |pointer| output::text(job, pointer);
    let (id, done, accepted) = (text("/id"), text("/done"), text("/accepted"));
    let failed = match job["failed"].as_u64() {
        None | Some(0) => String::new(),
        Some(failed) => format!(
            "; {failed} cannot have it: they are gone, or at server.limits.notifications_per_user, or its time was over first"
        ),
    };
    match job["status"].as_str() {
        Some("running") => format!("stored the job {id} for {accepted} people"),
        Some("cancelled") => {
            format!("the job {id} was cancelled after {done} of {accepted} people{failed}")
        }
        _ => format!("posted to {done} people, as the job {id}{failed}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_names_one_user_a_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "ada\r\n\nbob b\nlast").unwrap();
        assert_eq!(users_of(file.path()).unwrap(), ["ada", "bob b", "last"]);
        std::fs::write(file.path(), b"ada\n\xff\n").unwrap();
        let error = users_of(file.path()).unwrap_err();
        assert!(error.to_string().starts_with("cannot read the users from"));
        assert!(users_of(Path::new("/nowhere/at all")).is_err());
    }

    #[test]
    fn a_job_is_told_in_words() {
        let check = |status: &str, accepted: u64, failed: u64, says: &str| {
            let job = json!({"id": "j", "status": status, "accepted": accepted, "done": 2, "failed": failed});
            assert_eq!(told(&job), says);
        };
        check("running", 3, 0, "stored the job j for 3 people");
        check("completed", 2, 0, "posted to 2 people, as the job j");
        check(
            "completed",
            3,
            1,
            "posted to 2 people, as the job j; 1 cannot have it: they are gone, or at server.limits.notifications_per_user, or its time was over first",
        );
        check(
            "cancelled",
            9,
            0,
            "the job j was cancelled after 2 of 9 people",
        );
    }
}

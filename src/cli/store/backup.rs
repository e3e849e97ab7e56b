//! `store backup`: the bytes that the hub hands out, into a file that appears under its name only once it is whole, on
//! disk, and read back.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::fs::FlockOperation;
use serde_json::{Value, json};

use crate::{
    cli::{
        CommandContext,
        door::{Door, Pieces},
        output,
        serve::Stops,
    },
    store::{
        self,
        backup::{self, Contents},
    },
};

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(200);

/// Runs `beckon store backup FILE`.
pub(super) async fn run(
    file: &Path,
    damaged: bool,
    context: &CommandContext,
) -> anyhow::Result<()> {
    let config = context.config()?;
    if file.exists() {
        bail!("{} is there already; name another file", file.display());
    }
    let door = Door::open(&config).await?;
    let mut stops = Stops::listen()?;
    let written = tokio::select! {
        written = write(&door, (file, damaged), context) => written,
        // What was written so far goes when the writing is let go of.
        () = stops.stop() => Err(anyhow::anyhow!(
            "stopped; {} was not made",
            file.display()
        )),
    };
    door.close().await;
    context.output.progress_ends();
    let (contents, findings) = written?;
    context.output.show(&shown(file, &contents, findings), |_| {
        let state = match findings {
            0 => String::from("read back and whole"),
            _ => format!(
                "read back: it is of a damaged store, {findings} rows disagree or cannot be read, and what they stood for is missing, in part or all of it. Keep the last whole backup, too"
            ),
        };
        format!(
            "{} holds {} rows and {} changes made meanwhile, {} bytes, {state}\nIt holds keys and tokens and all that was posted: keep it as safe as the data folder",
            file.display(), contents.rows, contents.changes, contents.bytes
        )
    })
}

fn shown(file: &Path, contents: &Contents, findings: usize) -> Value {
    json!({
        "file": output::path(file),
        "takenDateTime": contents.taken.to_string(),
        "rows": contents.rows,
        "changes": contents.changes,
        "sizeBytes": contents.bytes,
        "findings": findings,
    })
}

/// A file that goes when this is dropped, unless it got its name.
struct Unfinished(Option<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // The command has failed and says so; a file that stays behind says by its name what it is.
            let _ = fs::remove_file(path);
        }
    }
}

/// Writes it, and says what it holds and how many of its rows disagree: none, unless the store may be `damaged`.
async fn write(
    door: &Door,
    (file, damaged): (&Path, bool),
    context: &CommandContext,
) -> anyhow::Result<(Contents, usize)> {
    remove_left(file)?;
    let unfinished = unfinished(file)?;
    let failed = || format!("cannot write {}", unfinished.display());
    let mut to = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .with_context(failed)?;
    let mut guard = Unfinished(Some(unfinished.clone()));
    rustix::fs::flock(&to, FlockOperation::NonBlockingLockExclusive).with_context(failed)?;
    let mut pieces = door.backup().await?;
    take(&mut pieces, &mut to, context).await?;
    to.sync_all().with_context(failed)?;
    let named = file.to_owned();
    let read_back = unfinished.clone();
    let output = context.output;
    let checked = tokio::task::spawn_blocking(move || {
        let mut shown = Shown::default();
        backup::examine(&read_back, &mut |rows| {
            shown.now(|| output.progress(&format!("reading back: {rows} rows")));
        })
    });
    let (contents, findings) = checked.await?.map_err(|error| incomplete(error, &named))?;
    if let Some(first) = findings.first().filter(|_| !damaged) {
        bail!(
            "the store is damaged: {} rows of the backup disagree or cannot be read, the first is of {first}. {} was not made. `beckon store verify` names them; put the last backup back with `beckon store restore FILE --force`. To keep what is left beside it, make a backup with --damaged; `beckon user export` may read more of one person than a copy of all does",
            findings.len(),
            named.display()
        );
    }
    name(&unfinished, file)?;
    guard.0 = None;
    Ok((contents, findings.len()))
}

fn incomplete(error: store::Error, file: &Path) -> anyhow::Error {
    match error {
        store::Error::Backup { fault, .. } => anyhow::anyhow!(
            "the backup {fault}; {} was not made, try again",
            file.display()
        ),
        other => other.into(),
    }
}

async fn take(
    pieces: &mut Pieces,
    to: &mut fs::File,
    context: &CommandContext,
) -> anyhow::Result<()> {
    let (mut bytes, mut shown) = (0_u64, Shown::default());
    while let Some(piece) = pieces.next().await? {
        to.write_all(&piece).context("cannot write the backup")?;
        bytes += piece.len() as u64;
        shown.now(|| {
            let megabytes = bytes / 1_000_000;
            context.output.progress(&format!("{megabytes} MB written"));
        });
    }
    Ok(())
}

/// Shows something, but not too often.
#[derive(Default)]
pub(super) struct Shown(Option<Instant>);

impl Shown {
    pub(super) fn now(&mut self, show: impl FnOnce()) {
        if self.0.is_none_or(|last| last.elapsed() >= TICK) {
            show();
            self.0 = Some(Instant::now());
        }
    }
}

/// What stands behind a file's name while it is written.
const UNFINISHED: &str = ".unfinished";

/// What a file is called while it is written: beside it, so that it need only be renamed.
fn unfinished(file: &Path) -> anyhow::Result<PathBuf> {
    let Some(name) = file.file_name() else {
        bail!("{} is no name of a file", file.display());
    };
    let mut name = name.to_owned();
    name.push(format!(".{}{UNFINISHED}", std::process::id()));
    Ok(file.with_file_name(name))
}

/// Removes what earlier backups to the same file left that were killed. One that is still under way holds a lock.
fn remove_left(file: &Path) -> anyhow::Result<()> {
    let folder = folder_of(file);
    let failed = || {
        format!(
            "cannot write {}, whose folder cannot be read",
            file.display()
        )
    };
    for entry in fs::read_dir(folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if !is_unfinished(&path, file) {
            continue;
        }
        let Ok(left) = fs::File::open(&path) else {
            continue;
        };
        if rustix::fs::flock(&left, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let failed = || format!("cannot remove the unfinished backup {}", path.display());
            fs::remove_file(&path).with_context(failed)?;
        }
    }
    Ok(())
}

/// Whether `path` is named as a backup to `file` is while it is written, by whichever process.
fn is_unfinished(path: &Path, file: &Path) -> bool {
    let bytes = |path: &'_ Path| {
        path.file_name()
            .map(|name| name.as_encoded_bytes().to_vec())
    };
    let (Some(name), Some(of)) = (bytes(path), bytes(file)) else {
        return false;
    };
    let process = name
        .strip_prefix(&of[..])
        .and_then(|rest| rest.strip_prefix(b"."))
        .and_then(|rest| rest.strip_suffix(UNFINISHED.as_bytes()));
    process.is_some_and(|it| !it.is_empty() && it.iter().all(u8::is_ascii_digit))
}

/// The folder that a file is in.
fn folder_of(file: &Path) -> &Path {
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Gives a file its name, unless another one has it by now.
fn name(unfinished: &Path, file: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot name the backup {}", file.display());
    match fs::hard_link(unfinished, file) {
        Ok(()) => fs::remove_file(unfinished).with_context(failed)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} was made by another meanwhile", file.display());
        }
        // Some file systems know no second name.
        Err(_) => fs::rename(unfinished, file).with_context(failed)?,
    }
    fs::File::open(folder_of(file))
        .and_then(|folder| folder.sync_all())
        .with_context(failed)
}

//! `endpoint import`: devices that another service knew, from a file.

mod shapes;

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::{CommandContext, door::Door, output};
use crate::{
    hub::admin::{Device, Request},
    model::AppHost,
};

/// How many bytes of lines are asked at a time: a request has its limit.
const BATCH_BYTES: usize = 32 * 1024;
/// How many devices at most: few enough that what was done is seen to go on.
const BATCH: usize = 200;
/// The longest line. A device takes a few hundred bytes.
const LINE_BYTES: usize = 16 * 1024;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The app.
    host: AppHost,
    /// The file, one JSON object a line; - reads them from stdin.
    file: PathBuf,
    /// Only say what would be registered and what refused.
    #[arg(long)]
    dry_run: bool,
}

/// What became of a file.
#[derive(Debug, Default)]
struct Tally {
    created: u64,
    refreshed: u64,
    refused: Vec<Value>,
}

impl Tally {
    fn refuse(&mut self, line: usize, user: Option<&str>, message: &str) {
        self.refused.push(match user {
            Some(user) => json!({ "line": line, "user": user, "message": message }),
            None => json!({ "line": line, "message": message }),
        });
    }

    fn take_in(&mut self, batch: &[(usize, Device)], answer: &Value) {
        let told = answer["value"].as_array().map_or(&[][..], Vec::as_slice);
        for ((line, device), told) in batch.iter().zip(told) {
            match (told["created"].as_bool(), told["message"].as_str()) {
                (Some(true), _) => self.created += 1,
                (Some(false), _) => self.refreshed += 1,
                (None, message) => {
                    self.refuse(*line, Some(&device.user), message.unwrap_or("is refused"));
                }
            }
        }
    }
}

/// Runs `beckon endpoint import`.
pub(super) async fn run(args: ImportArgs, context: &CommandContext) -> anyhow::Result<ExitCode> {
    let file = open(&args.file)?;
    let door = Door::open_or_make(&context.config()?, args.host.as_str()).await?;
    let (mut tally, running) = (Tally::default(), door.is_running());
    let done = import(file, &args, (&door, context), &mut tally).await;
    door.close().await;
    context.output.progress_ends();
    let done = done.with_context(|| {
        let Tally {
            created, refreshed, ..
        } = &tally;
        format!(
            "after {created} new and {refreshed} known devices; run it again, since one that is known is only refreshed"
        )
    });
    done?;
    let answer = json!({
        "dryRun": args.dry_run,
        "created": tally.created,
        "refreshed": tally.refreshed,
        "refused": tally.refused,
    });
    context.output.show(&answer, told)?;
    if !running && !args.dry_run && tally.created > 0 {
        context.output.note(
            "the hub is stopped: the devices are stored, and tapped once `beckon serve` runs",
        );
    }
    Ok(match tally.refused.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn open(file: &Path) -> anyhow::Result<BufReader<Box<dyn Read>>> {
    let from: Box<dyn Read> = match file {
        stdin if stdin == Path::new("-") => Box::new(io::stdin()),
        file => Box::new(File::open(file).with_context(|| unread(file))?),
    };
    Ok(BufReader::new(from))
}

fn unread(file: &Path) -> String {
    format!("cannot read the devices from {}", file.display())
}

/// Goes through the file, a batch at a time.
async fn import(
    mut file: BufReader<Box<dyn Read>>,
    args: &ImportArgs,
    (door, context): (&Door, &CommandContext),
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let (mut number, mut batch, mut bytes) = (0, Vec::new(), 0);
    loop {
        let read = read_line(&mut file).with_context(|| unread(&args.file))?;
        let Some(line) = read else { break };
        number += 1;
        match shapes::devices(&line) {
            Ok(devices) => batch.extend(devices.into_iter().map(|device| (number, device))),
            Err(why) => tally.refuse(number, None, &why),
        }
        bytes += line.len();
        if bytes >= BATCH_BYTES || batch.len() >= BATCH {
            ask(door, args, std::mem::take(&mut batch), tally).await?;
            bytes = 0;
            context.output.progress(&format!("{number} lines"));
        }
    }
    ask(door, args, batch, tally).await
}

/// The next line, without its end; of one that is too long, the beginning, which is no JSON then.
fn read_line(file: &mut BufReader<Box<dyn Read>>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let most = u64::try_from(LINE_BYTES).unwrap_or(u64::MAX);
    if file.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() == LINE_BYTES && line.last() != Some(&b'\n') {
        file.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

async fn ask(
    door: &Door,
    args: &ImportArgs,
    batch: Vec<(usize, Device)>,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    // Several devices of one line may be more than a request holds.
    for part in batch.chunks(BATCH) {
        let request = Request::EndpointImport {
            app: args.host.to_string(),
            devices: part.iter().map(|(_, device)| device.clone()).collect(),
            dry_run: args.dry_run,
        };
        tally.take_in(part, &door.ask_to_register(request).await?);
    }
    Ok(())
}

/// What became of a file, in words.
fn told(answer: &Value) -> String {
    let count = |name: &str| answer[name].as_u64().unwrap_or_default();
    let refused = answer["refused"].as_array().map_or(&[][..], Vec::as_slice);
    let mut lines: Vec<String> = refused
        .iter()
        .map(|it| {
            let text = |pointer| output::text(it, pointer);
            let whose = match it["user"].as_str() {
                Some(user) => format!(" ({})", output::plain(user)),
                None => String::new(),
            };
            let faults = text("/message").replace('\n', "; ");
            format!("line {}{whose}: {faults}", text("/line"))
        })
        .collect();
    let would = match answer["dryRun"].as_bool() {
        Some(true) => "would be ",
        _ => "",
    };
    lines.push(format!(
        "{} devices {would}registered, {} known ones {would}refreshed, {} refused",
        count("created"),
        count("refreshed"),
        refused.len()
    ));
    lines.join("\n")
}

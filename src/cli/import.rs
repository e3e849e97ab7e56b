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
    hub::admin::{Became, Device, How, Request},
    model::AppHost,
};

/// How many bytes of devices are asked at a time: a request has its limit.
const BATCH_BYTES: usize = 40 * 1024;
/// How many devices at most: few enough that what was done is seen to go on.
const BATCH: usize = 200;
/// The longest line: a thousand tokens of the longest kind.
const LINE_BYTES: usize = 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The app.
    host: AppHost,
    /// The file, one JSON object a line; - reads them from stdin.
    file: PathBuf,
    /// Only say what would be registered and what refused.
    #[arg(long)]
    dry_run: bool,
    /// Register devices anew that are known, too; they may have registered themselves since.
    #[arg(long)]
    overwrite: bool,
}

/// What became of a file.
#[derive(Debug, Default)]
struct Tally {
    registered: u64,
    overwritten: u64,
    left: u64,
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
            match serde_json::from_value(told["became"].clone()) {
                Ok(Became::Registered) => self.registered += 1,
                Ok(Became::Overwritten) => self.overwritten += 1,
                Ok(Became::Left) => self.left += 1,
                Err(_) => {
                    let message = told["message"].as_str().unwrap_or("is refused");
                    self.refuse(*line, Some(&device.user), message);
                }
            }
        }
    }

    fn value(&self, args: &ImportArgs) -> Value {
        json!({
            "dryRun": args.dry_run,
            "registered": self.registered,
            "overwritten": self.overwritten,
            "left": self.left,
            "refused": self.refused,
        })
    }
}

/// Runs `beckon endpoint import`.
pub(super) async fn run(args: ImportArgs, context: &CommandContext) -> anyhow::Result<ExitCode> {
    let file = open(&args.file)?;
    let config = context.config()?;
    let door = match args.dry_run {
        // Nothing is made only to look.
        true => Door::open(&config).await?,
        false => Door::open_or_make(&config, args.host.as_str()).await?,
    };
    let (mut tally, running) = (Tally::default(), door.is_running());
    let done = import(file, &args, (&door, context), &mut tally).await;
    door.close().await;
    context.output.progress_ends();
    // What was done is told in any case.
    context.output.show(&tally.value(&args), told)?;
    done.context(
        "the import ended half way; run it again, since what is known by then is left as it is",
    )?;
    if !running && !args.dry_run && tally.registered > 0 {
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
            Err(why) => tally.refuse(number, None, &why),
            Ok(devices) => {
                for device in devices {
                    let size = serde_json::to_vec(&device)?.len();
                    if bytes + size > BATCH_BYTES || batch.len() >= BATCH {
                        ask(door, args, std::mem::take(&mut batch), tally).await?;
                        bytes = 0;
                        context.output.progress(&format!("{number} lines"));
                    }
                    bytes += size;
                    batch.push((number, device));
                }
            }
        }
    }
    ask(door, args, batch, tally).await
}

/// The next line; of one that is too long, more than a line may have.
fn read_line(file: &mut BufReader<Box<dyn Read>>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let most = u64::try_from(LINE_BYTES + 1).unwrap_or(u64::MAX);
    if file.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() > LINE_BYTES && line.last() != Some(&b'\n') {
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
    let request = Request::EndpointImport {
        app: args.host.to_string(),
        devices: batch.iter().map(|(_, device)| device.clone()).collect(),
        how: How {
            dry_run: args.dry_run,
            overwrite: args.overwrite,
        },
    };
    tally.take_in(&batch, &door.ask_to_register(request).await?);
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
    let known = match count("overwritten") {
        0 => format!("{} known ones left as they are", count("left")),
        known => format!("{known} known ones {would}registered anew"),
    };
    lines.push(format!(
        "{} devices {would}registered, {known}, {} refused",
        count("registered"),
        refused.len()
    ));
    lines.join("\n")
}

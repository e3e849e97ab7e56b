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
    hub::admin::{Became, Device, Foresight, Looked, Request, Whose},
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
    notes: Vec<Note>,
}

/// What is told of a line.
#[derive(Debug)]
struct Note {
    line: usize,
    /// Whose device it is about; nobody's where no device was read from the line.
    user: Option<String>,
    what: What,
}

#[derive(Debug)]
enum What {
    /// It was left, since this endpoint has its channel.
    Held(Whose),
    /// It was refused, and why.
    Refused(String),
}

impl Tally {
    fn note(&mut self, line: usize, user: Option<&str>, what: What) {
        let user = user.map(str::to_owned);
        self.notes.push(Note { line, user, what });
    }

    fn take_in(&mut self, line: usize, user: &str, became: Became) {
        match became {
            Became::Registered => self.registered += 1,
            Became::Overwritten => self.overwritten += 1,
            Became::Left { held_by } => {
                self.left += 1;
                if let Some(holder) = held_by {
                    self.note(line, Some(user), What::Held(holder));
                }
            }
            Became::Refused { message } => self.note(line, Some(user), What::Refused(message)),
        }
    }

    fn refused(&self) -> usize {
        let refused = |note: &&Note| matches!(note.what, What::Refused(_));
        self.notes.iter().filter(refused).count()
    }

    fn value(&self, args: &ImportArgs) -> Value {
        let (mut held, mut refused) = (Vec::new(), Vec::new());
        for Note { line, user, what } in &self.notes {
            match what {
                What::Held(by) => held.push(json!({ "line": line, "user": user, "by": by })),
                What::Refused(message) => refused.push(match user {
                    Some(user) => json!({ "line": line, "user": user, "message": message }),
                    None => json!({ "line": line, "message": message }),
                }),
            }
        }
        json!({
            "dryRun": args.dry_run,
            "registered": self.registered,
            "overwritten": self.overwritten,
            "left": self.left,
            "held": held,
            "refused": refused,
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
    // What no hub was asked about was noted first.
    tally.notes.sort_by_key(|note| note.line);
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
    Ok(match tally.refused() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
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

/// Devices, each with its line.
type Batch = Vec<(usize, Device)>;

/// Goes through the file, a batch at a time.
async fn import(
    mut file: BufReader<Box<dyn Read>>,
    args: &ImportArgs,
    (door, context): (&Door, &CommandContext),
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let (mut number, mut batch, mut bytes) = (0, Batch::new(), 0);
    let mut ask = Ask {
        door,
        args,
        foresight: Foresight::default(),
    };
    loop {
        let read = read_line(&mut file).with_context(|| unread(&args.file))?;
        let Some(line) = read else { break };
        number += 1;
        match shapes::devices(&line) {
            Err(why) => tally.note(number, None, What::Refused(why)),
            Ok(devices) => {
                for device in devices {
                    let size = serde_json::to_vec(&device)?.len();
                    if bytes + size > BATCH_BYTES || batch.len() >= BATCH {
                        ask.about(std::mem::take(&mut batch), tally).await?;
                        bytes = 0;
                        context.output.progress(&format!("{number} lines"));
                    }
                    bytes += size;
                    batch.push((number, device));
                }
            }
        }
    }
    ask.about(batch, tally).await
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

/// Asks the hub, and knows what became of the devices before.
#[derive(Debug)]
struct Ask<'a> {
    door: &'a Door,
    args: &'a ImportArgs,
    foresight: Foresight,
}

impl Ask<'_> {
    async fn about(&mut self, batch: Batch, tally: &mut Tally) -> anyhow::Result<()> {
        let app = self.args.host.to_string();
        let devices = batch.iter().map(|(_, device)| device.clone()).collect();
        let overwrite = self.args.overwrite;
        let request = match self.args.dry_run {
            true => Request::EndpointLook { app, devices },
            false => Request::EndpointImport {
                app,
                devices,
                overwrite,
            },
        };
        let mut answer = self.door.ask_to_register(request).await?;
        let answer = answer["value"].take();
        let became: Vec<Became> = match self.args.dry_run {
            false => serde_json::from_value(answer)?,
            true => {
                let looked: Vec<Looked> = serde_json::from_value(answer)?;
                let looked = batch.iter().zip(looked);
                looked
                    .map(|((_, device), looked)| self.foresight.next(device, looked, overwrite))
                    .collect()
            }
        };
        for ((line, device), became) in batch.iter().zip(became) {
            tally.take_in(*line, &device.user, became);
        }
        Ok(())
    }
}

/// What became of a file, in words.
fn told(answer: &Value) -> String {
    let count = |name: &str| answer[name].as_u64().unwrap_or_default();
    let list = |name: &str| answer[name].as_array().map_or(&[][..], Vec::as_slice);
    let (held, refused) = (list("held"), list("refused"));
    let mut notes: Vec<&Value> = held.iter().chain(refused).collect();
    notes.sort_by_key(|note| note["line"].as_u64());
    let mut lines: Vec<String> = notes.into_iter().map(noted).collect();
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

/// What is told of one line, in words.
fn noted(note: &Value) -> String {
    let text = |pointer| output::text(note, pointer);
    let whose = match note["user"].as_str() {
        Some(user) => format!(" ({})", output::plain(user)),
        None => String::new(),
    };
    let what = match note.get("by") {
        Some(_) => format!(
            "is known, since its channel is that of {}'s endpoint {}; --overwrite takes it from there",
            text("/by/user"),
            text("/by/endpoint")
        ),
        None => text("/message").replace('\n', "; "),
    };
    format!("line {}{whose}: {what}", text("/line"))
}

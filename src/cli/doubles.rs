//! `doubles`: the push services' stand-ins, until a signal.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::{CommandContext, output, runtime};
use crate::doubles::{self, Options, Ports, Settings};

#[derive(Debug, Args)]
pub(super) struct DoublesArgs {
    /// Print what the doubles do and which faults they know, with what is documented, observed or assumed, and end.
    #[arg(long)]
    behaviour: bool,
    /// Where keys, devices and ports are kept from one start to the next.
    #[arg(long, value_name = "DIR", default_value = "doubles")]
    dir: PathBuf,
    /// Use five ports in a row from this one on; else those of the last start, else free ones.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65531),
        conflicts_with_all = ["apns_port", "fcm_port", "webpush_port", "wns_port", "api_port"])]
    ports_from: Option<u16>,
    /// The port of the APNs double.
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    apns_port: u16,
    /// The port of the FCM double.
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    fcm_port: u16,
    /// The port of the Web Push double.
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    webpush_port: u16,
    /// The port of the WNS double.
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    wns_port: u16,
    /// The port of the door to read what arrived and to script faults.
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    api_port: u16,
}

impl DoublesArgs {
    fn ports(&self) -> Ports {
        match self.ports_from {
            Some(first) => Ports {
                apns: first,
                fcm: first + 1,
                web_push: first + 2,
                wns: first + 3,
                api: first + 4,
            },
            None => Ports {
                apns: self.apns_port,
                fcm: self.fcm_port,
                web_push: self.webpush_port,
                wns: self.wns_port,
                api: self.api_port,
            },
        }
    }
}

/// Runs `beckon doubles`.
pub(super) fn run(args: DoublesArgs, context: &CommandContext) -> anyhow::Result<ExitCode> {
    if args.behaviour {
        let page = doubles::behaviour();
        context
            .output
            .show(&Value::String(page.clone()), |_| page.clone())?;
        return Ok(ExitCode::SUCCESS);
    }
    runtime()?.block_on(serve(args, context))
}

async fn serve(args: DoublesArgs, context: &CommandContext) -> anyhow::Result<ExitCode> {
    // Before anything is printed, so that whoever waits for that line can stop us.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let options = Options {
        ports: args.ports(),
        ..Options::strict(std::path::absolute(&args.dir).context("--dir")?)
    };
    let running = doubles::start(options).await?;
    let settings = running.settings();
    let value = serde_json::to_value(settings)?;
    context
        .output
        .show(&value, |value| welcome(settings, value))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn welcome(settings: &Settings, value: &Value) -> String {
    let addresses = [
        ("apns", "/apns/endpoint"),
        ("fcm", "/fcm/endpoint"),
        ("web push", "/webPush/host"),
        ("wns", "/wns/host"),
        ("what arrived", "/api"),
        ("authority", "/caFile"),
    ];
    format!(
        "the doubles listen; stop them with Ctrl-C\n\n{}\n\nput these lines into an [[app]] of the hub's config, in the place of its sections of the same names:\n\n{}",
        output::fields(value, &addresses),
        settings.app_toml()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: DoublesArgs,
    }

    #[test]
    fn ports_are_given_in_a_row_or_one_by_one() {
        let ports = |line: &[&str]| {
            let line = std::iter::once(&"beckon").chain(line);
            Only::try_parse_from(line).map(|only| only.args.ports())
        };
        let row = ports(&["--ports-from", "9000"]).unwrap();
        assert_eq!((row.apns, row.api), (9000, 9004));
        let single = ports(&["--wns-port", "9444"]).unwrap();
        assert_eq!((single.wns, single.apns), (9444, 0));
        assert!(ports(&["--ports-from", "65532"]).is_err());
        assert!(ports(&["--ports-from", "9000", "--api-port", "1"]).is_err());
    }
}

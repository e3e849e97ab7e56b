//! `beckon --help`: the commands in groups, and what to type first.

use std::fmt::Write as _;

use clap::Command;

/// Which commands stand together; every one stands somewhere, which a test holds.
pub(super) const GROUPS: [(&str, &[&str]); 3] = [
    ("Run", &["serve", "doubles"]),
    ("Set up", &["init", "check", "key", "token", "completions"]),
    (
        "Look after",
        &["send", "explain", "user", "endpoint", "store", "audit"],
    ),
];

const EXAMPLES: &str = "\
Examples:
  beckon init todo.example.com                         write config.toml, make the first key
  beckon serve                                         run the hub on it
  beckon send todo.example.com ada --title 'Tea time'  tap all of Ada's devices
  beckon send todo.example.com --all --title Hello     post to everyone whom the app has
  beckon explain NOTIFICATION                          see what became of it on each device, and why
  beckon user show todo.example.com ada                see what she has
  beckon check                                         ask each push service about the credentials

All but `serve` work with the hub running or stopped; `store restore` and `store compact` want it
stopped. Exit codes: 0 done, 1 failed, 2 not understood.";

/// The command with its subcommands grouped in its help.
pub(super) fn grouped(command: Command) -> Command {
    let mut commands = String::new();
    for (title, names) in GROUPS {
        let _ = writeln!(commands, "{title}:");
        for known in names
            .iter()
            .filter_map(|name| command.find_subcommand(name))
        {
            let about = known
                .get_about()
                .map(ToString::to_string)
                .unwrap_or_default();
            let _ = writeln!(commands, "  {:<12} {about}", known.get_name());
        }
        commands.push('\n');
    }
    command
        .help_template(format!(
            "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{commands}Options:\n{{options}}{{after-help}}\n"
        ))
        .after_help(EXAMPLES)
}

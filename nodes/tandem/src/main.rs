//! `tandem`: the switch and its operator's commands in one binary.
//!
//! | command | what |
//! |---|---|
//! | `solo --config FILE` | runs a switch with all roles until SIGTERM or Ctrl-C |
//! | `run --config FILE` | runs a node with the roles that its configuration gives it: one of a cluster, or alone |
//! | `check FILE` | says what is wrong with a configuration, and on which line |
//! | `hash-password` | makes the text that stands for a password under `[api.users]` |
//! | `simulate PLAN` | plays a whole carrier on the production machines and breaks it, seed by seed |
//! | `ctl ...` | asks a running switch on its control port: tables that fit the terminal, or `--json` |
//! | `ctl trace` | a call as a ladder; a line a message where the terminal is too narrow for columns |
//! | `ctl certificate ...` | makes and shows the certificates by which the nodes of a cluster know each other |
//! | `ctl apply FILE.yml` | provisions through the API; what is there already is updated, nothing is made twice |
//!
//! Exit status: 0 done, 1 refused, 2 wrong usage, 3 the switch cannot be reached.

mod ctl;
mod http;
mod ladder;
mod screen;
mod simulate;

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A call is made of thousands of small, short-lived pieces: this allocator costs a third less of them than the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A carrier SIP switch made of actors.
#[derive(Parser)]
#[command(name = "tandem", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit status:
  0  done; for `ctl ready`: the node takes calls; for `ctl check-active`: it is active
  1  refused: a wrong configuration, nothing there, not ready
  2  wrong usage
  3  the switch cannot be reached";

#[derive(Subcommand)]
enum Command {
    /// Run a switch with all roles in this process, until SIGTERM or Ctrl-C.
    Solo {
        /// Configuration file.
        #[arg(long, short, default_value = "/etc/tandem/tandem.toml", value_name = "FILE")]
        config: PathBuf,
    },
    /// Run a node with the roles that its configuration gives it, until SIGTERM or Ctrl-C.
    Run {
        /// Configuration file.
        #[arg(long, short, default_value = "/etc/tandem/tandem.toml", value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration file: exit 0 and "FILE: ok", or 1 and what is wrong on which line.
    Check {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Read a password from standard input and print what stands for it under [api.users].
    HashPassword,
    /// Talk to a running switch.
    #[command(after_help = EXIT_CODES)]
    Ctl(ctl::Arguments),
    /// Play a whole carrier on the production machines, break it by plan and by chance, and judge every step.
    #[command(after_help = simulate::HELP)]
    Simulate(simulate::Arguments),
}

/// How a command can fail: what to print, and the exit status.
pub struct Failure {
    pub code: u8,
    pub message: String,
}

impl Failure {
    pub fn refused(message: impl Into<String>) -> Failure {
        Failure { code: 1, message: message.into() }
    }

    pub fn usage(message: impl Into<String>) -> Failure {
        Failure { code: 2, message: message.into() }
    }

    pub fn unreachable(message: impl Into<String>) -> Failure {
        Failure { code: 3, message: message.into() }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Solo { config } => run(&config, false),
        Command::Run { config } => run(&config, true),
        Command::Check { file } => check(&file),
        Command::HashPassword => hash_password(),
        Command::Ctl(arguments) => ctl::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("tandem: {}", failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}

fn run(path: &std::path::Path, may_join: bool) -> Result<(), Failure> {
    let config = load(path)?;
    if config.cluster.is_some() && !may_join {
        let file = path.display();
        return Err(Failure::usage(format!("{file} is a node of a cluster: tandem run --config {file}")));
    }
    #[cfg(feature = "mutants")]
    choose_mutants()?;
    node::run(config).map_err(|error| Failure::refused(error.to_string()))
}

/// Makes a build with mutants wrong in the ways that `TANDEM_MUTANT` names, separated by commas. They work in this thread
/// only: with `workers = 1` everything runs in it.
#[cfg(feature = "mutants")]
fn choose_mutants() -> Result<(), Failure> {
    let names = std::env::var("TANDEM_MUTANT").unwrap_or_default();
    let mut chosen = Vec::new();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let mutant = fabric::mutant::Mutant::named(name);
        chosen.push(mutant.ok_or_else(|| Failure::usage(format!("there is no mutant {name}")))?);
    }
    fabric::mutant::choose_all(&chosen);
    Ok(())
}

fn check(path: &std::path::Path) -> Result<(), Failure> {
    let config = load(path)?;
    for warning in node::config::warnings(&config) {
        eprintln!("tandem: {}: warning: {warning}", path.display());
    }
    say(&format!("{}: ok\n", path.display()));
    Ok(())
}

fn load(path: &std::path::Path) -> Result<node::Config, Failure> {
    node::Config::load(path).map_err(|error| {
        let lines: Vec<String> = error.to_string().lines().map(|line| format!("{}: {line}", path.display())).collect();
        Failure::refused(lines.join("\ntandem: "))
    })
}

fn hash_password() -> Result<(), Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("password: ");
    }
    let mut password = String::new();
    stdin
        .lock()
        .read_line(&mut password)
        .map_err(|error| Failure::usage(format!("no password on standard input: {error}")))?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::usage(
            "the password is empty; type it, or pipe it in: echo PASSWORD | tandem hash-password",
        ));
    }
    say(&format!("{}\n", web::hash_password(password)));
    Ok(())
}

/// Prints; a reader who has gone away (`| head`) is no error.
pub fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

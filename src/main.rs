//! The `chevet` program: one binary, one role a command.

mod cli;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("chevet: {error}");
            ExitCode::FAILURE
        }
    }
}

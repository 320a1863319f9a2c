//! `haat keys`: the file with the secrets that sign tokens.

use crate::tester::out;
use crate::tools;
use clap::{Args, Subcommand};
use haat::app::token::now;
use haat::config::{SecretArgs, StoreArgs, keys};
use std::path::PathBuf;
use std::process::ExitCode;

/// What to do with them.
#[derive(Subcommand)]
pub enum KeysCommand {
    /// Put a new secret in front, which signs from then on. Those before retire in 31 days. A running server takes it within seconds.
    Rotate(RotateArgs),
}

/// The arguments of `haat keys rotate`.
#[derive(Args)]
pub struct RotateArgs {
    /// The file; that of HAAT_JWT_KEYS when left out. One that is not there begins with the secret there is.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    secret: SecretArgs,
}

/// Does it, and prints the name of the new secret.
pub fn run(command: &KeysCommand) -> anyhow::Result<ExitCode> {
    let KeysCommand::Rotate(RotateArgs { file, store, secret }) = command;
    let Some(path) = file.as_deref().or_else(|| secret.file()) else {
        anyhow::bail!("which file? Name one with --file, or set HAAT_JWT_KEYS");
    };
    // A shop that has none yet begins with the new one.
    let first = secret.secret(store, false).ok();
    let kid = keys::rotate(path, first.as_deref(), now()?)?;
    tools::written(out::print(&format!("{kid}\n")))?;
    Ok(ExitCode::SUCCESS)
}

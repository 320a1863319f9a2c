//! `haat audit`, `rebuild`, `archive`, `journal`, `replay`, `follower` and `migrate`: a store's tools on the command line.

use crate::tester::out;
use clap::Args;
use haat::app::archive::{self as archiving, Before};
use haat::app::journal::{self, EntityRef, Selection};
use haat::app::replay::{self, Until};
use haat::app::text::counted;
use haat::app::{AppError, audit as auditing, followers, rebuild as rebuilding};
use haat::config::ToolArgs;
use std::io::{self, BufWriter};
use std::process::ExitCode;

/// What the exit codes of `haat audit` say.
pub const AUDIT_CODES: &str = "\
Exit codes:
  0  everything adds up
  1  there is a breach
  2  it could not look, or could not say what it saw";

/// Stdout took no result, whatever else became of it.
#[derive(Debug, thiserror::Error)]
#[error("stdout could not be written: {0}")]
pub struct Unwritten(pub io::Error);

/// Turns a failed write of stdout into what `main` tells of it.
pub fn written<T>(written: io::Result<T>) -> Result<T, Unwritten> {
    written.map_err(Unwritten)
}

/// Prints a result. Its exit code is `code`, unless that is 0 and it could not be printed.
fn say(result: &str, code: u8, unable: u8) -> ExitCode {
    match (out::print(result), code) {
        (Ok(()), code) => ExitCode::from(code),
        (Err(error), 0) => ExitCode::from(out::unwritten("haat", &error, unable)),
        (Err(error), code) => {
            out::unwritten("haat", &error, code);
            ExitCode::from(code)
        }
    }
}

/// The arguments of `haat archive`.
#[derive(Args)]
pub struct ArchiveArgs {
    /// What is older than this (90d, 12h), or was committed before this moment (RFC 3339).
    #[arg(long, value_name = "AGE|TIME")]
    before: Before,
    /// Leave the frames in the store, too.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    store: ToolArgs,
}

/// The arguments of `haat journal`.
#[derive(Args)]
pub struct JournalArgs {
    /// Only this partition, from 0.
    #[arg(long, value_name = "N")]
    partition: Option<u16>,
    /// Only frames after this one of the partition.
    #[arg(long, default_value_t = 0, value_name = "SEQ")]
    after: u64,
    /// Only records of this cart, order or vendor.
    #[arg(long, value_name = "ID")]
    entity: Option<EntityRef>,
    /// At most so many records.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// A line of JSON for each record.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: ToolArgs,
}

/// The arguments of `haat replay`.
#[derive(Args)]
pub struct ReplayArgs {
    /// The cart, order or vendor.
    #[arg(long, value_name = "ID")]
    entity: EntityRef,
    /// Up to this version, or up to this time (RFC 3339); to the newest record when left out.
    #[arg(long, value_name = "VERSION|TIME")]
    at: Option<Until>,
    #[command(flatten)]
    store: ToolArgs,
}

/// Prints what an audit found; its exit code says whether it is clean.
pub async fn audit(args: &ToolArgs) -> ExitCode {
    let report = async {
        written(out::tried())?;
        anyhow::Ok(auditing::audit(&args.store()?, &args.store.data_dir).await?)
    };
    match report.await {
        Ok(report) => {
            let code = if report.is_clean() { 0 } else { auditing::EXIT_BREACH };
            say(&report.to_string(), code, auditing::EXIT_UNABLE)
        }
        Err(error) => unable(&error),
    }
}

fn unable(error: &anyhow::Error) -> ExitCode {
    out::note(format_args!("haat: {}", crate::words(error)));
    ExitCode::from(auditing::EXIT_UNABLE)
}

/// Makes snapshots and read tables anew, and prints what an audit finds then; its exit code says whether all is clean.
pub async fn rebuild(args: &ToolArgs) -> ExitCode {
    let rebuilt = async {
        written(out::tried())?;
        anyhow::Ok(rebuilding::rebuild(&args.store()?).await?)
    };
    match rebuilt.await {
        Ok(rebuilt) => {
            let code = if rebuilt.failed.is_empty() { 0 } else { auditing::EXIT_BREACH };
            let told = say(&rebuilt.to_string(), code, auditing::EXIT_UNABLE);
            // Whoever hears nothing of the one still learns from the exit code what the other found.
            let audited = audit(args).await;
            if told == ExitCode::SUCCESS { audited } else { told }
        }
        Err(error) => unable(&error),
    }
}

/// Moves old frames to an archive, and prints what it did.
pub async fn archive(args: &ArchiveArgs) -> anyhow::Result<ExitCode> {
    written(out::tried())?;
    let done = archiving::archive(&args.store.store()?, args.before, args.keep).await?;
    let whole = done.failed.is_empty() && done.refused.is_empty();
    Ok(say(&done.to_string(), u8::from(!whole), 1))
}

/// Prints the journal.
pub async fn journal(args: &JournalArgs) -> anyhow::Result<ExitCode> {
    let selection = Selection {
        partition: args.partition,
        after: args.after,
        entity: args.entity,
        limit: args.limit,
        json: args.json,
    };
    let mut stdout = BufWriter::new(io::stdout());
    let store = args.store.store()?;
    if !journal::is_whole(&store).await? {
        out::note("haat: the oldest frames are not shown: they were moved to an archive (--archive DIR)");
    }
    told(journal::print(&store, &selection, &mut stdout).await)
}

/// Prints the life of one entity.
pub async fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let mut stdout = BufWriter::new(io::stdout());
    told(replay::print(&args.store.store()?, args.entity, args.at.unwrap_or(Until::Newest), &mut stdout).await)
}

/// What can be done with followers.
#[derive(clap::Subcommand)]
pub enum FollowerCommand {
    /// Print each follower, how many frames it has not read, and how many records it could not read.
    List(ToolArgs),
    /// Forget where a follower stands that no server has any more, so that it holds up no archive. What it has made stays.
    Drop(NameArgs),
    /// Make anew, from the whole journal, what a follower has made. No server may run.
    Rebuild(NameArgs),
}

#[derive(clap::Args)]
pub struct NameArgs {
    /// Its name.
    name: String,
    #[command(flatten)]
    store: ToolArgs,
}

/// Looks at followers, forgets one, or has one make everything anew.
pub async fn follower(command: &FollowerCommand) -> anyhow::Result<ExitCode> {
    written(out::tried())?;
    match command {
        FollowerCommand::List(store) => {
            let list = followers::list(&store.store()?).await?;
            Ok(say(&list.to_string(), 0, 1))
        }
        FollowerCommand::Drop(NameArgs { name, store }) => {
            followers::forget(&store.store()?, name).await?;
            Ok(say(&format!("the follower '{name}' is forgotten\n"), 0, 1))
        }
        FollowerCommand::Rebuild(NameArgs { name, store }) => {
            let frames = followers::rebuild(&store.store()?, name).await?;
            Ok(say(&format!("'{name}' was made anew from {}\n", counted(frames, "frame")), 0, 1))
        }
    }
}

/// Brings the schema up to date.
pub async fn migrate(args: &ToolArgs) -> anyhow::Result<ExitCode> {
    written(out::tried())?;
    haat::app::migrate(&args.store()?).await?;
    Ok(say("the schema is up to date\n", 0, 1))
}

/// What these two write to is all that can fail as IO does: the store's errors are its own.
fn told(printed: Result<(), AppError>) -> anyhow::Result<ExitCode> {
    match printed {
        Err(AppError::Io(error)) => Err(Unwritten(error).into()),
        printed => Ok(printed.map(|()| ExitCode::SUCCESS)?),
    }
}

//! `haat audit`, `rebuild`, `archive`, `journal`, `replay` and `migrate`: a store's tools on the command line.

use clap::Args;
use haat::app::archive::{self as archiving, Before};
use haat::app::journal::{self, EntityRef, Selection};
use haat::app::replay::{self, Until};
use haat::app::{AppError, audit as auditing, rebuild as rebuilding};
use haat::config::ToolArgs;
use std::io::{self, BufWriter};
use std::process::ExitCode;

/// What the exit codes of `haat audit` say.
pub const AUDIT_CODES: &str = "\
Exit codes:
  0  everything adds up
  1  there is a breach
  2  it could not look";

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
    let report = async { anyhow::Ok(auditing::audit(&args.store()?, &args.store.data_dir).await?) };
    match report.await {
        Ok(report) => {
            print!("{report}");
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(auditing::EXIT_BREACH) }
        }
        Err(error) => {
            eprintln!("haat: {}", crate::words(&error));
            ExitCode::from(auditing::EXIT_UNABLE)
        }
    }
}

/// Makes snapshots and read tables anew, and prints what an audit finds then; its exit code says whether all is clean.
pub async fn rebuild(args: &ToolArgs) -> ExitCode {
    let rebuilt = async { anyhow::Ok(rebuilding::rebuild(&args.store()?).await?) };
    match rebuilt.await {
        Ok(rebuilt) => {
            print!("{rebuilt}");
            match (audit(args).await, rebuilt.failed.is_empty()) {
                (clean, true) => clean,
                (_, false) => ExitCode::from(auditing::EXIT_BREACH),
            }
        }
        Err(error) => {
            eprintln!("haat: {}", crate::words(&error));
            ExitCode::from(auditing::EXIT_UNABLE)
        }
    }
}

/// Moves old frames to an archive, and prints what it did.
pub async fn archive(args: &ArchiveArgs) -> anyhow::Result<ExitCode> {
    let done = archiving::archive(&args.store.store()?, args.before, args.keep).await?;
    print!("{done}");
    let whole = done.failed.is_empty() && done.refused.is_empty();
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    let mut out = BufWriter::new(io::stdout());
    let store = args.store.store()?;
    if !journal::is_whole(&store).await? {
        eprintln!("haat: the oldest frames are not shown: they were moved to an archive (--archive DIR)");
    }
    told(journal::print(&store, &selection, &mut out).await)
}

/// Prints the life of one entity.
pub async fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout());
    told(replay::print(&args.store.store()?, args.entity, args.at.unwrap_or(Until::Newest), &mut out).await)
}

/// Brings the schema up to date.
pub async fn migrate(args: &ToolArgs) -> anyhow::Result<ExitCode> {
    let store = args.store()?;
    args.store.make_data_dir()?;
    haat::app::migrate(&store).await?;
    println!("the schema is up to date");
    Ok(ExitCode::SUCCESS)
}

/// Whoever reads may have seen enough: `haat journal | head` is no failure.
fn told(printed: Result<(), AppError>) -> anyhow::Result<ExitCode> {
    match printed {
        Err(AppError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        printed => Ok(printed.map(|()| ExitCode::SUCCESS)?),
    }
}

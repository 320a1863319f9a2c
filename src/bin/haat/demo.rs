//! `haat demo`: a flash sale from beginning to end in one process: a server on a store of its own, a crowd of buyers on one hot
//! product over real sockets, what they were told, and an audit of what the store holds afterwards.

use crate::own::{self, Place, with_server};
use crate::tester::{self, cli, out};
use crate::{process, tools};
use anyhow::Context as _;
use clap::{Args, Parser};
use std::path::PathBuf;
use std::process::ExitCode;

/// The arguments of `haat demo`.
#[derive(Args)]
pub struct DemoArgs {
    /// Buyers who come at once.
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sessions: u32,
    /// Pieces of the hot product.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000_000))]
    stock: u32,
    /// Where to keep the store; a temporary directory that is removed again when left out.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Runs the demonstration. Its exit code is 0 when everything adds up.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let stop = process::heed_signals().context("signals")?;
    let place = Place::of(args.data_dir.as_deref(), "demo")?;
    let (code, audited) = with_server(&place, &stop, async |target, token| {
        let crowd = crowd(&args, &target, &token)?;
        let begin =
            format!("A server on {target}: {} buyers wait in a room for {} pieces.\n\n", args.sessions, args.stock);
        tools::written(out::print(&begin))?;
        tester::run(crowd).await
    })
    .await?;
    let end = match &args.data_dir {
        Some(kept) => format!("The store is kept: haat audit --data-dir {}", kept.display()),
        None => "With --data-dir DIR the store is kept, to look into with haat journal and haat replay.".to_owned(),
    };
    let said = out::print(&format!("\nThe server has stopped. What an audit of its store says:\n\n{audited}\n{end}\n"));
    Ok(match (code, audited.is_clean()) {
        // What was found weighs more than that nobody reads it.
        (0 | out::READER_LEFT, true) => {
            tools::written(said)?;
            ExitCode::from(code)
        }
        _ => ExitCode::FAILURE,
    })
}

/// The crowd as the load tester takes it: all at once, one in twenty cards declined, one in twenty buyers clicking twice. All of the stock is on sale
/// behind a waiting room, with a slot for each piece.
fn crowd(args: &DemoArgs, target: &str, token: &str) -> anyhow::Result<cli::Cli> {
    let mut arguments = vec![
        "haat-load".to_owned(),
        format!("--target={target}"),
        format!("--admin-token={token}"),
        format!("--sessions={}", args.sessions),
        format!("--connections={}", args.sessions.min(own::sessions_at_once())),
        format!("--stock={}", args.stock),
        "--decline=5".to_owned(),
        "--retry=5".to_owned(),
    ];
    // Nothing cannot be put on sale.
    if args.stock > 0 {
        let per_minute = args.stock.saturating_mul(60).clamp(6_000, 1_000_000);
        arguments.extend([
            format!("--sale-allotment={}", args.stock),
            format!("--room-capacity={}", args.stock.min(100_000)),
            format!("--room-per-minute={per_minute}"),
        ]);
    }
    Ok(cli::Cli::try_parse_from(arguments)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crowd_is_one_that_the_load_tester_takes() {
        for (sessions, stock) in [(1, 0), (2_000, 100)] {
            let args = DemoArgs { sessions, stock, data_dir: None };
            let crowd = crowd(&args, "http://127.0.0.1:1", "token").expect("a crowd");
            assert_eq!(crowd.validate(), Ok(()));
            assert!(crowd.connections.is_some_and(|connections| connections <= sessions));
        }
    }
}

//! The processes that drive sessions: this one alone, or children of it, for a process holds only so many open files.

use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

use super::cli::Cli;
use super::messages::{Assignment, News, Order, Part};
use super::run::Run;
use super::worker::work;

/// Messages on their way in one direction, per process.
const ON_THE_WAY: usize = 16;

/// The processes of a run, as whoever directs them sees them.
pub struct Processes {
    orders: Vec<mpsc::Sender<Order>>,
    /// What they say, each with its number.
    pub news: mpsc::Receiver<(usize, News)>,
}

impl Processes {
    /// Starts one per part; a single part is driven by this process itself.
    pub async fn start(run: &Arc<Run>, parts: Vec<Part>) -> anyhow::Result<Self> {
        let (said, news) = mpsc::channel(ON_THE_WAY * parts.len());
        let mut orders = Vec::new();
        if let [part] = &parts[..] {
            let (order, ordered) = mpsc::channel(ON_THE_WAY);
            let (tell, mut told) = mpsc::channel(ON_THE_WAY);
            let working = tokio::spawn(work(run.clone(), part.clone(), ordered, tell));
            tokio::spawn(async move {
                let mut over = false;
                while let Some(news) = told.recv().await {
                    over |= matches!(news, News::Done | News::Failed(_));
                    let _ = said.send((0, news)).await;
                }
                if let (Err(error), false) = (working.await, over) {
                    let _ = said.send((0, News::Failed(format!("broke off: {error}")))).await;
                }
            });
            return Ok(Processes { orders: vec![order], news });
        }
        for part in parts {
            let number = part.process as usize;
            let mut child = spawn(run)?;
            let mut stdin = child.stdin.take().context("a child without stdin")?;
            let assignment = Assignment {
                scenario: run.scenario.clone(),
                target: run.cli.target.clone(),
                seed: run.cli.seed,
                journal: run.cli.journal.clone(),
                skus: run.skus.clone(),
                coupons: run.coupons.clone(),
                room: run.room.clone(),
                members: run.members.clone(),
                part,
            };
            stdin.write_all(&line(&assignment)?).await.context("a child did not take its assignment")?;
            let (order, mut ordered) = mpsc::channel::<Order>(ON_THE_WAY);
            tokio::spawn(async move {
                while let Some(order) = ordered.recv().await {
                    let Ok(line) = line(&order) else { return };
                    if stdin.write_all(&line).await.is_err() {
                        return;
                    }
                }
            });
            let stdout = BufReader::new(child.stdout.take().context("a child without stdout")?).lines();
            tokio::spawn(listen(number, child, stdout, said.clone()));
            orders.push(order);
        }
        Ok(Processes { orders, news })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.orders.len()
    }

    /// Says the same to all. One that is gone tells so itself.
    pub async fn tell(&self, order: Order) {
        for process in &self.orders {
            let _ = process.send(order).await;
        }
    }
}

fn spawn(run: &Run) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("could not find this program")?;
    let mut command = Command::new(program);
    command.arg("--worker").arg(format!("--threads={}", run.cli.threads));
    // What it needs it is told; the right to the shop's books it does not need.
    command.env_remove("HAAT_ADMIN_TOKEN").env_remove("HAAT_TARGET");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    // An interrupt from the terminal is for the one that directs: the others end in order, when it tells them.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn().context("could not start a process")
}

fn line(message: &impl serde::Serialize) -> anyhow::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// Passes on what a child says; its end before it was done is a failure like any other that it tells.
async fn listen(
    number: usize,
    mut child: Child,
    mut lines: Lines<BufReader<ChildStdout>>,
    said: mpsc::Sender<(usize, News)>,
) {
    let wrong = loop {
        match lines.next_line().await {
            Ok(Some(line)) => match serde_json::from_str::<News>(&line) {
                Ok(news) => {
                    let over = matches!(news, News::Done | News::Failed(_));
                    if over {
                        // It ends by itself now; when the run is over none is left.
                        let _ = child.wait().await;
                    }
                    let _ = said.send((number, news)).await;
                    if over {
                        return;
                    }
                }
                Err(error) => break format!("said what cannot be read: {error}"),
            },
            Ok(None) => match child.wait().await {
                Ok(status) => break format!("ended before it was done: {status}"),
                Err(error) => break format!("ended before it was done: {error}"),
            },
            Err(error) => break format!("cannot be heard: {error}"),
        }
    };
    let _ = said.send((number, News::Failed(wrong))).await;
}

/// The life of a child: its assignment, then orders on stdin; what it measured on stdout.
pub async fn be_one(mut cli: Cli) -> anyhow::Result<()> {
    let mut stdin = BufReader::new(tokio::io::stdin()).lines();
    let Some(first) = stdin.next_line().await? else {
        bail!("--worker is for the program itself: it waits for an assignment on stdin");
    };
    let assignment: Assignment = serde_json::from_str(&first).context("an assignment that cannot be read")?;
    (cli.target, cli.seed, cli.journal) = (assignment.target, assignment.seed, assignment.journal);
    let mut run = Run::prepare(cli, assignment.scenario).await?;
    run.skus = assignment.skus;
    run.coupons = assignment.coupons;
    run.room = assignment.room;
    run.members = assignment.members;
    let (order, ordered) = mpsc::channel(ON_THE_WAY);
    tokio::spawn(hear(stdin, order));
    let (tell, mut told) = mpsc::channel(ON_THE_WAY);
    tokio::spawn(work(Arc::new(run), assignment.part, ordered, tell));
    let mut stdout = tokio::io::stdout();
    while let Some(news) = told.recv().await {
        stdout.write_all(&line(&news)?).await.context("nobody listens any more")?;
        stdout.flush().await.context("nobody listens any more")?;
    }
    Ok(())
}

async fn hear(mut stdin: Lines<BufReader<Stdin>>, order: mpsc::Sender<Order>) {
    while let Ok(Some(line)) = stdin.next_line().await {
        let Ok(said) = serde_json::from_str(&line) else { return };
        if order.send(said).await.is_err() {
            return;
        }
    }
}

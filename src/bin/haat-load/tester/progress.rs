//! Progress on stderr: a bar on a terminal, else a plain line every few seconds.

use std::io::IsTerminal;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::out::note;

const REDRAW: Duration = Duration::from_millis(200);
const PLAIN_LINE: Duration = Duration::from_secs(5);

/// Shows how many of `total` are `done` until the work ends.
pub async fn during<T>(label: &str, total: u64, done: &AtomicU64, quiet: bool, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if quiet || total == 0 {
        return work.await;
    }
    let bar = std::io::stderr().is_terminal().then(|| bar(label, total));
    let started = Instant::now();
    let mut ticks = tokio::time::interval(if bar.is_some() { REDRAW } else { PLAIN_LINE });
    ticks.tick().await;
    loop {
        tokio::select! {
            biased;
            outcome = &mut work => {
                if let Some(bar) = bar {
                    bar.finish_and_clear();
                }
                return outcome;
            }
            _ = ticks.tick() => match &bar {
                Some(bar) => bar.set_position(done.load(Ordering::Relaxed)),
                None => note(line(label, done.load(Ordering::Relaxed), total, started.elapsed())),
            },
        }
    }
}

fn bar(label: &str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{msg:>16} {wide_bar} {pos}/{len} {per_sec} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(label.to_owned());
    bar
}

fn line(label: &str, done: u64, total: u64, elapsed: Duration) -> String {
    format!("{label}: {done} of {total} after {:.0} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_line_says_what_and_how_far() {
        assert_eq!(line("sessions", 5, 20, Duration::from_secs(10)), "sessions: 5 of 20 after 10 s");
    }
}

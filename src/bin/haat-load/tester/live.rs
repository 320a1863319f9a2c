//! The live view of a run on stderr: a bar and two lines on a terminal, else a plain line every few seconds.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::out::note;
use super::printable::printable_lines;
use super::series::errors;
use super::stats::{Call, Measured, Mishap};

const PLAIN_LINE: Duration = Duration::from_secs(5);

/// What there is to show.
pub struct View {
    /// What is done.
    pub phase: String,
    /// Since its begin.
    pub elapsed: Duration,
    /// How many there will be, where that is known.
    pub sessions: Option<u64>,
    /// Everything so far, from all processes.
    pub measured: Measured,
    /// The last few seconds.
    pub recent: Measured,
    /// How many these are.
    pub recent_seconds: usize,
    /// Pieces that could be bought at the last look.
    pub stock_left: Option<i64>,
    /// Processes that drive sessions.
    pub processes: usize,
}

impl View {
    fn state(&self) -> String {
        let outcome = |name: &str| self.measured.outcomes.0.get(name).copied().unwrap_or_default();
        let put_off = |mishap: &Mishap| mishap.is_put_off();
        let put_off: u64 =
            self.measured.mishaps.iter().filter(|(mishap, _)| put_off(mishap)).map(|(_, count)| count).sum();
        let wrong: u64 = errors(&self.measured).values().sum::<u64>() - put_off;
        let mut state = format!(
            "{} begun, {} under way, {} paid, {} sold out, {wrong} errors",
            self.measured.begun,
            self.measured.begun.saturating_sub(self.measured.ended),
            outcome("paid"),
            outcome("sold out"),
        );
        if put_off > 0 {
            state.push_str(&format!(", {put_off} put off"));
        }
        if let Some(left) = self.stock_left {
            state.push_str(&format!(", {left} in stock"));
        }
        if self.processes > 1 {
            state.push_str(&format!("; {} processes", self.processes));
        }
        state
    }

    fn speed(&self) -> String {
        let seconds = self.recent_seconds.max(1);
        let mut speed = format!("{:.0} requests/s; p95", self.recent.requests() as f64 / seconds as f64);
        for (call, latencies) in &self.recent.calls {
            if call.is_request() || *call == Call::Connect {
                speed.push_str(&format!(" {} {:.1} ms", call.name(), latencies.quantile_us(0.95) as f64 / 1000.0));
            }
        }
        speed
    }
}

/// Shows a run while it goes on.
pub struct Live {
    quiet: bool,
    bar: Option<ProgressBar>,
    said: Instant,
}

impl Live {
    /// Nothing at all, when it is to be quiet.
    pub fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(0);
            let template = "{prefix} {wide_bar} {pos}/{len} {elapsed}\n  {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        Live { quiet, bar, said: Instant::now() }
    }

    /// Shows the present state, when it is time to.
    pub fn show(&mut self, view: impl FnOnce() -> Option<View>) {
        let due = self.bar.is_some() || self.said.elapsed() >= PLAIN_LINE;
        if self.quiet || !due {
            return;
        }
        let Some(view) = view() else { return };
        self.said = Instant::now();
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(view.phase.clone());
                bar.set_length(view.sessions.unwrap_or(view.measured.begun));
                bar.set_position(view.measured.ended);
                bar.set_message(format!("{}\n  {}", view.state(), view.speed()));
            }
            None => {
                let seconds = view.elapsed.as_secs();
                note(format_args!("{} after {seconds} s: {}; {}", view.phase, view.state(), view.speed()));
            }
        }
    }

    /// Says something between the pictures.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(printable_lines(text)),
            None => note(format_args!("haat-load: {text}")),
        }
    }

    /// Leaves nothing behind.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_says_how_it_stands_and_how_fast_it_goes() {
        let mut measured = Measured { begun: 100, ended: 60, ..Measured::default() };
        measured.outcomes.add("paid", 40);
        measured.outcomes.add("sold out", 20);
        measured.mishaps.insert(Mishap::Busy, 7);
        measured.mishaps.insert(Mishap::Timeout, 2);
        let mut recent = Measured::default();
        for _ in 0..50 {
            recent.calls.entry(Call::Browse).or_default().note(Duration::from_millis(4));
        }
        let view = View {
            phase: "sale".into(),
            elapsed: Duration::from_secs(7),
            sessions: Some(200),
            measured,
            recent,
            recent_seconds: 5,
            stock_left: Some(60),
            processes: 3,
        };
        assert_eq!(
            view.state(),
            "100 begun, 40 under way, 40 paid, 20 sold out, 2 errors, 7 put off, 60 in stock; 3 processes"
        );
        assert_eq!(view.speed(), "10 requests/s; p95 browse 4.0 ms");
    }
}

//! The sandbox's mail server: it takes mails into a book of its own, in a file that is synced before it answers, and delivers them to nobody. What
//! comes of a mail can be said by what stands after a `+` in the recipient's name:
//!
//! | name | a mail |
//! | --- | --- |
//! | `+refuse` | is refused for good |
//! | `+slow_<ms>` | is taken so many milliseconds later |
//! | `+flaky_<n>` | fails n times, then is taken |
//! | `+429_<s>` | is put off once, for so many seconds at least, then is taken |
//! | `+lost_reply` | is taken, but whoever sent it never hears of it |
//! | `+never` | is neither taken nor answered |
//!
//! A mail that comes twice stands in the book twice, as it would in the buyer's mailbox.

use super::SandboxError;
use super::book_file;
use crate::domain::ids::JobId;
use crate::domain::job::TryOutcome;
use crate::domain::time::Timestamp;
use crate::files::Place;
use crate::limits;
use crate::ports::Clock;
use crate::ports::jobs::{Mail, MailBook, MailBookEntry, Mailer, NotNow};
use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::future::pending;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The name of the book of mails in the data directory.
pub const MAILS_FILE: &str = "sandbox-mails.jsonl";

/// The domain of the sandbox's `Message-ID`s: one that can never be (RFC 2606).
const DOMAIN: &str = "sandbox.invalid";

/// One line of the book.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    id: JobId,
    at: Timestamp,
    to: Cow<'a, str>,
    event: Cow<'a, str>,
    locale: Cow<'a, str>,
    subject: Cow<'a, str>,
    text: Cow<'a, str>,
    html: Cow<'a, str>,
}

impl Line<'_> {
    fn entry(self) -> MailBookEntry {
        MailBookEntry {
            id: self.id,
            at: self.at,
            to: self.to.into_owned(),
            event: self.event.into_owned(),
            locale: self.locale.into_owned(),
            subject: self.subject.into_owned(),
            text: self.text.into_owned(),
            html: self.html.into_owned(),
            message_id: format!("{}@{DOMAIN}", self.id),
        }
    }
}

#[derive(Default)]
struct Book {
    newest: VecDeque<MailBookEntry>,
    taken: HashSet<JobId>,
}

impl Book {
    fn add(&mut self, entry: MailBookEntry) {
        self.taken.insert(entry.id);
        self.newest.push_front(entry);
        self.newest.truncate(limits::SANDBOX_MAILS);
    }
}

/// Lines that wait to be written, and how many have ever come.
#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    entries: Vec<MailBookEntry>,
    came: u64,
}

/// The file. How many lines have been written, or could not be.
struct Log {
    file: File,
    length: u64,
    written: u64,
    failed: Option<String>,
}

impl Log {
    fn add(&mut self, text: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(text).and_then(|()| self.file.sync_data());
        match &written {
            Ok(()) => self.length += text.len() as u64,
            // What was written of it, if anything, must not stand before what comes next.
            Err(_) => self.file.set_len(self.length)?,
        }
        written
    }
}

/// The built-in mail server. One process at a time keeps its book.
pub struct SandboxMailer {
    clock: Arc<dyn Clock>,
    book: Arc<Mutex<Book>>,
    waiting: Mutex<Waiting>,
    log: Arc<tokio::sync::Mutex<Log>>,
    /// How often a mail that is to fail has failed.
    failed: Mutex<HashMap<JobId, u32>>,
    place: Place,
}

/// What is to come of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Refuse,
    Slow(u64),
    Flaky(u32),
    PutOff(u64),
    LostReply,
    Never,
}

impl Fault {
    /// By the recipient's address. What is none of ours does nothing: people have such addresses.
    fn of(address: &str) -> Self {
        let name = address.rsplit_once('@').map_or(address, |(name, _)| name);
        let Some((_, fault)) = name.split_once('+') else { return Fault::None };
        let number = |prefix| fault.strip_prefix(prefix).and_then(|digits| digits.parse::<u32>().ok());
        match fault {
            "refuse" => Fault::Refuse,
            "lost_reply" => Fault::LostReply,
            "never" => Fault::Never,
            _ => {
                let slow = number("slow_").map(|millis| Fault::Slow(u64::from(millis).min(limits::SANDBOX_SLOW_MS)));
                let flaky = number("flaky_").map(Fault::Flaky);
                let put_off = number("429_").map(|seconds| Fault::PutOff(seconds.into()));
                slow.or(flaky).or(put_off).unwrap_or(Fault::None)
            }
        }
    }
}

impl SandboxMailer {
    /// Opens the book in `data_dir` (both are made when they are not there) and reads it. Blocks while it does.
    ///
    /// # Errors
    /// Another process keeps it, it is damaged, or it cannot be read or written.
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, SandboxError> {
        let mut book = Book::default();
        let (kept, bytes) = book_file::open(&data_dir.join(MAILS_FILE), |line| {
            let line: Line<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            book.add(line.entry());
            Ok(())
        })?;
        let log = Log { file: kept.file, length: bytes.complete, written: 0, failed: None };
        Ok(Self {
            clock,
            book: Arc::new(Mutex::new(book)),
            waiting: Mutex::default(),
            log: Arc::new(tokio::sync::Mutex::new(log)),
            failed: Mutex::default(),
            place: kept.place,
        })
    }

    /// Whether its book is where it was opened.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn in_place(&self) -> Result<(), String> {
        self.place.check()
    }

    /// Takes a mail: it is on disk when this returns. Those that come at one time are written together.
    async fn take(&self, mail: &Mail) -> Result<(), String> {
        let line = Line {
            id: mail.id,
            at: self.clock.now(),
            to: mail.to.as_str().into(),
            event: mail.event.into(),
            locale: mail.locale.into(),
            subject: mail.subject.as_str().into(),
            text: mail.text.as_str().into(),
            html: mail.html.as_str().into(),
        };
        let mine = {
            let mut waiting = self.waiting.lock();
            serde_json::to_writer(&mut waiting.text, &line).map_err(|error| error.to_string())?;
            waiting.text.push(b'\n');
            waiting.entries.push(line.entry());
            waiting.came += 1;
            waiting.came
        };
        let mut log = self.log.clone().lock_owned().await;
        if log.written < mine {
            let Waiting { text, entries, came } = {
                let mut waiting = self.waiting.lock();
                let came = waiting.came;
                std::mem::replace(&mut *waiting, Waiting { came, ..Waiting::default() })
            };
            let book = self.book.clone();
            let write = move || {
                let written = log.add(&text);
                log.written = came;
                log.failed = written.as_ref().err().map(ToString::to_string);
                if written.is_ok() {
                    let mut book = book.lock();
                    entries.into_iter().for_each(|entry| book.add(entry));
                }
                log
            };
            log = tokio::task::spawn_blocking(write).await.map_err(|error| error.to_string())?;
        }
        log.failed.clone().map_or(Ok(()), Err)
    }

    /// Whether this mail is to fail once more.
    fn fails(&self, id: JobId, times: u32) -> bool {
        let mut failed = self.failed.lock();
        let so_far = failed.entry(id).or_default();
        *so_far += 1;
        let fails = *so_far <= times;
        if !fails {
            failed.remove(&id);
        }
        fails
    }
}

#[async_trait]
impl Mailer for SandboxMailer {
    async fn send(&self, mail: &Mail) -> TryOutcome {
        let fails = |reason: &str, retry_after| {
            let reason = format!("the sandbox's mail server: {reason}");
            TryOutcome::Failed { reason, retry_after, silent: false }
        };
        let fault = Fault::of(&mail.to);
        match fault {
            Fault::Refuse => return TryOutcome::Refused { reason: "the sandbox's mail server: refused".to_owned() },
            Fault::Slow(millis) => sleep(Duration::from_millis(millis)).await,
            Fault::Flaky(times) if self.fails(mail.id, times) => return fails("not now", None),
            Fault::PutOff(seconds) if self.fails(mail.id, 1) => {
                return fails("too many mails", Some(Duration::from_secs(seconds)));
            }
            Fault::Never => pending().await,
            Fault::None | Fault::Flaky(_) | Fault::PutOff(_) | Fault::LostReply => {}
        }
        match self.take(mail).await {
            Ok(()) if fault == Fault::LostReply => {
                TryOutcome::Unknown { reason: "the sandbox's mail server: the answer was lost".to_owned() }
            }
            Ok(()) => TryOutcome::Done,
            Err(reason) => fails(&reason, None),
        }
    }

    async fn has_taken(&self, id: JobId) -> Option<Result<bool, NotNow>> {
        Some(Ok(self.book.lock().taken.contains(&id)))
    }
}

impl MailBook for SandboxMailer {
    fn mails(&self, limit: usize) -> Vec<MailBookEntry> {
        self.book.lock().newest.iter().take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::SystemClock;
    use std::fs;
    use uuid::Uuid;

    fn mail(number: u128, to: &str) -> Mail {
        Mail {
            id: JobId::from_uuid(Uuid::from_u128(number)),
            to: to.to_owned(),
            event: "order.paid",
            locale: "en",
            subject: "Paid".to_owned(),
            text: "One\nTwo".to_owned(),
            html: "<p>One</p>".to_owned(),
            at: Timestamp::from_millis(1),
        }
    }

    fn opened(directory: &Path) -> SandboxMailer {
        SandboxMailer::open(directory, Arc::new(SystemClock::default())).expect("the book opens")
    }

    fn subjects(mailer: &SandboxMailer) -> Vec<String> {
        mailer.mails(10).into_iter().map(|mail| format!("{} {}", mail.to, mail.message_id)).collect()
    }

    #[tokio::test]
    async fn what_was_taken_is_there_after_a_restart_and_a_torn_line_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let mailer = opened(directory.path());
        let (one, two) = (mail(1, "a@example.com"), mail(2, "b@example.com"));
        let (first, second) = tokio::join!(mailer.send(&one), mailer.send(&two));
        assert_eq!((first, second), (TryOutcome::Done, TryOutcome::Done));
        assert_eq!(mailer.send(&one).await, TryOutcome::Done, "the same again stands there twice");
        let before = subjects(&mailer);
        assert_eq!(before.len(), 3);
        assert!(SandboxMailer::open(directory.path(), Arc::new(SystemClock::default())).is_err(), "it is in use");
        drop(mailer);
        let path = directory.path().join(MAILS_FILE);
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"id\":\"job_0").unwrap();
        let mailer = opened(directory.path());
        assert_eq!(subjects(&mailer), before);
        assert_eq!(mailer.has_taken(one.id).await, Some(Ok(true)));
        assert_eq!(mailer.has_taken(mail(3, "").id).await, Some(Ok(false)));
        drop(mailer);
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"no line\n").unwrap();
        assert!(SandboxMailer::open(directory.path(), Arc::new(SystemClock::default())).is_err(), "it is damaged");
    }

    #[tokio::test(start_paused = true)]
    async fn faults_are_chosen_by_the_address() {
        let directory = tempfile::tempdir().expect("a directory");
        let mailer = opened(directory.path());
        let send = |number, to: &'static str| {
            let mailer = &mailer;
            async move { mailer.send(&mail(number, to)).await.name() }
        };
        for (number, to, outcomes) in [
            (1, "a+refuse@example.com", &["refused", "refused"][..]),
            (2, "a+flaky_2@example.com", &["failed", "failed", "done"]),
            (3, "a+429_5@example.com", &["failed", "done"]),
            (4, "a+lost_reply@example.com", &["unknown"]),
            (5, "a+slow_50@example.com", &["done"]),
            (6, "a+news@example.com", &["done"]),
            (7, "a+slow_x@example.com", &["done"]),
        ] {
            for outcome in outcomes {
                assert_eq!(send(number, to).await, *outcome, "{to}");
            }
        }
        assert_eq!(mailer.has_taken(mail(4, "").id).await, Some(Ok(true)), "its answer was lost, and nothing else");
        assert_eq!(mailer.has_taken(mail(1, "").id).await, Some(Ok(false)));
        let never = tokio::time::timeout(Duration::from_secs(60), send(8, "a+never@example.com")).await;
        assert!(never.is_err());
    }
}

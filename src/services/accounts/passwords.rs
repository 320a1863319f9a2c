//! Passwords: which may be taken, and what is kept of them (argon2id, RFC 9106). Hashing costs tens of milliseconds of a processor on purpose. So it
//! has threads of its own at a low priority, and a short line before them: whoever comes when it is full is told so at once, and checkouts go on.

use super::email::Email;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, LazyLock};
use std::thread;
use tokio::sync::oneshot;
use unicode_normalization::UnicodeNormalization;

/// Characters of a password.
pub const LENGTH: std::ops::RangeInclusive<usize> = 10..=128;
/// Who may wait for a thread.
const QUEUE: usize = 64;
/// How nice the threads are to everything else that runs.
const NICE: i32 = 15;
/// Bytes of a salt.
const SALT: usize = 16;

/// Passwords that many people have, those of at least ten characters (of `zxcvbn`'s list, by Dan Wheeler and Dropbox; its licence stands beside it).
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common-passwords.txt").lines().collect());

/// A password in the form in which it is hashed. No log shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Password")
    }
}

impl Password {
    /// As somebody types it, whatever is thought of it. Of one that is too long the beginning is enough to be the wrong one.
    pub fn typed(text: &str) -> Self {
        Self(text.nfc().take(LENGTH.end() + 1).collect())
    }

    /// One that somebody chooses for an account of this address.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn chosen(text: &str, email: &Email) -> Result<Self, &'static str> {
        let password = Self::typed(text);
        if !LENGTH.contains(&password.0.chars().count()) {
            return Err("a password has 10 to 128 characters");
        }
        let folded = password.0.to_lowercase();
        if folded == email.as_str() || folded == email.name() {
            return Err("a password is not the address");
        }
        let mut letters = folded.chars();
        let first = letters.next();
        if COMMON.contains(folded.as_str()) || letters.all(|letter| Some(letter) == first) {
            return Err("many people have this password");
        }
        Ok(password)
    }
}

/// How much a hash costs: the memory in KiB, the passes over it and the lanes, as `m=19456,t=2,p=1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost(Params);

impl Default for Cost {
    /// What OWASP's sheet on storing passwords asks for at least.
    fn default() -> Self {
        Self(Params::new(19_456, 2, 1, None).unwrap_or_default())
    }
}

impl FromStr for Cost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "m=KIB,t=PASSES,p=LANES is expected, such as m=19456,t=2,p=1".to_owned();
        let mut numbers = [0; 3];
        let mut parts = text.split(',');
        for (number, name) in numbers.iter_mut().zip(["m=", "t=", "p="]) {
            let part = parts.next().and_then(|part| part.strip_prefix(name)).ok_or_else(expected)?;
            *number = part.parse::<u32>().map_err(|_| expected())?;
        }
        let [memory, passes, lanes] = numbers;
        if parts.next().is_some() {
            return Err(expected());
        }
        // A setting that takes all memory of a machine is a slip of a digit.
        if memory > 1_048_576 || passes > 100 || lanes > 16 {
            return Err("at most 1 GiB, 100 passes and 16 lanes".to_owned());
        }
        Params::new(memory, passes, lanes, None).map(Self).map_err(|error| error.to_string())
    }
}

impl Cost {
    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.0.clone())
    }
}

/// Too many wait for a thread that hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords wait to be hashed")]
pub struct Busy;

enum Work {
    /// Make the hash of a password.
    Hash(Password, oneshot::Sender<String>),
    /// Whether a hash is that of a password.
    Check(Password, String, oneshot::Sender<bool>),
}

/// The threads that hash.
#[derive(Clone)]
pub struct Hashing {
    line: SyncSender<Work>,
    /// The hash of no password, for addresses that have no account: to find that out takes as long.
    nobodys: Arc<str>,
}

impl Hashing {
    /// Starts them: half as many as there are processors, and one at least.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub fn start(cost: &Cost) -> std::io::Result<Self> {
        let (line, work) = sync_channel(QUEUE);
        let work = Arc::new(Mutex::new(work));
        let threads = thread::available_parallelism().map_or(1, |processors| (processors.get() / 2).max(1));
        for number in 0..threads {
            let (work, cost) = (work.clone(), cost.clone());
            thread::Builder::new().name(format!("passwords-{number}")).spawn(move || run(&work, &cost))?;
        }
        let nobodys = hashed(&cost.argon2(), &Password("nobody".to_owned())).into();
        Ok(Self { line, nobodys })
    }

    fn send(&self, work: Work) -> Result<(), Busy> {
        self.line.try_send(work).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Busy,
        })
    }

    /// What is kept of a password.
    ///
    /// # Errors
    /// When too many wait.
    pub async fn hash(&self, password: Password) -> Result<String, Busy> {
        let (answer, hash) = oneshot::channel();
        self.send(Work::Hash(password, answer))?;
        // One that could not be made is none.
        hash.await.ok().filter(|hash| !hash.is_empty()).ok_or(Busy)
    }

    /// Whether a hash costs what one that is made now costs.
    pub fn is_of_today(&self, hash: &str) -> bool {
        let cost = |hash: &str| hash.rsplitn(3, '$').nth(2).map(ToOwned::to_owned);
        cost(hash) == cost(&self.nobodys)
    }

    /// Whether this is what is kept of a password. Without a hash it is not, which takes as long to find out.
    ///
    /// # Errors
    /// When too many wait.
    pub async fn is(&self, password: Password, hash: Option<&str>) -> Result<bool, Busy> {
        let (answer, is) = oneshot::channel();
        let known = hash.is_some();
        self.send(Work::Check(password, hash.unwrap_or(&self.nobodys).to_owned(), answer))?;
        Ok(is.await.map_err(|_| Busy)? && known)
    }
}

fn run(work: &Mutex<Receiver<Work>>, cost: &Cost) {
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::warn!(%error, "passwords are hashed at the priority of everything else");
    }
    let argon2 = cost.argon2();
    loop {
        let next = work.lock().recv();
        // Whoever asked and went away needs no answer.
        match next {
            Ok(Work::Hash(password, answer)) if !answer.is_closed() => drop(answer.send(hashed(&argon2, &password))),
            Ok(Work::Check(password, hash, answer)) if !answer.is_closed() => {
                let is = PasswordHash::new(&hash)
                    .is_ok_and(|hash| argon2.verify_password(password.0.as_bytes(), &hash).is_ok());
                let _ = answer.send(is);
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// A hash in the form of the PHC, with a salt of its own. A hash that could not be made is that of no password.
fn hashed(argon2: &Argon2<'_>, password: &Password) -> String {
    let mut salt = [0; SALT];
    if rand::fill(&mut salt).is_err() {
        tracing::error!("the system gives no random bytes: a password is not kept");
        return String::new();
    }
    match argon2.hash_password_with_salt(password.0.as_bytes(), &salt) {
        Ok(hash) => hash.to_string(),
        Err(error) => {
            tracing::error!(%error, "a password cannot be hashed");
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Cost {
        "m=64,t=1,p=1".parse().unwrap()
    }

    fn chosen(text: &str) -> Result<Password, &'static str> {
        Password::chosen(text, &Email::new("rahim.uddin@example.com").unwrap())
    }

    #[test]
    fn a_password_that_can_be_guessed_is_not_taken() {
        for good in ["correct horse battery", "জামদানি শাড়ি ১২৩", &"x1".repeat(64)] {
            assert!(chosen(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "ninechars",
            &"xy".repeat(65),
            "rahim.uddin@example.com",
            "Rahim.Uddin",
            "1234567890",
            "QwertyUiop",
            "aaaaaaaaaaaa",
        ];
        for bad in bad {
            assert!(chosen(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn what_is_kept_of_a_password_tells_it_from_others() {
        let hashing = Hashing::start(&cheap()).unwrap();
        let password = chosen("correct horse battery").unwrap();
        let hash = hashing.hash(password.clone()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$") && !hash.contains("correct"), "{hash}");
        assert_ne!(hashing.hash(password.clone()).await.unwrap(), hash, "each has a salt of its own");
        assert!(hashing.is(password.clone(), Some(&hash)).await.unwrap());
        assert!(!hashing.is(Password::typed("correct horse batteri"), Some(&hash)).await.unwrap());
        assert!(!hashing.is(Password::typed("nobody"), None).await.unwrap());
        assert!(!hashing.is(password, Some("")).await.unwrap());
        // One form for what is typed in two.
        let composed = hashing.hash(chosen("caf\u{e9} on the corner").unwrap()).await.unwrap();
        assert!(hashing.is(Password::typed("cafe\u{301} on the corner"), Some(&composed)).await.unwrap());
    }

    /// A hash that cost less when it was made is checked at its own cost.
    #[tokio::test]
    async fn a_hash_of_another_cost_is_read() {
        let hash = Hashing::start(&cheap()).unwrap().hash(Password::typed("correct horse battery")).await.unwrap();
        let dearer = Hashing::start(&"m=128,t=2,p=1".parse().unwrap()).unwrap();
        assert!(dearer.is(Password::typed("correct horse battery"), Some(&hash)).await.unwrap());
        assert!(!dearer.is_of_today(&hash) && !dearer.is_of_today(""));
        assert!(dearer.is_of_today(&dearer.hash(Password::typed("correct horse battery")).await.unwrap()));
    }

    #[tokio::test]
    async fn whoever_comes_when_the_line_is_full_is_told_at_once() {
        let (line, work) = sync_channel(2);
        let hashing = Hashing { line, nobodys: "".into() };
        let waits: Vec<_> = (0..2)
            .map(|_| {
                let hashing = hashing.clone();
                tokio::spawn(async move { hashing.hash(Password::typed("x")).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(hashing.hash(Password::typed("x")).await, Err(Busy));
        drop(work);
        for wait in waits {
            assert_eq!(wait.await.unwrap(), Err(Busy), "nobody is left to hash");
        }
    }

    #[test]
    fn a_cost_is_read_as_it_is_written_in_hashes() {
        assert_eq!("m=19456,t=2,p=1".parse(), Ok(Cost::default()));
        for bad in [
            "",
            "m=1",
            "m=19456,t=2",
            "t=2,m=19456,p=1",
            "m=19456,t=2,p=1,x=1",
            "m=4294967295,t=1,p=1",
            "m=1,t=1,p=1",
            "m=64,t=0,p=1",
            "m=64,t=1,p=0",
            "m=-1,t=1,p=1",
        ] {
            assert!(bad.parse::<Cost>().is_err(), "{bad}");
        }
    }
}

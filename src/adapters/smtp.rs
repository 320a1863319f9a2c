//! Sends mails by SMTP (RFC 5321). The library's own transport hides at which step a sending failed; here each step is taken by itself, since that
//! is what tells a mail that was not sent from one of which nobody knows: until the message has been given away nothing was sent, and from then on
//! only the server's answer tells.

use crate::domain::ids::JobId;
use crate::domain::job::TryOutcome;
use crate::ports::jobs::{Mail, Mailer, NotNow};
use async_trait::async_trait;
use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as From, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailParameter};
use lettre::transport::smtp::response::Response;
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

/// Connections at a time: as many as most servers let one client have.
const CONNECTIONS: usize = 8;
/// How long one step may take. (RFC 5321, 4.5.3.2 allows servers minutes; a mail that waits so long is better tried again.)
const STEP: Duration = Duration::from_secs(30);
/// How long the answer to a whole message may take.
const LAST_STEP: Duration = Duration::from_secs(60);

/// Whether a connection is encrypted.
#[derive(Clone)]
enum Encryption {
    /// From the first byte (RFC 8314).
    Always(TlsParameters),
    /// After STARTTLS, without which nothing is sent.
    Upgraded(TlsParameters),
    /// Never.
    None,
}

/// A mail server, and who writes.
pub struct Smtp {
    host: String,
    port: u16,
    encryption: Encryption,
    credentials: Option<Credentials>,
    from: Mailbox,
    hello: ClientId,
    idle: Mutex<Vec<AsyncSmtpConnection>>,
    places: Semaphore,
}

/// Why a step was not taken.
enum Fault {
    /// The server has said no.
    Said(Error),
    /// There was no answer.
    Silent(String),
}

impl Fault {
    /// What is told of it: the server's code and the step, and not its words, which may name a person.
    fn reason(&self, step: &str) -> String {
        match self {
            Fault::Said(error) => match error.status() {
                Some(code) => format!("the mail server answered {step} with {code}"),
                None => format!("the mail server cannot be used at {step}: {}", kind(error)),
            },
            Fault::Silent(why) => format!("the mail server gave no answer to {step}: {why}"),
        }
    }

    /// Whether the server has said no for good (5yz, RFC 5321, 4.2.1).
    fn is_for_good(&self) -> bool {
        matches!(self, Fault::Said(error) if error.is_permanent())
    }

    fn failed(&self, step: &str) -> TryOutcome {
        let is_closing = |error: &Error| error.status().is_some_and(|code| code.to_string() == "421");
        let silent = match self {
            Fault::Said(error) => error.status().is_none() || is_closing(error),
            Fault::Silent(_) => true,
        };
        TryOutcome::Failed { reason: self.reason(step), retry_after: None, silent }
    }
}

/// What went wrong: in the words of this machine's network and encryption, and not in the server's, which may name a person.
fn kind(error: &Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    if error.is_response() {
        return "an answer that is none".to_owned();
    }
    if error.is_client() {
        return "it does not do what is needed".to_owned();
    }
    let mut words = if error.is_tls() { "encryption failed" } else { "the connection failed" }.to_owned();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}

/// Takes a step that may take so long.
async fn step<T>(within: Duration, step: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Fault> {
    match timeout(within, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if error.status().is_some() || error.is_client() || error.is_tls() => Err(Fault::Said(error)),
        Ok(Err(error)) => Err(Fault::Silent(kind(&error))),
        Err(_) => Err(Fault::Silent("no answer in time".to_owned())),
    }
}

impl Smtp {
    /// The server at a URL: `smtps://user:password@host:port`, encrypted from the first byte (port 465), or `smtp://…`, encrypted after STARTTLS
    /// (port 587). To a loopback address `smtp://` is plain (port 25), unless `?tls=required` is said. Mails come from `from`, an address with or
    /// without a name before it.
    ///
    /// # Errors
    /// What is wrong with either, in words, without a password.
    pub fn new(url: &str, from: &str) -> Result<Self, SmtpSetting> {
        let of_url = |reason: &str| SmtpSetting::Url(reason.to_owned());
        let url = Url::parse(url).map_err(|error| of_url(&format!("is no URL: {error}")))?;
        // Of a scheme that browsers do not know the host is kept as it is written.
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| of_url("names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let address = host.parse::<IpAddr>().map(|address| address.to_canonical());
        let is_loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        let mut required = false;
        for (name, value) in url.query_pairs() {
            match (&*name, &*value) {
                ("tls", "required") => required = true,
                _ => return Err(of_url("may say ?tls=required and nothing else")),
            }
        }
        let tls = || {
            let made = TlsParameters::new(host.clone());
            made.map_err(|_| of_url("cannot be reached encrypted: this machine's certificates cannot be read"))
        };
        let (encryption, port) = match (url.scheme(), is_loopback && !required) {
            ("smtps", _) => (Encryption::Always(tls()?), 465),
            ("smtp", true) => (Encryption::None, 25),
            ("smtp", false) => (Encryption::Upgraded(tls()?), 587),
            _ => return Err(of_url("must begin with smtp:// or smtps://")),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(of_url("has something behind the host and the port"));
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                let wrong = |_| of_url("has a user or a password that is no UTF-8");
                let password = decoded(password.unwrap_or_default()).map_err(wrong)?;
                Some(Credentials::new(decoded(user).map_err(wrong)?, password))
            }
        };
        let from: Mailbox =
            from.parse().map_err(|_| SmtpSetting::From("an address is expected, such as Shop <shop@example.com>"))?;
        let hello = ClientId::Domain(from.email.domain().to_owned());
        let port = url.port().unwrap_or(port);
        let places = Semaphore::new(CONNECTIONS);
        Ok(Self { host, port, encryption, credentials, from, hello, idle: Mutex::default(), places })
    }

    /// A connection on which a mail may be sent.
    async fn connect(&self) -> Result<AsyncSmtpConnection, (Fault, &'static str)> {
        let tls = match &self.encryption {
            Encryption::Always(tls) => Some(tls.clone()),
            Encryption::Upgraded(_) | Encryption::None => None,
        };
        let server = (self.host.as_str(), self.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(server, Some(STEP), &self.hello, tls, None);
        let mut connection = step(STEP, connecting).await.map_err(|fault| (fault, "the greeting"))?;
        if let Encryption::Upgraded(tls) = &self.encryption {
            let upgrading = connection.starttls(tls.clone(), &self.hello);
            step(STEP, upgrading).await.map_err(|fault| (fault, "STARTTLS"))?;
        }
        if let Some(credentials) = &self.credentials {
            let signing_in = connection.auth(DEFAULT_MECHANISMS, credentials);
            step(STEP, signing_in).await.map_err(|fault| (fault, "AUTH"))?;
        }
        Ok(connection)
    }

    /// The message as it goes over the wire.
    fn message(&self, mail: &Mail, to: Address) -> Result<Vec<u8>, String> {
        let header = |name, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
        let at = UNIX_EPOCH + Duration::from_millis(mail.at.as_millis().max(0).unsigned_abs());
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .date(at)
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            .subject(&mail.subject)
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("Content-Language", mail.locale))
            .raw_header(header("Haat-Event", mail.event))
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()));
        message.map(|message| message.formatted()).map_err(|error| error.to_string())
    }

    /// Names sender and recipient, and says that a message comes.
    async fn announce(&self, connection: &mut AsyncSmtpConnection, to: &Address) -> Result<(), (Fault, &'static str)> {
        let is_ascii = |address: &Address| <Address as AsRef<str>>::as_ref(address).is_ascii();
        let mut parameters = Vec::new();
        if !is_ascii(to) || !is_ascii(&self.from.email) {
            // A server that does not know it says so.
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let from = From::new(Some(self.from.email.clone()), parameters);
        step(STEP, connection.command(from)).await.map_err(|fault| (fault, "MAIL FROM"))?;
        let to = Rcpt::new(to.clone(), Vec::new());
        step(STEP, connection.command(to)).await.map_err(|fault| (fault, "RCPT TO"))?;
        step(STEP, connection.command(Data)).await.map_err(|fault| (fault, "DATA"))?;
        Ok(())
    }

    /// A connection on which sender and recipient have been named. One that has been idle may be dead: then there is a fresh one.
    async fn announced(&self, to: &Address) -> Result<AsyncSmtpConnection, (Fault, &'static str)> {
        let idle = self.idle.lock().pop();
        if let Some(mut connection) = idle {
            match self.announce(&mut connection, to).await {
                Ok(()) => return Ok(connection),
                Err((Fault::Said(error), step)) if error.status().is_some_and(|code| code.to_string() != "421") => {
                    return Err((Fault::Said(error), step));
                }
                Err(_) => {}
            }
        }
        let mut connection = self.connect().await?;
        self.announce(&mut connection, to).await?;
        Ok(connection)
    }
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, mail: &Mail) -> TryOutcome {
        let refused = |reason: &str| TryOutcome::Refused { reason: reason.to_owned() };
        let Ok(to) = mail.to.parse::<Address>() else {
            return refused("the buyer's address is none that a mail can be sent to");
        };
        let message = match self.message(mail, to.clone()) {
            Ok(message) => message,
            Err(_) => return refused("the mail cannot be written"),
        };
        // It is never closed.
        let Ok(_place) = self.places.acquire().await else { return TryOutcome::NotTried };
        let mut connection = match self.announced(&to).await {
            Ok(connection) => connection,
            // Of the recipient the server has the last word; anything else can be set right.
            Err((fault, step @ "RCPT TO")) if fault.is_for_good() => {
                return TryOutcome::Refused { reason: fault.reason(step) };
            }
            Err((fault, step)) => return fault.failed(step),
        };
        match step::<Response>(LAST_STEP, connection.message(&message)).await {
            Ok(_) => {
                self.idle.lock().push(connection);
                TryOutcome::Done
            }
            Err(fault) if fault.is_for_good() => TryOutcome::Refused { reason: fault.reason("the message") },
            Err(fault @ Fault::Said(_)) => fault.failed("the message"),
            Err(fault @ Fault::Silent(_)) => TryOutcome::Unknown { reason: fault.reason("the message") },
        }
    }

    /// A mail server cannot be asked.
    async fn has_taken(&self, _: JobId) -> Option<Result<bool, NotNow>> {
        None
    }
}

/// What is wrong with the settings of a mail server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmtpSetting {
    /// Its URL.
    #[error("{0}")]
    Url(String),
    /// Who writes.
    #[error("{0}")]
    From(&'static str),
}

#[cfg(test)]
mod tests;

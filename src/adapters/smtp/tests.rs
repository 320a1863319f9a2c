//! Every step at which sending a mail may fail, and what is said of it.

use super::*;
use crate::domain::time::Timestamp;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use uuid::Uuid;

/// What a mail server that follows a script does at one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Says(&'static str),
    HangsUp,
}

/// The step, and what it does there; at all others it does what is right.
type Script = (&'static str, Does);

struct Server {
    address: SocketAddr,
    /// The messages that it took.
    took: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<u32>>,
}

/// A server that follows one script after the other, one for each connection, and the last of them for all further ones.
async fn server(scripts: &[Script]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (took, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<u32>>::default());
    let (taking, counting, scripts) = (took.clone(), connections.clone(), scripts.to_vec());
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            *counting.lock() += 1;
            let script = scripts[scripts.len().min(number + 1) - 1];
            tokio::spawn(serve(stream, script, taking.clone()));
        }
    });
    Server { address, took, connections }
}

async fn serve(stream: TcpStream, script: Script, took: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut step = "greeting".to_owned();
    loop {
        let usual = match step.as_str() {
            "greeting" => "220 here",
            "EHLO" => "250 here",
            "DATA" => "354 go on",
            "message" => "250 taken",
            "QUIT" => "221 bye",
            _ => "250 yes",
        };
        let does = if step == script.0 { script.1 } else { Does::Says(usual) };
        let Does::Says(answer) = does else { return Ok(()) };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
        if step == "DATA" && answer.starts_with("354") {
            let mut message = String::new();
            loop {
                let Some(line) = lines.next_line().await? else { return Ok(()) };
                if line == "." {
                    break;
                }
                message += &line;
                message.push('\n');
            }
            took.lock().push(message);
            "message".clone_into(&mut step);
            continue;
        }
        let Some(line) = lines.next_line().await? else { return Ok(()) };
        step = line.split([' ', ':']).next().unwrap_or_default().to_owned();
        if line.starts_with("AUTH") && script.0 != "AUTH" {
            return Ok(());
        }
    }
}

fn mail(number: u128) -> Mail {
    Mail {
        id: JobId::from_uuid(Uuid::from_u128(number)),
        to: "rahim@example.com".to_owned(),
        event: "order.paid",
        locale: "en",
        subject: "শাড়ি is paid".to_owned(),
        text: "A line.\n.\n..and dots".to_owned(),
        html: "<p>A line.</p>".to_owned(),
        at: Timestamp::from_millis(1_763_683_200_000),
    }
}

fn smtp(address: SocketAddr) -> Smtp {
    Smtp::new(&format!("smtp://{address}"), "Shop <shop@example.com>").expect("a mail server")
}

/// The outcome's name, and whether the server counts as silent.
fn shown(outcome: &TryOutcome) -> (&'static str, Option<bool>) {
    (outcome.name(), outcome.answered().map(|answered| !answered))
}

#[tokio::test]
async fn each_step_that_fails_says_what_is_known_of_the_mail() {
    use Does::{HangsUp, Says};
    for (script, outcome, silent, taken) in [
        (("nothing", HangsUp), "done", false, 1),
        (("greeting", Says("554 not now")), "failed", false, 0),
        (("greeting", Says("421 closing")), "failed", true, 0),
        (("greeting", HangsUp), "failed", true, 0),
        (("EHLO", Says("502 what?")), "failed", false, 0),
        (("MAIL", Says("451 later")), "failed", false, 0),
        (("MAIL", Says("550 not from you")), "failed", false, 0),
        (("MAIL", HangsUp), "failed", true, 0),
        (("RCPT", Says("450 busy")), "failed", false, 0),
        (("RCPT", Says("550 no rahim@example.com here")), "refused", false, 0),
        (("RCPT", HangsUp), "failed", true, 0),
        (("DATA", Says("451 later")), "failed", false, 0),
        (("DATA", Says("554 no")), "failed", false, 0),
        (("DATA", HangsUp), "failed", true, 0),
        (("message", Says("451 later")), "failed", false, 1),
        (("message", Says("552 too large")), "refused", false, 1),
        (("message", Says("nonsense")), "unknown", true, 1),
        // From here on nobody knows: it may have been taken.
        (("message", HangsUp), "unknown", true, 1),
    ] {
        let server = server(&[script]).await;
        let tried = smtp(server.address).send(&mail(1)).await;
        assert_eq!(shown(&tried), (outcome, Some(silent)), "{script:?}: {tried:?}");
        assert_eq!(server.took.lock().len(), taken, "{script:?}");
        let said = format!("{tried:?}");
        assert!(!said.contains("rahim"), "no person is named in {said}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_silence() {
    // A port that nobody listens on, and that nobody else is given meanwhile.
    let taken = TcpSocket::new_v4().expect("a socket");
    taken.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = taken.local_addr().expect("an address");
    assert_eq!(shown(&smtp(address).send(&mail(1)).await), ("failed", Some(true)));
}

/// A connection is used again, and one that has died meanwhile is replaced without a word.
#[tokio::test]
async fn connections_are_kept_and_dead_ones_replaced() {
    let kept = server(&[("nothing", Does::HangsUp)]).await;
    let smtp_kept = smtp(kept.address);
    for number in 1..=3 {
        assert_eq!(smtp_kept.send(&mail(number)).await, TryOutcome::Done);
    }
    assert_eq!((*kept.connections.lock(), kept.took.lock().len()), (1, 3));
    assert!(smtp_kept.has_taken(mail(1).id).await.is_none(), "a mail server cannot be asked");

    // After its first mail the server closes: a second MAIL on that connection finds nobody.
    for closing in [Does::HangsUp, Does::Says("421 idle too long")] {
        let dying = server(&[("nothing", Does::HangsUp), ("nothing", Does::HangsUp)]).await;
        let smtp_dying = smtp(dying.address);
        assert_eq!(smtp_dying.send(&mail(1)).await, TryOutcome::Done);
        let fresh = server(&[("MAIL", closing)]).await;
        let stale = smtp(fresh.address).connect().await;
        let Ok(stale) = stale else { panic!("it greets") };
        *smtp_dying.idle.lock() = vec![stale];
        assert_eq!(smtp_dying.send(&mail(2)).await, TryOutcome::Done, "{closing:?}");
        assert_eq!((*dying.connections.lock(), dying.took.lock().len()), (2, 2), "{closing:?}");
    }
}

#[tokio::test]
async fn a_message_has_its_headers_and_its_dots() {
    let server = server(&[("nothing", Does::HangsUp)]).await;
    assert_eq!(smtp(server.address).send(&mail(1)).await, TryOutcome::Done);
    let took = server.took.lock().join("");
    let id = JobId::from_uuid(Uuid::from_u128(1));
    for line in [
        "From: Shop <shop@example.com>",
        "To: rahim@example.com",
        &format!("Message-ID: <{id}@example.com>"),
        "Date: Fri, 21 Nov 2025 00:00:00 +0000",
        "Auto-Submitted: auto-generated",
        "Content-Language: en",
        "Haat-Event: order.paid",
        "MIME-Version: 1.0",
        // What the transparency of RFC 5321, 4.5.2 makes of a line that is a dot.
        "..",
        "...and dots",
    ] {
        assert!(took.lines().any(|found| found == line), "{line} in\n{took}");
    }
    assert!(took.contains("Subject: =?utf-8?b?"), "{took}");
    assert!(took.contains("multipart/alternative") && took.contains("text/html"), "{took}");
}

#[tokio::test]
async fn what_is_no_address_is_refused_before_anybody_is_asked() {
    let server = server(&[("nothing", Does::HangsUp)]).await;
    for to in ["", "rahim", "a@b\r\nRCPT TO:<x@example.com>", "a b@example.com", "@example.com"] {
        let outcome = smtp(server.address).send(&Mail { to: to.to_owned(), ..mail(1) }).await;
        assert_eq!(outcome.name(), "refused", "{to:?}");
    }
    assert_eq!(*server.connections.lock(), 0);
}

#[test]
fn a_mail_server_is_named_by_a_url() {
    let from = "shop@example.com";
    for (url, port, encryption) in [
        ("smtp://127.0.0.1", 25, "none"),
        ("smtp://localhost:2525", 2525, "none"),
        ("smtp://[::1]:25", 25, "none"),
        ("smtp://127.0.0.1:2525?tls=required", 2525, "upgraded"),
        ("smtp://mail.example.com", 587, "upgraded"),
        ("smtps://us%40er:p%3Ass@mail.example.com", 465, "always"),
        ("smtps://mail.example.com:1465/", 1465, "always"),
    ] {
        let smtp = Smtp::new(url, from).unwrap_or_else(|error| panic!("{url}: {error}"));
        let found = match smtp.encryption {
            Encryption::Always(_) => "always",
            Encryption::Upgraded(_) => "upgraded",
            Encryption::None => "none",
        };
        assert_eq!((smtp.port, found), (port, encryption), "{url}");
        assert_eq!(smtp.credentials.is_some(), url.contains('@'), "{url}");
    }
    for url in [
        "mail.example.com",
        "http://mail.example.com",
        "smtp://",
        "smtp://mail.example.com/box",
        "smtp://mail.example.com?tls=never",
        "smtps://user:hunter2@mail.example.com?tls=maybe",
    ] {
        let error = Smtp::new(url, from).err().unwrap_or_else(|| panic!("{url}"));
        assert!(matches!(error, SmtpSetting::Url(_)) && !error.to_string().contains("hunter2"), "{error}");
    }
    for from in ["", "shop", "Shop <>", "Shop <shop@example.com"] {
        let error = Smtp::new("smtp://127.0.0.1", from).err();
        assert!(matches!(error, Some(SmtpSetting::From(_))), "{from}: {error:?}");
    }
}

//! How many processes a run needs, and which part each of them does.

use std::net::{IpAddr, Ipv4Addr};

use super::cli::Cli;
use super::messages::Part;
use super::scenario::{Arrival, Protocol, Scenario};

/// Open files of a process that are no connections.
const OTHER_FILES: u32 = 64;
/// Processes that are started without being asked for, at most: a run that wants more says so.
const MOST_UNASKED: u32 = 16;
/// Connections that one address of ours makes, when nothing else is asked for: it has some 27,000 ports for them.
const PER_ADDRESS: u32 = 20_000;

/// The parts of a run, and what is worth saying about them.
pub fn parts(
    cli: &Cli,
    scenario: &Scenario,
    target: IpAddr,
    open_files: Option<u32>,
) -> Result<(Vec<Part>, Option<String>), String> {
    let per_connection = scenario.connections.sessions_per_connection;
    // A checkout that is sent twice at once has a second connection for a moment.
    let per_session = if scenario.doubles() && scenario.connections.protocol == Protocol::Http1 { 2 } else { 1 };
    let room = open_files.map_or(900, |files| files.saturating_sub(OTHER_FILES)) / per_session;
    let room = room.max(1).saturating_mul(per_connection);
    let wanted = match &scenario.arrival {
        Arrival::Closed { users, .. } => *users,
        Arrival::Open { .. } => scenario.arrival.sessions().unwrap_or(1),
    };
    let asked = scenario.connections.at_most;
    let at_once = asked.unwrap_or(wanted).min(wanted).max(1);
    let processes = match cli.processes {
        Some(processes) => processes.min(at_once),
        // A file says what crowd it wants. Without one, a low limit on open files is most likely the server's too.
        None if cli.scenario_file.is_some() => at_once.div_ceil(room).min(MOST_UNASKED),
        None => 1,
    };
    let places = room.saturating_mul(processes);
    if let (Some(asked), true) = (asked, at_once > places) {
        return Err(format!(
            "{asked} sessions at once are more than the {places} that the limit on open files leaves to {processes} \
             processes: give more --processes, or raise it with ulimit -n, or give fewer --connections"
        ));
    }
    let note = (at_once > places).then(|| {
        format!(
            "{places} of {wanted} sessions at once, for the limit on open files; give more --processes, or raise it \
             with ulimit -n"
        )
    });
    let at_once = at_once.min(places);
    let addresses = match &cli.source_addresses {
        None => of_loopback(target, at_once.div_ceil(per_connection).saturating_mul(per_session)),
        Some(given) => given.to_vec(),
    };
    let part = |process| Part {
        process,
        processes,
        at_once: at_once / processes + u32::from(process < at_once % processes),
        addresses: addresses.clone(),
    };
    Ok(((0..processes).map(part).collect(), note))
}

/// Loopback has an address for everyone: enough of them that no one runs out of ports.
fn of_loopback(target: IpAddr, connections: u32) -> Vec<IpAddr> {
    let IpAddr::V4(address) = target else { return Vec::new() };
    if !address.is_loopback() || connections <= PER_ADDRESS {
        return Vec::new();
    }
    let first = u32::from(Ipv4Addr::new(127, 0, 0, 2));
    (0..connections.div_ceil(PER_ADDRESS)).map(|number| IpAddr::V4((first + number).into())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::builtin;
    use super::*;
    use clap::Parser;

    fn of(arguments: &[&str], open_files: u32) -> Result<(Vec<Part>, Option<String>), String> {
        let (arguments, from_a_file) = match arguments {
            ["a file of", rest @ ..] => (rest, true),
            all => (all, false),
        };
        let mut cli = Cli::parse_from([&["haat-load"], arguments].concat());
        cli.scenario_file = from_a_file.then(|| "sale.toml".into());
        parts(&cli, &builtin::scenario(&cli), IpAddr::V4(Ipv4Addr::LOCALHOST), Some(open_files))
    }

    fn at_once(arguments: &[&str], open_files: u32) -> Vec<u32> {
        of(arguments, open_files).expect("parts").0.iter().map(|part| part.at_once).collect()
    }

    #[test]
    fn processes_are_as_many_as_open_files_ask_for() {
        assert_eq!(at_once(&["--sessions", "50"], 1024), [50]);
        assert_eq!(at_once(&["a file of", "--sessions", "960"], 1024), [960]);
        assert_eq!(at_once(&["a file of", "--sessions", "961"], 1024), [481, 480]);
        assert_eq!(at_once(&["a file of", "--sessions", "960", "--retry", "5"], 1024), [480, 480]);
        assert_eq!(at_once(&["a file of", "--sessions", "170000"], 20_000).len(), 9);
        assert_eq!(at_once(&["--sessions", "170000"], 20_000), [19_936]);
        assert_eq!(at_once(&["--scenario", "browse"], 1024), [64]);
        assert_eq!(at_once(&["--connections", "1900", "--sessions", "5000", "--processes", "2"], 1024), [950, 950]);
        assert_eq!(at_once(&["--sessions", "5", "--processes", "2"], 1024), [3, 2]);
        assert_eq!(at_once(&["--sessions", "1", "--processes", "2"], 1024), [1]);
    }

    #[test]
    fn what_does_not_fit_is_said_or_refused() {
        let (parts, note) = of(&["--sessions", "5000"], 1024).expect("parts");
        assert_eq!(parts[0].at_once, 960);
        assert!(note.is_some_and(|note| note.contains("960 of 5000")));
        let refused = of(&["--sessions", "5000", "--connections", "2000"], 1024);
        assert!(refused.is_err_and(|said| said.contains("--processes")));
    }

    #[test]
    fn loopback_gives_addresses_where_one_has_too_few_ports() {
        let addresses = |arguments: &[&str]| of(arguments, 20_000).expect("parts").0[0].addresses.clone();
        assert!(addresses(&["--sessions", "20000"]).is_empty());
        let many = addresses(&["a file of", "--sessions", "170000"]);
        assert_eq!(
            (many.len(), many[0].to_string(), many[8].to_string()),
            (9, "127.0.0.2".into(), "127.0.0.10".into())
        );
        assert_eq!(addresses(&["--source-addresses", "127.0.0.9"]).len(), 1);
    }
}

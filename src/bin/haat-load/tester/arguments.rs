//! The command line and the environment, read with care: an empty variable is one that is not set, what is wrong with a variable is told
//! with its name, and a secret on the command line is warned of.

use std::ffi::OsString;
use std::io::{self, Write as _};

use clap::builder::{OsStr, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

use super::out::{note, unwritten};

/// What the command line of this process asks for; or the exit code, when the answer was given: help, a version, a refusal.
pub fn parse<C: CommandFactory + FromArgMatches>(program: &str) -> Result<C, u8> {
    let given: Vec<OsString> = std::env::args_os().collect();
    let mut command = without_empty(C::command());
    let parsed = command
        .try_get_matches_from_mut(&given)
        .and_then(|matches| Ok((C::from_arg_matches(&matches)?, matches)))
        .map_err(|error| named(error, &command, &given));
    match parsed {
        Ok((parsed, matches)) => {
            for warning in secrets_in_sight(&command, &matches) {
                note(format_args!("{program}: {warning}"));
            }
            Ok(parsed)
        }
        Err(error) => {
            let printed = error.print().and_then(|()| io::stdout().flush());
            Err(match printed {
                Err(unprinted) if !error.use_stderr() => unwritten(program, &unprinted, 1),
                _ => u8::try_from(error.exit_code()).unwrap_or(2),
            })
        }
    }
}

/// The definition, without the variables that are empty: files of systemd and compose leave things out so.
fn without_empty(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let empty = argument.get_env().is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
        match empty {
            true => argument.env(Resettable::<OsStr>::Reset),
            false => argument,
        }
    });
    command.mut_subcommands(without_empty)
}

fn all_arguments<'a>(command: &'a Command, found: &mut Vec<&'a Arg>) {
    found.extend(command.get_arguments());
    command.get_subcommands().for_each(|command| all_arguments(command, found));
}

/// The same error, with the name of the variable that it is about.
fn named(mut error: clap::Error, command: &Command, given: &[OsString]) -> clap::Error {
    let mut command = command.clone();
    command.build();
    let mut arguments = Vec::new();
    all_arguments(&command, &mut arguments);
    let variables = arguments.iter().filter_map(|argument| Some((*argument, argument.get_env()?.to_str()?)));
    let is_given = |argument: &Arg| {
        let Some(long) = argument.get_long() else { return false };
        given.iter().filter_map(|text| text.to_str()).any(|text| {
            text.strip_prefix("--")
                .and_then(|text| text.strip_prefix(long))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    };
    if error.kind() == ErrorKind::InvalidUtf8 {
        let broken = variables.filter(|(_, name)| std::env::var_os(name).is_some_and(|value| value.to_str().is_none()));
        let mut names: Vec<&str> = broken.map(|(_, name)| name).collect();
        names.sort_unstable();
        names.dedup();
        return match names.is_empty() {
            true => error,
            false => {
                let said = format!("the value of {} is not UTF-8", names.join(" or of "));
                command.clone().error(ErrorKind::InvalidUtf8, said)
            }
        };
    }
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg).cloned() else { return error };
    let found = variables
        .filter(|(argument, name)| argument.to_string() == shown && std::env::var_os(name).is_some())
        .find(|(argument, _)| !is_given(argument));
    if let Some((_, name)) = found {
        error.insert(ContextKind::InvalidArg, ContextValue::String(format!("{name} ({shown})")));
    }
    error
}

/// What to say of secrets that came as arguments.
fn secrets_in_sight(command: &Command, matches: &ArgMatches) -> Vec<String> {
    if let Some((name, matches)) = matches.subcommand()
        && let Some(command) = command.find_subcommand(name)
    {
        return secrets_in_sight(command, matches);
    }
    let in_sight = command.get_arguments().filter(|argument| {
        argument.is_hide_env_values_set()
            && matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine)
            && matches.get_one::<String>(argument.get_id().as_str()).is_some_and(|value| is_secret(value))
    });
    let told = in_sight.map(|argument| {
        format!(
            "--{} holds a secret, and every user of this machine can read a command line: set {} instead",
            argument.get_long().unwrap_or_default(),
            argument.get_env().unwrap_or_default().display()
        )
    });
    told.collect()
}

/// A URL is one when it has a password.
fn is_secret(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return true };
    // A password may hold any of these itself; its last @ is the one that counts.
    let user = rest.rsplit_once('@').map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || rest.contains("password=")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        let secret = Arg::new("secret").long("secret").env("HAAT_TEST_SECRET").hide_env_values(true);
        let url = Arg::new("url").long("url").env("HAAT_TEST_URL").hide_env_values(true);
        let plain = Arg::new("plain").long("plain").env("HAAT_TEST_PLAIN");
        let arguments = [secret, url, plain];
        Command::new("test").args(arguments.clone()).subcommand(Command::new("below").args(arguments))
    }

    #[test]
    fn a_secret_on_the_command_line_is_warned_of() {
        for (arguments, count) in [
            (&["--plain", "x"][..], 0),
            (&["--secret", "x"], 1),
            (&["below", "--secret=x", "--url", "postgres://root:word@host/name"], 2),
            (&["--url", "postgres://root@host/name"], 0),
            (&["--url", "postgres://host:5432/name"], 0),
            (&["--url", "postgres://root:w@rd/x@host/name"], 1),
            (&["--url", "postgres://root@host/name?password=word"], 1),
        ] {
            let command = command();
            let given = ["test"].iter().chain(arguments);
            let matches = command.clone().try_get_matches_from(given).expect("arguments");
            let warned = secrets_in_sight(&command, &matches);
            assert_eq!(warned.len(), count, "{arguments:?}: {warned:?}");
            assert!(!warned.concat().contains("word"), "{warned:?}");
        }
    }
}

//! What a core dump would hold: secrets, tokens, and whatever buyers have told.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Leaves no core dump, whatever ends this process. Where the system does not let us it stays as it was.
pub fn leave_none() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    // A dump that a program takes over a pipe heeds no limit; and nobody else of this user can look into the process then.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

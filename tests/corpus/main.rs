//! The kept corpus of the fuzz targets, without libFuzzer: each input that was worth keeping is read once more, with the same checks, by a build
//! that is there already. What is new is looked for by scripts/fuzz, which also ends whoever asks for too much memory.

// The targets name their crate; here it is this one.
extern crate self as haat_fuzz;

#[path = "../../fuzz/src/edge.rs"]
mod edge;
#[path = "../../fuzz/src/entities.rs"]
mod entities;

use std::fs;
use std::path::Path;

/// A test for each target: its inputs, in the order of their names.
macro_rules! targets {
    ($($target:ident = $path:literal)+) => {
        $(
            #[path = $path]
            #[allow(unused_attributes, reason = "a target is a crate without a main function, and a module here")]
            mod $target;
        )+

        $(
            #[test]
            fn $target() {
                examine_all(stringify!($target), $target::examine);
            }
        )+

        #[test]
        fn every_target_is_here() {
            let names = |dir: &str| {
                let mut names: Vec<String> = fs::read_dir(root().join(dir))
                    .expect("a directory")
                    .map(|entry| entry.expect("a file").path().file_stem().expect("a name").to_string_lossy().into_owned())
                    .collect();
                names.sort_unstable();
                names
            };
            let mut here = vec![$(stringify!($target).to_owned()),+];
            here.sort_unstable();
            assert_eq!(names("fuzz/targets"), here);
            assert_eq!(names("fuzz/corpus"), here);
        }
    };
}

targets! {
    bodies = "../../fuzz/targets/bodies.rs"
    frames = "../../fuzz/targets/frames.rs"
    ids = "../../fuzz/targets/ids.rs"
    money = "../../fuzz/targets/money.rs"
    records = "../../fuzz/targets/records.rs"
    requests = "../../fuzz/targets/requests.rs"
    snapshots = "../../fuzz/targets/snapshots.rs"
}

/// As libFuzzer's macro of this name: what a target does with an input, of bytes or of what is made of them.
macro_rules! fuzz_target {
    (|$data:ident: &[u8]| $body:block) => {
        pub fn examine($data: &[u8]) $body
    };
    (|$input:ident: $made:ty| $body:block) => {
        pub fn examine(data: &[u8]) {
            // What nothing can be made of, libFuzzer's macro passes over too.
            let made = arbitrary::Unstructured::new(data);
            let Ok($input) = <$made as arbitrary::Arbitrary>::arbitrary_take_rest(made) else { return };
            $body
        }
    };
}
/// For the targets, which take it from their crate.
pub(crate) use fuzz_target;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn examine_all(target: &str, examine: fn(&[u8])) {
    let dir = root().join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&dir).expect("a corpus").map(|entry| entry.expect("a file").path()).collect();
    files.sort_unstable();
    assert!(!files.is_empty(), "{} is empty", dir.display());
    for file in files {
        // Said only if the test fails: which input it was.
        println!("{}", file.display());
        examine(&fs::read(&file).expect("an input"));
    }
}

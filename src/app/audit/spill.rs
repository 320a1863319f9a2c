//! What an audit does not keep in memory: files without a name, in which whatever is about one entity is found together again.
//!
//! A [`Spill`] has buckets, by a hash of the entity. What is put into a bucket waits in memory until it is a block, which is then compressed and
//! written behind the others. Afterwards buckets are read one by one, each as a whole, and what it holds is put in the order of entities
//! ([`Bucket::each`]). A bucket of more than [`Room::most`] bytes is first divided in the same way by another hash.
//!
//! The files have lost their names before anything is written to them: they are gone with the process, however it ends, and nobody else can look
//! at what stands in them.

use crate::app::AppError;
use crate::domain::ids::{EntityRef, Kind};
use crate::files;
use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// An entity stands before each entry, as its kind and its id; and behind it the entry's length.
const HEAD: usize = 1 + 16 + 4;
/// A bucket is divided so often. What is still too large then is about one entity, or next to it.
const DEEPEST: u64 = 6;

/// Where an audit keeps what it does not keep in memory, and how much of that it looks at at once.
#[derive(Clone, Debug)]
pub struct Room {
    /// Directories for its files: the first in which one can be made is taken.
    pub directories: Vec<PathBuf>,
    /// Into how many buckets a file is divided.
    pub buckets: usize,
    /// Bytes of a bucket that is still read as a whole.
    pub most: usize,
    /// Bytes of a bucket that are written at once.
    pub block: usize,
}

impl Default for Room {
    /// In `TMPDIR`, where that is set; else where large files lie that nobody needs for long: `/tmp` is often memory.
    fn default() -> Self {
        let directories = match std::env::var_os("TMPDIR").filter(|directory| !directory.is_empty()) {
            Some(directory) => vec![directory.into()],
            None => vec!["/var/tmp".into(), "/tmp".into()],
        };
        Self { directories, buckets: 256, most: 48 << 20, block: 64 << 10 }
    }
}

impl Room {
    /// A file that has no name any more, and the directory that it lies in.
    fn file(&self) -> Result<(File, PathBuf), AppError> {
        let mut refused = None;
        for directory in &self.directories {
            match nameless(directory) {
                Ok(file) => return Ok((file, directory.clone())),
                Err(source) => _ = refused.get_or_insert(unwritten(directory, source)),
            }
        }
        Err(refused.unwrap_or_else(|| unwritten(Path::new(""), io::ErrorKind::NotFound.into())))
    }
}

fn unwritten(directory: &Path, source: io::Error) -> AppError {
    AppError::Temporary { directory: directory.to_owned(), source }
}

fn nameless(directory: &Path) -> io::Result<File> {
    let mut number = 0u32;
    loop {
        let path = directory.join(format!("haat-audit-{}-{number}", std::process::id()));
        match files::options().read(true).write(true).create_new(true).open(&path) {
            // What another of this number has left is not touched.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1_000 => number += 1,
            Err(error) => return Err(error),
            Ok(file) => {
                fs::remove_file(&path)?;
                return Ok(file);
            }
        }
    }
}

/// A block in the file.
#[derive(Clone, Copy, Debug)]
struct Block {
    at: u64,
    bytes: usize,
}

/// What is known of a bucket while it is filled.
#[derive(Debug, Default)]
struct Filling {
    waiting: Vec<u8>,
    blocks: Vec<Block>,
    /// Of all its entries.
    bytes: usize,
}

/// A file in buckets.
#[derive(Debug)]
pub(super) struct Spill {
    room: Room,
    /// How often what is in it was divided before.
    level: u64,
    file: File,
    directory: PathBuf,
    end: u64,
    buckets: Vec<Filling>,
    /// Why not all was written.
    failed: Option<io::Error>,
}

impl Spill {
    /// An empty one.
    ///
    /// # Errors
    /// When there is no directory to write to.
    pub(super) fn new(room: &Room) -> Result<Self, AppError> {
        Self::of_level(room, 0)
    }

    fn of_level(room: &Room, level: u64) -> Result<Self, AppError> {
        let (file, directory) = room.file()?;
        let mut buckets = Vec::new();
        buckets.resize_with(room.buckets.max(2), Filling::default);
        Ok(Self { room: room.clone(), level, file, directory, end: 0, buckets, failed: None })
    }

    /// Puts an entry about this entity behind the others. Whether it could be written is told by [`Spill::sound`].
    pub(super) fn put(&mut self, of: EntityRef, entry: &[u8]) {
        let kind = [of.kind as u8];
        let hash = xxh3_64_with_seed(of.uuid.as_bytes(), self.level);
        let bucket = (hash % self.buckets.len() as u64) as usize;
        let Ok(length) = u32::try_from(entry.len()) else {
            self.failed.get_or_insert_with(|| io::ErrorKind::FileTooLarge.into());
            return;
        };
        let filling = &mut self.buckets[bucket];
        for part in [&kind[..], of.uuid.as_bytes(), &length.to_le_bytes(), entry] {
            filling.waiting.extend_from_slice(part);
        }
        filling.bytes += HEAD + entry.len();
        if filling.waiting.len() >= self.room.block && self.failed.is_none() {
            let block = compress_prepend_size(&filling.waiting);
            filling.waiting.clear();
            match self.file.write_all_at(&block, self.end) {
                Ok(()) => {
                    filling.blocks.push(Block { at: self.end, bytes: block.len() });
                    self.end += block.len() as u64;
                }
                Err(error) => self.failed = Some(error),
            }
        }
    }

    /// Bytes that were written to the file.
    #[cfg(test)]
    pub(super) fn written(&self) -> u64 {
        self.end
    }

    /// Whether all that was put was written. To be asked often: what cannot be written waits in memory.
    ///
    /// # Errors
    /// The first that could not be.
    pub(super) fn sound(&mut self) -> Result<(), AppError> {
        self.failed.take().map_or(Ok(()), |source| Err(unwritten(&self.directory, source)))
    }

    /// Turns to reading.
    ///
    /// # Errors
    /// As [`Spill::sound`].
    pub(super) fn read(mut self) -> Result<Buckets, AppError> {
        self.sound()?;
        Ok(Buckets { open: vec![(self, 0)] })
    }

    /// Takes a bucket out: its blocks, one after the other.
    fn take(&mut self, bucket: usize, mut each: impl FnMut(&[u8]) -> Result<(), AppError>) -> Result<(), AppError> {
        let Filling { waiting, blocks, .. } = std::mem::take(&mut self.buckets[bucket]);
        let mut packed = Vec::new();
        for Block { at, bytes } in blocks {
            packed.resize(bytes, 0);
            let read = self.file.read_exact_at(&mut packed, at);
            let block = read.and_then(|()| decompress_size_prepended(&packed).map_err(io::Error::other));
            each(&block.map_err(|source| unwritten(&self.directory, source))?)?;
        }
        each(&waiting)
    }
}

/// The place of an entry among the bytes of its bucket.
#[derive(Clone, Copy, Debug)]
struct Place {
    of: EntityRef,
    from: usize,
    to: usize,
}

/// Calls `each` with the place of every entry in these bytes.
fn for_each_entry(bytes: &[u8], mut each: impl FnMut(Place)) -> io::Result<()> {
    let mut at = 0;
    while at < bytes.len() {
        let read = || {
            let (head, rest) = bytes[at..].split_first_chunk::<HEAD>()?;
            let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == head[0])?;
            let length = u32::from_le_bytes(head[17..].try_into().ok()?) as usize;
            let of = EntityRef { kind, uuid: Uuid::from_slice(&head[1..17]).ok()? };
            (length <= rest.len()).then_some(Place { of, from: at + HEAD, to: at + HEAD + length })
        };
        let place = read().ok_or(io::ErrorKind::InvalidData)?;
        each(place);
        at = place.to;
    }
    Ok(())
}

/// The buckets of a spill, one after the other.
#[derive(Debug)]
pub(super) struct Buckets {
    /// What is being read, and within it what is divided anew; with the next bucket of each.
    open: Vec<(Spill, usize)>,
}

impl Buckets {
    /// The next that holds anything.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn next(&mut self) -> Result<Option<Bucket>, AppError> {
        while let Some((spill, next)) = self.open.last_mut() {
            let bucket = *next;
            *next += 1;
            let Some(bytes) = spill.buckets.get(bucket).map(|filling| filling.bytes) else {
                self.open.pop();
                continue;
            };
            if bytes > spill.room.most && spill.level < DEEPEST {
                let mut finer = Spill::of_level(&spill.room, spill.level + 1)?;
                let directory = spill.directory.clone();
                spill.take(bucket, |block| {
                    let put = |place: Place| finer.put(place.of, &block[place.from..place.to]);
                    for_each_entry(block, put).map_err(|source| unwritten(&directory, source))?;
                    finer.sound()
                })?;
                self.open.push((finer, 0));
            } else if bytes > 0 {
                let mut all = Vec::with_capacity(bytes);
                spill.take(bucket, |block| {
                    all.extend_from_slice(block);
                    Ok(())
                })?;
                return Bucket::new(all).map(Some).map_err(|source| unwritten(&spill.directory, source));
            }
        }
        Ok(None)
    }
}

/// What was put into one bucket, in memory.
#[derive(Debug)]
pub(super) struct Bucket {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

impl Bucket {
    fn new(bytes: Vec<u8>) -> io::Result<Self> {
        let mut places = Vec::new();
        for_each_entry(&bytes, |place| places.push(place))?;
        places.sort_unstable_by_key(|place| (place.of, place.from));
        Ok(Self { bytes, places })
    }

    /// Each entity with its entries, in the order in which they were put.
    pub(super) fn each(&self) -> impl Iterator<Item = (EntityRef, impl Iterator<Item = &[u8]>)> {
        self.places
            .chunk_by(|one, other| one.of == other.of)
            .map(|entries| (entries[0].of, entries.iter().map(|place| &self.bytes[place.from..place.to])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use tempfile::TempDir;

    fn room(directory: &Path) -> Room {
        Room { directories: vec![directory.to_owned()], buckets: 4, most: 4_000, block: 100 }
    }

    fn entity(number: u128) -> EntityRef {
        EntityRef { kind: Kind::ALL[number as usize % Kind::COUNT], uuid: Uuid::from_u128(number) }
    }

    fn is_empty(directory: &Path) -> bool {
        fs::read_dir(directory).expect("a directory").next().is_none()
    }

    #[test]
    fn what_was_put_is_found_by_its_entity_in_its_order_however_much_it_is() {
        for (entities, buckets) in [(7, 1..=4), (1_000, 10..=1_000)] {
            let directory = TempDir::new().expect("a directory");
            let mut spill = Spill::new(&room(directory.path())).expect("a spill");
            let mut plain: BTreeMap<EntityRef, Vec<Vec<u8>>> = BTreeMap::new();
            for round in 0..5 {
                for number in 0..entities {
                    let entry = format!("{round} of {number}").repeat(round).into_bytes();
                    spill.put(entity(number), &entry);
                    plain.entry(entity(number)).or_default().push(entry);
                }
            }
            assert!(is_empty(directory.path()), "the file has a name");
            assert!(spill.written() > 0);
            let (mut found, mut read) = (BTreeMap::new(), spill.read().expect("all was written"));
            let mut count = 0;
            while let Some(bucket) = read.next().expect("it is read") {
                count += 1;
                assert!(bucket.bytes.len() <= 4_000, "{}", bucket.bytes.len());
                for (of, entries) in bucket.each() {
                    let twice = found.insert(of, entries.map(<[u8]>::to_vec).collect::<Vec<_>>());
                    assert_eq!(twice, None, "{of} is in two buckets");
                }
            }
            assert_eq!(found, plain);
            assert!(buckets.contains(&count), "{count}");
        }
    }

    /// More about one entity than is read at once cannot be divided.
    #[test]
    fn what_cannot_be_divided_is_read_as_it_is() {
        let directory = TempDir::new().expect("a directory");
        let mut spill = Spill::new(&room(directory.path())).expect("a spill");
        (0..500u32).for_each(|number| spill.put(entity(1), &number.to_le_bytes()));
        let mut read = spill.read().expect("all was written");
        let bucket = read.next().expect("it is read").expect("there is one");
        let entries: Vec<usize> = bucket.each().map(|(_, entries)| entries.count()).collect();
        assert_eq!(entries, [500]);
        assert!(read.next().expect("it is read").is_none());
    }

    #[test]
    fn a_directory_that_cannot_be_written_to_is_named() {
        let directory = TempDir::new().expect("a directory");
        let (nowhere, there) = (directory.path().join("nowhere"), directory.path().to_owned());
        let none = Room { directories: vec![nowhere.clone(), nowhere.join("else")], ..room(&there) };
        let error = Spill::new(&none).expect_err("no directory").to_string();
        assert!(error.contains(&format!("{}: No such file", nowhere.display())) && error.contains("TMPDIR"), "{error}");
        // The next is taken where there is another.
        Spill::new(&Room { directories: vec![nowhere, there], ..none }).expect("a directory");
    }

    #[test]
    fn a_full_disk_is_told() {
        let directory = TempDir::new().expect("a directory");
        let mut spill = Spill::new(&room(directory.path())).expect("a spill");
        // A device of the system's that is always full.
        spill.file = File::options().read(true).write(true).open("/dev/full").expect("it is there");
        spill.sound().expect("nothing was to be written yet");
        (0..50).for_each(|_| spill.put(entity(1), b"some ten bytes"));
        let error = spill.sound().expect_err("it is full").to_string();
        assert!(error.contains("No space left") && error.contains(&*directory.path().to_string_lossy()), "{error}");
    }

    #[test]
    fn where_it_is_said_files_lie_there() {
        let directories = Room::default().directories;
        match std::env::var_os("TMPDIR").filter(|directory| !directory.is_empty()) {
            Some(directory) => assert_eq!(directories, [PathBuf::from(directory)]),
            None => assert_eq!(directories, [PathBuf::from("/var/tmp"), PathBuf::from("/tmp")]),
        }
    }
}

//! The journal: an append-only file of entries, each with length and CRC32C (Castagnoli). A torn or damaged place costs
//! the entry it hits, not what follows.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fabric::letters::record::{CallStop, Record, RecordId};
use serde::{Deserialize, Serialize};

use super::ledger::Origin;

/// What the journal says. New kinds go to the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Entry {
    Record(Box<Record>),
    /// These are in the day files and in the store, durably.
    Exported(Vec<RecordId>),
    /// The switch was alive at this moment, milliseconds since 1970, with answered calls open.
    Alive(u64),
    /// A record and where it came from.
    Taken(Box<Record>, Origin),
    /// The end of a call whose start another node has, and which that node may not have heard of.
    Untold(RecordId, Box<CallStop>),
}

/// An entry to be written; the same bytes as `Entry`.
#[derive(Serialize)]
enum Written<'a> {
    Record(&'a Record),
    Exported(&'a [RecordId]),
    Alive(u64),
    Taken(&'a Record, &'a Origin),
    Untold(RecordId, &'a CallStop),
}

pub(super) struct Journal {
    dir: PathBuf,
    number: u64,
    file: File,
    /// Length up to which the file is known to be whole.
    length: u64,
    buffer: Vec<u8>,
}

/// What was found at the start.
#[derive(Default)]
pub(super) struct Found {
    pub entries: Vec<Entry>,
    /// Bytes that were not readable.
    pub damaged_bytes: u64,
}

impl Journal {
    /// Reads all files of the directory, oldest first.
    pub fn read(dir: &Path) -> io::Result<Found> {
        std::fs::create_dir_all(dir)?;
        let mut found = Found::default();
        for number in numbers(dir)? {
            read_entries(&std::fs::read(path(dir, number))?, &mut found);
        }
        Ok(found)
    }

    /// Begins a new file with what must be carried over; the older ones stay until `drop_older`.
    pub fn begin(dir: &Path, carried: &[Entry]) -> io::Result<Journal> {
        let number = numbers(dir)?.last().map_or(1, |last| last + 1);
        let file = OpenOptions::new().create_new(true).append(true).open(path(dir, number))?;
        let mut journal = Journal { dir: dir.to_owned(), number, file, length: 0, buffer: Vec::new() };
        for entry in carried {
            journal.append(entry);
            if journal.buffer.len() > BUFFER_BYTES {
                journal.write()?;
            }
        }
        journal.commit()?;
        File::open(dir)?.sync_all()?;
        Ok(journal)
    }

    /// Deletes the files before this one.
    pub fn drop_older(&self) -> io::Result<()> {
        for number in numbers(&self.dir)?.into_iter().filter(|number| *number < self.number) {
            std::fs::remove_file(path(&self.dir, number))?;
        }
        Ok(())
    }

    /// Adds an entry to the buffer.
    pub fn append(&mut self, entry: &Entry) {
        self.put(&match entry {
            Entry::Record(record) => Written::Record(record),
            Entry::Exported(ids) => Written::Exported(ids),
            Entry::Alive(unix_ms) => Written::Alive(*unix_ms),
            Entry::Taken(record, origin) => Written::Taken(record, origin),
            Entry::Untold(id, stop) => Written::Untold(*id, stop),
        });
    }

    /// Adds a record to the buffer.
    pub fn append_record(&mut self, record: &Record, origin: &Origin) {
        self.put(&Written::Taken(record, origin));
    }

    fn put(&mut self, entry: &Written<'_>) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; HEAD]);
        let buffer = std::mem::take(&mut self.buffer);
        self.buffer = postcard::to_extend(entry, buffer).expect("an entry has no unserialisable part");
        let (head, body) = self.buffer[start..].split_at_mut(HEAD);
        head[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
        head[4..].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    }

    /// Writes the buffer without waiting for the disk.
    pub fn write(&mut self) -> io::Result<()> {
        if let Err(error) = self.file.write_all(&self.buffer) {
            self.buffer.clear();
            // Half an entry may stand there; the next one must not follow it.
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the buffer and waits until the disk has it.
    pub fn commit(&mut self) -> io::Result<()> {
        self.write()?;
        self.file.sync_data()
    }

    /// Size of the present file, bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    #[cfg(test)]
    pub fn path(&self) -> PathBuf {
        path(&self.dir, self.number)
    }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal-{number:012}.log"))
}

/// Numbers of the files there are, oldest first.
fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for item in std::fs::read_dir(dir)? {
        let name = item?.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|name| name.strip_prefix("journal-")?.strip_suffix(".log")?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads entry after entry; at a place that is none, looks for the next byte where one begins.
fn read_entries(mut bytes: &[u8], found: &mut Found) {
    while !bytes.is_empty() {
        match entry_at(bytes) {
            Some((entry, length)) => {
                found.entries.push(entry);
                bytes = &bytes[length..];
            }
            None => {
                found.damaged_bytes += 1;
                bytes = &bytes[1..];
            }
        }
    }
}

fn entry_at(bytes: &[u8]) -> Option<(Entry, usize)> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(bytes.get(4..HEAD)?.try_into().ok()?);
    // An empty body has the CRC 0: eight zero bytes are damage, not an entry.
    if length == 0 || length > ENTRY_BYTES_MAX {
        return None;
    }
    let body = bytes.get(HEAD..HEAD + length)?;
    if crc32c::crc32c(body) != crc {
        return None;
    }
    Some((postcard::from_bytes(body).ok()?, HEAD + length))
}

/// Length and CRC.
const HEAD: usize = 8;

/// Largest entry that is believed, bytes: `IDS_MAX` ids or one record.
const ENTRY_BYTES_MAX: usize = 1 << 20;

/// Buffer at which a carry-over is written in pieces, bytes.
const BUFFER_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests;

//! The file: frames of entries, each with length and CRC32C (Castagnoli).

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fabric::letters::cluster::JournalEntry;

pub(super) struct File {
    dir: PathBuf,
    file: std::fs::File,
    /// Length up to which the file is whole and synced, bytes.
    length: u64,
    /// A write or sync has failed: what the system says of this file is no longer believed.
    broken: bool,
}

impl File {
    /// Opens or makes the file; also tells how many torn bytes were cut off.
    pub fn open(dir: &Path) -> io::Result<(File, u64)> {
        std::fs::create_dir_all(dir)?;
        match std::fs::remove_file(dir.join(NEW)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let path = dir.join(NAME);
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let bytes = std::fs::read(&path)?;
        let (_, whole) = frames(&bytes);
        let torn = bytes.len() - whole;
        if torn > 0 {
            if (whole + 1..bytes.len()).any(|at| frame_at(&bytes[at..]).is_some()) {
                let what = format!(
                    "{} is damaged at byte {whole}, before whole entries: what this director promised there is lost. \
                     Remove the directory, and it joins the others as a new one",
                    path.display()
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            file.set_len(whole as u64)?;
        }
        file.sync_all()?;
        std::fs::File::open(dir)?.sync_all()?;
        Ok((File { dir: dir.to_owned(), file, length: whole as u64, broken: false }, torn as u64))
    }

    /// Everything that is kept, oldest first.
    pub fn read(&self) -> io::Result<Vec<JournalEntry>> {
        let mut bytes = std::fs::read(self.dir.join(NAME))?;
        bytes.truncate(self.length as usize);
        Ok(frames(&bytes).0)
    }

    /// Adds entries; synced when it returns.
    pub fn append(&mut self, entries: &[JournalEntry]) -> io::Result<()> {
        if self.broken {
            self.renew()?;
        }
        let frame = frame(entries)?;
        let written = self.file.write_all(&frame).and_then(|()| self.file.sync_data());
        match &written {
            Ok(()) => self.length += frame.len() as u64,
            Err(_) => self.broken = true,
        }
        written
    }

    /// Puts entries in the place of all there are.
    pub fn replace(&mut self, entries: &[JournalEntry]) -> io::Result<()> {
        let frame = frame(entries)?;
        self.put(&frame)
    }

    /// After a failed sync the system may hold pages for written that are not: what is known goes into a new file.
    fn renew(&mut self) -> io::Result<()> {
        let mut bytes = std::fs::read(self.dir.join(NAME))?;
        bytes.truncate(self.length as usize);
        if frames(&bytes).1 as u64 != self.length {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what was written cannot be read back"));
        }
        self.put(&bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (new, path) = (self.dir.join(NEW), self.dir.join(NAME));
        let mut file = std::fs::File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        std::fs::File::open(&self.dir)?.sync_all()?;
        self.file = OpenOptions::new().append(true).open(&path)?;
        (self.length, self.broken) = (bytes.len() as u64, false);
        Ok(())
    }

    #[cfg(test)]
    pub fn break_it(&mut self) {
        self.broken = true;
    }
}

fn frame(entries: &[JournalEntry]) -> io::Result<Vec<u8>> {
    let mut frame = postcard::to_extend(entries, vec![0; HEAD]).map_err(io::Error::other)?;
    let (head, body) = frame.split_at_mut(HEAD);
    if body.len() > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a write that is too large"));
    }
    head[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    head[4..].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    Ok(frame)
}

/// The entries of all whole frames from the start, and where they end.
fn frames(bytes: &[u8]) -> (Vec<JournalEntry>, usize) {
    let (mut entries, mut at) = (Vec::new(), 0);
    while let Some((its, length)) = frame_at(&bytes[at..]) {
        entries.extend(its);
        at += length;
    }
    (entries, at)
}

fn frame_at(bytes: &[u8]) -> Option<(Vec<JournalEntry>, usize)> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(bytes.get(4..HEAD)?.try_into().ok()?);
    // An empty body has the CRC 0: eight zero bytes are no frame.
    if length == 0 || length > FRAME_BYTES_MAX {
        return None;
    }
    let body = bytes.get(HEAD..HEAD + length)?;
    if crc32c::crc32c(body) != crc {
        return None;
    }
    Some((postcard::from_bytes(body).ok()?, HEAD + length))
}

const NAME: &str = "director.log";
const NEW: &str = "director.new";

/// Length and CRC.
const HEAD: usize = 8;

/// Largest frame that is written or believed, bytes.
const FRAME_BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests;

//! Day files: JSON lines and CSV, appended to, never rewritten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Cdr;
use super::cdr::Cell;

pub(super) struct DayFiles {
    dir: PathBuf,
    csv: bool,
    /// Open files by name, those of the newest days.
    open: BTreeMap<String, File>,
}

impl DayFiles {
    pub fn new(dir: &Path, csv: bool) -> io::Result<DayFiles> {
        std::fs::create_dir_all(dir)?;
        Ok(DayFiles { dir: dir.to_owned(), csv, open: BTreeMap::new() })
    }

    /// Appends records, each to the files of the day it ended.
    pub fn append<'a>(&mut self, cdrs: impl Iterator<Item = &'a Cdr>) -> io::Result<()> {
        let mut texts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for cdr in cdrs {
            self.render(cdr, &mut texts);
        }
        self.write(texts)
    }

    /// Appends the records of which a crash left it open whether they were written: to each file those it lacks.
    pub fn append_missing<'a>(&mut self, cdrs: impl Iterator<Item = &'a Cdr>) -> io::Result<()> {
        let mut texts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut present: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for cdr in cdrs {
            let mut own = BTreeMap::new();
            self.render(cdr, &mut own);
            for (name, text) in own {
                if !present.contains_key(&name) {
                    let ids = self.recent_ids(&name)?;
                    present.insert(name.clone(), ids);
                }
                if present.get_mut(&name).is_some_and(|ids| ids.insert(cdr.id.clone())) {
                    texts.entry(name).or_default().extend_from_slice(&text);
                }
            }
        }
        self.write(texts)
    }

    /// Waits until the disk has everything.
    pub fn sync(&mut self) -> io::Result<()> {
        for file in self.open.values() {
            file.sync_data()?;
        }
        while self.open.len() > FILES_OPEN_MAX {
            self.open.pop_first();
        }
        Ok(())
    }

    /// Deletes the files of days before `day`; returns how many.
    pub fn remove_before(&mut self, day: &str) -> io::Result<usize> {
        let mut count = 0;
        for item in std::fs::read_dir(&self.dir)? {
            let name = item?.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_ours = name.ends_with(".jsonl") || name.ends_with(".csv");
            if is_ours && name.len() > 10 && name.is_char_boundary(10) && &name[..10] < day {
                self.open.remove(name);
                std::fs::remove_file(self.dir.join(name))?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn render(&self, cdr: &Cdr, texts: &mut BTreeMap<String, Vec<u8>>) {
        let day = cdr.end_time.get(..10).unwrap_or("1970-01-01");
        let line = texts.entry(format!("{day}.jsonl")).or_default();
        serde_json::to_writer(&mut *line, cdr).expect("a CDR is plain data");
        line.push(b'\n');
        if self.csv {
            let row = texts.entry(format!("{day}.csv")).or_default();
            cdr.cells(|cell| {
                write_cell(cell, row);
                row.push(b',');
            });
            row.pop();
            row.extend_from_slice(b"\r\n");
        }
    }

    fn write(&mut self, texts: BTreeMap<String, Vec<u8>>) -> io::Result<()> {
        for (name, text) in texts {
            if !self.open.contains_key(&name) {
                let file = open(&self.dir.join(&name))?;
                self.open.insert(name.clone(), file);
            }
            if let Some(file) = self.open.get_mut(&name) {
                let length = file.metadata()?.len();
                if let Err(error) = file.write_all(&text) {
                    // No half lines; whoever calls tries again later.
                    file.set_len(length)?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Ids of the records at the end of a file.
    fn recent_ids(&self, name: &str) -> io::Result<BTreeSet<String>> {
        let mut file = match File::open(self.dir.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let is_json = name.ends_with(".jsonl");
        let whole = tail.split_inclusive(|c| *c == b'\n').filter(|line| line.ends_with(b"\n"));
        let ids = whole.filter_map(|line| {
            let line = std::str::from_utf8(line).ok()?;
            match is_json {
                true => line.strip_prefix("{\"id\":\"")?.split('"').next(),
                false => line.split(',').next(),
            }
        });
        Ok(ids.map(str::to_owned).collect())
    }
}

/// Opens a file to append; a half line that a crash left at its end goes away, a new CSV file gets its head.
fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    let length = file.metadata()?.len();
    let tail_from = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(tail_from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|c| *c == b'\n').map_or(0, |place| place + 1);
    if whole < tail.len() {
        file.set_len(tail_from + whole as u64)?;
    }
    if file.metadata()?.len() == 0 && path.extension().is_some_and(|extension| extension == "csv") {
        file.write_all(format!("{}\r\n", Cdr::COLUMNS.join(",")).as_bytes())?;
    }
    Ok(file)
}

/// Writes a CSV cell (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe in front; control
/// characters become spaces, so that a record is one line.
fn write_cell(cell: Cell<'_>, row: &mut Vec<u8>) {
    let text = match cell {
        Cell::Nothing => return,
        Cell::Number(number) => return row.extend_from_slice(number.to_string().as_bytes()),
        Cell::Text(text) => text,
    };
    let is_blank = |c: char| c.is_control() || c.is_whitespace();
    let is_formula = text.trim_start_matches(is_blank).starts_with(['=', '+', '-', '@', '|', '%']);
    let is_quoted = text.contains([',', '"', ';']);
    if is_quoted {
        row.push(b'"');
    }
    if is_formula {
        row.push(b'\'');
    }
    for c in text.chars() {
        match c {
            c if c.is_control() => row.push(b' '),
            '"' => row.extend_from_slice(b"\"\""),
            c => row.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if is_quoted {
        row.push(b'"');
    }
}

/// End of a file that is looked through after a crash, bytes: far more than is exported between two syncs.
const TAIL_BYTES: u64 = 64 << 20;

/// Files that stay open, count.
const FILES_OPEN_MAX: usize = 4;

#[cfg(test)]
mod tests;

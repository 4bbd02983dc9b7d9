use super::*;
use crate::testing::Directory;

#[test]
fn what_was_appended_is_read_again() {
    let directory = Directory::new("journal");
    let (mut file, torn) = File::open(directory.path()).unwrap();
    assert_eq!((file.read().unwrap(), torn), (vec![], 0));
    file.append(&[log(1), hard(1)]).unwrap();
    file.append(&[log(2)]).unwrap();
    assert_eq!(file.read().unwrap(), [log(1), hard(1), log(2)]);
    drop(file);
    assert_eq!(File::open(directory.path()).unwrap().0.read().unwrap(), [log(1), hard(1), log(2)]);
}

#[test]
fn a_snapshot_takes_the_place_of_everything() {
    let directory = Directory::new("journal");
    let (mut file, _) = File::open(directory.path()).unwrap();
    file.append(&[log(1), log(2)]).unwrap();
    file.replace(&[snapshot(2), hard(2)]).unwrap();
    file.append(&[log(3)]).unwrap();
    drop(file);
    // What a crash left half-made is not looked at.
    std::fs::write(directory.path().join(NEW), b"half").unwrap();
    let (file, torn) = File::open(directory.path()).unwrap();
    assert_eq!((file.read().unwrap(), torn), (vec![snapshot(2), hard(2), log(3)], 0));
    assert!(!directory.path().join(NEW).exists());
}

#[test]
fn a_torn_frame_is_cut_off_wherever_it_was_torn() {
    let directory = Directory::new("journal");
    let (mut file, _) = File::open(directory.path()).unwrap();
    file.append(&[log(1)]).unwrap();
    let whole = file.length as usize;
    file.append(&[log(2), hard(2)]).unwrap();
    let bytes = std::fs::read(directory.path().join(NAME)).unwrap();
    for length in whole + 1..bytes.len() {
        std::fs::write(directory.path().join(NAME), &bytes[..length]).unwrap();
        let (mut file, torn) = File::open(directory.path()).unwrap();
        assert_eq!((file.read().unwrap(), torn), (vec![log(1)], (length - whole) as u64));
        file.append(&[log(9)]).unwrap();
        assert_eq!(file.read().unwrap(), [log(1), log(9)]);
    }
    let mut zeros = bytes[..whole].to_vec();
    zeros.extend([0; 512]);
    std::fs::write(directory.path().join(NAME), &zeros).unwrap();
    assert_eq!(File::open(directory.path()).unwrap().0.read().unwrap(), [log(1)]);
}

#[test]
fn damage_before_whole_frames_is_not_cut_off() {
    let directory = Directory::new("journal");
    let (mut file, _) = File::open(directory.path()).unwrap();
    (1..5).for_each(|index| file.append(&[log(index)]).unwrap());
    let mut bytes = std::fs::read(directory.path().join(NAME)).unwrap();
    bytes[20] ^= 1;
    std::fs::write(directory.path().join(NAME), &bytes).unwrap();
    let error = File::open(directory.path()).err().expect("an error");
    assert!(error.to_string().contains("is damaged at byte 0"), "{error}");
    assert_eq!(std::fs::read(directory.path().join(NAME)).unwrap(), bytes, "nothing is touched");
}

#[test]
fn after_a_failed_sync_what_is_known_goes_into_a_new_file() {
    let directory = Directory::new("journal");
    let (mut file, _) = File::open(directory.path()).unwrap();
    file.append(&[log(1)]).unwrap();
    // Half of a write that failed.
    file.file.write_all(&frame(&[log(2)]).unwrap()[..9]).unwrap();
    file.break_it();
    file.append(&[log(3)]).unwrap();
    drop(file);
    let (file, torn) = File::open(directory.path()).unwrap();
    assert_eq!((file.read().unwrap(), torn), (vec![log(1), log(3)], 0));
}

fn log(index: u64) -> JournalEntry {
    JournalEntry::Log(index, vec![index as u8; 40].into())
}

fn hard(term: u8) -> JournalEntry {
    JournalEntry::Hard(vec![term; 6].into())
}

fn snapshot(index: u64) -> JournalEntry {
    JournalEntry::Snapshot(index, vec![0; 3000].into())
}

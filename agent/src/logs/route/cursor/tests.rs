use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("cursors-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("run")).unwrap();
        Folder(path)
    }

    /// Cursors of a log here, with a folder below RUN that is in it.
    fn open(&self, boot: &str, last: u64) -> Cursors {
        Cursors::open(&self.0, &self.run(), boot, last)
    }

    fn run(&self) -> PathBuf {
        self.0.join("run")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn cursor(seq: u64) -> Cursor {
    Cursor {
        seq: Some(seq),
        place: Some(Place { segment: 1, offset: seq * 10, seq: seq + 1 }),
        until: Some(seq + 5),
        mark: 77,
        file: Some(Mark { identity: (1, 2), size: seq }),
    }
}

#[test]
fn what_was_noted_is_found() {
    let folder = Folder::new("noted");
    let mut cursors = folder.open("a", 0);
    assert_eq!(cursors.of("x"), None);
    for seq in 1..=3 {
        cursors.set("x", cursor(seq));
        cursors.save().unwrap();
    }
    cursors.set("y", Cursor::default());
    cursors.save().unwrap();
    let mut again = folder.open("a", 100);
    assert_eq!(again.of("x"), Some(cursor(3)));
    assert_eq!(again.of("y"), Some(Cursor::default()));
    assert!(!again.were_damaged());
    again.retain(|id| id == "y");
    again.save().unwrap();
    assert_eq!(folder.open("a", 100).of("x"), None);
}

#[test]
fn wherever_the_file_is_cut_nothing_is_taken_for_delivered() {
    let folder = Folder::new("cut");
    let mut cursors = folder.open("a", 0);
    cursors.set("x", cursor(50));
    cursors.keep().unwrap();
    let whole = fs::read(folder.0.join(NAME)).unwrap();
    for length in 0..whole.len() {
        fs::write(folder.0.join(NAME), &whole[..length]).unwrap();
        let cut = folder.open("a", 100);
        assert!(cut.were_damaged(), "{length}");
        assert_eq!(cut.of("x"), None);
    }
    let other = String::from_utf8(whole).unwrap().replace("\"v\":1", "\"v\":2");
    fs::write(folder.0.join(NAME), other).unwrap();
    assert!(folder.open("a", 100).were_damaged());
}

#[test]
fn after_another_boot_what_a_disk_had_counts() {
    let folder = Folder::new("boot");
    let mut cursors = folder.open("a", 0);
    cursors.set("file", cursor(10));
    cursors.synced("file");
    cursors.set("file", cursor(30));
    cursors.set("peer", cursor(30));
    cursors.keep().unwrap();
    let same = folder.open("a", 100);
    assert_eq!((same.of("file"), same.of("peer")), (Some(cursor(30)), Some(cursor(30))));
    let other = folder.open("b", 100);
    assert_eq!((other.of("file"), other.of("peer")), (Some(cursor(10)), Some(cursor(30))));
}

#[test]
fn numbers_that_the_log_gives_again_are_not_delivered_yet() {
    let folder = Folder::new("beyond");
    let mut cursors = folder.open("a", 0);
    cursors.set("x", cursor(50));
    cursors.set("y", cursor(40));
    cursors.keep().unwrap();
    let after = folder.open("b", 40);
    let expected = Cursor { seq: Some(40), place: None, until: None, ..cursor(50) };
    assert_eq!((after.of("x"), after.of("y")), (Some(expected), Some(cursor(40))));
}

#[test]
fn after_a_kill_the_newest_count_and_after_a_boot_those_that_were_kept() {
    let folder = Folder::new("newest");
    let mut cursors = folder.open("a", 0);
    cursors.set("x", cursor(10));
    cursors.keep().unwrap();
    cursors.set("x", cursor(20));
    cursors.save().unwrap();
    assert_eq!(folder.open("a", 100).of("x"), Some(cursor(20)));
    // Below RUN nothing is left by then; and if it were, it would not count.
    assert_eq!(folder.open("b", 100).of("x"), Some(cursor(10)));
    fs::write(folder.run().join(NAME), "half a fi").unwrap();
    let damaged = folder.open("a", 100);
    assert_eq!((damaged.of("x"), damaged.were_damaged()), (Some(cursor(10)), false));
}

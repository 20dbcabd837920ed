//! Logs in a home of their own; the thread's work is done here and now.

use super::*;

struct Logs {
    _folder: tempfile::TempDir,
    home: Home,
}

impl Logs {
    fn new() -> Logs {
        let folder = tempfile::tempdir().unwrap();
        Logs { home: Home::at(folder.path().join("home")), _folder: folder }
    }

    fn log(&self, uid: &str) -> PathBuf {
        self.home.container_log(uid, "main", 0)
    }

    /// A log of 128 lines of 100 bytes.
    fn write(&self, uid: &str) -> u64 {
        let line = format!("2026-11-20T23:41:06.000000001Z stdout F {}\n", "x".repeat(99));
        let text = line.repeat(128);
        std::fs::create_dir_all(self.log(uid).parent().unwrap()).unwrap();
        std::fs::write(self.log(uid), &text).unwrap();
        text.len() as u64
    }

    fn read(&self, uid: &str) -> String {
        let files = log::files(&self.log(uid)).unwrap();
        files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
    }

    fn work(&self, total: u64, errands: Vec<Errand>) {
        let (send, queue) = channel();
        let waiting = Arc::new(AtomicUsize::new(errands.len()));
        errands.into_iter().for_each(|errand| send.send(errand).unwrap());
        drop(send);
        Work::new(self.home.clone(), total).run(&Errands { queue, waiting });
    }
}

#[test]
fn logs_of_a_pod_that_left_go_and_others_in_its_folder_stay() {
    let logs = Logs::new();
    logs.write("ab-1");
    logs.write("ab-2");
    logs.work(u64::MAX, vec![Errand::Pod("ab-1".to_owned())]);
    assert_eq!((logs.read("ab-1").len(), logs.read("ab-2").lines().count()), (0, 128));
}

#[test]
fn oldest_complete_logs_are_shed_and_say_so() {
    let logs = Logs::new();
    let bytes = logs.write("ab-1");
    logs.write("ab-2");
    logs.write("cd-3");
    let complete = |uid: &str| Errand::Complete(uid.into(), bytes);
    logs.work(bytes * 2, vec![complete("ab-2"), complete("ab-1"), complete("cd-3")]);
    assert!(logs.read("ab-2").contains(" stdout S 12800 128\n"), "{}", logs.read("ab-2"));
    assert_eq!((logs.read("ab-1").lines().count(), logs.read("cd-3").lines().count()), (128, 128));
}

#[test]
fn pod_that_left_counts_no_more() {
    let logs = Logs::new();
    let bytes = logs.write("ab-1");
    logs.write("ab-2");
    let errands = vec![
        Errand::Complete("ab-1".into(), bytes),
        Errand::Pod("ab-1".to_owned()),
        Errand::Complete("ab-2".into(), bytes),
    ];
    logs.work(bytes, errands);
    assert_eq!(logs.read("ab-2").lines().count(), 128);
}

#[test]
fn logs_from_before_are_counted_but_for_those_that_are_written() {
    let logs = Logs::new();
    logs.write("ab-1");
    logs.write("ab-2");
    logs.work(0, vec![Errand::Survey(HashSet::from(["ab-2".to_owned()]))]);
    assert_eq!((logs.read("ab-1").lines().count(), logs.read("ab-2").lines().count()), (2, 128));
}

#[test]
fn an_attempts_log_goes_alone() {
    let logs = Logs::new();
    logs.write("ab-1");
    let run = RunKey { pod: "ab-1".to_owned(), container: "main".to_owned(), attempt: 0 };
    let other = logs.home.container_log("ab-1", "main-0", 0);
    std::fs::copy(logs.log("ab-1"), &other).unwrap();
    logs.work(u64::MAX, vec![Errand::Attempt(run)]);
    assert_eq!((logs.log("ab-1").exists(), other.exists()), (false, true));
}

#[test]
fn directory_that_could_not_be_removed_is_tried_again_a_few_times() {
    let logs = Logs::new();
    let file = logs.home.root().join("file");
    std::fs::create_dir_all(logs.home.root()).unwrap();
    std::fs::write(&file, "").unwrap();
    let mut work = Work::new(logs.home.clone(), u64::MAX);
    // What is below a file is not there, nor can it be looked for.
    let below = file.join("below");
    work.try_directory(&below, 1);
    assert_eq!(work.stubborn, [(below.clone(), 1)]);
    work.try_again();
    assert_eq!(work.stubborn, [(below.clone(), 2)]);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir_all(below.join("volume")).unwrap();
    work.try_again();
    assert!(work.stubborn.is_empty() && !below.exists());
    work.try_directory(&logs.home.root().join("file"), TRIES);
    assert!(work.stubborn.is_empty() && !file.exists());
}

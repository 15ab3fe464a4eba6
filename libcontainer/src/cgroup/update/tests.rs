//! In a folder that looks like a cgroup: what is taken back, and when.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::cgroup::RecordedDir;
use crate::error::ErrorKind;
use crate::plan::cgroup::CgroupDir;

struct Fake(PathBuf);

impl Fake {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("teu-change-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("c")).unwrap();
        fs::write(root.join("cgroup.subtree_control"), "io memory cpu pids\n").unwrap();
        files.iter().for_each(|(file, text)| fs::write(root.join("c").join(file), text).unwrap());
        Self(root)
    }

    fn change(&self, writes: &[(&'static str, &str)]) -> Result<Change> {
        let at = RecordedDir { root: self.0.clone(), path: "c".into(), hierarchy: String::new(), inode: 0 };
        let dir = Dir { at, fd: None, found: false };
        let planned =
            CgroupDir { root: self.0.clone(), path: "c".into(), hierarchy: String::new(), required: true };
        let write = |(file, value): &(&'static str, &str)| FileWrite {
            dir: 0,
            file: (*file).into(),
            value: (*value).into(),
            pointer: "/test".into(),
            tolerate: Tolerate::Nothing,
            care: Care::default(),
        };
        let early = writes.iter().map(write).collect();
        let plan = CgroupPlan { v2: true, dirs: vec![planned], early, ..CgroupPlan::default() };
        Cgroup::of(true, vec![dir], false).update(&plan, &Until::default())
    }

    /// A file here is not cut by a shorter text, as no write of a cgroup is one of a file: texts have one length.
    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join("c").join(file)).unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn what_is_kept_stays_and_what_is_dropped_goes_back() {
    let fake = Fake::new("keep", &[("pids.max", "100"), ("cpu.weight", "200")]);
    let change = fake.change(&[("pids.max", "111"), ("cpu.weight", "222")]).unwrap();
    assert_eq!((fake.read("pids.max"), fake.read("cpu.weight")), ("111".into(), "222".into()));
    drop(change);
    assert_eq!((fake.read("pids.max"), fake.read("cpu.weight")), ("100".into(), "200".into()));
    fake.change(&[("pids.max", "333")]).unwrap().keep();
    assert_eq!(fake.read("pids.max"), "333");
}

#[test]
fn a_refusal_takes_everything_before_it_back() {
    let fake = Fake::new("refuse", &[("pids.max", "100"), ("cpu.weight", "200")]);
    let error =
        fake.change(&[("pids.max", "111"), ("cpu.weight", "222"), ("io.max", "8:0 rbps=1")]).unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::Unsupported, Some("/test")));
    assert_eq!((fake.read("pids.max"), fake.read("cpu.weight")), ("100".into(), "200".into()));
}

#[test]
fn two_writes_of_one_file_go_back_to_what_was_first() {
    let fake = Fake::new("twice", &[("pids.max", "100"), ("cpu.weight", "200")]);
    drop(fake.change(&[("pids.max", "111"), ("cpu.weight", "222"), ("pids.max", "122")]).unwrap());
    assert_eq!(fake.read("pids.max"), "100");
}

//! Writes into a folder that looks like a cgroup: what no machine at hand has a controller for.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::cgroup::RecordedDir;
use crate::plan::cgroup::CgroupDir;

/// A folder with these files as the cgroup2 directory of a container.
struct Fake {
    root: PathBuf,
    cgroup: Cgroup,
}

impl Fake {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("teu-write-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("c")).unwrap();
        fs::write(root.join("cgroup.subtree_control"), "io memory cpu\n").unwrap();
        files.iter().for_each(|(name, text)| fs::write(root.join("c").join(name), text).unwrap());
        let at = RecordedDir { root: root.clone(), path: "c".into(), hierarchy: String::new(), inode: 0 };
        let dir = Dir { at, fd: None, found: false };
        let cgroup = Cgroup::of(true, vec![dir], false);
        Self { root, cgroup }
    }

    fn write(&self, writes: Vec<FileWrite>) -> Result<()> {
        let dir =
            CgroupDir { root: self.root.clone(), path: "c".into(), hierarchy: String::new(), required: true };
        let plan = CgroupPlan { v2: true, dirs: vec![dir], early: writes, ..CgroupPlan::default() };
        Writer::new(&self.cgroup, &plan).write_all()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root.join("c").join(name)).unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.root).unwrap();
    }
}

fn write(file: &'static str, value: &str, care: Care) -> FileWrite {
    FileWrite {
        dir: 0,
        file: file.into(),
        value: value.into(),
        pointer: "/test".into(),
        tolerate: Tolerate::Nothing,
        care,
    }
}

fn instead(file: &'static str, value: &str) -> Care {
    Care { instead: Some((file.into(), value.into())), ..Care::default() }
}

#[test]
fn the_file_that_exists_takes_its_own_value() {
    let both = Fake::new("both", &[("io.bfq.weight", ""), ("io.weight", "")]);
    both.write(vec![write("io.bfq.weight", "500", instead("io.weight", "4950"))]).unwrap();
    assert_eq!((both.read("io.bfq.weight"), both.read("io.weight")), ("500".into(), String::new()));
    let second = Fake::new("second", &[("io.weight", "")]);
    let entries = ["8:0 ", "8:16 "].map(|entry| write("io.bfq.weight", entry, instead("io.weight", "x")));
    second.write(entries.to_vec()).unwrap();
    assert_eq!(second.read("io.weight"), "x", "each entry is a write of its own, to a file that has no end");
}

#[test]
fn where_neither_file_exists_the_first_is_named() {
    let fake = Fake::new("neither", &[]);
    let error = fake.write(vec![write("io.bfq.weight", "500", instead("io.weight", "4950"))]).unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::Unsupported, Some("/test")));
    assert!(error.message().ends_with("/c/io.bfq.weight does not exist"), "{error}");
}

#[test]
fn a_controller_that_is_not_there_is_named_and_a_core_file_has_none() {
    let fake = Fake::new("missing", &[]);
    let message =
        |file| fake.write(vec![write(file, "1", Care::default())]).unwrap_err().message().to_owned();
    assert!(message("cgroup.nonsense").ends_with("/c/cgroup.nonsense does not exist"));
    assert!(message("memory.nonsense").ends_with("/c/memory.nonsense does not exist"));
}

#[test]
fn a_limit_at_or_below_what_is_in_use_is_refused_before_it_is_written() {
    let fake = Fake::new("usage", &[("memory.current", "4096\n"), ("memory.max", "max")]);
    let limit = |bytes: u64| {
        let care = Care { usage: Some(("memory.current", bytes)), ..Care::default() };
        fake.write(vec![write("memory.max", &bytes.to_string(), care)])
    };
    let error = limit(4096).unwrap_err();
    assert_eq!(error.message(), "rejecting memory limit 4096 <= usage 4096");
    assert_eq!(fake.read("memory.max"), "max");
    let care = Care { usage: Some(("memory.current", 4095)), ..Care::default() };
    let swap =
        FileWrite { pointer: "/linux/resources/memory/swap".into(), ..write("memory.swap.max", "0", care) };
    assert_eq!(
        fake.write(vec![swap]).unwrap_err().message(),
        "rejecting memory+swap limit 4095 <= usage 4096"
    );
    limit(4097).unwrap();
    assert_eq!(fake.read("memory.max"), "4097", "written over the old value, which is shorter");
}

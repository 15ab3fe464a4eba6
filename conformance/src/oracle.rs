//! The host oracle: what the host looks like before and after a test. The difference must be empty.
//!
//! The harness runs in a mount namespace of its own and is a subreaper, so every mount it sees and every process below it
//! is the suite's. Cgroups are watched below the test parent and, by the tag in their name, next to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::{Host, cgroups_below};
use crate::sys;

/// Where the oracle looks.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Roots of the cgroup hierarchies.
    pub hierarchies: Vec<PathBuf>,
    /// The name of the test parent.
    pub tag: String,
    /// The state root of the runtime.
    pub state: PathBuf,
    /// Trees that must keep content, mode and times.
    pub canaries: Vec<PathBuf>,
}

/// What was seen, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<&'static str, BTreeSet<String>>);

impl Scope {
    /// The whole scope of one runtime on a host.
    pub fn of(host: &Host, state: &Path, canaries: &[PathBuf]) -> Self {
        Self {
            hierarchies: host.hierarchies.iter().map(|one| one.root.clone()).collect(),
            tag: host.tag.clone(),
            state: state.into(),
            canaries: [host.canary.clone()].iter().chain(canaries).cloned().collect(),
        }
    }

    /// Looks at the host.
    pub fn look(&self) -> io::Result<Snapshot> {
        let mut seen = BTreeMap::new();
        seen.insert("mount", mounts()?);
        seen.insert("cgroup", self.cgroups().iter().map(|dir| dir.to_string_lossy().into_owned()).collect());
        seen.insert("process", descendants()?.values().cloned().collect());
        seen.insert("state file", files(&self.state, &|path, _| Ok(path.to_string_lossy().into_owned()))?);
        seen.insert("descriptor", descriptors()?);
        seen.insert("host setting", settings()?);
        let mut canary = BTreeSet::new();
        for tree in &self.canaries {
            canary.extend(files(tree, &digest)?);
        }
        seen.insert("canary", canary);
        Ok(Snapshot(seen))
    }

    /// Ends and removes what appeared since a snapshot, so that one leak fails one test only.
    pub fn clean(&self, before: &Snapshot) -> io::Result<()> {
        self.thaw();
        for (pid, line) in descendants()? {
            if !before.has("process", &line) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                let _ = sys::ended_within(pid, sys::PATIENCE);
            }
        }
        sys::reap();
        for line in mounts()?.iter().filter(|line| !before.has("mount", line)) {
            let point = line.split(' ').nth(2).unwrap_or_default();
            let _ = nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH);
        }
        for dir in self.cgroups().iter().rev().filter(|dir| !before.has("cgroup", &dir.to_string_lossy())) {
            let _ = fs::remove_dir(dir);
        }
        if let Ok(entries) = fs::read_dir(&self.state) {
            entries.flatten().for_each(|entry| drop(fs::remove_dir_all(entry.path())));
        }
        Ok(())
    }

    /// Parents first; the test parents themselves are included.
    fn cgroups(&self) -> Vec<PathBuf> {
        let tagged =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(&self.tag));
        let mut found = Vec::new();
        for root in &self.hierarchies {
            let entries = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
            found.extend(entries.filter(tagged).flat_map(|dir| cgroups_below(&dir)));
        }
        found
    }

    /// A frozen process cannot be killed on v1.
    fn thaw(&self) {
        for dir in self.cgroups() {
            for (file, word) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
                if dir.join(file).exists() {
                    let _ = fs::write(dir.join(file), word);
                }
            }
        }
    }
}

/// Waits for processes that are past their end but not yet dead, and collects the dead. Such a process has left its cgroup
/// already, so nobody but the kernel can know of it, and a runtime cannot wait for it.
pub fn settle() -> io::Result<()> {
    const EXITING: u64 = 4;
    for pid in descendants()?.keys() {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let flags = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(6)?.parse::<u64>().ok());
        if flags.unwrap_or(0) & EXITING != 0 {
            sys::ended_within(*pid, sys::PATIENCE)?;
        }
    }
    sys::reap();
    Ok(())
}

/// The pids of everything below this process that is not dead.
pub fn living() -> io::Result<Vec<i32>> {
    Ok(descendants()?.into_iter().filter(|(_, line)| !line.ends_with(" Z")).map(|(pid, _)| pid).collect())
}

impl Snapshot {
    /// One line for each thing that is new, gone or changed.
    pub fn changes(&self, after: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (kind, seen) in &after.0 {
            let known = self.0.get(kind).cloned().unwrap_or_default();
            lines.extend(seen.difference(&known).map(|what| format!("new {kind}: {what}")));
            lines.extend(known.difference(seen).map(|what| format!("lost {kind}: {what}")));
        }
        lines
    }

    fn has(&self, kind: &str, what: &str) -> bool {
        self.0.get(kind).is_some_and(|seen| seen.contains(what))
    }
}

/// Device, root and point of each mount. Ids and peer groups are left out: they change when nothing else does.
fn mounts() -> io::Result<BTreeSet<String>> {
    Ok(mounts_of(&fs::read_to_string("/proc/self/mountinfo")?))
}

fn mounts_of(mountinfo: &str) -> BTreeSet<String> {
    let entry = |line: &str| -> Option<String> {
        let words: Vec<&str> = line.split(' ').collect();
        Some(format!("{} {} {} {}", words.get(2)?, words.get(3)?, words.get(4)?, words.get(5)?))
    };
    let mut seen = BTreeSet::new();
    for line in mountinfo.lines().filter_map(entry) {
        // The same mount twice on one point is two mounts.
        let mut name = line.clone();
        while !seen.insert(name.clone()) {
            name.push('\'');
        }
    }
    seen
}

/// Everything below this process, by pid; zombies included, kernel threads are never below it.
fn descendants() -> io::Result<BTreeMap<i32, String>> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let Some((name, rest)) = stat.rsplit_once(") ") else { continue };
        let mut words = rest.split(' ');
        let (state, parent) =
            (words.next().unwrap_or_default(), words.next().and_then(|word| word.parse().ok()));
        // Of the states only one is more than a moment's.
        let dead = if state == "Z" { " Z" } else { "" };
        parents.insert(pid, (parent.unwrap_or(0), format!("{name}){dead}")));
    }
    let own = Pid::this().as_raw();
    let below = |mut pid: i32| {
        while let Some((parent, _)) = parents.get(&pid) {
            if *parent == own {
                return true;
            }
            pid = *parent;
        }
        false
    };
    Ok(parents.iter().filter(|(pid, _)| below(**pid)).map(|(pid, (_, line))| (*pid, line.clone())).collect())
}

fn descriptors() -> io::Result<BTreeSet<String>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        numbers.push(entry?.path());
    }
    // The descriptor that read the directory is closed by now, and its link gone. The library keeps a few compiled device
    // filters for the next container, which is no leak.
    let link = |path: &PathBuf| Some(format!("{} {}", path.display(), fs::read_link(path).ok()?.display()));
    Ok(numbers.iter().filter_map(link).filter(|line| !line.ends_with(" anon_inode:bpf-prog")).collect())
}

/// What a container without namespaces of its own could change for everybody, and what a library could for its caller.
fn settings() -> io::Result<BTreeSet<String>> {
    let mut seen = BTreeSet::new();
    for file in ["/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname", "/proc/self/oom_score_adj"] {
        seen.insert(format!("{file} {}", fs::read_to_string(file)?.trim()));
    }
    let status = fs::read_to_string("/proc/self/status")?;
    let kept = ["Umask", "Uid", "Gid", "Groups", "SigBlk", "SigIgn", "CapEff", "NoNewPrivs"];
    let is_kept = |line: &&str| line.split_once(':').is_some_and(|(key, _)| kept.contains(&key));
    seen.extend(status.lines().filter(is_kept).map(without_libc_signals));
    seen.insert(format!("cwd {}", std::env::current_dir()?.display()));
    Ok(seen)
}

/// Signals 32 and 33 are libc's own: it takes them with the first thread, whatever the process was started with.
fn without_libc_signals(line: &str) -> String {
    const LIBC: u64 = 0b11 << 31;
    let (name, mask) = line.split_once(':').unwrap_or((line, ""));
    match u64::from_str_radix(mask.trim(), 16) {
        Ok(mask) if name.starts_with("Sig") => format!("{name}:\t{:016x}", mask & !LIBC),
        _ => line.to_owned(),
    }
}

fn digest(path: &Path, meta: &fs::Metadata) -> io::Result<String> {
    let mut hasher = DefaultHasher::new();
    if meta.is_file() {
        fs::read(path)?.hash(&mut hasher);
    }
    let (inode, mode, times) =
        (meta.ino(), meta.mode(), (meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()));
    (inode, mode, meta.uid(), meta.gid(), times).hash(&mut hasher);
    Ok(format!("{} {:016x}", path.display(), hasher.finish()))
}

type Describe = dyn Fn(&Path, &fs::Metadata) -> io::Result<String>;

/// One line for each file at and below a path; none if there is nothing.
fn files(path: &Path, describe: &Describe) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut next = vec![path.to_path_buf()];
    while let Some(path) = next.pop() {
        // What goes while it is looked at is gone.
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        found.extend(describe(&path, &meta));
        if meta.is_dir() {
            next.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// The tests look at the whole process, so one at a time.
    static ALONE: Mutex<()> = Mutex::new(());

    /// Looks, does, looks again, undoes. Returns what the oracle noticed.
    fn noticed(scope: &Scope, act: impl FnOnce(), undo: impl FnOnce()) -> Vec<String> {
        let before = scope.look().unwrap();
        act();
        let seen = before.changes(&scope.look().unwrap());
        undo();
        assert_eq!(before.changes(&scope.look().unwrap()), Vec::<String>::new(), "after undoing");
        seen
    }

    fn dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("teu-oracle-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn is_root(test: &str) -> bool {
        let root = nix::unistd::geteuid().is_root();
        if !root {
            println!("skip {test}: needs root");
        }
        root
    }

    #[test]
    fn a_left_file_in_the_state_root_is_noticed() {
        let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let state = dir("state");
        let scope = Scope { state: state.clone(), ..Scope::default() };
        let (file, path) = (state.join("left"), state.join("left"));
        let seen = noticed(&scope, || fs::write(&file, "").unwrap(), || fs::remove_file(&path).unwrap());
        assert_eq!(seen, [format!("new state file: {}", state.join("left").display())]);
        fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn a_changed_canary_is_noticed_even_with_the_same_content() {
        let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let tree = dir("canary");
        let file = tree.join("file");
        fs::write(&file, "same").unwrap();
        let scope = Scope { canaries: vec![file.clone()], ..Scope::default() };
        let before = scope.look().unwrap();
        assert_eq!(before.changes(&scope.look().unwrap()), Vec::<String>::new());
        fs::remove_file(&file).unwrap();
        fs::write(&file, "same").unwrap();
        assert_eq!(before.changes(&scope.look().unwrap()).len(), 2, "one new, one lost");
        fs::remove_dir_all(tree).unwrap();
    }

    #[test]
    fn a_left_process_is_noticed_and_cleaned() {
        let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let scope = Scope::default();
        let before = scope.look().unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let seen = before.changes(&scope.look().unwrap());
        assert!(
            seen.iter().any(|line| line.contains("new process") && line.contains(&child.id().to_string())),
            "{seen:?}"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(before.changes(&scope.look().unwrap()), Vec::<String>::new());
    }

    #[test]
    fn a_zombie_is_a_left_process_until_it_is_collected() {
        let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let scope = Scope::default();
        let before = scope.look().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        assert!(sys::ended_within(sys::pid_of(&child), sys::PATIENCE).unwrap());
        // Other tests have processes of their own meanwhile.
        let line = format!("process: {} (true) Z", child.id());
        let changes =
            || before.changes(&scope.look().unwrap()).into_iter().filter(|one| one.ends_with(&line));
        assert_eq!(changes().collect::<Vec<_>>(), [format!("new {line}")]);
        settle().unwrap();
        assert!(child.wait().is_err(), "it was not collected");
        assert_eq!(changes().count(), 0);
    }

    #[test]
    fn a_left_descriptor_is_noticed() {
        let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let scope = Scope::default();
        let before = scope.look().unwrap();
        let file = fs::File::open("/").unwrap();
        let seen = before.changes(&scope.look().unwrap());
        assert!(
            seen.iter().any(|line| line.starts_with("new descriptor") && line.ends_with(" /")),
            "{seen:?}"
        );
        drop(file);
        assert_eq!(before.changes(&scope.look().unwrap()), Vec::<String>::new());
    }

    #[test]
    fn a_left_cgroup_is_noticed_below_the_parent_and_beside_it() {
        let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // Directories stand for cgroups: the oracle only walks them.
        let root = dir("cgroup");
        fs::create_dir(root.join("tag-1")).unwrap();
        let scope = Scope { hierarchies: vec![root.clone()], tag: "tag-1".into(), ..Scope::default() };
        for left in ["tag-1/left", "tag-1-beside"] {
            let path = root.join(left);
            let seen = noticed(&scope, || fs::create_dir(&path).unwrap(), || fs::remove_dir(&path).unwrap());
            assert_eq!(seen, [format!("new cgroup: {}", path.display())]);
        }
        let path = root.join("another-run");
        assert_eq!(noticed(&scope, || fs::create_dir(&path).unwrap(), || ()), Vec::<String>::new());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_left_mount_is_noticed_even_over_an_equal_one() {
        let line =
            |id: u32, point: &str| format!("{id} 35 0:40 / {point} rw,relatime shared:7 - tmpfs x rw\n");
        let before = mounts_of(&line(36, "/x"));
        assert_eq!(mounts_of(&line(99, "/x")), before, "another id is no change");
        let after = mounts_of(&(line(36, "/x") + &line(37, "/x") + &line(38, "/y")));
        assert_eq!(after.difference(&before).count(), 2);
    }

    /// One small tmpfs in the machine's own mount namespace, for the time of a look.
    #[test]
    fn a_left_mount_is_noticed_on_the_real_machine() {
        let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !is_root("a_left_mount_is_noticed_on_the_real_machine") {
            return;
        }
        let point = dir("mount");
        let scope = Scope::default();
        let mount =
            || sys::mount("x".as_ref(), &point, "tmpfs", nix::mount::MsFlags::empty(), "size=4k").unwrap();
        let seen =
            noticed(&scope, mount, || nix::mount::umount2(&point, nix::mount::MntFlags::MNT_DETACH).unwrap());
        assert!(
            seen.iter().any(|line| line.contains("new mount") && line.contains("teu-oracle-mount")),
            "{seen:?}"
        );
        fs::remove_dir_all(point).unwrap();
    }
}

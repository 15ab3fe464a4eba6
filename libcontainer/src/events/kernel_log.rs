//! What the kernel's log says of memory that ran out in a group: it outlives the group and its counters.
//!
//! Law: only lines of the kernel itself count, only about the group that is asked for, and only behind the place up to which everything is known.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};

use super::OomCause;
use crate::cgroup::Cgroup;
use crate::sys::fs::above_stdio;
use crate::sys::pidfd::pid_of;

const DEVICE: &str = "/dev/kmsg";
/// Of whatever name: containers have links to terminals and plain files there.
const NUMBER: (u64, u64) = (1, 11);
/// No record is longer.
const RECORD: usize = 8192;
/// Who writes faster than we read does not keep us. A log has about a record for each 32 bytes, so this is all of one of 32 MiB; of a larger one it is the oldest.
const MOST: usize = 1 << 20;
/// The machine's first namespaces (PROC_CGROUP_INIT_INO and PROC_PID_INIT_INO, which are fixed), whose paths and numbers the log has.
const FIRST_CGROUPS: &str = "cgroup:[4026531835]";
const FIRST_PIDS: &str = "pid:[4026531836]";

/// The log behind a place, and who is looked for.
#[derive(Debug)]
pub(super) struct KernelLog {
    file: File,
    wanted: Wanted,
}

/// Who is looked for.
#[derive(Debug)]
struct Wanted {
    group: String,
    /// The container's first process, if the caller knows it by the number that the log has.
    init: Option<i32>,
}

/// What a record is about, from the least to the most certain of the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    /// Init is killed, which the kernel never leaves out; the cause is what it probably was.
    Init,
    /// Everybody is killed, by `memory.oom.group`; the cause is what it probably was.
    Everybody,
    /// Somebody in the group is killed. The kernel may leave this out when memory runs out often.
    Victim,
}

impl KernelLog {
    /// The log from here on, for a container in a unit: systemd removes that as soon as it is empty. `None` where it cannot be read, which mostly needs
    /// CAP_SYSLOG, and where the caller knows groups by other paths.
    pub fn open(cgroup: &Cgroup, init: BorrowedFd<'_>) -> Option<Self> {
        let group = escaped(&cgroup.path_of_unit()?);
        if !is_namespace("cgroup", FIRST_CGROUPS) {
            return None;
        }
        let init = pid_of(init).ok().filter(|pid| *pid > 0 && is_namespace("pid", FIRST_PIDS));
        let mut file = open_log(DEVICE)?;
        file.seek(SeekFrom::End(0)).ok()?;
        Some(Self { file, wanted: Wanted { group, init } })
    }

    /// A file in the place of the log.
    #[cfg(test)]
    pub fn reading(file: OwnedFd, group: &str) -> Self {
        Self { file: file.into(), wanted: Wanted { group: group.to_owned(), init: None } }
    }

    /// Everything up to here is known. The kernel always goes there.
    pub fn forget(&mut self) {
        let _ = self.file.seek(SeekFrom::End(0));
    }

    /// Whose limit was reached, if memory ran out in the group.
    pub fn told(&mut self) -> Option<OomCause> {
        told(&mut self.file, &self.wanted)
    }
}

fn is_namespace(kind: &str, name: &str) -> bool {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).is_ok_and(|link| link.as_os_str() == name)
}

/// Opens the log of the kernel and nothing else: a terminal or a tape would do something when it is opened, so it is looked at before.
fn open_log(path: &str) -> Option<File> {
    let handle = File::options().read(true).custom_flags(libc::O_PATH).open(path).ok()?;
    let found = handle.metadata().ok()?;
    let number = (nix::sys::stat::major(found.rdev()), nix::sys::stat::minor(found.rdev()));
    if !found.file_type().is_char_device() || number != NUMBER {
        return None;
    }
    let path = format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd());
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    Some(File::from(above_stdio(OwnedFd::from(file)).ok()?))
}

/// What the rest of a log says: the last of the most certain words.
fn told(log: &mut impl Read, wanted: &Wanted) -> Option<OomCause> {
    let (mut record, mut best) = ([0; RECORD], None::<(Word, OomCause)>);
    let mut left = MOST;
    while left > 0 {
        left -= 1;
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => {
                let said = record.get(..length).and_then(|bytes| said(bytes, wanted));
                best = said.filter(|said| best.is_none_or(|best| said.0 >= best.0)).or(best);
            }
            // EPIPE: what was next has been overwritten, and the reader is behind it now.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    if left == 0 {
        log::debug!(
            "events: {DEVICE}: read {MOST} records and no more; the rest may tell of memory that ran out"
        );
    }
    best.map(|(_, cause)| cause)
}

/// A record is `priority,number,time,flags;line`, and more about it in further lines.
fn said(record: &[u8], wanted: &Wanted) -> Option<(Word, OomCause)> {
    let (head, text) = std::str::from_utf8(record).ok()?.split_once(';')?;
    // The kernel's own have facility 0, which it gives to nobody who writes to the device.
    head.split(',').next()?.parse().ok().filter(|priority: &u32| *priority < 8)?;
    let line = text.lines().next()?;
    if let Some(fields) = line.strip_prefix("oom-kill:") {
        return victim(fields, &wanted.group).map(|cause| (Word::Victim, cause));
    }
    let everybody = everybody(line, &wanted.group).map(|cause| (Word::Everybody, cause));
    everybody.or_else(|| killed(line, wanted.init?).map(|cause| (Word::Init, cause)))
}

/// `constraint=…,cpuset=NAME,mems_allowed=…,oom_memcg=PATH,task_memcg=PATH,task=NAME,pid=7,uid=0`; `global_oom` in the place of the first path where the
/// machine's memory ran out. Since Linux 5.0.
///
/// Paths and names may look like fields. The name before the paths has no slash, so the first path is where it seems to be. Who is killed is below the group
/// whose limit was reached: if that is in ours, so is he. Otherwise it has to be above ours, whose name nobody below can forge, and the victim's path follows.
fn victim(fields: &str, group: &str) -> Option<OomCause> {
    const LIMIT: &str = ",oom_memcg=";
    const GLOBAL: &str = ",global_oom";
    const TASK: &str = ",task_memcg=";
    if !fields.starts_with("constraint=") || !ends_with_a_process(fields) {
        return None;
    }
    let limit = fields.find(&format!("{LIMIT}/")).map(|at| (at, at + LIMIT.len()));
    let global = fields.find(&format!("{GLOBAL}{TASK}/")).map(|at| (at, at + GLOBAL.len()));
    let is_global = match (limit, global) {
        (Some(limit), Some(global)) => global < limit,
        (_, global) => global.is_some(),
    };
    let (_, start) = if is_global { global? } else { limit? };
    let rest = fields.get(start..)?;
    let starts_with_group = |path: &str, end: &str| {
        path.strip_prefix(group).is_some_and(|rest| rest.starts_with('/') || rest.starts_with(end))
    };
    if !is_global && starts_with_group(rest, TASK) {
        return Some(OomCause::Limit);
    }
    let (above, task) = rest.split_once(TASK)?;
    let is_above = is_global || within(group, above);
    (is_above && starts_with_group(task, ",task=")).then_some(OomCause::Outside)
}

/// Lines of a firewall, whose beginning an administrator chooses, end otherwise; so does one that was cut.
fn ends_with_a_process(fields: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let uid = fields.rsplit_once(",uid=").filter(|(_, uid)| number(uid));
    uid.and_then(|(rest, _)| rest.rsplit_once(",pid=")).is_some_and(|(_, pid)| number(pid))
}

/// `Memory cgroup out of memory: Killed process 7 (NAME) … oom_score_adj:0`
fn killed(line: &str, init: i32) -> Option<OomCause> {
    let (why, who) = line.split_once(": Killed process ")?;
    who.strip_prefix(&init.to_string())?.strip_prefix(" (")?;
    who.rsplit_once(" oom_score_adj:")?.1.parse::<i16>().ok()?;
    match why {
        "Memory cgroup out of memory" => Some(OomCause::Limit),
        _ => why.starts_with("Out of memory").then_some(OomCause::Outside),
    }
}

fn everybody(line: &str, group: &str) -> Option<OomCause> {
    let rest = line.strip_prefix("Tasks in ")?;
    let path = rest.strip_suffix(" are going to be killed due to memory.oom.group set")?;
    match (within(path, group), within(group, path)) {
        (true, _) => Some(OomCause::Limit),
        (false, true) => Some(OomCause::Outside),
        (false, false) => None,
    }
}

/// Whether a path is that of the group or of one below it.
fn within(path: &str, group: &str) -> bool {
    path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// As the device shows it: whatever is not printable, and the backslash, by its number.
fn escaped(path: &str) -> String {
    let shown = |byte: u8| match byte {
        b' '..=b'~' if byte != b'\\' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    path.bytes().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "/system.slice/teu-a.scope";
    const TOGETHER: &str = "are going to be killed due to memory.oom.group set";

    fn wanted() -> Wanted {
        Wanted { group: GROUP.to_owned(), init: Some(7) }
    }

    fn record(text: &str) -> Vec<u8> {
        format!("6,339,5140900,-;{text}\n SUBSYSTEM=x\n").into_bytes()
    }

    fn line(text: &str) -> Option<(Word, OomCause)> {
        said(&record(text), &wanted())
    }

    const FIELDS: &str = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=";

    /// Of the group of cpusets named `cpuset`, and a victim named `task`.
    fn victim_of(cpuset: &str, limit: &str, group: &str, task: &str) -> Option<(Word, OomCause)> {
        line(&format!("{FIELDS}{cpuset},mems_allowed=0,{limit},task_memcg={group},task={task},pid=7,uid=0"))
    }

    fn killed(limit: &str, task: &str) -> Option<(Word, OomCause)> {
        victim_of("teu-a.scope", limit, task, "touch")
    }

    const OWN: Option<(Word, OomCause)> = Some((Word::Victim, OomCause::Limit));
    const OTHER: Option<(Word, OomCause)> = Some((Word::Victim, OomCause::Outside));

    #[test]
    fn a_victim_in_the_group_tells_whose_limit_was_reached() {
        let own = |limit: &str| killed(limit, GROUP);
        assert_eq!(own(&format!("oom_memcg={GROUP}")), OWN);
        assert_eq!(own("oom_memcg=/system.slice"), OTHER);
        assert_eq!(own("global_oom"), OTHER);
        let below = format!("{GROUP}/below");
        let nested = killed(&format!("oom_memcg={below}"), &below);
        assert_eq!(nested, OWN, "as its counters say");
    }

    #[test]
    fn a_victim_elsewhere_is_none() {
        for task in ["/system.slice/teu-a.scope.d", "/system.slice", "/", "/x/system.slice/teu-a.scope"] {
            assert_eq!(killed("oom_memcg=/system.slice", task), None, "{task}");
        }
    }

    #[test]
    fn everybody_in_the_group_or_in_one_above_or_below() {
        let all = |path: &str| line(&format!("Tasks in {path} {TOGETHER}"));
        assert_eq!(all(GROUP), Some((Word::Everybody, OomCause::Limit)));
        assert_eq!(all(&format!("{GROUP}/below")), Some((Word::Everybody, OomCause::Limit)));
        assert_eq!(all("/system.slice"), Some((Word::Everybody, OomCause::Outside)));
        assert_eq!(all("/system.slice/teu-a.scope.d"), None);
    }

    #[test]
    fn only_the_kernel_is_believed() {
        let text = format!("Tasks in {GROUP} {TOGETHER}");
        let from = |priority: &str| said(format!("{priority},1,2,-;{text}\n").as_bytes(), &wanted());
        assert!(from("6").is_some());
        for priority in ["14", "30", "-1", "x", ""] {
            assert_eq!(from(priority), None, "{priority:?}");
        }
        for garbage in ["", "6", "6,1,2,-;", "6,1,2,-;oom-kill:", "6,1,2,-;oom-kill:x,task_memcg=/"] {
            assert_eq!(said(garbage.as_bytes(), &wanted()), None, "{garbage:?}");
        }
        assert_eq!(said(b"6,1,2,-;\xff", &wanted()), None);
    }

    #[test]
    fn a_line_of_a_firewall_or_one_that_was_cut_is_not_believed() {
        let paths = format!("oom_memcg={GROUP},task_memcg={GROUP},task=a");
        assert_eq!(line(&format!("{FIELDS}x,mems_allowed=0,{paths},pid=7,uid=0")), OWN);
        assert_eq!(line(&format!("oom-kill:IN=x,{paths},pid=7,uid=0")), None, "it begins otherwise");
        for end in ["", ",pid=7", ",pid=7,uid=", ",pid=7,uid=0IN=eth0 OUT=", ",pid=,uid=0"] {
            assert_eq!(line(&format!("{FIELDS}x,mems_allowed=0,{paths}{end}")), None, "{end:?}");
        }
    }

    #[test]
    fn a_group_that_is_named_like_a_field_says_nothing_of_others() {
        let forged = format!("/x.scope/,task_memcg={GROUP}");
        assert_eq!(killed("oom_memcg=/x.scope", &forged), None);
        assert_eq!(killed(&format!("oom_memcg={forged},task=a"), "/x.scope"), None);
        assert_eq!(killed(&format!("oom_memcg=/x.scope/,oom_memcg={GROUP}"), "/x.scope/a"), None);
        let global = format!("/x.scope/,global_oom,task_memcg={GROUP},task=a");
        assert_eq!(killed(&format!("oom_memcg={global}"), &global), None);
    }

    #[test]
    fn nobody_hides_by_a_name_that_looks_like_a_field() {
        for name in [",task_memcg=", ",task=", ",oom_memcg=", ",global_oom", ",pid=1,uid=1"] {
            assert_eq!(victim_of("x", &format!("oom_memcg={GROUP}"), GROUP, name), OWN, "process {name}");
            assert_eq!(victim_of(name, &format!("oom_memcg={GROUP}"), GROUP, "x"), OWN, "cpuset {name}");
            assert_eq!(victim_of(name, "global_oom", GROUP, name), OTHER, "{name}");
            assert_eq!(victim_of(name, "oom_memcg=/system.slice", GROUP, name), OTHER, "{name}");
            let below = format!("{GROUP}/{name}x");
            assert_eq!(killed(&format!("oom_memcg={below}"), &below), OWN, "group {name}");
            assert_eq!(killed("global_oom", &below), OTHER, "group {name}");
        }
    }

    #[test]
    fn that_init_is_killed_is_always_in_the_log() {
        let of = |why: &str, pid: i32, end: &str| {
            line(&format!("{why}: Killed process {pid} (a) total-vm:9kB, UID:0 pgtables:8kB{end}"))
        };
        let (memory, score) = ("Memory cgroup out of memory", " oom_score_adj:-998");
        assert_eq!(of(memory, 7, score), Some((Word::Init, OomCause::Limit)));
        assert_eq!(of("Out of memory", 7, score), Some((Word::Init, OomCause::Outside)));
        for (why, pid, end) in [(memory, 77, score), (memory, 8, score), (memory, 7, ""), ("IN=x", 7, score)]
        {
            assert_eq!(of(why, pid, end), None, "{why} {pid} {end}");
        }
        let unknown = Wanted { init: None, ..wanted() };
        let text = record(&format!("{memory}: Killed process 7 (a){score}"));
        assert_eq!(said(&text, &unknown), None, "numbers of another namespace");
    }

    /// A log of these records, of which an absent one has been overwritten.
    struct Log(std::vec::IntoIter<Option<String>>);

    impl Read for Log {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.next() {
                Some(Some(text)) => record(&text).as_slice().read(buffer),
                Some(None) => Err(std::io::Error::from_raw_os_error(libc::EPIPE)),
                None => Err(ErrorKind::WouldBlock.into()),
            }
        }
    }

    fn told_of(lines: &[Option<&str>]) -> Option<OomCause> {
        let lines: Vec<_> = lines.iter().map(|line| line.map(str::to_owned)).collect();
        told(&mut Log(lines.into_iter()), &wanted())
    }

    #[test]
    fn the_line_of_a_victim_knows_more_than_the_one_of_all_and_that_more_than_the_one_of_init() {
        let paths = format!("oom_memcg=/system.slice,task_memcg={GROUP}");
        let victim = format!("{FIELDS}x,mems_allowed=0,{paths},task=a,pid=1,uid=0");
        let (all, above) =
            (format!("Tasks in {GROUP} {TOGETHER}"), format!("Tasks in /system.slice {TOGETHER}"));
        let init = "Memory cgroup out of memory: Killed process 7 (a) oom_score_adj:0";
        assert_eq!(told_of(&[Some("x"), Some(&victim), Some(init), Some(&all)]), Some(OomCause::Outside));
        assert_eq!(
            told_of(&[Some("x"), Some(&all), Some("x")]),
            Some(OomCause::Limit),
            "the victim left out"
        );
        assert_eq!(told_of(&[Some(&above), Some(init)]), Some(OomCause::Outside));
        assert_eq!(told_of(&[Some(&above), Some(&all)]), Some(OomCause::Limit), "the last");
        assert_eq!(told_of(&[Some(init)]), Some(OomCause::Limit));
        assert_eq!(
            told_of(&[Some("x"), None, Some(init)]),
            Some(OomCause::Limit),
            "behind what was overwritten"
        );
        assert_eq!(told_of(&[Some("x"), Some("Tasks in / are"), Some("")]), None);
        assert_eq!(told_of(&[]), None);
    }

    #[test]
    fn only_the_kernel_s_log_is_opened() {
        let path = std::env::temp_dir().join(format!("teu-kmsg-{}", std::process::id()));
        std::fs::write(&path, record("x")).unwrap();
        assert!(open_log(path.to_str().unwrap()).is_none(), "a plain file");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert!(open_log(path.to_str().unwrap()).is_none(), "another device");
        std::fs::remove_file(&path).unwrap();
        assert!(open_log(path.to_str().unwrap()).is_none());
    }

    #[test]
    fn what_is_forgotten_is_not_told() {
        let path = std::env::temp_dir().join(format!("teu-forget-{}", std::process::id()));
        std::fs::write(&path, record(&format!("Tasks in {GROUP} {TOGETHER}"))).unwrap();
        let log = || KernelLog { file: File::open(&path).unwrap(), wanted: wanted() };
        let (mut read, mut forgets) = (log(), log());
        forgets.forget();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((read.told(), read.told()), (Some(OomCause::Limit), None), "once");
        assert_eq!(forgets.told(), None);
    }

    #[test]
    fn a_unit_s_name_is_looked_for_as_the_device_shows_it() {
        assert_eq!(escaped("/system.slice/a\\x2db.scope"), "/system.slice/a\\x5cx2db.scope");
        assert_eq!(escaped("/\u{e4} b\u{7f}"), "/\\xc3\\xa4 b\\x7f");
    }
}

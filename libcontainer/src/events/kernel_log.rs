//! What the kernel's log says of memory that ran out in a group: it outlives the group and its counters.
//!
//! Law: only lines of the kernel itself count, only about the group that is asked for, and only behind the place up to which everything is known.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

use super::OomCause;
use crate::cgroup::Cgroup;
use crate::sys::fs::above_stdio;

const DEVICE: &str = "/dev/kmsg";
/// No record is longer.
const RECORD: usize = 8192;
/// More than the log holds: who writes faster than we read does not keep us.
const MOST: usize = 1 << 17;
/// The machine's first cgroup namespace (PROC_CGROUP_INIT_INO, fixed since Linux 4.6), whose paths the log has.
const FIRST_NAMESPACE: &str = "cgroup:[4026531835]";

/// The log behind a place, and the group that is looked for.
#[derive(Debug)]
pub(super) struct KernelLog {
    file: File,
    group: String,
}

/// What a record says of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// Somebody in it is killed. The kernel may leave this out when memory runs out often.
    Victim(OomCause),
    /// Everybody is killed, by `memory.oom.group`; the cause is what it probably was.
    Everybody(OomCause),
}

impl KernelLog {
    /// The log from here on, for a container in a unit: systemd removes that as soon as it is empty. `None` where it cannot be read, which mostly needs
    /// CAP_SYSLOG, and where the caller knows groups by other paths.
    pub fn open(cgroup: &Cgroup) -> Option<Self> {
        let group = escaped(&cgroup.path_of_unit()?);
        if std::fs::read_link("/proc/self/ns/cgroup").ok()?.as_os_str() != FIRST_NAMESPACE {
            return None;
        }
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(DEVICE).ok()?;
        let mut file = File::from(above_stdio(OwnedFd::from(file)).ok()?);
        file.seek(SeekFrom::End(0)).ok()?;
        Some(Self { file, group })
    }

    /// Everything up to here is known. The kernel always goes there.
    pub fn forget(&mut self) {
        let _ = self.file.seek(SeekFrom::End(0));
    }

    /// Whose limit was reached, if memory ran out in the group.
    pub fn told(&mut self) -> Option<OomCause> {
        let (mut record, mut victim, mut everybody) = ([0; RECORD], None, None);
        for _ in 0..MOST {
            match self.file.read(&mut record) {
                Ok(0) => break,
                Ok(length) => match record.get(..length).and_then(|bytes| said(bytes, &self.group)) {
                    Some(Word::Victim(cause)) => victim = Some(cause),
                    Some(Word::Everybody(cause)) => everybody = Some(cause),
                    None => {}
                },
                // EPIPE: what was next has been overwritten, and the reader is behind it now.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        victim.or(everybody)
    }
}

/// A record is `priority,number,time,flags;line`, and more about it in further lines.
fn said(record: &[u8], group: &str) -> Option<Word> {
    let (head, text) = std::str::from_utf8(record).ok()?.split_once(';')?;
    // The kernel's own have facility 0, which it gives to nobody who writes to the device.
    head.split(',').next()?.parse().ok().filter(|priority: &u32| *priority < 8)?;
    let line = text.lines().next()?;
    match line.strip_prefix("oom-kill:") {
        Some(fields) => victim(fields, group).map(Word::Victim),
        None => everybody(line, group).map(Word::Everybody),
    }
}

/// `…,oom_memcg=PATH,task_memcg=PATH,task=…`; without the first where the machine's memory ran out. Since Linux 5.0.
fn victim(fields: &str, group: &str) -> Option<OomCause> {
    let (before, rest) = fields.split_once(",task_memcg=")?;
    let (task, rest) = rest.split_once(",task=")?;
    // Who names a group like a field is not believed.
    if !within(task, group) || rest.contains(",task_memcg=") {
        return None;
    }
    let limit = before.split_once(",oom_memcg=").map(|(_, limit)| limit);
    Some(limit.filter(|limit| within(limit, group)).map_or(OomCause::Outside, |_| OomCause::Limit))
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
    use std::os::unix::net::UnixDatagram;

    use super::*;

    const GROUP: &str = "/system.slice/teu-a.scope";
    const TOGETHER: &str = "are going to be killed due to memory.oom.group set";

    fn line(text: &str) -> Option<Word> {
        said(format!("6,339,5140900,-;{text}\n SUBSYSTEM=x\n").as_bytes(), GROUP)
    }

    fn killed(limit: &str, task: &str) -> Option<Word> {
        let fields = "constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=teu-a.scope,mems_allowed=0";
        line(&format!("oom-kill:{fields},{limit},task_memcg={task},task=touch,pid=7,uid=0"))
    }

    #[test]
    fn a_victim_in_the_group_tells_whose_limit_was_reached() {
        let own = |limit: &str| killed(limit, GROUP);
        assert_eq!(own(&format!("oom_memcg={GROUP}")), Some(Word::Victim(OomCause::Limit)));
        assert_eq!(own("oom_memcg=/system.slice"), Some(Word::Victim(OomCause::Outside)));
        assert_eq!(own("global_oom"), Some(Word::Victim(OomCause::Outside)));
        let below = format!("{GROUP}/below");
        let nested = killed(&format!("oom_memcg={below}"), &below);
        assert_eq!(nested, Some(Word::Victim(OomCause::Limit)), "as its counters say");
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
        assert_eq!(all(GROUP), Some(Word::Everybody(OomCause::Limit)));
        assert_eq!(all(&format!("{GROUP}/below")), Some(Word::Everybody(OomCause::Limit)));
        assert_eq!(all("/system.slice"), Some(Word::Everybody(OomCause::Outside)));
        assert_eq!(all("/system.slice/teu-a.scope.d"), None);
    }

    #[test]
    fn only_the_kernel_is_believed() {
        let text = format!("Tasks in {GROUP} {TOGETHER}");
        let from = |priority: &str| said(format!("{priority},1,2,-;{text}\n").as_bytes(), GROUP);
        assert!(from("6").is_some());
        for priority in ["14", "30", "-1", "x", ""] {
            assert_eq!(from(priority), None, "{priority:?}");
        }
        for garbage in ["", "6", "6,1,2,-;", "6,1,2,-;oom-kill:", "6,1,2,-;oom-kill:x,task_memcg=/"] {
            assert_eq!(said(garbage.as_bytes(), GROUP), None, "{garbage:?}");
        }
        assert_eq!(said(b"6,1,2,-;\xff", GROUP), None);
    }

    #[test]
    fn a_group_that_is_named_like_a_field_says_nothing_of_others() {
        let forged = format!("/x.scope/,task_memcg={GROUP}");
        assert_eq!(killed("oom_memcg=/x.scope", &forged), None);
        assert_eq!(killed(&format!("oom_memcg={forged},task=a"), "/x.scope"), None);
    }

    /// What a log with these lines tells; a datagram is read as a whole, as a record is.
    fn told(lines: &[&str]) -> Option<OomCause> {
        let (device, kernel) = UnixDatagram::pair().unwrap();
        device.set_nonblocking(true).unwrap();
        for line in lines {
            kernel.send(format!("6,1,2,-;{line}\n").as_bytes()).unwrap();
        }
        let mut log = KernelLog { file: File::from(OwnedFd::from(device)), group: GROUP.to_owned() };
        let told = log.told();
        assert_eq!(log.told(), None, "what was read is not told again");
        told
    }

    #[test]
    fn the_line_of_a_victim_knows_more_than_the_one_of_all() {
        let victim = format!("oom-kill:x,oom_memcg=/system.slice,task_memcg={GROUP},task=a,pid=1,uid=0");
        let all = format!("Tasks in {GROUP} {TOGETHER}");
        assert_eq!(told(&["x", &victim, "Killed process 1", &all]), Some(OomCause::Outside));
        assert_eq!(told(&["x", &all, "x"]), Some(OomCause::Limit), "the kernel left the other one out");
        assert_eq!(told(&["x", "Tasks in / are", ""]), None);
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn a_unit_s_name_is_looked_for_as_the_device_shows_it() {
        assert_eq!(escaped("/system.slice/a\\x2db.scope"), "/system.slice/a\\x5cx2db.scope");
        assert_eq!(escaped("/\u{e4} b\u{7f}"), "/\\xc3\\xa4 b\\x7f");
    }
}

//! The probe: a static program that runs as the container's process and tells what it sees.
//!
//! Its arguments are a list of ops, done in order. An observing op adds one key (its own text) to the report; `say` prints
//! the report so far as one line of JSON, and so does the end of the list. A failed attempt is reported by its errno's name.
//!
//! Observations: `status mounts fds cwd env args limits ns cgroup hostname pid loopback clock:NUMBER machine isatty:N stat:P lstat:P readlink:P
//! statfs:P read:P list:P tty:N sched ioprio mempolicy keyring
//! keyserial keylabel label:P`. Attempts: `open:P openrw:P write:P=TEXT mkdir:P unlink:P mknod:P:TYPE:MAJOR:MINOR mount:TYPE:P
//! umount:P forks:N touch:BYTES kill:PID:SIGNAL call:NUMBER:ARG.. child:OP thread:NUMBER sethostname:NAME notify:TEXT`. Acts: `say exit:N sleep deaf tree:N daemon to:FILE print:TEXT cat die:SIGNAL`.

mod children;
mod security;

use children::{daemon, forks, tree_of};
use std::ffi::{CString, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

const SIGTERM: c_int = 15;
const SIGKILL: c_int = 9;
const SIG_IGN: usize = 1;
const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

unsafe extern "C" {
    fn fork() -> c_int;
    fn pause() -> c_int;
    fn setsid() -> c_int;
    fn dup2(from: c_int, to: c_int) -> c_int;
    fn getpid() -> c_int;
    fn getppid() -> c_int;
    fn getsid(pid: c_int) -> c_int;
    fn getpgrp() -> c_int;
    fn _exit(code: c_int) -> !;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn signal(number: c_int, handler: usize) -> usize;
    fn isatty(fd: c_int) -> c_int;
    fn tcgetsid(fd: c_int) -> c_int;
    fn ttyname_r(fd: c_int, name: *mut c_char, len: usize) -> c_int;
    fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn pipe(ends: *mut c_int) -> c_int;
    fn read(fd: c_int, data: *mut c_void, len: usize) -> isize;
    fn write(fd: c_int, data: *const c_void, len: usize) -> isize;
    fn mknod(path: *const c_char, mode: c_uint, device: c_ulong) -> c_int;
    fn sethostname(name: *const c_char, len: usize) -> c_int;
    fn clock_gettime(clock: c_int, out: *mut c_long) -> c_int;
    fn uname(out: *mut u8) -> c_int;
    fn umount(path: *const c_char) -> c_int;
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    // On 64-bit Linux struct statfs is fifteen longs.
    fn statfs(path: *const c_char, out: *mut c_long) -> c_int;
}

fn main() {
    let mut report = Report::default();
    for op in std::env::args().skip(1) {
        report.act(&op);
    }
    report.say();
}

/// One JSON object under construction.
#[derive(Default)]
struct Report(String);

impl Report {
    fn act(&mut self, op: &str) {
        let (verb, object) = op.split_once(':').unwrap_or((op, ""));
        match verb {
            "say" => self.say(),
            "exit" => {
                self.say();
                std::process::exit(object.parse().unwrap_or(0));
            }
            "sleep" => {
                self.say();
                sleep();
            }
            // SAFETY: ignoring a signal touches no memory.
            "deaf" => drop(unsafe { signal(SIGTERM, SIG_IGN) }),
            "die" => self.die(object.parse().unwrap_or(SIGKILL)),
            "daemon" => daemon(),
            "count" => count(object),
            "to" => redirect(object),
            "print" => print(&format!("{object}\n")),
            "cat" => drop(io::copy(&mut io::stdin(), &mut io::stdout())),
            _ => self.note(op, &observe(verb, object)),
        }
    }

    fn note(&mut self, key: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        let _ = write!(self.0, "{}:{value}", text(key));
    }

    fn say(&mut self) {
        if !self.0.is_empty() {
            print(&format!("{}}}\n", self.0));
            self.0.clear();
        }
    }

    fn die(&mut self, number: c_int) {
        self.say();
        // SAFETY: sends a signal to ourselves.
        unsafe { kill(getpid(), number) };
    }
}

/// Reports go to a file from here on.
fn redirect(path: &str) {
    use std::os::fd::AsRawFd;
    if let Ok(file) = File::create(path) {
        // SAFETY: takes two numbers; the file's own descriptor is closed at the end of the block.
        unsafe { dup2(file.as_raw_fd(), 1) };
    }
}

fn print(line: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

/// Makes a file longer and longer: who watches it sees whether we run.
fn count(path: &str) {
    let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path) else { return };
    while file.write_all(b".").is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

fn sleep() -> ! {
    loop {
        // SAFETY: waits for a signal, touches no memory.
        unsafe { pause() };
    }
}

fn observe(verb: &str, object: &str) -> String {
    match verb {
        "status" => pairs("/proc/self/status"),
        "mounts" => json(mounts()),
        "fds" => json(fds()),
        "cwd" => json(std::env::current_dir().map(|path| text(&path.to_string_lossy()))),
        "env" => json(raw_list("/proc/self/environ")),
        "args" => list(std::env::args().map(|arg| text(&arg))),
        "limits" => json(limits()),
        "ns" => object_of(
            NAMESPACES.iter().map(|kind| ((*kind).into(), readlink(&format!("/proc/self/ns/{kind}")))),
        ),
        "cgroup" => json(fs::read_to_string("/proc/self/cgroup").map(|all| list(all.lines().map(text)))),
        "hostname" => read_text("/proc/sys/kernel/hostname"),
        "pid" => ids(),
        "clock" => clock(object.parse().unwrap_or(0)).to_string(),
        "machine" => machine(),
        "loopback" => attempt(loopback()),
        // SAFETY: asks about a descriptor, touches no memory.
        "isatty" => (unsafe { isatty(object.parse().unwrap_or(0)) } == 1).to_string(),
        "tty" => terminal(object.parse().unwrap_or(0)),
        "sched" => json(scheduling()),
        "ioprio" => json(io_priority()),
        "keyring" => json(security::keyring()),
        "keyserial" => json(security::key_serial()),
        "keylabel" => json(security::key_label()),
        "label" => json(security::label(object)),
        "mempolicy" => json(memory_policy()),
        "stat" => json(fs::metadata(object).map(|meta| inode(&meta))),
        "lstat" => json(fs::symlink_metadata(object).map(|meta| inode(&meta))),
        "readlink" => readlink(object),
        "statfs" => json(filesystem(object)),
        "read" => read_text(object),
        "list" => json(names(object)),
        "tree" => tree_of(object.parse().unwrap_or(0)).to_string(),
        _ => attempted(verb, object),
    }
}

fn attempted(verb: &str, object: &str) -> String {
    match verb {
        "open" => attempt(File::open(object)),
        "openrw" => attempt(OpenOptions::new().read(true).write(true).open(object)),
        "write" => attempt(write_text(object)),
        "mkdir" => attempt(fs::create_dir(object)),
        "unlink" => attempt(fs::remove_file(object)),
        "chmod" => attempt(fs::set_permissions(object, fs::Permissions::from_mode(0o700))),
        "mknod" => attempt(make_node(object)),
        "mount" => attempt(make_mount(object)),
        // SAFETY: the path is a C string that outlives the call.
        "umount" => attempt(path(object).and_then(|target| done(unsafe { umount(target.as_ptr()) }))),
        "forks" => forks(object.parse().unwrap_or(0)).to_string(),
        "notify" => attempt(notify(object)),
        "touch" => touch(object.parse().unwrap_or(0)).to_string(),
        "kill" => attempt(send(object)),
        "call" => attempt(call(object)),
        "child" => text(&child(object)),
        "thread" => text(thread(object)),
        // SAFETY: the name outlives the call, and its length is given.
        "sethostname" => attempt(done(unsafe { sethostname(object.as_ptr().cast(), object.len()) })),
        other => text(&format!("no such op: {other}")),
    }
}

// JSON

fn text(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => drop(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out + "\""
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn object_of(entries: impl Iterator<Item = (String, String)>) -> String {
    format!(
        "{{{}}}",
        entries.map(|(key, value)| format!("{}:{value}", text(&key))).collect::<Vec<_>>().join(",")
    )
}

fn json(result: io::Result<String>) -> String {
    result.unwrap_or_else(|error| text(&errno(&error)))
}

fn attempt<T>(result: io::Result<T>) -> String {
    text(&result.map_or_else(|error| errno(&error), |_| "ok".into()))
}

fn errno(error: &io::Error) -> String {
    let name = match error.raw_os_error() {
        Some(1) => "EPERM",
        Some(2) => "ENOENT",
        Some(3) => "ESRCH",
        Some(6) => "ENXIO",
        Some(11) => "EAGAIN",
        Some(13) => "EACCES",
        Some(16) => "EBUSY",
        Some(17) => "EEXIST",
        Some(20) => "ENOTDIR",
        Some(21) => "EISDIR",
        Some(22) => "EINVAL",
        Some(28) => "ENOSPC",
        Some(30) => "EROFS",
        Some(40) => "ELOOP",
        Some(number) => return format!("errno {number}"),
        None => return error.to_string(),
    };
    name.into()
}

// What /proc and the kernel say

fn read_text(path: &str) -> String {
    let mut content = Vec::new();
    let result = File::open(path).and_then(|file| file.take(1 << 16).read_to_end(&mut content));
    json(result.map(|_| text(String::from_utf8_lossy(&content).trim_end_matches('\n'))))
}

fn pairs(path: &str) -> String {
    json(fs::read_to_string(path).map(|all| {
        let split =
            |line: &str| line.split_once(':').map(|(key, value)| (key.to_string(), text(value.trim())));
        object_of(all.lines().filter_map(split))
    }))
}

fn raw_list(path: &str) -> io::Result<String> {
    let raw = fs::read(path)?;
    let entries = raw.split(|byte| *byte == 0).map(|entry| text(&String::from_utf8_lossy(entry)));
    let count = raw.iter().filter(|byte| **byte == 0).count();
    Ok(list(entries.take(count)))
}

fn mounts() -> io::Result<String> {
    let all = fs::read_to_string("/proc/self/mountinfo")?;
    let entry = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let field = |list: &[&str], index: usize| text(list.get(index).copied().unwrap_or_default());
        Some(object_of(
            [
                ("device", field(&left, 2)),
                ("root", field(&left, 3)),
                ("point", field(&left, 4)),
                ("options", field(&left, 5)),
                ("propagation", text(&left.get(6..).unwrap_or_default().join(" "))),
                ("type", field(&right, 0)),
                ("source", field(&right, 1)),
                ("super", field(&right, 2)),
            ]
            .into_iter()
            .map(|(key, value)| (key.to_string(), value)),
        ))
    };
    Ok(list(all.lines().filter_map(entry)))
}

/// The open descriptors; the one that read the directory is closed again and so drops out.
fn fds() -> io::Result<String> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        numbers.extend(entry?.file_name().to_string_lossy().parse::<u32>());
    }
    numbers.sort_unstable();
    let link = |fd: u32| fs::read_link(format!("/proc/self/fd/{fd}")).ok().map(|to| (fd, to));
    let entries = numbers.into_iter().filter_map(link);
    Ok(object_of(entries.map(|(fd, to)| (fd.to_string(), text(&to.to_string_lossy())))))
}

fn limits() -> io::Result<String> {
    let all = fs::read_to_string("/proc/self/limits")?;
    let row = |line: &str| {
        let mut words = line.get(26..)?.split_whitespace();
        let pair = list([words.next()?, words.next()?].into_iter().map(text));
        Some((line.get(..26)?.trim().to_string(), pair))
    };
    Ok(object_of(all.lines().skip(1).filter_map(row)))
}

fn ids() -> String {
    // SAFETY: these calls only return numbers.
    let all = unsafe { [("pid", getpid()), ("ppid", getppid()), ("sid", getsid(0)), ("pgrp", getpgrp())] };
    object_of(all.into_iter().map(|(key, value)| (key.to_string(), value.to_string())))
}

/// A terminal's name, its session and its size.
fn terminal(fd: c_int) -> String {
    let mut name = [0; 64];
    // SAFETY: the buffer is given with its length.
    let named = unsafe { ttyname_r(fd, name.as_mut_ptr(), name.len()) } == 0;
    let bytes: Vec<u8> = name.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
    let mut size = [0_u16; 4];
    // SAFETY: TIOCGWINSZ writes a struct winsize: four short numbers.
    unsafe { ioctl(fd, 0x5413, size.as_mut_ptr()) };
    let entries = [
        ("name", if named { text(&String::from_utf8_lossy(&bytes)) } else { text("none") }),
        // SAFETY: asks about a descriptor, touches no memory.
        ("sid", unsafe { tcgetsid(fd) }.to_string()),
        ("rows", size[0].to_string()),
        ("columns", size[1].to_string()),
    ];
    object_of(entries.into_iter().map(|(key, value)| (key.to_string(), value)))
}

/// Numbers of the calls that the C library does not wrap: sched_getattr, ioprio_get, get_mempolicy, keyctl.
const CALLS: [c_long; 4] =
    if cfg!(target_arch = "x86_64") { [315, 252, 239, 250] } else { [275, 31, 236, 219] };

/// `struct sched_attr` of 48 bytes, as six words.
fn scheduling() -> io::Result<String> {
    let mut attr = [0_u64; 6];
    // SAFETY: the kernel writes as many bytes as it is told.
    checked(unsafe { syscall(CALLS[0], 0, attr.as_mut_ptr(), 48, 0) })?;
    let [head, flags, nice, runtime, deadline, period] = attr;
    let entries = [
        ("policy", (head >> 32).to_string()),
        ("flags", flags.to_string()),
        ("nice", (nice as u32 as i32).to_string()),
        ("priority", (nice >> 32).to_string()),
        ("runtime", runtime.to_string()),
        ("deadline", deadline.to_string()),
        ("period", period.to_string()),
    ];
    Ok(object_of(entries.into_iter().map(|(key, value)| (key.to_string(), value))))
}

/// Class and level of this process.
fn io_priority() -> io::Result<String> {
    const WHO_PROCESS: c_int = 1;
    // SAFETY: takes numbers.
    let both = checked(unsafe { syscall(CALLS[1], WHO_PROCESS, 0) })?;
    Ok(text(&format!("{}:{}", both >> 13, both & 0x1fff)))
}

/// Mode with its flags, and the first nodes as a mask.
fn memory_policy() -> io::Result<String> {
    let (mut mode, mut nodes) = (0 as c_int, [0_u64; 16]);
    // SAFETY: the mask has as many bits as the kernel is told.
    checked(unsafe { syscall(CALLS[2], &raw mut mode, nodes.as_mut_ptr(), 1024_usize, 0_usize, 0_usize) })?;
    Ok(text(&format!("{mode:#x}:{:#x}", nodes[0])))
}

/// Says a word to the service manager; `|` ends a line.
fn notify(object: &str) -> io::Result<()> {
    let path = std::env::var("NOTIFY_SOCKET").map_err(|_| io::Error::from(io::ErrorKind::NotFound))?;
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    socket.send_to(object.replace('|', "\n").as_bytes(), path).map(drop)
}

fn checked(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A clock in nanoseconds; on 64-bit Linux struct timespec is two longs.
fn clock(number: c_int) -> c_long {
    let mut out: [c_long; 2] = [0; 2];
    // SAFETY: the array holds a timespec, which the call fills.
    unsafe { clock_gettime(number, out.as_mut_ptr()) };
    out[0] * 1_000_000_000 + out[1]
}

/// The fifth of the six names of 65 bytes in struct utsname.
fn machine() -> String {
    let mut names = [0u8; 65 * 6];
    // SAFETY: the array is a struct utsname, which the call fills.
    unsafe { uname(names.as_mut_ptr()) };
    let name = names[65 * 4..].split(|byte| *byte == 0).next().unwrap_or_default();
    text(&String::from_utf8_lossy(name))
}

fn readlink(path: &str) -> String {
    json(fs::read_link(path).map(|to| text(&to.to_string_lossy())))
}

fn names(path: &str) -> io::Result<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        found.push(entry?.file_name().to_string_lossy().into_owned());
    }
    found.sort();
    Ok(list(found.iter().map(|name| text(name))))
}

fn inode(meta: &fs::Metadata) -> String {
    let kind = meta.file_type();
    let kinds = [
        (kind.is_file(), "f"),
        (kind.is_dir(), "d"),
        (kind.is_symlink(), "l"),
        (kind.is_char_device(), "c"),
        (kind.is_block_device(), "b"),
        (kind.is_fifo(), "p"),
    ];
    let kind = kinds.iter().find(|(is, _)| *is).map_or("s", |(_, name)| name);
    // The kernel's wide encoding of a device number, narrow enough for the devices of the tests.
    let (major, minor) = ((meta.rdev() >> 8) & 0xfff, (meta.rdev() & 0xff) | ((meta.rdev() >> 12) & 0xfff00));
    let entries = [
        ("kind", text(kind)),
        ("mode", text(&format!("{:04o}", meta.mode() & 0o7777))),
        ("uid", meta.uid().to_string()),
        ("gid", meta.gid().to_string()),
        ("rdev", text(&format!("{major}:{minor}"))),
        ("ino", meta.ino().to_string()),
        ("size", meta.size().to_string()),
    ];
    object_of(entries.into_iter().map(|(key, value)| (key.to_string(), value)))
}

fn path(of: &str) -> io::Result<CString> {
    CString::new(of).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn done(code: c_int) -> io::Result<()> {
    if code < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn filesystem(of: &str) -> io::Result<String> {
    let mut out: [c_long; 16] = [0; 16];
    let target = path(of)?;
    // SAFETY: the buffer is larger than struct statfs, the path is a C string; both outlive the call.
    done(unsafe { statfs(target.as_ptr(), out.as_mut_ptr()) })?;
    let entries = [("type", text(&format!("{:x}", out[0]))), ("bytes", (out[1] * out[2]).to_string())];
    Ok(object_of(entries.into_iter().map(|(key, value)| (key.to_string(), value))))
}

// Attempts

fn write_text(object: &str) -> io::Result<()> {
    let (path, content) = object.split_once('=').unwrap_or((object, "x"));
    OpenOptions::new().write(true).create(true).open(path)?.write_all(content.as_bytes())
}

fn make_node(object: &str) -> io::Result<()> {
    let words: Vec<&str> = object.split(':').collect();
    let [name, kind, major, minor] = words.as_slice() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let kind = if *kind == "b" { 0o060_000 } else { 0o020_000 };
    let number =
        |word: &str| word.parse::<c_ulong>().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    let (major, minor, name) = (number(major)?, number(minor)?, path(name)?);
    // SAFETY: the path is a C string that outlives the call.
    done(unsafe { mknod(name.as_ptr(), kind | 0o600, (major << 8) | minor) })
}

fn make_mount(object: &str) -> io::Result<()> {
    let (kind, target) = object.split_once(':').unwrap_or(("tmpfs", object));
    let (kind, target) = (path(kind)?, path(target)?);
    // SAFETY: all three paths are C strings that outlive the call; there is no data.
    done(unsafe { mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) })
}

fn send(object: &str) -> io::Result<()> {
    let (pid, number) = object.split_once(':').unwrap_or((object, "0"));
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
    // SAFETY: sends a signal, touches no memory.
    done(unsafe { kill(pid.parse().map_err(invalid)?, number.parse().map_err(invalid)?) })
}

fn loopback() -> io::Result<TcpStream> {
    TcpStream::connect(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn touch(bytes: usize) -> usize {
    let block = vec![1_u8; bytes];
    block.iter().step_by(4096).map(|byte| usize::from(*std::hint::black_box(byte))).sum()
}

/// A system call by its number, with arguments that are numbers; `call:` may stand before it.
fn call(object: &str) -> io::Result<()> {
    let mut numbers =
        object.trim_start_matches("call:").split(':').map(|word| word.parse::<u64>().unwrap_or(0));
    let number = numbers.next().unwrap_or(u64::MAX) as c_long;
    let mut args = [0_u64; 6];
    args.iter_mut().zip(numbers).for_each(|(place, arg)| *place = arg);
    let [a, b, c, d, e, f] = args;
    // SAFETY: the tests name calls that take numbers only, or such that do not exist.
    match unsafe { syscall(number, a, b, c, d, e, f) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// How a child ends that does one more op.
fn child(op: &str) -> String {
    // SAFETY: the probe has one thread, so the child may do anything.
    match unsafe { fork() } {
        0 => {
            let (verb, object) = op.split_once(':').unwrap_or((op, ""));
            observe(verb, object);
            // SAFETY: ends the child, which has nothing to say.
            unsafe { _exit(0) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: the status is written to a number that outlives the call.
            unsafe { waitpid(pid, &mut status, 0) };
            if status & 0x7f == 0 {
                format!("exit {}", status >> 8)
            } else {
                format!("signal {}", status & 0x7f)
            }
        }
    }
}

/// Whether a thread that makes a call lives on. A thread that the kernel ends cannot be joined: it is looked for.
fn thread(object: &str) -> &'static str {
    use std::sync::atomic::{AtomicBool, Ordering};
    static LIVES: AtomicBool = AtomicBool::new(false);
    let object = object.to_owned();
    std::thread::spawn(move || {
        let _ = call(&object);
        LIVES.store(true, Ordering::SeqCst);
        sleep();
    });
    loop {
        let alone = fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1);
        match (LIVES.load(Ordering::SeqCst), alone) {
            (true, _) => return "the thread lives",
            (false, true) => return "the thread is gone",
            (false, false) => std::thread::yield_now(),
        }
    }
}

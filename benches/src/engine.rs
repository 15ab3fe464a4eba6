//! A configuration as an engine writes it: 40 mounts, Docker's whole seccomp profile, its capabilities and masks. What reading and planning it costs
//! inside a process, and what `create` with it costs each runtime.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use teu::{CreateOptions, Id, Spec};

use crate::bundle::{Bundle, PROGRAM};
use crate::failure::Result;
use crate::lab::HOME;
use crate::process;
use crate::run::{self, OURS, Run};
use crate::runtime::Runtime;
use crate::seccomp::PROFILE;
use crate::section::Section;
use crate::stats::Samples;

const SECTION: Section = Section::Engine;
/// Files and folders of the bundle that are bound into the container, as the volumes and secrets of an engine are.
const BINDS: usize = 30;
/// In each round, inside the process.
const PLANS: usize = 10;

/// The measures inside the process: the text to a checked configuration, that to the plan with the facts about the machine still to be read, and again.
pub const CALLS: [&str; 3] = ["read", "first plan", "plan"];
/// The measure of the command.
pub const CREATE: &str = "create";

const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Measures in interleaved rounds, of which the first warms caches and is thrown away.
pub fn measure(run: &Run, samples: &mut Samples) -> Result<()> {
    let bundle = bundle()?;
    let json = fs::read(bundle.path.join("config.json"))?;
    let mut runtimes: Vec<&Runtime> = run.runtimes.iter().collect();
    for round in 0..=run::balanced(run.rounds, runtimes.len()) {
        for _ in 0..PLANS {
            for (call, took) in CALLS.iter().zip(calls(&bundle, &json)?).filter(|_| round > 0) {
                samples.time(SECTION, OURS, call, took);
            }
        }
        let id = run.id(format!("engine{round}"));
        run::take_turns(&mut runtimes, round, |runtime| match create(runtime, &bundle, &id) {
            Ok(took) => {
                if round > 0 {
                    samples.time(SECTION, &runtime.name, CREATE, took);
                }
                true
            }
            Err(error) => {
                samples.fail(SECTION, &runtime.name, &error.to_string());
                false
            }
        });
        process::reap_orphans();
    }
    Ok(())
}

/// With a runtime that knows nothing yet; what each call took.
fn calls(bundle: &Bundle, json: &[u8]) -> Result<[Duration; 3]> {
    let (id, options) = (Id::new("engine")?, CreateOptions::default());
    let runtime = teu::Runtime::at(Path::new(HOME).join("engine-state"))?;
    let begun = Instant::now();
    let spec = Spec::from_json(&bundle.path, json)?;
    let read = begun.elapsed();
    let begun = Instant::now();
    let first = runtime.plan(&id, &spec, &options)?;
    let first_took = begun.elapsed();
    let begun = Instant::now();
    let again = runtime.plan(&id, &spec, &options)?;
    let took = begun.elapsed();
    drop((first, again));
    Ok([read, first_took, took])
}

/// What `create` took; the container is gone afterwards.
fn create(runtime: &Runtime, bundle: &Bundle, id: &str) -> Result<Duration> {
    let created = runtime.create(&bundle.path, id)?;
    created.init.end()?;
    runtime.force_delete(id)?;
    Ok(created.took)
}

/// The bundle, written anew.
pub fn bundle() -> Result<Bundle> {
    write(&Path::new(HOME).join("engine-bundle"))
}

/// The bundle, with the sources and the targets of all its mounts.
fn write(path: &Path) -> Result<Bundle> {
    let bundle = Bundle::write(path, None)?;
    let (volumes, inside) = (path.join("volumes"), bundle.rootfs().join("volumes"));
    for folder in [&volumes, &inside, &bundle.rootfs().join("etc")] {
        fs::create_dir_all(folder)?;
    }
    for name in ["hostname", "hosts", "resolv.conf"] {
        File::create(path.join(name))?;
        File::create(bundle.rootfs().join("etc").join(name))?;
    }
    for index in 0..BINDS {
        for place in [&volumes, &inside] {
            let place = place.join(index.to_string());
            if is_file(index) { File::create(place).map(drop) } else { fs::create_dir_all(place) }?;
        }
    }
    fs::write(path.join("config.json"), serde_json::to_vec(&config(path)?)?)?;
    Ok(bundle)
}

fn is_file(index: usize) -> bool {
    index % 2 == 0
}

fn config(bundle: &Path) -> Result<Value> {
    Ok(json!({
        "ociVersion": "1.0.2",
        "process": process(),
        "root": { "path": bundle.join("rootfs") },
        "hostname": "0123456789ab",
        "mounts": mounts(bundle),
        "annotations": { "org.example.image": "tiny:latest", "org.example.sandbox": "0123456789ab" },
        "linux": linux()?,
    }))
}

fn process() -> Value {
    json!({
        "user": { "uid": 0, "gid": 0, "additionalGids": [0, 1, 2, 3, 4, 6, 10, 11, 20, 26, 27] },
        "args": [PROGRAM],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=0123456789ab", "HOME=/root"],
        "cwd": "/",
        "capabilities": { "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES },
        "oomScoreAdj": 0,
    })
}

/// Docker's own ten, and the binds.
fn mounts(bundle: &Path) -> Vec<Value> {
    let kernel = ["nosuid", "noexec", "nodev"];
    let read_only = ["nosuid", "noexec", "nodev", "ro"];
    let pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &kernel),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", "devpts", &pts),
        mount("/sys", "sysfs", "sysfs", &read_only),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &read_only),
        mount("/dev/mqueue", "mqueue", "mqueue", &kernel),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]),
    ];
    for name in ["resolv.conf", "hostname", "hosts"] {
        let source = bundle.join(name).display().to_string();
        mounts.push(mount(&format!("/etc/{name}"), "bind", &source, &["rbind", "rprivate"]));
    }
    for index in 0..BINDS {
        let source = bundle.join(format!("volumes/{index}")).display().to_string();
        let access = if index % 3 == 0 { "ro" } else { "rw" };
        mounts.push(mount(&format!("/volumes/{index}"), "bind", &source, &["rbind", access, "rprivate"]));
    }
    mounts
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": kind, "source": source, "options": options })
}

fn linux() -> Result<Value> {
    let namespaces = ["mount", "network", "uts", "pid", "ipc", "cgroup"].map(|kind| json!({ "type": kind }));
    let nodes = [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)];
    let mut rules = vec![json!({ "allow": false, "access": "rwm" })];
    rules.extend(nodes.map(|(major, minor)| {
        json!({ "allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm" })
    }));
    Ok(json!({
        "resources": { "devices": rules },
        "namespaces": namespaces,
        "seccomp": serde_json::from_str::<Value>(PROFILE)?,
        "maskedPaths": [
            "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
            "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_forty_mounts_and_teu_reads_it() {
        let bundle = Path::new("/bundle");
        assert_eq!(mounts(bundle).len(), 40);
        let spec = Spec::from_json(bundle, config(bundle).unwrap().to_string().as_bytes()).unwrap();
        assert!(spec.warnings().is_empty(), "{:?}", spec.warnings());
    }
}

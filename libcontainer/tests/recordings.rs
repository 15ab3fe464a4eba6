//! What container engines really gave a runtime: configurations, processes and limits, as `cargo xt record` has heard them. All of it must
//! become plans. Nothing is created here; `conformance` plays some of these calls with real containers.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use std::path::{Path, PathBuf};

use serde_json::Value;
use teu::cgroup::CgroupRecord;
use teu::plan::{Shape, Target, compile, compile_exec, verify};
use teu::{Host, Id, Spec};

mod support;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// File and call, in order.
fn calls() -> Vec<(String, Value)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engines/corpus");
    let clients = files(&corpus).into_iter().filter(|path| path.is_dir());
    let read = |file: PathBuf| {
        let calls: Vec<Value> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        calls.into_iter().map(move |call| (file.display().to_string(), call))
    };
    clients.flat_map(|client| files(&client)).flat_map(read).collect()
}

/// The machine of the recordings: a user's podman runs in a user namespace that has everything the user was given.
fn host(file: &str) -> Host {
    support::host(if file.contains("rootless") { "nested-root" } else { "hybrid" })
}

#[test]
fn every_configuration_becomes_a_plan_that_keeps_the_laws() {
    let mut count = 0;
    for (file, call) in calls() {
        let Some(config) = call.get("config") else { continue };
        let spec = Spec::from_json("/bundle", config.to_string().as_bytes());
        let spec = spec.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(spec.warnings().is_empty(), "{file}: {:?}", spec.warnings());
        let plan = compile(&Id::new("web").unwrap(), &spec, &host(&file), &Shape::default());
        let plan = plan.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(verify::verify(&plan.program), Ok(()), "{file}");
        count += 1;
    }
    assert!(count > 20, "{count} configurations");
}

#[test]
fn every_further_process_becomes_a_plan() {
    let (mut count, mut of) = (0, None);
    for (file, call) in calls() {
        of = call.get("config").cloned().or(of);
        let Some(process) = call.get("process") else { continue };
        // The configuration of the container itself may not have been kept: any of the same client will do.
        let config = of.as_ref().unwrap().to_string();
        let container = Spec::from_json("/bundle", config.as_bytes()).unwrap();
        let (id, host) = (Id::new("web").unwrap(), host(&file));
        let plan = compile(&id, &container, &host, &Shape::default()).unwrap();
        let spec = container.with_process(process.to_string().as_bytes());
        let spec = spec.unwrap_or_else(|error| panic!("{file}: {error}"));
        let target = Target { id: &id, spec: &spec, cgroup: &CgroupRecord::intent(&plan.cgroup) };
        compile_exec(&target, &host, &Shape::default()).unwrap_or_else(|error| panic!("{file}: {error}"));
        count += 1;
    }
    assert!(count > 15, "{count} processes");
}

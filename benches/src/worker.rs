//! Workers: processes of this same program that measure from inside, one line in, one line out.
//!
//! The floor and the in-process runtime must be called by a process of known size and nothing else, so each has its own:
//! `cycle N` answers the nanoseconds of N containers, each as its phases with commas between, `threads T N` those of N containers on each of T threads together.

use std::fs;
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use crate::concurrency::together;
use crate::failure::{Result, While, refuse};
use crate::floor::{Floor, Variant};
use crate::heap::Heap;
use crate::inprocess::Engine;
use crate::lab::{CGROUPS, ENGINE, HOME};
use crate::process;

const START_LIMIT: Duration = Duration::from_secs(60);
/// This program.
const OWN: &str = "/proc/self/exe";
const MIB: usize = 1024 * 1024;

/// What a worker measures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The floor, as much of it as the variant says.
    Floor(Variant),
    /// teu called as a library by a process with this many MiB of touched heap.
    InProcess(usize),
    /// The same, and the bundle is read for each container.
    Reading,
    /// The library called by a program in C with this many MiB of touched heap.
    C(usize),
}

impl Kind {
    fn arguments(self) -> [String; 2] {
        match self {
            Kind::Floor(Variant::Plain) => ["floor".into(), "0".into()],
            Kind::Floor(Variant::Full) => ["floor-full".into(), "0".into()],
            Kind::Floor(Variant::Gated) => ["floor-gated".into(), "0".into()],
            Kind::InProcess(heap) => ["in-process".into(), heap.to_string()],
            Kind::Reading => ["reading".into(), "0".into()],
            Kind::C(heap) => ["c".into(), heap.to_string()],
        }
    }

    /// What is executed. Rust and C are compared from copies of their own: pages that another worker of the same program has just used are warm, and
    /// only one of the two would have such a neighbour.
    fn program(self, id: &str) -> Result<PathBuf> {
        let shared = match self {
            Kind::C(_) => ENGINE,
            Kind::Reading => OWN,
            _ => return Ok(OWN.into()),
        };
        let copy = Path::new(HOME).join(format!("{id}-program"));
        fs::copy(shared, &copy).doing(|| format!("copy {shared}"))?;
        Ok(copy)
    }

    /// Bytes.
    fn heap(self) -> usize {
        match self {
            Kind::Floor(_) | Kind::Reading => 0,
            Kind::InProcess(heap) | Kind::C(heap) => heap * MIB,
        }
    }

    fn from_arguments(name: &str, heap: &str) -> Result<Kind> {
        match name {
            "floor" => Ok(Kind::Floor(Variant::Plain)),
            "floor-full" => Ok(Kind::Floor(Variant::Full)),
            "floor-gated" => Ok(Kind::Floor(Variant::Gated)),
            "reading" => Ok(Kind::Reading),
            "in-process" => Ok(Kind::InProcess(heap.parse()?)),
            other => refuse(format!("--worker {other}: no such worker")),
        }
    }
}

/// A worker, seen from the process that asks.
pub struct Worker {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a worker on `bundle` whose containers and cgroups begin with `id`.
    pub fn start(kind: Kind, bundle: &Path, id: &str) -> Result<Worker> {
        let [name, heap] = kind.arguments();
        let mut command = process::command(&kind.program(id)?);
        match kind {
            Kind::C(_) => command.arg(id).arg(bundle).arg(state_root(id)).arg(&heap),
            _ => command.args(["--worker", &name, &heap, id]).arg(bundle),
        };
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return refuse("a worker without pipes");
        };
        let mut worker = Worker { child, questions, answers: BufReader::new(answers) };
        worker.ask("cycle 0", START_LIMIT).doing(|| format!("worker {name} {heap}"))?;
        Ok(worker)
    }

    /// The phases of `count` containers, one after the other.
    pub fn cycles(&mut self, count: usize) -> Result<Vec<Vec<Duration>>> {
        self.ask(&format!("cycle {count}"), process::LIMIT)
    }

    /// What `count` rounds of single calls took.
    pub fn calls(&mut self, count: usize) -> Result<Vec<Vec<Duration>>> {
        self.ask(&format!("calls {count}"), process::LIMIT)
    }

    /// The time of `count` containers on each of `threads` threads together.
    pub fn threads(&mut self, threads: usize, count: usize) -> Result<Duration> {
        let times = self.ask(&format!("threads {threads} {count}"), process::LIMIT)?;
        times.concat().first().copied().map_or_else(|| refuse("no answer"), Ok)
    }

    fn ask(&mut self, question: &str, limit: Duration) -> Result<Vec<Vec<Duration>>> {
        writeln!(self.questions, "{question}")?;
        if !process::readable(self.answers.get_ref().as_fd(), limit)? {
            return refuse(format!("worker: {question}: no answer within {limit:?}"));
        }
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        match answer.strip_prefix("error ") {
            Some(why) => refuse(why.trim()),
            None if answer.is_empty() => refuse(format!("worker: {question}: it died")),
            None => answer.split_whitespace().map(phases).collect(),
        }
    }
}

fn state_root(id: &str) -> PathBuf {
    Path::new(HOME).join(format!("{id}-state"))
}

fn commas(times: &[Duration]) -> String {
    times.iter().map(|took| took.as_nanos().to_string()).collect::<Vec<_>>().join(",")
}

fn phases(cycle: &str) -> Result<Vec<Duration>> {
    cycle.split(',').map(|ns| Ok(Duration::from_nanos(ns.parse()?))).collect()
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The run goes on without it either way, and the guard sees to what it leaves.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What answers in a worker.
enum Service {
    Floor(Floor),
    InProcess(Box<Engine>),
}

/// Runs as the worker that `arguments` name, until its standard input ends.
pub fn serve(arguments: &[String]) -> Result<()> {
    let [name, heap, id, bundle] = arguments else { return refuse("--worker: name, heap, id, bundle") };
    let kind = Kind::from_arguments(name, heap)?;
    let mut service = Service::open(kind, Path::new(bundle), id);
    let _heap = Heap::touched(kind.heap());
    for question in stdin().lines() {
        let question = question?;
        let answer = match &mut service {
            Ok(service) => service.answer(&question).unwrap_or_else(|error| format!("error {error}")),
            Err(error) => format!("error {error}"),
        };
        writeln!(stdout(), "{}", answer.replace('\n', " "))?;
    }
    Ok(())
}

impl Service {
    fn open(kind: Kind, bundle: &Path, id: &str) -> Result<Service> {
        match kind {
            Kind::Floor(variant) => {
                let cgroup = Path::new(CGROUPS).join(id);
                Ok(Service::Floor(Floor::new(variant, &bundle.join("rootfs"), &cgroup)?))
            }
            Kind::C(_) => refuse("the worker in C is a program of its own"),
            Kind::InProcess(_) | Kind::Reading => {
                let reads = kind == Kind::Reading;
                Ok(Service::InProcess(Box::new(Engine::open(bundle, &state_root(id), id, reads)?)))
            }
        }
    }

    fn answer(&mut self, question: &str) -> Result<String> {
        let words: Vec<&str> = question.split_whitespace().collect();
        match words.as_slice() {
            ["cycle", count] => {
                let times: Result<Vec<String>> = (0..count.parse::<usize>()?).map(|_| self.cycle()).collect();
                Ok(times?.join(" "))
            }
            ["calls", count] => {
                let Service::InProcess(engine) = self else { return refuse("the floor has no calls") };
                let rounds = engine.calls(count.parse()?)?;
                Ok(rounds.iter().map(|round| commas(round)).collect::<Vec<_>>().join(" "))
            }
            ["threads", threads, count] => self.threads(threads.parse()?, count.parse()?),
            _ => refuse(format!("no such question: {question}")),
        }
    }

    fn cycle(&mut self) -> Result<String> {
        let phases = match self {
            Service::Floor(floor) => vec![floor.cycle()?],
            Service::InProcess(engine) => engine.cycle()?.into(),
        };
        Ok(commas(&phases))
    }

    fn threads(&self, threads: usize, count: usize) -> Result<String> {
        let Service::InProcess(engine) = self else { return refuse("the floor has one thread") };
        let caller = |_| || (0..count).try_for_each(|_| engine.cycle().map(drop));
        let took = together((0..threads).map(caller))?;
        Ok(took.as_nanos().to_string())
    }
}

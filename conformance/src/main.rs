//! `teu-conformance`: runs the suite through one or more runtimes and prints how they compare.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use teu_conformance::coverage::Coverage;
use teu_conformance::driver::{C, Cli, Driver, Library};
use teu_conformance::host::{Host, Lane, enter};
use teu_conformance::report::{Report, detail, totals, word};
use teu_conformance::runner;
use teu_conformance::suite::{self, Test};

/// What stands in place of a path for the library in this process.
const LIBRARY: &str = "";

const USAGE: &str =
    "usage: teu-conformance [--runtime NAME=PATH]... [--library NAME] [--subject NAME] [--lane native|v2]
                       [--filter TEXT]... [--debian ROOTFS] [--json FILE] [--coverage FILE] [--systemd] [--quiet] [--list]
The exit code is 0 if no behaviour of the subject (default: the first runtime) failed.
A runtime may be libteu.so, which is loaded into this process, or a program of ROOTFS, which patchelf makes usable here.
With --systemd every runtime is told to let systemd make the cgroups.
--coverage adds to FILE which fields of the specification the behaviours set, as the subject ran them.";

struct Options {
    runtimes: Vec<(String, PathBuf)>,
    subject: Option<String>,
    lane: Lane,
    filters: Vec<String>,
    debian: Option<PathBuf>,
    json: Option<PathBuf>,
    coverage: Option<PathBuf>,
    systemd: bool,
    quiet: bool,
    list: bool,
}

fn main() -> ExitCode {
    let result =
        parse().and_then(|options| if options.list { Ok(list(&options)) } else { conformance(&options) });
    result.unwrap_or_else(|message| {
        eprintln!("teu-conformance: {message}");
        ExitCode::from(2)
    })
}

fn parse() -> Result<Options, String> {
    use lexopt::prelude::*;
    let mut options = Options {
        runtimes: Vec::new(),
        subject: None,
        lane: Lane::Native,
        filters: Vec::new(),
        debian: None,
        json: None,
        coverage: None,
        systemd: false,
        quiet: false,
        list: false,
    };
    let mut args = lexopt::Parser::from_env();
    let wrong = |error: lexopt::Error| format!("{error}\n{USAGE}");
    while let Some(arg) = args.next().map_err(wrong)? {
        match arg {
            Long("runtime") => options.runtimes.push(runtime(&args.value().map_err(wrong)?)?),
            Long("library") => {
                options.runtimes.push((text(args.value().map_err(wrong)?), LIBRARY.into()));
            }
            Long("subject") => options.subject = Some(text(args.value().map_err(wrong)?)),
            Long("lane") => options.lane = lane(&text(args.value().map_err(wrong)?))?,
            Long("filter") => options.filters.push(text(args.value().map_err(wrong)?)),
            Long("debian") => options.debian = Some(existing(args.value().map_err(wrong)?)?),
            Long("json") => options.json = Some(args.value().map_err(wrong)?.into()),
            Long("coverage") => options.coverage = Some(args.value().map_err(wrong)?.into()),
            Long("systemd") => options.systemd = true,
            Long("quiet") => options.quiet = true,
            Long("list") => options.list = true,
            other => return Err(wrong(other.unexpected())),
        }
    }
    Ok(options)
}

fn text(value: OsString) -> String {
    value.to_string_lossy().into_owned()
}

fn existing(path: OsString) -> Result<PathBuf, String> {
    fs::canonicalize(&path).map_err(|error| format!("{}: {error}", path.to_string_lossy()))
}

fn runtime(value: &OsString) -> Result<(String, PathBuf), String> {
    let value = value.to_string_lossy();
    let (name, path) = value.split_once('=').ok_or_else(|| format!("--runtime {value}: not NAME=PATH"))?;
    let path = fs::canonicalize(path).map_err(|error| format!("--runtime {value}: {error}"))?;
    Ok((name.into(), path))
}

fn lane(value: &str) -> Result<Lane, String> {
    match value {
        "native" => Ok(Lane::Native),
        "v2" => Ok(Lane::V2),
        other => Err(format!("--lane {other}: not native or v2")),
    }
}

fn chosen(options: &Options) -> Vec<Test> {
    let wanted = |test: &Test| {
        options.filters.is_empty()
            || options.filters.iter().any(|text| test.full_name().contains(text.as_str()))
    };
    suite::all().into_iter().filter(wanted).collect()
}

fn list(options: &Options) -> ExitCode {
    let tests = chosen(options);
    tests.iter().for_each(|test| println!("{}", test.full_name()));
    println!("{} behaviours", tests.len());
    ExitCode::SUCCESS
}

fn conformance(options: &Options) -> Result<ExitCode, String> {
    let (subject, _) = options.runtimes.first().ok_or_else(|| format!("no --runtime\n{USAGE}"))?;
    let subject = options.subject.as_ref().unwrap_or(subject);
    if !options.runtimes.iter().any(|(name, _)| name == subject) {
        return Err(format!("--subject {subject}: no such runtime"));
    }
    let tests = chosen(options);
    if !nix::unistd::geteuid().is_root() {
        println!(
            "containers need root: every behaviour is skipped\n0 passed, 0 failed, {} skipped",
            tests.len()
        );
        return Ok(ExitCode::SUCCESS);
    }
    let report = measure(options, &tests).map_err(|error| error.to_string())?;
    if let Some(file) = &options.json {
        let text = serde_json::to_vec_pretty(&report.json()).map_err(|error| error.to_string())?;
        fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    if let Some(file) = &options.coverage {
        add_coverage(file, report.findings(subject))
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    println!("{}\n\n{subject}:\n{}", report.table(), report.reasons(subject));
    let totals = totals(report.findings(subject));
    println!("{totals}");
    Ok(if totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn add_coverage(file: &Path, findings: &[runner::Finding]) -> io::Result<()> {
    let mut coverage = Coverage::read(file)?;
    findings.iter().for_each(|finding| coverage.add(&finding.test, finding.fields.clone()));
    fs::write(file, coverage.text())
}

fn measure(options: &Options, tests: &[Test]) -> io::Result<Report> {
    enter(options.lane)?;
    nix::sys::prctl::set_child_subreaper(true)?;
    let host = Host::prepare(options.lane, options.debian.clone(), options.systemd)?;
    let columns = all_runtimes(options, tests, &host);
    host.clear()?;
    Ok(Report { lane: options.lane, columns: columns? })
}

fn all_runtimes(
    options: &Options,
    tests: &[Test],
    host: &Host,
) -> io::Result<Vec<(String, Vec<runner::Finding>)>> {
    let mut columns = Vec::new();
    for (name, original) in &options.runtimes {
        let root = host.work.join(format!("state-{name}"));
        let (driver, program) = driver(options, host, name, original, &root)?;
        let told = |finding: &runner::Finding| {
            if !options.quiet {
                let (test, took) = (&finding.test, finding.took.as_millis());
                println!("{name} {} {test} ({took} ms) {}", word(finding), detail(finding));
            }
        };
        let (canaries, rehearse) = (program.as_slice(), options.coverage.is_some());
        let run = runner::Run { host, canaries, tests, rehearse, told: &told };
        columns.push((name.clone(), runner::run(driver.as_ref(), &run)?));
    }
    Ok(columns)
}

/// The driver of one column, and the directory of its program for the oracle to watch.
fn driver(
    options: &Options,
    host: &Host,
    name: &str,
    original: &Path,
    root: &Path,
) -> io::Result<(Box<dyn Driver>, Option<PathBuf>)> {
    if original == Path::new(LIBRARY) {
        let library = Library::new(name, root).map_err(io::Error::other)?;
        return Ok((Box::new(library.with_systemd(options.systemd)), None));
    }
    if original.extension().is_some_and(|extension| extension == "so") {
        let path = keep(host, name, original)?;
        return Ok((
            Box::new(C::new(name, &path, root)?.with_systemd(options.systemd)),
            path.parent().map(Path::to_path_buf),
        ));
    }
    let path = keep(host, name, original)?;
    if let Some(debian) = options.debian.as_ref().filter(|debian| original.starts_with(debian)) {
        at_home(&path, debian)?;
    }
    let globals: &[&str] = if options.systemd { &["--systemd-cgroup"] } else { &[] };
    Ok((Box::new(Cli::new(name, &path, root).always(globals)), path.parent().map(Path::to_path_buf)))
}

/// A program of the Debian rootfs, made to run on this machine: with the loader and the libraries it was built for.
fn at_home(program: &Path, root: &Path) -> io::Result<()> {
    let done = Command::new("patchelf")
        .arg("--set-interpreter")
        .arg(root.join("lib64/ld-linux-x86-64.so.2"))
        // RPATH, not RUNPATH: it holds for the libraries of the libraries as well.
        .args(["--force-rpath", "--set-rpath"])
        .arg(root.join("usr/lib/x86_64-linux-gnu"))
        .arg(program)
        .status();
    let needs =
        format!("{} belongs to the Debian rootfs; to run it here, install patchelf", program.display());
    if done.is_ok_and(|status| status.success()) { Ok(()) } else { Err(io::Error::other(needs)) }
}

/// A copy of the runtime's program: a rebuild during the run changes nothing, and the oracle can watch its bytes.
fn keep(host: &Host, name: &str, path: &Path) -> io::Result<PathBuf> {
    let dir = host.work.join(format!("bin-{name}"));
    fs::create_dir(&dir)?;
    let copy = dir.join(path.file_name().unwrap_or(path.as_os_str()));
    fs::copy(path, &copy)?;
    Ok(copy)
}

//! `cargo xt runc-suite`: runc's own integration tests, from a checkout kept outside this repository, against runc and
//! teu, and the page that says what came of each.
//!
//! Nothing of the checkout is copied: it is named on the command line, ready to run (its images and helper programs are
//! made as its own documentation says), and its logs stay below `target/lab`.

mod page;
mod reasons;
mod tap;

use crate::Failure;
use crate::artifact::{self, TEU};
use crate::project::{Project, program};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Longest time for one file of tests; the slowest takes a minute and a half.
const FILE_SECONDS: u32 = 400;

/// Where the page is.
const PAGE: &str = "docs/runc-suite.md";

/// A name, the path of the program, and where the logs of its runs are.
struct Subject {
    name: String,
    path: PathBuf,
}

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    checkout: Option<PathBuf>,
    runtimes: Vec<(String, PathBuf)>,
    views: Vec<String>,
    files: Vec<String>,
    page: bool,
}

/// The command: `--checkout DIR` runs, `--page` writes the page from the logs of earlier runs.
pub fn run(project: &Project, args: &[String]) -> Result<(), Failure> {
    let request = parse(args)?;
    let logs = project.lab().join("runc-suite");
    if let Some(checkout) = &request.checkout {
        run_all(project, checkout, &request, &logs)?;
    } else if !request.page {
        Err("runc-suite needs --checkout DIR, a built checkout of runc, or --page".to_owned())?;
    }
    if request.page {
        page::write(&project.root.join(PAGE), &logs)?;
    }
    Ok(())
}

fn parse(args: &[String]) -> Result<Request, String> {
    let mut request = Request::default();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().cloned().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--checkout" => request.checkout = Some(PathBuf::from(value()?)),
            "--runtime" => request.runtimes.push(named(&value()?)?),
            "--view" => request.views.push(view(value()?)?),
            "--file" => request.files.push(value()?.trim_end_matches(".bats").to_owned()),
            "--page" => request.page = true,
            _ => return Err(format!("runc-suite takes no \"{word}\"")),
        }
    }
    Ok(request)
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or_else(|| format!("--runtime {text}: not NAME=PATH"))?;
    Ok((name.to_owned(), PathBuf::from(path)))
}

fn view(name: String) -> Result<String, String> {
    if page::VIEWS.contains(&name.as_str()) { Ok(name) } else { Err(format!("--view {name}: native or v2")) }
}

fn run_all(project: &Project, checkout: &Path, request: &Request, logs: &Path) -> Result<(), String> {
    if !project.root_user {
        return Err("runc-suite makes containers and needs root (uid 0 with CAP_SYS_ADMIN)".to_owned());
    }
    let checkout = ready(checkout)?;
    let subjects = subjects(project, &checkout, request, logs)?;
    let files = files(&checkout, &request.files)?;
    let views = if request.views.is_empty() { vec!["native".to_owned()] } else { request.views.clone() };
    for view in &views {
        for subject in &subjects {
            let dir = logs.join(view).join(&subject.name);
            fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
            run_subject(&checkout, subject, view, &files, &dir)?;
        }
    }
    Ok(())
}

/// The checkout, if everything that the tests need is there.
fn ready(checkout: &Path) -> Result<PathBuf, String> {
    for tool in ["bats", "script", "jq", "gawk"] {
        program(tool).ok_or_else(|| format!("{tool} is not installed"))?;
    }
    for part in ["tests/integration/helpers.bash", "tests/cmd/_bin/recvtty"] {
        let path = checkout.join(part);
        path.is_file().then_some(()).ok_or_else(|| format!("{} is missing", path.display()))?;
    }
    fs::canonicalize(checkout).map_err(|error| format!("{}: {error}", checkout.display()))
}

/// The runtimes that were named, or the checkout's own runc and this workspace's teu.
fn subjects(
    project: &Project,
    checkout: &Path,
    request: &Request,
    logs: &Path,
) -> Result<Vec<Subject>, String> {
    let mut wanted = request.runtimes.clone();
    if wanted.is_empty() {
        wanted.push(("runc".to_owned(), checkout.join("runc")));
        wanted.extend(artifact::build(project, &[TEU])?.into_iter().map(|path| ("teu".to_owned(), path)));
    }
    let subject = |(name, path): (String, PathBuf)| {
        let path = fs::canonicalize(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let path = called_runc(&path, &logs.join("bin").join(&name))?;
        Ok(Subject { name, path })
    };
    wanted.into_iter().map(subject).collect()
}

/// The tests look for the name in what a program prints, and teu prints the one that it is installed under.
fn called_runc(path: &Path, dir: &Path) -> Result<PathBuf, String> {
    let link = dir.join("runc");
    let _ = fs::remove_file(&link);
    let made = fs::create_dir_all(dir).and_then(|()| std::os::unix::fs::symlink(path, &link));
    made.map(|()| link.clone()).map_err(|error| format!("{}: {error}", link.display()))
}

fn files(checkout: &Path, picked: &[String]) -> Result<Vec<String>, String> {
    let dir = checkout.join("tests/integration");
    let entries = fs::read_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<String> =
        names.filter_map(|name| name.strip_suffix(".bats").map(str::to_owned)).collect();
    found.sort();
    if let Some(unknown) = picked.iter().find(|name| !found.contains(name)) {
        return Err(format!("{} has no {unknown}.bats", dir.display()));
    }
    found.retain(|name| picked.is_empty() || picked.contains(name));
    Ok(found)
}

fn run_subject(
    checkout: &Path,
    subject: &Subject,
    view: &str,
    files: &[String],
    dir: &Path,
) -> Result<(), String> {
    println!("==> {} in the {view} view; logs in {}", subject.path.display(), dir.display());
    for file in files {
        let log = dir.join(format!("{file}.tap"));
        let _ = fs::remove_file(&log);
        run_file(checkout, subject, view, file, &log)?;
        let text = fs::read(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let tests = tap::read(&String::from_utf8_lossy(&text));
        let count = |verdict: fn(&tap::Verdict) -> bool| tests.iter().filter(|t| verdict(&t.verdict)).count();
        let passed = count(|verdict| *verdict == tap::Verdict::Pass);
        let failed = count(|verdict| *verdict == tap::Verdict::Fail);
        println!("    {file}: {passed} passed, {failed} failed, {} n.a.", tests.len() - passed - failed);
    }
    Ok(())
}

/// One file at a terminal of its own, because many of the tests ask for one. Its standard input stays open and silent.
fn run_file(checkout: &Path, subject: &Subject, view: &str, file: &str, log: &Path) -> Result<(), String> {
    let limit = FILE_SECONDS.to_string();
    let bats = format!("bats --formatter tap tests/integration/{file}.bats");
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", &limit]).args(in_view(view)).args(reaper());
    command.args(["script", "-qefc", &bats]).arg(log);
    command.current_dir(checkout).env("RUNC", &subject.path).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("timeout: {error}"))?;
    let silent = child.stdin.take();
    let status = child.wait().map_err(|error| format!("timeout: {error}"))?;
    drop(silent);
    if status.code() == Some(124) {
        println!("    {file}: stopped after {FILE_SECONDS} s");
    }
    Ok(())
}

/// Some tests want killed processes to be gone at once: tini takes them over and reaps them, where process 1 is slow.
fn reaper() -> &'static [&'static str] {
    if program("tini").is_some() { &["tini", "-s", "--"] } else { &[] }
}

/// The words in front of a command that give it the view: v2 is a mount namespace with cgroup2 alone.
fn in_view(view: &str) -> &'static [&'static str] {
    const V2: &[&str] = &[
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        "test ! -d /sys/fs/cgroup/unified || mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup; exec \"$@\"",
        "v2",
    ];
    if view == "v2" { V2 } else { &[] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_command_line_is_read() {
        let request =
            parse(&words("--checkout /x --runtime a=/b --view v2 --file ps --file tty.bats --page")).unwrap();
        assert_eq!(request.checkout, Some(PathBuf::from("/x")));
        assert_eq!(request.runtimes, [("a".to_owned(), PathBuf::from("/b"))]);
        assert_eq!((request.views, request.files), (words("v2"), words("ps tty")));
        assert!(request.page);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in ["--checkout", "--runtime a", "--view v3", "--pages", "ps"] {
            assert!(parse(&words(text)).is_err(), "{text}");
        }
    }
}

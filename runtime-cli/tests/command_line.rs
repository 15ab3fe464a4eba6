//! The program as a process, without containers: which stream gets what, the exit status, the log file, the files it writes.

// The functions below are test code too, which clippy does not see outside #[test].
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory of its own for a test, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("teu-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn teu(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_teu")).args(arguments).env_remove("XDG_RUNTIME_DIR").output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The message of the one text log line on stderr.
fn logged(output: &Output) -> &str {
    let text = stderr(output);
    let (time, rest) = text.split_once(" level=error msg=").unwrap_or_else(|| panic!("{text:?}"));
    assert!(time.starts_with("time=\"20") && time.ends_with("Z\""), "{text:?}");
    assert_eq!(rest.matches('\n').count(), 1, "{text:?}");
    rest.trim_end_matches('\n')
}

#[test]
fn version_is_three_lines_on_stdout_and_exit_0() {
    for option in ["--version", "-v", "-V", "-version"] {
        let output = teu(&[option]);
        let lines: Vec<_> = stdout(&output).lines().collect();
        assert_eq!(lines[0], concat!("teu version ", env!("CARGO_PKG_VERSION")));
        assert!(lines[1].starts_with("commit: ") && lines[2] == "spec: 1.3.0", "{lines:?}");
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    }
}

#[test]
fn the_version_needs_no_log_no_root_and_no_command() {
    let output = teu(&["--log", "/nonexistent/log", "--root", "/", "--version", "nosuch"]);
    assert!(stdout(&output).starts_with("teu version "));
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
}

#[test]
fn a_link_named_runc_calls_itself_runc() {
    let scratch = Scratch::new("link");
    let link = scratch.path("runc");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_teu"), &link).unwrap();
    let output = Command::new(&link).arg("--version").output().unwrap();
    assert!(stdout(&output).starts_with("runc version "));
    let output = Command::new(&link).args(["create", "--help"]).output().unwrap();
    assert!(stdout(&output).starts_with("NAME:\n   runc create - "));
    let output =
        Command::new(&link).args(["create", "--bundle", &scratch.path("none"), "x"]).output().unwrap();
    assert!(logged(&output).starts_with("\"runc create failed: "), "{}", stderr(&output));
}

#[test]
fn help_has_three_spellings_and_exit_0() {
    let expected = teu(&["kill", "--help"]);
    assert!(stdout(&expected).starts_with("NAME:\n   teu kill - "));
    for line in [["kill", "-h"], ["help", "kill"], ["h", "kill"]] {
        let output = teu(&line);
        assert_eq!(
            (output.status.code(), stdout(&output), stderr(&output)),
            (Some(0), stdout(&expected), "")
        );
    }
    for line in [&[][..], &["-h"], &["help"], &["--help", "list"]] {
        let output = teu(line);
        assert!(stdout(&output).starts_with("NAME:\n   teu - "), "{line:?}");
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    }
}

#[test]
fn wrong_usage_prints_the_help_on_stdout_and_the_error_on_stderr() {
    let argv0 = env!("CARGO_BIN_EXE_teu");
    let table: [(&[&str], &str, String); 4] = [
        (
            &["start"],
            "Incorrect Usage.\n\nNAME:\n   teu start - ",
            format!("\"{argv0}: \\\"start\\\" requires exactly 1 argument(s)\""),
        ),
        (
            &["state", "--foo", "x"],
            "Incorrect Usage: flag provided but not defined: -foo\n\nNAME:\n   teu state - ",
            "\"flag provided but not defined: -foo\"".into(),
        ),
        (
            &["create", "--bundle"],
            "Incorrect Usage: flag needs an argument: --bundle\n\nNAME:\n   teu create - ",
            "\"flag needs an argument: --bundle\"".into(),
        ),
        (
            &["--foo", "list"],
            "Incorrect Usage: flag provided but not defined: -foo\n\nNAME:\n   teu - ",
            "\"flag provided but not defined: -foo\"".into(),
        ),
    ];
    for (line, head, message) in table {
        let output = teu(line);
        assert!(stdout(&output).starts_with(head), "{line:?}: {}", stdout(&output));
        assert_eq!((output.status.code(), logged(&output)), (Some(1), message.as_str()), "{line:?}");
    }
}

#[test]
fn errors_have_the_contracts_texts_and_exit_1_with_nothing_on_stdout() {
    let scratch = Scratch::new("errors");
    let root = scratch.path("root");
    fs::create_dir(&root).unwrap();
    let empty = scratch.path("empty");
    fs::create_dir(&empty).unwrap();
    let table: [(&[&str], &str); 17] = [
        (&["nosuch"], r#""unknown command \"nosuch\"""#),
        (&["--root", "/", "list"], r#""Option --root argument should not be set to /""#),
        (&["--log-format", "xml", "list"], r#""unknown log-format \"xml\"""#),
        (&["--log-level", "loud", "list"], r#""unknown log-level \"loud\"""#),
        (&["--rootless", "no", "list"], r#""invalid boolean value \"no\" for -rootless: parse error""#),
        (&["--root", &root, "list", "--format", "xml"], r#""invalid format option""#),
        (&["--root", &root, "state", "x"], r#""container does not exist""#),
        (&["--root", &root, "start", "x"], r#""container does not exist""#),
        (&["--root", &root, "kill", "x"], r#""container does not exist""#),
        (&["--root", &root, "delete", "x"], r#""container does not exist""#),
        (&["--root", &root, "kill", "x", "NOSUCH"], r#""unknown signal \"NOSUCH\"""#),
        (&["--root", &root, "state", ""], r#""container id cannot be empty""#),
        (&["--root", &root, "state", "a/b"], r#""invalid container ID format""#),
        (
            &["create", "--bundle", &empty, "x"],
            r#""teu create failed: JSON specification file config.json not found""#,
        ),
        (
            &["run", "--bundle", &empty, "x"],
            r#""teu run failed: JSON specification file config.json not found""#,
        ),
        (
            &["--cgroup-manager", "nosuch", "run", "--bundle", &empty, "x"],
            r#""teu run failed: unknown cgroup manager \"nosuch\"""#,
        ),
        (
            &["run", "--preserve-fds", "-1", "--bundle", &empty, "x"],
            r#""teu run failed: invalid value \"-1\" for flag -preserve-fds: not a number""#,
        ),
    ];
    for (line, message) in table {
        let output = teu(line);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{line:?}");
        assert_eq!(logged(&output), message, "{line:?}");
    }
}

#[test]
fn the_global_options_are_accepted_by_commands_that_do_not_need_them() {
    let scratch = Scratch::new("globals");
    let line =
        ["--root", &scratch.path(""), "--systemd-cgroup=true", "--criu", "/c", "--rootless=auto", "--debug"];
    let output = teu(&[&line[..], &["list", "--format", "json"]].concat());
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), "null\n"));
}

#[test]
fn a_descriptor_that_was_not_passed_is_named() {
    let scratch = Scratch::new("fds");
    let log = scratch.path("log");
    // The log file takes the lowest free number, which is the one asked for.
    let output = teu(&["--log", &log, "create", "--preserve-fds", "1", "--bundle", &scratch.path(""), "x"]);
    let text = stderr(&output);
    assert!(text.starts_with("teu create failed: unable to stat preserved-fd 0 (of 1): "), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn with_a_log_file_stderr_has_the_bare_message_and_the_file_one_line_more() {
    let scratch = Scratch::new("log");
    let (log, root) = (scratch.path("log.json"), scratch.path("root"));
    fs::write(&log, "before\n").unwrap();
    let output = teu(&["--root", &root, "--log", &log, "--log-format", "json", "state", "x"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(1), "container does not exist\n"));
    let text = fs::read_to_string(&log).unwrap();
    let line = text.strip_prefix("before\n").unwrap();
    let head = r#"{"level":"error","msg":"container does not exist","time":"20"#;
    assert!(line.starts_with(head) && line.ends_with("Z\"}\n"), "{line}");
    assert_eq!(line.matches('\n').count(), 1);
}

#[test]
fn a_log_file_is_made_with_mode_0644_and_may_be_stderr() {
    let scratch = Scratch::new("logmode");
    let log = scratch.path("log");
    let output = teu(&["--log", &format!("file:{log}"), "features"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    let metadata = fs::metadata(&log).unwrap();
    // The caller's umask may take more away.
    assert_eq!((metadata.len(), metadata.permissions().mode() & !0o644 & 0o777), (0, 0));
    let output = teu(&["--log", "/dev/stderr", "nosuch"]);
    assert_eq!(logged(&output), r#""unknown command \"nosuch\"""#);
    let output = teu(&["--log", &scratch.path("none/log"), "features"]);
    assert!(logged(&output).ends_with("/none/log: no such file or directory\""), "{}", stderr(&output));
}

#[test]
fn list_of_nothing_is_null_or_a_header_and_a_missing_given_root_is_an_error() {
    let scratch = Scratch::new("list");
    let root = scratch.path("");
    let header = "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n";
    for (line, expected) in
        [(&["list"][..], header), (&["list", "-f", "json"], "null\n"), (&["list", "-q"], "")]
    {
        let output = teu(&[&["--root", &root], line].concat());
        assert_eq!(
            (output.status.code(), stdout(&output), stderr(&output)),
            (Some(0), expected, ""),
            "{line:?}"
        );
    }
    let missing = scratch.path("missing");
    let output = teu(&["--root", &missing, "list"]);
    assert_eq!(logged(&output), format!("\"open {missing}: no such file or directory\""));
}

#[test]
fn delete_force_of_an_unknown_id_is_success() {
    let scratch = Scratch::new("force");
    let output = teu(&["--root", &scratch.path("root"), "delete", "--force", "x"]);
    assert_eq!((output.status.code(), stdout(&output), stderr(&output)), (Some(0), "", ""));
}

#[test]
fn features_is_json_indented_by_four_on_stdout_alone() {
    let output = teu(&["features"]);
    let text = stdout(&output);
    assert!(text.starts_with("{\n    \"") && text.ends_with("\n}\n"), "{text}");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
}

#[test]
fn spec_writes_a_tab_indented_file_once() {
    let scratch = Scratch::new("spec");
    let bundle = scratch.path("");
    let output = teu(&["spec", "--bundle", &bundle]);
    assert_eq!((output.status.code(), stdout(&output), stderr(&output)), (Some(0), "", ""));
    let file = Path::new(&bundle).join("config.json");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("{\n\t\"ociVersion\": "), "{text}");
    fs::write(&file, "mine").unwrap();
    let output = teu(&["spec", "-b", &bundle]);
    assert_eq!(
        (output.status.code(), logged(&output)),
        (Some(1), "\"config.json exists and is not overwritten\"")
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let output = teu(&["spec", "-b", &bundle, "--rootless", "--file", "rootless.json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(Path::new(&bundle).join("rootless.json").exists());
    let output = teu(&["spec", "-b", &scratch.path("none")]);
    assert!(logged(&output).starts_with("\"chdir "), "{}", stderr(&output));
    assert!(logged(&output).ends_with(": no such file or directory\""));
}

#[test]
fn a_full_stdout_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_teu")).arg("features").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(logged(&output), "\"write /dev/stdout: no space left on device\"");
}

#[test]
fn a_file_that_may_not_grow_is_an_error_that_is_told() {
    let scratch = Scratch::new("growth");
    let script = format!("ulimit -f 0; exec \"$0\" --log {} state x", scratch.path("log"));
    let output = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_teu")])
        .env_remove("XDG_RUNTIME_DIR")
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("container does not exist"), "{output:?}");
}

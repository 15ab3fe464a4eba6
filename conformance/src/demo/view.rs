//! What the container sees, in words.

use serde_json::Value;
use teu_conformance::probe::Report;

use crate::say;

/// Columns of a line's text.
const WIDTH: usize = 92;

/// Shows the report.
pub fn show(report: &Report) {
    say("\nWhat the container sees:\n");
    for (label, text) in rows(report) {
        paragraph(label, &text);
    }
    say("\n    and these mounts, by type and options:\n");
    for (kind, points) in mounts(report) {
        paragraph("", &format!("{kind}: {}", points.join("  ")));
    }
}

fn paragraph(label: &str, text: &str) {
    for (at, line) in wrap(text).iter().enumerate() {
        say(format!("    {:<13} {line}", if at == 0 { label } else { "" }).trim_end());
    }
}

/// Mount points by type and options, in the order of their first.
fn mounts(report: &Report) -> Vec<(String, Vec<&str>)> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for mount in report.get("mounts").as_array().into_iter().flatten() {
        let part = |key: &str| mount[key].as_str().unwrap_or_default();
        let kind = format!("{} {}", part("type"), part("options"));
        match groups.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, points)) => points.push(part("point")),
            None => groups.push((kind, vec![part("point")])),
        }
    }
    groups
}

// table: label, what is said.
fn rows(report: &Report) -> Vec<(&'static str, String)> {
    let ids = |key| report.status(key).split(' ').next().unwrap_or_default().to_owned();
    let groups = report.status("Groups");
    let groups = if groups.is_empty() { "none".into() } else { groups };
    let process = |key| report.field("pid", key);
    vec![
        (
            "process",
            format!("pid {}, parent {}, session {}", process("pid"), process("ppid"), process("sid")),
        ),
        (
            "user",
            format!(
                "uid {}, gid {}, other groups {groups}, umask {}",
                ids("Uid"),
                ids("Gid"),
                report.status("Umask")
            ),
        ),
        ("capabilities", capabilities(&report.status("CapEff"))),
        (
            "new rights",
            if report.status("NoNewPrivs") == "1" { "cannot be gained" } else { "by setuid" }.into(),
        ),
        ("hostname", report.text("hostname").trim().into()),
        ("directory", report.text("cwd").into()),
        ("environment", words(report.get("env"))),
        ("limits", format!("open files {}", pair(&report.get("limits")["Max open files"]))),
        ("namespaces", names(report.get("ns"))),
        ("cgroup", words(report.get("cgroup"))),
        ("descriptors", descriptors(report.get("fds"))),
        ("/", words(report.get("list:/"))),
        ("/dev", words(report.get("list:/dev"))),
        ("may write to", outcome(report, &[("/", "write:/file=x"), ("/dev/shm", "write:/dev/shm/file=x")])),
        (
            "may",
            outcome(
                report,
                &[
                    ("mount", "mount:tmpfs:/dev/shm"),
                    ("make a disk's node", "mknod:/dev/shm/disk:b:8:0"),
                    ("set the hostname", "sethostname:other"),
                ],
            ),
        ),
    ]
}

fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    words.collect::<Vec<_>>().join("  ")
}

fn names(object: &Value) -> String {
    let entry = |(kind, link): (&String, &Value)| {
        let number = link.as_str().unwrap_or_default().trim_start_matches(|c: char| !c.is_ascii_digit());
        format!("{kind} {}", number.trim_end_matches(']'))
    };
    object.as_object().into_iter().flatten().map(entry).collect::<Vec<_>>().join("  ")
}

fn pair(limits: &Value) -> String {
    words(limits).replace("  ", " of at most ")
}

fn descriptors(object: &Value) -> String {
    let entry = |(number, link): (&String, &Value)| format!("{number} {}", link.as_str().unwrap_or_default());
    object.as_object().into_iter().flatten().map(entry).collect::<Vec<_>>().join("  ")
}

/// Attempts and how they ended: "ok", or the errno's name.
fn outcome(report: &Report, attempts: &[(&str, &str)]) -> String {
    let entry = |(what, op): &(&str, &str)| match report.text(op) {
        "ok" => format!("{what}: yes"),
        errno => format!("{what}: no ({errno})"),
    };
    attempts.iter().map(entry).collect::<Vec<_>>().join("  ")
}

fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split("  ") {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].len() + word.len() + 2 > WIDTH {
            lines.push(word.to_owned());
        } else {
            let line = &mut lines[last];
            line.push_str(if line.is_empty() { "" } else { "  " });
            line.push_str(word);
        }
    }
    lines
}

fn capabilities(hex: &str) -> String {
    let mask = u64::from_str_radix(hex, 16).unwrap_or(0);
    let named = NAMES.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
    let list = named.map(|(_, name)| *name).collect::<Vec<_>>().join("  ");
    if list.is_empty() { "none".into() } else { list }
}

/// Names of the capabilities in the order of their bits.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

//! What commands print: the bytes of `state` and `list`, and the one way to stdout.

use std::io::Write;

use teu::{Error, Result, State};

use crate::json::Json;

/// Prints `text` as it is.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| Error::io("write /dev/stdout", &error))
}

/// What `state` prints: two spaces a level, no newline at the end, and an empty owner.
pub fn document(state: &State) -> String {
    entry(state, String::new()).pretty("  ")
}

/// A state as an object; `owner` is a user's name in `list`.
pub fn entry(state: &State, owner: String) -> Json {
    let text = |key: &str, value: String| (key.to_owned(), Json::Text(value));
    let mut fields = vec![
        text("ociVersion", state.oci_version.clone()),
        text("id", state.id.clone()),
        ("pid".to_owned(), Json::Number(state.pid.to_string())),
        text("status", state.status.to_string()),
        text("bundle", state.bundle.to_string_lossy().into_owned()),
        text("rootfs", state.rootfs.to_string_lossy().into_owned()),
        text("created", created(&state.created)),
    ];
    if !state.annotations.is_empty() {
        let annotations = state.annotations.iter().map(|(key, value)| text(key, value.clone()));
        fields.push(("annotations".to_owned(), Json::Object(annotations.collect())));
    }
    fields.push(text("owner", owner));
    Json::Object(fields)
}

/// A time without the zeros that Go leaves out at the end of its fraction.
pub fn created(time: &str) -> String {
    match time.strip_suffix('Z').and_then(|time| time.split_once('.')) {
        Some((seconds, fraction)) => match fraction.trim_end_matches('0') {
            "" => format!("{seconds}Z"),
            digits => format!("{seconds}.{digits}Z"),
        },
        None => time.to_owned(),
    }
}

/// Rows in columns, each as wide as its widest cell and three spaces, at least twelve; the last one is not padded.
pub fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count() + 3).max().unwrap_or(0).max(12);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let padding = if column + 1 < N { widths[column] - cell.chars().count() } else { 0 };
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', padding));
        }
        text.push('\n');
    }
    text
}

/// The user's name in `passwd`, the text of /etc/passwd, else `#UID`.
pub fn owner(uid: u32, passwd: &str) -> String {
    let digits = uid.to_string();
    let named = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == digits).then(|| name.to_owned())
    });
    named.unwrap_or(format!("#{digits}"))
}

#[cfg(test)]
mod tests {
    use teu::{State, Status};

    use super::{created, document, entry, owner, table};

    fn example() -> State {
        State {
            oci_version: "1.3.0".into(),
            id: "a".into(),
            status: Status::Running,
            pid: 7,
            bundle: "/b<1>".into(),
            rootfs: "/b<1>/rootfs".into(),
            created: "2026-01-02T03:04:05.123456000Z".into(),
            annotations: Default::default(),
            owner_uid: 0,
        }
    }

    #[test]
    fn a_state_without_annotations() {
        let expected = r#"{
  "ociVersion": "1.3.0",
  "id": "a",
  "pid": 7,
  "status": "running",
  "bundle": "/b\u003c1\u003e",
  "rootfs": "/b\u003c1\u003e/rootfs",
  "created": "2026-01-02T03:04:05.123456Z",
  "owner": ""
}"#;
        assert_eq!(document(&example()), expected);
    }

    #[test]
    fn annotations_stand_sorted_before_the_owner() {
        let mut stopped = example();
        stopped.status = Status::Stopped;
        stopped.pid = 0;
        stopped.annotations = [("z".into(), "1&2".into()), ("a".into(), String::new())].into();
        let text = document(&stopped);
        let expected = "\"created\": \"2026-01-02T03:04:05.123456Z\",\n  \"annotations\": {\n    \"a\": \"\",\n    \"z\": \"1\\u00262\"\n  },\n  \"owner\": \"\"\n}";
        assert!(text.ends_with(expected), "{text}");
        assert!(text.contains("\"pid\": 0,\n  \"status\": \"stopped\","), "{text}");
    }

    #[test]
    fn a_list_entry_is_compact_and_has_the_owner() {
        let expected = r#"{"ociVersion":"1.3.0","id":"a","pid":7,"status":"running","bundle":"/b\u003c1\u003e","rootfs":"/b\u003c1\u003e/rootfs","created":"2026-01-02T03:04:05.123456Z","owner":"root"}"#;
        assert_eq!(entry(&example(), "root".into()).compact(), expected);
    }

    #[test]
    fn the_fraction_of_a_second_loses_its_trailing_zeros() {
        let table = [
            ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789Z"),
            ("2026-01-02T03:04:05.100000000Z", "2026-01-02T03:04:05.1Z"),
            ("2026-01-02T03:04:05.000000000Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:00Z", "2026-01-02T03:04:00Z"),
        ];
        for (time, expected) in table {
            assert_eq!(created(time), expected);
        }
    }

    #[test]
    fn columns_are_at_least_twelve_wide_and_the_last_is_not_padded() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let text = table(&[row(["ID", "PID", "OWNER"]), row(["a-container", "0", "root"])]);
        assert_eq!(text, "ID            PID         OWNER\na-container   0           root\n");
    }

    #[test]
    fn the_owner_is_a_name_of_passwd_or_a_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nme:x:1000:1000::/:\n";
        let table = [(0, "root"), (1000, "me"), (10, "#10")];
        for (uid, expected) in table {
            assert_eq!(owner(uid, passwd), expected);
        }
    }
}

//! `ps`: the processes of a container, as pids or as the host's ps shows them.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use teu::{Error, ErrorKind, Id, Result};

use crate::args::Arguments;
use crate::invocation::Invocation;
use crate::json::Json;
use crate::output;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let container = invocation.runtime()?.open(&Id::new(args.id())?)?;
    let text = match args.text("format").as_deref() {
        None | Some("table") => {
            let pids = container.processes()?;
            kept(&shown(args.operands.get(1..).unwrap_or_default())?, &pids)?
        }
        Some("json") => json(&container.processes()?),
        Some(_) => return Err(Error::new(ErrorKind::InvalidArgument, "invalid format option")),
    };
    output::print(&text)?;
    Ok(0)
}

fn json(pids: &[i32]) -> String {
    // Go's encoder writes the empty list so.
    if pids.is_empty() {
        return "null\n".into();
    }
    let numbers = pids.iter().map(|pid| Json::Number(pid.to_string()));
    format!("{}\n", Json::Array(numbers.collect()).compact())
}

/// What the host's ps says. Without a PATH the system's own directories are searched.
fn shown(options: &[OsString]) -> Result<String> {
    let mut ps = Command::new("ps");
    match options {
        [] => ps.arg("-ef"),
        options => ps.args(options),
    };
    let done = ps.stdin(Stdio::null()).output().map_err(|error| Error::io("run ps", &error))?;
    if !done.status.success() {
        let said = [done.stdout, done.stderr].concat();
        let message = format!("ps: {}: {}", done.status, String::from_utf8_lossy(&said).trim_end());
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The header, and the lines of the processes in `pids`.
fn kept(table: &str, pids: &[i32]) -> Result<String> {
    let invalid = |message: String| Error::new(ErrorKind::InvalidArgument, message);
    let header = table.lines().next().unwrap_or_default();
    let column = header.split_whitespace().position(|title| title == "PID");
    let column = column.ok_or_else(|| invalid(format!("ps: no PID column in its output: {header:?}")))?;
    let mut text = format!("{header}\n");
    for line in table.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let pid = line.split_whitespace().nth(column).and_then(|field| field.parse::<i32>().ok());
        let pid = pid.ok_or_else(|| invalid(format!("ps: no pid in field {} of {line:?}", column + 1)))?;
        if pids.contains(&pid) {
            text.push_str(line);
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{json, kept};

    #[test]
    fn pids_are_an_array_and_none_are_null() {
        assert_eq!(json(&[]), "null\n");
        assert_eq!(json(&[7, 12]), "[7,12]\n");
    }

    #[test]
    fn the_header_and_the_lines_of_the_container_are_kept_as_they_are() {
        let table =
            "UID   PID  PPID CMD\nroot    1     0 init 7\nme      7     1 a  b\n\nme     70     7 c\n";
        assert_eq!(kept(table, &[7]).unwrap(), "UID   PID  PPID CMD\nme      7     1 a  b\n");
        assert_eq!(kept(table, &[]).unwrap(), "UID   PID  PPID CMD\n");
    }

    #[test]
    fn without_a_column_of_pids_there_is_no_telling() {
        let refused = |table: &str| kept(table, &[1]).unwrap_err().to_string();
        assert_eq!(refused("TTY CMD\n? x\n"), "ps: no PID column in its output: \"TTY CMD\"");
        assert_eq!(refused(""), "ps: no PID column in its output: \"\"");
        // A column before it whose values have blanks.
        assert_eq!(refused("STARTED PID\nSat Nov 21 1\n"), "ps: no pid in field 2 of \"Sat Nov 21 1\"");
    }
}

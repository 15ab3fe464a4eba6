//! `update`: other limits for a container that exists, by options or as JSON.

use std::fs::File;
use std::io::{Read, stdin};

use serde_json::{Value, json};
use teu::{Error, ErrorKind, Id, Result, UpdateOptions};

use crate::args::Arguments;
use crate::invocation::Invocation;
use crate::sizes;

/// Larger documents are refused by the library; so much is read of one.
const MAX_BYTES: u64 = (16 << 20) + 1;

/// How the text of an option becomes a number.
type Number = fn(&str) -> std::result::Result<Value, String>;

const TEXT: Number = |text| Ok(json!(text));
const SIGNED: Number = |text| sizes::signed(text).map(Value::from);
const UNSIGNED: Number = |text| sizes::unsigned(text).map(Value::from);
const BYTES: Number = |text| sizes::bytes(text).map(Value::from);

/// The options, and what they mean in `linux.resources`.
const FIELDS: &[(&str, [&str; 2], Number)] = &[
    ("cpuset-cpus", ["cpu", "cpus"], TEXT),
    ("cpuset-mems", ["cpu", "mems"], TEXT),
    ("cpu-idle", ["cpu", "idle"], SIGNED),
    ("cpu-burst", ["cpu", "burst"], UNSIGNED),
    ("cpu-period", ["cpu", "period"], UNSIGNED),
    ("cpu-rt-period", ["cpu", "realtimePeriod"], UNSIGNED),
    ("cpu-share", ["cpu", "shares"], UNSIGNED),
    ("cpu-quota", ["cpu", "quota"], SIGNED),
    ("cpu-rt-runtime", ["cpu", "realtimeRuntime"], SIGNED),
    ("memory", ["memory", "limit"], BYTES),
    ("memory-swap", ["memory", "swap"], BYTES),
    ("memory-reservation", ["memory", "reservation"], BYTES),
];

/// Options that are numbers by their type: a word there is wrong usage.
const NUMBERS: &[(&str, [&str; 2])] =
    &[("blkio-weight", ["blockIO", "weight"]), ("pids-limit", ["pids", "limit"])];

/// The kernel has nothing for them any more.
const IGNORED: [&str; 2] = ["kernel-memory", "kernel-memory-tcp"];

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let container = invocation.runtime()?.open(&Id::new(args.id())?)?;
    let resources = match args.value("resources").filter(|file| !file.is_empty()) {
        Some(file) => read(file)?,
        None => fields(args)?.to_string().into_bytes(),
    };
    let line = |option: &str| args.text(option).map(|line| line.into_owned());
    let options =
        UpdateOptions { l3_cache_schema: line("l3-cache-schema"), mem_bw_schema: line("mem-bw-schema") };
    for warning in container.update(&resources, &options)? {
        log::warn!("{}: {}", warning.pointer, warning.message);
    }
    Ok(0)
}

fn read(file: &std::ffi::OsStr) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match file == "-" {
        true => stdin().lock().take(MAX_BYTES).read_to_end(&mut bytes),
        false => {
            let opened = File::open(file);
            let opened = opened.map_err(|e| Error::io(format!("open {}", file.to_string_lossy()), &e))?;
            opened.take(MAX_BYTES).read_to_end(&mut bytes)
        }
    };
    read.map_err(|e| Error::io(format!("read {}", file.to_string_lossy()), &e))?;
    Ok(bytes)
}

/// The options as `linux.resources`. An empty value is none.
fn fields(args: &Arguments) -> Result<Value> {
    let mut resources = json!({});
    let given = |option: &str| args.text(option).filter(|text| !text.is_empty());
    for (option, [section, field], number) in FIELDS {
        if let Some(text) = given(option) {
            let value = number(&text).map_err(|why| invalid(format!("invalid value for {option}: {why}")))?;
            resources[*section][*field] = value;
        }
    }
    for (option, [section, field]) in NUMBERS {
        if let Some(text) = args.text(option) {
            let value = sizes::signed(&text)
                .map_err(|_| invalid(format!("invalid value {text:?} for flag -{option}: parse error")))?;
            resources[*section][*field] = json!(value);
        }
    }
    for option in IGNORED.into_iter().filter(|option| given(option).is_some()) {
        log::warn!("Setting --{option} is ignored and will be removed");
    }
    Ok(resources)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::args::{parse, table};

    fn fields(line: &str) -> teu::Result<Value> {
        let options = table::Command::named("update").unwrap().options;
        super::fields(&parse::parse(line.split(' ').map(Into::into), options, false).unwrap())
    }

    #[test]
    fn options_become_fields_and_nothing_else_is_said() {
        assert_eq!(fields("id").unwrap(), json!({}));
        assert_eq!(fields("--memory= --cpu-share= id").unwrap(), json!({}));
        let line = "--memory 32M --memory-swap=-1 --memory-reservation 1g --cpu-period 5000 --cpu-quota -1 --cpu-burst 0 id";
        let expected = json!({
            "memory": { "limit": 33_554_432, "swap": -1, "reservation": 1_073_741_824 },
            "cpu": { "period": 5000, "quota": -1, "burst": 0 },
        });
        assert_eq!(fields(line).unwrap(), expected);
        let line = "--blkio-weight 50 --pids-limit 0 --cpu-idle 1 --cpu-share 7 --cpu-rt-period 9 --cpu-rt-runtime 8 --cpuset-cpus 0-1 --cpuset-mems 0 --kernel-memory 5 id";
        let expected = json!({
            "blockIO": { "weight": 50 }, "pids": { "limit": 0 },
            "cpu": { "idle": 1, "shares": 7, "realtimePeriod": 9, "realtimeRuntime": 8, "cpus": "0-1", "mems": "0" },
        });
        assert_eq!(fields(line).unwrap(), expected);
    }

    #[test]
    fn bad_numbers_are_refused_by_name() {
        for (line, text) in [
            ("--memory x id", "invalid value for memory: invalid size: 'x'"),
            ("--memory-swap 5q id", "invalid value for memory-swap: invalid suffix: 'q'"),
            (
                "--cpu-share -5 id",
                "invalid value for cpu-share: strconv.ParseUint: parsing \"-5\": invalid syntax",
            ),
            (
                "--cpu-quota 1.5 id",
                "invalid value for cpu-quota: strconv.ParseInt: parsing \"1.5\": invalid syntax",
            ),
            (
                "--cpu-idle on id",
                "invalid value for cpu-idle: strconv.ParseInt: parsing \"on\": invalid syntax",
            ),
            ("--blkio-weight= id", "invalid value \"\" for flag -blkio-weight: parse error"),
        ] {
            assert_eq!(fields(line).unwrap_err().to_string(), text, "{line}");
        }
    }
}

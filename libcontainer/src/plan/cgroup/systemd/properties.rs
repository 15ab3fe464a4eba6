//! What the limits of a container are as properties of its unit: one row for each file of cgroup v2 that systemd writes too.
//!
//! Law: a property says the same as the file, so that systemd, which writes the files again when it likes, changes nothing. That is why the rows go from
//! the planned writes and not from the configuration.

use super::super::Setting;
use super::{Property, Value};

/// How a file's value is said as properties; nothing where systemd has no words for it.
type Words = fn(&str) -> Vec<(&'static str, Value)>;

// table: file, how it is said. Since systemd 247 all are known; an older one is told what it knows.
#[rustfmt::skip]
const TABLE: &[(&str, Words)] = &[
    ("memory.max",      |value| amount("MemoryMax", value)),
    ("memory.high",     |value| amount("MemoryHigh", value)),
    ("memory.low",      |value| amount("MemoryLow", value)),
    ("memory.min",      |value| amount("MemoryMin", value)),
    ("memory.swap.max", |value| amount("MemorySwapMax", value)),
    ("cpu.weight",      |value| weight("CPUWeight", value)),
    // 0 is how systemd says "idle", since 252.
    ("cpu.idle",        |value| if value == "1" { vec![("CPUWeight", Value::Uint64(0))] } else { Vec::new() }),
    ("cpu.max",         quota),
    ("cpuset.cpus",     |value| set("AllowedCPUs", value)),
    ("cpuset.mems",     |value| set("AllowedMemoryNodes", value)),
    ("pids.max",        |value| amount("TasksMax", value).into_iter().filter(|(_, value)| *value != Value::Uint64(0)).collect()),
    ("io.weight",       |value| weight("IOWeight", value)),
    // Of v1: see `of_v1`.
    ("cpu.shares",      |value| amount("CPUShares", value)),
    ("blkio.weight",    |value| amount("BlockIOWeight", value)),
];

/// Files of v2 for which a host with v1 has others, whose numbers systemd keeps as they are. It would round what it has to translate.
const NOT_OF_V1: [&str; 4] = ["cpu.weight", "cpu.idle", "io.weight", "io.bfq.weight"];
const OF_V1: [&str; 2] = ["cpu.shares", "blkio.weight"];

/// The settings from which the properties of a unit on a host with v1 are made.
pub(in super::super) fn of_v1(v2: Vec<Setting>, v1: Vec<Setting>) -> Vec<Setting> {
    let kept = v2.into_iter().filter(|setting| !NOT_OF_V1.contains(&setting.file.as_str()));
    kept.chain(v1.into_iter().filter(|setting| OF_V1.contains(&setting.file.as_str()))).collect()
}

/// Microseconds of a second, and how coarse systemd keeps a quota: a percent of a processor.
const SECOND: u64 = 1_000_000;
const PERCENT: u64 = 10_000;

/// The properties that the settings stand for; of two of one name the last counts, as of two writes.
pub(super) fn properties(settings: &[Setting]) -> Vec<Property> {
    let mut found: Vec<Property> = Vec::new();
    for setting in settings {
        let own = std::iter::once((setting.file.as_str(), setting.value.as_str()));
        let instead = setting.care.instead.as_ref().map(|(file, value)| (file.as_ref(), value.as_str()));
        for (name, value) in own.chain(instead).flat_map(|(file, value)| said(file, value)) {
            found.retain(|property| property.name != name);
            found.push(Property { name: name.to_owned(), value, pointer: setting.pointer.clone() });
        }
    }
    found
}

fn said(file: &str, value: &str) -> Vec<(&'static str, Value)> {
    let row = TABLE.iter().find(|(name, _)| *name == file);
    row.map(|(_, words)| words(value.trim())).unwrap_or_default()
}

/// Makes a quota one that systemd can keep: rounded up to a percent of a processor.
pub(super) fn round_quota(setting: &mut Setting) {
    if setting.file != "cpu.max" {
        return;
    }
    if let Some((quota, period)) = quota_and_period(&setting.value) {
        let rounded = u128::from(per_second(quota, period)) * u128::from(period) / u128::from(SECOND);
        setting.value = format!("{rounded} {period}");
    }
}

fn quota_and_period(value: &str) -> Option<(u64, u64)> {
    let (quota, period) = value.split_once(' ')?;
    Some((quota.parse().ok()?, period.trim().parse().ok().filter(|period| *period != 0)?))
}

fn per_second(quota: u64, period: u64) -> u64 {
    let exact = u128::from(quota) * u128::from(SECOND) / u128::from(period);
    u64::try_from(exact).unwrap_or(u64::MAX / 2).div_ceil(PERCENT).saturating_mul(PERCENT)
}

fn quota(value: &str) -> Vec<(&'static str, Value)> {
    let period = |period: u64| ("CPUQuotaPeriodUSec", Value::Uint64(period));
    let per_second_is = |number: u64| ("CPUQuotaPerSecUSec", Value::Uint64(number));
    match (quota_and_period(value), value.strip_prefix("max")) {
        (Some((quota, length)), _) => vec![per_second_is(per_second(quota, length)), period(length)],
        (None, Some(rest)) => {
            let length = rest.trim().parse().ok().map(period);
            std::iter::once(per_second_is(u64::MAX)).chain(length).collect()
        }
        (None, None) => Vec::new(),
    }
}

fn amount(name: &'static str, value: &str) -> Vec<(&'static str, Value)> {
    let number = if value == "max" { Some(u64::MAX) } else { value.parse().ok() };
    number.map(|number| (name, Value::Uint64(number))).into_iter().collect()
}

/// What is about one device has a colon and is not for a property.
fn weight(name: &'static str, value: &str) -> Vec<(&'static str, Value)> {
    let number = value.strip_prefix("default ").unwrap_or(value).parse().ok();
    let number = number.filter(|number| (1..=10_000).contains(number));
    number.map(|number| (name, Value::Uint64(number))).into_iter().collect()
}

/// A list such as `0-3,8` as a set of bits, the lowest first.
fn set(name: &'static str, value: &str) -> Vec<(&'static str, Value)> {
    bits(value)
        .map(|bytes| {
            let bytes = bytes.into_iter().map(Value::Byte).collect();
            (name, Value::Array("y".to_owned(), bytes))
        })
        .into_iter()
        .collect()
}

/// No machine has more processors, and no list makes us reserve more.
const HIGHEST: usize = 8191;

fn bits(list: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.trim().parse::<usize>().ok()?, last.trim().parse::<usize>().ok()?);
        if last > HIGHEST {
            return None;
        }
        bytes.resize(bytes.len().max(last / 8 + 1), 0u8);
        for number in first..=last {
            if let Some(byte) = bytes.get_mut(number / 8) {
                *byte |= 1 << (number % 8);
            }
        }
    }
    Some(bytes)
}

/// Whether systemd counts and limits what the file belongs to.
#[cfg(test)]
fn is_known_to_systemd(file: &str) -> bool {
    ["memory", "cpu", "cpuset", "pids", "io"].contains(&super::super::controller(file))
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::LinuxResources;

    use super::super::super::settings;
    use super::*;

    fn of(json: &str) -> String {
        let resources: LinuxResources = serde_json::from_str(json).unwrap();
        let mut settings = settings(&resources, true).unwrap();
        settings.iter_mut().for_each(round_quota);
        let all = properties(&settings);
        all.iter()
            .map(|property| format!("{}={}", property.name, property.value))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn every_limit_that_systemd_has_a_word_for_is_said() {
        for (json, expected) in [
            (
                r#"{"memory": {"limit": 4096, "reservation": 2048, "swap": 8192}}"#,
                "MemoryLow=2048 MemorySwapMax=4096 MemoryMax=4096",
            ),
            (r#"{"memory": {"limit": -1}}"#, "MemorySwapMax=infinity MemoryMax=infinity"),
            (r#"{"memory": {"limit": 0}}"#, ""),
            (r#"{"cpu": {"shares": 1024}}"#, "CPUWeight=100"),
            (r#"{"cpu": {"shares": 1024, "idle": 1}}"#, "CPUWeight=0"),
            (r#"{"cpu": {"idle": 0}}"#, ""),
            (
                r#"{"cpu": {"quota": 50000, "period": 100000}}"#,
                "CPUQuotaPerSecUSec=500000 CPUQuotaPeriodUSec=100000",
            ),
            (r#"{"cpu": {"quota": 50000}}"#, "CPUQuotaPerSecUSec=500000 CPUQuotaPeriodUSec=100000"),
            (r#"{"cpu": {"period": 50000}}"#, "CPUQuotaPerSecUSec=infinity CPUQuotaPeriodUSec=50000"),
            (
                r#"{"cpu": {"quota": -1, "period": 100000}}"#,
                "CPUQuotaPerSecUSec=infinity CPUQuotaPeriodUSec=100000",
            ),
            (r#"{"cpu": {"cpus": "0-2,8", "mems": "0"}}"#, "AllowedCPUs=[07, 01] AllowedMemoryNodes=[01]"),
            (r#"{"pids": {"limit": 100}}"#, "TasksMax=100"),
            (r#"{"pids": {"limit": -1}}"#, "TasksMax=infinity"),
            (
                r#"{"blockIO": {"weight": 500, "weightDevice": [{"major": 8, "minor": 0, "weight": 20}]}}"#,
                "IOWeight=4950",
            ),
            (
                r#"{"unified": {"memory.high": "4096", "memory.min": "max", "pids.max": "7", "io.weight": "default 33"}}"#,
                "IOWeight=33 MemoryHigh=4096 MemoryMin=infinity TasksMax=7",
            ),
            (r#"{"pids": {"limit": 100}, "unified": {"pids.max": "7"}}"#, "TasksMax=7"),
            (
                r#"{"unified": {"pids.max": "0", "memory.max": "4K", "cpu.weight": "0", "cpuset.cpus": "x", "cpu.max": "x 1"}}"#,
                "",
            ),
            (
                r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 4}], "rdma": {"a": {"hcaHandles": 1}}}"#,
                "",
            ),
        ] {
            assert_eq!(of(json), expected, "{json}");
        }
    }

    #[test]
    fn a_quota_is_a_whole_percent_for_the_file_and_for_systemd() {
        for (value, file) in [
            ("33333 100000", "34000 100000"),
            ("50000 100000", "50000 100000"),
            ("1000 1000000", "10000 1000000"),
            ("max 100000", "max 100000"),
            ("18446744073709551615 1000", ""),
        ] {
            let resources = LinuxResources::default();
            assert!(settings(&resources, true).unwrap().is_empty());
            let mut setting = settings(&serde_json::from_str(r#"{"cpu": {"period": 1000}}"#).unwrap(), true)
                .unwrap()
                .remove(0);
            setting.value = value.to_owned();
            round_quota(&mut setting);
            if !file.is_empty() {
                assert_eq!(setting.value, file);
            }
            let again = setting.value.clone();
            round_quota(&mut setting);
            assert_eq!(setting.value, again, "rounding is done once");
        }
    }

    #[test]
    fn a_host_with_v1_is_told_weights_by_the_numbers_of_its_own_files() {
        let json = r#"{"cpu": {"shares": 512}, "blockIO": {"weight": 500}, "pids": {"limit": 7}}"#;
        let resources: LinuxResources = serde_json::from_str(json).unwrap();
        let words = of_v1(settings(&resources, true).unwrap(), settings(&resources, false).unwrap());
        let said: Vec<_> = properties(&words).iter().map(Property::to_string).collect();
        assert_eq!(said, ["TasksMax=7", "CPUShares=512", "BlockIOWeight=500"]);
    }

    /// The drift between the drivers: every v2 file of a controller that systemd knows has a row here, or is listed as one without.
    #[test]
    fn every_file_that_a_field_stands_for_has_a_row_or_a_reason() {
        let without = ["cpu.max.burst", "io.max", "io.bfq.weight"];
        let files = super::super::super::table::TABLE.iter().map(|row| row.v2.file);
        let files = files.filter(|file| is_known_to_systemd(file));
        let missing: Vec<_> = files
            .filter(|file| !without.contains(file) && !TABLE.iter().any(|(name, _)| name == file))
            .collect();
        assert_eq!(
            missing, [""; 0],
            "neither in the table of properties nor among those that systemd has no word for"
        );
    }

    #[test]
    fn lists_of_processors_are_sets_of_bits() {
        for (list, expected) in [
            ("0", Some(vec![1])),
            ("0-7", Some(vec![0xff])),
            ("7,8", Some(vec![0x80, 1])),
            ("16", Some(vec![0, 0, 1])),
            ("3-1", Some(vec![0])),
            ("", None),
            ("a", None),
            ("0-", None),
            ("0-4294967295", None),
        ] {
            assert_eq!(bits(list), expected, "{list}");
        }
    }
}

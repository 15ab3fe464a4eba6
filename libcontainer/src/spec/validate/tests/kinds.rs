//! Values of a kind or size that their field cannot have: each is refused at its own place in the full configuration.

use serde_json::Value;

use crate::spec::tests::{load, set};

/// Refused at exactly this place.
fn refuse(pointer: &str, values: &[&str]) {
    for value in values {
        let mut document: Value = serde_json::from_str(include_str!("../../../../tests/full.json")).unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} is not in the full configuration");
        set(&mut document, pointer, serde_json::from_str(value).unwrap());
        let error = match load(&document) {
            Ok(_) => panic!("{pointer}: {value} is accepted"),
            Err(error) => error,
        };
        assert_eq!(error.pointer(), Some(pointer), "{value}: {error}");
        assert!(!error.to_string().contains('\n'), "{pointer}: {error}");
    }
}

const TEXT: &[&str] = &["7", "true", "[]", "{}", "\"a\\u0000b\""];
const U16: &[&str] = &["-1", "65536", "1.5", "\"1\"", "[]", "{}"];
const U32: &[&str] = &["-1", "4294967296", "1.5", "\"1\"", "[]", "{}"];
const U64: &[&str] = &["-1", "18446744073709551616", "0.5", "\"1\"", "[]", "{}"];
const I64: &[&str] = &["9223372036854775808", "-9223372036854775809", "0.5", "\"1\"", "[]", "{}"];
const FLAG: &[&str] = &["0", "\"true\"", "[]", "{}"];
const LIST: &[&str] = &["0", "\"x\"", "{}", "true"];

// table: pointer, values that it cannot have
#[test]
fn values_of_another_kind_or_size_are_refused_where_they_stand() {
    let rows: &[(&str, &[&str])] = &[
        ("/process/consoleSize/height", U64),
        ("/process/consoleSize/width", U64),
        ("/process/capabilities/inheritable", LIST),
        ("/process/scheduler/deadline", U64),
        ("/process/scheduler/period", U64),
        ("/mounts/3/uidMappings/0/containerID", U32),
        ("/mounts/3/uidMappings/0/hostID", U32),
        ("/mounts/3/uidMappings/0/size", U32),
        ("/mounts/3/gidMappings/0/containerID", U32),
        ("/mounts/3/gidMappings/0/hostID", U32),
        ("/mounts/3/gidMappings/0/size", U32),
        ("/linux/uidMappings/0/containerID", U32),
        ("/linux/uidMappings/0/hostID", U32),
        ("/linux/uidMappings/0/size", U32),
        ("/linux/gidMappings/0/containerID", U32),
        ("/linux/gidMappings/0/hostID", U32),
        ("/linux/gidMappings/0/size", U32),
        ("/linux/personality/domain", TEXT),
        ("/linux/devices/0/fileMode", U32),
        ("/linux/devices/0/gid", U32),
        ("/linux/resources/memory/disableOOMKiller", FLAG),
        ("/linux/resources/memory/useHierarchy", FLAG),
        ("/linux/resources/cpu/realtimePeriod", U64),
        ("/linux/resources/blockIO/leafWeight", U16),
        ("/linux/resources/blockIO/weightDevice/0/major", I64),
        ("/linux/resources/blockIO/weightDevice/0/minor", I64),
        ("/linux/resources/blockIO/weightDevice/0/weight", U16),
        ("/linux/resources/blockIO/weightDevice/0/leafWeight", U16),
        ("/linux/resources/blockIO/throttleReadBpsDevice/0/major", I64),
        ("/linux/resources/blockIO/throttleReadBpsDevice/0/minor", I64),
        ("/linux/resources/blockIO/throttleReadBpsDevice/0/rate", U64),
        ("/linux/resources/blockIO/throttleWriteBpsDevice/0/major", I64),
        ("/linux/resources/blockIO/throttleWriteBpsDevice/0/minor", I64),
        ("/linux/resources/blockIO/throttleWriteBpsDevice/0/rate", U64),
        ("/linux/resources/blockIO/throttleReadIOPSDevice/0/major", I64),
        ("/linux/resources/blockIO/throttleReadIOPSDevice/0/minor", I64),
        ("/linux/resources/blockIO/throttleReadIOPSDevice/0/rate", U64),
        ("/linux/resources/blockIO/throttleWriteIOPSDevice/0/major", I64),
        ("/linux/resources/blockIO/throttleWriteIOPSDevice/0/minor", I64),
        ("/linux/resources/blockIO/throttleWriteIOPSDevice/0/rate", U64),
        ("/linux/resources/network/priorities/0/priority", U32),
        ("/linux/resources/rdma/mlx5_1/hcaHandles", U32),
        ("/linux/intelRdt/schemata", LIST),
        ("/linux/intelRdt/l3CacheSchema", TEXT),
        ("/linux/intelRdt/memBwSchema", TEXT),
        ("/linux/intelRdt/enableMonitoring", FLAG),
        ("/linux/seccomp/flags", LIST),
        ("/linux/seccomp/syscalls/0/action", TEXT),
        ("/linux/seccomp/syscalls/1/args/0/value", U64),
        ("/linux/seccomp/syscalls/1/args/0/valueTwo", U64),
        ("/linux/seccomp/syscalls/1/args/0/op", TEXT),
    ];
    rows.iter().for_each(|(pointer, values)| refuse(pointer, values));
}

#[test]
fn parts_of_a_hook_have_their_kinds() {
    const PATH: &[&str] = &["\"\"", "\"bin/hook\"", "\"./hook\"", "7", "[]", "{}", "\"/a\\u0000b\""];
    const WORDS: &[&str] = &["\"hook\"", "7", "{}", "true"];
    const SECONDS: &[&str] = &["0", "-1", "1.5", "\"5\"", "[]", "{}", "9223372036854775808"];
    let rows: &[(&str, &[&str])] = &[
        ("/hooks/prestart/0/path", PATH),
        ("/hooks/prestart/0/args", WORDS),
        ("/hooks/prestart/0/env", WORDS),
        ("/hooks/prestart/0/timeout", SECONDS),
        ("/hooks/createRuntime/0/path", PATH),
        ("/hooks/createRuntime/0/args", WORDS),
        ("/hooks/createRuntime/0/env", WORDS),
        ("/hooks/createRuntime/0/timeout", SECONDS),
        ("/hooks/createContainer/0/path", PATH),
        ("/hooks/createContainer/0/args", WORDS),
        ("/hooks/createContainer/0/env", WORDS),
        ("/hooks/createContainer/0/timeout", SECONDS),
        ("/hooks/startContainer/0/path", PATH),
        ("/hooks/startContainer/0/args", WORDS),
        ("/hooks/startContainer/0/env", WORDS),
        ("/hooks/startContainer/0/timeout", SECONDS),
        ("/hooks/poststart/0/path", PATH),
        ("/hooks/poststart/0/args", WORDS),
        ("/hooks/poststart/0/env", WORDS),
        ("/hooks/poststart/0/timeout", SECONDS),
        ("/hooks/poststop/0/path", PATH),
        ("/hooks/poststop/0/args", WORDS),
        ("/hooks/poststop/0/env", WORDS),
        ("/hooks/poststop/0/timeout", SECONDS),
    ];
    rows.iter().for_each(|(pointer, values)| refuse(pointer, values));
}

//! Accepts what runc accepts and the types refuse. Runs only after they refused, on the parsed value, and changes no more
//! than the cases below. What runc warns about becomes a [`Warning`]. Pure.

use oci_spec::runtime::Capability;
use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde_json::{Map, Value, json};

use super::{Warning, lost, pointer};

const CAPABILITIES: &str = "/process/capabilities";
const CAPABILITY_SETS: [&str; 5] = ["bounding", "effective", "inheritable", "permitted", "ambient"];

/// So many unknown names of a set are named; there are 41 known ones.
const MAX_WARNINGS: usize = 64;

/// Sections of other platforms: ignored, and so never a reason to refuse. The last two belong to no version of the
/// specification, but the types read them.
const FOREIGN: [&str; 6] = ["solaris", "windows", "vm", "zos", "uidMappings", "gidMappings"];

/// Scheduler flags: the specification's name, and the one that the types expect.
const SCHEDULER_FLAGS: [(&str, &str); 2] = [
    ("SCHED_FLAG_RESET_ON_FORK", "SCHED_RESET_ON_FORK"),
    ("SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_D_L_OVERRUN"),
];

/// Removes or completes what the types refuse and runc does not.
pub fn relax(document: &mut Value, warnings: &mut Vec<Warning>) {
    drop_nulls(document);
    if let Some(top) = document.as_object_mut() {
        FOREIGN.iter().for_each(|key| drop(top.remove(*key)));
    }
    complete_process(document);
    drop_unknown_capabilities(document, warnings);
    drop_empty_strings(document);
    drop_empty_seccomp(document);
    rename_scheduler_flags(document);
    rename_page_sizes(document);
}

/// Go reads null as absence, whatever the type. The recursion is bounded by the parser's depth of 128.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, item| !item.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// No user is 0:0. A missing cwd becomes the empty one, for which validation has the known words.
fn complete_process(document: &mut Value) {
    if let Some(process) = object(document, "/process") {
        process.entry("user").or_insert_with(|| json!({}));
        process.entry("cwd").or_insert_with(|| json!(""));
    }
}

fn drop_unknown_capabilities(document: &mut Value, warnings: &mut Vec<Warning>) {
    for set in CAPABILITY_SETS {
        let place = pointer::join(CAPABILITIES, set);
        let Some(names) = document.pointer_mut(&place).and_then(Value::as_array_mut) else { continue };
        let (mut index, mut unknown) = (0_usize, 0_usize);
        names.retain(|name| {
            let known = name.as_str().is_none_or(is_capability);
            if !known && unknown < MAX_WARNINGS {
                let message = format!("unknown capability {name} is ignored");
                warnings.push(Warning::new(pointer::join(&place, &index.to_string()), message));
            }
            index += 1;
            unknown += usize::from(!known);
            known
        });
        if unknown > MAX_WARNINGS {
            let message = format!("{} more unknown capabilities are ignored", unknown - MAX_WARNINGS);
            warnings.push(Warning::new(place, message));
        }
    }
}

fn is_capability(name: &str) -> bool {
    lost::is_spelt_out(name) && Capability::deserialize(StrDeserializer::<ValueError>::new(name)).is_ok()
}

/// Typed strings where the specification's types leave "" out.
fn drop_empty_strings(document: &mut Value) {
    let affinity = object(document, "/process/execCPUAffinity");
    if let Some(affinity) = affinity {
        affinity.retain(|_, cpus| cpus != "");
    }
    let rules = document.pointer_mut("/linux/resources/devices").and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
        rule.retain(|key, item| key != "type" || item != "");
    }
}

/// A profile without default action and rules is no profile.
fn drop_empty_seccomp(document: &mut Value) {
    let Some(linux) = object(document, "/linux") else { return };
    let is_empty = |seccomp: &Value| {
        let action = seccomp.get("defaultAction").is_none_or(|action| action == "");
        let rules = seccomp.get("syscalls").is_none_or(|rules| rules == &json!([]));
        seccomp.is_object() && action && rules
    };
    if linux.get("seccomp").is_some_and(is_empty) {
        linux.remove("seccomp");
    }
}

fn rename_scheduler_flags(document: &mut Value) {
    let flags = document.pointer_mut("/process/scheduler/flags").and_then(Value::as_array_mut);
    for flag in flags.into_iter().flatten() {
        if let Some((_, expected)) = SCHEDULER_FLAGS.iter().find(|(name, _)| flag == name) {
            *flag = json!(expected);
        }
    }
}

/// Go reads a key in any case, and this one is met in lower case.
fn rename_page_sizes(document: &mut Value) {
    let limits = document.pointer_mut("/linux/resources/hugepageLimits").and_then(Value::as_array_mut);
    for limit in limits.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(size) = limit.remove("pagesize") {
            limit.entry("pageSize").or_insert(size);
        }
    }
}

fn object<'a>(document: &'a mut Value, place: &str) -> Option<&'a mut Map<String, Value>> {
    document.pointer_mut(place).and_then(Value::as_object_mut)
}

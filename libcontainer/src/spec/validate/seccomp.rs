//! `linux.seccomp` and the annotations that speak about it: everything that does not depend on the machine. Unknown actions, operators, flags and
//! architectures never get here: the types of the specification refuse them.

use oci_spec::runtime::Spec as Config;

use super::{Warnings, limit_entries, list};
use crate::Result;
use crate::seccomp;
use crate::spec::filter;

pub fn seccomp(config: &Config, warnings: &mut Warnings) -> Result<()> {
    filter::check_listener(config)?;
    // A filter in an annotation takes the profile's place.
    if filter::instructions(config)?.is_some() {
        return Ok(());
    }
    let Some(seccomp) = filter::profile(config) else { return Ok(()) };
    limit_entries(list(seccomp.syscalls()).len(), "/linux/seccomp/syscalls")?;
    warnings.extend(seccomp::check(seccomp)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::spec::tests::{load, with};

    fn refused(profile: Value, place: &str, words: &str) {
        let error = load(&with("/linux/seccomp", profile.clone())).err();
        let Some(error) = error else { panic!("accepted: {profile}") };
        let pointer = error.pointer().unwrap_or_default();
        assert_eq!(pointer, format!("/linux/seccomp{place}"), "{profile}: {error}");
        assert!(error.message().contains(words), "{profile}: {error}");
    }

    fn rule(change: Value) -> Value {
        let mut rule = json!({"names": ["read"], "action": "SCMP_ACT_ALLOW"});
        for (key, value) in change.as_object().into_iter().flatten() {
            rule[key] = value.clone();
        }
        json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]})
    }

    fn arg(change: Value) -> Value {
        let mut arg = json!({"index": 0, "value": 0, "op": "SCMP_CMP_EQ"});
        for (key, value) in change.as_object().into_iter().flatten() {
            arg[key] = value.clone();
        }
        rule(json!({"args": [arg]}))
    }

    #[test]
    fn unknown_words_and_wrong_numbers_are_refused_at_their_place() {
        let profile = |key: &str, value: Value| {
            let mut profile = json!({"defaultAction": "SCMP_ACT_ERRNO"});
            profile[key] = value;
            profile
        };
        refused(json!({"defaultAction": "SCMP_ACT_NONE"}), "/defaultAction", "SCMP_ACT_NONE");
        refused(profile("architectures", json!(["SCMP_ARCH_VAX"])), "/architectures/0", "SCMP_ARCH_VAX");
        refused(profile("flags", json!(["SECCOMP_FILTER_FLAG_X"])), "/flags/0", "SECCOMP_FILTER_FLAG_X");
        refused(profile("defaultErrnoRet", json!(-1)), "/defaultErrnoRet", "-1");
        refused(profile("defaultErrnoRet", json!(4096)), "/defaultErrnoRet", "4096 is more than 4095");
        refused(profile("listenerMetadata", json!("x")), "/listenerMetadata", "without listenerPath");
        refused(rule(json!({"action": "SCMP_ACT_NONE"})), "/syscalls/0/action", "SCMP_ACT_NONE");
        refused(rule(json!({"errnoRet": 1})), "/syscalls/0/errnoRet", "returns no errno");
        refused(rule(json!({"names": "read"})), "/syscalls/0/names", "");
        refused(rule(json!({"names": [""]})), "/syscalls/0/names/0", "not a valid syscall");
        refused(arg(json!({"index": 6})), "/syscalls/0/args/0/index", "no argument 6");
        refused(arg(json!({"index": -1})), "/syscalls/0/args/0/index", "-1");
        refused(arg(json!({"op": "SCMP_CMP_NONE"})), "/syscalls/0/args/0/op", "SCMP_CMP_NONE");
        refused(arg(json!({"value": -1})), "/syscalls/0/args/0/value", "-1");
    }
}

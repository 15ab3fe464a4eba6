//! The lane `mutants`: teu is broken on purpose, and the behaviours that watch the broken place must fail. Those in the table
//! failed on no runtime before: without a mutant nobody would know that they can.

use std::fs;
use std::path::{Path, PathBuf};

use crate::project::Project;
use crate::step::Step;
use crate::summary::Tally;
use crate::test::Suite;

/// A place of the source, what stands there instead, and the behaviours that notice.
struct Mutant {
    file: &'static str,
    text: &'static str,
    instead: &'static str,
    noticed_by: &'static [&'static str],
}

const LIMITS: &[&str] = &[
    "cgroups::memory_limit_is_written",
    "cgroups::memory_swap_is_written",
    "cgroups::memory_reservation_is_written",
    "cgroups::cpu_shares_are_written",
    "cgroups::cpu_quota_and_period_are_written",
    "cgroups::cpuset_is_written",
    "cgroups::pids_limit_is_written",
    "cgroups::pids_limit_is_enforced",
    "cgroups::memory_limit_is_enforced",
    "cgroups::limits_hold_before_the_program_runs",
];

// table: file, text, replacement, behaviours. All of them go into one build, so none may hide another's. One without
// behaviours is a second line of defence, which has to go for the next one to be noticed.
const MUTANTS: &[Mutant] = &[
    Mutant {
        file: "libcontainer/src/plan/cgroup/mod.rs",
        text: "for setting in settings {",
        instead: "for setting in settings.into_iter().take(0) {",
        noticed_by: LIMITS,
    },
    Mutant {
        file: "libcontainer/src/spec/load.rs",
        text: "    invalid(format!(\"{what}: {}\", one_line(&error.to_string())))",
        instead: "    invalid(what.replace(\"config.json\", \"it\"))",
        noticed_by: &[
            "errors::a_config_that_is_not_json_is_refused",
            "errors::a_truncated_config_is_refused",
            "errors::an_empty_config_is_refused",
        ],
    },
    Mutant {
        file: "runtime-cli/src/paths.rs",
        text: "let resolved = std::fs::canonicalize(path);",
        instead: "let resolved: std::io::Result<PathBuf> = Ok(path.to_owned());",
        noticed_by: &[],
    },
    Mutant {
        file: "libcontainer/src/spec/mod.rs",
        text: "Spec::path_of(opened.as_fd())",
        instead: "Ok::<_, Error>(given.to_path_buf())",
        noticed_by: &["caller::a_relative_bundle_becomes_absolute", "caller::a_bundle_behind_a_link_works"],
    },
    Mutant {
        file: "libcontainer/src/spec/mod.rs",
        text: "let opened = open(given,",
        instead: "let opened = open(Path::new(\"/\"),",
        noticed_by: &["errors::a_missing_bundle_is_refused"],
    },
    Mutant {
        file: "libcontainer/src/state/dir.rs",
        text: ".mode(0o700)",
        instead: ".mode(0o755)",
        noticed_by: &["caller::the_state_root_is_made_for_the_owner_alone"],
    },
    Mutant {
        file: "libcontainer/src/container/remove.rs",
        text: "Err(error) if error.kind() == ErrorKind::NotFound && mode == Delete::Force => Ok(Vec::new()),",
        instead: "",
        noticed_by: &["lifecycle::delete_by_force_of_an_unknown_container_succeeds"],
    },
    Mutant {
        file: "libcontainer/init/src/ops/process.rs",
        text: "sys::prctl(PR_SET_DUMPABLE, 0, 0)?;",
        instead: "sys::prctl(PR_SET_DUMPABLE, 1, 0)?;",
        noticed_by: &["hostile::a_waiting_init_cannot_be_looked_into_by_its_neighbours"],
    },
    Mutant {
        file: "libcontainer/init/src/ops/mount.rs",
        text: "    if !is_null_device(&found) {\n        return Err(Fault",
        instead: "    if false && !is_null_device(&found) {\n        return Err(Fault",
        noticed_by: &[],
    },
    Mutant {
        file: "libcontainer/src/plan/masks.rs",
        text: "Path::new(\"/dev/null\")",
        instead: "Path::new(\"/dev/zero\")",
        noticed_by: &["hostile::a_masked_path_over_a_bound_null_device_shows_nothing"],
    },
    Mutant {
        file: "runtime-cli/src/version.rs",
        text: "{program} version {NUMBER}",
        instead: "{program} {NUMBER}",
        noticed_by: &["state::version_names_the_program_and_the_spec"],
    },
    Mutant {
        file: "runtime-cli/src/commands/spec.rs",
        text: ".create_new(true)",
        instead: ".create(true)",
        noticed_by: &["state::spec_refuses_to_overwrite"],
    },
    Mutant {
        file: "runtime-cli/src/commands/start.rs",
        text: "    Ok(0)",
        instead: "    println!(\"started\");\n    Ok(0)",
        noticed_by: &["caller::create_start_kill_and_delete_print_nothing"],
    },
    Mutant {
        file: "runtime-cli/src/commands/run.rs",
        text: "signals.forward_until_exit(container)?",
        instead: "container.wait()?",
        noticed_by: &["caller::a_foreground_run_passes_signals_on"],
    },
    Mutant {
        file: "runtime-cli/src/main.rs",
        text: "    let program = invocation::program(&argv0);\n",
        instead: "    let program = invocation::program(&argv0);\n    let lost = std::env::var_os(\"PATH\").is_none() || std::env::current_dir().is_err();\n    if lost {\n        return ExitCode::FAILURE;\n    }\n",
        noticed_by: &[
            "caller::a_caller_with_an_empty_environment_is_served",
            "caller::a_caller_in_a_deleted_directory_is_served",
        ],
    },
    Mutant {
        file: "libcontainer/init/src/ops/rootfs.rs",
        text: "mode & S_IFMT && (found.rdev_major",
        instead: "mode & S_IFMT || (found.rdev_major",
        noticed_by: &[
            "devices::a_node_of_the_rootfs_that_is_another_is_refused",
            "devices::a_user_namespace_gets_no_other_node",
        ],
    },
    Mutant {
        file: "libcontainer/init/src/ops/terminal.rs",
        text: "S_IFIFO => true,",
        instead: "S_IFIFO => false,",
        noticed_by: &["terminal::pipes_belong_to_the_user"],
    },
    Mutant {
        file: "libcontainer/init/src/ops/terminal.rs",
        text: "            _ => false,\n        };",
        instead: "            _ => true,\n        };",
        noticed_by: &["terminal::files_keep_their_owner"],
    },
    Mutant {
        file: "libcontainer/src/launch/hook/state.rs",
        text: "status: self.status.as_str(),",
        instead: "status: \"running\",",
        noticed_by: &["hooks::hooks_read_the_state"],
    },
    Mutant {
        file: "libcontainer/src/launch/hook/streams.rs",
        text: "(\"run.oci.hooks.stdout\", \"stdout\")",
        instead: "(\"run.oci.hooks.output\", \"stdout\")",
        noticed_by: &["hooks::files_of_annotations_get_the_output"],
    },
    Mutant {
        file: "libcontainer/src/launch/hook/mod.rs",
        text: "(Some(own), _) => (Some(own), End::Overrun),",
        instead: "(Some(own), _) => (Some(own), End::Late),",
        noticed_by: &["hook_failures::a_hook_that_takes_too_long_is_killed_with_its_children"],
    },
    Mutant {
        file: "libcontainer/src/plan/hooks.rs",
        text: "hook.env.as_ref().map_or(process_env, |env| out.texts(env));",
        instead: "hook.env.as_ref().map_or(process_env, |_| process_env);",
        noticed_by: &["hooks::hooks_get_their_arguments_and_environment_and_nothing_of_the_process"],
    },
    Mutant {
        file: "libcontainer/src/spec/mod.rs",
        text: "is_some_and(|value| value == \"1\")",
        instead: "is_some_and(|value| value == \"2\")",
        noticed_by: &["process::the_caller_s_groups_stay_if_an_annotation_says_so"],
    },
    Mutant {
        file: "libcontainer/src/spec/own.rs",
        text: "value(config, KEYRING) == Some(\"caller\")",
        instead: "value(config, KEYRING) == Some(\"callers\")",
        noticed_by: &[
            "process::the_session_keyring_is_the_container_s_own_unless_an_annotation_says_otherwise",
        ],
    },
    Mutant {
        file: "libcontainer/src/spec/filter.rs",
        text: "        profile.set_listener_path(receiver);",
        instead: "        let _ = (profile, receiver);",
        noticed_by: &["seccomp_agent::the_receiver_of_the_annotation_is_an_agent"],
    },
    Mutant {
        file: "libcontainer/src/prepare/receiver.rs",
        text: "const NO_TEXT: &str = \" \";",
        instead: "const NO_TEXT: &str = \"standard\";",
        noticed_by: &["terminal::the_pidfd_of_init_is_sent_to_the_receiver_of_the_annotation"],
    },
    Mutant {
        file: "runtime-cli/src/amendment.rs",
        text: "|document| name_receiver(document, &receiver)",
        instead: "|document| name_receiver(document, receiver.get(..0).unwrap_or_default())",
        noticed_by: &["seccomp_agent::the_receiver_of_the_environment_is_an_agent"],
    },
];

/// The lane.
pub fn run(project: &Project) -> Result<Tally, String> {
    let teu = build(project)?;
    let mut suite = Suite::build(project)?;
    suite.replace_subject(teu);
    let expected: Vec<&str> = MUTANTS.iter().flat_map(|mutant| mutant.noticed_by).copied().collect();
    let filters = expected.iter().flat_map(|name| ["--filter", name]);
    let mut failed = Vec::new();
    let mut seen = |line: &str| {
        let mut words = line.split(' ');
        if let (Some("teu"), Some("FAIL" | "text"), Some(name)) = (words.next(), words.next(), words.next()) {
            failed.push(name.to_owned());
        }
    };
    // The suite fails, as it must.
    suite.step("native", false).args(filters).lines(&project.root, &mut seen)?;
    let mut tally = Tally::default();
    for name in expected {
        match failed.iter().any(|failed| failed == name) {
            true => tally.passed += 1,
            false => tally.add(Tally::fail(format!("no mutant makes {name} fail"))),
        }
    }
    Ok(tally)
}

/// Builds the command from a copy of the tracked files with every mutation in it.
fn build(project: &Project) -> Result<PathBuf, String> {
    let dir = project.target.join("mutants");
    let tree = dir.join("tree");
    let _ = fs::remove_dir_all(&tree);
    fs::create_dir_all(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;
    let mut prefix = tree.clone().into_os_string();
    prefix.push("/");
    Step::new("copy the tracked files", "git")
        .args(["checkout-index", "--all", "--force", "--prefix"])
        .arg(prefix)
        .run(&project.root)?;
    MUTANTS.iter().try_for_each(|mutant| mutant.apply(&tree))?;
    Step::new("build the mutant", &project.cargo)
        .args(["build", "--package", "teu-cli", "--target-dir"])
        .arg(dir.join("build"))
        .args(project.locked())
        .run(&tree)?;
    crate::artifact::existing(dir.join("build/debug/teu"))
}

impl Mutant {
    fn apply(&self, tree: &Path) -> Result<(), String> {
        let path = tree.join(self.file);
        let told = |why: &dyn std::fmt::Display| format!("{}: {why}", self.file);
        let source = fs::read_to_string(&path).map_err(|error| told(&error))?;
        if !source.contains(self.text) {
            return Err(told(&format_args!("the mutant's place is gone: {}", self.text)));
        }
        fs::write(&path, source.replacen(self.text, self.instead, 1)).map_err(|error| told(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::MUTANTS;
    use std::path::Path;

    #[test]
    fn every_mutant_has_its_place() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for mutant in MUTANTS {
            let source = std::fs::read_to_string(root.join(mutant.file)).unwrap_or_default();
            assert!(source.contains(mutant.text), "{}: {}", mutant.file, mutant.text);
        }
    }
}

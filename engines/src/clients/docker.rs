//! dockerd with its own containerd, and the `docker` command line.

use super::{SECCOMP, TALK};
use crate::client::{Client, Daemon};
use crate::step::{Case, client, shell, until};

/// Docker, without a network of its own.
pub const DOCKER: Client = Client {
    name: "docker",
    command: &["docker"],
    run: &["--network=none"],
    env: &[
        ("DOCKER_HOST", "unix://{dir}/docker.sock"),
        ("DOCKER_CONFIG", "{dir}/client"),
        // The builder inside the daemon knows nothing of the default runtime.
        ("DOCKER_BUILDKIT_RUNC_COMMAND", "{runtime}"),
    ],
    files: &[("seccomp.json", SECCOMP), ("Dockerfile", DOCKERFILE), ("compose.yaml", COMPOSE)],
    daemons: &[Daemon { words: DOCKERD, ready: &["version"] }],
    prepare: &["tar -C {rootfs} -c . | docker import - base"],
    race: Case { name: "race", steps: &[client(&["run", "--rm", "base", "true"])] },
    cases: CASES,
    cleanup: &[&["rm", "--force", "--volumes", "{id}"]],
    finish: &[],
    keeps: &["docker", "buildkit"],
    reference: super::RUNC,
};

const DOCKERD: &[&str] = &[
    "dockerd",
    "--host=unix://{dir}/docker.sock",
    "--data-root={dir}/data",
    "--exec-root={dir}/exec",
    "--pidfile={dir}/docker.pid",
    "--bridge=none",
    "--iptables=false",
    "--ip6tables=false",
    "--storage-driver=vfs",
    "--add-runtime=subject={runtime}",
    "--default-runtime=subject",
];

const DOCKERFILE: &str = "FROM base\nRUN echo built > /built\nRUN grep built /built\nCMD cat /built\n";

const COMPOSE: &str = r#"name: composed
services:
  one: {image: base, network_mode: none, command: [sh, -c, "echo from one; sleep 1000"], stop_grace_period: 0s}
  two: {image: base, network_mode: none, command: [sh, -c, "echo from two; exit 5"]}
"#;

// table: what a person or a script does with docker
const CASES: &[Case] = &[
    Case {
        name: "the_daemon_reads_version_and_features",
        steps: &[client(&["info"]).prints(&["Default Runtime: subject"]).hides("N/A")],
    },
    Case {
        name: "run_prints_what_the_program_prints",
        steps: &[client(&["run", "--rm", "base", "echo", "hello"]).prints(&["hello"])],
    },
    Case {
        name: "run_ends_with_the_code_of_the_program",
        steps: &[
            client(&["run", "--rm", "base", "true"]),
            client(&["run", "--rm", "base", "sh", "-c", "exit 1"]).code(1),
        ],
    },
    Case {
        name: "run_ends_with_125_if_docker_itself_cannot",
        steps: &[client(&["run", "--rm", "--memory=1k", "base", "true"]).code(125)],
    },
    Case {
        name: "run_ends_with_126_for_what_cannot_be_executed",
        steps: &[
            client(&["run", "--rm", "base", "/tmp"]).code(126),
            client(&["run", "--rm", "base", "/etc/plain"]).code(126).prints(&["permission denied"]),
        ],
    },
    Case {
        name: "run_ends_with_127_for_what_is_not_there",
        steps: &[
            client(&["run", "--rm", "base", "nosuch"])
                .code(127)
                .prints(&["exec: \"nosuch\": executable file not found in $PATH"]),
            client(&["run", "--rm", "base", "/nosuch"]).code(127).prints(&["no such file or directory"]),
        ],
    },
    Case {
        name: "run_ends_with_137_for_what_is_killed",
        steps: &[
            client(&["run", "--name={id}", "--detach", "base", "sleep", "1000"]),
            client(&["kill", "{id}"]),
            client(&["wait", "{id}"]).prints(&["137"]),
            client(&["run", "--rm", "base", "sh", "-c", "sleep 1000 & kill -9 $!; wait $!"]).code(137),
        ],
    },
    Case {
        name: "run_it_has_a_terminal_and_its_input",
        steps: &[client(&["run", "--rm", "-it", "base", "sh", "-c", TALK])
            .terminal()
            .stdin("some words\n")
            .code(3)
            .prints(&["/dev/pts/0", "31 97", "got some words"])],
    },
    Case {
        name: "exec_enters_the_container_and_ends_with_the_code_of_its_program",
        steps: &[
            client(&["run", "--name={id}", "--detach", "base", "sleep", "1000"]),
            client(&["exec", "{id}", "sh", "-c", "ps; exit 9"]).code(9).prints(&["sleep 1000"]),
            client(&["exec", "-it", "{id}", "sh", "-c", TALK])
                .terminal()
                .stdin("some words\n")
                .code(3)
                .prints(&["/dev/pts/0", "got some words"]),
            client(&[
                "exec",
                "--user=12:34",
                "--workdir=/etc",
                "--env=A=b",
                "{id}",
                "sh",
                "-c",
                "id; pwd; echo $A",
            ])
            .prints(&["uid=12 gid=34", "/etc", "b"]),
            client(&["exec", "--privileged", "{id}", "grep", "CapEff", "/proc/self/status"])
                .hides("a80425fb"),
        ],
    },
    Case {
        name: "exec_of_what_is_not_there_ends_with_126_or_127",
        steps: &[
            client(&["run", "--name={id}", "--detach", "base", "sleep", "1000"]),
            shell("{client} exec {id} nosuch; test $? = 126 -o $? = 127")
                .prints(&["exec: \"nosuch\": executable file not found in $PATH"]),
        ],
    },
    Case {
        name: "stop_sends_term_and_then_kill",
        steps: &[
            client(&[
                "run",
                "--name={id}",
                "--detach",
                "base",
                "sh",
                "-c",
                "trap 'echo told; exit 4' TERM; echo ready; while :; do sleep 0.1; done",
            ]),
            until(&["logs", "{id}"]).prints(&["ready"]),
            client(&["stop", "{id}"]),
            client(&["logs", "{id}"]).prints(&["told"]),
            client(&["inspect", "--format={{.State.ExitCode}}", "{id}"]).prints(&["4"]),
            client(&["start", "{id}"]),
            client(&["kill", "--signal=STOP", "{id}"]),
            client(&["stop", "--time=0", "{id}"]),
            client(&["inspect", "--format={{.State.ExitCode}}", "{id}"]).prints(&["137"]),
        ],
    },
    Case {
        name: "update_changes_the_limits_of_a_running_container",
        steps: &[
            client(&[
                "run",
                "--name={id}",
                "--detach",
                "--memory=64m",
                "--memory-swap=64m",
                "base",
                "sleep",
                "1000",
            ]),
            client(&[
                "update",
                "--memory=96m",
                "--memory-swap=96m",
                "--pids-limit=50",
                "--cpu-shares=512",
                "{id}",
            ]),
            client(&["stats", "--no-stream", "{id}"]).prints(&["96MiB"]),
            client(&["exec", "{id}", "true"]),
        ],
    },
    Case {
        name: "stats_and_top_describe_the_container",
        steps: &[
            client(&["run", "--name={id}", "--detach", "--memory=64m", "base", "sleep", "1000"]),
            client(&["stats", "--no-stream", "{id}"]).prints(&["64MiB"]),
            client(&["top", "{id}"]).prints(&["sleep 1000"]),
        ],
    },
    Case {
        name: "pause_and_unpause_change_the_status",
        steps: &[
            client(&["run", "--name={id}", "--detach", "base", "sleep", "1000"]),
            client(&["pause", "{id}"]),
            client(&["ps"]).prints(&["(Paused)"]),
            client(&["unpause", "{id}"]),
            client(&["ps"]).prints(&["Up "]).hides("(Paused)"),
            client(&["pause", "{id}"]),
            client(&["rm", "--force", "{id}"]),
        ],
    },
    Case {
        name: "restart_makes_the_container_anew",
        steps: &[
            client(&["run", "--name={id}", "--detach", "base", "sh", "-c", "echo once more; sleep 1000"]),
            client(&["restart", "--time=0", "{id}"]),
            until(&["logs", "{id}"]).prints(&["once more\nonce more"]),
        ],
    },
    Case {
        name: "read_only_and_volumes_and_tmpfs",
        steps: &[client(&[
            "run",
            "--rm",
            "--read-only",
            "--tmpfs=/tmp:size=1m,mode=1777",
            "--volume={dir}:/host:ro",
            "base",
            "sh",
            "-c",
            "touch /x; touch /host/x; touch /tmp/x && ls /tmp /host",
        ])
        .prints(&[
            "touch: /x: Read-only file system",
            "touch: /host/x: Read-only file system",
            "seccomp.json",
        ])],
    },
    Case {
        name: "dropped_capabilities_are_gone",
        steps: &[
            client(&["run", "--rm", "--cap-drop=CHOWN", "base", "chown", "1", "/bin"])
                .code(1)
                .prints(&["Operation not permitted"]),
            client(&["run", "--rm", "--cap-drop=ALL", "base", "grep", "CapBnd", "/proc/self/status"])
                .prints(&["0000000000000000"]),
            client(&["run", "--rm", "--cap-add=SYS_TIME", "base", "grep", "CapEff", "/proc/self/status"])
                .prints(&["00000000aa0425fb"]),
        ],
    },
    Case {
        name: "privileged_sees_devices_and_every_capability",
        steps: &[client(&[
            "run",
            "--rm",
            "--privileged",
            "base",
            "sh",
            "-c",
            "ls /dev; mount -t tmpfs x /tmp && echo mounted",
        ])
        .prints(&["loop-control", "mounted"])],
    },
    Case {
        name: "a_seccomp_profile_of_the_caller_is_in_force",
        steps: &[client(&[
            "run",
            "--rm",
            "--security-opt=seccomp={dir}/seccomp.json",
            "base",
            "mkdir",
            "/tmp/x",
        ])
        .code(1)
        .prints(&["Operation not supported"])],
    },
    Case {
        name: "the_default_seccomp_profile_refuses_a_new_namespace",
        steps: &[client(&["run", "--rm", "base", "unshare", "-U", "true"])
            .code(1)
            .prints(&["Operation not permitted"])],
    },
    Case {
        name: "no_new_privileges_and_users_and_limits_of_files",
        steps: &[client(&[
            "run",
            "--rm",
            "--security-opt=no-new-privileges",
            "--user=12:34",
            "--group-add=56",
            "--ulimit=nofile=77:88",
            "--hostname=named",
            "base",
            "sh",
            "-c",
            "grep NoNew /proc/self/status; id; ulimit -Sn; ulimit -Hn; hostname",
        ])
        .prints(&["NoNewPrivs:\t1", "uid=12 gid=34", "56", "77\n88\nnamed"])],
    },
    Case {
        name: "too_much_memory_is_an_oom_kill",
        steps: &[
            client(&[
                "run",
                "--name={id}",
                "--memory=16m",
                "--memory-swap=16m",
                "base",
                "sh",
                "-c",
                "head -c 64m /dev/zero | tail",
            ])
            .code(137),
            client(&["inspect", "--format={{.State.OOMKilled}}", "{id}"]).prints(&["true"]),
        ],
    },
    Case {
        name: "the_limit_of_processes_is_in_force",
        steps: &[client(&[
            "run",
            "--rm",
            "--pids-limit=5",
            "base",
            "sh",
            "-c",
            "for i in 1 2 3 4 5 6 7; do sleep 1 & done",
        ])
        .code(2)
        .prints(&["can't fork"])],
    },
    Case {
        name: "an_init_of_docker_is_process_1",
        steps: &[client(&["run", "--rm", "--init", "base", "ps"]).prints(&["docker-init -- ps"])],
    },
    Case {
        name: "namespaces_of_the_host_and_of_another_container_are_joined",
        steps: &[
            client(&["run", "--name={id}", "--detach", "--ipc=shareable", "base", "sleep", "1000"]),
            client(&["run", "--rm", "--pid=container:{id}", "--ipc=container:{id}", "base", "ps"])
                .prints(&["sleep 1000"]),
            client(&["run", "--rm", "--pid=host", "base", "ps"]).prints(&["dockerd"]),
        ],
    },
    Case {
        name: "the_classic_builder_builds",
        steps: &[
            shell("DOCKER_BUILDKIT=0 {client} build --network=none --tag {id} {dir}")
                .prints(&["Successfully tagged"]),
            client(&["run", "--rm", "{id}"]).prints(&["built"]),
        ],
    },
    Case {
        name: "buildkit_builds",
        steps: &[
            client(&["build", "--no-cache", "--network=none", "--progress=plain", "--tag={id}", "{dir}"])
                .prints(&["built"]),
            client(&["run", "--rm", "{id}"]).prints(&["built"]),
        ],
    },
    Case {
        name: "compose_brings_services_up_and_down",
        steps: &[
            client(&["compose", "--file={dir}/compose.yaml", "up", "--detach"]),
            until(&["compose", "--file={dir}/compose.yaml", "logs"]).prints(&["from one", "from two"]),
            until(&["compose", "--file={dir}/compose.yaml", "ps", "--all"]).prints(&["Exited (5)", "Up "]),
            client(&["compose", "--file={dir}/compose.yaml", "exec", "-T", "one", "ps"])
                .prints(&["sleep 1000"]),
            client(&["compose", "--file={dir}/compose.yaml", "down"]),
            client(&["ps", "--all", "--quiet", "--filter=name=composed"]).hides("e"),
        ],
    },
];

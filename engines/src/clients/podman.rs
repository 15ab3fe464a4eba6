//! podman, which calls the runtime through conmon and on its own: as root, and as a user in a user namespace.

use super::{SIZE, TALK};
use crate::client::Client;
use crate::step::{Case, client, shell, until};

/// podman as root.
pub const ROOT: Client = Client {
    name: "podman",
    command: &[
        "podman",
        "--root={dir}/storage",
        "--runroot={dir}/run",
        "--tmpdir={dir}/tmp",
        "--storage-driver=vfs",
        "--cgroup-manager=cgroupfs",
        "--events-backend=file",
        "--log-level=error",
        "--runtime={runtime}",
    ],
    run: &["--network=none", "--ulimit=host"],
    env: &[("TMPDIR", "/tmp"), ("CONTAINERS_CONF_OVERRIDE", "{dir}/containers.conf")],
    files: FILES,
    daemons: &[],
    prepare: &["tar -C {rootfs} -c . | {client} import - base"],
    race: Case { name: "race", steps: &[client(&["run", "--rm", "base", "true"])] },
    cases: CASES,
    cleanup: &[&["rm", "--force", "--time=0", "{id}"], &["pod", "rm", "--force", "--time=0", "pod-{id}"]],
    finish: &[],
    keeps: &["libpod_parent", "conmon", "netns"],
    reference: super::RUNC,
};

/// The same as an ordinary user. The machine gives such a user no cgroup.
pub const ROOTLESS: Client = Client {
    name: "podman_rootless",
    command: &[
        "setpriv",
        "--reuid=1000",
        "--regid=1000",
        "--clear-groups",
        "podman",
        "--root={dir}/storage",
        "--runroot={dir}/run",
        "--tmpdir={dir}/tmp",
        "--storage-driver=vfs",
        "--cgroup-manager=cgroupfs",
        "--events-backend=file",
        "--log-level=error",
        "--runtime={runtime}",
    ],
    run: &["--network=none", "--ulimit=host", "--cgroups=disabled"],
    env: &[
        ("HOME", "{dir}"),
        ("USER", "engines"),
        ("XDG_RUNTIME_DIR", "{dir}/xdg"),
        ("TMPDIR", "/tmp"),
        ("CONTAINERS_CONF_OVERRIDE", "{dir}/containers.conf"),
    ],
    files: FILES,
    daemons: &[],
    prepare: &[
        "mkdir -m 700 {dir}/xdg && chown -R 1000:1000 {dir}",
        "tar -C {rootfs} -c . | {client} import - base",
    ],
    race: Case { name: "race", steps: &[client(&["run", "--rm", "base", "true"])] },
    cases: ROOTLESS_CASES,
    cleanup: &[&["rm", "--force", "--time=0", "{id}"]],
    // The process that holds the user namespace.
    finish: &["{client} system migrate"],
    keeps: &["netns"],
    // runc cannot do without cgroups.
    reference: super::CRUN,
};

const FILES: &[(&str, &str)] = &[
    ("containers.conf", CONF),
    ("kube.yaml", KUBE),
    ("seccomp.json", super::SECCOMP),
    ("kept.txt", "kept open\n"),
    ("manager.pl", MANAGER),
    ("program.pl", PROGRAM),
];

/// Stands for a service manager: prints what it is told until the word that counts.
const MANAGER: &str = r#"use IO::Socket::UNIX;
alarm 30;
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die $!;
while (defined $socket->recv(my $said, 4096)) { print $said; exit if $said =~ /READY=1/ }
"#;

/// A program that says when it is ready.
const PROGRAM: &str = r#"use IO::Socket::UNIX;
IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => $ENV{NOTIFY_SOCKET})->send("READY=1\n");
sleep 1000;
"#;

/// podman chooses the JSON log by the runtime's name.
const CONF: &str = r#"[engine]
runtime_supports_json = ["teu", "runc", "crun"]
runtime_supports_nocgroup = ["teu", "crun"]
[containers]
log_driver = "k8s-file"
netns = "none"
"#;

const KUBE: &str = r#"apiVersion: v1
kind: Pod
metadata: {name: played}
spec:
  hostNetwork: true
  containers:
  - {name: main, image: localhost/base, imagePullPolicy: Never, command: [sh, -c, "echo from the pod; sleep 1000"]}
"#;

// table: what a person or a script does with podman
const CASES: &[Case] = &[
    Case {
        name: "info_reads_the_version_of_the_runtime",
        steps: &[client(&["info"]).prints(&["version: ", "{runtime}"])],
    },
    Case {
        name: "run_with_a_rootfs_ends_with_the_code_of_the_program",
        steps: &[
            client(&["run", "--rm", "--rootfs", "{rootfs}", "echo", "hello"]).prints(&["hello"]),
            client(&["run", "--rm", "--rootfs", "{rootfs}", "sh", "-c", "exit 4"]).code(4),
        ],
    },
    Case {
        name: "run_ends_with_126_and_127_for_what_cannot_be_executed_and_what_is_not_there",
        steps: &[
            client(&["run", "--rm", "base", "/tmp"]).code(126),
            client(&["run", "--rm", "base", "/etc/plain"]).code(126).prints(&["permission denied"]),
            client(&["run", "--rm", "base", "nosuch"]).code(127).prints(&["executable file not found in $PATH"]),
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
            client(&["exec", "-it", "{id}", "sh", "-c", SIZE]).terminal().code(3).prints(&["/dev/pts/0"]),
            client(&["exec", "{id}", "nosuch"]).code(127),
            client(&["exec", "--user=12:34", "--workdir=/etc", "--env=A=b", "{id}", "sh", "-c", "id; pwd; echo $A"])
                .prints(&["uid=12 gid=34", "/etc", "b"]),
        ],
    },
    Case {
        name: "stop_sends_term_and_then_kill",
        steps: &[
            client(&[
                "run", "--name={id}", "--detach", "base", "sh", "-c",
                "trap 'echo told; exit 4' TERM; echo ready; while :; do sleep 0.1; done",
            ]),
            until(&["logs", "{id}"]).prints(&["ready"]),
            client(&["stop", "{id}"]),
            client(&["logs", "{id}"]).prints(&["told"]),
            client(&["start", "{id}"]),
            client(&["kill", "--signal=STOP", "{id}"]),
            client(&["stop", "--time=0", "{id}"]),
            client(&["inspect", "--format={{.State.ExitCode}}", "{id}"]).prints(&["137"]),
        ],
    },
    Case {
        name: "pause_and_unpause_change_the_status",
        steps: &[
            client(&["run", "--name={id}", "--detach", "base", "sleep", "1000"]),
            client(&["pause", "{id}"]),
            client(&["inspect", "--format={{.State.Status}}", "{id}"]).prints(&["paused"]),
            client(&["unpause", "{id}"]),
            client(&["inspect", "--format={{.State.Status}}", "{id}"]).prints(&["running"]),
        ],
    },
    Case {
        name: "stats_and_top_describe_the_container",
        steps: &[
            client(&["run", "--name={id}", "--detach", "--memory=64m", "base", "sleep", "1000"]),
            client(&["stats", "--no-stream", "{id}"]).prints(&["67.11MB"]),
            client(&["top", "{id}"]).prints(&["sleep 1000"]),
        ],
    },
    Case {
        name: "update_changes_the_limits_of_a_running_container",
        steps: &[
            client(&["run", "--name={id}", "--detach", "--memory=64m", "--memory-swap=64m", "base", "sleep", "1000"]),
            client(&["update", "--memory=96m", "--memory-swap=96m", "--pids-limit=50", "{id}"]),
            client(&["stats", "--no-stream", "{id}"]).prints(&["100.7MB"]),
        ],
    },
    Case {
        name: "containers_of_a_pod_share_namespaces",
        steps: &[
            client(&[
                "pod", "create", "--name=pod-{id}", "--network=none", "--share=ipc,uts,pid", "--infra-image=base",
                "--infra-command=/bin/sleep 1000", "--hostname=shared",
            ]),
            shell("{client} run --ulimit=host --rm --pod=pod-{id} base sh -c 'hostname; ps'").prints(&["shared", "sleep 1000"]),
            client(&["pod", "pause", "pod-{id}"]),
            client(&["pod", "unpause", "pod-{id}"]),
            client(&["pod", "stop", "--time=0", "pod-{id}"]),
            client(&["pod", "rm", "pod-{id}"]),
        ],
    },
    Case {
        name: "preserved_descriptors_reach_the_program",
        steps: &[
            shell("{client} run --network=none --ulimit=host --rm --preserve-fds=1 base cat /proc/self/fd/3 3<{dir}/kept.txt")
                .prints(&["kept open"]),
        ],
    },
    Case {
        name: "readiness_is_told_to_the_service_manager",
        steps: &[
            shell("NOTIFY_SOCKET={dir}/notify.sock {client} run --network=none --ulimit=host --name={id} --detach --sdnotify=conmon base sleep 1000"),
        ],
    },
    Case {
        name: "readiness_is_told_by_the_program",
        steps: &[
            shell(
                "perl {dir}/manager.pl {dir}/manager.sock >{dir}/told & until [ -S {dir}/manager.sock ]; do sleep 0.1; done; \
                 NOTIFY_SOCKET={dir}/manager.sock {client} run --network=none --ulimit=host --name={id} --detach --sdnotify=container \
                 --volume=/usr:/usr:ro --volume=/usr/lib:/lib:ro --volume=/usr/lib64:/lib64:ro --volume={dir}/program.pl:/program.pl:ro \
                 base /usr/bin/perl /program.pl; wait; cat {dir}/told",
            )
            .prints(&["READY=1"]),
            client(&["exec", "{id}", "ps"]).prints(&["perl"]),
        ],
    },
    Case {
        name: "kube_play_starts_and_kube_down_removes",
        steps: &[
            client(&["kube", "play", "{dir}/kube.yaml"]),
            until(&["logs", "played-main"]).prints(&["from the pod"]),
            client(&["exec", "played-main", "ps"]).prints(&["sleep 1000"]),
            client(&["kube", "down", "--force", "{dir}/kube.yaml"]),
            client(&["ps", "--all"]).hides("played"),
        ],
    },
    Case {
        name: "capabilities_and_seccomp_and_read_only",
        steps: &[
            client(&["run", "--rm", "--cap-drop=ALL", "base", "grep", "CapBnd", "/proc/self/status"])
                .prints(&["0000000000000000"]),
            client(&["run", "--rm", "--security-opt=seccomp={dir}/seccomp.json", "base", "mkdir", "/tmp/x"])
                .code(1)
                .prints(&["Operation not supported"]),
            client(&["run", "--rm", "--read-only", "base", "touch", "/x"]).code(1).prints(&["Read-only file system"]),
            client(&["run", "--rm", "--privileged", "base", "mount", "-t", "tmpfs", "x", "/mnt"]),
        ],
    },
    Case {
        name: "an_automatic_user_namespace_maps_root",
        steps: &[
            client(&["run", "--rm", "--uidmap=0:100000:65536", "base", "cat", "/proc/self/uid_map"]).prints(&["100000"]),
        ],
    },
    Case {
        name: "an_init_of_podman_is_process_1",
        steps: &[client(&["run", "--rm", "--init", "base", "ps"]).prints(&["init -- ps"])],
    },
    Case {
        name: "too_much_memory_is_an_oom_kill",
        steps: &[
            client(&[
                "run", "--name={id}", "--memory=16m", "--memory-swap=16m", "base", "sh", "-c", "head -c 64m /dev/zero | tail",
            ])
            .code(137),
            client(&["inspect", "--format={{.State.OOMKilled}}", "{id}"]).prints(&["true"]),
        ],
    },
];

// table: what works without root
const ROOTLESS_CASES: &[Case] = &[
    Case {
        name: "run_ends_with_the_code_of_the_program",
        steps: &[
            client(&["run", "--rm", "base", "id"]).prints(&["uid=0"]),
            client(&["run", "--rm", "base", "sh", "-c", "exit 4"]).code(4),
            client(&["run", "--rm", "base", "nosuch"]).code(127),
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
            client(&["exec", "-it", "{id}", "sh", "-c", SIZE]).terminal().code(3).prints(&["/dev/pts/0"]),
            client(&["exec", "{id}", "nosuch"]).code(127),
            client(&["stop", "--time=0", "{id}"]),
        ],
    },
    Case {
        name: "a_rootfs_of_the_user_is_run",
        steps: &[
            shell("cp -r {rootfs} {dir}/own && chown -R 1000:1000 {dir}/own"),
            client(&["run", "--rm", "--rootfs", "{dir}/own", "cat", "/proc/self/uid_map"]).prints(&["1000"]),
        ],
    },
    Case {
        name: "the_callers_user_is_kept",
        steps: &[client(&["run", "--rm", "--userns=keep-id", "base", "id", "-u"]).prints(&["1000"])],
    },
];

//! containerd with `ctr`: the runc shim calls the runtime.

use super::SIZE;
use crate::client::{Client, Daemon};
use crate::step::{Case, RESTART, client, together, until};

/// containerd and its own command line.
pub const CTR: Client = Client {
    name: "ctr",
    command: &["ctr", "--address", "{dir}/containerd.sock", "--namespace", "teu"],
    run: &["--runc-binary", "{runtime}", "--rootfs", "--env", "PATH=/bin"],
    env: &[],
    files: &[("config.toml", CONFIG)],
    daemons: &[Daemon {
        words: &["containerd", "--config", "{dir}/config.toml", "--address", "{dir}/containerd.sock"],
        ready: &["version"],
    }],
    prepare: &[],
    race: Case { name: "race", steps: &[client(&["run", "--rm", "{rootfs}", "{id}", "true"])] },
    cases: CASES,
    cleanup: &[&["task", "rm", "--force", "{id}"], &["container", "rm", "{id}"]],
    finish: &[],
    keeps: &["teu"],
    reference: super::RUNC,
};

const CONFIG: &str = r#"version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
"#;

// table: what a person or a script does with ctr
const CASES: &[Case] = &[
    Case {
        name: "run_prints_what_the_program_prints",
        steps: &[client(&["run", "--rm", "{rootfs}", "{id}", "echo", "hello"]).prints(&["hello"])],
    },
    Case {
        name: "run_ends_with_the_code_of_the_program",
        steps: &[client(&["run", "--rm", "{rootfs}", "{id}", "sh", "-c", "exit 7"]).code(7)],
    },
    Case {
        name: "run_gives_the_program_its_input",
        steps: &[client(&["run", "--rm", "{rootfs}", "{id}", "head", "-n", "1"])
            .stdin("one line\n")
            .prints(&["one line"])],
    },
    Case {
        name: "run_names_the_program_that_is_not_there",
        steps: &[client(&["run", "--rm", "{rootfs}", "{id}", "nosuch"])
            .code(1)
            .prints(&["OCI runtime create failed", "exec: \"nosuch\": executable file not found in $PATH"])],
    },
    Case {
        name: "run_with_a_terminal_has_one_of_the_clients_size",
        steps: &[client(&["run", "--rm", "--tty", "{rootfs}", "{id}", "sh", "-c", SIZE])
            .terminal()
            .code(3)
            .prints(&["/dev/pts/0", "31 97"])],
    },
    Case {
        name: "exec_enters_the_container_and_ends_with_the_code_of_its_program",
        steps: &[
            client(&["run", "--detach", "{rootfs}", "{id}", "sleep", "1000"]),
            client(&["task", "exec", "--exec-id", "e1", "{id}", "sh", "-c", "hostname; ps; exit 9"])
                .code(9)
                .prints(&["sleep 1000"]),
            client(&["task", "exec", "--exec-id", "e2", "--tty", "{id}", "tty"])
                .terminal()
                .prints(&["/dev/pts/0"]),
            client(&["task", "exec", "--exec-id", "e3", "{id}", "nosuch"])
                .code(1)
                .prints(&["OCI runtime exec failed", "executable file not found in $PATH"]),
        ],
    },
    Case {
        name: "kill_ends_the_task_and_rm_removes_it",
        steps: &[
            client(&["run", "--detach", "{rootfs}", "{id}", "sleep", "1000"]),
            client(&["task", "kill", "--signal", "SIGKILL", "{id}"]),
            until(&["task", "ls"]).prints(&["{id}", "STOPPED"]),
            client(&["task", "rm", "{id}"]).prints(&["exit with non-zero exit code 137"]),
            client(&["task", "kill", "{id}"]).code(1).prints(&["not found"]),
            client(&["container", "rm", "{id}"]),
        ],
    },
    Case {
        name: "kill_all_ends_every_process_of_the_task",
        steps: &[
            client(&["run", "--detach", "{rootfs}", "{id}", "sh", "-c", "sleep 1000 & sleep 1001"]),
            client(&["task", "kill", "--all", "--signal", "SIGKILL", "{id}"]),
            until(&["task", "ls"]).prints(&["STOPPED"]),
        ],
    },
    Case {
        name: "pause_and_resume_change_the_status",
        steps: &[
            client(&["run", "--detach", "{rootfs}", "{id}", "sleep", "1000"]),
            client(&["task", "pause", "{id}"]),
            client(&["task", "ls"]).prints(&["PAUSED"]),
            client(&["task", "exec", "--exec-id", "e1", "{id}", "true"]).code(1).prints(&["paused"]),
            client(&["task", "resume", "{id}"]),
            client(&["task", "ls"]).prints(&["RUNNING"]),
            client(&["task", "exec", "--exec-id", "e2", "{id}", "true"]),
        ],
    },
    Case {
        name: "ps_and_metrics_describe_the_task",
        steps: &[
            client(&["run", "--detach", "{rootfs}", "{id}", "sh", "-c", "sleep 1000 & sleep 1001"]),
            until(&["task", "ps", "{id}"]).prints(&["PID", "\n"]),
            client(&["task", "metrics", "{id}"]).prints(&["{id}", "pids.current"]),
        ],
    },
    Case {
        name: "limits_of_run_are_in_force",
        steps: &[client(&[
            "run",
            "--rm",
            "--memory-limit",
            "67108864",
            "--cgroup",
            "/teu/{id}",
            "--mount",
            "type=bind,src={rootfs},dst=/mnt,options=rbind:ro",
            "--read-only",
            "{rootfs}",
            "{id}",
            "sh",
            "-c",
            "touch /x; touch /mnt/x; ls /mnt/bin/busybox",
        ])
        .prints(&["touch: /x: Read-only file system", "/mnt/bin/busybox"])],
    },
    Case {
        name: "twenty_containers_run_at_once",
        steps: &[
            together(20, &["run", "--rm", "{rootfs}", "{id}-{n}", "echo", "number {n}"])
                .prints(&["number {n}"]),
            client(&["container", "ls", "--quiet"]).hides("{id}"),
        ],
    },
    Case {
        name: "a_live_container_outlives_a_restart_of_the_daemon",
        steps: &[
            client(&["run", "--detach", "{rootfs}", "{id}", "sleep", "1000"]),
            RESTART,
            client(&["task", "ls"]).prints(&["{id}", "RUNNING"]),
            client(&["task", "exec", "--exec-id", "e1", "{id}", "ps"]).prints(&["sleep 1000"]),
            client(&["task", "kill", "--signal", "SIGTERM", "{id}"]),
            client(&["task", "kill", "--signal", "SIGKILL", "{id}"]),
            until(&["task", "ls"]).prints(&["STOPPED"]),
        ],
    },
];

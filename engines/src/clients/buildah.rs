//! buildah, which calls the runtime itself and waits for the container's process as its own child.

use crate::client::Client;
use crate::step::{Case, client, shell};

/// buildah as root.
pub const BUILDAH: Client = Client {
    name: "buildah",
    command: &["buildah", "--root={dir}/storage", "--runroot={dir}/run", "--storage-driver=vfs"],
    run: &["--runtime={runtime}", "--isolation=oci", "--network=none"],
    env: &[
        ("TMPDIR", "/tmp"),
        ("CONTAINERS_CONF_OVERRIDE", "{dir}/containers.conf"),
        ("BUILDAH_RUNTIME", "{runtime}"),
        ("BUILDAH_ISOLATION", "oci"),
    ],
    files: &[
        ("Dockerfile", "FROM localhost/base\nRUN echo built > /built\nRUN grep built /built\n"),
        ("containers.conf", CONF),
    ],
    daemons: &[],
    prepare: &[
        "{client} from --name=base scratch && {client} add base {rootfs} / && {client} commit base localhost/base && {client} rm base && {client} from --name=race localhost/base",
    ],
    race: Case { name: "race", steps: &[client(&["run", "race", "true"])] },
    cases: CASES,
    cleanup: &[&["rm", "{id}"]],
    finish: &[],
    keeps: &["buildah"],
    reference: super::RUNC,
};

/// Its own defaults ask for more than a machine without CAP_SYS_RESOURCE can give.
const CONF: &str = "[containers]\ndefault_ulimits = [\"nofile=1000:1000\", \"nproc=1000:1000\"]\n";

// table: what a person or a script does with buildah
const CASES: &[Case] = &[
    Case {
        name: "what_run_writes_is_committed",
        steps: &[
            client(&["from", "--name={id}", "localhost/base"]),
            client(&["run", "{id}", "sh", "-c", "echo written > /file"]),
            client(&["commit", "{id}", "localhost/{id}"]),
            client(&["rm", "{id}"]),
            client(&["from", "--name={id}", "localhost/{id}"]),
            client(&["run", "{id}", "cat", "/file"]).prints(&["written"]),
        ],
    },
    Case {
        name: "run_ends_with_the_code_of_the_program",
        steps: &[
            client(&["from", "--name={id}", "localhost/base"]),
            client(&["run", "{id}", "sh", "-c", "exit 4"]).code(4),
            client(&["run", "{id}", "nosuch"]).code(1).prints(&["executable file not found in $PATH"]),
        ],
    },
    Case {
        name: "run_with_a_terminal_has_one",
        steps: &[
            client(&["from", "--name={id}", "localhost/base"]),
            client(&["run", "--terminal", "{id}", "sh", "-c", super::SIZE])
                .terminal()
                .code(3)
                .prints(&["/dev/pts/0"]),
        ],
    },
    Case {
        name: "mounts_and_users_of_run",
        steps: &[
            client(&["from", "--name={id}", "localhost/base"]),
            client(&[
                "run",
                "--user=12:34",
                "--volume={rootfs}:/mnt:ro",
                "{id}",
                "sh",
                "-c",
                "id; ls /mnt/etc; touch /mnt/x",
            ])
            .code(1)
            .prints(&["uid=12 gid=34", "plain", "Read-only file system"]),
        ],
    },
    Case {
        name: "a_dockerfile_is_built",
        steps: &[
            shell(
                "{client} build --runtime={runtime} --network=none --isolation=oci --tag localhost/built-{id} {dir}",
            ),
            client(&["from", "--name={id}", "localhost/built-{id}"]),
            client(&["run", "{id}", "cat", "/built"]).prints(&["built"]),
        ],
    },
];

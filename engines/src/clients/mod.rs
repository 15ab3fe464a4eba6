//! The clients, one table each.

mod buildah;
mod containerd;
mod docker;
mod podman;

use crate::client::Client;

/// Every client, in the order they run.
pub const ALL: &[Client] =
    &[containerd::CTR, docker::DOCKER, podman::ROOT, podman::ROOTLESS, buildah::BUILDAH];

/// The reference runtimes.
const RUNC: &str = "/usr/sbin/runc";
const CRUN: &str = "/usr/bin/crun";

/// A program that ends when its terminal has got the size of ours. Clients give the size when the program runs already.
const SIZE: &str = "tty; until stty size 2>/dev/null | grep '31 97'; do sleep 0.1; done; exit 3";
/// The same, then it asks for a line.
const TALK: &str =
    "tty; until stty size 2>/dev/null | grep '31 97'; do sleep 0.1; done; read line; echo got $line; exit 3";

/// A profile that refuses one thing with an error that nothing else gives.
const SECCOMP: &str = r#"{"defaultAction": "SCMP_ACT_ALLOW",
 "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}
"#;

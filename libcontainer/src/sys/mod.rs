//! What nix and std lack, one thin wrapper each. The only modules of the caller's side with unsafe code, beside `launch/clone.rs` and `launch/stub.rs`.

pub(crate) mod bpf;
pub(crate) mod calls;
pub(crate) mod capability;
pub(crate) mod fs;
pub(crate) mod mount;
pub(crate) mod netlink;
mod padded;
pub(crate) mod pidfd;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod seccomp;
pub(crate) mod socket;
pub(crate) mod terminal;

pub(crate) use padded::Padded;

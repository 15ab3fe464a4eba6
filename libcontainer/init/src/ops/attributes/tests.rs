//! The stand-in for mount_setattr, against the flags that the kernel shows.

use super::*;
use crate::harness::{Scratch, handle, in_namespaces, tmpfs_over};
use std::fs;

/// Flags of a fresh tmpfs after each change.
fn after(changes: &[[u64; 2]]) -> u64 {
    let scratch = Scratch::new("old");
    tmpfs_over(&scratch).close();
    let mount = handle(scratch.path());
    for [set, clear] in changes {
        assert_eq!(remount(mount, *set, *clear), Ok(()));
    }
    sys::filesystem(mount).unwrap().flags
}

/// Linux before 5.12: the remount does what mount_setattr would.
#[test]
fn the_remount_of_old_kernels_sets_and_clears_the_same() {
    in_namespaces(|| {
        let all = [MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0];
        assert_eq!(after(&[all, [MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID]]), MS_RDONLY | MS_NODEV | MS_RELATIME);
        assert_eq!(after(&[[MOUNT_ATTR_NOSYMFOLLOW, 0]]), MS_NOSYMFOLLOW | MS_RELATIME);
    });
}

#[test]
fn the_remount_of_old_kernels_keeps_and_changes_access_times() {
    in_namespaces(|| {
        let mode = |mode: u64| [mode, MOUNT_ATTR__ATIME];
        let ro = [MOUNT_ATTR_RDONLY, 0];
        assert_eq!(after(&[mode(MOUNT_ATTR_NOATIME)]), MS_NOATIME);
        assert_eq!(after(&[mode(MOUNT_ATTR_STRICTATIME)]), 0);
        assert_eq!(after(&[mode(MOUNT_ATTR_STRICTATIME), ro]), MS_RDONLY, "still strict");
        assert_eq!(after(&[mode(MOUNT_ATTR_NOATIME), ro]), MS_RDONLY | MS_NOATIME);
        assert_eq!(after(&[mode(MOUNT_ATTR_NOATIME), mode(0)]), MS_RELATIME);
        let lazy = [MOUNT_ATTR_NODIRATIME, 0];
        assert_eq!(after(&[mode(MOUNT_ATTR_NOATIME), lazy]), MS_NOATIME | MS_NODIRATIME);
        assert_eq!(after(&[lazy, [0, MOUNT_ATTR_NODIRATIME]]), MS_RELATIME);
        assert_eq!(after(&[mode(MOUNT_ATTR_STRICTATIME), lazy]), MS_NODIRATIME);
    });
}

/// A file cannot be the working directory.
#[test]
fn the_remount_of_old_kernels_reaches_files() {
    in_namespaces(|| {
        let scratch = Scratch::new("old-file");
        tmpfs_over(&scratch).close();
        let path = scratch.path().join("file");
        fs::write(&path, "x").unwrap();
        let target = handle(&path);
        let flags = crate::abi::OPEN_TREE_CLONE | AT_EMPTY_PATH;
        let tree = sys::open_tree(target, c"", flags).unwrap();
        let attach = crate::abi::MOVE_MOUNT_F_EMPTY_PATH | crate::abi::MOVE_MOUNT_T_EMPTY_PATH;
        sys::move_mount(tree, target, c"", attach).unwrap();
        assert_eq!(remount(tree, MOUNT_ATTR_RDONLY, 0), Ok(()));
        assert!(fs::write(&path, "y").is_err());
        fs::write(scratch.path().join("beside"), "y").unwrap();
    });
}

#[test]
fn the_link_of_a_descriptor_has_its_number() {
    for number in [7, 30, 1024, i32::MAX] {
        let (text, start) = decimal(Fd(number));
        let text = CStr::from_bytes_until_nul(&text[start..]).unwrap();
        assert_eq!(text.to_str().unwrap(), number.to_string());
    }
}

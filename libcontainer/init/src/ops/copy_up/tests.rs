//! The copy of a directory into a tmpfs that is attached nowhere.

use super::*;
use crate::harness::{Scratch, Script, handle, in_namespaces, tmpfs_over};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

fn detached() -> Fd {
    let context = sys::fsopen(c"tmpfs").unwrap();
    sys::fsconfig(context, crate::abi::FSCONFIG_CMD_CREATE, None, None).unwrap();
    let mount = sys::fsmount(context, 0).unwrap();
    context.close();
    mount
}

/// Copies the tmpfs at `from` and shows the copy there instead.
fn copied(from: &Scratch) -> Outcome {
    let (covered, mount) = (handle(from.path()), detached());
    let result = copy(&mut Script::default().machine(Fd::NONE), covered, mount);
    let attach = crate::abi::MOVE_MOUNT_F_EMPTY_PATH | crate::abi::MOVE_MOUNT_T_EMPTY_PATH;
    sys::move_mount(mount, covered, c"", attach).unwrap();
    result
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn files_directories_links_and_fifos_keep_content_and_mode() {
    in_namespaces(|| {
        let from = Scratch::new("copy-up");
        tmpfs_over(&from).close();
        let at = |name: &str| from.path().join(name);
        fs::create_dir_all(at("d/e/f")).unwrap();
        let big: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
        fs::write(at("d/e/big"), &big).unwrap();
        fs::write(at("empty"), "").unwrap();
        symlink("/nowhere at all", at("d/link")).unwrap();
        fs::set_permissions(at("d/e/big"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::set_permissions(at("d/e"), fs::Permissions::from_mode(0o2711)).unwrap();
        sys::mknodat(handle(from.path()), c"fifo", 0o010640, 0).unwrap();
        // More names than one block holds.
        for number in 0..200 {
            fs::write(at(&format!("d/e/f/{number:0>40}")), number.to_string()).unwrap();
        }
        assert_eq!(copied(&from), Ok(()));
        assert_eq!(fs::read(at("d/e/big")).unwrap(), big);
        assert_eq!((mode(&at("d/e/big")), mode(&at("d/e"))), (0o4751, 0o2711));
        assert_eq!(fs::read_link(at("d/link")).unwrap(), Path::new("/nowhere at all"));
        assert_eq!(fs::read(at("empty")).unwrap(), b"");
        assert!(fs::symlink_metadata(at("fifo")).unwrap().file_type().is_fifo());
        assert_eq!(mode(&at("fifo")), 0o640);
        assert_eq!(fs::read_dir(at("d/e/f")).unwrap().count(), 200);
        assert_eq!(fs::read(at(&format!("d/e/f/{:0>40}", 77))).unwrap(), b"77");
    });
}

#[test]
fn links_are_not_followed_and_other_mounts_not_entered() {
    in_namespaces(|| {
        let (from, outside) = (Scratch::new("copy-up-links"), Scratch::new("copy-up-outside"));
        tmpfs_over(&from).close();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        symlink(outside.path(), from.path().join("link")).unwrap();
        fs::create_dir(from.path().join("mounted")).unwrap();
        let below = handle(&from.path().join("mounted"));
        let attach = crate::abi::MOVE_MOUNT_F_EMPTY_PATH | crate::abi::MOVE_MOUNT_T_EMPTY_PATH;
        sys::move_mount(detached(), below, c"", attach).unwrap();
        fs::write(from.path().join("mounted/inside"), "x").unwrap();
        assert_eq!(copied(&from), Ok(()));
        assert_eq!(fs::read_link(from.path().join("link")).unwrap(), outside.path());
        assert_eq!(fs::read_dir(from.path().join("mounted")).unwrap().count(), 0);
    });
}

#[test]
fn a_tree_that_is_too_deep_is_refused() {
    in_namespaces(|| {
        let from = Scratch::new("copy-up-deep");
        tmpfs_over(&from).close();
        fs::create_dir_all(from.path().join("d/".repeat(MAX_DEPTH as usize))).unwrap();
        assert_eq!(copied(&from), Ok(()));
        let from = Scratch::new("copy-up-deeper");
        tmpfs_over(&from).close();
        fs::create_dir_all(from.path().join("d/".repeat(MAX_DEPTH as usize + 1))).unwrap();
        assert_eq!(copied(&from), Err(Fault { errno: ELOOP, step: step::COPY }));
    });
}

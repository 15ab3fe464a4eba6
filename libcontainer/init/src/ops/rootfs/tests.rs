//! Nodes, links and the switch of the root, on a fresh tmpfs in a user and mount namespace of its own.

use super::*;
use crate::abi::{ENOENT, ENOTDIR, EPERM, S_IFCHR, S_IFIFO};
use crate::harness::{self, Scratch, Script, fill, in_namespaces, tmpfs_over};
use crate::ops::mount::{Attach, bind, copy_of};
use crate::program::Slot;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

fn node(path: Str, mode: u32, device: (u32, u32)) -> Node {
    Node { path, mode, device, owner: (0, 0) }
}

#[test]
fn a_node_is_made_with_its_exact_mode_and_missing_parents() {
    in_namespaces(|| {
        let (scratch, mut script) = (Scratch::new("node"), Script::default());
        let (fifo, second) = (script.text("/dev/deep/fifo"), script.text("/dev/deep/second"));
        let mut machine = script.machine(tmpfs_over(&scratch));
        sys::umask(0); // as `reset` leaves it
        assert_eq!(device(&mut machine, node(fifo, S_IFIFO | 0o646, (0, 0))), Ok(()));
        assert_eq!(device(&mut machine, node(second, S_IFIFO | 0o600, (0, 0))), Ok(()));
        let found = fs::metadata(scratch.path().join("dev/deep/fifo")).unwrap();
        assert!(found.file_type().is_fifo());
        assert_eq!(found.mode() & 0o7777, 0o646);
        assert!(scratch.path().join("dev/deep/second").exists());
    });
}

#[test]
fn an_existing_node_is_taken_if_it_is_the_right_one() {
    in_namespaces(|| {
        let (scratch, mut script) = (Scratch::new("exists"), Script::default());
        let texts = ["/null", "/file", "/link"].map(|path| script.text(path));
        let [null, file, link] = texts;
        let mut machine = script.machine(tmpfs_over(&scratch));
        // A user namespace may not make device nodes: the host's null device is one that exists.
        fill(&mut machine, 0, copy_of(Fd::CWD, c"/dev/null", false).unwrap());
        let attach =
            Attach { tree: Slot(0), top: [0; 2], all: [0; 2], propagation: 0, flags: 0, target: null };
        assert_eq!(bind(&mut machine, attach), Ok(()));
        fs::write(scratch.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("/null", scratch.path().join("link")).unwrap();
        assert_eq!(device(&mut machine, node(null, S_IFCHR | 0o666, (1, 3))), Ok(()));
        let mismatch = Err(Fault { errno: EEXIST, step: step::MISMATCH });
        assert_eq!(device(&mut machine, node(null, S_IFCHR | 0o666, (1, 5))), mismatch, "another number");
        assert_eq!(device(&mut machine, node(null, S_IFIFO | 0o666, (0, 0))), mismatch, "another type");
        assert_eq!(device(&mut machine, node(file, S_IFCHR | 0o666, (1, 3))), mismatch);
        assert_eq!(
            device(&mut machine, node(link, S_IFCHR | 0o666, (1, 3))),
            mismatch,
            "a link is not followed"
        );
    });
}

#[test]
fn a_refused_node_is_an_error_of_the_kernel() {
    in_namespaces(|| {
        let (scratch, mut script) = (Scratch::new("refused"), Script::default());
        let (path, below) = (script.text("/null"), script.text("/file/null"));
        let mut machine = script.machine(tmpfs_over(&scratch));
        fs::write(scratch.path().join("file"), "").unwrap();
        let op = |errno| Err(Fault { errno, step: step::OP });
        assert_eq!(device(&mut machine, node(path, S_IFCHR | 0o666, (1, 3))), op(EPERM));
        let target = Err(Fault { errno: ENOTDIR, step: step::TARGET });
        assert_eq!(device(&mut machine, node(below, S_IFIFO | 0o666, (0, 0))), target);
    });
}

#[test]
fn device_numbers_are_encoded_as_libc_does() {
    for (major, minor) in [(1, 3), (0, 0), (8, 255), (8, 256), (4095, 0xf_ffff), (259, 0x12345)] {
        assert_eq!(u64::from(makedev((major, minor))), libc::makedev(major, minor), "{major}:{minor}");
    }
}

/// CVE-2026-41579 and its like: `/dev` of the image is a link to the host.
#[test]
fn nodes_and_links_behind_a_link_to_the_host_lie_inside() {
    in_namespaces(|| {
        let (scratch, mut script) = (Scratch::new("hostile"), Script::default());
        let outside = Scratch::new("hostile-host");
        let (fifo, link, target) =
            (script.text("/dev/fifo"), script.text("/dev/ptmx"), script.text("pts/ptmx"));
        let mut machine = script.machine(tmpfs_over(&scratch));
        std::os::unix::fs::symlink(outside.path(), scratch.path().join("dev")).unwrap();
        assert_eq!(device(&mut machine, node(fifo, S_IFIFO | 0o666, (0, 0))), Ok(()));
        assert_eq!(symlink(&mut machine, target, link), Ok(()));
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        let inside = scratch.path().join(outside.path().strip_prefix("/").unwrap());
        assert_eq!(fs::read_dir(inside).unwrap().count(), 2);
    });
}

#[test]
fn links_are_made_and_existing_files_stay() {
    in_namespaces(|| {
        let (scratch, mut script) = (Scratch::new("symlink"), Script::default());
        let [fd, target, file] = ["/dev/fd", "/proc/self/fd", "/dev/file"].map(|text| script.text(text));
        let mut machine = script.machine(tmpfs_over(&scratch));
        assert_eq!(symlink(&mut machine, target, fd), Ok(()));
        assert_eq!(symlink(&mut machine, target, fd), Ok(()), "twice");
        let made = fs::read_link(scratch.path().join("dev/fd")).unwrap();
        assert_eq!(made.to_str(), Some("/proc/self/fd"));
        fs::write(scratch.path().join("dev/file"), "the image's own").unwrap();
        assert_eq!(symlink(&mut machine, target, file), Ok(()));
        assert_eq!(fs::read(scratch.path().join("dev/file")).unwrap(), b"the image's own");
    });
}

#[test]
fn something_made_after_a_mount_goes_into_the_mount() {
    in_namespaces(|| {
        let (scratch, mut script) = (Scratch::new("covered"), Script::default());
        let [first, second, target, dev] = ["/dev/a", "/dev/b", "x", "/dev"].map(|text| script.text(text));
        let mut machine = script.machine(tmpfs_over(&scratch));
        let cover = Scratch::new("covered-source");
        assert_eq!(symlink(&mut machine, target, first), Ok(()));
        fill(&mut machine, 0, copy_of(Fd::CWD, &harness::c_string(cover.path()), false).unwrap());
        let attach =
            Attach { tree: Slot(0), top: [0; 2], all: [0; 2], propagation: 0, flags: 0, target: dev };
        assert_eq!(bind(&mut machine, attach), Ok(()));
        assert_eq!(symlink(&mut machine, target, second), Ok(()));
        assert!(fs::symlink_metadata(cover.path().join("b")).is_ok(), "in the mount, not under it");
    });
}

#[test]
fn after_the_pivot_nothing_of_the_host_is_left() {
    in_namespaces(|| {
        let scratch = Scratch::new("pivot");
        let mut machine = Script::default().machine(tmpfs_over(&scratch));
        fs::write(scratch.path().join("marker"), "").unwrap();
        fs::create_dir(scratch.path().join("proc")).unwrap();
        fill(&mut machine, 0, copy_of(Fd::CWD, c"/proc", true).unwrap());
        let path = scratch.path().join("proc");
        sys::move_mount(machine.slot(Slot(0)), Fd::CWD, &harness::c_string(&path), 4).unwrap();
        assert_eq!(pivot(&mut machine), Ok(()));
        let names: Vec<_> = fs::read_dir("/..").unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert_eq!(std::env::current_dir().unwrap().to_str(), Some("/"));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let places: Vec<_> = mounts.lines().map(|line| line.split(' ').nth(4).unwrap()).collect();
        assert!(places.iter().all(|place| *place == "/" || place.starts_with("/proc")), "{places:?}");
    });
}

#[test]
fn the_root_of_a_chroot_is_the_handle() {
    in_namespaces(|| {
        let scratch = Scratch::new("chroot");
        let mut machine = Script::default().machine(tmpfs_over(&scratch));
        fs::write(scratch.path().join("marker"), "").unwrap();
        assert_eq!(chroot(&mut machine), Ok(()));
        assert!(fs::metadata("/marker").is_ok());
        assert!(fs::metadata("/../../marker").is_ok());
    });
}

#[test]
fn a_working_directory_is_made_with_its_parents_below_the_handle() {
    in_namespaces(|| {
        let (scratch, mut script) = (Scratch::new("cwd"), Script::default());
        let (path, file) = (script.text("/srv/app"), script.text("/file/x"));
        let mut machine = script.machine(tmpfs_over(&scratch));
        fs::write(scratch.path().join("file"), "").unwrap();
        assert_eq!(make_cwd(&machine, path), Ok(()));
        assert_eq!(make_cwd(&machine, path), Ok(()));
        assert!(scratch.path().join("srv/app").is_dir());
        assert_eq!(make_cwd(&machine, file), Err(ENOTDIR.into()));
        machine.root = Fd::NONE;
        assert!(make_cwd(&machine, path).is_err_and(|fault| fault.errno != ENOENT));
    });
}

/// In a user namespace the host's mounts are locked together: they are covered.
#[test]
fn the_host_s_procfs_and_sysfs_disappear() {
    crate::harness::in_namespaces(|| {
        assert!(std::path::Path::new("/proc/self").exists());
        assert_eq!(hide_host(), Ok(()));
        for path in ["/proc", "/sys"] {
            assert_eq!(std::fs::read_dir(path).unwrap().count(), 0, "{path}");
            assert!(std::fs::create_dir(format!("{path}/x")).is_err(), "{path}");
        }
    });
}

/// A tmpfs keeps any label, also where SELinux is off.
#[test]
fn a_directory_is_labelled_and_nothing_outside_of_the_root() {
    in_namespaces(|| {
        let (scratch, mut script) = (Scratch::new("label"), Script::default());
        let (path, away, value) = (script.text("/queue"), script.text("/away"), script.text("u:r:t:s0"));
        let machine = script.machine(tmpfs_over(&scratch));
        fs::create_dir(scratch.path().join("queue")).unwrap();
        std::os::unix::fs::symlink("/../../../queue", scratch.path().join("away")).unwrap();
        for path in [path, away] {
            assert_eq!(label(&machine, path, value), Ok(()));
            let (name, mut found) = (c"security.selinux", [0u8; 64]);
            let place = harness::c_string(&scratch.path().join("queue"));
            // SAFETY: both strings end with NUL, the buffer is borrowed for writing with its length.
            let length =
                unsafe { libc::getxattr(place.as_ptr(), name.as_ptr(), found.as_mut_ptr().cast(), 64) };
            assert_eq!(&found[..usize::try_from(length).unwrap()], b"u:r:t:s0\0");
        }
        fs::remove_dir(scratch.path().join("queue")).unwrap();
        assert_eq!(label(&machine, path, value), Err(Fault { errno: ENOENT, step: step::TARGET }));
    });
}

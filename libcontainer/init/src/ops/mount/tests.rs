//! Each op alone, on a fresh tmpfs in a user and mount namespace of its own.

use super::*;
use crate::abi::{
    EEXIST, ENODEV, ENOTDIR, EROFS, MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODIRATIME,
    MOUNT_ATTR_NOSYMFOLLOW, MS_NOATIME, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_NOSYMFOLLOW, MS_RDONLY,
};
use crate::harness::{self, Scratch, Script, fill, handle, in_namespaces, tmpfs_over};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// The rootfs of a test, below which `machine.root` is open.
struct Rootfs {
    scratch: Scratch,
    script: Script,
}

impl Rootfs {
    fn new(name: &str) -> Self {
        Self { scratch: Scratch::new(name), script: Script::default() }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.scratch.path().join(below)
    }

    fn machine(&mut self) -> Machine<'static> {
        std::mem::take(&mut self.script).machine(tmpfs_over(&self.scratch))
    }

    fn new_mount(&mut self, fs: &str, target: &str, options: &[&str]) -> NewMount {
        let (fs, source) = (self.script.text(fs), self.script.text("source"));
        let options = self.script.texts(options);
        let target = self.script.text(target);
        NewMount { fs, source, options, attr: 0, flags: 0, propagation: 0, target }
    }

    fn attach(&mut self, target: &str) -> Attach {
        let target = self.script.text(target);
        Attach { tree: Slot(0), top: [0, 0], all: [0, 0], propagation: 0, flags: 0, target }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// Flags of the mount that `path` is on.
fn flags(path: &Path) -> u64 {
    let fd = handle(path);
    let found = sys::filesystem(fd).unwrap().flags;
    fd.close();
    found
}

/// The optional fields of the mount at `path`: shared:N, master:N, unbindable.
fn propagation_of(path: &Path) -> String {
    let info = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = info.lines().rfind(|line| line.split(' ').nth(4) == path.to_str()).unwrap();
    let fields: Vec<&str> = line.split(' ').skip(6).take_while(|field| *field != "-").collect();
    fields.iter().map(|field| field.split(':').next().unwrap()).collect::<Vec<_>>().join(" ")
}

fn host_tree(path: &str, recursive: bool) -> Fd {
    copy_of(Fd::CWD, &harness::c_string(Path::new(path)), recursive).unwrap()
}

/// A directory with nothing in it, as a detached tree.
fn empty_tree() -> Fd {
    host_tree(Scratch::new("empty").path().to_str().unwrap(), false)
}

fn fault(errno: i32, step: u32) -> Outcome {
    Err(Fault { errno, step })
}

#[test]
fn a_mount_gets_its_options_attributes_and_missing_target() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("mount");
        let plain = rootfs.new_mount("tmpfs", "/a/b", &["=mode", "700", "=size", "64k"]);
        let mount_all = NewMount {
            attr: MOUNT_ATTR_RDONLY
                | MOUNT_ATTR_NOSUID
                | MOUNT_ATTR_NODEV
                | MOUNT_ATTR_NOEXEC
                | MOUNT_ATTR_NOATIME,
            ..rootfs.new_mount("tmpfs", "/c", &["ro"])
        };
        let mut machine = rootfs.machine();
        assert_eq!(mount(&mut machine, plain, None), Ok(()));
        assert_eq!(mode(&rootfs.path("a/b")), 0o700);
        assert_eq!(mode(&rootfs.path("a")), 0o755);
        fs::write(rootfs.path("a/b/file"), "x").unwrap();
        assert_eq!(mount(&mut machine, mount_all, None), Ok(()));
        assert_eq!(flags(&rootfs.path("c")), MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME);
        assert!(fs::write(rootfs.path("c/file"), "x").is_err());
    });
}

#[test]
fn a_refused_option_is_named_with_the_words_of_the_kernel() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("option");
        let value = rootfs.new_mount("tmpfs", "/a", &["=size", "64k", "=mode", "banana"]);
        let flag = rootfs.new_mount("tmpfs", "/a", &["nonsense"]);
        let mut machine = rootfs.machine();
        assert_eq!(mount(&mut machine, value, None), fault(EINVAL, step::OPTION));
        let notes = String::from_utf8_lossy(machine.notes()).into_owned();
        assert!(notes == "mode; tmpfs: Bad value for 'mode'", "{notes}");
        assert_eq!(mount(&mut machine, flag, None), fault(EINVAL, step::OPTION));
        assert!(String::from_utf8_lossy(machine.notes()).contains("nonsense"));
    });
}

/// A word of mount(8) that the filesystem context API does not know must not reach it (iversion); the other words of superblocks must work.
#[test]
fn flags_of_the_superblock_are_understood_by_the_kernel() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("superblock");
        let flags: Vec<_> = ["sync", "dirsync", "mand", "lazytime", "ro"]
            .map(|flag| (flag, rootfs.new_mount("tmpfs", &format!("/{flag}"), &[flag])))
            .into();
        let mut machine = rootfs.machine();
        for (flag, new) in flags {
            assert_eq!(mount(&mut machine, new, None), Ok(()), "{flag}");
        }
    });
}

#[test]
fn an_unknown_filesystem_is_a_failure_of_its_own_step() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("unknown");
        let new = rootfs.new_mount("no-such-fs", "/a", &[]);
        assert_eq!(mount(&mut rootfs.machine(), new, None), fault(ENODEV, step::FSOPEN));
    });
}

#[test]
fn a_tmpfs_keeps_the_mode_of_the_directory_that_it_covers_and_of_no_other() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("inherit");
        let inherit = |new: NewMount| NewMount { flags: mount_flag::INHERIT_MODE, ..new };
        let over = inherit(rootfs.new_mount("tmpfs", "/there", &[]));
        let given = inherit(rootfs.new_mount("tmpfs", "/there", &["=mode", "700"]));
        let missing = inherit(rootfs.new_mount("tmpfs", "/missing", &[]));
        let mut machine = rootfs.machine();
        fs::create_dir(rootfs.path("there")).unwrap();
        fs::set_permissions(rootfs.path("there"), fs::Permissions::from_mode(0o2711)).unwrap();
        assert_eq!(mount(&mut machine, over, None), Ok(()));
        assert_eq!(mode(&rootfs.path("there")), 0o2711);
        assert_eq!(mount(&mut machine, given, None), Ok(()));
        assert_eq!(mode(&rootfs.path("there")), 0o700, "options come after the inherited mode");
        assert_eq!(mount(&mut machine, missing, None), Ok(()));
        assert_eq!(mode(&rootfs.path("missing")), 0o1777, "the filesystem's own default");
    });
}

#[test]
fn nothing_is_mounted_on_the_rootfs_itself() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("onroot");
        let targets: Vec<_> =
            ["/", "link", "a/.."].map(|target| rootfs.new_mount("tmpfs", target, &[])).into();
        let binds: Vec<_> = ["/", "link"].map(|target| rootfs.attach(target)).into();
        let mut machine = rootfs.machine();
        symlink("/", rootfs.path("link")).unwrap();
        for new in targets {
            assert_eq!(mount(&mut machine, new, None), fault(EBUSY, step::ON_ROOT));
        }
        for attach in binds {
            fill(&mut machine, 0, empty_tree());
            assert_eq!(bind(&mut machine, attach), fault(EBUSY, step::ON_ROOT));
        }
    });
}

/// CVE-2019-18837, CVE-2021-30465: a link in the rootfs sends a mount to the host.
#[test]
fn a_target_behind_a_link_to_the_host_lies_inside() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("behind");
        let outside = Scratch::new("behind-host");
        let new = rootfs.new_mount("tmpfs", "/link/x", &[]);
        let refused =
            NewMount { flags: mount_flag::NO_SYMLINKS, ..rootfs.new_mount("tmpfs", "/link/y", &[]) };
        let mut machine = rootfs.machine();
        symlink(outside.path(), rootfs.path("link")).unwrap();
        assert_eq!(mount(&mut machine, new, None), Ok(()));
        let inside = rootfs.scratch.path().join(outside.path().strip_prefix("/").unwrap()).join("x");
        assert_eq!(mode(&inside), 0o1777);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert_eq!(mount(&mut machine, refused, None), fault(crate::abi::ELOOP, step::TARGET));
    });
}

#[test]
fn binds_make_a_target_of_the_kind_of_their_source() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("bind");
        let source = Scratch::new("bind-source");
        fs::write(source.path().join("file"), "content").unwrap();
        let (directory, file) = (rootfs.attach("/d/e"), rootfs.attach("/f/g"));
        let wrong = rootfs.attach("/d/e");
        let mut machine = rootfs.machine();
        fill(&mut machine, 0, host_tree(source.path().to_str().unwrap(), false));
        assert_eq!(bind(&mut machine, directory), Ok(()));
        assert_eq!(fs::read(rootfs.path("d/e/file")).unwrap(), b"content");
        fill(&mut machine, 0, host_tree(source.path().join("file").to_str().unwrap(), false));
        assert_eq!(bind(&mut machine, file), Ok(()));
        assert_eq!(fs::read(rootfs.path("f/g")).unwrap(), b"content");
        fill(&mut machine, 0, host_tree(source.path().join("file").to_str().unwrap(), false));
        assert_eq!(bind(&mut machine, wrong), fault(EINVAL, step::ATTACH), "a file over a directory");
    });
}

#[test]
fn only_the_right_node_of_the_host_is_bound() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("bind-device");
        let path = rootfs.script.text("/dev/null");
        let mut machine = rootfs.machine();
        let mut bound = |mode, device| {
            fill(&mut machine, 0, host_tree("/dev/null", false));
            bind_device(&mut machine, Slot(0), path, mode, device)
        };
        for (mode, device) in [(S_IFCHR, (1, 5)), (S_IFCHR, (3, 1)), (0o060000, (1, 3)), (S_IFDIR, (1, 3))] {
            assert_eq!(bound(mode, device), fault(EINVAL, step::MISMATCH), "{mode:o} {device:?}");
        }
        assert!(!rootfs.path("dev/null").exists(), "nothing is made before the node is known");
        assert_eq!(bound(S_IFCHR, (1, 3)), Ok(()));
        assert_eq!(fs::metadata(rootfs.path("dev/null")).unwrap().rdev(), 0x103);
    });
}

#[test]
fn attributes_of_a_bind_reach_its_top_or_all_of_it() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("attributes");
        let source = Scratch::new("attributes-source");
        fs::create_dir(source.path().join("below")).unwrap();
        let _top = tmpfs_over(&source);
        fs::create_dir(source.path().join("below")).unwrap();
        let below = harness::c_string(&source.path().join("below"));
        // SAFETY: the strings end with NUL and are borrowed.
        let mounted =
            unsafe { libc::mount(c"t".as_ptr(), below.as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null()) };
        assert_eq!(mounted, 0);
        let top = Attach { top: [MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0], ..rootfs.attach("/top") };
        let all = Attach { all: [MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME, 0], ..rootfs.attach("/all") };
        let back = Attach { top: [0, MOUNT_ATTR_RDONLY], ..all };
        let back = Attach { target: rootfs.script.text("/back"), ..back };
        let mut machine = rootfs.machine();
        let path = source.path().to_str().unwrap();
        let relatime = crate::abi::MS_RELATIME;
        for (attach, expected, expected_below) in [
            (top, MS_RDONLY | MS_NOSUID | relatime, relatime),
            (all, MS_RDONLY | MS_NOATIME, MS_RDONLY | MS_NOATIME),
            // The words for all of it come after those for the top.
            (back, MS_RDONLY | MS_NOATIME, MS_RDONLY | MS_NOATIME),
        ] {
            fill(&mut machine, 0, host_tree(path, true));
            let target = rootfs.path(machine.text(attach.target).to_str().unwrap().trim_start_matches('/'));
            assert_eq!(bind(&mut machine, attach), Ok(()));
            assert_eq!(
                (flags(&target), flags(&target.join("below"))),
                (expected, expected_below),
                "{target:?}"
            );
        }
        assert_eq!(flags(source.path()), relatime, "the source keeps its own");
    });
}

#[test]
fn propagation_is_set_after_the_mount_is_in_place() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("propagation");
        const CASES: [(&str, u32, &str); 4] = [
            ("shared", libc::MS_SHARED as u32, "shared"),
            ("private", libc::MS_PRIVATE as u32, ""),
            ("unbindable", libc::MS_UNBINDABLE as u32, "unbindable"),
            ("rshared", (libc::MS_SHARED | libc::MS_REC) as u32, "shared"),
        ];
        let mounts: Vec<_> = CASES
            .iter()
            .map(|(name, bits, expected)| {
                let new = rootfs.new_mount("tmpfs", name, &[]);
                (name, NewMount { propagation: *bits, ..new }, *expected)
            })
            .collect();
        let mut machine = rootfs.machine();
        for (name, new, expected) in mounts {
            assert_eq!(mount(&mut machine, new, None), Ok(()), "{name}");
            assert_eq!(propagation_of(&rootfs.path(name)), expected, "{name}");
        }
    });
}

#[test]
fn only_listed_files_of_procfs_are_covered_and_only_procfs_goes_onto_proc() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("proc");
        let proc_itself =
            Attach { flags: mount_flag::IN_PROC | mount_flag::ONLY_PROC, ..rootfs.attach("/proc") };
        let forged = rootfs.attach("/proc/self/attr");
        let by_link = rootfs.attach("/link");
        let listed = Attach { flags: mount_flag::IN_PROC, ..rootfs.attach("/proc/uptime") };
        let tmpfs = rootfs.new_mount("tmpfs", "/proc/sys", &[]);
        let mut machine = rootfs.machine();
        fill(&mut machine, 0, empty_tree());
        assert_eq!(bind(&mut machine, proc_itself), fault(EINVAL, step::NOT_PROC));
        fill(&mut machine, 0, host_tree("/proc", true));
        assert_eq!(bind(&mut machine, proc_itself), Ok(()));
        symlink("/proc/sys/kernel", rootfs.path("link")).unwrap();
        for attach in [forged, by_link] {
            fill(&mut machine, 0, empty_tree());
            assert_eq!(bind(&mut machine, attach), fault(EPERM, step::INSIDE_PROC));
        }
        assert_eq!(mount(&mut machine, tmpfs, None), fault(EPERM, step::INSIDE_PROC));
        fs::write(rootfs.path("fake"), "7 7\n").unwrap();
        fill(&mut machine, 0, host_tree(rootfs.path("fake").to_str().unwrap(), false));
        assert_eq!(bind(&mut machine, listed), Ok(()));
        assert_eq!(fs::read(rootfs.path("proc/uptime")).unwrap(), b"7 7\n");
    });
}

#[test]
fn masks_cover_files_and_directories_and_skip_what_is_missing() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("mask");
        let paths = ["/file", "/dir", "/missing/too", "/second", "/dir2", "/file3", "/dir3", "/link"];
        let texts = paths.map(|path| rootfs.script.text(path));
        let mut machine = rootfs.machine();
        for name in ["file", "second", "file3", "behind"] {
            fs::write(rootfs.path(name), "secret").unwrap();
        }
        for name in ["dir", "dir2", "dir3"] {
            fs::create_dir(rootfs.path(name)).unwrap();
            fs::write(rootfs.path(name).join("secret"), "secret").unwrap();
        }
        symlink("/behind", rootfs.path("link")).unwrap();
        let null = fill(&mut machine, 0, host_tree("/dev/null", false));
        for text in texts {
            assert_eq!(mask(&mut machine, null, text), Ok(()));
        }
        for name in ["file", "second", "file3", "behind"] {
            let found = fs::metadata(rootfs.path(name)).unwrap();
            assert_eq!(
                (found.mode() & libc::S_IFMT, found.rdev()),
                (libc::S_IFCHR, libc::makedev(1, 3)),
                "{name}"
            );
        }
        for name in ["dir", "dir2", "dir3"] {
            assert_eq!(fs::read_dir(rootfs.path(name)).unwrap().count(), 0, "{name}");
            let refused = fs::write(rootfs.path(name).join("x"), "").unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(EROFS), "{name}");
            assert_eq!(
                flags(&rootfs.path(name)) & (MS_NOSUID | MS_NODEV | MS_NOEXEC),
                MS_NOSUID | MS_NODEV | MS_NOEXEC
            );
        }
        let device = |name: &str| fs::metadata(rootfs.path(name)).unwrap().dev();
        assert_eq!(device("dir"), device("dir3"), "one filesystem covers all");
        assert!(!rootfs.path("missing").exists());
    });
}

/// CVE-2025-31133: what is bound over a masked file must be the null device.
#[test]
fn a_mask_is_refused_if_the_null_device_is_another_file() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("null");
        let path = rootfs.script.text("/file");
        let mut machine = rootfs.machine();
        fs::write(rootfs.path("file"), "secret").unwrap();
        let null = fill(&mut machine, 0, host_tree("/dev/zero", false));
        assert_eq!(mask(&mut machine, null, path), fault(EINVAL, step::MISMATCH));
    });
}

#[test]
fn read_only_paths_refuse_writes_and_missing_ones_are_skipped() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("readonly");
        let texts = ["/dir", "/file", "/missing"].map(|path| rootfs.script.text(path));
        let mut machine = rootfs.machine();
        fs::create_dir(rootfs.path("dir")).unwrap();
        fs::write(rootfs.path("file"), "x").unwrap();
        for text in texts {
            assert_eq!(readonly(&mut machine, text), Ok(()));
        }
        for name in ["dir/new", "file"] {
            assert_eq!(fs::write(rootfs.path(name), "").unwrap_err().raw_os_error(), Some(EROFS), "{name}");
        }
        fs::write(rootfs.path("beside"), "the rest stays writable").unwrap();
    });
}

#[test]
fn a_change_reaches_the_mount_that_stands_there() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("attr");
        let new = NewMount { attr: MOUNT_ATTR_NOSUID, ..rootfs.new_mount("tmpfs", "/a", &[]) };
        let (there, root, directory) =
            (rootfs.script.text("/a"), rootfs.script.text("/"), rootfs.script.text("/b"));
        let mut machine = rootfs.machine();
        fs::create_dir(rootfs.path("b")).unwrap();
        assert_eq!(mount(&mut machine, new, None), Ok(()));
        let before = flags(&rootfs.path("a"));
        assert_eq!(
            attr(&mut machine, there, [MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOSUID]),
            Ok(())
        );
        assert_eq!(flags(&rootfs.path("a")), before & !MS_NOSUID | MS_RDONLY | crate::abi::MS_NODIRATIME);
        let not_a_mount = attr(&mut machine, directory, [MOUNT_ATTR_RDONLY, 0]);
        assert_eq!(not_a_mount, fault(EINVAL, step::ATTRIBUTES));
        assert_eq!(attr(&mut machine, root, [MOUNT_ATTR_RDONLY, 0]), Ok(()));
        assert!(fs::create_dir(rootfs.path("c")).is_err());
    });
}

#[test]
fn a_failed_target_leaves_nothing_behind() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("failed");
        let new = rootfs.new_mount("tmpfs", "/file/x", &[]);
        let mut machine = rootfs.machine();
        fs::write(rootfs.path("file"), "").unwrap();
        assert_eq!(mount(&mut machine, new, None), fault(ENOTDIR, step::TARGET));
    });
}

/// What a bind shows after words for it, from a source with flags of its own.
fn bound(source: u64, top: [u64; 2], flags: u32) -> core::result::Result<u64, Fault> {
    let mut rootfs = Rootfs::new("bound");
    let from = NewMount { attr: source, ..rootfs.new_mount("tmpfs", "/from", &[]) };
    let to = Attach { top, flags, ..rootfs.attach("/to") };
    let mut machine = rootfs.machine();
    mount(&mut machine, from, None)?;
    fill(&mut machine, 0, host_tree(rootfs.path("from").to_str().unwrap(), false));
    bind(&mut machine, to)?;
    Ok(self::flags(&rootfs.path("to")))
}

const SOURCE: u64 = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR_NOATIME;

#[test]
fn a_bind_that_names_flags_loses_the_others() {
    in_namespaces(|| {
        let has = |found: core::result::Result<u64, Fault>| {
            found.map(|flags| flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW))
        };
        let all = MS_NOSUID | MS_NODEV | MS_NOSYMFOLLOW;
        assert_eq!(has(bound(SOURCE, [0, 0], 0)), Ok(all));
        assert_eq!(has(bound(SOURCE, [MOUNT_ATTR_RDONLY, 0], 0)), Ok(all | MS_RDONLY));
        assert_eq!(has(bound(SOURCE, [MOUNT_ATTR_RDONLY, 0], mount_flag::RESET)), Ok(MS_RDONLY));
        let both = [MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_NODEV];
        assert_eq!(has(bound(SOURCE, both, mount_flag::RESET)), Ok(MS_RDONLY | MS_NOSYMFOLLOW));
    });
}

#[test]
fn flags_that_count_as_locked_stay_and_are_not_cleared_by_name() {
    in_namespaces(|| {
        let locked = mount_flag::RESET | mount_flag::LOCKED;
        let found = bound(SOURCE, [MOUNT_ATTR_RDONLY, 0], locked).unwrap();
        assert_eq!(found, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOATIME, "and not nosymfollow");
        let refused = Err(Fault { errno: EPERM, step: step::LOCKED });
        assert_eq!(bound(SOURCE, [0, MOUNT_ATTR_NOSUID], locked), refused);
        assert_eq!(bound(SOURCE, [0, MOUNT_ATTR__ATIME], locked), refused, "relatime instead of noatime");
        assert_eq!(bound(SOURCE, [MOUNT_ATTR_NODIRATIME, 0], locked), refused);
        assert!(bound(SOURCE, [0, MOUNT_ATTR_NOEXEC], locked).is_ok(), "it had none");
        assert!(
            bound(SOURCE, [MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME], locked).is_ok(),
            "it has that already"
        );
        assert!(bound(SOURCE, [0, MOUNT_ATTR_NOSYMFOLLOW], locked).is_ok(), "never locked");
    });
}

/// The kernel's own locks: a mount that was copied into a less privileged namespace.
#[test]
fn flags_that_the_kernel_locks_stay_and_are_not_cleared_by_name() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("kernel-locks");
        let from = NewMount {
            attr: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOSYMFOLLOW,
            ..rootfs.new_mount("tmpfs", "/from", &[])
        };
        let reset = |top, attach: Attach| Attach { top, flags: mount_flag::RESET, ..attach };
        let kept = reset([MOUNT_ATTR_RDONLY, 0], rootfs.attach("/kept"));
        let named = reset([0, MOUNT_ATTR_NOSUID], rootfs.attach("/named"));
        let mut machine = rootfs.machine();
        mount(&mut machine, from, None).unwrap();
        // SAFETY: takes no pointer; this process has one thread.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) }, 0);
        fs::write("/proc/self/setgroups", "deny").unwrap();
        fs::write("/proc/self/uid_map", "0 0 1").unwrap();
        fs::write("/proc/self/gid_map", "0 0 1").unwrap();
        machine.set_root(handle(rootfs.scratch.path())).unwrap();
        let source = rootfs.path("from");
        fill(&mut machine, 0, host_tree(source.to_str().unwrap(), false));
        assert_eq!(bind(&mut machine, kept), Ok(()));
        let found = flags(&rootfs.path("kept")) & (MS_RDONLY | MS_NOSUID | MS_NOSYMFOLLOW);
        assert_eq!(found, MS_RDONLY | MS_NOSUID);
        fill(&mut machine, 0, host_tree(source.to_str().unwrap(), false));
        assert_eq!(bind(&mut machine, named), fault(EPERM, step::ATTRIBUTES));
    });
}

#[test]
fn a_link_is_copied_or_covered_or_bound_as_asked() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("links");
        let source = Scratch::new("links-source");
        symlink("to/nowhere", source.path().join("link")).unwrap();
        fs::write(source.path().join("file"), "file").unwrap();
        let copied =
            |rootfs: &mut Rootfs, target| Attach { flags: mount_flag::COPY_LINK, ..rootfs.attach(target) };
        let (copy, again, other, plain) = (
            copied(&mut rootfs, "/a/copy"),
            copied(&mut rootfs, "/a/copy"),
            copied(&mut rootfs, "/other"),
            copied(&mut rootfs, "/plain"),
        );
        let covered = Attach { flags: mount_flag::KEEP_TARGET_LINK, ..rootfs.attach("/dangling") };
        let path = rootfs.script.text(source.path().join("link").to_str().unwrap());
        let mut machine = rootfs.machine();
        let open = |machine: &mut Machine<'_>, text| {
            open_tree(machine, text, tree_flag::KEEP_LINK, NewSlot(0)).unwrap();
        };
        fs::write(rootfs.path("other"), "").unwrap();
        symlink("/nowhere", rootfs.path("dangling")).unwrap();
        for (attach, expected) in [(copy, Ok(())), (again, Ok(())), (other, fault(EEXIST, step::MISMATCH))] {
            open(&mut machine, path);
            assert_eq!(bind(&mut machine, attach), expected);
        }
        assert_eq!(fs::read_link(rootfs.path("a/copy")).unwrap(), Path::new("to/nowhere"));
        fill(&mut machine, 0, host_tree(source.path().join("file").to_str().unwrap(), false));
        assert_eq!(bind(&mut machine, plain), Ok(()), "what is no link is bound");
        assert_eq!(fs::read(rootfs.path("plain")).unwrap(), b"file");
        open(&mut machine, path);
        assert_eq!(bind(&mut machine, covered), Ok(()));
        assert_eq!(fs::read_link(rootfs.path("dangling")).unwrap(), Path::new("to/nowhere"));
        assert!(!rootfs.path("nowhere").exists());
    });
}

#[test]
fn a_remount_changes_the_filesystem_and_the_mounts_below() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("reconfigure");
        let upper = rootfs.new_mount("tmpfs", "/a", &["=size", "64k"]);
        let lower = rootfs.new_mount("tmpfs", "/a/b", &[]);
        let (path, file) = (rootfs.script.text("/a"), rootfs.script.text("/file"));
        let options = rootfs.script.texts(&["=size", "128k"]);
        let wrong = rootfs.script.texts(&["=size", "banana"]);
        let none = rootfs.script.texts(&[]);
        let mut machine = rootfs.machine();
        mount(&mut machine, upper, None).unwrap();
        mount(&mut machine, lower, None).unwrap();
        fs::write(rootfs.path("file"), "").unwrap();
        let change = [[MOUNT_ATTR_NOSUID, 0], [MOUNT_ATTR_RDONLY, 0]];
        assert_eq!(remount(&mut machine, options, change, path), Ok(()));
        let size = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(size.contains("size=128k"), "{size}");
        let relatime = crate::abi::MS_RELATIME;
        assert_eq!(flags(&rootfs.path("a")), MS_RDONLY | MS_NOSUID | relatime);
        assert_eq!(flags(&rootfs.path("a/b")), MS_RDONLY | relatime);
        assert_eq!(remount(&mut machine, wrong, [[0; 2]; 2], path), fault(EINVAL, step::OPTION));
        let notes = String::from_utf8_lossy(machine.notes()).into_owned();
        assert!(notes.contains("size"), "{notes}");
        assert_eq!(remount(&mut machine, none, change, file), fault(EINVAL, step::ATTRIBUTES), "no mount");
    });
}

#[test]
fn propagation_can_be_changed_twice() {
    in_namespaces(|| {
        let mut rootfs = Rootfs::new("twice");
        let new = NewMount { propagation: libc::MS_SHARED as u32, ..rootfs.new_mount("tmpfs", "/a", &[]) };
        let path = rootfs.script.text("/a");
        let mut machine = rootfs.machine();
        mount(&mut machine, new, None).unwrap();
        assert_eq!(propagate_at(&mut machine, path, libc::MS_UNBINDABLE as u32), Ok(()));
        assert_eq!(propagation_of(&rootfs.path("a")), "unbindable");
    });
}

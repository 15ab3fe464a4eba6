//! Terminals, each test in a mount namespace of its own.

use super::*;
use crate::abi::{ELOOP, ENOENT};
use crate::harness::{Scratch, Script, c_string, in_namespaces, in_process, place_of, tmpfs_over};
use crate::program::Slot;
use std::fs;
use std::os::fd::IntoRawFd as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

const EXDEV: i32 = 18;
const SLAVE: NewSlot = NewSlot(0);

fn mount(kind: &core::ffi::CStr, target: &Path, data: &core::ffi::CStr) {
    let target = c_string(target);
    // SAFETY: the strings end with NUL and are borrowed.
    let mounted =
        unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, data.as_ptr().cast()) };
    assert_eq!(mounted, 0, "{}", std::io::Error::last_os_error());
}

/// A machine on a tmpfs with `/dev/pts`, and the caller's end of its conversation.
fn machine(scratch: &Scratch) -> (Machine<'static>, Fd) {
    let mut ends = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: writes two numbers to an array of two.
    assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) }, 0);
    let mut machine = Script::default().machine(tmpfs_over(scratch));
    machine.socket = Fd(ends[0]);
    fs::create_dir_all(scratch.path().join("dev/pts")).unwrap();
    sys::setsid().unwrap();
    (machine, Fd(ends[1]))
}

fn with_devpts(scratch: &Scratch) -> (Machine<'static>, Fd) {
    let (machine, caller) = machine(scratch);
    mount(c"devpts", &scratch.path().join("dev/pts"), c"newinstance,ptmxmode=0666,mode=0620");
    (machine, caller)
}

#[test]
fn the_slave_is_the_console_and_the_master_goes_to_the_caller() {
    in_namespaces(|| {
        let scratch = Scratch::new("pty");
        let (mut machine, caller) = with_devpts(&scratch);
        assert_eq!(open(&mut machine, [30, 90], true, SLAVE), Ok(()));
        let mut master = Fd::NONE;
        let frame = talk::receive(caller, |fd| master = fd).unwrap();
        assert_eq!((frame.kind, frame.value), (wire::TERMINAL, 0));
        let slave = machine.slot(Slot(0));
        let console = fs::metadata(scratch.path().join("dev/console")).unwrap();
        let found = sys::statx(slave, c"", AT_EMPTY_PATH).unwrap();
        assert_eq!(console.rdev(), libc::makedev(found.rdev_major, found.rdev_minor));
        assert_eq!(console.mode() & 0o777, 0o620);
        assert_eq!(sys::write(slave, b"up"), Ok(2));
        let mut bytes = [0; 8];
        assert_eq!(sys::read(master, &mut bytes), Ok(2));
        // SAFETY: an all-zero winsize is valid to be filled.
        let mut size: libc::winsize = unsafe { std::mem::zeroed() };
        // SAFETY: the struct is borrowed for writing.
        assert_eq!(unsafe { libc::ioctl(slave.0, libc::TIOCGWINSZ, &mut size) }, 0);
        assert_eq!((size.ws_row, size.ws_col), (30, 90));
        // SAFETY: takes numbers.
        assert_eq!(unsafe { libc::tcgetsid(slave.0) }, unsafe { libc::getpid() });
    });
}

fn fault(prepare: impl FnOnce(&Path), mounted: bool) -> (i32, u32) {
    let scratch = Scratch::new("fault");
    let (mut machine, _caller) = if mounted { with_devpts(&scratch) } else { machine(&scratch) };
    prepare(scratch.path());
    let fault = open(&mut machine, [0, 0], true, SLAVE).unwrap_err();
    (fault.errno, fault.step)
}

#[test]
fn only_a_devpts_gives_a_terminal() {
    in_namespaces(|| {
        assert_eq!(fault(|_| {}, false), (ENODEV, step::DEVPTS));
    });
    in_namespaces(|| {
        let missing = |root: &Path| fs::remove_dir(root.join("dev/pts")).unwrap();
        assert_eq!(fault(missing, false), (ENOENT, step::DEVPTS));
    });
    in_namespaces(|| {
        let link = |root: &Path| {
            fs::remove_dir(root.join("dev/pts")).unwrap();
            symlink("/dev/pts", root.join("dev/pts")).unwrap();
        };
        assert_eq!(fault(link, false), (ELOOP, step::DEVPTS));
    });
    in_namespaces(|| {
        let covered = |root: &Path| {
            fs::write(root.join("file"), "").unwrap();
            let (from, to) = (c_string(&root.join("file")), c_string(&root.join("dev/pts/ptmx")));
            sys::mount_flags(Some(&from), &to, libc::MS_BIND).unwrap();
        };
        assert_eq!(fault(covered, true), (EXDEV, step::DEVPTS));
    });
}

#[test]
fn the_console_is_no_link() {
    in_namespaces(|| {
        let link = |root: &Path| symlink("/file", root.join("dev/console")).unwrap();
        assert_eq!(fault(link, true), (ELOOP, step::TARGET));
    });
}

/// Puts `file` under the three standard numbers and asks for its owner afterwards.
fn owner_after(file: i32, uid: u32, terminal: bool) -> u32 {
    for number in 0..3 {
        sys::dup3(Fd(file), Fd(number), 0).unwrap();
    }
    assert_eq!(own_stdio(uid, terminal), Ok(()));
    sys::statx(Fd(0), c"", AT_EMPTY_PATH).unwrap().uid
}

#[test]
fn pipes_change_hands_and_files_and_devices_do_not() {
    // SAFETY: takes no pointer.
    if unsafe { libc::geteuid() } != 0 {
        return;
    }
    in_process(|| {
        let mut ends = [0; 2];
        // SAFETY: writes two numbers to an array of two.
        assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
        assert_eq!(owner_after(ends[0], 1000, false), 1000);
        let scratch = Scratch::new("own");
        let path = scratch.path().join("file");
        let file = fs::File::create(&path).unwrap().into_raw_fd();
        assert_eq!(owner_after(file, 1000, true), 0);
    });
    in_namespaces(|| {
        // A device of a devpts of its own: nobody else's inode is at stake.
        let scratch = Scratch::new("own");
        let (mut machine, _caller) = with_devpts(&scratch);
        open(&mut machine, [0, 0], true, SLAVE).unwrap();
        let slave = machine.slot(Slot(0)).0;
        assert_eq!(owner_after(slave, 7, false), 0, "no terminal of ours");
        assert_eq!(owner_after(slave, 0, true), 0);
        assert!(place_of(Fd(0)).ends_with("dev/pts/0"));
    });
}

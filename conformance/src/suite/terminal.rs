//! The terminal: what the program sees of it, who gets its other end, and what is refused.

use std::fs::File;
use std::io::{IoSliceMut, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::json;

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::{Container, Ctx, Lines};
use crate::driver::Driver;
use crate::host::Need;
use crate::probe::Report;
use crate::sys::{self, PATIENCE};
use crate::{Outcome, Trouble, check, same};

tests! {
    the_program_has_a_terminal_on_all_its_streams,
    the_console_is_that_terminal,
    the_terminal_controls_the_session,
    the_terminal_has_the_size_that_was_asked_for,
    a_size_of_zero_is_no_size,
    a_size_without_a_terminal_is_ignored,
    the_terminal_belongs_to_the_user,
    a_terminal_in_a_user_namespace_works [Need::Users],
    the_message_names_the_slave,
    the_master_works_when_the_creator_has_gone,
    closing_the_master_hangs_up,
    closed_streams_of_the_caller_do_not_matter [Need::Cli],
    a_foreground_run_shows_the_terminal,
    a_foreground_run_joins_its_own_terminal_with_the_container_s [Need::Cli],
    a_terminal_needs_somebody_who_takes_it [Need::Cli],
    a_receiver_without_a_terminal_is_refused,
    a_receiver_that_is_not_there_is_refused_before_anything_is_made,
    a_receiver_with_a_long_path_is_found,
    a_terminal_without_devpts_is_refused,
    links_of_the_image_are_no_devpts,
    a_console_that_is_a_link_is_refused,
    a_terminal_without_a_mount_namespace_is_refused,
    the_pidfd_of_init_is_sent,
    the_pidfd_of_init_is_sent_to_the_receiver_of_the_annotation,
    pipes_belong_to_the_user,
    files_keep_their_owner,
}

/// Somebody who waits for a descriptor.
pub(super) struct Receiver {
    /// Where it is.
    pub(super) path: PathBuf,
    listener: UnixListener,
}

impl Receiver {
    pub(super) fn at(path: PathBuf) -> Result<Self, Trouble> {
        Ok(Self { listener: UnixListener::bind(&path)?, path })
    }

    pub(super) fn of(ctx: &Ctx<'_>) -> Result<Self, Trouble> {
        Self::at(ctx.dir.join("receiver"))
    }

    /// The message and its descriptor.
    pub(super) fn take(&self) -> Result<(String, OwnedFd), Trouble> {
        check!(sys::readable_within(self.listener.as_fd(), PATIENCE)?, "nobody connected");
        let (stream, _) = self.listener.accept()?;
        check!(sys::readable_within(stream.as_fd(), PATIENCE)?, "nothing was sent");
        let (mut bytes, mut control) = ([0; 256], nix::cmsg_space!([i32; 4]));
        let mut content = [IoSliceMut::new(&mut bytes)];
        let received =
            recvmsg::<()>(stream.as_raw_fd(), &mut content, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC);
        let received = received.map_err(std::io::Error::from)?;
        let mut fds = Vec::new();
        for message in received.cmsgs().map_err(std::io::Error::from)? {
            if let ControlMessageOwned::ScmRights(rights) = message {
                // SAFETY: the kernel has just given us these descriptors, and nobody else knows them.
                fds.extend(rights.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        let length = received.bytes;
        let text = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned();
        match fds.pop() {
            Some(fd) if fds.is_empty() => Ok((text, fd)),
            _ => Err(format!("{:?} came with {} descriptors", text, fds.len()).into()),
        }
    }
}

fn with_terminal(ctx: &Ctx<'_>) -> Result<Bundle, Trouble> {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/terminal", true);
    Ok(bundle)
}

/// A created container, the message, and the master.
fn on_terminal<'a>(ctx: &'a Ctx<'a>, bundle: &Bundle) -> Result<(Container<'a>, String, OwnedFd), Trouble> {
    let receiver = Receiver::of(ctx)?;
    let container = ctx.created_by(bundle, |new| new.console_socket = Some(receiver.path.clone()))?;
    let (text, master) = receiver.take()?;
    Ok((container, text, master))
}

/// What the probe reports on its terminal.
fn seen(ctx: &Ctx<'_>, bundle: &mut Bundle, ops: &[&str]) -> Result<Report, Trouble> {
    let (container, _, master) = on_terminal(ctx, bundle.ops(ops))?;
    container.start()?;
    let line = Lines::new(master).next(PATIENCE)?.ok_or("the terminal was closed without a word")?;
    Report::parse(&line)
}

fn the_program_has_a_terminal_on_all_its_streams(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = with_terminal(ctx)?;
    let report = seen(ctx, &mut bundle, &["isatty:0", "isatty:1", "isatty:2", "fds", "tty:0"])?;
    for stream in ["isatty:0", "isatty:1", "isatty:2"] {
        same!(report.get(stream), &json!(true), "{stream}");
    }
    same!(report.field("tty:0", "name"), "/dev/pts/0", "name");
    same!(report.get("fds").as_object().map_or(0, serde_json::Map::len), 3, "descriptors");
    Ok(())
}

/// CVE-2025-52565.
fn the_console_is_that_terminal(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = with_terminal(ctx)?;
    let ops = ["stat:/dev/console", "stat:/proc/self/fd/0", "statfs:/dev/console", "list:/dev/pts"];
    let report = seen(ctx, &mut bundle, &ops)?;
    same!(report.field("stat:/dev/console", "rdev"), "136:0", "number of /dev/console");
    same!(report.get("stat:/dev/console"), report.get("stat:/proc/self/fd/0"), "/dev/console and stdin");
    same!(report.field("statfs:/dev/console", "type"), "1cd1", "filesystem of /dev/console");
    same!(report.get("list:/dev/pts"), &json!(["0", "ptmx"]), "terminals");
    Ok(())
}

fn the_terminal_controls_the_session(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = with_terminal(ctx)?;
    let report = seen(ctx, &mut bundle, &["pid", "tty:0", "openrw:/dev/tty"])?;
    same!(report.text("openrw:/dev/tty"), "ok", "opening /dev/tty");
    let (pid, tty) = (report.get("pid"), report.get("tty:0"));
    same!(tty["sid"], pid["sid"], "session of the terminal and of init");
    same!(pid["sid"], pid["pid"], "leader of the session");
    Ok(())
}

fn size_of(
    ctx: &Ctx<'_>,
    size: serde_json::Value,
) -> Result<(serde_json::Value, serde_json::Value), Trouble> {
    let mut bundle = with_terminal(ctx)?;
    bundle.set("/process/consoleSize", size);
    let report = seen(ctx, &mut bundle, &["tty:1"])?;
    let tty = report.get("tty:1");
    Ok((tty["rows"].clone(), tty["columns"].clone()))
}

fn the_terminal_has_the_size_that_was_asked_for(ctx: &Ctx<'_>) -> Outcome {
    same!(size_of(ctx, json!({ "height": 11, "width": 222 }))?, (json!(11), json!(222)), "rows, columns");
    Ok(())
}

fn a_size_of_zero_is_no_size(ctx: &Ctx<'_>) -> Outcome {
    same!(size_of(ctx, json!({ "height": 0, "width": 222 }))?, (json!(0), json!(0)), "rows, columns");
    Ok(())
}

fn a_size_without_a_terminal_is_ignored(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/consoleSize", json!({ "height": 1, "width": 99_999 }));
    same!(ctx.see(&mut bundle, &["isatty:0"])?.get("isatty:0"), &json!(false), "isatty");
    Ok(())
}

fn the_terminal_belongs_to_the_user(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = with_terminal(ctx)?;
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    let ops = ["stat:/dev/console", "stat:/dev/pts/0", "openrw:/dev/console", "openrw:/dev/stdout"];
    let report = seen(ctx, &mut bundle, &ops)?;
    for path in ["stat:/dev/console", "stat:/dev/pts/0"] {
        same!(report.get(path)["uid"], 1000, "owner");
        same!(report.get(path)["gid"], 5, "group: that of the devpts");
        same!(report.field(path, "mode"), "0620", "mode: that of the devpts");
    }
    same!(report.text("openrw:/dev/console"), "ok", "opening /dev/console");
    same!(report.text("openrw:/dev/stdout"), "ok", "opening /dev/stdout");
    Ok(())
}

fn a_terminal_in_a_user_namespace_works(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = with_terminal(ctx)?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    bundle.set("/process/user", json!({ "uid": 7, "gid": 7 }));
    let report = seen(ctx, &mut bundle, &["isatty:0", "stat:/dev/console", "openrw:/dev/tty"])?;
    same!(report.get("isatty:0"), &json!(true), "isatty");
    same!(report.get("stat:/dev/console")["uid"], 7, "owner");
    same!(report.text("openrw:/dev/tty"), "ok", "opening /dev/tty");
    Ok(())
}

fn the_message_names_the_slave(ctx: &Ctx<'_>) -> Outcome {
    let bundle = with_terminal(ctx)?;
    let (_container, text, master) = on_terminal(ctx, &bundle)?;
    same!(text, "/dev/pts/0", "message");
    let link = std::fs::read_link(format!("/proc/self/fd/{}", master.as_raw_fd()))?;
    check!(link.ends_with("ptmx"), "the descriptor is {}", link.display());
    Ok(())
}

fn the_master_works_when_the_creator_has_gone(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = with_terminal(ctx)?;
    let (container, _, master) = on_terminal(ctx, bundle.ops(&["print:ready", "cat"]))?;
    container.start()?;
    let (mut keyboard, mut screen) = (File::from(master.try_clone()?), Lines::new(master));
    same!(screen.next(PATIENCE)?.as_deref(), Some("ready"), "first line");
    keyboard.write_all(b"hello\n")?;
    // The terminal's echo, then the program's copy.
    for who in ["echo", "copy"] {
        same!(screen.next(PATIENCE)?.as_deref(), Some("hello"), "{who}");
    }
    same!(container.status()?, "running", "status");
    Ok(())
}

fn closing_the_master_hangs_up(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = with_terminal(ctx)?;
    let (container, _, master) = on_terminal(ctx, bundle.ops(&["print:ready", "cat"]))?;
    container.start()?;
    let mut screen = Lines::new(master);
    same!(screen.next(PATIENCE)?.as_deref(), Some("ready"), "first line");
    drop(screen);
    container.ended()
}

fn closed_streams_of_the_caller_do_not_matter(ctx: &Ctx<'_>) -> Outcome {
    let cli = ctx.cli()?.behind(&["/bin/sh", "-c", "exec \"$@\" 0<&- 1>&- 2>&-", "sh"]);
    let receiver = Receiver::of(ctx)?;
    let mut bundle = with_terminal(ctx)?;
    let mut new = ctx.new_of(bundle.ops(&["fds"]))?;
    (new.console_socket, new.detach) = (Some(receiver.path.clone()), true);
    let ran = cli.run(new);
    let taken = receiver.take().and_then(|(_, master)| Lines::new(master).next(PATIENCE));
    let _ = ctx.driver.delete(&bundle.id, true);
    ran.good()?;
    let report = Report::parse(&taken?.unwrap_or_default())?;
    let fds = report.get("fds").as_object().cloned().unwrap_or_default();
    check!(fds.len() == 3 && fds.values().all(|to| to == "/dev/pts/0"), "descriptors: {fds:?}");
    Ok(())
}

fn a_foreground_run_shows_the_terminal(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = with_terminal(ctx)?;
    let reply = ctx.run(bundle.ops(&["isatty:1", "exit:7"]))?;
    same!(reply.code, 7, "exit code; stderr: {}", reply.err);
    same!(Report::parse(reply.out.trim_end())?.get("isatty:1"), &json!(true), "isatty");
    Ok(())
}

/// The runtime on a terminal of the test's own: keys, size and signals go in, the screen comes out, and the modes are as before in the end.
fn a_foreground_run_joins_its_own_terminal_with_the_container_s(ctx: &Ctx<'_>) -> Outcome {
    let size = nix::pty::Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 };
    let nix::pty::OpenptyResult { master, slave } =
        nix::pty::openpty(&size, None).map_err(std::io::Error::from)?;
    let before = nix::sys::termios::tcgetattr(&slave).map_err(std::io::Error::from)?;
    let mut bundle = with_terminal(ctx)?;
    let mut new = ctx.new_of(bundle.ops(&["tty:0", "say", "cat", "exit:9"]))?;
    (new.stdin, new.stdout) = (Some(slave.try_clone()?), Some(slave.try_clone()?));
    let running = ctx.cli()?.spawn_run(new)?;
    let (mut keyboard, mut screen) = (File::from(master.try_clone()?), Lines::new(master));
    let report = Report::parse(&screen.next(PATIENCE)?.unwrap_or_default())?;
    same!(report.get("tty:0")["rows"], 33, "rows");
    same!(report.get("tty:0")["columns"], 77, "columns");
    keyboard.write_all(b"typed\r")?;
    for who in ["echo of the container's terminal", "copy of the program"] {
        same!(screen.next(PATIENCE)?.as_deref(), Some("typed"), "{who}");
    }
    // The end of the input, as the container's terminal understands it.
    keyboard.write_all(&[4])?;
    same!(running.finish().code, 9, "exit code");
    let after = nix::sys::termios::tcgetattr(&slave).map_err(std::io::Error::from)?;
    check!(before == after, "the modes of the caller's terminal have changed");
    Ok(())
}

fn a_terminal_needs_somebody_who_takes_it(ctx: &Ctx<'_>) -> Outcome {
    ctx.refused(
        &with_terminal(ctx)?,
        &["cannot allocate tty if runc will detach without setting console socket"],
    )
}

fn a_receiver_without_a_terminal_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let receiver = Receiver::of(ctx)?;
    let text = "cannot use console socket if runc will not detach or allocate tty";
    let bundle = ctx.bundle()?;
    ctx.refused_by(&bundle, |new| new.console_socket = Some(receiver.path.clone()), &[text])
}

fn a_receiver_that_is_not_there_is_refused_before_anything_is_made(ctx: &Ctx<'_>) -> Outcome {
    let (dead, file) = (ctx.dir.join("dead"), ctx.dir.join("file"));
    drop(UnixListener::bind(&dead)?);
    std::fs::write(&file, "")?;
    let long = ctx.dir.join("n".repeat(200));
    let cases: [(&Path, &str); 5] = [
        (&dead, "connection refused"),
        (&file, "connection refused"),
        (&ctx.dir.join("nowhere"), "no such file or directory"),
        (&ctx.dir.join("file/below"), "not a directory"),
        (&long, "file name too long"),
    ];
    for (path, text) in cases {
        let bundle = with_terminal(ctx)?;
        ctx.refused_by(&bundle, |new| new.console_socket = Some(path.into()), &[text])?;
        let bundle = ctx.bundle()?;
        ctx.refused_by(&bundle, |new| new.pidfd_socket = Some(path.into()), &[text])?;
    }
    Ok(())
}

fn a_receiver_with_a_long_path_is_found(ctx: &Ctx<'_>) -> Outcome {
    let deep = ctx.dir.join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&deep)?;
    // The test's own socket is made by a short way to the same directory.
    let short = ctx.dir.join("s");
    symlink(&deep, &short)?;
    let receiver = Receiver::at(short.join("socket"))?;
    let bundle = with_terminal(ctx)?;
    let _container = ctx.created_by(&bundle, |new| new.console_socket = Some(deep.join("socket")))?;
    same!(receiver.take()?.0, "/dev/pts/0", "message");
    Ok(())
}

fn refused_terminal(ctx: &Ctx<'_>, bundle: &Bundle, text: &str) -> Outcome {
    let receiver = Receiver::of(ctx)?;
    ctx.refused_by(bundle, |new| new.console_socket = Some(receiver.path.clone()), &[text])?;
    std::fs::remove_file(&receiver.path)?;
    Ok(())
}

fn a_terminal_without_devpts_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = with_terminal(ctx)?;
    bundle.without_mount("/dev/pts");
    refused_terminal(ctx, &bundle, "/dev/pts of the container: no such file or directory")?;
    bundle.mount("/dev/pts", "tmpfs", "tmpfs", &[]);
    refused_terminal(ctx, &bundle, "a mount of type devpts is needed there")
}

/// CVE-2025-52565.
fn links_of_the_image_are_no_devpts(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = with_terminal(ctx)?;
    bundle.without_mount("/dev/pts").without_mount("/dev");
    bundle.dir("dev/pts", 0o755)?;
    symlink("/proc/sys/kernel/core_pattern", bundle.path("dev/pts/ptmx"))?;
    symlink("/proc/sys/kernel/core_pattern", bundle.path("dev/ptmx"))?;
    for number in 0..10 {
        symlink("/proc/sys/kernel/core_pattern", bundle.path(&format!("dev/pts/{number}")))?;
    }
    refused_terminal(ctx, &bundle, "a mount of type devpts is needed there")?;
    std::fs::remove_dir_all(bundle.path("dev/pts"))?;
    symlink("/proc", bundle.path("dev/pts"))?;
    refused_terminal(ctx, &bundle, "/dev/pts of the container")
}

fn a_console_that_is_a_link_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = with_terminal(ctx)?;
    bundle.without_mount("/dev").dir("dev/pts", 0o755)?;
    bundle.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"]);
    symlink("/proc/sysrq-trigger", bundle.path("dev/console"))?;
    refused_terminal(ctx, &bundle, "/dev/console of the container")
}

fn a_terminal_without_a_mount_namespace_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = with_terminal(ctx)?;
    bundle.without_namespace("mount").set("/mounts", json!([])).set("/root/readonly", false);
    bundle.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
    refused_terminal(ctx, &bundle, "a terminal needs a mount namespace")
}

fn the_pidfd_of_init_is_sent(ctx: &Ctx<'_>) -> Outcome {
    let receiver = Receiver::of(ctx)?;
    let bundle = ctx.bundle()?;
    let container = ctx.created_by(&bundle, |new| new.pidfd_socket = Some(receiver.path.clone()))?;
    stands_for_init(&receiver, "standard", &container)
}

/// The receiver of the annotation gets one too, with the byte that crun sends; one that is not there is refused.
fn the_pidfd_of_init_is_sent_to_the_receiver_of_the_annotation(ctx: &Ctx<'_>) -> Outcome {
    let (named, marked) = (Receiver::at(ctx.dir.join("named"))?, Receiver::at(ctx.dir.join("marked"))?);
    let annotated = |path: &Path| json!({ "run.oci.pidfd_receiver": path.to_string_lossy() });
    let mut bundle = ctx.bundle()?;
    bundle.set("/annotations", annotated(&marked.path));
    let container = ctx.created_by(&bundle, |new| new.pidfd_socket = Some(named.path.clone()))?;
    stands_for_init(&named, "standard", &container)?;
    stands_for_init(&marked, " ", &container)?;
    let cases = [
        (
            ctx.dir.join("nowhere"),
            "nowhere: no such file or directory (config.json: /annotations/run.oci.pidfd_receiver)",
        ),
        (PathBuf::from("annotated"), "the receiver of the pidfd is not an absolute path"),
    ];
    for (path, why) in cases {
        let mut bundle = ctx.bundle()?;
        ctx.refused(bundle.set("/annotations", annotated(&path)), &[why])?;
    }
    Ok(())
}

fn stands_for_init(receiver: &Receiver, message: &str, container: &Container<'_>) -> Outcome {
    let (text, pidfd) = receiver.take()?;
    same!(text, message, "message");
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).map(str::trim);
    same!(pid, Some(container.pid.to_string().as_str()), "pid of the descriptor");
    Ok(())
}

/// Without this a program that opens /dev/stdout is refused.
fn pipes_belong_to_the_user(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    let mut container = ctx.started(bundle.ops(&["stat:/proc/self/fd/1", "write:/proc/self/fd/1=\n"]))?;
    same!(container.line()?.as_deref(), Some(""), "what was written by opening the pipe");
    let report = container.report()?;
    same!(report.get("stat:/proc/self/fd/1")["uid"], 1000, "owner of the pipe");
    same!(report.text("write:/proc/self/fd/1=\n"), "ok", "opening the pipe");
    Ok(())
}

/// CVE-2026-88265 and runc #3674: neither files nor devices of the host change hands.
fn files_keep_their_owner(ctx: &Ctx<'_>) -> Outcome {
    let path = ctx.dir.join("input");
    std::fs::write(&path, "")?;
    for given in [path.as_path(), Path::new("/dev/null"), Path::new("/dev/zero")] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
        let before = std::fs::metadata(given)?.uid();
        let mut new = ctx.new_of(bundle.ops(&["pid"]))?;
        new.stdin = Some(File::open(given)?.into());
        ctx.driver.run(new).good()?;
        same!(std::fs::metadata(given)?.uid(), before, "owner of {}", given.display());
    }
    Ok(())
}

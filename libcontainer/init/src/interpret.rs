//! The loop over the program and the one match over its ops.

use crate::machine::{Fault, Image, Machine, Outcome};
use crate::ops::mount::{Attach, NewMount};
use crate::ops::rootfs::Node;
use crate::ops::{hook, mount, namespace, process, procfs, rootfs, scheduling, seccomp, stdio, terminal};
use crate::program::Op;
use crate::sys::{self, Fd};
use crate::talk;
use crate::wire::{FAILED, Frame};

/// Runs the program to its end: into the container's program, or out of existence.
pub fn run(image: Image<'_>, socket: Fd) -> ! {
    let mut machine = Machine::new(image, socket);
    for (index, op) in (0u32..).zip(machine.program().ops().flatten()) {
        machine.progress(index);
        if let Err(fault) = execute(&mut machine, op) {
            report(&machine, index, fault);
        }
    }
    sys::exit(0)
}

fn report(machine: &Machine<'_>, op: u32, fault: Fault) -> ! {
    let frame = Frame { kind: FAILED, op, value: fault.errno as u32, detail: fault.step };
    let _ = talk::send(machine.socket, &frame, machine.notes());
    sys::exit(1)
}

// table: one line for each op.
fn execute(m: &mut Machine<'_>, op: Op) -> Outcome {
    match op {
        Op::Reset {} => process::reset(m),
        Op::Setsid {} => Ok(sys::setsid()?),
        Op::Keyring { name } => namespace::keyring(m, name),
        Op::Join { kind, namespace } => namespace::join(m, kind, namespace),
        Op::JoinMade { kind, from } => namespace::join_made(m, kind, from),
        Op::Unshare { flags } => Ok(sys::unshare(flags)?),
        Op::Respawn { flags } => namespace::respawn(m, flags, None),
        Op::RespawnInto { cgroup } => namespace::respawn(m, 0, Some(cgroup)),
        Op::AwaitMaps {} => namespace::await_maps(m),
        Op::BecomeRoot { setgroups } => namespace::become_root(setgroups != 0),
        Op::Propagation { flags } => mount::propagation(flags),
        Op::OpenTree { path, flags, tree } => mount::open_tree(m, path, flags, tree),
        Op::Root { tree, attach, path } => mount::root(m, tree, attach, path),
        Op::Mount { fs, source, options, attr, flags, propagation, target } => {
            mount::mount(m, NewMount { fs, source, options, attr, flags, propagation, target }, None)
        }
        Op::MountMapped { userns, fs, source, options, attr, flags, propagation, target } => {
            mount::mount(m, NewMount { fs, source, options, attr, flags, propagation, target }, Some(userns))
        }
        Op::MapTree { tree, index } => mount::map_tree(m, tree, index),
        Op::Remount { options, set, clear, set_all, clear_all, path } => {
            mount::remount(m, options, [[set, clear], [set_all, clear_all]], path)
        }
        Op::Unmount { path } => mount::unmount(m, path),
        Op::Propagate { path, flags } => mount::propagate_at(m, path, flags),
        Op::HideHost {} => rootfs::hide_host(),
        Op::NullStdio {} => stdio::null(m),
        Op::Bind { tree, set, clear, set_all, clear_all, propagation, flags, target } => mount::bind(
            m,
            Attach { tree, top: [set, clear], all: [set_all, clear_all], propagation, flags, target },
        ),
        Op::Device { path, mode, major, minor, uid, gid } => {
            rootfs::device(m, Node { path, mode, device: (major, minor), owner: (uid, gid) })
        }
        Op::BindDevice { tree, path, mode, major, minor } => {
            mount::bind_device(m, tree, path, mode, (major, minor))
        }
        Op::Symlink { target, path } => rootfs::symlink(m, target, path),
        Op::Attr { path, set, clear } => mount::attr(m, path, [set, clear]),
        Op::Pivot {} => rootfs::pivot(m),
        Op::Chroot {} => rootfs::chroot(m),
        Op::Mask { null, path } => mount::mask(m, null, path),
        Op::Readonly { path } => mount::readonly(m, path),
        Op::Hostname { name } => Ok(sys::sethostname(m.text(name))?),
        Op::Domainname { name } => Ok(sys::setdomainname(m.text(name))?),
        Op::Label { path, label } => rootfs::label(m, path, label),
        Op::Procfs { whole, proc } => procfs::open(m, whole != 0, proc),
        Op::ProcWrite { proc, paths, value } => procfs::write(m, proc, paths, value),
        Op::Loopback {} => namespace::loopback(),
        Op::Personality { persona } => Ok(sys::personality(persona)?),
        Op::TimeOffsets { offsets } => procfs::time_offsets(m, offsets),
        Op::NetDevices {} => namespace::net_devices(m),
        Op::NoNewPrivs {} => process::no_new_privs(),
        Op::CapsBound { keep, last } => process::bound(keep, last),
        Op::Groups { gids } => Ok(sys::setgroups(m.bytes(gids))?),
        Op::Ids { uid, gid } => process::ids(uid, gid),
        Op::Caps { effective, permitted, inheritable, ambient } => {
            process::caps(effective, permitted, inheritable, ambient)
        }
        Op::Umask { mask } => process::umask(m, mask),
        Op::MakeCwd { path } => rootfs::make_cwd(m, path),
        Op::Chdir { path, again } => {
            let path = m.text(path);
            process::chdir(m, path, again != 0)
        }
        Op::CheckExec { candidates } => process::check_exec(m, candidates),
        Op::Fd { number, from } => process::place(m, number, from),
        Op::Hide {} => process::hide(),
        Op::EnterCgroup { tasks } => namespace::enter_cgroup(m, tasks),
        Op::Ask { what } => process::ask(m, what),
        Op::Hook { index, path, args, env, cwd } => hook::hook(m, hook::Hook { index, path, args, env, cwd }),
        Op::Door { door } => process::door(m, door),
        Op::Rlimit { resource, soft, hard } => process::rlimit(m, resource, [soft, hard]),
        Op::CloseRest { first, gate } => process::close_rest(m, first, Some(gate)),
        Op::CloseFrom { first } => process::close_rest(m, first, None),
        Op::Seccomp { filter, flags, listener } => seccomp::load(m, filter, flags, listener),
        Op::CapsFinal { effective, permitted, inheritable } => {
            process::caps_final(effective, permitted, inheritable)
        }
        Op::Ready {} => process::ready(m),
        Op::Terminal { rows, columns, console, slave } => {
            terminal::open(m, [rows, columns], console != 0, slave)
        }
        Op::OwnStdio { uid, terminal } => terminal::own_stdio(uid, terminal != 0),
        Op::Scheduler { policy, nice, priority, flags, runtime, deadline, period } => {
            scheduling::scheduler(policy, flags, [nice, priority], [runtime, deadline, period])
        }
        Op::IoPriority { priority } => Ok(sys::set_io_priority(priority)?),
        Op::Affinity { cpus } => Ok(sys::set_affinity(m.bytes(cpus))?),
        Op::MemoryPolicy { mode, nodes } => Ok(sys::set_memory_policy(mode, m.bytes(nodes))?),
        Op::Gate { gate } => process::gate(m, gate),
        Op::Exec { args, env } => process::exec(m, args, env),
    }
}

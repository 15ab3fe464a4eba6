//! The ordering laws of a finished program. They hold for every plan: golden tests and generated configurations are checked against them.

use teu_init::program::{Blob, Op, Operand, ask, tree_flag};

use super::Program;
use super::namespaces::kind;
use super::network::sees_network;

/// Checks every law.
///
/// # Errors
/// The first law that is broken, with the op's index.
pub fn verify(program: &Program) -> Result<(), String> {
    LAWS.iter().try_for_each(|(law, holds)| match holds(program) {
        None => Ok(()),
        Some(op) => Err(format!("op {op}: {law}")),
    })
}

/// A law returns the index of the op that breaks it.
type Law = fn(&Program) -> Option<usize>;

const LAWS: &[(&str, Law)] = &[
    (
        "the namespace is cut off from the host, all of it, before anything is opened, mounted or dropped",
        isolation_first,
    ),
    ("exec comes once and last", exec_last),
    ("a slot is written before it is read", slots_in_order),
    ("groups before ids, the bounding set before both, the other sets after", credentials_in_order),
    ("masks come after the last mount", masks_after_mounts),
    ("paths of the container come after the root handle", root_first),
    ("nothing is opened by path of the host after the root was switched", sources_before_switch),
    ("read-only attributes come after everything that is made in the rootfs", read_only_late),
    ("the program is looked up with its final identity and directory", lookup_last),
    ("limits come when nothing is opened any more, and before the rights to raise them go", limits_in_order),
    (
        "the terminal comes after the last mount, and before the root becomes read-only and the rights go",
        terminal_in_order,
    ),
    ("what the kernel is asked to prefer is said while the rights last", scheduling_in_order),
    ("init hides before it joins, opens or mounts anything", hidden_first),
    ("the procfs for labels is opened before a path of the container can lead anywhere", procfs_early),
    ("nothing is opened after the rest was closed", nothing_opened_late),
    (
        "under the filter init gives up capabilities, is ready, waits, runs hooks and executes, and nothing else",
        quiet_under_filter,
    ),
    ("a filter is loaded with no_new_privs, or with CAP_SYS_ADMIN", filter_by_right),
    ("a filter that follows the program is what init hears first", filter_heard),
    (
        "the second process, if there is one, is made once and before init asks or tells anything",
        respawn_silent,
    ),
    ("no clone makes a time namespace, and its offsets come right after it", time_alone),
    ("what may look at the network namespace comes after it is entered", network_entered),
    ("devices and sysctls find the namespaces entered and nothing masked yet", settings_in_between),
    ("nothing but the gate, the hooks of start and exec follows ready", ready_then_gate),
    (
        "hooks come after the last mount and before the root is switched, those of the runtime first",
        hooks_in_order,
    ),
    ("who hooks behind the gate keeps the door", door_before_hooks),
];

fn first(program: &Program, is: impl Fn(&Op) -> bool) -> Option<usize> {
    program.ops().iter().position(is)
}

fn last(program: &Program, is: impl Fn(&Op) -> bool) -> Option<usize> {
    program.ops().iter().rposition(is)
}

/// The last of `early`, if it comes after the first of `late`.
fn ordered(program: &Program, early: impl Fn(&Op) -> bool, late: impl Fn(&Op) -> bool) -> Option<usize> {
    let (early, late) = (last(program, early)?, first(program, late)?);
    (early > late).then_some(early)
}

fn exec_last(program: &Program) -> Option<usize> {
    let is_exec = |op: &Op| matches!(op, Op::Exec { .. });
    let end = program.ops().len().checked_sub(1);
    match (first(program, is_exec), last(program, is_exec)) {
        (Some(at), Some(again)) if at == again && Some(at) == end => None,
        (at, _) => Some(at.unwrap_or(program.ops().len())),
    }
}

fn slots_in_order(program: &Program) -> Option<usize> {
    let mut written: Vec<bool> = (0..program.slots()).map(|slot| slot < program.sent()).collect();
    program.ops().iter().position(|op| {
        let mut good = true;
        op.visit(&mut |_, operand| match operand {
            // A mask names the null device's slot even where the list is empty: it is never pushed then.
            Operand::Reads(slot) => good &= written.get(slot.0 as usize) == Some(&true),
            Operand::Writes(slot) => match written.get_mut(slot.0 as usize) {
                Some(place) => *place = true,
                None => good = false,
            },
            _ => {}
        });
        !good
    })
}

/// With only `/` a slave, dropping the old root would unmount what is below it on the host as well. Where sources are to stay peers of the host's
/// mounts they are opened before: a copy that is attached nowhere hears nothing.
fn isolation_first(program: &Program) -> Option<usize> {
    const REC: u32 = teu_init::abi::MS_REC as u32;
    const REC_SLAVE: u32 = 1 << 19 | REC;
    const REC_PRIVATE: u32 = 1 << 18 | REC;
    let shared = last(program, |op| matches!(op, Op::Propagation { flags } if flags & 1 << 20 != 0));
    let private = first(program, |op| matches!(op, Op::Pivot {} | Op::Root { attach: 1 | 2, .. }))?;
    let isolated = first(program, |op| matches!(op, Op::Propagation { flags: REC_SLAVE | REC_PRIVATE }));
    let touched = first(program, |op| match op {
        Op::OpenTree { .. } => shared.is_none(),
        other => matches!(other, Op::Root { .. }) || is_mount(other),
    });
    (isolated.is_none() || isolated > touched).then_some(private)
}

/// With a new user namespace the maps come first: an unprivileged caller could not write them for a hidden init. What comes before is a respawn alone.
fn hidden_first(program: &Program) -> Option<usize> {
    let touches = |op: &Op| {
        matches!(
            op,
            Op::OpenTree { .. }
                | Op::Root { .. }
                | Op::Keyring { .. }
                | Op::Propagation { .. }
                | Op::Procfs { .. }
        )
    };
    match first(program, |op| matches!(op, Op::Hide {})) {
        None => first(program, touches),
        Some(hidden) => first(program, touches).filter(|touched| *touched < hidden),
    }
}

fn credentials_in_order(program: &Program) -> Option<usize> {
    let is_ids = |op: &Op| matches!(op, Op::Ids { .. });
    let before = |op: &Op| matches!(op, Op::Groups { .. } | Op::CapsBound { .. } | Op::NoNewPrivs {});
    let after = |op: &Op| matches!(op, Op::Caps { .. });
    ordered(program, before, is_ids).or_else(|| ordered(program, is_ids, after))
}

fn limits_in_order(program: &Program) -> Option<usize> {
    let limit = |op: &Op| matches!(op, Op::Rlimit { .. });
    let opens = |op: &Op| {
        is_mount(op) || is_mask(op) || matches!(op, Op::MakeCwd { .. } | Op::Fd { .. } | Op::Attr { .. })
    };
    ordered(program, opens, limit).or_else(|| ordered(program, limit, |op| matches!(op, Op::Ids { .. })))
}

fn terminal_in_order(program: &Program) -> Option<usize> {
    let is_terminal = |op: &Op| matches!(op, Op::Terminal { .. });
    let early = |op: &Op| is_mount(op) || is_switch(op) || matches!(op, Op::Setsid {});
    let late = |op: &Op| {
        is_mask(op) || is_read_only_root(program, op) || matches!(op, Op::Fd { .. } | Op::Ids { .. })
    };
    ordered(program, early, is_terminal).or_else(|| ordered(program, is_terminal, late))
}

fn scheduling_in_order(program: &Program) -> Option<usize> {
    let prefers = |op: &Op| {
        matches!(
            op,
            Op::Scheduler { .. } | Op::IoPriority { .. } | Op::MemoryPolicy { .. } | Op::OwnStdio { .. }
        )
    };
    let gone = |op: &Op| matches!(op, Op::Ids { .. } | Op::CapsBound { .. } | Op::Caps { .. });
    ordered(program, prefers, gone)
        .or_else(|| ordered(program, |op| matches!(op, Op::Fd { .. } | Op::Setsid {}), prefers))
}

fn is_mount(op: &Op) -> bool {
    matches!(
        op,
        Op::Label { .. } | Op::Mount { .. } | Op::MountMapped { .. } | Op::Bind { .. } | Op::Remount { .. }
    ) || matches!(op, Op::Device { .. } | Op::BindDevice { .. } | Op::Symlink { .. } | Op::Propagate { .. })
}

fn is_mask(op: &Op) -> bool {
    matches!(op, Op::Mask { .. } | Op::Readonly { .. })
}

fn is_switch(op: &Op) -> bool {
    matches!(op, Op::Pivot {} | Op::Chroot {})
}

fn masks_after_mounts(program: &Program) -> Option<usize> {
    ordered(program, is_mount, is_mask)
}

fn root_first(program: &Program) -> Option<usize> {
    ordered(program, |op| matches!(op, Op::Root { .. }), |op| is_mount(op) || is_mask(op) || is_switch(op))
}

fn sources_before_switch(program: &Program) -> Option<usize> {
    let opens = |op: &Op, inside: bool| matches!(op, Op::OpenTree { flags, .. } if (flags & tree_flag::IN_ROOT != 0) == inside);
    let host_path =
        |op: &Op| opens(op, false) || matches!(op, Op::Root { .. } | Op::Join { .. } | Op::JoinMade { .. });
    ordered(program, host_path, is_switch)
        .or_else(|| ordered(program, |op| opens(op, false), is_mount))
        .or_else(|| ordered(program, |op| matches!(op, Op::Root { .. }), |op| opens(op, true)))
        .or_else(|| ordered(program, |op| opens(op, true) || matches!(op, Op::MapTree { .. }), is_switch))
}

fn read_only_late(program: &Program) -> Option<usize> {
    let late = |op: &Op| is_read_only_root(program, op);
    ordered(program, |op| is_mount(op) || matches!(op, Op::MakeCwd { .. }), late)
}

fn is_read_only_root(program: &Program, op: &Op) -> bool {
    matches!(op, Op::Attr { path, .. } if program.text(*path) == "/")
}

fn lookup_last(program: &Program) -> Option<usize> {
    let identity = |op: &Op| matches!(op, Op::Ids { .. } | Op::Caps { .. } | Op::Chdir { .. });
    ordered(program, identity, |op| matches!(op, Op::CheckExec { .. }))
}

/// Where a fresh procfs is refused the host's `/proc` stands in: it must still be the host's.
fn procfs_early(program: &Program) -> Option<usize> {
    let late = |op: &Op| is_mount(op) || is_switch(op) || matches!(op, Op::Root { .. });
    let is_procfs = |op: &Op| matches!(op, Op::Procfs { .. });
    let entered = |op: &Op| {
        matches!(op, Op::Join { .. } | Op::Respawn { .. } | Op::RespawnInto { .. } | Op::AwaitMaps {})
    };
    ordered(program, is_procfs, late).or_else(|| ordered(program, entered, is_procfs))
}

fn nothing_opened_late(program: &Program) -> Option<usize> {
    let opens = |op: &Op| {
        let mut opens = is_mount(op)
            || is_mask(op)
            || matches!(op, Op::Fd { .. } | Op::ProcWrite { .. } | Op::MakeCwd { .. });
        op.visit(&mut |_, operand| opens |= matches!(operand, Operand::Writes(_)));
        opens
    };
    let closes = |op: &Op| matches!(op, Op::CloseRest { .. } | Op::CloseFrom { .. });
    match first(program, closes) {
        None => Some(program.ops().len()),
        Some(_) => ordered(program, opens, closes),
    }
}

/// Every call that init makes under the filter is one that every profile has to allow.
fn quiet_under_filter(program: &Program) -> Option<usize> {
    let is_filter = |op: &Op| matches!(op, Op::Seccomp { .. });
    let gives_up = |op: &Op| matches!(op, Op::CapsFinal { .. });
    let loud = |op: &Op| {
        !gives_up(op)
            && !is_filter(op)
            && !matches!(op, Op::Ready {} | Op::Gate { .. } | Op::Hook { .. } | Op::Exec { .. })
    };
    let twice = last(program, is_filter).filter(|at| first(program, is_filter) != Some(*at));
    let unasked = first(program, gives_up).filter(|_| first(program, is_filter).is_none());
    twice
        .or(unasked)
        .or_else(|| ordered(program, loud, is_filter))
        .or_else(|| ordered(program, is_filter, gives_up))
}

fn filter_by_right(program: &Program) -> Option<usize> {
    const SYS_ADMIN: u64 = 1 << 21;
    let filter = first(program, |op| matches!(op, Op::Seccomp { .. }))?;
    let before = program.ops().get(..filter)?;
    if before.iter().any(|op| matches!(op, Op::NoNewPrivs {})) {
        return None;
    }
    let has = |op: &Op| matches!(op, Op::Caps { effective, .. } if effective & SYS_ADMIN != 0);
    let right = before.iter().rev().find(|op| matches!(op, Op::Caps { .. })).is_some_and(has);
    (!right).then_some(filter)
}

/// Whether init waits for an answer.
pub(super) fn asks(op: &Op) -> bool {
    matches!(op, Op::AwaitMaps {} | Op::MapTree { .. } | Op::NetDevices {} | Op::Ask { .. } | Op::Hook { .. })
}

fn filter_heard(program: &Program) -> Option<usize> {
    let follows = |op: &Op| matches!(op, Op::Seccomp { filter: Blob { len: 0, .. }, .. });
    first(program, asks).filter(|asked| first(program, follows).is_some_and(|filter| *asked < filter))
}

/// What the second process says is told from what the first one says by that alone.
fn respawn_silent(program: &Program) -> Option<usize> {
    let respawns = |op: &Op| matches!(op, Op::Respawn { .. } | Op::RespawnInto { .. });
    let talks = |op: &Op| asks(op) || matches!(op, Op::Terminal { .. } | Op::Seccomp { .. } | Op::Ready {});
    let twice = last(program, respawns).filter(|at| first(program, respawns) != Some(*at));
    twice.or_else(|| ordered(program, respawns, talks))
}

/// Whoever is cloned with a time namespace is in it already, and then its offsets are bound.
fn time_alone(program: &Program) -> Option<usize> {
    let makes = |op: &Op| matches!(op, Op::Unshare { flags: kind::TIME });
    let is_bad = |(index, op): (usize, &Op)| match *op {
        Op::Respawn { flags } => flags & kind::TIME != 0,
        Op::Unshare { flags } => flags & kind::TIME != 0 && flags != kind::TIME,
        Op::TimeOffsets { .. } => {
            !index.checked_sub(1).and_then(|at| program.ops().get(at)).is_some_and(makes)
        }
        _ => false,
    };
    program.ops().iter().enumerate().position(is_bad)
}

fn network_entered(program: &Program) -> Option<usize> {
    let looks = |op: &Op| match op {
        Op::Mount { fs, .. } | Op::MountMapped { fs, .. } => sees_network(&program.text(*fs)),
        Op::ProcWrite { paths, .. } => program.texts(*paths).any(|path| path.starts_with("sys/")),
        other => {
            matches!(other, Op::Loopback {} | Op::NetDevices {} | Op::Ask { .. } | Op::Hook { .. })
        }
    };
    ordered(program, |op| matches!(op, Op::JoinMade { .. }), looks)
}

fn settings_in_between(program: &Program) -> Option<usize> {
    let entered = |op: &Op| matches!(op, Op::Join { .. } | Op::Respawn { .. } | Op::AwaitMaps {});
    let is_setting = |op: &Op| matches!(op, Op::ProcWrite { .. } | Op::NetDevices {});
    let names = |op: &Op| matches!(op, Op::NetDevices {} | Op::Hostname { .. } | Op::Domainname { .. });
    ordered(program, entered, is_setting).or_else(|| ordered(program, names, is_mask))
}

fn is_hook(op: &Op) -> bool {
    matches!(op, Op::Hook { .. })
}

fn ready_then_gate(program: &Program) -> Option<usize> {
    let ready = first(program, |op| matches!(op, Op::Ready { .. }))?;
    match program.ops().get(ready + 1..) {
        Some([Op::Gate { .. }, hooks @ .., Op::Exec { .. }]) if hooks.iter().all(is_hook) => None,
        // Without a gate only where nothing waits at one.
        Some([Op::Exec { .. }]) if first(program, |op| matches!(op, Op::CloseFrom { .. })).is_some() => None,
        _ => Some(ready),
    }
}

/// The index of the op that a hook may not come before, or after, if it does.
fn hooks_in_order(program: &Program) -> Option<usize> {
    let switch = first(program, is_switch)?;
    let gate = first(program, |op| matches!(op, Op::Gate { .. })).unwrap_or(usize::MAX);
    let mounted = last(program, is_mount).unwrap_or(0);
    let question = |op: &Op| matches!(op, Op::Ask { what: ask::RUNTIME_HOOKS });
    let asked = last(program, question);
    let outside = |at: usize| at < mounted || at > switch;
    let mut hooks = program.ops().iter().enumerate().filter(|(_, op)| is_hook(op)).map(|(at, _)| at);
    asked
        .filter(|at| outside(*at))
        .or_else(|| hooks.find(|at| *at < gate && (outside(*at) || asked.is_some_and(|asked| asked > *at))))
}

fn door_before_hooks(program: &Program) -> Option<usize> {
    let ready = first(program, |op| matches!(op, Op::Ready { .. }))?;
    let behind = last(program, is_hook).filter(|at| *at > ready)?;
    let door = first(program, |op| matches!(op, Op::Door { .. }));
    door.is_none_or(|door| door > ready).then_some(behind)
}

#[cfg(test)]
mod tests;

//! Each law catches the op list that breaks it, and no other law does it in its place.

use teu_init::program::{Blob, List, NewSlot, Op, Slot, Str, ask, tree_flag};

use super::super::program::Builder;
use super::{Program, verify};

const MS_REC_SLAVE: u32 = 1 << 19 | 1 << 14;

/// The shape of every plan, one op for each that a law speaks about.
fn good(out: &mut Builder) -> Vec<Op> {
    let gate = out.sends();
    let root = out.sends();
    let NewSlot(tree) = out.opens();
    out.opens(); // for what a test adds
    let path = out.text("/");
    let (args, env) = (out.texts(["sh"]), out.texts([""; 0]));
    let gids = out.bytes(&[]);
    vec![
        Op::Hide {},
        Op::Propagation { flags: MS_REC_SLAVE },
        Op::OpenTree { path, flags: 0, tree: NewSlot(tree) },
        Op::Root { tree: root, attach: 1, path },
        Op::Bind {
            tree: Slot(tree),
            set: 0,
            clear: 0,
            set_all: 0,
            clear_all: 0,
            propagation: 0,
            flags: 0,
            target: path,
        },
        Op::Pivot {},
        Op::MakeCwd { path },
        Op::Attr { path, set: 1, clear: 0 },
        Op::Mask { null: Slot(tree), path },
        Op::Fd { number: 0, from: gate },
        Op::NoNewPrivs {},
        Op::CapsBound { keep: 0, last: 40 },
        Op::Groups { gids },
        Op::Rlimit { resource: 7, soft: 1, hard: 1 },
        Op::Ids { uid: 0, gid: 0 },
        Op::Chdir { path, again: 1 },
        Op::Caps { effective: 0, permitted: 0, inheritable: 0, ambient: 0 },
        Op::CheckExec { candidates: args },
        Op::CloseRest { first: 3, gate: Slot(0) },
        Op::Ready {},
        Op::Gate { gate },
        Op::Exec { args, env },
    ]
}

fn finish(mut out: Builder, ops: &[Op]) -> Program {
    ops.iter().for_each(|op| out.push(*op, ""));
    out.finish()
}

/// The law that is broken when `change` is done to the good list.
fn broken(change: impl FnOnce(&mut Vec<Op>)) -> String {
    let mut out = Builder::default();
    let mut ops = good(&mut out);
    change(&mut ops);
    verify(&finish(out, &ops)).expect_err("no law noticed")
}

/// Takes the op called `what` out and puts it behind (or before) the one called `place`.
fn moved(what: &'static str, behind: bool, place: &'static str) -> String {
    broken(|ops| {
        let from = ops.iter().position(|op| op.name() == what).unwrap();
        let op = ops.remove(from);
        let to = ops.iter().position(|op| op.name() == place).unwrap();
        ops.insert(to + usize::from(behind), op);
    })
}

fn without(index: usize) -> String {
    broken(|ops| {
        ops.remove(index);
    })
}

#[track_caller]
fn is_law(found: &str, law: &str) {
    assert!(found.ends_with(law), "{found:?} instead of {law:?}");
}

#[test]
fn the_good_list_keeps_every_law() {
    let mut out = Builder::default();
    let ops = good(&mut out);
    assert_eq!(verify(&finish(out, &ops)), Ok(()));
}

#[test]
fn isolation() {
    let law = "before anything is opened, mounted or dropped";
    is_law(&moved("propagation", true, "open-tree"), law);
    is_law(&without(1), law);
    is_law(&broken(|ops| ops[1] = Op::Propagation { flags: 1 << 19 }), law);
    is_law(&broken(|ops| ops[1] = Op::Propagation { flags: 1 << 18 }), law);
    is_law(&broken(|ops| ops[1] = Op::Propagation { flags: 1 << 20 | 1 << 14 }), law);
}

/// Sources of a container whose root is shared stay peers of the host's mounts: they are opened before the cut, but nothing is attached.
#[test]
fn isolation_of_a_shared_root() {
    let shared = |edit: fn(&mut Vec<Op>)| {
        let mut out = Builder::default();
        let mut ops = good(&mut out);
        let switch = ops.iter().position(|op| matches!(op, Op::Pivot {})).unwrap();
        ops.insert(switch + 1, Op::Propagation { flags: 1 << 20 });
        edit(&mut ops);
        verify(&finish(out, &ops))
    };
    assert_eq!(shared(|ops| ops.swap(1, 2)), Ok(()));
    let law = "before anything is opened, mounted or dropped";
    let found = shared(|ops| {
        let cut = ops.remove(1);
        let bind = ops.iter().position(|op| matches!(op, Op::Bind { .. })).unwrap();
        ops.insert(bind + 1, cut);
    });
    is_law(&found.unwrap_err(), law);
    let mut out = Builder::default();
    let mut ops = good(&mut out);
    ops[1] = Op::Propagation { flags: 1 << 18 | 1 << 14 };
    assert_eq!(verify(&finish(out, &ops)), Ok(()), "private is a cut, too");
}

#[test]
fn exec() {
    let law = "exec comes once and last";
    is_law(&broken(|ops| ops.truncate(ops.len() - 1)), law);
    is_law(&broken(|ops| ops.push(Op::Umask { mask: 0 })), law);
    is_law(&broken(|ops| ops.push(*ops.last().unwrap())), law);
    assert!(verify(&Builder::default().finish()).is_err(), "an empty program");
}

#[test]
fn slots() {
    let law = "a slot is written before it is read";
    is_law(&without(2), law);
    is_law(&broken(|ops| ops[9] = Op::Fd { number: 0, from: Slot(3) }), law);
    is_law(&broken(|ops| ops[9] = Op::Fd { number: 0, from: Slot(u32::MAX) }), law);
    is_law(&moved("open-tree", true, "bind"), law);
}

#[test]
fn credentials() {
    let law = "groups before ids, the bounding set before both, the other sets after";
    for late in ["groups", "caps-bound", "no-new-privs"] {
        is_law(&moved(late, true, "ids"), law);
    }
    is_law(&moved("caps", false, "ids"), law);
}

/// The good list with a terminal and a scheduler, of which the op called `what` is behind (or before) the one called `place`.
fn of_terminal(what: &'static str, behind: bool, place: &'static str) -> Result<(), String> {
    let mut out = Builder::default();
    let mut ops = good(&mut out);
    let at = |ops: &[Op], name| ops.iter().position(|op| op.name() == name).unwrap();
    ops.insert(1, Op::Setsid {});
    let cwd = at(&ops, "make-cwd");
    ops.insert(cwd + 1, Op::Terminal { rows: 0, columns: 0, console: 1, slave: out.opens() });
    let placed = at(&ops, "fd");
    ops.insert(placed + 1, Op::IoPriority { priority: 0 });
    let op = ops.remove(at(&ops, what));
    let to = at(&ops, place);
    ops.insert(to + usize::from(behind), op);
    verify(&finish(out, &ops))
}

#[test]
fn terminals() {
    let law =
        "the terminal comes after the last mount, and before the root becomes read-only and the rights go";
    assert_eq!(of_terminal("terminal", true, "make-cwd"), Ok(()));
    for (behind, place) in
        [(false, "pivot-root"), (false, "bind"), (true, "attr"), (true, "fd"), (true, "ids")]
    {
        is_law(&of_terminal("terminal", behind, place).unwrap_err(), law);
    }
    is_law(&of_terminal("setsid", true, "terminal").unwrap_err(), law);
}

#[test]
fn preferences() {
    let law = "what the kernel is asked to prefer is said while the rights last";
    assert_eq!(of_terminal("io-priority", true, "no-new-privs"), Ok(()));
    for (behind, place) in [(true, "caps-bound"), (true, "ids"), (false, "fd")] {
        is_law(&of_terminal("io-priority", behind, place).unwrap_err(), law);
    }
}

#[test]
fn masks() {
    is_law(&moved("masked", false, "bind"), "masks come after the last mount");
    is_law(
        &broken(|ops| {
            let Op::Mask { path, .. } = ops[8] else { panic!() };
            ops.insert(4, Op::Readonly { path });
        }),
        "masks come after the last mount",
    );
}

#[test]
fn root_handle() {
    is_law(&moved("root", true, "bind"), "paths of the container come after the root handle");
}

#[test]
fn host_paths() {
    let law = "nothing is opened by path of the host after the root was switched";
    is_law(
        &broken(|ops| {
            let op = Op::Join { kind: 0, namespace: Slot(0) };
            ops.insert(6, op);
        }),
        law,
    );
    // A mount of the container could be the source of the next one (CVE-2021-30465).
    is_law(
        &broken(|ops| {
            let Op::OpenTree { path, .. } = ops[2] else { panic!() };
            ops.insert(5, Op::OpenTree { path, flags: 0, tree: NewSlot(2) });
        }),
        law,
    );
}

#[test]
fn sources_in_the_container() {
    let law = "nothing is opened by path of the host after the root was switched";
    let with = |at: usize| {
        move |ops: &mut Vec<Op>| {
            let Op::OpenTree { path, .. } = ops[2] else { panic!() };
            ops.insert(at, Op::OpenTree { path, flags: tree_flag::IN_ROOT, tree: NewSlot(2) });
        }
    };
    is_law(&broken(with(3)), law);
    is_law(&broken(with(6)), law);
    let mut out = Builder::default();
    let mut ops = good(&mut out);
    with(5)(&mut ops);
    assert_eq!(verify(&finish(out, &ops)), Ok(()));
}

#[test]
fn read_only() {
    let law = "read-only attributes come after everything that is made in the rootfs";
    is_law(&moved("attr", false, "bind"), law);
    is_law(&moved("attr", false, "make-cwd"), law);
}

#[test]
fn lookup() {
    let law = "the program is looked up with its final identity and directory";
    is_law(&moved("check-exec", false, "caps"), law);
    is_law(&moved("check-exec", false, "chdir"), law);
}

#[test]
fn limits() {
    let law = "limits come when nothing is opened any more, and before the rights to raise them go";
    is_law(&moved("rlimit", true, "ids"), law);
    is_law(&moved("rlimit", false, "fd"), law);
    is_law(&moved("rlimit", false, "masked"), law);
}

#[test]
fn ready() {
    let law = "nothing but the gate, the hooks of start and exec follows ready";
    is_law(&moved("ready", false, "check-exec"), law);
    is_law(&without(20), law);
}

#[test]
fn hiding() {
    let law = "init hides before it joins, opens or mounts anything";
    is_law(&moved("hide", true, "open-tree"), law);
    is_law(&without(0), law);
}

#[test]
fn procfs() {
    let law = "the procfs for labels is opened before a path of the container can lead anywhere";
    let procfs = Op::Procfs { whole: 0, proc: NewSlot(2) };
    is_law(&broken(|ops| ops.insert(4, procfs)), law);
    is_law(&broken(|ops| ops.insert(7, procfs)), law);
    is_law(
        &broken(|ops| {
            ops.insert(1, Op::AwaitMaps {});
            ops.insert(1, procfs);
        }),
        law,
    );
    is_law(&broken(|ops| ops.insert(0, procfs)), "init hides before it joins, opens or mounts anything");
}

#[test]
fn closing() {
    let law = "nothing is opened after the rest was closed";
    is_law(&without(18), law);
    let write = |ops: &mut Vec<Op>| {
        let (Op::OpenTree { path: value, .. }, Op::CheckExec { candidates: paths }) = (ops[2], ops[17])
        else {
            panic!()
        };
        ops.insert(19, Op::ProcWrite { proc: Slot(0), paths, value });
    };
    is_law(&broken(write), law);
}

#[test]
fn filter() {
    let quiet = "under the filter init gives up capabilities, is ready, waits, runs hooks and executes, and nothing else";
    let right = "a filter is loaded with no_new_privs, or with CAP_SYS_ADMIN";
    let seccomp = Op::Seccomp { filter: Blob { at: 0, len: 0 }, flags: 0, listener: 0 };
    let gives_up = Op::CapsFinal { effective: 0, permitted: 0, inheritable: 0 };
    let law_of = |change: &dyn Fn(&mut Vec<Op>)| {
        let mut out = Builder::default();
        let mut ops = good(&mut out);
        change(&mut ops);
        verify(&finish(out, &ops))
    };
    assert_eq!(law_of(&|ops| ops.insert(19, seccomp)), Ok(()));
    is_law(&broken(|ops| ops.insert(18, seccomp)), quiet);
    is_law(&broken(|ops| ops.insert(19, gives_up)), quiet);
    is_law(&broken(|ops| ops.splice(19..19, [gives_up, seccomp]).for_each(drop)), quiet);
    is_law(&broken(|ops| ops.splice(19..19, [seccomp, seccomp]).for_each(drop)), quiet);
    let without_nnp = |effective: u64| {
        move |ops: &mut Vec<Op>| {
            ops.insert(19, gives_up);
            ops.insert(19, seccomp);
            ops[16] = Op::Caps { effective, permitted: effective, inheritable: 0, ambient: 0 };
            ops.remove(10);
        }
    };
    assert_eq!(law_of(&without_nnp(1 << 21)), Ok(()));
    is_law(&broken(without_nnp(1 << 20)), right);
    let after_a_question = |len: u32| {
        move |ops: &mut Vec<Op>| {
            ops.insert(19, Op::Seccomp { filter: Blob { at: 0, len }, flags: 0, listener: 0 });
            ops.insert(1, Op::AwaitMaps {});
        }
    };
    assert_eq!(law_of(&after_a_question(8)), Ok(()));
    is_law(&broken(after_a_question(0)), "a filter that follows the program is what init hears first");
}

#[test]
fn time_offsets() {
    let law = "no clone makes a time namespace, and its offsets come right after it";
    let time = 0x80;
    let text = Str { at: 0, len: 0 };
    is_law(&broken(|ops| ops.insert(1, Op::Respawn { flags: time })), law);
    is_law(&broken(|ops| ops.insert(1, Op::Unshare { flags: time | 0x0200_0000 })), law);
    is_law(&broken(|ops| ops.insert(1, Op::TimeOffsets { offsets: text })), law);
    is_law(
        &broken(|ops| {
            ops.insert(1, Op::TimeOffsets { offsets: text });
            ops.insert(1, Op::AwaitMaps {});
            ops.insert(1, Op::Unshare { flags: time });
        }),
        law,
    );
}

#[test]
fn respawn() {
    let law = "the second process, if there is one, is made once and before init asks or tells anything";
    let respawn = Op::Respawn { flags: 0 };
    is_law(&broken(|ops| drop(ops.splice(1..1, [respawn, respawn]))), law);
    is_law(&broken(|ops| drop(ops.splice(1..1, [Op::AwaitMaps {}, respawn]))), law);
}

#[test]
fn network() {
    let law = "what may look at the network namespace comes after it is entered";
    let join = Op::JoinMade { kind: 0x4000_0000, from: Slot(0) };
    let with = |fs: &str| {
        let mut out = Builder::default();
        let mut ops = good(&mut out);
        let (text, options) = (out.text(fs), out.texts([""; 0]));
        let mount =
            Op::Mount { fs: text, source: text, options, attr: 0, flags: 0, propagation: 0, target: text };
        ops.splice(4..4, [mount, join]);
        verify(&finish(out, &ops))
    };
    is_law(&with("sysfs").unwrap_err(), law);
    assert_eq!(with("tmpfs"), Ok(()));
    is_law(&broken(|ops| drop(ops.splice(4..4, [Op::Loopback {}, join]))), law);
}

#[test]
fn settings() {
    let law = "devices and sysctls find the namespaces entered and nothing masked yet";
    is_law(
        &broken(|ops| {
            ops.insert(1, Op::Join { kind: 0, namespace: Slot(0) });
            ops.insert(1, Op::NetDevices {});
        }),
        law,
    );
    let name = Str { at: 0, len: 0 };
    is_law(&broken(|ops| ops.insert(9, Op::Domainname { name })), law);
}

#[test]
fn hooks() {
    let law = "hooks come after the last mount and before the root is switched, those of the runtime first";
    let put = |op: fn(Str, List) -> Op, place: &'static str| {
        let mut out = Builder::default();
        let mut ops = good(&mut out);
        let (text, list) = (out.text("/hook"), out.texts(["a"]));
        let at = ops.iter().position(|op| op.name() == place).unwrap();
        ops.insert(at, op(text, list));
        verify(&finish(out, &ops))
    };
    let hook = |text, list| Op::Hook { index: 0, path: text, args: list, env: list, cwd: text };
    let question = |_, _| Op::Ask { what: ask::RUNTIME_HOOKS };
    for op in [hook, question] {
        assert_eq!(put(op, "pivot-root"), Ok(()));
        is_law(&put(op, "bind").unwrap_err(), law);
        is_law(&put(op, "make-cwd").unwrap_err(), law);
    }
    is_law(
        &broken(|ops| {
            let Op::MakeCwd { path } = ops[6] else { panic!() };
            let Some(Op::Exec { args, env, .. }) = ops.last().copied() else { panic!() };
            ops.insert(5, Op::Ask { what: ask::RUNTIME_HOOKS });
            ops.insert(5, Op::Hook { index: 0, path, args, env, cwd: path });
        }),
        law,
    );
    is_law(&put(hook, "exec").unwrap_err(), "who hooks behind the gate keeps the door");
}

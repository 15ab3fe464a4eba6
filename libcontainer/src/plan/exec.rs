//! `exec`: one more process in a container that exists. A shorter way in, and then the same process half as `create`.
//!
//! Init is cloned outside of the container, where an OOM kill in the container cannot reach the caller whose memory the stub shares. It enters by its own
//! hand: cgroup2 with the clone that the pid namespace needs anyway, v1 through `tasks`.

use teu_init::program::{Op, Slot};

use super::cgroup::UnitPlan;
use super::labels::Labels;
use super::namespaces::{Namespaces, kind};
use super::process::{Descriptors, Half};
use super::procfs::Procfs;
use super::program::Builder;
use super::scheduling::Affinity;
use super::seccomp::{BEFORE_PROGRAM, Seccomp};
use super::{
    CgroupPlan, Hooks, OomScore, Plan, Shape, Source, annotations, exec_cgroup, intel_rdt, push_keyring,
    rlimits, terminal,
};
use crate::cgroup::{CgroupRecord, RecordedUnit};
use crate::host::{Host, OwnCgroup};
use crate::options::ExecCgroup;
use crate::spec::{Id, Spec, keeps_groups, own};
use crate::{Error, ErrorKind, Result};

const NAMESPACES: &str = "/linux/namespaces";

/// What `exec` knows of the container.
pub struct Target<'a> {
    /// The container's id.
    pub id: &'a Id,
    /// The container's configuration, with the process to run in the place of its own.
    pub spec: &'a Spec,
    /// Where the container's cgroup is.
    pub cgroup: &'a CgroupRecord,
}

/// Decides everything about one more process.
///
/// # Errors
/// `InvalidSpec` with a JSON pointer, or `Unsupported` where the host lacks what the process asks for.
pub fn compile_exec(target: &Target<'_>, host: &Host, shape: &Shape) -> Result<Plan> {
    let config = target.spec.config();
    let process = config.process().as_ref();
    let process = process.ok_or_else(|| {
        Error::new(ErrorKind::InvalidSpec, "process property must not be empty").at("/process")
    })?;
    terminal::check_receiver(process, shape.console_socket)?;
    let namespaces = Namespaces::of(config);
    let (mut out, mut sources) = (Builder::default(), Vec::new());
    let mut descriptors = descriptors(shape, terminal::wanted(process), &mut out, &mut sources);
    let intel_rdt = intel_rdt::joined(config, target.id.as_str(), host)?;
    let resctrl = intel_rdt::entrances(intel_rdt.as_ref(), &mut out, &mut sources);
    let cgroups = cgroups(target.cgroup, &shape.exec_cgroup)?;
    let entry = Entry::prepare(&namespaces, cgroups, terminal::wanted(process), host, &mut out, &mut sources);

    out.push(Op::Hide {}, "");
    out.push(Op::Reset {}, "");
    let affinity = Affinity::of(config, process);
    affinity.push_initial(&mut out);
    // Before the clone, which takes the groups over, and before the namespaces, in which resctrl may refuse.
    intel_rdt::push(&resctrl, &mut out);
    let respawns = entry.push(config, host, &mut out);
    affinity.push_final(&mut out);
    let procfs = Procfs::push_labels(config, &mut out);
    let labels = Labels::of(process, host, procfs)?;
    out.push(Op::Setsid {}, "");
    if !shape.no_new_keyring && !own::keeps_keyring(config) {
        push_keyring(target.id, &labels, &mut out);
    }
    if let Some(slave) = terminal::push(process, false, &mut out) {
        descriptors.placed.splice(0..0, (0..3).map(|number| (number, slave)));
    }
    labels.push_profile(&mut out);
    let seccomp = Seccomp::of(config, host, shape.keep_listener.then_some(&BEFORE_PROGRAM))?;
    let hooks = Hooks::default();
    let half = Half {
        config,
        process,
        host,
        namespaces: &namespaces,
        shape,
        labels,
        seccomp: seccomp.as_ref(),
        hooks: &hooks,
    };
    half.push(&descriptors, &mut out)?;
    let plan = plan(target, host, &namespaces, respawns, (out.finish(), sources));
    let filter = seccomp.as_ref().map(|seccomp| seccomp.plan(config));
    let mut plan = Plan { filter, intel_rdt, ..plan };
    plan.complete(seccomp.map(|seccomp| seccomp.code))?;
    Ok(plan)
}

pub(super) fn plan(
    target: &Target<'_>,
    host: &Host,
    namespaces: &Namespaces,
    respawns: bool,
    (program, sources): (super::Program, Vec<Source>),
) -> Plan {
    let spec = target.spec;
    let process = spec.config().process().as_ref();
    let limits = process.filter(|_| namespaces.has(kind::USER)).map(rlimits::rlimits);
    let score = process.and_then(|process| process.oom_score_adj());
    Plan {
        id: target.id.clone(),
        bundle: spec.bundle().to_owned(),
        rootfs: std::path::PathBuf::new(),
        config: spec.json(),
        annotations: annotations(spec.config()),
        pidfd_receiver: None,
        clone_flags: 0,
        respawns,
        own_pid_namespace: false,
        into_cgroup: None,
        suspends: false,
        sources,
        id_maps: None,
        rlimits: limits.unwrap_or_default(),
        oom_score_adj: score.map(|score| OomScore { score, optional: !host.privileged }),
        has_program: true,
        program,
        cgroup: CgroupPlan { unit: attached(target.cgroup, &host.own_cgroup), ..CgroupPlan::default() },
        filter: None,
        mapped_trees: Vec::new(),
        net_devices: Vec::new(),
        hooks: Hooks::default(),
        intel_rdt: None,
    }
}

fn descriptors(shape: &Shape, terminal: bool, out: &mut Builder, sources: &mut Vec<Source>) -> Descriptors {
    let mut send = |source| {
        sources.push(source);
        out.sends()
    };
    let streams = if terminal { 0..0 } else { 0..3 };
    let mut placed: Vec<_> = streams.map(|number| (number, send(Source::Stdio(number)))).collect();
    placed.extend((0..).zip(&shape.targets).map(|(index, number)| (*number, send(Source::Extra(index)))));
    Descriptors { placed, gate: None, door: None, own_null: false }
}

/// How the cgroups are entered.
pub(super) struct Cgroups {
    /// v1, by the process itself.
    tasks: Vec<Source>,
    /// The cgroup2 directory to be born in.
    born: Option<Source>,
}

impl Cgroups {
    /// Whoever only acts in the container and leaves enters none.
    pub fn none() -> Self {
        Self { tasks: Vec::new(), born: None }
    }
}

/// The unit into which systemd has to move the process, because the caller may not.
fn attached(record: &CgroupRecord, own: &OwnCgroup) -> Option<UnitPlan> {
    let RecordedUnit { manager, name } = record.unit.as_ref()?;
    let unit = UnitPlan { manager: *manager, ..UnitPlan::named(name) };
    let dir = record.dirs.iter().find(|dir| dir.hierarchy.is_empty())?;
    let destination = Some(unit.destination(&dir.path, own)?);
    Some(UnitPlan { destination, ..unit })
}

fn cgroups(record: &CgroupRecord, wanted: &ExecCgroup) -> Result<Cgroups> {
    let mut found = Cgroups::none();
    for (index, (dir, place)) in record.dirs.iter().zip(exec_cgroup::places(record, wanted)?).enumerate() {
        match (place, dir.hierarchy.is_empty()) {
            (None, true) => found.born = Some(Source::CgroupDirectory(index)),
            (Some(path), true) => found.born = Some(Source::CgroupBelow { index, path }),
            (None, false) => found.tasks.push(Source::CgroupEntrance(index)),
            (Some(path), false) => found.tasks.push(Source::CgroupBelow { index, path }),
        }
    }
    Ok(found)
}

/// The way in: the descriptors it takes, then the ops in the order that the rights allow.
pub(super) struct Entry {
    /// v1 cgroups.
    tasks: Vec<Slot>,
    /// The cgroup2 directory to be born in.
    cgroup: Option<Slot>,
    /// Kinds of namespaces and init's pidfd, in the order in which they are joined.
    before: Option<(u32, Slot)>,
    after: Vec<(u32, Slot)>,
    /// The root of a container without a mount namespace, or the place of a terminal.
    root: Option<Slot>,
    chroot: bool,
    respawns: bool,
    user: bool,
}

impl Entry {
    pub fn prepare(
        namespaces: &Namespaces,
        cgroups: Cgroups,
        terminal: bool,
        host: &Host,
        out: &mut Builder,
        sources: &mut Vec<Source>,
    ) -> Self {
        let mut send = |source| {
            sources.push(source);
            out.sends()
        };
        let tasks = cgroups.tasks.into_iter().map(&mut send).collect();
        let born = cgroups.born.map(&mut send);
        let kinds = namespaces.joined.iter().fold(namespaces.new, |all, joined| all | joined.kind);
        let [before, after, last] = order(kinds, host.privileged);
        let mut join = |kinds| (kinds != 0).then(|| (kinds, send(Source::Init)));
        Self {
            before: join(before),
            after: [after, last].into_iter().filter_map(&mut join).collect(),
            tasks,
            cgroup: born,
            root: (terminal || kinds & kind::MOUNT == 0).then(|| send(Source::InitRoot)),
            chroot: kinds & kind::MOUNT == 0,
            respawns: kinds & kind::PID != 0,
            user: kinds & kind::USER != 0,
        }
    }

    /// Tells whether init goes on in a second process.
    pub fn push(self, config: &oci_spec::runtime::Spec, host: &Host, out: &mut Builder) -> bool {
        for tasks in self.tasks {
            out.push(Op::EnterCgroup { tasks }, "");
        }
        let join = |(kind, namespace), out: &mut Builder| out.push(Op::Join { kind, namespace }, NAMESPACES);
        self.before.into_iter().for_each(|namespaces| join(namespaces, out));
        match self.cgroup {
            Some(cgroup) => out.push(Op::RespawnInto { cgroup }, "/linux/cgroupsPath"),
            None if self.respawns => out.push(Op::Respawn { flags: 0 }, NAMESPACES),
            None => {}
        }
        self.after.into_iter().for_each(|namespaces| join(namespaces, out));
        if self.user {
            let setgroups = !keeps_groups(config) && host.sets_groups;
            out.push(Op::BecomeRoot { setgroups: setgroups.into() }, NAMESPACES);
        }
        if let Some(tree) = self.root {
            let path = out.text("");
            out.push(Op::Root { tree, attach: 0, path }, "/root/path");
        }
        if self.chroot {
            out.push(Op::Chroot {}, "/root/path");
        }
        self.cgroup.is_some() || self.respawns
    }
}

/// What is joined before the clone, after it, and last. The clone into the cgroup needs the caller's view of cgroups and its rights; the pid namespace takes
/// only children. With privilege the user namespace comes last, because it takes the privilege over others; without, it comes first, because it gives it.
fn order(kinds: u32, privileged: bool) -> [u32; 3] {
    match privileged {
        true => [kinds & kind::PID, kinds & !(kind::PID | kind::USER), kinds & kind::USER],
        false => [kinds & (kind::PID | kind::USER), kinds & !(kind::PID | kind::USER), 0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_with_privilege_keeps_it_to_the_end_and_another_takes_it_first() {
        let all = kind::PID | kind::USER | kind::MOUNT | kind::CGROUP;
        assert_eq!(order(all, true), [kind::PID, kind::MOUNT | kind::CGROUP, kind::USER]);
        assert_eq!(order(all, false), [kind::PID | kind::USER, kind::MOUNT | kind::CGROUP, 0]);
    }
}

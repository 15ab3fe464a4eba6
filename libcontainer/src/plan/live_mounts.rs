//! One more mount in a container that runs, or one less: a shorter way in than that of `exec`, and one step there.
//!
//! The container may be hostile and looks on. So what is bound gets its attributes before it is attached, where nobody can use it yet, and paths are
//! resolved below the container's root by a process that is in it.

use teu_init::abi::MOUNT_ATTR_RDONLY;
use teu_init::program::{Op, mount_flag};

use super::exec::{self, Entry};
use super::mount_options::Attributes;
use super::mounts::{self, Simple, What};
use super::namespaces::{Namespaces, kind};
use super::program::Builder;
use super::{CgroupPlan, Hooks, Plan, Shape, Source, Subject, Target, Tree, rootfs_path};
use crate::host::Host;
use crate::{Error, ErrorKind, Result};

/// What a bind gets before anybody can use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The tree.
    pub tree: Tree,
    /// For its top.
    pub top: Attributes,
    /// For all of it.
    pub all: Attributes,
}

impl Plan {
    /// Whether it changes the mounts of a container that runs, and starts nothing there.
    pub fn changes_mounts(&self) -> bool {
        !self.has_program && self.rootfs.as_os_str().is_empty()
    }
}

/// Attributes that a bind loses where it names others, beside the access times.
const RESET: u64 = 1 | 2 | 4 | 8;

/// Decides how the mount of that index in the configuration of `target` gets into the container.
///
/// # Errors
/// `InvalidSpec` and `Unsupported` with the place in the configuration.
pub fn compile_mount(target: &Target<'_>, index: usize, host: &Host) -> Result<Plan> {
    let config = target.spec.config();
    let pointer = format!("/mounts/{index}");
    let (namespaces, shape) = (Namespaces::of(config), Shape::default());
    let (cgroup, hooks) = (CgroupPlan::default(), Hooks::default());
    let subject = Subject {
        config,
        bundle: target.spec.bundle(),
        rootfs: rootfs_path(target.spec)?,
        host,
        shape: &shape,
        namespaces: &namespaces,
        cgroup: &cgroup,
        hooks: &hooks,
        intel_rdt: None,
    };
    let simple = mounts::one(&subject, index).map_err(|error| error.at(pointer.clone()))?;
    let (simple, source) = live(simple).map_err(|error| error.at(pointer))?;
    program(target, host, |out, sources| {
        let slot = source.map(|source| {
            sources.push(source);
            out.sends()
        });
        move |out: &mut Builder| simple.push(slot, out)
    })
}

/// Decides how what is mounted at `path` gets out of the container.
///
/// # Errors
/// `InvalidSpec`: the root, or below `/proc`, which hides the host where it is covered.
pub fn compile_unmount(target: &Target<'_>, path: &str, host: &Host) -> Result<Plan> {
    let parts = mounts::components(path);
    if parts.is_empty() || parts.first() == Some(&"proc") {
        let message = format!("error unmounting {path:?}: it cannot be taken away from a container");
        return Err(Error::new(ErrorKind::InvalidSpec, message));
    }
    let path = format!("/{}", parts.join("/"));
    program(target, host, |_, _| {
        move |out: &mut Builder| {
            let path = out.text(&*path);
            out.push(Op::Unmount { path }, "");
        }
    })
}

/// The mount as it can be made beside processes that look on, and what the caller opens for it.
fn live(mut simple: Simple<'_>) -> Result<(Simple<'_>, Option<Source>)> {
    let refused = |what: &str| {
        Err(Error::new(ErrorKind::Unsupported, format!("{what} cannot be added to a container that runs")))
    };
    let pointer = simple.pointer.clone();
    let source = match &simple.what {
        What::Change { .. } => return refused("a remount"),
        What::Link { .. } => return refused("a link"),
        What::Inner(_) => return refused("a source that lies in the rootfs"),
        What::Bind { .. } if simple.flags & mount_flag::COPY_LINK != 0 => return refused("a copied link"),
        What::New { .. } => None,
        What::NewMapped { ids, .. } => Some(Source::MountIds { ids: ids.clone(), pointer }),
        What::Bind { tree } => {
            let (mut top, all) = (std::mem::take(&mut simple.top), std::mem::take(&mut simple.all));
            if simple.flags & mount_flag::RESET != 0 {
                top.clear |= RESET & !top.set;
            }
            simple.flags &= !(mount_flag::RESET | mount_flag::LOCKED);
            Some(Source::Ready { ready: Box::new(Ready { tree: tree.clone(), top, all }), pointer })
        }
    };
    if std::mem::take(&mut simple.late_read_only) {
        simple.top.set |= MOUNT_ATTR_RDONLY;
    }
    Ok((simple, source))
}

/// The way in, one step, and out.
fn program<Step: FnOnce(&mut Builder)>(
    target: &Target<'_>,
    host: &Host,
    prepare: impl FnOnce(&mut Builder, &mut Vec<Source>) -> Step,
) -> Result<Plan> {
    let namespaces = Namespaces::of(target.spec.config());
    if !namespaces.has(kind::MOUNT) {
        let message = "the container has no mounts of its own: it was made without a mount namespace";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let (mut out, mut sources) = (Builder::default(), Vec::new());
    let step = prepare(&mut out, &mut sources);
    let entry = Entry::prepare(&namespaces, exec::Cgroups::none(), true, host, &mut out, &mut sources);
    out.push(Op::Hide {}, "");
    out.push(Op::Reset {}, "");
    let respawns = entry.push(target.spec.config(), host, &mut out);
    step(&mut out);
    out.push(Op::Ready {}, "");
    let plan = exec::plan(target, host, &namespaces, respawns, (out.finish(), sources));
    Ok(Plan { rlimits: Vec::new(), oom_score_adj: None, has_program: false, ..plan })
}

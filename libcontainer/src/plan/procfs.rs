//! The procfs of init's own, for what is written to files of `/proc`: labels and sysctls. Made before the rootfs is touched, and only where something is
//! written.

use oci_spec::runtime::Spec as Config;
use teu_init::program::{NewSlot, Op, Slot};

use super::program::{Builder, Pointer};

/// The procfs of a plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Procfs(Slot);

impl Procfs {
    /// Opens the procfs if the configuration has something to write. Comes after everything that is sent.
    pub fn push(config: &Config, out: &mut Builder) -> Option<Self> {
        let linux = config.linux().as_ref();
        let sysctls =
            linux.is_some_and(|linux| linux.sysctl().as_ref().is_some_and(|sysctls| !sysctls.is_empty()));
        (sysctls || has_labels(config)).then(|| Self::open(sysctls, out))
    }

    /// The same for a further process of a container, which has only labels to write.
    pub fn push_labels(config: &Config, out: &mut Builder) -> Option<Self> {
        has_labels(config).then(|| Self::open(false, out))
    }

    fn open(whole: bool, out: &mut Builder) -> Self {
        let NewSlot(proc) = out.opens();
        out.push(Op::Procfs { whole: whole.into(), proc: NewSlot(proc) }, "");
        Self(Slot(proc))
    }

    /// Writes `value` to the first of `paths` (relative to `/proc`) that exists.
    pub fn write(self, paths: &[&str], value: &str, site: impl Into<Pointer>, out: &mut Builder) {
        let (paths, value) = (out.texts(paths), out.text(value));
        out.push(Op::ProcWrite { proc: self.0, paths, value }, site);
    }
}

fn has_labels(config: &Config) -> bool {
    let process = config.process().as_ref();
    process.is_some_and(|process| process.apparmor_profile().is_some() || process.selinux_label().is_some())
}

//! Where systemd is asked to move a process, for a caller who may not do it.
//!
//! A caller in a login's session, or anywhere else outside of what the user's manager has, may neither clone nor write a process into it: the kernel wants
//! rights in what both cgroups are in. The manager of a scope moves processes into it. It moves none into a slice, whose cgroup is not delegated. But the
//! machine's manager does: to it everything of the user's manager is one delegated unit, into which the user may have any process of his own moved.

use super::{Manager, UnitPlan, of_manager};
use crate::host::OwnCgroup;

/// A cgroup in a unit that is delegated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Who is asked.
    pub manager: Manager,
    /// The unit.
    pub unit: String,
    /// The cgroup in it, with a slash in front; empty for the unit's own.
    pub below: String,
}

impl UnitPlan {
    /// The destination of a process that `own` may not move itself into the unit's cgroup2 directory at `path`.
    pub(in crate::plan) fn destination(&self, path: &str, own: &OwnCgroup) -> Option<Destination> {
        let of_caller = of_manager(own.path("").unwrap_or_default());
        if self.manager == Manager::System || of_caller.is_some() && of_caller == of_manager(path) {
            return None;
        }
        if self.is_slice() {
            let manager = of_manager(path)?;
            let below = path.trim_start_matches('/').strip_prefix(manager)?.to_owned();
            let unit = manager.rsplit('/').next().unwrap_or(manager).to_owned();
            return Some(Destination { manager: Manager::System, unit, below });
        }
        let below = path.rsplit_once(&format!("/{}/", self.name)).map(|(_, below)| format!("/{below}"));
        Some(Destination { manager: self.manager, unit: self.name.clone(), below: below.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "/user.slice/user-7.slice/session-1.scope";
    const MANAGER: &str = "user.slice/user-7.slice/user@7.service";

    fn of(manager: Manager, name: &str, path: &str, own: &str) -> Option<String> {
        let unit = UnitPlan { manager, ..UnitPlan::named(name) };
        let own = OwnCgroup::parse(&format!("0::{own}\n"));
        let found = unit.destination(&format!("{MANAGER}{path}"), &own)?;
        Some(format!("{:?} {}{}", found.manager, found.unit, found.below))
    }

    #[test]
    fn who_is_outside_has_a_scope_asked_of_its_manager_and_a_slice_of_the_machines() {
        let of = |name, path| of(Manager::User, name, path, SESSION).unwrap();
        assert_eq!(of("a.scope", "/user.slice/a.scope"), "User a.scope");
        assert_eq!(of("a.scope", "/user.slice/a.scope/payload"), "User a.scope/payload");
        // What is seen from a cgroup namespace.
        let unit = UnitPlan { manager: Manager::User, ..UnitPlan::named("a.scope") };
        assert!(unit.destination("../a.scope", &OwnCgroup::parse("0::/\n")).is_some());
        assert_eq!(of("b.slice", "/b.slice"), "System user@7.service/b.slice");
        assert_eq!(of("a-b.slice", "/a.slice/a-b.slice/in"), "System user@7.service/a.slice/a-b.slice/in");
    }

    #[test]
    fn who_is_below_the_manager_or_is_root_moves_processes_himself() {
        let below = format!("/{MANAGER}/app.slice/x.scope");
        for name in ["a.scope", "b.slice"] {
            assert_eq!(of(Manager::User, name, "/b", &below), None);
            assert_eq!(of(Manager::System, name, "/b", SESSION), None);
            assert!(of(Manager::User, name, "/b", "/").is_some());
            assert!(of(Manager::User, name, "/b", &below.replace("7", "8")).is_some());
        }
    }
}

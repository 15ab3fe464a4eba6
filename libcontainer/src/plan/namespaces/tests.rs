use super::*;

fn host(kernel: (u32, u32)) -> Host {
    Host { euid: 0, privileged: true, in_userns: false, kernel, ..Host::probe().unwrap() }
}

fn new(kinds: u32) -> Namespaces {
    Namespaces { new: kinds, joined: Vec::new() }
}

#[test]
fn a_user_namespace_owns_all_the_others() {
    let (namespaces, host) = (new(kind::USER | kind::PID | kind::MOUNT), host((6, 12)));
    assert!(namespaces.respawns(&host));
    assert_eq!(namespaces.first(true, &host), 0);
}

#[test]
fn without_a_cgroup_to_clone_into_its_namespace_comes_later() {
    let (namespaces, host) = (new(kind::CGROUP | kind::PID), host((6, 12)));
    assert_eq!(namespaces.first(true, &host), kind::CGROUP | kind::PID);
    assert_eq!(namespaces.first(false, &host), kind::PID);
}

#[test]
fn no_clone_makes_a_time_namespace() {
    for kernel in [(5, 10), (6, 1), (6, 2), (6, 12)] {
        for kinds in [kind::TIME, kind::TIME | kind::PID | kind::MOUNT, kind::TIME | kind::USER | kind::PID] {
            let (namespaces, host) = (new(kinds), host(kernel));
            let made = namespaces.first(true, &host) | namespaces.late(true, &host);
            assert_eq!(made, kinds & !kind::TIME, "{kernel:?} {kinds:#x}");
        }
    }
}

#[test]
fn before_linux_6_2_a_new_time_namespace_takes_a_respawn_that_also_makes_the_pid_namespace() {
    let namespaces = new(kind::TIME | kind::PID | kind::MOUNT);
    let (old, current) = (host((6, 1)), host((6, 2)));
    assert!(namespaces.respawns(&old) && !namespaces.respawns(&current));
    assert_eq!(namespaces.first(true, &old), kind::MOUNT);
    assert_eq!(namespaces.late(true, &old), kind::PID);
    assert_eq!(namespaces.first(true, &current), kind::MOUNT | kind::PID);
}

#[test]
fn a_time_namespace_belongs_to_the_user_namespace_where_the_kernel_allows_it() {
    let namespaces = new(kind::TIME | kind::USER);
    assert!(namespaces.time(&host((6, 2))) == Time::Mapped);
    assert!(namespaces.time(&host((6, 1))) == Time::First);
    assert!(new(kind::TIME).time(&host((6, 12))) == Time::First);
}

#[test]
fn an_old_kernel_has_no_time_namespace_for_a_caller_without_privilege() {
    let namespaces = new(kind::TIME | kind::USER);
    let rootless = |kernel| Host { euid: 1000, privileged: false, ..host(kernel) };
    assert_eq!(namespaces.check(&rootless((6, 1))).unwrap_err().kind(), ErrorKind::Unsupported);
    namespaces.check(&rootless((6, 2))).unwrap();
    namespaces.check(&host((5, 10))).unwrap();
}

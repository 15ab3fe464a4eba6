//! On a folder that looks like resctrl, which few machines have, and on a v1 cgroup, whose `tasks` works alike.

use std::fs;

use super::*;

struct Fake(PathBuf);

impl Fake {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("teu-resctrl-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("mon_groups")).unwrap();
        let fake = Self(root);
        fake.fill("");
        fake
    }

    /// What the kernel puts into a new group.
    fn fill(&self, group: &str) {
        let dir = self.0.join(group);
        fs::create_dir_all(dir.join("mon_groups")).unwrap();
        fs::write(dir.join("tasks"), "").unwrap();
        fs::write(dir.join("schemata"), "    L3:0=ff;1=ff\n").unwrap();
    }

    /// A directory of a real resctrl is removed with what the kernel put into it.
    fn hollow(&self, group: &str) {
        let dir = self.0.join(group);
        ["tasks", "schemata"].iter().for_each(|file| fs::remove_file(dir.join(file)).unwrap());
        let _ = fs::remove_dir(dir.join("mon_groups"));
    }

    fn plan(&self, group: RdtGroup, schemata: &[&str], monitor: bool) -> RdtPlan {
        let schemata = schemata.iter().map(|line| (*line).to_owned()).collect();
        RdtPlan { root: self.0.clone(), group, schemata, monitor: monitor.then(|| "web".to_owned()) }
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn own() -> RdtGroup {
    RdtGroup::Own("web".into())
}

fn named() -> RdtGroup {
    RdtGroup::Named("gold".into())
}

#[test]
fn a_new_group_gets_its_schemata_in_order_and_goes_when_the_create_fails() {
    let fake = Fake::new("new");
    let plan = fake.plan(named(), &["L3:0=f", "MB:0=20"], false);
    assert_eq!(intent(&plan), [RecordedGroup { path: fake.0.join("gold"), shared: true }]);
    let mut groups = Resctrl::make(&plan).unwrap();
    assert_eq!(groups.made(), intent_of(&fake, "gold", true));
    fake.fill("gold");
    fs::write(fake.0.join("gold/schemata"), "").unwrap();
    groups.configure(&plan).unwrap();
    assert_eq!(fake.read("gold/schemata"), "L3:0=f\nMB:0=20\n");
    fake.hollow("gold");
    drop(groups);
    assert!(!fake.0.join("gold").exists());
}

fn intent_of(fake: &Fake, group: &str, shared: bool) -> Vec<RecordedGroup> {
    vec![RecordedGroup { path: fake.0.join(group), shared }]
}

#[test]
fn a_group_that_is_there_is_compared_never_written_and_never_removed() {
    let fake = Fake::new("there");
    fake.fill("gold");
    let good = fake.plan(named(), &["L3:0=0ff"], false);
    assert_eq!(intent(&good), []);
    let groups = Resctrl::create(&good).unwrap();
    assert_eq!(groups.made(), []);
    let bad = fake.plan(named(), &["L3:0=f"], false);
    let error = Resctrl::create(&bad).unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::InvalidSpec, Some(POINTER)));
    assert!(error.message().ends_with("\"L3:0=f\" is asked for, \"L3:0=ff;1=ff\" is there"), "{error}");
    drop(groups);
    assert_eq!(fake.read("gold/schemata"), "    L3:0=ff;1=ff\n");
}

#[test]
fn the_root_group_is_compared_too_and_has_the_entrance_of_the_mount() {
    let fake = Fake::new("root");
    let groups = Resctrl::create(&fake.plan(RdtGroup::Root, &["L3:1=ff"], false)).unwrap();
    groups.entrance(false).unwrap();
    assert_eq!(groups.made(), []);
    assert!(Resctrl::create(&fake.plan(RdtGroup::Root, &["L3:1=f"], false)).is_err());
}

#[test]
fn a_configured_group_has_to_be_there() {
    let fake = Fake::new("configured");
    let plan = fake.plan(RdtGroup::Configured("gold".into()), &[], false);
    let error = Resctrl::create(&plan).unwrap_err();
    assert_eq!(error.pointer(), Some("/linux/intelRdt/closID"));
    assert!(!fake.0.join("gold").exists());
    fake.fill("gold");
    assert_eq!(Resctrl::create(&plan).unwrap().made(), []);
}

#[test]
fn an_own_group_must_not_be_used_by_others_and_one_left_behind_is_taken_over() {
    let fake = Fake::new("own");
    fake.fill("web");
    let plan = fake.plan(own(), &["L3:0=f"], false);
    fs::write(fake.0.join("web/tasks"), "1\n").unwrap();
    assert_eq!(Resctrl::create(&plan).unwrap_err().kind(), ErrorKind::Busy);
    assert_eq!(fake.read("web/schemata"), "    L3:0=ff;1=ff\n", "nothing was written");
    fs::write(fake.0.join("web/tasks"), "").unwrap();
    let groups = Resctrl::create(&plan).unwrap();
    assert!(fake.read("web/schemata").starts_with("L3:0=f\n"));
    assert_eq!(groups.made(), intent_of(&fake, "web", false));
    groups.keep();
    assert!(fake.0.join("web").exists(), "kept");
}

#[test]
fn monitoring_has_a_group_of_its_own_which_goes_before_the_one_above() {
    let fake = Fake::new("monitor");
    let plan = fake.plan(own(), &[], true);
    fs::create_dir_all(fake.0.join("web/mon_groups")).unwrap();
    fs::write(fake.0.join("web/tasks"), "").unwrap();
    let groups = Resctrl::make(&plan).unwrap();
    let paths: Vec<_> = groups.made().into_iter().map(|made| made.path).collect();
    assert_eq!(paths, [fake.0.join("web"), fake.0.join("web/mon_groups/web")]);
    assert_eq!(intent(&plan), groups.made());
    fs::write(fake.0.join("web/mon_groups/web/tasks"), "").unwrap();
    let (group, monitor) = (groups.entrance(false).unwrap(), groups.entrance(true).unwrap());
    let path = |fd: &OwnedFd| {
        let number = std::os::fd::AsRawFd::as_raw_fd(fd);
        fs::read_link(format!("/proc/self/fd/{number}")).unwrap()
    };
    assert_eq!(path(&group), fake.0.join("web/tasks"));
    assert_eq!(path(&monitor), fake.0.join("web/mon_groups/web/tasks"));
    let (again, below) = (entrance(&plan, false).unwrap(), entrance(&plan, true).unwrap());
    assert_eq!((path(&again), path(&below)), (path(&group), path(&monitor)), "one more process");
    fs::remove_file(fake.0.join("web/mon_groups/web/tasks")).unwrap();
    let gone = entrance(&plan, true).unwrap_err();
    assert!(gone.message().ends_with("web/mon_groups/web/tasks: no such file or directory"), "{gone}");
    fs::remove_file(fake.0.join("web/tasks")).unwrap();
    // The first directory is not empty yet when the second goes: in this order both do.
    let recorded = groups.made();
    groups.keep();
    assert!(remove(&recorded).is_err(), "mon_groups is a directory here");
    assert!(!fake.0.join("web/mon_groups/web").exists());
    fs::remove_dir(fake.0.join("web/mon_groups")).unwrap();
    remove(&recorded).unwrap();
    remove(&recorded).expect("removing twice is no error");
}

#[test]
fn a_group_that_others_have_come_to_use_stays_until_they_are_gone() {
    let fake = Fake::new("shared");
    fake.fill("gold");
    let recorded = intent_of(&fake, "gold", true);
    fs::write(fake.0.join("gold/tasks"), "1\n").unwrap();
    remove(&recorded).unwrap();
    assert!(fake.0.join("gold").exists());
    fake.hollow("gold");
    remove(&recorded).unwrap();
    assert!(!fake.0.join("gold").exists());
}

/// `tasks` of a v1 cgroup is entered like that of a resctrl group, and its directories are removed in the same way.
#[test]
fn a_process_enters_a_real_group_and_the_group_goes_after_it() {
    let root = PathBuf::from("/sys/fs/cgroup/devices");
    if !root.join("tasks").exists() || !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root and a v1 cgroup");
        return;
    }
    let name = format!("teu-test-resctrl-{}", std::process::id());
    let plan = RdtPlan {
        root: root.clone(),
        group: RdtGroup::Own(name.clone()),
        schemata: Vec::new(),
        monitor: None,
    };
    let groups = Resctrl::create(&plan).unwrap();
    let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let mut tasks = fs::File::from(groups.entrance(false).unwrap());
    io::Write::write_all(&mut tasks, child.id().to_string().as_bytes()).unwrap();
    assert_eq!(fs::read_to_string(root.join(&name).join("tasks")).unwrap().trim(), child.id().to_string());
    assert_eq!(Resctrl::create(&plan).unwrap_err().kind(), ErrorKind::Busy);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(groups);
    assert!(!root.join(&name).exists());
}

#[test]
fn an_update_writes_its_lines_and_takes_them_back_unless_they_are_kept() {
    let fake = Fake::new("update");
    fake.fill("web");
    // What the kernel shows is longer than what is written, and a folder keeps the rest of it.
    let line = "L3:0=1;1=1\n";
    fs::write(fake.0.join("web/schemata"), line).unwrap();
    let plan = fake.plan(own(), &["L3:0=2;1=2"], false);
    drop(update(&plan).unwrap());
    assert_eq!(fake.read("web/schemata"), line);
    update(&plan).unwrap().keep();
    assert_eq!(fake.read("web/schemata"), "L3:0=2;1=2\n");
    let error = update(&fake.plan(named(), &["L3:0=2"], false)).unwrap_err();
    assert!(error.message().contains("gold/schemata"), "{error}");
}

#[test]
fn what_the_machine_cannot_do_is_no_schema() {
    let fake = Fake::new("able");
    fs::create_dir_all(fake.0.join("info/L3CODE")).unwrap();
    assert!(check(Some(&fake.0), true, false).is_ok());
    let error = check(Some(&fake.0), true, true).unwrap_err();
    assert_eq!(error.to_string(), "Intel RDT/MBA: memory bandwidth schema is not enabled");
    let error = check(None, true, true).unwrap_err();
    assert_eq!(error.to_string(), "Intel RDT/CAT: l3 cache schema is not enabled");
    assert!(check(None, false, false).is_ok());
}

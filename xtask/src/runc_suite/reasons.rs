//! Why an outcome is not a pass, in our own words: by file and title where it is ours to say, else by what the test itself asked for.

use super::tap::Verdict;

/// One test and its outcome in each column: runc and teu in the native view, then in the v2 view.
pub struct Row {
    pub number: usize,
    pub title: String,
    pub verdicts: Vec<Option<Verdict>>,
}

impl Row {
    /// Whether something other than a pass has to be explained.
    pub fn needs_reason(&self) -> bool {
        self.verdicts.iter().flatten().any(|verdict| *verdict != Verdict::Pass)
    }

    fn fails(&self, column: usize) -> bool {
        matches!(self.verdicts.get(column), Some(Some(Verdict::Fail | Verdict::Unfinished)))
    }
}

/// The explanation, if one is needed and all that needs one has one.
pub fn why(file: &str, row: &Row) -> Option<String> {
    if !row.needs_reason() {
        return None;
    }
    let mut reasons: Vec<&str> = Vec::new();
    let known = |table: &[(&str, &str, &'static str)]| {
        let row = table.iter().find(|(at, title, _)| *at == file && row.title.contains(title));
        row.map(|(_, _, why)| *why)
    };
    for (runc, teu) in [(NATIVE, NATIVE + 1), (V2, V2 + 1)] {
        if row.fails(runc) {
            let bare = runc == V2 && !row.fails(NATIVE);
            reasons.push(known(HERE).or(bare.then_some(NO_CONTROLLERS))?);
        } else if row.fails(teu) {
            reasons.push(known(OURS)?);
        }
    }
    for verdict in row.verdicts.iter().flatten() {
        if let Verdict::Skip(asked) = verdict {
            reasons.push(SKIPS.iter().find(|(word, _)| asked.contains(word)).map(|(_, why)| *why)?);
        }
    }
    let mut said: Vec<&str> = Vec::new();
    reasons.into_iter().for_each(|why| {
        if !said.contains(&why) {
            said.push(why)
        }
    });
    Some(said.join("; "))
}

/// The columns of runc; teu's are the next ones.
const NATIVE: usize = 0;
const V2: usize = 2;

/// Where runc fails in the v2 view and not in the native one.
const NO_CONTROLLERS: &str = "v2: the cgroup2 mount has no controllers here";

/// What a test asks for, and what that means here. The first that fits counts.
const SKIPS: &[(&str, &str)] = &[
    ("cgroups_v1", "for cgroup v1"),
    ("cgroups_v2", "for cgroup v2"),
    ("cgroups_hybrid", "for cgroup v1 with a cgroup2 mount beside it"),
    ("rootless", "for ordinary users; the suite runs as root here"),
    ("systemd", "no systemd here"),
    ("SELinux", "no SELinux here"),
    ("requires unsafe", "changes mounts of the host, and so has to be asked for"),
    ("kernel <", "for older kernels"),
    ("CRIU feature", "criu finds too little in this kernel"),
    ("libseccomp", "runc's libseccomp is too old for it here"),
    ("cgroups_", "the cgroup2 mount has no such controller here"),
    ("requires hugetlb", "the cgroup2 mount has no such controller here"),
    ("requires memory", "the cgroup2 mount has no such controller here"),
    ("requires pids", "the cgroup2 mount has no such controller here"),
    ("requires psi", "no pressure figures here"),
    ("requires cpuset", "the cgroup2 mount has no such controller here"),
];

/// File, a part of the title ("" is all of the file), why runc itself fails on this machine.
const HERE: &[(&str, &str, &str)] = &[
    ("checkpoint", "netdevice", "no dummy network devices here"),
    ("checkpoint", "", "criu of Debian 12 does not work with this kernel"),
    ("exec", "sub-cgroups [v1]", "expects its caller in the root of every hierarchy, which it was not here"),
    ("mounts_propagation", "", "v2: the view is a private mount namespace"),
    ("mounts_recursive", "atime", "expects more than one option of a tmpfs, which this kernel does not show"),
    ("netdev", "", "no dummy network devices here"),
    ("rlimits", "", "the machine may not raise limits (CAP_SYS_RESOURCE)"),
    ("spec", "validator", "fetches a repository, and there is no way out"),
    ("userns", "network interface", "no dummy network devices here"),
];

/// The same for what teu fails and runc passes.
const OURS: &[(&str, &str, &str)] = &[(
    "run",
    "/proc/self/exe clone",
    "asks for words about runc's copy of itself; teu's init is a program of its own",
)];

#[cfg(test)]
mod tests {
    use super::*;

    fn row(title: &str, verdicts: &[Verdict]) -> Row {
        Row { number: 1, title: title.to_owned(), verdicts: verdicts.iter().cloned().map(Some).collect() }
    }

    #[test]
    fn passes_need_no_reason_and_a_failure_needs_one_of_ours() {
        let skip = Verdict::Skip("test requires systemd".to_owned());
        assert_eq!(why("ps", &row("x", &[Verdict::Pass, Verdict::Pass])), None);
        assert_eq!(why("ps", &row("x", std::slice::from_ref(&skip))).as_deref(), Some("no systemd here"));
        assert_eq!(why("ps", &row("x", &[skip, Verdict::Fail])), None);
        assert!(
            why("run", &row("runc run [/proc/self/exe clone]", &[Verdict::Pass, Verdict::Fail])).is_some()
        );
        assert_eq!(why("ps", &row("x", &[Verdict::Fail, Verdict::Fail])), None);
        let bare = row("x", &[Verdict::Pass, Verdict::Pass, Verdict::Fail, Verdict::Fail]);
        assert_eq!(why("ps", &bare).as_deref(), Some(NO_CONTROLLERS));
        assert_eq!(why("ps", &row("x", &[Verdict::Skip("because".to_owned())])), None);
    }

    #[test]
    fn every_reason_of_a_failure_is_one_sentence_of_ours() {
        for (file, title, why) in HERE.iter().chain(OURS) {
            assert!(!why.is_empty() && !why.contains('|') && !why.ends_with('.'), "{file} {title}: {why}");
        }
    }
}

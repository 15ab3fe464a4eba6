//! One directory in every hierarchy of cgroups: the root of what the sandbox sees.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::proc;

/// The sandbox's directories, and where this process was before.
#[derive(Debug)]
pub struct Cgroups {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    dir: PathBuf,
    before: PathBuf,
}

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub point: PathBuf,
    /// `cgroup` or `cgroup2`.
    pub kind: String,
    /// The options that choose it among those of version 1.
    pub options: String,
    /// Its line in /proc/self/cgroup: the controllers, empty for version 2.
    key: String,
}

impl Cgroups {
    /// Makes a directory of this name at the top of every hierarchy.
    pub fn make(name: &str) -> io::Result<Cgroups> {
        let ours = proc("cgroup")?;
        let mut places = Vec::new();
        for hierarchy in hierarchies()? {
            let before = hierarchy.point.join(own_path(&ours, &hierarchy.key).trim_start_matches('/'));
            let dir = hierarchy.point.join(name);
            fs::create_dir(&dir)?;
            inherit_cpuset(&hierarchy.point, &dir)?;
            enable_controllers(&hierarchy.point)?;
            places.push(Place { dir, before });
        }
        Ok(Cgroups { places })
    }

    /// Every directory below the roots that this process sees.
    pub fn all() -> io::Result<Vec<PathBuf>> {
        Ok(hierarchies()?.iter().flat_map(|one| below(&one.point)).collect())
    }

    /// Does something as a member.
    pub fn around<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        for place in &self.places {
            fs::write(place.dir.join("cgroup.procs"), "0")?;
        }
        let result = act();
        for place in &self.places {
            fs::write(place.before.join("cgroup.procs"), "0")?;
        }
        result
    }

    /// Removes the directories and what is below them.
    pub fn remove(&self) -> io::Result<()> {
        for place in &self.places {
            for dir in below(&place.dir).iter().rev().chain([&place.dir]) {
                remove_when_empty(dir)?;
            }
        }
        Ok(())
    }
}

/// The last process may be dead a moment before its cgroup is empty.
fn remove_when_empty(dir: &Path) -> io::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let end = Instant::now() + PATIENCE;
    loop {
        match fs::remove_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < end => {
                thread::sleep(crate::process::GLANCE);
            }
            result => {
                return result.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", dir.display())));
            }
        }
    }
}

/// Every directory below this one, parents first.
pub fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path());
    dirs.flat_map(|dir| {
        let deeper = below(&dir);
        [dir].into_iter().chain(deeper)
    })
    .collect()
}

/// The hierarchies that this process sees.
pub fn hierarchies() -> io::Result<Vec<Hierarchy>> {
    Ok(parse_hierarchies(&proc("mountinfo")?))
}

fn parse_hierarchies(mountinfo: &str) -> Vec<Hierarchy> {
    mountinfo.lines().filter_map(hierarchy).collect()
}

fn hierarchy(line: &str) -> Option<Hierarchy> {
    let (place, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let (kind, options) = (kind.next()?, kind.nth(1)?);
    if !matches!(kind, "cgroup" | "cgroup2") {
        return None;
    }
    let chosen: Vec<&str> = match kind {
        "cgroup" => options.split(',').filter(|word| !matches!(*word, "rw" | "ro" | "xattr")).collect(),
        _ => Vec::new(),
    };
    let key = chosen.iter().filter(|word| !word.starts_with("release_agent") && **word != "clone_children");
    let key = key.copied().collect::<Vec<_>>().join(",");
    // A hierarchy with a name and no controller is asked for as such.
    let options = if key.starts_with("name=") { format!("none,{key}") } else { key.clone() };
    Some(Hierarchy { point: place.split(' ').nth(4)?.into(), kind: kind.to_owned(), options, key })
}

/// The path behind `ID:KEY:` in the text of /proc/self/cgroup.
fn own_path<'t>(cgroup: &'t str, key: &str) -> &'t str {
    let find = |line: &'t str| {
        let (_, rest) = line.split_once(':')?;
        let (found, path) = rest.split_once(':')?;
        (found == key).then_some(path)
    };
    cgroup.lines().find_map(find).unwrap_or("/")
}

/// On version 1 a new cpuset has no processor and takes no process.
fn inherit_cpuset(parent: &Path, dir: &Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if parent.join(file).exists() && parent.join("cgroup.clone_children").exists() {
            fs::write(dir.join(file), fs::read(parent.join(file))?)?;
        }
    }
    Ok(())
}

/// On version 2 a child has the controllers that its parent hands on.
pub fn enable_controllers(dir: &Path) -> io::Result<()> {
    let Ok(names) = fs::read_to_string(dir.join("cgroup.controllers")) else { return Ok(()) };
    for name in names.split_whitespace() {
        fs::write(dir.join("cgroup.subtree_control"), format!("+{name}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_read_from_mountinfo_with_the_options_to_mount_them_again() {
        let found = parse_hierarchies(
            "30 2 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
             31 2 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
             32 2 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n33 2 0:29 / /tmp rw - tmpfs tmpfs rw\n",
        );
        let shown: Vec<_> =
            found.iter().map(|one| (one.kind.as_str(), one.options.as_str(), one.key.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("cgroup", "cpu,cpuacct", "cpu,cpuacct"),
                ("cgroup", "none,name=systemd", "name=systemd"),
                ("cgroup2", "", "")
            ]
        );
    }

    #[test]
    fn the_own_path_is_found_by_the_controllers() {
        let text = "4:memory:/a/b\n1:cpu,cpuacct:/c\n0::/d\n";
        assert_eq!(
            ["memory", "cpu,cpuacct", "", "pids"].map(|key| own_path(text, key)),
            ["/a/b", "/c", "/d", "/"]
        );
    }
}

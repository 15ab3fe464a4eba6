//! Finds the files of the table among the directories of a container's cgroups.

use std::os::fd::{AsFd, OwnedFd};

use super::OpenFile;
use super::table::{Row, V1, V2};
use crate::cgroup::Cgroup;
use crate::sys::fs::{Resolve, open_below};

/// Where the kernel tells which sizes of huge pages it has.
const HUGE_PAGES: &str = "/sys/kernel/mm/hugepages";

/// The files that are there, in the order of the table, and the sizes of huge pages that they count.
pub fn files(cgroup: &Cgroup) -> (Vec<OpenFile>, Vec<String>) {
    let table = if cgroup.is_v2() { V2 } else { V1 };
    let sizes = huge_page_sizes();
    let mut counted: Vec<String> = Vec::new();
    let mut files = Vec::new();
    let mut last: Option<(&str, Option<OwnedFd>)> = None;
    for Row { controller, file, parse } in table {
        if last.as_ref().is_none_or(|(name, _)| name != controller) {
            last = Some((controller, cgroup.hierarchy(controller)));
        }
        let Some((_, Some(dir))) = &last else { continue };
        let open = |name: &str| open_below(dir.as_fd(), name, libc::O_RDONLY, Resolve::Beneath).ok();
        if !file.contains("{}") {
            files.extend(open(file).map(|fd| OpenFile { fd, key: 0, parse: *parse }));
            continue;
        }
        for size in &sizes {
            let Some(fd) = open(&file.replace("{}", size)) else { continue };
            let key = counted.iter().position(|other| other == size).unwrap_or_else(|| {
                counted.push(size.clone());
                counted.len() - 1
            });
            files.push(OpenFile { fd, key, parse: *parse });
        }
    }
    (files, counted)
}

/// As the cgroup's files are named: `2MB`.
fn huge_page_sizes() -> Vec<String> {
    let entries = std::fs::read_dir(HUGE_PAGES).into_iter().flatten().flatten();
    let mut sizes: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse::<u64>().ok()
        })
        .collect();
    sizes.sort_unstable();
    sizes.into_iter().map(page_size).collect()
}

fn page_size(kilobytes: u64) -> String {
    match kilobytes {
        _ if kilobytes >= 1 << 20 => format!("{}GB", kilobytes >> 20),
        _ if kilobytes >= 1 << 10 => format!("{}MB", kilobytes >> 10),
        _ => format!("{kilobytes}KB"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_of_huge_pages_are_named_as_the_kernel_names_its_files() {
        for (kilobytes, name) in [(64, "64KB"), (2048, "2MB"), (1 << 20, "1GB"), (16 << 20, "16GB")] {
            assert_eq!(super::page_size(kilobytes), name);
        }
    }
}

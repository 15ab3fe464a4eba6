//! What has to be written to a file of a cgroup to have back what it said. Pure.
//!
//! Most files take what they say. In some each line is about a device or an interface of its own, named by its first word.

/// Files of lines with a key, and what behind a key means that there is none.
const KEYED: &[(&str, &str)] = &[
    ("io.max", "rbps=max wbps=max riops=max wiops=max"),
    ("io.weight", "default"),
    ("io.bfq.weight", "default"),
    ("io.latency", "target=0"),
    ("blkio.weight_device", "0"),
    ("blkio.bfq.weight_device", "0"),
    ("blkio.leaf_weight_device", "0"),
    ("blkio.throttle.read_bps_device", "0"),
    ("blkio.throttle.write_bps_device", "0"),
    ("blkio.throttle.read_iops_device", "0"),
    ("blkio.throttle.write_iops_device", "0"),
    ("net_prio.ifpriomap", "0"),
    ("rdma.max", "hca_handle=max hca_object=max"),
];

/// The value that takes `written` to `file` back, which said `text` before.
pub(super) fn previous(file: &str, written: &str, text: &str) -> String {
    if file == "memory.oom_control" {
        return word_behind(text, "oom_kill_disable").unwrap_or("0").to_owned();
    }
    let key = written.split_whitespace().next().unwrap_or_default();
    match KEYED.iter().find(|(name, _)| *name == file) {
        Some((_, none)) if written.trim() != key => match word_behind(text, key) {
            Some(value) => format!("{key} {value}"),
            None => format!("{key} {none}"),
        },
        // The weight of the group itself, which is called so when it is read.
        Some(_) => word_behind(text, "default").unwrap_or(text.trim()).to_owned(),
        None => match text.trim_end() {
            "" => "\n".to_owned(),
            value => value.to_owned(),
        },
    }
}

/// The rest of the line that begins with `key`.
fn word_behind<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(' ')?.trim()))
}

#[cfg(test)]
mod tests {
    use super::previous;

    #[test]
    fn a_file_of_one_value_gets_it_back() {
        for (file, text, expected) in [
            ("memory.max", "max\n", "max"),
            ("cpu.max", "max 100000\n", "max 100000"),
            ("cpuset.cpus", "\n", "\n"),
            ("cpuset.cpus", "", "\n"),
            ("memory.oom_control", "oom_kill_disable 1\nunder_oom 0\noom_kill 0\n", "1"),
            ("memory.oom_control", "", "0"),
        ] {
            assert_eq!(previous(file, "7", text), expected, "{file}");
        }
    }

    #[test]
    fn a_line_gets_back_what_it_said_or_that_there_is_none() {
        let limits = "8:0 rbps=1 wbps=max riops=max wiops=9\n8:16 rbps=5 wbps=max riops=max wiops=max\n";
        for (file, written, text, expected) in [
            ("io.max", "8:0 rbps=7", limits, "8:0 rbps=1 wbps=max riops=max wiops=9"),
            ("io.max", "8:1 rbps=7", limits, "8:1 rbps=max wbps=max riops=max wiops=max"),
            ("blkio.throttle.read_bps_device", "8:0 5", "8:0 9\n", "8:0 9"),
            ("blkio.throttle.read_bps_device", "8:0 5", "", "8:0 0"),
            ("io.weight", "500", "default 100\n8:0 200\n", "100"),
            ("io.weight", "8:0 500", "default 100\n8:0 200\n", "8:0 200"),
            ("io.bfq.weight", "8:1 500", "default 100\n8:0 200\n", "8:1 default"),
            ("net_prio.ifpriomap", "lo 3", "lo 1\neth0 2\n", "lo 1"),
            (
                "rdma.max",
                "mlx hca_handle=3",
                "mlx hca_handle=2 hca_object=max\n",
                "mlx hca_handle=2 hca_object=max",
            ),
        ] {
            assert_eq!(previous(file, written, text), expected, "{file} {written}");
        }
    }
}

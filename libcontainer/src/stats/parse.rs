//! Texts of the kernel become numbers. Pure; what is not understood is skipped, and no text makes these allocate without bound.

use super::{BlockIoEntry, Counters, Pressure, PressureLine, RdmaStats, UNLIMITED};

/// What any list may have at most: a machine with more CPUs, devices or counters than that is not this one.
const MAX_ENTRIES: usize = 8192;

/// One number alone; `max` is no limit, and a size that v1 shows as negative is none either.
pub fn number(text: &str) -> Option<u64> {
    match text.trim() {
        "max" => Some(UNLIMITED),
        "-1" => Some(UNLIMITED),
        digits => digits.parse().ok(),
    }
}

/// The lines `name number`.
pub fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        Some((name, number(value)?))
    })
}

/// Puts all pairs into `counters`, whose names are mostly there already.
pub fn counters(text: &str, counters: &mut Counters) {
    let Counters(list) = counters;
    let mut count = 0;
    for (name, value) in pairs(text).take(MAX_ENTRIES) {
        match list.get_mut(count) {
            Some((there, number)) if there == name => *number = value,
            _ => {
                list.truncate(count);
                list.push((name.to_owned(), value));
            }
        }
        count += 1;
    }
    list.truncate(count);
}

/// Numbers between blanks.
pub fn numbers(text: &str, list: &mut Vec<u64>) {
    list.extend(text.split_ascii_whitespace().take(MAX_ENTRIES).map_while(|word| word.parse::<u64>().ok()));
}

/// `0-3,7` as single numbers.
pub fn ranges(text: &str, list: &mut Vec<u64>) {
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.trim().parse::<u64>(), last.trim().parse::<u64>()) else {
            continue;
        };
        let room = MAX_ENTRIES.saturating_sub(list.len());
        list.extend((first..=last).take(room));
    }
}

/// `cpuacct.usage_all`: a header, and a line for each CPU with its time in programs and in the kernel.
pub fn per_cpu(text: &str, user: &mut Vec<u64>, kernel: &mut Vec<u64>) {
    for line in text.lines().skip(1).take(MAX_ENTRIES) {
        let mut words = line.split_ascii_whitespace().skip(1).map(|word| word.parse::<u64>().ok());
        if let (Some(Some(in_user)), Some(Some(in_kernel))) = (words.next(), words.next()) {
            user.push(in_user);
            kernel.push(in_kernel);
        }
    }
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same for `full`, which old kernels lack for CPUs.
pub fn pressure(text: &str) -> Option<Pressure> {
    let mut pressure = Pressure::default();
    let mut found = false;
    for line in text.lines() {
        let (name, rest) = line.split_once(' ')?;
        let place = match name {
            "some" => &mut pressure.some,
            "full" => &mut pressure.full,
            _ => continue,
        };
        *place = pressure_line(rest)?;
        found = true;
    }
    found.then_some(pressure)
}

fn pressure_line(text: &str) -> Option<PressureLine> {
    let mut line = PressureLine::default();
    for word in text.split_ascii_whitespace() {
        let (name, value) = word.split_once('=')?;
        let percent = || value.parse::<f64>().ok().filter(|value| value.is_finite());
        match name {
            "avg10" => line.avg10 = percent()?,
            "avg60" => line.avg60 = percent()?,
            "avg300" => line.avg300 = percent()?,
            "total" => line.total = value.parse().ok()?,
            _ => {}
        }
    }
    Some(line)
}

const OPS: [&str; 6] = ["Read", "Write", "Sync", "Async", "Discard", "Total"];

/// The files of blkio: `8:0 Read 4096`, or `8:0 512` where ops are not told apart. The line with the sum of all devices has no device.
pub fn blocks(text: &str, list: &mut Vec<BlockIoEntry>) {
    for line in text.lines().take(MAX_ENTRIES) {
        let mut words = line.split_ascii_whitespace();
        let Some((major, minor)) = words.next().and_then(device) else { continue };
        let (op, value) = match (words.next(), words.next()) {
            (Some(value), None) => ("", value),
            (Some(op), Some(value)) => (OPS.into_iter().find(|known| *known == op).unwrap_or(""), value),
            (None, _) => continue,
        };
        if let Ok(value) = value.parse() {
            list.push(BlockIoEntry { major, minor, op, value });
        }
    }
}

/// `io.stat` of v2: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`. A device without traffic has no numbers.
pub fn io_stat(text: &str, bytes: &mut Vec<BlockIoEntry>, operations: &mut Vec<BlockIoEntry>) {
    for line in text.lines().take(MAX_ENTRIES) {
        let mut words = line.split_ascii_whitespace();
        let Some((major, minor)) = words.next().and_then(device) else { continue };
        for word in words {
            let Some((name, value)) = word.split_once('=') else { continue };
            let (list, op) = match name {
                "rbytes" => (&mut *bytes, "Read"),
                "wbytes" => (&mut *bytes, "Write"),
                "dbytes" => (&mut *bytes, "Discard"),
                "rios" => (&mut *operations, "Read"),
                "wios" => (&mut *operations, "Write"),
                "dios" => (&mut *operations, "Discard"),
                _ => continue,
            };
            if let Ok(value) = value.parse() {
                list.push(BlockIoEntry { major, minor, op, value });
            }
        }
    }
}

fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// `mlx5_0 hca_handle=2 hca_object=max`: how many there are, or with `limits` how many may be.
pub fn rdma(text: &str, limits: bool, list: &mut Vec<RdmaStats>) {
    for line in text.lines().take(MAX_ENTRIES) {
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next() else { continue };
        let index = list.iter().position(|entry| entry.device == name).unwrap_or_else(|| {
            list.push(RdmaStats { device: name.to_owned(), ..RdmaStats::default() });
            list.len() - 1
        });
        let Some(entry) = list.get_mut(index) else { continue };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            match (key, limits) {
                ("hca_handle", false) => entry.handles = number(value),
                ("hca_object", false) => entry.objects = number(value),
                ("hca_handle", true) => entry.handle_limit = number(value),
                ("hca_object", true) => entry.object_limit = number(value),
                _ => {}
            }
        }
    }
}

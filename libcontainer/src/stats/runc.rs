//! The stats as runc prints them in `events`: its keys, its order, and nothing for a number that it would leave out.

use super::{BlockIoEntry, Counter, Pressure, PressureLine, RdtStats, Stats, UNLIMITED};

/// A JSON object under construction. Its strings come from the kernel's files; they are escaped as Go does it.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn value(mut self, key: &str, value: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&text(key));
        self.0.push(':');
        self.0.push_str(value);
        self
    }

    /// A number that is always there.
    fn number(self, key: &str, number: Option<u64>) -> Self {
        self.value(key, &number.unwrap_or(0).to_string())
    }

    /// A number that is left out if it is 0.
    fn some(self, key: &str, number: Option<u64>) -> Self {
        match number.unwrap_or(0) {
            0 => self,
            number => self.value(key, &number.to_string()),
        }
    }

    fn list(self, key: &str, items: impl Iterator<Item = String>) -> Self {
        match items.collect::<Vec<_>>() {
            items if items.is_empty() => self,
            items => self.value(key, &format!("[{}]", items.join(","))),
        }
    }

    fn text(self, key: &str, value: Option<String>) -> Self {
        match value.filter(|value| !value.is_empty()) {
            Some(value) => self.value(key, &text(&value)),
            None => self,
        }
    }

    fn object(self, key: &str, object: Self) -> Self {
        let end = object.end();
        self.value(key, &end)
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn text(text: &str) -> String {
    let mut quoted = serde_json::Value::from(text).to_string();
    for (character, escape) in [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026")] {
        if quoted.contains(character) {
            quoted = quoted.replace(character, escape);
        }
    }
    quoted
}

impl Stats {
    /// The value of `data` in a line of `runc events --stats`.
    pub fn runc_json(&self) -> String {
        let object = Object::new()
            .object("cpu", cpu(self))
            .object("cpuset", cpuset(self))
            .object("memory", memory(self))
            .object("pids", pids(self))
            .object("blkio", block_io(self))
            .object("hugetlb", huge_pages(self));
        let rdt = self.intel_rdt.as_ref().map_or_else(Object::new, intel_rdt);
        object.object("intel_rdt", rdt).value("network_interfaces", "null").end()
    }
}

fn cpu(stats: &Stats) -> Object {
    let cpu = &stats.cpu;
    let numbers = |list: &[u64]| list.iter().map(u64::to_string).collect::<Vec<_>>().into_iter();
    let usage = Object::new()
        .some("total", cpu.usage)
        .list("percpu", numbers(&cpu.per_cpu))
        .list("percpu_kernel", numbers(&cpu.per_cpu_kernel))
        .list("percpu_user", numbers(&cpu.per_cpu_user))
        .number("kernel", cpu.kernel)
        .number("user", cpu.user);
    let throttling = Object::new()
        .some("periods", cpu.periods)
        .some("throttledPeriods", cpu.throttled_periods)
        .some("throttledTime", cpu.throttled);
    pressure(Object::new().object("usage", usage).object("throttling", throttling), cpu.pressure)
}

fn cpuset(stats: &Stats) -> Object {
    let set = &stats.cpuset;
    let level = set.sched_relax_domain_level.unwrap_or(0);
    Object::new()
        .list("cpus", set.cpus.iter().map(u64::to_string))
        .number("cpu_exclusive", set.cpu_exclusive)
        .list("mems", set.mems.iter().map(u64::to_string))
        .number("mem_hardwall", set.mem_hardwall)
        .number("mem_exclusive", set.mem_exclusive)
        .number("memory_migrate", set.memory_migrate)
        .number("memory_spread_page", set.memory_spread_page)
        .number("memory_spread_slab", set.memory_spread_slab)
        .number("memory_pressure", set.memory_pressure)
        .number("sched_load_balance", set.sched_load_balance)
        .value("sched_relax_domain_level", &level.to_string())
}

fn memory(stats: &Stats) -> Object {
    let memory = &stats.memory;
    // Sorted, as Go prints a map.
    let mut raw: Vec<_> = memory.stat.iter().collect();
    raw.sort_unstable();
    let raw = raw.iter().fold(Object::new(), |object, (name, value)| object.value(name, &value.to_string()));
    let is_v1 = memory.swap.failures.is_some() && memory.oom.is_none();
    let swap = if is_v1 { memory.swap } else { together(memory.usage, memory.swap) };
    let object = Object::new()
        .some("cache", memory.cache)
        .object("usage", counter(memory.usage))
        .object("swap", counter(swap))
        .object("kernel", counter(memory.kernel))
        .object("kernelTCP", counter(memory.kernel_tcp));
    let object = if memory.stat == Default::default() { object } else { object.object("raw", raw) };
    pressure(object, memory.pressure)
}

/// v1 counts swap together with memory, and runc shows v2 as if it did too. The most of both is not the sum of each's most.
fn together(memory: Counter, swap: Counter) -> Counter {
    let limit = swap.limit.map(|limit| match limit {
        UNLIMITED => UNLIMITED,
        limit => limit.saturating_add(memory.limit.unwrap_or(0)),
    });
    let usage = swap.usage.map(|usage| usage.saturating_add(memory.usage.unwrap_or(0)));
    Counter { usage, limit, max: None, failures: swap.failures }
}

fn counter(counter: Counter) -> Object {
    Object::new()
        .number("limit", counter.limit)
        .some("usage", counter.usage)
        .some("max", counter.max)
        .number("failcnt", counter.failures)
}

fn pids(stats: &Stats) -> Object {
    // runc leaves out a limit that is none.
    Object::new()
        .some("current", stats.pids.current)
        .some("limit", stats.pids.limit.filter(|limit| *limit != UNLIMITED))
}

fn block_io(stats: &Stats) -> Object {
    let io = &stats.block_io;
    let entry = |entry: &BlockIoEntry| {
        Object::new()
            .some("major", Some(entry.major))
            .some("minor", Some(entry.minor))
            .text("op", Some(entry.op.to_owned()))
            .some("value", Some(entry.value))
            .end()
    };
    let lists = [
        ("ioServiceBytesRecursive", &io.bytes),
        ("ioServicedRecursive", &io.operations),
        ("ioQueueRecursive", &io.queued),
        ("ioServiceTimeRecursive", &io.service_time),
        ("ioWaitTimeRecursive", &io.wait_time),
        ("ioMergedRecursive", &io.merged),
        ("ioTimeRecursive", &io.time),
        ("sectorsRecursive", &io.sectors),
    ];
    let object =
        lists.iter().fold(Object::new(), |object, (key, list)| object.list(key, list.iter().map(entry)));
    pressure(object, io.pressure)
}

fn huge_pages(stats: &Stats) -> Object {
    let mut sizes: Vec<_> = stats.huge_pages.iter().collect();
    sizes.sort_by(|a, b| a.size.cmp(&b.size));
    sizes.into_iter().fold(Object::new(), |object, entry| {
        let pages = Object::new()
            .some("usage", entry.counter.usage)
            .some("max", entry.counter.max)
            .number("failcnt", entry.counter.failures);
        object.object(&entry.size, pages)
    })
}

fn pressure(object: Object, pressure: Option<Pressure>) -> Object {
    let line = |line: PressureLine| {
        Object::new()
            .value("avg10", &line.avg10.to_string())
            .value("avg60", &line.avg60.to_string())
            .value("avg300", &line.avg300.to_string())
            .value("total", &line.total.to_string())
    };
    match pressure {
        Some(pressure) => {
            let both = Object::new().object("some", line(pressure.some)).object("full", line(pressure.full));
            object.object("psi", both)
        }
        None => object,
    }
}

fn intel_rdt(rdt: &RdtStats) -> Object {
    let cache = Object::new()
        .text("cbm_mask", rdt.l3_cbm_mask.clone())
        .some("min_cbm_bits", rdt.l3_min_cbm_bits)
        .some("num_closids", rdt.l3_groups);
    let bandwidth = Object::new()
        .some("bandwidth_gran", rdt.bandwidth_granularity)
        .some("delay_linear", rdt.delay_linear)
        .some("min_bandwidth", rdt.min_bandwidth)
        .some("num_closids", rdt.bandwidth_groups);
    let mut object = Object::new();
    if rdt.l3_cbm_mask.is_some() {
        object = object
            .object("l3_cache_info", cache)
            .text("l3_cache_schema_root", RdtStats::line(&rdt.root_schemata, "L3"))
            .text("l3_cache_schema", RdtStats::line(&rdt.schemata, "L3"));
    }
    if rdt.min_bandwidth.is_some() {
        object = object
            .object("mem_bw_info", bandwidth)
            .text("mem_bw_schema_root", RdtStats::line(&rdt.root_schemata, "MB"))
            .text("mem_bw_schema", RdtStats::line(&rdt.schemata, "MB"));
    }
    let traffic =
        rdt.domains.iter().filter(|domain| domain.total_bytes.is_some() || domain.local_bytes.is_some());
    let traffic = traffic.map(|domain| {
        Object::new()
            .some("mbm_total_bytes", domain.total_bytes)
            .some("mbm_local_bytes", domain.local_bytes)
            .end()
    });
    let occupied = rdt.domains.iter().filter_map(|domain| domain.occupancy);
    object
        .list("schemata", rdt.schemata.iter().map(|line| text(line)))
        .list("mbm_stats", traffic)
        .list("cmt_stats", occupied.map(|bytes| Object::new().some("llc_occupancy", Some(bytes)).end()))
}

//! cgroup v2: resources to settings. Compare row by row with `v1`.

use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};

use super::{Setting, amount, list, swap_alone};
use crate::error::Result;

/// Period of a quota given without one, in microseconds.
const DEFAULT_PERIOD: u64 = 100_000;

pub(super) fn settings(resources: &LinuxResources) -> Result<Vec<Setting>> {
    let mut out = Vec::new();
    if let Some(cpu) = resources.cpu() {
        cpu_settings(cpu, &mut out);
    }
    if let Some(pids) = resources.pids() {
        out.push(pids_max(pids.limit()));
    }
    if let Some(memory) = resources.memory() {
        memory_settings(memory, &mut out)?;
    }
    Ok(out)
}

fn cpu_settings(cpu: &LinuxCpu, out: &mut Vec<Setting>) {
    let cpus =
        list(cpu.cpus().as_ref()).map(|v| Setting::early("cpuset.cpus", v, "/linux/resources/cpu/cpus"));
    let mems =
        list(cpu.mems().as_ref()).map(|v| Setting::early("cpuset.mems", v, "/linux/resources/cpu/mems"));
    let idle =
        cpu.idle().map(|v| Setting::early("cpu.idle", v, "/linux/resources/cpu/idle").missing_is(&["0"]));
    // The kernel refuses a weight for an idle group.
    let shares = cpu.shares().filter(|_| cpu.idle() != Some(1)).and_then(weight);
    let shares = shares.map(|v| Setting::early("cpu.weight", v, "/linux/resources/cpu/shares"));
    // A burst may not be above the quota, so it comes after it.
    let burst = cpu.burst();
    let burst =
        burst.map(|v| Setting::early("cpu.max.burst", v, "/linux/resources/cpu/burst").missing_is(&["0"]));
    out.extend([cpus, mems, idle, shares, cpu_max(cpu), burst].into_iter().flatten());
}

fn cpu_max(cpu: &LinuxCpu) -> Option<Setting> {
    let quota = cpu.quota().filter(|quota| *quota != 0);
    let period = cpu.period().filter(|period| *period != 0);
    let pointer = match (quota, period) {
        (None, None) => return None,
        (Some(_), _) => "/linux/resources/cpu/quota",
        (None, Some(_)) => "/linux/resources/cpu/period",
    };
    let quota = quota.filter(|quota| *quota > 0).map_or("max".to_owned(), |quota| quota.to_string());
    Some(Setting::early("cpu.max", format!("{quota} {}", period.unwrap_or(DEFAULT_PERIOD)), pointer))
}

fn pids_max(limit: i64) -> Setting {
    let setting = Setting::early(
        "pids.max",
        if limit < 0 { "max".to_owned() } else { limit.to_string() },
        "/linux/resources/pids/limit",
    );
    // A clone into a cgroup is counted before it exists: with 0 init could not be cloned.
    if limit == 0 { setting.late() } else { setting }
}

fn memory_settings(memory: &LinuxMemory, out: &mut Vec<Setting>) -> Result<()> {
    let low = amount(memory.reservation(), "/linux/resources/memory/reservation")?;
    let limit = amount(memory.limit(), "/linux/resources/memory/limit")?;
    let swap = swap_alone(memory.swap().unwrap_or(0), limit.unwrap_or(0))?;
    let low = low.map(|v| Setting::early("memory.low", or_max(v), "/linux/resources/memory/reservation"));
    // Law: swap before memory, both after init has exec'd.
    let swap = swap.map(|v| Setting::early("memory.swap.max", or_max(v), "/linux/resources/memory/swap"));
    let swap = swap.map(|setting| setting.late().missing_is(&["max", "0"]));
    let limit =
        limit.map(|v| Setting::early("memory.max", or_max(v), "/linux/resources/memory/limit").late());
    out.extend([low, swap, limit].into_iter().flatten());
    Ok(())
}

fn or_max(value: i64) -> String {
    if value == -1 { "max".to_owned() } else { value.to_string() }
}

/// CPU shares (2 to 262144, usually 1024) as a weight (1 to 10000, usually 100). The three usual points are exact.
fn weight(shares: u64) -> Option<u64> {
    match shares {
        0 => None,
        1..=2 => Some(1),
        262_144.. => Some(10_000),
        _ => {
            // At most 18 bits: exact in a float.
            let l = (shares as f64).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            // Between 1 and 10000 by the bounds above.
            Some(10f64.powf(exponent).ceil() as u64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn shares_become_weights_by_the_quadratic_formula() {
        let rows = [
            (0, None),
            (1, Some(1)),
            (2, Some(1)),
            (1024, Some(100)),
            (262_144, Some(10_000)),
            (u64::MAX, Some(10_000)),
        ];
        for (shares, expected) in rows {
            assert_eq!(weight(shares), expected, "{shares}");
        }
        let all: Vec<u64> = (2..=262_144).filter_map(weight).collect();
        assert!(all.is_sorted(), "more shares never weigh less");
        assert!(all.iter().all(|weight| (1..=10_000).contains(weight)));
    }
}

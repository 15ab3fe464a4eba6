//! `linux.resources.cpu`: the values of its files.

use oci_spec::runtime::{LinuxCpu, LinuxResources};

/// Period of a quota given without one, in microseconds.
const DEFAULT_PERIOD: u64 = 100_000;

pub(super) fn cpus(resources: &LinuxResources) -> Option<String> {
    list(field(resources)?.cpus())
}

pub(super) fn mems(resources: &LinuxResources) -> Option<String> {
    list(field(resources)?.mems())
}

fn list(value: &Option<String>) -> Option<String> {
    value.as_ref().map(|list| list.trim().to_owned()).filter(|list| !list.is_empty())
}

pub(super) fn idle(resources: &LinuxResources) -> Option<String> {
    Some(field(resources)?.idle()?.to_string())
}

/// The kernel refuses shares, and a weight, for an idle group.
fn wanted_shares(cpu: &LinuxCpu) -> Option<u64> {
    cpu.shares().filter(|shares| *shares != 0 && cpu.idle() != Some(1))
}

pub(super) fn shares(resources: &LinuxResources) -> Option<String> {
    Some(wanted_shares(field(resources)?)?.to_string())
}

pub(super) fn weight(resources: &LinuxResources) -> Option<String> {
    Some(converted(wanted_shares(field(resources)?)?).to_string())
}

/// CPU shares (2 to 262144, usually 1024) as a weight (1 to 10000, usually 100). The three usual points are exact.
fn converted(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            // At most 18 bits: exact in a float.
            let l = (shares as f64).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            // Between 1 and 10000 by the bounds above.
            10f64.powf(exponent).ceil() as u64
        }
    }
}

pub(super) fn rt_period(resources: &LinuxResources) -> Option<String> {
    field(resources)?.realtime_period().filter(|period| *period != 0).map(|period| period.to_string())
}

pub(super) fn rt_runtime(resources: &LinuxResources) -> Option<String> {
    field(resources)?.realtime_runtime().filter(|runtime| *runtime != 0).map(|runtime| runtime.to_string())
}

pub(super) fn burst(resources: &LinuxResources) -> Option<String> {
    Some(field(resources)?.burst()?.to_string())
}

fn wanted_period(cpu: &LinuxCpu) -> Option<u64> {
    cpu.period().filter(|period| *period != 0)
}

fn wanted_quota(cpu: &LinuxCpu) -> Option<i64> {
    cpu.quota().filter(|quota| *quota != 0)
}

pub(super) fn period(resources: &LinuxResources) -> Option<String> {
    Some(wanted_period(field(resources)?)?.to_string())
}

pub(super) fn quota(resources: &LinuxResources) -> Option<String> {
    Some(wanted_quota(field(resources)?)?.max(-1).to_string())
}

/// `cpu.max` holds both; its row is that of the quota if there is one.
pub(super) fn max(resources: &LinuxResources) -> Option<String> {
    let cpu = field(resources)?;
    let quota = wanted_quota(cpu)?;
    let quota = if quota > 0 { quota.to_string() } else { "max".to_owned() };
    Some(format!("{quota} {}", wanted_period(cpu).unwrap_or(DEFAULT_PERIOD)))
}

pub(super) fn max_without_quota(resources: &LinuxResources) -> Option<String> {
    let cpu = field(resources)?;
    let period = wanted_period(cpu).filter(|_| wanted_quota(cpu).is_none())?;
    Some(format!("max {period}"))
}

fn field(resources: &LinuxResources) -> Option<&LinuxCpu> {
    resources.cpu().as_ref()
}

#[cfg(test)]
mod tests {
    use super::converted;

    #[test]
    fn shares_become_weights_by_the_quadratic_formula() {
        for (shares, expected) in [(1, 1), (2, 1), (1024, 100), (262_144, 10_000), (u64::MAX, 10_000)] {
            assert_eq!(converted(shares), expected, "{shares}");
        }
        let all: Vec<u64> = (2..=262_144).map(converted).collect();
        assert!(all.is_sorted(), "more shares never weigh less");
        assert!(all.iter().all(|weight| (1..=10_000).contains(weight)));
    }
}

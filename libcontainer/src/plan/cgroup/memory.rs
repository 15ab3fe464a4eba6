//! `linux.resources.memory`: the values of its files. Validation has refused amounts that contradict each other.

use oci_spec::runtime::{LinuxMemory, LinuxResources};

/// No limit.
const UNLIMITED: i64 = -1;

pub(super) fn reservation(resources: &LinuxResources) -> Option<String> {
    Some(amount(field(resources)?.reservation())?.to_string())
}

pub(super) fn low(resources: &LinuxResources) -> Option<String> {
    amount(field(resources)?.reservation()).map(or_max)
}

pub(super) fn limit(resources: &LinuxResources) -> Option<String> {
    Some(amount(field(resources)?.limit())?.to_string())
}

pub(super) fn max(resources: &LinuxResources) -> Option<String> {
    amount(field(resources)?.limit()).map(or_max)
}

/// `memory.swap` as v1 counts it: together with memory. Memory without limit means swap without limit.
pub(super) fn with_swap(resources: &LinuxResources) -> Option<String> {
    let memory = field(resources)?;
    let implied = (amount(memory.limit()) == Some(UNLIMITED)).then_some(UNLIMITED);
    Some(amount(memory.swap()).or(implied)?.to_string())
}

/// `memory.swap` as v2 counts it: without memory. 0 is what is left where both are equal, and means no swap.
pub(super) fn swap(resources: &LinuxResources) -> Option<String> {
    let memory = field(resources)?;
    match (amount(memory.swap()), amount(memory.limit())) {
        (None, Some(UNLIMITED)) | (Some(UNLIMITED), _) => Some(or_max(UNLIMITED)),
        (None, _) => None,
        (Some(both), Some(UNLIMITED)) => Some(both.to_string()),
        (Some(both), limit) => Some(both.saturating_sub(limit.unwrap_or(0)).to_string()),
    }
}

/// The limit that has to be above what is in use already, if the configuration asks for the check.
pub(super) fn checked(resources: &LinuxResources) -> Option<u64> {
    u64::try_from(amount(checks(resources)?.limit())?).ok()
}

/// The same for memory and swap together.
pub(super) fn checked_swap(resources: &LinuxResources) -> Option<u64> {
    u64::try_from(amount(checks(resources)?.swap())?).ok()
}

fn checks(resources: &LinuxResources) -> Option<&LinuxMemory> {
    field(resources).filter(|memory| memory.check_before_update() == Some(true))
}

pub(super) fn swappiness(resources: &LinuxResources) -> Option<String> {
    Some(field(resources)?.swappiness()?.to_string())
}

pub(super) fn oom_control(resources: &LinuxResources) -> Option<String> {
    field(resources)?.disable_oom_killer().filter(|disable| *disable).map(|_| "1".to_owned())
}

/// 0 is unset.
fn amount(value: Option<i64>) -> Option<i64> {
    value.filter(|value| *value != 0)
}

fn or_max(value: i64) -> String {
    if value == UNLIMITED { "max".to_owned() } else { value.to_string() }
}

fn field(resources: &LinuxResources) -> Option<&LinuxMemory> {
    resources.memory().as_ref()
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::LinuxResources;

    /// The formula of swap2(memswap, memory), cell by cell; what it calls an error never comes here.
    #[test]
    fn swap_alone_is_what_is_left_of_both() {
        let rows = [
            ((0, 0), None),
            ((0, 4096), None),
            ((0, -1), Some("max")),
            ((-1, 0), Some("max")),
            ((-1, 4096), Some("max")),
            ((-1, -1), Some("max")),
            ((8192, -1), Some("8192")),
            ((4096, 4096), Some("0")),
            ((i64::MAX, 4096), Some("9223372036854771711")),
        ];
        for ((swap, limit), expected) in rows {
            let json = format!(r#"{{"memory":{{"swap":{swap},"limit":{limit}}}}}"#);
            let resources: LinuxResources = serde_json::from_str(&json).unwrap();
            assert_eq!(super::swap(&resources).as_deref(), expected, "{json}");
        }
    }
}

//! Whether a group has the schemata that a configuration asks for. Pure.
//!
//! The kernel does not give back what was written: masks lose leading zeros, bandwidths are rounded, lines are indented and
//! list every domain. So values are compared, domain by domain, and only those that are asked for.

/// Compares the wanted lines with the text of a group's `schemata`. `step` is the granularity of memory bandwidths.
///
/// # Errors
/// The first line that differs, in words.
pub(super) fn compare(wanted: &[String], present: &str, step: u64) -> Result<(), String> {
    for line in wanted {
        let name = line.split(':').next().unwrap_or_default().trim();
        let is_same = |there: &&str| there.split(':').next().unwrap_or_default().trim() == name;
        let found = present.lines().find(is_same).unwrap_or_default().trim();
        if !has(line, found, step) {
            return Err(format!("{:?} is asked for, {found:?} is there", line.trim()));
        }
    }
    Ok(())
}

/// Every domain that the line names has the same value in the other one.
fn has(line: &str, found: &str, step: u64) -> bool {
    let is_bandwidth = line.trim_start().starts_with("MB");
    let value = |text: &str| if is_bandwidth { bandwidth(text, step) } else { mask(text) };
    let there: Vec<_> = domains(found).collect();
    let same = |(domain, wanted): (&str, &str)| {
        let present = there.iter().find(|(other, _)| *other == domain);
        present.is_some_and(|(_, present)| {
            *present == wanted || value(present).is_some_and(|present| Some(present) == value(wanted))
        })
    };
    domains(line).all(same)
}

fn domains(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let list = line.split_once(':').map_or("", |(_, list)| list);
    let pair = |item: &str| item.trim().split_once('=').map(|(domain, value)| (domain.len(), value.len()));
    list.split(';').filter(move |item| pair(item).is_some()).filter_map(|item| {
        let (domain, value) = item.split_once('=')?;
        Some((domain.trim(), value.trim()))
    })
}

fn bandwidth(text: &str, step: u64) -> Option<u64> {
    text.parse::<u64>().ok()?.checked_next_multiple_of(step)
}

fn mask(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::compare;

    const PRESENT: &str = "    L3:0=7f0;1=1f\n    L2:0=f;1=f\n    MB:0= 20;1= 100\nL3DATA:0=ff\n";

    fn differs(line: &str) -> Option<String> {
        compare(&[line.to_owned()], PRESENT, 10).err()
    }

    #[test]
    fn values_count_and_not_their_spelling() {
        for line in [
            "L3:0=7f0;1=1f",
            "L3:1=01F; 0=07f0",
            "L3:1=0x1f",
            "L2:0=f",
            "MB:0=20",
            "MB:0=15;1=95",
            "L3DATA:0=ff",
        ] {
            assert_eq!(differs(line), None, "{line}");
        }
    }

    #[test]
    fn another_value_domain_or_resource_is_a_difference() {
        for line in [
            "L3:0=7f1",
            "L3:2=1f",
            "L4:0=f",
            "MB:0=21",
            "MB:0=200",
            "L3CODE:0=ff",
            "L3:0=;1=1f",
            "L2:0=f;1=x",
        ] {
            assert!(differs(line).is_some(), "{line}");
        }
        assert_eq!(differs("L3:0=1").unwrap(), "\"L3:0=1\" is asked for, \"L3:0=7f0;1=1f\" is there");
        assert_eq!(differs("L9:0=1").unwrap(), "\"L9:0=1\" is asked for, \"\" is there");
    }
}

//! `org.systemd.property.X`: a property of the unit in words of D-Bus.

use oci_spec::runtime::Spec;

use super::super::invalid;
use super::{Property, Value, text};
use crate::error::Result;
use crate::spec::annotations::SYSTEMD_PROPERTY;
use crate::spec::pointer;

/// What decides where the container is: an annotation may not.
const OURS: [&str; 2] = ["Slice", "PIDs"];

/// The properties in the order of their names. Names have been checked with the configuration.
///
/// # Errors
/// `InvalidSpec`: no value, or a property that the runtime itself decides on.
pub(super) fn properties(config: &Spec) -> Result<Vec<Property>> {
    let asked = config.annotations().iter().flatten();
    let mut asked: Vec<_> =
        asked.filter_map(|(key, value)| Some((key, key.strip_prefix(SYSTEMD_PROPERTY)?, value))).collect();
    asked.sort();
    asked.into_iter().map(|(key, name, value)| property(key, name, value)).collect()
}

fn property(key: &str, name: &str, value: &str) -> Result<Property> {
    let pointer = pointer::join("/annotations", key);
    let refused = |why: String| invalid(format!("annotation {key}={value:?}: {why}"), pointer.clone());
    if OURS.contains(&name) {
        return Err(refused("the runtime itself says that".to_owned()));
    }
    let value = text::parse(value).map_err(refused)?;
    let (name, value) = microseconds(name, value).map_err(refused)?;
    Ok(Property { name, value, pointer })
}

/// A time `XSec` is given in seconds, and systemd's own property is `XUSec`, in microseconds.
fn microseconds(name: &str, value: Value) -> std::result::Result<(String, Value), String> {
    let stem = name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U'));
    let Some(stem) = stem else { return Ok((name.to_owned(), value)) };
    let million = |seconds: i128| seconds.checked_mul(1_000_000);
    let time = match &value {
        // What is too large for 64 bits is refused below; NaN is.
        Value::Double(bits) => {
            Some(f64::from_bits(*bits) * 1e6).filter(|time| !time.is_nan()).map(|time| time as i128)
        }
        Value::Byte(seconds) => million(i128::from(*seconds)),
        Value::Int16(seconds) => million(i128::from(*seconds)),
        Value::Uint16(seconds) => million(i128::from(*seconds)),
        Value::Int32(seconds) => million(i128::from(*seconds)),
        Value::Uint32(seconds) => million(i128::from(*seconds)),
        Value::Int64(seconds) => million(i128::from(*seconds)),
        Value::Uint64(seconds) => million(i128::from(*seconds)),
        _ => None,
    };
    let time = time.and_then(|time| text::whole(time, "t"));
    let time = time.ok_or_else(|| format!("{value} is no number of seconds"))?;
    Ok((format!("{stem}USec"), time))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(name: &str, value: &str) -> String {
        let annotations = json!({ format!("{SYSTEMD_PROPERTY}{name}"): value, "other": "x" });
        let config = json!({"ociVersion": "1.3.0", "annotations": annotations});
        match properties(&serde_json::from_value(config).unwrap()) {
            Ok(properties) => properties.iter().map(Property::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => {
                assert_eq!(error.pointer(), Some(format!("/annotations/{SYSTEMD_PROPERTY}{name}").as_str()));
                format!("no: {}", error.message())
            }
        }
    }

    #[test]
    fn seconds_become_microseconds_and_everything_else_stays() {
        for (name, value, expected) in [
            ("TimeoutStopUSec", "uint64 123456789", "TimeoutStopUSec=123456789"),
            ("TimeoutStopSec", "5", "TimeoutStopUSec=5000000"),
            ("TimeoutStopSec", "uint64 5", "TimeoutStopUSec=5000000"),
            ("TimeoutStopSec", "0.5", "TimeoutStopUSec=500000"),
            ("CollectMode", "'inactive'", "CollectMode=\"inactive\""),
            ("Documentation", "['man:a', 'man:b']", "Documentation=[\"man:a\", \"man:b\"]"),
        ] {
            assert_eq!(of(name, value), expected, "{name} {value}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused_with_its_place() {
        for (name, value) in [
            ("TimeoutStopSec", "'5s'"),
            ("TimeoutStopSec", "-1"),
            ("TimeoutStopSec", "double 1e300"),
            ("TimeoutStopSec", "double nan"),
            ("MemoryMax", "lots"),
            ("MemoryMax", ""),
            ("Slice", "'a.slice'"),
            ("PIDs", "@au [1]"),
        ] {
            let told = of(name, value);
            assert!(told.starts_with("no: "), "{name} {value}: {told}");
        }
    }

    #[test]
    fn they_come_in_the_order_of_their_names() {
        let annotations = json!({"org.systemd.property.Bbb": "1", "org.systemd.property.Aaa": "2"});
        let config = json!({"ociVersion": "1.3.0", "annotations": annotations});
        let all = properties(&serde_json::from_value(config).unwrap()).unwrap();
        assert_eq!(all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["Aaa", "Bbb"]);
    }
}

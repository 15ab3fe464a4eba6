//! `linux.resources.blockIO`: the values of its files.

use oci_spec::runtime::{LinuxBlockIo, LinuxResources, LinuxThrottleDevice, LinuxWeightDevice};

use super::table::Item;

pub(super) fn weight(resources: &LinuxResources) -> Option<String> {
    Some(set(field(resources)?.weight())?.to_string())
}

pub(super) fn leaf_weight(resources: &LinuxResources) -> Option<String> {
    Some(set(field(resources)?.leaf_weight())?.to_string())
}

/// For `io.weight`, which has another range than the field.
pub(super) fn converted(resources: &LinuxResources) -> Option<String> {
    Some(io_weight(set(field(resources)?.weight())?).to_string())
}

pub(super) fn weights(resources: &LinuxResources) -> Vec<Item> {
    of_devices(resources, "weight", |device| set(device.weight()))
}

pub(super) fn converted_weights(resources: &LinuxResources) -> Vec<Item> {
    of_devices(resources, "weight", |device| set(device.weight()).map(io_weight))
}

pub(super) fn leaf_weights(resources: &LinuxResources) -> Vec<Item> {
    of_devices(resources, "leafWeight", |device| set(device.leaf_weight()))
}

fn of_devices(
    resources: &LinuxResources,
    key: &str,
    weight: fn(&LinuxWeightDevice) -> Option<u16>,
) -> Vec<Item> {
    let devices = field(resources).and_then(|io| io.weight_device().as_deref()).unwrap_or_default();
    let item = |(index, device): (usize, &LinuxWeightDevice)| {
        let value = format!("{}:{} {}", device.major(), device.minor(), weight(device)?);
        Some(Item { key: String::new(), value, below: format!("/{index}/{key}") })
    };
    devices.iter().enumerate().filter_map(item).collect()
}

/// 10 to 1000 as 1 to 10000.
fn io_weight(weight: u16) -> u16 {
    let weight = u32::from(weight).clamp(10, 1000);
    u16::try_from(1 + (weight - 10) * 9999 / 990).unwrap_or(10_000)
}

/// 0 is unset.
fn set(weight: Option<u16>) -> Option<u16> {
    weight.filter(|weight| *weight != 0)
}

type Throttles = Option<Vec<LinuxThrottleDevice>>;

/// v1 has one file for each kind of limit, and takes 0 for none.
fn v1(throttles: &Throttles) -> Vec<Item> {
    let value =
        |device: &LinuxThrottleDevice| format!("{}:{} {}", device.major(), device.minor(), device.rate());
    items(throttles, value)
}

/// v2 has one file for all kinds, and names them.
fn v2(throttles: &Throttles, name: &str) -> Vec<Item> {
    let value = |device: &LinuxThrottleDevice| {
        let rate = if device.rate() == 0 { "max".to_owned() } else { device.rate().to_string() };
        format!("{}:{} {name}={rate}", device.major(), device.minor())
    };
    items(throttles, value)
}

fn items(throttles: &Throttles, value: impl Fn(&LinuxThrottleDevice) -> String) -> Vec<Item> {
    let devices = throttles.as_deref().unwrap_or_default().iter().enumerate();
    devices.map(|(index, device)| Item::at(index, value(device))).collect()
}

macro_rules! throttles {
    ($($v1:ident $v2:ident $field:ident;)*) => {$(
        pub(super) fn $v1(resources: &LinuxResources) -> Vec<Item> {
            field(resources).map(|io| v1(io.$field())).unwrap_or_default()
        }

        pub(super) fn $v2(resources: &LinuxResources) -> Vec<Item> {
            field(resources).map(|io| v2(io.$field(), stringify!($v2))).unwrap_or_default()
        }
    )*};
}

throttles! {
    read_bps rbps throttle_read_bps_device;
    write_bps wbps throttle_write_bps_device;
    read_iops riops throttle_read_iops_device;
    write_iops wiops throttle_write_iops_device;
}

fn field(resources: &LinuxResources) -> Option<&LinuxBlockIo> {
    resources.block_io().as_ref()
}

#[cfg(test)]
mod tests {
    use super::io_weight;

    #[test]
    fn block_io_weights_become_io_weights_by_the_linear_formula() {
        for (weight, expected) in [(10, 1), (11, 11), (100, 910), (500, 4950), (1000, 10_000)] {
            assert_eq!(io_weight(weight), expected, "{weight}");
        }
        let all: Vec<_> = (10..=1000).map(io_weight).collect();
        assert!(all.is_sorted());
    }
}

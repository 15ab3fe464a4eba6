//! Moves network devices into the container while init waits, and back if the container does not come to be.
//!
//! Init opened a netlink socket in its network namespace and sent it: through it the caller works there without ever entering. The socket
//! keeps the namespace alive, so that a device can be taken back from an init that is dead: a virtual one would end with its namespace, a
//! real one would fall to the machine's first namespace under another name.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::Launch;
use crate::plan::{NetDevice, namespaces};
use crate::sys::fs::own_namespace;
use crate::sys::netlink::{Address, Destination, Link, Netlink};
use crate::{Error, ErrorKind, Result};

/// The devices that were moved. Dropped, it moves them back; [`Devices::keep`] leaves them.
#[derive(Debug)]
pub(super) struct Devices {
    caller: Netlink,
    container: Netlink,
    /// The caller's network namespace.
    home: OwnedFd,
    moved: Vec<Moved>,
}

/// One device and what it was.
#[derive(Debug)]
struct Moved {
    device: NetDevice,
    /// Its name in the container.
    inside: String,
    link: Link,
    addresses: Vec<Address>,
}

impl Launch {
    /// Moves every device of the plan.
    pub(super) fn move_devices(&mut self) -> Result<()> {
        let Some(socket) = self.offered.take() else {
            return Err(Error::new(ErrorKind::Internal, "init asked for devices and sent no socket"));
        };
        let pid = self.peer.pid();
        let devices = Devices::between(socket).map_err(|error| {
            Error::io("reach the network namespace of the container", &error).at("/linux/netDevices")
        })?;
        let devices = self.devices.insert(devices);
        self.prepared.plan.net_devices.iter().try_for_each(|device| devices.take(device, pid))
    }
}

impl Devices {
    fn between(socket: OwnedFd) -> io::Result<Self> {
        let home = own_namespace(namespaces::kind::NETWORK)?;
        Ok(Self { caller: Netlink::new()?, container: Netlink::with(socket), home, moved: Vec::new() })
    }

    /// Leaves the devices where they are.
    pub(super) fn keep(mut self) {
        self.moved.clear();
    }

    fn take(&mut self, device: &NetDevice, pid: i32) -> Result<()> {
        let link = self.caller.link(&device.name).map_err(|error| missing(device, &error))?;
        let addresses = self
            .caller
            .addresses(link.index)
            .map_err(|error| failed("list the addresses of", device, &error))?;
        self.caller.set_up(link.index, false).map_err(|error| failed("take down", device, &error))?;
        let result = self.caller.move_link(link.index, Destination::Process(pid), &device.target);
        // The kernel moves first and names then: a refused name leaves the device there under its old one.
        let is_here = result.is_err() && self.caller.link(&device.name).is_ok();
        if is_here {
            restore(&mut self.caller, link, &addresses);
        } else {
            let inside = if result.is_ok() { &device.target } else { &device.name };
            let (device, inside) = (device.clone(), inside.clone());
            self.moved.push(Moved { device, inside, link, addresses: addresses.clone() });
        }
        result.map_err(|error| immovable(device, &error))?;
        // The number it had may be taken there.
        let index = self.container.link(&device.target).map(|link| link.index);
        let index = index.map_err(|error| failed("find in the container", device, &error))?;
        for address in &addresses {
            self.container
                .add_address(index, address)
                .map_err(|error| failed("give its address back to", device, &error))?;
        }
        self.container.set_up(index, true).map_err(|error| failed("bring up", device, &error))
    }

    fn give_back(&mut self, moved: &Moved) -> io::Result<()> {
        let Moved { device, inside, link, addresses } = moved;
        let index = self.container.link(inside)?.index;
        self.container.set_up(index, false)?;
        self.container.move_link(index, Destination::Namespace(self.home.as_fd()), &device.name)?;
        let index = self.caller.link(&device.name)?.index;
        restore(&mut self.caller, Link { index, ..*link }, addresses);
        Ok(())
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        while let Some(moved) = self.moved.pop() {
            if let Err(error) = self.give_back(&moved) {
                log::warn!("network device {:?} was not moved back: {error}", moved.device.name);
            }
        }
    }
}

/// Gives a device of ours what it loses when it is taken down. IPv6 addresses go with it, most others stay.
fn restore(caller: &mut Netlink, link: Link, addresses: &[Address]) {
    for address in addresses {
        if let Err(error) = caller.add_address(link.index, address) {
            log::warn!("network device {}: an address is lost: {error}", link.index);
        }
    }
    if link.is_up {
        if let Err(error) = caller.set_up(link.index, true) {
            log::warn!("network device {} stays down: {error}", link.index);
        }
    }
}

fn missing(device: &NetDevice, error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::ENODEV) => {
            let message = format!("network device {:?} does not exist", device.name);
            Error::new(ErrorKind::InvalidSpec, message).at(device.pointer())
        }
        _ => failed("find", device, error),
    }
}

fn immovable(device: &NetDevice, error: &io::Error) -> Error {
    let why = match error.raw_os_error() {
        Some(libc::EEXIST) => format!("the container has a device {:?} already", device.target),
        Some(libc::EINVAL) => "a device of this kind stays in its network namespace".to_owned(),
        _ => return failed("move", device, error),
    };
    failed("move", device, error).remark(why)
}

fn failed(what: &str, device: &NetDevice, error: &io::Error) -> Error {
    Error::io(format!("{what} network device {:?}", device.name), error).at(device.pointer())
}

//! Where systemd's managers are heard.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use nix::unistd::geteuid;

use crate::plan::cgroup::systemd::Manager;

/// A socket at which a manager is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub socket: Socket,
    /// A bus is between, which wants to be greeted.
    pub is_bus: bool,
}

/// The name of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    Path(PathBuf),
    /// In the kernel's own table of names.
    Abstract(Vec<u8>),
}

/// The sockets of a manager in the order in which they are tried: the one that the environment names, the manager's own, the usual bus.
pub(super) fn addresses(manager: Manager) -> Vec<Address> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    addresses_by(manager, geteuid().as_raw(), variable)
}

fn addresses_by(manager: Manager, uid: u32, variable: impl Fn(&str) -> Option<OsString>) -> Vec<Address> {
    let (name, directory, bus) = match manager {
        Manager::System => ("DBUS_SYSTEM_BUS_ADDRESS", PathBuf::from("/run"), "dbus/system_bus_socket"),
        Manager::User => {
            let own = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
            ("DBUS_SESSION_BUS_ADDRESS", own.unwrap_or_else(|| format!("/run/user/{uid}").into()), "bus")
        }
    };
    let named = variable(name).map(|value| named(&value.into_vec())).unwrap_or_default();
    let at = |path: &str, is_bus| Address { socket: Socket::Path(directory.join(path)), is_bus };
    named.into_iter().chain([at("systemd/private", false), at(bus, true)]).collect()
}

/// The sockets of a list such as `unix:path=/run/bus,guid=1;unix:abstract=/tmp/x`.
fn named(list: &[u8]) -> Vec<Address> {
    let keys = list.split(|byte| *byte == b';').filter_map(|one| one.strip_prefix(b"unix:"));
    let pairs = keys.flat_map(|keys| keys.split(|byte| *byte == b','));
    let socket = |pair: &[u8]| match (pair.strip_prefix(b"path="), pair.strip_prefix(b"abstract=")) {
        (Some(path), _) => Some(Socket::Path(OsString::from_vec(unescaped(path)).into())),
        (_, Some(name)) => Some(Socket::Abstract(unescaped(name))),
        _ => None,
    };
    pairs.filter_map(socket).map(|socket| Address { socket, is_bus: true }).collect()
}

/// `%2f` is a byte.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, others)) = rest.split_first() {
        let digits =
            others.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = others.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    bytes
}

impl std::fmt::Display for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(manager: Manager, variables: &[(&str, &str)]) -> String {
        let variable = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        let all = addresses_by(manager, 7, variable);
        let shown =
            |address: &Address| format!("{}{}", if address.is_bus { "bus " } else { "" }, address.socket);
        all.iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_the_environment_names_comes_first() {
        let private = "/run/systemd/private, bus /run/dbus/system_bus_socket";
        assert_eq!(of(Manager::System, &[]), private);
        let named = of(
            Manager::System,
            &[("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/a%2fb%zz,guid=0;tcp:host=x;unix:abstract=/t")],
        );
        assert_eq!(named, format!("bus /a/b%zz, bus @/t, {private}"));
        assert_eq!(of(Manager::User, &[]), "/run/user/7/systemd/private, bus /run/user/7/bus");
        let user =
            of(Manager::User, &[("XDG_RUNTIME_DIR", "/x"), ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/y")]);
        assert_eq!(user, "bus /y, /x/systemd/private, bus /x/bus");
    }
}

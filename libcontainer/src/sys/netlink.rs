//! Just enough rtnetlink to move a device: find it, list its addresses, move and rename it, bring it up, give it addresses.
//!
//! A socket belongs for ever to the network namespace in which it was opened, whoever holds it: with one that was opened elsewhere and sent
//! to us, another namespace is reached without entering it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use libc::{
    IFA_ADDRESS, IFA_BROADCAST, IFA_F_PERMANENT, IFA_FLAGS, IFA_LOCAL, IFF_UP, IFLA_IFNAME, IFLA_NET_NS_FD,
    IFLA_NET_NS_PID, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_EXCL, NLM_F_REQUEST,
    NLMSG_DONE, NLMSG_ERROR, RT_SCOPE_UNIVERSE, RTM_GETADDR, RTM_GETLINK, RTM_NEWADDR, RTM_NEWLINK,
};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recvfrom, sendto, socket,
};

/// Length of `struct nlmsghdr` and of `struct ifinfomsg`, and of `struct ifaddrmsg`.
const HEADER: usize = 16;
const ADDRESS: usize = 8;
/// The kernel sends no longer datagram than 32 KiB.
const BUFFER: usize = 1 << 16;
/// How often a list is asked for again that changed while it was made.
const TRIES: u32 = 16;

/// A conversation with the kernel about one network namespace.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

/// A device as the kernel shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its number in the namespace.
    pub index: u32,
    /// Whether it is up.
    pub is_up: bool,
}

/// An address of a device, in the form in which the kernel takes it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    family: u8,
    prefix: u8,
    /// Attributes: the address, its peer, its broadcast address.
    attributes: Vec<(u16, Vec<u8>)>,
}

/// Where a device goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Destination<'a> {
    /// The network namespace of this process.
    Process(i32),
    /// The network namespace behind this descriptor.
    Namespace(BorrowedFd<'a>),
}

impl Netlink {
    /// Opens a socket in the network namespace of the calling thread.
    pub fn new() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        Ok(Self::with(super::fs::above_stdio(socket)?))
    }

    /// Takes a socket of whatever namespace.
    pub fn with(socket: OwnedFd) -> Self {
        Self { socket, sequence: 0 }
    }

    /// The device of that name; `ENODEV` if there is none.
    pub fn link(&mut self, name: &str) -> io::Result<Link> {
        let mut message = Message::new(RTM_GETLINK, 0, &link_body(0, 0, 0));
        message.attribute(IFLA_IFNAME, name_bytes(name).as_slice());
        let mut found = None;
        self.ask(message, |kind, body| {
            if kind == RTM_NEWLINK {
                found = link_of(body);
            }
        })?;
        found.ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
    }

    /// The permanent addresses of a device that are valid beyond its link: those that do not come by themselves.
    pub fn addresses(&mut self, index: u32) -> io::Result<Vec<Address>> {
        for _ in 0..TRIES {
            let message = Message::new(RTM_GETADDR, NLM_F_DUMP as u16, &[0; ADDRESS]);
            let mut found = Vec::new();
            let whole = self.ask(message, |kind, body| {
                if kind == RTM_NEWADDR {
                    found.extend(address_of(body, index));
                }
            })?;
            if whole {
                return Ok(found);
            }
        }
        Err(io::Error::from_raw_os_error(libc::EBUSY))
    }

    /// Takes a device down or brings it up.
    pub fn set_up(&mut self, index: u32, up: bool) -> io::Result<()> {
        let flags = if up { IFF_UP as u32 } else { 0 };
        let message = Message::new(RTM_NEWLINK, 0, &link_body(index, flags, IFF_UP as u32));
        self.ask(message, |_, _| {}).map(drop)
    }

    /// Moves a device and names it anew, in one step.
    pub fn move_link(&mut self, index: u32, to: Destination<'_>, name: &str) -> io::Result<()> {
        let mut message = Message::new(RTM_NEWLINK, 0, &link_body(index, 0, 0));
        let (attribute, number) = match to {
            Destination::Process(pid) => (IFLA_NET_NS_PID, pid),
            Destination::Namespace(fd) => (IFLA_NET_NS_FD, fd.as_raw_fd()),
        };
        message.attribute(attribute, &number.to_ne_bytes());
        message.attribute(IFLA_IFNAME, name_bytes(name).as_slice());
        self.ask(message, |_, _| {}).map(drop)
    }

    /// Gives a device an address; one that it has already is no error.
    pub fn add_address(&mut self, index: u32, address: &Address) -> io::Result<()> {
        let mut body = vec![address.family, address.prefix, 0, RT_SCOPE_UNIVERSE];
        body.extend(index.to_ne_bytes());
        let mut message = Message::new(RTM_NEWADDR, (NLM_F_CREATE | NLM_F_EXCL) as u16, &body);
        for (attribute, bytes) in &address.attributes {
            message.attribute(*attribute, bytes);
        }
        match self.ask(message, |_, _| {}) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Sends a request and shows every answer. False if the answers are a list that changed while it was made.
    fn ask(&mut self, mut message: Message, mut see: impl FnMut(u16, &[u8])) -> io::Result<bool> {
        self.sequence = self.sequence.wrapping_add(1);
        // With an address the kernel asks what the sender may do, and not what he might who opened the socket.
        let kernel = NetlinkAddr::new(0, 0);
        sendto(self.socket.as_raw_fd(), message.finish(self.sequence), &kernel, MsgFlags::empty())?;
        let mut buffer = vec![0; BUFFER];
        let mut whole = true;
        loop {
            let (length, from) = match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut buffer) {
                Err(nix::Error::EINTR) => continue,
                other => other?,
            };
            // Whoever has rights over the namespace may write to this socket as well; the kernel's number is 0.
            if from.is_none_or(|from| from.pid() != 0) {
                continue;
            }
            for answer in Answers(buffer.get(..length).unwrap_or(&[])) {
                if answer.sequence != self.sequence {
                    continue;
                }
                whole &= answer.flags & NLM_F_DUMP_INTR as u16 == 0;
                match i32::from(answer.kind) {
                    NLMSG_DONE => return Ok(whole),
                    NLMSG_ERROR => return outcome(answer.body).map(|()| whole),
                    _ => see(answer.kind, answer.body),
                }
            }
        }
    }
}

/// The number in front of an error message: 0 is the acknowledgement.
fn outcome(body: &[u8]) -> io::Result<()> {
    match number(body, 0).map(|word| word as i32) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn link_body(index: u32, flags: u32, change: u32) -> Vec<u8> {
    [0, index, flags, change].into_iter().flat_map(u32::to_ne_bytes).collect()
}

fn link_of(body: &[u8]) -> Option<Link> {
    Some(Link { index: number(body, 4)?, is_up: number(body, 8)? & IFF_UP as u32 != 0 })
}

/// The address of a message, if it is one of device `index` that is kept when the device moves.
fn address_of(body: &[u8], index: u32) -> Option<Address> {
    let (&[family, prefix, flags, scope], attributes) = (body.first_chunk()?, body.get(ADDRESS..)?);
    let attributes: Vec<(u16, Vec<u8>)> = Attributes(attributes).collect();
    // The flags of the header are the low ones of the attribute, which not every family sends.
    let wide = attributes.iter().find(|(kind, _)| *kind == IFA_FLAGS).and_then(|(_, bytes)| number(bytes, 0));
    let permanent = wide.unwrap_or(flags.into()) & IFA_F_PERMANENT != 0;
    if number(body, 4)? != index || scope != RT_SCOPE_UNIVERSE || !permanent {
        return None;
    }
    let kept = |kind: u16| [IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST].contains(&kind);
    let attributes = attributes.into_iter().filter(|(kind, _)| kept(*kind)).collect();
    Some(Address { family, prefix, attributes })
}

fn name_bytes(name: &str) -> Vec<u8> {
    name.bytes().chain([0]).collect()
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// A request under construction.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let flags = flags | (NLM_F_REQUEST | NLM_F_ACK) as u16;
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        Self(bytes)
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = (4 + value.len()) as u16;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn finish(&mut self, sequence: u32) -> &[u8] {
        let length = (self.0.len() as u32).to_ne_bytes();
        for (at, word) in [(0, length), (8, sequence.to_ne_bytes())] {
            if let Some(place) = self.0.get_mut(at..at + 4) {
                place.copy_from_slice(&word);
            }
        }
        &self.0
    }
}

/// One message of a datagram.
struct Answer<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

struct Answers<'a>(&'a [u8]);

impl<'a> Iterator for Answers<'a> {
    type Item = Answer<'a>;

    fn next(&mut self) -> Option<Answer<'a>> {
        let length = number(self.0, 0)? as usize;
        let bytes = self.0.get(..length)?;
        let answer = Answer {
            kind: short(bytes, 4)?,
            flags: short(bytes, 6)?,
            sequence: number(bytes, 8)?,
            body: bytes.get(HEADER..)?,
        };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(answer)
    }
}

struct Attributes<'a>(&'a [u8]);

impl Iterator for Attributes<'_> {
    type Item = (u16, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(short(self.0, 0)?);
        let attribute = (short(self.0, 2)?, self.0.get(4..length)?.to_vec());
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(attribute)
    }
}

const _: () = assert!(size_of::<libc::nlmsghdr>() == HEADER);

#[cfg(test)]
mod tests;

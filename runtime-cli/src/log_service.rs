//! Log services of the machine: systemd's journal and syslog, each by a datagram a line to its well-known socket.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// A connected service.
#[derive(Debug)]
pub struct Service {
    socket: UnixDatagram,
    protocol: &'static Protocol,
    /// Whose lines they are.
    name: String,
}

/// How a service is spoken to.
#[derive(Debug)]
struct Protocol {
    /// What `--log` begins with.
    prefix: &'static str,
    socket: &'static str,
    datagram: fn(&Line<'_>) -> Vec<u8>,
}

/// What is said.
struct Line<'a> {
    name: &'a str,
    level: log::Level,
    message: &'a str,
    pid: u32,
}

const PROTOCOLS: &[Protocol] = &[
    Protocol { prefix: "journald:", socket: "/run/systemd/journal/socket", datagram: journal },
    Protocol { prefix: "syslog:", socket: "/dev/log", datagram: syslog },
];

impl Service {
    /// The service that `--log` names, as `journald:NAME` or `syslog:NAME`; `None` for any other target. The error comes with the socket's path.
    pub fn open(target: &str, program: &str) -> Option<Result<Self, (&'static Path, io::Error)>> {
        let (protocol, name) =
            PROTOCOLS.iter().find_map(|protocol| Some((protocol, target.strip_prefix(protocol.prefix)?)))?;
        let name = if name.is_empty() { program } else { name }.to_owned();
        let path = Path::new(protocol.socket);
        let connected = UnixDatagram::unbound().and_then(|socket| socket.connect(path).map(|()| socket));
        Some(connected.map(|socket| Self { socket, protocol, name }).map_err(|error| (path, error)))
    }

    /// Says one thing.
    pub fn say(&self, level: log::Level, message: &str) -> io::Result<()> {
        let line = Line { name: &self.name, level, message, pid: std::process::id() };
        self.socket.send(&(self.protocol.datagram)(&line)).map(drop)
    }

    /// The number of its descriptor.
    pub fn number(&self) -> i32 {
        self.socket.as_raw_fd()
    }
}

/// Of syslog(3).
fn severity(level: log::Level) -> u8 {
    match level {
        log::Level::Error => 3,
        log::Level::Warn => 4,
        log::Level::Info => 6,
        log::Level::Debug | log::Level::Trace => 7,
    }
}

/// The native protocol of the journal: fields as `KEY=value`, or with a length where the value has more than one line. `ID` is the field that crun writes.
fn journal(line: &Line<'_>) -> Vec<u8> {
    let (severity, pid) = (severity(line.level).to_string(), line.pid.to_string());
    let fields = [
        ("MESSAGE", line.message),
        ("PRIORITY", &severity),
        ("SYSLOG_IDENTIFIER", line.name),
        ("SYSLOG_PID", &pid),
        ("ID", line.name),
    ];
    let mut datagram = Vec::new();
    for (key, value) in fields {
        datagram.extend(key.as_bytes());
        if value.contains('\n') {
            datagram.push(b'\n');
            datagram.extend((value.len() as u64).to_le_bytes());
        } else {
            datagram.push(b'=');
        }
        datagram.extend(value.as_bytes());
        datagram.push(b'\n');
    }
    datagram
}

/// RFC 3164 without the time, which the service adds: the local one is not this program's to know.
fn syslog(line: &Line<'_>) -> Vec<u8> {
    const USER: u8 = 1 << 3;
    let message = line.message.replace('\n', " ");
    format!("<{}>{}[{}]: {message}", USER | severity(line.level), line.name, line.pid).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> Line<'_> {
        Line { name: "web", level: log::Level::Error, message, pid: 7 }
    }

    #[test]
    fn the_journal_gets_fields_and_lengths_of_many_lines() {
        let text = String::from_utf8(journal(&line("no such file"))).unwrap();
        assert_eq!(text, "MESSAGE=no such file\nPRIORITY=3\nSYSLOG_IDENTIFIER=web\nSYSLOG_PID=7\nID=web\n");
        assert!(
            journal(&line("a\nPRIORITY=0"))
                .starts_with(b"MESSAGE\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\nPRIORITY=3\n")
        );
    }

    #[test]
    fn syslog_gets_one_line() {
        assert_eq!(syslog(&line("a\n<0>b")), b"<11>web[7]: a <0>b");
    }

    #[test]
    fn only_the_prefixes_name_a_service() {
        for target in ["file:/x", "/journald:x", "journald", ""] {
            assert!(Service::open(target, "teu").is_none(), "{target}");
        }
    }
}

//! A manager of systemd for tests: the other end of a socket, which says what a test tells it to say.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use super::address::{Address, Socket};
use super::wire::{self, ERROR, Message, REPLY, SIGNAL, Writer};
use crate::plan::cgroup::systemd::Value;

/// A socket with somebody behind it. Dropped, it waits for the end of the conversation.
pub(super) struct Fake {
    path: PathBuf,
    thread: Option<JoinHandle<Vec<String>>>,
}

/// The manager's side of a conversation.
pub(super) struct Talk {
    stream: UnixStream,
    buffer: Vec<u8>,
    /// The members that were called.
    pub heard: Vec<String>,
}

/// A call that was heard.
pub(super) struct Heard {
    pub serial: u32,
    pub message: Message,
    pub bytes: Vec<u8>,
}

pub(super) fn path() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("teu-fake-systemd-{}-{count}", std::process::id()))
}

impl Fake {
    /// Listens and lets `script` talk with the first who comes.
    pub fn new(script: impl FnOnce(&mut Talk) + Send + 'static) -> Self {
        let path = path();
        let listener = UnixListener::bind(&path).unwrap();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut talk = Talk { stream, buffer: Vec::new(), heard: Vec::new() };
            script(&mut talk);
            talk.heard
        });
        Self { path, thread: Some(thread) }
    }

    pub fn address(&self, is_bus: bool) -> Vec<Address> {
        vec![Address { socket: Socket::Path(self.path.clone()), is_bus }]
    }

    /// The end of the conversation: what was called.
    pub fn heard(mut self) -> Vec<String> {
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
    }
}

impl Talk {
    /// Lets the caller in.
    pub fn login(&mut self) {
        self.wait_for(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n");
        self.send(b"DATA\r\nOK 0123456789abcdef\r\n");
    }

    fn wait_for(&mut self, bytes: &[u8]) {
        while self.buffer.len() < bytes.len() {
            assert!(self.fill(), "the caller has gone");
        }
        assert_eq!(self.buffer.drain(..bytes.len()).collect::<Vec<_>>(), bytes);
    }

    pub fn send(&mut self, bytes: &[u8]) {
        // A caller that has gone is part of some tests.
        let _ = self.stream.write_all(bytes);
    }

    /// Whether anybody is there to hear it.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Says nothing more, and hears what the caller still has to say.
    pub fn shut_and_drain(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
        self.say_nothing();
    }

    fn fill(&mut self) -> bool {
        let mut bytes = [0; 512];
        let count = self.stream.read(&mut bytes).unwrap_or(0);
        self.buffer.extend(&bytes[..count]);
        count > 0
    }

    /// The next call; `None` when the caller has gone.
    pub fn hear(&mut self) -> Option<Heard> {
        loop {
            match wire::length(&self.buffer).unwrap() {
                Some(length) if length <= self.buffer.len() => {
                    let bytes: Vec<u8> = self.buffer.drain(..length).collect();
                    let message = wire::parse(&bytes).unwrap();
                    self.heard.push(message.member.clone());
                    let serial = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
                    return Some(Heard { serial, message, bytes });
                }
                _ if self.fill() => {}
                _ => return None,
            }
        }
    }

    /// Waits until the caller goes.
    pub fn say_nothing(&mut self) {
        while self.fill() {}
    }

    /// Hears the call of that member, whatever comes before it is answered.
    pub fn expect(&mut self, member: &str) -> Heard {
        loop {
            let heard = self.hear().expect("the caller has gone");
            if heard.message.member == member {
                return heard;
            }
            self.reply(&heard, &[]);
        }
    }

    pub fn reply(&mut self, to: &Heard, body: &[Value]) {
        let answers = (5, Value::Uint32(to.serial));
        self.say(REPLY, vec![answers], body);
    }

    pub fn refuse(&mut self, to: &Heard, name: &str, text: &str) {
        let fields = vec![(4, Value::text(name)), (5, Value::Uint32(to.serial))];
        self.say(ERROR, fields, &[Value::text(text)]);
    }

    pub fn job_removed(&mut self, job: &str, result: &str) {
        let body =
            [Value::Uint32(1), Value::Path(job.to_owned()), Value::text("x.scope"), Value::text(result)];
        self.signal("JobRemoved", &body);
    }

    pub fn signal(&mut self, member: &str, body: &[Value]) {
        let fields = vec![
            (1, Value::Path("/org/freedesktop/systemd1".to_owned())),
            (2, Value::text("org.freedesktop.systemd1.Manager")),
            (3, Value::text(member)),
        ];
        self.say(SIGNAL, fields, body);
    }

    fn say(&mut self, kind: u8, fields: Vec<(u8, Value)>, body: &[Value]) {
        let bytes = message(kind, fields, body);
        self.send(&bytes);
    }
}

/// The bytes of a message of any kind.
pub(super) fn message(kind: u8, mut fields: Vec<(u8, Value)>, body: &[Value]) -> Vec<u8> {
    let mut content = Writer::default();
    body.iter().for_each(|value| content.put(value));
    let signature: String = body.iter().map(Value::signature).collect();
    fields.push((8, Value::Signature(signature)));
    let field = |(code, value)| Value::Struct(vec![Value::Byte(code), Value::Variant(Box::new(value))]);
    let mut message = Writer(vec![b'l', kind, 0, 1]);
    message.count(content.0.len());
    message.number(&1u32.to_le_bytes());
    message.put(&Value::Array("(yv)".to_owned(), fields.into_iter().map(field).collect()));
    message.pad(8);
    message.0.extend(content.0);
    message.0
}

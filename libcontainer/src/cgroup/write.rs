//! The early writes of a plan: opening the file, with the controller that it belongs to, and the value.

use std::borrow::Cow;
use std::os::fd::{AsFd, OwnedFd};

use super::create::{CONTEXT, enable};
use super::files::{is_tolerated, write_open};
use super::{Cgroup, Dir, failed};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::{Care, CgroupPlan, FileWrite, Tolerate, device_transition};

/// Does the early writes of a plan in order. Consecutive ones to one file share its descriptor: a v1 device filter is a
/// dozen lines for one file.
pub(super) struct Writer<'a> {
    cgroup: &'a Cgroup,
    plan: &'a CgroupPlan,
    last: Option<(usize, Cow<'static, str>, OwnedFd)>,
    note: Option<Note<'a>>,
}

/// Is told of each write, with the index of its directory, before it is done.
type Note<'a> = &'a mut dyn FnMut(usize, &FileWrite);

impl<'a> Writer<'a> {
    pub fn new(cgroup: &'a Cgroup, plan: &'a CgroupPlan) -> Self {
        Self { cgroup, plan, last: None, note: None }
    }

    /// The same, telling of each write before it is done.
    pub fn noting(self, note: Note<'a>) -> Self {
        Self { note: Some(note), ..self }
    }

    pub fn write_all(mut self) -> Result<()> {
        let writes = self.early()?;
        let mut again = Vec::new();
        for write in writes.iter() {
            match self.write(write) {
                Err(error) if write.care.again && error.errno() == Some(libc::EINVAL) => again.push(write),
                written => written?,
            }
        }
        again.into_iter().try_for_each(|write| self.write(write))
    }

    /// A v1 directory that was there already has device rules: only what differs from them is written.
    fn early(&self) -> Result<Cow<'a, [FileWrite]>> {
        let dir = self.cgroup.dirs.iter().find(|dir| dir.found && dir.serves("devices"));
        let Some(dir) = dir else { return Ok(Cow::Borrowed(&self.plan.early)) };
        let present = dir.read("devices.list");
        let present =
            present.map_err(|e| failed(format!("{CONTEXT}: read {}", dir.file("devices.list")), &e))?;
        Ok(Cow::Owned(device_transition(&self.plan.early, &present)))
    }

    pub fn write(&mut self, write: &FileWrite) -> Result<()> {
        let made = self.cgroup.made(self.plan, write.dir);
        let Some((index, dir)) = made.and_then(|index| Some((index, self.cgroup.dirs.get(index)?))) else {
            return Ok(());
        };
        let (fd, write) = match self.last.take() {
            Some((last, file, fd)) if last == index && file == write.file => (fd, Cow::Borrowed(write)),
            _ => match open_for(dir, write)? {
                Some(opened) => opened,
                None => return Ok(()),
            },
        };
        if let Some(note) = &mut self.note {
            note(index, &write);
        }
        write_open(fd.as_fd(), &write, &dir.file(&write.file))?;
        self.last = Some((index, write.file.clone(), fd));
        Ok(())
    }
}

/// Opens the file of a planned write, or of the one that stands for it where that does not exist. `None` is a file whose
/// absence the plan tolerates.
pub(super) fn open_for<'a>(dir: &Dir, write: &'a FileWrite) -> Result<Option<(OwnedFd, Cow<'a, FileWrite>)>> {
    check_usage(dir, write)?;
    match (open(dir, write), &write.care.instead) {
        (Err(error), Some((file, value))) if is_missing(&error) => {
            let instead = FileWrite {
                file: file.clone(),
                value: value.clone(),
                care: Care { instead: None, ..write.care.clone() },
                ..write.clone()
            };
            // Which of the two is missing is no help to anybody: the first is what was asked for.
            match open(dir, &instead) {
                Err(second) if is_missing(&second) => Err(error),
                opened => Ok(opened?.map(|fd| (fd, Cow::Owned(instead)))),
            }
        }
        (opened, _) => Ok(opened?.map(|fd| (fd, Cow::Borrowed(write)))),
    }
}

fn is_missing(error: &Error) -> bool {
    error.kind() == ErrorKind::Unsupported
}

/// On cgroup2 a file exists only when the directories above have its controller enabled, so they are asked for that when
/// it does not.
fn open(dir: &Dir, write: &FileWrite) -> Result<Option<OwnedFd>> {
    let first = dir.open_file(&write.file, libc::O_WRONLY);
    let opened = match first {
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) && dir.is_v2() && write.controller() != "cgroup" => {
            match enable(dir, write.controller()) {
                Err(e) if is_missing(&e) && write.tolerate != Tolerate::Nothing => return Ok(None),
                Err(e) => return Err(e.at(write.pointer.clone())),
                Ok(()) => dir.open_file(&write.file, libc::O_WRONLY),
            }
        }
        other => other,
    };
    match opened {
        Ok(fd) => Ok(Some(fd)),
        Err(e) if is_tolerated(&e, write.tolerate) => Ok(None),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => {
            let message = format!("cgroup: {} does not exist", dir.file(&write.file));
            Err(Error::new(ErrorKind::Unsupported, message).at(write.pointer.clone()))
        }
        Err(e) => {
            Err(failed(format!("{CONTEXT}: open {}", dir.file(&write.file)), &e).at(write.pointer.clone()))
        }
    }
}

/// What cannot be read is not checked: the group may be without its controller yet, and then nothing is in use.
fn check_usage(dir: &Dir, write: &FileWrite) -> Result<()> {
    let Some((file, limit)) = write.care.usage else { return Ok(()) };
    let usage = dir.read(file).ok().and_then(|text| text.trim().parse::<u64>().ok());
    match usage.filter(|usage| *usage >= limit) {
        Some(usage) => {
            let what = if write.pointer.ends_with("/memory/swap") { "memory+swap" } else { "memory" };
            let message = format!("rejecting {what} limit {limit} <= usage {usage}");
            Err(Error::new(ErrorKind::Cgroup, message).at(write.pointer.clone()))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;

//! What systemd is asked to do with the unit of a container. One connection for each operation, no thread, nothing kept in between.
//!
//! Law: whoever waits for systemd waits no longer than the caller's patience and [`LONGEST`]; only the result "done" of a job is success.

mod address;
mod bus;
mod wire;

use std::time::{Duration, Instant};

use self::address::Address;
use self::bus::{Answer, Bus, Limit, refused};
use self::wire::{Call, Message};
use crate::cgroup::RecordedUnit;
use crate::plan::cgroup::systemd::{Destination, Manager, Property, UnitPlan, Value};
use crate::until::Until;
use crate::{Error, ErrorKind, Result};

/// How long a job may take if the caller has more patience.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

const SYSTEMD: &str = "org.freedesktop.systemd1";
const OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const JOB_REMOVED: &str = "JobRemoved";
const WATCH: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
    interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
/// What a caller can do to whom systemd refuses it.
const BELOW: &str = "whoever is below the user's manager needs no help: systemd-run --user --scope";
/// A job takes the place of another one that waits for the same unit.
const MODE: &str = "replace";

/// A manager that listens.
pub(crate) struct Systemd<'a> {
    bus: Bus<'a>,
}

/// How far a start has come when it failed.
#[derive(Debug)]
pub(crate) struct NotStarted {
    pub error: Error,
    /// systemd has accepted the unit: it is ours and has to be stopped.
    pub accepted: bool,
}

impl<'a> Systemd<'a> {
    /// Connects to a manager, by the first of its sockets at which somebody listens.
    ///
    /// # Errors
    /// `Unsupported`: nobody does. `TimedOut`, `Cancelled`.
    pub fn connect(manager: Manager, until: &'a Until) -> Result<Self> {
        Self::first(address::addresses(manager), until, LONGEST)
    }

    fn first(addresses: Vec<Address>, until: &'a Until, longest: Duration) -> Result<Self> {
        let limit = Limit { until, end: Instant::now() + longest };
        let mut failures = Vec::new();
        for address in addresses {
            match Bus::connect(&address, limit.clone()) {
                Ok(bus) => return Ok(Self { bus }),
                Err(error) if absent(&error) => {
                    failures.push(format!("{}: {}", address.socket, error.message()))
                }
                Err(error) => return Err(error.context(address.socket).context("systemd")),
            }
        }
        let message = format!("systemd cannot be asked for a cgroup: {}", failures.join("; "));
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// Starts a transient unit with these processes in it, and waits until it has been started.
    ///
    /// # Errors
    /// `Busy`: a unit of that name is there. What systemd does not like, with the place that asked for it.
    pub fn start(&mut self, unit: &UnitPlan, pids: &[i32]) -> std::result::Result<(), NotStarted> {
        let before =
            |error: Error| NotStarted { error: error.context(cannot("start", &unit.name)), accepted: false };
        let job = self.subscribe().and_then(|()| self.accept(unit, pids)).map_err(before)?;
        self.finish(&job)
            .map_err(|error| NotStarted { error: error.context(cannot("start", &unit.name)), accepted: true })
    }

    fn subscribe(&mut self) -> Result<()> {
        self.bus.watch(JOB_REMOVED, WATCH)?;
        self.bus.ask(&call("Subscribe", &[])).map(drop)
    }

    /// Gives the path of the job. Properties that an older systemd does not know are left out, unless an annotation asked for them: what they limit is
    /// limited by the files as well.
    fn accept(&mut self, unit: &UnitPlan, pids: &[i32]) -> Result<String> {
        let mut properties = unit.properties.clone();
        let mut reset = false;
        loop {
            let body = start_body(&unit.name, &properties, pids);
            let (name, text) = match self.bus.call(&call("StartTransientUnit", &body))? {
                Answer::Done(message) => return Ok(message.text(0).to_owned()),
                Answer::Refused { name, text } => (name, text),
            };
            if name.ends_with(".UnitExists") && !reset {
                // One that failed keeps its name until somebody has taken notice.
                reset = true;
                self.reset_failed(&unit.name)?;
            } else if name.ends_with(".UnitExists") {
                return Err(Error::new(ErrorKind::Busy, "a unit of that name exists already"));
            } else {
                leave_out(&mut properties, &name, &text)?;
            }
        }
    }

    /// Stops a unit and forgets that it may have failed. One that is gone is no error.
    ///
    /// # Errors
    /// Another result of the job.
    pub fn stop(&mut self, unit: &str) -> Result<()> {
        self.stop_and_wait(unit).map_err(|error| error.context(cannot("stop", unit)))
    }

    fn stop_and_wait(&mut self, unit: &str) -> Result<()> {
        self.subscribe()?;
        match self.bus.call(&call("StopUnit", &[Value::text(unit), Value::text(MODE)]))? {
            Answer::Done(job) => self.finish(job.text(0))?,
            Answer::Refused { name, .. } if name.ends_with(".NoSuchUnit") => return Ok(()),
            Answer::Refused { name, text } => return Err(refused(&name, &text)),
        }
        self.reset_failed(unit)
    }

    /// What systemd says to it is of no interest: a unit that is gone has not failed.
    fn reset_failed(&mut self, unit: &str) -> Result<()> {
        self.bus.call(&call("ResetFailedUnit", &[Value::text(unit)])).map(drop)
    }

    /// Sets properties of a unit that runs, until it ends.
    ///
    /// # Errors
    /// What systemd does not like, with the place that asked for it.
    pub fn set(&mut self, unit: &UnitPlan) -> Result<()> {
        let mut properties = unit.properties.clone();
        while !properties.is_empty() {
            let body = [Value::text(&unit.name), Value::Bool(true), pairs(&properties)];
            let context = |error: Error| error.context(cannot("change", &unit.name));
            match self.bus.call(&call("SetUnitProperties", &body)).map_err(context)? {
                Answer::Done(_) => return Ok(()),
                Answer::Refused { name, text } => {
                    leave_out(&mut properties, &name, &text).map_err(context)?
                }
            }
        }
        Ok(())
    }

    /// Moves a process there, for a caller who may not do it himself.
    ///
    /// # Errors
    /// The unit is gone, or systemd does not move it.
    pub fn attach(&mut self, to: &Destination, pid: i32) -> Result<()> {
        let pids = Value::Array("u".to_owned(), vec![Value::Uint32(pid.unsigned_abs())]);
        let body = [Value::text(&to.unit), Value::text(&to.below), pids];
        self.bus.ask(&call("AttachProcessesToUnit", &body)).map(drop)
    }

    /// Waits for the end of a job.
    fn finish(&mut self, job: &str) -> Result<()> {
        loop {
            let signal = self.bus.signal()?;
            if signal.interface == MANAGER && signal.text(1) == job {
                return finished(&signal);
            }
        }
    }
}

/// Stops a recorded unit.
///
/// # Errors
/// As [`Systemd::connect`] and [`Systemd::stop`].
pub(crate) fn stop(unit: &RecordedUnit, until: &Until) -> Result<()> {
    Systemd::connect(unit.manager, until)?.stop(&unit.name)
}

/// Moves a process into a cgroup that a manager has.
///
/// # Errors
/// As [`Systemd::connect`] and [`Systemd::attach`].
pub(crate) fn attach(to: &Destination, pid: i32, until: &Until) -> Result<()> {
    attach_by(Systemd::connect(to.manager, until), to, pid)
}

fn attach_by(systemd: Result<Systemd<'_>>, to: &Destination, pid: i32) -> Result<()> {
    let cannot = || cannot("attach a process to", &format!("{}{}", to.unit, to.below));
    let attached = systemd.and_then(|mut systemd| systemd.attach(to, pid));
    attached.map_err(|error| error.context(cannot()).remark(BELOW))
}

fn finished(signal: &Message) -> Result<()> {
    match signal.text(3) {
        "done" => Ok(()),
        other => Err(Error::new(ErrorKind::Cgroup, format!("its job ended with {other:?}"))),
    }
}

fn absent(error: &Error) -> bool {
    matches!(
        error.errno(),
        Some(libc::ENOENT | libc::ECONNREFUSED | libc::EACCES | libc::EPERM | libc::ENOTDIR)
    )
}

fn cannot(verb: &str, unit: &str) -> String {
    format!("systemd: cannot {verb} unit {unit}")
}

fn call<'a>(member: &'a str, body: &'a [Value]) -> Call<'a> {
    Call { destination: SYSTEMD, path: OBJECT, interface: MANAGER, member, body }
}

fn pairs(properties: &[Property]) -> Value {
    let pairs = properties.iter().map(|property| Value::named(&property.name, property.value.clone()));
    Value::Array("(sv)".to_owned(), pairs.collect())
}

fn start_body(unit: &str, properties: &[Property], pids: &[i32]) -> [Value; 4] {
    let mut pairs = pairs(properties);
    if let (Value::Array(_, list), false) = (&mut pairs, pids.is_empty()) {
        let pids = pids.iter().map(|pid| Value::Uint32(pid.unsigned_abs())).collect();
        list.push(Value::named("PIDs", Value::Array("u".to_owned(), pids)));
    }
    let others = Value::Array("(sa(sv))".to_owned(), Vec::new());
    [Value::text(unit), Value::text(MODE), pairs, others]
}

/// Takes out the property that systemd says it does not know; any other error is one. systemd names it in the text alone.
fn leave_out(properties: &mut Vec<Property>, name: &str, text: &str) -> Result<()> {
    let error = refused(name, text);
    let unknown = text.strip_prefix("Cannot set property ").filter(|_| name.ends_with(".PropertyReadOnly"));
    let unknown = unknown.and_then(|rest| rest.split(',').next());
    let index = unknown.and_then(|unknown| properties.iter().position(|property| property.name == unknown));
    let Some(index) = index else { return Err(placed(error, properties, text)) };
    let property = properties.remove(index);
    if property.pointer.starts_with("/annotations") {
        return Err(error.at(property.pointer));
    }
    log::debug!("systemd does not know the property {property}");
    Ok(())
}

/// Names the place that asked for the property that the text speaks of.
fn placed(error: Error, properties: &[Property], text: &str) -> Error {
    let words = || text.split(|character: char| !character.is_ascii_alphanumeric());
    let spoken = properties.iter().find(|property| words().any(|word| word == property.name));
    match spoken.filter(|property| property.pointer.starts_with('/')) {
        Some(property) => error.at(property.pointer.clone()),
        None => error,
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

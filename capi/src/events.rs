//! What happens to a container, by one descriptor.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use teu::events::{Event, EventOptions, Events as Source, OomCause, PressureResource, PressureTrigger};

use crate::abi::{
    teu_call, teu_container_t, teu_error_t, teu_event, teu_event_options, teu_event_type, teu_events_flag,
    teu_events_t, teu_oom, teu_pressure, teu_pressure_resource,
};
use crate::boundary::{boundary, quietly};
use crate::container::CONTAINERS;
use crate::context::{Context, check_flags};
use crate::failure::Failure;
use crate::ffi::{self, Filled, Place};
use crate::handle::Table;

static EVENTS: Table<Events> = Table::new(7, "source of events");

const NO_OOM: u64 = teu_events_flag::TEU_EVENTS_NO_OOM as u64;

/// What a `teu_events_t` stands for.
struct Events {
    context: Arc<Context>,
    /// That of `source`: asked for while another thread waits.
    fd: RawFd,
    source: Mutex<Source>,
}

/// Listens to what happens to the container from now on. `options` may be NULL. The container's own handle is not needed any more.
///
/// Errors: TEU_EINVAL, TEU_E2BIG, TEU_ENOTFOUND, TEU_ENOTRUNNING, TEU_EUNSUPPORTED (pressure that the machine does not measure), TEU_EPERM, TEU_ESYS.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_events_open(
    container: *mut teu_container_t,
    options: *const teu_event_options,
    out: *mut *mut teu_events_t,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("events", err, || {
        let out = Place::at(out, ptr::null_mut())?;
        let found = CONTAINERS.get(container)?;
        let given = ffi::read_or_default(options)?;
        check_flags(given.flags, NO_OOM)?;
        let pressure = ffi::pressures(given.pressure, given.n_pressure)?;
        let pressure = pressure.iter().map(trigger).collect::<Result<_, Failure>>()?;
        let options = EventOptions { no_oom: given.flags & NO_OOM != 0, pressure };
        let source = found.context.logging(|| found.container.events(&options))?;
        let (context, fd) = (Arc::clone(&found.context), source.fd().as_raw_fd());
        out.put(EVENTS.insert(Events { context, fd, source: Mutex::new(source) })?);
        Ok(0)
    })
}

/// The descriptor for poll and epoll: readable (POLLIN) when `teu_events_next` has something to say, and sometimes for nothing. Borrowed until
/// `teu_events_free`; -1 if `events` is none.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_events_fd(events: *const teu_events_t) -> c_int {
    quietly(-1, || EVENTS.find(events).map_or(-1, |events| events.fd))
}

/// The next event: 1 and the event, or 0 if nothing has happened. With `call` NULL it does not wait and allocates nothing; otherwise it waits for an
/// event. After TEU_EV_EXIT and TEU_EV_EMPTY nothing more comes. Threads that use one `events` wait for one another.
///
/// Errors: TEU_EINVAL, TEU_ETIMEDOUT, TEU_ECANCELED, TEU_ESYS.
/// Threads: any; callers of one handle take turns.
#[unsafe(no_mangle)]
pub extern "C" fn teu_events_next(
    events: *mut teu_events_t,
    event: *mut teu_event,
    call: *const teu_call,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("events", err, || {
        let (found, event) = (EVENTS.get(events)?, Filled::at(event)?);
        let patience = (!call.is_null()).then(|| found.context.patience(call)).transpose()?;
        let mut source = found.source.lock().unwrap_or_else(PoisonError::into_inner);
        let next = found.context.logging(|| match &patience {
            Some(patience) => source.wait_within(patience).map(Some),
            None => source.next(),
        })?;
        let Some(next) = next else { return Ok(0) };
        event.put(&told(&next));
        Ok(1)
    })
}

/// Gives a source of events back, and its descriptor. NULL is ignored.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_events_free(events: *mut teu_events_t) {
    quietly((), || EVENTS.give_back(events));
}

const RESOURCES: &[(teu_pressure_resource, PressureResource)] = &[
    (teu_pressure_resource::TEU_PRESSURE_CPU, PressureResource::Cpu),
    (teu_pressure_resource::TEU_PRESSURE_MEMORY, PressureResource::Memory),
    (teu_pressure_resource::TEU_PRESSURE_IO, PressureResource::Io),
];

fn trigger(given: &teu_pressure) -> Result<PressureTrigger, Failure> {
    let unknown = || Failure::invalid(format!("unknown resource {} of pressure", given.resource));
    let known = RESOURCES.iter().find(|(number, _)| *number as i32 == given.resource);
    let (resource, full) = (known.ok_or_else(unknown)?.1, given.full != 0);
    let (stall, window) = (Duration::from_nanos(given.stall_ns), Duration::from_nanos(given.window_ns));
    Ok(PressureTrigger { resource, full, stall, window })
}

/// An event in C's words.
fn told(event: &Event) -> teu_event {
    let plain = |kind: teu_event_type| (kind as i32, 0, 0);
    let (r#type, detail, value) = match *event {
        Event::Oom { kills, cause } => {
            let cause = match cause {
                OomCause::Limit => teu_oom::TEU_OOM_LIMIT,
                OomCause::Outside => teu_oom::TEU_OOM_OUTSIDE,
            };
            (teu_event_type::TEU_EV_OOM as i32, cause as i32, kills.unwrap_or(u64::MAX))
        }
        Event::Exit => plain(teu_event_type::TEU_EV_EXIT),
        Event::Empty => plain(teu_event_type::TEU_EV_EMPTY),
        Event::Frozen => plain(teu_event_type::TEU_EV_FROZEN),
        Event::Thawed => plain(teu_event_type::TEU_EV_THAWED),
        Event::Pressure(index) => (teu_event_type::TEU_EV_PRESSURE as i32, 0, index as u64),
        // What C has no number for yet.
        _ => (0, 0, 0),
    };
    teu_event { size: 0, r#type, detail, value }
}

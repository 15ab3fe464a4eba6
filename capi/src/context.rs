//! The context: a state root, the options of a host, and where its log goes.

use std::ffi::c_int;
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Metadata, Record};
use teu::{CgroupManager, Patience, Runtime, Warning};

use crate::abi::{
    teu_call, teu_destroy_fn, teu_error_t, teu_flag, teu_level, teu_log_fn, teu_log_record, teu_options,
    teu_t,
};
use crate::boundary::{boundary, quietly};
use crate::cancel;
use crate::failure::Failure;
use crate::ffi::{self, HostData, Place};
use crate::handle::Table;

pub(crate) static CONTEXTS: Table<Arc<Context>> = Table::new(2, "context");

/// Where containers are kept if the host does not say.
const DEFAULT_ROOT: &str = "/run/teu";

/// What a `teu_t` stands for; containers keep it alive.
pub(crate) struct Context {
    pub runtime: Runtime,
    pub cgroup_manager: CgroupManager,
    log: Option<Log>,
    timeout: Option<Duration>,
}

/// The host's logger. Dropping it tells the host.
pub(crate) struct Log {
    function: teu_log_fn,
    destroy: teu_destroy_fn,
    data: HostData,
    level: LevelFilter,
}

impl Drop for Log {
    fn drop(&mut self) {
        ffi::destroy(self.destroy, self.data.0);
    }
}

/// Makes a context. The root is made by the first container.
///
/// Errors: TEU_EINVAL, TEU_E2BIG. `options` may be NULL.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_new(
    options: *const teu_options,
    out: *mut *mut teu_t,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("new", err, || {
        let out = Place::at(out, std::ptr::null_mut())?;
        let options = ffi::read_or_default(options)?;
        out.put(CONTEXTS.insert(Arc::new(Context::of(&options)?))?);
        Ok(0)
    })
}

/// One more reference to a context. Returns `teu`, or NULL if it is no context.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_ref(teu: *mut teu_t) -> *mut teu_t {
    quietly(std::ptr::null_mut(), || CONTEXTS.add_reference(teu))
}

/// Gives a reference back. Containers keep their context alive; when the last of them is gone too, `log_destroy` is called. NULL is
/// ignored.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_unref(teu: *mut teu_t) {
    quietly((), || CONTEXTS.give_back(teu));
}

/// Asks now what `teu_create` has to know about the machine, so that the first one is as fast as the others.
///
/// Errors: TEU_EINVAL, TEU_ESYS.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_prepare(teu: *mut teu_t, err: *mut *mut teu_error_t) -> c_int {
    boundary("prepare", err, || {
        let context = CONTEXTS.get(teu)?;
        context.logging(|| context.runtime.probe())?;
        Ok(0)
    })
}

impl Context {
    fn of(options: &teu_options) -> Result<Self, Failure> {
        let cgroup_manager = cgroup_manager(options.flags)?;
        let root = ffi::maybe_path(options.root).unwrap_or_else(|| PathBuf::from(DEFAULT_ROOT));
        if root.as_os_str().is_empty() {
            return Err(Failure::invalid("the state root is an empty path"));
        }
        let (runtime, level) = (Runtime::at(root)?, level_of(options.log_level)?);
        let log = options.log_fn.map(|function| {
            listen(level);
            let (function, destroy) = (Some(function), options.log_destroy);
            Log { function, destroy, data: HostData(options.log_data), level }
        });
        let timeout = nanoseconds(options.default_timeout_ns);
        Ok(Self { runtime, cgroup_manager, log, timeout })
    }

    /// Does something; what it logs on this thread goes to the host.
    pub fn logging<T>(&self, act: impl FnOnce() -> T) -> T {
        ffi::while_logging(self.log.as_ref(), act)
    }

    /// Tells the host what was ignored or is doubtful.
    pub fn warn(&self, warnings: &[Warning]) {
        if let Some(log) = &self.log {
            let line = |warning: &Warning| format!("{} (config.json: {})", warning.message, warning.pointer);
            warnings.iter().for_each(|warning| log.tell(Level::Warn, "teu", &line(warning)));
        }
    }

    /// How long a call may take.
    pub fn patience(&self, call: *const teu_call) -> Result<Patience, Failure> {
        let call = ffi::read_or_default(call)?;
        let timeout = nanoseconds(call.timeout_ns).or(self.timeout);
        Ok(Patience { timeout, cancel: cancel::of(call.cancel)? })
    }
}

/// Who makes cgroups.
fn cgroup_manager(flags: u64) -> Result<CgroupManager, Failure> {
    const SYSTEMD: u64 = teu_flag::TEU_SYSTEMD_CGROUP as u64;
    const NONE: u64 = teu_flag::TEU_NO_CGROUP as u64;
    check_flags(flags, SYSTEMD | NONE)?;
    match flags {
        0 => Ok(CgroupManager::Cgroupfs),
        SYSTEMD => Ok(CgroupManager::Systemd),
        NONE => Ok(CgroupManager::Disabled),
        _ => Err(Failure::invalid("TEU_SYSTEMD_CGROUP and TEU_NO_CGROUP exclude each other")),
    }
}

/// A flag that is not known is an error and not ignored.
pub(crate) fn check_flags(flags: u64, known: u64) -> Result<(), Failure> {
    match flags & !known {
        0 => Ok(()),
        unknown => Err(Failure::invalid(format!("unknown flags {unknown:#x}"))),
    }
}

fn nanoseconds(time: u64) -> Option<Duration> {
    (time != 0).then(|| Duration::from_nanos(time))
}

/// The host's levels and ours.
const LEVELS: &[(teu_level, Level)] = &[
    (teu_level::TEU_LOG_ERROR, Level::Error),
    (teu_level::TEU_LOG_WARNING, Level::Warn),
    (teu_level::TEU_LOG_INFO, Level::Info),
    (teu_level::TEU_LOG_DEBUG, Level::Debug),
];

fn level_of(number: i32) -> Result<LevelFilter, Failure> {
    let known = LEVELS.iter().find(|(level, _)| *level as i32 == number);
    match known {
        Some((_, level)) => Ok(level.to_level_filter()),
        None if number == 0 => Ok(LevelFilter::Warn),
        None => Err(Failure::invalid(format!("unknown log level {number}"))),
    }
}

/// Hands the records of this library's own logger to the host of the call that makes them.
struct Router;

impl log::Log for Router {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        ffi::with_current_log(|log| {
            if record.level() <= log.level {
                log.tell(record.level(), record.target(), &record.args().to_string());
            }
        });
    }

    fn flush(&self) {}
}

/// From here on records of `level` and above are made. There is one logger in this library, and its copy of `log` is its own.
fn listen(level: LevelFilter) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(log::set_logger(&Router)));
    log::set_max_level(level.max(log::max_level()));
}

impl Log {
    fn tell(&self, level: Level, target: &str, message: &str) {
        let known = LEVELS.iter().find(|(_, known)| *known == level);
        let number = known.map_or(teu_level::TEU_LOG_DEBUG as i32, |(number, _)| *number as i32);
        let (target, message) = (ffi::c_string(target), ffi::c_string(message));
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = teu_log_record {
            size: size_of::<teu_log_record>(),
            level: number,
            reserved0: 0,
            time_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            target: target.as_ptr(),
            message: message.as_ptr(),
        };
        ffi::log(self.function, self.data.0, &record);
    }
}

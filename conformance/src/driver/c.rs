//! libteu in this process: the shared library is loaded as a foreign engine would load it, and every call goes through C.

use std::cell::RefCell;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

use serde_json::{Value, json};
use teu::ExecCgroup;

use self::abi::{
    teu_call, teu_code, teu_container_t, teu_create_flag, teu_create_options, teu_delete_flag, teu_error_t,
    teu_event, teu_event_type, teu_exec_flag, teu_exec_options, teu_exit, teu_fd_map, teu_flag,
    teu_kill_flag, teu_log_record, teu_options, teu_t, teu_update_options,
};
use self::loaded::Functions;
use super::library::{Output, number, read_terminal};
use super::{Driver, Exec, New, Reply};
use crate::{Outcome, Trouble, sys};

/// The types of the header, as the library has them.
#[path = "../../../capi/src/abi.rs"]
mod abi;
mod loaded;

type Err = *mut *mut teu_error_t;

/// The C library with one state root.
pub struct C {
    name: String,
    root: PathBuf,
    functions: Functions,
    teu: *mut teu_t,
    /// A second context on the same root, for containers whose cgroup systemd makes: a context decides that for all of its own.
    systemd: *mut teu_t,
    /// systemd makes the cgroups of all.
    always_systemd: bool,
}

/// What a container is made of, and by which context.
struct Asked<'a> {
    teu: *mut teu_t,
    id: &'a CStr,
    options: &'a teu_create_options,
}

// SAFETY: the header says that every function may be called from any thread, on the same handle too.
unsafe impl Sync for C {}

/// A failed call: its code and its text.
struct Refusal {
    code: c_int,
    text: String,
}

type Called<T> = Result<T, Refusal>;

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self { code: 0, text: error.to_string() }
    }
}

impl From<teu::Error> for Refusal {
    fn from(error: teu::Error) -> Self {
        Self { code: 0, text: error.to_string() }
    }
}

thread_local! {
    /// What the library warns of during a call of this thread.
    static WARNINGS: RefCell<String> = const { RefCell::new(String::new()) };
}

extern "C" fn hear(_: *mut c_void, record: *const teu_log_record) {
    // SAFETY: the library gives a record for the time of the call.
    let message = unsafe { (*record).message };
    // SAFETY: its message ends with NUL.
    let text = unsafe { CStr::from_ptr(message) };
    WARNINGS.with_borrow_mut(|all| all.push_str(&format!("level=warning {}\n", text.to_string_lossy())));
}

/// A zeroed struct of C with its size.
macro_rules! sized {
    ($type:ident { $($member:ident: $value:expr),* $(,)? }) => {{
        // SAFETY: plain data, for which zeros are the default.
        let zeros: $type = unsafe { std::mem::zeroed() };
        $type { size: size_of::<$type>(), $($member: $value,)* ..zeros }
    }};
}

/// A text for C.
fn text(value: impl AsRef<OsStr>) -> Called<CString> {
    let bytes = value.as_ref().as_bytes();
    CString::new(bytes).map_err(|_| Refusal { code: 0, text: "a NUL in a text".into() })
}

fn maybe(path: Option<PathBuf>) -> Called<Option<CString>> {
    path.map(text).transpose()
}

fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

/// A path below the container's cgroup, or controllers and their paths.
fn cgroups(words: &[&str]) -> Called<(Option<CString>, Vec<CString>)> {
    match super::library::cgroup(words) {
        ExecCgroup::Container => Ok((None, Vec::new())),
        ExecCgroup::Below(path) => Ok((Some(text(path)?), Vec::new())),
        ExecCgroup::ByController(pairs) => {
            let words = pairs.into_iter().flat_map(|(controller, path)| [controller, path]);
            Ok((None, words.map(text).collect::<Called<_>>()?))
        }
    }
}

/// A handle that is given back when it is dropped.
struct Held<'a, T>(*mut T, &'a unsafe extern "C" fn(*mut T));

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        // SAFETY: a function of the library on a handle of the library.
        unsafe { self.1(self.0) };
    }
}

/// Descriptors of a process and the numbers under which it finds them.
struct Streams {
    maps: Vec<teu_fd_map>,
    _given: [Option<OwnedFd>; 2],
}

impl Streams {
    fn new(output: &Output, stdin: Option<OwnedFd>, stdout: Option<OwnedFd>) -> Self {
        let mut maps = Vec::new();
        maps.extend(stdin.as_ref().map(|fd| teu_fd_map { target: 0, fd: fd.as_raw_fd() }));
        let out = stdout.as_ref().map_or_else(|| output.out.as_raw_fd(), AsRawFd::as_raw_fd);
        maps.push(teu_fd_map { target: 1, fd: out });
        maps.push(teu_fd_map { target: 2, fd: output.err.as_raw_fd() });
        Self { maps, _given: [stdin, stdout] }
    }
}

impl C {
    /// The library in the file `path`, with its containers below `root`.
    ///
    /// # Errors
    /// It cannot be loaded, or refuses the root.
    pub fn new(name: &str, path: &Path, root: &Path) -> io::Result<Self> {
        let functions = Functions::load(path)?;
        let (teu, systemd) = (ptr::null_mut(), ptr::null_mut());
        let always_systemd = false;
        let mut driver =
            Self { name: name.into(), root: root.into(), functions, teu, systemd, always_systemd };
        driver.teu = driver.context(0)?;
        driver.systemd = driver.context(teu_flag::TEU_SYSTEMD_CGROUP as u64)?;
        Ok(driver)
    }

    /// The same library; systemd makes the cgroups of all its containers if `systemd` is set.
    #[must_use]
    pub fn with_systemd(mut self, systemd: bool) -> Self {
        self.always_systemd = systemd;
        self
    }

    fn context(&self, flags: u64) -> io::Result<*mut teu_t> {
        let place = CString::new(self.root.as_os_str().as_bytes())?;
        let options = sized!(teu_options { flags: flags, root: place.as_ptr(), log_fn: Some(hear) });
        let mut teu = ptr::null_mut();
        // SAFETY: the options live through the call.
        let made = self.call(|err| unsafe { (self.functions.teu_new)(&options, &mut teu, err) });
        made.map_err(|refusal| io::Error::other(refusal.text))?;
        Ok(teu)
    }

    /// One call; what it refuses, in words.
    fn call(&self, call: impl FnOnce(Err) -> c_int) -> Called<c_int> {
        let mut error: *mut teu_error_t = ptr::null_mut();
        let result = call(&mut error);
        if result >= 0 {
            return Ok(result);
        }
        // SAFETY: the library gave the error.
        let message = unsafe { (self.functions.teu_error_message)(error) };
        // SAFETY: a text of the error, which is not given back yet.
        let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
        // SAFETY: as above; it is not used any more.
        unsafe { (self.functions.teu_error_free)(error) };
        Err(Refusal { code: result, text })
    }

    fn open(&self, id: &str) -> Called<Held<'_, teu_container_t>> {
        let (id, mut container) = (text(id)?, ptr::null_mut());
        // SAFETY: every pointer lives through the call.
        self.call(|err| unsafe { (self.functions.teu_open)(self.teu, id.as_ptr(), &mut container, err) })?;
        Ok(Held(container, &self.functions.teu_container_unref))
    }

    /// One call on a container.
    fn on(&self, id: &str, act: impl FnOnce(*mut teu_container_t, Err) -> c_int) -> Called<c_int> {
        let container = self.open(id)?;
        self.call(|err| act(container.0, err))
    }

    /// Gives the options of a creation to `act`.
    fn with_options<T>(
        &self,
        new: New<'_>,
        output: &Output,
        act: impl FnOnce(&Asked<'_>) -> Called<T>,
    ) -> Called<T> {
        let (id, bundle) = (text(new.id)?, text(&new.bundle)?);
        let teu = if new.systemd || self.always_systemd { self.systemd } else { self.teu };
        let (pid_file, console) = (maybe(new.pid_file)?, maybe(new.console_socket)?);
        let (pidfd, streams) = (maybe(new.pidfd_socket)?, Streams::new(output, new.stdin, new.stdout));
        let flag = |given: bool, flag: teu_create_flag| if given { flag as u64 } else { 0 };
        let options = sized!(teu_create_options {
            flags: flag(new.no_pivot, teu_create_flag::TEU_NO_PIVOT)
                | flag(new.no_default_device_rules, teu_create_flag::TEU_NO_DEFAULT_DEVICES),
            bundle: bundle.as_ptr(),
            fds: streams.maps.as_ptr(),
            n_fds: streams.maps.len(),
            console_socket: pointer(&console),
            pidfd_socket: pointer(&pidfd),
            pid_file: pointer(&pid_file),
        });
        act(&Asked { teu, id: &id, options: &options })
    }

    fn make(&self, asked: &Asked<'_>) -> Called<Held<'_, teu_container_t>> {
        let mut container = ptr::null_mut();
        let (create, id) = (self.functions.teu_create, asked.id.as_ptr());
        // SAFETY: every pointer lives through the call.
        self.call(|err| unsafe { create(asked.teu, id, asked.options, &mut container, err) })?;
        Ok(Held(container, &self.functions.teu_container_unref))
    }

    fn run_to_end(&self, asked: &Asked<'_>) -> Called<i32> {
        let mut exit = sized!(teu_exit {});
        let (run, id) = (self.functions.teu_run, asked.id.as_ptr());
        // SAFETY: every pointer lives through the call.
        self.call(|err| unsafe { run(asked.teu, id, asked.options, &mut exit, err) })?;
        Ok(exit.status)
    }

    /// Run, as far as `teu_run` does not do it: a terminal to read from, or a container that goes on.
    fn run_by_hand(&self, asked: &Asked<'_>, detach: bool, output: &Output) -> Called<i32> {
        let f = &self.functions;
        let container = self.make(asked)?;
        let end = || {
            let force = teu_delete_flag::TEU_DELETE_FORCE as u64;
            // SAFETY: a handle of the library.
            self.call(|err| unsafe { (f.teu_container_delete)(container.0, force, ptr::null(), err) })
        };
        // SAFETY: as above.
        let started = self.call(|err| unsafe { (f.teu_container_start)(container.0, ptr::null(), err) });
        if let Err(refusal) = started {
            end()?;
            return Err(refusal);
        }
        if detach {
            return Ok(0);
        }
        // SAFETY: as above.
        self.show(|err| unsafe { (f.teu_container_take_console)(container.0, err) }, output);
        let mut exit = sized!(teu_exit {});
        // SAFETY: as above; the exit lives through the call.
        self.call(|err| unsafe { (f.teu_container_wait)(container.0, ptr::null(), &mut exit, err) })?;
        end()?;
        Ok(exit.status)
    }

    /// Reads a terminal to its end, if there is one.
    fn show(&self, take: impl FnOnce(Err) -> c_int, output: &Output) {
        if let Ok(master) = self.call(take) {
            // SAFETY: the library has just given the descriptor to us alone.
            read_terminal(unsafe { OwnedFd::from_raw_fd(master) }, &output.out);
        }
    }

    fn enter(&self, exec: Exec<'_>, output: &Output) -> Called<i32> {
        let (pid_file, console, pidfd) =
            (maybe(exec.pid_file)?, maybe(exec.console_socket)?, maybe(exec.pidfd_socket)?);
        let streams = Streams::new(output, exec.stdin, exec.stdout);
        let (cgroup, by_controller) = cgroups(&exec.cgroups)?;
        let pairs: Vec<_> = by_controller.iter().map(|text| text.as_ptr()).collect();
        let ignore = if exec.ignore_paused { teu_exec_flag::TEU_EXEC_IGNORE_PAUSED as u64 } else { 0 };
        let options = sized!(teu_exec_options {
            flags: ignore,
            process_json: exec.process.as_ptr().cast(),
            process_len: exec.process.len(),
            fds: streams.maps.as_ptr(),
            n_fds: streams.maps.len(),
            console_socket: pointer(&console),
            pidfd_socket: pointer(&pidfd),
            pid_file: pointer(&pid_file),
            cgroup: pointer(&cgroup),
            cgroups: pairs.as_ptr(),
            n_cgroups: pairs.len(),
        });
        let f = &self.functions;
        let mut process = ptr::null_mut();
        // SAFETY: every pointer lives through the call.
        self.on(exec.id, |container, err| unsafe {
            (f.teu_container_exec)(container, &options, &mut process, err)
        })?;
        let process = Held(process, &f.teu_process_unref);
        if exec.detach {
            return Ok(0);
        }
        // SAFETY: a handle of the library.
        self.show(|err| unsafe { (f.teu_process_take_console)(process.0, err) }, output);
        let mut exit = sized!(teu_exit {});
        // SAFETY: as above; the exit lives through the call.
        self.call(|err| unsafe { (f.teu_process_wait)(process.0, ptr::null(), &mut exit, err) })?;
        Ok(exit.status)
    }

    /// A text that the library makes.
    fn document(&self, ask: impl FnOnce(*mut *mut c_char, *mut usize, Err) -> c_int) -> Called<String> {
        let (mut out, mut len) = (ptr::null_mut(), 0);
        self.call(|err| ask(&mut out, &mut len, err))?;
        // SAFETY: the library has just given the text, which ends with NUL.
        let text = unsafe { CStr::from_ptr(out) }.to_string_lossy().into_owned();
        assert_eq!(text.len(), len);
        // SAFETY: it is the library's, and not used any more.
        unsafe { (self.functions.teu_free)(out.cast()) };
        Ok(text)
    }

    /// A creation with its output collected; a failure gets the words that a command puts in front.
    fn creation(
        &self,
        verb: &str,
        mut new: New<'_>,
        call: impl FnOnce(New<'_>, &Output) -> Called<i32>,
    ) -> Reply {
        let given = new.stderr.take();
        collected(given, |output| {
            call(new, output).map_err(|refusal| Refusal {
                text: format!("{} {verb} failed: {}", self.name, refusal.text),
                ..refusal
            })
        })
        .unwrap_or_else(refused)
    }
}

impl Drop for C {
    fn drop(&mut self) {
        for context in [self.systemd, self.teu] {
            // SAFETY: a handle of the library or NULL, not used any more.
            unsafe { (self.functions.teu_unref)(context) };
        }
    }
}

fn collected(err: Option<std::fs::File>, call: impl FnOnce(&Output) -> Called<i32>) -> Called<Reply> {
    let mut refusal = None;
    let reply = Output::collect(err, |output| {
        Ok(call(output).unwrap_or_else(|why| {
            refusal = Some(why);
            1
        }))
    })?;
    refusal.map_or(Ok(reply), Err)
}

/// An event as the other drivers write it.
fn line(event: &teu_event, id: &str) -> String {
    let words = [
        (teu_event_type::TEU_EV_EXIT, "end"),
        (teu_event_type::TEU_EV_EMPTY, "empty"),
        (teu_event_type::TEU_EV_FROZEN, "frozen"),
        (teu_event_type::TEU_EV_THAWED, "thawed"),
    ];
    match words.iter().find(|(kind, _)| *kind as i32 == event.r#type) {
        Some((_, word)) => format!("{word}\n"),
        None if event.r#type == teu_event_type::TEU_EV_OOM as i32 => {
            format!("{{\"type\":\"oom\",\"id\":\"{id}\"}}\n")
        }
        None => format!("event {}\n", event.r#type),
    }
}

fn refused(refusal: Refusal) -> Reply {
    Reply { code: 1, err: format!("{}\n", refusal.text), ..Reply::default() }
}

fn reply(result: Called<c_int>) -> Reply {
    result.map_or_else(refused, |_| Reply::default())
}

/// A state in the contract's order of keys.
fn contract(state: &Value, listed: bool) -> Value {
    let mut document = json!({});
    for key in ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations"] {
        if let Some(value) = state.get(key) {
            document[key] = value.clone();
        }
    }
    document["owner"] = match state["ownerUid"].as_u64() {
        _ if !listed => json!(""),
        Some(0) => json!("root"),
        uid => json!(format!("#{}", uid.unwrap_or_default())),
    };
    document
}

impl Driver for C {
    fn name(&self) -> &str {
        &self.name
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn create(&self, new: New<'_>) -> Reply {
        self.creation("create", new, |new, output| {
            self.with_options(new, output, |asked| self.make(asked).map(|_| 0))
        })
    }

    fn run(&self, new: New<'_>) -> Reply {
        // Whether there is a terminal is known when it is asked for: a bundle says so in its configuration.
        let terminal = std::fs::read_to_string(new.bundle.join("config.json")).is_ok_and(|config| {
            config.contains("\"terminal\":true") || config.contains("\"terminal\": true")
        });
        self.creation("run", new, |new, output| {
            let detach = new.detach;
            self.with_options(new, output, |asked| match detach || terminal {
                true => self.run_by_hand(asked, detach, output),
                false => self.run_to_end(asked),
            })
        })
    }

    fn start(&self, id: &str) -> Reply {
        let start = self.functions.teu_container_start;
        // SAFETY: a handle of the library.
        reply(self.on(id, |container, err| unsafe { start(container, ptr::null(), err) }))
    }

    fn exec(&self, exec: Exec<'_>) -> Reply {
        collected(None, |output| self.enter(exec, output)).unwrap_or_else(|refusal| {
            let text = format!("exec failed: {}", refusal.text);
            Reply { code: 255, ..refused(Refusal { text, ..refusal }) }
        })
    }

    fn state(&self, id: &str) -> Reply {
        let ask = self.functions.teu_container_state_json;
        let state = self.open(id).and_then(|container| {
            // SAFETY: every pointer lives through the call.
            self.document(|out, len, err| unsafe { ask(container.0, out, len, err) })
        });
        state.map_or_else(refused, |text| {
            let state: Value = serde_json::from_str(&text).unwrap_or_default();
            Reply { out: contract(&state, false).to_string(), ..Reply::default() }
        })
    }

    fn kill(&self, id: &str, signal: &str, all: bool) -> Reply {
        let (kill, flags) =
            (self.functions.teu_container_kill, if all { teu_kill_flag::TEU_KILL_ALL as u64 } else { 0 });
        let killed = number(signal).map_err(Refusal::from).and_then(|signal| {
            // SAFETY: a handle of the library.
            self.on(id, |container, err| unsafe { kill(container, signal, flags, err) })
        });
        match killed {
            // The command forgives this, and the driver stands in for the command.
            Err(refusal) if all && refusal.code == teu_code::TEU_ENOTRUNNING as c_int => Reply::default(),
            other => reply(other),
        }
    }

    fn delete(&self, id: &str, force: bool) -> Reply {
        WARNINGS.take();
        let flags = if force { teu_delete_flag::TEU_DELETE_FORCE as u64 } else { 0 };
        let deleted = text(id).and_then(|id| {
            let (delete, id) = (self.functions.teu_delete, &id);
            // SAFETY: every pointer lives through the call.
            self.call(|err| unsafe { delete(self.teu, id.as_ptr(), flags, err) })
        });
        let reply = reply(deleted);
        Reply { err: WARNINGS.take() + &reply.err, ..reply }
    }

    fn pause(&self, id: &str) -> Reply {
        let pause = self.functions.teu_container_pause;
        // SAFETY: a handle of the library.
        reply(self.on(id, |container, err| unsafe { pause(container, ptr::null(), err) }))
    }

    fn resume(&self, id: &str) -> Reply {
        let resume = self.functions.teu_container_resume;
        // SAFETY: a handle of the library.
        reply(self.on(id, |container, err| unsafe { resume(container, ptr::null(), err) }))
    }

    fn processes(&self, id: &str) -> Reply {
        let (ps, mut pids, mut n) = (self.functions.teu_container_ps, ptr::null_mut(), 0);
        // SAFETY: every pointer lives through the call.
        let asked = self.on(id, |container, err| unsafe { ps(container, &mut pids, &mut n, err) });
        if let Err(refusal) = asked {
            return refused(refusal);
        }
        // SAFETY: the library has just given so many numbers.
        let list = unsafe { std::slice::from_raw_parts(pids, n) }.to_vec();
        // SAFETY: they are the library's, and not used any more.
        unsafe { (self.functions.teu_free)(pids.cast()) };
        let list = if list.is_empty() { Value::Null } else { json!(list) };
        Reply { out: format!("{list}\n"), ..Reply::default() }
    }

    fn update(&self, id: &str, resources: &str) -> Reply {
        let update = self.functions.teu_container_update;
        let options = sized!(teu_update_options {
            resources_json: resources.as_ptr().cast(),
            resources_len: resources.len(),
        });
        // SAFETY: every pointer lives through the call.
        reply(self.on(id, |container, err| unsafe { update(container, &options, err) }))
    }

    fn stats(&self, id: &str) -> Reply {
        let ask = self.functions.teu_container_stats_json;
        let stats = self.open(id).and_then(|container| {
            // SAFETY: every pointer lives through the call.
            self.document(|out, len, err| unsafe { ask(container.0, out, len, err) })
        });
        stats.map_or_else(refused, |out| Reply { out, ..Reply::default() })
    }

    fn events(&self, id: &str, acts: &[&dyn Fn() -> Outcome]) -> Result<Reply, Trouble> {
        let Functions { teu_events_open: listen, teu_events_next: next, teu_events_free: free, .. } =
            &self.functions;
        let mut events = ptr::null_mut();
        // SAFETY: every pointer lives through the call.
        let listening =
            self.on(id, |container, err| unsafe { listen(container, ptr::null(), &mut events, err) });
        if let Err(refusal) = listening {
            return Ok(refused(refusal));
        }
        let events = Held(events, free);
        let (mut acts, mut out) = (acts.iter(), String::new());
        let patience = u64::try_from(sys::PATIENCE.as_nanos()).unwrap_or(u64::MAX);
        let call = sized!(teu_call { timeout_ns: patience });
        while !out.ends_with("end\n") {
            acts.next().map_or(Ok(()), |act| act())?;
            let mut event = sized!(teu_event {});
            // SAFETY: every pointer lives through the call.
            let told = self.call(|err| unsafe { next(events.0, &mut event, &call, err) });
            match told {
                Ok(_) => out += &line(&event, id),
                Err(refusal) => return Ok(refused(refusal)),
            }
        }
        Ok(Reply { out, ..Reply::default() })
    }

    fn list(&self) -> Reply {
        let list = self.functions.teu_list_json;
        // SAFETY: every pointer lives through the call.
        let text = self.document(|out, len, err| unsafe { list(self.teu, out, len, err) });
        text.map_or_else(refused, |text| {
            let states: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
            let entries: Vec<Value> = states.iter().map(|state| contract(state, true)).collect();
            let entries = if entries.is_empty() { Value::Null } else { entries.into() };
            Reply { out: entries.to_string(), ..Reply::default() }
        })
    }
}

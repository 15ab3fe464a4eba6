//! The laws of the conversation: it ends, by an answer, by the end of the other side, or by the caller's patience. Tests of patience have a manager that
//! would never answer: without the law they would not end either.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use super::address::{Address, Socket};
use super::fake::{Fake, Talk, message, path};
use super::*;
use crate::{Cancel, until::Patience};

const JOB: &str = "/org/freedesktop/systemd1/job/9";

fn unit(properties: &[(&str, &str)]) -> UnitPlan {
    let property = |(name, pointer): &(&str, &str)| Property {
        name: (*name).to_owned(),
        value: Value::Bool(true),
        pointer: (*pointer).to_owned(),
    };
    let properties = properties.iter().map(property).collect();
    UnitPlan { properties, ..UnitPlan::named("x.scope") }
}

fn start_at(addresses: Vec<Address>, until: &Until, unit: &UnitPlan) -> std::result::Result<(), NotStarted> {
    let unconnected = |error| NotStarted { error, accepted: false };
    let mut systemd = Systemd::first(addresses, until, LONGEST).map_err(unconnected)?;
    systemd.start(unit, &[7])
}

fn start(
    script: impl FnOnce(&mut Talk) + Send + 'static,
) -> (std::result::Result<(), NotStarted>, Vec<String>) {
    let fake = Fake::new(script);
    let started = start_at(fake.address(false), &Until::default(), &unit(&[("Delegate", "default")]));
    (started, fake.heard())
}

fn failure(script: impl FnOnce(&mut Talk) + Send + 'static) -> (Error, bool) {
    let NotStarted { error, accepted } = start(script).0.unwrap_err();
    (error, accepted)
}

fn impatient() -> Until {
    Until::from(&Patience { timeout: Some(Duration::from_millis(30)), cancel: None })
}

#[test]
fn a_unit_has_started_when_its_own_job_is_done() {
    let (started, heard) = start(|talk| {
        talk.login();
        let call = talk.expect("StartTransientUnit");
        assert_eq!((call.message.text(0), call.message.text(1)), ("x.scope", "replace"));
        talk.signal("UnitNew", &[Value::text("x.scope")]);
        talk.job_removed("/org/freedesktop/systemd1/job/8", "failed");
        talk.reply(&call, &[Value::Path(JOB.to_owned())]);
        talk.signal("JobNew", &[Value::Uint32(9), Value::Path(JOB.to_owned())]);
        talk.job_removed(JOB, "done");
        talk.say_nothing();
    });
    started.unwrap();
    assert_eq!(heard, ["Subscribe", "StartTransientUnit"], "subscribed before the call");
}

#[test]
fn a_job_that_is_done_before_it_is_named_is_not_missed() {
    let (started, _) = start(|talk| {
        talk.login();
        let call = talk.expect("StartTransientUnit");
        talk.job_removed(JOB, "done");
        talk.reply(&call, &[Value::Path(JOB.to_owned())]);
        talk.say_nothing();
    });
    started.unwrap();
}

#[test]
fn a_bus_is_greeted_and_asked_for_the_signal_and_a_peer_is_not() {
    let fake = Fake::new(|talk| {
        talk.login();
        let call = talk.expect("StartTransientUnit");
        talk.reply(&call, &[Value::Path(JOB.to_owned())]);
        talk.job_removed(JOB, "done");
        talk.say_nothing();
    });
    start_at(fake.address(true), &Until::default(), &unit(&[])).unwrap();
    assert_eq!(fake.heard(), ["Hello", "AddMatch", "Subscribe", "StartTransientUnit"]);
}

#[test]
fn only_the_result_done_is_success() {
    for result in ["failed", "canceled", "timeout", "dependency", "skipped", "invalid", ""] {
        let (error, accepted) = failure(move |talk| {
            talk.login();
            let call = talk.expect("StartTransientUnit");
            talk.reply(&call, &[Value::Path(JOB.to_owned())]);
            talk.job_removed(JOB, result);
            talk.say_nothing();
        });
        assert!(accepted, "{result}: there may be something to be stopped");
        let expected = format!("systemd: cannot start unit x.scope: its job ended with {result:?}");
        assert_eq!(error.message(), expected);
    }
}

#[test]
fn a_name_that_is_taken_is_told_and_what_has_it_is_not_ours() {
    let taken = |talk: &mut Talk| {
        let call = talk.expect("StartTransientUnit");
        talk.refuse(&call, "org.freedesktop.systemd1.UnitExists", "Unit x.scope already exists.");
    };
    let ((error, accepted), heard) = {
        let (started, heard) = start(move |talk| {
            talk.login();
            taken(talk);
            taken(talk);
            talk.say_nothing();
        });
        let NotStarted { error, accepted } = started.unwrap_err();
        ((error, accepted), heard)
    };
    assert_eq!((error.kind(), accepted), (ErrorKind::Busy, false));
    assert_eq!(error.message(), "systemd: cannot start unit x.scope: a unit of that name exists already");
    assert_eq!(heard, ["Subscribe", "StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"]);
    // One that had failed makes room.
    let (started, _) = start(move |talk| {
        talk.login();
        taken(talk);
        let call = talk.expect("StartTransientUnit");
        talk.reply(&call, &[Value::Path(JOB.to_owned())]);
        talk.job_removed(JOB, "done");
        talk.say_nothing();
    });
    started.unwrap();
}

#[test]
fn properties_that_an_old_systemd_does_not_know_are_left_out_unless_they_were_asked_for() {
    const UNKNOWN: &str = "org.freedesktop.DBus.Error.PropertyReadOnly";
    let script = |talk: &mut Talk| {
        talk.login();
        let call = talk.expect("StartTransientUnit");
        talk.refuse(&call, UNKNOWN, "Cannot set property AllowedCPUs, or unknown property.");
        let call = talk.expect("StartTransientUnit");
        let sent = String::from_utf8_lossy(&call.bytes).into_owned();
        assert!(sent.contains("Delegate") && !sent.contains("AllowedCPUs"), "{sent}");
        talk.reply(&call, &[Value::Path(JOB.to_owned())]);
        talk.job_removed(JOB, "done");
        talk.say_nothing();
    };
    let fake = Fake::new(script);
    let limits = unit(&[("Delegate", "default"), ("AllowedCPUs", "/linux/resources/cpu/cpus")]);
    start_at(fake.address(false), &Until::default(), &limits).unwrap();
    for (name, text, pointer) in [
        (
            UNKNOWN,
            "Cannot set property Foo, or unknown property.",
            Some("/annotations/org.systemd.property.Foo"),
        ),
        (UNKNOWN, "Cannot set property Bar, or unknown property.", None),
        (
            "org.freedesktop.DBus.Error.InvalidArgs",
            "Invalid value for Foo",
            Some("/annotations/org.systemd.property.Foo"),
        ),
        ("org.freedesktop.DBus.Error.InvalidArgs", "", None),
    ] {
        let fake = Fake::new(move |talk| {
            talk.login();
            let call = talk.expect("StartTransientUnit");
            talk.refuse(&call, name, text);
            talk.say_nothing();
        });
        let asked = unit(&[("Delegate", "default"), ("Foo", "/annotations/org.systemd.property.Foo")]);
        let NotStarted { error, accepted } =
            start_at(fake.address(false), &Until::default(), &asked).unwrap_err();
        assert_eq!((error.pointer(), accepted), (pointer, false), "{text}");
        assert!(error.message().contains(if text.is_empty() { name } else { text }), "{error}");
    }
}

#[test]
fn a_manager_that_goes_away_at_any_moment_is_an_error() {
    const MOMENTS: usize = 6;
    for moment in 0..MOMENTS {
        let (error, accepted) = failure(move |talk| {
            let left = |step: usize| moment >= step;
            if left(1) {
                talk.send(b"DATA\r\n");
            }
            if left(2) {
                talk.send(b"OK 0\r\n");
            }
            if left(3) {
                let reply = message(wire::REPLY, vec![(5, Value::Uint32(1))], &[]);
                talk.send(&reply);
            }
            if left(4) {
                let job = [Value::Path(JOB.to_owned())];
                let reply = message(wire::REPLY, vec![(5, Value::Uint32(2))], &job);
                talk.send(&reply[..if moment == 4 { reply.len() - 3 } else { reply.len() }]);
            }
            // What is not read makes the kernel say "connection reset" instead of the end.
            talk.shut_and_drain();
        });
        assert_eq!(accepted, moment == MOMENTS - 1, "{moment}");
        assert!(error.message().contains("closed"), "{moment}: {error}");
    }
}

#[test]
fn garbage_is_an_error() {
    let long = vec![b'x'; 10_000];
    let mut endless = message(wire::REPLY, vec![(5, Value::Uint32(1))], &[]);
    endless[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut version = message(wire::REPLY, vec![(5, Value::Uint32(1))], &[]);
    version[3] = 2;
    for (logged_in, bytes, expected) in [
        (false, b"REJECTED KERBEROS\r\n".to_vec(), "login refused: REJECTED KERBEROS"),
        (false, b"\r\n".to_vec(), "login refused"),
        (false, long, "a line that is too long"),
        (true, b"HTTP/1.1 400 Bad Request\r\n".to_vec(), "bytes that are no message"),
        (true, endless, "a message that is too long"),
        (true, version, "another version"),
    ] {
        let (error, _) = failure(move |talk| {
            if logged_in {
                talk.login();
            }
            talk.send(&bytes);
            talk.say_nothing();
        });
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn silence_at_any_moment_ends_with_the_callers_patience() {
    for moment in 0..4 {
        let fake = Fake::new(move |talk| {
            if moment > 0 {
                talk.login();
            }
            if moment == 2 {
                talk.expect("StartTransientUnit");
            }
            if moment == 3 {
                let call = talk.expect("StartTransientUnit");
                talk.reply(&call, &[Value::Path(JOB.to_owned())]);
            }
            talk.say_nothing();
        });
        let NotStarted { error, accepted } =
            start_at(fake.address(false), &impatient(), &unit(&[])).unwrap_err();
        // A slow machine may not come as far as that moment.
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{moment}: {error}");
        assert!(!accepted || moment == 3, "{moment}");
    }
}

#[test]
fn silence_ends_with_a_limit_of_our_own_for_callers_with_endless_patience() {
    let fake = Fake::new(Talk::say_nothing);
    let until = Until::default();
    let late = Systemd::first(fake.address(false), &until, Duration::from_millis(30)).err().unwrap();
    assert_eq!(late.kind(), ErrorKind::TimedOut);
}

#[test]
fn a_cancellation_ends_the_wait() {
    let cancel = Cancel::new().unwrap();
    let trigger = cancel.clone();
    let fake = Fake::new(move |talk| {
        talk.login();
        talk.expect("StartTransientUnit");
        trigger.trigger();
        talk.say_nothing();
    });
    let until = Until::from(&Patience { timeout: None, cancel: Some(cancel) });
    let NotStarted { error, .. } = start_at(fake.address(false), &until, &unit(&[])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn who_never_stops_talking_is_not_listened_to_for_ever() {
    let fake = Fake::new(|talk| {
        talk.login();
        let signal = message(wire::SIGNAL, vec![(3, Value::text("JobRemoved"))], &[]).repeat(100);
        while talk.try_send(&signal) {}
    });
    let NotStarted { error, .. } = start_at(fake.address(false), &impatient(), &unit(&[])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn a_full_queue_of_connections_is_waited_for_as_long_as_the_caller_likes() {
    let path = path();
    let listener = UnixListener::bind(&path).unwrap();
    let address = Address { socket: Socket::Path(path.clone()), is_bus: false };
    let mut waiting = Vec::new();
    while let Ok(socket) = crate::sys::socket::connect_at_once(&path) {
        waiting.push(socket);
    }
    let until = impatient();
    let late = Systemd::first(vec![address], &until, LONGEST).err().unwrap();
    assert_eq!(late.kind(), ErrorKind::TimedOut);
    drop(listener);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn nobody_at_any_socket_is_told_with_their_names() {
    let nobody =
        |name: &str| Address { socket: Socket::Path(format!("/nonexistent/{name}").into()), is_bus: false };
    let until = Until::default();
    let error = Systemd::first(vec![nobody("a"), nobody("b")], &until, LONGEST).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let message = "systemd cannot be asked for a cgroup: /nonexistent/a: connect: no such file or directory; \
                   /nonexistent/b: connect: no such file or directory";
    assert_eq!(error.message(), message);
}

fn stopped(script: impl FnOnce(&mut Talk) + Send + 'static) -> (Result<()>, Vec<String>) {
    let fake = Fake::new(script);
    let until = Until::default();
    let result =
        Systemd::first(fake.address(false), &until, LONGEST).and_then(|mut systemd| systemd.stop("x.scope"));
    (result, fake.heard())
}

#[test]
fn a_unit_is_stopped_and_forgotten_and_one_that_is_gone_is_no_error() {
    let (result, heard) = stopped(|talk| {
        talk.login();
        let call = talk.expect("StopUnit");
        talk.reply(&call, &[Value::Path(JOB.to_owned())]);
        talk.job_removed(JOB, "done");
        let call = talk.expect("ResetFailedUnit");
        talk.refuse(&call, "org.freedesktop.systemd1.NoSuchUnit", "Unit x.scope not loaded.");
        talk.say_nothing();
    });
    result.unwrap();
    assert_eq!(heard, ["Subscribe", "StopUnit", "ResetFailedUnit"]);
    let refused = |name: &'static str| {
        stopped(move |talk| {
            talk.login();
            let call = talk.expect("StopUnit");
            talk.refuse(&call, name, "no");
            talk.say_nothing();
        })
        .0
    };
    refused("org.freedesktop.systemd1.NoSuchUnit").unwrap();
    let error = refused("org.freedesktop.DBus.Error.AccessDenied").unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Denied, "systemd: cannot stop unit x.scope: no"));
}

#[test]
fn a_change_without_known_properties_is_none() {
    let fake = Fake::new(|talk| {
        talk.login();
        let call = talk.expect("SetUnitProperties");
        assert_eq!(call.message.text(0), "x.scope");
        talk.refuse(
            &call,
            "org.freedesktop.DBus.Error.PropertyReadOnly",
            "Cannot set property Foo, or unknown property.",
        );
        talk.say_nothing();
    });
    let until = Until::default();
    let mut systemd = Systemd::first(fake.address(false), &until, LONGEST).unwrap();
    systemd.set(&unit(&[("Foo", "/linux/resources/x")])).unwrap();
    drop(systemd);
    assert_eq!(fake.heard(), ["SetUnitProperties"]);
}

#[test]
fn a_process_is_attached_to_the_place_in_the_unit_and_a_refusal_says_how_to_do_without() {
    let attached = |answer: fn(&mut Talk, &super::fake::Heard)| {
        let fake = Fake::new(move |talk| {
            talk.login();
            let call = talk.expect("AttachProcessesToUnit");
            assert_eq!((call.message.text(0), call.message.text(1)), ("user@7.service", "/a.slice"));
            answer(talk, &call);
            talk.say_nothing();
        });
        let (unit, below) = ("user@7.service".to_owned(), "/a.slice".to_owned());
        let to = Destination { manager: Manager::System, unit, below };
        attach_by(Systemd::first(fake.address(false), &Until::default(), LONGEST), &to, 7)
    };
    attached(|talk, call| talk.reply(call, &[])).unwrap();
    let refused = attached(|talk, call| talk.refuse(call, "org.freedesktop.DBus.Error.AccessDenied", "no"));
    let message = "systemd: cannot attach a process to unit user@7.service/a.slice: AttachProcessesToUnit: no \
                   (whoever is below the user's manager needs no help: systemd-run --user --scope)";
    assert_eq!(refused.unwrap_err().message(), message);
}

//! What the counters mean, thresholds, and the kernel's own telling for a group of our own.

use super::above::Above;
use super::kernel_log::KernelLog;
use super::oom::{Counts, Known, RECENT};
use super::witness::Witness;
use super::*;

fn limit(kills: Option<u64>) -> Option<Event> {
    Some(Event::Oom { kills, cause: OomCause::Limit })
}

fn outside(kills: Option<u64>) -> Option<Event> {
    Some(Event::Oom { kills, cause: OomCause::Outside })
}

fn counts(oom: u64, kills: u64) -> Counts {
    Counts { max: 0, oom, kills }
}

#[test]
fn a_kill_without_the_group_s_own_limit_came_from_outside() {
    let event = |oom, kills| Known::at(counts(1, 2), None).news(counts(oom, kills));
    assert_eq!(event(1, 2), None);
    assert_eq!(event(2, 2), limit(Some(2)));
    assert_eq!(event(2, 3), limit(Some(3)));
    assert_eq!(event(1, 3), outside(Some(3)));
    assert_eq!(event(0, 0), None, "counters do not go back, and if they did it would be no event");
    let text = "low 0\nhigh 0\nmax 9\noom 4\noom_kill 5\noom_group_kill 6\n";
    assert_eq!(Counts::of(text), Counts { max: 9, oom: 4, kills: 5 });
    assert_eq!(Counts::of("oom_kill x\noom\n"), Counts::default());
}

/// A moment that is recent, however slow this machine is.
fn recent() -> Option<Instant> {
    Instant::now().checked_add(Duration::from_secs(3600))
}

#[test]
fn who_is_killed_one_after_the_other_is_told_of_once() {
    let mut known = Known::default();
    assert_eq!(known.news(counts(1, 0)), limit(Some(0)));
    for kills in [1, 3] {
        let mut goes_on = Known::at(counts(1, 0), recent());
        assert_eq!(goes_on.news(counts(1, kills)), None, "the limit was counted before");
    }
    let mut group_above = Known::at(counts(1, 1), recent());
    assert_eq!(group_above.news(counts(1, 2)), None);
    let mut again = Known::at(counts(1, 3), recent());
    assert_eq!(again.news(counts(2, 3)), limit(Some(3)), "the limit itself is always news");
    let mut later = Known::at(counts(1, 3), Instant::now().checked_sub(RECENT));
    assert_eq!(later.news(counts(1, 4)), outside(Some(4)));
}

/// A file of this test's, by its name and its descriptor.
fn file(name: &str, text: &str) -> (std::path::PathBuf, OwnedFd) {
    let path = std::env::temp_dir().join(format!("teu-{name}-{}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    (path, file.into())
}

const ALL: &str = "6,1,2,-;Tasks in /a.scope are going to be killed due to memory.oom.group set\n";
/// What cannot be read stands for a group that is gone.
const GONE: &[u8] = b"\xff";

/// What is told when the counters are `texts`, one after the other, and then gone, and the log says of everybody's death just before. The first is known.
fn told_by_the_log(name: &str, texts: &[&str]) -> Vec<Event> {
    let (counters, memory) = file(&format!("{name}-counters"), texts[0]);
    let (log, device) = file(&format!("{name}-log"), "");
    let witness = Some(Witness::Log(KernelLog::reading(device, "/a.scope")));
    let (mut buffer, mut pending) = (vec![0; 64], VecDeque::new());
    let mut oom = OomSource::V2 { file: memory, known: Known::at(Counts::of(texts[0]), None), witness };
    for text in texts {
        std::fs::write(&counters, text).unwrap();
        assert!(oom.happened(true, &mut buffer, &mut pending));
        if let OomSource::V2 { known, .. } = &mut oom {
            known.stays_recent();
        }
    }
    std::fs::write(&log, ALL).unwrap();
    std::fs::write(&counters, GONE).unwrap();
    assert!(!oom.happened(false, &mut buffer, &mut pending));
    assert!(!oom.happened(true, &mut buffer, &mut pending), "nobody can be asked again");
    std::fs::remove_file(&counters).unwrap();
    std::fs::remove_file(&log).unwrap();
    pending.into()
}

#[test]
fn what_the_counters_told_is_not_told_again_by_the_log() {
    let [quiet, reached, killed] = ["oom 1\noom_kill 1\n", "oom 2\noom_kill 1\n", "oom 2\noom_kill 2\n"];
    assert_eq!(told_by_the_log("never", &[quiet]), Vec::from_iter(limit(None)));
    assert_eq!(told_by_the_log("reached", &[quiet, reached]), Vec::from_iter(limit(Some(1))));
    assert_eq!(told_by_the_log("killed", &[quiet, reached, killed]), Vec::from_iter(limit(Some(1))));
}

/// What cannot be read at a place stands for a group that is gone, too; and an epoll takes it.
fn gone() -> OwnedFd {
    nix::unistd::pipe().unwrap().0
}

#[test]
fn that_the_kernel_told_of_memory_counts_whoever_is_told_of_first() {
    let (path, slice) = file("slice", "oom 0\noom_kill 0\n");
    let mut buffer = vec![0; 64];
    let witness = Some(Witness::Above(Above::of(slice, &mut buffer)));
    std::fs::write(&path, "oom 1\noom_kill 1\n").unwrap();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    let mut events = Events { epoll, sources: Vec::new(), pending: VecDeque::new(), buffer };
    events.add(Source::Oom(OomSource::V2 { file: gone(), known: Known::default(), witness })).unwrap();
    let cgroup = CgroupSource { file: gone(), freezes: true, populated: true, frozen: false };
    events.add(Source::Cgroup(cgroup)).unwrap();
    let ready = |index| EpollEvent::new(EpollFlags::EPOLLPRI, index);
    events.all_happened(&mut [ready(1), ready(0)]).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        Vec::from(events.pending),
        Vec::from_iter([limit(None), Some(Event::Empty)].into_iter().flatten())
    );
}

#[test]
fn a_limit_that_was_enforced_counts_as_told() {
    let quiet = "max 1\noom 0\noom_kill 0\n";
    for (name, text, told) in [("same", quiet, None), ("max", "max 2\noom 0\noom_kill 0\n", limit(None))] {
        let (slice_path, slice) = file(&format!("{name}-above"), quiet);
        let (path, memory) = file(&format!("{name}-below"), text);
        let (mut buffer, mut pending) = (vec![0; 64], VecDeque::new());
        let witness = Some(Witness::Above(Above::of(slice, &mut buffer)));
        let mut oom = OomSource::V2 { file: memory, known: Known::at(Counts::of(quiet), None), witness };
        assert!(oom.happened(false, &mut buffer, &mut pending));
        if let OomSource::V2 { witness: Some(Witness::Above(above)), .. } = &mut oom {
            above.stays_recent();
        }
        std::fs::write(&slice_path, "max 2\noom 1\noom_kill 1\n").unwrap();
        std::fs::write(&path, GONE).unwrap();
        assert!(!oom.happened(false, &mut buffer, &mut pending));
        std::fs::remove_file(&slice_path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(pending.pop_front(), told, "{name}");
    }
}

#[test]
fn a_threshold_is_a_time_within_a_window() {
    let trigger = |stall, window, full| PressureTrigger {
        resource: PressureResource::Memory,
        full,
        stall: Duration::from_millis(stall),
        window: Duration::from_millis(window),
    };
    assert_eq!(trigger(150, 1000, false).line().unwrap(), "some 150000 1000000");
    assert_eq!(trigger(500, 500, true).line().unwrap(), "full 500000 500000");
    for (stall, window) in
        [(0, 1000), (2000, 1000), (1, 499), (1, 10_001), (u64::MAX / 2, 1000), (1, u64::MAX / 2)]
    {
        let error = trigger(stall, window, false).line().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{stall} in {window}");
    }
}

#[test]
fn changes_of_a_group_are_events_and_what_stays_is_none() {
    let path = std::env::temp_dir().join(format!("teu-events-{}", std::process::id()));
    let mut buffer = vec![0; 64];
    let mut says = |source: &mut CgroupSource, text: &str| {
        std::fs::write(&path, text).unwrap();
        let mut pending = VecDeque::new();
        assert!(source.read(&mut buffer, &mut pending));
        Vec::from(pending)
    };
    std::fs::write(&path, "").unwrap();
    let source = |freezes| CgroupSource {
        file: std::fs::File::open(&path).unwrap().into(),
        freezes,
        populated: true,
        frozen: false,
    };
    let mut v2 = source(true);
    assert_eq!(says(&mut v2, "populated 1\nfrozen 0\n"), []);
    assert_eq!(says(&mut v2, "populated 1\nfrozen 1\n"), [Event::Frozen]);
    assert_eq!(says(&mut v2, "populated 1\nfrozen 1\n"), []);
    assert_eq!(says(&mut v2, "populated 0\nfrozen 0\n"), [Event::Thawed, Event::Empty]);
    let mut hybrid = source(false);
    assert_eq!(says(&mut hybrid, "populated 1\nfrozen 1\n"), [], "another freezer decides");
    assert_eq!(says(&mut hybrid, "populated 0\nfrozen 1\n"), [Event::Empty]);
    std::fs::remove_file(&path).unwrap();
}

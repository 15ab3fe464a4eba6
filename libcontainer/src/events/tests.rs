//! What the counters mean, thresholds, and the kernel's own telling for a group of our own.

use super::oom::Counts;
use super::*;

#[test]
fn a_kill_without_the_group_s_own_limit_came_from_outside() {
    let before = Counts { oom: 1, kills: 2 };
    let event = |oom, kills| Counts { oom, kills }.since(before);
    assert_eq!(event(1, 2), None);
    assert_eq!(event(2, 2), Some(Event::Oom { kills: Some(2), cause: OomCause::Limit }));
    assert_eq!(event(2, 3), Some(Event::Oom { kills: Some(3), cause: OomCause::Limit }));
    assert_eq!(event(1, 3), Some(Event::Oom { kills: Some(3), cause: OomCause::Outside }));
    assert_eq!(event(0, 0), None, "counters do not go back, and if they did it would be no event");
    let text = "low 0\nhigh 0\nmax 9\noom 4\noom_kill 5\noom_group_kill 6\n";
    assert_eq!(Counts::of(text), Counts { oom: 4, kills: 5 });
    assert_eq!(Counts::of("oom_kill x\noom\n"), Counts::default());
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

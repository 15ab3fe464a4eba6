//! Socket activation: descriptors from 3 on that a service manager passes, counted by `LISTEN_FDS` and meant for the process whose
//! pid is `LISTEN_PID`. The container's program gets them with these variables, as process 1.

/// How many descriptors were passed to this process.
pub fn count() -> u16 {
    let variable = |name: &str| std::env::var(name).ok();
    let count = variable("LISTEN_FDS").and_then(|count| count.parse().ok());
    count.filter(|_| variable("LISTEN_PID") == Some(std::process::id().to_string())).unwrap_or(0)
}

/// The variables for the program that gets so many.
pub fn environment(count: u16) -> Vec<String> {
    of(count, std::env::var("LISTEN_FDNAMES").ok())
}

fn of(count: u16, names: Option<String>) -> Vec<String> {
    if count == 0 {
        return Vec::new();
    }
    let names = names.map(|names| format!("LISTEN_FDNAMES={names}"));
    [format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()].into_iter().chain(names).collect()
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn the_names_go_with_their_descriptors_or_not_at_all() {
        assert!(of(0, Some("a".into())).is_empty());
        assert_eq!(of(2, None), ["LISTEN_FDS=2", "LISTEN_PID=1"]);
        assert_eq!(of(2, Some("a:b".into())), ["LISTEN_FDS=2", "LISTEN_PID=1", "LISTEN_FDNAMES=a:b"]);
    }
}

//! The states of a container and what is allowed in each (runtime-spec "Runtime and Lifecycle"). Pure.

use std::fmt;

/// The status of a container, derived from the kernel on every question, never read from a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// `create` has begun and has not committed.
    Creating,
    /// Init is parked at the gate.
    Created,
    /// The container's program runs.
    Running,
    /// The container's cgroup is frozen.
    Paused,
    /// Init has ended.
    Stopped,
}

/// The operations whose permission depends on the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Let init execute the program.
    Start,
    /// Send a signal to init.
    Kill,
    /// Remove the container without force.
    Delete,
    /// Stop its processes by the freezer.
    Pause,
    /// Let them go on.
    Resume,
    /// Change its limits.
    Update,
}

/// Whether `operation` is allowed while the container is in `status`.
pub fn permits(status: Status, operation: Operation) -> bool {
    use Status::{Created, Paused, Running, Stopped};
    match operation {
        Operation::Start => status == Created,
        Operation::Kill | Operation::Update => matches!(status, Created | Running | Paused),
        // As runc: a created container may be deleted, its init is killed first.
        Operation::Delete => matches!(status, Created | Stopped),
        Operation::Pause => matches!(status, Created | Running),
        Operation::Resume => status == Paused,
    }
}

impl Status {
    /// The word of the specification.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation::*, Status::*, permits};

    #[test]
    fn the_state_table_cell_by_cell() {
        let table = [
            (Creating, [false, false, false, false, false, false]),
            (Created, [true, true, true, true, false, true]),
            (Running, [false, true, false, true, false, true]),
            (Paused, [false, true, false, false, true, true]),
            (Stopped, [false, false, true, false, false, false]),
        ];
        for (status, cells) in table {
            for (operation, expected) in [Start, Kill, Delete, Pause, Resume, Update].into_iter().zip(cells) {
                assert_eq!(permits(status, operation), expected, "{status} {operation:?}");
            }
        }
    }
}

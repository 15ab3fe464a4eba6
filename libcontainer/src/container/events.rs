//! `events`: what happens to a container.

use super::Container;
use crate::cgroup::Cgroup;
use crate::events::{EventOptions, Events};
use crate::{Result, Status};

impl Container {
    /// Listens to what happens from now on, by one descriptor.
    ///
    /// # Errors
    /// `NotRunning` if the container has stopped; `Unsupported` for a threshold of pressure that the machine does not measure; `InvalidArgument` for one that
    /// cannot be.
    ///
    /// ```no_run
    /// # let container = teu::Runtime::at("/run/teu")?.open(&teu::Id::new("web-1")?)?;
    /// let mut events = container.events(&Default::default())?;
    /// while let Some(event) = events.wait(None)? {
    ///     println!("{event:?}");
    /// #   if event == teu::events::Event::Exit { break }
    /// }
    /// # Ok::<(), teu::Error>(())
    /// ```
    pub fn events(&self, options: &EventOptions) -> Result<Events> {
        self.current(|now| match now.observe()? {
            Status::Stopped => Err(super::not_running()),
            _ => Events::new(now.init()?, &Cgroup::open(&now.record.cgroup)?, options),
        })
    }
}

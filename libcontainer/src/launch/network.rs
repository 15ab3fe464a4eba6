//! A network namespace that is made while the caller goes on: by a child that shares the caller's memory and descriptors, is never a process of the
//! container, and sends the namespace to init as soon as there is one. Making one takes about as long as everything else of a create.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use super::clone::Beside;
use super::stub::{Making, make_network};
use super::{failed, pair, uncloned};
use crate::options::CreateOptions;
use crate::plan::namespaces::Namespaces;
use crate::spec::Spec;
use crate::sys::process::Processors;
use crate::until::{self, Patience, Until, Woken};
use crate::{Error, ErrorKind, Result};

/// A network namespace on its way. Dropping it ends the child that makes it.
#[derive(Debug)]
pub(crate) struct Network {
    child: Beside<Making>,
    /// The child's end: it begins without descriptors of its own.
    _socket: OwnedFd,
}

/// A network namespace on its way, and the socket from which init takes it.
pub(crate) type Begun = (Network, OwnedFd);

/// Starts to make the network namespace that a container of `spec` will need beside everything else, if it does.
///
/// # Errors
/// Those of [`Network::begin`]; `TimedOut` or `Cancelled` if nobody waits for the container any more.
pub(crate) fn begin_for(spec: &Spec, options: &CreateOptions) -> Result<Option<Begun>> {
    Until::from(&Patience { timeout: options.timeout, cancel: options.cancel.clone() }).check()?;
    Namespaces::of(spec.config()).network_beside().then(Network::begin).transpose()
}

impl Network {
    /// Starts to make one; the descriptor is the socket from which init takes it.
    ///
    /// # Errors
    /// The kernel refuses a process or a socket.
    pub fn begin() -> Result<Begun> {
        let (socket, theirs) = pair().map_err(failed("socketpair"))?;
        let (socket_fd, processors) = (socket.as_raw_fd(), Processors::of_thread());
        let making = Making { socket: socket_fd, processors, errno: AtomicI32::new(Making::UNDONE) };
        let child =
            Beside::start(making, make_network).map_err(uncloned("clone the maker of the network"))?;
        if let Some(processors) = &child.task().processors {
            processors.move_away(child.pid());
        }
        Ok((Self { child, _socket: socket }, theirs))
    }

    /// Waits until it is made and sent.
    ///
    /// # Errors
    /// Why there is none: ENOSPC is /proc/sys/user/max_net_namespaces. `TimedOut` or `Cancelled` if the caller waits no longer.
    pub fn finish(mut self, until: &Until) -> Result<()> {
        let waited = self.child.wait(until).map_err(failed("wait for the maker of the network"))?;
        match waited {
            (Woken::Ready, making) => judge(making.errno.load(Ordering::Acquire)),
            (Woken::Late, _) => Err(until::late().context(WHAT)),
            (Woken::Cancelled, _) => Err(until::cancelled()),
        }
    }
}

const WHAT: &str = "unable to start container process: make the network namespace";

fn judge(errno: i32) -> Result<()> {
    const SITE: &str = "/linux/namespaces";
    match errno {
        // Nobody took it: why init is gone, only init can say.
        0 | libc::EPIPE => Ok(()),
        Making::UNDONE => Err(Error::new(ErrorKind::Died, format!("{WHAT}: its maker was killed")).at(SITE)),
        libc::ENOSPC => {
            let limit = "the limit is in /proc/sys/user/max_net_namespaces";
            Err(Error::os(WHAT, errno).remark(limit).at(SITE))
        }
        errno => Err(Error::os(WHAT, errno).at(SITE)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_namespace_that_is_not_made_has_a_reason_and_one_that_nobody_took_is_no_failure() {
        assert!(judge(0).is_ok() && judge(libc::EPIPE).is_ok());
        let limit = judge(libc::ENOSPC).unwrap_err();
        assert!(limit.to_string().contains("max_net_namespaces"), "{limit}");
        assert_eq!(limit.pointer(), Some("/linux/namespaces"));
        assert_eq!(judge(Making::UNDONE).unwrap_err().kind(), ErrorKind::Died);
    }

    #[test]
    fn a_maker_that_is_given_up_at_any_moment_leaves_no_descriptor() {
        let of_networks = || {
            let names = std::fs::read_dir("/proc/self/fd")
                .unwrap()
                .filter_map(|entry| entry.unwrap().path().read_link().ok());
            names.filter(|name| name.to_string_lossy().starts_with("net:[")).count()
        };
        let before = of_networks();
        for step in 0..400 {
            let (network, _theirs) = Network::begin().unwrap();
            let since = Instant::now();
            while since.elapsed() < Duration::from_micros(4 * step) {}
            drop(network);
        }
        // Other tests may have some for a moment.
        let late = Instant::now() + Duration::from_secs(10);
        while of_networks() > before && Instant::now() < late {
            std::thread::yield_now();
        }
        assert!(of_networks() <= before);
    }

    #[test]
    fn a_maker_that_is_given_up_is_ended_and_its_socket_closed() {
        let (network, theirs) = Network::begin().unwrap();
        drop(network);
        let mut byte = [0; 64];
        // What it sent before its end, if anything, and then the end of file.
        let heard = (0..2).map(|_| crate::sys::socket::receive(theirs.as_fd(), &mut byte).unwrap().0);
        assert!(heard.into_iter().any(|length| length == 0));
    }
}

//! The conversation between caller and init: 16-byte frames on a SOCK_SEQPACKET pair, which also is the lifeline.
//!
//! Down: [`HELLO`] with the program and the slots as SCM_RIGHTS, then the [`FILTER`] if it follows, or one [`GO`] for each question, then [`COMMIT`].
//! Up: questions ([`NEED_MAPS`], [`ASK`]), the end of a hook ([`ENDED`]), [`RESPAWNED`] with a pidfd, [`TERMINAL`] with a master, and at the end
//! [`READY`] or [`FAILED`]. End of file on init's side means that the creator died before it committed: init exits. End of file on the caller's side means
//! that init died.

/// Length of a frame.
pub const FRAME_LEN: usize = 16;
/// Most descriptors in one message (the kernel allows 253).
pub const FDS_PER_MESSAGE: usize = 252;
/// The descriptor on which init finds its end of the conversation.
pub const SOCKET_FD: i32 = 3;
/// Most bytes of explanation behind a [`FAILED`] frame.
pub const NOTE_LEN: usize = 240;

/// Up: everything is done; init waits for [`COMMIT`].
pub const READY: u32 = 1;
/// Up: an op failed; `op` is its index, `value` the errno, `detail` the step inside it. A note may follow.
pub const FAILED: u32 = 2;
/// Up: the id maps must be written now; init waits for [`GO`].
pub const NEED_MAPS: u32 = 3;
/// Up: init continues in another process; its pidfd is attached.
pub const RESPAWNED: u32 = 4;
/// Up: init stopped at op `op` until the caller has done `value` (see `program::ask`); it waits for [`GO`].
pub const ASK: u32 = 5;
/// Up: a hook has ended: `value` is its status as wait(2) encodes it. Init waits for [`GO`].
pub const ENDED: u32 = 6;
/// Up, from a hook's process: it could not execute its program; `value` is the errno. [`ENDED`] follows.
pub const UNEXECUTED: u32 = 7;
/// Up: the container has a terminal; its master is attached, `value` is the number of the pty.
pub const TERMINAL: u32 = 8;
/// Up: the filter has a listener, descriptor `value` of init; attached if init was to send it.
pub const LISTENER: u32 = 6;
/// Down: the answer to a question.
pub const GO: u32 = 16;
/// Down: the container is recorded; it may outlive its creator. It may come before [`READY`] where nothing has to be recorded.
pub const COMMIT: u32 = 17;
/// Down: first message; `op` is the number of descriptors that follow in all, `value` the length of the program in bytes.
pub const HELLO: u32 = 18;
/// Down: the instructions of the filter, `value` bytes, for an op `seccomp` without any: behind the frame, or in an attached file where the caller's socket
/// takes no message as long.
pub const FILTER: u32 = 20;
/// Most bytes behind a [`FILTER`] frame: 4096 instructions.
pub const FILTER_LEN: usize = 4096 * 8;
/// Down: the hook that runs, with all of its process group, has to be killed.
pub const KILL: u32 = 19;

/// Steps of a failure (`detail`): which part of a fat op the errno belongs to.
pub mod step {
    /// The op itself.
    pub const OP: u32 = 0;
    /// Finding or making the target.
    pub const TARGET: u32 = 1;
    /// The target is the rootfs itself.
    pub const ON_ROOT: u32 = 2;
    /// Opening the filesystem context.
    pub const FSOPEN: u32 = 3;
    /// The filesystem refused an option; the note has it.
    pub const OPTION: u32 = 4;
    /// Creating the superblock.
    pub const SUPERBLOCK: u32 = 5;
    /// Attaching the mount to its target.
    pub const ATTACH: u32 = 6;
    /// Changing attributes.
    pub const ATTRIBUTES: u32 = 7;
    /// Changing the propagation.
    pub const PROPAGATE: u32 = 8;
    /// An existing file is something else than asked for.
    pub const MISMATCH: u32 = 9;
    /// The working directory is outside the container.
    pub const OUTSIDE: u32 = 10;
    /// Every candidate is missing.
    pub const NOT_FOUND: u32 = 11;
    /// A candidate exists and is not executable.
    pub const NOT_EXECUTABLE: u32 = 12;
    /// Receiving or checking the program.
    pub const PROGRAM: u32 = 13;
    /// The target lies inside a procfs.
    pub const INSIDE_PROC: u32 = 14;
    /// Something else than a procfs goes onto `/proc`.
    pub const NOT_PROC: u32 = 15;
    /// Mapping the ids of a mount.
    pub const MAP: u32 = 50;
    /// Copying a directory into the filesystem that covers it; the note has the name.
    pub const COPY: u32 = 51;
    /// An attribute that the source of a bind has is locked.
    pub const LOCKED: u32 = 52;
    /// There is no procfs that can be trusted.
    pub const UNTRUSTED: u32 = 16;
    /// Finding the devpts of the container.
    pub const DEVPTS: u32 = 65;
    /// What should be a pty is something else.
    pub const NOT_PTY: u32 = 66;
    /// The filter is loaded and its listener could not be handed over.
    pub const LISTENER: u32 = 40;
    /// The filter is loaded and does not allow `read`.
    pub const READ: u32 = 41;
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// One of the constants above.
    pub kind: u32,
    /// Index of the op it is about.
    pub op: u32,
    /// An errno or another number.
    pub value: u32,
    /// The step inside the op.
    pub detail: u32,
}

impl Frame {
    /// A frame that is only a word.
    pub const fn word(kind: u32) -> Self {
        Self { kind, op: 0, value: 0, detail: 0 }
    }

    /// The frame as bytes.
    pub fn encode(&self) -> [u8; FRAME_LEN] {
        let mut out = [0; FRAME_LEN];
        for (chunk, word) in out.chunks_exact_mut(4).zip([self.kind, self.op, self.value, self.detail]) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    /// The frame of `bytes`, if there are enough.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes
            .get(..FRAME_LEN)?
            .chunks_exact(4)
            .map_while(|chunk| Some(u32::from_le_bytes(chunk.try_into().ok()?)));
        Some(Self { kind: words.next()?, op: words.next()?, value: words.next()?, detail: words.next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_encoding() {
        let frame = Frame { kind: FAILED, op: 7, value: 13, detail: step::TARGET };
        assert_eq!(Frame::decode(&frame.encode()), Some(frame));
        assert_eq!(Frame::decode(&frame.encode()[..15]), None);
    }
}

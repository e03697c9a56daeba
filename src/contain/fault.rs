//! The seam at which a test makes one system call fail.
//!
//! It owns nothing outside of tests: there [`check`] is nothing at all. A failure is forced
//! for the thread that asks for it, so that tests beside it see none.

#[cfg(not(test))]
use std::io;

/// The calls that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Clone3,
    Clone,
    /// `clone3` with a cgroup.
    IntoCgroup,
    /// The look at whether there is `close_range`, once for a process.
    CloseRange,
    Pipe,
    /// Registering the pidfd.
    Watch,
    MakeCgroup,
    OpenCgroup,
    /// Registering `cgroup.events`.
    WatchCgroup,
    OpenProcs,
    /// Making the zygote.
    Zygote,
    /// Looking whether there can be a pid namespace.
    Namespace,
}

#[cfg(not(test))]
#[expect(
    clippy::inline_always,
    clippy::unnecessary_wraps,
    reason = "outside of tests it must vanish"
)]
#[inline(always)]
pub(super) fn check(_: Call) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) use forced::{check, force};

#[cfg(test)]
mod forced {
    use std::cell::RefCell;
    use std::io;

    use rustix::io::Errno;

    use super::Call;

    thread_local! {
        static FORCED: RefCell<Vec<(Call, Errno)>> = const { RefCell::new(Vec::new()) };
    }

    /// Until it is dropped, each such call of this thread fails so.
    pub fn force(call: Call, errno: Errno) -> Forced {
        FORCED.with_borrow_mut(|forced| forced.push((call, errno)));
        Forced
    }

    #[must_use]
    pub struct Forced;

    impl Drop for Forced {
        fn drop(&mut self) {
            FORCED.with_borrow_mut(Vec::pop);
        }
    }

    pub fn check(call: Call) -> io::Result<()> {
        let found =
            FORCED.with_borrow(|forced| forced.iter().find(|(of, _)| *of == call).map(|(_, e)| *e));
        found.map_or(Ok(()), |errno| Err(errno.into()))
    }
}

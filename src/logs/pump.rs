//! From a pipe to a writer, until there is nothing more to come.
//!
//! ```text
//!  reading ──end of file──► closed
//!     └──told to stop──► draining what is in the pipe ──► closed
//! ```
//!
//! A pipe ends when its last writer closes it, and a process that left its run's group may
//! hold it for ever. So whoever owns the run says when to stop waiting (once the group is
//! empty): what was written by then is in the pipe, and is taken without waiting.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;
use tokio::net::unix::pipe::Receiver;

use super::{LogError, StreamWriter};

/// Why a pump ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PumpEnd {
    /// Every writer has closed the pipe.
    EndOfFile,
    /// It was told to stop; someone may hold the pipe still.
    Stopped,
}

/// In bytes: what a pipe holds by default (`pipe(7)`).
const CHUNK: usize = 64 * 1024;

/// In bytes: what a pipe holds that was found full. Whoever writes much and who reads it then
/// wake each other less often.
const LARGE: usize = 256 * 1024;

/// How many pipes are made larger at the same time: all pipes of a user together are bounded
/// (`pipe-user-pages-soft` of `proc_sys_fs(5)`), and pk is to take a small part of that.
const MOST_LARGE: usize = 16;

static LARGE_PIPES: AtomicUsize = AtomicUsize::new(0);

/// A pipe that was made larger, or that was not to be.
struct Enlarged(bool);

impl Enlarged {
    fn attempt(pipe: &Receiver) -> Self {
        let taken = LARGE_PIPES.fetch_add(1, Ordering::Relaxed) < MOST_LARGE;
        #[cfg(target_os = "linux")]
        let taken = taken && rustix::pipe::fcntl_setpipe_size(pipe, LARGE).is_ok();
        if !taken {
            LARGE_PIPES.fetch_sub(1, Ordering::Relaxed);
        }
        Self(taken)
    }
}

impl Drop for Enlarged {
    fn drop(&mut self) {
        if self.0 {
            LARGE_PIPES.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

thread_local! {
    /// Shared by all pumps of a thread: one that waits needs no memory of its own.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; LARGE]);
}

/// A thread of its own on which pumps run, so that lines never pass through the event loop.
/// Ends with the last owner.
pub struct Pumps {
    handle: tokio::runtime::Handle,
    /// Dropped: the thread ends.
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl fmt::Debug for Pumps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pumps").finish_non_exhaustive()
    }
}

impl Pumps {
    /// Starts the thread.
    ///
    /// # Errors
    /// There is no thread or no descriptor to be had.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("pk-pumps".to_owned())
            .spawn(move || {
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })?;
        Ok(Self {
            handle,
            _stop: stop,
        })
    }

    /// Where to spawn pumps.
    #[must_use]
    pub fn handle(&self) -> tokio::runtime::Handle {
        self.handle.clone()
    }
}

/// Moves what comes out of `pipe` to `writer` until its end, or until `stop` resolves and the
/// pipe has been emptied once. Closes the writer.
///
/// # Errors
/// [`LogError::Pipe`]. What was read before is written.
pub async fn pump(
    pipe: OwnedFd,
    mut writer: Box<dyn StreamWriter>,
    stop: impl Future<Output = ()>,
) -> Result<PumpEnd, LogError> {
    let pipe = Receiver::from_owned_fd(pipe).map_err(LogError::Pipe)?;
    let end = follow(&pipe, &mut *writer, stop).await;
    writer.close();
    poll_fn(|context| writer.poll_kept(context)).await;
    end.map_err(LogError::Pipe)
}

async fn follow(
    pipe: &Receiver,
    writer: &mut dyn StreamWriter,
    stop: impl Future<Output = ()>,
) -> io::Result<PumpEnd> {
    tokio::pin!(stop);
    let mut enlarged = None;
    loop {
        poll_fn(|context| writer.poll_ready(context)).await;
        tokio::select! {
            // A flood must not keep the word to stop from being heard.
            biased;
            () = &mut stop => return drain(pipe, writer).await,
            ready = pipe.readable() => ready?,
        }
        let read = SCRATCH.with_borrow_mut(|scratch| {
            let read = pipe.try_read(scratch)?;
            writer.write(&scratch[..read]);
            Ok(read)
        });
        match read {
            Ok(0) => return Ok(PumpEnd::EndOfFile),
            Ok(CHUNK..) if enlarged.is_none() => enlarged = Some(Enlarged::attempt(pipe)),
            // A pipe that is never empty never waits, so it lets the others have their turn.
            Ok(_) => tokio::task::yield_now().await,
            Err(error) if would_wait(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Takes as much as was in the pipe when it was told to stop, and no more: a stranger may go
/// on writing.
async fn drain(pipe: &Receiver, writer: &mut dyn StreamWriter) -> io::Result<PumpEnd> {
    let mut left = usize::try_from(rustix::io::ioctl_fionread(pipe)?).unwrap_or(usize::MAX);
    loop {
        poll_fn(|context| writer.poll_ready(context)).await;
        // Past the runtime, which may not have heard yet that there is something.
        let read = SCRATCH.with_borrow_mut(|scratch| {
            let want = left.clamp(1, LARGE);
            let read = rustix::io::read(pipe, &mut scratch[..want])?;
            writer.write(&scratch[..read]);
            Ok::<_, Errno>(read)
        });
        match read {
            Ok(0) => return Ok(PumpEnd::EndOfFile),
            Ok(read) if read < left => left -= read,
            Ok(_) | Err(Errno::AGAIN) => return Ok(PumpEnd::Stopped),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn would_wait(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

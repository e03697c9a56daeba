//! Tells a reader that a run has published more, without looking at it again and again.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long it is relied on that the file system tells: some that are mounted do not.
const LONGEST: Duration = Duration::from_secs(5);

/// Rings when the number of published lines is written, and when its writer is gone.
#[derive(Debug)]
pub struct Bell {
    inotify: AsyncFd<OwnedFd>,
    head: PathBuf,
}

impl Bell {
    /// # Errors
    /// The limit of inotify instances is reached (`inotify(7)`).
    #[expect(
        deprecated,
        reason = "an `OwnedFd` is the same descriptor as long as it lives; the other way is unsafe"
    )]
    pub fn new(head: &Path) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self {
            inotify: AsyncFd::new(inotify)?,
            head: head.to_owned(),
        })
    }

    /// Waits until it rings, or for [`LONGEST`]; not at all where `changed` is true already.
    ///
    /// Only meanwhile it costs the writer anything.
    ///
    /// # Errors
    /// The file is gone, or the limit of watches is reached.
    pub async fn rung(&self, changed: impl Fn() -> bool) -> io::Result<()> {
        // The end of a writer closes what it wrote.
        let flags = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE;
        let watch = inotify::add_watch(&self.inotify, &self.head, flags)?;
        if !changed() {
            let _ = tokio::time::timeout(LONGEST, self.inotify.readable()).await;
        }
        let _ = inotify::remove_watch(&self.inotify, watch);
        self.drain();
        Ok(())
    }

    fn drain(&self) {
        let mut events = [0; 1024];
        loop {
            // To be told that there is nothing is what makes the next wait one.
            let read = self.inotify.try_io(Interest::READABLE, |inotify| {
                Ok(rustix::io::read(inotify, &mut events)?)
            });
            match read {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

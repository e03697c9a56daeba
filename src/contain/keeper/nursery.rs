//! The zygote: the small process from which keepers are made.
//!
//! ```text
//!  start ─► shrink ─► wait ◄──────────────┐
//!                      ├─ Run: a keeper ──┤
//!                      ├─ one has ended ──┤  if it did not end by itself: kill its orphans
//!                      └─ its owner is gone ─► wait for the keepers ─► exit
//! ```
//!
//! It was copied from its owner once, and has given back all memory that it does not need,
//! so that a copy of it costs little however large its owner gets. It does system calls and
//! nothing else. It decides nothing but this: who comes back to it has lost its keeper, which
//! somebody else must have ended, and is killed.

use std::ops::ControlFlow;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, getpid, set_child_subreaper, setsid};
use rustix::thread::set_name;

use super::fork::{self, exit};
use super::keep::{self, Keeping};
use super::memory::{self, Entry, Table};
use super::namespace::{self, Maker};
use super::signal;
use super::tree;
use super::wait::{self, Whose};
use super::wire::{self, Ask, Told};

/// The name of a keeper, as `comm` shows it.
pub(super) const KEEPER: &str = "run-keeper";
/// How many keepers there may be at a time.
const MOST: usize = 65_536;

/// What the copy is handed.
pub(super) struct Nursery {
    pub link: RawFd,
}

/// The life of the zygote.
pub(super) fn live(nursery: &mut Nursery) -> ! {
    let Ok(mut zygote) = Zygote::settle(nursery.link) else {
        exit(1)
    };
    zygote.serve();
    exit(0)
}

struct Zygote {
    link: OwnedFd,
    signals: OwnedFd,
    /// The numbers of the keepers that are not reaped.
    keepers: Table,
    /// A keeper was ended by somebody else: some may have come back.
    orphaned: bool,
    /// Nobody asks any more.
    alone: bool,
}

impl Zygote {
    fn settle(link: RawFd) -> Result<Self, Errno> {
        let signals = signal::block_all()?;
        signal::default_all();
        // Out of the owner's session: what is sent to its group or terminal is not for it.
        let _ = setsid();
        let _ = set_name(c"run-zygote");
        set_child_subreaper(Some(getpid()))?;
        let _ = rustix::process::chdir(c"/");
        let [link, signals] = memory::close_all_but(link, signals)?;
        memory::shrink();
        memory::rename(b"keeper: waits for runs to keep");
        Ok(Self {
            link,
            signals,
            keepers: Table::new(MOST)?,
            orphaned: false,
            alone: false,
        })
    }

    fn serve(&mut self) {
        loop {
            self.reap();
            if self.orphaned {
                self.kill_orphans();
            }
            if self.alone && self.keepers.is_empty() && !self.orphaned {
                return;
            }
            self.wait();
        }
    }

    fn wait(&mut self) {
        let tick = Timespec {
            tv_sec: 0,
            tv_nsec: 5_000_000,
        };
        let mut polled = [
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&self.link, PollFlags::IN),
        ];
        let watched = if self.alone { 1 } else { 2 };
        let limit = self.orphaned.then_some(&tick);
        if poll(&mut polled[..watched], limit).is_err() {
            return;
        }
        let asked = !self.alone && !polled[1].revents().is_empty();
        signal::drain(&self.signals);
        if asked {
            self.answer();
        }
    }

    fn answer(&mut self) {
        let received = match wire::receive(&self.link, RecvFlags::DONTWAIT) {
            Ok(Some(received)) => received,
            Ok(None) => return self.be_alone(),
            Err(_) => return,
        };
        let asked = Ask::of(&received.bytes);
        let mut fds = received.fds;
        match asked {
            Some(Ask::Run { space, image }) => {
                let [control, image_file, stdin, stdout, stderr, answer] = fds;
                let (
                    Some(control),
                    Some(image_file),
                    Some(stdin),
                    Some(stdout),
                    Some(stderr),
                    Some(answer),
                ) = (control, image_file, stdin, stdout, stderr, answer)
                else {
                    return;
                };
                let mut keeping = Keeping {
                    control: control.as_raw_fd(),
                    link: self.link.as_raw_fd(),
                    signals: self.signals.as_raw_fd(),
                    space,
                    maker: Maker::own(),
                    first: keep::Order {
                        image: image_file.as_raw_fd(),
                        length: image,
                        stdio: [stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()],
                        answer: answer.as_raw_fd(),
                    },
                };
                if let Err(errno) = self.make(&mut keeping) {
                    let told = Told::Failed {
                        step: namespace::step(space),
                        errno: errno.raw_os_error(),
                    };
                    let _ = wire::send(&answer, told.bytes(), &[], SendFlags::empty());
                }
            }
            Some(Ask::Probe { space }) => {
                if let Some(answer) = fds[0].take()
                    && let Err(errno) = namespace::probe(space, answer.as_raw_fd())
                {
                    let told = Told::Failed {
                        step: namespace::NAMESPACES,
                        errno: errno.raw_os_error(),
                    };
                    let _ = wire::send(&answer, told.bytes(), &[], SendFlags::empty());
                }
            }
            Some(Ask::Spawn { .. } | Ask::Kill | Ask::Spare) | None => {}
        }
    }

    #[expect(unsafe_code, reason = "a copy of this process does system calls only")]
    fn make(&mut self, keeping: &mut Keeping) -> Result<(), Errno> {
        if self.keepers.is_full() {
            return Err(Errno::AGAIN);
        }
        let flags = namespace::flags(keeping.space);
        // SAFETY: this process has one thread, and a keeper does system calls only.
        let (pid, _pidfd) = unsafe { fork::copy(flags, keep::live, keeping) }?;
        self.keepers.insert(Entry {
            pid: pid.as_raw_nonzero().get(),
            index: 0,
        });
        Ok(())
    }

    fn be_alone(&mut self) {
        self.alone = true;
        // One that a member has stopped would not hear that it is alone too.
        self.keepers.each(|keeper| {
            if let Some(keeper) = Pid::from_raw(keeper.pid) {
                // Unreaped: the number is its own.
                let _ = rustix::process::kill_process(keeper, rustix::process::Signal::CONT);
            }
        });
    }

    fn reap(&mut self) {
        while let Ok(Some(ended)) = wait::look(Whose::Any) {
            // Before its number is free.
            let keeper = self.keepers.remove(ended.pid.as_raw_nonzero().get());
            let _ = wait::reap(Whose::Of(ended.pid));
            if keeper.is_some() && (ended.by_signal || ended.how != 0) {
                self.orphaned = true;
            }
        }
    }

    fn kill_orphans(&mut self) {
        let keepers = &self.keepers;
        let mut found = false;
        let looked = tree::each(getpid(), None, &mut |one| {
            if one.is_child && keepers.get(one.pid.as_raw_nonzero().get()).is_some() {
                return ControlFlow::Break(());
            }
            if !one.has_ended() {
                found = true;
                let _ = signal::send(one.pidfd, libc::SIGKILL);
            }
            ControlFlow::Continue(())
        });
        self.orphaned = found || looked.is_err();
    }
}

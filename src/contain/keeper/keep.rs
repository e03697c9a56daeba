//! A keeper: the parent of one run, to which comes back whatever is orphaned in it.
//!
//! ```text
//!  wait ◄─────────────────────────────────────┐
//!   ├─ Spawn: one more child ─────────────────┤
//!   ├─ a child has ended: told, if spawned ───┤  none left: Empty is told
//!   ├─ Kill: stop all, kill all, until none ──┤
//!   ├─ Spare ─► wait until none is left ─► exit
//!   └─ its owner is gone: as Kill ─► exit
//! ```
//!
//! It does system calls and nothing else. Its word that nobody is left is the kernel's:
//! `waitid(2)` says `ECHILD` to a process that has no child, and who has lost its parent in
//! the run has become the keeper's child before that parent could be waited for.
//!
//! The first process it spawned stays a zombie until nobody else is left: its number is that
//! of the run's process group, and as long as it is taken the group can be killed in one
//! call, which no fork outruns. Who is in another group is stopped first and killed then: of
//! those that fork on and on, killing some makes room for others, stopping them does not.

use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open, set_child_subreaper, setsid};
use rustix::thread::set_name;

use super::fork::{self, exit};
use super::image;
use super::memory::{Entry, Table};
use super::namespace::{self, Maker};
use super::signal;
use super::tree;
use super::wait::{self, Ended, Whose};
use super::wire::{self, Ask, Space, Told};

/// How many spawned processes of one run may live at a time.
const MOST: usize = 65_536;
/// How often the members are stopped again before they are killed.
const STOP_ROUNDS: usize = 16;
/// Between two rounds of killing, for those that have just come to light.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(64);

/// What the copy of the zygote is handed. Descriptors are numbers: they are the zygote's.
pub(super) struct Keeping {
    pub control: RawFd,
    pub link: RawFd,
    pub signals: RawFd,
    pub space: Space,
    pub maker: Maker,
    pub first: Order,
}

/// A process to make.
#[derive(Clone, Copy)]
pub(super) struct Order {
    pub image: RawFd,
    pub length: u32,
    pub stdio: [RawFd; 3],
    pub answer: RawFd,
}

struct Keeper {
    control: OwnedFd,
    signals: OwnedFd,
    space: Space,
    /// Those that were spawned and are not reaped.
    spawned: Table,
    /// The first of a run, whose number its process group bears, until it is reaped.
    leader: Option<Pid>,
    leader_has_ended: bool,
    spawns: u32,
    /// Nobody is left, and that was told.
    empty: bool,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Keeping,
    Killing,
    /// As `Keeping`, and nobody asks any more.
    Spared,
    /// As `Killing`, and nobody asks any more.
    Ending,
}

/// The life of a keeper.
pub(super) fn live(keeping: &mut Keeping) -> ! {
    let _ = setsid();
    let _ = set_name(c"run-keeper");
    let _ = set_child_subreaper(Some(getpid()));
    // SAFETY: the zygote's descriptors, of which this process has a copy of its own, and
    // nobody else in it.
    #[expect(unsafe_code, reason = "descriptors that were copied with the process")]
    let (control, signals, order) = unsafe {
        drop(OwnedFd::from_raw_fd(keeping.link));
        (
            OwnedFd::from_raw_fd(keeping.control),
            OwnedFd::from_raw_fd(keeping.signals),
            Taken::from(keeping.first),
        )
    };
    if let Err((step, errno)) = namespace::settle(keeping.space, keeping.maker) {
        order.refuse(step, errno);
        exit(0);
    }
    let Ok(spawned) = Table::new(MOST) else {
        order.refuse(0, Errno::NOMEM);
        exit(0);
    };
    let mut keeper = Keeper {
        control,
        signals,
        space: keeping.space,
        spawned,
        leader: None,
        leader_has_ended: false,
        spawns: 0,
        empty: false,
        phase: Phase::Keeping,
    };
    keeper.spawn(&order);
    drop(order);
    keeper.serve();
    exit(0)
}

/// The descriptors of an order; closed when it is done.
struct Taken {
    image: OwnedFd,
    length: u32,
    stdio: [OwnedFd; 3],
    answer: OwnedFd,
}

impl Taken {
    #[expect(unsafe_code, reason = "descriptors that were copied with the process")]
    unsafe fn from(order: Order) -> Self {
        // SAFETY: the caller's, which nobody else in this process closes.
        unsafe {
            let [stdin, stdout, stderr] = order.stdio;
            Self {
                image: OwnedFd::from_raw_fd(order.image),
                length: order.length,
                stdio: [
                    OwnedFd::from_raw_fd(stdin),
                    OwnedFd::from_raw_fd(stdout),
                    OwnedFd::from_raw_fd(stderr),
                ],
                answer: OwnedFd::from_raw_fd(order.answer),
            }
        }
    }

    fn order(&self, leader: Option<Pid>) -> Born {
        Born {
            order: Order {
                image: self.image.as_raw_fd(),
                length: self.length,
                stdio: [
                    self.stdio[0].as_raw_fd(),
                    self.stdio[1].as_raw_fd(),
                    self.stdio[2].as_raw_fd(),
                ],
                answer: self.answer.as_raw_fd(),
            },
            leader,
        }
    }

    fn refuse(&self, step: u8, errno: Errno) {
        let told = Told::Failed {
            step,
            errno: errno.raw_os_error(),
        };
        let _ = wire::send(&self.answer, told.bytes(), &[], SendFlags::empty());
    }
}

/// What the copy of a keeper is handed.
struct Born {
    order: Order,
    leader: Option<Pid>,
}

/// The life of a process up to exec.
fn be_born(born: &mut Born) -> ! {
    let Order {
        image,
        length,
        stdio,
        answer,
    } = born.order;
    // SAFETY: copied with the process, and open for as long as it lives as this.
    #[expect(unsafe_code, reason = "descriptors that were copied with the process")]
    let (image, answer) = unsafe {
        (
            BorrowedFd::borrow_raw(image),
            BorrowedFd::borrow_raw(answer),
        )
    };
    let (step, errno) = image::execute(image, length, stdio, born.leader);
    let told = Told::Failed {
        step: step.number(),
        errno,
    };
    let _ = wire::send(answer, told.bytes(), &[], SendFlags::empty());
    exit(127)
}

impl Keeper {
    fn serve(&mut self) {
        let mut pause = FIRST_PAUSE;
        let mut kill_at = None;
        loop {
            self.reap();
            if self.empty {
                match self.phase {
                    Phase::Killing => self.phase = Phase::Keeping,
                    Phase::Ending | Phase::Spared => return,
                    Phase::Keeping => {}
                }
            }
            let limit = match self.phase {
                Phase::Killing | Phase::Ending => {
                    let now = Instant::now();
                    if kill_at.is_none_or(|at| at <= now) {
                        self.kill();
                        kill_at = Some(now + pause);
                        // Who may not be killed by this user, or is held up in the kernel.
                        pause = (pause * 2).min(LAST_PAUSE);
                    }
                    kill_at.map(|at| at.saturating_duration_since(Instant::now()))
                }
                Phase::Keeping | Phase::Spared => {
                    (pause, kill_at) = (FIRST_PAUSE, None);
                    None
                }
            };
            self.wait(limit);
        }
    }

    /// For a child's end, or for what is asked.
    fn wait(&mut self, limit: Option<Duration>) {
        let limit = limit.map(|limit| Timespec {
            tv_sec: 0,
            tv_nsec: limit.subsec_nanos().into(),
        });
        let mut polled = [
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&self.control, PollFlags::IN),
        ];
        // While it kills it takes no order: who comes after a kill is not killed by it.
        let watched = match self.phase {
            Phase::Keeping => 2,
            Phase::Killing | Phase::Spared | Phase::Ending => 1,
        };
        if poll(&mut polled[..watched], limit.as_ref()).is_err() {
            return;
        }
        let asked = watched == 2 && !polled[1].revents().is_empty();
        if !polled[0].revents().is_empty() {
            signal::drain(&self.signals);
        }
        if asked {
            self.answer();
        }
    }

    fn answer(&mut self) {
        let received = match wire::receive(&self.control, RecvFlags::DONTWAIT) {
            Ok(Some(received)) => received,
            Ok(None) => {
                self.phase = Phase::Ending;
                return;
            }
            Err(_) => return,
        };
        match Ask::of(&received.bytes) {
            Some(Ask::Spawn { image: length }) => {
                let [image, stdin, stdout, stderr, answer, _] = received.fds;
                if let (Some(image), Some(stdin), Some(stdout), Some(stderr), Some(answer)) =
                    (image, stdin, stdout, stderr, answer)
                {
                    self.spawn(&Taken {
                        image,
                        length,
                        stdio: [stdin, stdout, stderr],
                        answer,
                    });
                }
            }
            Some(Ask::Kill) => self.phase = Phase::Killing,
            Some(Ask::Spare) => self.phase = Phase::Spared,
            Some(Ask::Run { .. } | Ask::Probe { .. }) | None => {}
        }
    }

    fn spawn(&mut self, order: &Taken) {
        let index = self.spawns;
        self.spawns += 1;
        self.empty = false;
        if self.spawned.is_full() {
            return order.refuse(0, Errno::AGAIN);
        }
        let mut born = order.order(self.leader);
        // SAFETY: this process has one thread, and the copy does system calls only.
        #[expect(unsafe_code, reason = "a copy of this process does system calls only")]
        let made = unsafe { fork::copy(0, be_born, &mut born) };
        let (pid, pidfd) = match made {
            Ok(made) => made,
            Err(errno) => return order.refuse(0, errno),
        };
        let number = pid.as_raw_nonzero().get();
        self.spawned.insert(Entry { pid: number, index });
        if self.leader.is_none() {
            self.leader = Some(pid);
            self.leader_has_ended = false;
        }
        let own = getpid();
        let told = Told::Started {
            keeper: own.as_raw_nonzero().get(),
            pid: number,
        };
        let _ = match pidfd_open(own, PidfdFlags::empty()) {
            Ok(own) => wire::send_of(
                &order.answer,
                told.bytes(),
                &[pidfd.as_fd(), own.as_fd()],
                (self.space != Space::Same).then_some(pid),
                SendFlags::empty(),
            ),
            Err(errno) => {
                order.refuse(0, errno);
                Ok(())
            }
        };
    }

    /// Takes note of every child that has ended, and of the last.
    fn reap(&mut self) {
        loop {
            let found = match self.leader {
                Some(leader) if self.leader_has_ended => {
                    if self.reap_others(leader) {
                        return;
                    }
                    // Nobody else is left, as far as can be seen: now the kernel is asked.
                    self.leader = None;
                    wait::reap(Whose::Of(leader))
                }
                Some(_) | None => wait::look(Whose::Any),
            };
            match found {
                Ok(Some(ended)) if self.leader == Some(ended.pid) => {
                    self.leader_has_ended = true;
                    self.tell(ended);
                }
                Ok(Some(ended)) => {
                    self.tell(ended);
                    let _ = wait::reap(Whose::Of(ended.pid));
                }
                Ok(None) => return,
                Err(Errno::CHILD) => {
                    if !self.empty {
                        self.empty = true;
                        let spawns = self.spawns;
                        self.say(Told::Empty { spawns });
                    }
                    return;
                }
                Err(_) => return,
            }
        }
    }

    /// Reaps who has ended besides the leader. Whether one is left that lives.
    fn reap_others(&mut self, leader: Pid) -> bool {
        let mut living = false;
        let mut ended_ones = [None; 32];
        let looked = tree::children(getpid(), &mut |pid| {
            if pid == leader {
                return;
            }
            match wait::look(Whose::Of(pid)) {
                Ok(Some(ended)) => {
                    // Not reaped yet: the list is being read.
                    match ended_ones.iter_mut().find(|place| place.is_none()) {
                        Some(place) => *place = Some(ended),
                        None => living = true,
                    }
                }
                Ok(None) => living = true,
                Err(_) => {}
            }
        });
        let more = ended_ones.iter().all(Option::is_some);
        for ended in ended_ones.into_iter().flatten() {
            self.tell(ended);
            let _ = wait::reap(Whose::Of(ended.pid));
        }
        if more {
            return self.reap_others(leader);
        }
        // Without a list the leader's number is given up, and the kernel asked.
        living && looked.is_ok()
    }

    fn tell(&mut self, ended: Ended) {
        let Some(entry) = self.spawned.remove(ended.pid.as_raw_nonzero().get()) else {
            return;
        };
        self.say(Told::Exited {
            index: entry.index,
            how: ended.how,
            by_signal: ended.by_signal,
        });
    }

    fn say(&self, told: Told) {
        // Nobody may be there to hear it.
        let _ = wire::send(&self.control, told.bytes(), &[], SendFlags::empty());
    }

    fn kill(&self) {
        if self.space != Space::Same {
            // All of the namespace but this process, its first: `kill(2)`.
            let _ = signal::send_group(1, libc::SIGKILL);
            return;
        }
        if let Some(leader) = self.leader {
            // Unreaped: the number is its own.
            let _ = signal::send_group(leader.as_raw_nonzero().get(), libc::SIGKILL);
        }
        let doomed = self
            .leader
            .map_or(0, |leader| leader.as_raw_nonzero().get());
        let mut before = 0;
        for _ in 0..STOP_ROUNDS {
            // Who has a signal pending makes no process: `fork(2)` begins anew after it.
            let seen = each_outside(doomed, libc::SIGSTOP);
            if seen <= before {
                break;
            }
            before = seen;
        }
        let _ = each_outside(doomed, libc::SIGKILL);
    }
}

/// A signal to every descendant that is not in the process group `group`; how many there are.
fn each_outside(group: i32, signal: i32) -> usize {
    let mut seen = 0;
    let _ = tree::each(getpid(), None, &mut |one| {
        if !one.has_ended() && one.group != group {
            seen += 1;
            let _ = signal::send(one.pidfd, signal);
        }
        ControlFlow::Continue(())
    });
    seen
}

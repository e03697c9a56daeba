//! What this process, the zygote and the keepers say to each other.
//!
//! Every message is a few bytes on a `SOCK_SEQPACKET` socket, with descriptors beside it. It
//! is written and read without allocating: the zygote and the keepers must not.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, UCred, recvmsg, sendmsg,
};
use rustix::process::{Pid, getegid, geteuid};

/// Bytes of a message.
pub(super) const SIZE: usize = 16;
/// Descriptors beside one, at most.
pub(super) const FDS: usize = 6;

/// In which namespaces a keeper is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::contain) enum Space {
    /// In those of the zygote.
    Same,
    /// It is the first process of a pid namespace.
    Pids,
    /// The same, in a user namespace in which its user may make one.
    PidsOfUser,
}

/// What is asked of the zygote or of a keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The zygote: make a keeper, and let it do a `Spawn`. Beside it the keeper's end of its
    /// connection, and what goes with a `Spawn`.
    Run { space: Space, image: u32 },
    /// A keeper: make a process of the image, of so many bytes. Beside it the image, stdin,
    /// stdout, stderr, and where to answer.
    Spawn { image: u32 },
    /// A keeper: kill until nobody is left.
    Kill,
    /// A keeper: leave whoever is left alone, from here on.
    Spare,
    /// The zygote: say whether such a keeper can be made. Beside it where to answer.
    Probe { space: Space },
}

/// What the zygote and the keepers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// As an answer. Beside it the pidfds of the process made and of its keeper.
    Started { keeper: i32, pid: i32 },
    /// As an answer. The step is a [`ChildStep`](crate::contain::clone::ChildStep).
    Failed { step: u8, errno: i32 },
    /// The process of the `index`th `Spawn`, from 0, has ended.
    Exited {
        index: u32,
        how: i32,
        by_signal: bool,
    },
    /// After `spawns` of them nobody was left: `waitid` said `ECHILD`.
    Empty { spawns: u32 },
}

fn pack(kind: u8, small: u8, first: u32, second: u32) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[0] = kind;
    bytes[1] = small;
    bytes[4..8].copy_from_slice(&first.to_ne_bytes());
    bytes[8..12].copy_from_slice(&second.to_ne_bytes());
    bytes
}

fn unpack(bytes: &[u8; SIZE]) -> (u8, u8, u32, u32) {
    let word =
        |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    (bytes[0], bytes[1], word(4), word(8))
}

impl Space {
    fn number(self) -> u8 {
        match self {
            Self::Same => 0,
            Self::Pids => 1,
            Self::PidsOfUser => 2,
        }
    }

    fn of(number: u8) -> Self {
        match number {
            1 => Self::Pids,
            2 => Self::PidsOfUser,
            _ => Self::Same,
        }
    }
}

impl Ask {
    pub fn bytes(self) -> [u8; SIZE] {
        match self {
            Self::Run { space, image } => pack(1, space.number(), image, 0),
            Self::Spawn { image } => pack(2, 0, image, 0),
            Self::Kill => pack(3, 0, 0, 0),
            Self::Spare => pack(4, 0, 0, 0),
            Self::Probe { space } => pack(5, space.number(), 0, 0),
        }
    }

    pub fn of(bytes: &[u8; SIZE]) -> Option<Self> {
        let (kind, small, first, _) = unpack(bytes);
        let space = Space::of(small);
        Some(match kind {
            1 => Self::Run {
                space,
                image: first,
            },
            2 => Self::Spawn { image: first },
            3 => Self::Kill,
            4 => Self::Spare,
            5 => Self::Probe { space },
            _ => return None,
        })
    }
}

impl Told {
    pub fn bytes(self) -> [u8; SIZE] {
        match self {
            Self::Started { keeper, pid } => {
                pack(1, 0, keeper.cast_unsigned(), pid.cast_unsigned())
            }
            Self::Failed { step, errno } => pack(2, step, errno.cast_unsigned(), 0),
            Self::Exited {
                index,
                how,
                by_signal,
            } => pack(3, u8::from(by_signal), index, how.cast_unsigned()),
            Self::Empty { spawns } => pack(4, 0, spawns, 0),
        }
    }

    pub fn of(bytes: &[u8; SIZE]) -> Option<Self> {
        let (kind, small, first, second) = unpack(bytes);
        Some(match kind {
            1 => Self::Started {
                keeper: first.cast_signed(),
                pid: second.cast_signed(),
            },
            2 => Self::Failed {
                step: small,
                errno: first.cast_signed(),
            },
            3 => Self::Exited {
                index: first,
                how: second.cast_signed(),
                by_signal: small != 0,
            },
            4 => Self::Empty { spawns: first },
            _ => return None,
        })
    }
}

/// Sends one message with descriptors beside it.
pub(super) fn send(
    socket: impl AsFd,
    bytes: [u8; SIZE],
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<(), Errno> {
    send_of(socket, bytes, fds, None, flags)
}

/// The same, naming a process as the sender: the kernel tells whoever takes it the number by
/// which it is known there.
pub(super) fn send_of(
    socket: impl AsFd,
    bytes: [u8; SIZE],
    fds: &[BorrowedFd<'_>],
    process: Option<Pid>,
    flags: SendFlags,
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS), ScmCredentials(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if let Some(pid) = process {
        let (uid, gid) = (geteuid(), getegid());
        let sender = UCred { pid, uid, gid };
        if !beside.push(SendAncillaryMessage::ScmCredentials(sender)) {
            return Err(Errno::TOOBIG);
        }
    }
    if !fds.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOBIG);
    }
    let flags = flags | SendFlags::NOSIGNAL;
    loop {
        match sendmsg(&socket, &[IoSlice::new(&bytes)], &mut beside, flags) {
            Err(Errno::INTR) => {}
            other => return other.map(|_| ()),
        }
    }
}

/// A message and what was beside it.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub bytes: [u8; SIZE],
    pub fds: [Option<OwnedFd>; FDS],
    /// Who is named as the sender, if that was asked for on this socket.
    pub sender: Option<Pid>,
}

/// Takes one message; `None`: the other side is gone.
pub(super) fn receive(socket: impl AsFd, flags: RecvFlags) -> Result<Option<Received>, Errno> {
    let mut received = Received::default();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS), ScmCredentials(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let length = loop {
        let mut into = [IoSliceMut::new(&mut received.bytes)];
        match recvmsg(&socket, &mut into, &mut beside, flags) {
            Err(Errno::INTR) => {}
            // It ended while something of ours was unread.
            Err(Errno::CONNRESET) => return Ok(None),
            other => break other?.bytes,
        }
    };
    for message in beside.drain() {
        match message {
            RecvAncillaryMessage::ScmRights(fds) => {
                for (place, fd) in received.fds.iter_mut().zip(fds) {
                    *place = Some(fd);
                }
            }
            RecvAncillaryMessage::ScmCredentials(sender) => received.sender = Some(sender.pid),
            _ => {}
        }
    }
    Ok((length == SIZE).then_some(received))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_read_as_it_was_written() {
        for ask in [
            Ask::Run {
                space: Space::PidsOfUser,
                image: 70_000,
            },
            Ask::Spawn { image: 3 },
            Ask::Kill,
            Ask::Spare,
            Ask::Probe { space: Space::Pids },
        ] {
            assert_eq!(Ask::of(&ask.bytes()), Some(ask));
        }
        for told in [
            Told::Started { keeper: 7, pid: 8 },
            Told::Failed { step: 3, errno: 2 },
            Told::Exited {
                index: 9,
                how: -1,
                by_signal: true,
            },
            Told::Empty { spawns: 4 },
        ] {
            assert_eq!(Told::of(&told.bytes()), Some(told));
        }
        assert_eq!(Ask::of(&[0; SIZE]), None);
        assert_eq!(Told::of(&[9; SIZE]), None);
    }
}

//! A socket that takes datagrams, each with who sent it, as the kernel says.
#![expect(
    unsafe_code,
    reason = "rustix takes the pid of a sender for a positive number; one beyond this pid \
              namespace is 0"
)]

use std::fmt::Write as _;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::ptr;

use rustix::net::sockopt;
use tokio::io::Interest;
use tokio::net;

/// The longest datagram that is taken whole; the rest of a longer one is lost.
const LONGEST: usize = 4096;

/// As many descriptors as the kernel lets a message have (`SCM_MAX_FD`).
const DESCRIPTORS: usize = 253;

/// How often another name is tried when one is taken.
const TRIES: usize = 8;

/// Takes datagrams of any process that knows its address. Its address is abstract
/// (`unix(7)`): nothing is left of it in the file system, and every user of this machine can
/// reach it. So it is for the reader to look at each sender.
#[derive(Debug)]
pub struct Mailbox {
    socket: net::UnixDatagram,
    name: String,
}

/// One datagram.
#[derive(Debug)]
pub struct Letter {
    pub bytes: Vec<u8>,
    /// `None`: the kernel did not say.
    pub sender: Option<Sender>,
    /// They are closed with this, which tells a sender that waits for it that the letter was
    /// read.
    pub descriptors: Vec<OwnedFd>,
}

/// Who sent a datagram. The number may be somebody else's by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// 0: it is not of this pid namespace.
    pub pid: u32,
    pub uid: u32,
}

impl Mailbox {
    /// Opens one at an address that begins with this word.
    ///
    /// Must be called within a tokio runtime with IO enabled.
    ///
    /// # Errors
    /// There can be no more sockets.
    pub fn new(word: &str) -> io::Result<Self> {
        let mut tries = 0;
        let (socket, name) = loop {
            let mut name = word.to_owned();
            // Writing to a string does not fail.
            let _ = write!(name, "-{:016x}", fastrand::u64(..));
            match UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?) {
                Ok(socket) => break (socket, name),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < TRIES => {
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        };
        sockopt::set_socket_passcred(&socket, true)?;
        socket.set_nonblocking(true)?;
        let socket = net::UnixDatagram::from_std(socket)?;
        Ok(Self { socket, name })
    }

    /// As `sd_notify(3)` takes it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("@{}", self.name)
    }

    /// The next datagram.
    ///
    /// # Errors
    /// As `recvmsg(2)`.
    pub async fn receive(&self) -> io::Result<Letter> {
        let read = || receive(rustix::fd::AsFd::as_fd(&self.socket));
        self.socket.async_io(Interest::READABLE, read).await
    }
}

/// Room for a message's credentials and descriptors, aligned as the kernel's headers are.
#[repr(C, align(8))]
struct Ancillary([MaybeUninit<u8>; 2048]);

fn receive(socket: BorrowedFd<'_>) -> io::Result<Letter> {
    let mut bytes = vec![0; LONGEST];
    let mut ancillary = Ancillary([MaybeUninit::uninit(); 2048]);
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: all zero is a valid `msghdr`: null pointers with lengths of nothing.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = ptr::from_mut(&mut part);
    message.msg_iovlen = 1;
    message.msg_control = ancillary.0.as_mut_ptr().cast();
    message.msg_controllen = ancillary.0.len() as _;
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    // SAFETY: the message's pointers are to buffers of the given lengths, which live and are
    // not moved until the call returns.
    let read = unsafe { libc::recvmsg(socket.as_raw_fd(), ptr::from_mut(&mut message), flags) };
    if read < 0 {
        return Err(io::Error::last_os_error());
    }
    bytes.truncate(read.unsigned_abs());
    let (sender, descriptors) = unpack(&message);
    Ok(Letter {
        bytes,
        sender,
        descriptors,
    })
}

/// What came beside the bytes of a message that was just received. The message must be what
/// `recvmsg` has filled in, and each message must be unpacked once: its descriptors are owned.
fn unpack(message: &libc::msghdr) -> (Option<Sender>, Vec<OwnedFd>) {
    const { assert!(DESCRIPTORS * size_of::<libc::c_int>() + 256 <= size_of::<Ancillary>()) };
    let (mut sender, mut descriptors) = (None, Vec::new());
    // SAFETY: the kernel has written `msg_controllen` bytes of whole headers.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: the macro gives out null or a header that is in the buffer, which is aligned
        // for it.
        let (own, data) = unsafe { (*header, libc::CMSG_DATA(header)) };
        // SAFETY: it takes a number and touches no memory.
        let empty = unsafe { libc::CMSG_LEN(0) } as usize;
        let length = own.cmsg_len.saturating_sub(empty);
        match (own.cmsg_level, own.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if length >= size_of::<libc::ucred>() => {
                // SAFETY: the length says that there is one, of numbers alone; it need not be
                // aligned.
                let found = unsafe { data.cast::<libc::ucred>().read_unaligned() };
                sender = Some(Sender {
                    pid: found.pid.unsigned_abs(),
                    uid: found.uid,
                });
            }
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                for place in 0..length / size_of::<libc::c_int>() {
                    // SAFETY: within the length; the kernel has opened the descriptor for this
                    // process, and nobody else knows of it.
                    descriptors.push(unsafe {
                        let number = data.cast::<libc::c_int>().add(place).read_unaligned();
                        OwnedFd::from_raw_fd(number)
                    });
                }
            }
            _ => {}
        }
        // SAFETY: as for the first one; `header` is of this message.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    (sender, descriptors)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::mem::MaybeUninit;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

    use super::*;

    #[tokio::test]
    async fn a_letter_says_who_sent_it_and_closes_what_came_with_it() {
        let mailbox = Mailbox::new("pk-test").unwrap();
        let name = mailbox.address();
        let address = SocketAddr::from_abstract_name(name.trim_start_matches('@')).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to_addr(b"READY=1", &address).unwrap();
        let letter = mailbox.receive().await.unwrap();
        assert_eq!(letter.bytes, b"READY=1");
        let from = letter.sender.unwrap();
        assert_eq!(from.pid, std::process::id());
        assert_eq!(from.uid, rustix::process::getuid().as_raw());

        let (mut reader, writer) = io::pipe().unwrap();
        let fds = [rustix::fd::AsFd::as_fd(&writer)];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        assert!(beside.push(SendAncillaryMessage::ScmRights(&fds)));
        let to = rustix::net::SocketAddrUnix::new_abstract_name(&name.as_bytes()[1..]).unwrap();
        let text = [io::IoSlice::new(b"BARRIER=1")];
        let flags = SendFlags::empty();
        rustix::net::sendmsg_addr(&sender, &to, &text, &mut beside, flags).unwrap();
        drop(writer);
        let letter = mailbox.receive().await.unwrap();
        assert_eq!(letter.bytes, b"BARRIER=1");
        assert_eq!(letter.descriptors.len(), 1);
        drop(letter);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "nobody has it open");
    }
}

//! Where a child runs until it executes its program: a stack of its own, and no signal.

use std::ffi::c_void;
use std::io;
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// Bytes; the child calls only the thin wrappers of system calls.
pub(super) const SIZE: usize = 64 * 1024;
const GUARD: usize = 64 * 1024;

/// The stacks that no child uses now: one per thread that ever spawned at the same time.
static FREE: Mutex<Vec<Mapping>> = Mutex::new(Vec::new());

/// A stack for one child, with pages below it that fault instead of overflowing. Given back
/// when it is dropped.
pub(super) struct Stack(Option<Mapping>);

struct Mapping(*mut c_void);

// SAFETY: a mapping belongs to no thread; who holds the value uses it alone.
unsafe impl Send for Mapping {}

impl Stack {
    pub fn take() -> io::Result<Self> {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Self(Some(match free {
            Some(mapping) => mapping,
            None => Mapping::new()?,
        })))
    }

    /// Its lowest address.
    pub fn base(&self) -> *mut c_void {
        let mapping = self.0.as_ref().map_or(ptr::null_mut(), |mapping| mapping.0);
        mapping.wrapping_byte_add(GUARD)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.extend(self.0.take());
    }
}

impl Mapping {
    fn new() -> io::Result<Self> {
        // SAFETY: a fresh private mapping at an address of the kernel's choice.
        let mapping = unsafe {
            libc::mmap(
                ptr::null_mut(),
                GUARD + SIZE,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if mapping == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapping = Self(mapping);
        // SAFETY: within the mapping, which is longer than the guard.
        let base = unsafe { mapping.0.byte_add(GUARD) };
        // SAFETY: the upper part of the mapping, ours alone.
        if unsafe { libc::mprotect(base, SIZE, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(mapping)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what `new` mapped, and no child uses it any more.
        unsafe {
            libc::munmap(self.0, GUARD + SIZE);
        }
    }
}

/// All signals blocked for this thread, until it is dropped.
pub(in crate::contain) struct BlockedSignals(libc::sigset_t);

impl BlockedSignals {
    pub fn new() -> Self {
        let mut all = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        let mut former = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: both sets are valid for writing, and zeroed is a valid set.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), former.as_mut_ptr());
            Self(former.assume_init())
        }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: the set is the one that was in force before.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut());
        }
    }
}

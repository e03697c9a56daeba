//! The bare call of `clone3(2)`, which no library offers: its child needs a stack of its own.

use std::arch::asm;
use std::ffi::c_void;
use std::ptr;

/// `struct clone_args` of `clone3(2)`, as of Linux 5.7.
#[repr(C)]
#[derive(Default)]
pub(in crate::contain) struct CloneArgs {
    pub flags: u64,
    pub pidfd: u64,
    pub child_tid: u64,
    pub parent_tid: u64,
    pub exit_signal: u64,
    pub stack: u64,
    pub stack_size: u64,
    pub tls: u64,
    pub set_tid: u64,
    pub set_tid_size: u64,
    pub cgroup: u64,
}

/// Calls `clone3`; in the child calls `entry(task)` on the new stack. Returns the child's
/// number or a negative errno, in the parent.
///
/// # Safety
/// `args` names a stack that is mapped and unused; `task` is valid until the child has
/// executed a program or exited; `entry` never returns.
#[cfg(target_arch = "x86_64")]
pub(in crate::contain) unsafe fn clone3(
    args: &CloneArgs,
    entry: extern "C" fn(*mut c_void) -> !,
    task: *mut c_void,
) -> isize {
    let result: isize;
    // SAFETY: the child never comes back past `call`, so it touches nothing of this frame;
    // in the parent only the registers named here have changed.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {task}",
            "call {entry}",
            "ud2",
            "2:",
            task = in(reg) task,
            entry = in(reg) entry,
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") ptr::from_ref(args),
            in("rsi") size_of::<CloneArgs>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

/// As on x86-64.
///
/// # Safety
/// As on x86-64.
#[cfg(target_arch = "aarch64")]
pub(in crate::contain) unsafe fn clone3(
    args: &CloneArgs,
    entry: extern "C" fn(*mut c_void) -> !,
    task: *mut c_void,
) -> isize {
    let result: isize;
    // SAFETY: the child never comes back past `blr`, so it touches nothing of this frame; in
    // the parent only the registers named here have changed.
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, {task}",
            "blr {entry}",
            "brk 1",
            "2:",
            task = in(reg) task,
            entry = in(reg) entry,
            inlateout("x0") ptr::from_ref(args) => result,
            in("x1") size_of::<CloneArgs>(),
            in("x8") libc::SYS_clone3,
        );
    }
    result
}

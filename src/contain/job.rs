//! This process in its shell's job, and programs that take its terminal for a while.

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::ptr;

use rustix::process::{Signal, kill_current_process_group};

/// Suspends the job that this process belongs to, as the terminal does on Ctrl-Z. Whoever
/// listens for SIGTSTP decides what it does here.
pub fn suspend_job() {
    // It fails for nobody: one may always signal oneself.
    let _ = kill_current_process_group(Signal::TSTP);
}

/// Stops this process at once, until SIGCONT, as SIGTSTP does to one that has no handler for
/// it: where no shell could say `fg` the kernel does not let it (`sigaction(2)` calls that an
/// orphaned process group), and this returns at once. SIGSTOP would stop it for ever there.
pub fn stop_self() {
    let mut before = MaybeUninit::uninit();
    // SAFETY: the default action runs no code of this process, and `before` has room for what
    // is written to it; it is read only where the call has written it. `raise(3)` takes a number
    // and touches no memory of this process. It stops the calling thread before it returns, which
    // a signal to the process as a whole does not.
    #[expect(unsafe_code, reason = "rustix has no raise and no sigaction")]
    unsafe {
        let mut default: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        if libc::sigaction(libc::SIGTSTP, &raw const default, before.as_mut_ptr()) == 0 {
            libc::raise(libc::SIGTSTP);
            libc::sigaction(libc::SIGTSTP, before.as_ptr(), ptr::null_mut());
        }
    }
}

/// Runs a shell's command line with a file as its last argument, in this process's terminal,
/// to its end.
///
/// # Errors
/// There is no such program.
pub fn run_in_terminal(command: &OsStr, file: &Path) -> io::Result<ExitStatus> {
    Command::new("sh")
        .arg("-c")
        .arg({
            let mut line = command.to_owned();
            line.push(" \"$@\"");
            line
        })
        .arg("sh")
        .arg(file)
        .status()
}

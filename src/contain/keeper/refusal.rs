//! Why a pid namespace cannot be had, in words that say what to change.

use std::fs;
use std::io;

use rustix::io::Errno;

use super::wire::Space;

/// What the kernel answered, and what of this machine explains it. `mapping`: it was made,
/// but its user could not be mapped.
pub(in crate::contain) fn why_refused(space: Space, mapping: bool, cause: &io::Error) -> String {
    let read = |path: &str| fs::read_to_string(path).ok();
    diagnose(space, mapping, cause, &read)
}

fn diagnose(
    space: Space,
    mapping: bool,
    cause: &io::Error,
    read: &dyn Fn(&str) -> Option<String>,
) -> String {
    let is = |path: &str, value: &str| read(path).is_some_and(|text| text.trim() == value);
    let errno = Errno::from_io_error(cause);
    if space == Space::PidsOfUser {
        if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
            return "kernel.unprivileged_userns_clone is 0, so only root may".to_owned();
        }
        if is("/proc/sys/user/max_user_namespaces", "0") {
            return "user.max_user_namespaces is 0".to_owned();
        }
        if is(
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
        ) && (mapping || matches!(errno, Some(Errno::PERM | Errno::ACCESS)))
        {
            return "kernel.apparmor_restrict_unprivileged_userns is 1, so only root may"
                .to_owned();
        }
    }
    if is("/proc/sys/user/max_pid_namespaces", "0") {
        return "user.max_pid_namespaces is 0".to_owned();
    }
    if is("/proc/sys/user/max_mnt_namespaces", "0") {
        return "user.max_mnt_namespaces is 0".to_owned();
    }
    let filtered = read("/proc/self/status").is_some_and(|status| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("Seccomp:"));
        line.is_some_and(|mode| mode.trim() == "2")
    });
    if filtered && matches!(errno, Some(Errno::PERM | Errno::NOSYS)) {
        return format!("a filter on system calls, as containers have one, refuses it ({cause})");
    }
    match errno {
        Some(Errno::NOSPC | Errno::USERS) => {
            format!("the limit on namespaces, or on how deep they are nested, is reached ({cause})")
        }
        Some(Errno::INVAL) => format!("this kernel has none ({cause})"),
        Some(Errno::PERM) if space == Space::Pids => {
            format!("root has not the right CAP_SYS_ADMIN here ({cause})")
        }
        Some(_) | None => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_true_cause_is_named() {
        let why = |space, errno: Errno, files: &[(&str, &str)]| {
            let read = |path: &str| {
                let found = files.iter().find(|(name, _)| *name == path);
                found.map(|(_, text)| (*text).to_owned())
            };
            diagnose(space, false, &errno.into(), &read)
        };
        let user = Space::PidsOfUser;
        let off = [("/proc/sys/kernel/unprivileged_userns_clone", "0\n")];
        assert_eq!(
            why(user, Errno::PERM, &off),
            "kernel.unprivileged_userns_clone is 0, so only root may"
        );
        let none = [("/proc/sys/user/max_user_namespaces", "0\n")];
        assert_eq!(
            why(user, Errno::NOSPC, &none),
            "user.max_user_namespaces is 0"
        );
        let armor = [(
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1\n",
        )];
        assert!(why(user, Errno::ACCESS, &armor).contains("apparmor"));
        let filter = [("/proc/self/status", "Name:\tpk\nSeccomp:\t2\n")];
        assert!(why(Space::Pids, Errno::PERM, &filter).contains("a filter on system calls"));
        assert!(why(Space::Pids, Errno::PERM, &[]).contains("CAP_SYS_ADMIN"));
        assert!(why(user, Errno::NOSPC, &[]).contains("is reached"));
    }
}

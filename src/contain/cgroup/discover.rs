//! Where the cgroup filesystem is, and which subtree this process may write: found out, not
//! assumed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::scope::NoScope;

/// Why there is no cgroup to be had, in words that complete "because …".
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("no cgroup v2 filesystem is mounted")]
    NotMounted,
    #[error("this process is in no cgroup v2")]
    NoOwnCgroup,
    #[error("its cgroup lies outside of what is mounted at {0}")]
    OutsideMount(PathBuf),
    #[error("{path} cannot be written: {cause}")]
    NotWritable { path: PathBuf, cause: io::Error },
    #[error("{refusal}, and systemd's user manager was asked, but {cause}")]
    NoScope {
        refusal: Box<Refusal>,
        cause: NoScope,
    },
    #[error("{path} cannot hold processes: {cause}")]
    CannotSpawn { path: PathBuf, cause: io::Error },
    #[error("{file} cannot be read: {cause}")]
    Unreadable {
        file: &'static str,
        cause: io::Error,
    },
}

/// The folder of this process's own cgroup.
pub(super) fn own_cgroup() -> Result<PathBuf, Refusal> {
    let read = |file: &'static str| {
        fs::read_to_string(file).map_err(|cause| Refusal::Unreadable { file, cause })
    };
    let mounts = read("/proc/self/mountinfo")?;
    let cgroups = read("/proc/self/cgroup")?;
    locate(&mounts, &cgroups)
}

/// The folder, from the texts of `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`) and
/// `/proc/self/cgroup` (`cgroups(7)`).
fn locate(mountinfo: &str, cgroup: &str) -> Result<PathBuf, Refusal> {
    let own = cgroup
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .map(|path| path.strip_suffix(" (deleted)").unwrap_or(path))
        .ok_or(Refusal::NoOwnCgroup)?;
    // Beside the root of this process's cgroup namespace: nowhere that can be named.
    let hidden = own.split('/').any(|part| part == "..");
    let mut outside = None;
    for (root, mount) in mountinfo.lines().filter_map(cgroup2_mount) {
        // A container sees a part of the hierarchy: its root is mounted, not the whole one.
        match Path::new(own).strip_prefix(&root) {
            Ok(rest) if !hidden => return Ok(mount.join(rest)),
            Ok(_) | Err(_) => outside = Some(mount),
        }
    }
    Err(outside.map_or(Refusal::NotMounted, Refusal::OutsideMount))
}

/// Root and mount point, if the line is of a cgroup v2 filesystem.
fn cgroup2_mount(line: &str) -> Option<(PathBuf, PathBuf)> {
    let (fixed, rest) = line.split_once(" - ")?;
    if rest.split(' ').next() != Some("cgroup2") {
        return None;
    }
    let mut fields = fixed.split(' ').skip(3);
    let root = unescape(fields.next()?);
    let mount = unescape(fields.next()?);
    Some((root, mount))
}

/// Spaces and the like stand there as `\040`.
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = (byte == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .and_then(|digits| {
                let digits = std::str::from_utf8(digits).ok()?;
                u8::from_str_radix(digits, 8).ok()
            });
        match code {
            Some(code) => {
                bytes.push(code);
                rest = &after[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFIED: &str = "25 30 0:23 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    const HYBRID: &str = "30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
        31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
        32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

    fn located(mounts: &str, cgroup: &str) -> Option<String> {
        locate(mounts, cgroup)
            .ok()
            .map(|path| path.display().to_string())
    }

    #[test]
    fn unified_and_hybrid_layouts() {
        let session = "0::/user.slice/session-2.scope\n";
        assert_eq!(
            located(UNIFIED, session).as_deref(),
            Some("/sys/fs/cgroup/user.slice/session-2.scope")
        );
        assert_eq!(
            located(HYBRID, "4:memory:/x\n0::/\n").as_deref(),
            Some("/sys/fs/cgroup/unified/")
        );
    }

    #[test]
    fn a_container_sees_a_part() {
        let mounts = "25 30 0:23 /docker/abc /sys/fs/cgroup\\040x rw - cgroup2 cgroup2 rw\n";
        assert_eq!(
            located(mounts, "0::/docker/abc/inner\n").as_deref(),
            Some("/sys/fs/cgroup x/inner")
        );
        assert!(matches!(
            locate(mounts, "0::/elsewhere\n"),
            Err(Refusal::OutsideMount(_))
        ));
        assert!(matches!(
            locate(UNIFIED, "0::/../other\n"),
            Err(Refusal::OutsideMount(_))
        ));
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert!(matches!(locate("", "0::/\n"), Err(Refusal::NotMounted)));
        assert!(matches!(
            locate(UNIFIED, "4:memory:/x\n"),
            Err(Refusal::NoOwnCgroup)
        ));
    }
}

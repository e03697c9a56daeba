//! The way back out of the leaf into which a supervisor took its guard and its face, to be able
//! to pass controllers on. A supervisor that was killed has not led them back.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, unlinkat};

use super::super::cgroup::LEAF;
use super::sweep::for_each_number;

/// The longest path of a leaf.
const PATH: usize = 1100;

/// Leads all in the leaf beside this stand back to where both are, and removes the leaf. To be
/// called when the stand is gone.
pub(super) fn leave(stand: &CStr) {
    let mut path = [0; PATH];
    let stand = stand.to_bytes();
    let Some(place) = path.get_mut(..stand.len() + LEAF.len()) else {
        return;
    };
    let (start, end) = place.split_at_mut(stand.len());
    start.copy_from_slice(stand);
    end.copy_from_slice(LEAF.as_bytes());
    let Ok(path) = CStr::from_bytes_until_nul(&path) else {
        return;
    };
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let Ok(leaf) = openat(CWD, path, folder, Mode::empty()) else {
        return;
    };
    let Ok(own) = openat(&leaf, c"..", folder, Mode::empty()) else {
        return;
    };
    pass_nothing_on(&own);
    if let Ok(members) = open(&leaf, c"cgroup.procs", OFlags::RDONLY) {
        for_each_number(&members, &mut |pid| {
            let mut word = [0; 12];
            if let Ok(procs) = open(&own, c"cgroup.procs", OFlags::WRONLY) {
                let _ = rustix::io::write(&procs, decimal(pid.as_raw_nonzero().get(), &mut word));
            }
        });
    }
    let _ = unlinkat(CWD, path, AtFlags::REMOVEDIR);
}

/// A cgroup that passes controllers on takes no processes (`cgroups(7)`). All that this one
/// passes on were enabled by who went into the leaf: it held processes before.
fn pass_nothing_on(own: &OwnedFd) {
    const CONTROL: &CStr = c"cgroup.subtree_control";
    let mut enabled = [0; 256];
    let read = open(own, CONTROL, OFlags::RDONLY)
        .and_then(|file| rustix::io::read(file, &mut enabled))
        .unwrap_or(0);
    let names = enabled[..read].split(u8::is_ascii_whitespace);
    for name in names.filter(|name| !name.is_empty()) {
        let mut word = [b'-'; 32];
        if let Some(place) = word.get_mut(1..=name.len()) {
            place.copy_from_slice(name);
            if let Ok(control) = open(own, CONTROL, OFlags::WRONLY) {
                let _ = rustix::io::write(&control, &word[..=name.len()]);
            }
        }
    }
}

fn open(folder: impl AsFd, name: &CStr, how: OFlags) -> rustix::io::Result<OwnedFd> {
    openat(folder, name, how | OFlags::CLOEXEC, Mode::empty())
}

/// A positive number, written without a heap.
fn decimal(mut number: i32, place: &mut [u8; 12]) -> &[u8] {
    let mut start = place.len();
    while number > 0 && start > 0 {
        start -= 1;
        place[start] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    &place[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_read() {
        for number in [1, 7, 10, 4_194_304, i32::MAX] {
            let text = number.to_string();
            assert_eq!(decimal(number, &mut [0; 12]), text.as_bytes());
        }
    }

    /// In plain folders, where removing what is not empty fails as it does for cgroups.
    #[test]
    fn what_was_enabled_is_disabled_and_members_go_back() {
        let own = tempfile::tempdir().unwrap();
        let leaf = own.path().join(format!("pk.1.2{LEAF}"));
        std::fs::create_dir(&leaf).unwrap();
        std::fs::write(leaf.join("cgroup.procs"), "71\n72\n").unwrap();
        std::fs::write(own.path().join("cgroup.procs"), "").unwrap();
        std::fs::write(own.path().join("cgroup.subtree_control"), "cpu memory\n").unwrap();
        let stand = own.path().join("pk.1.2").to_str().unwrap().to_owned();
        leave(&std::ffi::CString::new(stand).unwrap());
        let text = |name| std::fs::read_to_string(own.path().join(name)).unwrap();
        // Each write starts anew at the front of a plain file.
        assert_eq!(text("cgroup.subtree_control"), "-memoryory\n");
        assert_eq!(text("cgroup.procs"), "72");
    }
}

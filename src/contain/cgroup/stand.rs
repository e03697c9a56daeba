//! The cgroup under which one pk makes all its others.
//!
//! ```text
//!  <own cgroup>/pk.PID.START/         locked (flock) by its owner for as long as it lives
//!              /pk.PID.START.leaf/    the owner itself, if controllers had to be enabled
//! ```
//!
//! A stand that nobody holds locked, and that no living process could just be about to lock,
//! is what a dead owner left behind. The lock tells also where numbers do not: an owner in
//! another pid namespace.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::fs::{Access, AtFlags, CWD, FlockOperation, accessat, flock};
use rustix::io::Errno;
use rustix::process::{Pid, getpid};

use super::discover::{Refusal, own_cgroup};
use super::left_over::{self, LeftOver, clear};
use super::scope::{self, NoScope};
use super::{Cgroup, CreateError, open_dir};
use crate::contain::census;
use crate::contain::limits::{LimitError, Limits, why_missing};

/// How long somebody else may look at the place of a stand.
const LOCK_LIMIT: Duration = Duration::from_secs(1);

/// What the name of every stand begins with.
pub(super) const PREFIX: &str = "pk.";
/// What the name of the cgroup ends with to which an owner has moved itself.
pub(in crate::contain) const LEAF: &str = ".leaf";

/// A stand. Removed when it is dropped, if nothing is left in it.
#[derive(Debug)]
pub(in crate::contain) struct Stand {
    /// Below which it stands.
    own: PathBuf,
    path: PathBuf,
    /// Where this process is now, if it has moved.
    leaf: Mutex<Option<Leaf>>,
    /// Processes were let go, so one outside is not one that has strayed.
    spares: AtomicBool,
    _lock: OwnedFd,
}

/// Where a process has moved itself; locked like the stand.
#[derive(Debug)]
struct Leaf {
    path: PathBuf,
    _lock: Option<OwnedFd>,
}

/// There is one stand to a process.
static CURRENT: Mutex<Weak<Stand>> = Mutex::new(Weak::new());
/// Of all its stands one after the other: what one left behind is not in the next one's way.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Stand {
    /// The stand of this process: the one that there is, or one made below its own cgroup,
    /// after emptying and removing those that dead ones left there.
    ///
    /// # Errors
    /// Why no cgroup can be had.
    pub fn raise() -> Result<(Arc<Self>, LeftOver), Refusal> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stand) = current.upgrade() {
            return Ok((stand, LeftOver::default()));
        }
        let (stand, left_over) = Self::make_in_own().or_else(|refusal| match refusal {
            // Root needs nobody to be let in.
            Refusal::NotWritable { .. } if !rustix::process::geteuid().is_root() => {
                Self::make_in_scope(refusal)
            }
            refusal => Err(refusal),
        })?;
        let stand = Arc::new(stand);
        *current = Arc::downgrade(&stand);
        Ok((stand, left_over))
    }

    fn make_in_own() -> Result<(Self, LeftOver), Refusal> {
        let own = own_cgroup()?;
        let left_over = left_over::near(&own);
        Ok((Self::make(own)?, left_over))
    }

    /// After it was refused here.
    fn make_in_scope(refusal: Refusal) -> Result<(Self, LeftOver), Refusal> {
        match scope::enter() {
            Ok(()) => Self::make_in_own(),
            Err(NoScope::NoBus) => Err(refusal),
            Err(cause) => Err(Refusal::NoScope {
                refusal: Box::new(refusal),
                cause,
            }),
        }
    }

    /// The stand of this process, if there is one.
    pub fn current() -> Option<Arc<Self>> {
        CURRENT
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .upgrade()
    }

    fn make(own: PathBuf) -> Result<Self, Refusal> {
        let refused = |cause| Refusal::NotWritable {
            path: own.clone(),
            cause,
        };
        // A process may only be moved by who may write here as well as there: one that is
        // born elsewhere is, in the kernel's eyes, moved from here.
        let procs = own.join("cgroup.procs");
        accessat(CWD, &procs, Access::WRITE_OK, AtFlags::EACCESS).map_err(|errno| {
            Refusal::NotWritable {
                path: procs.clone(),
                cause: errno.into(),
            }
        })?;
        let path = own.join(name_of(getpid()));
        let deadline = Instant::now() + LOCK_LIMIT;
        let lock = loop {
            match fs::create_dir(&path) {
                Ok(()) => {}
                // The one before is just being taken down.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused(error)),
            }
            match lock(&path) {
                Ok(Some(lock)) => break lock,
                // Somebody looks whether it is left over, and finds that it is not.
                Ok(None) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(None) => return Err(refused(Errno::BUSY.into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(refused(error)),
            }
        };
        let kind = fs::read_to_string(path.join("cgroup.type")).unwrap_or_default();
        if !matches!(kind.trim_end(), "domain" | "") {
            let _ = fs::remove_dir(&path);
            return Err(Refusal::CannotSpawn {
                cause: io::Error::other(format!("it would be of type `{}`", kind.trim_end())),
                path,
            });
        }
        Ok(Self {
            own,
            path,
            leaf: Mutex::new(None),
            spares: AtomicBool::new(false),
            _lock: lock,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A cgroup of its own for a group; the name is for people who look there.
    pub fn create(&self, name: &str, limits: &Limits) -> Result<Cgroup, CreateError> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Cgroup::create(&self.path.join(format!("{name}.{number}")), limits)
    }

    /// Lets all in `cgroup` go to where this process is, and removes it.
    pub fn let_go(&self, cgroup: &Cgroup) {
        self.spares.store(true, Ordering::Relaxed);
        let leaf = self.leaf.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = cgroup.let_go(leaf.as_ref().map_or(&self.own, |leaf| &leaf.path));
    }

    /// Whether an orphan in `cgroup`, as `/proc/PID/cgroup` names it, has moved itself there.
    pub fn is_stray(&self, cgroup: &str) -> bool {
        !self.holds(cgroup) && !self.spares.load(Ordering::Relaxed)
    }

    fn holds(&self, cgroup: &str) -> bool {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| cgroup.split('/').any(|part| part == name))
    }

    /// Makes `controller` available to the groups made from here on.
    pub fn enable(&self, controller: &'static str) -> Result<(), LimitError> {
        if lists(&self.path.join("cgroup.subtree_control"), controller) {
            return Ok(());
        }
        if !lists(&self.path.join("cgroup.controllers"), controller) {
            if !lists(&self.own.join("cgroup.controllers"), controller) {
                return Err(why_missing(controller, &self.own));
            }
            self.enable_in_own(controller)?;
        }
        switch_on(&self.path, controller).map_err(|cause| LimitError::Refused {
            controller,
            path: self.path.clone(),
            cause,
        })
    }

    /// A cgroup that holds processes passes no controller on (`cgroups(7)`), so this process
    /// goes into a leaf, unless its cgroup is the root, which may. Those that it descends from
    /// and that execute the same program go with it: they are this pk, too.
    ///
    /// The kernel refuses by itself only some controllers where there are processes. Others
    /// it lets be enabled, and turns the cgroup into one below which no process can live.
    fn enable_in_own(&self, controller: &'static str) -> Result<(), LimitError> {
        let path = || self.own.clone();
        let refused = |cause| LimitError::Refused {
            controller,
            path: path(),
            cause,
        };
        let occupied = || LimitError::Occupied {
            controller,
            path: path(),
        };
        let mut leaf = self.leaf.lock().unwrap_or_else(PoisonError::into_inner);
        let is_root = !self.own.join("cgroup.type").exists();
        if is_root || lists(&self.own.join("cgroup.subtree_control"), controller) {
            return switch_on(&self.own, controller).map_err(refused);
        }
        if leaf.is_none() {
            *leaf = Some(Leaf::enter(&self.own).map_err(refused)?);
        }
        let switched = match is_occupied(&self.own) {
            Ok(false) => switch_on(&self.own, controller),
            Ok(true) => Err(Errno::BUSY.into()),
            Err(error) => Err(error),
        };
        switched.map_err(|error| {
            if !passes_on(&self.own) {
                go_back(&self.own, &mut leaf);
            }
            if is_busy(&error) {
                occupied()
            } else {
                refused(error)
            }
        })
    }
}

impl Leaf {
    /// Makes one below `own`, and goes there with those that are this pk, too.
    fn enter(own: &Path) -> io::Result<Self> {
        let path = own.join(format!("{}{LEAF}", name_of(getpid())));
        fs::create_dir(&path)?;
        let leaf = Self {
            _lock: lock(&path).ok().flatten(),
            path,
        };
        let procs = leaf.path.join("cgroup.procs");
        for pid in same_program() {
            // One that has just ended, or that may not be moved, shows afterwards.
            let _ = fs::write(&procs, pid.as_raw_nonzero().to_string());
        }
        Ok(leaf)
    }
}

/// This process, and those that it descends from for as long as they execute what it does.
fn same_program() -> Vec<Pid> {
    let program = |pid: Pid| rustix::fs::stat(format!("/proc/{}/exe", pid.as_raw_nonzero())).ok();
    let own = program(getpid());
    let mut found = vec![getpid()];
    let mut next = rustix::process::getppid();
    while let (Some(pid), Some(own)) = (next, &own) {
        let same = program(pid)
            .is_some_and(|other| (other.st_dev, other.st_ino) == (own.st_dev, own.st_ino));
        if !same || found.contains(&pid) {
            break;
        }
        found.push(pid);
        next = census::row(pid).and_then(|row| Pid::from_raw(row.parent));
    }
    found
}

fn is_occupied(cgroup: &Path) -> io::Result<bool> {
    Ok(!fs::read_to_string(cgroup.join("cgroup.procs"))?.is_empty())
}

/// Whether it has any controller enabled for those below it.
fn passes_on(cgroup: &Path) -> bool {
    fs::read_to_string(cgroup.join("cgroup.subtree_control"))
        .is_ok_and(|text| !text.trim().is_empty())
}

impl Drop for Stand {
    fn drop(&mut self) {
        // So that no new one of the same name is raised meanwhile.
        let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if current.strong_count() > 0 {
            return;
        }
        // What a group could not remove for want of time.
        clear(std::slice::from_ref(&self.path));
        let leaf = self.leaf.get_mut().unwrap_or_else(PoisonError::into_inner);
        if leaf.is_some() {
            let enabled = fs::read_to_string(self.own.join("cgroup.subtree_control"));
            for controller in enabled.unwrap_or_default().split_ascii_whitespace() {
                let _ = fs::write(
                    self.own.join("cgroup.subtree_control"),
                    format!("-{controller}"),
                );
            }
            go_back(&self.own, leaf);
        }
    }
}

fn go_back(own: &Path, leaf: &mut Option<Leaf>) {
    let Some(leaf) = leaf.take() else { return };
    let there = fs::read_to_string(leaf.path.join("cgroup.procs")).unwrap_or_default();
    for pid in there.lines() {
        let _ = fs::write(own.join("cgroup.procs"), pid);
    }
    let _ = fs::remove_dir(leaf.path);
}

fn switch_on(cgroup: &Path, controller: &str) -> io::Result<()> {
    fs::write(
        cgroup.join("cgroup.subtree_control"),
        format!("+{controller}"),
    )
}

fn lists(file: &Path, controller: &str) -> bool {
    fs::read_to_string(file)
        .is_ok_and(|text| text.split_ascii_whitespace().any(|one| one == controller))
}

fn is_busy(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::BUSY)
}

/// Locks a stand; `None`: somebody else has. Not found: it was removed meanwhile.
pub(super) fn lock(path: &Path) -> io::Result<Option<OwnedFd>> {
    let dir = open_dir(path)?;
    match flock(&dir, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // Whoever had it locked before may have removed it, and somebody made another.
    let (opened, there) = (rustix::fs::fstat(&dir)?, rustix::fs::stat(path)?);
    if opened.st_ino != there.st_ino {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(Some(dir))
}

/// The name of the stand of a process: start times tell apart those that had one number.
pub(super) fn name_of(pid: Pid) -> String {
    let start = census::row(pid).map_or(0, |row| row.start);
    format!("{PREFIX}{}.{start}", pid.as_raw_nonzero())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The one controller that is of v2 on hosts that bind the others to v1.
    const CONTROLLER: &str = "hugetlb";

    #[test]
    fn to_enable_a_controller_this_process_goes_into_a_leaf_and_back() {
        // It changes what all processes of the machine share.
        if std::env::var_os("PK_TEST_CONTROLLERS").is_none() {
            println!(
                "not run: it switches a controller of this machine on; PK_TEST_CONTROLLERS=1 lets it"
            );
            return;
        }
        let root = own_cgroup().unwrap();
        if !lists(&root.join("cgroup.controllers"), CONTROLLER) {
            return;
        }
        let was_on = lists(&root.join("cgroup.subtree_control"), CONTROLLER);
        switch_on(&root, CONTROLLER).unwrap();
        let place = root.join(format!("pk-test-leaf-{}", std::process::id()));
        fs::create_dir(&place).unwrap();
        fs::write(place.join("cgroup.procs"), "0").unwrap();

        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _entered = runtime.enter();
        let (stand, _) = Stand::raise().unwrap();
        stand.enable(CONTROLLER).unwrap();
        stand.enable(CONTROLLER).unwrap();
        let leaf = own_cgroup().unwrap();
        assert!(leaf.to_string_lossy().ends_with(LEAF), "{leaf:?}");
        let made = stand.create("x", &Limits::default()).unwrap();
        assert!(made.path().join("hugetlb.2MB.max").exists());
        assert!(matches!(
            stand.enable("memory"),
            Err(LimitError::BoundToV1 { .. } | LimitError::NotDelegated { .. })
        ));
        drop(made);
        drop(stand);
        assert_eq!(own_cgroup().unwrap(), place, "it is back");
        assert_eq!(
            fs::read_dir(&place)
                .unwrap()
                .flatten()
                .filter(|e| e.path().is_dir())
                .count(),
            0
        );

        fs::write(root.join("cgroup.procs"), "0").unwrap();
        fs::remove_dir(&place).unwrap();
        if !was_on {
            fs::write(
                root.join("cgroup.subtree_control"),
                format!("-{CONTROLLER}"),
            )
            .unwrap();
        }
    }
}

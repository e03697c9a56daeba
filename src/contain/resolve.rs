//! From a stage's request to what `execve(2)` takes, and from its refusal to the true cause.
//!
//! The kernel answers `ENOENT` alike for a missing program, a missing interpreter and a
//! missing working directory. Looking beforehand and again after a refusal tells them apart.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

use super::error::{SpawnCause, Step};
use super::request::StageRequest;

/// Where `execvp(3)` searches when the environment has no PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A stage as the kernel takes it.
#[derive(Debug)]
pub(super) struct Executable {
    /// Handed to `execve` in the child, after it has entered `dir`.
    pub path: CString,
    pub argv: Vec<CString>,
    pub environment: Vec<Cow<'static, CStr>>,
    pub dir: CString,
    /// The program's place as seen from here.
    file: PathBuf,
    /// Absolute.
    working_dir: PathBuf,
}

impl Executable {
    /// Finds the program of `stage` and checks its working directory.
    pub fn find(stage: &StageRequest) -> Result<Self, SpawnCause> {
        let program = stage.argv.first().ok_or(SpawnCause::EmptyCommand)?;
        if program.is_empty() {
            return Err(SpawnCause::EmptyCommand);
        }
        let working_dir =
            std::path::absolute(&stage.working_dir).map_err(|cause| SpawnCause::Other {
                step: Step::WorkingDir,
                action: "cannot tell the working directory",
                cause,
            })?;
        check_dir(&working_dir)?;
        let own: BTreeMap<&OsStr, &OsStr> = (stage.environment.iter())
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
            .collect();
        let path_variable = OsStr::new("PATH");
        let inherited = || {
            INHERITED
                .iter()
                .find(|variable| variable.name == path_variable)
        };
        let search = (own.get(path_variable).copied())
            .or_else(|| inherited().map(|variable| variable.value.as_os_str()))
            .unwrap_or(OsStr::new(DEFAULT_PATH));
        let path = search_program(program, &working_dir, search)?;
        Ok(Self {
            file: working_dir.join(&path),
            path: c_string(path.into_os_string(), "the program's name")?,
            argv: (stage.argv.iter())
                .map(|arg| c_string(arg.clone(), "an argument"))
                .collect::<Result<_, _>>()?,
            environment: environment(&own)?,
            dir: c_string(
                working_dir.clone().into_os_string(),
                "the working directory",
            )?,
            working_dir,
        })
    }

    /// The cause behind the errno that executing the program ended with.
    pub fn diagnose(&self, errno: i32) -> SpawnCause {
        let error = Errno::from_raw_os_error(errno);
        match error {
            Errno::AGAIN => return SpawnCause::ProcessLimit,
            Errno::NOMEM => return SpawnCause::NoMemory,
            Errno::MFILE | Errno::NFILE => return SpawnCause::FileLimit,
            Errno::TOOBIG => {
                let length = |text: &CStr| text.to_bytes_with_nul().len();
                let argv: usize = self.argv.iter().map(|text| length(text)).sum();
                let environment: usize = self.environment.iter().map(|text| length(text)).sum();
                return SpawnCause::TooLong {
                    bytes: argv + environment,
                };
            }
            Errno::NOEXEC => return SpawnCause::BadFormat(self.file.clone()),
            Errno::TXTBSY => return SpawnCause::Busy(self.file.clone()),
            _ => {}
        }
        if let Err(cause) = check_dir(&self.working_dir) {
            return cause;
        }
        if let Err(cause) = check_program(&self.file) {
            return cause;
        }
        match error {
            Errno::NOENT => self.missing_interpreter(),
            Errno::ACCESS => SpawnCause::NotExecutable(self.file.clone()),
            _ => SpawnCause::Other {
                step: Step::Execute,
                action: "cannot execute the program",
                cause: io::Error::from_raw_os_error(errno),
            },
        }
    }

    /// The cause behind the errno that entering the working directory ended with.
    pub fn diagnose_dir(&self, cause: io::Error) -> SpawnCause {
        match Errno::from_io_error(&cause) {
            // As seen by the user it runs as, who may differ from this process's.
            Some(Errno::ACCESS) => SpawnCause::WorkingDirDenied(self.working_dir.clone()),
            Some(Errno::NOENT) => SpawnCause::WorkingDirMissing(self.working_dir.clone()),
            Some(Errno::NOTDIR) => SpawnCause::WorkingDirNotADirectory(self.working_dir.clone()),
            Some(_) | None => SpawnCause::Other {
                step: Step::WorkingDir,
                action: "cannot enter the working directory",
                cause,
            },
        }
    }

    /// The file is there and yet the kernel finds nothing: what it asks for is missing.
    fn missing_interpreter(&self) -> SpawnCause {
        // The kernel reads no more of the first line (`execve(2)`, BINPRM_BUF_SIZE).
        let mut head = [0; 256];
        let read = fs::File::open(&self.file).and_then(|mut file| file.read(&mut head));
        let head = &head[..read.unwrap_or(0)];
        let Some(line) = head.strip_prefix(b"#!") else {
            return SpawnCause::LoaderMissing(self.file.clone());
        };
        let line = line.split(|&b| b == b'\n').next().unwrap_or(line);
        // A line end of another system is the usual reason, so it must show.
        let name = String::from_utf8_lossy(line.trim_ascii_start()).replace('\r', "\\r");
        let interpreter = name.split([' ', '\t']).next().unwrap_or_default();
        SpawnCause::InterpreterMissing {
            script: self.file.clone(),
            interpreter: interpreter.to_owned(),
        }
    }
}

/// A variable of this process.
struct Inherited {
    name: OsString,
    value: OsString,
    /// As `execve(2)` takes it.
    entry: CString,
}

/// What every child inherits; it is the same for all, as this process never changes it.
static INHERITED: LazyLock<Vec<Inherited>> = LazyLock::new(|| {
    // Where pk itself is somebody's service: what it should say there is not its children's.
    const OWN: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];
    std::env::vars_os()
        .filter(|(name, _)| !OWN.iter().any(|own| name == own))
        .filter_map(|(name, value)| {
            let entry = entry(&name, &value).ok()?;
            Some(Inherited { name, value, entry })
        })
        .collect()
});

/// What is inherited, but for what the stage has itself; and that.
fn environment(own: &BTreeMap<&OsStr, &OsStr>) -> Result<Vec<Cow<'static, CStr>>, SpawnCause> {
    let inherited = (INHERITED.iter())
        .filter(|variable| !own.contains_key(variable.name.as_os_str()))
        .map(|variable| Ok(Cow::Borrowed(variable.entry.as_c_str())));
    let own = (own.iter()).map(|(name, value)| entry(name, value).map(Cow::Owned));
    inherited.chain(own).collect()
}

fn entry(name: &OsStr, value: &OsStr) -> Result<CString, SpawnCause> {
    let mut entry = OsString::with_capacity(name.len() + value.len() + 2);
    entry.push(name);
    entry.push("=");
    entry.push(value);
    c_string(entry, "an environment variable")
}

fn c_string(text: OsString, what: &'static str) -> Result<CString, SpawnCause> {
    CString::new(text.into_vec()).map_err(|_| SpawnCause::NulByte(what))
}

fn check_dir(dir: &Path) -> Result<(), SpawnCause> {
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => Err(SpawnCause::WorkingDirNotADirectory(dir.to_path_buf())),
        Ok(_) if may_execute(dir) => Ok(()),
        Ok(_) => Err(SpawnCause::WorkingDirDenied(dir.to_path_buf())),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::NotFound => SpawnCause::WorkingDirMissing(dir.to_path_buf()),
            io::ErrorKind::NotADirectory => SpawnCause::WorkingDirNotADirectory(dir.to_path_buf()),
            io::ErrorKind::PermissionDenied => SpawnCause::WorkingDirDenied(dir.to_path_buf()),
            _ => SpawnCause::Other {
                step: Step::WorkingDir,
                action: "cannot enter the working directory",
                cause: error,
            },
        }),
    }
}

/// The path to execute, found as `execvp(3)` does: a file that may not be executed is passed
/// over, and only named if nothing else is found.
fn search_program(program: &OsStr, dir: &Path, search: &OsStr) -> Result<PathBuf, SpawnCause> {
    if program.as_bytes().contains(&b'/') {
        let path = PathBuf::from(program);
        return check_program(&dir.join(&path)).map(|()| path);
    }
    let mut denied = None;
    for folder in search.as_bytes().split(|&b| b == b':') {
        // An empty entry means the working directory.
        let folder: &[u8] = if folder.is_empty() { b"." } else { folder };
        let path = Path::new(OsStr::from_bytes(folder)).join(program);
        match check_program(&dir.join(&path)) {
            Ok(()) => return Ok(path),
            // A folder that may not be looked into says nothing of what is in it.
            Err(cause @ SpawnCause::NotExecutable(_)) if dir.join(&path).exists() => {
                denied = denied.or(Some(cause));
            }
            Err(_) => {}
        }
    }
    Err(denied.unwrap_or_else(|| SpawnCause::NotInPath {
        program: program.to_string_lossy().into_owned(),
        path: search.to_string_lossy().into_owned(),
    }))
}

fn check_program(file: &Path) -> Result<(), SpawnCause> {
    match fs::metadata(file) {
        Ok(found) if found.is_dir() => Err(SpawnCause::IsDirectory(file.to_path_buf())),
        Ok(_) if may_execute(file) => Ok(()),
        Ok(_) => Err(SpawnCause::NotExecutable(file.to_path_buf())),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(SpawnCause::NotExecutable(file.to_path_buf()))
        }
        Err(_) => Err(SpawnCause::NotFound(file.to_path_buf())),
    }
}

fn may_execute(path: &Path) -> bool {
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_variable_wins_and_path_is_the_childs() {
        let stage = StageRequest::new(["sh"], "/")
            .with_environment([("PATH", "/nowhere"), ("PATH", "/bin")]);
        let found = Executable::find(&stage).unwrap();
        assert_eq!(found.path.to_bytes(), b"/bin/sh");
        assert!(
            found
                .environment
                .iter()
                .any(|e| e.to_bytes() == b"PATH=/bin")
        );

        let stage = stage.with_environment([("PATH", "/nowhere")]);
        let cause = Executable::find(&stage).unwrap_err();
        assert_eq!(
            cause.to_string(),
            "command not found: `sh` is in no folder of PATH"
        );
    }

    #[test]
    fn a_nul_byte_is_refused() {
        let cause = Executable::find(&StageRequest::new(["sh", "a\0b"], "/")).unwrap_err();
        assert_eq!(
            cause.to_string(),
            "an argument holds a NUL byte, which no program can receive"
        );
    }

    #[test]
    fn a_relative_program_is_kept_as_written() {
        let found = Executable::find(&StageRequest::new(["./sh"], "/bin")).unwrap();
        assert_eq!(found.path.to_bytes(), b"./sh");
    }

    #[test]
    fn what_the_kernel_refuses_has_its_cause() {
        let shell = Executable::find(&StageRequest::new(["/bin/sh"], "/")).unwrap();
        let cause = |errno: Errno| shell.diagnose(errno.raw_os_error());
        for (errno, is) in [
            (
                Errno::AGAIN,
                matches!(cause(Errno::AGAIN), SpawnCause::ProcessLimit),
            ),
            (
                Errno::NOMEM,
                matches!(cause(Errno::NOMEM), SpawnCause::NoMemory),
            ),
            (
                Errno::MFILE,
                matches!(cause(Errno::MFILE), SpawnCause::FileLimit),
            ),
            (
                Errno::NFILE,
                matches!(cause(Errno::NFILE), SpawnCause::FileLimit),
            ),
            (
                Errno::NOEXEC,
                matches!(cause(Errno::NOEXEC), SpawnCause::BadFormat(_)),
            ),
            (
                Errno::TXTBSY,
                matches!(cause(Errno::TXTBSY), SpawnCause::Busy(_)),
            ),
            (
                Errno::ACCESS,
                matches!(cause(Errno::ACCESS), SpawnCause::NotExecutable(_)),
            ),
            // It is there, and is no script: what loads it is missing.
            (
                Errno::NOENT,
                matches!(cause(Errno::NOENT), SpawnCause::LoaderMissing(_)),
            ),
            (
                Errno::IO,
                matches!(cause(Errno::IO), SpawnCause::Other { .. }),
            ),
        ] {
            assert!(is, "{errno}: {:?}", cause(errno));
        }
        let SpawnCause::TooLong { bytes } = cause(Errno::TOOBIG) else {
            panic!("{:?}", cause(Errno::TOOBIG));
        };
        assert!(bytes > "/bin/sh".len());
    }

    #[test]
    fn a_folder_that_goes_away_between_the_look_and_the_start_has_its_cause() {
        let folder = tempfile::tempdir().unwrap();
        let stage = StageRequest::new(["/bin/sh"], folder.path());
        let shell = Executable::find(&stage).unwrap();
        let cause = |errno: Errno| shell.diagnose_dir(errno.into());
        assert!(matches!(
            cause(Errno::ACCESS),
            SpawnCause::WorkingDirDenied(_)
        ));
        assert!(matches!(
            cause(Errno::NOENT),
            SpawnCause::WorkingDirMissing(_)
        ));
        assert!(matches!(
            cause(Errno::NOTDIR),
            SpawnCause::WorkingDirNotADirectory(_)
        ));
        assert!(matches!(cause(Errno::LOOP), SpawnCause::Other { .. }));
        drop(folder);
        let missing = shell.diagnose(Errno::NOENT.raw_os_error());
        assert!(
            matches!(missing, SpawnCause::WorkingDirMissing(_)),
            "{missing:?}"
        );
        let nothing = Executable::find(&StageRequest::new([""; 0], "/")).unwrap_err();
        assert!(matches!(nothing, SpawnCause::EmptyCommand));
    }
}

//! The folder that holds what running stacks leave for other processes of the same user.
//!
//! It owns the one check that makes the sockets in it trustworthy: the folder is a real one,
//! ours, and closed to everybody else. Whoever could replace it could pose as a stack.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("`{}` is a symbolic link, which somebody else may have laid there", .0.display())]
    Symlink(PathBuf),
    #[error("`{}` is not a folder", .0.display())]
    NotAFolder(PathBuf),
    #[error("`{}` belongs to the user with the number {owner}, not to you", .path.display())]
    Foreign { path: PathBuf, owner: u32 },
    #[error("`{}` is open to other users (mode {mode:03o}, expected 700)", .path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("cannot use `{}`: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
}

impl FolderError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Symlink(path) | Self::NotAFolder(path) => format!(
                "remove `{}`, or set XDG_RUNTIME_DIR to a folder of your own",
                path.display()
            ),
            Self::Foreign { .. } => "set XDG_RUNTIME_DIR to a folder of your own".to_owned(),
            Self::Open { path, .. } => format!("`chmod 700 {}`", path.display()),
            Self::Io { .. } => "XDG_RUNTIME_DIR names another place for it".to_owned(),
        }
    }
}

/// A folder that was found to be ours alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeFolder {
    path: PathBuf,
}

/// The longest name of a folder that leaves room for `/pk/` and a socket in the 107 bytes
/// that Linux has for the address of one.
const LONGEST: usize = 107 - 4 - super::record::LONGEST_KEY - ".sock".len();

impl RuntimeFolder {
    /// `pk` in the folder that `XDG_RUNTIME_DIR` names, if that is there and ours, which it is
    /// not after `su`, and short enough for the address of a socket in it; else one below `/tmp` with the user's number.
    #[must_use]
    pub fn place(xdg: Option<OsString>) -> PathBuf {
        let own = rustix::process::geteuid().as_raw();
        xdg.map(PathBuf::from)
            .filter(|path| path.is_absolute() && path.as_os_str().len() <= LONGEST)
            .filter(|path| {
                let there = fs::metadata(path);
                there.is_ok_and(|folder| folder.is_dir() && folder.uid() == own)
            })
            .map_or_else(
                || PathBuf::from(format!("/tmp/pk-{own}")),
                |path| path.join("pk"),
            )
    }

    /// The folder at `path`, made if it is not there.
    ///
    /// # Errors
    /// It is not ours alone.
    pub fn create(path: PathBuf) -> Result<Self, FolderError> {
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(FolderError::Io { path, error }),
        }
        check(&path)?;
        Ok(Self { path })
    }

    /// The folder at `path`; `None` if there is none, as before the first stack.
    ///
    /// # Errors
    /// It is not ours alone.
    pub fn find(path: PathBuf) -> Result<Option<Self>, FolderError> {
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FolderError::Io { path, error }),
            Ok(_) => check(&path)?,
        }
        Ok(Some(Self { path }))
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The entry itself, not what it may point to.
fn check(path: &Path) -> Result<(), FolderError> {
    let metadata = fs::symlink_metadata(path).map_err(|error| FolderError::Io {
        path: path.to_owned(),
        error,
    })?;
    let path = || path.to_owned();
    if metadata.is_symlink() {
        return Err(FolderError::Symlink(path()));
    }
    if !metadata.is_dir() {
        return Err(FolderError::NotAFolder(path()));
    }
    let owner = metadata.uid();
    if owner != rustix::process::geteuid().as_raw() {
        return Err(FolderError::Foreign {
            path: path(),
            owner,
        });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FolderError::Open { path: path(), mode });
    }
    Ok(())
}

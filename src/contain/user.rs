//! As whom a program is to run, looked up before its process is made.
#![expect(unsafe_code, reason = "the user database is the C library's")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr;

/// A user with its groups, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// The further ones.
    pub groups: Vec<u32>,
}

/// Why there is no such user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    #[error("there is no user `{0}`")]
    NoUser(String),
    #[error("there is no group `{0}`")]
    NoGroup(String),
    #[error("the user {0} is not in the user database, so its group is unknown: write `{0}:GROUP`")]
    GroupUnknown(u32),
}

impl User {
    /// From `USER` or `USER:GROUP`, each a name or a number. Without a group it is the user's
    /// own, with those that list the user as further ones; with one there are no others.
    ///
    /// # Errors
    /// [`UserError`].
    ///
    /// ```
    /// use pk::contain::User;
    ///
    /// let user = User::parse("65534:65534")?;
    /// assert_eq!((user.uid, user.gid), (65534, 65534));
    /// assert!(User::parse("no-such-user").is_err());
    /// # Ok::<(), pk::contain::UserError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, UserError> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let entry = match user.parse::<u32>() {
            Ok(uid) => entry_of_number(uid).unwrap_or(Entry {
                uid,
                group: None,
                name: None,
            }),
            Err(_) => entry_of_name(user).ok_or_else(|| UserError::NoUser(user.to_owned()))?,
        };
        match group {
            Some(group) => Ok(Self {
                uid: entry.uid,
                gid: match group.parse() {
                    Ok(gid) => gid,
                    Err(_) => {
                        group_of_name(group).ok_or_else(|| UserError::NoGroup(group.to_owned()))?
                    }
                },
                groups: Vec::new(),
            }),
            None => {
                let gid = entry.group.ok_or(UserError::GroupUnknown(entry.uid))?;
                Ok(Self {
                    uid: entry.uid,
                    gid,
                    groups: entry
                        .name
                        .map_or_else(Vec::new, |name| groups_of(&name, gid)),
                })
            }
        }
    }
}

struct Entry {
    uid: u32,
    group: Option<u32>,
    name: Option<CString>,
}

/// More than any entry needs.
const BUFFER: usize = 64 * 1024;

fn entry_of_name(name: &str) -> Option<Entry> {
    let name = CString::new(name).ok()?;
    entry(|passwd, buffer, length, found| {
        // SAFETY: every pointer is valid for the call, and `buffer` for writing `length`.
        unsafe { libc::getpwnam_r(name.as_ptr(), passwd, buffer, length, found) }
    })
}

fn entry_of_number(uid: u32) -> Option<Entry> {
    entry(|passwd, buffer, length, found| {
        // SAFETY: as above.
        unsafe { libc::getpwuid_r(uid, passwd, buffer, length, found) }
    })
}

fn entry(
    ask: impl FnOnce(*mut libc::passwd, *mut c_char, usize, *mut *mut libc::passwd) -> c_int,
) -> Option<Entry> {
    let mut passwd = MaybeUninit::<libc::passwd>::zeroed();
    let mut buffer = vec![0; BUFFER];
    let mut found = ptr::null_mut();
    let error = ask(
        passwd.as_mut_ptr(),
        buffer.as_mut_ptr(),
        BUFFER,
        &raw mut found,
    );
    if error != 0 || found.is_null() {
        return None;
    }
    // SAFETY: the call has filled it, and its strings lie in `buffer`, which lives still.
    let (passwd, name) = unsafe {
        let passwd = passwd.assume_init();
        (passwd, CStr::from_ptr(passwd.pw_name).to_owned())
    };
    Some(Entry {
        uid: passwd.pw_uid,
        group: Some(passwd.pw_gid),
        name: Some(name),
    })
}

fn group_of_name(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    let mut group = MaybeUninit::<libc::group>::zeroed();
    let mut buffer = vec![0; BUFFER];
    let mut found = ptr::null_mut();
    // SAFETY: every pointer is valid for the call, and `buffer` for writing its length.
    let error = unsafe {
        libc::getgrnam_r(
            name.as_ptr(),
            group.as_mut_ptr(),
            buffer.as_mut_ptr(),
            BUFFER,
            &raw mut found,
        )
    };
    if error != 0 || found.is_null() {
        return None;
    }
    // SAFETY: the call has filled it.
    Some(unsafe { group.assume_init() }.gr_gid)
}

fn groups_of(name: &CStr, gid: u32) -> Vec<u32> {
    let mut count: c_int = 1024;
    let mut groups = vec![0; 1024];
    // SAFETY: the list is valid for writing `count` numbers.
    let known =
        unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
    groups.truncate(usize::try_from(known).unwrap_or(0));
    groups
}

//! Filesystems that do not tell what happens to them.

use std::path::Path;

/// `statfs(2)` types whose files change on other machines, or behind the kernel's back.
const SILENT: [(u64, &str); 12] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9P, as WSL mounts Windows' drives"),
    (0x6573_5546, "FUSE"),
    (0x786f_4256, "VirtualBox shared folder"),
    (0x7c7c_6673, "Parallels shared folder"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0bd0_0bd0, "Lustre"),
];

/// What it is called, if no events come from where the path is or will be.
pub(super) fn silent(path: &Path) -> Option<&'static str> {
    let existing = path.ancestors().find(|path| path.exists())?;
    let status = rustix::fs::statfs(existing).ok()?;
    // The sign of the field differs between machines, its 32 bits do not.
    #[expect(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "only these bits mean anything"
    )]
    let kind = u64::from(status.f_type as u32);
    let known = SILENT.iter().find(|(magic, _)| *magic == kind);
    known.map(|(_, name)| *name)
}

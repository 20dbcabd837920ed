//! Whether a path lies on a network file system: asked of the kernel, a FUSE mount's kind of the list of mounts.

use std::path::Path;

use nix::sys::statfs::{FsType, statfs};

/// File systems that other machines may write to as well, by the kernel's number (statfs(2), linux/magic.h).
const NUMBERS: [(u32, &str); 12] = [
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x0bd0_0bd0, "lustre"),
    (0x4750_4653, "gpfs"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "afs"),
    (0x1983_0326, "beegfs"),
    (0x00c3_6400, "ceph"),
    (0x7375_7245, "coda"),
    (0x2003_0528, "orangefs"),
];
/// FUSE says of itself only that it is FUSE.
const FUSE: u32 = 0x6573_5546;
/// What of FUSE leads to other machines, by the type that mounts have.
const FUSE_KINDS: [&str; 12] = [
    "sshfs",
    "glusterfs",
    "ceph",
    "cephfs",
    "s3fs",
    "gcsfuse",
    "rclone",
    "juicefs",
    "lizardfs",
    "moosefs",
    "davfs",
    "beegfs",
];

/// The kind of network file system that a path, or the nearest directory above it that is there, lies on.
pub(super) fn network(path: &Path) -> Option<String> {
    let (there, stat) = path.ancestors().find_map(|path| Some((path, statfs(path).ok()?)))?;
    let number = number(stat.filesystem_type());
    if number == FUSE {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        return fuse_kind(&mounts, &std::fs::canonicalize(there).ok()?);
    }
    NUMBERS.iter().find(|(known, _)| *known == number).map(|(_, name)| (*name).to_owned())
}

/// The kernel's numbers have 32 bits, however wide the field is here.
fn number(kind: FsType) -> u32 {
    (kind.0 & 0xffff_ffff) as u32
}

/// The network kind of the FUSE mount that a path is below (proc_pid_mountinfo(5)).
fn fuse_kind(mounts: &str, path: &Path) -> Option<String> {
    let mount = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let point = unescaped(before.split(' ').nth(4)?);
        let depth = Path::new(&point).components().count();
        path.starts_with(&point).then(|| (depth, after.split(' ').next().unwrap_or_default().to_owned()))
    };
    // Of several mounts on one point the last one is seen.
    let (_, kind) = mounts.lines().filter_map(mount).max_by_key(|(depth, _)| *depth)?;
    let name = kind.strip_prefix("fuse.")?;
    FUSE_KINDS.contains(&name).then_some(kind)
}

/// Blanks in paths are written as octal numbers.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:35 / /home rw,nosuid - fuse.sshfs me@host:/home rw,user_id=0
41 40 0:36 / /home/me/a\\040b rw - fuse.gvfsd-fuse gvfsd-fuse rw
42 22 0:37 / /data rw - fuse.glusterfs gluster:/vol rw
";

    #[test]
    fn fuse_mounts_are_told_apart_by_their_type() {
        let kind = |path: &str| fuse_kind(MOUNTS, Path::new(path));
        assert_eq!(kind("/home/me/.windlass").as_deref(), Some("fuse.sshfs"));
        assert_eq!(kind("/data/x").as_deref(), Some("fuse.glusterfs"));
        assert_eq!(kind("/home/me/a b/x"), None);
        assert_eq!(kind("/homes/x"), None);
        assert_eq!(kind("/x"), None);
    }

    #[test]
    fn the_kernels_own_file_systems_are_no_network() {
        assert_eq!(network(Path::new("/proc/self/no/such/path")), None);
    }
}

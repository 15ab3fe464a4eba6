//! What the plan asks of the container's files: the home directory of a user. They are hostile, so size and type are checked first.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;

use crate::sys::fs::{open_directory_plain, open_in_root};

/// Largest passwd that is read.
const FILE_LIMIT: u64 = 1 << 20;
/// Longest line that is looked at.
const LINE_LIMIT: usize = 64 << 10;

/// The home directory of `uid` in the passwd of a rootfs; as runc, `/` if there is no such file or user.
pub(crate) fn home(rootfs: &Path, uid: u32) -> String {
    find(rootfs, uid).unwrap_or_else(|| "/".to_owned())
}

fn find(rootfs: &Path, uid: u32) -> Option<String> {
    let root = open_directory_plain(rootfs).ok()?;
    // Without O_NONBLOCK a fifo in its place would keep us waiting.
    let passwd =
        File::from(open_in_root(root.as_fd(), "/etc/passwd", libc::O_RDONLY | libc::O_NONBLOCK).ok()?);
    passwd.metadata().ok().filter(|found| found.is_file() && found.len() <= FILE_LIMIT)?;
    let lines = BufReader::new(passwd.take(FILE_LIMIT)).split(b'\n').map_while(Result::ok);
    lines.filter(|line| line.len() <= LINE_LIMIT).find_map(|line| home_of(&line, uid))
}

/// The sixth field, if the third is `uid`.
fn home_of(line: &[u8], uid: u32) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?;
    let mut fields = line.split(':').skip(2);
    let found: u32 = fields.next()?.parse().ok()?;
    let home = fields.nth(2)?;
    (found == uid && home.starts_with('/') && !home.contains('\0')).then(|| home.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_unknown_is_at_home_in_the_root() {
        assert_eq!(home(Path::new("/nonexistent"), 0), "/");
        assert_eq!(home(Path::new("/"), u32::MAX - 7), "/");
    }

    #[test]
    fn a_home_is_the_sixth_field_of_the_line_with_that_uid() {
        assert_eq!(home_of(b"web:x:1000:1000:Web:/srv/web:/bin/sh", 1000).as_deref(), Some("/srv/web"));
        assert_eq!(home_of(b"web:x:1000:1000:Web:/srv/web:/bin/sh", 100), None);
        assert_eq!(home_of(b"1000:x:5:5::/a:/b", 1000), None);
        assert_eq!(home_of(b"web:x:1000", 1000), None);
        assert_eq!(home_of(b"web:x:1000:1000::relative:/bin/sh", 1000), None);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A watched file of endpoints: looked at once a second, read when it is another one.
//!
//! Another one means another inode, size or time of change: an editor that writes beside and renames is seen as well
//! as one that writes in place. What the lines mean is `upstream::discovery`.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::known::Answer;
use crate::upstream::discovery::of_file;

/// Largest file that is read; the lines of [`FOUND_MAX`](crate::upstream::discovery::FOUND_MAX) endpoints and their
/// comments fit.
const BYTES_MAX: u64 = 256 << 10;

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// What is in the file, unless it is the one that was read last.
pub(super) fn read(path: &str, last: Option<Stamp>) -> Option<(Result<Answer, String>, Option<Stamp>)> {
    let failed = |error: std::io::Error| Some((Err(format!("{path} cannot be read: {error}")), None));
    let about = match std::fs::metadata(Path::new(path)) {
        Ok(about) => about,
        Err(error) => return failed(error),
    };
    let stamp = Stamp { inode: about.ino(), size: about.size(), changed: (about.mtime(), about.mtime_nsec()) };
    if last == Some(stamp) {
        return None;
    }
    if !about.is_file() {
        return Some((Err(format!("{path} is not a file")), Some(stamp)));
    }
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text));
    match read {
        Ok(bytes) if bytes as u64 > BYTES_MAX => {
            Some((Err(format!("{path} is larger than {BYTES_MAX} bytes")), Some(stamp)))
        }
        Ok(_) => {
            let answer = of_file(&text).map(|endpoints| Answer { endpoints, ..Answer::default() });
            Some((answer.map_err(|why| format!("{path} {why}")), Some(stamp)))
        }
        Err(error) => failed(error),
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_file_is_read_when_it_is_another_one() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("endpoints");
        let name = path.to_str().expect("it is text");
        let said = |last| read(name, last).map(|(said, stamp)| (said.map(|answer| answer.endpoints.len()), stamp));
        let (missing, stamp) = said(None).expect("it is told");
        assert!(missing.is_err_and(|why| why.contains("cannot be read")) && stamp.is_none());
        std::fs::write(&path, "10.0.0.1:80\n").expect("it can be written");
        let (found, first) = said(None).expect("it is new");
        assert_eq!(found, Ok(1));
        assert!(said(first).is_none(), "it is the same");
        std::fs::write(&path, "10.0.0.1:80\nx\n").expect("it can be written");
        let (bad, second) = said(first).expect("it has changed");
        assert!(bad.is_err_and(|why| why.contains("line 2")) && second != first);
        let (directory, _) = read("/", None).expect("it is told");
        assert!(directory.is_err_and(|why| why.contains("is not a file")));
    }
}

//! The files that a configuration was read from, and places in them.
//!
//! This module owns the texts and turns byte offsets into lines and columns. It must not
//! know what the texts mean.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A larger file is refused: it is no configuration, and offsets are held in 32 bits.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// Identifies a file within one [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A range of bytes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    /// Exclusive.
    pub end: u32,
}

impl Span {
    #[must_use]
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        let clip = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            file,
            start: clip(start),
            end: clip(end.max(start)),
        }
    }

    /// The part of it from `start` to `end`, counted from its own start.
    #[must_use]
    pub fn part(self, start: usize, end: usize) -> Self {
        Self::new(
            self.file,
            self.start as usize + start,
            self.start as usize + end,
        )
    }
}

/// A place for people: both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    pub line: usize,
    pub column: usize,
}

/// A file that was read.
#[derive(Debug)]
pub struct SourceFile {
    path: PathBuf,
    shown: String,
    text: String,
    line_starts: OnceLock<Vec<u32>>,
}

impl SourceFile {
    /// Absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that relative paths in the file start from.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// The path as messages show it: relative to the folder of the request where possible.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn line_starts(&self) -> &[u32] {
        self.line_starts.get_or_init(|| {
            let newlines = memchr::memchr_iter(b'\n', self.text.as_bytes());
            std::iter::once(0)
                .chain(newlines.map(|at| u32::try_from(at + 1).unwrap_or(u32::MAX)))
                .collect()
        })
    }

    /// The line, counted from 0, that holds the byte.
    #[must_use]
    pub fn line_of(&self, offset: usize) -> usize {
        self.line_starts()
            .partition_point(|&start| start as usize <= offset)
            .saturating_sub(1)
    }

    /// Offset and text of a line counted from 0, without its line break.
    #[must_use]
    pub fn line(&self, index: usize) -> (usize, &str) {
        let starts = self.line_starts();
        let at = |n: usize| {
            starts
                .get(n)
                .map_or(self.text.len(), |&start| start as usize)
        };
        let start = at(index);
        let line = self.text.get(start..at(index + 1)).unwrap_or_default();
        (start, line.trim_end_matches(['\n', '\r']))
    }

    #[must_use]
    pub fn location(&self, offset: usize) -> Location {
        let line = self.line_of(offset);
        let (start, _) = self.line(line);
        let before = self.text.get(start..offset).unwrap_or_default();
        Location {
            line: line + 1,
            column: before.chars().count() + 1,
        }
    }
}

/// Why a file's text is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{}", describe(.0))]
    Io(#[from] std::io::Error),
    #[error("is larger than {} MiB", MAX_FILE_BYTES >> 20)]
    TooLarge,
    #[error("is not text: byte {offset} (line {line}) is not UTF-8")]
    NotText { offset: usize, line: usize },
    #[error("is a folder, not a file")]
    Folder,
}

impl ReadError {
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io(error) if matches!(error.kind(),
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory))
    }
}

fn describe(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "cannot be read: permission denied".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// All files of one configuration.
#[derive(Debug, Default)]
pub struct Sources {
    base: PathBuf,
    files: Vec<SourceFile>,
}

impl Sources {
    /// Paths below `base` are shown relative to it.
    #[must_use]
    pub fn new(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
            files: Vec::new(),
        }
    }

    /// Takes a text as if it had been read from `path`.
    pub fn add(&mut self, path: &Path, text: String) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(SourceFile {
            path: path.to_owned(),
            shown: self.show(path),
            text,
            line_starts: OnceLock::new(),
        });
        id
    }

    /// Reads a file, whose path should be absolute.
    pub fn read(&mut self, path: &Path) -> Result<FileId, ReadError> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(ReadError::Folder);
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(ReadError::TooLarge);
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..offset).unwrap_or_default();
            ReadError::NotText {
                offset,
                line: memchr::memchr_iter(b'\n', before).count() + 1,
            }
        })?;
        Ok(self.add(path, text))
    }

    /// A path as messages show it.
    #[must_use]
    pub fn show(&self, path: &Path) -> String {
        match path.strip_prefix(&self.base) {
            Ok(relative) if relative.as_os_str().is_empty() => ".".to_owned(),
            Ok(relative) => relative.display().to_string(),
            Err(_) => path.display().to_string(),
        }
    }

    #[must_use]
    pub fn get(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter()
    }

    /// The text of a span.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        let text = self.get(span.file).text();
        text.get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    /// `file:line:column` of a span's start.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        let file = self.get(span.file);
        Place {
            path: file.shown().to_owned(),
            location: file.location(span.start as usize),
        }
    }
}

/// `file:line:column`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    pub location: Location,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}",
            self.path, self.location.line, self.location.column
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let mut sources = Sources::new(Path::new("/x"));
        let id = sources.add(Path::new("/x/a.yaml"), "é: ü\r\nb: c\n".into());
        let file = sources.get(id);
        assert_eq!(file.location(4), Location { line: 1, column: 4 });
        assert_eq!(file.location(8), Location { line: 2, column: 1 });
        assert_eq!(file.line(0).1, "é: ü");
        assert_eq!(file.line(9).1, "");
        assert_eq!(
            sources.place(Span::new(id, 11, 12)).to_string(),
            "a.yaml:2:4"
        );
    }
}

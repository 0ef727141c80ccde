//! Where a bundle is read from: bytes at a position, so that leaves, proofs and the comparison each go their own way
//! through the same file.

use std::{
    fs::File,
    io::{self, Read},
};

/// Bytes that can be read at any place, and that do not change meanwhile.
pub trait Source: Sync {
    /// How many bytes there are.
    fn size(&self) -> io::Result<u64>;

    /// Reads some bytes at `at` into the front of `buffer`, and says how many; none at the end.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
}

impl Source for [u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        Ok(bytes)
    }
}

impl Source for Vec<u8> {
    fn size(&self) -> io::Result<u64> {
        self[..].size()
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self[..].read_at(buffer, at)
    }
}

impl Source for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, at)
    }

    #[cfg(windows)]
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, buffer, at)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        (**self).read_at(buffer, at)
    }
}

/// A stretch of a source, read from its front.
#[derive(Debug)]
pub(crate) struct Section<'a, S: ?Sized> {
    source: &'a S,
    at: u64,
    end: u64,
}

impl<'a, S: Source + ?Sized> Section<'a, S> {
    pub(crate) fn new(source: &'a S, at: u64, end: u64) -> Self {
        Self { source, at, end }
    }

    /// Where the next byte stands in the source.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    pub(crate) fn source(&self) -> &'a S {
        self.source
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.end
    }
}

impl<S: Source + ?Sized> Read for Section<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let bytes = self.source.read_at(&mut buffer[..room], self.at)?;
        self.at += bytes as u64;
        Ok(bytes)
    }
}

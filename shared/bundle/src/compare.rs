//! A file that is written again, compared byte by byte with the one that was read.

use std::io::{self, Write};

use crate::source::Source;

/// The first byte that is not what the content makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) at: u64,
    /// `None`: the file ends before it.
    pub(crate) seen: Option<u8>,
    pub(crate) expected: u8,
}

/// Takes what is written and compares it with what is there.
#[derive(Debug)]
pub(crate) struct Compare<'a, S> {
    source: &'a S,
    at: u64,
    buffer: Vec<u8>,
    first: Option<Difference>,
}

impl<'a, S: Source> Compare<'a, S> {
    pub(crate) fn new(source: &'a S) -> Self {
        Self { source, at: 0, buffer: vec![0; 256 * 1024], first: None }
    }

    /// The first difference, and how many bytes were written.
    pub(crate) fn finish(self) -> (Option<Difference>, u64) {
        (self.first, self.at)
    }

    /// Reads as many of the bytes at the present place as there are, up to `wanted`.
    fn fill(&mut self, wanted: usize) -> io::Result<usize> {
        let mut filled = 0;
        while filled < wanted {
            match self.source.read_at(&mut self.buffer[filled..wanted], self.at + filled as u64)? {
                0 => break,
                bytes => filled += bytes,
            }
        }
        Ok(filled)
    }

    fn compare(&mut self, expected: &[u8]) -> io::Result<()> {
        let filled = self.fill(expected.len())?;
        if self.buffer[..filled] == *expected {
            return Ok(());
        }
        let same = self.buffer[..filled].iter().zip(expected).take_while(|(seen, wanted)| seen == wanted);
        let place = same.count();
        self.first = expected.get(place).map(|expected| Difference {
            at: self.at + place as u64,
            seen: self.buffer[..filled].get(place).copied(),
            expected: *expected,
        });
        Ok(())
    }
}

impl<S: Source> Write for Compare<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(self.buffer.len())];
        if self.first.is_none() {
            self.compare(bytes)?;
        }
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

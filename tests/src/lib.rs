//! What the end-to-end tests share: parts as processes, killed when the test ends.

use std::io::{self, BufRead as _, BufReader};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

/// A part of Farhand as a process of its own. Killed (SIGKILL) when dropped.
#[derive(Debug)]
pub struct Part(Child);

impl Part {
    /// Starts `binary` from beside this test's own binary, where `cargo build --workspace` put it.
    ///
    /// # Errors
    /// If it is not there: build the workspace's binaries first, as `./check` does.
    pub fn start(binary: &str, arguments: &[&str]) -> io::Result<Self> {
        spawn(binary, arguments, Stdio::null).map(Self)
    }

    /// [`Part::start`], for a part that says one line when it is ready and obeys what it reads.
    ///
    /// # Errors
    /// Those of [`Part::start`], and what becomes of its standard output.
    pub fn start_attended(binary: &str, arguments: &[&str]) -> io::Result<Attended> {
        let mut child = spawn(binary, arguments, Stdio::piped)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let part = Self(child);
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut said = String::new();
        BufReader::new(stdout).read_line(&mut said)?;
        Ok(Attended { part, stdin, said })
    }

    /// SIGKILL, now.
    pub fn kill(&mut self) {
        // It may have ended by itself; dead is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A part that says and hears something.
#[derive(Debug)]
pub struct Attended {
    pub part: Part,
    pub stdin: ChildStdin,
    /// Its first line.
    pub said: String,
}

fn spawn(binary: &str, arguments: &[&str], pipe: fn() -> Stdio) -> io::Result<Child> {
    let path = binaries().join(binary);
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {error}; run cargo build --workspace", path.display()))
    };
    Command::new(&path).args(arguments).stdin(pipe()).stdout(pipe()).spawn().map_err(named)
}

fn binaries() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    test.ancestors().nth(2).map(PathBuf::from).unwrap_or_default()
}

/// A UDP port on the loopback that was free a moment ago.
#[must_use]
pub fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_or(0, |address| address.port())
}

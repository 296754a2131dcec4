//! Steps as the user sees them, and commands whose output goes to a log.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Set when one step failed: the steps beside it are no longer waited for.
static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Kills the running commands, and makes later ones fail.
pub fn cancel() {
    CANCELLED.store(true, Ordering::Relaxed);
}

const PROGRESS_INTERVAL: Duration = Duration::from_secs(20);
const TAIL: usize = 20;

/// Runs `work` and prints how long it took.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = work().with_context(|| what.to_owned())?;
    eprintln!("==> {what} ({})", human(start.elapsed()));
    Ok(result)
}

/// A command whose output goes to a log file.
pub struct Run {
    command: Command,
    program: String,
    what: String,
    log: PathBuf,
}

impl Run {
    /// `what` names it in progress lines. The command ends when this program does, however that ends.
    pub fn new(what: &str, log: &Path, program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(&program);
        let program = program.as_ref().display().to_string();
        Self { command, program, what: what.to_owned(), log: log.to_path_buf() }
    }

    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// A failure names the log and quotes its last lines.
    pub fn run(mut self) -> Result<()> {
        if let Some(parent) = self.log.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("make {}", parent.display()))?;
        }
        let log =
            File::create(&self.log).with_context(|| format!("make {}", self.log.display()))?;
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(log.try_clone().with_context(|| format!("open {}", self.log.display()))?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.program))?;
        let start = Instant::now();
        let mut spoken = start;
        let status: ExitStatus = loop {
            if let Some(status) = child.try_wait().context("wait for a command")? {
                break status;
            }
            if CANCELLED.load(Ordering::Relaxed) {
                let pid = i32::try_from(child.id()).context("a command's id")?;
                // It may have ended by itself just now.
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
                child.wait().context("wait for a command")?;
                bail!("cancelled");
            }
            if spoken.elapsed() > PROGRESS_INTERVAL {
                spoken = Instant::now();
                let line = tail(&self.log, 1);
                let line: String = line.trim().chars().take(100).collect();
                eprintln!("    {}: {}, {line}", self.what, human(start.elapsed()));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if !status.success() {
            bail!(
                "{} ended with {status}; the end of {}:\n{}",
                self.program,
                self.log.display(),
                tail(&self.log, TAIL)
            );
        }
        Ok(())
    }
}

/// Returns what the command printed.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {name}"))?;
    if !output.status.success() {
        bail!(
            "{name} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("output of {name}"))
}

/// Polls until `ready` succeeds; after `patience` its last error is returned.
pub fn wait_for(
    what: &str,
    timeout: Duration,
    mut ready: impl FnMut() -> Result<()>,
) -> Result<()> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(20);
    loop {
        match ready() {
            Ok(()) => return Ok(()),
            Err(error) if start.elapsed() > timeout => {
                return Err(error.context(format!("waited {} for {what}", human(timeout))));
            }
            Err(_) => std::thread::sleep(pause),
        }
        pause = (pause * 3 / 2).min(Duration::from_millis(250));
    }
}

/// The last lines of a file, from at most its last 64 KiB.
#[must_use]
pub fn tail(path: &Path, lines: usize) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let mut text = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(64 * 1024)))?;
        file.read_to_end(&mut text)
    });
    if let Err(error) = read {
        return format!("({}: {error})", path.display());
    }
    last_lines(&String::from_utf8_lossy(&text), lines)
}

fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[must_use]
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1}s", duration.as_secs_f64())
    } else {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_below_a_minute_and_plain_above() {
        assert_eq!(human(Duration::from_millis(1_240)), "1.2s");
        assert_eq!(human(Duration::from_secs(302)), "5m02s");
    }

    #[test]
    fn the_last_lines_of_a_short_text_are_all_of_it() {
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
        assert_eq!(last_lines("a", 20), "a");
    }
}

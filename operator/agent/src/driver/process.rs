//! The driver's process: started, watched, and killed with its agent.

use std::{
    future::pending,
    io,
    path::{Path, PathBuf},
    pin::pin,
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicI32, Ordering},
    time::Duration,
};

use futures::future::{FusedFuture, FutureExt};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    sync::oneshot,
    time::timeout,
};

use crate::end::{EndLatch, Output};

/// How long the last lines of a driver that has exited may take to be read: its browsers may hold its pipes open.
const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(100);

/// The driver's process id, for the reaper of orphans. 0: none.
static DRIVER_PID: AtomicI32 = AtomicI32::new(0);

/// Whether that process is the driver, whose exit status is tokio's to take.
pub fn is_driver(pid: i32) -> bool {
    DRIVER_PID.load(Ordering::Acquire) == pid
}

/// How the driver is started.
pub struct DriverCommand<'a> {
    pub program: &'a Path,
    pub arguments: &'a [String],
    /// What its environment has beside the agent's own.
    pub environment: &'a [(&'a str, &'a str)],
    /// The text that it prints before its port, when it listens.
    pub port_prefix: &'a str,
}

/// Why the driver does not run.
#[derive(Debug, thiserror::Error)]
pub enum DriverExit {
    #[error("the driver {} cannot be started: {error}", program.display())]
    NotStarted { program: PathBuf, error: io::Error },
    #[error("the driver has no output")]
    NoOutput,
    #[error("the driver ended before it listened: {}", describe(.0))]
    BeforeListening(io::Result<ExitStatus>),
    #[error("the driver ended: {}", describe(.0))]
    Exited(io::Result<ExitStatus>),
}

fn describe(status: &io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Runs the driver until it exits, or until the agent ends: then `None`. `started` runs with its port, beside the process.
pub async fn run<F: Future<Output = ()>>(
    command: DriverCommand<'_>,
    end: &EndLatch,
    output: &Output,
    started: impl FnOnce(u16) -> F,
) -> Option<DriverExit> {
    let spawned = Command::new(command.program)
        .args(command.arguments)
        .envs(command.environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            return Some(DriverExit::NotStarted { program: command.program.to_owned(), error });
        }
    };
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        DRIVER_PID.store(pid, Ordering::Release);
    }
    let exit = tokio::select! {
        exit = watch(&mut child, command.port_prefix, output, started) => Some(exit),
        () = end.token().cancelled_owned() => None,
    };
    kill(&mut child).await;
    exit
}

/// Waits until the driver exits, and runs `started` when it listens.
async fn watch<F: Future<Output = ()>>(
    child: &mut Child,
    port_prefix: &str,
    output: &Output,
    started: impl FnOnce(u16) -> F,
) -> DriverExit {
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return DriverExit::NoOutput;
    };
    let (found, port) = oneshot::channel();
    let mut found = Some(found);
    let mut listens = false;
    // Pages write there too, as much as they like. The browser has these pipes as well, and may outlive its driver, so
    // their end means nothing.
    let reading = async {
        let reading = tokio::try_join!(
            output.follow(stdout, |line| {
                if let Some(port) = port_in(line, port_prefix)
                    && let Some(found) = found.take()
                {
                    // A greeting explains nothing.
                    output.forget();
                    let _ = found.send(port);
                }
            }),
            output.follow(stderr, |_| {}),
        );
        if let Err(error) = reading {
            tracing::debug!(%error, "the driver's output");
        }
    };
    let mut reading = pin!(reading.fuse());
    let beside = async {
        if let Ok(port) = port.await {
            listens = true;
            started(port).await;
        }
        pending::<()>().await;
    };
    let status = {
        let mut beside = pin!(beside);
        loop {
            tokio::select! {
                status = child.wait() => break status,
                () = &mut reading, if !reading.is_terminated() => {}
                () = &mut beside => {}
            }
        }
    };
    // A driver that printed its last line has exited before it is read.
    if !reading.is_terminated() {
        drop(timeout(LAST_LINES_TIMEOUT, reading).await);
    }
    if listens { DriverExit::Exited(status) } else { DriverExit::BeforeListening(status) }
}

fn port_in(line: &str, prefix: &str) -> Option<u16> {
    let (_, rest) = line.split_once(prefix)?;
    rest.trim_end_matches('.').parse().ok()
}

/// Kills the driver and the browsers in its process group. What left the group dies with PID 1.
async fn kill(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok())
        && let Err(error) = killpg(Pid::from_raw(pid), Signal::SIGKILL)
    {
        tracing::debug!(%error, "killpg");
    }
    if let Err(error) = child.wait().await {
        tracing::debug!(error = &error as &dyn std::error::Error, "wait for the driver");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a script as the driver until it exits, and `started` when it listens; gives the exit and the last lines.
    async fn run_script(
        script: &str,
        end: &EndLatch,
        started: impl FnOnce(u16),
    ) -> (Option<String>, String) {
        let output = Output::default();
        let command = DriverCommand {
            program: Path::new("/bin/sh"),
            arguments: &["-c".to_owned(), script.to_owned()],
            environment: &[],
            port_prefix: "port ",
        };
        let exit = run(command, end, &output, |port| {
            started(port);
            std::future::ready(())
        });
        (exit.await.map(|exit| exit.to_string()), output.explain(""))
    }

    #[tokio::test]
    async fn a_driver_that_dies_leaves_its_last_lines_on_either_pipe() {
        let end = EndLatch::default();
        let script = "echo one; echo two >&2; exit 3";
        let (exit, told) = run_script(script, &end, |port| panic!("it listens on {port}")).await;
        assert_eq!(exit.unwrap(), "the driver ended before it listened: exit status: 3");
        assert!(told.contains("one") && told.contains("two"), "{told}");

        // What it holds open, and what it said before it listened, does not matter.
        let heard = std::env::temp_dir().join(format!("driver-heard-{}", std::process::id()));
        let script = format!(
            "echo hello; echo port 6667.; until [ -e {} ]; do :; done; echo oh >&2; sleep 2 & exit 4",
            heard.display()
        );
        let started = |port| std::fs::write(&heard, format!("{port}")).unwrap();
        let (exit, told) = run_script(&script, &end, started).await;
        assert_eq!(exit.unwrap(), "the driver ended: exit status: 4");
        assert_eq!(told, "; driver and browser wrote last: oh");
        assert_eq!(std::fs::read_to_string(&heard).unwrap(), "6667");
        std::fs::remove_file(heard).unwrap();
    }

    #[tokio::test]
    async fn a_driver_that_writes_much_or_no_text_before_its_port_is_heard() {
        let script = "head -c 300000 /dev/zero; printf '\\377\\n'; echo port 7; exec sleep 60";
        let (end, mut heard) = (EndLatch::default(), None);
        let (exit, _) = run_script(script, &end, |port| {
            heard = Some(port);
            end.set(crds::Reason::ClientEnded, "");
        })
        .await;
        assert_eq!((exit, heard), (None, Some(7)));
    }
}

//! The browser's own process. Nothing else shows its end while no command runs.

use std::{io, os::fd::OwnedFd, thread};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

/// The stack of the thread that waits, in bytes.
const STACK_SIZE: usize = 64 * 1024;

/// The process id that the driver names in its capabilities.
pub fn process_id(capabilities: &Map<String, Value>) -> Option<Pid> {
    let names = ["goog:processID", "moz:processID"];
    let id = names.iter().find_map(|name| capabilities.get(*name)?.as_i64())?;
    i32::try_from(id).ok().filter(|id| *id > 0).and_then(Pid::from_raw)
}

/// Waits until the process has ended.
pub async fn wait(process: Pid) -> io::Result<()> {
    let pidfd = match pidfd_open(process, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let (send, receive) = oneshot::channel();
    // A thread of its own: tokio takes no foreign descriptor without `unsafe`. It ends with the browser, or with this process.
    thread::Builder::new().name("browser".to_owned()).stack_size(STACK_SIZE).spawn(move || {
        // Nobody may be waiting any more.
        drop(send.send(poll_until_ended(&pidfd)));
    })?;
    receive.await.map_err(io::Error::other)?
}

/// A pidfd is readable when its process has ended (pidfd_open(2)).
fn poll_until_ended(pidfd: &OwnedFd) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], None) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome.map(drop)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_drivers_say_which_process_it_is() {
        for (capabilities, expected) in [
            (json!({"goog:processID": 7}), Some(7)),
            (json!({"moz:processID": 8}), Some(8)),
            (json!({"moz:processID": 0}), None),
            (json!({"moz:processID": -1}), None),
            (json!({"moz:processID": "7"}), None),
            (json!({"goog:processID": 1_i64 << 40}), None),
            (json!({}), None),
        ] {
            let found = process_id(capabilities.as_object().unwrap());
            assert_eq!(found.map(Pid::as_raw_pid), expected, "{capabilities}");
        }
    }

    #[tokio::test]
    async fn its_end_is_heard_of_once_and_later() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = Pid::from_child(&child);
        let heard = tokio::spawn(wait(process));
        tokio::task::yield_now().await;
        assert!(!heard.is_finished());
        drop(child.stdin.take());
        heard.await.unwrap().unwrap();
        // Nobody has taken its status: it is still there, and has ended.
        wait(process).await.unwrap();
        child.wait().unwrap();
        wait(process).await.unwrap();
    }
}

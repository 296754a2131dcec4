//! The browser's own process. Nothing else tells of its end while nobody asks the driver anything.

use std::{io, os::fd::OwnedFd, thread};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

/// The stack of the thread that waits, in bytes.
const STACK: usize = 64 * 1024;

/// Which process it is, as the drivers say.
pub fn process_id(capabilities: &Map<String, Value>) -> Option<Pid> {
    let said = ["goog:processID", "moz:processID"];
    let id = said.iter().find_map(|name| capabilities.get(*name)?.as_i64())?;
    i32::try_from(id).ok().filter(|id| *id > 0).and_then(Pid::from_raw)
}

/// Waits until it has ended.
///
/// # Errors
/// The kernel does not tell of it.
pub async fn ended(process: Pid) -> io::Result<()> {
    let end = match pidfd_open(process, PidfdFlags::empty()) {
        Ok(end) => end,
        Err(Errno::SRCH) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let (tell, told) = oneshot::channel();
    // A thread of its own: tokio takes no other's descriptors without `unsafe`. It ends with the browser, or this process.
    thread::Builder::new().name("browser".to_owned()).stack_size(STACK).spawn(move || {
        // Nobody may want to know any more.
        drop(tell.send(wait(&end)));
    })?;
    told.await.map_err(io::Error::other)?
}

/// Readable means that it has ended (pidfd_open(2)).
fn wait(end: &OwnedFd) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(end, PollFlags::IN)], None) {
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
        let heard = tokio::spawn(ended(process));
        tokio::task::yield_now().await;
        assert!(!heard.is_finished());
        drop(child.stdin.take());
        heard.await.unwrap().unwrap();
        // Nobody has taken its status: it is still there, and has ended.
        ended(process).await.unwrap();
        child.wait().unwrap();
        ended(process).await.unwrap();
    }
}

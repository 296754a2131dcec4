//! Whether the kernel has killed for memory in this container. With cgroup v2 the kubelet has it kill all of the container,
//! this process too; with v1 it picks one, most often a page's process, and the session is as dead for its client.

use std::{path::PathBuf, time::Duration};

use crds::Reason;

use crate::ending::Ending;

/// Where the kernel counts, as a container sees it: cgroup v2 and v1.
const COUNTERS: [&str; 2] =
    ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];
/// How often it is looked at: v1 tells only those who may write there.
const EVERY: Duration = Duration::from_secs(1);

/// What the client is told.
pub const MESSAGE: &str = "the browser's container went over its memory limit";

/// The kernel's count.
#[derive(Clone, Debug)]
pub struct Kills {
    counter: PathBuf,
    before: u64,
}

impl Kills {
    /// Those from now on; `None` where they are not counted.
    pub fn from_now() -> Option<Self> {
        COUNTERS.iter().map(PathBuf::from).find_map(|counter| {
            let before = count(&std::fs::read_to_string(&counter).ok()?)?;
            Some(Self { counter, before })
        })
    }

    /// Whether there were any.
    pub fn any(&self) -> bool {
        std::fs::read_to_string(&self.counter)
            .ok()
            .and_then(|text| count(&text))
            .is_some_and(|count| count > self.before)
    }
}

/// Ends the session when one of its processes was killed for memory.
pub async fn watch(kills: Kills, ending: Ending) {
    let begun = ending.begun();
    loop {
        tokio::select! {
            () = begun.cancelled() => return,
            () = tokio::time::sleep(EVERY) => if kills.any() {
                ending.begin(Reason::OutOfMemory, MESSAGE);
            },
        }
    }
}

/// The line `oom_kill N`, which both versions have.
fn count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_count_alike() {
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), Some(3));
        assert_eq!(count("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n"), Some(1));
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\n"), None);
    }
}

//! Whether the kernel has killed for memory in this container. With cgroup v2 the kubelet has it kill the whole container,
//! this process too; with v1 it picks one process, most often a page's, and the session is as dead for its client.

use std::{path::PathBuf, time::Duration};

use crds::Reason;

use super::latch::EndLatch;

/// The kernel's counters, as a container sees them: cgroup v2 and v1.
const COUNTERS: [&str; 2] =
    ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];
/// Beside each, the container's limit in bytes.
const LIMITS: [&str; 2] = ["memory.max", "memory.limit_in_bytes"];
/// The counter is polled: v1 notifies only those who may write there.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The kernel's counter of kills for memory, and its value when the agent started.
#[derive(Clone, Debug)]
pub struct OomKills {
    counter: PathBuf,
    before: u64,
    /// In bytes; `None` where there is none, or it is not known.
    limit: Option<u64>,
}

impl OomKills {
    /// Counts from now on; `None` where the kernel does not count.
    pub fn from_now() -> Option<Self> {
        COUNTERS.iter().map(PathBuf::from).find_map(Self::of_counter)
    }

    pub(super) fn of_counter(counter: PathBuf) -> Option<Self> {
        let before = count(&std::fs::read_to_string(&counter).ok()?)?;
        let limit = LIMITS.iter().find_map(|name| {
            std::fs::read_to_string(counter.with_file_name(name)).ok()?.trim().parse().ok()
        });
        Some(Self { counter, before, limit })
    }

    /// The message of an end for lack of memory.
    pub fn message(&self) -> String {
        let limit = self.limit.map(|bytes| format!(" of {} MiB", bytes >> 20)).unwrap_or_default();
        format!("the browser's container went over its memory limit{limit}")
    }

    pub fn any(&self) -> bool {
        std::fs::read_to_string(&self.counter)
            .ok()
            .and_then(|text| count(&text))
            .is_some_and(|count| count > self.before)
    }
}

/// Ends the session when one of its processes was killed for memory.
pub async fn watch(oom_kills: OomKills, end: EndLatch) {
    let ended = end.token();
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            () = tokio::time::sleep(POLL_INTERVAL) => if oom_kills.any() {
                end.set(Reason::OutOfMemory, oom_kills.message());
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
    fn the_limit_is_told_where_there_is_one() {
        let kills = |limit| OomKills { counter: PathBuf::new(), before: 0, limit };
        let message = kills(Some(512 << 20)).message();
        assert_eq!(message, "the browser's container went over its memory limit of 512 MiB");
        assert!(kills(None).message().ends_with("limit"));
    }

    #[test]
    fn both_versions_count_alike() {
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), Some(3));
        assert_eq!(count("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n"), Some(1));
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\n"), None);
    }
}

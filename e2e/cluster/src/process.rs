//! Processes that are known again: an id alone may have been given to another.

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process id with the time its process started, in clock ticks after boot.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Process {
    /// The process id, in this program's namespace.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`.
    pub start_time: u64,
}

/// Fields of `/proc/<pid>/stat`.
#[derive(Debug, Eq, PartialEq)]
struct Stat {
    state: char,
    parent: i32,
    start_time: u64,
}

impl Process {
    pub fn find(pid: i32) -> Result<Self> {
        let stat = read(pid).with_context(|| format!("find process {pid}"))?;
        Ok(Self { pid, start_time: stat.start_time })
    }

    pub fn child_of(parent: i32) -> Result<Self> {
        for entry in std::fs::read_dir("/proc").context("read /proc")? {
            let name = entry.context("read /proc")?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            match read(pid) {
                Some(stat) if stat.parent == parent => {
                    return Ok(Self { pid, start_time: stat.start_time });
                }
                _ => {}
            }
        }
        anyhow::bail!("process {parent} has no child");
    }

    /// Whether the id is still this process; a zombie does not count.
    #[must_use]
    pub fn alive(self) -> bool {
        read(self.pid).is_some_and(|stat| self.is(&stat))
    }

    fn is(self, stat: &Stat) -> bool {
        stat.start_time == self.start_time && !matches!(stat.state, 'Z' | 'X')
    }

    /// Kills it unless the id has been reused.
    pub fn kill(self) {
        if self.alive() {
            // It may exit by itself in between.
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }
}

fn read(pid: i32) -> Option<Stat> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The command's name in parentheses may itself hold spaces and parentheses.
fn parse(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "4242 (a) b) S 1 4242 4242 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 2";

    #[test]
    fn a_process_is_read_whatever_its_name() {
        assert_eq!(parse(LINE), Some(Stat { state: 'S', parent: 1, start_time: 98765 }));
    }

    #[test]
    fn a_reused_id_is_another_process() {
        let stat = parse(LINE).unwrap();
        let of = |start_time| Process { pid: 4242, start_time };
        assert!(of(98765).is(&stat));
        assert!(!of(1).is(&stat));
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let stat = parse(&LINE.replace(") S", ") Z")).unwrap();
        let process = Process { pid: 4242, start_time: 98765 };
        assert!(!process.is(&stat));
    }

    #[test]
    fn this_very_process_is_found_and_alive() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(Process::find(pid).unwrap().alive());
    }
}

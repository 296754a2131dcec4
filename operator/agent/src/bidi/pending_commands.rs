//! The ids of commands that wait for the browser's answer.

use std::collections::HashMap;

/// The number of one client's socket.
pub type ClientId = u64;

/// The most pending commands, over all clients: a browser that answers nothing must not fill the memory.
pub const MAX_PENDING_COMMANDS: usize = 1 << 16;

/// Pending commands by the id that the browser knows them by.
#[derive(Debug, Default)]
pub struct PendingCommands {
    last_id: u64,
    /// The client, and the client's own id of the command.
    commands: HashMap<u64, (ClientId, u64)>,
}

impl PendingCommands {
    /// Gives a command an id that no other has; `None` where too many are pending.
    pub fn insert(&mut self, client: ClientId, id: u64) -> Option<u64> {
        if self.commands.len() >= MAX_PENDING_COMMANDS {
            return None;
        }
        self.last_id += 1;
        self.commands.insert(self.last_id, (client, id));
        Some(self.last_id)
    }

    /// Forgets the commands of a client that is gone. Returns the browser's ids of them.
    pub fn remove_client(&mut self, client: ClientId) -> Vec<u64> {
        self.commands.extract_if(|_, (sender, _)| *sender == client).map(|(id, _)| id).collect()
    }

    /// The client that waits for an answer, and its own id of the command; `None` where nobody waits.
    pub fn remove(&mut self, id: u64) -> Option<(ClientId, u64)> {
        self.commands.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_finds_its_asker_though_two_used_the_same_id() {
        let mut pending = PendingCommands::default();
        let (one, other) = (pending.insert(1, 7).unwrap(), pending.insert(2, 7).unwrap());
        assert_ne!(one, other);
        assert_eq!(pending.remove(other), Some((2, 7)));
        assert_eq!(pending.remove(other), None);
        assert_eq!(pending.remove(one), Some((1, 7)));
        let gone = pending.insert(1, 8).unwrap();
        assert_eq!(pending.remove_client(1), [gone]);
        assert_eq!(pending.remove(gone), None);
    }
}

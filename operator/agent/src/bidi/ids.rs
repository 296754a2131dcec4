//! Who asked what: the ids of commands that are under way.

use std::collections::HashMap;

/// One client's socket.
pub type ClientId = u64;

/// How many commands may wait for answers, over all clients: a browser that answers nothing must not fill the memory.
pub const MAX_PENDING: usize = 1 << 16;

/// Commands that wait for the browser's answer, by the id that the browser knows them by.
#[derive(Debug, Default)]
pub struct Pending {
    next: u64,
    asked: HashMap<u64, (ClientId, u64)>,
}

impl Pending {
    /// Notes a command, and gives it an id that no other has; `None` where too many wait already.
    pub fn ask(&mut self, client: ClientId, id: u64) -> Option<u64> {
        if self.asked.len() >= MAX_PENDING {
            return None;
        }
        self.next += 1;
        self.asked.insert(self.next, (client, id));
        Some(self.next)
    }

    /// Forgets what a client asked that is gone. Gives the browser's ids of it.
    pub fn forget(&mut self, client: ClientId) -> Vec<u64> {
        self.asked.extract_if(|_, (asker, _)| *asker == client).map(|(id, _)| id).collect()
    }

    /// Who asked, and under which id; `None` for an answer that nobody waits for.
    pub fn answer(&mut self, id: u64) -> Option<(ClientId, u64)> {
        self.asked.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_finds_its_asker_though_two_used_the_same_id() {
        let mut pending = Pending::default();
        let (one, other) = (pending.ask(1, 7).unwrap(), pending.ask(2, 7).unwrap());
        assert_ne!(one, other);
        assert_eq!(pending.answer(other), Some((2, 7)));
        assert_eq!(pending.answer(other), None);
        assert_eq!(pending.answer(one), Some((1, 7)));
        let gone = pending.ask(1, 8).unwrap();
        assert_eq!(pending.forget(1), [gone]);
        assert_eq!(pending.answer(gone), None);
    }
}

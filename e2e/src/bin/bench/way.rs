//! Where a session is asked.

/// A server, and the session's id there.
pub struct Way {
    /// Its `host:port`.
    pub authority: String,
    pub id: String,
}

impl Way {
    pub fn path(&self, command: &str) -> String {
        format!("/session/{}/{command}", self.id)
    }

    /// The URL of its BiDi socket.
    pub fn socket(&self) -> String {
        format!("ws://{}/session/{}", self.authority, self.id)
    }
}

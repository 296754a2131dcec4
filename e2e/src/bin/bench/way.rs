//! Where a session is asked.

/// A server, and the session's id there.
pub struct Way {
    /// Its `host:port`.
    pub authority: String,
    /// The id.
    pub id: String,
}

impl Way {
    /// The path of a command.
    pub fn path(&self, command: &str) -> String {
        format!("/session/{}/{command}", self.id)
    }

    /// The URL of its BiDi socket.
    pub fn socket(&self) -> String {
        format!("ws://{}/session/{}", self.authority, self.id)
    }
}

//! A server of a session: the gateway, or the driver itself.

pub struct Endpoint {
    /// Its `host:port`.
    pub authority: String,
    pub id: String,
}

impl Endpoint {
    pub fn path(&self, command: &str) -> String {
        format!("/session/{}/{command}", self.id)
    }

    /// The URL of its BiDi socket.
    pub fn socket(&self) -> String {
        format!("ws://{}/session/{}", self.authority, self.id)
    }
}

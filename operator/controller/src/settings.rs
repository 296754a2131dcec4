//! What the administrator decides.

#[derive(Clone, Debug)]
pub struct Settings {
    /// The gateway's URL in a session's status, without a slash at its end; `http` or `https`.
    pub gateway_url: String,
    /// The domain of the cluster's names, for example `cluster.local`.
    pub cluster_domain: String,
    /// The name of this replica's pod, which its Events are reported by.
    pub identity: String,
}

//! What of a session's spec may change.

/// The fields of `spec` that never change: all but `proxy`.
pub(crate) const FIELDS: [&str; 25] = [
    "blockAds",
    "allowedDomains",
    "capabilities",
    "className",
    "connectTimeoutSeconds",
    "context",
    "expose",
    "extensions",
    "features",
    "idleTimeoutSeconds",
    "ignoreCertificateErrors",
    "keepAlive",
    "log",
    "newSessionParameters",
    "os",
    "priority",
    "privateHosts",
    "record",
    "recording",
    "region",
    "startUrl",
    "timeoutSeconds",
    "ttlSecondsAfterFinished",
    "userMetadata",
    "viewport",
];

/// The CEL rule by which nothing else changes.
pub(crate) fn rule() -> String {
    let same = FIELDS.map(|field| {
        format!(
            "(has(self.spec.{field}) ? has(oldSelf.spec.{field}) && self.spec.{field} == oldSelf.spec.{field} : !has(oldSelf.spec.{field}))"
        )
    });
    same.join(" && ")
}

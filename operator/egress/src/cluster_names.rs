//! Names that the cluster's DNS gives to the Services of one namespace.

/// The full name of a Service of the namespace, or of a pod behind one, where `name` is one of the ways to write it: `web`,
/// `web.team-a`, `web.team-a.svc` and `web.team-a.svc.cluster.local`. Whether there is such a Service is for DNS to say.
pub(crate) fn full_name(name: &str, namespace: &str, domain: &str) -> Option<String> {
    let tail = format!(".svc.{domain}");
    let inner = name
        .strip_suffix(tail.as_str())
        .or_else(|| name.strip_suffix(".svc"))
        .map(|inner| inner.strip_suffix(namespace));
    let service = match inner {
        Some(inner) => inner?.strip_suffix('.')?,
        None if name.contains('.') => name.strip_suffix(namespace)?.strip_suffix('.')?,
        None => name,
    };
    (!service.is_empty()).then(|| format!("{service}.{namespace}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_of_the_namespace_has_four_names() {
        for (name, service) in [
            ("web", Some("web")),
            ("web.team-a", Some("web")),
            ("web.team-a.svc", Some("web")),
            ("web.team-a.svc.cluster.local", Some("web")),
            ("pod-0.web.team-a.svc.cluster.local", Some("pod-0.web")),
            ("pod-0.web.team-a", Some("pod-0.web")),
            ("web.team-b", None),
            ("web.team-b.svc", None),
            ("web.team-b.svc.cluster.local", None),
            ("web.xteam-a.svc", None),
            ("webteam-a", Some("webteam-a")),
            ("team-a.svc", None),
            (".team-a.svc", None),
            ("svc", Some("svc")),
            ("web.svc", None),
            ("www.example.com", None),
        ] {
            let expected = service.map(|service| format!("{service}.team-a.svc.cluster.local"));
            assert_eq!(full_name(name, "team-a", "cluster.local"), expected, "{name}");
        }
    }
}

//! Whose turn it is. Pure.

use crds::BrowserSession;

/// How many sessions are before this one: those that have been admitted, and of those that wait the older ones. A session
/// whose place is below the class's capacity may have its pod. `others` are the sessions of the class, each with whether
/// it has been admitted.
pub fn place_in_line<'a>(
    session: &BrowserSession,
    others: impl Iterator<Item = (&'a BrowserSession, bool)>,
) -> usize {
    let age = |session: &BrowserSession| {
        (session.metadata.creation_timestamp.clone(), session.metadata.uid.clone())
    };
    let own = age(session);
    others
        .filter(|(other, _)| other.metadata.uid != session.metadata.uid && !other.is_terminal())
        .filter(|(other, admitted)| *admitted || age(other) < own)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn session(spec: Value) -> BrowserSession {
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {"name": "s"}, "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn those_that_were_admitted_are_first_and_then_the_oldest() {
        let aged = |uid: &str, second: i64, phase: Option<&str>| {
            let mut aged = session(json!({}));
            aged.metadata.uid = Some(uid.into());
            let created = jiff::Timestamp::from_second(second).unwrap();
            aged.metadata.creation_timestamp =
                Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created));
            aged.status = phase.map(|p| serde_json::from_value(json!({"phase": p})).unwrap());
            aged
        };
        let all = [
            (aged("a", 1, Some("Ready")), true),
            (aged("b", 2, Some("Completed")), false),
            (aged("c", 3, None), false),
            (aged("d", 3, None), false),
            (aged("e", 4, None), true),
        ];
        let places = all.each_ref().map(|(session, _)| {
            place_in_line(session, all.iter().map(|(other, admitted)| (other, *admitted)))
        });
        assert_eq!(places, [1, 2, 2, 3, 3]);
    }
}

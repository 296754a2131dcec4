//! `projectId` in a body: a project is a namespace, and a key has one.

use crate::{
    front::hosted::{field_types::text, fields::Fields},
    services::UnknownProjects,
};

const NAME: &str = "projectId";
/// Characters of a name in Kubernetes (RFC 1123 subdomain).
const MAX_NAME: usize = 253;

pub fn read(fields: &mut Fields) -> Option<String> {
    fields.optional(NAME, text(MAX_NAME), "The namespace of the key; another is refused, unless the chart says that every project is the key's.")
}

pub fn check(
    project: Option<&str>,
    namespace: &str,
    unknown: UnknownProjects,
    fields: &mut Fields,
) {
    if project.is_some_and(|project| !unknown.allow(project, namespace)) {
        fields.fault(NAME, "value_error", format!("this key's project is {namespace}"));
    }
}

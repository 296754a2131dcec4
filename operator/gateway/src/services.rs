//! How words of the hosted services, whose programs come here with another base URL, are read in this cluster.

use std::collections::BTreeMap;

/// What becomes of a `projectId` that is not the key's namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownProjects {
    #[default]
    Refuse,
    /// It means the key's namespace: a program keeps the id that the service gave it.
    OwnNamespace,
}

impl UnknownProjects {
    /// Whether this project may be meant by a key of this namespace.
    pub fn allow(self, project: &str, namespace: &str) -> bool {
        self == Self::OwnNamespace || project == namespace
    }
}

#[derive(Clone, Debug, Default)]
pub struct ServiceSettings {
    pub unknown_projects: UnknownProjects,
    /// Regions of the services, and what they are called here.
    pub regions: BTreeMap<String, String>,
}

impl ServiceSettings {
    /// What a service's region is called here.
    pub fn region(&self, asked: String) -> String {
        self.regions.get(&asked).cloned().unwrap_or(asked)
    }

    /// What a region of this cluster is called for the services' clients: as `asked`, where that means it, else by the first of its
    /// names there.
    pub fn shown_region<'a>(&'a self, own: &'a str, asked: Option<&'a str>) -> &'a str {
        let means_own = |name: &str| self.regions.get(name).is_some_and(|region| region == own);
        asked
            .filter(|asked| means_own(asked))
            .or_else(|| self.regions.keys().map(String::as_str).find(|name| means_own(name)))
            .unwrap_or(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_goes_in_by_the_services_name_and_comes_back_by_it() {
        let pairs = [("us-east-1", "eu"), ("us-west-2", "eu"), ("ap-southeast-1", "asia")];
        let regions = pairs.map(|(theirs, ours)| (theirs.to_owned(), ours.to_owned())).into();
        let services = ServiceSettings { regions, ..ServiceSettings::default() };
        assert_eq!(services.region("us-west-2".to_owned()), "eu");
        assert_eq!(services.region("eu".to_owned()), "eu");
        for (own, asked, shown) in [
            ("eu", Some("us-west-2"), "us-west-2"),
            ("eu", None, "us-east-1"),
            ("eu", Some("ap-southeast-1"), "us-east-1"),
            ("asia", None, "ap-southeast-1"),
            ("other", Some("us-west-2"), "other"),
        ] {
            assert_eq!(services.shown_region(own, asked), shown, "{own} {asked:?}");
        }
    }

    #[test]
    fn an_unknown_project_is_the_keys_own_only_where_that_is_wanted() {
        assert!(UnknownProjects::Refuse.allow("team-a", "team-a"));
        assert!(!UnknownProjects::Refuse.allow("b2b1...", "team-a"));
        assert!(UnknownProjects::OwnNamespace.allow("b2b1...", "team-a"));
    }
}

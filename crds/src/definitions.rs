//! The CustomResourceDefinitions of this API, as YAML files.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{BrowserClass, BrowserSession};

/// All definitions of the group.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![BrowserClass::crd(), BrowserSession::crd()]
}

/// The file name and content of each definition.
///
/// # Errors
/// A definition cannot be written as YAML, which would be a bug of this crate.
pub fn files() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    all()
        .into_iter()
        .map(|definition| {
            let file = format!("{}.yaml", definition.spec.names.plural);
            Ok((file, serde_saphyr::to_string(&definition)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs, path::Path};

    #[test]
    fn the_published_yaml_is_generated_from_these_types() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
        let generated = files().unwrap();
        for (file, yaml) in &generated {
            let published = fs::read_to_string(folder.join(file)).unwrap_or_default();
            assert_eq!(&published, yaml, "crds/yaml/{file} is stale: run `make generate`");
        }
        let expected: BTreeSet<String> = generated.into_iter().map(|(file, _)| file).collect();
        let found: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn no_schema_has_a_format_that_the_api_server_does_not_know() {
        for (file, yaml) in files().unwrap() {
            assert!(!yaml.contains("format: uint"), "{file}");
        }
    }
}

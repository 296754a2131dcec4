//! Objects as the API server sends them, read one by one: it takes JSON that is nested deeper and is larger than what is
//! read here, and one such object must not hide all others.

use std::{borrow::Cow, collections::BTreeMap, fmt::Debug};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::{Api, Resource, api::ListParams};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};

/// The most bytes of an object that is read whole.
pub const MAX_BYTES: usize = 512 << 10;
/// The most bytes that are kept of one field of an object that cannot be read.
const MAX_FIELD_BYTES: usize = 16 << 10;
/// The most bytes of a parser's words that are kept: they may repeat a value.
const MAX_ERROR_BYTES: usize = 200;
/// How many objects are listed at a time: the API server takes objects of more than a megabyte.
pub const PAGE: u32 = 50;
/// kubectl's copy of the whole object.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object of the API server.
#[derive(Clone, Debug)]
pub enum Sent<K> {
    Readable(K),
    Unreadable(Box<Unreadable>),
}

/// What is known of an object that cannot be read: enough to report, end and delete it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unreadable {
    /// Without managed fields.
    pub metadata: ObjectMeta,
    /// Which field cannot be read, and why.
    pub problem: String,
    /// The fields of `spec` that are small and can be read.
    pub spec: Map<String, Value>,
    /// The same of `status`.
    pub status: Map<String, Value>,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Sent<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Scanned without recursion, however deep it is.
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        read(raw.get()).map_err(serde::de::Error::custom)
    }
}

impl<K: Resource> Resource for Sent<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &K::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &K::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &K::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &K::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Readable(object) => object.meta(),
            Self::Unreadable(unreadable) => &unreadable.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Readable(object) => object.meta_mut(),
            Self::Unreadable(unreadable) => &mut unreadable.metadata,
        }
    }
}

/// Every object that can be read, page by page.
///
/// # Errors
/// The API server does not answer, or refuses.
pub async fn list<K>(api: &Api<Sent<K>>) -> kube::Result<Vec<K>>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let (mut objects, mut page) = (Vec::new(), ListParams::default().limit(PAGE));
    loop {
        let listed = api.list(&page).await?;
        objects.extend(listed.items.into_iter().filter_map(|sent| match sent {
            Sent::Readable(object) => Some(object),
            Sent::Unreadable(_) => None,
        }));
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page.continue_token = Some(token),
            None => return Ok(objects),
        }
    }
}

/// The value whose fields are those of `fields` that fit its type.
pub fn fitting<T: DeserializeOwned>(fields: &Map<String, Value>) -> Option<T> {
    let of = |fields: Map<String, Value>| serde_json::from_value::<T>(Value::Object(fields)).ok();
    of(fields.clone()).or_else(|| {
        let pairs = fields.iter().map(|(name, value)| (name.clone(), value.clone()));
        of(pairs.filter(|pair| of(Map::from_iter([pair.clone()])).is_some()).collect())
    })
}

/// The members of an object that are read apart.
#[derive(Deserialize)]
struct Parts<'a> {
    metadata: Metadata,
    #[serde(borrow, default)]
    spec: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

/// Without managed fields, which are nested as deep as the object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
    finalizers: Option<Vec<String>>,
}

impl From<Metadata> for ObjectMeta {
    fn from(metadata: Metadata) -> Self {
        let annotations = metadata.annotations.map(|mut annotations| {
            annotations.remove(LAST_APPLIED);
            annotations
        });
        Self {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            generation: metadata.generation,
            creation_timestamp: metadata.creation_timestamp,
            deletion_timestamp: metadata.deletion_timestamp,
            labels: metadata.labels,
            annotations,
            owner_references: metadata.owner_references,
            finalizers: metadata.finalizers,
            ..Self::default()
        }
    }
}

fn read<K: DeserializeOwned>(text: &str) -> serde_json::Result<Sent<K>> {
    let size = text.len();
    let error = if size > MAX_BYTES {
        None
    } else {
        match serde_json::from_str(text) {
            Ok(object) => return Ok(Sent::Readable(object)),
            Err(error) => Some(error),
        }
    };
    let Parts { metadata, spec, status } = serde_json::from_str(text)?;
    let (spec, status) = (Fields::of("spec", spec), Fields::of("status", status));
    let problem = match error {
        None => {
            let largest = spec.largest.iter().chain(&status.largest).max();
            let largest = largest.map(|(size, path)| format!(", {size} of them in {path}"));
            let largest = largest.unwrap_or_default();
            format!("the object has {size} bytes{largest}; at most {MAX_BYTES} are read")
        }
        Some(error) => match spec.too_deep.as_ref().or(status.too_deep.as_ref()) {
            Some(path) => format!("{path} is nested too deep to be read: at most 120 levels are"),
            None => {
                let mut error = error.to_string();
                error.truncate(error.floor_char_boundary(MAX_ERROR_BYTES));
                error
            }
        },
    };
    let (spec, status) = (spec.readable, status.readable);
    Ok(Sent::Unreadable(Box::new(Unreadable { metadata: metadata.into(), problem, spec, status })))
}

/// The fields of one part of an object.
#[derive(Default)]
struct Fields {
    readable: Map<String, Value>,
    /// The path of one that is nested too deep.
    too_deep: Option<String>,
    largest: Option<(usize, String)>,
}

impl Fields {
    fn of(part: &str, raw: Option<&RawValue>) -> Self {
        let all = raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let all: BTreeMap<String, &RawValue> = all.unwrap_or_default();
        let mut fields = Self::default();
        for (name, raw) in all {
            let (path, size) = (format!("{part}.{name}"), raw.get().len());
            fields.largest = fields.largest.max(Some((size, path.clone())));
            match serde_json::from_str(raw.get()) {
                Ok(value) if size <= MAX_FIELD_BYTES => drop(fields.readable.insert(name, value)),
                Ok(_) => {}
                Err(_) => fields.too_deep = Some(path),
            }
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use kube::core::{ObjectList, PartialObjectMeta, WatchEvent};
    use serde_json::json;

    /// As deep as the API server takes it.
    fn deep() -> String {
        format!("{}1{}", r#"{"a":"#.repeat(9_900), "}".repeat(9_900))
    }

    #[derive(Clone, Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "camelCase", default)]
    struct Free {
        open: Option<Value>,
        other: Option<i32>,
    }

    #[derive(Clone, Debug, Deserialize)]
    struct Kind {
        metadata: ObjectMeta,
        #[serde(default)]
        spec: Free,
        #[serde(default)]
        status: Free,
    }

    const META: &str =
        r#"{"name":"s","namespace":"n","uid":"u","resourceVersion":"7","labels":{"l":"1"}}"#;

    fn object(metadata: &str, spec: &str, status: &str) -> String {
        format!(r#"{{"metadata":{metadata},"spec":{spec},"status":{status}}}"#)
    }

    fn unreadable(text: &str) -> Unreadable {
        match serde_json::from_str::<Sent<Kind>>(text).unwrap() {
            Sent::Unreadable(unreadable) => *unreadable,
            Sent::Readable(object) => panic!("it was read: {object:?}"),
        }
    }

    #[test]
    fn one_object_that_cannot_be_read_hides_no_other_of_its_list() {
        let good = object(META, r#"{"other":1}"#, "{}");
        let bad = object(META, &format!(r#"{{"open":{},"other":2}}"#, deep()), "{}");
        let list = format!(
            r#"{{"apiVersion":"v1","kind":"List","metadata":{{"resourceVersion":"9"}},"items":[{good},{bad},{good}]}}"#
        );
        assert!(serde_json::from_str::<ObjectList<Value>>(&list).is_err(), "a plain list fails");
        let list: ObjectList<Sent<Kind>> = serde_json::from_str(&list).unwrap();
        let read = |sent: &Sent<Kind>| match sent {
            Sent::Readable(Kind { metadata, spec, status }) => {
                assert_eq!((metadata.uid.as_deref(), status), (Some("u"), &Free::default()));
                spec.other
            }
            Sent::Unreadable(_) => None,
        };
        assert_eq!(list.items.iter().map(read).collect::<Vec<_>>(), [Some(1), None, Some(1)]);
    }

    #[test]
    fn a_watch_goes_on_after_an_object_that_cannot_be_read() {
        let bad = object(META, &format!(r#"{{"open":{}}}"#, deep()), "{}");
        let event = format!(r#"{{"type":"ADDED","object":{bad}}}"#);
        let event: WatchEvent<Sent<Kind>> = serde_json::from_str(&event).unwrap();
        assert!(matches!(event, WatchEvent::Added(Sent::Unreadable(_))));
    }

    #[test]
    fn what_can_be_known_of_it_is_told() {
        let text = object(META, &format!(r#"{{"open":{},"other":2}}"#, deep()), r#"{"other":3}"#);
        let Unreadable { metadata, problem, spec, status } = unreadable(&text);
        assert_eq!(metadata.uid.as_deref(), Some("u"));
        assert_eq!(metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(metadata.labels, Some([("l".to_owned(), "1".to_owned())].into()));
        assert!(problem.starts_with("spec.open is nested too deep"), "{problem}");
        assert_eq!(fitting::<Free>(&spec), Some(Free { open: None, other: Some(2) }));
        assert_eq!(fitting::<Free>(&status), Some(Free { open: None, other: Some(3) }));
    }

    #[test]
    fn whatever_field_is_bad_the_rest_is_read() {
        let managed = format!(
            r#"{{"name":"s","uid":"u","resourceVersion":"7","managedFields":[{{"manager":"m","fieldsV1":{}}}]}}"#,
            deep()
        );
        let large = format!(r#"{{"open":"{}"}}"#, "x".repeat(MAX_BYTES));
        for (metadata, spec, status, problem) in [
            (META, r#"{"other":1}"#, format!(r#"{{"open":{}}}"#, deep()), "status.open"),
            (META, r#"{"other":"no number"}"#, "{}".to_owned(), "expected i32"),
            (META, &large, "{}".to_owned(), "of them in spec.open"),
            (&managed, r#"{"other":1}"#, "{}".to_owned(), "recursion limit"),
        ] {
            let read = unreadable(&object(metadata, spec, &status));
            assert_eq!(read.metadata.uid.as_deref(), Some("u"), "{problem}");
            assert!(read.problem.contains(problem), "{}", read.problem);
            assert!(read.problem.len() <= 400, "{}", read.problem);
        }
    }

    #[test]
    fn fields_that_do_not_fit_are_left_out() {
        let fields = json!({"other": "no number", "open": {"a": 1}});
        let fitting = fitting::<Free>(fields.as_object().unwrap());
        assert_eq!(fitting, Some(Free { open: Some(json!({"a": 1})), other: None }));
    }

    #[test]
    fn kinds_of_kubernetes_and_metadata_alone_are_read_as_they_are() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c"}]}})
        .to_string();
        let Sent::Readable(read) = serde_json::from_str::<Sent<Pod>>(&pod).unwrap() else {
            panic!("a pod is not read")
        };
        assert_eq!(read.spec.unwrap().containers.len(), 1);
        let Sent::Readable(read) =
            serde_json::from_str::<Sent<PartialObjectMeta<Pod>>>(&pod).unwrap()
        else {
            panic!("metadata is not read")
        };
        assert_eq!(read.metadata.name.as_deref(), Some("p"));
    }
}

//! Finding what a session gets.

use crds::{BrowserClass, Reason, Region, class::BrowserVersion};
use egress::SessionLists;
use webdriver::capabilities::CapabilitySet;

use crate::{
    candidates::candidates,
    capability_sets::{requested, settle, with_fields},
    egress_lists::{check_private_hosts, session_lists},
    features::{check_features, providers},
    fields::{CAPABILITIES, check_fields},
    operating_system::{check_emulation, check_operating_system},
    policy::check_policy,
    proxy::check_proxy,
    refusal::{Refusal, refuse},
    regions::region,
    request::Request,
    vendor_options::allowed_options,
    versions::{describe, first_version},
};

/// What a session gets: a version of a class, in a region.
#[derive(Clone, Debug)]
pub struct Placement<'a> {
    pub class: &'a BrowserClass,
    /// The version of it.
    pub version: &'a BrowserVersion,
    /// Where it runs; `None` for a class without regions.
    pub region: Option<&'a Region>,
    /// The class's providers of the features that were asked for, each once.
    pub providers: Vec<&'a str>,
    /// Which of the merged sets was matched; the first is 0.
    pub matched: usize,
    pub capabilities: CapabilitySet,
}

impl Placement<'_> {
    /// How many sessions of the class one namespace may have at a time; `None`: no limit.
    #[must_use]
    pub fn sessions_per_namespace(&self) -> Option<i32> {
        self.class.spec.ceilings.as_ref()?.sessions_per_namespace
    }
}

/// Finds what a session gets.
///
/// # Errors
/// Why it can never be had as this cluster is.
pub fn place<'a>(
    request: &Request<'_>,
    classes: &'a [BrowserClass],
) -> Result<Placement<'a>, Refusal> {
    let spec = request.spec;
    check_fields(spec)?;
    let lists = session_lists(spec)?;
    let asked = spec.capabilities.to_json();
    let requested = requested(&asked)?;
    let candidates = candidates(request, classes)?;
    let (mut misses, mut elsewhere) = (Vec::new(), None);
    for (matched, set) in requested.sets().enumerate() {
        let set = with_fields(spec, set);
        for class in &candidates {
            match first_version(class, &set) {
                Ok(version) => {
                    let set = allowed_options(Some(class), set.clone())?;
                    check_emulation(spec, &set)?;
                    check_proxy(spec, &set)?;
                    match check_class(request, &lists, class) {
                        Ok(region) => {
                            return Ok(Placement {
                                class,
                                version,
                                region,
                                providers: providers(spec, class),
                                matched,
                                capabilities: settle(class, set),
                            });
                        }
                        // Another class may have it.
                        Err(refusal) => elsewhere.get_or_insert(refusal),
                    };
                }
                Err(miss) => misses.push(describe(class, &miss)),
            }
        }
    }
    if let Some(refusal) = elsewhere {
        return Err(refusal);
    }
    misses.dedup();
    refuse(
        Reason::CapabilitiesNotMatched,
        CAPABILITIES,
        format!("no class can give them: {}", misses.join("; ")),
    )
}

/// What a session asks of a class beside capabilities. Another class may have it where this one has not.
fn check_class<'a>(
    request: &Request<'_>,
    lists: &SessionLists,
    class: &'a BrowserClass,
) -> Result<Option<&'a Region>, Refusal> {
    let spec = request.spec;
    check_policy(request, class)?;
    check_private_hosts(spec, lists, class)?;
    check_operating_system(spec, class)?;
    check_features(spec, class)?;
    region(spec, class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Namespace;
    use crds::{BrowserSessionSpec, names::CONTROLLER_NAME};
    use kube::ResourceExt;
    use serde_json::{Value, json};

    fn place<'a>(
        spec: &BrowserSessionSpec,
        classes: &'a [BrowserClass],
    ) -> Result<Placement<'a>, Refusal> {
        let namespace = Namespace { name: "team-a", labels: None };
        super::place(&Request { spec, namespace, controller_name: Some(CONTROLLER_NAME) }, classes)
    }

    fn class(name: &str, spec: Value) -> BrowserClass {
        let mut whole = json!({
            "browserName": "chrome",
            "versions": [{"version": "156.0.1", "image": "c:156"}, {"version": "150.0.1", "image": "c:150"}],
        });
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass",
            "metadata": {"name": name}, "spec": whole,
        }))
        .unwrap()
    }

    fn spec(fields: Value) -> BrowserSessionSpec {
        serde_json::from_value(fields).unwrap()
    }

    fn classes() -> Vec<BrowserClass> {
        let mut default = class(
            "chromium",
            json!({"regions": [{"name": "eu"}, {"name": "us"}], "defaultRegion": "us"}),
        );
        default
            .annotations_mut()
            .insert(crds::names::DEFAULT_CLASS_ANNOTATION.into(), "true".into());
        vec![class("a-other", json!({"sandbox": "container"})), default]
    }

    #[test]
    fn the_default_class_is_tried_first_and_the_first_version_is_taken() {
        let classes = classes();
        let placed = place(&spec(json!({})), &classes).unwrap();
        assert_eq!(placed.class.name_any(), "chromium");
        assert_eq!(placed.version.image, "c:156");
        assert_eq!(placed.region.unwrap().name, "us");
    }

    #[test]
    fn a_region_that_only_another_class_has_is_found_there() {
        let mut classes = classes();
        classes.push(class("z-far", json!({"regions": [{"name": "moon"}]})));
        let placed = place(&spec(json!({"region": "moon"})), &classes).unwrap();
        assert_eq!(placed.class.name_any(), "z-far");
        let refusal = place(&spec(json!({"region": "mars"})), &classes).unwrap_err();
        assert_eq!(refusal.reason, Reason::RegionNotFound);
        assert!(refusal.words.contains("chromium"), "{}", refusal.words);
    }

    #[test]
    fn alternatives_are_tried_in_their_order() {
        let classes = classes();
        let wanted = json!({"capabilities": {"firstMatch": [
            {"browserName": "firefox"}, {"browserVersion": "<156", "acceptInsecureCerts": true},
        ]}, "className": "a-other"});
        let placed = place(&spec(wanted), &classes).unwrap();
        assert_eq!((placed.matched, placed.version.image.as_str()), (1, "c:150"));
        assert_eq!(placed.class.name_any(), "a-other");
    }

    #[test]
    fn what_can_never_be_had_is_refused_with_the_field_and_what_it_may_be() {
        let classes = classes();
        for (fields, reason, words) in [
            (
                json!({"className": "mosaic"}),
                Reason::ClassNotFound,
                vec!["spec.className", "\"mosaic\"", "chromium, a-other"],
            ),
            (
                json!({"region": "mars"}),
                Reason::RegionNotFound,
                vec!["spec.region", "\"mars\"", "eu, us"],
            ),
            (
                json!({"className": "a-other", "region": "eu"}),
                Reason::RegionNotFound,
                vec!["spec.region", "none"],
            ),
            (
                json!({"capabilities": {"alwaysMatch": {"browserName": "firefox"}}}),
                Reason::CapabilitiesNotMatched,
                vec!["class chromium has browserName chrome, not \"firefox\"", "class a-other"],
            ),
            (
                json!({"capabilities": {"alwaysMatch": {"browserVersion": "99"}}, "className": "chromium"}),
                Reason::CapabilitiesNotMatched,
                vec!["browserVersion 156.0.1, 150.0.1, not \"99\""],
            ),
            (
                json!({"capabilities": {"alwaysMatch": {"setWindowRect": true}}}),
                Reason::CapabilitiesInvalid,
                vec!["spec.capabilities", "alwaysMatch.setWindowRect"],
            ),
            (
                json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"binary": "/bin/sh"}}}}),
                Reason::CapabilitiesInvalid,
                vec!["goog:chromeOptions.binary"],
            ),
            (
                json!({"userMetadata": {"a": "x".repeat(17_000)}}),
                Reason::FieldInvalid,
                vec!["spec.userMetadata", "16384"],
            ),
            (
                json!({"os": "windows", "capabilities": {"alwaysMatch": {
                    "goog:chromeOptions": {"mobileEmulation": {"deviceName": "Pixel 7"}},
                }}}),
                Reason::FieldInvalid,
                vec!["spec.os", "mobileEmulation"],
            ),
            (
                json!({"newSessionParameters": {"desiredCapabilities": {"binary": "/bin/sh"}}}),
                Reason::FieldInvalid,
                vec!["spec.newSessionParameters: desiredCapabilities", "spec.capabilities"],
            ),
        ] {
            let refusal = place(&spec(fields.clone()), &classes).expect_err(&fields.to_string());
            assert_eq!(refusal.reason, reason, "{fields}");
            for word in words {
                assert!(refusal.message().contains(word), "{word} in {}", refusal.message());
            }
        }
        let none = place(&spec(json!({})), &[]).unwrap_err();
        assert_eq!(none.reason, Reason::ClassNotFound);
    }

    #[test]
    fn another_system_and_features_are_for_the_classes_that_have_them() {
        let mut classes = classes();
        classes.push(class(
            "z-rich",
            json!({"operatingSystems": ["windows", "mobile"], "providers": [
                {"name": "a.example.com", "features": ["solveCaptchas", "verified"]},
                {"name": "b.example.com", "features": ["verified", "advancedStealth"]},
            ]}),
        ));
        for (fields, found, providers) in [
            (json!({"os": "linux"}), "chromium", vec![]),
            (json!({"os": "windows"}), "z-rich", vec![]),
            (json!({"features": {}}), "chromium", vec![]),
            (json!({"features": {"verified": true}}), "z-rich", vec!["a.example.com"]),
            (
                json!({"features": {"verified": true, "solveCaptchas": true, "advancedStealth": true}}),
                "z-rich",
                vec!["a.example.com", "b.example.com"],
            ),
        ] {
            let placed = place(&spec(fields.clone()), &classes).unwrap();
            assert_eq!((placed.class.name_any().as_str(), placed.providers), (found, providers));
        }
        for (fields, field, words) in [
            (json!({"os": "mac"}), "spec.os", "class chromium has linux, not mac"),
            (
                json!({"os": "mac", "className": "z-rich"}),
                "spec.os",
                "class z-rich has linux, windows, mobile, not mac",
            ),
            (
                json!({"features": {"advancedStealth": true}, "className": "chromium"}),
                "spec.features.advancedStealth",
                "class chromium names no provider that does it",
            ),
        ] {
            let refusal = place(&spec(fields.clone()), &classes).expect_err(&fields.to_string());
            assert_eq!(refusal.reason, Reason::CapabilitiesNotMatched);
            assert_eq!((refusal.field, refusal.words.as_str()), (field, words));
        }
    }

    #[test]
    fn only_classes_of_this_controller_are_candidates() {
        let mut classes = classes();
        classes.push(class(
            "theirs",
            json!({"controllerName": "example.com/b", "regions": [{"name": "moon"}]}),
        ));
        let refusal = place(&spec(json!({"region": "moon"})), &classes).unwrap_err();
        assert_eq!(refusal.reason, Reason::RegionNotFound);
        let named = spec(json!({"className": "theirs"}));
        let refusal = place(&named, &classes).unwrap_err();
        assert_eq!(refusal.reason, Reason::ClassNotFound);
        assert!(refusal.words.contains("one of example.com/b; there are: chromium, a-other"));
    }

    #[test]
    fn where_one_class_does_not_allow_it_another_may() {
        let mut classes = classes();
        classes.push(class("z-large", json!({"ceilings": {"sessionsPerNamespace": 3}})));
        for class in &mut classes[..2] {
            class.spec.ceilings = serde_json::from_value(json!({"timeoutSeconds": 60})).unwrap();
        }
        let long = json!({"timeoutSeconds": 61});
        let placed = place(&spec(long.clone()), &classes).unwrap();
        assert_eq!(placed.class.name_any(), "z-large");
        assert_eq!(placed.sessions_per_namespace(), Some(3));
        let refusal = place(&spec(long), &classes[..2]).unwrap_err();
        assert_eq!((refusal.reason, refusal.field), (Reason::NotAllowed, "spec.timeoutSeconds"));
        assert!(refusal.words.contains("class chromium allows at most 60, not 61"));
    }

    #[test]
    fn a_lenient_class_knows_channels_and_tells_its_driver_the_real_name() {
        let classes = [class(
            "grid",
            json!({
                "matching": "lenient",
                "versions": [
                    {"version": "157.0", "image": "c:157", "channels": ["beta"]},
                    {"version": "156.0", "image": "c:156", "channels": ["stable"]},
                ],
            }),
        )];
        for (version, image) in [
            ("", "c:157"),
            ("latest", "c:157"),
            ("stable", "c:156"),
            ("Beta", "c:157"),
            ("156", "c:156"),
        ] {
            let asked = json!({"browserName": "Chrome", "platformName": "LINUX", "browserVersion": version});
            let spec = spec(json!({"capabilities": {"alwaysMatch": asked}}));
            let placed = place(&spec, &classes).unwrap();
            assert_eq!(placed.version.image, image, "{version:?}");
            assert_eq!(placed.capabilities["browserName"], "chrome");
            let at_the_bind = crate::matched_set(&spec, placed.matched, Some(&classes[0]));
            assert_eq!(at_the_bind.unwrap(), placed.capabilities);
        }
        let dev = spec(json!({"capabilities": {"alwaysMatch": {"browserVersion": "dev"}}}));
        assert_eq!(place(&dev, &classes).unwrap_err().reason, Reason::CapabilitiesNotMatched);
    }

    #[test]
    fn certificate_errors_are_ignored_where_the_spec_says_so() {
        let classes = classes();
        let placed = place(&spec(json!({"ignoreCertificateErrors": true})), &classes).unwrap();
        assert_eq!(placed.capabilities["acceptInsecureCerts"], true);
    }
}

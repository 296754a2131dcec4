//! Whether a session can be had, and as what: class, version, region, capabilities. Pure.
//!
//! The gateway asks before it makes an object, the controller before it makes a pod: one answer for both.

use std::{cmp::Reverse, iter};

use crds::{
    BrowserClass, BrowserSessionSpec, OperatingSystem, Reason, Region, Sandbox,
    class::BrowserVersion, session::MAX_FREE_BYTES,
};
use kube::ResourceExt;
use serde_json::Value;
use webdriver::{
    capabilities::{self, CAPABILITY_PARAMETERS, CapabilitySet, Dialect, Mismatch, Offer},
    vendor_options,
};

const CAPABILITIES: &str = "spec.capabilities";
const PARAMETERS: &str = "spec.newSessionParameters";

/// What a session gets.
#[derive(Clone, Debug)]
pub struct Placement<'a> {
    /// The class it is taken from.
    pub class: &'a BrowserClass,
    /// The version of it.
    pub version: &'a BrowserVersion,
    /// Where it runs; `None` for a class without regions.
    pub region: Option<&'a Region>,
    /// The class's providers of the features that were asked for, each once.
    pub providers: Vec<&'a str>,
    /// Which of the merged sets was matched; the first is 0.
    pub matched: usize,
    /// That set.
    pub capabilities: CapabilitySet,
}

/// Why a session can never be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In one word.
    pub reason: Reason,
    /// The field of the object, for example `spec.features.verified`.
    pub field: &'static str,
    /// For a person: what it may be.
    pub words: String,
}

impl Refusal {
    /// For a person: the field, and what it may be.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{}: {}", self.field, self.words)
    }
}

fn refuse<T>(reason: Reason, field: &'static str, words: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { reason, field, words: words.into() })
}

/// Finds what a session gets.
///
/// # Errors
/// Why it can never be had as this cluster is.
pub fn place<'a>(
    spec: &BrowserSessionSpec,
    classes: &'a [BrowserClass],
) -> Result<Placement<'a>, Refusal> {
    check_fields(spec)?;
    let sets = capability_sets(spec)?;
    let candidates = candidates(spec, classes)?;
    let (mut misses, mut elsewhere) = (Vec::new(), None);
    for (matched, set) in sets.iter().enumerate() {
        for class in &candidates {
            match offer(class, set) {
                Ok(version) => {
                    check_vendor_options(class, set)?;
                    check_emulation(spec, set)?;
                    match also(spec, class) {
                        Ok(region) => {
                            return Ok(Placement {
                                class,
                                version,
                                region,
                                providers: providers(spec, class),
                                matched,
                                capabilities: set.clone(),
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

/// The same for a pod that exists: its class and set are given.
///
/// # Errors
/// The capabilities are malformed, or there is no such set.
pub fn matched_set(spec: &BrowserSessionSpec, matched: usize) -> Result<CapabilitySet, Refusal> {
    match capability_sets(spec)?.into_iter().nth(matched) {
        Some(set) => Ok(set),
        None => refuse(Reason::CapabilitiesInvalid, CAPABILITIES, "no such alternative"),
    }
}

fn check_fields(spec: &BrowserSessionSpec) -> Result<(), Refusal> {
    for (field, value) in
        [("spec.userMetadata", &spec.user_metadata), (PARAMETERS, &spec.new_session_parameters)]
    {
        let Some(value) = value else { continue };
        let bytes = Value::Object(value.clone()).to_string().len();
        if bytes > MAX_FREE_BYTES {
            return refuse(
                Reason::FieldInvalid,
                field,
                format!("has {bytes} bytes as JSON; it may have {MAX_FREE_BYTES}"),
            );
        }
    }
    let parameters = spec.new_session_parameters.iter().flatten();
    match parameters
        .map(|(name, _)| name)
        .find(|name| CAPABILITY_PARAMETERS.contains(&name.as_str()))
    {
        Some(name) => refuse(
            Reason::FieldInvalid,
            PARAMETERS,
            format!("{name}: what the browser must be able to do stands in {CAPABILITIES}"),
        ),
        None => Ok(()),
    }
}

fn capability_sets(spec: &BrowserSessionSpec) -> Result<Vec<CapabilitySet>, Refusal> {
    let asked = spec.capabilities.to_json();
    match capabilities::process(&asked, Dialect::Classic) {
        Ok(mut sets) => {
            if spec.ignore_certificate_errors {
                for set in &mut sets {
                    set.entry("acceptInsecureCerts").or_insert(Value::Bool(true));
                }
            }
            Ok(sets)
        }
        Err(error) => refuse(Reason::CapabilitiesInvalid, CAPABILITIES, error.message),
    }
}

/// The named class alone, or all: the default first, then by name.
fn candidates<'a>(
    spec: &BrowserSessionSpec,
    classes: &'a [BrowserClass],
) -> Result<Vec<&'a BrowserClass>, Refusal> {
    let mut all: Vec<&BrowserClass> = classes.iter().collect();
    all.sort_by_key(|class| (Reverse(class.is_default()), class.name_any()));
    let names = || names_of(all.iter().map(|class| class.name_any()));
    match &spec.class_name {
        None if all.is_empty() => {
            refuse(Reason::ClassNotFound, "spec.className", "this cluster has no BrowserClass")
        }
        None => Ok(all),
        Some(name) => match all.iter().find(|class| class.name_any() == *name) {
            Some(class) => Ok(vec![class]),
            None => refuse(
                Reason::ClassNotFound,
                "spec.className",
                format!("there is no BrowserClass {name:?}; there are: {}", names()),
            ),
        },
    }
}

/// The first version of a class that gives a set.
fn offer<'a>(class: &'a BrowserClass, set: &CapabilitySet) -> Result<&'a BrowserVersion, Mismatch> {
    let mut first = None;
    for version in &class.spec.versions {
        let offer = Offer {
            browser_name: class.spec.browser_name.as_str(),
            browser_version: &version.version,
            platform_name: &class.spec.platform_name,
        };
        match capabilities::matches(set, offer) {
            Ok(()) => return Ok(version),
            Err(miss) => {
                first.get_or_insert(miss);
            }
        }
    }
    Err(first.unwrap_or_else(|| Mismatch {
        capability: "browserVersion".to_owned(),
        wanted: "any".to_owned(),
        offered: "no version".to_owned(),
    }))
}

fn describe(class: &BrowserClass, miss: &Mismatch) -> String {
    if miss.capability.contains(':') {
        // Its value may be anything, and long, and nobody's to read.
        let browser = class.spec.browser_name.as_str();
        return format!(
            "class {} has {browser}, which {} is not for",
            class.name_any(),
            miss.capability
        );
    }
    let versions = names_of(class.spec.versions.iter().map(|version| version.version.clone()));
    let offered = if miss.capability == "browserVersion" { &versions } else { &miss.offered };
    format!("class {} has {} {offered}, not {}", class.name_any(), miss.capability, miss.wanted)
}

fn check_vendor_options(class: &BrowserClass, set: &CapabilitySet) -> Result<(), Refusal> {
    match vendor_options::refused(set, class.spec.sandbox == Sandbox::Browser) {
        Some(message) => refuse(Reason::CapabilitiesInvalid, CAPABILITIES, message),
        None => Ok(()),
    }
}

/// What a session asks for beside capabilities: another class may have it where this one has not.
fn also<'a>(
    spec: &BrowserSessionSpec,
    class: &'a BrowserClass,
) -> Result<Option<&'a Region>, Refusal> {
    check_operating_system(spec, class)?;
    check_features(spec, class)?;
    region(spec, class)
}

/// Chrome's own emulation of a device says what it runs on, too.
fn check_emulation(spec: &BrowserSessionSpec, set: &CapabilitySet) -> Result<(), Refusal> {
    let emulates = set
        .get("goog:chromeOptions")
        .and_then(|options| options.get("mobileEmulation"))
        .is_some_and(|emulation| !emulation.is_null());
    if emulates && spec.os.is_some_and(|os| os != OperatingSystem::Linux) {
        return refuse(
            Reason::FieldInvalid,
            "spec.os",
            "goog:chromeOptions.mobileEmulation says what the browser runs on, too: ask for one of them",
        );
    }
    Ok(())
}

fn check_operating_system(spec: &BrowserSessionSpec, class: &BrowserClass) -> Result<(), Refusal> {
    let Some(wanted) = spec.os else { return Ok(()) };
    let (own, others) = (&class.spec.platform_name, &class.spec.operating_systems);
    if wanted.as_str() == own || others.contains(&wanted) {
        return Ok(());
    }
    let others = others.iter().map(|other| other.as_str().to_owned());
    let all = names_of(iter::once(own.clone()).chain(others));
    refuse(
        Reason::CapabilitiesNotMatched,
        "spec.os",
        format!("class {} has {all}, not {}", class.name_any(), wanted.as_str()),
    )
}

fn check_features(spec: &BrowserSessionSpec, class: &BrowserClass) -> Result<(), Refusal> {
    match spec.features().find(|(feature, _)| class.spec.provider(*feature).is_none()) {
        None => Ok(()),
        Some((_, field)) => refuse(
            Reason::CapabilitiesNotMatched,
            field,
            format!("class {} names no provider that does it", class.name_any()),
        ),
    }
}

fn providers<'a>(spec: &BrowserSessionSpec, class: &'a BrowserClass) -> Vec<&'a str> {
    let mut names = Vec::new();
    for provider in spec.features().filter_map(|(feature, _)| class.spec.provider(feature)) {
        if !names.contains(&provider.name.as_str()) {
            names.push(provider.name.as_str());
        }
    }
    names
}

fn region<'a>(
    spec: &BrowserSessionSpec,
    class: &'a BrowserClass,
) -> Result<Option<&'a Region>, Refusal> {
    let regions = &class.spec.regions;
    let wanted = spec.region.as_ref().or(class.spec.default_region.as_ref());
    match wanted {
        None => Ok(regions.first()),
        Some(name) => match regions.iter().find(|region| region.name == *name) {
            Some(region) => Ok(Some(region)),
            None => {
                let have = if regions.is_empty() {
                    "none: leave it out".to_owned()
                } else {
                    names_of(regions.iter().map(|region| region.name.clone()))
                };
                refuse(
                    Reason::RegionNotFound,
                    "spec.region",
                    format!("class {} has no region {name:?}; it has: {have}", class.name_any()),
                )
            }
        },
    }
}

fn names_of(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
    fn certificate_errors_are_ignored_where_the_spec_says_so() {
        let classes = classes();
        let placed = place(&spec(json!({"ignoreCertificateErrors": true})), &classes).unwrap();
        assert_eq!(placed.capabilities["acceptInsecureCerts"], true);
    }
}

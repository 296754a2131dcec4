use super::*;
use serde_json::json;

fn class(extra: serde_json::Value) -> BrowserClass {
    let mut spec = json!({
        "browserName": "chrome",
        "versions": [{"version": "156.0", "image": "chromium:156"}],
    });
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "browser-operator.io/v1alpha1",
        "kind": "BrowserClass",
        "metadata": {"name": "chromium"},
        "spec": spec,
    }))
    .unwrap()
}

#[test]
fn the_default_region_must_exist() {
    let regions = json!([{"name": "eu"}]);
    assert!(class(json!({})).validate_cel().is_ok());
    assert!(class(json!({"regions": regions, "defaultRegion": "eu"})).validate_cel().is_ok());
    assert!(class(json!({"regions": regions, "defaultRegion": "us"})).validate_cel().is_err());
    assert!(class(json!({"defaultRegion": "eu"})).validate_cel().is_err());
}

#[test]
fn the_driver_is_the_browsers_own() {
    for (fields, valid) in [
        (json!({"driver": "chromedriver"}), true),
        (json!({"driver": "geckodriver"}), false),
        (json!({"browserName": "firefox"}), true),
        (json!({"browserName": "firefox", "driver": "geckodriver"}), true),
        (json!({"browserName": "firefox", "driver": "chromedriver"}), false),
    ] {
        let class = class(fields.clone());
        assert_eq!(class.validate_cel().is_ok(), valid, "{fields}");
        if valid {
            let own = match class.spec.browser_name {
                BrowserName::Chrome => Driver::Chromedriver,
                BrowserName::Firefox => Driver::Geckodriver,
            };
            assert_eq!(class.spec.driver(), own, "{fields}");
        }
    }
}

#[test]
fn a_default_timeout_above_the_ceiling_is_refused() {
    for (ceilings, valid) in [
        (json!({}), true),
        (json!({"defaultTimeoutSeconds": 60}), true),
        (json!({"timeoutSeconds": 60, "defaultTimeoutSeconds": 60}), true),
        (json!({"timeoutSeconds": 60, "defaultTimeoutSeconds": 61}), false),
    ] {
        let class = class(json!({"ceilings": ceilings}));
        assert_eq!(class.validate_cel().is_ok(), valid, "{ceilings}");
    }
}

#[test]
fn requests_above_limits_are_refused() {
    for (requests, limits, valid) in [
        (json!({"cpu": "250m"}), json!({"memory": "1Gi"}), true),
        (json!({"cpu": "1000m"}), json!({"cpu": 1}), true),
        (json!({"cpu": 2}), json!({"cpu": "1500m"}), false),
        (json!({"cpu": 1, "memory": "1025Mi"}), json!({"memory": "1Gi"}), false),
        (json!({"memory": "1G"}), json!({"memory": "1Gi"}), true),
        (json!({"memory": "1Gi"}), json!({}), true),
    ] {
        let class = class(json!({"resources": {"requests": requests, "limits": limits}}));
        assert_eq!(class.validate_cel().is_ok(), valid, "{requests} {limits}");
    }
}

#[test]
fn what_was_found_is_of_the_image_that_the_class_names_now() {
    let mut class = class(json!({"versions": [{"image": "chromium:latest"}]}));
    assert_eq!(class.found(&class.spec.versions[0]), None);
    class.status = serde_json::from_value(json!({"versions": [{
        "image": "chromium:latest", "revision": "r", "sinceGeneration": 1, "ready": "True",
        "found": {"browserName": "chrome", "browserVersion": "156.0.1"},
    }]}))
    .unwrap();
    let found = class.found(&class.spec.versions[0]).unwrap();
    assert_eq!(found.browser_version, "156.0.1");
    class.spec.versions[0].image = "chromium:next".to_owned();
    assert_eq!(class.found(&class.spec.versions[0]), None);
}

#[test]
fn a_class_never_changes_its_controller() {
    let ours = class(json!({}));
    assert_eq!(ours.spec.controller_name, names::CONTROLLER_NAME);
    let theirs = class(json!({"controllerName": "example.com/browsers"}));
    assert!(ours.validate_cel_update(&ours).is_ok());
    assert!(theirs.validate_cel_update(&ours).is_err());
}

#[test]
fn a_class_of_before_gets_the_defaults_of_what_it_does_not_say() {
    let spec = class(json!({})).spec;
    assert_eq!(spec.matching, Matching::Exact);
    assert_eq!(spec.vendor_options, VendorOptions::Lenient);
    assert_eq!(spec.schedule_timeout_seconds, 600);
    assert_eq!(spec.expose_types, [ExposeType::ClusterIP]);
    assert_eq!((spec.pod_template, spec.ceilings, spec.headed), (None, None, false));
    assert_eq!(spec.versions[0].channels, Vec::<String>::new());
}

#[test]
fn a_class_confines_its_pages_by_the_browsers_own_sandbox_unless_told_otherwise() {
    assert_eq!(class(json!({})).spec.sandbox, Sandbox::Browser);
}

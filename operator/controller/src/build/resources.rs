//! Quantities that the API server would refuse every pod for: a free-form template has no schema that says so. Pure.

use std::{collections::BTreeMap, fmt};

use crds::capabilities::Quantity as ClassQuantity;
use k8s_openapi::{
    api::core::v1::{Container, PodSpec},
    apimachinery::pkg::api::resource::Quantity,
};

/// What is wrong with a quantity, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    #[error(
        "{path} is no quantity: {value}; allowed are numbers with a suffix such as m, Ki, Mi or G"
    )]
    Malformed { path: String, value: String },
    #[error(
        "{path}.requests.{name} must not be above its limits.{name}: {request} is more than {limit}"
    )]
    AboveLimit { path: String, name: String, request: String, limit: String },
}

/// Checks what a template says of its own containers and volumes.
pub fn check_template(spec: &PodSpec) -> Result<(), ResourceError> {
    let containers = spec.containers.iter().map(|container| ("containers", container));
    let init = spec.init_containers.iter().flatten().map(|container| ("initContainers", container));
    for (list, container) in containers.chain(init) {
        check_container(list, container)?;
    }
    for (name, quantity) in spec.overhead.iter().flatten() {
        amount(&format_args!("spec.podTemplate.spec.overhead.{name}"), &quantity.0)?;
    }
    for volume in spec.volumes.iter().flatten() {
        let size = volume.empty_dir.as_ref().and_then(|dir| dir.size_limit.as_ref());
        if let Some(size) = size {
            let name = &volume.name;
            let path = format_args!("spec.podTemplate.spec.volumes[{name}].emptyDir.sizeLimit");
            amount(&path, &size.0)?;
        }
    }
    Ok(())
}

fn check_container(list: &str, container: &Container) -> Result<(), ResourceError> {
    let Some(resources) = &container.resources else { return Ok(()) };
    let path = format!("spec.podTemplate.spec.{list}[{}].resources", container.name);
    let all = |quantities: &Option<BTreeMap<String, Quantity>>| -> Vec<(String, String)> {
        let each = quantities.iter().flatten();
        each.map(|(name, quantity)| (name.clone(), quantity.0.clone())).collect()
    };
    check(&path, &all(&resources.requests), &all(&resources.limits))
}

/// Checks the class's own, of which its schema's rules know only the usual names.
pub fn check_class(
    requests: &BTreeMap<String, ClassQuantity>,
    limits: &BTreeMap<String, ClassQuantity>,
) -> Result<(), ResourceError> {
    let all = |quantities: &BTreeMap<String, ClassQuantity>| -> Vec<(String, String)> {
        quantities.iter().map(|(name, quantity)| (name.clone(), quantity.0.clone())).collect()
    };
    check("spec.resources", &all(requests), &all(limits))
}

fn check(
    path: &str,
    requests: &[(String, String)],
    limits: &[(String, String)],
) -> Result<(), ResourceError> {
    for (name, limit) in limits {
        amount(&format_args!("{path}.limits.{name}"), limit)?;
    }
    for (name, request) in requests {
        let asked = amount(&format_args!("{path}.requests.{name}"), request)?;
        let Some((_, limit)) = limits.iter().find(|(limited, _)| limited == name) else { continue };
        if asked > amount(&format_args!("{path}.limits.{name}"), limit)? {
            let (name, request, limit) = (name.clone(), request.clone(), limit.clone());
            return Err(ResourceError::AboveLimit { path: path.to_owned(), name, request, limit });
        }
    }
    Ok(())
}

fn amount(path: &dyn fmt::Display, value: &str) -> Result<Amount, ResourceError> {
    Amount::parse(value).ok_or_else(|| ResourceError::Malformed {
        path: path.to_string(),
        value: value.chars().take(64).collect(),
    })
}

/// A quantity that is not negative, in billionths (Kubernetes, `resource.Quantity`, which rounds up what is smaller).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Amount(u128);

impl Amount {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('+').unwrap_or(text);
        let is_digit = |c: char| c.is_ascii_digit() || c == '.';
        let (number, suffix) = text.split_at(text.find(|c| !is_digit(c)).unwrap_or(text.len()));
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = [whole, part].concat();
        let digits: u128 = digits.parse().ok()?;
        let (binary, decimal) = scale(suffix)?;
        let decimal = decimal + 9 - i32::try_from(part.len()).ok()?;
        let factor = 10_u128.checked_pow(decimal.unsigned_abs())?;
        let scaled = digits.checked_mul(1024_u128.checked_pow(binary)?)?;
        let billionths =
            if decimal < 0 { scaled.div_ceil(factor) } else { scaled.checked_mul(factor)? };
        Some(Self(billionths))
    }
}

/// A suffix as powers of 1024 and of ten.
fn scale(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "" => (0, 0),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (1, 0),
        "Mi" => (2, 0),
        "Gi" => (3, 0),
        "Ti" => (4, 0),
        "Pi" => (5, 0),
        "Ei" => (6, 0),
        _ => (0, suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|n: &i32| n.abs() <= 18)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn verdict(spec: Value) -> String {
        let mut spec = spec;
        spec.as_object_mut().unwrap().entry("containers").or_insert(json!([]));
        check_template(&serde_json::from_value(spec).unwrap())
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn quantities_compare_as_kubernetes_has_them() {
        for (less, more) in [
            ("0", "1n"),
            ("999m", "1"),
            ("1", "1001m"),
            ("1G", "1Gi"),
            ("1.5Gi", "1537Mi"),
            ("1e3", "1001"),
            ("1023", "1Ki"),
        ] {
            assert!(Amount::parse(less).unwrap() < Amount::parse(more).unwrap(), "{less} {more}");
        }
        for (one, other) in [("1000m", "1"), ("1.1", "1100m"), ("1024Ki", "1Mi"), ("1E3", "1k")] {
            assert_eq!(Amount::parse(one).unwrap(), Amount::parse(other).unwrap());
        }
        for text in ["", "-1", "1.2.3", "1X", "Mi", "1 Mi", "1e99", "."] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
        assert_eq!(Amount::parse(&"9".repeat(60)), None);
    }

    #[test]
    fn what_the_api_server_would_refuse_is_named() {
        let resources =
            |requests: Value, limits: Value| json!({"requests": requests, "limits": limits});
        let above = resources(json!({"memory": "2Gi"}), json!({"memory": "1Gi", "cpu": 1}));
        for (spec, words) in [
            (
                json!({"containers": [{"name": "proxy", "resources": above}]}),
                "containers[proxy].resources.requests.memory must not be above its limits.memory: 2Gi is more than 1Gi",
            ),
            (
                json!({"initContainers": [{"name": "ca", "resources": above}]}),
                "initContainers[ca].resources.requests.memory",
            ),
            (
                json!({"containers": [{"name": "proxy", "resources": {"limits": {"cpu": "much"}}}]}),
                "containers[proxy].resources.limits.cpu is no quantity: much",
            ),
            (json!({"overhead": {"memory": "-1"}}), "overhead.memory is no quantity"),
            (
                json!({"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1 G"}}]}),
                "volumes[v].emptyDir.sizeLimit is no quantity",
            ),
        ] {
            let told = verdict(spec);
            assert!(told.starts_with("spec.podTemplate.spec.") && told.contains(words), "{told}");
        }
        let equal = resources(json!({"cpu": "1000m"}), json!({"cpu": 1, "memory": "1Gi"}));
        assert_eq!(verdict(json!({"containers": [{"name": "proxy", "resources": equal}]})), "");
    }
}

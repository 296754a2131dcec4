//! Whether what a session asks for can be had, and as what. Pure: `placement` decides, for the gateway and for us.

use crds::{BrowserClass, BrowserSession, Reason};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use placement::{Placement, ProxyCredentials, Refusal};
use webdriver::capabilities::CapabilitySet;

use super::{credentials::Unusable, dereference::References};
use crate::{build::MATCHED_ANNOTATION, placing, pods::Problem};

/// What a session without a pod gets.
///
/// # Errors
/// It can never be had as this cluster is.
pub fn placement<'a>(
    session: &BrowserSession,
    references: &'a References,
) -> Result<Placement<'a>, Problem> {
    placing::place(session, &references.classes, references.labels.as_deref()).map_err(problem)
}

/// What the proxies of a session's rules know it by; none while nobody has read it.
///
/// # Errors
/// A Secret that they name is not what it must be.
pub fn credentials(references: &References) -> Result<ProxyCredentials, Unusable> {
    references.credentials.clone().unwrap_or_else(|| Ok(ProxyCredentials::default()))
}

/// Whether the rules of a session can be had, whose capabilities were matched as `set`.
///
/// # Errors
/// They cannot.
pub fn proxy(session: &BrowserSession, set: &CapabilitySet) -> Result<(), Problem> {
    placement::check_proxy(&session.spec, set).map_err(problem)
}

/// Whether a class still allows the Service that a session with a pod asks for, as `placement` found at first.
///
/// # Errors
/// It does not, or does not any more.
pub fn exposure(session: &BrowserSession, class: &BrowserClass) -> Result<(), Problem> {
    let Some(expose) = session.spec.expose else { return Ok(()) };
    let allowed = &class.spec.expose_types;
    if allowed.contains(&expose.type_) {
        return Ok(());
    }
    let allowed: Vec<&str> = allowed.iter().map(|type_| type_.as_str()).collect();
    let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
    let (name, asked) = (class.name_any(), expose.type_.as_str());
    Err(Problem {
        reason: Reason::NotAllowed,
        message: format!("spec.expose.type: class {name} allows {allowed}, not {asked}"),
    })
}

/// The capabilities that a session's pod was matched with.
///
/// # Errors
/// They are malformed, or there is no such set.
pub fn matched_capabilities(
    session: &BrowserSession,
    pod: &Pod,
    class: Option<&BrowserClass>,
) -> Result<CapabilitySet, Problem> {
    let matched = pod.annotations().get(MATCHED_ANNOTATION);
    let matched = matched.and_then(|index| index.parse().ok()).unwrap_or(0);
    placement::matched_set(&session.spec, matched, class).map_err(problem)
}

pub fn problem(refusal: Refusal) -> Problem {
    Problem { reason: refusal.reason, message: refusal.message() }
}

//! What any pod of a class, version, region and preparation is, whoever will hold it.

use agent_api::bind::{Driver, MAX_PREPARED_BYTES, NewSession, OperatingSystem, Prepare};
use crds::{BrowserClass, BrowserSessionSpec, BrowserVersion, Feature, Features, Region, Sandbox};
use placement::Placement;
use webdriver::capabilities::{CapabilitySet, for_driver};

use super::template::Template;

/// See the module.
#[derive(Clone, Debug)]
pub struct Blueprint<'a> {
    pub class: &'a BrowserClass,
    pub version: &'a BrowserVersion,
    /// `None` for a class without regions.
    pub region: Option<&'a Region>,
    pub preparation: Preparation,
    /// What the class adds.
    pub template: &'a Template,
}

/// What a pod has ready before it is bound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preparation {
    /// The driver session that is opened at once; `None`: it waits for the bind.
    pub session: Option<NewSession>,
    /// What the class's providers find in the container's environment.
    pub features: Option<Features>,
}

impl<'a> Blueprint<'a> {
    /// The pod that is created for a session alone: it prepares exactly what the session asks for.
    #[must_use]
    pub fn cold(
        spec: &BrowserSessionSpec,
        placement: &Placement<'a>,
        template: &'a Template,
    ) -> Self {
        Self {
            class: placement.class,
            version: placement.version,
            region: placement.region,
            preparation: Preparation::of(spec, &placement.capabilities),
            template,
        }
    }

    /// What the agent is told at its start.
    pub(super) fn prepare(&self) -> Prepare {
        let class = &self.class.spec;
        Prepare {
            driver: match class.driver() {
                crds::Driver::Chromedriver => Driver::Chromedriver,
                crds::Driver::Geckodriver => Driver::Geckodriver,
            },
            browser_sandbox: class.sandbox == Sandbox::Browser,
            session: self.preparation.session.clone(),
        }
    }
}

impl Preparation {
    fn of(spec: &BrowserSessionSpec, capabilities: &CapabilitySet) -> Self {
        let session = new_session(spec, capabilities);
        // What is too large for a container's argument waits for the bind.
        let is_small = serde_json::json!(session).to_string().len() <= MAX_PREPARED_BYTES;
        Self { session: is_small.then_some(session), features: features(spec) }
    }
}

/// The features that a session asks for; a captcha's selector asks for its solution, too.
fn features(spec: &BrowserSessionSpec) -> Option<Features> {
    let features = spec.features.as_ref().filter(|features| features.asked().next().is_some())?;
    let solve_captchas = features.asked().any(|(feature, _)| feature == Feature::SolveCaptchas);
    Some(Features { solve_captchas, ..features.clone() })
}

/// What the driver is asked for: at first to prepare it, and again at the bind.
#[must_use]
pub fn new_session(spec: &BrowserSessionSpec, capabilities: &CapabilitySet) -> NewSession {
    NewSession {
        capabilities: for_driver(capabilities),
        parameters: spec.new_session_parameters.clone().unwrap_or_default(),
        os: spec.os.and_then(|os| match os {
            crds::OperatingSystem::Linux => None,
            crds::OperatingSystem::Windows => Some(OperatingSystem::Windows),
            crds::OperatingSystem::Mac => Some(OperatingSystem::Mac),
            crds::OperatingSystem::Mobile => Some(OperatingSystem::Mobile),
            crds::OperatingSystem::Tablet => Some(OperatingSystem::Tablet),
        }),
    }
}

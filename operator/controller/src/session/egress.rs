//! Where a session's requests go, and what of the cluster they may reach: from objects to the agent's message.

use agent_api::{
    End,
    bind::{BindReply, Egress},
};
use crds::{BrowserClass, BrowserSessionSpec, Reason};
use egress::GuardSettings;
use ipnet::IpNet;
use placement::ProxyCredentials;

use super::validate::problem;
use crate::{pods::Problem, settings::Settings};

/// `class`: the pod's, if it still exists. Of one that is gone nothing is believed: what it opened is closed.
///
/// # Errors
/// The session's rules are not what this version knows.
pub fn of_session(
    spec: &BrowserSessionSpec,
    namespace: &str,
    cluster_networks: &[IpNet],
    class: Option<&BrowserClass>,
    settings: &Settings,
    credentials: &ProxyCredentials,
) -> Result<Egress, Problem> {
    let guard = GuardSettings {
        cluster_access: class.map(|class| class.spec.cluster_access).unwrap_or_default(),
        namespace: namespace.to_owned(),
        cluster_domain: settings.cluster_domain.clone(),
        cluster_networks: cluster_networks.to_vec(),
        class: class.and_then(|class| class.spec.egress.clone()).unwrap_or_default(),
        allowed_domains: spec.allowed_domains.clone().unwrap_or_default(),
        private_hosts: spec.private_hosts.clone(),
    };
    Ok(Egress { routes: placement::routes(spec, credentials).map_err(problem)?, guard })
}

/// What to say of an agent of before that leaves lists alone.
pub const NO_LISTS: &str = "the agent in the class's image is too old for the class's egress, spec.allowedDomains and spec.privateHosts: it would reach what they deny";

/// An agent of before leaves alone what it does not know: a session must not run without its rules and lists.
///
/// # Errors
/// The agent is one of those.
pub fn check_reply(
    spec: &BrowserSessionSpec,
    has_lists: bool,
    reply: BindReply,
) -> Result<BindReply, End> {
    if has_lists && !reply.guard_lists {
        return Err(End::new(Reason::AgentIncompatible, NO_LISTS));
    }
    if spec.proxy.is_some() && !reply.egress {
        let message =
            "the agent in the class's image is too old for spec.proxy: it would go straight";
        return Err(End::new(Reason::AgentIncompatible, message));
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_session_with_rules_or_lists_has_no_agent_that_knows_none() {
        let reply = |egress: bool| -> BindReply {
            serde_json::from_value(json!({"capabilities": {}, "bidi": false, "egress": egress}))
                .unwrap()
        };
        let check_reply = |spec: &BrowserSessionSpec, reply| check_reply(spec, false, reply);
        let spec = |spec| serde_json::from_value(spec).unwrap();
        let ruled = json!({"proxy": {"rules": [{"type": "block"}]}});
        assert!(check_reply(&spec(ruled.clone()), reply(true)).is_ok());
        assert!(check_reply(&spec(json!({})), reply(false)).is_ok());
        let end = check_reply(&spec(ruled), reply(false)).unwrap_err();
        assert_eq!(end.reason, Reason::AgentIncompatible);
        let end = super::check_reply(&spec(json!({})), true, reply(true)).unwrap_err();
        assert_eq!(end.reason, Reason::AgentIncompatible);
        let knows = BindReply { guard_lists: true, ..reply(true) };
        assert!(super::check_reply(&spec(json!({})), true, knows).is_ok());
    }
}

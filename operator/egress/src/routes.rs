//! Which route a request takes: the first rule that matches it decides.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    credentials::{Credentials, CredentialsError},
    host::Target,
    no_proxy::NoProxy,
    pattern::{DomainPattern, PatternError},
    upstream::{Upstream, UpstreamError},
};

/// Where rules are written.
const FIELD: &str = "spec.proxy";
/// The most rules that a session may have.
pub const MAX_RULES: usize = 128;

/// Rules and a default, as messages carry them.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutesSpec {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleSpec>,
    /// Absent: direct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<RouteSpec>,
}

/// A route for some hosts.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleSpec {
    /// Absent: every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_pattern: Option<String>,
    /// Where these hosts are, instead of what their names resolve to. Direct routes alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve: Option<String>,
    pub route: RouteSpec,
}

/// How requests reach their servers.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum RouteSpec {
    Direct,
    /// Through the proxy at this URL.
    External {
        server: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credentials: Option<Credentials>,
        /// Whether its certificate may be anybody's.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        ignore_certificate_errors: bool,
    },
    Block,
}

/// What is wrong with rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct RouteError {
    /// Below `spec.proxy`: for example `rules[3].domainPattern`.
    pub field: String,
    pub problem: RouteProblem,
}

/// See [`RouteError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteProblem {
    #[error("has {0} rules; there may be {MAX_RULES}")]
    TooMany(usize),
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("is not an IP address")]
    NoAddress,
    #[error("is for routes of type direct alone")]
    ResolveElsewhere,
}

/// How a request reaches its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    Direct {
        /// The server's address, where a rule says it.
        resolve: Option<IpAddr>,
    },
    External(Upstream),
    Block,
}

#[derive(Clone, Debug)]
pub(crate) enum Matcher {
    Every,
    Pattern(DomainPattern),
    NoProxy(Vec<NoProxy>),
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// For people: where it is written.
    pub(crate) name: String,
    pub(crate) matcher: Matcher,
    pub(crate) route: Route,
}

/// Rules that can be asked.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    rules: Vec<Rule>,
}

/// The route of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    /// Where the rule is written; `None`: no rule is for this request.
    pub rule: Option<&'a str>,
    pub route: &'a Route,
}

const DIRECT: Route = Route::Direct { resolve: None };

impl Routes {
    /// Reads rules.
    ///
    /// # Errors
    /// Which of them can mean nothing, and why.
    pub fn parse(spec: &RoutesSpec) -> Result<Self, RouteError> {
        let RoutesSpec { rules, default } = spec;
        if rules.len() > MAX_RULES {
            let problem = RouteProblem::TooMany(rules.len());
            return Err(RouteError { field: "rules".to_owned(), problem });
        }
        let mut parsed = Vec::with_capacity(rules.len() + 1);
        for (index, RuleSpec { domain_pattern, resolve, route }) in rules.iter().enumerate() {
            let name = format!("rules[{index}]");
            let fault =
                |field: &str, problem| RouteError { field: format!("{name}.{field}"), problem };
            let matcher = match domain_pattern {
                None => Matcher::Every,
                Some(pattern) => DomainPattern::parse(pattern)
                    .map(Matcher::Pattern)
                    .map_err(|error| fault("domainPattern", error.into()))?,
            };
            let mut route = read_route(route).map_err(|problem| fault("server", problem))?;
            if let Some(text) = resolve {
                let Route::Direct { resolve } = &mut route else {
                    return Err(fault("resolve", RouteProblem::ResolveElsewhere));
                };
                let ip = text.parse().map_err(|_| fault("resolve", RouteProblem::NoAddress))?;
                *resolve = Some(ip);
            }
            parsed.push(Rule { name: format!("{FIELD}.{name}"), matcher, route });
        }
        if let Some(default) = default {
            let route = read_route(default)
                .map_err(|problem| RouteError { field: "default.server".to_owned(), problem })?;
            parsed.push(Rule { name: format!("{FIELD}.default"), matcher: Matcher::Every, route });
        }
        Ok(Self { rules: parsed })
    }

    pub(crate) fn of_rules(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// The route of a request.
    #[must_use]
    pub fn choose(&self, target: &Target) -> Choice<'_> {
        let matches = |rule: &&Rule| match &rule.matcher {
            Matcher::Every => true,
            Matcher::Pattern(pattern) => pattern.matches(target),
            Matcher::NoProxy(entries) => entries.iter().any(|entry| entry.matches(target)),
        };
        match self.rules.iter().find(matches) {
            Some(rule) => Choice { rule: Some(&rule.name), route: &rule.route },
            None => Choice { rule: None, route: &DIRECT },
        }
    }
}

fn read_route(spec: &RouteSpec) -> Result<Route, RouteProblem> {
    Ok(match spec {
        RouteSpec::Direct => DIRECT,
        RouteSpec::External { server, credentials, ignore_certificate_errors } => {
            if let Some(credentials) = credentials {
                credentials.check()?;
            }
            Route::External(Upstream {
                credentials: credentials.clone(),
                ignore_certificate_errors: *ignore_certificate_errors,
                ..Upstream::parse(server)?
            })
        }
        RouteSpec::Block => Route::Block,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Host, Scheme};
    use serde_json::json;

    fn spec(value: serde_json::Value) -> RoutesSpec {
        serde_json::from_value(value).unwrap()
    }

    fn target(host: &str) -> Target {
        Target { scheme: Scheme::Https, host: Host::parse(host).unwrap(), port: 443 }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let routes = Routes::parse(&spec(json!({
            "rules": [
                {"domainPattern": "ads.example.com", "route": {"type": "block"}},
                {"domainPattern": "*.example.com", "route": {"type": "external", "server": "socks5h://p"}},
                {"domainPattern": "api.example", "resolve": "192.0.2.1", "route": {"type": "direct"}},
                {"domainPattern": "http://*", "route": {"type": "block"}},
            ],
            "default": {"type": "external", "server": "http://q:3128"},
        })))
        .unwrap();
        for (host, rule, kind) in [
            ("ads.example.com", "spec.proxy.rules[0]", "block"),
            ("www.example.com", "spec.proxy.rules[1]", "external"),
            ("api.example", "spec.proxy.rules[2]", "direct"),
            ("other.example", "spec.proxy.default", "external"),
        ] {
            let target = target(host);
            let choice = routes.choose(&target);
            let found = match choice.route {
                Route::Direct { .. } => "direct",
                Route::External(_) => "external",
                Route::Block => "block",
            };
            assert_eq!((choice.rule, found), (Some(rule), kind), "{host}");
        }
        let pinned = Route::Direct { resolve: Some([192, 0, 2, 1].into()) };
        assert_eq!(routes.choose(&target("api.example")).route, &pinned);
    }

    #[test]
    fn what_no_rule_is_for_goes_direct() {
        let rule = json!({"domainPattern": "a.example", "route": {"type": "block"}});
        let routes = Routes::parse(&spec(json!({"rules": [rule]}))).unwrap();
        assert_eq!(routes.choose(&target("b.example")), Choice { rule: None, route: &DIRECT });
        assert_eq!(Routes::default().choose(&target("b.example")).rule, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let direct = json!({"route": {"type": "direct"}});
        for (asked, words) in [
            (json!({"rules": vec![direct; 129]}), "rules has 129 rules; there may be 128"),
            (
                json!({"rules": [{"route": {"type": "direct"}}, {"domainPattern": "a:0", "route": {"type": "direct"}}]}),
                "rules[1].domainPattern has a port",
            ),
            (
                json!({"rules": [{"route": {"type": "external", "server": "ftp://a"}}]}),
                "rules[0].server must be a URL",
            ),
            (
                json!({"default": {"type": "external", "server": "http://a:0"}}),
                "default.server has a port",
            ),
            (
                json!({"rules": [{"resolve": "a", "route": {"type": "direct"}}]}),
                "rules[0].resolve is not an IP address",
            ),
            (
                json!({"rules": [{"resolve": "192.0.2.1", "route": {"type": "block"}}]}),
                "rules[0].resolve is for routes of type direct",
            ),
        ] {
            let error = Routes::parse(&spec(asked.clone())).unwrap_err().to_string();
            assert!(error.starts_with(words), "{asked}: {error}");
        }
    }
}

//! What the controller asks of the API server, as the API server counts it: a FlowSchema for each kind of request, which
//! changes nothing but the name that they are counted under.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Namespace, wait::until};
use k8s_openapi::api::flowcontrol::v1::FlowSchema;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

use super::{
    controller::Account,
    kwok::{LABEL, VALUE},
};

/// Its name, its verbs, and its resource.
type Kind = (&'static str, &'static [&'static str], &'static str);

/// The first that fits counts.
const KINDS: [Kind; 9] = [
    ("create pods", &["create"], "pods"),
    ("delete pods", &["delete"], "pods"),
    ("update browsersessions' status", &["update", "patch"], "browsersessions/status"),
    ("delete browsersessions", &["delete"], "browsersessions"),
    ("write events", &["create", "patch"], "events"),
    ("write services", &["create", "patch", "delete"], "services"),
    ("other writes", &["create", "update", "patch", "delete", "deletecollection"], "*"),
    ("get", &["get"], "*"),
    ("list and watch", &["list", "watch"], "*"),
];
/// How many of them are writes.
const WRITES: usize = 7;
/// The schema that all ServiceAccounts' requests are of otherwise has 9000.
const FIRST_PRECEDENCE: usize = 8000;
/// How long the API server may take to know a schema.
const SCHEMA_TIMEOUT: Duration = Duration::from_secs(30);

/// How many of each kind.
#[derive(Clone, Copy, Default)]
pub struct Requests([f64; KINDS.len()]);

impl Requests {
    /// Those that came after the others.
    pub fn since(self, before: Self) -> Self {
        Self(std::array::from_fn(|kind| self.0[kind] - before.0[kind]))
    }

    pub fn writes(self) -> f64 {
        self.0[..WRITES].iter().sum()
    }

    pub fn all(self) -> f64 {
        self.0.iter().sum()
    }
}

/// Prints a table of kinds and phases, of each the mean of a session.
pub fn print(phases: &[(&str, Requests)], sessions: usize) {
    let line = |name: &str, of: &dyn Fn(Requests) -> f64| {
        print!("  {name:<32}");
        for (_, requests) in phases {
            print!(" {:>12.3}", of(*requests) / sessions as f64);
        }
        println!();
    };
    print!("  {:<32}", "");
    phases.iter().for_each(|(phase, _)| print!(" {phase:>12}"));
    println!();
    for (kind, (name, ..)) in KINDS.iter().enumerate() {
        line(name, &|requests| requests.0[kind]);
    }
    line("writes in all", &Requests::writes);
}

/// The API server's counts.
pub struct Counters {
    client: Client,
    namespace: String,
}

impl Counters {
    /// Begins to count what that account asks in a namespace, and of the whole cluster.
    pub async fn start(namespace: &Namespace, account: &Account) -> Result<Self> {
        let client = namespace.cluster.client.clone();
        let counters = Self { client, namespace: namespace.name.clone() };
        counters.end().await?;
        match counters.make(account).await {
            Ok(()) => Ok(counters),
            Err(error) => {
                counters.end().await?;
                Err(error)
            }
        }
    }

    async fn make(&self, account: &Account) -> Result<()> {
        let schemas = self.schemas();
        for (kind, (_, verbs, resource)) in KINDS.iter().enumerate() {
            let schema: FlowSchema = serde_json::from_value(json!({
                "metadata": {"name": name(kind), "labels": {LABEL: VALUE}},
                "spec": {
                    // All as it is without it.
                    "priorityLevelConfiguration": {"name": "workload-low"},
                    "distinguisherMethod": {"type": "ByUser"},
                    "matchingPrecedence": FIRST_PRECEDENCE + kind,
                    "rules": [{
                        "subjects": [{
                            "kind": "ServiceAccount",
                            "serviceAccount": {"name": account.name, "namespace": account.namespace},
                        }],
                        "resourceRules": [{
                            "verbs": verbs,
                            "apiGroups": ["*"],
                            "resources": [resource],
                            "namespaces": [self.namespace],
                            "clusterScope": true,
                        }],
                    }],
                },
            }))?;
            schemas.create(&PostParams::default(), &schema).await.context("make a FlowSchema")?;
        }
        for kind in 0..KINDS.len() {
            let is_known = |schema: Option<&FlowSchema>| {
                let status = schema.and_then(|schema| schema.status.as_ref());
                let conditions = status.and_then(|status| status.conditions.as_ref());
                let is_good = |type_: Option<&str>, status: Option<&str>| {
                    type_ == Some("Dangling") && status == Some("False")
                };
                conditions.is_some_and(|all| {
                    all.iter().any(|c| is_good(c.type_.as_deref(), c.status.as_deref()))
                })
            };
            until(&schemas, &name(kind), "known", SCHEMA_TIMEOUT, is_known).await?;
        }
        Ok(())
    }

    /// What was asked until now.
    pub async fn read(&self) -> Result<Requests> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let text = self.client.request_text(request).await.context("the API server's metrics")?;
        let mut requests = Requests::default();
        for (kind, count) in requests.0.iter_mut().enumerate() {
            let schema = format!("flow_schema=\"{}\"", name(kind));
            for line in text.lines().filter(|line| line.starts_with(DISPATCHED)) {
                if line.contains(&schema) {
                    *count += value(line)?;
                }
            }
        }
        Ok(requests)
    }

    /// The processor time of the API server, in seconds.
    pub async fn processor_time(&self) -> Result<f64> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let text = self.client.request_text(request).await.context("the API server's metrics")?;
        let line = text.lines().find(|line| line.starts_with("process_cpu_seconds_total "));
        value(line.context("the API server's processor time")?)
    }

    /// Counts no more.
    pub async fn end(&self) -> Result<()> {
        let ours = ListParams::default().labels(&format!("{LABEL}={VALUE}"));
        let deleted = self.schemas().delete_collection(&DeleteParams::default(), &ours).await;
        deleted.map(drop).context("delete the FlowSchemas")
    }

    fn schemas(&self) -> Api<FlowSchema> {
        Api::all(self.client.clone())
    }
}

const DISPATCHED: &str = "apiserver_flowcontrol_dispatched_requests_total{";

fn name(kind: usize) -> String {
    format!("browser-operator-e2e-{VALUE}-{kind}")
}

fn value(line: &str) -> Result<f64> {
    let value = line.rsplit(' ').next().unwrap_or_default();
    value.parse().with_context(|| format!("no number in {line}"))
}

//! Deploys DNS, the page server and the operator.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::addresses::{Addresses, IpFamily, Plan};
use crate::hash::Key;
use crate::images;
use crate::layers::Archive;

use crate::settings::Settings;
use crate::steps::{Run, output, step};

const NAMESPACE: &str = "browser-operator";

pub struct Deploy<'a> {
    /// The cluster.
    pub plan: Plan,
    pub settings: &'a Settings,
    /// The directory of helm and kubectl.
    pub tools: PathBuf,
    pub kubeconfig: PathBuf,
}

impl Deploy<'_> {
    /// Applies DNS and the page server; does not wait for them.
    pub fn basics(&self, images: &[Archive]) -> Result<()> {
        let site = images.iter().find(|archive| archive.reference == images::SITE);
        let site = site.context("the page server has no image")?;
        let coredns = include_str!("../manifests/coredns.yaml");
        let manifests = [coredns, include_str!("../manifests/site.yaml")]
            .join("\n---\n")
            .replace("${MANIFEST_DIGEST}", &Key::default().text(coredns).done())
            .replace("${COREDNS_IMAGE}", &images::coredns())
            .replace("${DNS_ADDRESS}", &self.plan.preferred().dns())
            .replace("${SITE_IMAGE}", images::SITE)
            .replace("${SITE_DIGEST}", &site.digest);
        let file = self.plan.name.data().join("config/basics.yaml");
        fs::write(&file, manifests).with_context(|| format!("write {}", file.display()))?;
        self.run("kubectl", &["apply", "--filename", &file.display().to_string()])
    }

    pub fn wait_basics(&self) -> Result<()> {
        for (namespace, deployment) in [("kube-system", "coredns"), ("site", "site")] {
            self.rollout(namespace, &format!("deployment/{deployment}"))?;
        }
        Ok(())
    }

    /// Installs the operator or brings it up to date. `restart`: its image is new under the same name.
    pub fn operator(&self, browsers: &[(&str, String)], restart: bool) -> Result<()> {
        let charts = self.settings.checkout.join("charts");
        step("install the operator", || {
            self.helm("browser-operator-crds", &charts.join("browser-operator-crds"), &[])?;
            let values = self.settings.own().join("values.yaml").display().to_string();
            let mut set = format!(
                "gateway.service.clusterIP={},gateway.externalUrl={}",
                self.plan.preferred().gateway(),
                self.plan.gateway_url(),
            );
            if self.plan.ip_family == IpFamily::Dual {
                set.push_str(",gateway.service.ipFamilyPolicy=RequireDualStack");
            }
            for (browser, version) in browsers {
                set.push_str(&format!(",classes.{browser}.versions[0].version={version}"));
            }
            self.helm(
                "browser-operator",
                &charts.join("browser-operator"),
                &["--values", &values, "--set-string", &set, "--set-json", &self.machine()],
            )
        })?;
        if restart {
            step("restart the operator", || {
                self.run(
                    "kubectl",
                    &["--namespace", NAMESPACE, "rollout", "restart", "deployment"],
                )?;
                let names = output(self.kubectl().args([
                    "--namespace",
                    NAMESPACE,
                    "get",
                    "deployments",
                    "--output=name",
                ]))?;
                names.lines().try_for_each(|deployment| self.rollout(NAMESPACE, deployment))
            })?;
        }
        Ok(())
    }

    /// The tests run on this machine, and some of their controllers and gateways in pods of their own.
    fn machine(&self) -> String {
        let of_tests = json!({
            "namespaceSelector": {},
            "podSelector": {"matchLabels": {"browser-operator.io/e2e": "true"}},
        });
        let machine = |addresses: Addresses| {
            let length = if addresses.is_v6() { 128 } else { 32 };
            json!({"ipBlock": {"cidr": format!("{}/{length}", addresses.host())}})
        };
        let addresses = self.plan.addresses().into_iter();
        let from: Vec<Value> = addresses.map(machine).chain([of_tests]).collect();
        format!("networkPolicy.from={}", json!(from))
    }

    fn helm(&self, release: &str, chart: &Path, more: &[&str]) -> Result<()> {
        let chart = chart.display().to_string();
        let fixed = [
            "upgrade",
            "--install",
            release,
            &chart,
            "--namespace",
            NAMESPACE,
            "--create-namespace",
            "--wait",
            "--timeout=3m",
        ];
        self.run("helm", &[&fixed, more].concat())
    }

    fn rollout(&self, namespace: &str, what: &str) -> Result<()> {
        self.run("kubectl", &["--namespace", namespace, "rollout", "status", "--timeout=2m", what])
    }

    fn run(&self, tool: &str, arguments: &[&str]) -> Result<()> {
        let log = self.settings.build_log(&format!("{tool}-{}", self.plan.name.text()));
        Run::new(tool, &log, self.tools.join(tool))
            .env("KUBECONFIG", &self.kubeconfig)
            .args(arguments)
            .run()
    }

    fn kubectl(&self) -> Command {
        let mut command = Command::new(self.tools.join("kubectl"));
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }
}

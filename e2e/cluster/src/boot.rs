//! Boots a cluster.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::addresses::Plan;
use crate::certs;
use crate::cgroups;
use crate::components::{Programs, components, files};
use crate::hash::Key;
use crate::network;
use crate::node;
use crate::packages;
use crate::plan::Name;
use crate::process::Process;
use crate::record::{self, Phase, Record};
use crate::settings::Settings;
use crate::steps::{output, tail, wait_for};
use crate::supervise::{self, Orders};

const TIMEOUT: Duration = Duration::from_secs(120);

pub struct Boot<'a> {
    pub plan: Plan,
    pub settings: &'a Settings,
    pub programs: Programs,
    /// The directory of logs and kubeconfig.
    pub state: PathBuf,
}

impl Boot<'_> {
    /// A running cluster is reused only if its key is the same.
    pub fn key(&self) -> Result<String> {
        let components = components(self.plan, &self.programs);
        let components = serde_json::to_string(&components).context("write the components")?;
        let mut key = Key::default().text(&packages::versions()?).text(&components);
        for file in files(self.plan) {
            key = key.text(&file.path).text(&file.text);
        }
        Ok(key.done())
    }

    /// Returns when the cluster's Linux namespaces exist.
    pub fn start(&self) -> Result<()> {
        self.write_files()?;
        cgroups::create(self.plan.name)?;
        let launcher = self.launch()?;
        let init = {
            let mut child = Process::child_of(launcher.pid);
            let found = wait_for("the first process", Duration::from_secs(5), || {
                child = Process::child_of(launcher.pid);
                if child.is_err() {
                    bail!("{}", tail(&self.log("supervisor"), 20));
                }
                Ok(())
            });
            found.and(child)
        };
        let init = init.inspect_err(|_| launcher.kill())?;
        let record = Record {
            launcher,
            init,
            boot_key: self.key()?,
            state_dir: self.state.clone(),
            ip_family: self.plan.ip_family,
        };
        record::save(self.plan.name, &record)?;
        cgroups::join(self.plan.name, launcher.pid)?;
        network::create(self.plan, init)
    }

    fn write_files(&self) -> Result<()> {
        let data = self.plan.name.data();
        for directory in
            [self.plan.name.runtime(), self.logs(), data.join("config"), data.join("run")]
        {
            make(&directory)?;
        }
        for (directory, _) in node::DIRECTORIES {
            make(&data.join(directory))?;
        }
        certs::create(self.plan)?;
        for file in files(self.plan) {
            let path = data.join(&file.path);
            fs::write(&path, &file.text).with_context(|| format!("write {}", path.display()))?;
        }
        let orders = Orders {
            plan: self.plan,
            components: components(self.plan, &self.programs),
            logs: self.logs(),
            path: self.settings.path.clone(),
        };
        record::write(&supervise::orders(self.plan.name), &orders)?;
        record::set_phase(self.plan.name, &Phase::Starting)
    }

    /// `setsid` and `unshare` replace themselves, so the id stays.
    fn launch(&self) -> Result<Process> {
        let log = self.log("supervisor");
        let file = File::create(&log).with_context(|| format!("make {}", log.display()))?;
        let program = std::env::current_exe().context("find this program")?;
        let child = Command::new("setsid")
            .args([
                "unshare",
                "--net",
                "--pid",
                "--mount",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "--",
            ])
            .arg(program)
            .args(["supervise", "--name", self.plan.name.text()])
            .current_dir("/")
            .env("PATH", &self.settings.path)
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("open a log")?)
            .stderr(file)
            .spawn()
            .context("start unshare")?;
        let pid = i32::try_from(child.id()).context("the id of unshare")?;
        Process::find(pid)
    }

    /// Waits until images can be imported.
    pub fn wait_importable(&self) -> Result<()> {
        self.wait("containerd", || self.phase(|phase| !matches!(phase, Phase::Starting)))
    }

    /// Waits until every component runs and the node is ready.
    pub fn wait_ready(&self) -> Result<()> {
        self.wait("the components", || self.phase(|phase| matches!(phase, Phase::Running { .. })))?;
        self.wait("the node", || ready(self.plan.name, &self.programs.kubectl))
    }

    fn phase(&self, there: impl Fn(&Phase) -> bool) -> Result<()> {
        match record::phase(self.plan.name)? {
            Some(phase) if there(&phase) => Ok(()),
            phase => bail!("the phase is {phase:?}; see {}", self.logs().display()),
        }
    }

    /// Waits, and fails at once if the cluster has died.
    fn wait(&self, what: &str, there: impl Fn() -> Result<()>) -> Result<()> {
        let mut end = Ok(());
        wait_for(what, TIMEOUT, || {
            end = still_up(self.plan.name);
            if end.is_err() { Ok(()) } else { there() }
        })?;
        end
    }

    fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    fn log(&self, component: &str) -> PathBuf {
        self.logs().join(format!("{component}.log"))
    }
}

/// The error says why the cluster's processes are not running.
pub fn still_up(name: Name) -> Result<()> {
    let Some(record) = record::load(name)? else {
        bail!("cluster {} is not up", name.text());
    };
    if let Some(Phase::Failed { component, message }) = record::phase(name)? {
        bail!("{component} {message}");
    }
    if !record.init.alive() {
        let log = record.state_dir.join("logs/supervisor.log");
        bail!("the supervisor is dead; the end of {}:\n{}", log.display(), tail(&log, 20));
    }
    Ok(())
}

/// The error has the node's conditions.
pub fn ready(name: Name, kubectl: &Path) -> Result<()> {
    let kubeconfig = name.data().join("config/admin.kubeconfig");
    let path = "jsonpath={.status.conditions[?(@.type=='Ready')]['status','message']}";
    let answer = output(Command::new(kubectl).arg("--kubeconfig").arg(kubeconfig).args([
        "--request-timeout=3s",
        "get",
        "node",
        &name.node(),
        "--output",
        path,
    ]))?;
    if !answer.starts_with("True") {
        bail!("the node is not ready: {answer}");
    }
    Ok(())
}

fn make(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))
}

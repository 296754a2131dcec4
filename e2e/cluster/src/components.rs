//! The components: their command lines and their configuration files.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::PathBuf;

use crate::addresses::{Addresses, Plan};
use crate::certs;
use crate::images::PAUSE;
use crate::kubeconfig;
use crate::plan::Name;

/// A process that the supervisor starts and watches.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Component {
    /// Also the name of its log.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The readiness command: it must succeed before the next component starts.
    pub ready: Option<Vec<String>>,
    /// Images can be imported as soon as it is ready.
    pub imports: bool,
}

/// A configuration file, by its path under the cluster's data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfigFile {
    /// Such as `config/kubelet.json`.
    pub path: String,
    pub text: String,
}

/// The containerd socket, in the cluster's own `/run`.
const CONTAINERD: &str = "/run/containerd/containerd.sock";

/// What the components are made of, beside Debian's programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// All of Kubernetes' own but kubectl.
    pub kubernetes: PathBuf,
    pub kubectl: PathBuf,
    pub kube_router: PathBuf,
}

/// All components, in the order in which they start.
#[must_use]
pub fn components(plan: Plan, programs: &Programs) -> Vec<Component> {
    let Programs { kubernetes, kubectl, kube_router } = programs;
    let name = plan.name;
    let ask = |path: &str| {
        words(&[
            &kubectl.display().to_string(),
            "--kubeconfig",
            &path_of_admin(name),
            "--request-timeout=2s",
            "get",
            &format!("--raw={path}"),
        ])
    };
    let config = |file: &str| path(name, file);
    let kubeconfig = |who: &str| path(name, &format!("{who}.kubeconfig"));
    let kubernetes = |component: &str, flags: Vec<String>| Component {
        name: component.to_owned(),
        command: [vec![kubernetes.display().to_string(), component.to_owned()], flags].concat(),
        ready: None,
        imports: false,
    };
    let delegating = |who: &str| {
        vec![
            format!("--kubeconfig={}", kubeconfig(who)),
            format!("--authentication-kubeconfig={}", kubeconfig(who)),
            format!("--authorization-kubeconfig={}", kubeconfig(who)),
            "--bind-address=127.0.0.1".to_owned(),
        ]
    };
    let mut components = vec![
        etcd(),
        Component {
            name: "containerd".to_owned(),
            command: words(&["containerd", "--config", &config("containerd.toml")]),
            ready: Some(words(&["ctr", "--connect-timeout", "1s", "version"])),
            imports: true,
        },
        Component {
            ready: Some(ask("/readyz")),
            ..kubernetes("kube-apiserver", apiserver(plan, &config("authentication.json")))
        },
        kubernetes(
            "kube-controller-manager",
            [
                delegating("controller-manager"),
                words(&[
                    "--leader-elect=false",
                    "--use-service-account-credentials=true",
                    "--allocate-node-cidrs=false",
                    "--kube-api-qps=400",
                    "--kube-api-burst=800",
                    "--concurrent-gc-syncs=40",
                    &format!("--root-ca-file={}", certs::certificate(name, "ca")),
                    &format!("--cluster-signing-cert-file={}", certs::certificate(name, "ca")),
                    &format!("--cluster-signing-key-file={}", certs::key(name, "ca")),
                    &format!(
                        "--service-account-private-key-file={}",
                        certs::key(name, "service-accounts")
                    ),
                ]),
            ]
            .concat(),
        ),
        kubernetes(
            "kube-scheduler",
            [delegating("scheduler"), vec![format!("--config={}", config("scheduler.json"))]]
                .concat(),
        ),
        kubernetes(
            "kubelet",
            vec![
                format!("--config={}", config("kubelet.json")),
                format!("--kubeconfig={}", kubeconfig("kubelet")),
                format!("--hostname-override={}", name.node()),
                format!("--node-ip={}", plan.listed(Addresses::node)),
                "--root-dir=/var/lib/kubelet".to_owned(),
            ],
        ),
        kubernetes("kube-proxy", vec![format!("--config={}", config("kube-proxy.json"))]),
    ];
    if plan.network_policy {
        // It looks for its node once, when it starts.
        let node = format!("/api/v1/nodes/{}", name.node());
        components.iter_mut().filter(|c| c.name == "kube-proxy").for_each(|c| {
            c.ready = Some(ask(&node));
        });
        let program = kube_router.display().to_string();
        components.push(network_policies(plan, program, &kubeconfig("admin")));
    }
    components
}

/// Enforces NetworkPolicies, which the bridge plugin does not. Of kube-router this part alone: it has known flaws, and is for
/// tests.
fn network_policies(plan: Plan, program: String, kubeconfig: &str) -> Component {
    let has_family = |v6| plan.addresses().iter().any(|addresses| addresses.is_v6() == v6);
    let iptables = if plan.preferred().is_v6() { "ip6tables" } else { "iptables" };
    Component {
        name: "kube-router".to_owned(),
        command: vec![
            program,
            "--run-firewall=true".to_owned(),
            "--run-router=false".to_owned(),
            "--run-service-proxy=false".to_owned(),
            format!("--kubeconfig={kubeconfig}"),
            format!("--hostname-override={}", plan.name.node()),
            format!("--service-cluster-ip-range={}", plan.listed(Addresses::service_range)),
            format!("--enable-ipv4={}", has_family(false)),
            format!("--enable-ipv6={}", has_family(true)),
            "--health-port=0".to_owned(),
            "--metrics-port=0".to_owned(),
        ],
        ready: Some(words(&[iptables, "--wait", "--list-rules", "KUBE-ROUTER-FORWARD"])),
        imports: false,
    }
}

/// In memory: nothing of it outlives the cluster, and no disk slows it down.
fn etcd() -> Component {
    Component {
        name: "etcd".to_owned(),
        command: words(&[
            "etcd",
            "--name=node",
            "--data-dir=/run/etcd",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=node=http://127.0.0.1:2380",
            "--auto-compaction-retention=10m",
            "--quota-backend-bytes=1073741824",
            "--logger=zap",
            "--log-outputs=stderr",
        ]),
        ready: None,
        imports: false,
    }
}

fn apiserver(plan: Plan, authentication: &str) -> Vec<String> {
    let name = plan.name;
    let certificate = |who| certs::certificate(name, who);
    let key = |who| certs::key(name, who);
    [
        ("advertise-address", plan.preferred().node()),
        ("bind-address", plan.preferred().node()),
        ("secure-port", "6443".to_owned()),
        ("etcd-servers", "http://127.0.0.1:2379".to_owned()),
        ("service-cluster-ip-range", plan.listed(Addresses::service_range)),
        ("authentication-config", authentication.to_owned()),
        ("authorization-mode", "Node,RBAC".to_owned()),
        ("enable-admission-plugins", "NodeRestriction".to_owned()),
        ("allow-privileged", "true".to_owned()),
        ("client-ca-file", certificate("ca")),
        ("tls-cert-file", certificate("apiserver")),
        ("tls-private-key-file", key("apiserver")),
        ("kubelet-certificate-authority", certificate("ca")),
        ("kubelet-client-certificate", certificate("apiserver-kubelet")),
        ("kubelet-client-key", key("apiserver-kubelet")),
        ("kubelet-preferred-address-types", "InternalIP".to_owned()),
        ("requestheader-client-ca-file", certificate("front-proxy-ca")),
        ("requestheader-allowed-names", "front-proxy".to_owned()),
        ("requestheader-username-headers", "X-Remote-User".to_owned()),
        ("requestheader-group-headers", "X-Remote-Group".to_owned()),
        ("requestheader-extra-headers-prefix", "X-Remote-Extra-".to_owned()),
        ("proxy-client-cert-file", certificate("front-proxy")),
        ("proxy-client-key-file", key("front-proxy")),
        ("service-account-issuer", "https://kubernetes.default.svc.cluster.local".to_owned()),
        ("service-account-key-file", certs::service_accounts(name)),
        ("service-account-signing-key-file", key("service-accounts")),
        ("profiling", "false".to_owned()),
    ]
    .into_iter()
    .map(|(flag, value)| format!("--{flag}={value}"))
    .collect()
}

#[must_use]
pub fn files(plan: Plan) -> Vec<ConfigFile> {
    let name = plan.name;
    let json_file = |path: &str, value: Value| ConfigFile {
        path: format!("config/{path}"),
        text: format!("{value:#}\n"),
    };
    let mut files = vec![
        json_file("authentication.json", authentication()),
        json_file("scheduler.json", scheduler(name)),
        json_file("kubelet.json", kubelet(plan)),
        json_file("kube-proxy.json", kube_proxy(plan)),
        ConfigFile { path: "config/containerd.toml".to_owned(), text: containerd() },
        ConfigFile {
            path: "cni/10-bridge.conflist".to_owned(),
            text: format!("{:#}\n", cni(plan)),
        },
        ConfigFile {
            // Pods ask the cluster's DNS only; nothing of the machine's leaks in.
            path: "config/resolv.conf".to_owned(),
            text: String::new(),
        },
    ];
    for who in ["admin", "controller-manager", "scheduler", "proxy", "kubelet"] {
        files.push(json_file(&format!("{who}.kubeconfig"), kubeconfig::of_component(plan, who)));
    }
    files
}

/// The health endpoints answer anybody; nothing else does.
fn authentication() -> Value {
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1beta1",
        "kind": "AuthenticationConfiguration",
        "anonymous": {
            "enabled": true,
            "conditions": [{"path": "/livez"}, {"path": "/readyz"}, {"path": "/healthz"}],
        },
    })
}

fn scheduler(name: Name) -> Value {
    json!({
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": path(name, "scheduler.kubeconfig"), "qps": 400, "burst": 800},
        "leaderElection": {"leaderElect": false},
    })
}

fn kubelet(plan: Plan) -> Value {
    let name = plan.name;
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": plan.preferred().node(),
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": certs::certificate(name, "ca")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": certs::certificate(name, "kubelet"),
        "tlsPrivateKeyFile": certs::key(name, "kubelet"),
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD}"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}/pods", name.cgroup()),
        "failSwapOn": false,
        "clusterDNS": [plan.preferred().dns()],
        "clusterDomain": "cluster.local",
        "resolvConf": path(name, "resolv.conf"),
        "maxPods": 110,
        "podPidsLimit": 1024,
        "serializeImagePulls": false,
        "registerNode": true,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": false,
        "kubeAPIQPS": 400,
        "kubeAPIBurst": 800,
        "eventRecordQPS": 100,
        "eventBurst": 200,
        "volumePluginDir": "/var/lib/kubelet/plugins-exec",
        // The machine's disk is not ours: however full it is, pods stay and images too.
        "evictionHard": {"memory.available": "200Mi"},
        // How soon a pod is evicted that writes more than it may.
        "volumeStatsAggPeriod": "10s",
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    })
}

/// The limits of connection tracking are the machine's, and can't be set from a network namespace.
fn kube_proxy(plan: Plan) -> Value {
    let name = plan.name;
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": path(name, "proxy.kubeconfig"), "qps": 100, "burst": 200},
        "clusterCIDR": plan.listed(Addresses::cluster_range),
        "hostnameOverride": name.node(),
        "bindAddress": plan.preferred().node(),
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "nftables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
    })
}

fn cni(plan: Plan) -> Value {
    let range = |addresses: Addresses| json!([{"subnet": addresses.pod_range()}]);
    let ranges: Vec<Value> = plan.addresses().into_iter().map(range).collect();
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "pods0",
            "isGateway": true,
            "isDefaultGateway": true,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "ranges": ranges,
                "dataDir": "/run/cni",
            },
        }],
    })
}

/// `restrict_oom_score_adj`: without CAP_SYS_RESOURCE no sandbox would start.
fn containerd() -> String {
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{CONTAINERD}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"
enable_unprivileged_ports = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"#
    )
}

fn path_of_admin(name: Name) -> String {
    path(name, "admin.kubeconfig")
}

fn path(name: Name, file: &str) -> String {
    name.data().join("config").join(file).display().to_string()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addresses::IpFamily;

    fn plan(name: Name, ip_family: IpFamily) -> Plan {
        Plan { name, ip_family, network_policy: true }
    }

    fn programs() -> Programs {
        let [kubernetes, kubectl, kube_router] =
            ["/t/kubernetes", "/t/kubectl", "/t/kube-router"].map(PathBuf::from);
        Programs { kubernetes, kubectl, kube_router }
    }

    fn all(name: Name) -> Vec<Component> {
        components(plan(name, IpFamily::Ipv4), &programs())
    }

    #[test]
    fn two_clusters_have_no_configuration_file_in_common() {
        let dev = files(plan(Name::Dev, IpFamily::Ipv4));
        for file in files(plan(Name::Test, IpFamily::Ipv4)) {
            if file.text.contains("browser-operator-") {
                assert!(!dev.contains(&file), "{} is shared", file.path);
            }
        }
    }

    #[test]
    fn the_api_server_is_ready_before_anything_that_calls_it_starts() {
        let components = all(Name::Dev);
        let place = |name| components.iter().position(|component| component.name == name);
        assert!(place("kube-apiserver") < place("kubelet"));
        let apiserver = &components[place("kube-apiserver").unwrap()];
        assert!(apiserver.ready.is_some());
    }

    #[test]
    fn policies_are_enforced_on_a_node_that_is_known_or_not_at_all() {
        let place = |all: &[Component], name| all.iter().position(|c| c.name == name);
        let with = all(Name::Dev);
        assert_eq!(place(&with, "kube-router"), Some(with.len() - 1));
        let before = &with[place(&with, "kube-proxy").unwrap()];
        assert!(before.ready.as_ref().unwrap().last().unwrap().ends_with(&Name::Dev.node()));
        let without = Plan { network_policy: false, ..plan(Name::Dev, IpFamily::Ipv4) };
        assert_eq!(place(&components(without, &programs()), "kube-router"), None);
    }

    #[test]
    fn nothing_listens_on_all_addresses() {
        let flags = all(Name::Dev).into_iter().flat_map(|component| component.command);
        let files = files(plan(Name::Dev, IpFamily::Ipv4)).into_iter().map(|file| file.text);
        assert!(flags.chain(files).all(|text| !text.contains("0.0.0.0:")));
    }

    #[test]
    fn an_ipv6_cluster_has_addresses_of_ipv4_on_the_loopback_alone() {
        let v6 = plan(Name::Dev, IpFamily::Ipv6);
        let flags = components(v6, &programs());
        let flags = flags.into_iter().flat_map(|component| component.command);
        for text in flags.chain(files(v6).into_iter().map(|file| file.text)) {
            assert!(!text.contains("10.245."), "{text}");
        }
    }

    #[test]
    fn pods_of_a_cluster_of_both_families_have_an_address_of_each() {
        let ranges = &cni(plan(Name::Dev, IpFamily::Dual))["plugins"][0]["ipam"]["ranges"];
        assert_eq!(
            *ranges,
            json!([[{"subnet": "10.245.0.0/24"}], [{"subnet": "fd62:6f00:f5::/64"}]])
        );
    }
}

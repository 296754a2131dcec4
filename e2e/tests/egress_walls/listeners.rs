//! The pods of the table: a front that pages come from, and a prey that hears whoever reaches it. And the same prey in the
//! browser's own pod.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use e2e::{
    Namespace,
    kubectl::{apply, exec, kubectl},
    perl_pod::{listens, pod, send_datagram},
    upstream::address,
    wait::{eventually, until},
};
use serde_json::{Value, json};

pub const FRONT: &str = "front";
pub const FRONT_PORT: u16 = 8080;
pub const PREY: &str = "prey";
/// A Service of the front's namespace whose endpoints are the prey's.
pub const ELSEWHERE: &str = "elsewhere";
/// Each row of the table has a port of its own, by TCP and by UDP.
pub const FIRST_PORT: u16 = 9001;
pub const PORTS: u16 = 300;

const READY: Duration = Duration::from_secs(60);
const HEARD: Duration = Duration::from_secs(10);

/// Says `tcp PORT` and `udp PORT` for whatever comes, and answers HTTP requests so that a page may read it.
const HEAR: &str = r#"
use IO::Socket::INET; use IO::Select; $| = 1;
my ($first, $count) = @ARGV; my $all = IO::Select->new; my %of;
for my $port ($first .. $first + $count - 1) {
    my $tcp = IO::Socket::INET->new(LocalPort => $port, Listen => 16, ReuseAddr => 1) or die "tcp $port: $!";
    my $udp = IO::Socket::INET->new(LocalPort => $port, Proto => "udp") or die "udp $port: $!";
    $of{fileno $tcp} = ["tcp", $port]; $of{fileno $udp} = ["udp", $port];
    $all->add($tcp, $udp);
}
print "ready\n";
while (my @ready = $all->can_read) {
    for my $socket (@ready) {
        my ($kind, $port) = @{$of{fileno $socket}};
        print "$kind $port\n";
        if ($kind eq "udp") { $socket->recv(my $data, 4096); next }
        my $client = $socket->accept or next;
        if (IO::Select->new($client)->can_read(0.3)) { sysread $client, my $data, 4096 }
        local $SIG{PIPE} = "IGNORE";
        print $client "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 7\r\nConnection: close\r\n\r\ncaught!";
        close $client;
    }
}
"#;

/// A page in the browser's pod that asks for what its query says.
const FILE: &str =
    "<title>front</title><script>new Image().src = `http://${location.search.slice(1)}/`</script>";
pub const FILE_PATH: &str = "/tmp/attack.html";

/// Answers what the query says: `s` the status, `h` header lines, `b` the body.
const ANSWER: &str = r#"
use IO::Socket::INET; $| = 1; $SIG{PIPE} = "IGNORE"; $SIG{CHLD} = "IGNORE";
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 64, ReuseAddr => 1) or die $!;
while (my $client = $server->accept) {
    next if fork;
    sysread $client, my $data, 16384;
    my ($query) = $data =~ /^\S+ [^? ]*\??(\S*)/;
    my %q = (s => 200, h => "", b => "<title>front</title>front");
    for (split /&/, $query) { my ($k, $v) = split /=/, $_, 2; $v =~ s/%(..)/chr hex $1/ge; $q{$k} = $v }
    my $h = $q{h} eq "" ? "" : join("", map { "$_\r\n" } split /\n/, $q{h});
    $h = "Content-Type: text/html\r\n$h" unless $h =~ /^content-type/mi;
    print $client "HTTP/1.1 $q{s} OK\r\n${h}Access-Control-Allow-Origin: *\r\nContent-Length: ", length $q{b}, "\r\nConnection: close\r\n\r\n$q{b}";
    exit;
}
"#;

/// Makes the front in one namespace and the prey in the other; gives the prey's IP.
pub async fn make(own: &Namespace, other: &Namespace) -> Result<String> {
    let image = own.cluster.settings.proxies_image.as_str();
    let last = FIRST_PORT + PORTS - 1;
    let (first, count) = (FIRST_PORT.to_string(), PORTS.to_string());
    let front = pod(FRONT, image, &["perl", "-e", ANSWER], listens("tcp", FRONT_PORT));
    let prey = pod(PREY, image, &["perl", "-e", HEAR, &first, &count], listens("tcp", last));
    apply(&own.name, &front).await?;
    apply(&own.name, &service(FRONT, Some(FRONT), FRONT_PORT)).await?;
    apply(&other.name, &prey).await?;
    apply(&other.name, &service(PREY, Some(PREY), FIRST_PORT)).await?;
    for (namespace, name) in [(own, FRONT), (other, PREY)] {
        let is_ready = |pod: Option<&k8s_openapi::api::core::v1::Pod>| {
            pod.is_some_and(e2e::operator::is_ready)
        };
        until(&namespace.pods(), name, "ready", READY, is_ready).await?;
    }
    let prey = other.pods().get(PREY).await?;
    let ip = prey.status.and_then(|status| status.pod_ip).context("the prey's IP")?;
    apply(&own.name, &service(ELSEWHERE, None, FIRST_PORT)).await?;
    apply(&own.name, &json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "elsewhere-1", "labels": {"kubernetes.io/service-name": ELSEWHERE}},
        "endpoints": [{"addresses": [ip], "conditions": {"ready": true}}], "ports": [{"name": "first", "port": FIRST_PORT}],
    }))
    .await?;
    Ok(ip)
}

/// Headless, so that every port is the pod's own.
fn service(name: &str, selects: Option<&str>, port: u16) -> Value {
    let mut spec = json!({"clusterIP": "None", "ports": [{"name": "first", "port": port}]});
    if let Some(app) = selects {
        spec["selector"] = json!({"app": app});
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
}

/// The ports at which the prey was heard so far, after it has heard `control`, which this has another pod send.
pub async fn heard(
    own: &Namespace,
    other: &Namespace,
    ip: &str,
    control: u16,
) -> Result<BTreeSet<u16>> {
    send_datagram(own, FRONT, ip, control, "x").await.context("the control")?;
    eventually(HEARD, async || {
        let log = kubectl(&["--namespace", &other.name, "logs", PREY]).await?;
        let heard = parse(&log);
        ensure!(heard.contains(&control), "the prey has not heard the control");
        Ok(heard)
    })
    .await
}

fn parse(log: &str) -> BTreeSet<u16> {
    log.lines().filter_map(|line| line.split_once(' ')?.1.trim().parse().ok()).collect()
}

/// Has somebody listen on every port of the browser's own pod.
pub async fn listen_inside(namespace: &Namespace, pod: &str) -> Result<()> {
    let quoted = HEAR.replace('\'', r"'\''");
    exec(&namespace.name, pod, &format!("echo '{FILE}' >{FILE_PATH}")).await?;
    let script = format!("(perl -e '{quoted}' {FIRST_PORT} {PORTS} >/tmp/heard 2>&1 &) ; true");
    exec(&namespace.name, pod, &script).await?;
    eventually(HEARD, async || {
        let said = exec(&namespace.name, pod, "cat /tmp/heard").await?;
        ensure!(said.contains("ready"), "inside: {said}");
        Ok(())
    })
    .await
}

/// The ports at which that one was heard, after `control`.
pub async fn heard_inside(namespace: &Namespace, pod: &str, control: u16) -> Result<BTreeSet<u16>> {
    let send = format!("bash -c 'echo x >/dev/udp/127.0.0.1/{control}'");
    exec(&namespace.name, pod, &send).await?;
    eventually(HEARD, async || {
        let heard = parse(&exec(&namespace.name, pod, "cat /tmp/heard").await?);
        ensure!(heard.contains(&control), "nobody inside has heard the control");
        Ok(heard)
    })
    .await
}

#[must_use]
pub fn front_url(own: &Namespace) -> String {
    format!("http://{}/", address(own, FRONT, FRONT_PORT))
}

#[must_use]
pub fn name_in(namespace: &Namespace, service: &str) -> String {
    format!("{service}.{}.svc.cluster.local", namespace.name)
}

//! Real proxies in a test's namespace: tinyproxy for HTTP, stunnel before it, microsocks for SOCKS5 (`images/proxies`).

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::{
    Namespace,
    kubectl::{apply, kubectl},
    operator::is_ready,
    perl_pod::{listens, pod, send_datagram},
    wait::until,
};

pub const HTTP: &str = "tinyproxy";
pub const HTTP_PORT: u16 = 8888;
pub const SOCKS: &str = "microsocks";
pub const SOCKS_PORT: u16 = 1080;

/// The same two, for whoever knows [`USERNAME`] and [`PASSWORD`].
pub const HTTP_OF_USERS: &str = "tinyproxy-of-users";
pub const SOCKS_OF_USERS: &str = "microsocks-of-users";
pub const USERNAME: &str = "team-a";
pub const PASSWORD: &str = "correct-horse";

/// The first one behind TLS, with a certificate for its name in the cluster that nobody has signed but itself.
pub const HTTPS: &str = "stunnel";
pub const HTTPS_PORT: u16 = 8443;
/// Where its pod has the certificate.
pub const CERTIFICATE: &str = "/tmp/certificate";
const STUNNEL: &str = r"cd /tmp &&
printf '[req]\ndistinguished_name = name\nx509_extensions = more\n[name]\n[more]\nbasicConstraints = critical,CA:FALSE\nsubjectAltName = DNS:{name}\n' >request &&
openssl req -x509 -config request -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name} -keyout key -out certificate &&
printf 'foreground = yes\npid =\n[proxy]\naccept = 8443\nconnect = {proxy}\ndelay = yes\ncert = /tmp/certificate\nkey = /tmp/key\n' >settings && exec stunnel4 settings";

/// A pod that hears UDP, and says what.
pub const LISTENER: &str = "listener";
pub const LISTENER_PORT: u16 = 3478;
const HEAR: &str = "exec perl -MIO::Socket::INET -e '$| = 1; my $s = IO::Socket::INET->new(LocalPort => 3478, Proto => \"udp\") or die; while (defined $s->recv(my $d, 2048)) { print \"heard \", unpack(\"H*\", $d), \"\\n\" }'";

/// A server of one page. Its name is no domain that browsers open by https alone, as `page` is.
pub const PAGE: &str = "greeter";
pub const PAGE_PORT: u16 = 8080;
const SERVE: &str = "exec perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die; while (my $c = $s->accept) { sysread $c, my $d, 4096; print $c \"HTTP/1.1 200 OK\\r\\nContent-Length: 14\\r\\nConnection: close\\r\\n\\r\\na page of mine\"; close $c }'";

/// A server of WebSockets that says what it is told.
pub const ECHO: &str = "parrot";
pub const ECHO_PORT: u16 = 8081;
const PARROT: &str = r#"exec perl -MIO::Socket::INET -MDigest::SHA=sha1_base64 -e '
$SIG{CHLD} = "IGNORE"; $SIG{PIPE} = "IGNORE";
my $server = IO::Socket::INET->new(LocalPort => 8081, Listen => 9, ReuseAddr => 1) or die;
while (my $client = $server->accept) {
    next if fork;
    my $head = ""; $head .= $_ while defined($_ = <$client>) && $_ ne "\r\n";
    my ($key) = $head =~ /^sec-websocket-key: *(\S+)/mi or exit;
    my $accept = sha1_base64($key . "258EAFA5-E914-47DA-95CA-C5AB0DC85B11") . "=";
    $client->autoflush(1);
    print $client "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: $accept\r\n\r\n";
    while (read $client, my $start, 2) {
        my ($kind, $length) = unpack "CC", $start; $length &= 127; last if $kind != 0x81 || $length > 125;
        read $client, my $mask, 4; read $client, my $text, $length;
        $text ^= substr $mask x 32, 0, $length;
        print $client pack("CC", 0x81, $length), $text;
    }
    exit;
}'"#;

/// For an image to be there and a proxy to listen.
const LIMIT: Duration = Duration::from_secs(60);
/// tinyproxy's settings: everybody may use it, for every port; what it does is said on its output.
const TINYPROXY: &str = "printf 'Port 8888\\nLogLevel Connect\\nMaxClients 50\\n' >/tmp/c && exec tinyproxy -d -c /tmp/c";

const TINYPROXY_OF_USERS: &str = "printf 'Port 8888\\nLogLevel Connect\\nMaxClients 50\\nBasicAuth team-a correct-horse\\n' >/tmp/c && exec tinyproxy -d -c /tmp/c";

/// Makes the proxies, each behind a Service of its own name. `false`, with a remark: the cluster has no image of them.
pub async fn make(namespace: &Namespace) -> Result<bool> {
    let image = &namespace.cluster.settings.proxies_image;
    if image.is_empty() {
        println!("left out: PROXIES_IMAGE is empty");
        return Ok(false);
    }
    let proxy = address(namespace, HTTP, HTTP_PORT);
    let name = address(namespace, HTTPS, HTTPS_PORT);
    let name = name.trim_end_matches(&format!(":{HTTPS_PORT}"));
    let stunnel = STUNNEL.replace("{name}", name).replace("{proxy}", &proxy);
    for (name, port, command) in [
        (HTTPS, HTTPS_PORT, stunnel),
        (HTTP, HTTP_PORT, TINYPROXY.to_owned()),
        (SOCKS, SOCKS_PORT, format!("exec microsocks -p {SOCKS_PORT}")),
        (HTTP_OF_USERS, HTTP_PORT, TINYPROXY_OF_USERS.to_owned()),
        (
            SOCKS_OF_USERS,
            SOCKS_PORT,
            format!("exec microsocks -p {SOCKS_PORT} -u {USERNAME} -P {PASSWORD}"),
        ),
        (LISTENER, LISTENER_PORT, HEAR.to_owned()),
        (PAGE, PAGE_PORT, SERVE.to_owned()),
        (ECHO, ECHO_PORT, PARROT.to_owned()),
    ] {
        let probe = match name {
            LISTENER => listens("udp", port),
            _ => json!({"tcpSocket": {"port": port}}),
        };
        let manifest = json!({"apiVersion": "v1", "kind": "List", "items": [
            pod(name, image, &["sh", "-c", &command], probe),
            {
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
            },
        ]});
        apply(&namespace.name, &manifest).await?;
    }
    for name in [HTTP, HTTPS, SOCKS, HTTP_OF_USERS, SOCKS_OF_USERS, LISTENER, PAGE, ECHO] {
        let pods = namespace.pods();
        let settled = until(&pods, name, "ready", LIMIT, |pod| {
            pod.is_some_and(|pod| is_ready(pod) || has_no_image(pod))
        });
        if settled.await?.as_ref().is_some_and(has_no_image) {
            println!(
                "left out: the cluster cannot get the image {image}; PROXIES_IMAGE names another"
            );
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_no_image(pod: &Pod) -> bool {
    let statuses = pod.status.iter().filter_map(|status| status.container_statuses.as_ref());
    let mut reasons = statuses
        .flatten()
        .filter_map(|status| status.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
    reasons
        .any(|reason| matches!(reason, "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull"))
}

/// The name of a proxy's Service anywhere in the cluster, with its port.
#[must_use]
pub fn address(namespace: &Namespace, name: &str, port: u16) -> String {
    format!("{name}.{}.svc.cluster.local:{port}", namespace.name)
}

/// Has one of the pods send the listener a datagram.
pub async fn tell_listener(namespace: &Namespace, text: &str) -> Result<()> {
    let ip = listener_ip(namespace).await?;
    send_datagram(namespace, HTTP, &ip, LISTENER_PORT, text).await
}

/// Where the listener is.
pub async fn listener_ip(namespace: &Namespace) -> Result<String> {
    let pod = namespace.pods().get(LISTENER).await.context("the listener")?;
    pod.status.and_then(|status| status.pod_ip).context("its IP")
}

/// What a pod has said so far.
pub async fn log(namespace: &Namespace, name: &str) -> Result<String> {
    kubectl(&["--namespace", &namespace.name, "logs", name])
        .await
        .with_context(|| format!("the log of {name}"))
}

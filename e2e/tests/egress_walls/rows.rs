//! The table: ways to reach what is denied, or to leave without the proxy. In a template, `{ip}` is the prey's address,
//! `{name}` its name, `{elsewhere}` a Service of the own namespace whose endpoints are the prey's, `{own}` the browser's pod,
//! `{front}` a page that may be reached (`{front}?s=STATUS&h=HEADERS&b=BODY` answers so), `{port}` the row's own port.

/// Which browsers know it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum On {
    Both,
    Chrome,
}

/// Where somebody listens who must hear nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Prey {
    /// A pod of another namespace.
    Pod,
    /// The browser's own pod.
    Inside,
}

#[derive(Clone, Copy)]
pub enum How {
    /// A script of a page of the front.
    Script(&'static str),
    /// A page that is opened.
    Open(&'static str),
}

pub struct Row {
    pub name: &'static str,
    pub on: On,
    pub prey: Prey,
    pub how: How,
    /// Whether it is heard where the class has `clusterAccess: all`: the attack is one.
    pub heard_if_open: bool,
    /// Whether the NetworkPolicy alone stops it.
    pub policy_alone: bool,
}

const fn script(name: &'static str, script: &'static str) -> Row {
    let how = How::Script(script);
    Row { name, on: On::Both, prey: Prey::Pod, how, heard_if_open: true, policy_alone: false }
}

const fn open(name: &'static str, url: &'static str) -> Row {
    Row { how: How::Open(url), ..script(name, "") }
}

impl Row {
    const fn on(self, on: On) -> Self {
        Self { on, ..self }
    }

    /// What goes by no proxy is heard in no class.
    const fn never(self) -> Self {
        Self { heard_if_open: false, ..self }
    }

    const fn inside(self) -> Self {
        Self { prey: Prey::Inside, heard_if_open: false, ..self }
    }

    const fn policy_alone(self) -> Self {
        Self { policy_alone: true, ..self }
    }
}

/// Adds an element to the page.
macro_rules! element {
    ($kind:literal, $fields:literal) => {
        concat!(
            "Object.assign(document.body.appendChild(document.createElement('",
            $kind,
            "')), ",
            $fields,
            ")"
        )
    };
}

/// A connection of a page's own that tries a candidate or a server.
macro_rules! peer {
    ($servers:literal, $candidate:literal) => {
        concat!(
            "const peer = new RTCPeerConnection({iceServers: ", $servers, "}); peer.createDataChannel('a'); ",
            "await peer.setLocalDescription(await peer.createOffer()); const candidate = ", $candidate, "; ",
            "if (candidate) { const other = new RTCPeerConnection(); await other.setRemoteDescription(peer.localDescription); ",
            "await other.setLocalDescription(await other.createAnswer()); await peer.setRemoteDescription(other.localDescription); ",
            "await peer.addIceCandidate({candidate, sdpMid: '0'}); } await later(3000)"
        )
    };
}

pub const ROWS: &[Row] = &[
    script("fetch", "await fetch('http://{ip}:{port}/', {mode: 'no-cors'})"),
    script("fetch by name", "await fetch('http://{name}:{port}/', {mode: 'no-cors'})"),
    script("fetch by a name with a dot", "await fetch('http://{name}.:{port}/', {mode: 'no-cors'})"),
    script("fetch with credentials in the URL's place", "await new Promise(r => { const x = new XMLHttpRequest(); x.onloadend = r; x.open('GET', 'http://{ip}:{port}/', true, 'front', 'x'); x.send(); })"),
    script("fetch of an address as one number", "await fetch('http://{decimal}:{port}/', {mode: 'no-cors'})"),
    script("fetch of an address in hexadecimal", "await fetch('http://{hexadecimal}:{port}/', {mode: 'no-cors'})"),
    script("fetch of an address in octal", "await fetch('http://{octal}:{port}/', {mode: 'no-cors'})"),
    script("fetch of an address in full width digits", "await fetch('http://{wide}:{port}/', {mode: 'no-cors'})"),
    script("fetch of an address mapped into IPv6", "await fetch('http://[::ffff:{ip}]:{port}/', {mode: 'no-cors'})"),
    script("fetch of an address translated by NAT64", "await fetch('http://[64:ff9b::{ip}]:{port}/', {mode: 'no-cors'})").never(),
    script("fetch by https", "await fetch('https://{ip}:{port}/', {mode: 'no-cors'})"),
    script("fetch that outlives its page", "await fetch('http://{ip}:{port}/', {mode: 'no-cors', keepalive: true, method: 'POST', body: 'x'})"),
    script("fetch after a redirect", "await fetch('{front}?s=302&h=Location:%20http://{ip}:{port}/', {mode: 'no-cors'})"),
    script("fetch after a redirect that keeps its body", "await fetch('{front}?s=307&h=Location:%20http://{ip}:{port}/', {mode: 'no-cors', method: 'POST', body: 'x'})"),
    script("XMLHttpRequest", "await new Promise(r => { const x = new XMLHttpRequest(); x.onloadend = r; x.open('GET', 'http://{ip}:{port}/'); x.send(); })"),
    script("sendBeacon", "navigator.sendBeacon('http://{ip}:{port}/', 'x')"),
    script("EventSource", "new EventSource('http://{ip}:{port}/')"),
    script("WebSocket", "new WebSocket('ws://{ip}:{port}/')"),
    script("WebSocket by TLS", "new WebSocket('wss://{ip}:{port}/')"),
    script("img", element!("img", "{src: 'http://{ip}:{port}/'}")),
    script("img after a redirect", element!("img", "{src: '{front}?s=301&h=Location:%20http://{ip}:{port}/'}")),
    script("script", element!("script", "{src: 'http://{ip}:{port}/'}")),
    script("module", "await import('http://{ip}:{port}/')"),
    script("stylesheet", element!("link", "{rel: 'stylesheet', href: 'http://{ip}:{port}/'}")),
    script("background of a style", element!("div", "{style: 'width: 9px; height: 9px; background: url(http://{ip}:{port}/)', textContent: 'x'}")),
    script("font", "const font = new FontFace('f', 'url(http://{ip}:{port}/)'); await font.load()"),
    script("iframe", element!("iframe", "{src: 'http://{ip}:{port}/'}")),
    script("iframe of an own document", element!("iframe", "{srcdoc: '<img src=http://{ip}:{port}/>'}")),
    script("iframe of data", element!("iframe", "{src: 'data:text/html,<img src=http://{ip}:{port}/>'}")),
    script("iframe with a policy that reports", element!("iframe", "{src: '{front}?h=Content-Security-Policy:%20img-src%20none;%20report-uri%20http://{ip}:{port}/&b=<img%20src=/x.png>'}")),
    script("iframe that refreshes", element!("iframe", "{src: '{front}?b=<meta%20http-equiv=refresh%20content=0;url=http://{ip}:{port}/>'}")),
    script("iframe with a Refresh header", element!("iframe", "{src: '{front}?h=Refresh:%200;url=http://{ip}:{port}/'}")),
    script("iframe with a Link header", element!("iframe", "{src: '{front}?h=Link:%20<http://{ip}:{port}/>;rel=preload;as=image'}")),
    script("object", element!("object", "{data: 'http://{ip}:{port}/'}")),
    script("embed", element!("embed", "{src: 'http://{ip}:{port}/'}")),
    script("video", element!("video", "{src: 'http://{ip}:{port}/', preload: 'auto'}")),
    script("poster of a video", element!("video", "{poster: 'http://{ip}:{port}/'}")),
    script("SVG image", "const svg = document.body.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'svg')); const image = svg.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'image')); image.setAttribute('href', 'http://{ip}:{port}/')"),
    script("preload", element!("link", "{rel: 'preload', as: 'image', href: 'http://{ip}:{port}/'}")),
    script("prefetch", element!("link", "{rel: 'prefetch', href: 'http://{ip}:{port}/'}")).never(),
    script("preconnect", element!("link", "{rel: 'preconnect', href: 'http://{ip}:{port}/'}")).never(),
    script("prefetch of a name", element!("link", "{rel: 'dns-prefetch', href: '//{name}:{port}/'}")).never(),
    script("speculation rules", element!("script", "{type: 'speculationrules', textContent: '{\"prerender\":[{\"source\":\"list\",\"urls\":[\"http://{ip}:{port}/\"]}]}'}")).on(On::Chrome).never(),
    script("ping of a link", "Object.assign(document.body.appendChild(document.createElement('a')), {href: '#x', ping: 'http://{ip}:{port}/'}).click()").on(On::Chrome),
    script("form", "const frame = document.body.appendChild(document.createElement('iframe')); frame.name = 'f{port}'; const form = document.body.appendChild(document.createElement('form')); Object.assign(form, {action: 'http://{ip}:{port}/', method: 'POST', target: frame.name}); form.submit()"),
    script("worker", "new Worker(URL.createObjectURL(new Blob([\"fetch('http://{ip}:{port}/', {mode: 'no-cors'})\"])))"),
    script("worker that imports", "new Worker(URL.createObjectURL(new Blob([\"importScripts('http://{ip}:{port}/')\"])))"),
    script("shared worker", "new SharedWorker(URL.createObjectURL(new Blob([\"fetch('http://{ip}:{port}/', {mode: 'no-cors'})\"])))"),
    script("WebSocket of a worker", "new Worker(URL.createObjectURL(new Blob([\"new WebSocket('ws://{ip}:{port}/')\"])))"),
    script("service worker", "await (await navigator.serviceWorker.register('{front}?h=Content-Type:%20text/javascript&b=fetch(%22http://{ip}:{port}/%22)')).update()").never(),
    script("WebTransport", "new WebTransport('https://{ip}:{port}/')").never(),
    script("HTTP/3 by Alt-Svc", "for (let i = 0; i < 3; i++) await fetch('{front}?h=Alt-Svc:%20h3=%22{ip}:{port}%22')").never(),
    script("STUN", peer!("[{urls: 'stun:{ip}:{port}'}]", "null")).never(),
    script("TURN by UDP", peer!("[{urls: 'turn:{ip}:{port}', username: 'u', credential: 'c'}]", "null")).never(),
    script("TURN by TCP", peer!("[{urls: 'turn:{ip}:{port}?transport=tcp', username: 'u', credential: 'c'}]", "null")).never(),
    script("ICE candidate by UDP", peer!("[]", "'candidate:1 1 udp 2113937151 {ip} {port} typ host'")).never(),
    script("ICE candidate by TCP", peer!("[]", "'candidate:1 1 tcp 1518280447 {ip} {port} typ host tcptype passive'")).never(),
    script("popup", "window.open('http://{ip}:{port}/')").never(),
    script("a Service whose endpoints are elsewhere", "await fetch('http://{elsewhere}:{port}/', {mode: 'no-cors'})").policy_alone(),
    open("page", "http://{ip}:{port}/"),
    open("page by a name in capitals", "http://{NAME}:{port}/"),
    open("page with a user", "http://front@{ip}:{port}/"),
    open("page after a redirect", "{front}?s=302&h=Location:%20http://{ip}:{port}/"),
    open("page after two redirects", "{front}?s=302&h=Location:%20{front}%3Fs=302%26h=Location:%252520http://{ip}:{port}/").never(),
    open("page with an icon", "{front}?b=<link%20rel=icon%20href=http://{ip}:{port}/>").never(),
    open("source of a page", "view-source:http://{ip}:{port}/").never(),
    open("page of a file", "file:///tmp/attack.html?{ip}:{port}").never(),
    open("FTP", "ftp://{ip}:{port}/").never(),
    open("page that a script goes to", "{front}?b=<script>location='http://{ip}:{port}/'</script>"),
    script("loopback", "await fetch('http://127.0.0.1:{port}/', {mode: 'no-cors'})").inside(),
    script("loopback by name", "await fetch('http://localhost:{port}/', {mode: 'no-cors'})").inside(),
    script("loopback by a name below", "await fetch('http://rebound.localhost:{port}/', {mode: 'no-cors'})").inside(),
    script("loopback by another address", "await fetch('http://127.7.7.7:{port}/', {mode: 'no-cors'})").inside(),
    script("loopback as one number", "await fetch('http://2130706433:{port}/', {mode: 'no-cors'})").inside(),
    script("loopback mapped into IPv6", "await fetch('http://[::ffff:127.0.0.1]:{port}/', {mode: 'no-cors'})").inside(),
    script("loopback as no address", "await fetch('http://0.0.0.0:{port}/', {mode: 'no-cors'})").inside(),
    script("loopback after a redirect", "await fetch('{front}?s=302&h=Location:%20http://127.0.0.1:{port}/', {mode: 'no-cors'})").inside(),
    script("loopback by WebSocket", "new WebSocket('ws://127.0.0.1:{port}/')").inside(),
    script("loopback by iframe", element!("iframe", "{src: 'http://127.0.0.1:{port}/'}")).inside(),
    script("loopback by worker", "new Worker(URL.createObjectURL(new Blob([\"fetch('http://127.0.0.1:{port}/', {mode: 'no-cors'})\"])))").inside(),
    script("loopback by STUN", peer!("[{urls: 'stun:127.0.0.1:{port}'}]", "null")).inside(),
    script("loopback by TURN", peer!("[{urls: 'turn:127.0.0.1:{port}?transport=tcp', username: 'u', credential: 'c'}]", "null")).inside(),
    script("own pod", "await fetch('http://{own}:{port}/', {mode: 'no-cors'})").inside(),
    script("own pod mapped into IPv6", "await fetch('http://[::ffff:{own}]:{port}/', {mode: 'no-cors'})").inside(),
    script("own pod by ICE candidate", peer!("[]", "'candidate:1 1 udp 2113937151 {own} {port} typ host'")).inside(),
    open("page of a file that asks loopback", "file:///tmp/attack.html?127.0.0.1:{port}").inside(),
    open("loopback as a page", "http://127.0.0.1:{port}/").inside(),
    open("source of loopback", "view-source:http://localhost:{port}/").inside(),
];

// Reports the user agent and platform that the browser shows to a worker, a shared worker and a service worker.
const seen = () => [navigator.userAgent, navigator.platform];
self.onconnect = event => event.ports[0].postMessage(seen());
self.onmessage = event => (event.ports[0] ?? self).postMessage(seen());

//! What a client can have its browser do does not become a program of its own in the container.

use anyhow::{Context, Result, ensure};
use e2e::{Bidi, Namespace, kubectl::exec, namespace::Live, wait::eventually, with_namespace};
use serde_json::json;

/// What libraries and browsers believe in below their home: Vulkan's layers, NSS' modules, handlers of files and of extensions,
/// and the module that Debian's Chromium decrypts with.
const BELIEVED: [(&str, &str); 6] = [
    (".local/share/vulkan/implicit_layer.d", "layer.json"),
    (".local/share/applications", "any.desktop"),
    (".local/lib", "libwidevinecdm.so"),
    (".pki/nssdb", "pkcs11.txt"),
    (".mozilla/native-messaging-hosts", "host.json"),
    (".config", "mimeapps.list"),
];
/// The home that the browser has: its driver is the one process with this program.
const HOME: &str = "for process in /proc/[0-9]*; do \
    case $(tr '\\0' ' ' <$process/cmdline) in /usr/bin/chromedriver*|/usr/bin/geckodriver*) \
    tr '\\0' '\\n' <$process/environ | sed -n s/^HOME=//p;; esac; done";

struct Downloads<'a> {
    namespace: &'a Namespace,
    live: &'a Live,
    socket: Bidi,
    context: String,
}

impl Downloads<'_> {
    /// Has a file saved in a folder, wherever it is.
    async fn save(&mut self, folder: &str, file: &str) -> Result<()> {
        let behavior = json!({"type": "allowed", "destinationFolder": folder});
        let params = json!({"downloadBehavior": behavior});
        self.socket.command("browser.setDownloadBehavior", params).await?;
        let script = format!(
            "{{const link = document.createElement('a'); link.download = '{file}'; \
             link.href = URL.createObjectURL(new Blob(['x'], {{type: 'application/octet-stream'}})); \
             document.body.append(link); link.click();}}"
        );
        self.socket.evaluate(&self.context, &script).await?;
        self.socket.event("browsingContext.downloadEnd").await.map(drop)
    }

    async fn is_there(&self, path: &str) -> Result<bool> {
        let script = format!("[ -e {path} ] && echo there; true");
        Ok(exec(&self.namespace.name, &self.live.pod, &script).await?.contains("there"))
    }
}

async fn is_believed_nothing(namespace: &Namespace, browser: &str) -> Result<()> {
    let spec =
        json!({"capabilities": {"alwaysMatch": {"browserName": browser, "webSocketUrl": true}}});
    let live = namespace.create_ready(browser, spec).await?;
    let home = exec(&namespace.name, &live.pod, HOME).await?.trim().to_owned();
    ensure!(home.starts_with("/tmp"), "the driver's home: {home:?}");
    let mut socket = Bidi::connect(&namespace.cluster.socket_url(&live.id)).await?;
    let events = json!({"events": ["browsingContext.downloadEnd"]});
    socket.command("session.subscribe", events).await?;
    let context = socket.open(&namespace.cluster.page("/")).await?;
    let mut downloads = Downloads { namespace, live: &live, socket, context };
    // That it can be done at all.
    downloads.save("/tmp/anywhere/below", "file.txt").await?;
    eventually(e2e::namespace::END_LIMIT, async || {
        ensure!(downloads.is_there("/tmp/anywhere/below/file.txt").await?, "nothing is saved");
        Ok(())
    })
    .await?;
    for (folder, file) in BELIEVED {
        let folder = format!("{home}/{folder}");
        downloads.save(&folder, file).await.with_context(|| folder.clone())?;
        ensure!(!downloads.is_there(&format!("{folder}/{file}")).await?, "{folder}/{file}");
    }
    namespace.delete(browser).await
}

#[tokio::test]
async fn chrome_believes_nothing_that_a_client_had_downloaded() -> Result<()> {
    with_namespace(async |namespace| is_believed_nothing(&namespace, "chrome").await).await
}

#[tokio::test]
async fn firefox_believes_nothing_that_a_client_had_downloaded() -> Result<()> {
    with_namespace(async |namespace| is_believed_nothing(&namespace, "firefox").await).await
}

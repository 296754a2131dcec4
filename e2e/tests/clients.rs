//! Stock clients, run as their users run them.

use anyhow::{Context, Result, ensure};
use crds::{BrowserSession, Phase, Reason};
use e2e::{Namespace, namespace::check_end, settings::checkout, wait::until, with_namespace};
use kube::{Api, ResourceExt, api::DeleteParams};
use serde_json::json;
use tokio::process::Command;

/// The folder of the installed clients: `bin/python` and `node_modules`.
async fn installed() -> Result<String> {
    let script = checkout().join("e2e/clients/install.sh");
    let output =
        Command::new(&script).output().await.with_context(|| script.display().to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed: {said}", script.display());
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Runs a script of examples/, which must succeed, and gives what it prints.
async fn run(
    namespace: &Namespace,
    program: &str,
    script: &str,
    arguments: &[&str],
) -> Result<String> {
    let settings = &namespace.cluster.settings;
    let output = Command::new(program)
        .arg(checkout().join("examples").join(script))
        .args(arguments)
        .env("GATEWAY_URL", &settings.gateway_url)
        .env("SITE_URL", &settings.site_url)
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("run {program}"))?;
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{script}: {}\n{said}\n{complained}", output.status);
    Ok(said.into_owned())
}

/// What a script prints behind a word.
fn told<'a>(output: &'a str, word: &str) -> Result<&'a str> {
    let line = output.lines().find_map(|line| line.strip_prefix(word));
    Ok(line.with_context(|| format!("no {word:?} in {output}"))?.trim())
}

/// The session of a client without a token is in the gateway's namespace; its record goes with the test.
async fn ended_and_removed(namespace: &Namespace, id: &str) -> Result<()> {
    let client = &namespace.cluster.client;
    let session = namespace.cluster.session_with_id(id).await?;
    let (name, own) = (session.name_any(), session.namespace().context("its namespace")?);
    let sessions = Api::<BrowserSession>::namespaced(client.clone(), &own);
    let ended = until(&sessions, &name, "ended", e2e::namespace::END_LIMIT, |session| {
        session.is_some_and(BrowserSession::is_terminal)
    })
    .await?
    .context("it is there")?;
    check_end(&ended, Phase::Completed, Reason::ClientEnded)?;
    sessions.delete(&name, &DeleteParams::default()).await?;
    Ok(())
}

fn is_png(path: &str) -> Result<()> {
    let picture = std::fs::read(path).with_context(|| path.to_owned())?;
    let (width, height) = e2e::bidi::png_size(&picture)?;
    ensure!(width >= 300 && height >= 200, "{width}x{height}");
    std::fs::remove_file(path).with_context(|| path.to_owned())
}

fn picture(namespace: &Namespace) -> String {
    std::env::temp_dir().join(format!("{}.png", namespace.name)).display().to_string()
}

#[tokio::test]
async fn selenium_for_python_works_unchanged() -> Result<()> {
    with_namespace(async |namespace| {
        let (python, file) = (format!("{}/bin/python", installed().await?), picture(&namespace));
        let output = run(&namespace, &python, "selenium_page.py", &[&file]).await?;
        assert_eq!(told(&output, "title:")?, "browser-operator");
        assert_eq!(told(&output, "sent:")?, "selenium");
        assert_eq!(told(&output, "console:")?, "hello from the page");
        is_png(&file)?;
        ended_and_removed(&namespace, told(&output, "session:")?).await
    })
    .await
}

#[tokio::test]
async fn puppeteer_over_bidi_works_unchanged() -> Result<()> {
    with_namespace(async |namespace| {
        let (clients, file) = (installed().await?, picture(&namespace));
        let output = run(&namespace, "node", "puppeteer_bidi.mjs", &[&file, &clients]).await?;
        assert_eq!(told(&output, "title:")?, "browser-operator");
        assert_eq!(told(&output, "sent:")?, "puppeteer");
        assert_eq!(told(&output, "console:")?, "hello from the page");
        is_png(&file)
    })
    .await
}

#[tokio::test]
async fn a_few_lines_of_python_drive_a_session_over_bare_bidi() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let (python, file) = (format!("{}/bin/python", installed().await?), picture(&namespace));
        let (socket, page) = (namespace.cluster.socket_url(&live.id), namespace.cluster.page("/"));
        let output = run(&namespace, &python, "bidi.py", &[&socket, &page, &file]).await?;
        assert_eq!(told(&output, "title:")?, "browser-operator");
        is_png(&file)?;
        // It left the session as it was.
        namespace.cluster.anonymous().title(&live.id).await.map(drop)
    })
    .await
}

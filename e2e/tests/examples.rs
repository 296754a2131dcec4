//! The manifests of examples/, as a user applies them.

use anyhow::{Result, ensure};
use e2e::{kubectl::kubectl, settings::checkout, with_namespace};

fn example(path: &str) -> String {
    checkout().join("examples").join(path).display().to_string()
}

#[tokio::test]
async fn every_manifest_is_accepted_under_strict_validation() -> Result<()> {
    with_namespace(async |namespace| {
        let files = std::fs::read_dir(example(""))?;
        let mut manifests: Vec<String> = files
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".yaml"))
            .collect();
        manifests.sort();
        ensure!(manifests == ["class.yaml", "session-full.yaml", "session.yaml"], "{manifests:?}");
        for name in manifests {
            let file = example(&name);
            let said = kubectl(&[
                "--namespace",
                &namespace.name,
                "create",
                "--dry-run=server",
                "--validate=strict",
                "-f",
                &file,
            ])
            .await?;
            ensure!(said.contains("created (server dry run)"), "{name}: {said}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_gitops_folder_is_a_kustomization_that_settles() -> Result<()> {
    with_namespace(async |namespace| {
        let folder = example("gitops");
        kubectl(&["--namespace", &namespace.name, "apply", "-k", &folder]).await?;
        let live = namespace.ready("nightly").await?;
        // What a pipeline applies again changes nothing.
        let again = kubectl(&["--namespace", &namespace.name, "apply", "-k", &folder]).await?;
        ensure!(again.contains("nightly unchanged"), "{again}");
        ensure!(
            live.session.metadata.generation == Some(1),
            "{:?}",
            live.session.metadata.generation
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn kubectl_wait_understands_the_condition() -> Result<()> {
    with_namespace(async |namespace| {
        kubectl(&["--namespace", &namespace.name, "apply", "-f", &example("session.yaml")]).await?;
        let waited = kubectl(&[
            "--namespace",
            &namespace.name,
            "wait",
            "--for=condition=Ready",
            "--timeout=60s",
            "bs/example",
        ])
        .await?;
        ensure!(waited.contains("condition met"), "{waited}");
        let url = kubectl(&[
            "--namespace",
            &namespace.name,
            "get",
            "bs",
            "example",
            "-o",
            "jsonpath={.status.webSocketUrl}",
        ])
        .await?;
        ensure!(url.starts_with("ws") && url.contains("/session/"), "{url}");
        Ok(())
    })
    .await
}

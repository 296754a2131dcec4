//! From a manifest to a page, and to the end.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason, Sandbox, names};
use e2e::{
    Bidi, agent,
    bidi::png_size,
    classic::Classic,
    dns,
    namespace::{END_LIMIT, GONE_LIMIT},
    wait::{eventually, until, until_all},
    with_namespace,
};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api,
    api::{Patch, PatchParams},
    runtime::watcher::Config,
};
use reqwest::Method;
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

#[tokio::test]
async fn a_manifest_becomes_a_browser_whose_status_says_how_to_reach_it() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        let live = namespace.create_ready("s", json!({})).await?;
        let (status, id) = (&live.status, &live.id);

        assert_eq!(status.phase, Some(Phase::Ready));
        assert_eq!(uuid::Uuid::parse_str(id)?.get_version_num(), 8);
        let socket = status.web_socket_url.as_deref().context("webSocketUrl")?;
        ensure!(
            socket.starts_with("ws") && socket.ends_with(&format!("/session/{id}")),
            "{socket}"
        );
        let http = status.web_driver_url.as_deref().context("webDriverUrl")?;
        ensure!(http.starts_with("http") && http.ends_with(&format!("/session/{id}")), "{http}");
        let capabilities = status.capabilities.as_ref().context("capabilities")?;
        assert_eq!(capabilities["browserName"], "chrome");
        let agent = capabilities["userAgent"].as_str().context("userAgent")?;
        ensure!(agent.starts_with("Mozilla/"), "{agent}");
        assert_eq!(capabilities["webSocketUrl"], socket);
        assert_eq!(status.observed_generation, live.session.metadata.generation);
        assert_eq!(status.class_name, cluster.default_class().await?.metadata.name);
        assert_eq!(status.sandbox, Some(Sandbox::Browser));
        let (started, expires) = (
            status.started_at.as_ref().context("startedAt")?,
            status.expires_at.as_ref().context("expiresAt")?,
        );
        assert_eq!(expires.0.duration_since(started.0).as_secs(), 1800);

        let pod = namespace.pods().get(&live.pod).await?;
        let spec = pod.spec.context("the pod's spec")?;
        assert_eq!(status.node_name, spec.node_name);
        assert_eq!(pod.status.and_then(|status| status.pod_ip).as_deref(), Some(live.ip.as_str()));
        assert_eq!(status.service_name.as_deref(), Some(names::BROWSERS_SERVICE));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_address_in_status_is_the_pods_own_name() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let address = live.status.address.as_deref().context("address")?;
        ensure!(
            address.starts_with(&format!(
                "{}.{}.{}.svc.",
                live.pod,
                names::BROWSERS_SERVICE,
                namespace.name
            )),
            "{address}"
        );

        // DNS answers come from these.
        let slices =
            Api::<EndpointSlice>::namespaced(namespace.cluster.client.clone(), &namespace.name);
        let has_name = |slice: &EndpointSlice| {
            slice.endpoints.iter().any(|endpoint| endpoint.hostname.as_ref() == Some(&live.pod))
        };
        until_all(
            &slices,
            Config::default(),
            "an endpoint with the pod's name",
            END_LIMIT,
            |slices| slices.values().any(has_name),
        )
        .await?;
        let services = Api::<Service>::namespaced(namespace.cluster.client.clone(), "kube-system");
        let dns = services.get("kube-dns").await.context("the Service kube-dns")?;
        let dns = dns.spec.and_then(|spec| spec.cluster_ip).context("its address")?;
        // Every address that the pod has: one of each family, each in an EndpointSlice of its own.
        let pod = namespace.pods().get(&live.pod).await?;
        let own = pod.status.and_then(|status| status.pod_ips).context("the pod's addresses")?;
        let own: BTreeSet<String> = own.into_iter().map(|own| own.ip).collect();
        assert!(own.contains(&live.ip), "{own:?}");
        eventually(Duration::from_secs(30), async || {
            let found = dns::resolve(&dns, address).await?;
            let found: BTreeSet<String> = found.iter().map(ToString::to_string).collect();
            ensure!(found == own, "{address} leads to {found:?}, and the pod has {own:?}");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_ready_session_is_driven_over_bidi_and_over_classic() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        let live = namespace.create_ready("s", json!({})).await?;

        let mut bidi = cluster.socket(&live.id).await?;
        let context = bidi.open(&cluster.page("/")).await?;
        assert_eq!(bidi.evaluate(&context, "document.title").await?, "browser-operator");
        let picture = bidi.screenshot(&context).await?;
        let (width, height) = png_size(&picture)?;
        ensure!(
            width >= 300 && height >= 200 && picture.len() > 1000,
            "{width}x{height}, {} bytes",
            picture.len()
        );

        let classic = cluster.anonymous();
        assert_eq!(classic.title(&live.id).await?, "browser-operator");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_first_page_and_the_viewport_are_as_the_spec_says() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        let url = cluster.page("/second.html?name=e2e");
        let spec = json!({"startUrl": url, "viewport": {"width": 1000, "height": 700}});
        let live = namespace.create_ready("s", spec).await?;

        let mut bidi = cluster.socket(&live.id).await?;
        let context = bidi.context().await?;
        assert_eq!(bidi.evaluate(&context, "location.href").await?, url);
        let sent = bidi.evaluate(&context, "document.getElementById('sent').textContent").await?;
        assert_eq!(sent, "e2e");
        assert_eq!(bidi.evaluate(&context, "innerWidth + 'x' + innerHeight").await?, "1000x700");
        assert_eq!(png_size(&bidi.screenshot(&context).await?)?, (1000, 700));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_first_page_that_does_not_load_does_not_fail_the_session() -> Result<()> {
    with_namespace(async |namespace| {
        let spec = json!({"startUrl": "http://nowhere.invalid/"});
        let live = namespace.create_ready("s", spec).await?;
        let mut bidi = namespace.cluster.socket(&live.id).await?;
        let context = bidi.open(&namespace.cluster.page("/")).await?;
        assert_eq!(bidi.evaluate(&context, "document.title").await?, "browser-operator");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn deleting_the_object_closes_its_sockets_with_the_reason_and_takes_the_pod_away()
-> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let mut bidi = namespace.cluster.socket(&live.id).await?;
        bidi.context().await?;

        namespace.delete("s").await?;

        let frame =
            bidi.closed(Duration::from_secs(5)).await?.context("a Close frame with a reason")?;
        assert_eq!(
            (frame.code, frame.reason.as_str()),
            (CloseCode::Away, Reason::Deleted.as_str())
        );
        until(&namespace.sessions(), "s", "gone", END_LIMIT, |session| session.is_none()).await?;
        until(&namespace.pods(), &live.pod, "gone", GONE_LIMIT, |pod| pod.is_none()).await?;
        assert_eq!(Bidi::refusal(&namespace.cluster.socket_url(&live.id)).await?, 404);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_end_annotation_ends_a_session_for_the_reason_that_it_names() -> Result<()> {
    with_namespace(async |namespace| {
        namespace.create_ready("s", json!({})).await?;
        let end = json!({"metadata": {"annotations": {names::END_ANNOTATION: "ClientEnded"}}});
        namespace.sessions().patch("s", &PatchParams::default(), &Patch::Merge(end)).await?;
        namespace.ended("s", Phase::Completed, Reason::ClientEnded).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_record_goes_when_its_time_to_live_has_passed() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({"ttlSecondsAfterFinished": 3})).await?;
        namespace.cluster.anonymous().delete(&format!("/session/{}", live.id)).await?;
        namespace.ended("s", Phase::Completed, Reason::ClientEnded).await?;
        until(&namespace.sessions(), "s", "gone", Duration::from_secs(15), |session| {
            session.is_none()
        })
        .await
        .map(drop)
    })
    .await
}

#[tokio::test]
async fn an_exposed_session_has_a_service_of_its_own_and_answers_to_its_id_alone() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        let live = namespace.create_ready("s", json!({"expose": {"type": "ClusterIP"}})).await?;
        let name = live.status.service_name.clone().context("serviceName")?;
        let address = live.status.address.as_deref().context("address")?;
        ensure!(address.starts_with(&format!("{name}.{}.svc.", namespace.name)), "{address}");
        let service = namespace.services().get(&name).await?;
        let ip = service.spec.and_then(|spec| spec.cluster_ip).context("its address")?;

        let (id, other) = (&live.id, uuid::Uuid::from_u128(7).to_string());
        let direct = Classic::new(&format!("http://{}", agent::address(&ip)), None);
        // kube-proxy programs it a moment later.
        eventually(Duration::from_secs(20), async || direct.open(id, &cluster.page("/")).await)
            .await?;
        assert_eq!(direct.title(id).await?, "browser-operator");
        let mut bidi = Bidi::connect(&format!("ws://{}/session/{id}", agent::address(&ip))).await?;
        let context = bidi.context().await?;
        assert_eq!(bidi.evaluate(&context, "1 + 1").await?, 2);

        let wrong = direct.send(Method::GET, &format!("/session/{other}/title"), None).await?;
        assert_eq!((wrong.status, wrong.error()), (404, "invalid session id"));
        let socket = format!("ws://{}/session/{other}", agent::address(&ip));
        assert_eq!(Bidi::refusal(&socket).await?, 404);

        direct.delete(&format!("/session/{id}")).await?;
        namespace.ended("s", Phase::Completed, Reason::ClientEnded).await?;
        until(&namespace.services(), &name, "gone", GONE_LIMIT, |service| service.is_none())
            .await?;
        Ok(())
    })
    .await
}

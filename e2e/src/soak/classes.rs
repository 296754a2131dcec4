//! The soak's own classes: capacity for what the node holds; other sessions wait for admission.

use anyhow::{Context, Result};
use crds::{BrowserClass, class::BrowserName};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::{Value, json};

use super::plan::Browser;
use crate::{Namespace, class_like_the_default};

/// `startTimeoutSeconds`: outages of the controller included.
const START_SECONDS: u32 = 180;

#[must_use]
pub fn name(namespace: &Namespace, browser: Browser) -> String {
    let browser = match browser {
        Browser::Echo => "echo",
        Browser::Chromium => "chromium",
        Browser::Firefox => "firefox",
    };
    format!("{}-{browser}", namespace.name)
}

/// Runs a test with the classes of all browsers that the cluster has, which are deleted after it.
pub async fn with_classes(
    namespace: &Namespace,
    test: impl AsyncFnOnce(Vec<Browser>) -> Result<()>,
) -> Result<()> {
    let cluster = &namespace.cluster;
    let listed = cluster.classes().list(&ListParams::default()).await.context("list classes")?;
    let default = cluster.default_class().await?;
    let of = |browser: BrowserName| {
        let is_it = |class: &&BrowserClass| class.spec.browser_name == browser;
        listed.items.iter().filter(|class| class.is_default()).chain(&listed.items).find(is_it)
    };
    let image = &cluster.settings.echo_image;
    let echo = json!({
        "versions": [{"version": "1.0", "image": image}],
        "sandbox": "container",
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "capacity": 8,
    });
    let wanted: [(Browser, Option<&BrowserClass>, Value); 3] = [
        (Browser::Echo, (!image.is_empty()).then_some(&default), echo),
        (Browser::Chromium, of(BrowserName::Chrome), json!({"capacity": 2})),
        (Browser::Firefox, of(BrowserName::Firefox), json!({"capacity": 1})),
    ];
    let mut browsers = Vec::new();
    let mut classes = Vec::new();
    for (browser, like, mut fields) in wanted {
        let Some(like) = like else { continue };
        fields["startTimeoutSeconds"] = START_SECONDS.into();
        classes.push(class_like_the_default(like, &name(namespace, browser), fields)?);
        browsers.push(browser);
    }
    for class in &classes {
        let made = cluster.classes().create(&PostParams::default(), class).await;
        made.with_context(|| format!("create the class {}", class.name_any()))?;
    }
    let outcome = test(browsers).await;
    for class in &classes {
        let deleted = cluster.classes().delete(&class.name_any(), &DeleteParams::default()).await;
        deleted.with_context(|| format!("delete the class {}", class.name_any()))?;
    }
    outcome
}

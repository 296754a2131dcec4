//! `browser-operator key`: API keys for programs of hosted browser services, and for clients without a Kubernetes token.

use agent_api::api_key::{ApiKey, ID_BYTES, SECRET_BYTES};
use anyhow::{Context, bail};
use crds::{BrowserSession, names};
use k8s_openapi::{
    ByteString,
    api::{
        core::v1::{Namespace, Secret, ServiceAccount},
        rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};

use super::common::client;

/// The ServiceAccount that keys act as, its Role and its RoleBinding.
const ACCOUNT: &str = "browser-sessions";
const FIELD_MANAGER: &str = "browser-operator-key";
const KIND: &str = "browser-operator.io/api-key";

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The operator's own namespace, where the keys' Secrets are
    #[arg(long, env = "POD_NAMESPACE", default_value = "browser-operator", global = true)]
    operator_namespace: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Create a key for the sessions of a namespace, and print it, this once
    Create {
        /// The namespace
        namespace: String,
        /// Act as this ServiceAccount of the namespace, with its rights; absent: as `browser-sessions`, which is created with
        /// the right to sessions and nothing else
        #[arg(long)]
        service_account: Option<String>,
    },
    /// List the keys
    List,
    /// Revoke a key: the gateways refuse it at once
    Revoke {
        /// The key's id, as `list` shows it: the part between the underscores
        id: String,
    },
}

/// Works with the rights of KUBECONFIG.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let client = client().await?;
    let secrets = Api::<Secret>::namespaced(client.clone(), &args.operator_namespace);
    match args.command {
        Command::Create { namespace, service_account } => {
            create(client, &secrets, &namespace, service_account).await
        }
        Command::List => list(&secrets).await,
        Command::Revoke { id } => revoke(&secrets, &id).await,
    }
}

async fn create(
    client: Client,
    secrets: &Api<Secret>,
    namespace: &str,
    account: Option<String>,
) -> anyhow::Result<()> {
    let namespaces = Api::<Namespace>::all(client.clone());
    if namespaces.get_opt(namespace).await.context("look for the namespace")?.is_none() {
        bail!("there is no namespace {namespace:?}");
    }
    let account = match account {
        Some(account) => {
            let accounts = Api::<ServiceAccount>::namespaced(client, namespace);
            if accounts.get_opt(&account).await.context("look for the ServiceAccount")?.is_none() {
                bail!("there is no ServiceAccount {account:?} in namespace {namespace}");
            }
            account
        }
        None => {
            create_account(&client, namespace).await?;
            ACCOUNT.to_owned()
        }
    };
    let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
    getrandom::fill(&mut id).context("random numbers")?;
    getrandom::fill(&mut secret).context("random numbers")?;
    let key = ApiKey::new(id, secret);
    let text = |text: String| ByteString(text.into_bytes());
    let object = Secret {
        metadata: ObjectMeta {
            name: Some(format!("{}{}", names::API_KEY_PREFIX, key.id())),
            labels: Some([(names::API_KEY_LABEL.to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        },
        data: Some(
            [
                ("namespace".to_owned(), text(namespace.to_owned())),
                ("user".to_owned(), text(format!("system:serviceaccount:{namespace}:{account}"))),
                ("hash".to_owned(), text(key.hash())),
            ]
            .into(),
        ),
        immutable: Some(true),
        type_: Some(KIND.to_owned()),
        ..Secret::default()
    };
    secrets.create(&PostParams::default(), &object).await.context("make the key's Secret")?;
    println!("{}", key.reveal());
    Ok(())
}

/// Creates the ServiceAccount that may have sessions in a namespace, and nothing else.
async fn create_account(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let metadata = || ObjectMeta {
        name: Some(ACCOUNT.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: Some([(names::MANAGED_BY_LABEL.to_owned(), names::MANAGED_BY.to_owned())].into()),
        ..ObjectMeta::default()
    };
    let account = ServiceAccount {
        metadata: metadata(),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let role = Role {
        metadata: metadata(),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![BrowserSession::group(&()).into_owned()]),
            resources: Some(vec![BrowserSession::plural(&()).into_owned()]),
            verbs: words(&["get", "list", "watch", "create", "patch", "delete"]),
            ..PolicyRule::default()
        }]),
    };
    let binding = RoleBinding {
        metadata: metadata(),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: ACCOUNT.to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: ACCOUNT.to_owned(),
            namespace: Some(namespace.to_owned()),
            ..Subject::default()
        }]),
    };
    apply(Api::namespaced(client.clone(), namespace), &account).await?;
    apply(Api::namespaced(client.clone(), namespace), &role).await?;
    apply(Api::namespaced(client.clone(), namespace), &binding).await
}

async fn apply<K>(api: Api<K>, object: &K) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let kind = K::kind(&());
    api.patch(ACCOUNT, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(object))
        .await
        .with_context(|| format!("make {kind} {ACCOUNT}"))
        .map(drop)
}

async fn list(secrets: &Api<Secret>) -> anyhow::Result<()> {
    let labelled = ListParams::default().labels(&format!("{}=true", names::API_KEY_LABEL));
    let keys = secrets.list(&labelled).await.context("list the keys' Secrets")?;
    println!("{:<12} {:<24} {:<48} CREATED", "ID", "NAMESPACE", "USER");
    for secret in keys {
        let field = |name: &str| {
            let bytes = secret.data.as_ref().and_then(|data| data.get(name));
            bytes.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default()
        };
        let name = secret.name_any();
        let id = name.strip_prefix(names::API_KEY_PREFIX).unwrap_or(&name);
        let created = secret.creation_timestamp().map(|at| at.0.to_string()).unwrap_or_default();
        println!("{id:<12} {:<24} {:<48} {created}", field("namespace"), field("user"));
    }
    Ok(())
}

async fn revoke(secrets: &Api<Secret>, id: &str) -> anyhow::Result<()> {
    let name = format!("{}{id}", names::API_KEY_PREFIX);
    match secrets.delete(&name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            bail!("there is no key with the id {id:?}")
        }
        Err(error) => Err(error).context("delete the key's Secret"),
    }
}

//! The cluster's keys and certificates, new at every boot.

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::addresses::{Addresses, Plan};
use crate::plan::Name;

/// Client certificates: file name, user, group.
const CLIENTS: [(&str, &str, &str); 5] = [
    ("admin", "browser-operator-admin", "system:masters"),
    ("apiserver-kubelet", "kube-apiserver", "system:masters"),
    ("controller-manager", "system:kube-controller-manager", ""),
    ("scheduler", "system:kube-scheduler", ""),
    ("proxy", "system:kube-proxy", ""),
];

#[must_use]
pub fn directory(name: Name) -> PathBuf {
    name.data().join("pki")
}

#[must_use]
pub fn certificate(name: Name, who: &str) -> String {
    directory(name).join(format!("{who}.crt")).display().to_string()
}

#[must_use]
pub fn key(name: Name, who: &str) -> String {
    directory(name).join(format!("{who}.key")).display().to_string()
}

/// The path of the ServiceAccounts' public key.
#[must_use]
pub fn service_accounts(name: Name) -> String {
    directory(name).join("service-accounts.pub").display().to_string()
}

pub fn create(plan: Plan) -> Result<()> {
    let name = plan.name;
    let addresses = |which: fn(Addresses) -> String| plan.addresses().into_iter().map(which);
    let directory = directory(name);
    fs::create_dir_all(&directory).with_context(|| format!("make {}", directory.display()))?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("close {}", directory.display()))?;

    let authority = Authority::new(&directory, "ca")?;
    for (who, user, group) in CLIENTS {
        authority.issue(who, user, group, &[])?;
    }
    authority.issue(
        "kubelet",
        &format!("system:node:{}", name.node()),
        "system:nodes",
        &[vec![name.node()], addresses(Addresses::node).collect()].concat(),
    )?;
    let mut apiserver = vec![
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
        "kubernetes.default.svc.cluster.local".to_owned(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
    ];
    apiserver.extend(addresses(Addresses::api_service));
    apiserver.extend(addresses(Addresses::node));
    authority.issue("apiserver", "kube-apiserver", "", &apiserver)?;
    Authority::new(&directory, "front-proxy-ca")?.issue("front-proxy", "front-proxy", "", &[])?;
    let accounts = KeyPair::generate().context("make the service accounts' key")?;
    write(&directory, "service-accounts.pub", &accounts.public_key_pem())?;
    write(&directory, "service-accounts.key", &accounts.serialize_pem())
}

struct Authority<'a> {
    directory: &'a Path,
    issuer: Issuer<'static, KeyPair>,
}

impl<'a> Authority<'a> {
    fn new(directory: &'a Path, name: &str) -> Result<Self> {
        let key = KeyPair::generate().with_context(|| format!("make the key of {name}"))?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).with_context(|| format!("sign {name}"))?;
        write(directory, &format!("{name}.crt"), &certificate.pem())?;
        write(directory, &format!("{name}.key"), &key.serialize_pem())?;
        Ok(Self { directory, issuer: Issuer::new(params, key) })
    }

    /// A client certificate, and with `names` also a server certificate.
    fn issue(&self, file: &str, user: &str, group: &str, names: &[String]) -> Result<()> {
        let key = KeyPair::generate().with_context(|| format!("make the key of {file}"))?;
        let mut params =
            CertificateParams::new(names.to_vec()).with_context(|| format!("names of {file}"))?;
        params.distinguished_name.push(DnType::CommonName, user);
        if !group.is_empty() {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !names.is_empty() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let certificate =
            params.signed_by(&key, &self.issuer).with_context(|| format!("sign {file}"))?;
        write(self.directory, &format!("{file}.crt"), &certificate.pem())?;
        write(self.directory, &format!("{file}.key"), &key.serialize_pem())
    }
}

fn write(directory: &Path, name: &str, text: &str) -> Result<()> {
    let path = directory.join(name);
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
        .with_context(|| format!("close {}", path.display()))
}

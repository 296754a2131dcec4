//! TLS to an upstream whose URL begins with `https://`.

use std::{io, sync::Arc};

use egress::{Host, Upstream};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{sync::OnceCell, task::spawn_blocking};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{counted::Counted, failure::Cause};

const HTTP_1: &[u8] = b"http/1.1";

/// What connections to upstreams rest on; made when the first one is.
#[derive(Debug, Default)]
pub struct UpstreamTls {
    checking: OnceCell<Arc<ClientConfig>>,
    trusting: OnceCell<Arc<ClientConfig>>,
}

impl UpstreamTls {
    pub async fn connect(
        &self,
        stream: Counted,
        upstream: &Upstream,
    ) -> Result<TlsStream<Counted>, Cause> {
        let config = if upstream.ignore_certificate_errors {
            self.trusting.get_or_try_init(async || trusting().map_err(unusable)).await?
        } else {
            self.checking.get_or_try_init(checking).await?
        };
        let name = match &upstream.host {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(unusable)?,
            Host::Ip(ip) => ServerName::from(*ip),
        };
        TlsConnector::from(config.clone()).connect(name, stream).await.map_err(failure)
    }
}

/// The certificates of the machine count, as `SSL_CERT_FILE` and `SSL_CERT_DIR` say, or where distributions have them.
async fn checking() -> Result<Arc<ClientConfig>, Cause> {
    let found = spawn_blocking(rustls_native_certs::load_native_certs).await.map_err(unusable)?;
    for error in &found.errors {
        tracing::warn!(%error, "certificates of this machine");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
    Ok(finish(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn trusting() -> Result<Arc<ClientConfig>, rustls::Error> {
    let verifier = Arc::new(AnyCertificate(provider()));
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    Ok(finish(builder.with_no_client_auth()))
}

fn finish(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Arc::new(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn unusable(error: impl std::fmt::Display) -> Cause {
    Cause::UpstreamTls(error.to_string())
}

fn failure(error: io::Error) -> Cause {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => Cause::UpstreamCertificate(why.to_string()),
        _ => Cause::UpstreamTls(error.to_string()),
    }
}

/// Takes any certificate, of whoever has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

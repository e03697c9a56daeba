//! TLS for checks of `https` addresses.
//!
//! A server on this very machine mostly has a certificate that it made itself, and who reaches
//! it there has not been led elsewhere: so of a peer at a loopback address any certificate will
//! do. Of all others it must be one that this machine trusts, and of that name.

use std::sync::{Arc, OnceLock};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_rustls::{TlsConnector, rustls};

use super::connect::reason;

/// The name that a server's certificate is to bear; an address in brackets is one, too.
pub(super) fn server_name(host: &str) -> Option<ServerName<'static>> {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(name.to_owned()).ok()
}

/// Speaks TLS over a connection. `is_local`: the peer is on this machine.
pub(super) async fn secure<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    name: ServerName<'static>,
    is_local: bool,
) -> Result<TlsStream<S>, String> {
    let config = if is_local {
        of_this_machine()?
    } else {
        of_others().await?
    };
    let connected = TlsConnector::from(config).connect(name, stream).await;
    connected.map_err(|error| {
        let cause = error
            .get_ref()
            .and_then(|cause| cause.downcast_ref::<Error>());
        cause.map_or_else(|| reason(&error), words)
    })
}

fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(cause) => {
            format!("its certificate is not one that this machine trusts: {cause:?}")
        }
        Error::InvalidMessage(_) => "what answers does not speak TLS".to_owned(),
        other => format!("TLS: {other}"),
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(ring::default_provider())))
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, String> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))
}

fn of_this_machine() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let made = CONFIG.get_or_init(|| {
        let verifier = Arc::new(Anybody(provider()));
        let config = builder()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Arc::new(config))
    });
    made.clone()
}

async fn of_others() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();
    let made = CONFIG.get_or_try_init(|| async {
        // They are read from files.
        let roots = tokio::task::spawn_blocking(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        });
        let roots = roots.await.map_err(|error| error.to_string())?;
        if roots.is_empty() {
            return Err(
                "no certificates that this machine trusts were found (on Debian, \
                        `ca-certificates` has them)"
                    .to_owned(),
            );
        }
        let config = builder()?.with_root_certificates(roots);
        Ok(Arc::new(config.with_no_client_auth()))
    });
    made.await.cloned()
}

/// Takes any certificate, of whoever proves to have its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;

    use super::*;

    fn server() -> TlsAcceptor {
        let cert = CertificateDer::from_pem_slice(include_bytes!("../../tests/tls/cert.pem"));
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../tests/tls/key.pem"));
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.unwrap()], key.unwrap());
        TlsAcceptor::from(Arc::new(config.unwrap()))
    }

    async fn met(is_local: bool) -> Result<(), String> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let serve = async { drop(server().accept(far).await) };
        // Named otherwise than the certificate says.
        let name = server_name("elsewhere.test").unwrap();
        let ask = async { secure(near, name, is_local).await.map(drop) };
        let (asked, ()) = tokio::join!(ask, serve);
        asked
    }

    #[tokio::test]
    async fn a_certificate_of_ones_own_will_do_on_this_machine_alone() {
        assert_eq!(met(true).await, Ok(()));
        let refused = met(false).await.unwrap_err();
        // Where this machine trusts nobody at all, that is why.
        assert!(refused.contains("this machine trusts"), "{refused}");
    }

    #[test]
    fn names_and_addresses_are_names() {
        for host in ["localhost", "127.0.0.1", "[::1]", "a.example"] {
            assert!(server_name(host).is_some(), "{host}");
        }
        assert!(server_name("not a name").is_none());
    }
}

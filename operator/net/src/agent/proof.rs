//! The proof at a connection's beginning: the agent answers a challenge, then the client shows the pod's token.

use std::io;

use agent_api::{
    paths::{AUTHENTICATE_PATH, CHALLENGE_HEADER, PROOF_HEADER, PROVE_PATH},
    pod_token::PodToken,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::transport::Io;

/// The most bytes of a reply before a connection is proven.
const MAX_REPLY: usize = 4096;
const CHALLENGE_BYTES: usize = 16;

pub(super) async fn prove_both_ends(io: &mut impl Io, token: &PodToken) -> io::Result<()> {
    let mut challenge = [0; CHALLENGE_BYTES];
    getrandom::fill(&mut challenge).map_err(io::Error::other)?;
    let challenge = hex::encode(challenge);

    let header = format!("{CHALLENGE_HEADER}: {challenge}");
    let reply = request(io, PROVE_PATH, &header).await?;
    if !is_proven(&reply, token, &challenge) {
        return Err(io::Error::other("what answers at the pod's address is not this pod's agent"));
    }
    let header = format!("authorization: Bearer {}", token.reveal());
    let reply = request(io, AUTHENTICATE_PATH, &header).await?;
    if parse(&reply, |response| response.code) == Some(Some(204)) {
        Ok(())
    } else {
        Err(io::Error::other("the pod's agent does not accept its token"))
    }
}

/// One request by hand, before the HTTP client gets the connection; the reply has no body.
async fn request(io: &mut impl Io, path: &str, header: &str) -> io::Result<Vec<u8>> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: agent\r\n{header}\r\n\r\n");
    io.write_all(request.as_bytes()).await?;
    io.flush().await?;
    let mut reply = Vec::with_capacity(512);
    while !reply.ends_with(b"\r\n\r\n") {
        if reply.len() >= MAX_REPLY || io.read_buf(&mut reply).await? == 0 {
            return Err(io::Error::other("no agent answers at the pod's address"));
        }
    }
    Ok(reply)
}

fn is_proven(reply: &[u8], token: &PodToken, challenge: &str) -> bool {
    parse(reply, |response| {
        let proof = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(PROOF_HEADER));
        response.code == Some(204)
            && proof
                .and_then(|proof| std::str::from_utf8(proof.value).ok())
                .is_some_and(|proof| token.hash().is_proven_by(challenge, proof))
    }) == Some(true)
}

/// Reads from a whole reply; `None` where it is not HTTP.
fn parse<T>(reply: &[u8], read: impl FnOnce(&httparse::Response<'_, '_>) -> T) -> Option<T> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(reply) {
        Ok(httparse::Status::Complete(_)) => Some(read(&response)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_api::{PodRef, installation_key::InstallationKey};

    #[test]
    fn only_the_pods_own_agent_is_believed() {
        let key = InstallationKey::new(&[1; 32]).unwrap();
        let (token, other) =
            (key.pod_token(&PodRef::new("a", "b")), key.pod_token(&PodRef::new("a", "c")));
        let reply = |hash: agent_api::pod_token::TokenHash, status| {
            format!("HTTP/1.1 {status} X\r\n{PROOF_HEADER}: {}\r\n\r\n", hash.prove("c"))
        };
        assert!(is_proven(reply(token.hash(), 204).as_bytes(), &token, "c"));
        assert!(!is_proven(reply(token.hash(), 204).as_bytes(), &token, "d"));
        assert!(!is_proven(reply(token.hash(), 200).as_bytes(), &token, "c"));
        assert!(!is_proven(reply(other.hash(), 204).as_bytes(), &token, "c"));
        assert!(!is_proven(b"HTTP/1.1 204 X\r\n\r\n", &token, "c"));
        assert!(!is_proven(b"hello", &token, "c"));
    }
}

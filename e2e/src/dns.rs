//! One question to a DNS server: a name's IPv4 addresses.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::{net::UdpSocket, time::timeout};

/// Asks `server` for the addresses of `name`.
pub async fn resolve(server: &str, name: &str) -> Result<Vec<Ipv4Addr>> {
    let socket = UdpSocket::bind("0.0.0.0:0").await.context("a socket")?;
    socket.connect((server, 53)).await.with_context(|| format!("reach {server}"))?;
    socket.send(&question(name)).await.context("ask")?;
    let mut reply = [0; 1500];
    let length = timeout(Duration::from_secs(5), socket.recv(&mut reply))
        .await
        .with_context(|| format!("{server} does not answer"))?
        .context("receive")?;
    answers(&reply[..length]).with_context(|| format!("the answer for {name}"))
}

/// Header: an id, recursion desired, one question. Then the name's labels, type A, class IN.
fn question(name: &str) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        packet.push(u8::try_from(label.len()).unwrap_or(63));
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

fn answers(packet: &[u8]) -> Result<Vec<Ipv4Addr>> {
    let byte = |at: usize| packet.get(at).copied().context("it breaks off");
    let number = |at: usize| Ok::<_, anyhow::Error>(u16::from_be_bytes([byte(at)?, byte(at + 1)?]));
    let code = byte(3)? & 0xf;
    ensure!(code == 0, "code {code}");
    let count = number(6)?;
    let mut at = skip_name(packet, 12)? + 4;
    let mut addresses = Vec::new();
    for _ in 0..count {
        at = skip_name(packet, at)?;
        let (type_, length) = (number(at)?, usize::from(number(at + 8)?));
        at += 10;
        if type_ == 1 && length == 4 {
            addresses.push(Ipv4Addr::new(byte(at)?, byte(at + 1)?, byte(at + 2)?, byte(at + 3)?));
        }
        at += length;
    }
    ensure!(!addresses.is_empty(), "no address");
    Ok(addresses)
}

/// A name is labels and a zero byte, or ends in a two-byte pointer.
fn skip_name(packet: &[u8], mut at: usize) -> Result<usize> {
    loop {
        match packet.get(at).copied().context("it breaks off")? {
            0 => return Ok(at + 1),
            pointer if pointer & 0xc0 == 0xc0 => return Ok(at + 2),
            label => at += usize::from(label) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_behind_a_pointer_is_read() {
        let mut packet = question("a.b");
        packet[7] = 1;
        packet.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 0, 0, 7]);
        assert_eq!(answers(&packet).unwrap(), [Ipv4Addr::new(10, 0, 0, 7)]);
    }

    #[test]
    fn no_such_name_is_an_error() {
        let mut packet = question("a");
        packet[3] = 3;
        assert!(answers(&packet).is_err());
    }
}

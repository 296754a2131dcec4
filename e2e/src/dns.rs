//! Questions to a DNS server: a name's addresses.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::{net::UdpSocket, time::timeout};

/// The types of records that hold addresses, and their length.
const A: u16 = 1;
const AAAA: u16 = 28;

/// Asks `server` for the addresses of `name`, of both families.
pub async fn resolve(server: &str, name: &str) -> Result<Vec<IpAddr>> {
    let server: IpAddr = server.parse().with_context(|| format!("{server} is no address"))?;
    let any: IpAddr =
        if server.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let mut found = Vec::new();
    for type_ in [A, AAAA] {
        let socket = UdpSocket::bind((any, 0)).await.context("a socket")?;
        socket.connect((server, 53)).await.with_context(|| format!("reach {server}"))?;
        socket.send(&question(name, type_)).await.context("ask")?;
        let mut reply = [0; 1500];
        let length = timeout(Duration::from_secs(5), socket.recv(&mut reply))
            .await
            .with_context(|| format!("{server} does not answer"))?
            .context("receive")?;
        found.extend(answers(&reply[..length]).with_context(|| format!("the answer for {name}"))?);
    }
    ensure!(!found.is_empty(), "{name} has no address");
    Ok(found)
}

/// Header: an id, recursion desired, one question. Then the name's labels, the type, class IN.
fn question(name: &str, type_: u16) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        packet.push(u8::try_from(label.len()).unwrap_or(63));
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&type_.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}

fn answers(packet: &[u8]) -> Result<Vec<IpAddr>> {
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
        let data = packet.get(at..at + length).context("it breaks off")?;
        match type_ {
            A => addresses.push(IpAddr::from(<[u8; 4]>::try_from(data)?)),
            AAAA => addresses.push(IpAddr::from(<[u8; 16]>::try_from(data)?)),
            _ => {}
        }
        at += length;
    }
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
        let mut packet = question("a.b", A);
        packet[7] = 1;
        packet.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 0, 0, 7]);
        assert_eq!(answers(&packet).unwrap(), [IpAddr::from([10, 0, 0, 7])]);
    }

    #[test]
    fn no_such_name_is_an_error() {
        let mut packet = question("a", AAAA);
        packet[3] = 3;
        assert!(answers(&packet).is_err());
    }
}

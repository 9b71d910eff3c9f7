//! Where else a session may be had: the gateways beside the one that is dialled.

use super::WireError;
use super::limits::*;
use super::value::*;

/// How another gateway is reached, and known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayAddress {
    /// A name or an address, without brackets.
    pub host: String,
    /// QUIC and WebTransport; none, if it has no UDP.
    pub udp_port: Option<u16>,
    pub tcp_port: u16,
    /// Whether the TCP port speaks TLS.
    pub tls: bool,
    /// SHA-256 of its certificates; empty: one that a public authority signed.
    pub pins: Vec<[u8; 32]>,
}

/// Writes at most [`MAX_GATEWAYS`] gateways, the one to try first before all others.
pub(super) fn write_gateways(gateways: &[GatewayAddress], out: &mut Vec<u8>) {
    let gateways = &gateways[..gateways.len().min(MAX_GATEWAYS)];
    put_varint(out, gateways.len() as u64);
    for gateway in gateways {
        put_text(out, &gateway.host, MAX_NAME);
        put_varint(out, gateway.udp_port.unwrap_or_default().into());
        put_varint(out, gateway.tcp_port.into());
        out.push(gateway.tls.into());
        let pins = &gateway.pins[..gateway.pins.len().min(MAX_PINS)];
        put_varint(out, pins.len() as u64);
        pins.iter().for_each(|pin| out.extend_from_slice(pin));
    }
}

pub(super) fn read_gateways(r: &mut Reader) -> Result<Vec<GatewayAddress>, WireError> {
    let count = r.count(MAX_GATEWAYS, "Gateways' gateways")?;
    let mut gateways = Vec::new();
    for _ in 0..count {
        let host = r.text(MAX_NAME, "a gateway's host")?;
        let udp_port = r.u16("a gateway's UDP port")?;
        let tcp_port = r.u16("a gateway's TCP port")?;
        let tls = r.flag("a gateway's TLS")?;
        let mut pins = Vec::new();
        for _ in 0..r.count(MAX_PINS, "a gateway's certificates")? {
            let mut pin = [0; 32];
            pin.copy_from_slice(r.take(32, "a gateway's certificate")?);
            pins.push(pin);
        }
        gateways.push(GatewayAddress {
            host,
            udp_port: Some(udp_port).filter(|&port| port != 0),
            tcp_port,
            tls,
            pins,
        });
    }
    Ok(gateways)
}

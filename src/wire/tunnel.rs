//! What gateways and edges say to each other in the tunnel between them. Its control stream carries messages of the usual form;
//! a client's datagram is one of the tunnel's with an address in front, a client's TCP connection one of its streams.

use super::limits::{MAX_NAME, MAX_TUNNEL_MESSAGE};
use super::value::{Reader, WireError, put_bytes, put_text, put_varint};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The ALPN of the tunnel.
pub const TUNNEL_ALPN: &[u8] = b"chevet-edge/1";
/// How many bytes the key has by which a gateway signs its connection ids.
pub const TAG_KEY: usize = 32;
/// The longest head of a datagram or stream.
pub const MAX_HEAD: usize = 1 + 16 + 2;

#[derive(Clone, PartialEq, Eq)]
pub enum TunnelMessage {
    /// The gateway's first: by what the edge knows connection ids of this gateway's.
    Gateway { software: String, key: [u8; TAG_KEY] },
    /// The edge's answer: the UDP port that its clients dial, 0 if none.
    Edge { software: String, udp_port: u16 },
    /// Clients of this address may open QUIC connections, for so many seconds from now.
    Admit { address: IpAddr, seconds: u32 },
    /// The gateway takes no new clients.
    Leaving,
    /// Nobody is known at this address any more.
    Withdraw { address: IpAddr },
}

impl std::fmt::Debug for TunnelMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key stays out of logs.
        f.write_str(match self {
            TunnelMessage::Gateway { .. } => "Gateway",
            TunnelMessage::Edge { .. } => "Edge",
            TunnelMessage::Admit { .. } => "Admit",
            TunnelMessage::Leaving => "Leaving",
            TunnelMessage::Withdraw { .. } => "Withdraw",
        })
    }
}

impl TunnelMessage {
    /// The message with its length in front.
    pub fn to_bytes(&self) -> Bytes {
        let mut body = Vec::new();
        match self {
            TunnelMessage::Gateway { software, key } => {
                put_varint(&mut body, 1);
                put_text(&mut body, software, MAX_NAME);
                put_bytes(&mut body, key);
            }
            TunnelMessage::Edge { software, udp_port } => {
                put_varint(&mut body, 2);
                put_text(&mut body, software, MAX_NAME);
                put_varint(&mut body, u64::from(*udp_port));
            }
            TunnelMessage::Admit { address, seconds } => {
                put_varint(&mut body, 3);
                put_address(&mut body, *address);
                put_varint(&mut body, u64::from(*seconds));
            }
            TunnelMessage::Leaving => put_varint(&mut body, 4),
            TunnelMessage::Withdraw { address } => {
                put_varint(&mut body, 5);
                put_address(&mut body, *address);
            }
        }
        let mut bytes = Vec::with_capacity(body.len() + 2);
        put_bytes(&mut bytes, &body);
        bytes.into()
    }

    /// Takes the next message off the front of what has arrived. A message of a kind that is not known is `None` inside.
    pub fn take(arrived: &mut BytesMut) -> Result<Option<Option<TunnelMessage>>, WireError> {
        let mut reader = Reader::new(arrived);
        let Ok(length) = reader.varint("the length of a tunnel's message") else { return Ok(None) };
        if length > MAX_TUNNEL_MESSAGE as u64 {
            let what = "the length of a tunnel's message";
            return Err(WireError::TooMuch { what, value: length, limit: MAX_TUNNEL_MESSAGE as u64 });
        }
        let head = arrived.len() - reader.rest().len();
        let end = head + length as usize;
        if arrived.len() < end {
            return Ok(None);
        }
        let message = TunnelMessage::read(&arrived[head..end])?;
        arrived.advance(end);
        Ok(Some(message))
    }

    fn read(body: &[u8]) -> Result<Option<TunnelMessage>, WireError> {
        let mut reader = Reader::new(body);
        Ok(Some(match reader.varint("the kind of a tunnel's message")? {
            1 => {
                let software = reader.text(MAX_NAME, "the gateway's software")?;
                let key = reader.bytes(TAG_KEY, "the key of connection ids")?;
                let key =
                    key.try_into().map_err(|_| WireError::Truncated { what: "the key of connection ids" })?;
                TunnelMessage::Gateway { software, key }
            }
            2 => TunnelMessage::Edge {
                software: reader.text(MAX_NAME, "the edge's software")?,
                udp_port: reader.u16("the edge's UDP port")?,
            },
            3 => TunnelMessage::Admit {
                address: read_address(&mut reader)?,
                seconds: reader.u32("the seconds of an admission")?,
            },
            4 => TunnelMessage::Leaving,
            5 => TunnelMessage::Withdraw { address: read_address(&mut reader)? },
            _ => return Ok(None),
        }))
    }
}

fn put_address(out: &mut impl BufMut, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            out.put_u8(4);
            out.put_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            out.put_u8(6);
            out.put_slice(&address.octets());
        }
    }
}

fn read_address(reader: &mut Reader<'_>) -> Result<IpAddr, WireError> {
    const WHAT: &str = "a client's address";
    match reader.u8(WHAT)? {
        4 => {
            let octets: [u8; 4] = reader.take(4, WHAT)?.try_into().unwrap_or_default();
            Ok(IpAddr::from(octets))
        }
        6 => Ok(IpAddr::from(reader.bytes16(WHAT)?).to_canonical()),
        other => Err(WireError::Meaningless { what: WHAT, value: other.into() }),
    }
}

/// Appends what stands in front of a client's datagram, and at the beginning of a stream that carries its TCP connection.
pub fn put_head(out: &mut impl BufMut, client: SocketAddr) {
    put_address(out, client.ip());
    out.put_u16(client.port());
}

/// The client that a datagram or stream is of, and how many bytes that took.
pub fn read_head(bytes: &[u8]) -> Result<(SocketAddr, usize), WireError> {
    let mut reader = Reader::new(bytes);
    let address = read_address(&mut reader)?;
    let [high, low] = reader.take(2, "a client's port")?.try_into().unwrap_or_default();
    let taken = bytes.len() - reader.rest().len();
    Ok((SocketAddr::new(address, u16::from_be_bytes([high, low])), taken))
}

/// Addresses that are treated as one: of IPv6 the half that a household or its like has, of IPv4 each by itself.
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
        address => address,
    }
}

/// What a QUIC packet shows on its outside (RFC 9000, 17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside<'a> {
    /// What may be the beginning of a connection.
    Initial,
    /// Of a handshake that goes on.
    Handshake,
    /// Of a connection that is made: the id that the gateway gave it.
    Short(&'a [u8; CONNECTION_ID]),
}

/// The length of a gateway's connection ids behind edges: a nonce of 8 bytes, and 8 that prove it to be the gateway's.
pub const CONNECTION_ID: usize = 16;
/// A datagram with an Initial is not shorter (RFC 9000, 14.1).
const LEAST_INITIAL: usize = 1_200;

/// What a datagram from the outside is; `None` if it is no packet of QUIC, version 1, that gateways need.
pub fn outside(datagram: &[u8]) -> Option<Outside<'_>> {
    let (&first, rest) = datagram.split_first()?;
    if first & 0x40 == 0 {
        return None;
    }
    if first & 0x80 != 0 {
        let is_ours = rest.starts_with(&[0, 0, 0, 1]);
        return match first >> 4 & 3 {
            0 if is_ours && datagram.len() >= LEAST_INITIAL => Some(Outside::Initial),
            2 if is_ours => Some(Outside::Handshake),
            // 0-RTT is off, and Retry is a server's.
            _ => None,
        };
    }
    rest.first_chunk().map(Outside::Short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages() -> impl Strategy<Value = TunnelMessage> {
        prop_oneof![
            ("[a-z0-9 ]{0,40}", any::<[u8; TAG_KEY]>())
                .prop_map(|(software, key)| TunnelMessage::Gateway { software, key }),
            ("[a-z0-9 ]{0,40}", any::<u16>())
                .prop_map(|(software, udp_port)| TunnelMessage::Edge { software, udp_port }),
            (any::<IpAddr>(), any::<u32>()).prop_map(|(address, seconds)| TunnelMessage::Admit {
                address: address.to_canonical(),
                seconds
            }),
            Just(TunnelMessage::Leaving),
            any::<IpAddr>().prop_map(|address| TunnelMessage::Withdraw { address: address.to_canonical() }),
        ]
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_they_arrive(
            sent in proptest::collection::vec(messages(), 0..6),
            cut in 1..64_usize,
        ) {
            let all: Vec<u8> = sent.iter().flat_map(|message| message.to_bytes()).collect();
            let (mut arrived, mut got) = (BytesMut::new(), Vec::new());
            for piece in all.chunks(cut) {
                arrived.extend_from_slice(piece);
                while let Some(message) = TunnelMessage::take(&mut arrived).unwrap() {
                    got.push(message.unwrap());
                }
            }
            prop_assert_eq!(got, sent);
            prop_assert!(arrived.is_empty());
        }

        #[test]
        fn a_client_s_address_comes_out_as_it_went_in(client: SocketAddr, rest: Vec<u8>) {
            let client = SocketAddr::new(client.ip().to_canonical(), client.port());
            let mut bytes = Vec::new();
            put_head(&mut bytes, client);
            prop_assert!(bytes.len() <= MAX_HEAD);
            let length = bytes.len();
            bytes.extend_from_slice(&rest);
            prop_assert_eq!(read_head(&bytes), Ok((client, length)));
        }

        #[test]
        fn whatever_arrives_is_read_or_refused(bytes: Vec<u8>) {
            let _ = read_head(&bytes);
            let _ = outside(&bytes);
            let mut arrived = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = TunnelMessage::take(&mut arrived) {}
        }
    }

    #[test]
    fn a_message_longer_than_the_limit_is_refused_before_it_is_stored() {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, MAX_TUNNEL_MESSAGE as u64 + 1);
        let refused = TunnelMessage::take(&mut BytesMut::from(&bytes[..]));
        assert!(matches!(refused, Err(WireError::TooMuch { .. })), "{refused:?}");
    }

    #[test]
    fn what_is_no_packet_of_quic_is_told_apart() {
        assert_eq!(outside(b""), None);
        assert_eq!(outside(&[0x16, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        let mut initial = vec![0xC0, 0, 0, 0, 1, 8];
        assert_eq!(outside(&initial), None, "too short to be one");
        initial.resize(1_200, 0);
        assert_eq!(outside(&initial), Some(Outside::Initial));
        initial[4] = 2;
        assert_eq!(outside(&initial), None, "of another version");
        assert_eq!(outside(&[0xE0, 0, 0, 0, 1, 8]), Some(Outside::Handshake));
        assert_eq!(outside(&[0xD0, 0, 0, 0, 1, 8]), None, "0-RTT");
        assert_eq!(outside(&[0xF0, 0, 0, 0, 1, 8]), None, "Retry");
        assert_eq!(outside(&[0x40; 16]), None);
        assert_eq!(outside(&[0x40; 17]), Some(Outside::Short(&[0x40; 16])));
    }
}

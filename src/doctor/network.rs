//! UDP as QUIC needs it, and the ports on which the gateway listens.

use super::Finding;
use super::machine::size;
use quinn::udp::UdpSocketState;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

/// What bursts of a whole screen take while the receiving thread is busy with something else.
const BUFFER_WANTED: usize = 4 << 20;
/// Below this a single screen's worth of packets overflows it.
const BUFFER_NEEDED: usize = 2 << 20;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

pub fn examine(port: u16) -> Vec<Finding> {
    let mut findings = vec![buffer(Direction::Receive), buffer(Direction::Send), batches()];
    findings.push(loopback("UDP on 127.0.0.1", V4));
    findings.push(loopback("UDP on [::1]", V6));
    findings.push(free_port("UDP port, 127.0.0.1", || UdpSocket::bind((V4, port)).map(drop), port));
    findings.push(free_port("TCP port, 127.0.0.1", || TcpListener::bind((V4, port)).map(drop), port));
    if has_v6() {
        findings.push(free_port("UDP port, [::1]", || UdpSocket::bind((V6, port)).map(drop), port));
        findings.push(free_port("TCP port, [::1]", || TcpListener::bind((V6, port)).map(drop), port));
    }
    findings
}

fn has_v6() -> bool {
    UdpSocket::bind((V6, 0)).is_ok()
}

#[derive(Clone, Copy)]
enum Direction {
    Receive,
    Send,
}

fn buffer(direction: Direction) -> Finding {
    let (subject, setting) = match direction {
        Direction::Receive => ("UDP receive buffer", "net.core.rmem_max"),
        Direction::Send => ("UDP send buffer", "net.core.wmem_max"),
    };
    match granted(direction) {
        Ok(bytes) => judge_buffer(subject, setting, bytes),
        Err(error) => Finding::fail(
            subject,
            format!("not to be had: {error}"),
            "without UDP there is no QUIC, only WebSocket",
            "allow chevet UDP sockets: look at its container's or service's restrictions",
        ),
    }
}

fn judge_buffer(subject: &'static str, setting: &str, bytes: usize) -> Finding {
    let found = size(bytes as u64);
    if bytes >= BUFFER_NEEDED {
        return Finding::ok(subject, found, "holds a burst of a whole screen");
    }
    Finding::warn(
        subject,
        found,
        "a burst of a whole screen overflows it: packets are lost and sent again",
        format!("sysctl -w {setting}={BUFFER_WANTED}, and the same in a file in /etc/sysctl.d"),
    )
}

/// The bytes that the kernel grants when asked for what is wanted.
fn granted(direction: Direction) -> io::Result<usize> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    // Linux answers with twice what it grants: the other half is for its own accounts (socket(7)).
    match direction {
        Direction::Receive => {
            socket.set_recv_buffer_size(BUFFER_WANTED)?;
            Ok(socket.recv_buffer_size()? / 2)
        }
        Direction::Send => {
            socket.set_send_buffer_size(BUFFER_WANTED)?;
            Ok(socket.send_buffer_size()? / 2)
        }
    }
}

/// Whether many packets go through one system call, asked of the library that will send them.
fn batches() -> Finding {
    const SUBJECT: &str = "UDP in batches";
    let state = UdpSocket::bind((V4, 0)).and_then(|socket| {
        let state = UdpSocketState::new((&socket).into())?;
        Ok((state.max_gso_segments(), state.gro_segments()))
    });
    match state {
        Ok((out, into)) if out > 1 && into > 1 => Finding::ok(
            SUBJECT,
            format!("sending up to {out}, receiving up to {into}"),
            "many packets for one system call",
        ),
        Ok((out, into)) => Finding::warn(
            SUBJECT,
            format!("sending up to {out}, receiving up to {into}"),
            "one system call a packet: more processor time for the same screens",
            "run on Linux 5.0 or later, outside sandboxes that have a network stack of their own",
        ),
        Err(error) => Finding::fail(
            SUBJECT,
            format!("no UDP socket: {error}"),
            "without UDP there is no QUIC, only WebSocket",
            "allow chevet UDP sockets: look at its container's or service's restrictions",
        ),
    }
}

/// Sends a datagram of QUIC's smallest first packet to ourselves.
fn loopback(subject: &'static str, address: IpAddr) -> Finding {
    match echo(address) {
        Ok(()) => Finding::ok(subject, "a datagram of 1200 bytes came through", "QUIC can run here"),
        Err(error) if address.is_ipv6() => Finding::warn(
            subject,
            error.to_string(),
            "browsers that take localhost for [::1] wait until they have tried 127.0.0.1",
            "sysctl -w net.ipv6.conf.lo.disable_ipv6=0, or use 127.0.0.1 in addresses",
        ),
        Err(error) => Finding::fail(
            subject,
            error.to_string(),
            "without UDP there is no QUIC, only WebSocket",
            "let UDP pass on the interface lo: look at the packet filter (nft list ruleset)",
        ),
    }
}

fn echo(address: IpAddr) -> io::Result<()> {
    let (from, to) = (UdpSocket::bind((address, 0))?, UdpSocket::bind((address, 0))?);
    let sent = [0x5a; 1200];
    from.send_to(&sent, SocketAddr::new(address, to.local_addr()?.port()))?;
    to.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut received = [0; 1500];
    let length = to.recv(&mut received).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::new(io::ErrorKind::TimedOut, "a datagram did not come through")
        }
        _ => error,
    })?;
    if received[..length] == sent { Ok(()) } else { Err(io::Error::other("another datagram came through")) }
}

fn free_port(subject: &'static str, bind: impl FnOnce() -> io::Result<()>, port: u16) -> Finding {
    match bind() {
        Ok(()) => Finding::ok(subject, format!("{port} is free"), "a gateway can listen there"),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::warn(
            subject,
            format!("{port} is in use"),
            "well if that is chevet; if not, a gateway cannot start with its usual port",
            format!("see whose it is with `ss -lntup 'sport = :{port}'`, or choose another port"),
        ),
        Err(error) => Finding::fail(
            subject,
            format!("{port}: {error}"),
            "a gateway cannot listen there",
            "look at the restrictions of the container or service, or choose another port",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_taken_port_is_noticed_and_a_free_one_too() {
        let udp = UdpSocket::bind((V4, 0)).unwrap();
        let port = udp.local_addr().unwrap().port();
        let check = || free_port("UDP", || UdpSocket::bind((V4, port)).map(drop), port).verdict;
        assert_eq!(check(), Verdict::Warn);
        drop(udp);
        assert_eq!(check(), Verdict::Ok);
    }

    #[test]
    fn an_address_that_this_machine_does_not_have_fails() {
        // From the range for documentation (RFC 5737).
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(loopback("UDP", elsewhere).verdict, Verdict::Fail);
        let bind = || TcpListener::bind((elsewhere, 0)).map(drop);
        assert_eq!(free_port("TCP", bind, 0).verdict, Verdict::Fail);
    }

    #[test]
    fn a_buffer_is_judged_by_what_the_kernel_grants() {
        assert_eq!(judge_buffer("b", "s", 212_992).verdict, Verdict::Warn);
        assert_eq!(judge_buffer("b", "s", BUFFER_NEEDED).verdict, Verdict::Ok);
        // Older kernels hide the setting from containers.
        if let Ok(limit) = std::fs::read_to_string("/proc/sys/net/core/rmem_max") {
            let limit: usize = limit.trim().parse().unwrap();
            assert_eq!(granted(Direction::Receive).unwrap(), limit.min(BUFFER_WANTED));
        }
    }
}

//! A client whose packets come from another address, or through another edge, from one moment to the next.

use super::stage::{Folder, SOON, Stage, until, view};
use chevet::client::{Address, Client, Event, Roads};
use chevet::edge::Edge;
use chevet::gateway::{Config, EdgeConfig};
use chevet::link::{Identity, Road, fingerprint_text};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::UdpSocket;

/// A network between a client and an edge, with a way out that can be changed.
struct Network {
    address: SocketAddr,
    way: Arc<Mutex<(Arc<UdpSocket>, SocketAddr)>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    inner: Arc<UdpSocket>,
    client: Arc<Mutex<Option<SocketAddr>>>,
}

impl Network {
    async fn to(edge: SocketAddr) -> Network {
        let inner = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let outer = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let mut network = Network {
            address: inner.local_addr().unwrap(),
            way: Arc::new(Mutex::new((outer.clone(), edge))),
            tasks: Vec::new(),
            inner: inner.clone(),
            client: Arc::default(),
        };
        let (way, client) = (network.way.clone(), network.client.clone());
        network.tasks.push(tokio::spawn(async move {
            let mut packet = vec![0; 65_536];
            while let Ok((length, from)) = inner.recv_from(&mut packet).await {
                *client.lock().unwrap() = Some(from);
                let (socket, edge) = way.lock().unwrap().clone();
                let _ = socket.send_to(&packet[..length], edge).await;
            }
        }));
        network.bring_back(outer);
        network
    }

    fn bring_back(&mut self, outer: Arc<UdpSocket>) {
        let (inner, client) = (self.inner.clone(), self.client.clone());
        self.tasks.push(tokio::spawn(async move {
            let mut packet = vec![0; 65_536];
            while let Ok((length, _)) = outer.recv_from(&mut packet).await {
                let to = *client.lock().unwrap();
                if let Some(to) = to {
                    let _ = inner.send_to(&packet[..length], to).await;
                }
            }
        }));
    }

    /// From now on packets leave by another address, for this edge.
    async fn change(&mut self, edge: SocketAddr) {
        let outer = Arc::new(UdpSocket::bind("127.0.0.2:0").await.unwrap());
        *self.way.lock().unwrap() = (outer.clone(), edge);
        self.bring_back(outer);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.tasks.iter().for_each(|task| task.abort());
    }
}

/// The viewer is shown so many updates more, on the same link.
async fn goes_on(client: &mut Client, updates: usize) {
    let seeing = async {
        let mut seen = 0;
        while seen < updates {
            match client.next().await.expect("the link stays") {
                Event::Updated(_) => seen += 1,
                Event::Attached { .. } => panic!("the link was lost and made anew"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(SOON, seeing).await.expect("the viewer goes on");
}

/// A gateway with two edges, the second one in a folder of its own.
async fn two_edges() -> (Stage, Edge, Folder) {
    let other = Folder::new();
    let theirs = Identity::kept(&other.0.join("edge/tunnel.pem")).unwrap();
    let stage = Stage::open().await.ready().await;
    // The gateway is started again with a second edge.
    let Stage { folder, settings, mut config, edge, gateway } = stage;
    gateway.stop().await;
    let second = chevet::edge::Config {
        listen: vec![([127, 0, 0, 1], 0).into()],
        inside: ([127, 0, 0, 1], 0).into(),
        state_directory: Some(other.0.join("edge")),
        ..settings.clone()
    };
    let second = Edge::start(&second).await.unwrap();
    config.edges.push(EdgeConfig {
        address: second.inside().to_string(),
        fingerprint: fingerprint_text(&theirs.fingerprint()),
        ..config.edges[0].clone()
    });
    let gateway = chevet::gateway::Gateway::start(&Config::clone(&config)).await.unwrap();
    let stage = Stage { folder, settings, config, edge, gateway };
    let first = stage.edge.as_ref().unwrap();
    until("both edges have a tunnel", || first.gateways() == 1 && second.gateways() == 1).await;
    (stage, second, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_keeps_its_link_when_its_address_changes_and_when_another_edge_serves_it() {
    let (stage, second, _folder) = two_edges().await;
    view(stage.address("pattern"), Roads::OnlyWebSocket).await.unwrap().close().await;

    let mut network = Network::to(stage.outside()).await;
    let mut address = stage.address("pattern");
    address.target.udp_port = Some(network.address.port());
    let mut client = view(address, Roads::OnlyQuic).await.unwrap();
    assert_eq!(client.road(), Some(Road::Quic));
    goes_on(&mut client, 5).await;
    // 127.0.0.2 was never admitted: what is known is the connection.
    network.change(stage.outside()).await;
    goes_on(&mut client, 15).await;
    network.change(second.addresses()[0]).await;
    goes_on(&mut client, 15).await;
    assert_eq!(client.mismatches(), 0);
    client.close().await;
    stage.close().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_given_two_edges_goes_on_by_the_other_one_when_its_own_is_gone() {
    let (mut stage, second, _folder) = two_edges().await;
    let address = stage.address("pattern");
    let mut other = address.clone();
    (other.target.udp_port, other.target.tcp_port) =
        (Some(second.addresses()[0].port()), Some(second.addresses()[0].port()));
    let (nearest, spares) = Address::nearest(vec![address, other]).await.unwrap();
    assert_eq!(spares.len(), 1);
    let first_port = nearest.target.tcp_port;
    let mut client = view(nearest, Roads::All).await.unwrap();
    client.spare(spares);
    let (first, left) = (stage.edge.take().unwrap(), second);
    let (gone, left) =
        if first.addresses()[0].port() == first_port.unwrap() { (first, left) } else { (left, first) };
    gone.stop().await;
    let returning = async {
        let (mut silent, mut attached) = (false, false);
        loop {
            match client.next().await.expect("the client stays") {
                Event::Silent(_) => silent = true,
                Event::Attached { .. } => attached = silent,
                Event::Exact if attached => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(SOON, returning).await.expect("the viewer goes on");
    assert_eq!(client.address().target.tcp_port, Some(left.addresses()[0].port()));
    assert_eq!(client.mismatches(), 0);
    client.close().await;
    stage.close().await;
    left.stop().await;
}

//! Which of several gateways to dial: the nearest one that answers.

use super::address::target_of;
use super::{Address, Site};
use crate::link::{Proxy, Target, connect_tcp};
use crate::site::Nearest;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// One that does not answer so soon is taken for gone.
const ANSWERS_WITHIN: Duration = Duration::from_millis(1_000);
/// Each is dialled so often: once may have been bad luck.
const TIMES: usize = 3;
/// Once one has answered as often, others have as long again, and this long: those that need more are farther away.
const MEASURED_AFTER: Duration = Duration::from_millis(50);

/// Where a gateway's TCP is dialled.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    host: String,
    port: u16,
}

/// What can be dialled.
pub(super) trait Dialled {
    fn place(&self) -> Option<(&str, u16)>;
    fn proxy(&self) -> Option<&Arc<Proxy>>;
}

impl Dialled for Target {
    fn place(&self) -> Option<(&str, u16)> {
        Some((&self.host, self.tcp_port?))
    }

    fn proxy(&self) -> Option<&Arc<Proxy>> {
        self.proxy.as_ref()
    }
}

impl Dialled for Site {
    fn place(&self) -> Option<(&str, u16)> {
        Some((&self.host, self.port))
    }

    fn proxy(&self) -> Option<&Arc<Proxy>> {
        self.proxy.as_ref()
    }
}

impl Dialled for Address {
    fn place(&self) -> Option<(&str, u16)> {
        self.target.place()
    }

    fn proxy(&self) -> Option<&Arc<Proxy>> {
        self.target.proxy()
    }
}

/// What is known of gateways' distances.
#[derive(Default)]
pub(super) struct Distances(Mutex<Nearest<Place>>);

impl Distances {
    /// Dials all of them, and puts those that answer before the others, the nearest first.
    pub async fn order<G: Dialled>(&self, mut gateways: Vec<G>) -> Vec<G> {
        if gateways.len() < 2 {
            return gateways;
        }
        let begun = Instant::now();
        let mut measuring: FuturesUnordered<_> =
            gateways.iter().map(|gateway| self.measure(gateway)).collect();
        while let Some(answered) = measuring.next().await {
            if answered {
                let left = begun.elapsed() + MEASURED_AFTER;
                let _ = timeout(left, async { while measuring.next().await.is_some() {} }).await;
                break;
            }
        }
        drop(measuring);
        let places: Vec<Place> = gateways.iter().filter_map(place_of).collect();
        let order = self.0.lock().unwrap_or_else(PoisonError::into_inner).order(&places);
        gateways.sort_by_key(|gateway| {
            let place = place_of(gateway);
            order.iter().position(|known| Some(known) == place.as_ref()).unwrap_or(usize::MAX)
        });
        gateways
    }

    /// The nearest one; the first one, if none can be reached by TCP.
    pub async fn pick<G: Dialled>(&self, gateways: Vec<G>) -> Option<G> {
        self.order(gateways).await.into_iter().next()
    }

    /// Whether it answered each time.
    async fn measure(&self, gateway: &impl Dialled) -> bool {
        let Some(place) = place_of(gateway) else { return false };
        let mut always = true;
        for _ in 0..TIMES {
            let begun = Instant::now();
            let proxy = gateway.proxy().map(Arc::as_ref);
            let dialled = timeout(ANSWERS_WITHIN, connect_tcp(&place.host, place.port, proxy)).await;
            let took = begun.elapsed().as_micros() as u64;
            let mut nearest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match dialled {
                Ok(Ok(_)) => nearest.answered(&place, took),
                _ => {
                    nearest.did_not_answer(&place);
                    always = false;
                }
            }
        }
        always
    }
}

fn place_of(gateway: &impl Dialled) -> Option<Place> {
    let (host, port) = gateway.place()?;
    Some(Place { host: host.to_owned(), port })
}

impl Address {
    /// Of addresses of one session at several gateways, or edges, that of the nearest one that answers; and where else it is to
    /// be had.
    pub async fn nearest(addresses: Vec<Address>) -> Option<(Address, Vec<Target>)> {
        let mut order = Distances::default().order(addresses).await.into_iter();
        let first = order.next()?;
        Some((first, order.map(|address| address.target).collect()))
    }
}

impl Site {
    /// The sites, the nearest one that answers first.
    pub async fn by_distance(sites: Vec<Site>) -> Vec<Site> {
        Distances::default().order(sites).await
    }

    /// How those of them are dialled that say it.
    pub async fn targets(sites: &[Site]) -> Vec<Target> {
        join_all(sites.iter().map(target_of)).await.into_iter().filter_map(Result::ok).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    fn target(port: u16, proxy: Option<&Arc<Proxy>>) -> Target {
        Target {
            host: "127.0.0.1".into(),
            udp_port: None,
            tcp_port: Some(port),
            tls: true,
            pins: Vec::new(),
            proxy: proxy.cloned(),
        }
    }

    #[tokio::test]
    async fn a_gateway_that_does_not_answer_is_not_picked() {
        let ((gone, gone_port), (_there, port)) = (listener().await, listener().await);
        let both = vec![target(gone_port, None), target(port, None)];
        drop(gone);
        assert_eq!(Distances::default().pick(both.clone()).await, Some(both[1].clone()));
        assert_eq!(Distances::default().pick(Vec::<Target>::new()).await, None);
    }

    /// A proxy on the way to gateways that answer after so many milliseconds; to 0 it never does.
    async fn network(answers: fn(u16) -> u64) -> Arc<Proxy> {
        let (listener, port) = listener().await;
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut asked = [0; 256];
                    let length = stream.read(&mut asked).await.unwrap();
                    let words = String::from_utf8_lossy(&asked[..length]).into_owned();
                    let to = words.split([':', ' ']).nth(2).unwrap().parse().unwrap();
                    match answers(to) {
                        0 => std::future::pending().await,
                        after => tokio::time::sleep(Duration::from_millis(after)).await,
                    }
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                });
            }
        });
        Proxy::wanted(Some(&format!("http://127.0.0.1:{port}")), None, |_| None).unwrap().unwrap()
    }

    #[tokio::test]
    async fn the_nearest_of_several_gateways_comes_first_and_one_that_is_silent_last_and_keeps_nobody_waiting()
     {
        let proxy = network(|port| match port {
            1 => 0,
            2 => 60,
            _ => 5,
        })
        .await;
        let all: Vec<Target> = [1, 2, 3].map(|port| target(port, Some(&proxy))).into();
        let begun = Instant::now();
        let (distances, ports) = (Distances::default(), |order: Vec<Target>| -> Vec<u16> {
            order.iter().filter_map(|target| target.tcp_port).collect()
        });
        let order = ports(distances.order(all.clone()).await);
        assert_eq!((order[0], begun.elapsed() < ANSWERS_WITHIN), (3, true), "{order:?}");
        // The nearest is gone.
        assert_eq!(ports(distances.order(all[..2].to_vec()).await)[0], 2);
        let address = |target: &Target| Address {
            target: target.clone(),
            session: "desk".into(),
            ticket: Vec::new(),
            holder: None,
        };
        let (first, others) = Address::nearest(all.iter().map(address).collect()).await.unwrap();
        assert_eq!((first.target.tcp_port, others.len()), (Some(3), 2));
    }
}

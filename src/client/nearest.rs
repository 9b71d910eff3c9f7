//! Which of several gateways to dial: the nearest one that answers.

use crate::link::{Target, connect_tcp};
use crate::site::Nearest;
use futures_util::future::join_all;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One that does not answer so soon is taken for gone.
const ANSWERS_WITHIN: Duration = Duration::from_millis(1_000);
/// Each is dialled so often: once may have been bad luck.
const TIMES: usize = 3;

/// What is known of gateways' distances.
#[derive(Default)]
pub struct Distances(Mutex<Nearest<(String, u16)>>);

impl Distances {
    /// Dials all of them and picks the nearest; the first one, if none can be reached by TCP.
    pub async fn pick(&self, gateways: Vec<Target>) -> Option<Target> {
        if gateways.len() > 1 {
            join_all(gateways.iter().map(async |gateway| {
                for _ in 0..TIMES {
                    self.measure(gateway).await;
                }
            }))
            .await;
        }
        let places: Vec<(String, u16)> = gateways.iter().filter_map(place_of).collect();
        let order = self.0.lock().unwrap_or_else(PoisonError::into_inner).order(&places);
        let first = order.first();
        let at = gateways.iter().position(|gateway| place_of(gateway).as_ref() == first).unwrap_or(0);
        gateways.into_iter().nth(at)
    }

    async fn measure(&self, gateway: &Target) {
        let Some(place) = place_of(gateway) else { return };
        let begun = Instant::now();
        let dialled =
            tokio::time::timeout(ANSWERS_WITHIN, connect_tcp(&place.0, place.1, gateway.proxy.as_deref()))
                .await;
        let took = begun.elapsed().as_micros() as u64;
        let mut nearest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match dialled {
            Ok(Ok(_)) => nearest.answered(&place, took),
            _ => nearest.did_not_answer(&place),
        }
    }
}

fn place_of(gateway: &Target) -> Option<(String, u16)> {
    Some((gateway.host.clone(), gateway.tcp_port?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gateway_that_does_not_answer_is_not_picked() {
        let there = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = |listener: &tokio::net::TcpListener| Target {
            host: "127.0.0.1".into(),
            udp_port: None,
            tcp_port: Some(listener.local_addr().unwrap().port()),
            tls: true,
            pins: Vec::new(),
            proxy: None,
        };
        let both = vec![target(&gone), target(&there)];
        drop(gone);
        assert_eq!(Distances::default().pick(both.clone()).await, Some(both[1].clone()));
        assert_eq!(Distances::default().pick(Vec::new()).await, None);
    }
}

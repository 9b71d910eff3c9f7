//! Somebody who types all the time, in a thread of their own on a node of the network.

use crate::enter::enter;
use crate::stage::SOON;
use crate::typist::{Terminal, Typist, until_exact};
use chevet::client::{Address, Client, ClientError};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

enum Order {
    /// All that was typed is to have arrived once, and the screen to be exact.
    Settle(Sender<()>),
    Leave,
}

pub struct Person {
    pub name: &'static str,
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

impl Person {
    pub fn sit(name: &'static str, namespace: String, address: Address, terminal: Terminal) -> Person {
        let (orders, asked) = channel();
        let work = move || {
            enter(&namespace);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(live(address, &terminal, &asked));
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(work).unwrap();
        Person { name, orders, thread: Some(thread) }
    }

    /// Waits until all that they typed has arrived once and what they see is exact; the time that it took.
    pub fn settle(&mut self) -> Duration {
        let begun = Instant::now();
        let (done, settled) = channel();
        let asked = self.orders.send(Order::Settle(done)).is_ok() && settled.recv().is_ok();
        if !asked && let Some(Err(reason)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(reason);
        }
        assert!(asked, "{} has left", self.name);
        begun.elapsed()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Leave);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn live(address: Address, terminal: &Terminal, orders: &Receiver<Order>) {
    let mut client = connect(address).await;
    until_exact(&mut client).await;
    let mut typist = Typist::default();
    loop {
        match orders.try_recv() {
            Ok(Order::Settle(done)) => {
                // There is a gateway again, and it takes what is typed.
                let (typed, end) = (typist.typed.len(), Instant::now() + SOON);
                while typist.typed.len() < typed + 5 || client.input_waiting() > 0 {
                    assert!(Instant::now() < end, "{}", complaint(&client, &typist));
                    match typist.typed.len() < typed + 5 {
                        true => typist.strike(&mut client).await,
                        false => typist.look(&mut client, Duration::from_millis(20)).await,
                    }
                }
                typist.all_arrived(&mut client, terminal).await;
                until_exact(&mut client).await;
                assert_eq!(client.mismatches(), 0, "a screen was not what it was proven to be");
                let _ = done.send(());
            }
            Ok(Order::Leave) | Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
            Err(std::sync::mpsc::TryRecvError::Empty) => {
                typist.strike(&mut client).await;
                typist.look(&mut client, Duration::from_millis(30)).await;
            }
        }
    }
}

fn complaint(client: &Client, typist: &Typist) -> String {
    format!(
        "nothing takes what is typed: by {:?}, attached {} times, {} letters typed, {} events wait, at {}",
        client.road(),
        typist.attached,
        typist.typed.len(),
        client.input_waiting(),
        client.address().target.host,
    )
}

/// Whoever comes before the session does tries again.
async fn connect(address: Address) -> Client {
    let end = Instant::now() + SOON;
    loop {
        let error = match Client::connect(address.clone()).await {
            Ok(client) => match first(client).await {
                Ok(client) => return client,
                Err(error) => error,
            },
            Err(error) => error,
        };
        assert!(Instant::now() < end, "never attached: {error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn first(mut client: Client) -> Result<Client, ClientError> {
    while client.screen().is_none() {
        client.next().await?;
    }
    Ok(client)
}

//! Somebody who types all the time, in a thread of their own on a node of the network.

use crate::enter::enter;
use crate::stage::SOON;
use crate::typist::{Terminal, Typist, until_exact};
use chevet::client::{Address, Client, ClientError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

enum Order {
    /// All that was typed is to have arrived once, and the screen to be exact. Letters from this one on may have come twice.
    Settle(Option<usize>, Sender<()>),
    Leave,
}

pub struct Person {
    pub name: &'static str,
    orders: Sender<Order>,
    /// Letters whose arrival was acknowledged.
    acknowledged: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Person {
    pub fn sit(name: &'static str, namespace: String, address: Address, terminal: Terminal) -> Person {
        let (orders, asked) = channel();
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let told = acknowledged.clone();
        let work = move || {
            enter(&namespace);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(live(address, &terminal, &asked, &told));
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(work).unwrap();
        Person { name, orders, acknowledged, thread: Some(thread) }
    }

    /// How many letters are acknowledged: those before that must have arrived once, whatever happens.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until all that they typed has arrived once and what they see is exact; the time that it took. `doubtful`: the
    /// process died that knew which letters from this one on had arrived, so some of them may have come twice.
    pub fn settle(&mut self, doubtful: Option<usize>) -> Duration {
        let begun = Instant::now();
        let (done, settled) = channel();
        let asked = self.orders.send(Order::Settle(doubtful, done)).is_ok() && settled.recv().is_ok();
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

async fn live(address: Address, terminal: &Terminal, orders: &Receiver<Order>, acknowledged: &AtomicUsize) {
    let mut client = connect(address).await;
    until_exact(&mut client).await;
    let mut typist = Typist::default();
    loop {
        match orders.try_recv() {
            Ok(Order::Settle(doubtful, done)) => {
                // There is a gateway again, and it takes what is typed.
                let (typed, end) = (typist.typed.len(), Instant::now() + SOON);
                while typist.typed.len() < typed + 5 || client.input_waiting() > 0 {
                    assert!(Instant::now() < end, "{}", complaint(&client, &typist));
                    match typist.typed.len() < typed + 5 {
                        true => typist.strike(&mut client).await,
                        false => typist.look(&mut client, Duration::from_millis(20)).await,
                    }
                }
                if let Some(from) = doubtful {
                    let end = Instant::now() + SOON;
                    while !came(&typist.typed, &terminal.arrived(), from) && Instant::now() < end {
                        typist.look(&mut client, Duration::from_millis(100)).await;
                    }
                    let arrived = terminal.arrived();
                    assert!(came(&typist.typed, &arrived, from), "of {} came {arrived}", typist.typed);
                    typist.typed = arrived;
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
                // A letter is a key down and a key up.
                let waiting = client.input_waiting().div_ceil(2);
                acknowledged.store(typist.typed.len().saturating_sub(waiting), Ordering::SeqCst);
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

/// Whether all letters came in order, each once, but for some from `from` on that came again in one piece.
fn came(typed: &str, arrived: &str, from: usize) -> bool {
    let Some(again) = arrived.len().checked_sub(typed.len()) else { return false };
    (from + again..=typed.len())
        .any(|at| arrived.get(..at) == typed.get(..at) && arrived.get(at..) == typed.get(at - again..))
}

#[test]
fn only_what_was_not_acknowledged_may_come_again_and_nothing_may_be_missing() {
    for (arrived, right) in [
        ("abcdef", true),
        ("abcdcdef", true),
        ("abcdefef", true),
        ("ababcdef", false),
        ("abcef", false),
        ("abcdce", false),
        ("abdcef", false),
    ] {
        assert_eq!(came("abcdef", arrived, 2), right, "{arrived}");
    }
}

//! Packets to one client, handed to the kernel at once: segments of one length, of which the last may be shorter.

use std::net::SocketAddr;

/// What is handed over at once, in bytes: a little less than a datagram may have.
const MOST_BYTES: usize = 65_000;

/// Packets that wait for more of their client.
#[derive(Default)]
pub(super) struct Joined {
    client: Option<SocketAddr>,
    bytes: Vec<u8>,
    /// Of each packet but the last.
    length: usize,
    count: usize,
    /// Nothing goes behind a shorter packet.
    is_full: bool,
}

impl Joined {
    /// Adds a packet, of at most `most` that go at once. What cannot go together with it is sent first: `send` is given the
    /// client, its packets and the length of each.
    pub fn add(
        &mut self,
        client: SocketAddr,
        packet: &[u8],
        most: usize,
        send: impl FnMut(SocketAddr, &[u8], usize),
    ) {
        // One that is longer than the next may ask how much the path takes: what the path does not take would lose the next
        // one, too, and have the kernel's segments given up.
        let fits = self.client == Some(client)
            && !self.is_full
            && (packet.len() == self.length || packet.len() < self.length && self.count > 1)
            && self.count < most
            && self.bytes.len() + packet.len() <= MOST_BYTES;
        if !fits {
            self.flush(send);
            (self.client, self.length) = (Some(client), packet.len());
        }
        self.bytes.extend_from_slice(packet);
        self.count += 1;
        self.is_full = packet.len() < self.length;
    }

    /// Sends what waits.
    pub fn flush(&mut self, mut send: impl FnMut(SocketAddr, &[u8], usize)) {
        if let Some(client) = self.client.take() {
            send(client, &self.bytes, self.length);
        }
        self.bytes.clear();
        (self.count, self.is_full) = (0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client(number: u8) -> SocketAddr {
        ([10, 0, 0, number], 40_000).into()
    }

    #[test]
    fn packets_of_one_client_go_together_and_a_shorter_one_is_the_last_of_them() {
        let (mut joined, mut sent) = (Joined::default(), Vec::new());
        for (to, length) in [(1, 9), (1, 9), (1, 4), (1, 9), (2, 9), (2, 10), (2, 10), (2, 10), (2, 10)] {
            joined.add(client(to), &vec![to; length], 3, |_, bytes, each| sent.push((bytes.len(), each)));
        }
        joined.flush(|_, bytes, each| sent.push((bytes.len(), each)));
        assert_eq!(sent, [(22, 9), (9, 9), (9, 9), (30, 10), (10, 10)]);
    }

    #[test]
    fn nothing_is_lost_with_a_packet_that_asks_how_much_the_path_takes() {
        let (mut joined, mut sent) = (Joined::default(), Vec::new());
        for length in [9, 9, 12, 9, 9, 3] {
            joined.add(client(1), &vec![1; length], 64, |_, bytes, each| sent.push((bytes.len(), each)));
        }
        joined.flush(|_, bytes, each| sent.push((bytes.len(), each)));
        assert_eq!(sent, [(18, 9), (12, 12), (21, 9)]);
    }

    /// Mostly one client's, and full, as of an update.
    fn to() -> impl Strategy<Value = u8> {
        prop_oneof![200 => Just(0_u8), 1 => 1_u8..3]
    }

    fn length() -> impl Strategy<Value = usize> {
        prop_oneof![200 => Just(1_400_usize), 1 => 1_usize..1_500]
    }

    proptest! {
        #[test]
        fn every_packet_goes_once_whole_and_in_its_clients_order(
            packets in proptest::collection::vec((to(), length()), 0..250),
            most in 1_usize..=64,
        ) {
            let (mut joined, mut sent) = (Joined::default(), Vec::new());
            let mut take = |to: SocketAddr, bytes: &[u8], each: usize| {
                assert!(bytes.len() <= MOST_BYTES && bytes.len().div_ceil(each) <= most);
                sent.extend(bytes.chunks(each).map(|packet| (to, packet.to_vec())));
            };
            let packets: Vec<_> = (0_u8..).zip(packets).map(|(number, (to, length))| (client(to), vec![number; length])).collect();
            for (to, packet) in &packets {
                joined.add(*to, packet, most, &mut take);
            }
            joined.flush(&mut take);
            prop_assert_eq!(sent, packets);
        }
    }
}

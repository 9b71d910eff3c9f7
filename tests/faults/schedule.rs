//! What goes wrong and in which order: of a seed alone.

use crate::network::Node;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// kill -9, and started again.
    Kill(Node),
    /// SIGSTOP for 10 s.
    Stop(Node),
    /// The two do not hear each other for 8 s.
    Cut(Node, Node),
    /// 5 % of what it sends and is sent is lost for 8 s.
    Loss(Node),
    RestartDatabase,
    /// The clock of the gateway that has one of its own is off by these seconds from now on.
    Clock(i32),
    /// No byte more can be written to its state for 5 s.
    DiskFull(usize),
    /// Its certificate is another one, and it is reloaded.
    NewCertificate(usize),
    /// The edge is started with a certificate that ends meanwhile.
    EdgeCertificateEnds(usize),
    /// It is asked to go, and started again.
    Drain(usize),
}

/// Which gateway's clock can be set.
pub const WITH_CLOCK: usize = 0;

/// Numbers that follow from a seed: splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

const KINDS: usize = 17;

fn fault(kind: usize, random: &mut Random) -> Fault {
    let gateway = random.below(3);
    let edge = random.below(2);
    let host = random.below(2);
    match kind {
        0 => Fault::Kill(Node::Gateway(gateway)),
        1 => Fault::Kill(Node::Edge(edge)),
        2 => Fault::Kill(Node::Host(host)),
        3 => Fault::Stop(Node::Gateway(gateway)),
        4 => Fault::Stop(Node::Edge(edge)),
        5 => Fault::Cut(Node::Gateway(gateway), Node::Database),
        6 => Fault::Cut(Node::Gateway(gateway), Node::Gateway((gateway + 1) % 3)),
        7 => Fault::Cut(Node::Gateway(gateway), Node::Edge(edge)),
        8 => Fault::Cut(Node::Gateway(gateway), Node::Inside),
        9 => Fault::Cut(Node::Gateway(gateway), Node::Host(host)),
        10 => Fault::Loss(match random.below(3) {
            0 => Node::Host(host),
            1 => Node::Edge(edge),
            _ => Node::Gateway(gateway),
        }),
        11 => Fault::RestartDatabase,
        12 => Fault::Clock([3_600, -3_600, 86_400, -60, 30][random.below(5)]),
        13 => Fault::DiskFull(gateway),
        14 => Fault::NewCertificate(gateway),
        15 => Fault::EdgeCertificateEnds(edge),
        _ => Fault::Drain(gateway),
    }
}

/// One of each kind, in an order and on machines that follow from the seed.
pub fn one_of_each(seed: u64) -> Vec<Fault> {
    let mut random = Random(seed);
    let mut kinds: Vec<usize> = (0..KINDS).collect();
    for at in (1..KINDS).rev() {
        kinds.swap(at, random.below(at + 1));
    }
    kinds.into_iter().map(|kind| fault(kind, &mut random)).collect()
}

#[test]
fn a_schedule_follows_from_its_seed_and_has_one_of_each() {
    assert_eq!(one_of_each(7), one_of_each(7));
    assert_ne!(one_of_each(7), one_of_each(8));
    for seed in 0..50 {
        let all = one_of_each(seed);
        let kinds: std::collections::HashSet<_> = all.iter().map(std::mem::discriminant).collect();
        assert!(all.len() == KINDS && kinds.len() == 10, "{all:?}");
    }
}

//! A UDP socket of which another process may take over the receiving end: what is said before the end still goes out.

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use std::io::{IoSliceMut, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

#[derive(Debug)]
pub struct Gate {
    socket: Arc<dyn AsyncUdpSocket>,
    shut: AtomicBool,
}

impl Gate {
    pub(super) fn new(socket: Arc<dyn AsyncUdpSocket>) -> Arc<Gate> {
        Arc::new(Gate { socket, shut: AtomicBool::new(false) })
    }

    /// Receives nothing from now on. What waits in the kernel is for whoever else has the socket.
    pub fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
    }
}

impl AsyncUdpSocket for Gate {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<Result<usize>> {
        match self.shut.load(Ordering::SeqCst) {
            true => Poll::Pending,
            false => self.socket.poll_recv(context, buffers, meta),
        }
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

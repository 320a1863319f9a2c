//! A network that can be told to fail: it stands between two ends, and swallows what they say without a word, or cuts them off.

use std::net::SocketAddr;
use tokio::io::{copy, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of connections, old and new.
#[derive(Clone, Copy)]
struct Network {
    /// What is sent goes nowhere, and nobody is told so. A connection that this once happened to is lost for good.
    swallows: bool,
    /// How often all connections were cut off.
    resets: u64,
}

/// A port whose connections lead to another.
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A sound network to `to`.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind(crate::process::free_address()).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let network = watch::Sender::new(Network { swallows: false, resets: 0 });
        let seen = network.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, to, seen.subscribe()));
            }
        });
        Self { address, network, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing passes, and no end is told. New connections are taken, and no more comes of them.
    pub fn swallow(&self) {
        self.network.send_modify(|network| network.swallows = true);
    }

    /// New connections pass again. Those that were there stay dead, and neither end is told.
    pub fn heal(&self) {
        self.network.send_modify(|network| network.swallows = false);
    }

    /// Cuts all connections off: both ends are told.
    pub fn reset(&self) {
        self.network.send_modify(|network| network.resets += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.reset();
    }
}

async fn carry(mut near: TcpStream, to: SocketAddr, mut network: watch::Receiver<Network>) {
    let Network { swallows, resets } = *network.borrow();
    let mut far = None;
    if !swallows {
        let Ok(stream) = TcpStream::connect(to).await else {
            let _ = near.set_zero_linger();
            return;
        };
        let far = far.insert(stream);
        let delays = [near.set_nodelay(true), far.set_nodelay(true)];
        debug_assert!(delays.iter().all(Result::is_ok));
        tokio::select! {
            _ = copy_bidirectional(&mut near, far) => return,
            _ = network.wait_for(|now| now.swallows || now.resets > resets) => {}
        }
    }
    let (mut nobody, mut no_one) = (sink(), sink());
    let reads = async {
        // An end that hangs up is read to its end, and the other is not told.
        match &mut far {
            Some(far) => drop(tokio::join!(copy(&mut near, &mut nobody), copy(far, &mut no_one))),
            None => drop(copy(&mut near, &mut nobody).await),
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = reads => {}
        _ = network.wait_for(|now| now.resets > resets) => {}
    }
    for stream in [Some(&near), far.as_ref()].into_iter().flatten() {
        let _ = stream.set_zero_linger();
    }
}

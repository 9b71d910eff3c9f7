//! The first words of a TLS connection: all that the edge reads of it.

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A ClientHello is no longer, in bytes. Post-quantum keys and long names are some 2 KiB.
const MOST: usize = 16 << 10;

/// Why a connection's beginning is not let through.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoHello {
    /// It ended, or is no TLS.
    NotTls,
    /// It names no server, or another one.
    Name,
}

/// Reads a whole ClientHello that names one of `names` (lower case; none: anything is right). What was read is in `read`, and
/// may hold more than the hello. It may begin with what `read` holds already.
pub(super) async fn hello(
    from: &mut (impl AsyncRead + Unpin),
    read: &mut Vec<u8>,
    names: &[String],
) -> Result<(), NoHello> {
    let mut acceptor = Acceptor::default();
    let mut taken = 0;
    loop {
        while taken < read.len() {
            match acceptor.read_tls(&mut &read[taken..]) {
                Ok(0) => break,
                Ok(count) => taken += count,
                Err(_) => return Err(NoHello::NotTls),
            }
        }
        if let Some(accepted) = acceptor.accept().map_err(|_| NoHello::NotTls)? {
            let name = accepted.client_hello().server_name().map(str::to_ascii_lowercase);
            let right = names.is_empty() || name.is_some_and(|name| names.contains(&name));
            return if right { Ok(()) } else { Err(NoHello::Name) };
        }
        if read.len() >= MOST {
            return Err(NoHello::NotTls);
        }
        // What comes at once is read at once; what is beyond the hello goes through like the rest.
        match from.read_buf(read).await {
            Ok(0) | Err(_) => return Err(NoHello::NotTls),
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::crypto::aws_lc_rs as provider;
    use std::sync::Arc;

    fn client_hello(name: &'static str) -> Vec<u8> {
        let roots = rustls::RootCertStore::empty();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    async fn heard(bytes: &[u8], piece: usize, names: &[&str]) -> (Result<(), NoHello>, Vec<u8>) {
        let (mut near, far) = tokio::io::duplex(piece);
        let all = bytes.to_vec();
        tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut near, &all).await });
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let (mut far, mut read) = (far, Vec::new());
        let answer = hello(&mut far, &mut read, &names).await;
        (answer, read)
    }

    #[tokio::test]
    async fn a_hello_for_a_right_name_is_read_whole_and_kept_however_it_arrives() {
        let bytes = client_hello("Chevet.example");
        for piece in [1, 7, 100_000] {
            let (answer, read) = heard(&bytes, piece, &["other.example", "chevet.example"]).await;
            assert_eq!((answer, &read), (Ok(()), &bytes));
        }
        assert_eq!(heard(&bytes, 50, &[]).await.0, Ok(()));
    }

    #[tokio::test]
    async fn a_hello_for_another_name_or_none_goes_no_further() {
        assert_eq!(
            heard(&client_hello("elsewhere.example"), 50, &["chevet.example"]).await.0,
            Err(NoHello::Name)
        );
        assert_eq!(heard(&client_hello("192.0.2.1"), 50, &["chevet.example"]).await.0, Err(NoHello::Name));
    }

    #[tokio::test]
    async fn what_is_no_tls_or_never_ends_goes_no_further() {
        assert_eq!(heard(b"GET / HTTP/1.1\r\n\r\n", 50, &[]).await.0, Err(NoHello::NotTls));
        let hello = client_hello("chevet.example");
        assert_eq!(heard(&hello[..hello.len() - 1], 50, &[]).await.0, Err(NoHello::NotTls));
        // Records of a handshake that promises more than anybody would say.
        let mut endless = vec![0x16, 3, 1, 0x40, 0];
        endless.extend_from_slice(&[1, 0xFF, 0xFF, 0xFF]);
        endless.resize(5 + 0x4000, 0);
        let endless = endless.repeat(8);
        assert_eq!(heard(&endless, 4_096, &[]).await.0, Err(NoHello::NotTls));
    }
}

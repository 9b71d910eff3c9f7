//! VncAuth: a challenge, encrypted by DES with the password. It hides the password from who listens, and no more.

use des::Des;
use des::cipher::{Block, BlockCipherEncrypt, KeyInit};

pub(super) const CHALLENGE: usize = 16;

/// What proves that the password is known: of it, the first 8 bytes count.
pub(super) fn response(password: &str, challenge: &[u8; CHALLENGE]) -> [u8; CHALLENGE] {
    let mut key = [0u8; 8];
    // VNC takes the bits of each byte in the other order.
    key.iter_mut().zip(password.bytes()).for_each(|(key, byte)| *key = byte.reverse_bits());
    let cipher = Des::new(&key.into());
    let mut answer = *challenge;
    let (halves, _) = answer.as_chunks_mut::<8>();
    for half in halves {
        let mut block = Block::<Des>::from(*half);
        cipher.encrypt_block(&mut block);
        *half = block.into();
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_key_and_block_give_the_published_ciphertext() {
        // FIPS 81's example, with the cipher itself: as a password its key would be no text.
        let key = [0x01u8, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
        let cipher = Des::new(&key.into());
        let mut block = Block::<Des>::from(*b"Now is t");
        cipher.encrypt_block(&mut block);
        assert_eq!(<[u8; 8]>::from(block), [0x3f, 0xa4, 0x0e, 0x8a, 0x98, 0x4d, 0x48, 0x15]);
    }

    #[test]
    fn only_the_first_eight_bytes_of_a_password_count() {
        let challenge = *b"sixteen bytes !!";
        assert_eq!(response("12345678", &challenge), response("123456789", &challenge));
        assert_ne!(response("12345678", &challenge), response("1234567", &challenge));
        assert_ne!(response("", &challenge), challenge);
    }
}

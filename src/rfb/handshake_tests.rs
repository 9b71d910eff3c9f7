//! The handshake against servers of every age.

use super::*;

fn with_password() -> Credentials {
    Credentials { user: None, password: Some("secret".into()) }
}

/// What a client says to this, fed in these pieces, or why it gives up.
fn said(encryption: Encryption, credentials: Credentials, pieces: &[&[u8]]) -> Result<Vec<Step>, RfbError> {
    let mut handshake = Handshake::new(encryption, credentials);
    let mut steps = Vec::new();
    for piece in pieces {
        steps.extend(handshake.feed(piece)?);
    }
    Ok(steps)
}

fn init() -> Vec<u8> {
    let mut init = vec![2, 128, 1, 224];
    init.extend([0; 16]);
    init.extend([0, 0, 0, 4]);
    init.extend(b"desk");
    init
}

fn send(bytes: &[u8]) -> Step {
    Step::Send(bytes.to_vec())
}

fn ready(minor: u32, security: Security) -> Step {
    Step::Ready(Server { minor, security, width: 640, height: 480, name: "desk".into() })
}

#[test]
fn each_version_is_spoken_as_it_was_written() {
    let [never, nobody] = [Encryption::Never, Encryption::Never];
    let steps = said(never, Credentials::default(), &[b"RFB 003.003\n", &[0, 0, 0, 1], &init()]).unwrap();
    assert_eq!(steps, [send(b"RFB 003.003\n"), send(&[1]), ready(3, Security::None)]);
    let steps = said(nobody, Credentials::default(), &[b"RFB 003.007\n", &[1, 1], &init()]).unwrap();
    assert_eq!(steps, [send(b"RFB 003.007\n"), send(&[1]), send(&[1]), ready(7, Security::None)]);
    for greeting in [b"RFB 003.008\n", b"RFB 003.889\n", b"RFB 004.001\n"] {
        let pieces: [&[u8]; 4] = [greeting, &[2, 5, 1], &[0; 4], &init()];
        let steps = said(never, Credentials::default(), &pieces).unwrap();
        assert_eq!(steps, [send(b"RFB 003.008\n"), send(&[1]), send(&[1]), ready(8, Security::None)]);
    }
}

#[test]
fn it_does_not_matter_in_which_pieces_bytes_come() {
    let whole = [b"RFB 003.008\n".as_slice(), &[1, 2], &[7; 16], &[0; 4], &init()].concat();
    let at_once = said(Encryption::Never, with_password(), &[&whole]).unwrap();
    let bytes: Vec<&[u8]> = whole.chunks(1).collect();
    assert_eq!(said(Encryption::Never, with_password(), &bytes).unwrap(), at_once);
    assert_eq!(at_once.last(), Some(&ready(8, Security::VncAuth)));
    assert_eq!(at_once[2], send(&vnc_auth::response("secret", &[7; 16])));
}

#[test]
fn what_follows_the_handshake_is_kept() {
    let whole = [b"RFB 003.008\n".as_slice(), &[1, 1], &[0; 4], &init(), b"more"].concat();
    let mut handshake = Handshake::new(Encryption::Never, Credentials::default());
    handshake.feed(&whole).unwrap();
    assert_eq!(handshake.into_rest(), b"more");
}

const VENCRYPT_OFFER: [&[u8]; 4] = [b"RFB 003.008\n", &[2, 2, 19], &[0, 2], &[0]];

fn subtypes(list: &[u32]) -> Vec<u8> {
    std::iter::once(list.len() as u8).chain(list.iter().flat_map(|subtype| subtype.to_be_bytes())).collect()
}

fn after_offer(
    encryption: Encryption,
    credentials: Credentials,
    list: &[u32],
) -> Result<Vec<Step>, RfbError> {
    let list = subtypes(list);
    let mut pieces = VENCRYPT_OFFER.to_vec();
    pieces.push(&list);
    said(encryption, credentials, &pieces)
}

#[test]
fn an_encrypted_server_gets_the_password_only_within_tls() {
    let offer = subtypes(&[258, 260, 261]);
    let mut pieces = VENCRYPT_OFFER.to_vec();
    let init = init();
    pieces.extend([&offer[..], &[1], &[], &[7; 16], &[0; 4], &init]);
    let steps = said(Encryption::Required, with_password(), &pieces).unwrap();
    let answer = send(&vnc_auth::response("secret", &[7; 16]));
    let wanted = [
        send(b"RFB 003.008\n"),
        send(&[19]),
        send(&[0, 2]),
        send(&261u32.to_be_bytes()),
        Step::StartTls,
        answer,
        send(&[1]),
        ready(8, Security::X509Vnc),
    ];
    assert_eq!(steps, wanted);
    // A challenge before TLS is somebody else's.
    let early = [&[1u8][..], &[7; 16]].concat();
    let mut pieces = VENCRYPT_OFFER.to_vec();
    pieces.extend([&offer[..], &early]);
    assert_eq!(said(Encryption::Required, with_password(), &pieces), Err(RfbError::EarlyBytes));
}

#[test]
fn a_user_s_name_and_password_are_sent_within_tls() {
    let credentials = Credentials { user: Some("zoë".into()), password: Some("pw".into()) };
    let offer = subtypes(&[260, 261, 262]);
    let mut pieces = VENCRYPT_OFFER.to_vec();
    pieces.extend([&offer[..], &[1], &[]]);
    let steps = said(Encryption::Required, credentials, &pieces).unwrap();
    let wanted = [&[0, 0, 0, 4, 0, 0, 0, 2], "zoëpw".as_bytes()].concat();
    assert_eq!(steps[4..], [Step::StartTls, send(&wanted)]);
}

#[test]
fn what_is_not_known_is_refused_with_what_the_server_offered() {
    let nobody = Credentials::default;
    let text = |result: Result<Vec<Step>, RfbError>| result.unwrap_err().to_string();
    let refused = text(after_offer(Encryption::Required, with_password(), &[257, 258]));
    assert!(refused.contains("TLSNone, TLSVnc") && refused.contains("X509Vnc"), "{refused}");
    let refused = text(after_offer(Encryption::Required, nobody(), &[264, 256]));
    assert!(refused.contains("X509SASL, Plain"), "{refused}");
    let refused = text(after_offer(Encryption::Required, nobody(), &[261]));
    assert!(refused.contains("password_file"), "{refused}");
    let refused = text(after_offer(Encryption::Required, with_password(), &[262]));
    assert!(refused.contains("`user`"), "{refused}");
    let offers = |encryption, types: &[u8]| said(encryption, nobody(), &[b"RFB 003.008\n", types]);
    let refused = text(offers(Encryption::Never, &[3, 16, 30, 99]));
    assert!(refused.contains("Tight, Apple's, type 99"), "{refused}");
    let refused = text(offers(Encryption::Required, &[2, 1, 2]));
    assert!(refused.contains("None, VncAuth") && refused.contains("tls"), "{refused}");
    assert!(text(offers(Encryption::Never, &[1, 19])).contains("required"));
    assert!(text(offers(Encryption::IfOffered, &[1, 2])).contains("password_file"));
}

#[test]
fn a_server_s_reasons_reach_who_reads_the_error() {
    let reason = [&[0, 0, 0, 4][..], b"busy"].concat();
    let text = |pieces: &[&[u8]]| said(Encryption::Never, with_password(), pieces).unwrap_err();
    assert_eq!(text(&[b"RFB 003.008\n", &[0], &reason]), RfbError::Refused("busy".into()));
    assert_eq!(text(&[b"RFB 003.003\n", &[0; 4], &reason]), RfbError::Refused("busy".into()));
    let failed = |minor: &'static [u8], verdict: &[u8]| {
        let verdict = [verdict, &reason].concat();
        text(&[minor, &[1, 2], &[7; 16], &verdict])
    };
    assert_eq!(failed(b"RFB 003.008\n", &[0, 0, 0, 1]), RfbError::WrongPassword("busy".into()));
    assert_eq!(failed(b"RFB 003.008\n", &[0, 0, 0, 2]), RfbError::TooManyAttempts("busy".into()));
    assert!(matches!(failed(b"RFB 003.007\n", &[0, 0, 0, 1]), RfbError::WrongPassword(_)));
    assert!(matches!(text(&[b"HTTP/1.1 400"]), RfbError::NotRfb(_)));
    assert_eq!(text(&[b"RFB 002.002\n"]), RfbError::OldVersion(2, 2));
    assert!(matches!(text(&[b"RFB 003.008\n", &[0], &[0xff; 4]]), RfbError::TooMuch { .. }));
}

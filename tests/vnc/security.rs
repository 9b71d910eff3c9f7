//! Passwords and certificates, right and wrong.

use crate::server::{Folder, Server, free_port, hidden, text};
use crate::{plain, show, show_early};
use chevet::source::rfb::{Tls, VncConfig};
use std::path::{Path, PathBuf};

const PASSWORD: &str = "pässwd";

/// A certificate authority, and a certificate that it made for this name.
pub struct Certificates {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub fingerprint: String,
}

pub fn certificates(folder: &Folder, prefix: &str, name: &str) -> Certificates {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, prefix);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::from_params(&params, &authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.der());
    Certificates {
        authority: folder.write(&format!("{prefix}-authority.pem"), authority.pem()),
        certificate: folder.write(&format!("{prefix}-certificate.pem"), certificate.pem()),
        key: folder.write(&format!("{prefix}-key.pem"), key.serialize_pem()),
        fingerprint: hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn server(types: &str, password: &Path, more: &[&str]) -> Server {
    let mut arguments = vec!["-SecurityTypes", types, "-PasswordFile", text(password)];
    arguments.extend(more);
    Server::tigervnc_with(free_port(), 320, 240, &arguments)
}

fn why(config: VncConfig) -> String {
    show_early(config).wait_waiting()
}

#[test]
fn a_right_password_lets_in_and_a_wrong_or_missing_one_is_said_clearly() {
    let folder = Folder::new("password");
    let server = server("VncAuth", &folder.write("hidden", hidden(PASSWORD)), &[]);
    let right = folder.write("right", format!("{PASSWORD}\n"));
    let config = VncConfig { password_file: Some(right), ..plain(server.address()) };
    assert_eq!(show(config.clone()).source.report().security, "VncAuth");
    let wrong = VncConfig { password_file: Some(folder.write("wrong", "guess")), ..config.clone() };
    let said = why(wrong);
    assert!(said.contains("did not accept the password"), "{said}");
    let said = why(plain(server.address()));
    assert!(said.contains("asks for a password") && said.contains("password_file"), "{said}");
    let gone = VncConfig { password_file: Some("/nowhere".into()), ..config };
    assert!(why(gone).contains("cannot read the password"));
}

#[test]
fn a_certificate_is_believed_by_its_authority_or_fingerprint_and_no_other_is() {
    let folder = Folder::new("certificate");
    let ours = certificates(&folder, "ours", "127.0.0.1");
    let other = certificates(&folder, "other", "127.0.0.1");
    let elsewhere = certificates(&folder, "elsewhere", "pc8.example");
    let password = folder.write("hidden", hidden(PASSWORD));
    let with = |c: &Certificates, types| {
        server(types, &password, &["-X509Cert", text(&c.certificate), "-X509Key", text(&c.key)])
    };
    let server = with(&ours, "X509Vnc,X509None");
    let base = VncConfig {
        address: server.address(),
        password_file: Some(folder.write("right", PASSWORD)),
        ..VncConfig::default()
    };
    let by_authority = |c: &Certificates| VncConfig { ca_file: Some(c.authority.clone()), ..base.clone() };
    let pinned = |c: &Certificates| VncConfig { fingerprint: Some(c.fingerprint.clone()), ..base.clone() };
    for config in [by_authority(&ours), pinned(&ours)] {
        let report = show(config).source.report();
        assert_eq!(report.security, "VeNCrypt X509Vnc");
        assert_eq!(report.certificate.as_deref(), Some(ours.fingerprint.as_str()));
    }
    let open = VncConfig { password_file: None, ..pinned(&ours) };
    assert_eq!(show(open).source.report().security, "VeNCrypt X509None");
    let said = why(by_authority(&other));
    assert!(said.contains("none of the authorities"), "{said}");
    let said = why(pinned(&other));
    assert!(said.contains(&ours.fingerprint) && said.contains("somebody stands between"), "{said}");
    let wrong = VncConfig { password_file: Some(folder.write("wrong", "guess")), ..pinned(&ours) };
    let said = why(wrong);
    assert!(said.contains("did not accept the password"), "{said}");
    drop(server);
    let server = with(&elsewhere, "X509None");
    let said = why(VncConfig { address: server.address(), ..by_authority(&elsewhere) });
    assert!(said.contains("another name"), "{said}");
}

#[test]
fn what_is_not_encrypted_or_anonymous_is_refused_with_what_to_configure() {
    let folder = Folder::new("anonymous");
    let password = folder.write("hidden", hidden(PASSWORD));
    let ours = certificates(&folder, "ours", "127.0.0.1");
    let in_the_clear = server("VncAuth", &password, &[]);
    let required = |server: &Server| VncConfig {
        address: server.address(),
        ca_file: Some(ours.authority.clone()),
        ..VncConfig::default()
    };
    let said = why(required(&in_the_clear));
    assert!(said.contains("offers only VncAuth") && said.contains("if-offered"), "{said}");
    let anonymous = server("TLSVnc", &password, &[]);
    let said = why(required(&anonymous));
    assert!(said.contains("TLSVnc") && said.contains("X509Vnc"), "{said}");
    let said = why(plain(anonymous.address()));
    assert!(said.contains("VeNCrypt") && said.contains("required"), "{said}");
    // Where encryption is optional, the server's word decides.
    let password_file = Some(folder.write("right", PASSWORD));
    let tls = Tls::IfOffered;
    let config = VncConfig { tls, password_file, ..required(&in_the_clear) };
    assert_eq!(show(config).source.report().security, "VncAuth");
}

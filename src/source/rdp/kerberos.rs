//! Network level authentication by Kerberos: CredSSP (MS-CSSP) with a ticket for the host's service principal.
//!
//! The sspi crate makes Kerberos' and SPNEGO's messages. Its own CredSSP begins with user-to-user authentication, which only
//! Windows takes; with a ticket for the host's own key every acceptor does, and so the frame around it is here.

use super::connect::Line;
use super::failure::{Failure, Stage};
use super::kdc::{AS_REP, Kdc, KdcFault};
use super::settings::host_and_port_or;
use aws_lc_rs::digest::{SHA256, digest};
use ironrdp_connector::sspi::credssp::{CredSspMode, EarlyUserAuthResult, TsRequest, write_ts_credentials};
use ironrdp_connector::sspi::generator::GeneratorState;
use ironrdp_connector::sspi::kerberos::client::extractors::extract_encryption_params_from_as_rep;
use ironrdp_connector::sspi::{
    self, AuthIdentityBuffers, BufferType, ClientRequestFlags, CredentialsBuffers, DataRepresentation,
    EncryptionFlags, KerberosConfig, Negotiate, NegotiateConfig, SecurityBuffer, SecurityBufferRef,
    SecurityStatus, Sspi as _, SspiImpl as _,
};
use ironrdp_connector::{ConnectorError, ConnectorErrorKind};
use ironrdp_core::{DecodeResult, other_err};
use ironrdp_pdu::PduHint;
use ironrdp_tokio::FramedWrite as _;
use picky_krb::constants::key_usages::AS_REP_ENC;
use picky_krb::crypto::CipherSuite;
use picky_krb::messages::AsRep;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const DEFAULT_PORT: u16 = 88;
const MOST_KDCS: usize = 8;
/// From this version on the public key is bound by a hash with a nonce; older hosts lack the correction of 2018
/// (CVE-2018-0886).
const OLDEST_VERSION: u32 = 5;
const TO_HOST: &[u8] = b"CredSSP Client-To-Server Binding Hash\0";
const FROM_HOST: &[u8] = b"CredSSP Server-To-Client Binding Hash\0";

/// The realm in which a host and whoever signs in there are known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KerberosSettings {
    /// Such as `CLINIC.EXAMPLE`.
    pub realm: String,
    /// Its KDCs: `host`, `host:port` or `tcp://host:port`, several with commas between; the first that answers is asked.
    pub kdc: String,
    /// Whether NTLM will do when Kerberos gives no ticket.
    #[serde(default)]
    pub ntlm: bool,
}

impl KerberosSettings {
    /// What is wrong with them, with what to do.
    pub fn fault(&self) -> Option<String> {
        let letter = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
        if !(1..=255).contains(&self.realm.len()) || !self.realm.chars().all(letter) {
            return Some("`realm` is the realm's name in capitals, such as CLINIC.EXAMPLE".into());
        }
        let parts: Vec<_> = self.parts().collect();
        if !(1..=MOST_KDCS).contains(&parts.len()) {
            return Some(format!("`kdc` names 1 to {MOST_KDCS} KDCs, such as \"dc1.clinic.example:88\""));
        }
        let wrong = parts.iter().find(|part| {
            part.contains("://")
                || host_and_port_or(part, DEFAULT_PORT).is_none_or(|(host, _)| host.is_empty())
        });
        wrong.map(|part| {
            format!("`kdc` has {part:?} in it, which is no address: write dc1.clinic.example:88 (over TCP)")
        })
    }

    /// Hosts, without brackets, and ports.
    pub fn addresses(&self) -> Vec<(String, u16)> {
        self.parts().filter_map(|part| host_and_port_or(part, DEFAULT_PORT)).take(MOST_KDCS).collect()
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        let parts = self.kdc.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| part.strip_prefix("tcp://").unwrap_or(part))
    }
}

/// Who signs in, as a connection knows them.
pub struct Identity<'a> {
    pub user: &'a str,
    pub domain: &'a str,
    pub password: &'a str,
}

/// A ticket for a host, and what is made of it there. Nothing has been sent to the host yet.
pub struct Ticket {
    context: Negotiate,
    /// What the host is told in the end.
    delegated: CredentialsBuffers,
    /// The first token for the host.
    token: Vec<u8>,
}

impl Ticket {
    /// Asks the realm's KDC for a ticket for `TERMSRV/host`.
    pub async fn get(
        settings: &KerberosSettings,
        identity: &Identity<'_>,
        host: &str,
    ) -> Result<Ticket, KdcFault> {
        let service = format!("TERMSRV/{host}");
        // In the realm a user has no domain before the name.
        let user = identity.user.rsplit('\\').next().unwrap_or_default();
        let mut kdc = Kdc::new(settings, &service);
        let identity_of = |domain: &str| {
            CredentialsBuffers::AuthIdentity(AuthIdentityBuffers::from_utf8(user, domain, identity.password))
        };
        // Hosts of a domain know the realm by its name, too; a name like user@domain needs none beside it.
        let domain = match identity.domain {
            "" if !user.contains('@') => &settings.realm,
            domain => domain,
        };
        let mut context = context().ok_or_else(|| kdc.fault())?;
        let mut signing_in = Some(identity_of(&settings.realm));
        let (token, _) =
            step(&mut context, &mut signing_in, &service, Vec::new(), Some((&mut kdc, identity.password)))
                .await
                .map_err(|stop| match stop {
                    Stop::Kdc(fault) => fault,
                    Stop::Sspi(error) => {
                        tracing::warn!(%error, "no ticket could be made of what a KDC answered");
                        match error.error_type {
                            sspi::ErrorKind::NoAuthenticatingAuthority => kdc.elsewhere(),
                            _ => kdc.fault(),
                        }
                    }
                })?;
        Ok(Ticket { context, delegated: identity_of(domain), token })
    }

    /// Shows the ticket to the host on the other side of TLS, has it prove that it is the one and that TLS ends there, and
    /// hands it the password. With `early_result` it then says whether the user may come in ([MS-RDPBCGR] 5.4.2.2).
    pub async fn sign_in(
        self,
        line: &mut Line,
        host: &str,
        public_key: &[u8],
        early_result: bool,
    ) -> Result<(), Failure> {
        let Ticket { mut context, delegated, token } = self;
        let mut answer =
            converse(line, TsRequest { nego_tokens: Some(token), ..TsRequest::default() }).await?;
        let service = format!("TERMSRV/{host}");
        // The key of the session is there: the handle is not asked for any more.
        let mut nobody = Some(CredentialsBuffers::AuthIdentity(AuthIdentityBuffers::from_utf8("", "", "")));
        let last = loop {
            let token = answer.nego_tokens.take().unwrap_or_default();
            let (token, status) =
                step(&mut context, &mut nobody, &service, token, None).await.map_err(unproven)?;
            match status {
                SecurityStatus::Ok => break Some(token).filter(|token| !token.is_empty()),
                _ => {
                    let request = TsRequest { nego_tokens: Some(token), ..TsRequest::default() };
                    answer = converse(line, request).await?;
                }
            }
        };
        let mut nonce = [0; 32];
        aws_lc_rs::rand::fill(&mut nonce)
            .map_err(|_| Failure::Broken("the machine has no random numbers".into()))?;
        let bound = |direction: &[u8]| digest(&SHA256, &[direction, &nonce, public_key].concat());
        let request = TsRequest {
            nego_tokens: last,
            pub_key_auth: Some(seal(&mut context, bound(TO_HOST).as_ref())?),
            client_nonce: Some(nonce),
            ..TsRequest::default()
        };
        let answer = converse(line, request).await?;
        let proof = unseal(&mut context, &answer.pub_key_auth.unwrap_or_default())?;
        if proof.as_slice() != bound(FROM_HOST).as_ref() {
            return Err(Failure::Distrusted(
                "its TLS ends elsewhere than its Kerberos: somebody may be in between, and the password was not sent"
                    .into(),
            ));
        }
        let secret = write_ts_credentials(&delegated, CredSspMode::WithCredentials).map(Zeroizing::new);
        let secret = secret.map_err(|error| unproven(Stop::Sspi(error)))?;
        let request = TsRequest { auth_info: Some(seal(&mut context, &secret)?), ..TsRequest::default() };
        send(line, &request).await?;
        if early_result {
            let result = line.read_by_hint(&Fixed).await.map_err(|_| ended())?;
            match EarlyUserAuthResult::from_buffer(&result[..]) {
                Ok(EarlyUserAuthResult::Success) => {}
                _ => return Err(Failure::Credentials("the user may not sign in there remotely".into())),
            }
        }
        Ok(())
    }
}

/// SPNEGO that offers Kerberos alone: what becomes of NTLM is decided before.
fn context() -> Option<Negotiate> {
    let name = "chevet".to_owned();
    let kdc_url = Some(url::Url::parse(HOME).ok()?);
    let kerberos = KerberosConfig { kdc_url, client_computer_name: name.clone() };
    Negotiate::new_client(NegotiateConfig::new(Box::new(kerberos), Some("kerberos".into()), name)).ok()
}

/// Stands for the KDCs of the settings: what goes anywhere else was sent there by a referral to another realm.
const HOME: &str = "tcp://kdc.invalid:88";

enum Stop {
    Kdc(KdcFault),
    Sspi(sspi::Error),
}

/// One token in and one token out, with what the KDC is asked in between.
async fn step(
    context: &mut Negotiate,
    credentials: &mut Option<CredentialsBuffers>,
    service: &str,
    token: Vec<u8>,
    mut realm: Option<(&mut Kdc<'_>, &str)>,
) -> Result<(Vec<u8>, SecurityStatus), Stop> {
    let mut input = [SecurityBuffer::new(token, BufferType::Token)];
    let mut output = [SecurityBuffer::new(Vec::new(), BufferType::Token)];
    let mut builder = context
        .initialize_security_context()
        .with_credentials_handle(credentials)
        .with_context_requirements(
            ClientRequestFlags::MUTUAL_AUTH
                | ClientRequestFlags::INTEGRITY
                | ClientRequestFlags::CONFIDENTIALITY,
        )
        .with_target_data_representation(DataRepresentation::Native)
        .with_target_name(service)
        .with_input(&mut input)
        .with_output(&mut output);
    let status = {
        let mut generator = context.initialize_security_context_impl(&mut builder).map_err(Stop::Sspi)?;
        let mut state = generator.start();
        loop {
            match state {
                GeneratorState::Completed(result) => break result.map_err(Stop::Sspi)?.status,
                GeneratorState::Suspended(request) => {
                    let Some((kdc, password)) = realm.as_mut() else {
                        return Err(Stop::Kdc(KdcFault::Other(0)));
                    };
                    if request.url.as_str() != HOME {
                        return Err(Stop::Kdc(kdc.elsewhere()));
                    }
                    let answer = kdc.ask(&request.data).await.map_err(Stop::Kdc)?;
                    let answer = match answer.get(4) {
                        Some(&AS_REP) => relabelled(&answer, password).unwrap_or(answer),
                        _ => answer,
                    };
                    state = generator.resume(Ok(answer));
                }
            }
        }
    };
    let [token] = output;
    Ok((token.buffer, status))
}

/// An AS-REP whose sealed part bears the tag of a TGS-REP's with the right one. MIT's KDC labels both alike, clients are to
/// take both (RFC 4120, section 5.4.2), and the sspi crate takes the right one only. None if nothing is to be done, or if
/// this is no AS-REP for this password, which the crate finds out as well.
fn relabelled(answer: &[u8], password: &str) -> Option<Vec<u8>> {
    const OF_AS_REP: u8 = 0x79;
    const OF_TGS_REP: u8 = 0x7a;
    let mut reply: AsRep = picky_asn1_der::from_bytes(answer.get(4..)?).ok()?;
    let (kind, salt) = extract_encryption_params_from_as_rep(&reply).ok()?;
    let cipher = CipherSuite::try_from(usize::from(kind)).ok()?.cipher();
    let key =
        cipher.generate_key_from_password(password.as_bytes(), salt.as_bytes()).ok().map(Zeroizing::new)?;
    let sealed = &mut reply.0.enc_part.0.cipher.0.0;
    let mut part = cipher.decrypt(&key, AS_REP_ENC, sealed).ok().map(Zeroizing::new)?;
    match part.first_mut()? {
        tag if *tag == OF_TGS_REP => *tag = OF_AS_REP,
        _ => return None,
    }
    *sealed = cipher.encrypt(&key, AS_REP_ENC, &part).ok()?;
    let message = picky_asn1_der::to_vec(&reply).ok()?;
    let length = u32::try_from(message.len()).ok()?.to_be_bytes();
    Some([&length[..], &message].concat())
}

async fn send(line: &mut Line, request: &TsRequest) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    request.encode_ts_request(&mut bytes).map_err(|error| {
        tracing::warn!(%error, "a step of a sign-in cannot be written");
        Failure::Broken("the ticket is too large for CredSSP".into())
    })?;
    line.write_all(&bytes).await.map_err(|_| ended())
}

/// Sends a step and reads the host's next one.
async fn converse(line: &mut Line, request: TsRequest) -> Result<TsRequest, Failure> {
    send(line, &request).await?;
    let bytes = line.read_by_hint(&Sequence).await.map_err(|_| ended())?;
    let answer = TsRequest::from_buffer(&bytes)
        .map_err(|_| Failure::Broken("it sent something else than CredSSP during the sign-in".into()))?;
    if let Err(error) = answer.check_error() {
        let error = ConnectorError::new("CredSSP", ConnectorErrorKind::Credssp(error));
        return Err(Failure::of_connector(&error, Stage::SigningIn));
    }
    if answer.version < OLDEST_VERSION {
        return Err(Failure::Broken(format!(
            "it speaks CredSSP {}, which lets others in between: install the updates of 2018 (CVE-2018-0886) there",
            answer.version
        )));
    }
    Ok(answer)
}

/// The KDC has accepted the password already: what a host does not like is the ticket.
fn ended() -> Failure {
    Failure::Broken(
        "it ended the sign-in by Kerberos: are its clock and its key in the realm right, and is the service principal its own?"
            .into(),
    )
}

fn unproven(stop: Stop) -> Failure {
    if let Stop::Sspi(error) = stop {
        tracing::warn!(%error, "an RDP host does not prove that the ticket is for it");
    }
    Failure::Broken("it does not prove by Kerberos that it is the host: the password was not sent".into())
}

/// Wraps a message for the host (RFC 4121, section 4.2.6.2).
fn seal(context: &mut Negotiate, message: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut token = [0; 1_024];
    let mut data = Zeroizing::new(message.to_vec());
    let mut buffers = [
        SecurityBufferRef::token_buf(token.as_mut_slice()),
        SecurityBufferRef::data_buf(data.as_mut_slice()),
    ];
    let unsealed = |error| unproven(Stop::Sspi(error));
    context.encrypt_message(EncryptionFlags::empty(), &mut buffers).map_err(unsealed)?;
    let mut sealed = SecurityBufferRef::buf_data(&buffers, BufferType::Token).map_err(unsealed)?.to_vec();
    sealed.extend_from_slice(SecurityBufferRef::buf_data(&buffers, BufferType::Data).map_err(unsealed)?);
    Ok(sealed)
}

fn unseal(context: &mut Negotiate, sealed: &[u8]) -> Result<Vec<u8>, Failure> {
    let short = || unproven(Stop::Kdc(KdcFault::Other(0)));
    let mut sealed = rotated(sealed).ok_or_else(short)?;
    let (head, data) = sealed.split_at_mut_checked(16).ok_or_else(short)?;
    let mut buffers = [SecurityBufferRef::data_buf(data), SecurityBufferRef::token_buf(head)];
    let unsealed = |error| unproven(Stop::Sspi(error));
    context.decrypt_message(&mut buffers).map_err(unsealed)?;
    Ok(SecurityBufferRef::buf_data(&buffers, BufferType::Data).map_err(unsealed)?.to_vec())
}

/// The same wrapped message, turned as Windows turns it: others turn theirs otherwise (RFC 4121, section 4.2.5), and the
/// sspi crate takes this one only. None if it is no such message, or too short for one.
fn rotated(sealed: &[u8]) -> Option<Vec<u8>> {
    const AS_WINDOWS: u16 = 28;
    let (head, body) = sealed.split_at_checked(16)?;
    let &[5, 4, _, 0xff, 0, 0, high, low, ..] = head else { return None };
    if body.len() < 44 {
        return None;
    }
    let mut turned = body.to_vec();
    turned.rotate_left(usize::from(u16::from_be_bytes([high, low])) % body.len());
    turned.rotate_right(usize::from(AS_WINDOWS));
    let mut message = head.to_vec();
    message.splice(6..8, AS_WINDOWS.to_be_bytes());
    message.extend(turned);
    Some(message)
}

/// A TSRequest's size, from its first bytes.
#[derive(Clone, Copy, Debug)]
struct Sequence;

impl PduHint for Sequence {
    fn find_size(&self, bytes: &[u8]) -> DecodeResult<Option<(bool, usize)>> {
        match TsRequest::read_length(bytes) {
            Ok(length) => Ok(Some((true, length))),
            Err(_) if bytes.len() < 6 => Ok(None),
            Err(error) => Err(other_err!("TSRequest", source: error)),
        }
    }
}

/// The size of an Early User Authorization Result.
#[derive(Clone, Copy, Debug)]
struct Fixed;

impl PduHint for Fixed {
    fn find_size(&self, _: &[u8]) -> DecodeResult<Option<(bool, usize)>> {
        Ok(Some((true, ironrdp_connector::sspi::credssp::EARLY_USER_AUTH_RESULT_PDU_SIZE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(realm: &str, kdc: &str) -> KerberosSettings {
        KerberosSettings { realm: realm.into(), kdc: kdc.into(), ntlm: false }
    }

    #[test]
    fn kdcs_are_read_as_people_write_them() {
        let several = settings("CLINIC.EXAMPLE", "dc1.clinic.example, tcp://dc2:8888,[::1]:88");
        assert_eq!(several.fault(), None);
        let addresses = [("dc1.clinic.example".into(), 88), ("dc2".into(), 8888), ("::1".into(), 88)];
        assert_eq!(several.addresses(), addresses);
    }

    #[test]
    fn settings_that_cannot_work_are_refused_with_what_to_do() {
        assert!(settings("", "dc1").fault().unwrap().contains("realm"));
        assert!(settings("clinic.example", "dc1").fault().unwrap().contains("capitals"));
        for kdc in ["", " , ", "udp://dc1", "https://dc1/KdcProxy", "dc1:port", ":88"] {
            assert!(settings("CLINIC.EXAMPLE", kdc).fault().unwrap().contains("kdc"), "{kdc}");
        }
        let json = serde_json::json!({"realm": "A", "kdc": "b", "ntml": true});
        assert!(serde_json::from_value::<KerberosSettings>(json).is_err());
    }

    #[test]
    fn a_wrapped_message_is_turned_as_windows_turns_it_and_a_short_one_is_none() {
        let head = |turned: u16| [&[5, 4, 7, 0xff, 0, 0][..], &turned.to_be_bytes(), &[0; 8]].concat();
        let body: Vec<u8> = (0..60).collect();
        let mut by_windows = body.clone();
        by_windows.rotate_right(28);
        let expected = [head(28), by_windows].concat();
        assert_eq!(rotated(&[head(0), body.clone()].concat()).unwrap(), expected);
        assert_eq!(rotated(&expected).unwrap(), expected);
        assert!(rotated(&[head(60_000), body[..43].to_vec()].concat()).is_none());
        assert!(rotated(&[1; 80]).is_none() && rotated(&[]).is_none());
    }
}

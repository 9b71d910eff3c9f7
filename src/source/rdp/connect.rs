//! From a host's address to a session on it: TCP, TLS, the sign-in, the licence and the capabilities.

use super::clipboard::{Clipboard, ClipboardEar};
use super::failure::{Failure, Stage, Target};
use super::kerberos::{Identity, Ticket};
use super::layout::Layout;
use super::report::{SignIn, Tally};
use super::settings::{Login, RdpSettings, host_and_port};
use super::sound::SoundEar;
use super::trust::{Examiner, KnownHosts, Verdict, fingerprint};
use super::{Notice, Notify};
use crate::codec::video::is_possible;
use crate::rdp::rail::{Launch, Rail};
use crate::rdp::{AvcDecoder, PipelineEar, PipelineNews};
use crate::source::rdp::settings::CertificatePolicy;
use ironrdp_cliprdr::CliprdrClient;
use ironrdp_connector::connection_activation::ConnectionActivationFactory;
use ironrdp_connector::credssp::CredsspSequence;
use ironrdp_connector::sspi::generator::NetworkRequest;
use ironrdp_connector::{
    BitmapConfig, ClientConnector, ClientConnectorState, Config, ConnectionOutcome, ConnectionResult,
    ConnectorError, ConnectorErrorExt as _, ConnectorResult, Credentials, DesktopSize, ServerName,
};
use ironrdp_core::WriteBuf;
use ironrdp_displaycontrol::client::DisplayControlClient;
use ironrdp_dvc::DrdynvcClient;
use ironrdp_egfx::client::GraphicsPipelineClient;
use ironrdp_egfx::decode::H264Decoder;
use ironrdp_pdu::gcc::{
    ClientClusterData, ConnectionType, KeyboardType, RedirectionFlags, RedirectionVersion,
};
use ironrdp_pdu::nego::SecurityProtocol;
use ironrdp_pdu::rdp::capability_sets::{
    BitmapCodecs, MajorPlatformType, RailSupportLevel, client_codecs_capabilities,
};
use ironrdp_pdu::rdp::client_info::{CompressionType, PerformanceFlags, TimezoneInfo};
use ironrdp_pdu::rdp::server_redirection::ServerRedirectionPdu;
use ironrdp_pdu::rdp::session_info::ServerAutoReconnect;
use ironrdp_tokio::{FramedWrite as _, NetworkClient, TokioFramed, perform_credssp, single_sequence_step};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// How long reaching a host may take, and then each of the steps of a connection.
const REACH: Duration = Duration::from_secs(10);
const OPEN: Duration = Duration::from_secs(30);

/// Servers change no size for clients that are as old as Windows XP; this is Windows 10's.
const CLIENT_BUILD: u32 = 18_363;

pub type Line = TokioFramed<TlsStream<TcpStream>>;

/// What is told to every connection of a session.
pub struct Order<'a> {
    pub settings: &'a RdpSettings,
    pub layout: &'a Layout,
    pub login: &'a Login,
    pub size: (u32, u32),
    pub target: Option<&'a Target>,
    pub cookie: Option<ServerAutoReconnect>,
    pub known: &'a Arc<KnownHosts>,
    pub tally: &'a Arc<Tally>,
    pub clipboard: &'a Clipboard,
    pub sound: &'a SoundEar,
    /// What is shown instead of the desktop, and whether it runs there already.
    pub remote_app: Option<(Launch, bool)>,
    pub notify: &'a Notify,
}

/// Connects; the result is a live session.
pub async fn connect(order: &Order<'_>) -> Result<(ConnectionResult, Line), Failure> {
    let configured = order.settings.host_and_port().map_err(Failure::Broken)?;
    let (host, port) = match order.target.and_then(|target| target.address.as_deref()) {
        // A farm's host listens where the others do.
        Some(address) => (host_and_port(address).map_err(Failure::Broken)?.0, configured.1),
        None => configured,
    };
    let stream = match tokio::time::timeout(REACH, TcpStream::connect((host.as_str(), port))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Failure::Away(error.to_string())),
        Err(_) => return Err(Failure::Away("it does not answer".into())),
    };
    let _ = stream.set_nodelay(true);
    let opening = open(order, &host, port, stream);
    tokio::time::timeout(OPEN, opening)
        .await
        .unwrap_or_else(|_| Err(Failure::Away("it takes too long to answer".into())))
}

async fn open(
    order: &Order<'_>,
    host: &str,
    port: u16,
    stream: TcpStream,
) -> Result<(ConnectionResult, Line), Failure> {
    let local = stream.local_addr().map_err(|error| Failure::Away(error.to_string()))?;
    let mut connector = channels(ClientConnector::new(config(order), local), order);
    if let Some(token) = order.target.and_then(|target| target.routing_token.clone()) {
        connector = connector.with_load_balance_info(token);
    } else if let Some(token) = &order.settings.routing_token {
        connector = connector.with_load_balance_info(token.clone());
    }
    if let Some(target) = order.target {
        connector = connector.with_cluster_data(ClientClusterData {
            flags: RedirectionFlags::REDIRECTION_SUPPORTED | RedirectionFlags::REDIRECTED_SESSION_FIELD_VALID,
            redirection_version: RedirectionVersion::V4,
            redirected_session_id: target.session,
        });
        if let Some(cookie) = &target.cookie {
            connector = connector.with_redirection_password_cookie(cookie.clone());
        }
    } else {
        connector = connector.with_cluster_data(ClientClusterData {
            flags: RedirectionFlags::REDIRECTION_SUPPORTED,
            redirection_version: RedirectionVersion::V4,
            redirected_session_id: 0,
        });
    }
    if let Some(cookie) = order.cookie.clone() {
        connector = connector.with_auto_reconnect_cookie(cookie);
    }

    let mut stage = Stage::Negotiating;
    let mut framed = TokioFramed::new(stream);
    let mut buffer = WriteBuf::new();
    while !connector.should_perform_security_upgrade() {
        single_sequence_step(&mut framed, &mut connector, &mut buffer)
            .await
            .map_err(|error| Failure::of_connector(&error, stage))?;
    }
    let (line, public_key) = upgrade(order, host, port, framed.into_inner_no_leftover()).await?;
    let mut framed = TokioFramed::new(line);
    connector.mark_security_upgrade_as_done();
    if connector.should_perform_credssp() {
        stage = Stage::SigningIn;
        let by_kerberos = by_kerberos(order, &connector, &mut framed, host, &public_key).await?;
        order.tally.lock().sign_in = if by_kerberos { SignIn::Kerberos } else { SignIn::Ntlm };
        if !by_kerberos {
            by_ntlm(&mut connector, &mut framed, host, public_key)
                .await
                .map_err(|error| Failure::of_connector(&error, stage))?;
        }
        connector.mark_credssp_as_done();
    }
    stage = Stage::Opening;
    loop {
        let step = step(&mut connector, &mut framed, &mut buffer).await;
        step.map_err(|error| {
            Failure::of_connector(&error, stage).or_without_app(order.remote_app.is_some())
        })?;
        match connector.state.take_outcome() {
            None => {}
            Some(ConnectionOutcome::Connected(mut result)) => {
                // What changes the screen's size later needs no password, and would keep one.
                let mut config = config(order);
                config.credentials =
                    Credentials::UsernamePassword { username: String::new(), password: String::new() };
                let (io, user) = (result.io_channel_id, result.user_channel_id);
                result.activation_factory = ConnectionActivationFactory::new(config, io, user);
                return Ok((result, framed));
            }
            Some(ConnectionOutcome::Redirected(pdu)) => return Err(redirected(order.settings, &pdu)),
        }
    }
}

async fn step(
    connector: &mut ClientConnector,
    framed: &mut Line,
    buffer: &mut WriteBuf,
) -> ConnectorResult<()> {
    if !connector.should_perform_multitransport() {
        return single_sequence_step(framed, connector, buffer).await;
    }
    // The host offers UDP besides; this side stays with TCP.
    buffer.clear();
    if connector.skip_multitransport(buffer)?.size().is_some() {
        framed
            .write_all(buffer.filled())
            .await
            .map_err(|error| ConnectorError::custom("declining UDP", error))?;
    }
    Ok(())
}

/// Signs in by Kerberos if that is configured; false if it has given no ticket and NTLM may try instead.
async fn by_kerberos(
    order: &Order<'_>,
    connector: &ClientConnector,
    line: &mut Line,
    host: &str,
    public_key: &[u8],
) -> Result<bool, Failure> {
    let Some(settings) = &order.settings.kerberos else { return Ok(false) };
    let ClientConnectorState::Credssp { selected_protocol } = connector.state else { return Ok(false) };
    let Credentials::UsernamePassword { username, password } = &connector.config.credentials else {
        return Ok(false);
    };
    let domain = connector.config.domain.as_deref().unwrap_or_default();
    let identity = Identity { user: username, domain, password };
    let ticket = match Ticket::get(settings, &identity, host).await {
        Ok(ticket) => ticket,
        Err(fault) if settings.ntlm && fault.leaves_ntlm() => {
            tracing::warn!(host, %fault, "signing in by NTLM, since Kerberos has no ticket");
            return Ok(false);
        }
        Err(fault) => return Err(fault.into()),
    };
    let early_result = selected_protocol.contains(SecurityProtocol::HYBRID_EX);
    ticket.sign_in(line, host, public_key, early_result).await.map(|()| true)
}

async fn by_ntlm(
    connector: &mut ClientConnector,
    framed: &mut Line,
    host: &str,
    public_key: Vec<u8>,
) -> ConnectorResult<()> {
    let ClientConnectorState::Credssp { selected_protocol } = connector.state else {
        return Err(ConnectorError::general("the sign-in is not due"));
    };
    let (sequence, request) = CredsspSequence::init(
        connector.config.credentials.clone(),
        connector.config.domain.as_deref(),
        selected_protocol,
        ServerName::new(host),
        public_key,
        None,
    )?;
    perform_credssp(framed, &mut Nobody, &mut WriteBuf::new(), sequence, request).await
}

/// NTLM needs nobody but the host.
struct Nobody;

impl NetworkClient for Nobody {
    async fn send(&mut self, _request: &NetworkRequest) -> ConnectorResult<Vec<u8>> {
        Err(ConnectorError::general("NTLM asks for something that it needs not"))
    }
}

/// TLS on top of TCP, and the public key to which the sign-in is bound.
async fn upgrade(
    order: &Order<'_>,
    host: &str,
    port: u16,
    stream: TcpStream,
) -> Result<(TlsStream<TcpStream>, Vec<u8>), Failure> {
    let remembered = format!("{host}:{port}");
    let examiner = Examiner::new(order.settings, &remembered, order.known).map_err(Failure::Distrusted)?;
    let examiner = Arc::new(examiner);
    let client = examiner.client().map_err(|error| Failure::Broken(error.to_string()))?;
    let name = rustls_pki_types::ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| Failure::Broken(format!("{host:?} is no name that TLS knows")))?;
    let handshake = tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, stream).await;
    let seen = examiner.seen();
    if let Some((certificate, verdict)) = &seen {
        let shown = fingerprint(certificate);
        order.tally.lock().fingerprint = Some(shown);
        match verdict {
            Verdict::Believed => {}
            Verdict::First => (order.notify)(Notice::Trusted { host: remembered, fingerprint: shown }),
            Verdict::Refused(reason) => {
                (order.notify)(Notice::Distrusted { host: remembered, reason: reason.clone() });
                return Err(Failure::Distrusted(reason.clone()));
            }
        }
    }
    let stream = handshake.map_err(|error| Failure::Broken(format!("TLS failed: {error}")))?;
    let (certificate, _) = seen.ok_or_else(|| Failure::Broken("it showed no certificate".into()))?;
    let unread = |_| Failure::Broken("its certificate cannot be read".into());
    let (_, read) = x509_parser::parse_x509_certificate(&certificate).map_err(unread)?;
    let session = stream.get_ref().1;
    let mut report = order.tally.lock();
    report.certificate_subject = read.subject().to_string();
    let version = session.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default();
    let suite =
        session.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
    report.tls = format!("{version} {suite}");
    drop(report);
    let public_key = read.public_key().subject_public_key.data.to_vec();
    Ok((stream, public_key))
}

fn redirected(settings: &RdpSettings, pdu: &ServerRedirectionPdu) -> Failure {
    let address = pdu.target_net_address.clone().or_else(|| pdu.target_fqdn.clone());
    let token = pdu.load_balance_info.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    // With a routing token the farm's own address leads to the right host.
    let address = address.filter(|_| token.is_none());
    if address.is_some() && settings.certificate != CertificatePolicy::Ca {
        // Only an authority can say that the other host belongs to the farm.
        return Failure::Broken(
            "it sends this session to another host of its farm, which only certificate = \"ca\" can follow"
                .into(),
        );
    }
    // A name for TLS and for the authority, where the farm says one.
    let address = address.map(|address| pdu.target_fqdn.clone().unwrap_or(address));
    Failure::Redirected(Box::new(Target {
        address,
        routing_token: token.map(|token| token.trim_end_matches(['\r', '\n']).to_owned()),
        session: pdu.session_id,
        user: pdu.username.clone(),
        domain: pdu.domain.clone(),
        cookie: pdu.password.clone(),
    }))
}

fn channels(mut connector: ClientConnector, order: &Order<'_>) -> ClientConnector {
    let mut dynamic =
        DrdynvcClient::new().with_dynamic_channel(DisplayControlClient::new(|_| Ok(Vec::new())));
    if offers_pipeline(order) {
        let tally = order.tally.clone();
        let ear = PipelineEar(Box::new(move |news| match news {
            PipelineNews::Version(version) => tally.lock().pipeline = Some(version),
            PipelineNews::Pixels(form) => tally.count(form),
        }));
        // One decoder serves one surface: each monitor would have its own.
        let fits = order.settings.monitors.len() <= 1 && is_possible(order.size.0, order.size.1);
        let video =
            (order.settings.lossy && fits).then(|| Box::new(AvcDecoder::default()) as Box<dyn H264Decoder>);
        dynamic = dynamic.with_dynamic_channel(GraphicsPipelineClient::new(Box::new(ear), video));
    }
    if order.settings.sound {
        // Newer hosts play by the dynamic channel, others by the static one.
        dynamic = dynamic.with_dynamic_channel(order.sound.dynamic_channel());
        connector.attach_static_channel(order.sound.static_channel());
    }
    connector.attach_static_channel(dynamic);
    if order.settings.clipboard {
        let ear = Box::new(ClipboardEar::new(order.clipboard.clone()));
        connector.attach_static_channel(CliprdrClient::new(ear));
    }
    if let Some((launch, resumes)) = &order.remote_app {
        let (width, height) = (side(order.size.0), side(order.size.1));
        connector.attach_static_channel(Rail::new(launch.clone(), (width, height), *resumes));
    }
    connector
}

/// In the pipeline each window of an application would be a picture of its own, and none on the screen.
fn offers_pipeline(order: &Order<'_>) -> bool {
    order.settings.pipeline && order.remote_app.is_none()
}

fn side(pixels: u32) -> u16 {
    u16::try_from(pixels).unwrap_or(u16::MAX)
}

fn config(order: &Order<'_>) -> Config {
    let RdpSettings { screen_sign_in, lossy, program, directory, .. } = order.settings;
    let codecs = match lossy {
        true => client_codecs_capabilities(&["remotefx"]).unwrap_or_else(|_| BitmapCodecs(Vec::new())),
        false => BitmapCodecs(Vec::new()),
    };
    let target = order.target.cloned().unwrap_or_default();
    let user = target.user.unwrap_or_else(|| order.login.user.clone());
    let domain = target.domain.unwrap_or_else(|| order.login.domain.clone());
    Config {
        desktop_size: DesktopSize { width: side(order.size.0), height: side(order.size.1) },
        monitor_layout: super::monitors::client_data(&order.settings.monitors),
        desktop_scale_factor: 0,
        desktop_physical_size: None,
        desktop_orientation: None,
        device_scale_factor: None,
        monitor_extended_layout: None,
        relative_mouse_input: false,
        enable_tls: *screen_sign_in,
        enable_credssp: true,
        enable_standard_rdp_security: false,
        credentials: Credentials::UsernamePassword {
            username: user,
            password: order.login.password.as_str().to_owned(),
        },
        domain: Some(domain).filter(|domain| !domain.is_empty()),
        client_build: CLIENT_BUILD,
        client_name: "chevet".into(),
        keyboard_type: KeyboardType::IBM_ENHANCED,
        keyboard_subtype: 0,
        keyboard_functional_keys_count: 12,
        keyboard_layout: order.layout.id(),
        connection_type: ConnectionType::Lan,
        ime_file_name: String::new(),
        bitmap: Some(BitmapConfig { lossy_compression: *lossy, color_depth: 32, codecs }),
        dig_product_id: String::new(),
        client_dir: "C:\\Windows\\System32\\mstscax.dll".into(),
        alternate_shell: program.clone(),
        work_dir: directory.clone(),
        remote_application_mode: order.remote_app.is_some(),
        rail_support_level: RailSupportLevel::SUPPORTED | RailSupportLevel::HANDSHAKE_EX_SUPPORTED,
        platform: MajorPlatformType::UNIX,
        hardware_id: None,
        request_data: None,
        autologon: true,
        enable_audio_playback: order.settings.sound,
        enable_audio_capture: false,
        performance_flags: PerformanceFlags::ENABLE_FONT_SMOOTHING | PerformanceFlags::DISABLE_FULLWINDOWDRAG,
        license_cache: None,
        timezone_info: TimezoneInfo::default(),
        compression_type: order.settings.compression.then_some(CompressionType::K64),
        enable_server_pointer: true,
        pointer_software_rendering: false,
        multitransport_flags: None,
        support_dyn_vc_gfx_protocol: offers_pipeline(order),
    }
}

//! A session on a host while it lasts: pixels, cursor and clipboard outwards, input and sizes inwards.

use super::clipboard::News;
use super::connect::Line;
use super::failure::{Failure, Target, logon_status};
use super::keyboard::Keyboard;
use super::mending::{self, Mending, Remedy};
use super::remote_app::RemoteApp;
use super::{Shared, paint};
use crate::rdp::rail::Rail;
use crate::rdp::{DecodeError, Decoder};
use crate::source::{SourceEvent, SourceState};
use crate::wire::InputEvent;
use bytes::BytesMut;
use ironrdp_cliprdr::CliprdrClient;
use ironrdp_connector::connection_activation::{
    ConnectionActivationFactory, ConnectionActivationSequence, ConnectionActivationState,
};
use ironrdp_connector::{ConnectionResult, Sequence as _};
use ironrdp_core::WriteBuf;
use ironrdp_displaycontrol::pdu::MonitorLayoutEntry;
use ironrdp_egfx::client::GraphicsPipelineClient;
use ironrdp_pdu::Action;
use ironrdp_pdu::geometry::InclusiveRectangle;
use ironrdp_pdu::input::fast_path::{FastPathInput, FastPathInputEvent};
use ironrdp_pdu::rdp::capability_sets::InputFlags;
use ironrdp_pdu::rdp::headers::{ShareControlPdu, ShareDataPdu};
use ironrdp_pdu::rdp::multitransport::MultitransportResponsePdu;
use ironrdp_pdu::rdp::session_info::{LogonErrorNotificationType, ServerAutoReconnect};
use ironrdp_session::{ActiveStageBuilder, ActiveStageOutput, GracefulDisconnectReason};
use ironrdp_svc::{SvcMessage, SvcProcessorMessages};
use ironrdp_tokio::FramedWrite as _;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A host that takes none of what it is sent for so long hangs.
const WRITE: Duration = Duration::from_secs(10);
/// How long a change of size may take the host.
const REACTIVATE: Duration = Duration::from_secs(20);
/// Sizes are asked for no more often: while a window is dragged they change all the time.
const BETWEEN_SIZES: Duration = Duration::from_millis(250);
/// xrdp loses a change of size that comes while it is still joining its X server.
const SETTLE: Duration = Duration::from_secs(1);
/// A host that has drawn nothing by then is shown as it is.
const PATIENCE: Duration = Duration::from_secs(3);
/// Packets that wait for the end of a change of the host's screen.
const MOST_QUEUED: usize = 1_024;
/// Events of one packet of input; the smallest hosts take no more.
const EVENTS_AT_ONCE: usize = 15;

pub struct Live<'a> {
    shared: &'a Shared,
    framed: Line,
    decoder: Decoder,
    keyboard: Keyboard,
    factory: ConnectionActivationFactory,
    /// Whether the host may be asked to draw everything again, by either of two means.
    redraw: (bool, bool),
    mending: Mending,
    shown: bool,
    begun: Instant,
    wanted: Option<(u32, u32)>,
    asked_at: Option<Instant>,
    clipboard_ready: bool,
    cookie: &'a mut Option<ServerAutoReconnect>,
    /// What came in the middle of a change of the host's screen, for after it.
    queued: VecDeque<(Action, BytesMut)>,
    /// The application that is shown alone.
    app: Option<RemoteApp>,
}

impl<'a> Live<'a> {
    pub fn new(
        shared: &'a Shared,
        result: ConnectionResult,
        framed: Line,
        wanted: Option<(u32, u32)>,
        cookie: &'a mut Option<ServerAutoReconnect>,
        app: Option<RemoteApp>,
    ) -> Result<Live<'a>, Failure> {
        let size = (result.desktop_size.width, result.desktop_size.height);
        let unicode = result.input_flags.contains(InputFlags::UNICODE);
        let mut report = shared.tally.lock();
        report.unicode_input = unicode;
        report.compression = result.compression_type.map(|kind| format!("{kind:?}"));
        report.size = size;
        report.connected_after = Some(shared.tally.elapsed());
        drop(report);
        let stage = ActiveStageBuilder {
            static_channels: result.static_channels,
            user_channel_id: result.user_channel_id,
            io_channel_id: result.io_channel_id,
            message_channel_id: result.message_channel_id,
            share_id: result.share_id,
            compression_type: result.compression_type,
            enable_server_pointer: result.enable_server_pointer,
            pointer_software_rendering: result.pointer_software_rendering,
        };
        let mut live = Live {
            shared,
            framed,
            decoder: Decoder::new(stage, size).map_err(|error| failed(&error))?,
            keyboard: Keyboard::new(shared.layout.clone(), unicode, size),
            factory: result.activation_factory,
            redraw: (result.refresh_rect_support, result.suppress_output_support),
            mending: Mending::default(),
            shown: false,
            begun: Instant::now(),
            wanted,
            asked_at: None,
            clipboard_ready: false,
            cookie,
            queued: VecDeque::new(),
            app,
        };
        live.decoder
            .stage
            .set_window_support_level(result.window_support_level.filter(|_| live.app.is_some()));
        live.fit_canvas()?;
        Ok(live)
    }

    /// Until the connection ends, or the source does. Says also whether an application that is shown alone has come.
    pub async fn run(mut self) -> (Failure, bool) {
        let failure = match self.carry().await {
            Ok(()) => Failure::Away("it is left".into()),
            Err(failure) => failure,
        };
        let waits = self.app.as_ref().is_some_and(|app| !app.has_come());
        (failure.or_without_app(waits), self.app.is_some_and(|app| app.has_come()))
    }

    async fn carry(&mut self) -> Result<(), Failure> {
        let mut first = Vec::new();
        self.keyboard.begin(&mut first);
        self.send_input(&first).await?;
        loop {
            let alarm = self.alarm();
            tokio::select! {
                pdu = self.framed.read_pdu() => {
                    let (action, frame) = pdu.map_err(|error| lost(&error))?;
                    self.on_pdu(action, &frame).await?;
                    while let Some((action, frame)) = self.queued.pop_front() {
                        self.on_pdu(action, &frame).await?;
                    }
                }
                () = self.shared.inbox.rung() => {
                    if self.on_inbox().await? {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep(alarm) => {}
            }
            self.ask_for_app().await?;
            self.show_late().await;
            self.mend().await?;
            self.ask_for_size().await?;
        }
    }

    /// When something is due that nobody rings for.
    fn alarm(&self) -> Duration {
        match () {
            () if !self.shown => Duration::from_millis(500),
            () if self.wanted.is_some() => BETWEEN_SIZES,
            () if self.mending.is_stale() => mending::ANSWER,
            () if self.app.as_ref().is_some_and(RemoteApp::is_awaited) => Duration::from_millis(500),
            () => Duration::from_secs(60),
        }
    }

    async fn show_late(&mut self) {
        if !self.shown && self.begun.elapsed() > PATIENCE {
            self.show().await;
        }
    }

    async fn show(&mut self) {
        self.shown = true;
        self.shared.tell(SourceEvent::State(SourceState::Live)).await;
    }

    async fn on_pdu(&mut self, action: Action, frame: &[u8]) -> Result<(), Failure> {
        if matches!(action, Action::FastPath)
            && let Some(form) = form_of(frame)
        {
            self.shared.tally.count(form);
            if is_packed(frame) {
                self.shared.tally.lock().packed += 1;
            }
        }
        let received = self.framed.last_read_at();
        let fed = self.decoder.feed(action, frame, received);
        let (outputs, damage) = fed.map_err(|error| failed(&error))?;
        if matches!(action, Action::X224)
            && !damage.is_empty()
            && self.decoder.stage.get_dvc::<GraphicsPipelineClient>().is_none()
        {
            self.shared.tally.count("bitmaps (slow path)");
        }
        self.paint(damage).await?;
        for output in outputs {
            self.on_output(output).await?;
        }
        if self.decoder.stage.take_bitmap_recovery_request() {
            self.ask_to_redraw().await?;
        }
        while let Some(news) = self.shared.clipboard.take_news() {
            self.on_clipboard(news).await?;
        }
        Ok(())
    }

    /// Pictures of the graphics pipeline that could not be decoded leave the screen as it was: they are asked for anew.
    async fn mend(&mut self) -> Result<(), Failure> {
        let pipeline = self.decoder.stage.get_dvc::<GraphicsPipelineClient>();
        let lost = pipeline.map_or(0, |pipeline| pipeline.processor().dropped_updates());
        if lost == 0 {
            return Ok(());
        }
        let decoded = self.shared.tally.decoded_in_pipeline();
        match self.mending.look(lost, decoded, Instant::now()) {
            Remedy::Wait => Ok(()),
            Remedy::Redraw => {
                self.shared.tally.lock().redraws += 1;
                tracing::info!(host = self.shared.host, lost, "an RDP host's picture could not be decoded");
                self.ask_to_redraw().await
            }
            Remedy::Reconnect => Err(Failure::Away("its pictures cannot be decoded".into())),
        }
    }

    async fn ask_to_redraw(&mut self) -> Result<(), Failure> {
        let (width, height) = self.decoder.size();
        let frames = self.decoder.stage.request_full_redraw(width, height, self.redraw.0, self.redraw.1);
        for frame in frames.map_err(|error| Failure::of_session(&error))? {
            self.write(&frame).await?;
        }
        Ok(())
    }

    /// The canvas gets the image's size, if it has another one.
    fn fit_canvas(&mut self) -> Result<(), Failure> {
        let (width, height) = self.decoder.size();
        let mut painting = self.shared.canvas.lock();
        let known = (painting.framebuffer.width(), painting.framebuffer.height());
        if known != (width.into(), height.into()) {
            let resized = painting.resize(width.into(), height.into());
            resized.map_err(|_| failed(&DecodeError::Size(width, height)))?;
            drop(painting);
            self.shared.canvas.notify();
        }
        self.keyboard.resize((width, height));
        self.shared.tally.lock().size = (width, height);
        Ok(())
    }

    async fn paint(&mut self, damage: Vec<InclusiveRectangle>) -> Result<(), Failure> {
        // The graphics pipeline changes the image's size by itself.
        self.fit_canvas()?;
        if damage.is_empty() {
            return Ok(());
        }
        let painted = {
            let mut painting = self.shared.canvas.lock();
            match &self.app {
                None => self.decoder.paint(&damage, |x, y, row| painting.paint_row(x, y, row)),
                Some(app) => self.decoder.paint(&damage, |x, y, row| {
                    let mut row = row.to_vec();
                    app.windows.darken(x, y, &mut row);
                    painting.paint_row(x, y, &row)
                }),
            }
        };
        if painted {
            self.shared.canvas.notify();
        }
        if !self.shown {
            let after = self.shared.tally.elapsed();
            self.shared.tally.lock().first_picture_after = Some(after);
            self.show().await;
        }
        Ok(())
    }

    async fn on_output(&mut self, output: ActiveStageOutput) -> Result<(), Failure> {
        match output {
            ActiveStageOutput::ResponseFrame(frame) => self.write(&frame).await?,
            ActiveStageOutput::PointerDefault => self.tell_cursor(Some(paint::arrow())).await,
            ActiveStageOutput::PointerHidden => self.tell_cursor(Some(paint::hidden())).await,
            ActiveStageOutput::PointerBitmap(pointer) => self.tell_cursor(paint::cursor(&pointer)).await,
            ActiveStageOutput::PointerPosition { x, y } => {
                self.shared.tell(SourceEvent::CursorMoved { x, y }).await;
            }
            ActiveStageOutput::DeactivateAll => self.reactivate().await?,
            ActiveStageOutput::Terminate(reason) => return Err(ended(&reason)),
            ActiveStageOutput::AutoReconnectCookie(cookie) => *self.cookie = Some(cookie),
            ActiveStageOutput::AutoReconnectFailed => *self.cookie = None,
            ActiveStageOutput::LogonErrors(errors) => {
                if let LogonErrorNotificationType::NtStatus(status) = errors.error_type {
                    let reason = logon_status(status).unwrap_or("it refused the sign-in");
                    tracing::warn!(host = self.shared.host, status, reason, "an RDP host's sign-in");
                }
            }
            ActiveStageOutput::MultitransportRequest(request) => {
                let declined = MultitransportResponsePdu::abort(request.request_id);
                let frame = self.decoder.stage.encode_multitransport_response(&declined);
                let frame = frame.map_err(|error| Failure::of_session(&error))?;
                self.write(&frame).await?;
            }
            ActiveStageOutput::ServerRedirection(pdu) => {
                let token = pdu.load_balance_info.as_deref().map(|bytes| String::from_utf8_lossy(bytes));
                return Err(Failure::Redirected(Box::new(Target {
                    routing_token: token.map(|token| token.trim_end_matches(['\r', '\n']).to_owned()),
                    session: pdu.session_id,
                    ..Target::default()
                })));
            }
            ActiveStageOutput::WindowingOrders(orders)
                if self.app.as_mut().is_some_and(|app| app.windows.apply(&orders)) =>
            {
                self.paint(vec![self.whole()]).await?;
            }
            _ => {}
        }
        Ok(())
    }

    fn whole(&self) -> InclusiveRectangle {
        let (width, height) = self.decoder.size();
        InclusiveRectangle {
            left: 0,
            top: 0,
            right: width.saturating_sub(1),
            bottom: height.saturating_sub(1),
        }
    }

    /// Has the application started that is to be shown alone, when it is time.
    async fn ask_for_app(&mut self) -> Result<(), Failure> {
        let rail = self.decoder.stage.get_svc_processor_mut::<Rail>();
        let (Some(app), Some(rail)) = (&mut self.app, rail) else { return Ok(()) };
        let orders = app.due(rail, Instant::now())?;
        self.send_rail(orders).await
    }

    /// Without an application there is no channel, and nothing to be sent by it.
    async fn send_rail(&mut self, orders: Vec<SvcMessage>) -> Result<(), Failure> {
        if orders.is_empty() {
            return Ok(());
        }
        let frame =
            self.decoder.stage.process_svc_processor_messages(SvcProcessorMessages::<Rail>::new(orders));
        self.write(&frame.map_err(|error| Failure::of_session(&error))?).await
    }

    /// Tells the host which window is clicked.
    async fn press(&mut self, x: u32, y: u32) -> Result<(), Failure> {
        let rail = self.decoder.stage.get_svc_processor_mut::<Rail>();
        let (Some(app), Some(rail)) = (&mut self.app, rail) else { return Ok(()) };
        let orders = app.press(rail, x, y);
        self.send_rail(orders).await
    }

    async fn tell_cursor(&mut self, shape: Option<crate::source::CursorShape>) {
        if let Some(shape) = shape {
            self.shared.tally.lock().cursors += 1;
            self.shared.tell(SourceEvent::Cursor(shape)).await;
        }
    }

    /// The host begins anew with other capabilities, most often another size.
    async fn reactivate(&mut self) -> Result<(), Failure> {
        let mut sequence = self.factory.create();
        let mut buffer = WriteBuf::new();
        let deadline = Instant::now() + REACTIVATE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, self.advance(&mut sequence, &mut buffer)).await {
                Ok(step) => step?,
                Err(_) => return Err(Failure::Away("it did not finish a change of its screen".into())),
            }
            match sequence.connection_activation_state() {
                ConnectionActivationState::Finalized {
                    desktop_size,
                    share_id,
                    static_channel_chunk_size,
                    enable_server_pointer,
                    pointer_software_rendering,
                    refresh_rect_support,
                    suppress_output_support,
                    window_support_level,
                    ..
                } => {
                    let size = (desktop_size.width, desktop_size.height);
                    let (io, user) = (self.factory.io_channel_id(), self.factory.user_channel_id());
                    self.decoder.stage.reactivate(
                        io,
                        user,
                        share_id,
                        enable_server_pointer,
                        pointer_software_rendering,
                        static_channel_chunk_size,
                    );
                    self.redraw = (refresh_rect_support, suppress_output_support);
                    self.decoder.resize(size).map_err(|error| failed(&error))?;
                    self.shared.tally.lock().resizes += 1;
                    let mut first = Vec::new();
                    self.keyboard.begin(&mut first);
                    self.fit_canvas()?;
                    self.decoder
                        .stage
                        .set_window_support_level(window_support_level.filter(|_| self.app.is_some()));
                    let rail = self.decoder.stage.get_svc_processor_mut::<Rail>();
                    let orders = rail.map(|rail| rail.resize(size)).unwrap_or_default();
                    self.send_rail(orders).await?;
                    return self.send_input(&first).await;
                }
                ConnectionActivationState::Redirected { .. } => {
                    return Err(Failure::Broken("it sends this session elsewhere while it is open".into()));
                }
                _ => {}
            }
        }
    }

    /// One step of the sequence. Hosts go on drawing meanwhile, and channels talking: that is for later.
    async fn advance(
        &mut self,
        sequence: &mut ConnectionActivationSequence,
        buffer: &mut WriteBuf,
    ) -> Result<(), Failure> {
        let failed = |error| Failure::of_connector(&error, super::failure::Stage::Opening);
        buffer.clear();
        let written = if sequence.next_pdu_hint().is_none() {
            sequence.step_no_input(buffer).map_err(failed)?
        } else {
            let (action, frame) = self.framed.read_pdu().await.map_err(|error| lost(&error))?;
            if !matches!(action, Action::X224) || !is_of_activation(&frame, self.factory.io_channel_id()) {
                if self.queued.len() >= MOST_QUEUED {
                    return Err(Failure::Broken("it does not finish a change of its screen".into()));
                }
                self.queued.push_back((action, frame));
                return Ok(());
            }
            sequence.step(&frame, None, buffer).map_err(failed)?
        };
        match written.size() {
            Some(_) => self.write(buffer.filled()).await,
            None => Ok(()),
        }
    }

    /// Handles what the session asked for; returns whether it is over.
    async fn on_inbox(&mut self) -> Result<bool, Failure> {
        let waiting = self.shared.inbox.take();
        if waiting.stopping {
            let mut last = Vec::new();
            self.keyboard.event(&InputEvent::ReleaseAll, &mut last);
            self.send_input(&last).await?;
            return Ok(true);
        }
        if !waiting.events.is_empty() {
            let mut out = Vec::new();
            for event in &waiting.events {
                if let InputEvent::PointerButton { down: true, x, y, .. } = *event {
                    self.press(x.into(), y.into()).await?;
                }
                self.keyboard.event(event, &mut out);
            }
            self.send_input(&out).await?;
        }
        if let Some(size) = waiting.size {
            // Even if this connection ends before it is asked for.
            let size = MonitorLayoutEntry::adjust_display_size(size.0, size.1);
            self.wanted = Some(size);
            self.shared.remember_size(size);
        }
        if let Some(clip) = waiting.clip {
            self.shared.clipboard.offer(clip);
            self.offer_clipboard().await?;
        }
        Ok(false)
    }

    async fn send_input(&mut self, events: &[FastPathInputEvent]) -> Result<(), Failure> {
        for chunk in events.chunks(EVENTS_AT_ONCE) {
            let packet =
                FastPathInput::new(chunk.to_vec()).map_err(|error| Failure::Broken(error.to_string()))?;
            let frame =
                ironrdp_core::encode_vec(&packet).map_err(|error| Failure::Broken(error.to_string()))?;
            self.write(&frame).await?;
        }
        Ok(())
    }

    async fn ask_for_size(&mut self) -> Result<(), Failure> {
        let Some((width, height)) = self.wanted else { return Ok(()) };
        let soon = self.asked_at.is_some_and(|at| at.elapsed() < BETWEEN_SIZES);
        let unsettled = !self.shown || self.begun.elapsed() < SETTLE;
        if soon || unsettled || self.decoder.stage.display_control_ready() != Some(true) {
            return Ok(());
        }
        self.shared.tally.lock().display_control = true;
        self.wanted = None;
        let current = self.decoder.size();
        if (width, height) == (current.0.into(), current.1.into()) {
            return Ok(());
        }
        let monitors = &self.shared.config.settings.monitors;
        let asked = match monitors.is_empty() {
            true => self.decoder.stage.encode_resize(width, height, None, None),
            false => {
                let layout = super::monitors::display_control(monitors);
                let layout = layout.map_err(|error| Failure::Broken(error.to_string()))?;
                self.decoder.stage.encode_monitor_layout(&layout)
            }
        };
        if let Some(frame) = asked {
            self.asked_at = Some(Instant::now());
            self.write(&frame.map_err(|error| Failure::of_session(&error))?).await?;
        }
        Ok(())
    }

    async fn on_clipboard(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Ready => {
                self.clipboard_ready = true;
                self.shared.tally.lock().clipboard = true;
                // The channel's opening is finished by an offer, be it of nothing.
                self.offer_clipboard().await?;
            }
            News::Copied(format) => {
                self.shared.clipboard.ask(format);
                if let Some(channel) = self.decoder.stage.get_svc_processor_mut::<CliprdrClient>() {
                    let messages = channel.initiate_paste(format);
                    self.send_clipboard(messages).await?;
                }
            }
            News::Wanted(format) => {
                let given = self.shared.clipboard.give(format);
                if let Some(channel) = self.decoder.stage.get_svc_processor_mut::<CliprdrClient>() {
                    let messages = channel.submit_format_data(given);
                    self.send_clipboard(messages).await?;
                }
            }
            News::Given(data) => {
                if let Some(clip) = data.and_then(|data| self.shared.clipboard.take(&data)) {
                    self.shared.tell(SourceEvent::Clip(clip)).await;
                }
            }
        }
        Ok(())
    }

    async fn offer_clipboard(&mut self) -> Result<(), Failure> {
        if !self.clipboard_ready {
            return Ok(());
        }
        let formats = self.shared.clipboard.formats();
        if let Some(channel) = self.decoder.stage.get_svc_processor_mut::<CliprdrClient>() {
            let messages = channel.initiate_copy(&formats);
            self.send_clipboard(messages).await?;
        }
        Ok(())
    }

    async fn send_clipboard(
        &mut self,
        messages: ironrdp_pdu::PduResult<SvcProcessorMessages<CliprdrClient>>,
    ) -> Result<(), Failure> {
        // A clipboard that fails does not end the session.
        let messages = match messages {
            Ok(messages) => messages,
            Err(error) => {
                tracing::debug!(%error, "an RDP host's clipboard");
                return Ok(());
            }
        };
        match self.decoder.stage.process_svc_processor_messages(messages) {
            Ok(frame) => self.write(&frame).await,
            Err(error) => {
                tracing::debug!(%error, "an RDP host's clipboard");
                Ok(())
            }
        }
    }

    async fn write(&mut self, frame: &[u8]) -> Result<(), Failure> {
        if frame.is_empty() {
            return Ok(());
        }
        match tokio::time::timeout(WRITE, self.framed.write_all(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(lost(&error)),
            Err(_) => Err(Failure::Away("it takes nothing any more".into())),
        }
    }
}

fn failed(error: &DecodeError) -> Failure {
    match error {
        DecodeError::Unread(error) => Failure::of_session(error),
        error => Failure::Broken(error.to_string()),
    }
}

fn lost(error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Failure::Away("it closed the connection".into()),
        std::io::ErrorKind::Other => Failure::Broken("it sent what is no RDP".into()),
        _ => Failure::Away(format!("the connection broke ({error})")),
    }
}

fn ended(reason: &GracefulDisconnectReason) -> Failure {
    let text = reason.description();
    if text.contains("Another user connected") || text.contains("another connection") {
        return Failure::TakenOver;
    }
    if text.contains("logging off") {
        return Failure::SignedOut;
    }
    Failure::Away(format!("it ended the session ({text})"))
}

/// Whether a packet belongs to the sequence by which a host begins anew.
fn is_of_activation(frame: &[u8], io_channel: u16) -> bool {
    let Ok(context) = ironrdp_pdu::mcs::decode_send_data_indication(frame) else { return true };
    if context.channel_id != io_channel {
        return false;
    }
    let Ok(control) = ironrdp_pdu::rdp::headers::decode_share_control(context) else { return true };
    match control.pdu {
        ShareControlPdu::Data(data) => matches!(
            data.share_data_pdu,
            ShareDataPdu::Synchronize(_)
                | ShareDataPdu::Control(_)
                | ShareDataPdu::FontMap(_)
                | ShareDataPdu::MonitorLayout(_)
                | ShareDataPdu::ServerSetErrorInfo(_)
        ),
        _ => true,
    }
}

/// Whether the first update of a fast-path packet was compressed.
fn is_packed(frame: &[u8]) -> bool {
    let header = frame.get(1).map_or(0, |byte| if byte & 0x80 == 0 { 2 } else { 3 });
    let flags = frame.get(header).filter(|head| **head & 0x80 != 0).and_then(|_| frame.get(header + 1));
    flags.is_some_and(|flags| flags & 0x20 != 0)
}

/// In which form the first update of a fast-path packet sends pixels, if it does.
fn form_of(frame: &[u8]) -> Option<&'static str> {
    let header = if frame.get(1)? & 0x80 == 0 { 2 } else { 3 };
    match frame.get(header)? & 0x0f {
        0 => Some("orders"),
        1 => Some("bitmaps"),
        4 => Some("surface commands"),
        _ => None,
    }
}

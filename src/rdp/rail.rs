//! RemoteApp's channel (MS-RDPERP 2.2.2): what starts one application of a host instead of its desktop, and what the host says
//! of it. Its windows come as drawing orders: see [`super::windows`].

use ironrdp_core::impl_as_any;
use ironrdp_pdu::PduResult;
use ironrdp_pdu::gcc::{ChannelName, ChannelOptions};
use ironrdp_svc::{ChannelFlags, CompressionCondition, SvcClientProcessor, SvcMessage, SvcProcessor};

/// Types of orders (2.2.2.1).
const EXEC: u16 = 0x0001;
const ACTIVATE: u16 = 0x0002;
const SYSTEM_PARAMETER: u16 = 0x0003;
const HANDSHAKE: u16 = 0x0005;
const CLIENT_STATUS: u16 = 0x000b;
const HANDSHAKE_EX: u16 = 0x0013;
const EXEC_RESULT: u16 = 0x0080;

/// What the host expands the variables of (2.2.2.3.1).
const EXPAND_DIRECTORY: u16 = 0x0001;
const EXPAND_ARGUMENTS: u16 = 0x0008;

/// Ends at once, and shows nothing.
const NOTHING: &str = "true";

/// Bytes of an order's type and length (2.2.2.1).
const HEADER: usize = 4;
/// As Windows 10 says it.
const BUILD: u32 = 18_363;

/// What is to be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// The path of a program there, or `||` and the alias by which one is published.
    pub program: String,
    pub directory: String,
    pub arguments: String,
}

/// What a host says on the channel, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is ready (2.2.2.2.1, 2.2.2.2.3).
    Handshake,
    /// What became of what was to be started (2.2.2.3.2), and the host's own number for that.
    Result { code: u16, raw: u32 },
    /// What asks for nothing here: windows are the host's to place, and there is no task bar.
    Other,
}

/// Reads what a host says; nothing, if it is no order.
pub fn read(payload: &[u8]) -> Option<Said> {
    let half = |at: usize| Some(u16::from_le_bytes(*payload.get(at..)?.first_chunk()?));
    let word = |at: usize| Some(u32::from_le_bytes(*payload.get(at..)?.first_chunk()?));
    let (kind, _length) = (half(0)?, half(2)?);
    Some(match kind {
        HANDSHAKE | HANDSHAKE_EX => word(HEADER).map(|_build| Said::Handshake)?,
        EXEC_RESULT => Said::Result { code: half(HEADER + 2)?, raw: word(HEADER + 4)? },
        _ => Said::Other,
    })
}

/// Why a host did not start something, by the code of its answer; nothing, if it did.
pub fn refusal(code: u16) -> Option<&'static str> {
    Some(match code {
        0 => return None,
        1 => "the session there is not ready for applications",
        2 => "it could not read what was asked for",
        3 => "it does not publish this application to this user",
        5 => "it has no such program",
        6 => "the program could not be started there",
        7 => "its session is locked",
        _ => "it did not start the application",
    })
}

fn order(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + body.len()).unwrap_or(u16::MAX);
    [&kind.to_le_bytes(), &length.to_le_bytes(), body].concat()
}

fn exec(launch: &Launch) -> Vec<u8> {
    let texts = [&launch.program, &launch.directory, &launch.arguments]
        .map(|text| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    let mut body = (EXPAND_DIRECTORY | EXPAND_ARGUMENTS).to_le_bytes().to_vec();
    for text in &texts {
        body.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    }
    order(EXEC, &[body, texts.concat()].concat())
}

/// For a host that greets only after it was asked, as xrdp does. That one takes the length of the program's name for one in
/// characters, reads on behind it, and knows no directory and no arguments.
fn exec_by_name(program: &str) -> Vec<u8> {
    let mut order = exec(&Launch { program: program.to_owned(), ..Launch::default() });
    order.resize(2 * order.len(), 0);
    order
}

/// The work area is the whole screen, and the host draws and moves windows itself (2.2.2.2.2, 2.2.2.4.1).
fn work_area((width, height): (u16, u16)) -> Vec<u8> {
    const SET_WORK_AREA: u32 = 0x2f;
    let edges = [0, 0, width, height];
    let body: Vec<u8> =
        SET_WORK_AREA.to_le_bytes().into_iter().chain(edges.into_iter().flat_map(u16::to_le_bytes)).collect();
    order(SYSTEM_PARAMETER, &body)
}

/// The channel's servers see the headers of its pieces.
fn message(order: Vec<u8>) -> SvcMessage {
    SvcMessage::from(order).with_flags(ChannelFlags::SHOW_PROTOCOL)
}

fn greeting(size: (u16, u16)) -> Vec<SvcMessage> {
    // Windows are dragged as frames, as it is asked for at the sign-in.
    const SET_DRAG_FULL_WINDOWS: u32 = 0x25;
    let frames = [&SET_DRAG_FULL_WINDOWS.to_le_bytes()[..], &[0]].concat();
    let orders = [
        order(HANDSHAKE, &BUILD.to_le_bytes()),
        order(CLIENT_STATUS, &0u32.to_le_bytes()),
        order(SYSTEM_PARAMETER, &frames),
        work_area(size),
    ];
    orders.into_iter().map(message).collect()
}

/// This side of the channel.
#[derive(Debug)]
pub struct Rail {
    launch: Launch,
    size: (u16, u16),
    /// Whether the application runs already, as far as is known: then nothing is started unless it is asked for.
    resumes: bool,
    /// Whether the host did not greet by itself.
    woken: bool,
    greeted: bool,
    asked: bool,
    result: Option<(u16, u32)>,
}

impl_as_any!(Rail);

impl Rail {
    /// For a screen of this size in pixels.
    pub fn new(launch: Launch, size: (u16, u16), resumes: bool) -> Self {
        Rail { launch, size, resumes, woken: false, greeted: false, asked: false, result: None }
    }

    /// Whether the application may run there already.
    pub fn resumes(&self) -> bool {
        self.resumes
    }

    /// Whether both sides have said that they are ready.
    pub fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Whether the host has been asked to start the application.
    pub fn is_asked(&self) -> bool {
        self.asked
    }

    /// What the host answered: a code, see [`refusal`], and its own number for it.
    pub fn result(&self) -> Option<(u16, u32)> {
        self.result
    }

    /// Whether the host was made to greet.
    pub fn is_woken(&self) -> bool {
        self.woken
    }

    /// Makes a host greet that waits to be asked, without starting the application again. xrdp's end of the channel is ready only
    /// once it was asked to start something: what else it is told before breaks it, and it tells of its windows when it was greeted.
    pub fn wake(&mut self) -> Vec<SvcMessage> {
        self.woken = true;
        vec![message(exec_by_name(NOTHING))]
    }

    fn greet(&mut self) -> Vec<SvcMessage> {
        self.greeted = true;
        greeting(self.size)
    }

    /// Asks the host to start the application.
    pub fn ask(&mut self) -> Vec<SvcMessage> {
        self.asked = true;
        let order = match self.greeted && !self.woken {
            true => exec(&self.launch),
            false => exec_by_name(&self.launch.program),
        };
        vec![message(order)]
    }

    /// The screen has another size.
    pub fn resize(&mut self, size: (u16, u16)) -> Vec<SvcMessage> {
        self.size = size;
        if self.greeted { vec![message(work_area(size))] } else { Vec::new() }
    }

    /// A window is to have the keyboard (2.2.2.6.1).
    pub fn activate(&self, window: u32) -> Vec<SvcMessage> {
        vec![message(order(ACTIVATE, &[&window.to_le_bytes()[..], &[1]].concat()))]
    }
}

impl SvcProcessor for Rail {
    fn channel_name(&self) -> ChannelName {
        ChannelName::from_static(b"rail\0\0\0\0")
    }

    fn compression_condition(&self) -> CompressionCondition {
        CompressionCondition::WhenRdpDataIsCompressed
    }

    fn channel_options(&self) -> ChannelOptions {
        ChannelOptions::INITIALIZED
            | ChannelOptions::ENCRYPT_RDP
            | ChannelOptions::COMPRESS_RDP
            | ChannelOptions::SHOW_PROTOCOL
    }

    fn process(&mut self, payload: &[u8]) -> PduResult<Vec<SvcMessage>> {
        match read(payload) {
            Some(Said::Handshake) if !self.greeted => {
                let mut orders = self.greet();
                if !self.asked && !self.resumes {
                    orders.extend(self.ask());
                }
                return Ok(orders);
            }
            Some(Said::Result { code, raw }) if self.asked => self.result = Some((code, raw)),
            _ => {}
        }
        Ok(Vec::new())
    }
}

impl SvcClientProcessor for Rail {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rail(resumes: bool) -> Rail {
        let launch = Launch { program: "||é".into(), directory: "C:\\".into(), arguments: "/a".into() };
        Rail::new(launch, (800, 600), resumes)
    }

    fn bytes(messages: &[SvcMessage]) -> Vec<Vec<u8>> {
        messages.iter().map(|message| message.encode_unframed_pdu().unwrap()).collect()
    }

    #[test]
    fn a_host_that_greets_is_told_about_this_side_and_what_to_start() {
        let mut rail = rail(false);
        let told = bytes(&rail.process(&[5, 0, 8, 0, 0xbb, 0x47, 0, 0]).unwrap());
        assert_eq!(told[0], [5, 0, 8, 0, 0xbb, 0x47, 0, 0]);
        assert_eq!(told[1], [0x0b, 0, 8, 0, 0, 0, 0, 0]);
        assert_eq!(told[3], [3, 0, 16, 0, 0x2f, 0, 0, 0, 0, 0, 0, 0, 0x20, 3, 0x58, 2]);
        let exec = [
            &[1, 0, 28, 0, 9, 0, 6, 0, 6, 0, 4, 0][..],
            &[b'|', 0, b'|', 0, 0xe9, 0, b'C', 0, b':', 0, b'\\', 0, b'/', 0, b'a', 0],
        ];
        assert_eq!(told[4], exec.concat());
        assert!(rail.process(&[5, 0, 8, 0, 0, 0, 0, 0]).unwrap().is_empty(), "once");
    }

    #[test]
    fn what_runs_already_is_not_started_again_unless_it_is_asked_for() {
        let mut rail = rail(true);
        assert_eq!(rail.process(&[0x13, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap().len(), 4);
        assert!(rail.is_greeted() && !rail.is_asked());
        assert_eq!(bytes(&rail.ask())[0][0], 1);
    }

    #[test]
    fn a_host_that_is_woken_is_told_nothing_else_until_it_greets_and_starts_nothing_that_is_seen() {
        let mut rail = rail(true);
        let woken = bytes(&rail.wake());
        assert_eq!(woken.len(), 1);
        assert_eq!(&woken[0][12..20], [b't', 0, b'r', 0, b'u', 0, b'e', 0]);
        assert!(rail.is_woken() && !rail.is_greeted() && !rail.is_asked());
        assert_eq!(rail.process(&[5, 0, 8, 0, 1, 0, 0, 0]).unwrap().len(), 4, "greeted, and not asked");
        let asked = bytes(&rail.ask());
        assert_eq!((asked[0][0], asked[0].len()), (1, 36), "in the form that it reads");
    }

    #[test]
    fn a_host_that_waits_to_be_asked_finds_an_end_behind_the_name_whatever_it_takes_for_its_length() {
        let mut rail = rail(false);
        let asked = bytes(&rail.ask());
        assert_eq!(&asked[0][..4], [1, 0, 18, 0]);
        assert_eq!(asked[0].len(), 36);
        assert!(asked[0][18..].iter().all(|&byte| byte == 0));
        assert_eq!(rail.process(&[5, 0, 4, 0, 1, 0, 0, 0]).unwrap().len(), 4, "it is not asked twice");
    }

    #[test]
    fn what_a_host_refuses_is_said_in_words() {
        let mut rail = rail(false);
        let refused = [0x80, 0, 18, 0, 8, 0, 3, 0, 0x57, 0, 0, 0, 0, 0, 2, 0, b'x', 0];
        rail.process(&refused).unwrap();
        assert_eq!(rail.result(), None, "nobody asked");
        rail.ask();
        rail.process(&refused).unwrap();
        let (code, raw) = rail.result().unwrap();
        assert_eq!((refusal(code), raw), (Some("it does not publish this application to this user"), 0x57));
        assert_eq!(refusal(0), None);
    }

    proptest! {
        #[test]
        fn whatever_a_host_says_is_answered_with_no_more_than_a_greeting_and_one_launch(
            said in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..40),
            kinds in proptest::collection::vec(prop_oneof![Just(5u8), Just(0x13), Just(0x80), any::<u8>()], 40),
        ) {
            let mut rail = rail(false);
            let mut told = 0;
            for (mut payload, kind) in said.into_iter().zip(kinds) {
                if let [first, second, ..] = &mut payload[..] {
                    (*first, *second) = (kind, 0);
                }
                told += rail.process(&payload).unwrap().len();
            }
            prop_assert!(told <= 5);
        }
    }
}

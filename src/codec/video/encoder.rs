//! OpenH264's encoder. The safe crate around it cannot change the bit rate of a running encoder, so its C interface
//! is used directly, and nowhere but here.

use super::{I420, VideoError, is_possible};
use crate::screen::{Framebuffer, Rect};
use openh264_sys2::*;
use std::ffi::c_void;
use std::ptr;

/// Pictures are never made better than this: beyond it the exact tiles are the cheaper way to quality.
const BEST_QUANTISER: i32 = 22;
/// Nor worse: a frame is skipped instead.
const WORST_QUANTISER: i32 = 42;
const FRAMES_PER_SECOND: f32 = 30.0;

/// What became of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodedFrame {
    /// Needs nothing before it.
    Key,
    /// Needs every frame since the last key frame.
    Delta,
    /// The rate did not allow for it: there is nothing to send.
    Skipped,
}

/// An encoder for pictures of one size. Making one takes milliseconds, so it is worth keeping.
pub struct VideoEncoder {
    raw: *mut ISVCEncoder,
    picture: I420,
    bits_per_second: u32,
}

// SAFETY: OpenH264 ties an encoder to no thread, and only one thread at a time can have `&mut`.
unsafe impl Send for VideoEncoder {}
// SAFETY: a shared one only tells its rate.
unsafe impl Sync for VideoEncoder {}

impl VideoEncoder {
    /// An encoder that keeps to a rate, by coarser pictures and at last by skipping some.
    pub fn new(width: u32, height: u32, bits_per_second: u32) -> Result<Self, VideoError> {
        if !is_possible(width, height) {
            return Err(VideoError::Size { width, height });
        }
        let mut raw = ptr::null_mut();
        // SAFETY: the library writes a pointer, or leaves it null.
        let code = unsafe { source::APILoader::new().WelsCreateSVCEncoder(&mut raw) };
        if raw.is_null() {
            return Err(VideoError::Encoder(code));
        }
        let encoder = VideoEncoder { raw, picture: I420::default(), bits_per_second };
        // SAFETY: a live encoder's own functions, with parameters that live as long as the calls.
        unsafe {
            let mut quiet = 0i32;
            let set = (**raw).SetOption.ok_or(VideoError::Encoder(-1))?;
            set(raw, ENCODER_OPTION_TRACE_LEVEL, ptr::from_mut(&mut quiet).cast());
            let mut parameters = SEncParamExt::default();
            check((**raw).GetDefaultParams.ok_or(VideoError::Encoder(-1))?(raw, &mut parameters))?;
            configure(&mut parameters, width, height, bits_per_second);
            check((**raw).InitializeExt.ok_or(VideoError::Encoder(-1))?(raw, &parameters))?;
            let mut format = videoFormatI420;
            check(set(raw, ENCODER_OPTION_DATAFORMAT, ptr::from_mut(&mut format).cast()))?;
        }
        Ok(encoder)
    }

    /// From the next picture on.
    pub fn set_rate(&mut self, bits_per_second: u32) -> Result<(), VideoError> {
        if bits_per_second == self.bits_per_second {
            return Ok(());
        }
        let mut rate =
            SBitrateInfo { iLayer: SPATIAL_LAYER_ALL, iBitrate: bits_per_second.min(i32::MAX as u32) as i32 };
        let rate: *mut c_void = ptr::from_mut(&mut rate).cast();
        // SAFETY: a live encoder; the option reads one SBitrateInfo.
        unsafe {
            let set = (**self.raw).SetOption.ok_or(VideoError::Encoder(-1))?;
            // Whichever of the two is lower must move first, or the other is refused: so the ceiling moves twice.
            set(self.raw, ENCODER_OPTION_MAX_BITRATE, rate);
            check(set(self.raw, ENCODER_OPTION_BITRATE, rate))?;
            set(self.raw, ENCODER_OPTION_MAX_BITRATE, rate);
        }
        self.bits_per_second = bits_per_second;
        Ok(())
    }

    pub fn bits_per_second(&self) -> u32 {
        self.bits_per_second
    }

    /// Takes the pixels of a rectangle of the encoder's size; [`VideoEncoder::encode`] makes a frame of them, which may
    /// happen on another thread while the screen goes on.
    pub fn load(&mut self, screen: &Framebuffer, rect: &Rect) {
        self.picture.load(screen, rect);
    }

    /// Appends the frame of the picture that was loaded last, in the byte stream format, to `out`. `key`: it shall need
    /// nothing before it. `time_ms` must grow from frame to frame.
    pub fn encode(&mut self, key: bool, time_ms: u64, out: &mut Vec<u8>) -> Result<EncodedFrame, VideoError> {
        let [y, u, v] = self.picture.planes().map(|plane| plane.as_ptr().cast_mut());
        let (width, height) = (self.picture.width() as i32, self.picture.height() as i32);
        let picture = SSourcePicture {
            iColorFormat: videoFormatI420,
            iStride: [width, width / 2, width / 2, 0],
            pData: [y, u, v, ptr::null_mut()],
            iPicWidth: width,
            iPicHeight: height,
            uiTimeStamp: time_ms as i64,
            ..SSourcePicture::default()
        };
        let mut frame = SFrameBSInfo::default();
        // SAFETY: a live encoder of the picture's size; it reads the planes, and writes them nowhere.
        unsafe {
            if key {
                check((**self.raw).ForceIntraFrame.ok_or(VideoError::Encoder(-1))?(self.raw, true))?;
            }
            check((**self.raw).EncodeFrame.ok_or(VideoError::Encoder(-1))?(self.raw, &picture, &mut frame))?;
        }
        let kind = match frame.eFrameType {
            kind if kind == videoFrameTypeIDR => EncodedFrame::Key,
            kind if kind == videoFrameTypeI || kind == videoFrameTypeP => EncodedFrame::Delta,
            _ => return Ok(EncodedFrame::Skipped),
        };
        for layer in frame.sLayerInfo.iter().take(frame.iLayerNum.max(0) as usize) {
            // SAFETY: the library vouches for `iNalCount` lengths, and for that many bytes, until the next frame.
            unsafe {
                let lengths =
                    std::slice::from_raw_parts(layer.pNalLengthInByte, layer.iNalCount.max(0) as usize);
                let bytes: usize = lengths.iter().map(|&length| length.max(0) as usize).sum();
                out.extend_from_slice(std::slice::from_raw_parts(layer.pBsBuf, bytes));
            }
        }
        Ok(kind)
    }
}

impl Drop for VideoEncoder {
    fn drop(&mut self) {
        // SAFETY: the encoder is live, and is not used again.
        unsafe {
            if let Some(end) = (**self.raw).Uninitialize {
                end(self.raw);
            }
            source::APILoader::new().WelsDestroySVCEncoder(self.raw);
        }
    }
}

fn configure(parameters: &mut SEncParamExt, width: u32, height: u32, bits_per_second: u32) {
    let rate = bits_per_second.min(i32::MAX as u32) as i32;
    // Screen mode searches for scrolled content at twice the time; what scrolls is copied, and never comes here.
    parameters.iUsageType = CAMERA_VIDEO_REAL_TIME;
    parameters.iPicWidth = width as i32;
    parameters.iPicHeight = height as i32;
    parameters.iTargetBitrate = rate;
    parameters.iMaxBitrate = rate;
    parameters.iRCMode = RC_BITRATE_MODE;
    parameters.fMaxFrameRate = FRAMES_PER_SECOND;
    parameters.bEnableFrameSkip = true;
    parameters.iMinQp = BEST_QUANTISER;
    parameters.iMaxQp = WORST_QUANTISER;
    parameters.iTemporalLayerNum = 1;
    parameters.iSpatialLayerNum = 1;
    parameters.iComplexityMode = MEDIUM_COMPLEXITY;
    // Key frames come when they are asked for.
    parameters.uiIntraPeriod = 0;
    parameters.bEnableSceneChangeDetect = true;
    parameters.bEnableAdaptiveQuant = false;
    parameters.bEnableBackgroundDetection = true;
    parameters.bEnableDenoise = false;
    parameters.iEntropyCodingModeFlag = 1;
    parameters.iMultipleThreadIdc = 1;
    parameters.eSpsPpsIdStrategy = CONSTANT_ID;
    let layer = &mut parameters.sSpatialLayers[0];
    layer.iVideoWidth = width as i32;
    layer.iVideoHeight = height as i32;
    layer.fFrameRate = FRAMES_PER_SECOND;
    layer.iSpatialBitrate = rate;
    layer.iMaxSpatialBitrate = rate;
    layer.uiProfileIdc = PRO_HIGH;
    layer.sSliceArgument.uiSliceMode = SM_SINGLE_SLICE;
    // BT.709 of limited range, in the stream's own words: browsers go by them.
    layer.bVideoSignalTypePresent = true;
    layer.uiVideoFormat = 5;
    layer.bFullRange = false;
    layer.bColorDescriptionPresent = true;
    layer.uiColorPrimaries = 1;
    layer.uiTransferCharacteristics = 1;
    layer.uiColorMatrix = 1;
}

fn check(code: i32) -> Result<(), VideoError> {
    if code == 0 { Ok(()) } else { Err(VideoError::Encoder(code)) }
}

//! OpenH264's decoder, for viewers that are not browsers. Used directly, and nowhere but here.

use super::{I420, VideoError, check_access_unit, is_possible};
use openh264_sys2::*;
use std::ptr;

/// A decoder for one video: pictures of one size, every frame in order.
pub struct VideoDecoder {
    raw: *mut ISVCDecoder,
    width: u32,
    height: u32,
    begun: bool,
    picture: I420,
}

// SAFETY: OpenH264 ties a decoder to no thread, and only one thread at a time can have `&mut`.
unsafe impl Send for VideoDecoder {}
// SAFETY: nothing can be asked of a shared one.
unsafe impl Sync for VideoDecoder {}

impl VideoDecoder {
    pub fn new(width: u32, height: u32) -> Result<Self, VideoError> {
        if !is_possible(width, height) {
            return Err(VideoError::Size { width, height });
        }
        let mut raw = ptr::null_mut();
        // SAFETY: the library writes a pointer, or leaves it null.
        let code = unsafe { source::APILoader::new().WelsCreateDecoder(&mut raw) };
        if raw.is_null() {
            return Err(VideoError::Decoder(code as i32));
        }
        let decoder = VideoDecoder { raw, width, height, begun: false, picture: I420::default() };
        // SAFETY: a live decoder's own functions, with parameters that live as long as the calls.
        unsafe {
            let mut quiet = 0i32;
            let set = (**raw).SetOption.ok_or(VideoError::Decoder(-1))?;
            set(raw, DECODER_OPTION_TRACE_LEVEL, ptr::from_mut(&mut quiet).cast());
            let mut parameters = SDecodingParam {
                uiTargetDqLayer: u8::MAX,
                eEcActiveIdc: ERROR_CON_DISABLE,
                ..SDecodingParam::default()
            };
            parameters.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC;
            check((**raw).Initialize.ok_or(VideoError::Decoder(-1))?(raw, &parameters) as i32)?;
        }
        Ok(decoder)
    }

    /// Decodes the next frame; the first one must be a key frame. After an error only a key frame is of use.
    pub fn decode(&mut self, frame: &[u8]) -> Result<&I420, VideoError> {
        let key = check_access_unit(frame, self.width, self.height)?;
        if !key && !self.begun {
            return Err(VideoError::Stream("the first frame is no key frame"));
        }
        self.begun = false;
        let mut planes = [ptr::null_mut(); 3];
        let mut info = SBufferInfo::default();
        // SAFETY: a live decoder; it reads the frame's bytes, and writes pointers and sizes of its own picture.
        let system = unsafe {
            let decode = (**self.raw).DecodeFrameNoDelay.ok_or(VideoError::Decoder(-1))?;
            check(decode(self.raw, frame.as_ptr(), frame.len() as i32, planes.as_mut_ptr(), &mut info))?;
            // Above the Baseline profile the library holds every picture back until the next one, in case their order
            // changes. It never does here.
            if info.iBufferStatus != 1 {
                let flush = (**self.raw).FlushFrame.ok_or(VideoError::Decoder(-1))?;
                check(flush(self.raw, planes.as_mut_ptr(), &mut info))?;
            }
            info.UsrData.sSystemBuffer
        };
        if info.iBufferStatus != 1 || planes.iter().any(|plane| plane.is_null()) {
            return Err(VideoError::Stream("it gives no picture"));
        }
        let (width, height) = (system.iWidth as u32, system.iHeight as u32);
        let strides =
            [system.iStride[0], system.iStride[1], system.iStride[1]].map(|stride| stride.max(0) as usize);
        let wide_enough = strides[0] >= width as usize && strides[1] * 2 >= width as usize;
        if (width, height) != (self.width, self.height) || !wide_enough {
            let (wanted_width, wanted_height) = (self.width, self.height);
            return Err(VideoError::OtherSize { width, height, wanted_width, wanted_height });
        }
        self.picture.resize(width as usize, height as usize);
        for ((rows, plane), stride) in self.picture.plane_rows().into_iter().zip(planes).zip(strides) {
            for (y, row) in rows.enumerate() {
                // SAFETY: the library vouches for a plane of this many rows, `stride` bytes apart, until the next
                // frame; a row is no longer than its stride.
                row.copy_from_slice(unsafe { std::slice::from_raw_parts(plane.add(y * stride), row.len()) });
            }
        }
        self.begun = true;
        Ok(&self.picture)
    }
}

impl Drop for VideoDecoder {
    fn drop(&mut self) {
        // SAFETY: the decoder is live, and is not used again.
        unsafe {
            if let Some(end) = (**self.raw).Uninitialize {
                end(self.raw);
            }
            source::APILoader::new().WelsDestroyDecoder(self.raw);
        }
    }
}

fn check(code: i32) -> Result<(), VideoError> {
    if code == 0 { Ok(()) } else { Err(VideoError::Decoder(code)) }
}

//! The decoder of a connection: IronRDP's stage with its image, bounded, and its damage as rows of pixels.

use super::bounds::{Bounds, MOST_MESSAGE};
use super::paint;
use ironrdp_core::MonotonicInstant;
use ironrdp_dvc::DrdynvcClient;
use ironrdp_graphics::image_processing::PixelFormat;
use ironrdp_pdu::Action;
use ironrdp_pdu::geometry::InclusiveRectangle;
use ironrdp_session::image::DecodedImage;
use ironrdp_session::{ActiveStage, ActiveStageBuilder, ActiveStageOutput, SessionError};

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("it wants a screen of {0} x {1} pixels, which cannot be shown")]
    Size(u16, u16),
    #[error("it sent a message of more than {} MiB", MOST_MESSAGE >> 20)]
    TooLarge,
    #[error("it sent something that cannot be read")]
    Unread(#[from] SessionError),
}

pub struct Decoder {
    pub stage: ActiveStage,
    image: DecodedImage,
    bounds: Bounds,
    row: Vec<u32>,
}

impl Decoder {
    /// For a connection whose host said that its screen has this size in pixels.
    ///
    /// # Errors
    /// When no screen has this size.
    pub fn new(builder: ActiveStageBuilder, size: (u16, u16)) -> Result<Decoder, DecodeError> {
        let dynamic = builder.static_channels.get_channel_id_by_type::<DrdynvcClient>();
        let bounds = Bounds::new(builder.io_channel_id, dynamic);
        Ok(Decoder { stage: builder.build(), image: image(size)?, bounds, row: Vec::new() })
    }

    /// The screen's size in pixels.
    pub fn size(&self) -> (u16, u16) {
        (self.image.width(), self.image.height())
    }

    /// The host begins anew with a black screen of another size.
    ///
    /// # Errors
    /// When no screen has this size.
    pub fn resize(&mut self, size: (u16, u16)) -> Result<(), DecodeError> {
        self.image = image(size)?;
        Ok(())
    }

    /// Reads one frame: what it asks for, and what it changed on the screen, whose size may be another one afterwards.
    ///
    /// # Errors
    /// After one, nothing that the host sends can be read.
    pub fn feed(
        &mut self,
        action: Action,
        frame: &[u8],
        received: Option<MonotonicInstant>,
    ) -> Result<(Vec<ActiveStageOutput>, Vec<InclusiveRectangle>), DecodeError> {
        self.bounds.check(action, frame).map_err(|_| DecodeError::TooLarge)?;
        let outputs = self.stage.process(&mut self.image, action, frame, received)?;
        let (width, height) = self.size();
        if !paint::is_possible(width, height) {
            return Err(DecodeError::Size(width, height));
        }
        Ok((outputs, self.stage.take_damage_regions()))
    }

    /// Gives what changed row by row: see [`paint::copy`].
    pub fn paint(&mut self, damage: &[InclusiveRectangle], to: impl FnMut(u32, u32, &[u32]) -> bool) -> bool {
        paint::copy(self.image.data(), (self.image.width(), self.image.height()), damage, &mut self.row, to)
    }
}

fn image((width, height): (u16, u16)) -> Result<DecodedImage, DecodeError> {
    if !paint::is_possible(width, height) {
        return Err(DecodeError::Size(width, height));
    }
    Ok(DecodedImage::new(PixelFormat::RgbA32, width, height))
}

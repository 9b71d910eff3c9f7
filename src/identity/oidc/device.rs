//! The device flow (RFC 8628), for clients that are no browser: the person confirms a code in any browser. The gateway is
//! the provider's client; who waits holds a handle alone.

use super::OidcError;
use super::provider::{Proven, Provider, shortened};
use crate::identity::new_secret;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// A code is good for this long at most, whatever the provider says.
const LONGEST_MS: i64 = 1_800_000;

/// A sign-in that waits for its code to be confirmed.
pub(super) struct Device {
    code: String,
    seat: String,
    interval_ms: i64,
    next_at: i64,
}

/// What the person is told, and the handle to ask with whether it is done.
#[derive(Debug, serde::Serialize)]
pub struct DeviceBegun {
    pub verification_uri: String,
    pub verification_uri_complete: Option<String>,
    pub user_code: String,
    /// Seconds between two questions.
    pub interval: i64,
    /// Seconds that the code is good for.
    pub expires_in: i64,
    pub handle: String,
}

pub enum DevicePoll {
    /// Not yet: ask again after so many seconds.
    Pending(i64),
    Done(Box<Proven>, String),
}

impl Provider {
    pub async fn begin_device(&self, seat: &str, now_ms: i64) -> Result<DeviceBegun, OidcError> {
        if !self.config().device {
            return Err(OidcError::DeviceFlowOff);
        }
        let metadata = self.publisher.metadata(now_ms).await?;
        let place = metadata.device_authorization_endpoint.as_ref().ok_or(OidcError::NoDeviceFlow)?;
        let (scope, acr) = (self.scope(), self.config().acr.join(" "));
        let mut form = vec![("scope", scope.as_str())];
        if !acr.is_empty() {
            form.push(("acr_values", &acr));
        }
        let answer = self.post(&metadata, place, &form).await?;
        let body = answer.json().map_err(OidcError::Down)?;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let given = (text("device_code"), text("user_code"), text("verification_uri"));
        let (true, (Some(code), Some(user_code), Some(verification_uri))) =
            (answer.status.is_success(), given)
        else {
            return Err(OidcError::Refused(shortened(body["error"].as_str().unwrap_or("no reason given"))));
        };
        let interval = body["interval"].as_i64().unwrap_or(5).clamp(1, 60);
        let lasts_ms = body["expires_in"].as_i64().unwrap_or(600).saturating_mul(1_000).clamp(0, LONGEST_MS);
        let handle = new_secret();
        let interval_ms = interval * 1_000;
        let device = Device { code, seat: seat.to_owned(), interval_ms, next_at: now_ms + interval_ms };
        if !self.devices.put(&handle, device, now_ms + lasts_ms, now_ms) {
            return Err(OidcError::TooMany);
        }
        let verification_uri_complete = text("verification_uri_complete");
        let expires_in = lasts_ms / 1_000;
        Ok(DeviceBegun {
            verification_uri,
            verification_uri_complete,
            user_code,
            interval,
            expires_in,
            handle,
        })
    }

    /// Whether it was confirmed. Who asks too soon waits longer, and the provider is not asked.
    pub async fn poll_device(&self, handle: &str, now_ms: i64) -> Result<DevicePoll, OidcError> {
        // Taken while it is asked: two questions at once are not two sign-ins.
        let (until, mut device) = self.devices.take(handle, now_ms).ok_or(OidcError::NotAwaited)?;
        let again = |mut device: Device, slower: bool| {
            if slower {
                device.interval_ms += 5_000;
            }
            device.next_at = now_ms + device.interval_ms;
            let seconds = device.interval_ms / 1_000;
            match self.devices.put(handle, device, until, now_ms) {
                true => Ok(DevicePoll::Pending(seconds)),
                false => Err(OidcError::TooMany),
            }
        };
        // A second of grace for the way here.
        if now_ms + 1_000 < device.next_at {
            return again(device, true);
        }
        let metadata = self.publisher.metadata(now_ms).await;
        let answer = match &metadata {
            Ok(metadata) => {
                let form = [("grant_type", GRANT), ("device_code", device.code.as_str())];
                self.post(metadata, &metadata.token_endpoint, &form).await
            }
            Err(error) => Err(OidcError::Down(error.to_string())),
        };
        // A provider that does not answer now may answer later.
        let (Ok(metadata), Ok(answer)) = (metadata, answer) else { return again(device, true) };
        let body = answer.json().map_err(OidcError::Down)?;
        if answer.status.is_success() {
            let proven = self.proven(&metadata, &body, None, now_ms).await?;
            return Ok(DevicePoll::Done(Box::new(proven), std::mem::take(&mut device.seat)));
        }
        match body["error"].as_str().unwrap_or_default() {
            "authorization_pending" => again(device, false),
            "slow_down" => again(device, true),
            "expired_token" => Err(OidcError::NotAwaited),
            error @ "access_denied" => Err(OidcError::Denied(error.to_owned())),
            error => Err(OidcError::Refused(shortened(error))),
        }
    }
}

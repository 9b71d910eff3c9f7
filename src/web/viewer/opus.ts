// Whether this browser plays what sessions play.

/** Pages that are not served safely have no decoder, and some browsers have none at all: then there is no sound. */
export async function opusPlays(): Promise<boolean> {
  if (typeof AudioDecoder !== "function") return false;
  try {
    const asked = { codec: "opus", sampleRate: 48_000, numberOfChannels: 2 };
    return (await AudioDecoder.isConfigSupported(asked)).supported === true;
  } catch {
    return false;
  }
}
